/*
 * The election step: the state tables of RFC 9568 s. 6.4 (version 3) and RFC 3768 s. 6.4 (version 2) row by
 * row, then the rows that vipd adds to them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vrrp_rig.h"

struct row {
	const char *name;
	enum vrrp_state before;
	bool never; /* preemption: Never */
	enum vrrp_event_type event;
	uint64_t after_ns; /* the event comes at T0 + this */
	uint8_t priority;
	const char *source; /* NULL: 10.0.0.12 */
	uint64_t period_ns; /* 0: ours */
	enum vrrp_state want;
	unsigned int acts;
	uint64_t deadline_ns; /* after T0; 0: none */
	enum vrrp_why why;
	uint64_t linger_ns;
	bool conflict;
};

static void run_row(const struct row *row, uint8_t version)
{
	struct rig g;

	print_message("  v%u %s\n", version, row->name);
	rig_init(&g, version);
	g.conf.preempt = !row->never;
	bring(&g, row->before);
	if (row->event == VRRP_EV_ADVERT)
		hear(&g, T0 + row->after_ns, row->priority, row->source ? row->source : "10.0.0.12",
		     row->period_ns ? row->period_ns : PERIOD);
	else
		put(&g, row->event, T0 + row->after_ns);
	assert_int_equal(g.v.state, row->want);
	assert_int_equal(g.out.acts, row->acts);
	assert_int_equal(g.v.deadline_ns, row->deadline_ns ? T0 + row->deadline_ns : 0);
	assert_int_equal(g.out.why, row->why);
	assert_int_equal(g.out.linger_ns, row->linger_ns);
	assert_int_equal(g.out.conflict, row->conflict);
}

/* Section numbers are those of RFC 9568; RFC 3768 has the same numbers for version 2. */
static const struct row rfc_rows[] = {
	{"6.4.1 Startup, priority below 255", .before = VRRP_INIT, .event = VRRP_EV_START,
	 .want = VRRP_BACKUP, .deadline_ns = DOWN, .why = VRRP_WHY_START},
	{"6.4.1 other events are nothing: advert", .before = VRRP_INIT, .event = VRRP_EV_ADVERT,
	 .priority = 200, .want = VRRP_INIT},
	{"6.4.1 other events are nothing: timer", .before = VRRP_INIT, .event = VRRP_EV_TIMER,
	 .want = VRRP_INIT},

	{"6.4.2 Shutdown", .before = VRRP_BACKUP, .event = VRRP_EV_STOP, .after_ns = MS(100),
	 .want = VRRP_INIT, .acts = VRRP_ACT_STOPPED, .why = VRRP_WHY_STOP},
	{"6.4.2 Active_Down_Timer fires", .before = VRRP_BACKUP, .event = VRRP_EV_TIMER,
	 .after_ns = DOWN, .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT | VRRP_ACT_TAKE,
	 .deadline_ns = DOWN + PERIOD, .why = VRRP_WHY_NOBODY},
	{"6.4.2 a timer that is not due is nothing", .before = VRRP_BACKUP, .event = VRRP_EV_TIMER,
	 .after_ns = DOWN - 1, .want = VRRP_BACKUP, .deadline_ns = DOWN},
	{"6.4.2 priority 0", .before = VRRP_BACKUP, .event = VRRP_EV_ADVERT, .after_ns = MS(2000),
	 .priority = 0, .want = VRRP_BACKUP, .deadline_ns = MS(2000) + SKEW},
	{"6.4.2 preempt, higher priority", .before = VRRP_BACKUP, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(900), .priority = 101, .want = VRRP_BACKUP, .deadline_ns = MS(900) + DOWN},
	{"6.4.2 preempt, equal priority", .before = VRRP_BACKUP, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(900), .priority = 100, .source = "10.0.0.10", .want = VRRP_BACKUP,
	 .deadline_ns = MS(900) + DOWN},
	{"6.4.2 no preemption, lower priority", .before = VRRP_BACKUP, .never = true,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(900), .priority = 99, .want = VRRP_BACKUP,
	 .deadline_ns = MS(900) + DOWN},
	{"6.4.2 preempt, lower priority is discarded", .before = VRRP_BACKUP,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(900), .priority = 99, .want = VRRP_BACKUP,
	 .deadline_ns = DOWN},

	{"6.4.3 Shutdown", .before = VRRP_ACTIVE, .event = VRRP_EV_STOP, .after_ns = MS(100),
	 .want = VRRP_RELEASING, .acts = VRRP_ACT_ADVERT_ZERO,
	 .deadline_ns = MS(100) + VRRP_STOP_WAIT_NS, .why = VRRP_WHY_STOP},
	{"6.4.3 Adver_Timer fires", .before = VRRP_ACTIVE, .event = VRRP_EV_TIMER,
	 .after_ns = PERIOD, .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT,
	 .deadline_ns = 2 * PERIOD},
	{"6.4.3 a timer that is not due is nothing", .before = VRRP_ACTIVE, .event = VRRP_EV_TIMER,
	 .after_ns = PERIOD - 1, .want = VRRP_ACTIVE, .deadline_ns = PERIOD},
	{"6.4.3 priority 0", .before = VRRP_ACTIVE, .event = VRRP_EV_ADVERT, .after_ns = MS(300),
	 .priority = 0, .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT,
	 .deadline_ns = MS(300) + PERIOD},
	{"6.4.3 higher priority", .before = VRRP_ACTIVE, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(700), .priority = 101, .source = "10.0.0.10", .want = VRRP_BACKUP,
	 .acts = VRRP_ACT_RELEASE, .deadline_ns = MS(700) + DOWN, .why = VRRP_WHY_HIGHER,
	 .linger_ns = VRRP_LINGER_NS},
	{"6.4.3 higher priority also where nobody preempts", .before = VRRP_ACTIVE, .never = true,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(700), .priority = 101, .want = VRRP_BACKUP,
	 .acts = VRRP_ACT_RELEASE, .deadline_ns = MS(700) + DOWN, .why = VRRP_WHY_HIGHER,
	 .linger_ns = VRRP_LINGER_NS},
	{"6.4.3 the owner's priority", .before = VRRP_ACTIVE, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(700), .priority = 255, .want = VRRP_BACKUP, .acts = VRRP_ACT_RELEASE,
	 .deadline_ns = MS(700) + DOWN, .why = VRRP_WHY_HIGHER, .linger_ns = VRRP_LINGER_NS},
	{"6.4.3 equal priority, greater address", .before = VRRP_ACTIVE, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(700), .priority = 100, .source = "10.0.0.12", .want = VRRP_BACKUP,
	 .acts = VRRP_ACT_RELEASE, .deadline_ns = MS(700) + DOWN, .why = VRRP_WHY_HIGHER,
	 .linger_ns = VRRP_LINGER_NS},
	{"6.4.3 equal priority, addresses compare unsigned", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(700), .priority = 100, .source = "10.0.0.200",
	 .want = VRRP_BACKUP, .acts = VRRP_ACT_RELEASE, .deadline_ns = MS(700) + DOWN,
	 .why = VRRP_WHY_HIGHER, .linger_ns = VRRP_LINGER_NS},
	{"6.4.3 equal priority, smaller address", .before = VRRP_ACTIVE, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(700), .priority = 100, .source = "10.0.0.10", .want = VRRP_ACTIVE,
	 .acts = VRRP_ACT_ADVERT | VRRP_ACT_ANNOUNCE, .deadline_ns = PERIOD, .conflict = true},
	{"6.4.3 lower priority is answered at once", .before = VRRP_ACTIVE, .event = VRRP_EV_ADVERT,
	 .after_ns = MS(700), .priority = 99, .source = "10.0.0.12", .want = VRRP_ACTIVE,
	 .acts = VRRP_ACT_ADVERT | VRRP_ACT_ANNOUNCE, .deadline_ns = PERIOD, .conflict = true},
	{"6.4.3 our own address is a conflict, not an answer", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(700), .priority = 101, .source = "10.0.0.11",
	 .want = VRRP_ACTIVE, .deadline_ns = PERIOD, .conflict = true},
};

static void rfc_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rfc_rows); i++) {
		run_row(&rfc_rows[i], 2);
		run_row(&rfc_rows[i], 3);
	}
}

#define HANDOVER_WAIT (DOWN + VRRP_HANDOVER_EXTRA_NS)

static const struct row own_rows[] = {
	{"Init: stop is complete at once", .before = VRRP_INIT, .event = VRRP_EV_STOP,
	 .want = VRRP_INIT, .acts = VRRP_ACT_STOPPED},
	{"Init: fault is nothing", .before = VRRP_INIT, .event = VRRP_EV_FAULT, .want = VRRP_INIT},
	{"Init: reconf is nothing", .before = VRRP_INIT, .event = VRRP_EV_RECONF,
	 .want = VRRP_INIT},
	{"Init: handover is nothing", .before = VRRP_INIT, .event = VRRP_EV_HANDOVER,
	 .want = VRRP_INIT},
	{"Backup: fault", .before = VRRP_BACKUP, .event = VRRP_EV_FAULT, .after_ns = MS(5),
	 .want = VRRP_INIT, .why = VRRP_WHY_FAULT},
	{"Backup: handover is nothing", .before = VRRP_BACKUP, .event = VRRP_EV_HANDOVER,
	 .want = VRRP_BACKUP, .deadline_ns = DOWN},
	{"Backup: a second start is nothing", .before = VRRP_BACKUP, .event = VRRP_EV_START,
	 .after_ns = MS(5), .want = VRRP_BACKUP, .deadline_ns = DOWN},
	{"Backup: a stalled timer takes over all the same", .before = VRRP_BACKUP,
	 .event = VRRP_EV_TIMER, .after_ns = DOWN + 9 * PERIOD, .want = VRRP_ACTIVE,
	 .acts = VRRP_ACT_ADVERT | VRRP_ACT_TAKE, .deadline_ns = DOWN + 10 * PERIOD,
	 .why = VRRP_WHY_NOBODY},
	{"Active: fault drops at once", .before = VRRP_ACTIVE, .event = VRRP_EV_FAULT,
	 .after_ns = MS(5), .want = VRRP_INIT, .acts = VRRP_ACT_DROP, .why = VRRP_WHY_FAULT},
	{"Active: handover", .before = VRRP_ACTIVE, .event = VRRP_EV_HANDOVER, .after_ns = MS(5),
	 .want = VRRP_RELEASING, .acts = VRRP_ACT_ADVERT_ZERO, .deadline_ns = MS(5) + HANDOVER_WAIT,
	 .why = VRRP_WHY_HANDOVER},
	{"Active: a second start is nothing", .before = VRRP_ACTIVE, .event = VRRP_EV_START,
	 .after_ns = MS(5), .want = VRRP_ACTIVE, .deadline_ns = PERIOD},
	{"Active: adverts stay on the beat", .before = VRRP_ACTIVE, .event = VRRP_EV_TIMER,
	 .after_ns = PERIOD + MS(400), .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT,
	 .deadline_ns = 2 * PERIOD},
	{"Active: a missed beat is not made up for", .before = VRRP_ACTIVE, .event = VRRP_EV_TIMER,
	 .after_ns = 2 * PERIOD + MS(400), .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT,
	 .deadline_ns = 3 * PERIOD + MS(400)},
	{"Active: at the down interval it still counts", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_TIMER, .after_ns = DOWN, .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT,
	 .deadline_ns = DOWN + PERIOD},
	{"Active: timer later than the down interval", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_TIMER, .after_ns = DOWN + 1, .want = VRRP_BACKUP, .acts = VRRP_ACT_DROP,
	 .deadline_ns = 2 * DOWN + 1, .why = VRRP_WHY_LATE},
	{"Active: lower advert later than the down interval", .before = VRRP_ACTIVE, .never = true,
	 .event = VRRP_EV_ADVERT, .after_ns = DOWN + MS(900), .priority = 1, .want = VRRP_BACKUP,
	 .acts = VRRP_ACT_DROP, .deadline_ns = 2 * DOWN + MS(900), .why = VRRP_WHY_LATE},
	{"Active: reconf later than the down interval", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_RECONF, .after_ns = DOWN + 1, .want = VRRP_BACKUP, .acts = VRRP_ACT_DROP,
	 .deadline_ns = 2 * DOWN + 1, .why = VRRP_WHY_LATE},
	{"Active: handover later than the down interval", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_HANDOVER, .after_ns = DOWN + 1, .want = VRRP_BACKUP,
	 .acts = VRRP_ACT_DROP, .deadline_ns = 2 * DOWN + 1, .why = VRRP_WHY_LATE},
	{"Active: stop later than the down interval says nothing", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_STOP, .after_ns = DOWN + 1, .want = VRRP_INIT,
	 .acts = VRRP_ACT_DROP | VRRP_ACT_STOPPED, .why = VRRP_WHY_STOP},
	{"Active: reconf without a change is nothing", .before = VRRP_ACTIVE,
	 .event = VRRP_EV_RECONF, .after_ns = MS(300), .want = VRRP_ACTIVE, .deadline_ns = PERIOD},
	{"Releasing: a successor of any priority", .before = VRRP_RELEASING,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(40), .priority = 1, .want = VRRP_BACKUP,
	 .acts = VRRP_ACT_RELEASE, .deadline_ns = MS(40) + DOWN, .why = VRRP_WHY_HANDOVER,
	 .linger_ns = VRRP_LINGER_NS},
	{"Releasing: another's priority 0 is no successor", .before = VRRP_RELEASING,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(40), .priority = 0, .want = VRRP_RELEASING,
	 .deadline_ns = HANDOVER_WAIT},
	{"Releasing: our own address is no successor", .before = VRRP_RELEASING,
	 .event = VRRP_EV_ADVERT, .after_ns = MS(40), .priority = 9, .source = "10.0.0.11",
	 .want = VRRP_RELEASING, .deadline_ns = HANDOVER_WAIT},
	{"Releasing: a timer that is not due is nothing", .before = VRRP_RELEASING,
	 .event = VRRP_EV_TIMER, .after_ns = HANDOVER_WAIT - 1, .want = VRRP_RELEASING,
	 .deadline_ns = HANDOVER_WAIT},
	{"Releasing: nobody came", .before = VRRP_RELEASING, .event = VRRP_EV_TIMER,
	 .after_ns = HANDOVER_WAIT, .want = VRRP_ACTIVE, .acts = VRRP_ACT_ADVERT,
	 .deadline_ns = HANDOVER_WAIT + PERIOD, .why = VRRP_WHY_NO_SUCCESSOR},
	{"Releasing: nobody came, but we slept", .before = VRRP_RELEASING, .event = VRRP_EV_TIMER,
	 .after_ns = HANDOVER_WAIT + DOWN + 1, .want = VRRP_BACKUP, .acts = VRRP_ACT_DROP,
	 .deadline_ns = HANDOVER_WAIT + 2 * DOWN + 1, .why = VRRP_WHY_LATE},
	{"Releasing: stop shortens the wait", .before = VRRP_RELEASING, .event = VRRP_EV_STOP,
	 .after_ns = MS(10), .want = VRRP_RELEASING, .deadline_ns = MS(10) + VRRP_STOP_WAIT_NS},
	{"Releasing: fault", .before = VRRP_RELEASING, .event = VRRP_EV_FAULT, .after_ns = MS(10),
	 .want = VRRP_INIT, .acts = VRRP_ACT_DROP, .why = VRRP_WHY_FAULT},
	{"Releasing: start is nothing", .before = VRRP_RELEASING, .event = VRRP_EV_START,
	 .want = VRRP_RELEASING, .deadline_ns = HANDOVER_WAIT},
	{"Releasing: reconf is nothing", .before = VRRP_RELEASING, .event = VRRP_EV_RECONF,
	 .want = VRRP_RELEASING, .deadline_ns = HANDOVER_WAIT},
	{"Releasing: handover is nothing", .before = VRRP_RELEASING, .event = VRRP_EV_HANDOVER,
	 .after_ns = MS(9), .want = VRRP_RELEASING, .deadline_ns = HANDOVER_WAIT},
};

static void own_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(own_rows); i++) {
		run_row(&own_rows[i], 2);
		run_row(&own_rows[i], 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_tables),
		cmocka_unit_test(own_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
