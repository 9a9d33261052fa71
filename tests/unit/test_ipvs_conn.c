/* Lines of the connection table, synchronisation messages, settings. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ipvs/ipvs_internal.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void test_conn_lines(void **state)
{
	static const struct {
		const char *line;
		uint8_t family, protocol;
		uint16_t state;
		const char *client, *vip, *dest;
		uint16_t client_port, vip_port, dest_port;
		bool local;
		uint32_t expires_s;
	} cases[] = {
		{"TCP C0A82C0A 9C40 C0A82C78 0016 C0A82C33 0016 ESTABLISHED LOCAL    86398",
		 AF_INET, IPPROTO_TCP, IPVS_TCP_ESTABLISHED, "192.168.44.10", "192.168.44.120",
		 "192.168.44.51", 40000, 22, 22, true, 86398},
		{"TCP 0A000001 FFFF 0A000064 0050 0A00000C 1F90 FIN_WAIT    SYNC       119\n",
		 AF_INET, IPPROTO_TCP, IPVS_TCP_FIN_WAIT, "10.0.0.1", "10.0.0.100", "10.0.0.12",
		 65535, 80, 8080, false, 119},
		{"UDP 0A000001 8000 0A000064 0035 0A00000C 0035 UDP         LOCAL      299",
		 AF_INET, IPPROTO_UDP, 0, "10.0.0.1", "10.0.0.100", "10.0.0.12", 32768, 53, 53,
		 true, 299},
		{"TCP fd00:0000:0000:0000:0000:0000:0000:0010 9C40 "
		 "fd00:0000:0000:0000:0000:0000:0000:0100 01BB "
		 "fd00:0000:0000:0000:0000:0000:0000:0051 01BB ESTABLISHED LOCAL      899",
		 AF_INET6, IPPROTO_TCP, IPVS_TCP_ESTABLISHED, "fd00::10", "fd00::100", "fd00::51",
		 40000, 443, 443, true, 899},
		/* persistence: the client without a port */
		{"TCP 0A000001 0000 0A000064 0050 0A00000C 0050 ASSURED     LOCAL      359",
		 AF_INET, IPPROTO_TCP, 1, "10.0.0.1", "10.0.0.100", "10.0.0.12", 0, 80, 80, true,
		 359},
		{"IP  0A000001 0000 0A000064 0000 0A00000C 0000 NONE        LOCAL      359",
		 AF_INET, 0, 0, "10.0.0.1", "10.0.0.100", "10.0.0.12", 0, 0, 0, true, 359},
		/* an IPv6 service may forward through IPv4 */
		{"TCP fd00:0000:0000:0000:0000:0000:0000:0010 9C40 "
		 "fd00:0000:0000:0000:0000:0000:0000:0100 01BB 0A00000C 01BB SYN_RECV LOCAL 59",
		 AF_INET6, IPPROTO_TCP, IPVS_TCP_SYN_RECV, "fd00::10", "fd00::100", "10.0.0.12",
		 40000, 443, 443, true, 59},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_conn c = {0};
		struct addr client = ip(cases[i].client), vip = ip(cases[i].vip),
			    dest = ip(cases[i].dest);

		if (ipvs_conn_parse(cases[i].line, strlen(cases[i].line), &c) != 0)
			fail_msg("refused: %s", cases[i].line);
		assert_int_equal(c.family, cases[i].family);
		assert_int_equal(c.protocol, cases[i].protocol);
		assert_int_equal(c.state, cases[i].state);
		assert_true(addr_eq(&c.client, &client));
		assert_true(addr_eq(&c.vip, &vip));
		assert_true(addr_eq(&c.dest, &dest));
		assert_int_equal(c.client_port, cases[i].client_port);
		assert_int_equal(c.vip_port, cases[i].vip_port);
		assert_int_equal(c.dest_port, cases[i].dest_port);
		assert_int_equal(c.local_origin, cases[i].local);
		assert_int_equal(c.expires_s, cases[i].expires_s);
	}
}

static void test_conn_refused(void **state)
{
	static const struct {
		const char *line;
		int want;
	} cases[] = {
		{"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires",
		 -EAGAIN},
		{"", -EBADMSG},
		{"   ", -EBADMSG},
		{"TCP", -EBADMSG},
		{"TCP 0A00000 0000 0A000064 0050 0A00000C 0050 NONE LOCAL 3", -EBADMSG},
		{"TCP 0A00000G 0000 0A000064 0050 0A00000C 0050 NONE LOCAL 3", -EBADMSG},
		{"TCP 0A000001 10000 0A000064 0050 0A00000C 0050 NONE LOCAL 3", -EBADMSG},
		{"TCP 0A000001 0001 0A000064 0050 0A00000C 0050 NONE LOCAL", -EBADMSG},
		{"TCP 0A000001 0001 0A000064 0050 0A00000C 0050 NONE LOCAL 4294967296", -EBADMSG},
		{"TCP 0A000001 0001 0A000064 0050 0A00000C 0050 NONE LOCAL -1", -EBADMSG},
		{"TCP 0A000001 0001 0A000064 0050 0A00000C 0050 NONE LOCAL 1 more", -EBADMSG},
		{"TCP fd00:0000:0000:0000:0000:0000:0000-0010 9C40 0A000064 0050 0A00000C 0050 "
		 "NONE "
		 "LOCAL 1",
		 -EBADMSG},
		{"TCP fd00:0000:0000:0000:0000:0000:0000:0010 9C40 0A000064 0050 0A00000C 0050 "
		 "NONE "
		 "LOCAL 1",
		 -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_conn c = {.vip_port = 4711};

		if (ipvs_conn_parse(cases[i].line, strlen(cases[i].line), &c) != cases[i].want)
			fail_msg("wrong verdict: %s", cases[i].line);
		assert_int_equal(c.vip_port, 4711);
	}
}

/* Cut anywhere before the last number, a line is refused; nothing is read past its end. */
static void test_conn_truncated(void **state)
{
	static const char line[] =
		"TCP C0A82C0A 9C40 C0A82C78 0016 C0A82C33 0016 ESTABLISHED LOCAL    86398";

	(void)state;
	for (size_t len = 0; len < sizeof(line) - 6; len++) {
		char *copy = malloc(len ? len : 1);
		struct ipvs_conn c;

		assert_non_null(copy);
		memcpy(copy, line, len);
		assert_int_equal(ipvs_conn_parse(copy, len, &c), -EBADMSG);
		free(copy);
	}
}

#define GOOD "TCP 0A000001 %04X 0A000064 0050 0A00000C 0050 ESTABLISHED LOCAL 60\n"

/* Lines that are not understood, between good ones: each is told once, and the walk goes on behind it. */
static void test_conns_go_on_behind_a_bad_line(void **state)
{
	/* around what is read at once, and around the longest line that there is */
	static const size_t lens[] = {1, 254, 255, 256, 257, 4096, 16383, 16384, 16385, 40000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct ipvs_conns *c = NULL;
		struct ipvs_conn conn;
		int fd = memfd_create("conns", MFD_CLOEXEC);

		assert_true(fd >= 0);
		dprintf(fd, "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State Origin Expires\n");
		for (unsigned int n = 0; n < 500; n++) {
			dprintf(fd, GOOD, 1000 + n);
			if (n % 250 == 100)
				dprintf(fd, "%0*d\n", (int)lens[i], 0);
		}
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(ipvs_conns_from(fd, &c, NULL), 0);
		for (unsigned int n = 0; n < 500; n++) {
			assert_int_equal(ipvs_conns_next(c, &conn), 1);
			assert_int_equal(conn.client_port, 1000 + n);
			if (n % 250 == 100)
				assert_int_equal(ipvs_conns_next(c, &conn), -EBADMSG);
		}
		assert_int_equal(ipvs_conns_next(c, &conn), 0);
		ipvs_conns_close(c);
	}
}

/* A line without an end is told once, and ends the walk. */
static void test_conns_end_in_a_long_line(void **state)
{
	struct ipvs_conns *c = NULL;
	struct ipvs_conn conn;
	int fd = memfd_create("conns", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, GOOD "%0*d", 1000, 40000, 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(ipvs_conns_from(fd, &c, NULL), 0);
	assert_int_equal(ipvs_conns_next(c, &conn), 1);
	assert_int_equal(ipvs_conns_next(c, &conn), -EBADMSG);
	assert_int_equal(ipvs_conns_next(c, &conn), 0);
	assert_int_equal(ipvs_conns_next(c, &conn), 0);
	ipvs_conns_close(c);
}

static struct ipvs_conn conn(const char *client, const char *vip, const char *dest)
{
	struct ipvs_conn c = {.client = ip(client),
			      .vip = ip(vip),
			      .dest = ip(dest),
			      .protocol = IPPROTO_TCP,
			      .state = IPVS_TCP_ESTABLISHED,
			      .client_port = 40000,
			      .vip_port = 22,
			      .dest_port = 22};

	c.family = c.client.family;
	return c;
}

static void test_message_vector_ipv4(void **state)
{
	static const uint8_t want[] = {
		0x00, 0x07, 0x00, 0x2c, 0x01, 0x01, 0x00, 0x00, /* id 7, 44 bytes, 1, version 1 */
		0x00, 0x06, 0x00, 0x24, /* IPv4, TCP, 36 bytes */
		0x00, 0x00, 0x00, 0x83, /* direct routing, no output */
		0x00, 0x01, 0x9c, 0x40, 0x00, 0x16, 0x00, 0x16, /* established, ports */
		0x76, 0x00, 0x00, 0x01, /* mark */
		0x00, 0x01, 0x51, 0x80, /* 86400 s */
		192,  168,  44,   10,   192,  168,  44,   120,  192, 168, 44, 51,
	};
	struct ipvs_conn c = conn("192.168.44.10", "192.168.44.120", "192.168.44.51");
	struct ipvs_sync_message m;

	(void)state;
	ipvs_sync_message_init(&m, 7, 1472);
	assert_int_equal(m.len, 8);
	assert_true(ipvs_sync_message_add(&m, &c, IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT, 0x76000001,
					  86400));
	assert_int_equal(m.len, sizeof(want));
	assert_memory_equal(m.bytes, want, sizeof(want));
}

static void test_message_vector_ipv6(void **state)
{
	struct ipvs_conn c = conn("fd00::10", "fd00::100", "fd00::51");
	struct ipvs_sync_message m;

	(void)state;
	ipvs_sync_message_init(&m, 255, 1472);
	assert_true(ipvs_sync_message_add(&m, &c, 0, 0, 900));
	assert_int_equal(m.len, 8 + 72);
	assert_int_equal(m.bytes[1], 255);
	assert_int_equal(m.bytes[3], 80);
	assert_int_equal(m.bytes[8], 1); /* IPv6 */
	assert_int_equal(m.bytes[11], 72);
	assert_memory_equal(m.bytes + 8 + 24, c.client.bytes, 16);
	assert_memory_equal(m.bytes + 8 + 40, c.vip.bytes, 16);
	assert_memory_equal(m.bytes + 8 + 56, c.dest.bytes, 16);
}

static void test_message_fills_up(void **state)
{
	static const struct {
		size_t max_len;
		bool is_v6;
		unsigned int want;
	} cases[] = {
		{7, false, 0},     {43, false, 0},    {44, false, 1}, {1400, false, 38},
		{1472, false, 40}, {9000, false, 40}, {79, true, 0},  {1472, true, 20},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_conn c = cases[i].is_v6 ? conn("fd00::10", "fd00::100", "fd00::51")
						    : conn("10.0.0.1", "10.0.0.2", "10.0.0.3");
		struct ipvs_sync_message m;
		unsigned int n = 0;

		ipvs_sync_message_init(&m, 1, cases[i].max_len);
		while (ipvs_sync_message_add(&m, &c, 0, 0, 1))
			n++;
		assert_int_equal(n, cases[i].want);
		assert_int_equal(m.n_conns, n);
		assert_int_equal(m.bytes[4], n);
		assert_int_equal(m.len, 8 + n * (cases[i].is_v6 ? 72 : 36));
		assert_int_equal(m.bytes[2] << 8 | m.bytes[3], m.len);
	}
}

static void test_settings(void **state)
{
	char dir[] = "/tmp/vipd-test-ipvs-XXXXXX";
	char path[64], buf[16];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_false(ipvs_sysctl_writable(dir));
	assert_int_equal(ipvs_sysctl_write(dir, "expire_nodest_conn", "1"), -ENOENT);
	snprintf(path, sizeof(path), "%s/expire_nodest_conn", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("3\t50\n", f);
	fclose(f);
	assert_true(ipvs_sysctl_writable(dir));
	assert_int_equal(ipvs_sysctl_read(dir, "expire_nodest_conn", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "3 50");
	assert_int_equal(ipvs_sysctl_read(dir, "expire_nodest_conn", buf, 5), -EMSGSIZE);
	assert_int_equal(ipvs_sysctl_write(dir, "expire_nodest_conn", "0 0"), 0);
	assert_int_equal(ipvs_sysctl_read(dir, "expire_nodest_conn", buf, sizeof(buf)), 0);
	assert_int_equal(strncmp(buf, "0 0", 3), 0);
	assert_int_equal(ipvs_sysctl_read(dir, "sloppy_tcp", buf, sizeof(buf)), -ENOENT);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conn_lines),
		cmocka_unit_test(test_conn_refused),
		cmocka_unit_test(test_conn_truncated),
		cmocka_unit_test(test_conns_go_on_behind_a_bad_line),
		cmocka_unit_test(test_conns_end_in_a_long_line),
		cmocka_unit_test(test_message_vector_ipv4),
		cmocka_unit_test(test_message_vector_ipv6),
		cmocka_unit_test(test_message_fills_up),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
