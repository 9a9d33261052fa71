/* plan: what moves with the role of a VIP. */
#include "plan_world.h"

struct state {
	struct world *w;
	struct plan_role r;
};

static void make(struct state *s, const char *name)
{
	plan_role_done(&s->r);
	world_plan(s->w);
	assert_int_equal(plan_role_want(s->w->plan, world_idx(s->w, name), &s->w->facts,
					world_verdict, s->w, &s->r),
			 0);
}

static void state_init(struct state *s)
{
	*s = (struct state){.w = world_new()};
}

static void state_done(struct state *s)
{
	plan_role_done(&s->r);
	world_free(s->w);
}

static void assert_suspect(const struct state *s, size_t idx, const char *source,
			   const char *server)
{
	assert_true(idx < s->r.n_suspects);
	assert_ip(s->r.suspects[idx].source, source);
	assert_ip(s->r.suspects[idx].server, server);
}

static void test_ipv4(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "web", "192.168.44.120");
	v->vip.addresses[v->vip.n_addresses++] = ip("192.168.44.121");
	world_add_port(v, 443)->protocol = API_UDP;
	world_add_vip(s.w, "another", "192.168.44.122");
	make(&s, "web");

	assert_int_equal(s.r.ifindex, IFINDEX_ETH0);
	assert_int_equal(s.r.n_addrs, 2);
	assert_ip(s.r.addrs[0], "192.168.44.120");
	assert_ip(s.r.addrs[1], "192.168.44.121");
	assert_int_equal(s.r.valid_lft_s, world_get(s.w, "web")->valid_lft_s);
	assert_int_equal(s.r.n_redirect, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct plan_elem *e = &s.r.redirect[i];

		assert_int_equal(e->set, PLAN_SET_REDIRECT);
		assert_int_equal(e->family, AF_INET);
		assert_int_equal(e->port, i < 2 ? 22 : 443);
		assert_int_equal(e->protocol, i < 2 ? 6 : 17);
		assert_ip(e->addr, i % 2 == 0 ? "192.168.44.120" : "192.168.44.121");
	}
	assert_int_equal(s.r.n_answer, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(s.r.answer[i].set, PLAN_SET_ANSWER);
		assert_int_equal(s.r.answer[i].family, AF_INET);
		assert_int_equal(s.r.answer[i].ifindex, IFINDEX_ETH0);
	}
	assert_int_equal(s.r.n_services, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(s.r.services[i].n_dests, 3);
	assert_int_equal(s.r.n_suspects, 2);
	assert_suspect(&s, 0, "192.168.44.52", "192.168.44.52");
	assert_suspect(&s, 1, "192.168.44.53", "192.168.44.53");
	state_done(&s);
}

/* Only what this node's own server may serve: healthy, with a weight, and really its own. */
static void test_redirect_needs_a_healthy_local_server(void **state)
{
	static const struct {
		enum health_verdict verdict;
		uint32_t weight;
		bool want;
	} rows[] = {
		{HEALTH_HEALTHY, 1, true},    {HEALTH_HEALTHY, 100, true},
		{HEALTH_HEALTHY, 0, false},   {HEALTH_UNKNOWN, 1, false},
		{HEALTH_UNHEALTHY, 1, false}, {HEALTH_UNHEALTHY, 0, false},
	};
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	world_add_server(v, ip4_of(1), 1);
	world_add_server(v, ip4_of(2), 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		v->servers[0].weight = rows[i].weight;
		s.w->n_verdicts = 0;
		world_judge(s.w, ip4_of(1), 22, rows[i].verdict);
		make(&s, "ssh");
		assert_int_equal(s.r.n_redirect, rows[i].want);
		/* none of it touches who answers */
		assert_int_equal(s.r.n_answer, 1);
	}
	/* not a real server at all */
	s.w->n_verdicts = 0;
	v->servers[0].address = ip4_of(3);
	make(&s, "ssh");
	assert_int_equal(s.r.n_redirect, 0);
	/* its suspects are the members that serve */
	assert_int_equal(s.r.n_suspects, 2);
	state_done(&s);
}

static void test_ipv6(void **state)
{
	struct state s;
	struct world *w;

	(void)state;
	state_init(&s);
	w = s.w;
	world_add_vip(w, "web6", "fd00:44::200");
	make(&s, "web6");
	assert_int_equal(s.r.n_answer, 0); /* no ARP */
	assert_int_equal(s.r.n_redirect, 1);
	assert_int_equal(s.r.redirect[0].family, AF_INET6);
	/* adverts come from link-local addresses: the MAC tells whose they are */
	assert_int_equal(s.r.n_suspects, 2);
	assert_suspect(&s, 0, "fe80::52", "fd00:44::52");
	assert_suspect(&s, 1, "fe80::53", "fd00:44::53");

	/* a second link-local address of one node; and strangers' */
	world_add_neigh(w, IFINDEX_ETH0, ip("fe80::abcd"), mac_of(2));
	world_add_neigh(w, IFINDEX_ETH0, ip("fe80::bad"), mac_of(99));
	world_add_neigh(w, IFINDEX_ETH1, ip("fe80::1:53"), mac_of(3));
	make(&s, "web6");
	assert_int_equal(s.r.n_suspects, 3);
	assert_suspect(&s, 2, "fe80::abcd", "fd00:44::52");

	/* one that has had several cards leaves room for the others */
	for (size_t i = 0; i < w->facts.n_neighs; i++) {
		struct addr a = ip6_of(3);

		if (!addr_eq(&w->neighs[i].addr, &a))
			continue;
		w->neighs[i].addr = ip6_of(2);
		w->neighs[i].mac = mac_of(21);
	}
	world_add_neigh(w, IFINDEX_ETH0, ip6_of(2), mac_of(22));
	world_add_neigh(w, IFINDEX_ETH0, ip6_of(3), mac_of(3));
	make(&s, "web6");
	assert_int_equal(s.r.n_suspects, 3);

	/* not resolved: nobody to suspect */
	w->facts.n_neighs = 0;
	make(&s, "web6");
	assert_int_equal(s.r.n_suspects, 0);
	assert_int_equal(s.r.n_redirect, 1);
	state_done(&s);
}

static void test_suspects_of_listed_servers(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	/* node02 serves at two addresses; node03 does not serve; one server is no node */
	s.w->ips[1][1] = ip("192.168.44.62");
	world_add_server(v, ip4_of(2), 1);
	world_add_server(v, ip("192.168.44.62"), 1);
	world_add_server(v, ip("192.168.44.99"), 1);
	world_add_server(v, ip4_of(1), 1);
	make(&s, "ssh");
	assert_int_equal(s.r.n_suspects, 2);
	assert_suspect(&s, 0, "192.168.44.52", "192.168.44.52");
	assert_suspect(&s, 1, "192.168.44.52", "192.168.44.62");

	/* a member whose address is not known */
	s.w->nodes[1].n_internal_ips = 0;
	make(&s, "ssh");
	assert_int_equal(s.r.n_suspects, 0);
	state_done(&s);
}

static void test_only_serves(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	world_select(v, &s.w->nodes[1], "a");
	world_add_server(v, ip4_of(1), 1);
	make(&s, "ssh");
	assert_int_equal(s.r.n_redirect, 1);
	assert_int_equal(s.r.n_addrs, 1);
	assert_int_equal(s.r.n_services, 0);
	assert_int_equal(s.r.n_suspects, 0);
	state_done(&s);
}

static void test_refused(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "a", "192.168.44.53");
	make(&s, "a");
	assert_int_equal(
		s.r.n_addrs + s.r.n_redirect + s.r.n_answer + s.r.n_services + s.r.n_suspects, 0);
	state_done(&s);
}

static void test_no_ipvs(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "ssh", "192.168.44.120");
	s.w->facts.has_ipvs = false;
	make(&s, "ssh");
	assert_int_equal(s.r.n_addrs, 1);
	assert_int_equal(s.r.n_answer, 1);
	assert_int_equal(s.r.n_redirect + s.r.n_services + s.r.n_suspects, 0);
	state_done(&s);
}

/* Equal roles need no order to switchover; whatever changes, changes the role. */
static void test_equality(void **state)
{
	struct state a, b;
	struct world_vip *v;

	(void)state;
	state_init(&a);
	state_init(&b);
	world_add_vip(a.w, "ssh", "192.168.44.120");
	v = world_add_vip(b.w, "ssh", "192.168.44.120");
	make(&a, "ssh");
	make(&b, "ssh");
	assert_true(plan_role_eq(&a.r, &b.r));

#define DIFFERS(change, undo)                           \
	do {                                            \
		change;                                 \
		make(&b, "ssh");                        \
		assert_false(plan_role_eq(&a.r, &b.r)); \
		assert_false(plan_role_eq(&b.r, &a.r)); \
		undo;                                   \
		make(&b, "ssh");                        \
		assert_true(plan_role_eq(&a.r, &b.r));  \
	} while (0)
	DIFFERS(v->vip.addresses[0] = ip("192.168.44.121"),
		v->vip.addresses[0] = ip("192.168.44.120"));
	DIFFERS(v->vip.addresses[v->vip.n_addresses++] = ip("192.168.44.121"),
		v->vip.n_addresses = 1);
	DIFFERS(v->ports[0].port = 23, v->ports[0].port = 22);
	DIFFERS(v->ports[0].scheduler = API_SCHED_RR, v->ports[0].scheduler = API_SCHED_MH);
	DIFFERS(v->ports[0].persistence_s = 5, v->ports[0].persistence_s = 0);
	DIFFERS(world_add_port(v, 80), v->vip.n_ports = 1);
	DIFFERS(v->vip.advert_period_ns = 20 * NS_PER_S, v->vip.advert_period_ns = NS_PER_S);
	DIFFERS(world_judge(b.w, ip4_of(1), 22, HEALTH_UNHEALTHY), b.w->n_verdicts = 0);
	DIFFERS(world_judge(b.w, ip4_of(2), 22, HEALTH_UNHEALTHY), b.w->n_verdicts = 0);
	DIFFERS(b.w->ips[1][0] = ip("192.168.44.72"), b.w->ips[1][0] = ip4_of(2));
	DIFFERS(b.w->objects.n_nodes = 2, b.w->objects.n_nodes = 3);
	DIFFERS(b.w->links[1].ifindex = 9, b.w->links[1].ifindex = IFINDEX_ETH0);
#undef DIFFERS
	state_done(&a);
	state_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_redirect_needs_a_healthy_local_server),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_suspects_of_listed_servers),
		cmocka_unit_test(test_only_serves),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_ipvs),
		cmocka_unit_test(test_equality),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
