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
	HEALTH_EV_START, /* phase: 0..2^32-1 spreads the first probe over min(period, 500 ms), later ones over the period */
	HEALTH_EV_RESULT, /* the probe under way has ended; good or not, timed_out or not */
	HEALTH_EV_TIMER, /* next_ns has come */
	HEALTH_EV_SUSPECT, /* takeover by timeout: unhealthy now, probe at once, back by the first success;
			    * one that its checks already found unhealthy stays as it is */
	HEALTH_EV_RECONF, /* *conf has changed */
};

struct health_event {
	enum health_event_type type;
	uint64_t now_ns;
	uint32_t phase;
	bool adopted_healthy; /* START: the kernel had weight above 0: first verdict HEALTHY */
	bool good;
	bool timed_out;
	bool unreachable; /* not good: neither a time-out nor a word from the server */
	bool inconclusive; /* RESULT: no attempt was made (no memory, no descriptor): counts nothing */
};

struct health {
	enum health_verdict verdict;
	uint32_t successes; /* consecutive */
	uint32_t failures; /* consecutive */
	uint32_t timeouts; /* consecutive failures by time-out */
	bool probing; /* a probe is under way */
	bool suspect;
	bool gone; /* unhealthy by failure_threshold time-outs (a suspect: one), not by refusals */
	uint64_t next_ns; /* when to call with HEALTH_EV_TIMER; 0: not now */
	uint64_t due_ns; /* when the last probe was due: the period counts from here; 0: none yet */
	uint64_t settle_ns; /* from the first probe to the second; 0: a period, as always after */
	uint64_t since_ns; /* when the verdict was reached */
};

struct health_out {
	bool probe; /* start a probe now (the one under way, if any, is abandoned first) */
	bool changed; /* the verdict changed */
	/* `gone` became true; with `changed` or, after a suspicion, later. Also at a suspicion of one that is gone
	 * already: its clients come here from now on, and those that are known here meet nobody there. */
	bool went_gone;
};

/* The first probe starts within min(period, this) of START: a first result comes within a second. */
#define HEALTH_FIRST_PROBE_NS UINT64_C(500000000)
/*
 * Probes are due at so many instants of that time, the same for every target of a period: those that are due together
 * are started together, and wake the machine once.
 */
#define HEALTH_INSTANTS 32

/*
 * The first result of all decides at once; the thresholds count from then on. Probes are due every
 * period_ns from when the last one was due, never two at a time: one that outlasts the period is
 * followed at once by the next. The second comes earlier than that: from then on probes are spread over the
 * whole period, not only the first part of it. The probe after a healthy server's first time-out is due timeout_ns
 * earlier: a dead node is out within failure_threshold periods of its death, or one period and
 * failure_threshold time-outs if that is more. While a probe is under way next_ns is 0: its end comes
 * as a RESULT.
 */
void health_init(struct health *h);
void health_step(struct health *h, const struct health_conf *conf, const struct health_event *ev,
		 struct health_out *ret);

#endif
