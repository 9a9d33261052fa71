/* Frames of l2 against bytes written by hand, and its parsers against every truncation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l2/l2.h"

static size_t unhex(const char *text, uint8_t *buf, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		char pair[3] = {0};

		if (*text == ' ')
			continue;
		pair[0] = *text++;
		pair[1] = *text;
		assert_true(n < size);
		buf[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static const struct mac own = {{2, 0, 0, 0, 0, 0x51}};

static void assert_frame(const uint8_t *frame, size_t len, const char *hex)
{
	uint8_t want[L2_FRAME_MAX];
	size_t want_len = unhex(hex, want, sizeof(want));

	assert_int_equal(len, want_len);
	assert_memory_equal(frame, want, len);
}

static void arp_probe(void **state)
{
	struct addr a = ip("192.168.44.120");
	uint8_t buf[L2_FRAME_MAX];

	(void)state;
	assert_frame(buf, l2_arp_probe_emit(&a, &own, buf),
		     "ffffffffffff 020000000051 0806 0001 0800 06 04 0001"
		     "020000000051 00000000 000000000000 c0a82c78");
}

static void garp_request_and_reply(void **state)
{
	struct addr a = ip("192.168.44.120");
	uint8_t buf[L2_FRAME_MAX];

	(void)state;
	assert_frame(buf, l2_garp_emit(&a, &own, false, buf),
		     "ffffffffffff 020000000051 0806 0001 0800 06 04 0001"
		     "020000000051 c0a82c78 000000000000 c0a82c78");
	assert_frame(buf, l2_garp_emit(&a, &own, true, buf),
		     "ffffffffffff 020000000051 0806 0001 0800 06 04 0002"
		     "020000000051 c0a82c78 020000000051 c0a82c78");
}

/* An IP packet whose checksums are right adds up to nothing. */
static void challenge_ipv4(void **state)
{
	struct l2_challenge c = {.from = ip("192.168.44.120"),
				 .to = ip("192.168.44.20"),
				 .from_port = 22,
				 .to_port = 40000,
				 .seq = 0x01020304};
	uint8_t buf[L2_FRAME_MAX];
	size_t len = l2_challenge_emit(&c, buf);
	uint32_t sum;

	(void)state;
	assert_frame(buf, len,
		     "4500 0029 0000 4000 40 06 60f2 c0a82c78 c0a82c14"
		     "0016 9c40 01020304 00000000 50 10 ffff 359a 0000 00");
	assert_int_equal(wire_checksum_fold(wire_checksum_add(0, buf, 20)), 0);
	sum = wire_checksum_add(21 + 6, buf + 12, 8);
	assert_int_equal(wire_checksum_fold(wire_checksum_add(sum, buf + 20, 21)), 0);
}

static void challenge_ipv6(void **state)
{
	struct l2_challenge c = {.from = ip("fd09::100"),
				 .to = ip("fd09::20"),
				 .from_port = 24007,
				 .to_port = 40000,
				 .seq = 7};
	uint8_t buf[L2_FRAME_MAX];
	size_t len = l2_challenge_emit(&c, buf);
	uint32_t sum;

	(void)state;
	assert_int_equal(len, 61);
	sum = wire_checksum_add(21 + 6, buf + 8, 32);
	assert_int_equal(wire_checksum_fold(wire_checksum_add(sum, buf + 40, 21)), 0);
	buf[56] = buf[57] = 0;
	assert_frame(buf, len,
		     "60000000 0015 06 40 fd090000000000000000000000000100"
		     "fd090000000000000000000000000020 5dc7 9c40 00000007 00000000 5010 ffff 0000 "
		     "0000 00");
}

static void neighbour_advertisement(void **state)
{
	struct addr a = ip("fd09::100"), source = ip("fe80::51");
	uint8_t buf[L2_FRAME_MAX], pseudo[40];
	size_t len = l2_na_emit(&a, &source, &own, buf);
	uint32_t sum;

	(void)state;
	assert_frame(buf, len,
		     "333300000001 020000000051 86dd 60000000 0020 3a ff"
		     "fe800000000000000000000000000051"
		     "ff020000000000000000000000000001"
		     "88 00 d772 a0000000"
		     "fd090000000000000000000000000100"
		     "02 01 020000000051");
	memcpy(pseudo, buf + 14 + 8, 32);
	memcpy(pseudo + 32, "\0\0\0\x20\0\0\0\x3a", 8);
	sum = wire_checksum_add(0, pseudo, sizeof(pseudo));
	assert_int_equal(wire_checksum_fold(wire_checksum_add(sum, buf + 54, len - 54)), 0);
}

static void neighbour_solicitation(void **state)
{
	struct addr a = ip("fd09::12:3456"), source = ip("fe80::51");
	uint8_t buf[L2_FRAME_MAX];
	size_t len = l2_ns_emit(&a, &source, &own, buf);
	uint32_t sum;

	(void)state;
	sum = wire_checksum_add(32 + 58, buf + 22, 32);
	assert_int_equal(wire_checksum_fold(wire_checksum_add(sum, buf + 54, len - 54)), 0);
	buf[56] = buf[57] = 0;
	assert_frame(buf, len,
		     "3333ff123456 020000000051 86dd 60000000 0020 3a ff"
		     "fe800000000000000000000000000051"
		     "ff0200000000000000000001ff123456"
		     "87 00 0000 00000000"
		     "fd090000000000000000000000123456"
		     "01 01 020000000051");
}

static int parse_arp(const uint8_t *bytes, size_t len, struct l2_arp *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	r = l2_arp_parse(copy, len, ret);
	free(copy);
	return r;
}

static void arp_parse_reads_what_emit_writes(void **state)
{
	struct addr a = ip("192.168.44.120");

	(void)state;
	for (int reply = 0; reply < 2; reply++) {
		uint8_t buf[L2_FRAME_MAX];
		size_t len = l2_garp_emit(&a, &own, reply, buf);
		struct l2_arp arp;

		assert_int_equal(parse_arp(buf, len, &arp), 0);
		assert_int_equal(arp.request, !reply);
		assert_true(mac_eq(&arp.sender_mac, &own));
		assert_true(addr_eq(&arp.sender, &a));
		assert_true(addr_eq(&arp.target, &a));
		/* Ethernet pads short frames. */
		memset(buf + len, 0, 18);
		assert_int_equal(parse_arp(buf, len + 18, &arp), 0);
		memset(&arp, 0x5a, sizeof(arp));
		for (size_t n = 0; n < len; n++) {
			assert_int_equal(parse_arp(buf, n, &arp), -EBADMSG);
			assert_int_equal(arp.sender_mac.bytes[0], 0x5a);
		}
	}
}

static void arp_of_other_kinds_is_refused(void **state)
{
	/* offset of a byte, and what it must not be */
	static const struct {
		size_t offset;
		uint8_t value;
	} bad[] = {{13, 0x07}, {15, 6}, {16, 0x86}, {18, 8}, {19, 16}, {21, 3}, {21, 0}};
	struct addr a = ip("10.0.0.1");
	uint8_t buf[L2_FRAME_MAX];
	size_t len = l2_garp_emit(&a, &own, true, buf);
	struct l2_arp arp;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t frame[L2_FRAME_MAX];

		memcpy(frame, buf, len);
		frame[bad[i].offset] = bad[i].value;
		assert_int_equal(parse_arp(frame, len, &arp), -EBADMSG);
	}
}

static int parse_na(const uint8_t *bytes, size_t len, struct l2_na *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	r = l2_na_parse(copy, len, ret);
	free(copy);
	return r;
}

/* Makes length and checksum of an ICMPv6 packet right. */
static void seal(uint8_t *frame, size_t len)
{
	size_t icmp_len = len - 54;
	uint16_t folded;
	uint32_t sum;

	frame[18] = (uint8_t)(icmp_len >> 8);
	frame[19] = (uint8_t)icmp_len;
	if (icmp_len < 4)
		return;
	frame[56] = frame[57] = 0;
	sum = wire_checksum_add((uint32_t)icmp_len + 58, frame + 22, 32);
	folded = wire_checksum_fold(wire_checksum_add(sum, frame + 54, icmp_len));
	frame[56] = (uint8_t)(folded >> 8);
	frame[57] = (uint8_t)folded;
}

/* A frame that is sealed when its options have been put in. */
#define NA_HEAD                                                             \
	"020000000051 020000000099 86dd 60000000 0000 3a ff"                \
	"fd090000000000000000000000000100 fe800000000000000000000000000051" \
	"88 00 0000 60000000 fd090000000000000000000000000100"
#define NA_HEAD_LEN 78

static size_t na_with(const char *options, uint8_t *buf)
{
	size_t len = unhex(NA_HEAD, buf, L2_FRAME_MAX);

	assert_int_equal(len, NA_HEAD_LEN);
	len += unhex(options, buf + len, L2_FRAME_MAX - len);
	seal(buf, len);
	return len;
}

static void na_parse_reads_what_emit_writes(void **state)
{
	struct addr a = ip("fd09::100"), source = ip("fe80::51");
	uint8_t buf[L2_FRAME_MAX] = {0};
	size_t len = l2_na_emit(&a, &source, &own, buf);
	struct l2_na na;

	(void)state;
	assert_int_equal(parse_na(buf, len, &na), 0);
	assert_true(addr_eq(&na.target, &a));
	assert_true(mac_eq(&na.mac, &own));
	assert_int_equal(parse_na(buf, len + 18, &na), 0);
	memset(&na, 0x5a, sizeof(na));
	for (size_t n = 0; n < len; n++) {
		assert_int_equal(parse_na(buf, n, &na), -EBADMSG);
		assert_int_equal(na.mac.bytes[0], 0x5a);
	}
}

/* Shorter ones whose lengths and checksum are right: only the one without its option is whole. */
static void na_is_whole_or_refused(void **state)
{
	const struct mac sender = {{2, 0, 0, 0, 0, 0x99}};
	uint8_t whole[L2_FRAME_MAX], buf[L2_FRAME_MAX];
	size_t len = na_with("02 01 020000000077", whole);

	(void)state;
	for (size_t n = 54; n < len; n++) {
		struct l2_na na;

		memcpy(buf, whole, sizeof(buf));
		seal(buf, n);
		assert_int_equal(parse_na(buf, n, &na), n == NA_HEAD_LEN ? 0 : -EBADMSG);
		if (n == NA_HEAD_LEN)
			assert_true(mac_eq(&na.mac, &sender));
		/* what would make it whole lies behind its end */
		assert_int_equal(parse_na(buf, len, &na), n == NA_HEAD_LEN ? 0 : -EBADMSG);
	}
}

static void na_options_are_read(void **state)
{
	static const struct {
		const char *options;
		uint8_t last; /* of the MAC address; 0: refused */
	} cases[] = {
		{"", 0x99},
		{"02 01 020000000077", 0x77},
		{"01 01 020000000066", 0x99}, /* not the target's */
		{"0e 02 0000000000000000 000000000000 02 01 020000000077", 0x77},
		{"02 01 020000000077 02 01 020000000078", 0x77},
		{"02 01 020000000077 0e 01 000000000000", 0x77},
		{"02 00 020000000077", 0},
		{"0e 00 000000000000 02 01 020000000077", 0},
		{"02 01 020000000077 00 00 000000000000", 0},
		{"02 02 020000000077 0000000000000000", 0}, /* not Ethernet's */
		{"02 01 02000000", 0},
		{"0e 02 000000000000", 0},
		{"0e ff 000000000000", 0},
		{"02 01 020000000077 02", 0},
	};
	uint8_t buf[L2_FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = na_with(cases[i].options, buf);
		struct l2_na na;

		assert_int_equal(parse_na(buf, len, &na), cases[i].last ? 0 : -EBADMSG);
		if (cases[i].last)
			assert_int_equal(na.mac.bytes[5], cases[i].last);
	}
}

static void na_of_other_kinds_is_refused(void **state)
{
	/* offset of a byte, and what it must not be */
	static const struct {
		size_t offset;
		uint8_t value;
	} bad[] = {
		{12, 0x08}, /* another protocol than IPv6 */
		{14, 0x40}, /* another version */
		{20, 0x00}, /* an extension header */
		{21, 254}, /* came through a router */
		{54, 135}, /* a solicitation */
		{55, 1}, /* code */
		{62, 0xff}, /* a group as its target */
		{38, 0xff}, /* sent to a group, although it was asked for */
	};
	uint8_t plain[L2_FRAME_MAX], buf[L2_FRAME_MAX];
	size_t len = na_with("02 01 020000000077", plain);
	struct l2_na na;

	(void)state;
	assert_int_equal(parse_na(plain, len, &na), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(buf, plain, len);
		buf[bad[i].offset] = bad[i].value;
		seal(buf, len);
		assert_int_equal(parse_na(buf, len, &na), -EBADMSG);
	}
	/* any bit that the checksum covers */
	for (size_t i = 22; i < len; i++) {
		memcpy(buf, plain, len);
		buf[i] ^= 0x04;
		assert_int_equal(parse_na(buf, len, &na), -EBADMSG);
	}
}

static int parse_ip4(const uint8_t *bytes, size_t len, struct l2_vrrp_packet *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	r = l2_ip4_parse(copy, len, ret);
	if (r == 0)
		ret->msg = bytes + (ret->msg - copy);
	free(copy);
	return r;
}

/* 20 bytes of header, 12 of message */
#define PLAIN "45 c0 0020 1234 0000 ff 70 0000 0a09000b e0000012 3133960100642dfa0a090064"
/* 24 of header: one word of options */
#define OPTIONS \
	"46 c0 0024 1234 4000 fe 70 0000 0a09000b 0a09000c 94040000 3133960100642dfa0a090064"

static void ip4_header_is_skipped(void **state)
{
	uint8_t buf[64] = {0};
	struct l2_vrrp_packet p;
	struct addr src = ip("10.9.0.11"), dst = ip("10.9.0.12");

	(void)state;
	assert_int_equal(parse_ip4(buf, unhex(PLAIN, buf, sizeof(buf)), &p), 0);
	assert_ptr_equal(p.msg, buf + 20);
	assert_int_equal(p.len, 12);
	assert_int_equal(p.ttl, 255);
	assert_true(addr_eq(&p.src, &src));

	assert_int_equal(parse_ip4(buf, unhex(OPTIONS, buf, sizeof(buf)), &p), 0);
	assert_ptr_equal(p.msg, buf + 24);
	assert_int_equal(p.len, 12);
	assert_int_equal(p.ttl, 254);
	assert_true(addr_eq(&p.dst, &dst));
	/* What follows the packet is padding. */
	assert_int_equal(parse_ip4(buf, 60, &p), 0);
	assert_int_equal(p.len, 12);
}

static void ip4_that_is_not_whole_is_refused(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} bad[] = {
		{0, 0x55}, /* version */
		{0, 0x44}, /* header shorter than a header */
		{0, 0x4f}, /* header longer than the packet */
		{3, 19}, /* total shorter than the header */
		{3, 33}, /* total longer than what came */
		{6, 0x20}, /* more fragments */
		{7, 1}, /* not the first fragment */
		{9, 17}, /* another protocol */
	};
	uint8_t plain[64], buf[64];
	size_t len = unhex(PLAIN, plain, sizeof(plain));
	struct l2_vrrp_packet p;

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(parse_ip4(plain, n, &p), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(buf, plain, len);
		buf[bad[i].offset] = bad[i].value;
		assert_int_equal(parse_ip4(buf, len, &p), -EBADMSG);
	}
}

static void groups(void **state)
{
	struct addr v4 = ip("224.0.0.18"), v6 = ip("ff02::12"), got;

	(void)state;
	got = l2_vrrp_group(AF_INET);
	assert_true(addr_eq(&got, &v4));
	got = l2_vrrp_group(AF_INET6);
	assert_true(addr_eq(&got, &v6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garp_request_and_reply),
		cmocka_unit_test(arp_probe),
		cmocka_unit_test(neighbour_advertisement),
		cmocka_unit_test(neighbour_solicitation),
		cmocka_unit_test(challenge_ipv4),
		cmocka_unit_test(challenge_ipv6),
		cmocka_unit_test(arp_parse_reads_what_emit_writes),
		cmocka_unit_test(arp_of_other_kinds_is_refused),
		cmocka_unit_test(na_parse_reads_what_emit_writes),
		cmocka_unit_test(na_is_whole_or_refused),
		cmocka_unit_test(na_options_are_read),
		cmocka_unit_test(na_of_other_kinds_is_refused),
		cmocka_unit_test(ip4_header_is_skipped),
		cmocka_unit_test(ip4_that_is_not_whole_is_refused),
		cmocka_unit_test(groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
