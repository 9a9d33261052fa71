#include "base/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

static void place(struct heap *h, struct heap_item *item, size_t idx)
{
	h->items[idx] = item;
	item->place = idx + 1;
}

static size_t sift_up(struct heap *h, struct heap_item *item, size_t idx)
{
	while (idx > 0 && item->due_ns < h->items[(idx - 1) / 2]->due_ns) {
		place(h, h->items[(idx - 1) / 2], idx);
		idx = (idx - 1) / 2;
	}
	return idx;
}

static size_t sift_down(struct heap *h, const struct heap_item *item, size_t idx)
{
	for (;;) {
		size_t child = 2 * idx + 1;

		if (child + 1 < h->n && h->items[child + 1]->due_ns < h->items[child]->due_ns)
			child++;
		if (child >= h->n || item->due_ns <= h->items[child]->due_ns)
			return idx;
		place(h, h->items[child], idx);
		idx = child;
	}
}

/* The place idx is free; the item goes there, or where the order wants it. */
static void settle(struct heap *h, struct heap_item *item, size_t idx)
{
	idx = sift_up(h, item, idx);
	place(h, item, sift_down(h, item, idx));
}

int heap_reserve(struct heap *h, size_t n)
{
	struct heap_item **items = array_room(h->items, &h->cap, n, sizeof(struct heap_item *));

	if (!items)
		return -ENOMEM;
	h->items = items;
	return 0;
}

void heap_set(struct heap *h, struct heap_item *item, uint64_t due_ns)
{
	item->due_ns = due_ns;
	if (item->place) {
		settle(h, item, item->place - 1);
		return;
	}
	assert(h->n < h->cap);
	h->n++;
	settle(h, item, h->n - 1);
}

void heap_remove(struct heap *h, struct heap_item *item)
{
	if (!item->place)
		return;

	size_t idx = item->place - 1;
	struct heap_item *last = h->items[--h->n];

	item->place = 0;
	if (last != item)
		settle(h, last, idx);
}

void heap_done(struct heap *h)
{
	free(h->items);
	*h = (struct heap){0};
}
