/* plan_kernel: the kernel state that a plan needs whatever the roles are. */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

/* ---- services ---- */

uint32_t *plan_vip_weights(const struct plan_vip *pv, plan_verdict_fn verdict, const void *user)
{
	const struct api_vip *v = pv->vip;
	uint32_t *weights = calloc(v->n_ports * pv->n_servers + 1, sizeof(*weights));

	for (size_t i = 0; weights && i < v->n_ports; i++) {
		for (size_t j = 0; j < pv->n_servers; j++) {
			const struct plan_server *s = &pv->servers[j];

			if (s->weight > 0 &&
			    verdict(user, &s->address, &v->ports[i].check) == HEALTH_HEALTHY)
				weights[i * pv->n_servers + j] = s->weight;
		}
	}
	return weights;
}

/* mh and sh go on offering a server of weight 0 its share unless they may fall back. */
static uint32_t service_flags(const struct api_port *port)
{
	uint32_t flags = port->persistence_s > 0 ? PLAN_IPVS_PERSISTENT : 0;

	if (port->scheduler == API_SCHED_MH)
		flags |= PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2;
	else if (port->scheduler == API_SCHED_SH)
		flags |= PLAN_IPVS_SCHED1;
	return flags;
}

static void set_scheduler(struct plan_service *s, const char *name)
{
	size_t n = strnlen(name, sizeof(s->scheduler) - 1);

	memcpy(s->scheduler, name, n);
	s->scheduler[n] = '\0';
}

/*
 * An unhealthy server stays with weight 0, so that its connections stay, but for two cases where that
 * would go on sending it new ones: dh cannot fall back, and a client that persists is held to its server
 * at weight 0, too (unless expire_quiescent_template is set). One that is drained by its own weight of 0
 * keeps its persisting clients: that is what draining means.
 */
static bool is_left_out(const struct api_port *port, const struct plan_server *s, uint32_t weight)
{
	if (weight > 0)
		return false;
	return port->scheduler == API_SCHED_DH || (port->persistence_s > 0 && s->weight > 0);
}

int plan_service_make(const struct plan_vip *pv, const struct api_port *port, const struct addr *a,
		      const uint32_t *weights, struct plan_service *ret)
{
	struct plan_service s = {
		.family = a->family,
		.protocol = (uint8_t)port->protocol,
		.addr = *a,
		.port = port->port,
		.flags = service_flags(port),
		.timeout_s = port->persistence_s,
	};

	s.dests = calloc(pv->n_servers + 1, sizeof(*s.dests));
	if (!s.dests)
		return -ENOMEM;
	set_scheduler(&s, api_scheduler_name(port->scheduler));
	for (size_t i = 0; i < pv->n_servers; i++) {
		if (is_left_out(port, &pv->servers[i], weights[i]))
			continue;
		s.dests[s.n_dests++] = (struct plan_dest){
			.addr = pv->servers[i].address,
			.port = port->port,
			/* the local daemon sees its node's address, as with every other client */
			.forward = pv->servers[i].self ? PLAN_MASQ : PLAN_DROUTE,
			.weight = weights[i],
		};
	}
	*ret = s;
	return 0;
}

/* What the redirect rules mark goes to the local daemon through this one, as an IPVS connection. */
static int mark_service(const struct addr *node_address, uint32_t mark, struct plan_service *ret)
{
	struct plan_service s = {.fwmark = mark, .family = node_address->family};

	s.dests = calloc(1, sizeof(*s.dests));
	if (!s.dests)
		return -ENOMEM;
	set_scheduler(&s, "rr");
	s.dests[s.n_dests++] =
		(struct plan_dest){.addr = *node_address, .forward = PLAN_MASQ, .weight = 1};
	*ret = s;
	return 0;
}

/* ---- elements ---- */

struct builder {
	const struct plan *plan;
	const struct plan_facts *facts;
	struct plan_kernel *k;
	size_t cap_elems;
};

static int add_elem(struct builder *b, struct plan_elem e)
{
	struct plan_kernel *k = b->k;

	if (k->n_elems == b->cap_elems) {
		size_t cap = b->cap_elems > 0 ? 2 * b->cap_elems : 64;
		void *items = realloc(k->elems, cap * sizeof(*k->elems));

		if (!items)
			return -ENOMEM;
		k->elems = items;
		b->cap_elems = cap;
	}
	k->elems[k->n_elems++] = e;
	return 0;
}

static int add_slots(struct builder *b, const struct plan_vip *pv, const struct api_port *port,
		     const struct addr *a, const uint32_t *weights)
{
	uint32_t local[API_REAL_SERVERS_MAX + 1] = {0};
	uint64_t seeds[API_REAL_SERVERS_MAX + 1];
	uint64_t own = plan_hash_bytes(&pv->node_address, sizeof(pv->node_address));
	size_t slots[PLAN_SLOTS], n = pv->n_servers;
	bool keep_local = false;
	int r = 0;

	if (n > ARRAY_LEN(seeds))
		n = ARRAY_LEN(seeds);
	for (size_t i = 0; i < n; i++) {
		const struct plan_server *s = &pv->servers[i];

		seeds[i] = plan_hash_mix(own ^ plan_hash_bytes(&s->address, sizeof(s->address)));
		if (port->prefer_same_node && s->self && weights[i] > 0) {
			local[i] = weights[i];
			keep_local = true;
		}
	}
	if (!plan_slots_fill(keep_local ? local : weights, seeds, n, slots))
		return 0;
	for (uint8_t i = 0; r == 0 && i < PLAN_SLOTS; i++)
		r = add_elem(b, (struct plan_elem){
					.set = port->persistence_s > 0 ? PLAN_MAP_STICKY
								       : PLAN_MAP_SLOTS,
					.family = a->family,
					.protocol = (uint8_t)port->protocol,
					.slot = i,
					.port = port->port,
					.addr = *a,
					.value = pv->servers[slots[i]].address,
				});
	return r;
}

/* Without IPVS the active node serves alone, while its own server may have traffic. */
static int add_solo(struct builder *b, const struct plan_vip *pv, const struct api_port *port,
		    const struct addr *a, const uint32_t *weights)
{
	for (size_t i = 0; i < pv->n_servers; i++) {
		if (!pv->servers[i].self || weights[i] == 0)
			continue;
		return add_elem(b, (struct plan_elem){.set = PLAN_MAP_SOLO,
						      .family = a->family,
						      .protocol = (uint8_t)port->protocol,
						      .port = port->port,
						      .addr = *a,
						      .value = pv->servers[i].address});
	}
	return 0;
}

static int add_port(struct builder *b, const struct plan_vip *pv, const struct api_port *port,
		    const struct addr *a, const uint32_t *weights)
{
	struct plan_kernel *k = b->k;
	int r = add_elem(b, (struct plan_elem){.set = PLAN_SET_SERVICES,
					       .family = a->family,
					       .protocol = (uint8_t)port->protocol,
					       .port = port->port,
					       .addr = *a});

	if (r == 0)
		r = add_slots(b, pv, port, a, weights);
	if (r == 0 && !b->facts->has_ipvs)
		r = add_solo(b, pv, port, a, weights);
	/* a node that only serves directs nothing: its share is the firewall-mark service */
	if (r == 0 && b->facts->has_ipvs && pv->routes) {
		r = plan_service_make(pv, port, a, weights, &k->services[k->n_services]);
		k->n_services += r == 0;
	}
	return r;
}

static int add_address(struct builder *b, const struct plan_vip *pv, const struct addr *a,
		       const uint32_t *weights)
{
	struct plan_kernel *k = b->k;
	struct plan_elem e = {.family = a->family, .addr = *a};
	int r;

	k->routes[k->n_routes++] = (struct plan_route){.addr = *a, .src = pv->node_address};
	e.set = PLAN_SET_VIPS;
	r = add_elem(b, e);
	if (r == 0) {
		e.set = PLAN_SET_HOME;
		e.ifindex = pv->ifindex;
		r = add_elem(b, e);
	}
	if (r == 0) {
		e.set = PLAN_MAP_NODE;
		e.ifindex = 0;
		e.value = pv->node_address;
		r = add_elem(b, e);
	}
	for (size_t i = 0; r == 0 && i < pv->vip->n_ports; i++)
		r = add_port(b, pv, &pv->vip->ports[i], a, &weights[i * pv->n_servers]);
	return r;
}

static int add_vip(struct builder *b, const struct plan_vip *pv, plan_verdict_fn verdict,
		   const void *user)
{
	AUTO(free_p) uint32_t *weights = plan_vip_weights(pv, verdict, user);
	int r = weights ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < pv->vip->n_addresses; i++)
		r = add_address(b, pv, &pv->vip->addresses[i], weights);
	if (pv->vip->addresses[0].family == AF_INET)
		b->k->links[b->k->n_links++] = (struct plan_linkconf){
			.ifindex = pv->ifindex, .arp_ignore = 1, .arp_announce = 2};
	return r;
}

/* ---- peers ---- */

struct place {
	unsigned int ifindex;
	struct addr addr;
};

static int cmp_place(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return addr_cmp(&a->addr, &b->addr);
}

/* Where the fellow nodes are: members, and nodes that only serve. */
static size_t list_places(const struct plan *p, struct place *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];

		if (!plan_vip_is_held(pv))
			continue;
		for (size_t j = 0; j < pv->n_members; j++) {
			if (!pv->members[j].self && addr_is_set(&pv->members[j].address))
				ret[n++] = (struct place){pv->ifindex, pv->members[j].address};
		}
		for (size_t j = 0; j < pv->n_servers; j++) {
			if (!pv->servers[j].self && pv->servers[j].node_name[0] != '\0')
				ret[n++] = (struct place){pv->ifindex, pv->servers[j].address};
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

static int add_peers(struct builder *b)
{
	const struct plan *p = b->plan;
	AUTO(free_p) struct place *places = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < p->n_vips; i++)
		n += p->vips[i].n_members + p->vips[i].n_servers;
	places = calloc(n + 1, sizeof(*places));
	if (!places)
		return -ENOMEM;
	n = list_places(p, places);
	qsort(places, n, sizeof(*places), cmp_place);
	for (size_t i = 0; r == 0 && i < b->facts->n_neighs; i++) {
		const struct plan_neigh *ne = &b->facts->neighs[i];
		struct place key = {ne->ifindex, ne->addr};
		struct plan_elem e = {.set = PLAN_SET_PEERS, .mac = ne->mac};

		if (mac_is_zero(&ne->mac) || !bsearch(&key, places, n, sizeof(key), cmp_place) ||
		    is_own_mac(b->facts, &ne->mac))
			continue;
		/* one machine, one MAC, whichever family told it */
		e.family = AF_INET;
		if (b->k->mark4 != 0)
			r = add_elem(b, e);
		e.family = AF_INET6;
		if (r == 0 && b->k->mark6 != 0)
			r = add_elem(b, e);
	}
	return r;
}

/* ---- the whole ---- */

static int allocate(struct plan_kernel *k, const struct plan *p)
{
	size_t n_addrs = 0, n_services = 0;

	for (size_t i = 0; i < p->n_vips; i++) {
		const struct api_vip *v = p->vips[i].vip;

		n_addrs += v->n_addresses;
		n_services += v->n_addresses * v->n_ports;
	}
	k->services = calloc(n_services + 2, sizeof(*k->services));
	k->routes = calloc(n_addrs + 1, sizeof(*k->routes));
	k->links = calloc(p->n_vips + 1, sizeof(*k->links));
	return k->services && k->routes && k->links ? 0 : -ENOMEM;
}

static int add_node(struct builder *b)
{
	const struct plan *p = b->plan;
	const struct plan_facts *f = b->facts;
	struct plan_kernel *k = b->k;
	int r = 0;

	if (addr_is_set(&p->node4))
		k->mark4 = plan_mark(&p->node4);
	if (addr_is_set(&p->node6))
		k->mark6 = plan_mark(&p->node6);
	if (!f->has_ipvs || p->sync_ifname[0] == '\0')
		return 0;
	if (k->mark4 != 0) {
		r = mark_service(&p->node4, k->mark4, &k->services[k->n_services]);
		k->n_services += r == 0;
	}
	if (r == 0 && k->mark6 != 0) {
		r = mark_service(&p->node6, k->mark6, &k->services[k->n_services]);
		k->n_services += r == 0;
	}
	k->tcp_timeout_s = f->tcp_timeout_s;
	if (f->sync_id != 0) {
		k->master.sync_id = f->sync_id;
		memcpy(k->master.ifname, p->sync_ifname, sizeof(k->master.ifname));
		k->backup = k->master;
	}
	return r;
}

static void drop_duplicates(struct plan_kernel *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_elems; i++) {
		if (n == 0 || plan_elem_cmp(&k->elems[n - 1], &k->elems[i]) != 0)
			k->elems[n++] = k->elems[i];
	}
	k->n_elems = n;
	n = 0;
	for (size_t i = 0; i < k->n_links; i++) {
		if (n == 0 || k->links[n - 1].ifindex != k->links[i].ifindex)
			k->links[n++] = k->links[i];
	}
	k->n_links = n;
}

int plan_kernel_want(const struct plan *p, const struct plan_facts *facts, plan_verdict_fn verdict,
		     const void *user, struct plan_kernel *ret)
{
	AUTO(plan_kernel_done) struct plan_kernel k = {0};
	struct builder b = {.plan = p, .facts = facts, .k = &k};
	int r = allocate(&k, p);

	if (r == 0)
		r = add_node(&b);
	for (size_t i = 0; r == 0 && i < p->n_vips; i++) {
		if (plan_vip_is_held(&p->vips[i]))
			r = add_vip(&b, &p->vips[i], verdict, user);
	}
	if (r == 0)
		r = add_peers(&b);
	if (r < 0)
		return r;
	plan_kernel_sort(&k);
	drop_duplicates(&k);
	*ret = k;
	k = (struct plan_kernel){0};
	return 0;
}
