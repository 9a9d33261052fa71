/* The advert codec: vectors of both versions, every truncation, every cause of rejection, parse after emit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vrrp/vrrp.h"

static size_t unhex(const char *text, uint8_t *buf, size_t size)
{
	size_t n = strlen(text) / 2;

	assert_true(n <= size);
	for (size_t i = 0; i < n; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], 0};

		buf[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* From a heap copy of the exact size, so that a sanitizer sees the first byte too many. */
static enum vrrp_rx parse(const uint8_t *buf, size_t len, const char *src, const char *dst,
			  struct vrrp_advert *ret, enum vrrp_checksum *ret_csum)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct addr s = ip(src), d = ip(dst);
	enum vrrp_rx rx;

	assert_non_null(copy);
	memcpy(copy, buf, len);
	rx = vrrp_advert_parse(copy, len, &s, &d, ret, ret_csum);
	free(copy);
	return rx;
}

struct vector {
	const char *name, *hex, *src, *dst;
	enum vrrp_checksum csum;
	struct vrrp_advert want;
	const char *addrs[2];
};

static const struct vector vectors[] = {
	{"v2 without authentication",
	 "2133960100013e5d0a0900640000000000000000",
	 "10.9.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PLAIN,
	 {.version = 2, .vrid = 51, .priority = 150, .period_ns = NS_PER_S, .n_addrs = 1},
	 {"10.9.0.100"}},
	{"v2 with a password",
	 "21339601010133430a0900647333637233740000",
	 "10.9.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PLAIN,
	 {.version = 2,
	  .vrid = 51,
	  .priority = 150,
	  .period_ns = NS_PER_S,
	  .auth_type = 1,
	  .auth = "s3cr3t",
	  .n_addrs = 1},
	 {"10.9.0.100"}},
	{"v2, 2 s",
	 "2133640101020d030a0000643131313100000000",
	 "10.0.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PLAIN,
	 {.version = 2,
	  .vrid = 51,
	  .priority = 100,
	  .period_ns = 2 * NS_PER_S,
	  .auth_type = 1,
	  .auth = "1111",
	  .n_addrs = 1},
	 {"10.0.0.100"}},
	{"v2, priority 0",
	 "21330001010271030a0000643131313100000000",
	 "10.0.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PLAIN,
	 {.version = 2,
	  .vrid = 51,
	  .priority = 0,
	  .period_ns = 2 * NS_PER_S,
	  .auth_type = 1,
	  .auth = "1111",
	  .n_addrs = 1},
	 {"10.0.0.100"}},
	{"v3 IPv4, RFC 5798 checksum",
	 "31339601006443570a090064",
	 "10.9.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PSEUDO,
	 {.version = 3, .vrid = 51, .priority = 150, .period_ns = NS_PER_S, .n_addrs = 1},
	 {"10.9.0.100"}},
	{"v3 IPv4, RFC 9568 checksum",
	 "3133960100642dfa0a090064",
	 "10.9.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PLAIN,
	 {.version = 3, .vrid = 51, .priority = 150, .period_ns = NS_PER_S, .n_addrs = 1},
	 {"10.9.0.100"}},
	{"v3 IPv4 unicast, RFC 5798 checksum",
	 "31339601006419550a090064",
	 "10.9.0.11",
	 "10.9.0.12",
	 VRRP_CSUM_PSEUDO,
	 {.version = 3, .vrid = 51, .priority = 150, .period_ns = NS_PER_S, .n_addrs = 1},
	 {"10.9.0.100"}},
	{"v3, 10 ms, priority 254",
	 "3133fe010001c6650a000064",
	 "10.0.0.11",
	 "224.0.0.18",
	 VRRP_CSUM_PLAIN,
	 {.version = 3, .vrid = 51, .priority = 254, .period_ns = 10 * NS_PER_MS, .n_addrs = 1},
	 {"10.0.0.100"}},
	{"v3 IPv6",
	 "3133960200648a6cfe800000000000000000000000000100fd090000000000000000000000000100",
	 "fe80::a872:30ff:fe6d:da60",
	 "ff02::12",
	 VRRP_CSUM_PSEUDO,
	 {.version = 3, .vrid = 51, .priority = 150, .period_ns = NS_PER_S, .n_addrs = 2},
	 {"fe80::100", "fd09::100"}},
};

static struct vrrp_advert vector_advert(const struct vector *vec)
{
	struct vrrp_advert a = vec->want;

	for (size_t i = 0; i < a.n_addrs; i++)
		a.addrs[i] = ip(vec->addrs[i]);
	return a;
}

static void assert_same_advert(const struct vrrp_advert *a, const struct vrrp_advert *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->vrid, b->vrid);
	assert_int_equal(a->priority, b->priority);
	assert_true(a->period_ns == b->period_ns);
	assert_int_equal(a->auth_type, b->auth_type);
	assert_memory_equal(a->auth, b->auth, VRRP_AUTH_LEN);
	assert_int_equal(a->n_addrs, b->n_addrs);
	for (size_t i = 0; i < a->n_addrs && i < VRRP_ADDRS_MAX; i++)
		assert_true(addr_eq(&a->addrs[i], &b->addrs[i]));
}

static void vectors_parse_and_emit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *vec = &vectors[i];
		struct vrrp_advert want = vector_advert(vec), got;
		struct addr src = ip(vec->src), dst = ip(vec->dst);
		enum vrrp_checksum csum;
		uint8_t bytes[VRRP_PACKET_MAX], out[VRRP_PACKET_MAX];
		size_t len = unhex(vec->hex, bytes, sizeof(bytes));

		print_message("  %s\n", vec->name);
		assert_int_equal(parse(bytes, len, vec->src, vec->dst, &got, &csum), VRRP_RX_OK);
		assert_int_equal(csum, vec->csum);
		assert_same_advert(&got, &want);
		assert_int_equal(vrrp_advert_emit(&want, &src, &dst, vec->csum, out, sizeof(out)),
				 len);
		assert_memory_equal(out, bytes, len);
	}
}

static void every_truncation_is_rejected(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *vec = &vectors[i];
		uint8_t bytes[VRRP_PACKET_MAX + 1] = {0};
		size_t len = unhex(vec->hex, bytes, sizeof(bytes));
		struct vrrp_advert got, untouched;
		enum vrrp_checksum csum = 77;

		memset(&got, 0x5a, sizeof(got));
		untouched = got;
		for (size_t n = 0; n <= len + 1; n++) {
			if (n == len)
				continue;
			assert_int_equal(parse(bytes, n, vec->src, vec->dst, &got, &csum),
					 VRRP_RX_LENGTH);
			assert_memory_equal(&got, &untouched, sizeof(got));
			assert_int_equal(csum, 77);
		}
	}
}

/* Sets the checksum of a v2 message or of a v3/IPv4 message in its plain form. */
static void fix_checksum(uint8_t *bytes, size_t len)
{
	uint16_t sum;

	bytes[6] = bytes[7] = 0;
	sum = wire_checksum_fold(wire_checksum_add(0, bytes, len));
	bytes[6] = (uint8_t)(sum >> 8);
	bytes[7] = (uint8_t)sum;
}

struct bad_case {
	const char *name, *hex;
	const char *src; /* NULL: 10.9.0.11 */
	bool fix;
	enum vrrp_rx want;
};

static const struct bad_case bad_cases[] = {
	{"version 4", "41339601006443570a090064", NULL, true, VRRP_RX_VERSION},
	{"version 0", "01339601006443570a090064", NULL, true, VRRP_RX_VERSION},
	{"version 2 over IPv6", "2133960100013e5d0a0900640000000000000000", "fe80::1", true,
	 VRRP_RX_VERSION},
	{"type 2", "32339601006443570a090064", NULL, true, VRRP_RX_TYPE},
	{"count 200, one address", "313396c8006443570a090064", NULL, true, VRRP_RX_LENGTH},
	{"odd trailing byte", "31339601006443570a09006400", NULL, true, VRRP_RX_LENGTH},
	{"v2 without its auth data", "2133960100013e5d0a090064", NULL, true, VRRP_RX_LENGTH},
	{"v3 with auth data", "3133960100013e5d0a0900640000000000000000", NULL, true,
	 VRRP_RX_LENGTH},
	{"checksum + 1", "31339601006443580a090064", NULL, false, VRRP_RX_CHECKSUM},
	{"v2 checksum + 1", "2133960100013e5e0a0900640000000000000000", NULL, false,
	 VRRP_RX_CHECKSUM},
	{"v2 auth data not covered", "2133960101013e5d0a0900647333637233740000", NULL, false,
	 VRRP_RX_CHECKSUM},
	{"v3 IPv6, one byte too many", "31339601006400000000000000000000000000000000000000",
	 "fe80::1", true, VRRP_RX_LENGTH},
	{"v3 IPv6 without pseudo-header", "313396010064000000000000000000000000000000000000",
	 "fe80::1", true, VRRP_RX_CHECKSUM},
	{"VRID 0", "31009601006400000a090064", NULL, true, VRRP_RX_VRID},
	{"count 0", "3133960000640000", NULL, true, VRRP_RX_COUNT},
	{"v2 count 0", "21339600000100000000000000000000", NULL, true, VRRP_RX_COUNT},
	{"v3 interval 0", "31339601000000000a090064", NULL, true, VRRP_RX_INTERVAL},
	{"v2 interval 0", "21339601000000000a0900640000000000000000", NULL, true, VRRP_RX_INTERVAL},
};

static void bad_packets_have_their_cause(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		const char *src = c->src ? c->src : "10.9.0.11";
		const char *dst = c->src ? "ff02::12" : "224.0.0.18";
		uint8_t bytes[VRRP_PACKET_MAX];
		size_t len = unhex(c->hex, bytes, sizeof(bytes));
		struct vrrp_advert got;
		enum vrrp_checksum csum;

		print_message("  %s\n", c->name);
		if (c->fix)
			fix_checksum(bytes, len);
		assert_int_equal(parse(bytes, len, src, dst, &got, &csum), c->want);
	}
}

static void reserved_nibble_is_ignored(void **state)
{
	uint8_t bytes[VRRP_PACKET_MAX];
	size_t len = unhex("3133960100642dfa0a090064", bytes, sizeof(bytes));
	struct vrrp_advert got;
	enum vrrp_checksum csum;

	(void)state;
	bytes[4] |= 0xf0;
	fix_checksum(bytes, len);
	assert_int_equal(parse(bytes, len, "10.9.0.11", "224.0.0.18", &got, &csum), VRRP_RX_OK);
	assert_true(got.period_ns == NS_PER_S);
}

static void more_addresses_than_kept(void **state)
{
	uint8_t bytes[8 + 4 * 255] = {0x31, 7, 100, 255, 0, 100};
	struct vrrp_advert got;
	enum vrrp_checksum csum;

	(void)state;
	for (size_t i = 0; i < 255; i++)
		bytes[8 + 4 * i] = (uint8_t)i;
	fix_checksum(bytes, sizeof(bytes));
	assert_int_equal(parse(bytes, sizeof(bytes), "10.9.0.11", "224.0.0.18", &got, &csum),
			 VRRP_RX_OK);
	assert_int_equal(got.n_addrs, 255);
	assert_int_equal(got.addrs[VRRP_ADDRS_MAX - 1].bytes[0], VRRP_ADDRS_MAX - 1);
}

static void emit_refuses_what_cannot_be_said(void **state)
{
	struct addr src = ip("10.9.0.11"), dst = ip("224.0.0.18"), src6 = ip("fe80::1"),
		    dst6 = ip("ff02::12");
	const struct vrrp_advert good = {.version = 3,
					 .vrid = 1,
					 .priority = 1,
					 .period_ns = NS_PER_S,
					 .n_addrs = 1,
					 .addrs = {ip("10.9.0.100")}};
	struct vrrp_advert a;
	uint8_t buf[VRRP_PACKET_MAX];

	(void)state;
	assert_int_equal(vrrp_advert_emit(&good, &src, &dst, 0, buf, sizeof(buf)), 12);
	for (size_t size = 0; size < 12; size++)
		assert_int_equal(vrrp_advert_emit(&good, &src, &dst, 0, buf, size), 0);
	assert_int_equal(vrrp_advert_emit(&good, &src6, &dst6, 0, buf, sizeof(buf)), 0);
	assert_int_equal(vrrp_advert_emit(&good, &src, &dst6, 0, buf, sizeof(buf)), 0);

	const uint64_t bad_v3_ns[] = {0, 5 * NS_PER_MS, 15 * NS_PER_MS, 40960 * NS_PER_MS};
	for (size_t i = 0; i < ARRAY_LEN(bad_v3_ns); i++) {
		a = good;
		a.period_ns = bad_v3_ns[i];
		assert_int_equal(vrrp_advert_emit(&a, &src, &dst, 0, buf, sizeof(buf)), 0);
	}
	const uint64_t bad_v2_ns[] = {0, 100 * NS_PER_MS, 1500 * NS_PER_MS, 256 * NS_PER_S};
	for (size_t i = 0; i < ARRAY_LEN(bad_v2_ns); i++) {
		a = good;
		a.version = 2;
		a.period_ns = bad_v2_ns[i];
		assert_int_equal(vrrp_advert_emit(&a, &src, &dst, 0, buf, sizeof(buf)), 0);
	}
	a = good;
	a.version = 4;
	assert_int_equal(vrrp_advert_emit(&a, &src, &dst, 0, buf, sizeof(buf)), 0);
	a = good;
	a.vrid = 0;
	assert_int_equal(vrrp_advert_emit(&a, &src, &dst, 0, buf, sizeof(buf)), 0);
	a = good;
	a.n_addrs = 0;
	assert_int_equal(vrrp_advert_emit(&a, &src, &dst, 0, buf, sizeof(buf)), 0);
	a = good;
	a.n_addrs = VRRP_ADDRS_MAX + 1;
	assert_int_equal(vrrp_advert_emit(&a, &src, &dst, 0, buf, sizeof(buf)), 0);
	a = good;
	a.version = 2;
	assert_int_equal(vrrp_advert_emit(&a, &src6, &dst6, 0, buf, sizeof(buf)), 0);
}

/* Property: what emit writes, parse reads back, in both checksum forms and with any number of addresses. */
static void parse_after_emit_is_identity(void **state)
{
	static const uint64_t v3_ns[] = {10 * NS_PER_MS, 100 * NS_PER_MS, NS_PER_S,
					 40950 * NS_PER_MS};

	(void)state;
	for (size_t n = 1; n <= VRRP_ADDRS_MAX; n++) {
		for (size_t i = 0; i < 3 * ARRAY_LEN(v3_ns); i++) {
			bool is_v6 = i % 3 == 2;
			uint8_t version = i % 3 == 0 ? 2 : 3;
			struct addr src = ip(is_v6 ? "fe80::2" : "10.9.0.11");
			struct addr dst = ip(is_v6 ? "ff02::12" : "224.0.0.18");
			struct vrrp_advert a = {.version = version,
						.vrid = (uint8_t)(n * 15),
						.priority = (uint8_t)(i * 20),
						.period_ns = version == 2 ? (i + 1) * NS_PER_S
									  : v3_ns[i / 3],
						.n_addrs = n};

			if (version == 2) {
				a.auth_type = 1;
				memcpy(a.auth, "password", VRRP_AUTH_LEN);
			}
			for (size_t k = 0; k < n; k++) {
				a.addrs[k] = src;
				a.addrs[k].bytes[3] = (uint8_t)(100 + k);
			}
			for (enum vrrp_checksum form = VRRP_CSUM_PSEUDO; form <= VRRP_CSUM_PLAIN;
			     form++) {
				struct vrrp_advert got;
				enum vrrp_checksum csum;
				uint8_t buf[VRRP_PACKET_MAX];
				size_t len =
					vrrp_advert_emit(&a, &src, &dst, form, buf, sizeof(buf));

				assert_true(len > 0);
				assert_int_equal(
					vrrp_advert_parse(buf, len, &src, &dst, &got, &csum),
					VRRP_RX_OK);
				assert_same_advert(&got, &a);
				if (version == 3 && !is_v6)
					assert_int_equal(csum, form);
			}
		}
	}
}

static void causes_have_names(void **state)
{
	(void)state;
	for (enum vrrp_rx rx = VRRP_RX_OK; rx < VRRP_RX_N; rx++) {
		assert_string_not_equal(vrrp_rx_name(rx), "unknown");
		for (enum vrrp_rx other = VRRP_RX_OK; other < rx; other++)
			assert_string_not_equal(vrrp_rx_name(rx), vrrp_rx_name(other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_parse_and_emit),
		cmocka_unit_test(every_truncation_is_rejected),
		cmocka_unit_test(bad_packets_have_their_cause),
		cmocka_unit_test(reserved_nibble_is_ignored),
		cmocka_unit_test(more_addresses_than_kept),
		cmocka_unit_test(emit_refuses_what_cannot_be_said),
		cmocka_unit_test(parse_after_emit_is_identity),
		cmocka_unit_test(causes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
