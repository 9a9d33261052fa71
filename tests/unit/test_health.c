/* health: thresholds, suspicion, adoption and the schedule of probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/health.h"

#define MS UINT64_C(1000000)
#define T0 (UINT64_C(100000) * MS)

static const struct health_conf plain = {
	.period_ns = 2000 * MS,
	.timeout_ns = 1000 * MS,
	.failure_threshold = 2,
	.success_threshold = 1,
};

static struct health_out step(struct health *h, const struct health_conf *conf,
			      struct health_event ev)
{
	struct health_out out;

	health_step(h, conf, &ev, &out);
	return out;
}

static char verdict_letter(enum health_verdict v)
{
	return health_verdict_name(v)[0] == 'U' ? (health_verdict_name(v)[2] == 'h' ? 'U' : '?')
						: 'H';
}

/*
 * One letter an event: g good, r refused, t timed out, u unreachable, i inconclusive, s suspect.
 * Verdicts: ? unknown, H healthy, U unhealthy, G unhealthy and gone; one for each event.
 */
struct story {
	const char *name;
	uint32_t failure_threshold, success_threshold;
	bool adopted;
	const char *events;
	const char *want;
};

static const struct story stories[] = {
	{"the first success counts at once", 2, 1, false, "g", "H"},
	{"the first success counts at once, whatever the threshold", 2, 5, false, "g", "H"},
	{"the first failure counts at once", 3, 1, false, "r", "U"},
	{"first failures by time-out: gone by the threshold", 2, 1, false, "ttt", "UGG"},
	{"no attempt is no result", 2, 1, false, "iig", "??H"},
	{"failures below the threshold", 2, 1, false, "grgrg", "HHHHH"},
	{"failures at the threshold", 2, 1, false, "grr", "HHU"},
	{"a threshold of one", 1, 1, false, "grg", "HUH"},
	{"no attempt does not break a row of failures", 2, 1, false, "grir", "HHHU"},
	{"coming back needs the successes in a row", 2, 3, false, "grrggrggg", "HHUUUUUUH"},
	{"refusals are not a node that is gone", 2, 1, false, "grrr", "HHUU"},
	{"time-outs are", 2, 1, false, "gtt", "HHG"},
	{"mixed: gone once the time-outs alone reach the threshold", 2, 1, false, "grtt", "HHUG"},
	{"a refusal shows that the node is back", 2, 1, false, "gttr", "HHGU"},
	{"a success below the threshold does too", 2, 2, false, "gttgg", "HHGUH"},
	{"unreachable in between is no word of it", 2, 1, false, "gtut", "HHUG"},
	{"nor does it make it gone, or not so", 2, 1, false, "guuuttu", "HHUUUGG"},
	{"suspect: unhealthy at once, back by the first success", 2, 3, false, "gsg", "HUH"},
	{"suspect: nothing but a success brings it back", 2, 1, false, "gsrig", "HUUUH"},
	{"suspect: gone with its first time-out", 3, 1, false, "gst", "HUG"},
	{"suspect: no attempt is no time-out", 2, 1, false, "gsiitg", "HUUUGH"},
	{"suspect: time-outs from before do not count", 3, 1, false, "gtsrtg", "HHUUGH"},
	{"suspect before the first result", 2, 1, false, "sg", "UH"},
	{"suspicion does not soften an ordinary failure", 1, 2, false, "grsgg", "HUUUH"},
	{"suspicion ends with the first success", 1, 2, false, "gsgrgg", "HUHUUH"},
	{"adopted: healthy before the first result", 2, 1, true, "g", "H"},
	{"adopted: failures count by the threshold", 2, 1, true, "rr", "HU"},
	{"adopted: and so do time-outs", 2, 1, true, "tt", "HG"},
};

static void play(const struct story *s)
{
	struct health_conf conf = plain;
	struct health h;
	uint64_t now_ns = T0;

	conf.failure_threshold = s->failure_threshold;
	conf.success_threshold = s->success_threshold;
	health_init(&h);
	step(&h, &conf,
	     (struct health_event){
		     .type = HEALTH_EV_START, .now_ns = now_ns, .adopted_healthy = s->adopted});
	for (size_t i = 0; s->events[i]; i++) {
		char e = s->events[i];
		enum health_verdict before = h.verdict;
		bool was_gone = h.gone;
		struct health_out out;
		char got;

		now_ns += 10 * MS;
		if (e == 's') {
			out = step(
				&h, &conf,
				(struct health_event){.type = HEALTH_EV_SUSPECT, .now_ns = now_ns});
		} else {
			if (!h.probing) {
				now_ns = h.next_ns;
				out = step(&h, &conf,
					   (struct health_event){.type = HEALTH_EV_TIMER,
								 .now_ns = now_ns});
				assert_true(out.probe);
				assert_false(out.changed);
			}
			out = step(&h, &conf,
				   (struct health_event){.type = HEALTH_EV_RESULT,
							 .now_ns = now_ns + 5 * MS,
							 .good = e == 'g',
							 .timed_out = e == 't',
							 .unreachable = e == 'u',
							 .inconclusive = e == 'i'});
			assert_false(out.probe);
			assert_true(h.next_ns != 0);
		}
		assert_int_equal(out.changed, h.verdict != before);
		assert_int_equal(out.went_gone, h.gone && (!was_gone || e == 's'));
		if (out.changed)
			assert_in_range(h.since_ns, now_ns, now_ns + 5 * MS);
		got = h.gone ? 'G' : verdict_letter(h.verdict);
		if (h.gone)
			assert_int_equal(h.verdict, HEALTH_UNHEALTHY);
		if (got != s->want[i])
			fail_msg("%s: after \"%.*s\": %c, not %c", s->name, (int)i + 1, s->events,
				 got, s->want[i]);
	}
}

static void test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
		play(&stories[i]);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(health_verdict_name(HEALTH_UNKNOWN), "Unknown");
	assert_string_equal(health_verdict_name(HEALTH_HEALTHY), "Healthy");
	assert_string_equal(health_verdict_name(HEALTH_UNHEALTHY), "Unhealthy");
}

static void test_first_probe_is_spread(void **state)
{
	static const struct {
		uint64_t period_ns;
		uint32_t phase;
		uint64_t want_offset_ns;
	} rows[] = {
		{2000 * MS, 0, 0},
		{2000 * MS, UINT32_C(1) << 31, 250 * MS},
		{2000 * MS, UINT32_MAX, 500 * MS},
		{100 * MS, UINT32_C(1) << 31, 50 * MS},
		{3600 * 1000 * MS, UINT32_MAX, 500 * MS},
		/* at the next of 32 instants, which are the same whenever it starts */
		{2000 * MS, (UINT32_C(1) << 31) + 1, 250 * MS},
		{2000 * MS, (UINT32_C(1) << 31) + 9, 250 * MS + 15625000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct health_conf conf = plain;
		struct health h;
		struct health_out out;

		conf.period_ns = rows[i].period_ns;
		health_init(&h);
		out = step(&h, &conf,
			   (struct health_event){
				   .type = HEALTH_EV_START, .now_ns = T0, .phase = rows[i].phase});
		assert_false(out.probe || out.changed);
		assert_int_equal(h.verdict, HEALTH_UNKNOWN);
		assert_int_equal(h.next_ns, T0 + rows[i].want_offset_ns);
	}
	/* even on a clock that has just started there is a timer */
	struct health h;

	health_init(&h);
	step(&h, &plain, (struct health_event){.type = HEALTH_EV_START});
	assert_int_equal(h.next_ns, 1);
}

/* The first probes of all targets are close together; the second ones, and all after, are anywhere in a period. */
static void test_second_probe_is_spread(void **state)
{
	static const struct {
		uint64_t period_ns;
		uint32_t phase;
		uint64_t want_gap_ns;
	} rows[] = {
		{2000 * MS, 0, 2000 * MS},
		{2000 * MS, UINT32_C(1) << 31, 750 * MS},
		{2000 * MS, UINT32_MAX, 1500 * MS - 15625000},
		{500 * MS, UINT32_C(1) << 31, 500 * MS},
		{100 * MS, UINT32_MAX, 100 * MS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct health_conf conf = plain;
		struct health_event good = {.type = HEALTH_EV_RESULT, .now_ns = T0, .good = true};
		struct health h;

		conf.period_ns = rows[i].period_ns;
		health_init(&h);
		step(&h, &conf,
		     (struct health_event){
			     .type = HEALTH_EV_START, .now_ns = T0, .phase = rows[i].phase});
		for (unsigned int k = 0; k < 3; k++) {
			uint64_t due_ns = h.next_ns;

			step(&h, &conf,
			     (struct health_event){.type = HEALTH_EV_TIMER, .now_ns = due_ns});
			good.now_ns = due_ns + MS;
			step(&h, &conf, good);
			assert_int_equal(h.next_ns - due_ns,
					 k == 0 ? rows[i].want_gap_ns : conf.period_ns);
		}
	}
}

static void test_schedule_is_absolute(void **state)
{
	struct health h;
	struct health_out out;

	(void)state;
	health_init(&h);
	step(&h, &plain, (struct health_event){.type = HEALTH_EV_START, .now_ns = T0});

	/* a timer that comes too early does nothing */
	out = step(&h, &plain, (struct health_event){.type = HEALTH_EV_TIMER, .now_ns = T0 - 1});
	assert_false(out.probe);

	/* every wake-up is 3 ms late and every probe takes 70 ms: the schedule does not drift */
	for (unsigned int i = 0; i < 10; i++) {
		uint64_t due_ns = T0 + i * plain.period_ns;

		assert_int_equal(h.next_ns, due_ns);
		out = step(
			&h, &plain,
			(struct health_event){.type = HEALTH_EV_TIMER, .now_ns = due_ns + 3 * MS});
		assert_true(out.probe && h.probing);
		assert_int_equal(h.next_ns, 0);
		/* a second timer event does not start a second probe */
		out = step(
			&h, &plain,
			(struct health_event){.type = HEALTH_EV_TIMER, .now_ns = due_ns + 4 * MS});
		assert_false(out.probe);
		step(&h, &plain,
		     (struct health_event){
			     .type = HEALTH_EV_RESULT, .now_ns = due_ns + 73 * MS, .good = true});
	}

	/* a result without a probe is nobody's */
	out = step(&h, &plain,
		   (struct health_event){
			   .type = HEALTH_EV_RESULT, .now_ns = T0 + 1, .timed_out = true});
	assert_false(out.changed);
	assert_int_equal(h.failures, 0);

	/* slept through five periods: one probe now, and the schedule begins anew */
	uint64_t late_ns = h.next_ns + 5 * plain.period_ns;

	out = step(&h, &plain, (struct health_event){.type = HEALTH_EV_TIMER, .now_ns = late_ns});
	assert_true(out.probe);
	step(&h, &plain,
	     (struct health_event){.type = HEALTH_EV_RESULT, .now_ns = late_ns + MS, .good = true});
	assert_int_equal(h.next_ns, late_ns + plain.period_ns);
}

static void test_probe_longer_than_period(void **state)
{
	struct health_conf conf = plain;
	struct health h;

	(void)state;
	conf.period_ns = 100 * MS;
	conf.timeout_ns = 1000 * MS;
	health_init(&h);
	step(&h, &conf, (struct health_event){.type = HEALTH_EV_START, .now_ns = T0});
	step(&h, &conf, (struct health_event){.type = HEALTH_EV_TIMER, .now_ns = T0});
	step(&h, &conf,
	     (struct health_event){
		     .type = HEALTH_EV_RESULT, .now_ns = T0 + conf.timeout_ns, .timed_out = true});
	assert_int_equal(h.next_ns, T0 + conf.timeout_ns);
}

/* A server that dies just after a good check: out within max(threshold x period, period + threshold x timeout). */
static void test_dead_within_threshold_periods(void **state)
{
	static const struct {
		uint64_t period_ms, timeout_ms, threshold, want_ms;
	} rows[] = {
		{2000, 1000, 2, 4000},   {2000, 1000, 3, 6000},    {100, 50, 2, 200},
		{100, 100, 2, 300},      {100, 1000, 2, 2100},     {2000, 1000, 1, 3000},
		{10000, 1000, 2, 20000}, {10000, 10000, 2, 30000}, {2000, 1, 5, 10000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct health_conf conf = {.period_ns = rows[i].period_ms * MS,
					   .timeout_ns = rows[i].timeout_ms * MS,
					   .failure_threshold = (uint32_t)rows[i].threshold,
					   .success_threshold = 1};
		struct health_event timer = {.type = HEALTH_EV_TIMER, .now_ns = T0};
		struct health_event result = {.type = HEALTH_EV_RESULT, .now_ns = T0, .good = true};
		struct health h;

		health_init(&h);
		step(&h, &conf, (struct health_event){.type = HEALTH_EV_START, .now_ns = T0});
		step(&h, &conf, timer);
		step(&h, &conf, result);
		while (h.verdict == HEALTH_HEALTHY) {
			timer.now_ns = h.next_ns;
			step(&h, &conf, timer);
			result = (struct health_event){.type = HEALTH_EV_RESULT,
						       .now_ns = timer.now_ns + conf.timeout_ns,
						       .timed_out = true};
			step(&h, &conf, result);
		}
		assert_int_equal((result.now_ns - T0) / MS, rows[i].want_ms);
		assert_true(h.gone);
	}
}

static void test_suspect_probes_at_once(void **state)
{
	struct health h;
	struct health_out out;

	(void)state;
	health_init(&h);
	step(&h, &plain,
	     (struct health_event){.type = HEALTH_EV_START, .now_ns = T0, .adopted_healthy = true});
	assert_int_equal(h.verdict, HEALTH_HEALTHY);

	/* while waiting */
	out = step(&h, &plain, (struct health_event){.type = HEALTH_EV_SUSPECT, .now_ns = T0 + MS});
	assert_true(out.probe && out.changed && h.suspect && h.probing);
	assert_int_equal(h.verdict, HEALTH_UNHEALTHY);
	out = step(&h, &plain,
		   (struct health_event){
			   .type = HEALTH_EV_RESULT, .now_ns = T0 + 2 * MS, .good = true});
	assert_true(out.changed && !h.suspect);
	assert_int_equal(h.next_ns, T0 + MS + plain.period_ns);

	/* while a probe is under way: that one is abandoned, a new one starts */
	step(&h, &plain, (struct health_event){.type = HEALTH_EV_TIMER, .now_ns = h.next_ns});
	assert_true(h.probing);
	out = step(&h, &plain,
		   (struct health_event){.type = HEALTH_EV_SUSPECT, .now_ns = T0 + 2100 * MS});
	assert_true(out.probe && out.changed && h.probing);

	/* suspected again: nothing new */
	out = step(&h, &plain,
		   (struct health_event){.type = HEALTH_EV_SUSPECT, .now_ns = T0 + 2101 * MS});
	assert_false(out.probe || out.changed || out.went_gone);

	/* found gone by its checks just before the takeover: nothing to probe, but its clients are to be reset */
	step(&h, &plain,
	     (struct health_event){
		     .type = HEALTH_EV_RESULT, .now_ns = T0 + 2200 * MS, .timed_out = true});
	assert_true(h.gone);
	out = step(&h, &plain,
		   (struct health_event){.type = HEALTH_EV_SUSPECT, .now_ns = T0 + 2300 * MS});
	assert_true(out.went_gone && !out.probe && !out.changed);
}

static void test_reconf(void **state)
{
	struct health_conf conf = plain;
	struct health h;
	struct health_out out;
	struct health_event reconf = {.type = HEALTH_EV_RECONF, .now_ns = T0 + 10 * MS};

	(void)state;
	/* before the first probe: the first window shrinks with the period, and never grows */
	health_init(&h);
	step(&h, &conf,
	     (struct health_event){.type = HEALTH_EV_START, .now_ns = T0, .phase = UINT32_MAX});
	conf.period_ns = 100 * MS;
	out = step(&h, &conf, reconf);
	assert_false(out.probe || out.changed);
	assert_int_equal(h.next_ns, T0 + 110 * MS);
	conf.period_ns = 2000 * MS;
	step(&h, &conf, reconf);
	assert_int_equal(h.next_ns, T0 + 110 * MS);

	/* during a probe: its end schedules by the new period */
	step(&h, &conf, (struct health_event){.type = HEALTH_EV_TIMER, .now_ns = T0 + 110 * MS});
	conf.period_ns = 700 * MS;
	step(&h, &conf, reconf);
	assert_int_equal(h.next_ns, 0);
	step(&h, &conf,
	     (struct health_event){
		     .type = HEALTH_EV_RESULT, .now_ns = T0 + 120 * MS, .good = true});
	assert_int_equal(h.next_ns, T0 + 810 * MS);

	/* between probes: from when the last one was due, but not in the past */
	conf.period_ns = 5000 * MS;
	reconf.now_ns = T0 + 200 * MS;
	step(&h, &conf, reconf);
	assert_int_equal(h.next_ns, T0 + 5110 * MS);
	conf.period_ns = 50 * MS;
	step(&h, &conf, reconf);
	assert_int_equal(h.next_ns, reconf.now_ns);
	assert_int_equal(h.verdict, HEALTH_HEALTHY);

	/* not started: no timer appears */
	health_init(&h);
	step(&h, &conf, reconf);
	assert_int_equal(h.next_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_first_probe_is_spread),
		cmocka_unit_test(test_second_probe_is_spread),
		cmocka_unit_test(test_schedule_is_absolute),
		cmocka_unit_test(test_probe_longer_than_period),
		cmocka_unit_test(test_dead_within_threshold_periods),
		cmocka_unit_test(test_suspect_probes_at_once),
		cmocka_unit_test(test_reconf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
