/*
 * Records to control and orders to switchover. A full ring is never waited for: what must not be lost is marked
 * in the instance and told later, as it is then.
 */
#include "agent/election_internal.h"

#define RETRY_NS NS_PER_MS
#define COUNTERS_NS NS_PER_S
#define ORDER_AGAIN_NS (2 * NS_PER_S)

static void retry_soon(struct election *e, uint64_t now_ns)
{
	if (e->retry_ns == 0)
		e->retry_ns = now_ns + RETRY_NS;
}

void election_tell(struct election *e, const struct inst *i, struct election_record *r,
		   uint64_t now_ns)
{
	r->vip_id = i->conf->vip_id;
	r->at_ns = now_ns;
	r->state = i->v.state;
	(void)ring_push(e->rings.records, r);
}

void election_tell_sense(struct election *e, uint32_t vip_id, int error, uint64_t now_ns)
{
	const struct election_record r = {
		.type = ELECTION_SENSE, .vip_id = vip_id, .at_ns = now_ns, .error = error};

	(void)ring_push(e->rings.records, &r);
}

void election_tell_pong(struct election *e, uint64_t now_ns)
{
	const struct election_record r = {.type = ELECTION_PONG, .at_ns = now_ns};

	(void)ring_push(e->rings.records, &r);
}

void election_tell_role(struct election *e, struct inst *i, uint64_t now_ns)
{
	const struct election_record r = {.type = ELECTION_ROLE,
					  .vip_id = i->conf->vip_id,
					  .at_ns = i->v.since_ns,
					  .state = i->v.state,
					  .why = i->why,
					  .source = i->v.active,
					  .priority = i->v.active_priority};

	i->is_role_untold = !ring_push(e->rings.records, &r);
	if (i->is_role_untold)
		retry_soon(e, now_ns);
}

static bool push_order(struct election *e, struct inst *i)
{
	i->is_order_untold = !ring_push(e->rings.orders, &i->order);
	return !i->is_order_untold;
}

void election_order_again(struct election *e, struct inst *i, uint64_t now_ns)
{
	i->order_ns = now_ns + ORDER_AGAIN_NS;
	if (!push_order(e, i))
		retry_soon(e, now_ns);
	else
		i->order.suspect = false; /* by the next time it may have answered */
	election_touch(e, i);
}

void election_order(struct election *e, struct inst *i, enum switchover_order_type type,
		    const struct addr *suspect, uint64_t now_ns)
{
	/* Only the last order of an instance counts: one that is untold is replaced. */
	i->order =
		(struct switchover_order){.type = type, .vip_id = i->conf->vip_id, .seq = ++i->seq};
	if (suspect) {
		i->order.suspect = true;
		i->order.source = *suspect;
	}
	election_order_again(e, i, now_ns);
}

void election_give_back(struct election *e, struct election_conf *conf)
{
	conf->next = e->freed;
	e->freed = conf;
}

void election_count(struct election *e, struct inst *i, uint64_t now_ns)
{
	i->is_counters_dirty = true;
	if (e->counters_ns == 0)
		e->counters_ns = now_ns + COUNTERS_NS;
}

void election_tell_counters(struct election *e, uint64_t now_ns)
{
	bool is_full = false;

	e->counters_ns = 0;
	for (size_t k = 0; k < e->n_insts && !is_full; k++) {
		struct inst *i = e->insts[k];
		struct election_record r = {.type = ELECTION_COUNTERS,
					    .vip_id = i->conf->vip_id,
					    .at_ns = now_ns,
					    .state = i->v.state};

		if (!i->is_counters_dirty)
			continue;
		r.counters = i->counters;
		is_full = !ring_push(e->rings.records, &r);
		i->is_counters_dirty = is_full;
	}
	if (is_full)
		e->counters_ns = now_ns + COUNTERS_NS;
}

static bool give_back_freed(struct election *e, uint64_t now_ns)
{
	while (e->freed) {
		struct election_conf *next = e->freed->next;
		const struct election_record r = {.type = ELECTION_FREE,
						  .vip_id = e->freed->vip_id,
						  .at_ns = now_ns,
						  .conf = e->freed};

		if (!ring_push(e->rings.records, &r))
			return false;
		e->freed = next;
	}
	return true;
}

void election_tell_rest(struct election *e, uint64_t now_ns)
{
	bool is_all = true;

	if (e->retry_ns != 0 && now_ns >= e->retry_ns) {
		for (size_t k = 0; k < e->n_insts; k++) {
			struct inst *i = e->insts[k];

			if (i->is_order_untold)
				is_all &= push_order(e, i);
			if (i->is_role_untold)
				election_tell_role(e, i, now_ns);
			is_all &= !i->is_role_untold;
		}
		e->retry_ns = 0;
	}
	is_all &= give_back_freed(e, now_ns);
	if (e->is_stopped_untold) {
		const struct election_record r = {.type = ELECTION_STOPPED, .at_ns = now_ns};

		e->is_stopped_untold = !ring_push(e->rings.records, &r);
		is_all &= !e->is_stopped_untold;
	}
	if (!is_all)
		retry_soon(e, now_ns);
}
