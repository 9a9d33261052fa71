/*
 * plan_priority: who is preferred for a VIP. Listed priorities, or an even and stable spread of the VIPs
 * over the nodes. Depends on the objects alone, so all nodes compute the same.
 */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

#define PRIORITY_CORDONED 1
#define PRIORITY_UNLISTED 2
#define PRIORITY_MIN 3
#define PRIORITY_FIRST 200
#define PRIORITY_STEP 10

/* ---- listed ---- */

static int cmp_listed(const void *pa, const void *pb)
{
	const struct api_priority *const *a = pa, *const *b = pb;

	return strcmp((*a)->node_name, (*b)->node_name);
}

static int apply_list(struct plan_vip *pv)
{
	const struct api_vip *v = pv->vip;
	AUTO(free_p)
	const struct api_priority **sorted = calloc(v->n_priorities, sizeof(*sorted));
	size_t j = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_priorities; i++)
		sorted[i] = &v->priorities[i];
	qsort(sorted, v->n_priorities, sizeof(*sorted), cmp_listed);
	for (size_t i = 0; i < pv->n_members; i++) { /* members are sorted by name as well */
		struct plan_member *m = &pv->members[i];

		while (j < v->n_priorities && strcmp(sorted[j]->node_name, m->name) < 0)
			j++;
		m->priority = j < v->n_priorities && strcmp(sorted[j]->node_name, m->name) == 0
				      ? sorted[j]->priority
				      : PRIORITY_UNLISTED;
	}
	return 0;
}

/* ---- spread ---- */

struct rank {
	uint64_t score;
	size_t member_idx;
};

struct spread {
	const uint64_t *node_hashes;
	struct rank *ranks; /* room for every node */
	size_t *n_firsts; /* of each node */
	size_t max_firsts;
};

static int cmp_rank(const void *pa, const void *pb)
{
	const struct rank *a = pa, *b = pb;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return (a->member_idx > b->member_idx) - (a->member_idx < b->member_idx);
}

/* 200, 190, ... ; closer together where there are more nodes than fit. */
static uint8_t rank_priority(size_t rank, size_t n)
{
	size_t step = n > 1 ? (PRIORITY_FIRST - PRIORITY_MIN) / (n - 1) : PRIORITY_STEP;

	if (step > PRIORITY_STEP)
		step = PRIORITY_STEP;
	if (step == 0)
		step = 1;
	if (rank * step > PRIORITY_FIRST - PRIORITY_MIN)
		return PRIORITY_MIN;
	return (uint8_t)(PRIORITY_FIRST - rank * step);
}

/* The best ranked node that has not had its share; where all have, the one that has least. */
static size_t choose_first(const struct spread *sp, const size_t *node_idx, size_t n)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++) {
		size_t n_firsts = sp->n_firsts[node_idx[sp->ranks[i].member_idx]];

		if (n_firsts < sp->max_firsts)
			return i;
		if (n_firsts < sp->n_firsts[node_idx[sp->ranks[best].member_idx]])
			best = i;
	}
	return best;
}

static void spread_one(struct spread *sp, struct plan_vip *pv, const struct plan_work *w)
{
	uint64_t vip_hash = plan_hash_bytes(pv->vip->name, strlen(pv->vip->name));
	size_t n = pv->n_members, first;
	struct rank top;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		sp->ranks[i] = (struct rank){
			.score = plan_hash_mix(vip_hash ^ sp->node_hashes[w->node_idx[i]]),
			.member_idx = i};
	qsort(sp->ranks, n, sizeof(*sp->ranks), cmp_rank);
	if (!w->is_barred) {
		first = choose_first(sp, w->node_idx, n);
		top = sp->ranks[first];
		memmove(&sp->ranks[1], &sp->ranks[0], first * sizeof(top));
		sp->ranks[0] = top;
		sp->n_firsts[w->node_idx[top.member_idx]]++;
	}
	for (size_t i = 0; i < n; i++)
		pv->members[sp->ranks[i].member_idx].priority = rank_priority(i, n);
}

static int spread_all(const struct plan_index *ix, struct plan *p, const struct plan_work *work)
{
	size_t n_nodes = ix->objects->n_nodes, n = 0, n_counted = 0;
	AUTO(free_p) struct plan_turn *order = calloc(p->n_vips + 1, sizeof(*order));
	AUTO(free_p) uint64_t *hashes = calloc(n_nodes + 1, sizeof(*hashes));
	AUTO(free_p) struct rank *ranks = calloc(n_nodes + 1, sizeof(*ranks));
	AUTO(free_p) size_t *n_firsts = calloc(n_nodes + 1, sizeof(*n_firsts));
	struct spread sp = {.node_hashes = hashes, .ranks = ranks, .n_firsts = n_firsts};

	if (!order || !hashes || !ranks || !n_firsts)
		return -ENOMEM;
	for (size_t i = 0; i < n_nodes; i++)
		hashes[i] = plan_hash_mix(
			plan_hash_bytes(ix->nodes[i]->name, strlen(ix->nodes[i]->name)));
	for (size_t i = 0; i < p->n_vips; i++) {
		if (p->vips[i].vip->n_priorities > 0)
			continue;
		order[n++] = (struct plan_turn){.age_s = work[i].age_s, .vip_idx = i};
		n_counted += !work[i].is_barred;
	}
	qsort(order, n, sizeof(*order), plan_turn_cmp);
	sp.max_firsts = n_nodes > 0 ? (n_counted + n_nodes - 1) / n_nodes : 0;
	for (size_t i = 0; i < n; i++)
		spread_one(&sp, &p->vips[order[i].vip_idx], &work[order[i].vip_idx]);
	return 0;
}

int plan_prioritise(const struct plan_index *ix, struct plan *p, const struct plan_work *work)
{
	int r = spread_all(ix, p, work);

	for (size_t i = 0; r == 0 && i < p->n_vips; i++) {
		struct plan_vip *pv = &p->vips[i];

		if (pv->vip->n_priorities > 0)
			r = apply_list(pv);
		for (size_t j = 0; j < pv->n_members; j++) {
			if (pv->members[j].cordoned)
				pv->members[j].priority = PRIORITY_CORDONED;
		}
	}
	return r;
}
