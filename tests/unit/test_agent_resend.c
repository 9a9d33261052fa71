/* Which connections a node tells the others of, and how fast. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/resend.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

#define DR (IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT)

static void test_wants(void **state)
{
	static const struct {
		const char *name;
		enum resend_role role;
		const char *client, *dest;
		uint8_t protocol;
		uint16_t state, client_port;
		uint32_t expires_s;
		bool is_synced, want;
		uint32_t flags;
	} cases[] = {
		{"served here, standby", RESEND_STANDBY, "10.0.0.9", "10.0.0.1", IPPROTO_TCP,
		 IPVS_TCP_ESTABLISHED, 40000, 900, false, true, DR},
		{"served here, heard of from the director first", RESEND_STANDBY, "10.0.0.9",
		 "10.0.0.1", IPPROTO_TCP, IPVS_TCP_ESTABLISHED, 40000, 900, true, true, DR},
		{"directed by another, served by another", RESEND_STANDBY, "10.0.0.9", "10.0.0.2",
		 IPPROTO_TCP, IPVS_TCP_ESTABLISHED, 40000, 900, true, false, 0},
		{"directed here once, no more", RESEND_STANDBY, "10.0.0.9", "10.0.0.2", IPPROTO_TCP,
		 IPVS_TCP_ESTABLISHED, 40000, 900, false, false, 0},
		{"directed here", RESEND_ACTIVE, "10.0.0.9", "10.0.0.2", IPPROTO_TCP,
		 IPVS_TCP_ESTABLISHED, 40000, 900, false, true, DR},
		{"directed here, taken over", RESEND_ACTIVE, "10.0.0.9", "10.0.0.2", IPPROTO_TCP,
		 IPVS_TCP_ESTABLISHED, 40000, 900, true, true, DR},
		{"somebody else's service", RESEND_FOREIGN, "10.0.0.9", "10.0.0.1", IPPROTO_TCP,
		 IPVS_TCP_ESTABLISHED, 40000, 900, false, false, 0},
		{"not yet established", RESEND_ACTIVE, "10.0.0.9", "10.0.0.1", IPPROTO_TCP,
		 IPVS_TCP_SYN_RECV, 40000, 60, false, false, 0},
		{"closing", RESEND_ACTIVE, "10.0.0.9", "10.0.0.1", IPPROTO_TCP, IPVS_TCP_FIN_WAIT,
		 40000, 120, false, true, DR | IPVS_CONN_INACTIVE},
		{"ended, served here", RESEND_STANDBY, "10.0.0.9", "10.0.0.1", IPPROTO_TCP,
		 IPVS_TCP_TIME_WAIT, 40000, 120, false, true, DR | IPVS_CONN_INACTIVE},
		{"ended, heard of", RESEND_STANDBY, "10.0.0.9", "10.0.0.2", IPPROTO_TCP,
		 IPVS_TCP_TIME_WAIT, 40000, 120, true, false, 0},
		{"the last acknowledgement", RESEND_ACTIVE, "10.0.0.9", "10.0.0.1", IPPROTO_TCP,
		 IPVS_TCP_LAST_ACK, 40000, 30, false, false, 0},
		{"persistence, in a state that TCP gives", RESEND_ACTIVE, "10.0.0.9", "10.0.0.2",
		 IPPROTO_TCP, IPVS_TCP_TIME_WAIT, 0, 300, false, true, DR | IPVS_CONN_TEMPLATE},
		{"UDP", RESEND_ACTIVE, "10.0.0.9", "10.0.0.2", IPPROTO_UDP, 0, 40000, 300, false,
		 true, DR},
		{"UDP, served here", RESEND_STANDBY, "10.0.0.9", "10.0.0.1", IPPROTO_UDP, 0, 40000,
		 300, false, true, DR},
		{"another protocol", RESEND_ACTIVE, "10.0.0.9", "10.0.0.1", 0, 0, 40000, 300, false,
		 false, 0},
		{"about to end", RESEND_ACTIVE, "10.0.0.9", "10.0.0.1", IPPROTO_TCP,
		 IPVS_TCP_ESTABLISHED, 40000, 2, false, false, 0},
		{"persistence, directed here", RESEND_ACTIVE, "10.0.0.9", "10.0.0.2", IPPROTO_TCP,
		 0, 0, 300, false, true, DR | IPVS_CONN_TEMPLATE},
		{"persistence, heard of", RESEND_STANDBY, "10.0.0.9", "10.0.0.2", IPPROTO_TCP, 1, 0,
		 300, true, false, 0},
		{"IPv6", RESEND_STANDBY, "fd00::9", "fd00::1", IPPROTO_TCP, IPVS_TCP_ESTABLISHED,
		 40000, 900, false, true, DR},
		{"IPv6 over IPv4 fits no message", RESEND_ACTIVE, "fd00::9", "10.0.0.1",
		 IPPROTO_TCP, IPVS_TCP_ESTABLISHED, 40000, 900, false, false, 0},
	};
	struct addr own[] = {ip("10.0.0.1"), ip("fd00::1")};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_conn c = {.protocol = cases[i].protocol,
				      .state = cases[i].state,
				      .client = ip(cases[i].client),
				      .dest = ip(cases[i].dest),
				      .client_port = cases[i].client_port,
				      .expires_s = cases[i].expires_s,
				      .local_origin = !cases[i].is_synced};
		uint32_t flags = 0;

		c.family = c.client.family;
		if (resend_wants(&c, cases[i].role, own, ARRAY_LEN(own), &flags) != cases[i].want)
			fail_msg("%s", cases[i].name);
		if (flags != cases[i].flags)
			fail_msg("%s: flags 0x%x", cases[i].name, flags);
	}
}

static void test_stray(void **state)
{
	static const struct {
		const char *name;
		enum resend_role role;
		const char *dest;
		uint8_t protocol;
		uint16_t state;
		bool want;
	} cases[] = {
		{"directed here once", RESEND_STANDBY, "10.0.0.2", IPPROTO_TCP, IPVS_TCP_SYN_RECV,
		 true},
		{"directed here", RESEND_ACTIVE, "10.0.0.2", IPPROTO_TCP, IPVS_TCP_SYN_RECV, false},
		{"served here", RESEND_STANDBY, "10.0.0.1", IPPROTO_TCP, IPVS_TCP_SYN_RECV, false},
		{"it stands", RESEND_STANDBY, "10.0.0.2", IPPROTO_TCP, IPVS_TCP_ESTABLISHED, false},
		{"UDP", RESEND_STANDBY, "10.0.0.2", IPPROTO_UDP, 0, false},
		{"somebody else's", RESEND_FOREIGN, "10.0.0.2", IPPROTO_TCP, IPVS_TCP_SYN_RECV,
		 false},
	};
	const struct addr own = ip("10.0.0.1");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ipvs_conn c = {.family = AF_INET,
					    .protocol = cases[i].protocol,
					    .state = cases[i].state,
					    .dest = ip(cases[i].dest),
					    .client_port = 40000};

		if (resend_is_stray(&c, cases[i].role, &own, 1) != cases[i].want)
			fail_msg("%s", cases[i].name);
	}
}

static void test_state(void **state)
{
	static const struct {
		const char *name;
		uint8_t protocol;
		uint16_t client_port, is, told;
	} cases[] = {
		{"it stands", IPPROTO_TCP, 40000, IPVS_TCP_ESTABLISHED, IPVS_TCP_ESTABLISHED},
		{"its client has said the end", IPPROTO_TCP, 40000, IPVS_TCP_CLOSE_WAIT,
		 IPVS_TCP_TIME_WAIT},
		{"its server has", IPPROTO_TCP, 40000, IPVS_TCP_FIN_WAIT, IPVS_TCP_TIME_WAIT},
		{"reset", IPPROTO_TCP, 40000, IPVS_TCP_CLOSE, IPVS_TCP_TIME_WAIT},
		{"both have", IPPROTO_TCP, 40000, IPVS_TCP_TIME_WAIT, IPVS_TCP_TIME_WAIT},
		{"persistence", IPPROTO_TCP, 0, IPVS_TCP_CLOSE_WAIT, IPVS_TCP_CLOSE_WAIT},
		{"UDP", IPPROTO_UDP, 40000, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ipvs_conn c = {.protocol = cases[i].protocol,
					    .state = cases[i].is,
					    .client_port = cases[i].client_port};

		if (resend_state(&c) != cases[i].told)
			fail_msg("%s: state %u", cases[i].name, resend_state(&c));
	}
}

static void test_pace(void **state)
{
	static const struct {
		const char *name;
		uint32_t tcp_s, udp_s;
		unsigned int share;
		uint64_t cpu_ns, period_ns, pause_ns; /* the last after a slice of 1 ms */
	} cases[] = {
		{"time-outs not known", 0, 0, 0, NS_PER_MS, 4500 * NS_PER_MS, 4 * NS_PER_MS},
		{"those of the kernel", 900, 300, 0, 45 * NS_PER_MS, 4500 * NS_PER_MS,
		 4 * NS_PER_MS},
		{"many connections", 86400, 300, 0, 460 * NS_PER_MS, 46 * NS_PER_S, 4 * NS_PER_MS},
		{"more than can be told in time with that share", 86400, 300, 0, 2 * NS_PER_S,
		 100 * NS_PER_S, 4 * NS_PER_MS},
		{"short time-outs", 12, 300, 0, NS_PER_MS, 4 * NS_PER_S, 4 * NS_PER_MS},
		{"short time-outs, many connections", 12, 300, 0, NS_PER_S, 4 * NS_PER_S,
		 4 * NS_PER_MS},
		{"a share of one's own", 900, 300, 10, NS_PER_S, 10 * NS_PER_S, 4 * NS_PER_MS},
		{"a larger share is kept", 900, 300, 1, NS_PER_S, 4500 * NS_PER_MS, NS_PER_MS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct resend_conf conf = {
			.kernel = {.tcp_s = cases[i].tcp_s, .udp_s = cases[i].udp_s},
			.share = cases[i].share};

		if (resend_period_ns(&conf, cases[i].cpu_ns) != cases[i].period_ns)
			fail_msg("%s: period", cases[i].name);
		if (resend_pause_ns(&conf, NS_PER_MS) != cases[i].pause_ns)
			fail_msg("%s: pause", cases[i].name);
	}
}

static void test_ended(void **state)
{
	static const struct {
		const char *name;
		uint8_t protocol;
		uint16_t state;
		uint32_t fin_s, expires_s;
		bool want;
	} cases[] = {
		{"just now", IPPROTO_TCP, IPVS_TCP_TIME_WAIT, 120, 120, true},
		{"at the edge", IPPROTO_TCP, IPVS_TCP_TIME_WAIT, 120, 110, true},
		{"long ago", IPPROTO_TCP, IPVS_TCP_TIME_WAIT, 120, 109, false},
		{"the client's FIN", IPPROTO_TCP, IPVS_TCP_FIN_WAIT, 120, 115, true},
		{"the client's FIN, another time-out", IPPROTO_TCP, IPVS_TCP_FIN_WAIT, 300, 115,
		 false},
		{"its time-out not known", IPPROTO_TCP, IPVS_TCP_FIN_WAIT, 0, 115, true},
		{"reset", IPPROTO_TCP, IPVS_TCP_CLOSE, 120, 4, true},
		{"the server's FIN", IPPROTO_TCP, IPVS_TCP_CLOSE_WAIT, 120, 52, true},
		{"established", IPPROTO_TCP, IPVS_TCP_ESTABLISHED, 120, 900, false},
		{"UDP", IPPROTO_UDP, IPVS_TCP_TIME_WAIT, 120, 120, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct resend_conf conf = {.kernel.tcp_fin_s = cases[i].fin_s};
		const struct ipvs_conn c = {.protocol = cases[i].protocol,
					    .client_port = 40000,
					    .state = cases[i].state,
					    .expires_s = cases[i].expires_s};

		if (resend_has_just_ended(&conf, &c, 10 * NS_PER_S) != cases[i].want)
			fail_msg("%s", cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants), cmocka_unit_test(test_stray),
		cmocka_unit_test(test_state), cmocka_unit_test(test_pace),
		cmocka_unit_test(test_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
