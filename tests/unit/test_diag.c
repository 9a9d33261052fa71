/* Which socket a connection has, of real ones on loopback; and every truncation of an answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag/diag.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa;
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	if (sa.ss_family == AF_INET6) {
		memcpy(&in6, &sa, sizeof(in6));
		return ntohs(in6.sin6_port);
	}
	memcpy(&in, &sa, sizeof(in));
	return ntohs(in.sin_port);
}

static int listen_at(const struct addr *a)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, 0, 0, &sa);
	int off = 0, fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (a->family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int connect_to(const struct addr *a, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, port, 0, &sa);
	int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, len), 0);
	return fd;
}

struct rig {
	struct diag *diag;
	struct addr at;
	uint16_t port;
};

static enum diag_socket ask(const struct rig *r, uint16_t peer_port)
{
	enum diag_socket s;
	struct verr err = {0};

	if (diag_tcp(r->diag, &r->at, r->port, &r->at, peer_port, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

/* bound: where it listens; at: where it is asked for and connected to. */
static void check(const char *bound, const char *at)
{
	const struct addr listens_at = ip(bound);
	int listener = listen_at(&listens_at), client, server;
	struct rig r = {.at = ip(at), .port = port_of(listener)};
	uint16_t client_port;
	char c;

	assert_int_equal(diag_open(&r.diag, NULL), 0);
	client = connect_to(&r.at, r.port);
	client_port = port_of(client);
	assert_int_equal(ask(&r, client_port), DIAG_CONNECTED); /* not accepted yet */
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(ask(&r, client_port), DIAG_CONNECTED);
	assert_int_equal(ask(&r, client_port == 1 ? 2 : 1), DIAG_LISTENS);

	/* the client ends it: nobody's time-out is waited for but its own */
	close(client);
	assert_int_equal(read(server, &c, 1), 0);
	assert_int_equal(ask(&r, client_port), DIAG_CONNECTED);
	close(server);
	close(listener);
	assert_int_equal(ask(&r, 1), DIAG_NONE);
	diag_close(r.diag);
}

static void test_ipv4(void **state)
{
	(void)state;
	check("127.0.0.1", "127.0.0.1");
	check("0.0.0.0", "127.0.0.1");
}

static void test_ipv6(void **state)
{
	(void)state;
	check("::1", "::1");
	check("::", "::1");
}

static void test_ipv4_of_both(void **state)
{
	(void)state;
	check("::", "127.0.0.1");
}

static void test_reset(void **state)
{
	const struct linger at_once = {.l_onoff = 1};
	struct rig r = {.at = ip("127.0.0.1")};
	int listener = listen_at(&r.at), client, server;
	uint16_t client_port;

	(void)state;
	r.port = port_of(listener);
	assert_int_equal(diag_open(&r.diag, NULL), 0);
	client = connect_to(&r.at, r.port);
	client_port = port_of(client);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(server);
	assert_int_equal(ask(&r, client_port), DIAG_LISTENS);
	close(client);
	close(listener);
	diag_close(r.diag);
}

static void test_truncated(void **state)
{
	struct inet_diag_msg m = {.idiag_family = AF_INET, .idiag_state = TCP_LISTEN};
	enum diag_socket s;

	(void)state;
	for (size_t len = 0; len <= sizeof(m); len++) {
		uint8_t *copy = malloc(len ? len : 1);

		assert_non_null(copy);
		memcpy(copy, &m, len);
		assert_int_equal(diag_answer_parse(copy, len, &s), len < sizeof(m) ? -EBADMSG : 0);
		free(copy);
	}
	assert_int_equal(s, DIAG_LISTENS);
	for (uint8_t tcp_state = 1; tcp_state < TCP_LISTEN; tcp_state++) {
		m.idiag_state = tcp_state;
		assert_int_equal(diag_answer_parse(&m, sizeof(m), &s), 0);
		assert_int_equal(s, DIAG_CONNECTED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),         cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ipv4_of_both), cmocka_unit_test(test_reset),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
