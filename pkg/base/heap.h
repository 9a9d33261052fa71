/*
 * heap: what is due when: a binary min-heap of times. Items are inside the objects they belong to and know their own
 * place, so that a change costs O(log n) and nothing is searched for.
 */
#ifndef VIPD_BASE_HEAP_H
#define VIPD_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* All zeroes: in no heap. */
struct heap_item {
	uint64_t due_ns;
	size_t place; /* from 1; 0: in no heap */
};

/* All zeroes: empty. */
struct heap {
	struct heap_item **items; /* owned, not what they point to */
	size_t n, cap;
};

/* Room for n items: as long as there are no more, heap_set does not fail. -ENOMEM. */
int heap_reserve(struct heap *h, size_t n);
/* Adds an item, for which there must be room, or moves it to another time. */
void heap_set(struct heap *h, struct heap_item *item, uint64_t due_ns);
/* An item that is in no heap is fine. */
void heap_remove(struct heap *h, struct heap_item *item);
/* Frees what h owns; its items are not touched. */
void heap_done(struct heap *h);

/* The item that is due first; NULL if there is none. */
static inline struct heap_item *heap_first(const struct heap *h)
{
	return h->n > 0 ? h->items[0] : NULL;
}

/* The object of a type that an item is the member of. */
#define heap_entry(item, type, member) ((type *)(void *)((char *)(item)-offsetof(type, member)))

#endif
