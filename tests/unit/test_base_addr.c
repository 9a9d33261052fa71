/* Addresses and MACs as values. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static struct addr A(const char *text) {
	struct addr a = {0};

	if (text[0])
		assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void
test_parse_and_text(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: refused */
	} rows[] = {
		{"192.168.44.100", "192.168.44.100"},
		{"0.0.0.0", "0.0.0.0"},
		{"FE80::0001", "fe80::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
		{"::", "::"},
		{"", NULL},
		{"192.168.44.256", NULL},
		{"192.168.44", NULL},
		{"010.0.0.1", NULL},
		{"10.0.0.1/24", NULL},
		{" 10.0.0.1", NULL},
		{"fe80::1%eth0", NULL},
		{"1::2::3", NULL},
	};
	char buf[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = {.family = 99};
		int r = addr_parse(rows[i].text, &a);

		if (!rows[i].want) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(a.family, 99);
			assert_false(addr_text_is_canonical(rows[i].text));
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(addr_text(&a, buf), rows[i].want);
		assert_int_equal(addr_text_is_canonical(rows[i].text),
				 strcmp(rows[i].text, rows[i].want) == 0);
	}

	struct addr none = {0};

	assert_string_equal(addr_text(&none, buf), "-");
	assert_false(addr_is_set(&none));
	assert_int_equal(addr_len(&none), 0);
}

static void test_order(void **state)
{
	/* Rising: RFC 9568 section 6.4.3 compares as unsigned integers in network order. */
	static const char *const rising[] = {
		"",
		"1.2.3.4",
		"10.0.0.1",
		"10.0.0.2",
		"200.0.0.1",
		"::1",
		"2001:db8::1",
		"2001:db8::2",
		"2001:db8::8000:0:0:1",
		"fe80::1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
		for (size_t j = 0; j < ARRAY_LEN(rising); j++) {
			struct addr a = A(rising[i]), b = A(rising[j]);
			int c = addr_cmp(&a, &b);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
			assert_int_equal(addr_eq(&a, &b), i == j);
		}
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		bool unicast, loopback, link_local;
	} rows[] = {
		{"", false, false, false},           {"10.1.2.3", true, false, false},
		{"169.254.1.1", true, false, true},  {"127.0.0.1", false, true, false},
		{"0.0.0.0", false, false, false},    {"224.0.0.18", false, false, false},
		{"239.1.1.1", false, false, false},  {"255.255.255.255", false, false, false},
		{"2001:db8::1", true, false, false}, {"fe80::1", true, false, true},
		{"febf::1", true, false, true},      {"fec0::1", true, false, false},
		{"::1", false, true, false},         {"::", false, false, false},
		{"ff02::12", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = A(rows[i].text);

		assert_int_equal(addr_is_unicast(&a), rows[i].unicast);
		assert_int_equal(addr_is_loopback(&a), rows[i].loopback);
		assert_int_equal(addr_is_link_local(&a), rows[i].link_local);
	}
}

static void test_prefix(void **state)
{
	static const struct {
		const char *a, *net;
		unsigned int len;
		bool want;
	} rows[] = {
		{"192.168.44.7", "192.168.44.0", 24, true},
		{"192.168.45.7", "192.168.44.0", 24, false},
		{"192.168.45.7", "192.168.44.0", 23, true},
		{"10.0.0.128", "10.0.0.127", 25, false},
		{"10.0.0.1", "10.0.0.1", 32, true},
		{"10.0.0.1", "10.0.0.2", 32, false},
		{"10.0.0.1", "99.0.0.2", 0, true},
		{"10.0.0.1", "10.0.0.1", 33, false},
		{"2001:db8::1", "2001:db8::", 64, true},
		{"2001:db8:0:1::1", "2001:db8::", 63, true},
		{"2001:db8:0:1::1", "2001:db8::", 64, false},
		{"::1", "::1", 128, true},
		{"::1", "::1", 129, false},
		{"10.0.0.1", "::", 0, false},
		{"", "", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = A(rows[i].a), net = A(rows[i].net);

		assert_int_equal(addr_in_prefix(&a, &net, rows[i].len), rows[i].want);
	}
}

static void test_sockaddr(void **state)
{
	static const char *const rows[] = {"192.168.44.51", "2001:db8::1", "fe80::1", "ff02::12"};
	struct sockaddr_storage ss;
	struct addr back;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = A(rows[i]);
		socklen_t len = addr_to_sockaddr(&a, 8848, 3, &ss);
		struct sockaddr_in6 sin6;

		assert_int_equal(
			addr_from_sockaddr((const struct sockaddr *)&ss, len, &back, &port), 0);
		assert_true(addr_eq(&a, &back));
		assert_int_equal(port, 8848);
		assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&ss, len, &back, NULL),
				 0);
		for (socklen_t cut = 0; cut < len; cut++)
			assert_true(addr_from_sockaddr((const struct sockaddr *)&ss, cut, &back,
						       &port) < 0);
		if (a.family != AF_INET6)
			continue;
		memcpy(&sin6, &ss, sizeof(sin6));
		assert_int_equal(sin6.sin6_scope_id, i >= 2 ? 3 : 0);
	}

	struct addr none = {0};

	assert_int_equal(addr_to_sockaddr(&none, 1, 0, &ss), 0);
	ss.ss_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&ss, sizeof(ss), &back, &port),
			 -EAFNOSUPPORT);
	assert_int_equal(addr_from_sockaddr(NULL, 0, &back, &port), -EINVAL);
}

static void test_bisection(void **state)
{
	static const char *const texts[] = {"10.0.0.1", "10.0.0.3", "10.0.0.3", "10.0.0.9",
					    "fd00::1"};
	static const struct {
		const char *text;
		size_t first, behind;
	} rows[] = {
		{"10.0.0.0", 0, 0}, {"10.0.0.1", 0, 1}, {"10.0.0.2", 1, 1}, {"10.0.0.3", 1, 3},
		{"10.0.0.9", 3, 4}, {"11.0.0.0", 4, 4}, {"fd00::1", 4, 5},  {"fd00::2", 5, 5},
	};
	struct {
		struct addr addr;
		uint32_t more;
	} records[ARRAY_LEN(texts)] = {0};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(addr_parse(texts[i], &records[i].addr), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const size_t n = ARRAY_LEN(records), size = sizeof(records[0]);

		assert_int_equal(addr_parse(rows[i].text, &a), 0);
		if (addr_first(records, n, size, &a) != rows[i].first ||
		    addr_behind(records, n, size, &a) != rows[i].behind)
			fail_msg("%s", rows[i].text);
	}
	assert_true(addr_is_among(&records[1].addr, &records[1].addr, 1));
	assert_false(addr_is_among(&records[1].addr, &records[0].addr, 1));
	assert_false(addr_is_among(&a, NULL, 0));
	assert_int_equal(addr_first(NULL, 0, sizeof(records[0]), &a), 0);
	assert_int_equal(addr_behind(NULL, 0, sizeof(records[0]), &a), 0);
}

static void test_mac(void **state)
{
	static const char *const bad[] = {
		"",
		"02:00:00:00:00",
		"02:00:00:00:00:0",
		"02:00:00:00:00:011",
		"02:00:00:00:00:01:02",
		"02-00-00-00-00-01",
		"0g:00:00:00:00:01",
		"2:0:0:0:0:1",
	};
	struct mac m = {0}, other = {0};
	char buf[MAC_TEXT_MAX];

	(void)state;
	assert_true(mac_is_zero(&m));
	assert_int_equal(mac_parse("02:00:5E:00:01:ff", &m), 0);
	assert_string_equal(mac_text(&m, buf), "02:00:5e:00:01:ff");
	assert_false(mac_is_zero(&m));
	assert_false(mac_eq(&m, &other));
	other = m;
	assert_true(mac_eq(&m, &other));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(mac_parse(bad[i], &m), -EINVAL);
		assert_true(mac_eq(&m, &other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_text),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_bisection),
		cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests_name("base_addr", tests, NULL, NULL);
}
