/* plan: names, identities, hashes and ends of life of the room's values. */
#include "plan/plan_internal.h"

#include <string.h>

#define MARK_TOP UINT32_C(0x76000000)
#define MARK_TOP_MASK UINT32_C(0xff000000)

const char *plan_reason_name(enum plan_reason r)
{
	switch (r) {
	case PLAN_OK:
		return "OK";
	case PLAN_NOT_SELECTED:
		return "NotSelected";
	case PLAN_NODE_GONE:
		return "NodeGone";
	case PLAN_NO_INTERFACE:
		return "NoInterface";
	case PLAN_NO_NODE_ADDRESS:
		return "NoNodeAddress";
	case PLAN_ADDRESS_CONFLICT:
		return "AddressConflict";
	case PLAN_VRID_CONFLICT:
		return "VirtualRouterIDConflict";
	case PLAN_NODE_OWN_ADDRESS:
		return "NodeOwnAddress";
	case PLAN_SECRET_UNAVAILABLE:
		return "SecretUnavailable";
	case PLAN_NOT_ETHERNET:
		return "NotEthernet";
	case PLAN_TOO_MANY_PEERS:
		return "TooManyPeers";
	case PLAN_NO_LINK_LOCAL:
		return "NoLinkLocal";
	case PLAN_LINK_DOWN:
		return "LinkDown";
	case PLAN_REAL_SERVER_NOT_ON_LINK:
		return "RealServerNotOnLink";
	case PLAN_NO_IPVS:
		return "NoIPVS";
	case PLAN_STRICT_RP_FILTER:
		return "StrictReversePathFilter";
	}
	return "?";
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_vips; i++) {
		free(p->vips[i].members);
		free(p->vips[i].servers);
	}
	free(p->vips);
	free(p);
}

void plan_free_p(struct plan **p)
{
	plan_free(*p);
	*p = NULL;
}

static void free_services(struct plan_service *services, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(services[i].dests);
	free(services);
}

void plan_kernel_done(struct plan_kernel *k)
{
	free_services(k->services, k->n_services);
	free(k->elems);
	free(k->routes);
	free(k->links);
	*k = (struct plan_kernel){0};
}

void plan_role_done(struct plan_role *r)
{
	free(r->redirect);
	free(r->answer);
	free_services(r->services, r->n_services);
	free(r->suspects);
	*r = (struct plan_role){0};
}

void plan_ops_done(struct plan_ops *ops)
{
	free(ops->items);
	*ops = (struct plan_ops){0};
}

/* ---- identities ---- */

#define CMP(a, b) (((a) > (b)) - ((a) < (b)))

int plan_service_cmp(const struct plan_service *a, const struct plan_service *b)
{
	int c = CMP(a->fwmark != 0, b->fwmark != 0);

	if (c == 0)
		c = CMP(a->family, b->family);
	if (c == 0)
		c = CMP(a->fwmark, b->fwmark);
	if (c != 0 || a->fwmark != 0)
		return c;
	c = addr_cmp(&a->addr, &b->addr);
	if (c == 0)
		c = CMP(a->protocol, b->protocol);
	return c != 0 ? c : CMP(a->port, b->port);
}

int plan_dest_cmp(const struct plan_dest *a, const struct plan_dest *b)
{
	int c = addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : CMP(a->port, b->port);
}

int plan_elem_cmp(const struct plan_elem *a, const struct plan_elem *b)
{
	int c = CMP(a->set, b->set);

	if (c == 0)
		c = CMP(a->family, b->family);
	if (c == 0)
		c = addr_cmp(&a->addr, &b->addr);
	if (c == 0)
		c = CMP(a->protocol, b->protocol);
	if (c == 0)
		c = CMP(a->port, b->port);
	if (c == 0)
		c = CMP(a->slot, b->slot);
	if (c == 0)
		c = CMP(a->ifindex, b->ifindex);
	return c != 0 ? c : memcmp(a->mac.bytes, b->mac.bytes, sizeof(a->mac.bytes));
}

static int cmp_service(const void *a, const void *b)
{
	return plan_service_cmp(a, b);
}

static int cmp_dest(const void *a, const void *b)
{
	return plan_dest_cmp(a, b);
}

static int cmp_elem(const void *a, const void *b)
{
	return plan_elem_cmp(a, b);
}

static int cmp_route(const void *pa, const void *pb)
{
	const struct plan_route *a = pa, *b = pb;
	int c = addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : addr_cmp(&a->src, &b->src);
}

int plan_linkconf_order(const void *pa, const void *pb)
{
	const struct plan_linkconf *a = pa, *b = pb;

	return CMP(a->ifindex, b->ifindex);
}

/* Much is in order already: that is seen in a fraction of the time that sorting takes. */
static void sort(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	const char *at = items;

	for (size_t i = 1; i < n; i++, at += size) {
		if (cmp(at, at + size) > 0) {
			qsort(items, n, size, cmp);
			return;
		}
	}
}

void plan_kernel_sort(struct plan_kernel *k)
{
	sort(k->services, k->n_services, sizeof(*k->services), cmp_service);
	for (size_t i = 0; i < k->n_services; i++)
		sort(k->services[i].dests, k->services[i].n_dests, sizeof(*k->services[i].dests),
		     cmp_dest);
	sort(k->elems, k->n_elems, sizeof(*k->elems), cmp_elem);
	sort(k->routes, k->n_routes, sizeof(*k->routes), cmp_route);
	sort(k->links, k->n_links, sizeof(*k->links), plan_linkconf_order);
}

/* ---- hashes ---- */

/* FNV-1a: fixed for ever, since nodes of different versions must agree. */
uint64_t plan_hash_bytes(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* The finaliser of SplitMix64: every bit of x moves every bit of the result. */
uint64_t plan_hash_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint32_t plan_mark(const struct addr *a)
{
	uint32_t low;

	if (a->family == AF_INET)
		low = (uint32_t)a->bytes[1] << 16 | (uint32_t)a->bytes[2] << 8 | a->bytes[3];
	else
		low = (uint32_t)plan_hash_mix(plan_hash_bytes(a->bytes, sizeof(a->bytes)));
	return MARK_TOP | (low & ~MARK_TOP_MASK);
}

bool plan_is_mark(uint32_t fwmark)
{
	return (fwmark & MARK_TOP_MASK) == MARK_TOP;
}
