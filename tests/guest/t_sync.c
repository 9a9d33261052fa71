/*
 * Our synchronisation messages against the kernel's: its master daemon's are compared byte by byte with what
 * we make of its connection table, and its backup daemon learns from ours. In network namespaces of its own:
 *
 *	peer (client, listener) ---- br0 director (and a real server) ---- far (another real server)
 *
 * With arguments it is a part for tests/guest/resend.sh, ended.sh and the benchmark:
 *	t_sync agent IFNAME SYNC_ID [PASSES/]SECONDS[@SHARE] VIP active|standby OWN...
 *							resends for so long, or until it has walked through the table so
 *							often, with one part in SHARE of a core; then prints its counters
 *	t_sync tell IFNAME SYNC_ID VIP DEST N [STATE]		tells N connections to port 80 that do not exist, established or
 *							in state CLOSE_WAIT or SYN_RECV: each DEST has clients of its own
 * lane: beside
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/resend.h"
#include "ipvs_rig.h"

#define SYNC_ID 42
#define MARK 0x76000a0bu
#define ANSWER_MS 15000 /* the kernel's daemon waits up to 2 s, and the guest may be slow */

struct lab {
	int director, peer, far; /* namespaces */
};

static int ns_here(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void ns_enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static int ns_new(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
	return ns_here();
}

/* A veth pair: `name` in the director, on the bridge, and eth0 in the other one. */
static void plug(struct lab *l, int other, const char *name, const char *host)
{
	char command[500];

	ns_enter(other);
	snprintf(command, sizeof(command),
		 "ip link add eth0 type veth peer name %s && ip addr add 10.9.0.%s/24 dev eth0 && "
		 "ip addr add fd09::%s/64 dev eth0 nodad && ip link set eth0 up && "
		 "ip link set %s netns /proc/%d/fd/%d",
		 name, host, host, name, (int)getpid(), l->director);
	run(command);
	ns_enter(l->director);
	snprintf(command, sizeof(command), "ip link set %s master br0 up", name);
	run(command);
}

static int lab_up(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->peer = ns_new();
	l->far = ns_new();
	l->director = ns_new();
	run("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up && "
	    "ip addr add 10.9.0.11/24 dev br0 && ip addr add fd09::11/64 dev br0 nodad && "
	    "ip addr add 10.9.0.100/32 dev br0 && ip addr add fd09::100/128 dev br0 nodad");
	plug(l, l->peer, "p0", "20");
	plug(l, l->far, "f0", "13");
	ns_enter(l->far);
	run("ip route add local 10.9.0.100 dev lo table local && "
	    "ip -6 route add local fd09::100 dev lo table local");
	ns_enter(l->director);
	*state = l;
	return 0;
}

static int lab_down(void **state)
{
	struct lab *l = *state;

	close(l->director);
	close(l->peer);
	close(l->far);
	free(l);
	return 0;
}

static int listen_on(int ns, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int off = 0, fd;

	ns_enter(ns);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* Connects and sends a byte: the third packet of a connection is the one that the kernel tells. */
static int connect_from(int ns, const char *to, uint16_t port)
{
	struct sockaddr_storage sa;
	struct addr a = ip(to);
	socklen_t len = addr_to_sockaddr(&a, port, 0, &sa);
	int fd;

	ns_enter(ns);
	fd = socket(a.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&sa, len) < 0)
		fail_msg("connecting to %s: %s", to, strerror(errno));
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	return fd;
}

static int sync_listener(int ns)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(IPVS_SYNC_PORT)};
	struct ip_mreqn group = {.imr_multiaddr.s_addr = inet_addr("224.0.0.81")};
	int fd;

	ns_enter(ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	group.imr_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	return fd;
}

static size_t hear(int fd, uint8_t *buf, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, ANSWER_MS) != 1)
		fail_msg("no synchronisation message came");
	n = recv(fd, buf, size, 0);
	assert_true(n > 0);
	return (size_t)n;
}

/* The only established connection of the director's table. */
static struct ipvs_conn only_connection(void)
{
	struct ipvs_conns *table = NULL;
	struct ipvs_conn c, found = {0};
	struct verr err = {0};
	size_t n = 0;
	int r;

	if (ipvs_conns_open(&table, &err) < 0)
		fail_msg("%s", err.msg);
	while ((r = ipvs_conns_next(table, &c)) > 0) {
		found = c;
		n++;
	}
	assert_int_equal(r, 0);
	assert_int_equal(n, 1);
	ipvs_conns_close(table);
	return found;
}

static struct ipvs *director(struct lab *l)
{
	struct ipvs *i = NULL;
	struct verr err = {0};

	ns_enter(l->director);
	if (ipvs_open(&i, &err) < 0)
		fail_msg("%s", err.msg);
	return i;
}

static struct plan_service service(const char *addr, uint16_t port)
{
	struct plan_service s = {
		.addr = ip(addr), .protocol = IPPROTO_TCP, .port = port, .scheduler = "rr"};

	s.family = s.addr.family;
	return s;
}

struct kind {
	const char *name, *vip, *dest;
	enum plan_forward forward;
	bool by_mark;
	uint32_t flags; /* as the kernel tells them */
};

static void check_kernel_message(struct lab *l, const struct kind *k)
{
	struct plan_service s = service(k->vip, 80);
	struct plan_dest d = {.addr = ip(k->dest), .port = 80, .forward = k->forward, .weight = 1};
	struct plan_sync sync = {.sync_id = SYNC_ID, .ifname = "br0"};
	struct ipvs *i = director(l);
	struct ipvs_sync_message ours;
	struct ipvs_conn c;
	struct verr err = {0};
	uint8_t theirs[1500];
	size_t len;
	int listener = sync_listener(l->peer), client;
	int servers[] = {listen_on(l->director, 80), listen_on(l->far, 80)};

	ns_enter(l->director);
	if (k->by_mark) {
		run("nft 'table inet t { chain c { type filter hook input priority 97; "
		    "tcp dport 80 meta mark set 0x76000a0b; }; }'");
		s = (struct plan_service){.fwmark = MARK, .family = s.family, .scheduler = "rr"};
		d.port = 0;
	}
	apply(i, PLAN_OP_SERVICE_ADD, &s, NULL);
	apply(i, PLAN_OP_DEST_ADD, &s, &d);
	if (ipvs_sync_start(i, true, &sync, &err) < 0)
		fail_msg("%s", err.msg);
	client = connect_from(l->peer, k->vip, 80);
	len = hear(listener, theirs, sizeof(theirs));

	ns_enter(l->director);
	c = only_connection();
	assert_int_equal(c.state, IPVS_TCP_ESTABLISHED);
	assert_true(c.local_origin);
	assert_true(c.expires_s > 800 && c.expires_s <= 900);
	ipvs_sync_message_init(&ours, SYNC_ID, 1472);
	assert_true(ipvs_sync_message_add(&ours, &c, k->flags, k->by_mark ? MARK : 0, 900));
	if (len != ours.len || memcmp(theirs, ours.bytes, len) != 0) {
		for (size_t n = 0; n < len || n < ours.len; n++)
			if (n >= len || n >= ours.len || theirs[n] != ours.bytes[n])
				print_error("byte %zu: kernel %02x, ours %02x\n", n,
					    n < len ? theirs[n] : 0,
					    n < ours.len ? ours.bytes[n] : 0);
		fail_msg("%s: not what the kernel tells", k->name);
	}
	print_message("%s: %zu bytes, as the kernel's\n", k->name, len);
	if (k->by_mark)
		run("nft delete table inet t");
	assert_int_equal(ipvs_sync_stop(i, true, SYNC_ID, &err), 0);
	ipvs_close(i);
	close(client);
	close(listener);
	close(servers[0]);
	close(servers[1]);
}

static void test_kernel_masq(void **state)
{
	check_kernel_message(*state, &(struct kind){.name = "served here",
						    .vip = "10.9.0.100",
						    .dest = "10.9.0.11",
						    .forward = PLAN_MASQ,
						    .flags = 0});
}

static void test_kernel_droute(void **state)
{
	check_kernel_message(*state,
			     &(struct kind){.name = "forwarded",
					    .vip = "10.9.0.100",
					    .dest = "10.9.0.13",
					    .forward = PLAN_DROUTE,
					    .flags = IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT});
}

static void test_kernel_mark(void **state)
{
	check_kernel_message(*state, &(struct kind){.name = "redirected by mark",
						    .vip = "10.9.0.100",
						    .dest = "10.9.0.11",
						    .forward = PLAN_MASQ,
						    .by_mark = true,
						    .flags = 0});
}

static void test_kernel_masq_v6(void **state)
{
	check_kernel_message(*state, &(struct kind){.name = "IPv6, served here",
						    .vip = "fd09::100",
						    .dest = "fd09::11",
						    .forward = PLAN_MASQ,
						    .flags = 0});
}

static void test_kernel_droute_v6(void **state)
{
	check_kernel_message(*state,
			     &(struct kind){.name = "IPv6, forwarded",
					    .vip = "fd09::100",
					    .dest = "fd09::13",
					    .forward = PLAN_DROUTE,
					    .flags = IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT});
}

/*
 * Sends until the backup daemon has taken a message in: a device that has just come up drops what is sent
 * before the kernel has seen its carrier. Each turn first tells `foreign`, which it must not take.
 */
static struct ipvs_conn learned(const struct lab *l, int fd,
				const struct ipvs_sync_message *foreign,
				const struct ipvs_sync_message *ours)
{
	for (int turn = 0; turn < ANSWER_MS / 100; turn++) {
		struct ipvs_conns *table = NULL;
		struct ipvs_conn c;
		int r;

		ns_enter(l->peer);
		assert_int_equal(send(fd, foreign->bytes, foreign->len, 0), foreign->len);
		assert_int_equal(send(fd, ours->bytes, ours->len, 0), ours->len);
		ns_enter(l->director);
		poll(NULL, 0, 100);
		assert_int_equal(ipvs_conns_open(&table, NULL), 0);
		r = ipvs_conns_next(table, &c);
		if (r > 0)
			assert_int_equal(ipvs_conns_next(table, &(struct ipvs_conn){0}), 0);
		ipvs_conns_close(table);
		if (r > 0)
			return c;
	}
	fail_msg("the kernel did not learn the connection");
	return (struct ipvs_conn){0};
}

static uint32_t active_of(struct ipvs *i, const struct addr *dest)
{
	struct plan_service *s = NULL;
	size_t n = 0;
	uint32_t active = UINT32_MAX;

	assert_int_equal(ipvs_dump(i, &s, &n, NULL), 0);
	for (size_t k = 0; k < n; k++)
		for (size_t q = 0; q < s[k].n_dests; q++)
			if (addr_eq(&s[k].dests[q].addr, dest))
				active = s[k].dests[q].active;
	ipvs_dump_free(s, n);
	return active;
}

/* What we send binds to the receiver's own destination, by whatever method that has. */
static void check_backup(struct lab *l, const char *client, const char *vip, const char *near,
			 const char *dest)
{
	struct plan_service s = service(vip, 80);
	struct plan_dest d[] = {
		{.addr = ip(near), .port = 80, .forward = PLAN_MASQ, .weight = 1},
		{.addr = ip(dest), .port = 80, .forward = PLAN_DROUTE, .weight = 1}};
	struct plan_sync sync = {.sync_id = SYNC_ID, .ifname = "br0"};
	struct ipvs_conn c = {.client = ip(client),
			      .vip = ip(vip),
			      .dest = ip(dest),
			      .protocol = IPPROTO_TCP,
			      .state = IPVS_TCP_ESTABLISHED,
			      .client_port = 40000,
			      .vip_port = 80,
			      .dest_port = 80};
	struct ipvs *i = director(l);
	struct ipvs_sync_message foreign, m;
	struct ipvs_conn got, other;
	struct verr err = {0};
	uint32_t flags = 0;
	int fd;

	c.family = c.client.family;
	c.expires_s = 4711;
	other = c;
	apply(i, PLAN_OP_SERVICE_ADD, &s, NULL);
	apply(i, PLAN_OP_DEST_ADD, &s, &d[0]);
	apply(i, PLAN_OP_DEST_ADD, &s, &d[1]);
	if (ipvs_sync_start(i, false, &sync, &err) < 0)
		fail_msg("%s", err.msg);
	ns_enter(l->peer);
	fd = ipvs_sync_socket("eth0", IPVS_SYNC_OTHERS, &err);
	if (fd < 0)
		fail_msg("%s", err.msg);
	assert_true(resend_wants(&c, RESEND_ACTIVE, NULL, 0, &flags));
	/* another cluster's number is not for us */
	other.client_port = 40001;
	ipvs_sync_message_init(&foreign, SYNC_ID + 1, 1472);
	assert_true(ipvs_sync_message_add(&foreign, &other, flags, 0, other.expires_s));
	ipvs_sync_message_init(&m, SYNC_ID, 1472);
	assert_true(ipvs_sync_message_add(&m, &c, flags, 0, c.expires_s));
	got = learned(l, fd, &foreign, &m);
	assert_false(got.local_origin);
	assert_int_equal(got.state, IPVS_TCP_ESTABLISHED);
	assert_true(got.expires_s > 4600 && got.expires_s <= 4711);
	assert_true(addr_eq(&got.client, &c.client));
	assert_true(addr_eq(&got.vip, &c.vip));
	assert_true(addr_eq(&got.dest, &c.dest));
	assert_int_equal(got.client_port, 40000);
	assert_int_equal(active_of(i, &d[1].addr), 1);
	assert_int_equal(active_of(i, &d[0].addr), 0);
	assert_int_equal(ipvs_sync_stop(i, false, SYNC_ID, &err), 0);
	ipvs_close(i);
	close(fd);
}

static void test_backup_learns(void **state)
{
	check_backup(*state, "10.9.0.20", "10.9.0.100", "10.9.0.11", "10.9.0.13");
}

static void test_backup_learns_v6(void **state)
{
	check_backup(*state, "fd09::20", "fd09::100", "fd09::11", "fd09::13");
}

/* ---- the parts ---- */

struct part {
	struct addr vip;
	enum resend_role role;
};

static enum resend_role role_of(const void *user, const struct addr *vip, uint8_t protocol,
				uint16_t port)
{
	const struct part *p = user;

	(void)protocol;
	(void)port;
	return addr_eq(vip, &p->vip) ? p->role : RESEND_FOREIGN;
}

#define LOOK_NS (UINT64_C(20) * NS_PER_MS)

struct end {
	struct loop *loop;
	struct loop_source *timer;
	const struct resend_counters *counters;
	uint64_t at_ns;
	uint64_t passes; /* 0: as many as there are */
};

static int on_end(void *user, uint64_t now_ns)
{
	struct end *e = user;

	if (now_ns >= e->at_ns || (e->passes > 0 && e->counters->passes >= e->passes)) {
		loop_stop(e->loop, 0);
		return 0;
	}
	return loop_timer_set(e->timer, e->passes > 0 ? now_ns + LOOK_NS : e->at_ns);
}

static int run_agent(char **argv)
{
	struct part p = {.role = strcmp(argv[5], "active") == 0 ? RESEND_ACTIVE : RESEND_STANDBY};
	struct resend_conf conf = {.sync = {.sync_id = (uint8_t)atoi(argv[2]), .mtu = 1500}};
	const char *seconds = strchr(argv[3], '/'), *share = strchr(argv[3], '@');
	struct end end = {.passes = seconds ? strtoull(argv[3], NULL, 10) : 0};
	struct resend *r = NULL;
	struct loop *l = NULL;
	struct ipvs *i = NULL;
	const struct resend_counters *c;
	int rc;

	if (ipvs_open(&i, NULL) == 0)
		(void)ipvs_timeouts_get(i, &conf.kernel, NULL);
	ipvs_close(i);
	if (share)
		conf.share = (unsigned int)atoi(share + 1);
	snprintf(conf.sync.ifname, sizeof(conf.sync.ifname), "%s", argv[1]);
	if (addr_parse(argv[4], &p.vip) < 0 || loop_new(&l, NULL) < 0 ||
	    resend_new(l, role_of, &p, &r, NULL) < 0 ||
	    loop_add_timer(l, LOOP_PRIO_NORMAL, on_end, &end, &end.timer) < 0)
		return 1;
	for (char **own = argv + 6; *own && conf.n_own < RESEND_OWN_MAX; own++)
		(void)addr_parse(*own, &conf.own[conf.n_own++]);
	resend_reconf(r, &conf);
	c = resend_counters(r);
	end.loop = l;
	end.counters = c;
	end.at_ns = mono_now_ns() + (uint64_t)atoi(seconds ? seconds + 1 : argv[3]) * NS_PER_S;
	(void)on_end(&end, mono_now_ns());
	rc = loop_run(l);
	printf("passes=%llu seen=%llu sent=%llu messages=%llu errors=%llu last_pass_ms=%llu "
	       "cpu_us=%llu pass_seen=%llu pass_sent=%llu problem=\"%s\"\n",
	       (unsigned long long)c->passes, (unsigned long long)c->seen,
	       (unsigned long long)c->sent, (unsigned long long)c->messages,
	       (unsigned long long)c->errors, (unsigned long long)(c->last_pass_ns / NS_PER_MS),
	       (unsigned long long)(c->last_pass_cpu_ns / NS_PER_US),
	       (unsigned long long)c->last_pass_seen, (unsigned long long)c->last_pass_sent,
	       resend_problem(r));
	resend_free(r);
	loop_source_free(end.timer);
	loop_free(l);
	return rc == 0 ? 0 : 1;
}

static int run_tell(char **argv)
{
	bool stands = !argv[6];
	struct ipvs_conn c = {.family = AF_INET,
			      .protocol = IPPROTO_TCP,
			      .state = IPVS_TCP_ESTABLISHED,
			      .vip_port = 80,
			      .dest_port = 80};
	uint8_t sync_id = (uint8_t)atoi(argv[2]);
	int n = atoi(argv[5]), fd = ipvs_sync_socket(argv[1], IPVS_SYNC_OTHERS, NULL);
	struct ipvs_sync_message m;

	if (fd < 0 || addr_parse(argv[3], &c.vip) < 0 || addr_parse(argv[4], &c.dest) < 0)
		return 1;
	if (!stands)
		c.state =
			strcmp(argv[6], "SYN_RECV") == 0 ? IPVS_TCP_SYN_RECV : IPVS_TCP_CLOSE_WAIT;
	ipvs_sync_message_init(&m, sync_id, 1472);
	for (int k = 0; k < n; k++) {
		uint8_t client[4] = {10, c.dest.bytes[3], (uint8_t)(k / 250 % 250),
				     (uint8_t)(k % 250 + 1)};

		c.client = addr_from_bytes(AF_INET, client);
		c.client_port = (uint16_t)(10000 + k / 62500);
		if (ipvs_sync_message_add(&m, &c, IPVS_CONN_DROUTE, 0, stands ? 3600 : 60))
			continue;
		if (send(fd, m.bytes, m.len, 0) != (ssize_t)m.len)
			return 1;
		poll(NULL, 0, 3); /* the receiver's buffer is not endless */
		ipvs_sync_message_init(&m, sync_id, 1472);
		k--;
	}
	return send(fd, m.bytes, m.len, 0) == (ssize_t)m.len ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kernel_masq, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_kernel_droute, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_kernel_mark, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_kernel_masq_v6, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_kernel_droute_v6, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_backup_learns, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_backup_learns_v6, lab_up, lab_down),
	};

	if (argc >= 7 && strcmp(argv[1], "agent") == 0)
		return run_agent(argv + 1);
	if ((argc == 7 || argc == 8) && strcmp(argv[1], "tell") == 0)
		return run_tell(argv + 1);
	if (!enter_lab())
		return SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
