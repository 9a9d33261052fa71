/* plan_role: what moves with the role of one VIP, prepared so that a switch only has to do it. */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

/* ---- elements ---- */

/* While not active, this node serves what reaches it itself, where its own server may have traffic. */
static int make_redirect(const struct plan_vip *pv, const uint32_t *weights, struct plan_role *r)
{
	const struct api_vip *v = pv->vip;

	r->redirect = calloc(v->n_ports * v->n_addresses + 1, sizeof(*r->redirect));
	if (!r->redirect)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_ports; i++) {
		bool is_served = false;

		for (size_t j = 0; j < pv->n_servers; j++)
			is_served |= pv->servers[j].self && weights[i * pv->n_servers + j] > 0;
		for (size_t j = 0; is_served && j < v->n_addresses; j++)
			r->redirect[r->n_redirect++] =
				(struct plan_elem){.set = PLAN_SET_REDIRECT,
						   .family = v->addresses[j].family,
						   .protocol = (uint8_t)v->ports[i].protocol,
						   .port = v->ports[i].port,
						   .addr = v->addresses[j]};
	}
	return 0;
}

static int make_answer(const struct plan_vip *pv, struct plan_role *r)
{
	const struct api_vip *v = pv->vip;

	r->answer = calloc(v->n_addresses + 1, sizeof(*r->answer));
	if (!r->answer)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_addresses; i++) {
		if (v->addresses[i].family == AF_INET)
			r->answer[r->n_answer++] = (struct plan_elem){.set = PLAN_SET_ANSWER,
								      .family = AF_INET,
								      .addr = v->addresses[i],
								      .ifindex = pv->ifindex};
	}
	return 0;
}

static int make_services(const struct plan_vip *pv, const uint32_t *weights, struct plan_role *r)
{
	const struct api_vip *v = pv->vip;
	int err = 0;

	r->services = calloc(v->n_ports * v->n_addresses + 1, sizeof(*r->services));
	if (!r->services)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < v->n_ports; i++) {
		for (size_t j = 0; err == 0 && j < v->n_addresses; j++) {
			err = plan_service_make(pv, &v->ports[i], &v->addresses[j],
						&weights[i * pv->n_servers],
						&r->services[r->n_services]);
			r->n_services += err == 0;
		}
	}
	return err;
}

/* ---- suspects ---- */

struct source { /* what a member's adverts may come from */
	struct addr addr;
	const struct plan_member *member;
};
struct sources {
	struct source *items;
	size_t n;
};

static int add_source(struct sources *s, const struct addr *a, const struct plan_member *m)
{
	void *items = realloc(s->items, (s->n + 1) * sizeof(*s->items));

	if (!items)
		return -ENOMEM;
	s->items = items;
	s->items[s->n++] = (struct source){.addr = *a, .member = m};
	return 0;
}

static void sources_done(struct sources *s)
{
	free(s->items);
}

static const struct plan_member *member_at(const struct plan_vip *pv, const struct addr *a)
{
	for (size_t i = 0; i < pv->n_members; i++) {
		if (!pv->members[i].self && addr_eq(&pv->members[i].address, a))
			return &pv->members[i];
	}
	return NULL;
}

/* IPv6 adverts come from a link-local address: the one with the MAC of the member's known address. */
static int find_link_locals(const struct plan_vip *pv, const struct plan_facts *f,
			    struct sources *ret)
{
	AUTO(free_p) const struct plan_neigh **known = calloc(f->n_neighs + 1, sizeof(*known));
	size_t n_known = 0;
	int r = 0;

	if (!known)
		return -ENOMEM;
	for (size_t i = 0; i < f->n_neighs; i++) {
		if (f->neighs[i].ifindex == pv->ifindex && member_at(pv, &f->neighs[i].addr))
			known[n_known++] = &f->neighs[i];
	}
	for (size_t i = 0; r == 0 && i < f->n_neighs; i++) {
		const struct plan_neigh *ne = &f->neighs[i];

		if (ne->ifindex != pv->ifindex || ne->addr.family != AF_INET6 ||
		    !addr_is_link_local(&ne->addr))
			continue;
		for (size_t j = 0; r == 0 && j < n_known; j++) {
			if (mac_eq(&known[j]->mac, &ne->mac))
				r = add_source(ret, &ne->addr, member_at(pv, &known[j]->addr));
		}
	}
	return r;
}

static int find_sources(const struct plan_vip *pv, const struct plan_facts *f, struct sources *ret)
{
	int r = 0;

	if (pv->vip->addresses[0].family == AF_INET6)
		return find_link_locals(pv, f, ret);
	for (size_t i = 0; r == 0 && i < pv->n_members; i++) {
		const struct plan_member *m = &pv->members[i];

		if (!m->self && addr_is_set(&m->address))
			r = add_source(ret, &m->address, m);
	}
	return r;
}

static int cmp_suspect(const void *pa, const void *pb)
{
	const struct plan_suspect *a = pa, *b = pb;
	int c = addr_cmp(&a->source, &b->source);

	return c != 0 ? c : addr_cmp(&a->server, &b->server);
}

/* One for each source and each real server on that source's node. */
static int make_suspects(const struct plan_vip *pv, const struct plan_facts *f, struct plan_role *r)
{
	AUTO(sources_done) struct sources s = {0};
	int err = find_sources(pv, f, &s);

	if (err < 0)
		return err;
	r->suspects = calloc(s.n * pv->n_servers + 1, sizeof(*r->suspects));
	if (!r->suspects)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++) {
		for (size_t j = 0; j < pv->n_servers; j++) {
			if (strcmp(pv->servers[j].node_name, s.items[i].member->name) == 0)
				r->suspects[r->n_suspects++] =
					(struct plan_suspect){.source = s.items[i].addr,
							      .server = pv->servers[j].address};
		}
	}
	qsort(r->suspects, r->n_suspects, sizeof(*r->suspects), cmp_suspect);
	return 0;
}

/* ---- the whole ---- */

int plan_role_want(const struct plan *p, size_t vip_idx, const struct plan_facts *facts,
		   plan_verdict_fn verdict, const void *user, struct plan_role *ret)
{
	const struct plan_vip *pv = &p->vips[vip_idx];
	AUTO(plan_role_done) struct plan_role role = {0};
	AUTO(free_p) uint32_t *weights = NULL;
	int r = 0;

	if (!plan_vip_is_held(pv)) {
		*ret = role;
		return 0;
	}
	weights = plan_vip_weights(pv, verdict, user);
	if (!weights)
		return -ENOMEM;
	role.ifindex = pv->ifindex;
	role.n_addrs = pv->vip->n_addresses;
	memcpy(role.addrs, pv->vip->addresses, role.n_addrs * sizeof(role.addrs[0]));
	role.valid_lft_s = pv->valid_lft_s;
	r = make_answer(pv, &role);
	if (r == 0 && facts->has_ipvs)
		r = make_redirect(pv, weights, &role);
	if (r == 0 && facts->has_ipvs && pv->routes)
		r = make_services(pv, weights, &role);
	if (r == 0 && facts->has_ipvs && pv->routes)
		r = make_suspects(pv, facts, &role);
	if (r < 0)
		return r;
	*ret = role;
	role = (struct plan_role){0};
	return 0;
}

static bool elems_eq(const struct plan_elem *a, size_t n_a, const struct plan_elem *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (plan_elem_cmp(&a[i], &b[i]) != 0 || !addr_eq(&a[i].value, &b[i].value))
			return false;
	}
	return true;
}

static bool service_eq(const struct plan_service *a, const struct plan_service *b)
{
	if (plan_service_cmp(a, b) != 0 || strcmp(a->scheduler, b->scheduler) != 0 ||
	    a->flags != b->flags || a->timeout_s != b->timeout_s || a->n_dests != b->n_dests)
		return false;
	for (size_t i = 0; i < a->n_dests; i++) {
		if (plan_dest_cmp(&a->dests[i], &b->dests[i]) != 0 ||
		    a->dests[i].weight != b->dests[i].weight ||
		    a->dests[i].forward != b->dests[i].forward)
			return false;
	}
	return true;
}

bool plan_role_eq(const struct plan_role *a, const struct plan_role *b)
{
	if (a->ifindex != b->ifindex || a->n_addrs != b->n_addrs ||
	    a->valid_lft_s != b->valid_lft_s || a->n_services != b->n_services ||
	    a->n_suspects != b->n_suspects)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++) {
		if (!addr_eq(&a->addrs[i], &b->addrs[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_services; i++) {
		if (!service_eq(&a->services[i], &b->services[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_suspects; i++) {
		if (cmp_suspect(&a->suspects[i], &b->suspects[i]) != 0)
			return false;
	}
	return elems_eq(a->redirect, a->n_redirect, b->redirect, b->n_redirect) &&
	       elems_eq(a->answer, a->n_answer, b->answer, b->n_answer);
}
