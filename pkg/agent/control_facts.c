/* What the node has: links with addresses, neighbours, default routes. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

/* With so many, link-local ones that the kernel has forgotten are forgotten here, too. */
#define NEIGHS_MAX 4096

/* Next address of a link that is none of our VIPs': those come and go with the roles. */
static const struct plan_ifaddr *next_addr(const struct control *c, const struct plan_link *l,
					   size_t *i)
{
	while (*i < l->n_addrs) {
		const struct plan_ifaddr *a = &l->addrs[(*i)++];

		if (!control_owns(c, &a->addr))
			return a;
	}
	return NULL;
}

static bool link_same(const struct control *c, const struct plan_link *a, const struct plan_link *b)
{
	size_t i = 0, j = 0;

	if (a->ifindex != b->ifindex || strcmp(a->name, b->name) != 0 || a->up != b->up ||
	    a->ethernet != b->ethernet || a->mtu != b->mtu || !mac_eq(&a->mac, &b->mac) ||
	    a->rp_filter != b->rp_filter)
		return false;
	for (;;) {
		const struct plan_ifaddr *x = next_addr(c, a, &i), *y = next_addr(c, b, &j);

		if (!x || !y)
			return x == y;
		if (!addr_eq(&x->addr, &y->addr) || x->prefix_len != y->prefix_len ||
		    x->tentative != y->tentative)
			return false;
	}
}

int control_facts_links(struct control *c, bool routes, struct verr *reterr)
{
	struct plan_link *links = NULL;
	size_t n = 0;
	unsigned int default4 = c->default4, default6 = c->default6;
	int r = rtnl_links(c->rtnl, &links, &n, reterr);

	if (r == 0 && routes)
		r = rtnl_default_links(c->rtnl, &default4, &default6, reterr);
	if (r < 0) {
		rtnl_links_free(links, n);
		return r;
	}
	bool same = n == c->n_links && default4 == c->default4 && default6 == c->default6;

	for (size_t i = 0; same && i < n; i++)
		same = link_same(c, &links[i], &c->links[i]);
	rtnl_links_free(c->links, c->n_links);
	c->links = links;
	c->n_links = n;
	c->default4 = default4;
	c->default6 = default6;
	return same ? 0 : 1;
}

struct plan_link *control_link(const struct control *c, unsigned int ifindex)
{
	for (size_t i = 0; i < c->n_links; i++) {
		if (c->links[i].ifindex == ifindex)
			return &c->links[i];
	}
	return NULL;
}

int control_facts_settings(struct control *c, struct verr *reterr)
{
	bool changed = false;

	for (size_t i = 0; i < c->want.n_links; i++) {
		struct plan_link *l = control_link(c, c->want.links[i].ifindex);
		int rp_filter = l ? l->rp_filter : 0;
		int r = l ? rtnl_link_settings(c->rtnl, l, reterr) : 0;

		/* of a link that is gone there is word under way */
		if (r < 0 && r != -ENODEV)
			return r;
		changed |= l && l->rp_filter != rp_filter;
	}
	return changed;
}

/* ---- neighbours: sorted by address; of one address, what was learned last is last ---- */

/* Behind the last one of this address. */
static size_t neigh_end(const struct control *c, const struct addr *a)
{
	return addr_behind(c->neighs, c->n_neighs, sizeof(*c->neighs), a);
}

static bool neigh_known(const struct control *c, const struct plan_neigh *n)
{
	for (size_t i = neigh_end(c, &n->addr); i > 0; i--) {
		const struct plan_neigh *k = &c->neighs[i - 1];

		if (!addr_eq(&k->addr, &n->addr))
			break;
		if (k->ifindex == n->ifindex && mac_eq(&k->mac, &n->mac))
			return true;
	}
	return false;
}

/* There is room. */
static void neigh_add(struct control *c, const struct plan_neigh *n)
{
	size_t at = neigh_end(c, &n->addr);

	memmove(&c->neighs[at + 1], &c->neighs[at], (c->n_neighs - at) * sizeof(*c->neighs));
	c->neighs[at] = *n;
	c->n_neighs++;
}

struct addrs {
	struct addr *items; /* owned */
	size_t n, n_sorted, max;
};

static void addrs_done(struct addrs *s)
{
	free(s->items);
}

static void addrs_sort(struct addrs *s)
{
	if (s->n)
		qsort(s->items, s->n, sizeof(*s->items), addr_order);
	s->n_sorted = s->n;
}

/* Among those that were there at the last addrs_sort. */
static bool addrs_have(const struct addrs *s, const struct addr *a)
{
	return s->n_sorted &&
	       bsearch(a, s->items, s->n_sorted, sizeof(*s->items), addr_order) != NULL;
}

static int addrs_add(struct addrs *s, const struct addr *a)
{
	struct addr *items = array_room(s->items, &s->max, s->n + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	s->items = items;
	s->items[s->n++] = *a;
	return 0;
}

static int node_addresses(const struct control *c, struct addrs *ret)
{
	struct control_object *o, *next;
	struct control_vip *v, *after;
	int r = 0;

	HASH_ITER(hh, c->objects, o, next)
	{
		for (size_t i = 0; o->node && r == 0 && i < o->node->n_internal_ips; i++)
			r = addrs_add(ret, &o->node->internal_ips[i]);
	}
	addrs_sort(ret);
	/* members that have no InternalIP on the segment are in the plan with another address */
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];

		for (size_t m = 0; r == 0 && m < pv->n_members; m++) {
			if (!addrs_have(ret, &pv->members[m].address))
				r = addrs_add(ret, &pv->members[m].address);
		}
	}
	HASH_ITER(hh_name, c->by_name, v, after)
	{
		for (size_t i = 0; r == 0 && i < v->n_former; i++)
			r = addrs_add(ret, &v->former[i].address);
	}
	for (size_t i = 0; r == 0 && i < c->n_heard; i++)
		r = addrs_add(ret, &c->heard[i].addr);
	addrs_sort(ret);
	return r;
}

/* Before the first plan any may be. */
static bool is_vip_link(const struct control *c, unsigned int ifindex)
{
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		if (c->plan->vips[i].ifindex == ifindex)
			return true;
	}
	return !c->plan;
}

/* Only nodes' addresses are of interest, and who speaks by a link-local one where VIPs are: not each pod's. */
static bool neigh_matters(const struct control *c, const struct addrs *nodes,
			  const struct plan_neigh *n)
{
	if (addr_is_link_local(&n->addr))
		return c->n_neighs < NEIGHS_MAX && is_vip_link(c, n->ifindex);
	return addrs_have(nodes, &n->addr);
}

/* What is known of a node stays until the node leaves, so that a frame of a peer is recognised although its
 * entry has aged. */
int control_facts_neighs(struct control *c, struct verr *reterr)
{
	AUTO(addrs_done) struct addrs nodes = {0};
	AUTO(free_p) struct plan_neigh *found = NULL;
	struct plan_neigh *room;
	size_t n = 0, kept = 0, before = c->n_neighs;
	bool changed;
	int r = rtnl_neighs(c->rtnl, &found, &n, reterr);

	if (r < 0)
		return r;
	room = reallocarray(c->neighs, c->n_neighs + n + 1, sizeof(*room));
	if (room)
		c->neighs = room;
	if (!room || node_addresses(c, &nodes) < 0)
		return verr_set(reterr, ENOMEM, "neighbours");
	for (size_t i = 0; i < c->n_neighs; i++) {
		if (neigh_matters(c, &nodes, &c->neighs[i]))
			c->neighs[kept++] = c->neighs[i];
	}
	c->n_neighs = kept;
	changed = kept != before;
	for (size_t i = 0; i < n; i++) {
		if (mac_is_zero(&found[i].mac) || !neigh_matters(c, &nodes, &found[i]) ||
		    neigh_known(c, &found[i]))
			continue;
		neigh_add(c, &found[i]);
		changed = true;
	}
	return changed;
}

void control_facts_ask(struct control *c, unsigned int ifindex, const struct addr *a)
{
	(void)rtnl_neigh_probe(c->rtnl, ifindex, a, NULL);
	c->facts_dirty |= CONTROL_FACTS_NEIGHS;
	control_look(c, 0, 100 * NS_PER_MS);
}

void control_facts_heard(struct control *c, unsigned int ifindex, const struct addr *source)
{
	for (size_t i = 0; i < c->n_heard; i++) {
		if (c->heard[i].ifindex == ifindex && addr_eq(&c->heard[i].addr, source))
			return;
	}
	if (!c->heard)
		c->heard = calloc(CONTROL_HEARD_MAX, sizeof(*c->heard));
	if (!c->heard)
		return; /* its next advert tells again */
	c->heard[c->heard_idx] = (struct plan_host){.ifindex = ifindex, .addr = *source};
	c->heard_idx = (c->heard_idx + 1) % CONTROL_HEARD_MAX;
	if (c->n_heard < CONTROL_HEARD_MAX)
		c->n_heard++;
	control_facts_ask(c, ifindex, source);
}

void control_facts_get(const struct control *c, struct plan_facts *ret)
{
	*ret = (struct plan_facts){
		.self = c->conf->node_name,
		.links = c->links,
		.n_links = c->n_links,
		.neighs = c->neighs,
		.n_neighs = c->n_neighs,
		.heard = c->heard,
		.n_heard = c->n_heard,
		.default_ifindex4 = c->default4,
		.default_ifindex6 = c->default6,
		.has_ipvs = c->ipvs != NULL,
		.sync_id = c->ipvs ? c->sync_id : 0,
		.tcp_timeout_s = c->ipvs ? c->conf->ipvs_tcp_timeout_s : 0,
	};
}

const struct mac *control_mac_of(const struct control *c, const struct addr *a)
{
	size_t end = neigh_end(c, a);

	return end && addr_eq(&c->neighs[end - 1].addr, a) ? &c->neighs[end - 1].mac : NULL;
}

const char *control_node_of(const struct control *c, const struct plan_vip *v,
			    const struct addr *source)
{
	const struct mac *mac;

	if (addr_eq(source, &v->source))
		return c->conf->node_name;
	for (size_t m = 0; m < v->n_members; m++) {
		if (addr_eq(&v->members[m].address, source))
			return v->members[m].name;
	}
	mac = control_mac_of(c, source);
	for (size_t m = 0; mac && m < v->n_members; m++) {
		const struct mac *other = control_mac_of(c, &v->members[m].address);

		if (other && mac_eq(mac, other))
			return v->members[m].name;
	}
	return NULL;
}

void control_facts_done(struct control *c)
{
	rtnl_links_free(c->links, c->n_links);
	free(c->neighs);
	free(c->heard);
	c->links = NULL;
	c->neighs = NULL;
	c->heard = NULL;
	c->n_links = c->n_neighs = c->n_heard = 0;
}
