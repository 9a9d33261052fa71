/*
 * vrrp_rig: one election machine under test: priority 100 at 10.0.0.11, adverts every second, preempting.
 * Include cmocka.h first.
 */
#ifndef VIPD_TESTS_UNIT_VRRP_RIG_H
#define VIPD_TESTS_UNIT_VRRP_RIG_H

#include "vrrp/vrrp.h"

#define T0 (UINT64_C(1000) * NS_PER_S)
#define PERIOD NS_PER_S
#define MS(n) ((uint64_t)((n) * (double)NS_PER_MS))
/* Priority 100: (256 - 100) / 256 = 0.609375 */
#define SKEW MS(609.375)
#define DOWN (3 * PERIOD + SKEW)

static inline struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* A machine with its configuration, and what its last step said. */
struct rig {
	struct vrrp_conf conf;
	struct vrrp v;
	struct vrrp_out out;
};

static inline void rig_init(struct rig *g, uint8_t version)
{
	*g = (struct rig){.conf = {.version = version,
				   .family = AF_INET,
				   .vrid = 7,
				   .priority = 100,
				   .period_ns = PERIOD,
				   .preempt = true,
				   .source = ip("10.0.0.11")}};
	vrrp_init(&g->v);
}

static inline void put(struct rig *g, enum vrrp_event_type type, uint64_t now_ns)
{
	struct vrrp_event ev = {.type = type, .now_ns = now_ns};

	vrrp_step(&g->v, &g->conf, &ev, &g->out);
}

static inline void hear(struct rig *g, uint64_t now_ns, uint8_t priority, const char *source,
			uint64_t period_ns)
{
	struct vrrp_event ev = {.type = VRRP_EV_ADVERT,
				.now_ns = now_ns,
				.priority = priority,
				.period_ns = period_ns,
				.source = ip(source)};

	vrrp_step(&g->v, &g->conf, &ev, &g->out);
}

/* Into a state as at T0, by the shortest way. */
static inline void bring(struct rig *g, enum vrrp_state state)
{
	if (state == VRRP_INIT)
		return;
	if (state == VRRP_BACKUP) {
		put(g, VRRP_EV_START, T0);
	} else {
		struct vrrp_event ev = {.type = VRRP_EV_START, .now_ns = T0, .resume = true};

		vrrp_step(&g->v, &g->conf, &ev, &g->out);
	}
	if (state == VRRP_RELEASING)
		put(g, VRRP_EV_HANDOVER, T0);
	assert_int_equal(g->v.state, state);
}

#endif
