/* t_rtnl: pkg/rtnl against the kernel, in a network namespace of its own. */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "rtnl/rtnl_internal.h"

struct env {
	struct rtnl *r;
	unsigned int d0, d1;
};

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct plan_link *find_link(struct plan_link *links, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(links[i].name, name) == 0)
			return &links[i];
	}
	fail_msg("no link %s", name);
	return NULL;
}

/* d0 with the node's addresses, d1 as its far end, on a fresh handle. */
static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct plan_link *links;
	struct verr err;
	size_t n;

	assert_non_null(e);
	assert_true(netns_new() >= 0);
	run("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && "
	    "ip link set d1 up && ip addr add 10.1.0.5/24 dev d0 && "
	    "ip -6 addr add fd00::5/64 dev d0 nodad");
	assert_int_equal(rtnl_open(&e->r, &err), 0);
	assert_int_equal(rtnl_links(e->r, &links, &n, &err), 0);
	e->d0 = find_link(links, n, "d0")->ifindex;
	e->d1 = find_link(links, n, "d1")->ifindex;
	rtnl_links_free(links, n);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	rtnl_close(e->r);
	free(e);
	return 0;
}

static void links_tell_flags_addresses_and_settings(void **state)
{
	struct env *e = *state;
	struct plan_linkconf conf = {.ifindex = e->d0, .arp_ignore = 1, .arp_announce = 2};
	struct plan_link *links, *l;
	struct verr err;
	size_t n;
	bool saw4 = false, saw6 = false;

	assert_int_equal(rtnl_linkconf_set(e->r, &conf, &err), 0);
	run("ip link set d1 down");
	assert_int_equal(rtnl_links(e->r, &links, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_true(links[0].ifindex < links[1].ifindex && links[1].ifindex < links[2].ifindex);
	l = find_link(links, n, "lo");
	assert_true(l->loopback && l->up && !l->ethernet);
	l = find_link(links, n, "d0");
	assert_true(l->ethernet && !l->loopback);
	assert_false(l->up); /* the far end is down: no carrier */
	assert_int_equal(l->mtu, 1500);
	assert_false(mac_is_zero(&l->mac));
	assert_int_equal(l->arp_ignore, 1);
	assert_int_equal(l->arp_announce, 2);
	assert_true(l->rp_filter >= 0);
	for (size_t i = 0; i < l->n_addrs; i++) {
		struct addr a4 = ip("10.1.0.5"), a6 = ip("fd00::5");

		saw4 = saw4 || (addr_eq(&l->addrs[i].addr, &a4) && l->addrs[i].prefix_len == 24 &&
				!l->addrs[i].finite);
		saw6 = saw6 || (addr_eq(&l->addrs[i].addr, &a6) && l->addrs[i].prefix_len == 64 &&
				!l->addrs[i].tentative);
	}
	assert_true(saw4 && saw6);
	rtnl_links_free(links, n);

	/* One value alone; the other stays. */
	conf = (struct plan_linkconf){.ifindex = e->d0, .arp_ignore = 0, .arp_announce = -1};
	assert_int_equal(rtnl_linkconf_set(e->r, &conf, &err), 0);
	run("echo 1 >/proc/sys/net/ipv4/conf/all/arp_announce");
	assert_int_equal(rtnl_links(e->r, &links, &n, &err), 0);
	l = find_link(links, n, "d0");
	assert_int_equal(l->arp_ignore, 0);
	assert_int_equal(l->arp_announce, 2);
	assert_int_equal(find_link(links, n, "d1")->arp_announce, 1); /* from conf/all */
	rtnl_links_free(links, n);

	conf.ifindex = 4000;
	assert_int_equal(rtnl_linkconf_set(e->r, &conf, &err), -ENODEV);
}

static void settings_of_one_link(void **state)
{
	struct env *e = *state;
	struct plan_link link = {.ifindex = e->d1, .mtu = 17};
	struct verr err;

	run("echo 0 >/proc/sys/net/ipv4/conf/all/arp_announce; "
	    "echo 1 >/proc/sys/net/ipv4/conf/d1/arp_announce; "
	    "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; "
	    "echo 2 >/proc/sys/net/ipv4/conf/d1/rp_filter");
	assert_int_equal(rtnl_link_settings(e->r, &link, &err), 0);
	assert_int_equal(link.arp_ignore, 0);
	assert_int_equal(link.arp_announce, 1);
	assert_int_equal(link.rp_filter, 2);
	assert_int_equal(link.mtu, 17); /* nothing else */
	run("echo 1 >/proc/sys/net/ipv4/conf/d1/arp_ignore; "
	    "echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce");
	assert_int_equal(rtnl_link_settings(e->r, &link, &err), 0);
	assert_int_equal(link.arp_ignore, 1);
	assert_int_equal(link.arp_announce, 2);

	link.ifindex = 4000;
	assert_int_equal(rtnl_link_settings(e->r, &link, &err), -ENODEV);
}

static int count(void *user, const struct rtnl_msg *m)
{
	(void)m;
	++*(size_t *)user;
	return 0;
}

/* The kernel refuses it in the message that ends the dump. */
static void a_dump_that_fails_is_no_empty_one(void **state)
{
	struct env *e = *state;
	const struct {
		unsigned int ifindex;
		int want;
		size_t n;
	} rows[] = {{4000, -ENODEV, 0}, {e->d0, 0, 3}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ifaddrmsg h = {.ifa_family = AF_UNSPEC, .ifa_index = rows[i].ifindex};
		struct nl_msg *msg = rtnl_request(RTM_GETADDR, NLM_F_DUMP, &h, sizeof(h));
		struct verr err = {0};
		size_t n = 0;

		assert_non_null(msg);
		assert_int_equal(rtnl_dump(e->r, msg, count, &n, &err), rows[i].want);
		assert_int_equal(n, rows[i].n);
		assert_int_equal(err.code, -rows[i].want);
		rtnl_msg_free_p(&msg);
	}
}

static void vip_addresses_are_finite_and_quiet(void **state)
{
	struct env *e = *state;
	struct addr a4 = ip("10.1.0.9"), a6 = ip("fd00::9");
	struct plan_ifaddr *addrs;
	struct verr err;
	char out[4096];
	size_t n;

	for (int i = 0; i < 2; i++) { /* the second time renews */
		assert_int_equal(rtnl_addr_set(e->r, e->d0, &a4, 30, &err), 0);
		assert_int_equal(rtnl_addr_set(e->r, e->d0, &a6, 30, &err), 0);
	}
	assert_int_equal(rtnl_addrs(e->r, e->d0, &addrs, &n, &err), 0);
	assert_int_equal(n, 5); /* two of each family and a link-local one */
	for (size_t i = 0; i < n; i++) {
		if (addr_eq(&addrs[i].addr, &a4)) {
			assert_true(addrs[i].finite && addrs[i].prefix_len == 32);
			assert_in_range(addrs[i].valid_s, 20, 30);
		} else if (addr_eq(&addrs[i].addr, &a6)) {
			assert_true(addrs[i].finite && addrs[i].prefix_len == 128);
			assert_true(addrs[i].deprecated && !addrs[i].tentative);
		} else {
			assert_false(addrs[i].finite);
		}
	}
	free(addrs);
	run_out(out, sizeof(out), "ip route show table main; ip -6 route show table main");
	assert_null(strstr(out, "10.1.0.9"));
	assert_null(strstr(out, "fd00::9"));

	for (int i = 0; i < 2; i++) { /* the second time finds nothing, which is fine */
		assert_int_equal(rtnl_addr_del(e->r, e->d0, &a4, &err), 0);
		assert_int_equal(rtnl_addr_del(e->r, e->d0, &a6, &err), 0);
	}
	assert_int_equal(rtnl_addrs(e->r, e->d0, &addrs, &n, &err), 0);
	assert_int_equal(n, 3);
	free(addrs);
	assert_int_equal(rtnl_addr_del(e->r, 4000, &a4, &err), 0);
	assert_int_equal(rtnl_addr_set(e->r, 4000, &a4, 30, &err), -ENODEV);
	assert_non_null(strstr(err.msg, "10.1.0.9"));
	assert_int_equal(rtnl_addrs(e->r, 4000, &addrs, &n, &err), 0);
	assert_int_equal(n, 0);
	free(addrs);
}

/* Ours precedes the address's own route whichever comes first, and stays when the address goes. */
static void local_route_precedes_that_of_the_address(void **state)
{
	struct env *e = *state;
	struct plan_route route = {.addr = ip("10.1.0.9"), .src = ip("10.1.0.5")};
	struct plan_route *routes;
	struct verr err;
	char out[4096];
	size_t n;

	for (int address_first = 0; address_first < 2; address_first++) {
		if (address_first)
			assert_int_equal(rtnl_addr_set(e->r, e->d0, &route.addr, 30, &err), 0);
		assert_int_equal(rtnl_route_add(e->r, &route, &err), 0);
		assert_int_equal(rtnl_route_add(e->r, &route, &err), 0);
		if (!address_first)
			assert_int_equal(rtnl_addr_set(e->r, e->d0, &route.addr, 30, &err), 0);
		run_out(out, sizeof(out), "ip route show table local 10.1.0.9 | head -1");
		assert_non_null(strstr(out, "dev lo proto 76 scope host src 10.1.0.5"));
		run_out(out, sizeof(out), "ip route show table local 10.1.0.9 | wc -l");
		assert_int_equal(atoi(out), 2);
		run_out(out, sizeof(out), "ip route get 10.1.0.9");
		assert_non_null(strstr(out, "src 10.1.0.5"));
		assert_int_equal(rtnl_addr_del(e->r, e->d0, &route.addr, &err), 0);
		assert_int_equal(rtnl_routes(e->r, &routes, &n, &err), 0);
		assert_int_equal(n, 1);
		assert_true(addr_eq(&routes[0].addr, &route.addr));
		assert_true(addr_eq(&routes[0].src, &route.src));
		free(routes);
		assert_int_equal(rtnl_route_del(e->r, &route, &err), 0);
		assert_int_equal(rtnl_route_del(e->r, &route, &err), 0);
	}
}

static void local_route_changes_its_source(void **state)
{
	const struct {
		const char *addr, *src, *src2;
	} t[] = {
		{"10.1.0.9", "10.1.0.5", "10.1.0.6"},
		{"fd00::9", "fd00::5", "fd00::6"},
	};
	struct env *e = *state;
	struct plan_route *routes;
	struct verr err;
	size_t n;

	run("ip addr add 10.1.0.6/24 dev d0 && ip addr add fd00::6/64 dev d0 nodad");
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct plan_route one = {.addr = ip(t[i].addr), .src = ip(t[i].src)};
		struct plan_route two = {.addr = ip(t[i].addr), .src = ip(t[i].src2)};
		struct plan_route any = {.addr = ip(t[i].addr)};

		assert_int_equal(rtnl_route_add(e->r, &one, &err), 0);
		assert_int_equal(rtnl_route_add(e->r, &two, &err), 0);
		assert_int_equal(rtnl_routes(e->r, &routes, &n, &err), 0);
		assert_int_equal(n, 1);
		assert_true(addr_eq(&routes[0].src, &two.src));
		free(routes);
		/* What plan_diff asks for after the replacement: the old one is not there. */
		assert_int_equal(rtnl_route_del(e->r, &one, &err), 0);
		assert_int_equal(rtnl_routes(e->r, &routes, &n, &err), 0);
		assert_int_equal(n, 1);
		free(routes);
		assert_int_equal(rtnl_route_del(e->r, &any, &err), 0);
		assert_int_equal(rtnl_routes(e->r, &routes, &n, &err), 0);
		assert_int_equal(n, 0);
		free(routes);
	}
}

/* The kernel's own route of an IPv6 address comes a moment after the address. */
static bool route6_says(const char *dst, const char *what)
{
	char out[4096];

	for (int i = 0; i < 200; i++) {
		run_out(out, sizeof(out), "ip -6 route get %s", dst);
		if (strstr(out, what))
			return true;
		usleep(10000);
	}
	return false;
}

static void local_route6_survives_the_address(void **state)
{
	struct env *e = *state;
	struct plan_route route = {.addr = ip("fd00::9"), .src = ip("fd00::5")};
	struct verr err;

	assert_int_equal(rtnl_route_add(e->r, &route, &err), 0);
	assert_int_equal(rtnl_addr_set(e->r, e->d0, &route.addr, 30, &err), 0);
	/* The kernel's route of the address has metric 0, which nobody else can have. */
	assert_true(route6_says("fd00::9", "src fd00::9"));
	assert_int_equal(rtnl_addr_del(e->r, e->d0, &route.addr, &err), 0);
	assert_true(route6_says("fd00::9", "src fd00::5"));
	/* A source that this host does not have is refused, with the kernel's words. */
	route.src = ip("fd00::77");
	assert_int_equal(rtnl_route_add(e->r, &route, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "fd00::9"));
}

static void default_links_have_the_lowest_metric(void **state)
{
	struct env *e = *state;
	struct verr err;
	unsigned int v4, v6;

	assert_int_equal(rtnl_default_links(e->r, &v4, &v6, &err), 0);
	assert_int_equal(v4, 0);
	assert_int_equal(v6, 0);
	run("ip addr add 10.2.0.1/24 dev d1 && ip route add default via 10.1.0.1 metric 50 && "
	    "ip route add default via 10.2.0.2 metric 10 && "
	    "ip -6 route add default via fd00::1 dev d0");
	assert_int_equal(rtnl_default_links(e->r, &v4, &v6, &err), 0);
	assert_int_equal(v4, e->d1);
	assert_int_equal(v6, e->d0);
	run("ip route add default metric 5 nexthop via 10.1.0.1 nexthop via 10.2.0.2");
	assert_int_equal(rtnl_default_links(e->r, &v4, &v6, &err), 0);
	assert_int_equal(v4, e->d0);
}

static void neighbours_are_probed_and_listed(void **state)
{
	struct env *e = *state;
	struct addr far = ip("10.1.0.7");
	struct plan_neigh *neighs = NULL;
	struct pollfd p;
	struct verr err;
	bool found = false;
	size_t n = 0;
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there;

	assert_int_equal(rtnl_monitor_open(e->r, &err), 0);
	there = netns_new();
	netns_enter(here);
	run("ip link set d1 netns /proc/%d/fd/%d", getpid(), there);
	netns_enter(there);
	run("ip addr add 10.1.0.7/24 dev d1 && ip link set d1 up");
	netns_enter(here);
	assert_int_equal(rtnl_neigh_probe(e->r, e->d0, &far, &err), 0);
	/* The answer is an event; the limit only ends a test that has failed. */
	p = (struct pollfd){.fd = rtnl_monitor_fd(e->r), .events = POLLIN};
	for (int i = 0; i < 50 && !found && poll(&p, 1, 5000) == 1; i++) {
		int bits = rtnl_monitor_drain(e->r);

		assert_true(bits >= 0);
		if (!(bits & RTNL_CHANGED_NEIGH))
			continue;
		assert_int_equal(rtnl_neighs(e->r, &neighs, &n, &err), 0);
		for (size_t k = 0; k < n; k++)
			found = found ||
				(addr_eq(&neighs[k].addr, &far) && neighs[k].ifindex == e->d0);
		free(neighs);
	}
	assert_true(found);
	(void)close(there);
	(void)close(here);
}

static void monitor_tells_what_others_did(void **state)
{
	struct env *e = *state;
	struct addr vip = ip("10.1.0.9");
	struct plan_route route = {.addr = vip, .src = ip("10.1.0.5")};
	struct rtnl *own, *other;
	struct verr err;

	assert_int_equal(rtnl_open(&own, &err), 0);
	assert_int_equal(rtnl_open(&other, &err), 0);
	assert_int_equal(rtnl_monitor_open(e->r, &err), 0);
	rtnl_monitor_ignore(e->r, own);
	rtnl_monitor_ignore(e->r, NULL);
	assert_int_equal(rtnl_monitor_drain(e->r), 0);

	assert_int_equal(rtnl_addr_set(own, e->d0, &vip, 30, &err), 0);
	assert_int_equal(rtnl_monitor_drain(e->r), RTNL_CHANGED_OWN);
	(void)usleep(30000); /* the kernel's stamps are in hundredths of a second */
	assert_int_equal(rtnl_addr_set(own, e->d0, &vip, 40, &err), 0);
	assert_int_equal(rtnl_route_add(own, &route, &err), 0);
	assert_int_equal(rtnl_monitor_drain(e->r), 0);
	assert_int_equal(rtnl_addr_del(own, e->d0, &vip, &err), 0);
	assert_int_equal(rtnl_monitor_drain(e->r), RTNL_CHANGED_OWN);
	assert_int_equal(rtnl_addr_set(other, e->d0, &vip, 30, &err), 0);
	assert_int_equal(rtnl_monitor_drain(e->r), RTNL_CHANGED_ADDR);
	assert_int_equal(rtnl_route_del(other, &route, &err), 0);
	assert_int_equal(rtnl_monitor_drain(e->r), RTNL_CHANGED_ROUTE);
	assert_int_equal(rtnl_addr_del(other, e->d0, &vip, &err), 0);
	assert_int_equal(rtnl_monitor_drain(e->r), RTNL_CHANGED_ADDR);
	run("ip link set d0 mtu 1400");
	assert_int_equal(rtnl_monitor_drain(e->r) & RTNL_CHANGED_LINK, RTNL_CHANGED_LINK);
	run("ip route add default via 10.1.0.1");
	assert_int_equal(rtnl_monitor_drain(e->r) & RTNL_CHANGED_ROUTE, RTNL_CHANGED_ROUTE);
	rtnl_close(own);
	rtnl_close(other);
}

struct seen {
	unsigned int ifindex;
	bool up;
};

static void on_watch(void *user, unsigned int ifindex, bool up)
{
	struct seen *s = user;

	if (ifindex != s->ifindex)
		return;
	s->up = up;
}

static void drain_watch(int fd, struct seen *s)
{
	uint8_t buf[16384];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		assert_int_equal(rtnl_linkwatch_parse(buf, (size_t)n, on_watch, s), 0);
}

/* The kernel tells of a carrier in its own time. */
static bool watch_tells(int fd, struct seen *s, bool up)
{
	for (int i = 0; i < 500 && s->up != up; i++) { /* 5 s end a test that has failed */
		drain_watch(fd, s);
		if (s->up != up)
			(void)usleep(10000);
	}
	return s->up == up;
}

static void linkwatch_sees_carrier(void **state)
{
	struct env *e = *state;
	struct verr err;
	int fd = rtnl_linkwatch_open(&err);
	struct seen s = {.ifindex = e->d0, .up = true};

	assert_true(fd >= 0);
	run("ip link set d1 down");
	assert_true(watch_tells(fd, &s, false));
	run("ip link set d1 up");
	assert_true(watch_tells(fd, &s, true));
	run("ip link add br0 type bridge && ip link set d0 master br0");
	drain_watch(fd, &s);
	s.up = true;
	run("ip link set d0 nomaster");
	drain_watch(fd, &s);
	assert_true(s.up); /* leaving a bridge is no end of the link */
	run("ip link del d0");
	assert_true(watch_tells(fd, &s, false));
	(void)close(fd);
}

/* The caller's own kind of emergency: nobody may have to clean up after a killed agent. */
static void address_expires_by_itself(void **state)
{
	struct env *e = *state;
	struct addr vip = ip("10.1.0.9");
	struct plan_ifaddr *addrs;
	struct verr err;
	size_t n = 99;

	assert_int_equal(rtnl_addr_set(e->r, e->d0, &vip, 1, &err), 0);
	for (int i = 0; i < 100 && n != 3; i++) { /* 10 s end a test that has failed */
		(void)usleep(100000);
		assert_int_equal(rtnl_addrs(e->r, e->d0, &addrs, &n, &err), 0);
		free(addrs);
	}
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(links_tell_flags_addresses_and_settings),
		T(settings_of_one_link),
		T(a_dump_that_fails_is_no_empty_one),
		T(vip_addresses_are_finite_and_quiet),
		T(local_route_precedes_that_of_the_address),
		T(local_route_changes_its_source),
		T(local_route6_survives_the_address),
		T(default_links_have_the_lowest_metric),
		T(neighbours_are_probed_and_listed),
		T(monitor_tells_what_others_did),
		T(linkwatch_sees_carrier),
		T(address_expires_by_itself),
	};

	if (netns_new() < 0)
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
