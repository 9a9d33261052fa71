/* The ground floor's values: error text, time, bytes, UTF-8. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/base.h"

static void test_verr_sets_and_returns(void **state)
{
	struct verr e = {0};

	(void)state;
	assert_int_equal(verr_set(&e, EBADMSG, "vrid %d", 7), -EBADMSG);
	assert_int_equal(e.code, EBADMSG);
	assert_string_equal(e.msg, "vrid 7");
	assert_int_equal(verr_set(NULL, ENOMEM, "x"), -ENOMEM);
}

static void test_verr_tells_the_reason(void **state)
{
	struct verr e = {0};
	char big[400];

	(void)state;
	assert_int_equal(verr_errno(&e, EPERM, "socket of %s", "eth0"), -EPERM);
	assert_int_equal(e.code, EPERM);
	assert_string_equal(e.msg, "socket of eth0: Operation not permitted");
	assert_int_equal(verr_errno(NULL, EPERM, "x"), -EPERM);

	/* What was there is no part of it, unless it is an argument. */
	(void)verr_errno(&e, ENOENT, "again: %s", e.msg);
	assert_string_equal(e.msg, "again: socket of eth0: Operation not permitted: "
				   "No such file or directory");

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	(void)verr_errno(&e, EPERM, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	big[sizeof(e.msg) - 3] = '\0';
	(void)verr_errno(&e, EPERM, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(e.msg[sizeof(e.msg) - 3], ':');
}

static void test_verr_wraps(void **state)
{
	struct verr e = {0};

	(void)state;
	(void)verr_set(&e, ENOENT, "no such link");
	assert_int_equal(verr_wrap(&e, -ENOENT, "VIP %s", "ssh"), -ENOENT);
	assert_string_equal(e.msg, "VIP ssh: no such link");
	assert_int_equal(e.code, ENOENT);

	/* Nobody has said anything yet: the error number speaks. */
	struct verr blank = {0};

	assert_int_equal(verr_wrap(&blank, -EPERM, "opening"), -EPERM);
	assert_int_equal(blank.code, EPERM);
	assert_string_equal(blank.msg, "opening: Operation not permitted");
	assert_int_equal(verr_wrap(NULL, -EPERM, "x"), -EPERM);

	/* The old text may be an argument of the new one. */
	(void)verr_set(&e, EIO, "twice %s", e.msg);
	assert_string_equal(e.msg, "twice VIP ssh: no such link");
}

static void test_verr_is_one_line_of_whole_characters(void **state)
{
	struct verr e = {0};
	char big[400];

	(void)state;
	(void)verr_set(&e, EBADMSG, "got \"%s\"", "a\nb\x1b[0m");
	assert_string_equal(e.msg, "got \"a b [0m\"");

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	(void)verr_set(&e, EBADMSG, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	(void)verr_wrap(&e, -EBADMSG, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);

	/* The last byte that fits would be the first of two. */
	memcpy(big + sizeof(e.msg) - 2, "\xc3\xa4", 2);
	(void)verr_set(&e, EBADMSG, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 2);
}

static void test_span_text(void **state)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} rows[] = {
		{0, "0 us"},
		{850 * NS_PER_US, "850 us"},
		{NS_PER_MS - 1, "999 us"},
		{12 * NS_PER_MS + 999 * NS_PER_US, "12 ms"},
		{NS_PER_S, "1.0 s"},
		{3 * NS_PER_S + 290 * NS_PER_MS, "3.2 s"},
		{60 * NS_PER_S - 1, "59.9 s"},
		{245 * NS_PER_S, "4m05s"},
		{3600 * NS_PER_S - 1, "59m59s"},
		{(2 * 3600 + 13 * 60) * NS_PER_S, "2h13m"},
		{(3 * 24 + 4) * 3600 * NS_PER_S, "3d04h"},
		{UINT64_MAX, "213503d23h"},
	};
	char buf[MONO_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(mono_span_text(rows[i].ns, buf, sizeof(buf)), rows[i].want);
}

static void test_wall_text(void **state)
{
	char buf[MONO_TEXT_MAX], later[MONO_TEXT_MAX];
	uint64_t now_ns = mono_now_ns();

	(void)state;
	assert_true(now_ns > 0 && mono_now_ns() >= now_ns);
	mono_wall_text(now_ns, buf, sizeof(buf));
	assert_int_equal(strlen(buf), strlen("2026-01-02T03:04:05Z"));
	assert_int_equal(buf[10], 'T');
	assert_int_equal(buf[19], 'Z');
	mono_wall_text(now_ns + 3600 * NS_PER_S, later, sizeof(later));
	assert_true(strcmp(later, buf) > 0);
	mono_wall_text(now_ns, buf, 5);
	assert_string_equal(buf, "-");
}

static void test_wire_reads_big_endian(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct wire_rd r = {.p = bytes, .left = sizeof(bytes)};
	uint8_t rest[2];

	(void)state;
	assert_int_equal(wire_u8(&r), 1);
	assert_int_equal(wire_u16(&r), 0x0203);
	assert_int_equal(wire_u32(&r), 0x04050607);
	wire_skip(&r, 1);
	wire_bytes(&r, rest, 2);
	assert_memory_equal(rest, bytes + 8, 2);
	assert_int_equal(r.left, 0);
	assert_false(r.bad);
	wire_bytes(&r, NULL, 0);
	wire_skip(&r, 0);
	assert_false(r.bad);
	assert_int_equal(wire_u8(&r), 0);
	assert_true(r.bad);
}

static void test_wire_short_read_is_sticky(void **state)
{
	(void)state;
	for (size_t len = 0; len < 7; len++) {
		uint8_t *bytes = malloc(len ? len : 1);
		struct wire_rd r = {.p = bytes, .left = len};
		uint8_t out[8];

		assert_non_null(bytes);
		memset(bytes, 0xff, len);
		(void)wire_u8(&r);
		(void)wire_u16(&r);
		assert_int_equal(wire_u32(&r), 0);
		assert_true(r.bad);
		/* Even what would fit reads as zero now. */
		assert_int_equal(wire_u8(&r), 0);
		memset(out, 1, sizeof(out));
		wire_bytes(&r, out, sizeof(out));
		assert_int_equal(out[0] | out[7], 0);
		free(bytes);
	}
}

static void test_wire_writes(void **state)
{
	uint8_t buf[9];
	struct wire_wr w = {.p = buf, .left = sizeof(buf)};

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	wire_put_u8(&w, 1);
	wire_put_u16(&w, 0x0203);
	wire_put_u32(&w, 0x04050607);
	assert_false(w.bad);
	assert_int_equal(w.left, 2);
	wire_put_u32(&w, 0xffffffff);
	assert_true(w.bad);
	/* Nothing in part, and nothing after it. */
	wire_put_u8(&w, 0xff);
	assert_int_equal(w.left, 2);
	assert_memory_equal(buf, ((const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 0xee, 0xee}), 9);
	wire_put_bytes(&w, NULL, 0);
}

static void test_checksum(void **state)
{
	/* The example of RFC 1071 section 3, and an IPv4 header with its checksum in place. */
	static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	static const uint8_t ip[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				     0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	static const uint8_t odd[] = {0x12, 0x34, 0x56};
	uint8_t *ones = malloc(200001);

	(void)state;
	assert_int_equal(wire_checksum_fold(wire_checksum_add(0, rfc, sizeof(rfc))), 0x220d);
	assert_int_equal(wire_checksum_fold(wire_checksum_add(0, ip, sizeof(ip))), 0);
	assert_int_equal(
		wire_checksum_fold(wire_checksum_add(wire_checksum_add(0, rfc, 4), rfc + 4, 4)),
		0x220d);
	assert_int_equal(wire_checksum_fold(wire_checksum_add(0, odd, 3)),
			 (uint16_t) ~(0x1234 + 0x5600));
	assert_int_equal(wire_checksum_fold(0), 0xffff);
	assert_non_null(ones);
	memset(ones, 0xff, 200001);
	assert_int_equal(wire_checksum_fold(wire_checksum_add(UINT32_MAX, ones, 200000)), 0);
	free(ones);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *bytes;
		size_t want_len;
		uint32_t want;
	} rows[] = {
		{"A", 1, 'A'},
		{"\xc3\xa4", 2, 0xe4},
		{"\xe2\x82\xac", 3, 0x20ac},
		{"\xf0\x9f\x98\x80", 4, 0x1f600},
		{"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
		{"\x80", 0, 0}, /* a tail alone */
		{"\xc3", 0, 0}, /* cut */
		{"\xc3(", 0, 0},
		{"\xc0\x80", 0, 0}, /* overlong */
		{"\xe0\x80\xaf", 0, 0},
		{"\xed\xa0\x80", 0, 0}, /* surrogate */
		{"\xf4\x90\x80\x80", 0, 0}, /* too large */
		{"\xff", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t c = 0;
		const uint8_t *p = (const uint8_t *)rows[i].bytes;

		assert_int_equal(utf8_decode(p, strlen(rows[i].bytes), &c), rows[i].want_len);
		assert_int_equal(c, rows[i].want);
	}

	const uint8_t *text = (const uint8_t *)"a\xe2\x82\xac"
					       "b\xff";

	assert_int_equal(utf8_valid_len(text, 6), 5);
	assert_int_equal(utf8_valid_len(text, 5), 5);
	assert_int_equal(utf8_valid_len(text, 3), 1);
	assert_int_equal(utf8_cut(text, 6, 10), 6);
	assert_int_equal(utf8_cut(text, 6, 4), 4);
	assert_int_equal(utf8_cut(text, 6, 3), 1);
	assert_int_equal(utf8_cut(text, 6, 2), 1);
	assert_int_equal(utf8_cut(text, 6, 0), 0);
	assert_int_equal(utf8_cut((const uint8_t *)"\x80\x80\x80\x80\x80", 5, 4), 4);
}

/* What may stand in a line for people, from what others wrote. */
static void test_utf8_shown(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", ""},
		{"n\xc3\xb6"
		 "de-1 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "n\xc3\xb6"
		 "de-1 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\033[2J\x7f\n\tb", "a?[2J???b"},
		{"a\xc2\x9b"
		 "b",
		 "a?b"}, /* U+009B */
		{"a\xe2\x80\xae"
		 "b\xe2\x80\x8b"
		 "c\xef\xbb\xbf",
		 "a?b?c?"}, /* U+202E, U+200B, U+FEFF */
		{"\xff\xc3.\xe2\x82", "??.??"}, /* no characters */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *text = rows[i].text;
		char line[64] = "", ch[4];
		size_t len = 0;

		for (size_t n; (n = utf8_take_shown(&text, ch)) > 0; len += n)
			memcpy(line + len, ch, n);
		assert_string_equal(line, rows[i].want);
		assert_ptr_equal(text, rows[i].text + strlen(rows[i].text));
	}
}

static void test_netlink_attributes(void **state)
{
	/* a byte, padded; a nest of one attribute; one that is longer than what is left */
	struct nlattr heads[] = {{.nla_len = 5, .nla_type = 1},
				 {.nla_len = 10, .nla_type = NLA_F_NESTED | 2},
				 {.nla_len = 6, .nla_type = NLA_F_NET_BYTEORDER | 3},
				 {.nla_len = 5, .nla_type = 4}};
	uint8_t bytes[8 + 12 + 4] = {0};
	struct netlink_cursor c = {.p = bytes, .left = sizeof(bytes)}, inner;
	struct netlink_attr a;

	(void)state;
	memcpy(bytes, &heads[0], 4);
	memcpy(bytes + 8, &heads[1], 4);
	memcpy(bytes + 12, &heads[2], 4);
	memcpy(bytes + 20, &heads[3], 4);
	assert_true(netlink_attr_next(&c, &a));
	assert_true(a.type == 1 && a.len == 1 && a.p == bytes + 4);
	assert_true(netlink_attr_next(&c, &a));
	assert_true(a.type == 2 && a.len == 6 && a.p == bytes + 12);
	inner = netlink_nested(&a);
	assert_true(netlink_attr_next(&inner, &a));
	assert_true(a.type == 3 && a.len == 2 && a.p == bytes + 16);
	assert_false(
		netlink_attr_next(&inner, &a)); /* its padding is not there: that is no matter */
	assert_int_equal(inner.left, 0);
	assert_false(netlink_attr_next(&c, &a));
	bytes[20] = 3; /* shorter than itself */
	assert_false(netlink_attr_next(&c, &a));
	bytes[20] = 4;
	assert_true(netlink_attr_next(&c, &a));
	assert_int_equal(a.len, 0);
	assert_false(netlink_attr_next(&c, &a));
}

static void test_netlink_ends_of_answers(void **state)
{
	static const struct {
		uint16_t type;
		int32_t err;
		uint32_t len;
		int want;
	} rows[] = {
		{NLMSG_ERROR, 0, 4, 0},
		{NLMSG_ERROR, -ENOENT, 4, -ENOENT},
		{NLMSG_ERROR, 0, 0, -EBADMSG},
		{NLMSG_ERROR, 0, 3, -EBADMSG},
		{NLMSG_ERROR, ENOENT, 4, -EBADMSG},
		{NLMSG_ERROR, INT32_MIN, 4, -EBADMSG},
		{NLMSG_DONE, 0, 4, 0},
		{NLMSG_DONE, 0, 0, 0}, /* a dump may end without a number */
		{NLMSG_DONE, -ENOENT, 4, -ENOENT},
		{NLMSG_DONE, -ENOENT, 20, -ENOENT}, /* the kernel's words behind it */
		{NLMSG_DONE, 1, 4, -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_Alignas(struct nlmsghdr) uint8_t buf[NLMSG_HDRLEN + 20] = {0};
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf;

		h->nlmsg_len = NLMSG_HDRLEN + rows[i].len;
		h->nlmsg_type = rows[i].type;
		memcpy(buf + NLMSG_HDRLEN, &rows[i].err, 4);
		assert_int_equal(netlink_end(h), rows[i].want);
	}
}

static void test_array_doubles(void **state)
{
	uint32_t *items = NULL, *moved;
	size_t room = 0;

	(void)state;
	items = array_room(items, &room, 0, sizeof(*items)); /* none, and yet an array */
	assert_non_null(items);
	for (size_t n = 1; n <= 1000; n++) {
		size_t before = room;

		moved = array_room(items, &room, n, sizeof(*items));
		assert_non_null(moved);
		assert_true(room >= n && (room == before || room >= 2 * before));
		items = moved;
		items[n - 1] = (uint32_t)n;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(items[i], i + 1);
	moved = array_room(items, &room, 5000, sizeof(*items)); /* many at once */
	assert_non_null(moved);
	items = moved;
	assert_true(room >= 5000 && items[999] == 1000);
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verr_sets_and_returns),
		cmocka_unit_test(test_verr_tells_the_reason),
		cmocka_unit_test(test_verr_wraps),
		cmocka_unit_test(test_verr_is_one_line_of_whole_characters),
		cmocka_unit_test(test_span_text),
		cmocka_unit_test(test_wall_text),
		cmocka_unit_test(test_wire_reads_big_endian),
		cmocka_unit_test(test_wire_short_read_is_sticky),
		cmocka_unit_test(test_wire_writes),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_shown),
		cmocka_unit_test(test_array_doubles),
		cmocka_unit_test(test_netlink_attributes),
		cmocka_unit_test(test_netlink_ends_of_answers),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
