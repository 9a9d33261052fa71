/*
 * The kernel's connection tracking in a namespace of our own: connections that a rule translates are listed by who
 * answers, in both families; one that is forgotten is gone, and nobody else's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ct/ct.h"

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* 192.0.2.1 and 2001:db8::1 stand for real servers, .100 and ::100 for the VIP. */
static int lab_up(void **state)
{
	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("ip link set lo up; "
	    "for i in 1 2 100; do ip addr add 192.0.2.$i/32 dev lo; ip addr add 2001:db8::$i/128 "
	    "dev lo nodad; done; "
	    "nft add table inet t; "
	    "nft add chain inet t out '{ type nat hook output priority -100; }'; "
	    "nft add rule inet t out ip daddr 192.0.2.100 tcp dport 80 dnat ip to 192.0.2.1; "
	    "nft add rule inet t out ip daddr 192.0.2.100 tcp dport 81 dnat ip to 192.0.2.2; "
	    "nft add rule inet t out ip6 daddr 2001:db8::100 tcp dport 80 dnat ip6 to 2001:db8::1");
	return 0;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int connect_to(const char *to, uint16_t port)
{
	struct sockaddr_storage sa;
	struct addr a = ip(to);
	socklen_t len = addr_to_sockaddr(&a, port, 0, &sa);
	int fd = socket(a.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&sa, len) < 0)
		fail_msg("connecting to %s: %s", to, strerror(errno));
	return fd;
}

struct found {
	struct ct_conn last;
	unsigned int n;
};

static void on_conn(void *user, const struct ct_conn *c)
{
	struct found *f = user;

	f->last = *c;
	f->n++;
}

static struct found list(struct ct *t, const char *server)
{
	struct addr a = ip(server);
	struct found f = {0};
	struct verr err = {0};

	if (ct_list(t, &a, on_conn, &f, &err) < 0)
		fail_msg("%s", err.msg);
	return f;
}

static unsigned int list_family(struct ct *t, int family)
{
	struct found f = {0};
	struct verr err = {0};

	if (ct_list_family(t, family, on_conn, &f, &err) < 0)
		fail_msg("%s", err.msg);
	return f.n;
}

static void listed_and_forgotten(void **state)
{
	int fds[] = {listen_on(80),
		     listen_on(81),
		     connect_to("192.0.2.100", 80),
		     connect_to("192.0.2.100", 81),
		     connect_to("2001:db8::100", 80),
		     connect_to("192.0.2.1", 80)};
	const char *vips[] = {"192.0.2.100", "2001:db8::100"};
	const char *servers[] = {"192.0.2.1", "2001:db8::1"};
	struct ct *t = NULL;

	(void)state;
	assert_int_equal(ct_open(&t, NULL), 0);
	/* whoever answers, but none that is not translated */
	assert_int_equal(list_family(t, AF_INET), 2);
	assert_int_equal(list_family(t, AF_INET6), 1);
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		struct addr vip = ip(vips[i]);
		struct found f = list(t, servers[i]);

		/* not the one that asked for the server itself */
		assert_int_equal(f.n, 1);
		assert_true(addr_eq(&f.last.vip, &vip));
		assert_int_equal(f.last.vip_port, 80);
		assert_int_equal(ct_forget(t, &f.last, NULL), 0);
		assert_int_equal(list(t, servers[i]).n, 0);
		assert_int_equal(ct_forget(t, &f.last, NULL), 0);
	}
	assert_int_equal(list(t, "192.0.2.2").n, 1);
	ct_close(t);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* An answer that nobody read, as after a time-out, is not taken for that of the next request. */
static void unread_answers_are_passed_over(void **state)
{
	const struct nlmsghdr old = {.nlmsg_len = NLMSG_HDRLEN,
				     .nlmsg_type = NLMSG_NOOP,
				     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
				     .nlmsg_seq = 4711};
	struct addr server = ip("192.0.2.1");
	int fds[] = {listen_on(80), connect_to("192.0.2.100", 80)};
	struct found f = {0};
	struct verr err = {0};
	struct ct *t = NULL;
	int fd = dup(0); /* the number that the socket will have */

	(void)state;
	close(fd);
	assert_int_equal(ct_open(&t, &err), 0);
	assert_int_equal(send(fd, &old, sizeof(old), 0), sizeof(old));
	if (ct_list(t, &server, on_conn, &f, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(f.n, 1);
	assert_int_equal(send(fd, &old, sizeof(old), 0), sizeof(old));
	assert_int_equal(ct_forget(t, &f.last, &err), 0);
	assert_int_equal(list(t, "192.0.2.1").n, 0);
	ct_close(t);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(listed_and_forgotten, lab_up),
		cmocka_unit_test_setup(unread_answers_are_passed_over, lab_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
