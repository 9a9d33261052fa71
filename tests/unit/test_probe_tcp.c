/* TCP checks against real servers on loopback: every way they may end, and how the server sees it. */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "probe/probe_internal.h"
#include "probe_harness.h"

static void serve_silence(int conn, struct server *s)
{
	read_to_end(conn, s);
}

/* As sshd does: greet, then wait for the client. */
static void serve_banner(int conn, struct server *s)
{
	(void)!write(conn, s->say, strlen(s->say));
	read_to_end(conn, s);
}

/* As an SMTP server with a greeting of several pieces. */
static void serve_slow_banner(int conn, struct server *s)
{
	for (int i = 0; i < 3; i++) {
		const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

		(void)nanosleep(&pause, NULL);
		(void)!write(conn, s->say, strlen(s->say));
	}
	read_to_end(conn, s);
}

static void serve_close(int conn, struct server *s)
{
	(void)conn;
	(void)s;
}

static void serve_for_ever(int conn, struct server *s)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	while (!atomic_load(&s->stop) &&
	       send(conn, block, sizeof(block), MSG_NOSIGNAL) == (ssize_t)sizeof(block))
		;
}

static void check_ok(const struct rig *r)
{
	assert_int_equal(r->result.end, PROBE_OK);
	assert_string_equal(r->result.detail, "connected");
	assert_int_equal(r->result.status, 0);
	assert_true(r->result.latency_ns > 0);
	assert_true(r->result.latency_ns < r->check.timeout_ns);
}

static void test_server_sees_an_orderly_end(void **state)
{
	static const struct {
		const char *name;
		int family;
		serve_fn serve;
		const char *say;
	} cases[] = {
		{"silent", AF_INET, serve_silence, ""},
		{"silent, IPv6", AF_INET6, serve_silence, ""},
		{"banner", AF_INET, serve_banner, "SSH-2.0-OpenSSH_9.2p1\r\n"},
		{"banner, IPv6", AF_INET6, serve_banner, "SSH-2.0-OpenSSH_9.2p1\r\n"},
		{"slow banner", AF_INET, serve_slow_banner, "220-mail.example\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct server *s = server_new(cases[i].family, cases[i].serve, cases[i].say);
		struct rig *r = rig_new(API_CHECK_TCP, s->port);

		rig_probe(r, cases[i].family);
		check_ok(r);
		rig_wait_ended(r, s, 1);
		if (atomic_load(&s->last_read) != 0)
			fail_msg("%s: the server's read gave %d", cases[i].name,
				 atomic_load(&s->last_read));
		assert_int_equal(r->n_done, 1);
		rig_free(r);
		server_free(s);
	}
}

static void test_server_that_closes_or_never_stops(void **state)
{
	serve_fn serves[] = {serve_close, serve_for_ever};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(serves); i++) {
		struct server *s = server_new(AF_INET, serves[i], "");
		struct rig *r = rig_new(API_CHECK_TCP, s->port);

		rig_probe(r, AF_INET);
		check_ok(r);
		rig_wait_ended(r, s, 1); /* we stop listening, so its send fails */
		rig_free(r);
		server_free(s);
	}
}

static void test_refused(void **state)
{
	uint16_t port;
	int fd = bound_socket(AF_INET, &port); /* bound, but nobody listens */
	struct rig *r = rig_new(API_CHECK_TCP, port);

	(void)state;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_L4_REFUSED);
	assert_string_equal(r->result.detail, "connection refused");
	rig_free(r);
	(void)close(fd);
}

static void test_no_answer(void **state)
{
	struct hole hole;

	(void)state;
	hole_open(&hole);

	struct rig *r = rig_new(API_CHECK_TCP, hole.port);

	r->check.timeout_ns = 50 * NS_PER_MS;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_L4_TIMEOUT);
	assert_string_equal(r->result.detail, "no answer");
	assert_true(r->result.latency_ns >= 50 * NS_PER_MS);
	rig_free(r);
	hole_close(&hole);
}

/* ---- a connection that meets itself, in a network namespace with one free source port ---- */

enum { CHILD_GOOD, CHILD_BAD, CHILD_CANNOT };

static int one_port_left(void)
{
	static const char range[] = "65000 65000";
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 && unshare(CLONE_NEWNET) < 0)
		return -1;

	AUTO(fd_close_p) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	AUTO(fd_close_p)
	int f = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);

	if (s < 0 || f < 0 || ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		return -1;
	return write(f, range, strlen(range)) == (ssize_t)strlen(range) ? 0 : -1;
}

static int child_meets_itself(void)
{
	struct addr target;
	struct sockaddr_storage sa;

	if (one_port_left() < 0 || addr_parse("127.0.0.1", &target) < 0)
		return CHILD_CANNOT;

	/* The kernel does connect it to itself. */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = addr_to_sockaddr(&target, 65000, 0, &sa);
	const struct linger reset = {.l_onoff = 1};

	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return CHILD_CANNOT;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)); /* no TIME_WAIT */
	(void)close(fd);

	struct rig *r = rig_new(API_CHECK_TCP, 65000);

	rig_probe(r, AF_INET);

	bool refused = r->result.end == PROBE_L4_REFUSED;

	rig_free(r);
	return refused ? CHILD_GOOD : CHILD_BAD;
}

static void test_meeting_itself_is_no_server(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_meets_itself());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_CANNOT)
		skip(); /* no right to make a namespace */
	assert_int_equal(WEXITSTATUS(status), CHILD_GOOD);
}

static void test_ports_beside_the_kernel_s(void **state)
{
	static const struct {
		const char *range;
		uint16_t first;
		unsigned int n;
	} cases[] = {
		{"32768\t60999\n", 61000, 4536},
		{"1024 64511", 64512, 1024},
		{"1024 64512", 0, 0},
		{"1024 65535", 0, 0},
		{"1024", 0, 0},
		{"", 0, 0},
		{"99999 99999", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct probe_ports ports = probe_ports_beside(cases[i].range);

		if (ports.first != cases[i].first || ports.n != cases[i].n)
			fail_msg("%s: %u of %u", cases[i].range, ports.n, ports.first);
	}
}

/* Notes the client's port as the last read. */
static void serve_port(int conn, struct server *s)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr peer;
	uint16_t port = 0;

	if (getpeername(conn, (struct sockaddr *)&sa, &len) == 0)
		(void)addr_from_sockaddr((struct sockaddr *)&sa, len, &peer, &port);
	atomic_store(&s->last_read, port);
}

static void test_checks_come_from_those_ports(void **state)
{
	struct probe_ports ports = probe_ports_here();

	(void)state;
	if (ports.n == 0)
		skip(); /* this machine gives all to clients */
	for (int i = 0; i < 3; i++) {
		struct server *s = server_new(AF_INET6, serve_port, NULL);
		struct rig *r = rig_new(API_CHECK_TCP, s->port);

		rig_probe(r, AF_INET6);
		check_ok(r);
		rig_wait_ended(r, s, 1);
		assert_in_range(atomic_load(&s->last_read), ports.first, UINT16_MAX);
		rig_free(r);
		server_free(s);
	}
}

static void test_no_descriptor_says_nothing_of_the_target(void **state)
{
	struct server *s = server_new(AF_INET, serve_silence, "");
	struct rig *r = rig_new(API_CHECK_TCP, s->port);
	struct rlimit old, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	(void)rig_start(r, AF_INET);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	rig_wait(r, 1);
	assert_int_equal(r->result.end, PROBE_LOCAL);
	assert_string_equal(r->result.detail, "too many open files");
	rig_free(r);
	server_free(s);
}

static void test_cancelled_probe_is_silent(void **state)
{
	struct server *s = server_new(AF_INET, serve_silence, "");
	struct rig *r = rig_new(API_CHECK_TCP, s->port);

	(void)state;
	probe_cancel(NULL);
	for (int i = 0; i < 3; i++)
		probe_cancel(rig_start(r, AF_INET));
	rig_probe(r, AF_INET); /* only this one tells */
	assert_int_equal(r->n_done, 1);
	rig_free(r);
	server_free(s);
}

static void test_engine_may_go_with_probes_under_way(void **state)
{
	struct hole hole;

	(void)state;
	hole_open(&hole);

	struct rig *r = rig_new(API_CHECK_TCP, hole.port);

	for (int i = 0; i < 5; i++)
		(void)rig_start(r, AF_INET);
	rig_turn(r);
	assert_int_equal(r->n_done, 0);
	rig_free(r);
	hole_close(&hole);
}

/* done cancels itself and its neighbours, and starts the next one. */
struct chain {
	struct rig *rig;
	struct probe *current, *victims[20];
	int left;
};

static void chain_done(void *user, const struct probe_result *result, uint64_t now_ns)
{
	struct chain *c = user;
	struct addr target = loopback(AF_INET);

	(void)now_ns;
	assert_int_equal(result->end, PROBE_OK);
	probe_cancel(c->current);
	for (size_t i = 0; i < ARRAY_LEN(c->victims); i++) {
		probe_cancel(c->victims[i]);
		c->victims[i] = NULL;
	}
	if (--c->left > 0)
		assert_int_equal(probe_start(c->rig->engine, &target, &c->rig->check, chain_done, c,
					     &c->current),
				 0);
}

static void test_done_may_cancel_and_start(void **state)
{
	struct server *s = server_new(AF_INET, serve_silence, "");
	struct rig *r = rig_new(API_CHECK_TCP, s->port);
	struct chain c = {.rig = r, .left = 5};
	struct addr target = loopback(AF_INET);

	(void)state;
	assert_int_equal(probe_start(r->engine, &target, &r->check, chain_done, &c, &c.current), 0);
	for (size_t i = 0; i < ARRAY_LEN(c.victims); i++)
		c.victims[i] = rig_start(r, AF_INET); /* ready in the same batch */
	while (c.left > 0)
		rig_turn(r);
	assert_int_equal(r->n_done, 0);
	rig_free(r);
	server_free(s);
}

static void test_many_at_once_each_tell_once(void **state)
{
	enum { N = 200 };
	struct server *s = server_new(AF_INET, serve_close, "");
	struct hole hole;
	struct rig *r = rig_new(API_CHECK_TCP, s->port);

	(void)state;
	hole_open(&hole);

	struct rig *none = rig_new(API_CHECK_TCP, hole.port);

	/* Deadlines in mixed order in one heap. */
	for (int i = 0; i < N; i++) {
		none->check.timeout_ns = (uint64_t)(1 + (i * 37) % 60) * NS_PER_MS;
		(void)rig_start(none, AF_INET);
		(void)rig_start(r, AF_INET);
	}
	rig_wait(r, N);
	rig_wait(none, N);
	assert_int_equal(r->result.end, PROBE_OK);
	assert_int_equal(none->result.end, PROBE_L4_TIMEOUT);
	rig_free(r);
	server_free(s);
	rig_free(none);
	hole_close(&hole);
}

/* Who looks too late still believes the server, which was in time. */
static void test_late_ourselves(void **state)
{
	enum { N = 200 };
	const struct timespec late = {.tv_nsec = 100 * 1000 * 1000};
	struct server *s = server_new(AF_INET, serve_close, "");
	struct rig *r = rig_new(API_CHECK_TCP, s->port);
	int before;

	(void)state;
	r->check.timeout_ns = 50 * NS_PER_MS;
	for (int i = 0; i < N; i++)
		(void)rig_start(r, AF_INET);
	(void)nanosleep(&late, NULL);
	while (r->n_done < N) {
		before = r->n_done;
		rig_turn(r);
		assert_true(r->n_done == before || r->result.end == PROBE_OK);
	}
	rig_free(r);
	server_free(s);
}

static void test_names(void **state)
{
	static const char *const names[] = {"OK",        "L4Timeout", "L4Refused",  "L6TLS",
					    "L7Timeout", "L7Status",  "L7Response", "Local"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(probe_end_name((enum probe_end)i), names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_sees_an_orderly_end),
		cmocka_unit_test(test_server_that_closes_or_never_stops),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_meeting_itself_is_no_server),
		cmocka_unit_test(test_ports_beside_the_kernel_s),
		cmocka_unit_test(test_checks_come_from_those_ports),
		cmocka_unit_test(test_no_descriptor_says_nothing_of_the_target),
		cmocka_unit_test(test_cancelled_probe_is_silent),
		cmocka_unit_test(test_engine_may_go_with_probes_under_way),
		cmocka_unit_test(test_done_may_cancel_and_start),
		cmocka_unit_test(test_many_at_once_each_tell_once),
		cmocka_unit_test(test_late_ourselves),
		cmocka_unit_test(test_names),
	};

	(void)alarm(120); /* a test that hangs ends */
	return cmocka_run_group_tests_name("probe_tcp", tests, NULL, NULL);
}
