/* The ring between two threads: order, refusal when full, and no lost wake-up (also under ThreadSanitizer). */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ring.h"

#define N_VALUES 20000u

struct value {
	uint64_t number;
	uint64_t check;
	char pad[40];
};

static bool is_readable(const struct ring *r)
{
	struct pollfd p = {.fd = ring_fd(r), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void bad_sizes_are_refused(void **state)
{
	static const size_t capacities[] = {0, 1, 3, 6, 100};
	struct ring *r = NULL;
	struct verr err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(capacities); i++) {
		assert_int_equal(ring_new(8, capacities[i], &r, &err), -EINVAL);
		assert_null(r);
		assert_int_equal(err.code, EINVAL);
	}
	assert_int_equal(ring_new(0, 4, &r, NULL), -EINVAL);
	ring_free(NULL);
}

static void keeps_order_and_refuses_when_full(void **state)
{
	AUTO(ring_free_p) struct ring *r = NULL;
	unsigned int next_in = 0, next_out = 0, got;

	(void)state;
	assert_int_equal(ring_new(sizeof(unsigned int), 4, &r, NULL), 0);
	assert_false(ring_pop(r, &got));
	/* Far more than the capacity, so that the indexes wrap around the buffer at every offset. */
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 4; i++) {
			assert_true(ring_push(r, &next_in));
			next_in++;
		}
		assert_false(ring_push(r, &next_in));
		assert_int_equal(ring_refused(r), round + 1);
		for (int i = 0; i < 4 - round % 2; i++) {
			assert_true(ring_pop(r, &got));
			assert_int_equal(got, next_out++);
		}
		if (round % 2) {
			assert_true(ring_pop(r, &got));
			assert_int_equal(got, next_out++);
		}
		assert_false(ring_pop(r, &got));
	}
}

static void the_eventfd_tells_of_values(void **state)
{
	AUTO(ring_free_p) struct ring *r = NULL;
	int v = 1;

	(void)state;
	assert_int_equal(ring_new(sizeof(v), 8, &r, NULL), 0);
	assert_false(is_readable(r));
	ring_clear_fd(r);
	assert_true(ring_push(r, &v));
	assert_true(is_readable(r));
	assert_true(ring_push(r, &v));
	ring_clear_fd(r);
	assert_false(is_readable(r));
	assert_true(ring_pop(r, &v));
	assert_true(ring_pop(r, &v));
	assert_false(ring_pop(r, &v));
	assert_true(ring_push(r, &v));
	assert_true(is_readable(r));
}

static void *produce(void *arg)
{
	struct ring *r = arg;

	for (uint64_t i = 0; i < N_VALUES;) {
		struct value v = {.number = i, .check = ~i};

		if (ring_push(r, &v))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

/* Sleeps whenever the ring is empty: a lost wake-up would leave it there, with values inside. */
static void two_threads_lose_nothing(void **state)
{
	AUTO(ring_free_p) struct ring *r = NULL;
	pthread_t thread;
	uint64_t next = 0;

	(void)state;
	assert_int_equal(ring_new(sizeof(struct value), 8, &r, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
	while (next < N_VALUES) {
		struct pollfd p = {.fd = ring_fd(r), .events = POLLIN};
		struct value v;

		assert_int_equal(poll(&p, 1, -1), 1);
		ring_clear_fd(r);
		while (ring_pop(r, &v)) {
			assert_int_equal(v.number, next);
			assert_int_equal(v.check, ~next);
			next++;
		}
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_sizes_are_refused),
		cmocka_unit_test(keeps_order_and_refuses_when_full),
		cmocka_unit_test(the_eventfd_tells_of_values),
		cmocka_unit_test(two_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
