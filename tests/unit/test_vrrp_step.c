/* The election step over several events: periods, preemption, adoption, hand-over, changes; and its properties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vrrp_rig.h"

static void v3_learns_the_active_period_v2_does_not(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 200, "10.0.0.12", PERIOD / 2);
	assert_int_equal(g.v.deadline_ns, T0 + DOWN / 2);
	/* Priority 0 then counts in the learned period too. */
	hear(&g, T0 + MS(100), 0, "10.0.0.12", PERIOD / 2);
	assert_int_equal(g.v.deadline_ns, T0 + MS(100) + SKEW / 2);
	/* Active again, it is by our own that we are measured. */
	put(&g, VRRP_EV_TIMER, g.v.deadline_ns);
	assert_int_equal(g.v.state, VRRP_ACTIVE);
	assert_int_equal(g.v.active_period_ns, PERIOD);

	rig_init(&g, 2);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 200, "10.0.0.12", PERIOD / 2);
	assert_int_equal(g.v.deadline_ns, T0 + DOWN);
}

static void skew_after_priority_zero(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 2);
	g.conf.priority = 254;
	g.conf.period_ns = 2 * NS_PER_S;
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 255, "10.0.0.12", 2 * NS_PER_S);
	hear(&g, T0 + MS(10), 0, "10.0.0.12", 2 * NS_PER_S);
	assert_int_equal(g.v.deadline_ns, T0 + MS(10) + MS(7.8125));
	/* Saying it again does not put the successor off. */
	hear(&g, T0 + MS(15), 0, "10.0.0.12", 2 * NS_PER_S);
	assert_int_equal(g.v.deadline_ns, T0 + MS(10) + MS(7.8125));
	put(&g, VRRP_EV_TIMER, g.v.deadline_ns);
	assert_int_equal(g.out.why, VRRP_WHY_PEER_RELEASED);
	assert_true(g.out.previous.bytes[3] == 12);
	assert_true(addr_eq(&g.v.active, &g.conf.source));
}

static void whys_of_a_takeover(void **state)
{
	struct rig g;

	(void)state;
	/* The active router went silent: it is suspect. */
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 200, "10.0.0.12", PERIOD);
	put(&g, VRRP_EV_TIMER, T0 + DOWN);
	assert_int_equal(g.out.why, VRRP_WHY_TIMEOUT);
	assert_true(g.out.previous.bytes[3] == 12);

	/* A lower one was active to the end: preempted, not dead. */
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	for (uint64_t t = 0; t < DOWN; t += PERIOD)
		hear(&g, T0 + t, 50, "10.0.0.12", PERIOD);
	put(&g, VRRP_EV_TIMER, T0 + DOWN);
	assert_int_equal(g.v.state, VRRP_ACTIVE);
	assert_int_equal(g.out.why, VRRP_WHY_PREEMPT);

	/* A lower one was active, and then silent as well. */
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 50, "10.0.0.12", PERIOD);
	put(&g, VRRP_EV_TIMER, T0 + DOWN);
	assert_int_equal(g.out.why, VRRP_WHY_TIMEOUT);
}

/* Who was active, and leaves without a word, is suspect wherever its silence was long enough to be replaced for it. */
static void suspects(void **state)
{
	static const struct {
		const char *name;
		uint8_t priority; /* of who was active */
		uint64_t
			next_after_ns; /* its successor speaks so long after its last advert; 0: nobody, the timer ends */
		uint8_t next; /* the successor's priority */
		bool zero, want;
	} cases[] = {
		{"the timer ends", 200, 0, 0, false, true},
		{"another takes over", 200, 3 * PERIOD + MS(100), 150, false, true},
		{"another that is lower than us", 200, 3 * PERIOD + MS(100), 50, false, true},
		{"a lower one is followed by another", 50, 3 * PERIOD + MS(100), 60, false, true},
		{"it is preempted", 150, PERIOD, 200, false, false},
		{"a lower one is preempted by another", 50, PERIOD, 60, false, false},
		{"it has released", 200, 3 * PERIOD + MS(100), 150, true, false},
		{"it has released, the timer ends", 200, 0, 0, true, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig g;

		print_message("  %s\n", cases[i].name);
		rig_init(&g, 3);
		bring(&g, VRRP_BACKUP);
		hear(&g, T0, cases[i].priority, "10.0.0.12", PERIOD);
		assert_false(g.out.suspect); /* nobody was active */
		hear(&g, T0 + PERIOD, cases[i].priority, "10.0.0.12", PERIOD);
		assert_false(g.out.suspect);
		if (cases[i].zero)
			hear(&g, T0 + PERIOD, 0, "10.0.0.12", PERIOD);
		assert_false(g.out.suspect);
		if (cases[i].next_after_ns)
			hear(&g, T0 + PERIOD + cases[i].next_after_ns, cases[i].next, "10.0.0.13",
			     PERIOD);
		else
			put(&g, VRRP_EV_TIMER, g.v.deadline_ns);
		assert_int_equal(g.out.suspect, cases[i].want);
		assert_true(g.out.previous.bytes[3] == 12);
		hear(&g, T0 + 9 * PERIOD, 250, "10.0.0.13", PERIOD);
		assert_false(g.out.suspect);
	}
}

static void preemption_waits_for_its_delay(void **state)
{
	struct rig g;
	uint64_t t = 0;

	(void)state;
	rig_init(&g, 3);
	g.conf.preempt_delay_ns = 15 * NS_PER_S;
	bring(&g, VRRP_BACKUP);
	for (; t < 15 * NS_PER_S; t += PERIOD) {
		hear(&g, T0 + t, 50, "10.0.0.12", PERIOD);
		assert_int_equal(g.v.deadline_ns, T0 + t + DOWN);
	}
	hear(&g, T0 + t, 50, "10.0.0.12", PERIOD);
	assert_int_equal(g.v.deadline_ns, T0 + t - PERIOD + DOWN);
	put(&g, VRRP_EV_TIMER, g.v.deadline_ns);
	assert_int_equal(g.v.state, VRRP_ACTIVE);

	/* A link that returns starts the delay anew; a dead active router is replaced during it all the same. */
	put(&g, VRRP_EV_FAULT, T0 + 20 * NS_PER_S);
	put(&g, VRRP_EV_START, T0 + 30 * NS_PER_S);
	assert_int_equal(g.v.preempt_from_ns, T0 + 45 * NS_PER_S);
	hear(&g, T0 + 31 * NS_PER_S, 50, "10.0.0.12", PERIOD);
	put(&g, VRRP_EV_TIMER, T0 + 31 * NS_PER_S + DOWN);
	assert_int_equal(g.v.state, VRRP_ACTIVE);
	assert_int_equal(g.out.why, VRRP_WHY_TIMEOUT);
}

static void frozen_agent_waits_before_it_preempts(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 3);
	g.conf.preempt_delay_ns = 15 * NS_PER_S;
	bring(&g, VRRP_ACTIVE);
	hear(&g, T0 + 60 * NS_PER_S, 50, "10.0.0.12", PERIOD);
	assert_int_equal(g.out.acts, VRRP_ACT_DROP);
	assert_int_equal(g.out.why, VRRP_WHY_LATE);
	assert_int_equal(g.v.deadline_ns, T0 + 60 * NS_PER_S + DOWN);
	assert_int_equal(g.v.preempt_from_ns, T0 + 75 * NS_PER_S);
	assert_true(g.v.active.bytes[3] == 12);
}

static void adopted_addresses_stay_until_somebody_speaks(void **state)
{
	const struct vrrp_event start = {.type = VRRP_EV_START, .now_ns = T0, .adopted = true};
	struct rig g;

	(void)state;
	/* Another router is active: even one that we shall preempt. */
	for (uint8_t priority = 99; priority <= 101; priority++) {
		rig_init(&g, 3);
		vrrp_step(&g.v, &g.conf, &start, &g.out);
		assert_int_equal(g.out.acts, 0);
		assert_true(g.v.holding);
		hear(&g, T0 + MS(10), priority, "10.0.0.12", PERIOD);
		assert_int_equal(g.out.acts, VRRP_ACT_RELEASE);
		assert_int_equal(g.out.linger_ns, VRRP_LINGER_NS);
		hear(&g, T0 + MS(20), priority, "10.0.0.12", PERIOD);
		assert_int_equal(g.out.acts, 0);
	}
	/* Priority 0 takes nothing from us. */
	rig_init(&g, 3);
	vrrp_step(&g.v, &g.conf, &start, &g.out);
	hear(&g, T0 + MS(10), 0, "10.0.0.12", PERIOD);
	assert_int_equal(g.out.acts, 0);
	assert_true(g.v.holding);
	put(&g, VRRP_EV_TIMER, g.v.deadline_ns);
	assert_int_equal(g.out.acts, VRRP_ACT_ADVERT | VRRP_ACT_TAKE);
	assert_false(g.v.holding);
	/* Nobody is: taken as any address is. */
	rig_init(&g, 3);
	vrrp_step(&g.v, &g.conf, &start, &g.out);
	put(&g, VRRP_EV_TIMER, T0 + DOWN);
	assert_int_equal(g.out.acts, VRRP_ACT_ADVERT | VRRP_ACT_TAKE);
	/* Fault and stop give them up at once. */
	rig_init(&g, 3);
	vrrp_step(&g.v, &g.conf, &start, &g.out);
	put(&g, VRRP_EV_FAULT, T0 + MS(1));
	assert_int_equal(g.out.acts, VRRP_ACT_DROP);
	rig_init(&g, 3);
	vrrp_step(&g.v, &g.conf, &start, &g.out);
	put(&g, VRRP_EV_STOP, T0 + MS(1));
	assert_int_equal(g.out.acts, VRRP_ACT_DROP | VRRP_ACT_STOPPED);
}

static void resume_is_active_at_once(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 3);
	bring(&g, VRRP_ACTIVE);
	assert_int_equal(g.out.acts, VRRP_ACT_ADVERT | VRRP_ACT_TAKE);
	assert_int_equal(g.out.why, VRRP_WHY_RESUME);
	assert_int_equal(g.v.deadline_ns, T0 + PERIOD);
}

static void stop_ends_with_or_without_a_successor(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 3);
	bring(&g, VRRP_ACTIVE);
	put(&g, VRRP_EV_STOP, T0 + MS(1));
	put(&g, VRRP_EV_STOP, T0 + MS(2));
	assert_int_equal(g.v.deadline_ns, T0 + MS(1) + VRRP_STOP_WAIT_NS);
	hear(&g, T0 + MS(30), 50, "10.0.0.12", PERIOD);
	assert_int_equal(g.v.state, VRRP_INIT);
	assert_int_equal(g.out.acts, VRRP_ACT_RELEASE | VRRP_ACT_STOPPED);
	assert_int_equal(g.out.linger_ns, VRRP_LINGER_NS);
	assert_int_equal(g.v.deadline_ns, 0);

	rig_init(&g, 3);
	bring(&g, VRRP_ACTIVE);
	put(&g, VRRP_EV_STOP, T0);
	put(&g, VRRP_EV_TIMER, T0 + VRRP_STOP_WAIT_NS);
	assert_int_equal(g.v.state, VRRP_INIT);
	assert_int_equal(g.out.acts, VRRP_ACT_RELEASE | VRRP_ACT_STOPPED);
	assert_int_equal(g.out.linger_ns, 0);

	rig_init(&g, 3);
	bring(&g, VRRP_ACTIVE);
	put(&g, VRRP_EV_STOP, T0);
	put(&g, VRRP_EV_FAULT, T0 + MS(1));
	assert_int_equal(g.out.acts, VRRP_ACT_DROP | VRRP_ACT_STOPPED);
}

static void answers_to_false_claims_are_rationed(void **state)
{
	struct rig g;
	unsigned int adverts = 0, announces = 0;

	(void)state;
	rig_init(&g, 3);
	bring(&g, VRRP_ACTIVE);
	/* 1000 claims within 0.9 s */
	for (unsigned int i = 1; i <= 1000; i++) {
		hear(&g, T0 + i * MS(0.9), 99, "10.0.0.12", PERIOD);
		adverts += (g.out.acts & VRRP_ACT_ADVERT) != 0;
		announces += (g.out.acts & VRRP_ACT_ANNOUNCE) != 0;
		assert_true(g.out.conflict);
	}
	assert_int_equal(adverts, 4);
	assert_int_equal(announces, 1);
	/* The beat has not moved. */
	assert_int_equal(g.v.deadline_ns, T0 + PERIOD);
}

static void reconf_of_an_active_router_is_told_at_once(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 3);
	bring(&g, VRRP_ACTIVE);
	g.conf.priority = 1;
	put(&g, VRRP_EV_RECONF, T0 + MS(300));
	assert_int_equal(g.out.acts, VRRP_ACT_ADVERT);
	assert_int_equal(g.v.deadline_ns, T0 + MS(300) + PERIOD);
	assert_int_equal(g.v.active_priority, 1);
	g.conf.period_ns = PERIOD / 10;
	put(&g, VRRP_EV_RECONF, T0 + MS(400));
	assert_int_equal(g.out.acts, VRRP_ACT_ADVERT);
	assert_int_equal(g.v.deadline_ns, T0 + MS(400) + PERIOD / 10);
	/* Silent for longer than the new down interval, but not than the one that the others know. */
	g.conf.period_ns = PERIOD / 100;
	put(&g, VRRP_EV_RECONF, T0 + MS(480));
	assert_int_equal(g.v.state, VRRP_ACTIVE);
}

static void reconf_of_a_backup_counts_from_the_last_advert(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 2);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 200, "10.0.0.12", PERIOD);
	g.conf.priority = 200;
	put(&g, VRRP_EV_RECONF, T0 + MS(500));
	assert_int_equal(g.v.deadline_ns, T0 + vrrp_down_ns(2, 200, PERIOD));
	g.conf.period_ns = 2 * PERIOD;
	put(&g, VRRP_EV_RECONF, T0 + MS(600));
	assert_int_equal(g.v.deadline_ns, T0 + vrrp_down_ns(2, 200, 2 * PERIOD));

	/* v3: the active router's period counts, not ours. */
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0, 200, "10.0.0.12", PERIOD);
	g.conf.period_ns = PERIOD / 100;
	put(&g, VRRP_EV_RECONF, T0 + MS(600));
	assert_int_equal(g.v.deadline_ns, T0 + DOWN);
	/* Nobody heard: ours, and never in the past. */
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	g.conf.period_ns = PERIOD / 100;
	put(&g, VRRP_EV_RECONF, T0 + MS(600));
	assert_int_equal(g.v.deadline_ns, T0 + MS(600));

	/* What was a lower router is none any more: it is followed from its last advert. */
	for (int way = 0; way < 2; way++) {
		rig_init(&g, 3);
		bring(&g, VRRP_BACKUP);
		hear(&g, T0 + PERIOD, 50, "10.0.0.12", PERIOD);
		assert_int_equal(g.v.deadline_ns, T0 + DOWN);
		if (way == 0)
			g.conf.preempt = false;
		else
			g.conf.priority = 50;
		put(&g, VRRP_EV_RECONF, T0 + PERIOD + MS(1));
		assert_int_equal(g.v.deadline_ns,
				 T0 + PERIOD + vrrp_down_ns(3, g.conf.priority, PERIOD));
		assert_false(g.v.heard_lower);
	}
	/* After priority 0 the skew stays the skew. */
	rig_init(&g, 3);
	bring(&g, VRRP_BACKUP);
	hear(&g, T0 + PERIOD, 0, "10.0.0.12", PERIOD);
	put(&g, VRRP_EV_RECONF, T0 + PERIOD + MS(1));
	assert_int_equal(g.v.deadline_ns, T0 + PERIOD + SKEW);
}

static void handed_over_is_not_taken_back_at_once(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, 3);
	g.conf.preempt_delay_ns = 15 * NS_PER_S;
	bring(&g, VRRP_RELEASING);
	hear(&g, T0 + MS(5), 50, "10.0.0.12", PERIOD);
	assert_int_equal(g.v.preempt_from_ns, T0 + MS(5) + 15 * NS_PER_S);
}

/* Property: s. 6.1 in ns, never rounded, so that no two priorities share a deadline. */
static void adjacent_priorities_never_share_a_deadline(void **state)
{
	static const uint64_t periods_ns[] = {10 * NS_PER_MS, 100 * NS_PER_MS, NS_PER_S};

	(void)state;
	for (uint8_t version = 2; version <= 3; version++) {
		for (size_t i = 0; i < ARRAY_LEN(periods_ns); i++) {
			uint64_t period = periods_ns[i], unit = version == 2 ? NS_PER_S : period;
			uint64_t last = UINT64_MAX;

			for (unsigned int p = 1; p <= 254; p++) {
				uint8_t priority = (uint8_t)p;
				uint64_t skew = vrrp_skew_ns(version, priority, period);
				uint64_t down = vrrp_down_ns(version, priority, period);
				/* within 1 ns of the exact quotient */
				uint64_t exact_256 = (256 - (uint64_t)p) * unit;

				assert_true(skew * 256 <= exact_256);
				assert_true(exact_256 - skew * 256 < 256);
				assert_int_equal(down, 3 * period + skew);
				assert_true(down < last);
				assert_true(last == UINT64_MAX || last - down >= unit / 256);
				last = down;
			}
		}
	}
	/* The figures of the interoperation notes. */
	assert_int_equal(vrrp_down_ns(2, 100, 2 * NS_PER_S), MS(6609.375));
	assert_int_equal(vrrp_down_ns(2, 100, NS_PER_S), MS(3609.375));
	assert_int_equal(vrrp_down_ns(3, 100, 100 * NS_PER_MS), MS(360.9375));
	assert_int_equal(vrrp_down_ns(3, 100, 10 * NS_PER_MS), MS(36.09375));
	assert_int_equal(vrrp_down_ns(3, 254, 10 * NS_PER_MS), MS(30.078125));
}

/* Property: no event in any state breaks what the shell relies on. */
static void any_sequence_keeps_the_invariants(void **state)
{
	uint64_t seed = 42;

	(void)state;
	for (int run = 0; run < 200; run++) {
		struct rig g;
		uint64_t now = T0;

		rig_init(&g, run % 2 ? 2 : 3);
		for (int i = 0; i < 300; i++) {
			struct vrrp_event ev = {0};
			enum vrrp_state before = g.v.state;
			uint64_t late = before == VRRP_ACTIVE ? g.v.sent_ns + DOWN : UINT64_MAX;

			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			now += (seed >> 40) * 200; /* up to 3.4 s */
			if (seed >> 33 & 1 && g.v.deadline_ns > now - PERIOD)
				now = g.v.deadline_ns > now ? g.v.deadline_ns : now;
			ev.type = (enum vrrp_event_type)(seed >> 50) % (VRRP_EV_HANDOVER + 1);
			ev.now_ns = now;
			ev.priority = (uint8_t)(seed >> 24 & 3 ? 98 + (seed >> 26 & 3) : 0);
			ev.period_ns = PERIOD;
			ev.source = ip(seed >> 29 & 1 ? "10.0.0.12" : "10.0.0.10");
			ev.adopted = seed >> 30 & 1;
			ev.resume = seed >> 31 & 1;
			vrrp_step(&g.v, &g.conf, &ev, &g.out);

			assert_true((g.v.state == VRRP_INIT) == (g.v.deadline_ns == 0));
			assert_true((g.out.why != VRRP_WHY_NONE) == (before != g.v.state) ||
				    g.out.why == VRRP_WHY_LATE);
			assert_true(g.v.since_ns <= now);
			if (now > late) {
				assert_true(g.out.acts & VRRP_ACT_DROP);
				assert_false(g.out.acts & (VRRP_ACT_ADVERT | VRRP_ACT_TAKE));
			}
			if (g.v.state == VRRP_ACTIVE) {
				assert_true(addr_eq(&g.v.active, &g.conf.source));
				if (before != VRRP_ACTIVE)
					assert_true(g.out.acts & VRRP_ACT_ADVERT);
			}
			if (before == VRRP_ACTIVE && g.v.state < VRRP_ACTIVE)
				assert_true(g.out.acts & (VRRP_ACT_DROP | VRRP_ACT_RELEASE));
			if (g.out.acts & VRRP_ACT_STOPPED)
				assert_int_equal(g.v.state, VRRP_INIT);
		}
	}
}

static void states_and_whys_have_names(void **state)
{
	(void)state;
	for (enum vrrp_state s = VRRP_INIT; s <= VRRP_RELEASING; s++)
		assert_string_not_equal(vrrp_state_name(s), "Unknown");
	for (enum vrrp_why why = VRRP_WHY_NONE; why <= VRRP_WHY_NOBODY; why++)
		assert_string_not_equal(vrrp_why_name(why), "Unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v3_learns_the_active_period_v2_does_not),
		cmocka_unit_test(skew_after_priority_zero),
		cmocka_unit_test(whys_of_a_takeover),
		cmocka_unit_test(suspects),
		cmocka_unit_test(preemption_waits_for_its_delay),
		cmocka_unit_test(frozen_agent_waits_before_it_preempts),
		cmocka_unit_test(adopted_addresses_stay_until_somebody_speaks),
		cmocka_unit_test(resume_is_active_at_once),
		cmocka_unit_test(stop_ends_with_or_without_a_successor),
		cmocka_unit_test(answers_to_false_claims_are_rationed),
		cmocka_unit_test(reconf_of_an_active_router_is_told_at_once),
		cmocka_unit_test(reconf_of_a_backup_counts_from_the_last_advert),
		cmocka_unit_test(handed_over_is_not_taken_back_at_once),
		cmocka_unit_test(adjacent_priorities_never_share_a_deadline),
		cmocka_unit_test(any_sequence_keeps_the_invariants),
		cmocka_unit_test(states_and_whys_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
