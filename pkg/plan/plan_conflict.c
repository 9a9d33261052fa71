/*
 * plan_conflict: an address belongs to one VirtualIP, and a VRID to one per interface and family. Who
 * comes first keeps it; the other is refused as a whole and so claims nothing.
 */
#include "plan/plan_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- addresses ---- */

struct claim {
	struct addr addr;
	size_t owner_idx; /* of the VIP that has it, or FREE */
};
#define FREE SIZE_MAX

static int cmp_claim(const void *pa, const void *pb)
{
	const struct claim *a = pa, *b = pb;

	return addr_cmp(&a->addr, &b->addr);
}

static struct claim *find_claim(struct claim *claims, size_t n, const struct addr *a)
{
	struct claim key = {.addr = *a};

	return bsearch(&key, claims, n, sizeof(key), cmp_claim);
}

/* Is the VIP free to claim all its addresses? If not, it is refused. */
static bool may_claim(const struct plan_index *ix, struct plan *p, const struct plan_work *work,
		      size_t idx, struct claim *claims, size_t n_claims)
{
	struct plan_vip *pv = &p->vips[idx];
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < pv->vip->n_addresses; i++) {
		const struct addr *a = &pv->vip->addresses[i];
		const struct api_node *node = plan_index_owner(ix, a);
		const struct claim *c = find_claim(claims, n_claims, a);

		if (node) {
			plan_refuse(pv, PLAN_NODE_OWN_ADDRESS,
				    "spec.addresses: %s is an InternalIP of node \"%.60s\": "
				    "choose an address that no node has",
				    addr_text(a, text), node->name);
			return false;
		}
		if (c && c->owner_idx != FREE && c->owner_idx != idx) {
			plan_refuse(
				pv, PLAN_ADDRESS_CONFLICT,
				"spec.addresses: %s belongs to VirtualIP \"%.60s\", which is %s: "
				"remove it from one of the two",
				addr_text(a, text), p->vips[c->owner_idx].vip->name,
				work[c->owner_idx].age_s < work[idx].age_s ? "older"
									   : "first by name");
			return false;
		}
	}
	return true;
}

int plan_claim_addresses(const struct plan_index *ix, struct plan *p, struct plan_work *work)
{
	AUTO(free_p) struct plan_turn *turns = calloc(p->n_vips + 1, sizeof(*turns));
	AUTO(free_p) struct claim *claims = NULL;
	size_t n_claims = 0, n = 0;

	for (size_t i = 0; i < p->n_vips; i++)
		n_claims += p->vips[i].vip->n_addresses;
	claims = calloc(n_claims + 1, sizeof(*claims));
	if (!turns || !claims)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct api_vip *v = p->vips[i].vip;

		turns[i] = (struct plan_turn){.age_s = work[i].age_s, .vip_idx = i};
		for (size_t j = 0; j < v->n_addresses; j++)
			claims[n++] = (struct claim){.addr = v->addresses[j], .owner_idx = FREE};
	}
	qsort(turns, p->n_vips, sizeof(*turns), plan_turn_cmp);
	qsort(claims, n, sizeof(*claims), cmp_claim);
	/* one entry an address, so that every lookup finds the same one */
	n_claims = 0;
	for (size_t i = 0; i < n; i++) {
		if (n_claims == 0 || cmp_claim(&claims[n_claims - 1], &claims[i]) != 0)
			claims[n_claims++] = claims[i];
	}

	for (size_t t = 0; t < p->n_vips; t++) {
		size_t idx = turns[t].vip_idx;
		const struct api_vip *v = p->vips[idx].vip;

		if (!may_claim(ix, p, work, idx, claims, n_claims)) {
			work[idx].is_barred = true;
			continue;
		}
		for (size_t j = 0; j < v->n_addresses; j++)
			find_claim(claims, n_claims, &v->addresses[j])->owner_idx = idx;
	}
	return 0;
}

/* ---- VRIDs ---- */

struct router {
	unsigned int ifindex;
	uint8_t family;
	uint8_t vrid;
	bool is_derived; /* an explicit number goes before one that was derived */
	struct plan_turn turn;
};

static int cmp_segment(const struct router *a, const struct router *b)
{
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return (a->family > b->family) - (a->family < b->family);
}

static int cmp_router(const void *pa, const void *pb)
{
	const struct router *a = pa, *b = pb;
	int c = cmp_segment(a, b);

	if (c != 0)
		return c;
	if (a->vrid != b->vrid)
		return a->vrid < b->vrid ? -1 : 1;
	if (a->is_derived != b->is_derived)
		return a->is_derived ? 1 : -1;
	return plan_turn_cmp(&a->turn, &b->turn);
}

/*
 * A VIP that this node does not route claims its VRID too if it is on the same segment, as its address
 * tells: its routers are heard here. One on another segment may use the number again.
 */
static bool is_on_segment(const struct plan_index *ix, const struct plan_vip *pv,
			  const struct plan_work *w)
{
	if (w->is_barred || !w->link)
		return false;
	return w->is_selected || plan_index_on_link(ix, w->link, &pv->vip->addresses[0]);
}

static unsigned int lowest_free(const struct router *routers, size_t n)
{
	unsigned int candidate = 1;

	for (size_t i = 0; i < n; i++) { /* sorted by VRID */
		if (routers[i].vrid > candidate)
			break;
		if (routers[i].vrid == candidate)
			candidate++;
	}
	return candidate <= 255 ? candidate : 0;
}

static void refuse_vrid(struct plan *p, const struct router *winner, const struct router *loser,
			unsigned int free_vrid)
{
	struct plan_vip *pv = &p->vips[loser->turn.vip_idx];
	char cure[80];

	if (free_vrid > 0)
		(void)snprintf(cure, sizeof(cure), "set a free one, for example %u", free_vrid);
	else
		(void)snprintf(cure, sizeof(cure),
			       "none is free: put several addresses into one VirtualIP");
	plan_refuse(pv, PLAN_VRID_CONFLICT,
		    "spec.vrrp.virtualRouterID: %u on %s belongs to VirtualIP \"%.60s\": %s",
		    loser->vrid, pv->ifname, p->vips[winner->turn.vip_idx].vip->name, cure);
}

/* One interface and family. */
static void settle(struct plan *p, const struct plan_work *work, const struct router *routers,
		   size_t n)
{
	unsigned int free_vrid = lowest_free(routers, n);
	const struct router *winner = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t idx = routers[i].turn.vip_idx;

		if (!winner || winner->vrid != routers[i].vrid)
			winner = &routers[i];
		else if (p->vips[idx].refused == PLAN_OK && work[idx].is_selected)
			refuse_vrid(p, winner, &routers[i], free_vrid);
	}
}

int plan_claim_vrids(const struct plan_index *ix, struct plan *p, const struct plan_work *work)
{
	AUTO(free_p) struct router *routers = calloc(p->n_vips + 1, sizeof(*routers));
	size_t n = 0;

	if (!routers)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];

		if (!is_on_segment(ix, pv, &work[i]))
			continue;
		routers[n++] = (struct router){
			.ifindex = work[i].link->ifindex,
			.family = pv->vip->addresses[0].family,
			.vrid = pv->vip->vrid,
			.is_derived = !pv->vip->has_vrid,
			.turn = {.age_s = work[i].age_s, .vip_idx = i},
		};
	}
	qsort(routers, n, sizeof(*routers), cmp_router);
	for (size_t start = 0, end; start < n; start = end) {
		for (end = start + 1; end < n && cmp_segment(&routers[start], &routers[end]) == 0;)
			end++;
		settle(p, work, &routers[start], end - start);
	}
	return 0;
}
