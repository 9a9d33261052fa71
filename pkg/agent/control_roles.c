/* VIPs as election and switchover run them: configurations out, and that what they did is still there. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

#define PEERS_WAIT_NS NS_PER_S
#define FORMER_NS (10 * NS_PER_S)

const struct plan_vip *control_plan_of(const struct control *c, const struct control_vip *v)
{
	return control_planned(c, v->name);
}

struct control_vip *control_vip_by_id(const struct control *c, uint32_t id)
{
	struct control_vip *v = NULL;

	HASH_FIND(hh_id, c->by_id, &id, sizeof(id), v);
	return v;
}

struct control_vip *control_vip_by_name(const struct control *c, const char *name)
{
	struct control_vip *v = NULL;

	HASH_FIND(hh_name, c->by_name, name, strlen(name), v);
	return v;
}

static struct control_vip *vip_get(struct control *c, const char *name, uint64_t now_ns)
{
	struct control_vip *v = control_vip_by_name(c, name);

	if (v)
		return v;
	v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->id = ++c->next_id;
	v->born_ns = now_ns;
	v->since_ns = now_ns;
	v->why = VRRP_WHY_START;
	HASH_ADD(hh_id, c->by_id, id, sizeof(v->id), v);
	HASH_ADD(hh_name, c->by_name, name[0], strlen(v->name), v);
	return v;
}

void control_vip_free(struct control *c, struct control_vip *v)
{
	control_report_forget(v);
	HASH_DELETE(hh_id, c->by_id, v);
	HASH_DELETE(hh_name, c->by_name, v);
	if (v->has_role)
		plan_role_done(&v->role_sent);
	free(v->sent);
	free(v->former);
	free(v);
}

static bool to_election(struct control *c, enum election_cmd_type type, uint32_t id,
			struct election_conf *conf)
{
	const struct election_cmd cmd = {.type = type, .vip_id = id, .conf = conf};

	if (!ring_push(c->to_election, &cmd)) {
		log_error("Election did not take a command: its ring is full",
			  KV_UINT("refused", ring_refused(c->to_election)));
		free(conf);
		c->dirty = true;
		return false;
	}
	return true;
}

static bool to_switch(struct control *c, enum switchover_cmd_type type, uint32_t id,
		      struct plan_role *role)
{
	const struct switchover_cmd cmd = {.type = type, .vip_id = id, .role = role};

	if (!ring_push(c->to_switch, &cmd)) {
		log_error("Switchover did not take a command: its ring is full",
			  KV_UINT("refused", ring_refused(c->to_switch)));
		if (role)
			plan_role_done(role);
		free(role);
		c->dirty = true;
		return false;
	}
	return true;
}

/* ---- configurations out ---- */

static bool on_interface(const struct plan_link *l, const struct addr *a)
{
	for (size_t i = 0; l && i < l->n_addrs; i++) {
		if (addr_eq(&l->addrs[i].addr, a))
			return true;
	}
	return false;
}

/* All fellow directors' MACs must be known before the first advert: what they forward is served here. */
static bool peers_known(struct control *c, const struct plan_vip *pv)
{
	bool all = true;

	for (size_t m = 0; m < pv->n_members; m++) {
		const struct plan_member *member = &pv->members[m];

		if (member->self || !addr_is_set(&member->address) ||
		    control_mac_of(c, &member->address))
			continue;
		all = false;
		(void)rtnl_neigh_probe(c->rtnl, pv->ifindex, &member->address, NULL);
	}
	return all;
}

static void conf_addresses(struct election_conf *conf, const struct plan_vip *pv)
{
	const struct api_vip *vip = pv->vip;

	if (conf->vrrp.family == AF_INET6) /* RFC 9568 s. 5.2.9: the link-local address first */
		conf->addrs[conf->n_addrs++] = pv->source;
	for (size_t i = 0; i < vip->n_addresses; i++) {
		conf->addrs[conf->n_addrs++] = vip->addresses[i];
		conf->vips[conf->n_vips++] = vip->addresses[i];
	}
}

static void conf_fill(struct control *c, struct control_vip *v, const struct plan_vip *pv,
		      bool may_start, struct election_conf *conf)
{
	const struct api_vip *vip = pv->vip;
	const struct plan_link *l = control_link(c, pv->ifindex);

	*conf = (struct election_conf){
		.vip_id = v->id,
		.vrrp =
			{
				.version = vip->version,
				.family = vip->addresses[0].family,
				.vrid = pv->vrid,
				.priority = pv->priority,
				.period_ns = vip->advert_period_ns,
				.preempt = vip->preemption == API_PREEMPT,
				.preempt_delay_ns = vip->preempt_delay_ns,
				.source = pv->source,
			},
		.ifindex = pv->ifindex,
		.link_up = l && l->up,
		.has_source = pv->fault != PLAN_NO_LINK_LOCAL && addr_is_set(&pv->source),
		.unicast = vip->transport == API_UNICAST,
		.has_auth = vip->has_auth,
		.adopted = v->adopted,
		.may_start = may_start,
	};
	snprintf(conf->ifname, sizeof(conf->ifname), "%s", pv->ifname);
	if (l)
		conf->mac = l->mac;
	if (vip->has_auth)
		memcpy(conf->auth, pv->auth, sizeof(conf->auth));
	for (size_t m = 0; m < pv->n_members && conf->n_peers < ELECTION_PEERS_MAX; m++) {
		if (!pv->members[m].self && addr_is_set(&pv->members[m].address))
			conf->peers[conf->n_peers++] = pv->members[m].address;
	}
	conf_addresses(conf, pv);
}

static bool has_peer(const struct election_conf *conf, const struct addr *a)
{
	return addr_is_among(a, conf->peers, conf->n_peers);
}

static const struct control_former *find_former(const struct control_vip *v, const struct addr *a)
{
	for (size_t i = 0; i < v->n_former; i++) {
		if (addr_eq(&v->former[i].address, a))
			return &v->former[i];
	}
	return NULL;
}

bool control_is_former(const struct control_vip *v, const struct addr *address, uint64_t now_ns)
{
	const struct control_former *f = find_former(v, address);

	return f && now_ns < f->until_ns;
}

/* The peers that were in the last configuration and are not in this one. */
static int note_former(struct control_vip *v, const struct election_conf *conf, uint64_t now_ns)
{
	for (size_t i = 0; v->sent && i < v->sent->n_peers; i++) {
		const struct addr *a = &v->sent->peers[i];

		if (v->n_former == CONTROL_FORMER_MAX || has_peer(conf, a) || find_former(v, a))
			continue;
		if (!v->former)
			v->former = calloc(CONTROL_FORMER_MAX, sizeof(*v->former));
		if (!v->former)
			return -ENOMEM;
		v->former[v->n_former++] =
			(struct control_former){.address = *a, .until_ns = now_ns + FORMER_NS};
	}
	return 0;
}

/*
 * Who leaves hands over, and those who stay hear of it at the same time as they hear that it leaves: for a while
 * it stays a peer, from which they hear and which hears from them.
 */
static int keep_former(struct control *c, struct control_vip *v, struct election_conf *conf,
		       uint64_t now_ns)
{
	size_t n = 0;
	int r = note_former(v, conf, now_ns);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n_former; i++) {
		const struct control_former f = v->former[i];

		if (now_ns >= f.until_ns || has_peer(conf, &f.address))
			continue;
		v->former[n++] = f;
		if (conf->n_peers < ELECTION_PEERS_MAX)
			conf->peers[conf->n_peers++] = f.address;
		control_replan_at(c, f.until_ns, now_ns);
	}
	v->n_former = n;
	if (n == 0) {
		free(v->former);
		v->former = NULL;
	}
	return 0;
}

static int send_conf(struct control *c, struct control_vip *v, const struct plan_vip *pv,
		     uint64_t now_ns)
{
	bool known = peers_known(c, pv);
	bool waited = now_ns - v->born_ns >= PEERS_WAIT_NS;
	struct election_conf *conf = calloc(1, sizeof(*conf));
	struct election_conf *copy = calloc(1, sizeof(*copy));

	if (!conf || !copy) {
		free(conf);
		free(copy);
		return -ENOMEM;
	}
	if (!known && !waited) {
		c->facts_dirty |= CONTROL_FACTS_NEIGHS;
		control_replan_at(c, v->born_ns + PEERS_WAIT_NS, now_ns);
	}
	conf_fill(c, v, pv, known || waited || (v->sent && v->sent->may_start), conf);
	if (keep_former(c, v, conf, now_ns) < 0) {
		free(conf);
		free(copy);
		return -ENOMEM;
	}
	*copy = *conf;
	if (v->sent && memcmp(copy, v->sent, sizeof(*copy)) == 0) {
		free(conf);
		free(copy);
		return 0;
	}
	free(v->sent);
	v->sent = copy;
	if (!to_election(c, ELECTION_SET, v->id, conf)) {
		free(v->sent);
		v->sent = NULL;
		return 0; /* tried again at the next turn */
	}
	v->in_election = true;
	return 0;
}

static int send_role(struct control *c, struct control_vip *v, size_t idx,
		     const struct plan_facts *facts)
{
	struct plan_role *role = calloc(1, sizeof(*role));
	struct plan_role kept = {0};

	if (!role)
		return -ENOMEM;
	int r = plan_role_want(c->plan, idx, facts, control_verdict, c, role);

	bool same = r == 0 && v->has_role && !v->role_again && plan_role_eq(role, &v->role_sent);

	/* switchover will own the first, so a changed one is made a second time to compare with */
	if (r == 0 && !same)
		r = plan_role_want(c->plan, idx, facts, control_verdict, c, &kept);
	if (r < 0 || same) {
		plan_role_done(role);
		plan_role_done(&kept);
		free(role);
		return r;
	}
	if (v->has_role)
		plan_role_done(&v->role_sent);
	v->role_sent = kept;
	v->has_role = true;
	v->role_again = !to_switch(c, SWITCHOVER_SET, v->id, role);
	return 0;
}

static void tell_reasons(struct control *c, struct control_vip *v, const struct plan_vip *pv)
{
	if (v->told_refused != pv->refused) {
		v->told_refused = pv->refused;
		if (pv->refused != PLAN_NOT_SELECTED)
			control_event_reason(c, v, pv->refused, pv->message);
		if (pv->refused == PLAN_OK)
			log_info("VirtualIP is run", KV_STR("virtualIP", v->name));
		else if (pv->refused == PLAN_NOT_SELECTED)
			log_debug(2, "VirtualIP does not select this node",
				  KV_STR("virtualIP", v->name));
		else
			log_error("VirtualIP is not run", KV_STR("virtualIP", v->name),
				  KV_STR("reason", plan_reason_name(pv->refused)),
				  KV_STR("message", pv->message));
	}
	if (v->told_rejected != pv->rejected) {
		v->told_rejected = pv->rejected;
		control_event_reason(c, v, pv->rejected, pv->rejection);
		if (pv->rejected != PLAN_OK)
			log_error("VirtualIP change was refused: the version before runs on",
				  KV_STR("virtualIP", v->name),
				  KV_STR("reason", plan_reason_name(pv->rejected)),
				  KV_STR("message", pv->rejection));
	}
	if (v->told_degraded != pv->degraded) {
		v->told_degraded = pv->degraded;
		if (pv->degraded != PLAN_OK)
			control_event_reason(c, v, pv->degraded, pv->degradation);
		if (pv->degraded != PLAN_OK)
			log_warning("VirtualIP is degraded", KV_STR("virtualIP", v->name),
				    KV_STR("reason", plan_reason_name(pv->degraded)),
				    KV_STR("message", pv->degradation));
	}
	if (v->told_fault != pv->fault) {
		v->told_fault = pv->fault;
		if (pv->fault != PLAN_OK) {
			control_event_reason(c, v, pv->fault, pv->message);
			log_warning("VirtualIP has a fault here", KV_STR("virtualIP", v->name),
				    KV_STR("reason", plan_reason_name(pv->fault)),
				    KV_STR("message", pv->message));
		}
	}
}

/* Once for a cordoning: a fellow node may be Ready and still not take over, and then the VIP stays here. */
static void maybe_hand_over(struct control *c, struct control_vip *v, const struct plan_vip *pv)
{
	if (!pv->cordoned || !pv->others_ready)
		v->handover_sent = false;
	else if (!v->handover_sent && v->state == VRRP_ACTIVE)
		v->handover_sent = to_election(c, ELECTION_HANDOVER, v->id, NULL);
	else
		return;
	if (v->handover_sent)
		log_info("Node is cordoned, handing over", KV_STR("virtualIP", v->name));
}

/* Election gives the addresses up first; switchover forgets the VIP when election has. */
void control_vip_leave(struct control *c, struct control_vip *v)
{
	if (v->in_election && !v->removing) {
		v->removing = to_election(c, ELECTION_REMOVE, v->id, NULL);
		free(v->sent);
		v->sent = NULL;
	} else if (!v->in_election && v->has_role && to_switch(c, SWITCHOVER_REMOVE, v->id, NULL)) {
		plan_role_done(&v->role_sent);
		v->has_role = false;
	}
}

int control_roles_update(struct control *c, uint64_t now_ns)
{
	struct control_vip *v, *next;
	struct plan_facts facts;
	int r = 0;

	control_facts_get(c, &facts);
	for (size_t i = 0; i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		bool fresh;

		v = vip_get(c, pv->vip->name, now_ns);
		if (!v)
			return -ENOMEM;
		fresh = !v->in_election && !v->sent;
		tell_reasons(c, v, pv);
		if (!control_is_run(pv)) {
			control_vip_leave(c, v);
			continue;
		}
		if (fresh)
			v->adopted =
				on_interface(control_link(c, pv->ifindex), &pv->vip->addresses[0]);
		r = send_role(c, v, i, &facts);
		if (r < 0)
			return r;
		if (!pv->routes) {
			if (v->in_election)
				control_vip_leave(c, v);
			continue;
		}
		/* what it has been told to forget, election takes back when it has: ELECTION_REMOVED makes a new turn */
		r = v->removing ? 0 : send_conf(c, v, pv, now_ns);
		if (r < 0)
			return r;
		maybe_hand_over(c, v, pv);
	}
	HASH_ITER(hh_name, c->by_name, v, next)
	{
		if (control_plan_of(c, v))
			continue;
		control_vip_leave(c, v);
		if (!v->in_election && !v->has_role)
			control_vip_free(c, v);
	}
	/* once the objects are known, what an earlier agent left for others is nobody's */
	if (c->synced && !c->swept) {
		c->swept = to_switch(c, SWITCHOVER_SWEEP, 0, NULL);
	}
	return 0;
}

/* ---- as it should be ---- */

void control_roles_repair(struct control *c)
{
	struct control_vip *v, *next;

	HASH_ITER(hh_name, c->by_name, v, next)
	{
		/* with the last VIP of a family its tables go, and nothing of it is to be put back */
		if (v->has_role && control_plan_of(c, v))
			to_switch(c, SWITCHOVER_REPAIR, v->id, NULL);
	}
}

static int elem_order(const void *a, const void *b)
{
	return plan_elem_cmp(a, b);
}

static bool elems_there(const struct plan_elem *want, size_t n_want, const struct plan_elem *have,
			size_t n_have)
{
	for (size_t i = 0; i < n_want; i++) {
		if (!n_have || !bsearch(&want[i], have, n_have, sizeof(*have), elem_order))
			return false;
	}
	return true;
}

void control_roles_check(struct control *c, const struct plan_elem *elems, size_t n_elems,
			 uint64_t now_ns)
{
	struct control_vip *v, *next;

	HASH_ITER(hh_name, c->by_name, v, next)
	{
		const struct plan_vip *pv = control_plan_of(c, v);
		bool active = v->state == VRRP_ACTIVE && v->switch_active;
		/* what an earlier agent left stays until the first order */
		bool standby =
			v->state != VRRP_ACTIVE && !v->switch_active && (v->settled || !v->adopted);
		bool addresses = true, rules = true;

		/* just after a role change the pieces are still moving */
		if (!v->has_role || !pv || now_ns - v->since_ns < 300 * NS_PER_MS ||
		    v->state == VRRP_RELEASING)
			continue;
		for (size_t a = 0; (active || standby) && a < pv->vip->n_addresses; a++)
			addresses &= active == on_interface(control_link(c, pv->ifindex),
							    &pv->vip->addresses[a]);
		if (elems && active)
			rules = elems_there(v->role_sent.answer, v->role_sent.n_answer, elems,
					    n_elems);
		else if (elems && standby)
			rules = elems_there(v->role_sent.redirect, v->role_sent.n_redirect, elems,
					    n_elems);
		if (!addresses)
			control_repaired(c, CONTROL_REPAIR_ADDRESS, now_ns);
		if (!rules)
			control_repaired(c, CONTROL_REPAIR_RULE, now_ns);
		if (!addresses || !rules)
			to_switch(c, SWITCHOVER_REPAIR, v->id, NULL);
	}
}

void control_roles_done(struct control *c)
{
	struct control_vip *v, *next;
	struct election_record rec;

	while (c->from_election && ring_pop(c->from_election, &rec)) {
		if (rec.type == ELECTION_FREE)
			free(rec.conf);
	}
	HASH_ITER(hh_name, c->by_name, v, next)
	control_vip_free(c, v);
}
