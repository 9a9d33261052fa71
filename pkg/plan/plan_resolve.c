/*
 * plan_resolve: from objects and facts to a plan: for each VirtualIP the interface, this node's address,
 * who takes part and who serves. What stands in the way is plan_conflict's and plan_judge's.
 */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

#include "vrrp/vrrp.h"

#define VALID_LFT_MIN_NS (3 * NS_PER_S)
#define VALID_LFT_MARGIN_NS (2 * NS_PER_S)

int plan_turn_cmp(const void *pa, const void *pb)
{
	const struct plan_turn *a = pa, *b = pb;

	if (a->age_s != b->age_s)
		return a->age_s < b->age_s ? -1 : 1;
	return (a->vip_idx > b->vip_idx) - (a->vip_idx < b->vip_idx);
}

/* ---- members: who takes part ---- */

static int find_members(const struct plan_index *ix, struct plan_vip *pv, struct plan_work *w)
{
	const struct plan_objects *o = ix->objects;

	pv->members = calloc(o->n_nodes + 1, sizeof(*pv->members));
	w->node_idx = calloc(o->n_nodes + 1, sizeof(*w->node_idx));
	if (!pv->members || !w->node_idx)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_nodes; i++) {
		const struct api_node *node = ix->nodes[i];

		if (!api_selector_matches(&pv->vip->node_selector, node->labels, node->n_labels))
			continue;
		w->node_idx[pv->n_members] = i;
		pv->members[pv->n_members++] = (struct plan_member){
			.name = node->name,
			.cordoned = node->unschedulable,
			.ready = node->ready,
			.self = node == ix->self,
		};
		w->is_selected |= node == ix->self;
	}
	return 0;
}

/* Another node's address as far as this one can know it. */
static struct addr address_of(const struct plan_index *ix, const struct api_node *node,
			      uint8_t family, const struct plan_link *link)
{
	struct addr first = {0};

	for (size_t i = 0; i < node->n_internal_ips; i++) {
		const struct addr *a = &node->internal_ips[i];

		if (a->family != family)
			continue;
		if (link && plan_index_on_link(ix, link, a))
			return *a;
		if (!addr_is_set(&first))
			first = *a;
	}
	return first;
}

static void address_members(const struct plan_index *ix, struct plan_vip *pv,
			    const struct plan_work *w)
{
	for (size_t i = 0; i < pv->n_members; i++) {
		struct plan_member *m = &pv->members[i];

		m->address = m->self ? pv->node_address
				     : address_of(ix, ix->nodes[w->node_idx[i]],
						  plan_vip_family(pv), w->link);
		if (m->self)
			pv->priority = m->priority;
		else if (m->ready && !m->cordoned)
			pv->others_ready = true;
	}
	pv->cordoned = ix->self && ix->self->unschedulable;
}

/* ---- this node: interface and address ---- */

static const struct plan_link *default_link(const struct plan_facts *f, uint8_t family)
{
	unsigned int ifindex = family == AF_INET ? f->default_ifindex4 : f->default_ifindex6;

	for (size_t i = 0; ifindex > 0 && i < f->n_links; i++) {
		if (f->links[i].ifindex == ifindex)
			return &f->links[i];
	}
	return NULL;
}

static const struct plan_link *find_link(const struct plan_index *ix, const struct api_vip *v)
{
	if (v->interface[0] != '\0')
		return plan_index_link(ix, v->interface);
	for (size_t i = 0; i < v->n_addresses; i++) {
		const struct plan_link *l = plan_index_segment(ix, &v->addresses[i]);

		if (l)
			return l;
	}
	return default_link(ix->facts, v->addresses[0].family);
}

/* VIP addresses come and go on the interface: they are no node addresses. */
static bool is_vip_address(const struct plan_ifaddr *a)
{
	return a->finite && a->prefix_len >= 8 * addr_len(&a->addr);
}

/*
 * The InternalIP must be on the interface, not only in its subnet: the kernel takes no other address as
 * the source of a local route, and no daemon could be reached there.
 */
static struct addr own_address(const struct plan_index *ix, const struct plan_link *l,
			       uint8_t family)
{
	const struct api_node *self = ix->self;

	for (size_t i = 0; self && i < self->n_internal_ips; i++) {
		const struct plan_ifaddr *a = plan_index_ifaddr(ix, l, &self->internal_ips[i]);

		if (a && a->addr.family == family && !a->tentative)
			return a->addr;
	}
	for (size_t i = 0; i < l->n_addrs; i++) {
		const struct plan_ifaddr *a = &l->addrs[i];

		if (a->addr.family == family && !a->tentative && !is_vip_address(a) &&
		    addr_is_unicast(&a->addr) && !addr_is_link_local(&a->addr))
			return a->addr;
	}
	return (struct addr){0};
}

static struct addr link_local(const struct plan_link *l)
{
	for (size_t i = 0; i < l->n_addrs; i++) {
		const struct plan_ifaddr *a = &l->addrs[i];

		if (a->addr.family == AF_INET6 && addr_is_link_local(&a->addr) && !a->tentative &&
		    !is_vip_address(a))
			return a->addr;
	}
	return (struct addr){0};
}

static void find_place(const struct plan_index *ix, struct plan_vip *pv, struct plan_work *w)
{
	uint8_t family = plan_vip_family(pv);

	w->link = find_link(ix, pv->vip);
	if (!w->link) {
		memcpy(pv->ifname, pv->vip->interface, sizeof(pv->ifname));
		return;
	}
	pv->ifindex = w->link->ifindex;
	memcpy(pv->ifname, w->link->name, sizeof(pv->ifname));
	pv->node_address = own_address(ix, w->link, family);
	pv->source = family == AF_INET ? pv->node_address : link_local(w->link);
}

/* ---- real servers ---- */

static int cmp_server(const void *pa, const void *pb)
{
	const struct plan_server *a = pa, *b = pb;

	return addr_cmp(&a->address, &b->address);
}

static struct plan_server listed_server(const struct plan_index *ix, const struct plan_vip *pv,
					const struct api_real_server *rs)
{
	const struct api_node *node = plan_index_owner(ix, &rs->address);

	/* an address of this node that its Node object does not tell */
	if (!node &&
	    (addr_eq(&rs->address, &pv->node_address) || plan_index_local(ix, &rs->address)))
		node = ix->self;
	return (struct plan_server){
		.address = rs->address,
		.weight = rs->weight,
		.node_name = node ? node->name : "",
		.self = node && node == ix->self,
	};
}

/* Sorted by address, so that every node adds destinations in the same order; each address once. */
static int find_servers(const struct plan_index *ix, struct plan_vip *pv, const struct plan_work *w)
{
	const struct api_vip *v = pv->vip;
	size_t n = 0;

	pv->servers = calloc(v->n_real_servers + pv->n_members + 1, sizeof(*pv->servers));
	if (!pv->servers)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_real_servers; i++)
		pv->servers[n++] = listed_server(ix, pv, &v->real_servers[i]);
	for (size_t i = 0; v->n_real_servers == 0 && i < pv->n_members; i++) {
		const struct plan_member *m = &pv->members[i];

		if (addr_is_set(&m->address))
			pv->servers[n++] = (struct plan_server){.address = m->address,
								.weight = 1,
								.node_name = m->name,
								.self = m->self};
	}
	qsort(pv->servers, n, sizeof(*pv->servers), cmp_server);
	for (size_t i = 0; i < n; i++) {
		struct plan_server *s = &pv->servers[i];

		if (pv->n_servers > 0 && cmp_server(&pv->servers[pv->n_servers - 1], s) == 0)
			continue;
		s->on_link = s->self || (w->link && plan_index_on_link(ix, w->link, &s->address));
		pv->serves |= s->self;
		pv->servers[pv->n_servers++] = *s;
	}
	return 0;
}

/* ---- how long an address lives without renewal ---- */

static uint32_t valid_lft(const struct plan_vip *pv)
{
	const struct api_vip *v = pv->vip;
	uint64_t ns =
		vrrp_down_ns(v->version, pv->priority, v->advert_period_ns) + VALID_LFT_MARGIN_NS;

	if (ns < VALID_LFT_MIN_NS)
		ns = VALID_LFT_MIN_NS;
	return (uint32_t)((ns + NS_PER_S - 1) / NS_PER_S);
}

/* ---- the whole ---- */

static int cmp_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The node address of most VIPs: what the others' services know this node by. */
static int choose_node_address(const struct plan *p, uint8_t family, struct addr *ret)
{
	AUTO(free_p) struct addr *addrs = calloc(p->n_vips + 1, sizeof(*addrs));
	size_t n = 0, most = 0;

	if (!addrs)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_vips; i++) {
		if (plan_vip_is_held(&p->vips[i]) && plan_vip_family(&p->vips[i]) == family)
			addrs[n++] = p->vips[i].node_address;
	}
	qsort(addrs, n, sizeof(*addrs), addr_order);
	for (size_t start = 0, end; start < n; start = end) {
		for (end = start; end < n && addr_eq(&addrs[start], &addrs[end]);)
			end++;
		if (end - start > most) {
			most = end - start;
			*ret = addrs[start];
		}
	}
	return 0;
}

static int choose_sync_link(struct plan *p)
{
	AUTO(free_p) const char **names = calloc(p->n_vips + 1, sizeof(*names));
	size_t n = 0, most = 0;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_vips; i++) {
		if (plan_vip_is_held(&p->vips[i]))
			names[n++] = p->vips[i].ifname;
	}
	qsort(names, n, sizeof(*names), cmp_name);
	for (size_t start = 0, end; start < n; start = end) {
		for (end = start; end < n && strcmp(names[start], names[end]) == 0;)
			end++;
		if (end - start > most) {
			most = end - start;
			memcpy(p->sync_ifname, names[start], sizeof(p->sync_ifname));
		}
	}
	return 0;
}

static int resolve(const struct plan_index *ix, struct plan *p, struct plan_work *work)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_vips; i++)
		r = find_members(ix, &p->vips[i], &work[i]);
	if (r == 0)
		r = plan_claim_addresses(ix, p, work);
	if (r == 0)
		r = plan_prioritise(ix, p, work);
	for (size_t i = 0; r == 0 && i < p->n_vips; i++) {
		find_place(ix, &p->vips[i], &work[i]);
		address_members(ix, &p->vips[i], &work[i]);
		r = find_servers(ix, &p->vips[i], &work[i]);
		plan_judge(ix, &p->vips[i], &work[i]);
	}
	if (r == 0)
		r = plan_claim_vrids(ix, p, work);
	for (size_t i = 0; r == 0 && i < p->n_vips; i++) {
		plan_conclude(ix, &p->vips[i], &work[i]);
		p->vips[i].valid_lft_s = valid_lft(&p->vips[i]);
	}
	if (r == 0)
		r = choose_node_address(p, AF_INET, &p->node4);
	if (r == 0)
		r = choose_node_address(p, AF_INET6, &p->node6);
	return r == 0 ? choose_sync_link(p) : r;
}

int plan_resolve(const struct plan_objects *objects, const struct plan_facts *facts,
		 struct plan **ret)
{
	AUTO(plan_free_p) struct plan *p = calloc(1, sizeof(*p));
	AUTO(free_p) struct plan_work *work = calloc(objects->n_vips + 1, sizeof(*work));
	struct plan_index ix;
	int r;

	if (!p || !work)
		return -ENOMEM;
	p->vips = calloc(objects->n_vips + 1, sizeof(*p->vips));
	if (!p->vips)
		return -ENOMEM;
	p->n_vips = objects->n_vips;
	for (size_t i = 0; i < p->n_vips; i++) {
		p->vips[i].vip = objects->vips[i];
		p->vips[i].vrid = objects->vips[i]->vrid;
	}
	for (size_t i = 0; i < p->n_vips; i++)
		work[i].age_s = objects->by_name ? 0 : p->vips[i].vip->created_s;

	r = plan_index_init(&ix, objects, facts);
	if (r == 0)
		r = resolve(&ix, p, work);
	plan_index_done(&ix);
	for (size_t i = 0; i < p->n_vips; i++)
		free(work[i].node_idx);
	if (r < 0)
		return r;
	*ret = STEAL(p);
	return 0;
}
