/* plan_kernel: the kernel state that a plan needs whatever the roles are; its elements are in plan_elems.c. */
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

/* ---- places ---- */

static void builder_done(struct plan_builder *b)
{
	for (size_t i = 0; i < b->n_helds; i++) {
		free(b->helds[i].weights);
		free(b->helds[i].slots);
	}
	free(b->helds);
	free(b->places);
}

static int cmp_place(const void *pa, const void *pb)
{
	const struct plan_place *a = pa, *b = pb;

	return addr_cmp(a->addr, b->addr);
}

static bool port_is_before(const struct api_port *a, const struct api_port *b)
{
	return a->protocol != b->protocol ? a->protocol < b->protocol : a->port < b->port;
}

static void order_ports(const struct api_vip *v, uint8_t *ret_idx)
{
	for (size_t n = 0; n < v->n_ports; n++) {
		size_t i = n;

		for (; i > 0 && port_is_before(&v->ports[n], &v->ports[ret_idx[i - 1]]); i--)
			ret_idx[i] = ret_idx[i - 1];
		ret_idx[i] = (uint8_t)n;
	}
}

static int list_places(struct plan_builder *b, plan_verdict_fn verdict, const void *user)
{
	const struct plan *p = b->plan;
	size_t n = 0;

	for (size_t i = 0; i < p->n_vips; i++)
		n += p->vips[i].vip->n_addresses;
	b->helds = calloc(p->n_vips + 1, sizeof(*b->helds));
	b->places = calloc(n + 1, sizeof(*b->places));
	if (!b->helds || !b->places)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];
		struct plan_held *h = &b->helds[b->n_helds];

		if (!plan_vip_is_held(pv))
			continue;
		b->n_helds++;
		*h = (struct plan_held){.pv = pv, .weights = plan_vip_weights(pv, verdict, user)};
		h->slots = h->weights ? plan_vip_slots(pv, h->weights) : NULL;
		if (!h->slots)
			return -ENOMEM;
		order_ports(pv->vip, h->port_idx);
		for (size_t a = 0; a < pv->vip->n_addresses; a++)
			b->places[b->n_places++] = (struct plan_place){&pv->vip->addresses[a], h};
	}
	qsort(b->places, b->n_places, sizeof(*b->places), cmp_place);
	return 0;
}

/* ---- the whole ---- */

/* A node that only serves directs nothing: its share is the firewall-mark service. */
static int add_services(struct plan_builder *b)
{
	struct plan_kernel *k = b->k;
	size_t n = 0;

	for (size_t i = 0; i < b->n_places; i++)
		n += b->places[i].held->pv->vip->n_ports;
	k->services = calloc(n + 2, sizeof(*k->services));
	if (!k->services)
		return -ENOMEM;
	for (size_t i = 0; b->facts->has_ipvs && i < b->n_places; i++) {
		const struct plan_held *h = b->places[i].held;
		const struct api_vip *v = h->pv->vip;

		for (size_t j = 0; h->pv->routes && j < v->n_ports; j++) {
			size_t p = h->port_idx[j];

			if (plan_service_make(h->pv, &v->ports[p], b->places[i].addr,
					      &h->weights[p * h->pv->n_servers],
					      &k->services[k->n_services]) < 0)
				return -ENOMEM;
			k->n_services++;
		}
	}
	return 0;
}

static int add_routes(struct plan_builder *b)
{
	struct plan_kernel *k = b->k;

	k->routes = calloc(b->n_places + 1, sizeof(*k->routes));
	if (!k->routes)
		return -ENOMEM;
	for (size_t i = 0; i < b->n_places; i++)
		k->routes[k->n_routes++] = (struct plan_route){
			.addr = *b->places[i].addr, .src = b->places[i].held->pv->node_address};
	return 0;
}

static bool has_link(const struct plan_kernel *k, unsigned int ifindex)
{
	for (size_t i = 0; i < k->n_links; i++) {
		if (k->links[i].ifindex == ifindex)
			return true;
	}
	return false;
}

static int add_links(struct plan_builder *b)
{
	struct plan_kernel *k = b->k;

	k->links = calloc(b->n_helds + 1, sizeof(*k->links));
	if (!k->links)
		return -ENOMEM;
	for (size_t i = 0; i < b->n_helds; i++) {
		const struct plan_vip *pv = b->helds[i].pv;

		if (plan_vip_family(pv) == AF_INET && !has_link(k, pv->ifindex))
			k->links[k->n_links++] = (struct plan_linkconf){
				.ifindex = pv->ifindex, .arp_ignore = 1, .arp_announce = 2};
	}
	qsort(k->links, k->n_links, sizeof(*k->links), plan_linkconf_order);
	return 0;
}

static int add_node(struct plan_builder *b)
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

int plan_kernel_want(const struct plan *p, const struct plan_facts *facts, plan_verdict_fn verdict,
		     const void *user, struct plan_kernel *ret)
{
	AUTO(plan_kernel_done) struct plan_kernel k = {0};
	AUTO(builder_done) struct plan_builder b = {.plan = p, .facts = facts, .k = &k};
	int r = list_places(&b, verdict, user);

	if (r == 0)
		r = add_services(&b);
	if (r == 0)
		r = add_node(&b);
	if (r == 0)
		r = plan_add_elems(&b);
	if (r == 0)
		r = add_routes(&b);
	if (r == 0)
		r = add_links(&b);
	if (r < 0)
		return r;
	*ret = k;
	k = (struct plan_kernel){0};
	return 0;
}
