/*
 * The IPVS room against a real kernel: what is applied is what is dumped, twice is as good as once, others'
 * services stay, and a thousand services are quick. In a network namespace of its own; needs root and a
 * kernel with IPVS (tests/guest/boot), else it is skipped (77).
 * lane: beside
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipvs_rig.h"

static struct plan_service service(const char *addr, uint8_t protocol, uint16_t port,
				   const char *scheduler)
{
	struct plan_service s = {.addr = ip(addr), .protocol = protocol, .port = port};

	s.family = s.addr.family;
	snprintf(s.scheduler, sizeof(s.scheduler), "%s", scheduler);
	return s;
}

static struct plan_service mark_service(int family, uint32_t mark)
{
	struct plan_service s = {.family = (uint8_t)family, .fwmark = mark, .scheduler = "rr"};

	return s;
}

static struct plan_dest dest(const char *addr, uint16_t port, enum plan_forward forward,
			     uint32_t weight)
{
	return (struct plan_dest){
		.addr = ip(addr), .port = port, .forward = forward, .weight = weight};
}

/* Each test has the namespace to itself. */
static int fresh(void **state)
{
	struct ipvs *i = NULL;
	struct verr err = {0};

	if (unshare(CLONE_NEWNET) < 0 || ipvs_open(&i, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	*state = i;
	/* Without any address there is no routing table, and IPv4 real servers are refused. */
	return system("ip link set lo up");
}

static int done(void **state)
{
	ipvs_close(*state);
	return 0;
}

struct dump {
	struct plan_service *services;
	size_t n;
};

static struct dump dump(struct ipvs *i)
{
	struct dump d = {0};
	struct verr err = {0};

	if (ipvs_dump(i, &d.services, &d.n, &err) != 0)
		fail_msg("%s", err.msg);
	return d;
}

static void dump_done(struct dump *d)
{
	ipvs_dump_free(d->services, d->n);
}

/* The service of that identity in the dump; NULL: there is none. */
static const struct plan_service *find(const struct dump *d, const struct plan_service *s)
{
	for (size_t k = 0; k < d->n; k++) {
		const struct plan_service *c = &d->services[k];

		if (c->family == s->family && c->fwmark == s->fwmark &&
		    (s->fwmark || (c->protocol == s->protocol && c->port == s->port &&
				   addr_eq(&c->addr, &s->addr))))
			return c;
	}
	return NULL;
}

static const struct plan_dest *find_dest(const struct plan_service *s, const struct plan_dest *d)
{
	for (size_t k = 0; k < s->n_dests; k++)
		if (addr_eq(&s->dests[k].addr, &d->addr) && s->dests[k].port == d->port)
			return &s->dests[k];
	return NULL;
}

static void assert_holds(struct ipvs *i, const struct plan_service *s,
			 const struct plan_dest *dests, size_t n)
{
	struct dump d = dump(i);
	const struct plan_service *got = find(&d, s);

	assert_non_null(got);
	assert_string_equal(got->scheduler, s->scheduler);
	assert_int_equal(got->flags, s->flags);
	assert_int_equal(got->timeout_s, s->timeout_s);
	assert_int_equal(got->n_dests, n);
	for (size_t k = 0; k < n; k++) {
		const struct plan_dest *g = find_dest(got, &dests[k]);

		assert_non_null(g);
		assert_int_equal(g->forward, dests[k].forward);
		assert_int_equal(g->weight, dests[k].weight);
		assert_int_equal(g->active + g->inactive, 0);
	}
	dump_done(&d);
}

/* Applies twice, adds as sets and sets as adds, and looks after each. */
static void check_service(struct ipvs *i, const struct plan_service *s,
			  const struct plan_dest *dests, size_t n)
{
	static const enum plan_op_type turns[][2] = {
		{PLAN_OP_SERVICE_ADD, PLAN_OP_DEST_ADD},
		{PLAN_OP_SERVICE_ADD, PLAN_OP_DEST_ADD},
		{PLAN_OP_SERVICE_SET, PLAN_OP_DEST_SET},
	};

	for (size_t t = 0; t < ARRAY_LEN(turns); t++) {
		apply(i, turns[t][0], s, NULL);
		for (size_t k = 0; k < n; k++)
			apply(i, turns[t][1], s, &dests[k]);
		assert_holds(i, s, dests, n);
	}
	apply(i, PLAN_OP_DEST_DEL, s, &dests[0]);
	apply(i, PLAN_OP_DEST_DEL, s, &dests[0]);
	assert_holds(i, s, dests + 1, n - 1);
	apply(i, PLAN_OP_SERVICE_DEL, s, NULL);
	apply(i, PLAN_OP_SERVICE_DEL, s, NULL);
	/* A destination whose service is gone is gone. */
	apply(i, PLAN_OP_DEST_DEL, s, &dests[1]);
	/* Setting what is missing adds it. */
	apply(i, PLAN_OP_SERVICE_SET, s, NULL);
	for (size_t k = 0; k < n; k++)
		apply(i, PLAN_OP_DEST_SET, s, &dests[k]);
	assert_holds(i, s, dests, n);
}

static void test_every_scheduler(void **state)
{
	static const char *const schedulers[] = {"mh",  "rr", "wrr",  "lc",    "wlc", "sh", "dh",
						 "sed", "nq", "lblc", "lblcr", "fo",  "ovf"};
	struct plan_dest dests[] = {dest("192.0.2.1", 22, PLAN_MASQ, 1),
				    dest("192.0.2.2", 22, PLAN_DROUTE, 7),
				    dest("192.0.2.3", 22, PLAN_DROUTE, 0)};

	for (size_t k = 0; k < ARRAY_LEN(schedulers); k++) {
		struct plan_service s =
			service("192.0.2.100", IPPROTO_TCP, (uint16_t)(22 + k), schedulers[k]);

		for (size_t d = 0; d < ARRAY_LEN(dests); d++)
			dests[d].port = s.port;
		if (strcmp(schedulers[k], "mh") == 0)
			s.flags = PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2;
		check_service(*state, &s, dests, ARRAY_LEN(dests));
	}
}

static void test_kinds_of_service(void **state)
{
	struct plan_service persistent = service("192.0.2.100", IPPROTO_TCP, 80, "rr");
	struct plan_service udp = service("192.0.2.100", IPPROTO_UDP, 53, "mh");
	struct plan_service v6 = service("2001:db8::100", IPPROTO_TCP, 443, "wlc");
	struct plan_service v6_persistent = service("2001:db8::100", IPPROTO_UDP, 443, "sh");
	struct plan_dest v4_dests[] = {dest("192.0.2.1", 80, PLAN_MASQ, 1),
				       dest("192.0.2.2", 80, PLAN_DROUTE, 1)};
	struct plan_dest v6_dests[] = {dest("2001:db8::1", 443, PLAN_MASQ, 1),
				       dest("2001:db8::2", 443, PLAN_DROUTE, 3)};

	persistent.flags = v6_persistent.flags = PLAN_IPVS_PERSISTENT;
	persistent.timeout_s = 360;
	v6_persistent.timeout_s = 1;
	check_service(*state, &persistent, v4_dests, 2);
	check_service(*state, &udp, v4_dests, 2);
	check_service(*state, &v6, v6_dests, 2);
	check_service(*state, &v6_persistent, v6_dests, 2);
}

static void test_mark_services(void **state)
{
	struct plan_service v4 = mark_service(AF_INET, 0x76000001);
	struct plan_service v6 = mark_service(AF_INET6, 0x76000001);
	struct plan_dest d4 = dest("192.0.2.1", 0, PLAN_MASQ, 1);
	struct plan_dest d6 = dest("2001:db8::1", 0, PLAN_MASQ, 1);

	/* One mark, two families: two services. */
	for (int turn = 0; turn < 2; turn++) {
		apply(*state, PLAN_OP_SERVICE_ADD, &v4, NULL);
		apply(*state, PLAN_OP_SERVICE_ADD, &v6, NULL);
		apply(*state, PLAN_OP_DEST_ADD, &v4, &d4);
		apply(*state, PLAN_OP_DEST_ADD, &v6, &d6);
		assert_holds(*state, &v4, &d4, 1);
		assert_holds(*state, &v6, &d6, 1);
	}
	apply(*state, PLAN_OP_SERVICE_DEL, &v4, NULL);
	assert_holds(*state, &v6, &d6, 1);
}

static void test_change_in_place(void **state)
{
	struct plan_service s = service("192.0.2.100", IPPROTO_TCP, 80, "rr");
	struct plan_dest d = dest("192.0.2.1", 80, PLAN_DROUTE, 1);

	apply(*state, PLAN_OP_SERVICE_ADD, &s, NULL);
	apply(*state, PLAN_OP_DEST_ADD, &s, &d);
	snprintf(s.scheduler, sizeof(s.scheduler), "mh");
	s.flags = PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2 | PLAN_IPVS_PERSISTENT;
	s.timeout_s = 60;
	d.forward = PLAN_MASQ;
	d.weight = 100;
	apply(*state, PLAN_OP_SERVICE_SET, &s, NULL);
	apply(*state, PLAN_OP_DEST_SET, &s, &d);
	assert_holds(*state, &s, &d, 1);
	/* and flags are cleared, not only set */
	s.flags = 0;
	s.timeout_s = 0;
	apply(*state, PLAN_OP_SERVICE_SET, &s, NULL);
	assert_holds(*state, &s, &d, 1);
}

static void test_weight_alone(void **state)
{
	struct plan_service s = service("192.0.2.100", IPPROTO_TCP, 80, "mh");
	struct plan_dest d = dest("192.0.2.1", 80, PLAN_DROUTE, 5);
	struct plan_dest absent = dest("192.0.2.2", 80, PLAN_DROUTE, 5);
	struct plan_service no_service = service("192.0.2.101", IPPROTO_TCP, 80, "mh");
	struct verr err = {0};

	apply(*state, PLAN_OP_SERVICE_ADD, &s, NULL);
	apply(*state, PLAN_OP_DEST_ADD, &s, &d);
	assert_int_equal(ipvs_set_weight(*state, &s, &d, 0, &err), 0);
	d.weight = 0;
	assert_holds(*state, &s, &d, 1);
	assert_int_equal(ipvs_set_weight(*state, &s, &absent, 0, &err), -ENOENT);
	assert_int_equal(ipvs_set_weight(*state, &no_service, &d, 0, &err), -ENOENT);
}

static void test_refusals_are_told(void **state)
{
	struct plan_op op = {.type = PLAN_OP_SERVICE_ADD,
			     .service = service("192.0.2.100", IPPROTO_TCP, 80, "nosuch")};
	struct verr err = {0};

	assert_int_equal(ipvs_apply(*state, &op, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "TCP 192.0.2.100:80"));
	assert_non_null(strstr(err.msg, "nosuch"));
	op.type = PLAN_OP_DEST_ADD;
	op.dest = dest("192.0.2.1", 80, PLAN_DROUTE, 1);
	assert_int_equal(ipvs_apply(*state, &op, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "192.0.2.1"));
	op.type = PLAN_OP_ROUTE_ADD;
	assert_int_equal(ipvs_apply(*state, &op, &err), -EINVAL);
}

static void test_others_services_stay(void **state)
{
	struct plan_service s = service("192.0.2.100", IPPROTO_TCP, 80, "rr");
	struct plan_service other = service("192.0.2.100", IPPROTO_TCP, 81, "wlc");
	struct plan_service tunnel = mark_service(AF_INET, 9);
	struct dump d;

	run("ipvsadm -A -t 192.0.2.100:81 -s wlc && ipvsadm -a -t 192.0.2.100:81 -r 192.0.2.9 -g");
	run("ipvsadm -A -f 9 -s rr && ipvsadm -a -f 9 -r 192.0.2.8:0 -i");
	check_service(*state, &s,
		      (struct plan_dest[]){dest("192.0.2.1", 80, PLAN_DROUTE, 1),
					   dest("192.0.2.2", 80, PLAN_DROUTE, 1)},
		      2);
	apply(*state, PLAN_OP_SERVICE_DEL, &s, NULL);
	d = dump(*state);
	assert_int_equal(d.n, 2);
	assert_non_null(find(&d, &other));
	assert_int_equal(find(&d, &other)->n_dests, 1);
	assert_non_null(find(&d, &tunnel));
	assert_int_equal(find(&d, &tunnel)->dests[0].forward, 2);
	dump_done(&d);
}

static void test_dump_is_sorted(void **state)
{
	struct dump d;

	for (uint16_t k = 0; k < 50; k++) {
		struct plan_service s = service(k % 2 ? "192.0.2.100" : "2001:db8::1",
						k % 3 ? IPPROTO_TCP : IPPROTO_UDP,
						(uint16_t)(1 + 7919 * k % 1000), "rr");

		apply(*state, PLAN_OP_SERVICE_ADD, &s, NULL);
	}
	d = dump(*state);
	assert_int_equal(d.n, 50);
	for (size_t k = 1; k < d.n; k++)
		assert_true(plan_service_cmp(&d.services[k - 1], &d.services[k]) < 0);
	dump_done(&d);
}

static void test_info_and_timeouts(void **state)
{
	struct ipvs_info info;
	struct ipvs_timeouts before, after;
	struct verr err = {0};

	assert_int_equal(ipvs_info(*state, &info, &err), 0);
	assert_int_equal(info.version >> 8, 0x102); /* 1.2.x, since 2004 */
	assert_true(info.conn_tab_size >= 256);
	print_message("IPVS %u.%u.%u, %u buckets\n", info.version >> 16, info.version >> 8 & 255,
		      info.version & 255, info.conn_tab_size);
	assert_int_equal(ipvs_timeouts_get(*state, &before, &err), 0);
	assert_int_equal(before.tcp_s, 900);
	assert_int_equal(before.tcp_fin_s, 120);
	assert_int_equal(before.udp_s, 300);
	assert_int_equal(ipvs_timeouts_set(*state, &(struct ipvs_timeouts){.tcp_s = 86400}, &err),
			 0);
	assert_int_equal(ipvs_timeouts_get(*state, &after, &err), 0);
	assert_int_equal(after.tcp_s, 86400);
	assert_int_equal(after.tcp_fin_s, 120);
	assert_int_equal(after.udp_s, 300);
	assert_int_equal(ipvs_timeouts_set(*state, &(struct ipvs_timeouts){0}, &err), 0);
}

static void assert_daemons(struct ipvs *i, uint8_t master, uint8_t backup, const char *ifname)
{
	struct plan_sync m, b;
	struct verr err = {0};

	assert_int_equal(ipvs_sync_get(i, &m, &b, &err), 0);
	assert_int_equal(m.sync_id, master);
	assert_int_equal(b.sync_id, backup);
	if (master)
		assert_string_equal(m.ifname, ifname);
	if (backup)
		assert_string_equal(b.ifname, ifname);
}

static void test_sync_daemons(void **state)
{
	struct plan_sync on_v0 = {.sync_id = 42, .ifname = "v0"};
	struct plan_sync on_w0 = {.sync_id = 43, .ifname = "w0"};
	struct plan_sync nowhere = {.sync_id = 42, .ifname = "nosuch0"};
	struct verr err = {0};

	run("ip link add v0 type veth peer name v1 && ip link set v0 up && "
	    "ip link set v1 up && ip addr add 192.0.2.51/24 dev v0");
	run("ip link add w0 type veth peer name w1 && ip link set w0 up && ip link set w1 up && "
	    "ip addr add 198.51.100.51/24 dev w0");
	assert_daemons(*state, 0, 0, "");
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(ipvs_sync_start(*state, true, &on_v0, &err), 0);
		assert_daemons(*state, 42, turn ? 42 : 0, "v0");
		assert_int_equal(ipvs_sync_start(*state, false, &on_v0, &err), 0);
		assert_daemons(*state, 42, 42, "v0");
	}
	/* another interface and id: stopped and started */
	assert_int_equal(ipvs_sync_start(*state, true, &on_w0, &err), 0);
	assert_int_equal(ipvs_sync_start(*state, false, &on_w0, &err), 0);
	assert_daemons(*state, 43, 43, "w0");
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(ipvs_sync_stop(*state, true, 43, &err), 0);
		assert_daemons(*state, 0, turn ? 0 : 43, "w0");
		assert_int_equal(ipvs_sync_stop(*state, false, 43, &err), 0);
		assert_daemons(*state, 0, 0, "");
	}
	/* Stopped before its thread has run: the kernel sends no ack then. */
	for (int turn = 0; turn < 50; turn++) {
		assert_int_equal(ipvs_sync_start(*state, turn % 2, &on_v0, &err), 0);
		assert_int_equal(ipvs_sync_stop(*state, turn % 2, 42, &err), 0);
		assert_daemons(*state, 0, 0, "");
	}
	assert_int_equal(ipvs_sync_start(*state, true, &nowhere, &err), -ENODEV);
	assert_non_null(strstr(err.msg, "nosuch0"));
}

static struct plan_op *thousand_by_ten(const char *scheduler, size_t *ret_n)
{
	struct plan_op *ops = calloc(11000, sizeof(*ops));
	size_t n = 0;

	assert_non_null(ops);
	for (unsigned int k = 0; k < 1000; k++) {
		char text[ADDR_TEXT_MAX];
		struct plan_service s;

		snprintf(text, sizeof(text), "10.0.%u.%u", k / 250, k % 250 + 1);
		s = service(text, IPPROTO_TCP, 80, scheduler);
		if (strcmp(scheduler, "mh") == 0)
			s.flags = PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2;
		ops[n++] = (struct plan_op){.type = PLAN_OP_SERVICE_ADD, .service = s};
		for (unsigned int d = 0; d < 10; d++) {
			snprintf(text, sizeof(text), "10.1.0.%u", d + 1);
			ops[n++] =
				(struct plan_op){.type = PLAN_OP_DEST_ADD,
						 .service = s,
						 .dest = dest(text, 80, d ? PLAN_DROUTE : PLAN_MASQ,
							      d == 9 ? 0 : d + 1)};
		}
	}
	*ret_n = n;
	return ops;
}

static const struct plan_op **pointers(const struct plan_op *ops, size_t n)
{
	const struct plan_op **p = calloc(n, sizeof(*p));

	assert_non_null(p);
	for (size_t k = 0; k < n; k++)
		p[k] = &ops[k];
	return p;
}

static void assert_thousand_by_ten(struct ipvs *i, const char *scheduler)
{
	uint64_t t0 = mono_now_ns();
	struct dump d = dump(i);

	print_message("dump of %zu services: %.1f ms\n", d.n, (double)(mono_now_ns() - t0) / 1e6);
	assert_int_equal(d.n, 1000);
	for (size_t k = 0; k < d.n; k++) {
		uint32_t sum = 0;

		assert_int_equal(d.services[k].n_dests, 10);
		assert_string_equal(d.services[k].scheduler, scheduler);
		for (size_t q = 0; q < 10; q++)
			sum += d.services[k].dests[q].weight;
		assert_int_equal(sum, 45);
	}
	dump_done(&d);
}

static void check_thousand_by_ten(struct ipvs *i, const char *scheduler)
{
	static const char *const turns[] = {"to nothing", "again"};
	size_t n;
	struct plan_op *ops = thousand_by_ten(scheduler, &n);
	const struct plan_op **p = pointers(ops, n);
	struct verr err = {0};
	uint64_t t0;

	for (size_t turn = 0; turn < ARRAY_LEN(turns); turn++) {
		t0 = mono_now_ns();
		if (ipvs_apply_batch(i, p, n, &err) != 0)
			fail_msg("%s", err.msg);
		print_message("%s: batch of %zu operations, %s: %.1f ms\n", scheduler, n,
			      turns[turn], (double)(mono_now_ns() - t0) / 1e6);
		assert_thousand_by_ten(i, scheduler);
	}
	t0 = mono_now_ns();
	assert_int_equal(ipvs_set_weight(i, &ops[1].service, &ops[1].dest, 3, &err), 0);
	print_message("one weight: %.3f ms\n", (double)(mono_now_ns() - t0) / 1e6);
	/* all away, twice: what is gone is gone */
	for (size_t k = 0; k < n; k++)
		ops[k].type =
			ops[k].type == PLAN_OP_SERVICE_ADD ? PLAN_OP_SERVICE_DEL : PLAN_OP_DEST_DEL;
	for (int turn = 0; turn < 2; turn++) {
		t0 = mono_now_ns();
		if (ipvs_apply_batch(i, p, n, &err) != 0)
			fail_msg("%s", err.msg);
		print_message("deletion: %.1f ms\n", (double)(mono_now_ns() - t0) / 1e6);
	}
	{
		struct dump d = dump(i);

		assert_int_equal(d.n, 0);
		dump_done(&d);
	}
	free(p);
	free(ops);
}

/* Namespaces of their own: the kernel searches what was deleted lately at each addition. */
static void test_batch_of_a_thousand_by_ten_rr(void **state)
{
	check_thousand_by_ten(*state, "rr");
}

static void test_batch_of_a_thousand_by_ten_mh(void **state)
{
	check_thousand_by_ten(*state, "mh");
}

static void send_from(uint16_t port, const struct plan_service *s)
{
	struct sockaddr_storage from, to;
	struct addr own = ip("192.0.2.50");
	socklen_t from_len = addr_to_sockaddr(&own, port, 0, &from);
	socklen_t to_len = addr_to_sockaddr(&s->addr, s->port, 0, &to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&from, from_len), 0);
	assert_int_equal(sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, to_len), 1);
	close(fd);
}

/* mh must pick alike on every node, however the service came to be: at once or destination by destination,
 * with a real server that was away from the start. */
static void test_mh_picks_alike(void **state)
{
	enum { CLIENTS = 200, SERVERS = 5 };
	struct plan_service s[] = {service("192.0.2.100", IPPROTO_UDP, 53, "mh"),
				   service("192.0.2.101", IPPROTO_UDP, 53, "mh")};
	struct plan_op ops[1 + SERVERS];
	const struct plan_op *p[1 + SERVERS];
	struct addr picks[2][CLIENTS];
	struct ipvs_conns *table = NULL;
	struct ipvs_conn c;
	struct verr err = {0};
	size_t n_servers_used = 0;

	run("ip link add d0 type dummy && ip addr add 192.0.2.50/24 dev d0 && ip link set d0 up");
	memset(picks, 0, sizeof(picks));
	for (size_t k = 0; k < ARRAY_LEN(s); k++) {
		s[k].flags = PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2;
		ops[0] = (struct plan_op){.type = PLAN_OP_SERVICE_ADD, .service = s[k]};
		for (unsigned int d = 0; d < SERVERS; d++) {
			char text[ADDR_TEXT_MAX];

			snprintf(text, sizeof(text), "192.0.2.%u", d + 1);
			ops[1 + d] = (struct plan_op){
				.type = PLAN_OP_DEST_ADD,
				.service = s[k],
				.dest = dest(text, 53, PLAN_DROUTE, d == 2 ? 0 : 1)};
		}
		for (size_t o = 0; o < ARRAY_LEN(ops); o++)
			p[o] = &ops[o];
		if (k == 0)
			assert_int_equal(ipvs_apply_batch(*state, p, ARRAY_LEN(p), &err), 0);
		for (size_t o = 0; k == 1 && o < ARRAY_LEN(ops); o++)
			assert_int_equal(ipvs_apply(*state, p[o], &err), 0);
		for (uint16_t port = 0; port < CLIENTS; port++)
			send_from((uint16_t)(20000 + port), &s[k]);
	}
	assert_int_equal(ipvs_conns_open(&table, &err), 0);
	while (ipvs_conns_next(table, &c) > 0) {
		assert_in_range(c.client_port, 20000, 20000 + CLIENTS - 1);
		picks[addr_eq(&c.vip, &s[1].addr) ? 1 : 0][c.client_port - 20000] = c.dest;
	}
	ipvs_conns_close(table);
	for (size_t k = 0; k < CLIENTS; k++) {
		assert_true(addr_is_set(&picks[0][k]));
		assert_true(addr_eq(&picks[0][k], &picks[1][k]));
	}
	for (unsigned int d = 0; d < SERVERS; d++) {
		size_t n = 0;

		for (size_t k = 0; k < CLIENTS; k++)
			n += addr_eq(&picks[0][k], &ops[1 + d].dest.addr);
		n_servers_used += n > 0;
		print_message("server %u: %zu of %d\n", d + 1, n, CLIENTS);
	}
	assert_int_equal(n_servers_used, SERVERS - 1);
}

/* One bad operation among many is told, and hinders none of the others. */
static void test_batch_with_a_bad_operation(void **state)
{
	size_t n;
	struct plan_op *ops = thousand_by_ten("mh", &n);
	const struct plan_op **p;
	struct verr err = {0};
	struct dump d;

	n = 2200;
	snprintf(ops[1100].service.scheduler, 16, "nosuch"); /* the service of the 101st group */
	p = pointers(ops, n);
	assert_int_equal(ipvs_apply_batch(*state, p, n, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "nosuch"));
	d = dump(*state);
	assert_int_equal(d.n, 199);
	for (size_t k = 0; k < d.n; k++)
		assert_int_equal(d.services[k].n_dests, 10);
	dump_done(&d);
	assert_int_equal(ipvs_apply_batch(*state, p, 0, &err), 0);
	free(p);
	free(ops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_scheduler, fresh, done),
		cmocka_unit_test_setup_teardown(test_kinds_of_service, fresh, done),
		cmocka_unit_test_setup_teardown(test_mark_services, fresh, done),
		cmocka_unit_test_setup_teardown(test_change_in_place, fresh, done),
		cmocka_unit_test_setup_teardown(test_weight_alone, fresh, done),
		cmocka_unit_test_setup_teardown(test_refusals_are_told, fresh, done),
		cmocka_unit_test_setup_teardown(test_others_services_stay, fresh, done),
		cmocka_unit_test_setup_teardown(test_dump_is_sorted, fresh, done),
		cmocka_unit_test_setup_teardown(test_info_and_timeouts, fresh, done),
		cmocka_unit_test_setup_teardown(test_sync_daemons, fresh, done),
		cmocka_unit_test_setup_teardown(test_batch_of_a_thousand_by_ten_rr, fresh, done),
		cmocka_unit_test_setup_teardown(test_batch_of_a_thousand_by_ten_mh, fresh, done),
		cmocka_unit_test_setup_teardown(test_mh_picks_alike, fresh, done),
		cmocka_unit_test_setup_teardown(test_batch_with_a_bad_operation, fresh, done),
	};

	if (!enter_lab())
		return SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
