/* plan_elems: what the sets of nftables hold whatever the roles are. */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

static int add_elem(struct plan_builder *b, struct plan_elem e)
{
	struct plan_kernel *k = b->k;
	struct plan_elem *elems =
		array_room(k->elems, &b->cap_elems, k->n_elems + 1, sizeof(*elems));

	if (!elems)
		return -ENOMEM;
	k->elems = elems;
	k->elems[k->n_elems++] = e;
	return 0;
}

static struct plan_elem elem_of(enum plan_set set, const struct api_port *port,
				const struct addr *a)
{
	return (struct plan_elem){.set = set,
				  .family = a->family,
				  .protocol = port ? (uint8_t)port->protocol : 0,
				  .port = port ? port->port : 0,
				  .addr = *a};
}

static int add_slots(struct plan_builder *b, enum plan_set set, const struct plan_vip *pv,
		     const struct api_port *port, const struct addr *a,
		     const struct plan_slots *slots)
{
	int r = 0;

	for (uint8_t i = 0; slots->any && r == 0 && i < PLAN_SLOTS; i++) {
		struct plan_elem e = elem_of(set, port, a);

		e.slot = i;
		e.value = pv->servers[slots->server_idx[i]].address;
		r = add_elem(b, e);
	}
	return r;
}

/* Without IPVS the active node serves alone, while its own server may have traffic. */
static int add_solo(struct plan_builder *b, const struct plan_vip *pv, const struct api_port *port,
		    const struct addr *a, const uint32_t *weights)
{
	for (size_t i = 0; i < pv->n_servers; i++) {
		struct plan_elem e = elem_of(PLAN_MAP_SOLO, port, a);

		if (!pv->servers[i].self || weights[i] == 0)
			continue;
		e.value = pv->servers[i].address;
		return add_elem(b, e);
	}
	return 0;
}

static int add_of_port(struct plan_builder *b, enum plan_set set, const struct plan_place *at,
		       size_t port_idx)
{
	const struct plan_vip *pv = at->held->pv;
	const struct api_port *port = &pv->vip->ports[port_idx];
	enum plan_set map = port->persistence_s > 0 ? PLAN_MAP_STICKY : PLAN_MAP_SLOTS;

	if (set == PLAN_SET_SERVICES)
		return add_elem(b, elem_of(set, port, at->addr));
	if (set == PLAN_MAP_SOLO)
		return b->facts->has_ipvs ? 0
					  : add_solo(b, pv, port, at->addr,
						     &at->held->weights[port_idx * pv->n_servers]);
	return set == map ? add_slots(b, set, pv, port, at->addr, &at->held->slots[port_idx]) : 0;
}

static int add_of_ports(struct plan_builder *b, enum plan_set set, const struct plan_place *at)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < at->held->pv->vip->n_ports; i++)
		r = add_of_port(b, set, at, at->held->port_idx[i]);
	return r;
}

static int add_of_address(struct plan_builder *b, enum plan_set set, const struct plan_place *at)
{
	struct plan_elem e = elem_of(set, NULL, at->addr);

	if (set == PLAN_SET_HOME)
		e.ifindex = at->held->pv->ifindex;
	else if (set == PLAN_MAP_NODE)
		e.value = at->held->pv->node_address;
	return add_elem(b, e);
}

/* ---- peers ---- */

static int cmp_host(const void *pa, const void *pb)
{
	const struct plan_host *a = pa, *b = pb;

	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return addr_cmp(&a->addr, &b->addr);
}

/* Where the fellow nodes are: members, nodes that only serve, and who else sends adverts. */
static size_t list_hosts(const struct plan *p, const struct plan_facts *f, struct plan_host *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_heard; i++)
		ret[n++] = f->heard[i];
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];

		if (!plan_vip_is_held(pv))
			continue;
		for (size_t j = 0; j < pv->n_members; j++) {
			if (!pv->members[j].self && addr_is_set(&pv->members[j].address))
				ret[n++] = (struct plan_host){pv->ifindex, pv->members[j].address};
		}
		for (size_t j = 0; j < pv->n_servers; j++) {
			if (!pv->servers[j].self && pv->servers[j].node_name[0] != '\0')
				ret[n++] = (struct plan_host){pv->ifindex, pv->servers[j].address};
		}
	}
	return n;
}

static bool is_own_mac(const struct plan_facts *f, const struct mac *m)
{
	for (size_t i = 0; i < f->n_links; i++) {
		if (mac_eq(&f->links[i].mac, m))
			return true;
	}
	return false;
}

static int cmp_mac(const void *pa, const void *pb)
{
	const struct mac *a = pa, *b = pb;

	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* The MACs of the fellow nodes, sorted; one machine, one MAC, whichever family told it. */
static size_t list_macs(const struct plan_facts *f, const struct plan_host *hosts, size_t n_hosts,
			struct mac *ret)
{
	size_t n = 0, n_unique = 0;

	for (size_t i = 0; i < f->n_neighs; i++) {
		const struct plan_neigh *ne = &f->neighs[i];
		struct plan_host key = {ne->ifindex, ne->addr};

		if (!mac_is_zero(&ne->mac) && !is_own_mac(f, &ne->mac) &&
		    bsearch(&key, hosts, n_hosts, sizeof(key), cmp_host))
			ret[n++] = ne->mac;
	}
	qsort(ret, n, sizeof(*ret), cmp_mac);
	for (size_t i = 0; i < n; i++) {
		if (n_unique == 0 || !mac_eq(&ret[n_unique - 1], &ret[i]))
			ret[n_unique++] = ret[i];
	}
	return n_unique;
}

static int add_macs(struct plan_builder *b, uint8_t family, const struct mac *macs, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_elem(b, (struct plan_elem){
					.set = PLAN_SET_PEERS, .family = family, .mac = macs[i]});
	return r;
}

static int add_peers(struct plan_builder *b)
{
	const struct plan *p = b->plan;
	size_t n_hosts = b->facts->n_heard, n_macs;
	AUTO(free_p) struct plan_host *hosts = NULL;
	AUTO(free_p) struct mac *macs = calloc(b->facts->n_neighs + 1, sizeof(*macs));
	int r = 0;

	for (size_t i = 0; i < p->n_vips; i++)
		n_hosts += p->vips[i].n_members + p->vips[i].n_servers;
	hosts = calloc(n_hosts + 1, sizeof(*hosts));
	if (!hosts || !macs)
		return -ENOMEM;
	n_hosts = list_hosts(p, b->facts, hosts);
	qsort(hosts, n_hosts, sizeof(*hosts), cmp_host);
	n_macs = list_macs(b->facts, hosts, n_hosts, macs);
	if (b->k->mark4 != 0)
		r = add_macs(b, AF_INET, macs, n_macs);
	if (r == 0 && b->k->mark6 != 0)
		r = add_macs(b, AF_INET6, macs, n_macs);
	return r;
}

/* ---- the whole ---- */

static int add_set(struct plan_builder *b, enum plan_set set)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n_places; i++) {
		switch (set) {
		case PLAN_SET_VIPS:
		case PLAN_SET_HOME:
		case PLAN_MAP_NODE:
			r = add_of_address(b, set, &b->places[i]);
			break;
		case PLAN_SET_SERVICES:
		case PLAN_MAP_SLOTS:
		case PLAN_MAP_STICKY:
		case PLAN_MAP_SOLO:
			r = add_of_ports(b, set, &b->places[i]);
			break;
		case PLAN_SET_PEERS:
			return add_peers(b);
		case PLAN_SET_REDIRECT:
		case PLAN_SET_ANSWER:
		case PLAN_SET_N:
			return 0; /* the role's */
		}
	}
	return r;
}

int plan_add_elems(struct plan_builder *b)
{
	int r = 0;

	for (unsigned int set = 0; r == 0 && set < PLAN_SET_N; set++)
		r = add_set(b, (enum plan_set)set);
	return r;
}
