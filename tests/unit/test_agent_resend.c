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
		 40000, 120, false, false, 0},
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

static void test_pace(void **state)
{
	static const struct {
		const char *name;
		uint32_t keep_s;
		unsigned int share;
		uint64_t elapsed_ns, period_ns, pause_ns; /* after a slice of 1 ms */
	} cases[] = {
		{"time-outs not known", 0, 0, 3600 * NS_PER_S, 8 * NS_PER_S, 100 * NS_PER_MS},
		{"the kernel's default", 300, 0, 99 * NS_PER_S, 8 * NS_PER_S, 100 * NS_PER_MS},
		{"a pass that takes too long", 300, 0, 100 * NS_PER_S, 8 * NS_PER_S, 4 * NS_PER_MS},
		{"short time-outs", 12, 0, 3 * NS_PER_S, 4 * NS_PER_S, 100 * NS_PER_MS},
		{"short time-outs, many connections", 12, 0, 4 * NS_PER_S, 4 * NS_PER_S,
		 4 * NS_PER_MS},
		{"a share of one's own", 12, 10, 3 * NS_PER_S, 4 * NS_PER_S, 10 * NS_PER_MS},
		{"a larger share is kept", 12, 1, 4 * NS_PER_S, 4 * NS_PER_S, NS_PER_MS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct resend_conf conf = {.keep_s = cases[i].keep_s,
						 .share = cases[i].share};

		if (resend_period_ns(&conf) != cases[i].period_ns)
			fail_msg("%s: period", cases[i].name);
		if (resend_pause_ns(&conf, cases[i].elapsed_ns, NS_PER_MS) != cases[i].pause_ns)
			fail_msg("%s: pause", cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
