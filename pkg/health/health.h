/*
 * health: from single probe results to a verdict about one target, and when to probe next. Pure.
 * A target is one (address, port, check), however many VIPs use it.
 */
#ifndef VIPD_HEALTH_HEALTH_H
#define VIPD_HEALTH_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct health_conf {
	uint64_t period_ns;
	uint64_t timeout_ns;
	uint32_t failure_threshold; /* consecutive failures until unhealthy, 1.. */
	uint32_t success_threshold; /* consecutive successes until healthy, 1.. */
};

enum health_verdict {
	HEALTH_UNKNOWN, /* not probed yet: gets no traffic (at adoption: the kernel's weight stands) */
	HEALTH_HEALTHY,
	HEALTH_UNHEALTHY,
};
const char *health_verdict_name(enum health_verdict v); /* "Unknown", "Healthy", "Unhealthy" */

enum health_event_type {
	HEALTH_EV_START, /* phase: 0..2^32-1 spreads the first probe over min(period, 500 ms) */
	HEALTH_EV_RESULT, /* the probe under way has ended; good or not, timed_out or not */
	HEALTH_EV_TIMER, /* next_ns has come */
	HEALTH_EV_SUSPECT, /* takeover by timeout: unhealthy now, probe at once, back by the first success */
	HEALTH_EV_RECONF, /* *conf has changed */
};

struct health_event {
	enum health_event_type type;
	uint64_t now_ns;
	uint32_t phase;
	bool adopted_healthy; /* START: the kernel had weight above 0: first verdict HEALTHY */
	bool good;
	bool timed_out;
};

struct health {
	enum health_verdict verdict;
	uint32_t successes; /* consecutive */
	uint32_t failures; /* consecutive */
	bool probing; /* a probe is under way */
	bool suspect;
	bool gone; /* unhealthy because of time-outs: the node is away, not only the port */
	uint64_t next_ns; /* when to call with HEALTH_EV_TIMER; 0: not now */
	uint64_t since_ns; /* when the verdict was reached */
};

struct health_out {
	bool probe; /* start a probe now (the one under way, if any, is abandoned first) */
	bool changed; /* the verdict changed */
};

void health_init(struct health *h);
void health_step(struct health *h, const struct health_conf *conf, const struct health_event *ev,
		 struct health_out *ret);

#endif
