/* health: thresholds, suspicion and the schedule of probes. */
#include "health/health.h"

#include "base/base.h"

#include <string.h>

const char *health_verdict_name(enum health_verdict v)
{
	switch (v) {
	case HEALTH_UNKNOWN:
		return "Unknown";
	case HEALTH_HEALTHY:
		return "Healthy";
	case HEALTH_UNHEALTHY:
		return "Unhealthy";
	}
	return "?";
}

void health_init(struct health *h)
{
	memset(h, 0, sizeof(*h));
}

/* 0 means "no timer", so a due time of 0 (a clock that has just started) becomes 1 ns. */
static uint64_t timer_at(uint64_t at_ns)
{
	return at_ns > 0 ? at_ns : 1;
}

static uint64_t round_down(uint64_t ns, uint64_t unit_ns)
{
	return unit_ns ? ns - ns % unit_ns : ns;
}

static uint64_t round_up(uint64_t ns, uint64_t unit_ns)
{
	return unit_ns ? round_down(ns + unit_ns - 1, unit_ns) : ns;
}

static uint64_t first_window(const struct health_conf *conf)
{
	return conf->period_ns < HEALTH_FIRST_PROBE_NS ? conf->period_ns : HEALTH_FIRST_PROBE_NS;
}

static uint32_t count_up(uint32_t n)
{
	return n < UINT32_MAX ? n + 1 : n;
}

static void decide(struct health *h, enum health_verdict v, uint64_t now_ns, struct health_out *ret)
{
	if (h->verdict == v)
		return;
	h->verdict = v;
	h->since_ns = now_ns;
	ret->changed = true;
}

static void probe_now(struct health *h, uint64_t due_ns, struct health_out *ret)
{
	h->due_ns = timer_at(due_ns);
	h->probing = true;
	h->next_ns = 0;
	ret->probe = true;
}

/* The next probe is due one period after the last one was due, or now if that time has passed. */
static void schedule(struct health *h, const struct health_conf *conf, uint64_t now_ns)
{
	uint64_t at_ns = h->due_ns + (h->settle_ns ? h->settle_ns : conf->period_ns);

	h->settle_ns = 0;

	h->next_ns = timer_at(at_ns > now_ns ? at_ns : now_ns);
}

static void on_start(struct health *h, const struct health_conf *conf,
		     const struct health_event *ev, struct health_out *ret)
{
	uint64_t window_ns = first_window(conf);
	uint64_t instant_ns = window_ns / HEALTH_INSTANTS;
	/* the window is at most 2^29 ns, the phase below 2^32: the product fits; the rest of the period is in ms for that */
	uint64_t first_ns = ev->now_ns + (window_ns * ev->phase >> 32);
	uint64_t rest_ns =
		((conf->period_ns - window_ns) / NS_PER_MS * ev->phase >> 32) * NS_PER_MS;

	h->next_ns = timer_at(round_up(first_ns, instant_ns));
	h->settle_ns = round_down(rest_ns, instant_ns);
	if (ev->adopted_healthy)
		decide(h, HEALTH_HEALTHY, ev->now_ns, ret);
}

static void on_timer(struct health *h, const struct health_conf *conf,
		     const struct health_event *ev, struct health_out *ret)
{
	if (h->probing || h->next_ns == 0 || ev->now_ns < h->next_ns)
		return;
	/* counting from the due time keeps the schedule from drifting; after a long sleep
	 * (a suspended machine) there is nothing to catch up with */
	probe_now(h, ev->now_ns - h->next_ns < conf->period_ns ? h->next_ns : ev->now_ns, ret);
}

static void on_success(struct health *h, const struct health_conf *conf, uint64_t now_ns,
		       struct health_out *ret)
{
	h->failures = 0;
	h->timeouts = 0;
	h->gone = false;
	h->successes = count_up(h->successes);
	if (h->verdict == HEALTH_UNHEALTHY && !h->suspect && h->successes < conf->success_threshold)
		return;
	h->suspect = false;
	decide(h, HEALTH_HEALTHY, now_ns, ret);
}

/*
 * The time-out that raised the doubt is taken off the wait for the next probe: it began up to a period
 * after the death, and so the last of failure_threshold time-outs ends no later than as many periods after.
 */
static void hurry(struct health *h, const struct health_conf *conf)
{
	uint64_t ahead_ns = conf->timeout_ns < conf->period_ns ? conf->timeout_ns : conf->period_ns;

	h->due_ns = h->due_ns > ahead_ns ? h->due_ns - ahead_ns : 1;
}

static void on_failure(struct health *h, const struct health_conf *conf,
		       const struct health_event *ev, struct health_out *ret)
{
	bool first = h->verdict == HEALTH_UNKNOWN;
	bool gone;

	h->successes = 0;
	h->failures = count_up(h->failures);
	/* a dead neighbour is silent, and in between it is said to be unreachable */
	if (ev->timed_out)
		h->timeouts = count_up(h->timeouts);
	else if (!ev->unreachable)
		h->timeouts = 0;
	if (ev->timed_out && h->verdict == HEALTH_HEALTHY && h->failures == 1)
		hurry(h, conf);
	if (first || h->failures >= conf->failure_threshold)
		decide(h, HEALTH_UNHEALTHY, ev->now_ns, ret);
	/* whatever answers, a refusal too, comes from a node that is there */
	gone = h->verdict == HEALTH_UNHEALTHY &&
	       h->timeouts >= (h->suspect ? 1 : conf->failure_threshold);
	ret->went_gone = gone && !h->gone;
	h->gone = gone;
}

static void on_result(struct health *h, const struct health_conf *conf,
		      const struct health_event *ev, struct health_out *ret)
{
	if (!h->probing)
		return;
	h->probing = false;
	if (ev->good)
		on_success(h, conf, ev->now_ns, ret);
	else if (!ev->inconclusive)
		on_failure(h, conf, ev, ret);
	schedule(h, conf, ev->now_ns);
}

static void on_suspect(struct health *h, const struct health_event *ev, struct health_out *ret)
{
	if (h->verdict == HEALTH_UNHEALTHY) {
		ret->went_gone = h->gone;
		return;
	}
	h->suspect = true;
	h->successes = 0;
	h->timeouts = 0;
	decide(h, HEALTH_UNHEALTHY, ev->now_ns, ret);
	/* the probe under way may have connected before the node died: it proves nothing */
	probe_now(h, ev->now_ns, ret);
}

static void on_reconf(struct health *h, const struct health_conf *conf,
		      const struct health_event *ev)
{
	uint64_t latest_ns = ev->now_ns + first_window(conf);

	h->settle_ns = 0;
	if (h->probing || h->next_ns == 0)
		return;
	if (h->due_ns > 0)
		schedule(h, conf, ev->now_ns);
	else if (h->next_ns > latest_ns)
		h->next_ns = latest_ns;
}

void health_step(struct health *h, const struct health_conf *conf, const struct health_event *ev,
		 struct health_out *ret)
{
	*ret = (struct health_out){0};
	switch (ev->type) {
	case HEALTH_EV_START:
		on_start(h, conf, ev, ret);
		break;
	case HEALTH_EV_RESULT:
		on_result(h, conf, ev, ret);
		break;
	case HEALTH_EV_TIMER:
		on_timer(h, conf, ev, ret);
		break;
	case HEALTH_EV_SUSPECT:
		on_suspect(h, ev, ret);
		break;
	case HEALTH_EV_RECONF:
		on_reconf(h, conf, ev);
		break;
	}
}
