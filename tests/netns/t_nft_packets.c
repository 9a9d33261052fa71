/*
 * t_nft_packets: packets through the tables, without IPVS: what is marked, what is translated, who is
 * answered by ARP. Both families.
 *
 *	pod --- p0 | node | d0 --- d1 | other
 *
 * node has the VIP as a local route; `other` is another node and an outside client; both serve port 7000 on
 * their own addresses. pod is reached through a veth whose near end has no IPv4 address.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "nft/nft.h"
#include "rtnl/rtnl.h"

#define MARK 0x76000001u
#define PORT 7000

struct family {
	int af;
	const char *nft, *vip, *node, *other, *other2, *pod;
};
static const struct family families[] = {
	{AF_INET, "ip", "10.1.0.100", "10.1.0.5", "10.1.0.6", "10.1.0.7", "10.244.0.2"},
	{AF_INET6, "ip6", "fd01::100", "fd01::5", "fd01::6", "fd01::7", "fd02::2"},
};

struct env {
	int node, other, pod;
	struct nft *nft;
	struct rtnl *rtnl;
	unsigned int d0;
};

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* A namespace in which link-local addresses are usable at once: neighbours are asked from them. */
static int new_node(void)
{
	int ns = netns_new();

	assert_true(ns >= 0);
	run("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up");
	return ns;
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct verr err;
	bool changed;

	assert_non_null(e);
	e->other = new_node();
	e->pod = new_node();
	e->node = new_node();
	run("ip link add d0 type veth peer name d1 netns /proc/%d/fd/%d && "
	    "ip link add p0 type veth peer name p1 netns /proc/%d/fd/%d",
	    getpid(), e->other, getpid(), e->pod);
	run("ip link set d0 up && ip link set p0 up && ip addr add 10.1.0.5/24 dev d0 && "
	    "ip addr add fd01::5/64 dev d0 nodad && ip route add 10.244.0.2 dev p0 && "
	    "ip -6 route add fd02::2 dev p0 && ip link set p0 address 02:00:00:00:00:01 && "
	    "echo 1 >/proc/sys/net/ipv4/ip_forward && "
	    "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	netns_enter(e->other);
	run("ip link set d1 up && ip addr add 10.1.0.6/24 dev d1 && "
	    "ip addr add 10.1.0.7/24 dev d1 && ip addr add fd01::6/64 dev d1 nodad && "
	    "ip addr add fd01::7/64 dev d1 nodad && ip route add 10.1.0.100 via 10.1.0.5 && "
	    "ip -6 route add fd01::100 via fd01::5");
	netns_enter(e->pod);
	run("ip link set p1 address 02:00:00:00:00:02 && ip link set p1 up && "
	    "ip addr add 10.244.0.2/32 dev p1 && "
	    "ip addr add fd02::2/128 dev p1 nodad && ip route add 169.254.1.1 dev p1 && "
	    "ip route add default via 169.254.1.1 && ip -6 route add default via fe80::1 dev p1 && "
	    "ip neigh add 169.254.1.1 lladdr 02:00:00:00:00:01 dev p1 && "
	    "ip neigh add fe80::1 lladdr 02:00:00:00:00:01 dev p1");
	netns_enter(e->node);
	run("ip neigh add 10.244.0.2 lladdr 02:00:00:00:00:02 dev p0 && "
	    "ip neigh add fd02::2 lladdr 02:00:00:00:00:02 dev p0");
	e->d0 = if_nametoindex("d0");
	assert_int_equal(nft_open(&e->nft, &err), 0);
	assert_int_equal(rtnl_open(&e->rtnl, &err), 0);
	assert_int_equal(nft_ensure(e->nft, MARK, MARK, &changed, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		struct plan_route r = {.addr = ip(families[i].vip), .src = ip(families[i].node)};

		assert_int_equal(rtnl_route_add(e->rtnl, &r, &err), 0);
		/* Hits behind our chain: packets that bear the node's mark. */
		run("nft 'table %s t { chain input { type filter hook input priority 98; "
		    "meta mark 0x76000001 counter comment hit; }; }'",
		    families[i].nft);
	}
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	nft_close(e->nft);
	rtnl_close(e->rtnl);
	(void)close(e->node);
	(void)close(e->other);
	(void)close(e->pod);
	free(e);
	return 0;
}

static void set(struct env *e, const struct family *f, enum plan_set s, const char *value,
		uint8_t slot)
{
	struct plan_elem el = {
		.set = s, .family = (uint8_t)f->af, .addr = ip(f->vip), .slot = slot};
	struct verr err;

	if (s != PLAN_SET_VIPS && s != PLAN_SET_HOME && s != PLAN_MAP_NODE) {
		el.protocol = IPPROTO_UDP;
		el.port = PORT;
	}
	if (s == PLAN_SET_HOME)
		el.ifindex = e->d0;
	if (value)
		el.value = ip(value);
	assert_int_equal(nft_change(e->nft, &el, 1, NULL, 0, &err), 0);
}

/* Service, VIP, home and node: what every role has. */
static void set_service(struct env *e, const struct family *f)
{
	set(e, f, PLAN_SET_SERVICES, NULL, 0);
	set(e, f, PLAN_SET_VIPS, NULL, 0);
	set(e, f, PLAN_SET_HOME, NULL, 0);
	set(e, f, PLAN_MAP_NODE, f->node, 0);
}

static void set_slots(struct env *e, const struct family *f, enum plan_set s, const char *server,
		      const char *server2)
{
	for (uint8_t i = 0; i < PLAN_SLOTS; i++)
		set(e, f, s, i % 2 && server2 ? server2 : server, i);
}

static unsigned int hits(const struct family *f)
{
	char out[4096];
	const char *p;

	run_out(out, sizeof(out), "nft list table %s t", f->nft);
	p = strstr(out, "counter packets ");
	assert_non_null(p);
	return (unsigned int)atoi(p + strlen("counter packets "));
}

/* A UDP socket in the present namespace; bound to `local`, connected to `remote` (either may be NULL). */
static int udp(const char *local, const char *remote)
{
	struct sockaddr_storage ss;
	struct addr a;
	socklen_t len;
	int fd, on = 1;

	a = ip(local ? local : remote);
	fd = socket(a.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof(on)), 0);
	if (local) {
		len = addr_to_sockaddr(&a, remote ? 0 : PORT, 0, &ss);
		assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	}
	if (remote) {
		a = ip(remote);
		len = addr_to_sockaddr(&a, PORT, 0, &ss);
		assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	}
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 2000) == 1; /* the limit only ends a test that has failed */
}

/*
 * Sends from `client` (connected to the VIP); the server `fd` must get it from `want_src`, and its answer must
 * reach the client, which takes answers from the VIP alone.
 */
static void exchange(int client, int fd, const char *want_src)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char buf[16], text[ADDR_TEXT_MAX];
	struct addr src;
	uint16_t port;

	assert_int_equal(send(client, "ask", 3, 0), 3);
	assert_true(readable(fd));
	assert_int_equal(recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &len), 3);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, &src, &port), 0);
	assert_string_equal(addr_text(&src, text), want_src);
	assert_int_equal(sendto(fd, "answer", 6, 0, (struct sockaddr *)&ss, len), 6);
	if (!readable(client))
		fail_msg("no answer from %s", addr_text(&src, text));
	assert_int_equal(recv(client, buf, sizeof(buf), 0), 6);
}

static int udp_in(struct env *e, int ns, const char *local, const char *remote)
{
	int fd;

	netns_enter(ns);
	fd = udp(local, remote);
	netns_enter(e->node);
	return fd;
}

static void the_redirect_set_marks(void **state)
{
	struct env *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int server = udp(f->vip, NULL), client = udp_in(e, e->other, f->other, f->vip);

		set_service(e, f);
		exchange(client, server, f->other);
		assert_int_equal(hits(f), 0);
		set(e, f, PLAN_SET_REDIRECT, NULL, 0);
		exchange(client, server, f->other);
		assert_int_equal(hits(f), 1);
		(void)close(client);
		(void)close(server);
	}
}

static void what_a_peer_forwards_is_marked(void **state)
{
	struct env *e = *state;
	char mac[64];

	netns_enter(e->other);
	run_out(mac, sizeof(mac),
		"cat /proc/net/dev >/dev/null; ip link show d1 | "
		"sed -n 's/.*ether \\([0-9a-f:]*\\).*/\\1/p' | tr -d '\\n'");
	netns_enter(e->node);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int server = udp(f->vip, NULL), client = udp_in(e, e->other, f->other, f->vip);
		struct plan_elem peer = {.set = PLAN_SET_PEERS, .family = (uint8_t)f->af};
		struct verr err;

		assert_int_equal(mac_parse(mac, &peer.mac), 0);
		set_service(e, f);
		assert_int_equal(nft_change(e->nft, &peer, 1, NULL, 0, &err), 0);
		exchange(client, server, f->other);
		assert_int_equal(hits(f), 1);
		assert_int_equal(nft_change(e->nft, NULL, 0, &peer, 1, &err), 0);
		exchange(client, server, f->other);
		assert_int_equal(hits(f), 1);
		(void)close(client);
		(void)close(server);
	}
}

static void this_node_is_translated(void **state)
{
	struct env *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int far = udp_in(e, e->other, f->other, NULL), near = udp(f->node, NULL);
		int client = udp(NULL, f->vip), from_vip;
		struct addr vip = ip(f->vip);
		struct verr err;

		set_service(e, f);
		set_slots(e, f, PLAN_MAP_SLOTS, f->other, NULL);
		exchange(client, far, f->node);
		(void)close(client);
		/* Active: the VIP is an address here, and a source too. */
		assert_int_equal(rtnl_addr_set(e->rtnl, e->d0, &vip, 60, &err), 0);
		client = udp(NULL, f->vip);
		exchange(client, far, f->node);
		(void)close(client);
		from_vip = udp(f->vip, f->vip);
		exchange(from_vip, far, f->node);
		(void)close(from_vip);
		/* Its own server, from either source. */
		set_slots(e, f, PLAN_MAP_SLOTS, f->node, NULL);
		from_vip = udp(f->vip, f->vip);
		exchange(from_vip, near, f->node);
		(void)close(from_vip);
		client = udp(f->node, f->vip);
		exchange(client, near, f->node);
		(void)close(client);
		(void)close(near);
		(void)close(far);
	}
}

static void pods_are_translated(void **state)
{
	struct env *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int far = udp_in(e, e->other, f->other, NULL), near = udp(f->node, NULL);
		int client = udp_in(e, e->pod, NULL, f->vip);

		set_service(e, f);
		set_slots(e, f, PLAN_MAP_SLOTS, f->other, NULL);
		exchange(client, far, f->node);
		(void)close(client);
		set_slots(e, f, PLAN_MAP_SLOTS, f->node, NULL);
		client = udp_in(e, e->pod, NULL, f->vip);
		exchange(client, near,
			 f->pod); /* on the node itself the pod is known by its own address */
		(void)close(client);
		(void)close(near);
		(void)close(far);
	}
	/* The veth's near end with an address makes no difference. */
	run("ip addr add 10.244.0.1/24 dev p0");
	for (int i = 0; i < 2; i++) {
		const struct family *f = &families[0];
		const char *server = i ? f->node : f->other;
		int fd = udp_in(e, i ? e->node : e->other, server, NULL);
		int client = udp_in(e, e->pod, NULL, f->vip);

		set_slots(e, f, PLAN_MAP_SLOTS, server, NULL);
		exchange(client, fd, i ? f->pod : f->node);
		(void)close(client);
		(void)close(fd);
	}
}

/* A frame on the VIP's own interface is IPVS's, even if it comes from nobody known. */
static void outside_is_left_alone_but_for_solo(void **state)
{
	struct env *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int at_vip = udp(f->vip, NULL), near = udp(f->node, NULL);
		int client = udp_in(e, e->other, f->other, f->vip);

		set_service(e, f);
		set_slots(e, f, PLAN_MAP_SLOTS, f->node, NULL);
		exchange(client, at_vip, f->other);
		(void)close(client);
		set(e, f, PLAN_MAP_SOLO, f->node, 0);
		client = udp_in(e, e->other, f->other2, f->vip);
		exchange(client, near, f->other2);
		(void)close(client);
		(void)close(near);
		(void)close(at_vip);
	}
}

/* From a port of its own: conntrack remembers the server of a port that comes again. */
static int udp_from(const struct family *f, uint16_t port)
{
	struct sockaddr_storage ss;
	struct addr a = ip(f->node);
	socklen_t len = addr_to_sockaddr(&a, port, 0, &ss);
	int fd = socket(f->af, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	a = ip(f->vip);
	len = addr_to_sockaddr(&a, PORT, 0, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static void slots_spread_and_persistence_keeps(void **state)
{
	struct env *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int one = udp_in(e, e->other, f->other, NULL);
		int two = udp_in(e, e->other, f->other2, NULL);
		char buf[16];
		int n[2] = {0};

		set_service(e, f);
		set_slots(e, f, PLAN_MAP_SLOTS, f->other, f->other2);
		for (int sticky = 0; sticky < 2; sticky++) {
			n[0] = n[1] = 0;
			if (sticky)
				set_slots(e, f, PLAN_MAP_STICKY, f->other, f->other2);
			for (int k = 0; k < 60; k++) {
				int client = udp_from(f, (uint16_t)(20000 + 100 * sticky + k));
				struct pollfd p[2] = {{.fd = one, .events = POLLIN},
						      {.fd = two, .events = POLLIN}};

				assert_int_equal(send(client, "ask", 3, 0), 3);
				assert_true(poll(p, 2, 2000) == 1);
				n[p[0].revents ? 0 : 1]++;
				assert_int_equal(recv(p[0].revents ? one : two, buf, 16, 0), 3);
				(void)close(client);
			}
			if (sticky) /* 60 of 60 for one, as the source is one */
				assert_true(n[0] == 0 || n[1] == 0);
			else /* missing one of two 60 times: once in 10^18 */
				assert_true(n[0] > 0 && n[1] > 0);
		}
		(void)close(one);
		(void)close(two);
	}
}

static unsigned int arp_counter(const char *comment)
{
	char out[512];

	run_out(out, sizeof(out),
		"nft list chain arp vipd input | sed -n 's/.*packets \\([0-9]*\\).*%s.*/\\1/p'",
		comment);
	return (unsigned int)atoi(out);
}

static void only_the_active_interface_answers_arp(void **state)
{
	struct env *e = *state;
	struct addr vip = ip("10.1.0.100");
	struct plan_elem answer = {
		.set = PLAN_SET_ANSWER, .family = AF_INET, .addr = vip, .ifindex = e->d0};
	struct plan_elem v = {.set = PLAN_SET_VIPS, .family = AF_INET, .addr = vip};
	struct verr err;
	char out[256];

	assert_int_equal(rtnl_addr_set(e->rtnl, e->d0, &vip, 60, &err), 0);
	assert_int_equal(nft_change(e->nft, &v, 1, NULL, 0, &err), 0);
	netns_enter(e->other);
	run("ip route del 10.1.0.100"); /* on the link from now on */
	run("ip neigh add 10.1.0.100 dev d1 nud none; ip neigh change 10.1.0.100 dev d1 use "
	    "2>/dev/null; ip neigh replace 10.1.0.100 dev d1 use");
	netns_enter(e->node);
	for (int i = 0; i < 50 && arp_counter("no answer") == 0; i++)
		(void)usleep(100000);
	assert_true(arp_counter("no answer") > 0);
	assert_int_equal(arp_counter("answered"), 0);
	netns_enter(e->other);
	run_out(out, sizeof(out), "ip neigh show 10.1.0.100");
	assert_null(strstr(out, "lladdr"));
	netns_enter(e->node);

	assert_int_equal(nft_change(e->nft, &answer, 1, NULL, 0, &err), 0);
	netns_enter(e->other);
	run("ip neigh flush dev d1 2>/dev/null; ip neigh replace 10.1.0.100 dev d1 use");
	for (int i = 0; i < 50; i++) {
		run_out(out, sizeof(out), "ip neigh show 10.1.0.100");
		if (strstr(out, "lladdr"))
			break;
		(void)usleep(100000);
	}
	assert_non_null(strstr(out, "lladdr"));
	netns_enter(e->node);
	assert_true(arp_counter("answered") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(the_redirect_set_marks),
		T(what_a_peer_forwards_is_marked),
		T(this_node_is_translated),
		T(pods_are_translated),
		T(outside_is_left_alone_but_for_solo),
		T(slots_spread_and_persistence_keeps),
		T(only_the_active_interface_answers_arp),
	};

	if (netns_new() < 0)
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
