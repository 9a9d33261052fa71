/* What ctnetlink dumps, as messages made here; and every truncation of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>

#include "ct/ct.h"

static struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

struct side {
	const char *src, *dst;
	uint16_t src_port, dst_port;
};

static void put_tuple(struct nlmsghdr *h, uint16_t type, uint8_t protocol, const struct side *s)
{
	struct addr src = ip(s->src), dst = ip(s->dst);
	bool is_v6 = src.family == AF_INET6;
	struct nlattr *tuple = mnl_attr_nest_start(h, type);
	struct nlattr *part = mnl_attr_nest_start(h, CTA_TUPLE_IP);

	mnl_attr_put(h, is_v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, addr_len(&src), src.bytes);
	mnl_attr_put(h, is_v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, addr_len(&dst), dst.bytes);
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, protocol);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(s->src_port));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(s->dst_port));
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
}

/* The bytes behind the netlink header, in memory of exactly their size: a sanitizer sees every step beyond. */
static uint8_t *message(uint8_t family, uint8_t protocol, const struct side *orig,
			const struct side *reply, size_t *ret_len)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *head = mnl_nlmsg_put_extra_header(h, sizeof(*head));
	uint8_t *copy;

	*head = (struct nfgenmsg){.nfgen_family = family};
	put_tuple(h, CTA_TUPLE_ORIG, protocol, orig);
	put_tuple(h, CTA_TUPLE_REPLY, protocol, reply);
	mnl_attr_put_u32(h, CTA_STATUS, htonl(0x1ae));
	*ret_len = mnl_nlmsg_get_payload_len(h);
	copy = malloc(*ret_len);
	assert_non_null(copy);
	memcpy(copy, mnl_nlmsg_get_payload(h), *ret_len);
	return copy;
}

static const struct side asked = {"10.244.1.5", "192.168.44.120", 40000, 22};
static const struct side answered = {"192.168.44.52", "192.168.44.51", 22, 40000};

static void translated_connection(void **state)
{
	const struct addr client = ip("10.244.1.5"), vip = ip("192.168.44.120"),
			  server = ip("192.168.44.52");
	struct ct_conn c;
	size_t len;
	uint8_t *msg = message(AF_INET, IPPROTO_TCP, &asked, &answered, &len);

	(void)state;
	assert_int_equal(ct_conn_parse(msg, len, &c), 0);
	assert_int_equal(c.protocol, IPPROTO_TCP);
	assert_true(addr_eq(&c.client, &client));
	assert_true(addr_eq(&c.vip, &vip));
	assert_true(addr_eq(&c.server, &server));
	assert_int_equal(c.client_port, 40000);
	assert_int_equal(c.vip_port, 22);
	assert_int_equal(c.server_port, 22);
	free(msg);
}

static void translated_connection_of_ipv6(void **state)
{
	const struct side orig = {"fd00:10::5", "fd00:44::130", 40000, 53};
	const struct side reply = {"fd00:44::52", "fd00:44::51", 53, 40000};
	const struct addr server = ip("fd00:44::52");
	struct ct_conn c;
	size_t len;
	uint8_t *msg = message(AF_INET6, IPPROTO_UDP, &orig, &reply, &len);

	(void)state;
	assert_int_equal(ct_conn_parse(msg, len, &c), 0);
	assert_int_equal(c.protocol, IPPROTO_UDP);
	assert_true(addr_eq(&c.server, &server));
	assert_int_equal(c.vip_port, 53);
	free(msg);
}

static void others_are_of_no_interest(void **state)
{
	const struct side back = {"192.168.44.120", "10.244.1.5", 22, 40000};
	const struct {
		const char *what;
		uint8_t family, protocol;
		const struct side *reply;
	} cases[] = {
		{"not translated", AF_INET, IPPROTO_TCP, &back},
		{"SCTP", AF_INET, IPPROTO_SCTP, &answered},
		{"a bridge's family", AF_BRIDGE, IPPROTO_TCP, &answered},
	};
	struct ct_conn c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len;
		uint8_t *msg =
			message(cases[i].family, cases[i].protocol, &asked, cases[i].reply, &len);

		if (ct_conn_parse(msg, len, &c) != -EAGAIN)
			fail_msg("%s", cases[i].what);
		free(msg);
	}
}

static void truncated(void **state)
{
	struct ct_conn c;
	size_t len;
	uint8_t *msg = message(AF_INET, IPPROTO_TCP, &asked, &answered, &len);

	(void)state;
	/* the status comes last and does not count */
	for (size_t n = 0; n < len - 8; n++) {
		uint8_t *part = malloc(n ? n : 1);

		assert_non_null(part);
		memcpy(part, msg, n);
		if (ct_conn_parse(part, n, &c) != -EBADMSG)
			fail_msg("%zu of %zu bytes", n, len);
		free(part);
	}
	free(msg);
}

/* A family that does not fit its addresses, whose attributes are of other sizes. */
static void addresses_of_the_other_family(void **state)
{
	struct ct_conn c;
	size_t len;
	uint8_t *msg = message(AF_INET6, IPPROTO_TCP, &asked, &answered, &len);

	(void)state;
	assert_int_equal(ct_conn_parse(msg, len, &c), -EBADMSG);
	free(msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translated_connection),
		cmocka_unit_test(translated_connection_of_ipv6),
		cmocka_unit_test(others_are_of_no_interest),
		cmocka_unit_test(truncated),
		cmocka_unit_test(addresses_of_the_other_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
