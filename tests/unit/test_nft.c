/* Unit tests of pkg/nft: elements as bytes. The kernel's part is in tests/netns/t_nft*.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/netlink.h>

#include "nft/nft_internal.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void keys(void **state)
{
	const uint32_t five = 5;
	struct plan_elem e = {
		.set = PLAN_MAP_SLOTS,
		.family = AF_INET,
		.protocol = 6,
		.slot = 5,
		.port = 0x1234,
		.ifindex = 5,
		.addr = ip("10.0.0.100"),
		.mac = {{2, 3, 4, 5, 6, 7}},
	};
	uint8_t want[16] = {6, 0, 0, 0, 10, 0, 0, 100, 0x12, 0x34, 0, 0}, key[NFT_KEY_MAX];

	(void)state;
	memcpy(want + 12, &five, 4); /* numbers are in host order, as in registers */
	assert_int_equal(nft_key_emit(&e, key), 16);
	assert_memory_equal(key, want, 16);
	e.set = PLAN_SET_REDIRECT;
	assert_int_equal(nft_key_emit(&e, key), 12);
	assert_memory_equal(key, want, 12);
	e.set = PLAN_SET_PEERS;
	assert_int_equal(nft_key_emit(&e, key), 6); /* alone: not padded */
	assert_memory_equal(key, e.mac.bytes, 6);
	e.set = PLAN_SET_ANSWER;
	assert_int_equal(nft_key_emit(&e, key), 8);
	assert_memory_equal(key, want + 4, 4);
	assert_memory_equal(key + 4, want + 12, 4);
	e.set = PLAN_MAP_STICKY;
	e.family = AF_INET6;
	e.addr = ip("fd00::1");
	assert_int_equal(nft_key_emit(&e, key), NFT_KEY_MAX);
	assert_memory_equal(key + 4, e.addr.bytes, 16);
}

static void tables_of_elements(void **state)
{
	const struct {
		enum plan_set set;
		uint8_t family;
		bool in[NFT_T_N];
	} t[] = {
		{PLAN_SET_VIPS, AF_INET, {true, false, true}},
		{PLAN_SET_VIPS, AF_INET6, {false, true, false}},
		{PLAN_SET_ANSWER, AF_INET, {false, false, true}},
		{PLAN_SET_ANSWER, AF_INET6, {false, false, false}},
		{PLAN_MAP_NODE, AF_INET, {true, false, false}},
		{PLAN_MAP_NODE, AF_UNSPEC, {false, false, false}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct plan_elem e = {.set = t[i].set, .family = t[i].family};

		for (int k = 0; k < NFT_T_N; k++)
			assert_int_equal(nft_elem_is_in(&e, (enum nft_table)k), t[i].in[k]);
	}
}

/* Appends an attribute to buf at len; returns the new length. */
static size_t put(uint8_t *buf, size_t len, uint16_t type, const void *data, size_t n)
{
	struct nlattr h = {.nla_len = (uint16_t)(sizeof(h) + n), .nla_type = type};
	size_t padded = (n + 3) & ~(size_t)3;

	memcpy(buf + len, &h, sizeof(h));
	memset(buf + len + sizeof(h), 0, padded);
	memcpy(buf + len + sizeof(h), data, n);
	return len + sizeof(h) + padded;
}

/* A message with one element of map `node`. */
static size_t message(uint8_t *buf, size_t key_len, size_t data_len)
{
	const uint8_t bytes[16] = {10, 0, 0, 100};
	uint8_t value[64], elem[128], list[160];
	size_t n, v;

	memset(buf, 0, 4);
	v = put(value, 0, NFTA_DATA_VALUE, bytes, key_len);
	n = put(elem, 0, NFTA_SET_ELEM_KEY | NLA_F_NESTED, value, v);
	v = put(value, 0, NFTA_DATA_VALUE, bytes, data_len);
	n = put(elem, n, NFTA_SET_ELEM_DATA | NLA_F_NESTED, value, v);
	n = put(list, 0, NFTA_LIST_ELEM | NLA_F_NESTED, elem, n);
	v = put(buf, 4, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME, sizeof(NFT_TABLE_NAME));
	return put(buf, v, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, list, n);
}

static int count(void *user, const struct plan_elem *e)
{
	struct addr want = ip("10.0.0.100");

	assert_true(addr_eq(&e->addr, &want) && addr_eq(&e->value, &want));
	++*(int *)user;
	return 0;
}

static void messages(void **state)
{
	uint8_t buf[256];
	size_t len = message(buf, 4, 4);
	int n = 0;

	(void)state;
	assert_int_equal(nft_elems_parse(NFT_T_IP, PLAN_MAP_NODE, buf, len, count, &n), 0);
	assert_int_equal(n, 1);
	assert_false(nft_event_is_ours(buf, len)); /* family 0 */
	buf[0] = NFPROTO_IPV4;
	assert_true(nft_event_is_ours(buf, len));
	buf[8] = 'V';
	assert_false(nft_event_is_ours(buf, len));
	for (size_t k = 0; k <= 16; k++) {
		if (k == 4)
			continue;
		len = message(buf, k, 4);
		assert_int_equal(nft_elems_parse(NFT_T_IP, PLAN_MAP_NODE, buf, len, count, &n),
				 -EBADMSG);
		len = message(buf, 4, k);
		assert_int_equal(nft_elems_parse(NFT_T_IP, PLAN_MAP_NODE, buf, len, count, &n),
				 -EBADMSG);
	}
	assert_int_equal(n, 1);
}

/* A cut message gives no element, whether or not it is noticed: attributes that do not fit are left out. */
static void truncations(void **state)
{
	uint8_t buf[256];
	size_t len = message(buf, 4, 4);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		uint8_t *copy = malloc(i ? i : 1);
		int n = 0, r;

		assert_non_null(copy);
		memcpy(copy, buf, i);
		r = nft_elems_parse(NFT_T_IP, PLAN_MAP_NODE, copy, i, count, &n);
		assert_true(r == 0 || r == -EBADMSG);
		assert_int_equal(n, 0);
		(void)nft_event_is_ours(copy, i);
		free(copy);
	}
}

static void slot_numbers(void **state)
{
	const uint32_t too_big = 256;
	uint8_t key[16] = {6}, value[64], elem[128], list[160], buf[256] = {0};
	size_t n, v;
	int seen = 0;

	(void)state;
	memcpy(key + 12, &too_big, 4);
	v = put(value, 0, NFTA_DATA_VALUE, key, sizeof(key));
	n = put(elem, 0, NFTA_SET_ELEM_KEY, value, v);
	n = put(list, 0, NFTA_LIST_ELEM, elem, n);
	n = put(buf, 4, NFTA_SET_ELEM_LIST_ELEMENTS, list, n);
	assert_int_equal(nft_elems_parse(NFT_T_IP, PLAN_MAP_SLOTS, buf, n, count, &seen), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),         cmocka_unit_test(tables_of_elements),
		cmocka_unit_test(messages),     cmocka_unit_test(truncations),
		cmocka_unit_test(slot_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
