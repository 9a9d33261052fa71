/* What is due when: the order of a heap, whatever is added, moved and removed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"

#define N 200

struct thing {
	char padding;
	struct heap_item due;
};

/* The places agree with the items, and no item is due before the one above it. */
static void check(const struct heap *h)
{
	for (size_t i = 0; i < h->n; i++) {
		assert_int_equal(h->items[i]->place, i + 1);
		if (i > 0)
			assert_true(h->items[(i - 1) / 2]->due_ns <= h->items[i]->due_ns);
	}
}

static void test_empty(void **state)
{
	struct heap h = {0};
	struct heap_item item = {0};

	(void)state;
	assert_null(heap_first(&h));
	heap_remove(&h, &item); /* it is in no heap */
	assert_int_equal(h.n, 0);
	heap_done(&h);
}

static void test_ordered(void **state)
{
	struct heap h = {0};
	struct thing things[N] = {0};
	uint64_t last_ns = 0;

	(void)state;
	assert_int_equal(heap_reserve(&h, N), 0);
	for (size_t i = 0; i < N; i++) {
		heap_set(&h, &things[i].due, (i * 7919) % 101);
		check(&h);
	}
	assert_int_equal(h.n, N);
	for (size_t left = N; left > 0; left--) {
		struct thing *t = heap_entry(heap_first(&h), struct thing, due);

		assert_true(t >= things && t < things + N);
		assert_true(t->due.due_ns >= last_ns);
		last_ns = t->due.due_ns;
		heap_remove(&h, &t->due);
		assert_int_equal(t->due.place, 0);
		assert_int_equal(h.n, left - 1);
		check(&h);
	}
	heap_done(&h);
}

/* A fixed sequence of a linear generator: moves earlier and later, removals from the middle, additions. */
static void test_changes(void **state)
{
	struct heap h = {0};
	struct thing things[N] = {0};
	uint32_t random = 1;
	size_t n_in = 0;

	(void)state;
	assert_int_equal(heap_reserve(&h, N), 0);
	for (unsigned int k = 0; k < 20000; k++) {
		random = random * 1664525u + 1013904223u;

		struct heap_item *item = &things[(random >> 8) % N].due;

		if (random >> 30 == 0) {
			n_in -= item->place ? 1 : 0;
			heap_remove(&h, item);
		} else {
			n_in += item->place ? 0 : 1;
			heap_set(&h, item, random >> 16 & 0xfff);
		}
		assert_int_equal(h.n, n_in);
		if (k % 16 == 0)
			check(&h);
	}
	heap_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests_name("base_heap", tests, NULL, NULL);
}
