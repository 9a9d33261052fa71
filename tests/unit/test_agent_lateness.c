/* The lateness of all VIPs only grows: what an instance counts is added once, also after it was made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/control.h"

static void what_is_new_is_added(void **state)
{
	const struct election_lateness none = {0}, first = {.n = {5, 1}, .sum_ns = 700},
				       second = {.n = {8, 1, 0, 0, 0, 0, 0, 2}, .sum_ns = 9000};
	struct election_lateness all = {.n = {100}, .sum_ns = 1000};

	(void)state;
	control_lateness_add(&all, &none, &first);
	control_lateness_add(&all, &first, &first);
	control_lateness_add(&all, &first, &second);
	assert_int_equal(all.n[0], 108);
	assert_int_equal(all.n[1], 1);
	assert_int_equal(all.n[7], 2);
	assert_int_equal(all.sum_ns, 10000);
}

static void an_instance_made_anew_counts_from_zero(void **state)
{
	const struct election_lateness old = {.n = {50, 3}, .sum_ns = 7000},
				       anew = {.n = {2, 4}, .sum_ns = 500};
	struct election_lateness all = old;

	(void)state;
	control_lateness_add(&all, &old, &anew);
	assert_int_equal(all.n[0], 52);
	assert_int_equal(all.n[1], 7);
	assert_int_equal(all.sum_ns, 7500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_new_is_added),
		cmocka_unit_test(an_instance_made_anew_counts_from_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
