/* plan_index: nodes, InternalIPs, this node's addresses and subnets, sorted for lookup. */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

static int cmp_node(const void *pa, const void *pb)
{
	const struct api_node *const *a = pa, *const *b = pb;

	return strcmp((*a)->name, (*b)->name);
}

static int cmp_owner(const void *pa, const void *pb)
{
	const struct plan_owner *a = pa, *b = pb;
	int c = addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : (a->node_idx > b->node_idx) - (a->node_idx < b->node_idx);
}

static int cmp_local(const void *pa, const void *pb)
{
	const struct plan_local *a = pa, *b = pb;

	return addr_cmp(&a->addr, &b->addr);
}

static int cmp_subnet(const void *pa, const void *pb)
{
	const struct plan_subnet *a = pa, *b = pb;

	if (a->prefix_len != b->prefix_len)
		return a->prefix_len > b->prefix_len ? -1 : 1;
	return (a->link->ifindex > b->link->ifindex) - (a->link->ifindex < b->link->ifindex);
}

static uint8_t host_prefix(const struct addr *a)
{
	return (uint8_t)(8 * addr_len(a));
}

static int index_nodes(struct plan_index *ix)
{
	const struct plan_objects *o = ix->objects;
	size_t n_ips = 0;

	ix->nodes = calloc(o->n_nodes + 1, sizeof(const struct api_node *));
	if (!ix->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_nodes; i++) {
		ix->nodes[i] = o->nodes[i];
		n_ips += o->nodes[i]->n_internal_ips;
		if (strcmp(o->nodes[i]->name, ix->facts->self) == 0)
			ix->self = o->nodes[i];
	}
	qsort(ix->nodes, o->n_nodes, sizeof(const struct api_node *), cmp_node);

	ix->owners = calloc(n_ips + 1, sizeof(*ix->owners));
	if (!ix->owners)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_nodes; i++) {
		for (size_t j = 0; j < ix->nodes[i]->n_internal_ips; j++)
			ix->owners[ix->n_owners++] = (struct plan_owner){
				.addr = ix->nodes[i]->internal_ips[j], .node_idx = i};
	}
	qsort(ix->owners, ix->n_owners, sizeof(*ix->owners), cmp_owner);
	return 0;
}

static int index_links(struct plan_index *ix)
{
	const struct plan_facts *f = ix->facts;
	size_t n = 0;

	for (size_t i = 0; i < f->n_links; i++)
		n += f->links[i].n_addrs;
	ix->locals = calloc(n + 1, sizeof(*ix->locals));
	ix->subnets = calloc(n + 1, sizeof(*ix->subnets));
	if (!ix->locals || !ix->subnets)
		return -ENOMEM;
	for (size_t i = 0; i < f->n_links; i++) {
		const struct plan_link *l = &f->links[i];

		for (size_t j = 0; j < l->n_addrs; j++) {
			const struct plan_ifaddr *a = &l->addrs[j];
			bool is_host = a->prefix_len >= host_prefix(&a->addr);

			ix->locals[ix->n_locals++] =
				(struct plan_local){.addr = a->addr,
						    .link = l,
						    .ifaddr = a,
						    .is_vip = a->finite && is_host};
			/* every link has fe80::/64: that tells no segment */
			if (is_host || a->prefix_len == 0 || l->loopback ||
			    addr_is_link_local(&a->addr))
				continue;
			ix->subnets[ix->n_subnets++] = (struct plan_subnet){
				.net = a->addr, .prefix_len = a->prefix_len, .link = l};
		}
	}
	qsort(ix->locals, ix->n_locals, sizeof(*ix->locals), cmp_local);
	qsort(ix->subnets, ix->n_subnets, sizeof(*ix->subnets), cmp_subnet);
	return 0;
}

int plan_index_init(struct plan_index *ix, const struct plan_objects *objects,
		    const struct plan_facts *facts)
{
	int r;

	*ix = (struct plan_index){.objects = objects, .facts = facts};
	r = index_nodes(ix);
	if (r == 0)
		r = index_links(ix);
	return r;
}

void plan_index_done(struct plan_index *ix)
{
	free(ix->nodes);
	free(ix->owners);
	free(ix->locals);
	free(ix->subnets);
	*ix = (struct plan_index){0};
}

const struct api_node *plan_index_owner(const struct plan_index *ix, const struct addr *a)
{
	size_t i = addr_first(ix->owners, ix->n_owners, sizeof(*ix->owners), a);

	if (i == ix->n_owners || !addr_eq(&ix->owners[i].addr, a))
		return NULL;
	return ix->nodes[ix->owners[i].node_idx];
}

/* The first of them that is not before the address. */
static size_t first_local(const struct plan_index *ix, const struct addr *a)
{
	return addr_first(ix->locals, ix->n_locals, sizeof(*ix->locals), a);
}

const struct plan_link *plan_index_local(const struct plan_index *ix, const struct addr *a)
{
	for (size_t i = first_local(ix, a); i < ix->n_locals && addr_eq(&ix->locals[i].addr, a);
	     i++) {
		if (!ix->locals[i].is_vip)
			return ix->locals[i].link;
	}
	return NULL;
}

const struct plan_ifaddr *plan_index_ifaddr(const struct plan_index *ix,
					    const struct plan_link *link, const struct addr *a)
{
	for (size_t i = first_local(ix, a); i < ix->n_locals && addr_eq(&ix->locals[i].addr, a);
	     i++) {
		if (ix->locals[i].link == link)
			return ix->locals[i].ifaddr;
	}
	return NULL;
}

const struct plan_link *plan_index_link(const struct plan_index *ix, const char *name)
{
	for (size_t i = 0; i < ix->facts->n_links; i++) {
		if (strcmp(ix->facts->links[i].name, name) == 0)
			return &ix->facts->links[i];
	}
	return NULL;
}

const struct plan_link *plan_index_segment(const struct plan_index *ix, const struct addr *a)
{
	for (size_t i = 0; i < ix->n_subnets; i++) {
		const struct plan_subnet *s = &ix->subnets[i];

		if (addr_in_prefix(a, &s->net, s->prefix_len))
			return s->link;
	}
	return NULL;
}

bool plan_index_on_link(const struct plan_index *ix, const struct plan_link *link,
			const struct addr *a)
{
	for (size_t i = 0; i < ix->n_subnets; i++) {
		const struct plan_subnet *s = &ix->subnets[i];

		if (s->link == link && addr_in_prefix(a, &s->net, s->prefix_len))
			return true;
	}
	return false;
}

/* A Secret without a namespace, as in a directory of manifests, is in the agent's own. */
const struct api_secret *plan_index_secret(const struct plan_index *ix, const char *name)
{
	const struct plan_objects *o = ix->objects;
	const struct api_secret *nameless = NULL;

	for (size_t i = 0; i < o->n_secrets; i++) {
		const struct api_secret *s = o->secrets[i];

		if (strcmp(s->name, name) != 0)
			continue;
		if (o->secret_namespace && strcmp(s->namespace_, o->secret_namespace) == 0)
			return s;
		if (s->namespace_[0] == '\0' && !nameless)
			nameless = s;
	}
	return nameless;
}
