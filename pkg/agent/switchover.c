/*
 * switchover: the thread. Orders of election come first: they are looked for again after every piece of
 * other work, which is at most one transaction or one VIP's addresses.
 */
#include "agent/switchover_internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "loop/loop.h"

struct switchover {
	struct switchover_rings rings; /* borrowed */
	struct sw_kernel kernel;
	struct loop *loop;
	struct loop_source *on_orders, *on_cmds, *timer;
	struct sw_vip *vips; /* owned, by growing id */
	size_t n_vips, cap;
	pthread_t thread;
};

/* ---- VIPs by number ---- */

static size_t place_of(const struct switchover *s, uint32_t id)
{
	size_t lo = 0, hi = s->n_vips;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->vips[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct sw_vip *find(struct switchover *s, uint32_t id)
{
	size_t i = place_of(s, id);

	return i < s->n_vips && s->vips[i].id == id ? &s->vips[i] : NULL;
}

static struct sw_vip *insert(struct switchover *s, uint32_t id)
{
	size_t i = place_of(s, id);
	struct sw_vip *vips = array_room(s->vips, &s->cap, s->n_vips + 1, sizeof(*vips));

	if (!vips)
		return NULL;
	s->vips = vips;
	memmove(&s->vips[i + 1], &s->vips[i], (s->n_vips - i) * sizeof(*s->vips));
	s->n_vips++;
	s->vips[i] = (struct sw_vip){.id = id, .state = SW_STANDBY};
	return &s->vips[i];
}

static void forget(struct switchover *s, struct sw_vip *v)
{
	size_t i = (size_t)(v - s->vips);

	sw_role_free(v->role);
	memmove(&s->vips[i], &s->vips[i + 1], (s->n_vips - i - 1) * sizeof(*s->vips));
	s->n_vips--;
}

/* ---- what is told ---- */

static void note(struct switchover *s, enum switchover_note_type type, uint32_t id,
		 const struct sw_vip *v, const struct sw_result *res, uint64_t began_ns)
{
	const struct switchover_note n = {
		.type = type,
		.vip_id = id,
		.active = v && v->state == SW_ACTIVE,
		.error = res ? res->error : 0,
		.what = res ? res->what : NULL,
		.silenced = res && res->silenced,
		.took_ns = mono_now_ns() - began_ns,
		.at_ns = began_ns,
	};

	(void)ring_push(s->rings.notes, &n); /* a full ring counts it */
}

static void note_error(struct switchover *s, uint32_t id, const struct sw_vip *v,
		       const struct sw_result *res, uint64_t began_ns)
{
	if (res->error < 0)
		note(s, SWITCHOVER_NOTE_ERROR, id, v, res, began_ns);
}

/* One timer for all: armed to the earliest thing due. */
static void arm(struct switchover *s)
{
	uint64_t due = 0;

	for (size_t i = 0; i < s->n_vips; i++) {
		const struct sw_vip *v = &s->vips[i];

		if (v->state != SW_STANDBY && (due == 0 || v->due_ns < due))
			due = v->due_ns;
	}
	(void)loop_timer_set(s->timer, due);
}

/* ---- commands of control ---- */

static void first_set(struct switchover *s, uint32_t id, struct plan_role *role, uint64_t now_ns,
		      struct sw_result *res)
{
	AUTO(sw_addrs_done) struct sw_addrs addrs = {0};
	struct sw_vip *v = insert(s, id);
	bool any = false, all;

	if (!v) {
		sw_role_free(role);
		*res = (struct sw_result){.error = -ENOMEM, .what = "a new VIP"};
		return;
	}
	v->role = role;
	if (sw_look(&s->kernel, &addrs, role, &any, &all) == 0 && any) {
		v->state = SW_ADOPTED;
		v->due_ns = now_ns + (role->valid_lft_s + 1) * NS_PER_S;
		return;
	}
	sw_release(&s->kernel, v, res);
}

static void repair(struct switchover *s, struct sw_vip *v, uint64_t now_ns, struct sw_result *res)
{
	AUTO(sw_addrs_done) struct sw_addrs addrs = {0};
	bool any = false, all = false;

	if (v->state == SW_STANDBY)
		sw_release(&s->kernel, v, res);
	if (v->state != SW_ACTIVE)
		return;
	if (sw_is_late(v, now_ns) && !v->lost &&
	    sw_look(&s->kernel, &addrs, v->role, &any, &all) == 0 && !all) {
		v->lost = true;
		note(s, SWITCHOVER_NOTE_LOST, v->id, v, NULL, now_ns);
		return;
	}
	sw_take(&s->kernel, v, NULL, now_ns, res);
}

/* What went wrong on the way is told while the VIP is known, and is no reason to keep it. */
static void remove_vip(struct switchover *s, uint32_t id, struct sw_vip *v, uint64_t now_ns)
{
	struct sw_result res = {0};

	if (v) {
		sw_remove(&s->kernel, v, &res);
		note_error(s, id, v, &res, now_ns);
		forget(s, v);
	}
	note(s, SWITCHOVER_NOTE_REMOVED, id, NULL, NULL, now_ns);
}

/* Returns false for QUIT. */
static bool command(struct switchover *s, const struct switchover_cmd *c)
{
	struct sw_vip *v = find(s, c->vip_id);
	struct sw_result res = {0};
	uint64_t now_ns = mono_now_ns();

	switch (c->type) {
	case SWITCHOVER_SET:
		if (v)
			sw_change(&s->kernel, v, c->role, now_ns, &res);
		else
			first_set(s, c->vip_id, c->role, now_ns, &res);
		break;
	case SWITCHOVER_REMOVE:
		remove_vip(s, c->vip_id, v, now_ns);
		break;
	case SWITCHOVER_REPAIR:
		if (v)
			repair(s, v, now_ns, &res);
		break;
	case SWITCHOVER_SWEEP:
		sw_sweep(&s->kernel, s->vips, s->n_vips, &res);
		break;
	case SWITCHOVER_PING:
		note(s, SWITCHOVER_NOTE_PONG, 0, NULL, NULL, now_ns);
		break;
	case SWITCHOVER_QUIT:
		return false;
	}
	note_error(s, c->vip_id, find(s, c->vip_id), &res, now_ns);
	return true;
}

/* One command; 1 if there was one, 0 if not. */
static int next_command(struct switchover *s)
{
	struct switchover_cmd c;

	if (!ring_pop(s->rings.cmds, &c))
		return 0;
	if (!command(s, &c))
		loop_stop(s->loop, 0);
	return 1;
}

/* ---- orders of election ---- */

static void obey(struct switchover *s, const struct switchover_order *o)
{
	struct sw_result res = {.error = -ENOENT, .what = "an order for an unknown VIP"};
	uint64_t began_ns = mono_now_ns();
	struct switchover_done done = {.vip_id = o->vip_id, .seq = o->seq, .type = o->type};
	struct sw_vip *v = find(s, o->vip_id);

	/* Control told us before election, but through another ring. */
	while (!v && next_command(s))
		v = find(s, o->vip_id);
	if (v)
		res = (struct sw_result){0};
	if (v && o->type == SWITCHOVER_TAKE)
		sw_take(&s->kernel, v, o->suspect ? &o->source : NULL, began_ns, &res);
	else if (v)
		sw_release(&s->kernel, v, &res);
	done.error = res.error;
	done.took_ns = mono_now_ns() - began_ns;
	(void)ring_push(s->rings.dones, &done); /* election orders again what was not answered */
	note_error(s, o->vip_id, v, &res, began_ns);
	note(s, SWITCHOVER_NOTE_DONE, o->vip_id, v, &res, began_ns);
}

static void all_orders(struct switchover *s)
{
	struct switchover_order o;

	ring_clear_fd(s->rings.orders);
	while (ring_pop(s->rings.orders, &o))
		obey(s, &o);
}

static int orders_come(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct switchover *s = user;

	(void)fd;
	(void)events;
	(void)now_ns;
	all_orders(s);
	arm(s);
	return 0;
}

static int cmds_come(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct switchover *s = user;

	(void)fd;
	(void)events;
	(void)now_ns;
	ring_clear_fd(s->rings.cmds);
	while (next_command(s))
		all_orders(s);
	arm(s);
	return 0;
}

/* ---- lifetimes ---- */

/*
 * Whoever comes later than the lifetime was frozen: another node may own the address by now. Then, and when
 * the address is gone for any reason, it is not put back here: RTM_NEWADDR would make it anew.
 */
static void renew(struct switchover *s, struct sw_vip *v, struct sw_addrs *addrs, uint64_t now_ns)
{
	struct sw_result res = {0};
	bool any = false, all = false;
	int r = sw_look(&s->kernel, addrs, v->role, &any, &all);

	if (r < 0) {
		res = (struct sw_result){.error = r, .what = "listing addresses"};
		v->due_ns = now_ns + SW_RETRY_NS;
	} else if (all && !sw_is_late(v, now_ns)) {
		sw_renew(&s->kernel, v, now_ns, &res);
	} else {
		v->due_ns = now_ns + v->role->valid_lft_s * NS_PER_S / 3;
		if (!v->lost)
			note(s, SWITCHOVER_NOTE_LOST, v->id, v, NULL, now_ns);
		v->lost = true;
	}
	note_error(s, v->id, v, &res, now_ns);
}

/* Renewals that are not due for long go along, so that in time all VIPs are renewed together. */
static bool is_due(const struct sw_vip *v, uint64_t now_ns)
{
	uint64_t early_ns = v->state == SW_ACTIVE ? v->role->valid_lft_s * NS_PER_S / 12 : 0;

	return v->state != SW_STANDBY && v->due_ns <= now_ns + early_ns;
}

static int timer_fires(void *user, uint64_t now_ns)
{
	AUTO(sw_addrs_done) struct sw_addrs addrs = {0};
	struct switchover *s = user;

	/* What orders in between may shift is due again when the timer is armed. */
	(void)now_ns;
	for (size_t i = 0; i < s->n_vips; i++) {
		struct sw_vip *v = &s->vips[i];
		uint64_t now = mono_now_ns();
		struct sw_result res = {0};

		if (!is_due(v, now))
			continue;
		if (v->state == SW_ACTIVE) {
			renew(s, v, &addrs, now);
		} else {
			sw_release(&s->kernel, v, &res);
			note_error(s, v->id, v, &res, now);
		}
		all_orders(s);
	}
	arm(s);
	return 0;
}

/* ---- the thread ---- */

static void *thread_main(void *user)
{
	struct switchover *s = user;

	(void)loop_run(s->loop);
	return NULL;
}

static void free_switchover(struct switchover *s)
{
	loop_source_free(s->on_orders);
	loop_source_free(s->on_cmds);
	loop_source_free(s->timer);
	loop_free(s->loop);
	nft_close(s->kernel.nft);
	rtnl_close(s->kernel.rtnl);
	ipvs_close(s->kernel.ipvs);
	for (size_t i = 0; i < s->n_vips; i++)
		sw_role_free(s->vips[i].role);
	free(s->vips);
	free(s);
}

static void free_switchover_p(struct switchover **s)
{
	if (*s)
		free_switchover(*s);
}

static int set_up(struct switchover *s, bool has_ipvs, struct verr *reterr)
{
	int r = nft_open(&s->kernel.nft, reterr);

	if (r == 0)
		r = rtnl_open(&s->kernel.rtnl, reterr);
	if (r == 0 && has_ipvs)
		r = ipvs_open(&s->kernel.ipvs, reterr);
	if (r < 0)
		return r;
	r = loop_new(&s->loop, reterr);
	if (r < 0)
		return r;
	r = loop_add_io(s->loop, ring_fd(s->rings.orders), LOOP_IN, LOOP_PRIO_VRRP, orders_come, s,
			&s->on_orders);
	if (r == 0)
		r = loop_add_io(s->loop, ring_fd(s->rings.cmds), LOOP_IN, LOOP_PRIO_NORMAL,
				cmds_come, s, &s->on_cmds);
	if (r == 0)
		r = loop_add_timer(s->loop, LOOP_PRIO_NETLINK, timer_fires, s, &s->timer);
	return r < 0 ? verr_set(reterr, -r, "loop of the switchover thread: %s", strerror(-r)) : 0;
}

int switchover_start(const struct switchover_rings *rings, bool has_ipvs, struct switchover **ret,
		     struct verr *reterr)
{
	AUTO(free_switchover_p) struct switchover *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return verr_set(reterr, ENOMEM, "switchover");
	s->rings = *rings;
	r = set_up(s, has_ipvs, reterr);
	if (r < 0)
		return verr_wrap(reterr, r, "switchover");
	r = pthread_create(&s->thread, NULL, thread_main, s);
	if (r != 0)
		return verr_set(reterr, r, "switchover thread: %s", strerror(r));
	(void)pthread_setname_np(s->thread, "vipd-switch");
	*ret = STEAL(s);
	return 0;
}

void switchover_join(struct switchover *s)
{
	struct switchover_cmd c;

	(void)pthread_join(s->thread, NULL);
	/* What came after QUIT still owns something. */
	while (ring_pop(s->rings.cmds, &c)) {
		if (c.type == SWITCHOVER_SET)
			sw_role_free(c.role);
	}
	free_switchover(s);
}

const struct nft *switchover_nft(const struct switchover *s)
{
	return s->kernel.nft;
}

const struct rtnl *switchover_rtnl(const struct switchover *s)
{
	return s->kernel.rtnl;
}
