/* Of the hardware addresses that one had, the present one is the last learned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/control.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void test_mac_of(void **state)
{
	struct plan_neigh neighs[] = {
		{.ifindex = 2, .addr = ip("10.0.0.1"), .mac = {{2, 0, 0, 0, 0, 1}}},
		{.ifindex = 2, .addr = ip("10.0.0.3"), .mac = {{2, 0, 0, 0, 0, 9}}},
		{.ifindex = 2, .addr = ip("10.0.0.3"), .mac = {{2, 0, 0, 0, 0, 3}}},
		{.ifindex = 2, .addr = ip("fe80::1"), .mac = {{2, 0, 0, 0, 0, 6}}},
	};
	static const struct {
		const char *addr;
		int last_byte; /* 0: unknown */
	} rows[] = {
		{"10.0.0.0", 0}, {"10.0.0.1", 1}, {"10.0.0.2", 0}, {"10.0.0.3", 3},
		{"10.0.0.4", 0}, {"fe80::", 0},   {"fe80::1", 6},  {"fe80::2", 0},
	};
	const struct control none = {0};
	const struct control c = {.neighs = neighs, .n_neighs = ARRAY_LEN(neighs)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = ip(rows[i].addr);
		const struct mac *mac = control_mac_of(&c, &a);

		assert_int_equal(mac ? mac->bytes[5] : 0, rows[i].last_byte);
		assert_null(control_mac_of(&none, &a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mac_of)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
