/* A binary heap of instances by next_ns. Positions are kept in the instances, so that a change is O(log n). */
#include <errno.h>

#include "agent/election_internal.h"

static void place(struct election *e, struct inst *i, size_t idx)
{
	e->heap[idx] = i;
	i->heap_idx = idx;
}

static void sift_up(struct election *e, size_t idx)
{
	struct inst *i = e->heap[idx];

	while (idx > 0 && i->next_ns < e->heap[(idx - 1) / 2]->next_ns) {
		place(e, e->heap[(idx - 1) / 2], idx);
		idx = (idx - 1) / 2;
	}
	place(e, i, idx);
}

static void sift_down(struct election *e, size_t idx)
{
	struct inst *i = e->heap[idx];

	for (;;) {
		size_t child = 2 * idx + 1;

		if (child + 1 < e->n_heap && e->heap[child + 1]->next_ns < e->heap[child]->next_ns)
			child++;
		if (child >= e->n_heap || e->heap[child]->next_ns >= i->next_ns)
			break;
		place(e, e->heap[child], idx);
		idx = child;
	}
	place(e, i, idx);
}

int election_heap_reserve(struct election *e, size_t n)
{
	size_t cap = e->heap_cap ? e->heap_cap : 16;
	struct inst **heap;

	while (cap < n)
		cap *= 2;
	if (cap == e->heap_cap)
		return 0;
	heap = realloc(e->heap, cap * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	e->heap = heap;
	e->heap_cap = cap;
	return 0;
}

void election_heap_add(struct election *e, struct inst *i)
{
	place(e, i, e->n_heap++);
	sift_up(e, i->heap_idx);
}

void election_heap_del(struct election *e, struct inst *i)
{
	struct inst *last = e->heap[--e->n_heap];

	if (last == i)
		return;
	place(e, last, i->heap_idx);
	election_heap_fix(e, last);
}

void election_heap_fix(struct election *e, struct inst *i)
{
	sift_up(e, i->heap_idx);
	sift_down(e, i->heap_idx);
}
