/* Instances as control wants them: made, changed in place or in their identity, faulty or not, removed. */
#include <errno.h>
#include <string.h>

#include "agent/election_internal.h"

/* After a change of the period in version 2, where it must agree, the one before stays valid for a while. */
#define OLD_PERIOD_NS (10 * NS_PER_S)
#define SOCKETS_RETRY_NS NS_PER_S

static size_t find_idx(const struct election *e, uint32_t vip_id)
{
	size_t lo = 0, hi = e->n_insts;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->insts[mid]->conf->vip_id < vip_id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct inst *election_find(const struct election *e, uint32_t vip_id)
{
	size_t idx = find_idx(e, vip_id);

	return idx < e->n_insts && e->insts[idx]->conf->vip_id == vip_id ? e->insts[idx] : NULL;
}

static struct link_state *find_link(struct election *e, unsigned int ifindex)
{
	for (size_t k = 0; k < e->n_links; k++) {
		if (e->links[k].ifindex == ifindex)
			return &e->links[k];
	}
	return NULL;
}

/* What the kernel told this thread is newer than what control knew when it made the configuration. */
static bool is_link_up(struct election *e, const struct election_conf *conf)
{
	const struct link_state *l = find_link(e, conf->ifindex);

	return l ? l->up : conf->link_up;
}

static void put(struct election *e, struct inst *i, struct vrrp_event ev)
{
	election_step(e, i, &ev);
}

/* Starts what may run and does not, and faults what runs and may not. */
static void settle(struct election *e, struct inst *i, bool resume, uint64_t now_ns)
{
	const struct election_conf *conf = i->conf;
	bool has_link = is_link_up(e, conf) && conf->has_source;
	bool may_run = has_link && conf->may_start;

	if (may_run && !election_port_ready(i->port)) {
		may_run = false;
		if (e->settle_ns == 0)
			e->settle_ns = now_ns + SOCKETS_RETRY_NS;
	}
	if (i->removing) {
		if (!has_link && i->v.state != VRRP_INIT)
			put(e, i, (struct vrrp_event){.type = VRRP_EV_FAULT, .now_ns = now_ns});
		return;
	}
	if (i->v.state == VRRP_INIT && may_run) {
		bool is_adopted = conf->adopted && !i->started;

		i->started = true;
		put(e, i,
		    (struct vrrp_event){.type = VRRP_EV_START,
					.now_ns = now_ns,
					.adopted = is_adopted,
					.resume = resume});
	} else if (i->v.state != VRRP_INIT && !may_run) {
		put(e, i, (struct vrrp_event){.type = VRRP_EV_FAULT, .now_ns = now_ns});
	} else if (i->v.state == VRRP_INIT && !has_link && conf->adopted && !i->started) {
		/* Who cannot hear of a successor must not keep its address. */
		i->started = true;
		election_order(e, i, SWITCHOVER_RELEASE, NULL, now_ns);
	}
}

void election_build_advert(struct inst *i)
{
	const struct election_conf *conf = i->conf;

	i->advert = (struct vrrp_advert){.version = conf->vrrp.version,
					 .vrid = conf->vrrp.vrid,
					 .period_ns = conf->vrrp.period_ns,
					 .n_addrs = conf->n_addrs};
	if (conf->vrrp.version == 2 && conf->has_auth) {
		i->advert.auth_type = 1;
		memcpy(i->advert.auth, conf->auth, VRRP_AUTH_LEN);
	}
	memcpy(i->advert.addrs, conf->addrs, sizeof(i->advert.addrs));
	if (conf->vrrp.family != AF_INET6)
		return;
	if (addr_is_set(&i->shared_link_local))
		i->advert.addrs[0] = i->shared_link_local;
	if (i->lists_no_link_local) {
		memcpy(i->advert.addrs, conf->vips, sizeof(conf->vips));
		i->advert.n_addrs = conf->n_vips;
	}
}

static bool same_identity(const struct election_conf *a, const struct election_conf *b)
{
	return a->vrrp.vrid == b->vrrp.vrid && a->vrrp.version == b->vrrp.version &&
	       a->vrrp.family == b->vrrp.family && a->ifindex == b->ifindex &&
	       a->unicast == b->unicast && a->has_auth == b->has_auth &&
	       (!a->has_auth || memcmp(a->auth, b->auth, VRRP_AUTH_LEN) == 0);
}

static int reserve(struct election *e)
{
	struct inst **insts;

	if (heap_reserve(&e->due, e->due.n + 1) < 0)
		return -ENOMEM;
	insts = array_room(e->insts, &e->insts_cap, e->n_insts + 1, sizeof(struct inst *));
	if (!insts)
		return -ENOMEM;
	e->insts = insts;
	return 0;
}

static struct inst *make(struct election *e, struct election_conf *conf)
{
	struct inst *i;
	size_t idx;

	if (reserve(e) < 0)
		return NULL;
	i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->port = election_port_get(e, conf);
	if (!i->port) {
		free(i);
		return NULL;
	}
	i->conf = conf;
	vrrp_init(&i->v);
	election_build_advert(i);
	election_port_link(i->port, i);
	heap_set(&e->due, &i->due, NEVER);
	idx = find_idx(e, conf->vip_id);
	memmove(&e->insts[idx + 1], &e->insts[idx], (e->n_insts - idx) * sizeof(*e->insts));
	e->insts[idx] = i;
	e->n_insts++;
	return i;
}

/* The old identity goes on saying that the role is taken. Without memory it does not, and nothing else fails. */
static bool leave_shadow(struct election *e, const struct inst *i, uint64_t now_ns)
{
	struct inst *s;

	if (heap_reserve(&e->due, e->due.n + 1) < 0)
		return false;
	s = calloc(1, sizeof(*s));
	if (!s)
		return false;
	s->port = election_port_get(e, i->conf);
	if (!s->port) {
		free(s);
		return false;
	}
	s->conf = i->conf;
	s->v = i->v;
	s->advert = i->advert;
	s->csum = i->csum;
	s->is_shadow = true;
	s->shadow_until_ns = now_ns + ELECTION_SHADOW_NS;
	s->next_shadow = e->shadows;
	e->shadows = s;
	election_port_link(s->port, s);
	heap_set(&e->due, &s->due, NEVER);
	election_touch(e, s);
	return true;
}

void election_shadow_end(struct election *e, struct inst *i)
{
	struct inst **at = &e->shadows;

	while (*at != i)
		at = &(*at)->next_shadow;
	*at = i->next_shadow;
	heap_remove(&e->due, &i->due);
	election_port_unlink(i->port, i);
	election_port_put(e, i->port);
	election_give_back(e, i->conf);
	free(i);
}

static void end_shadows_of(struct election *e, uint32_t vip_id)
{
	struct inst *next;

	for (struct inst *s = e->shadows; s; s = next) {
		next = s->next_shadow;
		if (s->conf->vip_id == vip_id)
			election_shadow_end(e, s);
	}
}

static void change_in_place(struct election *e, struct inst *i, struct election_conf *conf,
			    uint64_t now_ns)
{
	struct election_conf *old = i->conf;

	if (old->vrrp.period_ns != conf->vrrp.period_ns) {
		i->old_period_ns = old->vrrp.period_ns;
		i->old_period_until_ns = now_ns + OLD_PERIOD_NS;
	}
	i->conf = conf;
	election_build_advert(i);
	if (i->v.state != VRRP_INIT)
		put(e, i, (struct vrrp_event){.type = VRRP_EV_RECONF, .now_ns = now_ns});
	/* Other addresses are announced as soon as switchover has them: it is told of them by control. */
	if (i->announce_ns != 0 && (!mac_eq(&old->mac, &conf->mac) || old->n_vips != conf->n_vips ||
				    memcmp(old->vips, conf->vips, sizeof(old->vips)) != 0)) {
		i->announce_idx = 0;
		i->announce_from_ns = i->announce_ns = now_ns;
		election_touch(e, i);
	}
	election_give_back(e, old);
}

static void change_identity(struct election *e, struct inst *i, struct election_conf *conf,
			    uint64_t now_ns)
{
	struct election_conf *old = i->conf;
	struct port *port = election_port_get(e, conf);
	bool is_active = i->v.state == VRRP_ACTIVE, has_shadow;
	enum vrrp_state was;

	if (!port) {
		election_tell_sense(e, conf->vip_id, ENOMEM, now_ns);
		election_give_back(e, conf);
		return;
	}
	/* Not one that woke up late: its old identity is somebody else's by now. */
	if (is_active)
		put(e, i, (struct vrrp_event){.type = VRRP_EV_RECONF, .now_ns = now_ns});
	is_active = i->v.state == VRRP_ACTIVE;
	has_shadow = is_active && is_link_up(e, old) && leave_shadow(e, i, now_ns);

	election_port_unlink(i->port, i);
	election_port_put(e, i->port);
	i->conf = conf;
	i->port = port;
	election_port_link(port, i);
	i->shared_link_local = (struct addr){0};
	i->lists_no_link_local = false;
	election_build_advert(i);
	i->csum = VRRP_CSUM_PSEUDO;
	i->old_period_until_ns = 0;
	memset(i->seen, 0, sizeof(i->seen));
	if (!has_shadow)
		election_give_back(e, old);

	if (i->v.state == VRRP_RELEASING ||
	    (is_active && !(conf->has_source && conf->may_start && is_link_up(e, conf)))) {
		/* Being given up, or not to be had under the new identity. */
		i->announce_ns = 0;
		i->linger_ns = 0;
		election_order(e, i, SWITCHOVER_RELEASE, NULL, now_ns);
		is_active = false;
	}
	was = i->v.state;
	/* what it holds of an earlier agent it goes on holding */
	i->started = (i->started || was != VRRP_INIT) && !(was == VRRP_BACKUP && i->v.holding);
	vrrp_init(&i->v);
	i->v.since_ns = now_ns;
	election_touch(e, i);
	settle(e, i, is_active, now_ns);
	if (was != VRRP_INIT && i->v.state == VRRP_INIT) {
		i->why = VRRP_WHY_FAULT;
		election_tell_role(e, i, now_ns);
	}
}

static void set(struct election *e, struct election_conf *conf, uint64_t now_ns)
{
	struct inst *i = election_find(e, conf->vip_id);

	if (e->stopping || (i && i->removing)) {
		election_give_back(e, conf);
		return;
	}
	if (!i) {
		i = make(e, conf);
		if (!i) {
			election_tell_sense(e, conf->vip_id, ENOMEM, now_ns);
			election_give_back(e, conf);
			return;
		}
	} else if (same_identity(i->conf, conf)) {
		/* Nothing else knows the interface's name; renamed, it is the same one. */
		change_in_place(e, i, conf, now_ns);
	} else {
		change_identity(e, i, conf, now_ns);
		return;
	}
	settle(e, i, false, now_ns);
}

static void stop(struct election *e, struct inst *i, uint64_t now_ns)
{
	if (i->removing)
		return;
	i->removing = true;
	end_shadows_of(e, i->conf->vip_id);
	/* The addresses that it never came to start with are not its own to keep either. */
	if (i->conf->adopted && !i->started)
		election_order(e, i, SWITCHOVER_RELEASE, NULL, now_ns);
	put(e, i, (struct vrrp_event){.type = VRRP_EV_STOP, .now_ns = now_ns});
}

static void remove_vip(struct election *e, uint32_t vip_id, uint64_t now_ns)
{
	const struct election_record r = {
		.type = ELECTION_REMOVED, .vip_id = vip_id, .at_ns = now_ns};
	struct inst *i = election_find(e, vip_id);

	if (i)
		stop(e, i, now_ns);
	else
		(void)ring_push(e->rings.records, &r);
}

static void stop_all(struct election *e, uint64_t now_ns)
{
	e->stopping = true;
	for (size_t k = 0; k < e->n_insts; k++)
		stop(e, e->insts[k], now_ns);
	e->is_stopped_untold = e->n_insts == 0;
}

bool election_forget(struct election *e, struct inst *i, uint64_t now_ns)
{
	const struct election_record r = {
		.type = ELECTION_REMOVED, .vip_id = i->conf->vip_id, .at_ns = now_ns};
	size_t idx = find_idx(e, i->conf->vip_id);

	/* A role that is untold is no matter any more; that it is gone is. */
	if (!e->stopping && !ring_push(e->rings.records, &r)) {
		i->gone_ns = now_ns + NS_PER_MS;
		return false;
	}
	memmove(&e->insts[idx], &e->insts[idx + 1], (e->n_insts - idx - 1) * sizeof(*e->insts));
	e->n_insts--;
	heap_remove(&e->due, &i->due);
	election_port_flush(i->port, now_ns);
	election_port_unlink(i->port, i);
	election_port_put(e, i->port);
	election_give_back(e, i->conf);
	free(i);
	if (e->stopping && e->n_insts == 0)
		e->is_stopped_untold = true;
	return true;
}

void election_cmd(struct election *e, const struct election_cmd *cmd, uint64_t now_ns)
{
	struct inst *i;

	switch (cmd->type) {
	case ELECTION_SET:
		set(e, cmd->conf, now_ns);
		return;
	case ELECTION_REMOVE:
		remove_vip(e, cmd->vip_id, now_ns);
		return;
	case ELECTION_HANDOVER:
		i = election_find(e, cmd->vip_id);
		if (i)
			put(e, i, (struct vrrp_event){.type = VRRP_EV_HANDOVER, .now_ns = now_ns});
		return;
	case ELECTION_STOP_ALL:
		stop_all(e, now_ns);
		return;
	case ELECTION_PING:
		election_tell_pong(e, now_ns);
		return;
	}
}

void election_settle_all(struct election *e, uint64_t now_ns)
{
	e->settle_ns = 0;
	for (size_t k = 0; k < e->n_insts; k++)
		settle(e, e->insts[k], false, now_ns);
}

static bool is_used(const struct election *e, unsigned int ifindex)
{
	for (const struct port *p = e->ports; p; p = p->next) {
		if (p->ifindex == ifindex)
			return true;
	}
	return false;
}

/* Only interfaces with an instance are remembered: pods come and go by the hundred. */
static void note_link(struct election *e, unsigned int ifindex, bool up)
{
	struct link_state *l = find_link(e, ifindex);

	if (!l && e->n_links < LINKS_MAX)
		l = &e->links[e->n_links++];
	if (l)
		*l = (struct link_state){.ifindex = ifindex, .up = up};
}

void election_link_unused(struct election *e, unsigned int ifindex)
{
	struct link_state *l = is_used(e, ifindex) ? NULL : find_link(e, ifindex);

	if (l)
		*l = e->links[--e->n_links];
}

void election_link(struct election *e, unsigned int ifindex, bool up, uint64_t now_ns)
{
	if (!is_used(e, ifindex))
		return;
	note_link(e, ifindex, up);
	for (size_t k = 0; k < e->n_insts; k++) {
		if (e->insts[k]->conf->ifindex == ifindex)
			settle(e, e->insts[k], false, now_ns);
	}
	if (up)
		return;
	for (struct inst *s = e->shadows; s; s = s->next_shadow) {
		if (s->conf->ifindex == ifindex) {
			s->shadow_until_ns = now_ns;
			election_touch(e, s);
		}
	}
}
