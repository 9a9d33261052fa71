/* Netlink messages of IPVS: what is asked, what answers mean, and that no bytes can confuse the reader. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "ipvs/ipvs_internal.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct plan_service service(const char *addr, uint8_t protocol, uint16_t port,
				   const char *scheduler)
{
	struct plan_service s = {.addr = ip(addr), .protocol = protocol, .port = port};

	s.family = s.addr.family;
	strncpy(s.scheduler, scheduler, sizeof(s.scheduler) - 1);
	return s;
}

static struct nl_msg *message(void)
{
	struct nl_msg *m = nlmsg_alloc_size(IPVS_REQUEST_MAX);

	assert_non_null(m);
	return m;
}

static void assert_service_eq(const struct plan_service *a, const struct plan_service *b)
{
	assert_int_equal(a->fwmark, b->fwmark);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->protocol, b->protocol);
	assert_true(addr_eq(&a->addr, &b->addr));
	assert_int_equal(a->port, b->port);
	assert_string_equal(a->scheduler, b->scheduler);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->timeout_s, b->timeout_s);
}

/* What the kernel tells of a service has the shape of what is asked of it: so reading inverts writing. */
static void test_service_round_trip(void **state)
{
	struct plan_service cases[] = {
		service("192.0.2.100", IPPROTO_TCP, 22, "rr"),
		service("192.0.2.100", IPPROTO_UDP, 65535, "mh"),
		service("2001:db8::100", IPPROTO_TCP, 1, "wlc"),
		{.family = AF_INET, .fwmark = 0x76000001, .scheduler = "rr"},
		{.family = AF_INET6, .fwmark = 0x76ffffff, .scheduler = "rr"},
	};

	(void)state;
	cases[1].flags = PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2;
	cases[2].flags = PLAN_IPVS_PERSISTENT;
	cases[2].timeout_s = 360;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan_op op = {.type = PLAN_OP_SERVICE_ADD, .service = cases[i]};
		struct ipvs_request req[2];
		struct plan_service got = {0};
		struct nl_msg *m = message();

		assert_int_equal(ipvs_requests_of_op(&op, req), 1);
		assert_int_equal(req[0].cmd, IPVS_CMD_NEW_SERVICE);
		assert_int_equal(ipvs_msg_op(m, 0x20, &op, &req[0], NLM_F_ACK, 7), 0);
		assert_int_equal(nlmsg_hdr(m)->nlmsg_type, 0x20);
		assert_int_equal(nlmsg_hdr(m)->nlmsg_seq, 7);
		assert_int_equal(nlmsg_hdr(m)->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
		assert_int_equal(ipvs_parse_service(nlmsg_hdr(m), &got), 0);
		assert_service_eq(&got, &cases[i]);
		nlmsg_free(m);
	}
}

static void test_service_netmask_per_family(void **state)
{
	static const struct {
		const char *addr;
		uint32_t netmask;
	} cases[] = {{"192.0.2.1", UINT32_MAX}, {"2001:db8::1", 128}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan_op op = {.type = PLAN_OP_SERVICE_SET,
				     .service = service(cases[i].addr, IPPROTO_TCP, 80, "rr")};
		struct nlattr *top[IPVS_CMD_ATTR_MAX + 1], *tb[IPVS_SVC_ATTR_MAX + 1];
		struct ipvs_request req[2];
		struct ip_vs_flags flags;
		struct nl_msg *m = message();

		assert_int_equal(ipvs_requests_of_op(&op, req), 1);
		assert_int_equal(ipvs_msg_op(m, 0x20, &op, &req[0], 0, 1), 0);
		assert_int_equal(genlmsg_parse(nlmsg_hdr(m), 0, top, IPVS_CMD_ATTR_MAX, NULL), 0);
		assert_int_equal(
			nla_parse_nested(tb, IPVS_SVC_ATTR_MAX, top[IPVS_CMD_ATTR_SERVICE], NULL),
			0);
		assert_int_equal(nla_get_u32(tb[IPVS_SVC_ATTR_NETMASK]), cases[i].netmask);
		assert_int_equal(nla_len(tb[IPVS_SVC_ATTR_ADDR]), 16);
		memcpy(&flags, nla_data(tb[IPVS_SVC_ATTR_FLAGS]), sizeof(flags));
		assert_int_equal(flags.mask, UINT32_MAX);
		nlmsg_free(m);
	}
}

static void test_dest_round_trip(void **state)
{
	static const struct {
		const char *service, *dest;
		uint16_t port, want_port;
		uint32_t fwmark;
		enum plan_forward forward;
		uint32_t weight;
	} cases[] = {
		{"192.0.2.100", "192.0.2.1", 22, 22, 0, PLAN_DROUTE, 1},
		{"192.0.2.100", "192.0.2.2", 22, 22, 0, PLAN_MASQ, 65535},
		{"2001:db8::100", "2001:db8::1", 443, 443, 0, PLAN_DROUTE, 3},
		/* port 0 keeps the packet's port, whatever the plan says */
		{"192.0.2.100", "192.0.2.1", 22, 0, 0x76000001, PLAN_MASQ, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan_op op = {
			.type = PLAN_OP_DEST_ADD,
			.service = service(cases[i].service, IPPROTO_TCP, cases[i].port, "rr"),
			.dest = {.addr = ip(cases[i].dest),
				 .port = cases[i].port,
				 .forward = cases[i].forward,
				 .weight = cases[i].weight}};
		struct ipvs_request req[2];
		struct plan_dest got = {0};
		struct nl_msg *m = message();

		op.service.fwmark = cases[i].fwmark;
		assert_int_equal(ipvs_requests_of_op(&op, req), 1);
		assert_int_equal(ipvs_msg_op(m, 0x20, &op, &req[0], 0, 1), 0);
		assert_int_equal(ipvs_parse_dest(nlmsg_hdr(m), op.service.family, &got), 0);
		assert_true(addr_eq(&got.addr, &op.dest.addr));
		assert_int_equal(got.port, cases[i].want_port);
		assert_int_equal(got.forward, cases[i].forward);
		assert_int_equal(got.weight, cases[i].weight);
		nlmsg_free(m);
	}
}

static void test_dest_of_weight_0_is_added_with_1_first(void **state)
{
	struct plan_op op = {.type = PLAN_OP_DEST_ADD, .dest = {.weight = 0}};
	struct ipvs_request req[2];

	(void)state;
	assert_int_equal(ipvs_requests_of_op(&op, req), 2);
	assert_int_equal(req[0].cmd, IPVS_CMD_NEW_DEST);
	assert_int_equal(req[0].weight, 1);
	assert_true(req[0].may_exist);
	assert_int_equal(req[1].cmd, IPVS_CMD_SET_DEST);
	assert_int_equal(req[1].weight, 0);

	op.type = PLAN_OP_DEST_SET;
	assert_int_equal(ipvs_requests_of_op(&op, req), 1);
	op.type = PLAN_OP_ROUTE_ADD;
	assert_int_equal(ipvs_requests_of_op(&op, req), -EINVAL);
}

static void test_remedies(void **state)
{
	static const struct {
		uint8_t cmd;
		bool may_exist;
		int error;
		enum ipvs_remedy want;
		enum plan_op_type retry;
	} cases[] = {
		{IPVS_CMD_NEW_SERVICE, 0, EEXIST, IPVS_REMEDY_RETRY, PLAN_OP_SERVICE_SET},
		{IPVS_CMD_NEW_SERVICE, 0, ENOENT, IPVS_REMEDY_FAIL, 0}, /* no such scheduler */
		{IPVS_CMD_SET_SERVICE, 0, ESRCH, IPVS_REMEDY_RETRY, PLAN_OP_SERVICE_ADD},
		{IPVS_CMD_SET_SERVICE, 0, ENOENT, IPVS_REMEDY_FAIL, 0},
		{IPVS_CMD_DEL_SERVICE, 0, ESRCH, IPVS_REMEDY_IGNORE, 0},
		{IPVS_CMD_DEL_SERVICE, 0, EPERM, IPVS_REMEDY_FAIL, 0},
		{IPVS_CMD_NEW_DEST, 0, EEXIST, IPVS_REMEDY_RETRY, PLAN_OP_DEST_SET},
		{IPVS_CMD_NEW_DEST, 1, EEXIST, IPVS_REMEDY_IGNORE, 0},
		{IPVS_CMD_NEW_DEST, 0, ESRCH, IPVS_REMEDY_FAIL, 0},
		{IPVS_CMD_SET_DEST, 0, ENOENT, IPVS_REMEDY_RETRY, PLAN_OP_DEST_ADD},
		{IPVS_CMD_SET_DEST, 0, ESRCH, IPVS_REMEDY_FAIL, 0},
		{IPVS_CMD_DEL_DEST, 0, ENOENT, IPVS_REMEDY_IGNORE, 0},
		{IPVS_CMD_DEL_DEST, 0, ESRCH, IPVS_REMEDY_IGNORE, 0},
		{IPVS_CMD_DEL_DEST, 0, EBUSY, IPVS_REMEDY_FAIL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_request req = {.cmd = cases[i].cmd, .may_exist = cases[i].may_exist};
		enum plan_op_type retry = PLAN_OP_LINKCONF;

		assert_int_equal(ipvs_remedy_of(&req, cases[i].error, &retry), cases[i].want);
		if (cases[i].want == IPVS_REMEDY_RETRY)
			assert_int_equal(retry, cases[i].retry);
	}
}

/* A reply as the kernel would build it, by libnl. */
static struct nl_msg *reply(uint8_t cmd)
{
	struct nl_msg *m = message();

	assert_non_null(genlmsg_put(m, 0, 1, 0x20, 0, NLM_F_MULTI, cmd, 1));
	return m;
}

static void put_stats64(struct nl_msg *m, int type)
{
	struct nlattr *n = nla_nest_start(m, type);

	assert_non_null(n);
	assert_int_equal(nla_put_u64(m, IPVS_STATS_ATTR_CONNS, 1ull << 33), 0);
	assert_int_equal(nla_put_u64(m, IPVS_STATS_ATTR_INPKTS, 11), 0);
	assert_int_equal(nla_put_u64(m, IPVS_STATS_ATTR_INBYTES, 12), 0);
	nla_nest_end(m, n);
}

static void test_dest_counters(void **state)
{
	struct nl_msg *m = reply(IPVS_CMD_NEW_DEST);
	struct nlattr *n = nla_nest_start(m, IPVS_CMD_ATTR_DEST);
	struct addr a = ip("192.0.2.7");
	struct plan_dest d = {0};

	(void)state;
	assert_int_equal(nla_put(m, IPVS_DEST_ATTR_ADDR, 16, a.bytes), 0);
	assert_int_equal(nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(22)), 0);
	assert_int_equal(nla_put_u32(m, IPVS_DEST_ATTR_FWD_METHOD, 3), 0);
	assert_int_equal(nla_put_u32(m, IPVS_DEST_ATTR_WEIGHT, 5), 0);
	assert_int_equal(nla_put_u32(m, IPVS_DEST_ATTR_ACTIVE_CONNS, 2), 0);
	assert_int_equal(nla_put_u32(m, IPVS_DEST_ATTR_INACT_CONNS, 4), 0);
	put_stats64(m, IPVS_DEST_ATTR_STATS64);
	nla_nest_end(m, n);
	/* without a family of its own: the service's */
	assert_int_equal(ipvs_parse_dest(nlmsg_hdr(m), AF_INET, &d), 0);
	assert_true(addr_eq(&d.addr, &a));
	assert_int_equal(d.port, 22);
	assert_int_equal(d.forward, PLAN_DROUTE);
	assert_int_equal(d.weight, 5);
	assert_int_equal(d.active, 2);
	assert_int_equal(d.inactive, 4);
	assert_true(d.conns == 1ull << 33);
	assert_int_equal(d.packets_in, 11);
	assert_int_equal(d.bytes_in, 12);
	nlmsg_free(m);
}

static void test_hashed_flag_is_the_kernels_own(void **state)
{
	struct plan_op op = {.type = PLAN_OP_SERVICE_ADD,
			     .service = service("192.0.2.1", IPPROTO_TCP, 80, "mh")};
	struct ipvs_request req[2];
	struct plan_service got = {0};
	struct nl_msg *m = message();

	(void)state;
	op.service.flags = IP_VS_SVC_F_HASHED | PLAN_IPVS_SCHED2;
	assert_int_equal(ipvs_requests_of_op(&op, req), 1);
	assert_int_equal(ipvs_msg_op(m, 0x20, &op, &req[0], 0, 1), 0);
	assert_int_equal(ipvs_parse_service(nlmsg_hdr(m), &got), 0);
	assert_int_equal(got.flags, PLAN_IPVS_SCHED2);
	nlmsg_free(m);
}

static void test_daemon_round_trip(void **state)
{
	struct plan_sync want = {.sync_id = 201, .ifname = "eth0"}, got = {0};
	struct nl_msg *m = message();
	bool is_master = true;

	(void)state;
	assert_int_equal(ipvs_msg_daemon(m, 0x20, false, 201, &want, 3), 0);
	assert_int_equal(ipvs_parse_daemon(nlmsg_hdr(m), &is_master, &got), 0);
	assert_false(is_master);
	assert_int_equal(got.sync_id, 201);
	assert_string_equal(got.ifname, "eth0");
	/* the request to stop names no interface, so it is no description of a daemon */
	assert_int_equal(ipvs_msg_daemon(m, 0x20, true, 201, NULL, 4), 0);
	assert_int_equal(ipvs_parse_daemon(nlmsg_hdr(m), &is_master, &got), -EBADMSG);
	nlmsg_free(m);
}

static void test_timeouts_round_trip(void **state)
{
	struct ipvs_timeouts want = {.tcp_s = 86400, .udp_s = 300}, got = {0};
	struct nl_msg *m = message();

	(void)state;
	assert_int_equal(ipvs_msg_timeouts(m, 0x20, &want, 1), 0);
	assert_int_equal(ipvs_parse_timeouts(nlmsg_hdr(m), &got), 0);
	assert_int_equal(got.tcp_s, 86400);
	assert_int_equal(got.tcp_fin_s, 0);
	assert_int_equal(got.udp_s, 300);
	nlmsg_free(m);
}

static void test_message_object_is_reused(void **state)
{
	struct plan_op op = {.type = PLAN_OP_SERVICE_ADD,
			     .service = service("192.0.2.1", IPPROTO_TCP, 80, "mh")};
	struct ipvs_request req = {.cmd = IPVS_CMD_NEW_SERVICE};
	struct nl_msg *m = message();
	uint32_t len = 0;

	(void)state;
	for (uint32_t seq = 1; seq < 100; seq++) {
		assert_int_equal(ipvs_msg_op(m, 0x20, &op, &req, 0, seq), 0);
		assert_int_equal(nlmsg_hdr(m)->nlmsg_seq, seq);
		if (seq > 1)
			assert_int_equal(nlmsg_hdr(m)->nlmsg_len, len);
		len = nlmsg_hdr(m)->nlmsg_len;
	}
	nlmsg_free(m);
}

static void put_header(uint8_t *buf, uint32_t len, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr h = {
		.nlmsg_len = len, .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = seq};

	memcpy(buf, &h, sizeof(h));
}

static void test_walk_reads_acks_and_ends(void **state)
{
	uint8_t *buf = calloc(1, 100);
	int32_t error = -EEXIST;
	struct ipvs_reply_walk w = {.buf = buf, .len = 36 + 16 + 20};

	(void)state;
	assert_non_null(buf);
	put_header(buf, 36, NLMSG_ERROR, 0, 5);
	memcpy(buf + 16, &error, sizeof(error));
	put_header(buf + 36, 16, NLMSG_DONE, NLM_F_DUMP_INTR, 6);
	put_header(buf + 52, 20, 0x20, NLM_F_MULTI, 7);
	assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_ACK);
	assert_int_equal(w.seq, 5);
	assert_int_equal(w.error, EEXIST);
	assert_false(w.interrupted);
	assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_ACK);
	assert_int_equal(w.seq, 6);
	assert_int_equal(w.error, 0);
	assert_true(w.interrupted);
	assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_DATA);
	assert_int_equal(w.seq, 7);
	assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_END);
	free(buf);
}

static void test_walk_refuses_bad_lengths(void **state)
{
	static const struct {
		uint32_t nlmsg_len;
		uint16_t type;
		size_t len;
	} cases[] = {
		{0, 0x20, 36},          {15, 0x20, 36},          {37, 0x20, 36},
		{UINT32_MAX, 0x20, 36}, {16, 0x20, 15},          {16, NLMSG_ERROR, 16},
		{19, NLMSG_ERROR, 36},  {16, NLMSG_OVERRUN, 36},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t full[36] = {0};
		uint8_t *buf = malloc(cases[i].len);
		struct ipvs_reply_walk w = {.buf = buf, .len = cases[i].len};

		assert_non_null(buf);
		put_header(full, cases[i].nlmsg_len, cases[i].type, 0, 1);
		memcpy(buf, full, cases[i].len);
		assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_BAD);
		free(buf);
	}
}

/* A message that is cut anywhere, with a length that admits it or one that does not, is refused or read
 * within its bytes; the result stays untouched when refused. */
static void test_truncation(void **state)
{
	struct plan_op op = {.type = PLAN_OP_DEST_ADD,
			     .service = service("2001:db8::1", IPPROTO_TCP, 80, "mh"),
			     .dest = {.addr = ip("2001:db8::2"), .port = 80, .weight = 1}};
	struct ipvs_request req = {.cmd = IPVS_CMD_NEW_DEST, .weight = 1};
	struct nl_msg *m = message();
	size_t len;

	(void)state;
	assert_int_equal(ipvs_msg_op(m, 0x20, &op, &req, 0, 1), 0);
	len = nlmsg_hdr(m)->nlmsg_len;
	for (size_t cut = NLMSG_HDRLEN; cut < len; cut++) {
		uint8_t *buf = malloc(cut);
		struct ipvs_reply_walk w = {.buf = buf, .len = cut};
		struct plan_dest d = {.port = 4711};
		uint32_t cut32 = (uint32_t)cut;

		assert_non_null(buf);
		memcpy(buf, nlmsg_hdr(m), cut);
		assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_BAD);
		memcpy(buf, &cut32, sizeof(cut32));
		w = (struct ipvs_reply_walk){.buf = buf, .len = cut};
		assert_int_equal(ipvs_reply_next(&w), IPVS_REPLY_DATA);
		assert_int_equal(ipvs_parse_dest(w.msg, AF_INET6, &d), -EBADMSG);
		assert_int_equal(d.port, 4711);
		free(buf);
	}
	nlmsg_free(m);
}

static void test_bad_services(void **state)
{
	static const struct {
		const char *name;
		uint16_t family, protocol;
		int addr_len; /* -1: no address */
		const char *scheduler;
	} cases[] = {
		{"no such family", 99, 6, 16, "rr"},
		{"no protocol", AF_INET, 0, 16, "rr"},
		{"protocol of 16 bits", AF_INET, 0x106, 16, "rr"},
		{"no address", AF_INET, 6, -1, "rr"},
		{"short address", AF_INET6, 6, 4, "rr"},
		{"too long a scheduler", AF_INET, 6, 16, "sixteencharacter"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nl_msg *m = reply(IPVS_CMD_NEW_SERVICE);
		struct nlattr *n = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);
		struct plan_service s = {0};
		uint8_t bytes[16] = {1, 2, 3, 4};

		assert_int_equal(nla_put_u16(m, IPVS_SVC_ATTR_AF, cases[i].family), 0);
		if (cases[i].protocol)
			assert_int_equal(nla_put_u16(m, IPVS_SVC_ATTR_PROTOCOL, cases[i].protocol),
					 0);
		if (cases[i].addr_len >= 0)
			assert_int_equal(nla_put(m, IPVS_SVC_ATTR_ADDR, cases[i].addr_len, bytes),
					 0);
		assert_int_equal(nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, cases[i].scheduler),
				 0);
		nla_nest_end(m, n);
		if (ipvs_parse_service(nlmsg_hdr(m), &s) != -EBADMSG)
			fail_msg("%s: accepted", cases[i].name);
		nlmsg_free(m);
	}
}

static void test_service_text(void **state)
{
	struct plan_service mark = {.family = AF_INET, .fwmark = 0x76000102};
	struct plan_service v4 = service("192.0.2.1", IPPROTO_UDP, 53, "rr");
	struct plan_service v6 = service("2001:db8::1", IPPROTO_TCP, 80, "rr");
	char buf[IPVS_SERVICE_TEXT_MAX];

	(void)state;
	assert_string_equal(ipvs_service_text(&mark, buf), "mark 0x76000102");
	assert_string_equal(ipvs_service_text(&v4, buf), "UDP 192.0.2.1:53");
	assert_string_equal(ipvs_service_text(&v6, buf), "TCP [2001:db8::1]:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service_round_trip),
		cmocka_unit_test(test_service_netmask_per_family),
		cmocka_unit_test(test_dest_round_trip),
		cmocka_unit_test(test_dest_of_weight_0_is_added_with_1_first),
		cmocka_unit_test(test_remedies),
		cmocka_unit_test(test_dest_counters),
		cmocka_unit_test(test_hashed_flag_is_the_kernels_own),
		cmocka_unit_test(test_daemon_round_trip),
		cmocka_unit_test(test_timeouts_round_trip),
		cmocka_unit_test(test_message_object_is_reused),
		cmocka_unit_test(test_walk_reads_acks_and_ends),
		cmocka_unit_test(test_walk_refuses_bad_lengths),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_bad_services),
		cmocka_unit_test(test_service_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
