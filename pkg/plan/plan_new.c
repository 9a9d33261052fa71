/*
 * plan_new: which version of each VIP counts. One that was changed for the worse, as only a node can see
 * (no such interface, an address that is taken), is rejected, and the version before goes on running.
 */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

struct choice {
	const struct api_vip *present, *before; /* before: NULL if there is none */
	enum plan_reason rejected; /* why `present` is not the one that counts */
	char message[sizeof(((struct plan_vip *)NULL)->message)];
};

static int cmp_choice(const void *pa, const void *pb)
{
	const struct choice *a = pa, *b = pb;

	return strcmp(a->present->name, b->present->name);
}

/* Refusals that another version of the object may not meet. */
static bool is_the_objects_fault(enum plan_reason r)
{
	switch (r) {
	case PLAN_NO_INTERFACE:
	case PLAN_NO_NODE_ADDRESS:
	case PLAN_ADDRESS_CONFLICT:
	case PLAN_VRID_CONFLICT:
	case PLAN_NODE_OWN_ADDRESS:
	case PLAN_SECRET_UNAVAILABLE:
	case PLAN_NOT_ETHERNET:
	case PLAN_TOO_MANY_PEERS:
		return true;
	case PLAN_OK:
	case PLAN_NOT_SELECTED:
	case PLAN_NODE_GONE:
	case PLAN_NO_LINK_LOCAL:
	case PLAN_LINK_DOWN:
	case PLAN_REAL_SERVER_NOT_ON_LINK:
	case PLAN_NO_IPVS:
	case PLAN_STRICT_RP_FILTER:
		break;
	}
	return false;
}

/* True if something was rejected: what the versions before claim has to be settled anew. */
static bool reject(struct choice *choices, const struct plan *p)
{
	bool any = false;

	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];
		struct choice *c = &choices[i];

		if (!c->before || c->rejected != PLAN_OK || !is_the_objects_fault(pv->refused) ||
		    api_vip_spec_eq(c->before, c->present))
			continue;
		c->rejected = pv->refused;
		memcpy(c->message, pv->message, sizeof(c->message));
		any = true;
	}
	return any;
}

/* Where the version before does not run either, what is wrong with the present one is of interest. */
static void conclude(struct plan *p, const struct choice *choices)
{
	for (size_t i = 0; i < p->n_vips; i++) {
		struct plan_vip *pv = &p->vips[i];
		const struct choice *c = &choices[i];

		if (c->rejected == PLAN_OK || pv->refused == PLAN_NOT_SELECTED ||
		    pv->refused == PLAN_NODE_GONE)
			continue;
		if (pv->refused == PLAN_OK) {
			pv->rejected = c->rejected;
			memcpy(pv->rejection, c->message, sizeof(pv->rejection));
		} else {
			pv->refused = c->rejected;
			pv->vip = c->present;
			pv->vrid = c->present->vrid;
			memcpy(pv->message, c->message, sizeof(pv->message));
		}
	}
}

int plan_new(const struct plan_objects *objects, const struct plan_facts *facts, struct plan **ret)
{
	size_t n = objects->n_vips;
	AUTO(free_p) struct choice *choices = calloc(n + 1, sizeof(*choices));
	AUTO(free_p) const struct api_vip **vips = calloc(n + 1, sizeof(*vips));
	AUTO(plan_free_p) struct plan *p = NULL;
	struct plan_objects sorted = *objects;
	int r;

	if (!choices || !vips)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		choices[i].present = objects->vips[i];
		choices[i].before = objects->vips_before ? objects->vips_before[i] : NULL;
	}
	qsort(choices, n, sizeof(*choices), cmp_choice);
	sorted.vips = vips;
	sorted.vips_before = NULL;
	/* each turn rejects at least one version, and none twice: it ends */
	do {
		plan_free(STEAL(p));
		for (size_t i = 0; i < n; i++)
			vips[i] = choices[i].rejected == PLAN_OK ? choices[i].present
								 : choices[i].before;
		r = plan_resolve(&sorted, facts, &p);
		if (r < 0)
			return r;
	} while (reject(choices, p));
	conclude(p, choices);
	*ret = STEAL(p);
	return 0;
}
