/* When the status of a VirtualIP is written again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/control.h"

#define SENT_NS (100 * NS_PER_S)
#define ANSWER_NS (SENT_NS + 10 * NS_PER_MS)

static const struct {
	const char *name;
	int status;
	unsigned int n_failures; /* before */
	uint64_t old_ns,
		new_ns; /* then: to an object that the watch has shown no change of, and to a newer one */
} cases[] = {
	{"written: not before it is seen, once a second", 200, 0, SENT_NS + 5 * NS_PER_S,
	 SENT_NS + NS_PER_S},
	{"another was faster: not before that is seen", 409, 0, SENT_NS + 5 * NS_PER_S,
	 ANSWER_NS + 100 * NS_PER_MS},
	{"gone", 404, 0, SENT_NS + 5 * NS_PER_S, ANSWER_NS + 100 * NS_PER_MS},
	{"not let in: there is nothing to see", 401, 0, ANSWER_NS + NS_PER_S, ANSWER_NS + NS_PER_S},
	{"and again", 401, 1, ANSWER_NS + 2 * NS_PER_S, ANSWER_NS + 2 * NS_PER_S},
	{"forbidden", 403, 0, ANSWER_NS + NS_PER_S, ANSWER_NS + NS_PER_S},
	{"overloaded", 429, 2, ANSWER_NS + 4 * NS_PER_S, ANSWER_NS + 4 * NS_PER_S},
	{"no answer, for long", 0, 20, ANSWER_NS + 60 * NS_PER_S, ANSWER_NS + 60 * NS_PER_S},
};

static void when_it_is_written_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct control_told t = {
			.pace = {.sent_ns = SENT_NS,
				 .next_ns = SENT_NS + NS_PER_S,
				 .n_failures = cases[i].n_failures},
			.based_on = "7",
		};

		print_message("%s\n", cases[i].name);
		(void)control_told_result(&t, cases[i].status, ANSWER_NS);
		assert_int_equal(control_told_due_ns(&t, "7"), cases[i].old_ns);
		assert_int_equal(control_told_due_ns(&t, "8"), cases[i].new_ns);
	}
}

static void when_it_is_shown(void **state)
{
	const struct control_told written = {.pace.sent_ns = SENT_NS, .based_on = "7"};
	const struct control_told nothing = {.based_on = ""};

	(void)state;
	assert_false(control_told_is_shown(&written, "7", SENT_NS));
	assert_false(control_told_is_shown(&written, "7", SENT_NS + 5 * NS_PER_S - 1));
	assert_true(control_told_is_shown(&written, "7", SENT_NS + 5 * NS_PER_S));
	assert_true(control_told_is_shown(&written, "8", SENT_NS));
	assert_true(control_told_is_shown(&nothing, "7", NS_PER_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_it_is_written_again),
		cmocka_unit_test(when_it_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
