/* /livez: a thread that answers is well, one that does not is lost, and an answer that was lost is asked for again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/control.h"

static bool due(struct control_ping *p, uint64_t at_ms)
{
	return control_ping_due(p, at_ms * NS_PER_MS);
}

static bool lost(const struct control_ping *p, uint64_t at_ms)
{
	return control_ping_is_lost(p, at_ms * NS_PER_MS);
}

static void answered(void **state)
{
	struct control_ping p = {0};

	(void)state;
	for (uint64_t ms = 1; ms < 60000; ms += 10000) {
		assert_true(due(&p, ms));
		assert_false(lost(&p, ms));
		p.since_ns = 0; /* its answer */
		assert_false(lost(&p, ms + 9000));
	}
}

static void silent(void **state)
{
	struct control_ping p = {0};

	(void)state;
	assert_true(due(&p, 1));
	assert_false(lost(&p, 5001));
	assert_true(lost(&p, 5002));
	assert_true(lost(&p, 60000));
}

/* Whoever asks /livez without pause does not fill the ring. */
static void asked_in_a_row(void **state)
{
	struct control_ping p = {0};
	unsigned int n = 0;

	(void)state;
	for (uint64_t ms = 1; ms <= 10000; ms++)
		n += due(&p, ms);
	assert_int_equal(n, 10);
}

static void answer_lost(void **state)
{
	struct control_ping p = {0};

	(void)state;
	assert_true(due(&p, 1));
	assert_true(due(&p, 10001)); /* again, though it is lost by now */
	assert_true(lost(&p, 10001));
	p.since_ns = 0; /* the second answer */
	assert_true(due(&p, 20001));
	assert_false(lost(&p, 20001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answered),
		cmocka_unit_test(silent),
		cmocka_unit_test(asked_in_a_row),
		cmocka_unit_test(answer_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
