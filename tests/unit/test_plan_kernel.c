/* plan: the kernel state that holds whatever the roles are, for every health of the real servers. */
#include "plan_world.h"

struct state {
	struct world *w;
	struct plan_kernel k;
};

static void make(struct state *s)
{
	plan_kernel_done(&s->k);
	world_plan(s->w);
	assert_int_equal(plan_kernel_want(s->w->plan, &s->w->facts, world_verdict, s->w, &s->k), 0);
}

static void state_init(struct state *s)
{
	*s = (struct state){.w = world_new()};
}

static void state_done(struct state *s)
{
	plan_kernel_done(&s->k);
	world_free(s->w);
}

static const struct plan_service *service(const struct state *s, const char *address, uint16_t port)
{
	struct addr a = ip(address);

	for (size_t i = 0; i < s->k.n_services; i++) {
		if (s->k.services[i].fwmark == 0 && addr_eq(&s->k.services[i].addr, &a) &&
		    s->k.services[i].port == port)
			return &s->k.services[i];
	}
	return NULL;
}

static const struct plan_service *mark_service(const struct state *s, uint32_t mark)
{
	for (size_t i = 0; i < s->k.n_services; i++) {
		if (s->k.services[i].fwmark == mark)
			return &s->k.services[i];
	}
	return NULL;
}

static size_t count(const struct state *s, enum plan_set set, uint8_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < s->k.n_elems; i++)
		n += s->k.elems[i].set == set && s->k.elems[i].family == family;
	return n;
}

static const struct plan_elem *elem(const struct state *s, enum plan_set set, size_t idx)
{
	for (size_t i = 0; i < s->k.n_elems; i++) {
		if (s->k.elems[i].set == set && idx-- == 0)
			return &s->k.elems[i];
	}
	fail_msg("no such element");
	return NULL;
}

/* How many slots of the port's map go to a server. */
static size_t slots_to(const struct state *s, enum plan_set map, uint16_t port, struct addr server)
{
	size_t n = 0;

	for (size_t i = 0; i < s->k.n_elems; i++)
		n += s->k.elems[i].set == map && s->k.elems[i].port == port &&
		     addr_eq(&s->k.elems[i].value, &server);
	return n;
}

static void test_one_vip(void **state)
{
	struct state s;
	const struct plan_service *svc;
	const struct plan_elem *e;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "ssh", "192.168.44.120");
	make(&s);

	assert_int_equal(s.k.n_services, 2);
	svc = service(&s, "192.168.44.120", 22);
	assert_non_null(svc);
	assert_int_equal(svc->family, AF_INET);
	assert_int_equal(svc->protocol, 6);
	assert_string_equal(svc->scheduler, "mh");
	assert_int_equal(svc->flags, PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2);
	assert_int_equal(svc->timeout_s, 0);
	assert_int_equal(svc->n_dests, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(addr_eq(&svc->dests[i].addr, &s.w->ips[i][0]));
		assert_int_equal(svc->dests[i].port, 22);
		assert_int_equal(svc->dests[i].weight, 1);
		assert_int_equal(svc->dests[i].forward, i == 0 ? PLAN_MASQ : PLAN_DROUTE);
	}

	/* 192.168.44.51 -> 0x76 a8 2c 33 */
	assert_int_equal(s.k.mark4, 0x76a82c33);
	assert_int_equal(s.k.mark6, 0);
	svc = mark_service(&s, s.k.mark4);
	assert_non_null(svc);
	assert_int_equal(svc->family, AF_INET);
	assert_string_equal(svc->scheduler, "rr");
	assert_int_equal(svc->n_dests, 1);
	assert_ip(svc->dests[0].addr, "192.168.44.51");
	assert_int_equal(svc->dests[0].port, 0);
	assert_int_equal(svc->dests[0].forward, PLAN_MASQ);
	assert_int_equal(svc->dests[0].weight, 1);

	assert_int_equal(s.k.n_routes, 1);
	assert_ip(s.k.routes[0].addr, "192.168.44.120");
	assert_ip(s.k.routes[0].src, "192.168.44.51");
	assert_int_equal(s.k.n_links, 1);
	assert_int_equal(s.k.links[0].ifindex, IFINDEX_ETH0);
	assert_int_equal(s.k.links[0].arp_ignore, 1);
	assert_int_equal(s.k.links[0].arp_announce, 2);
	assert_int_equal(s.k.master.sync_id, 7);
	assert_string_equal(s.k.master.ifname, "eth0");
	assert_int_equal(s.k.backup.sync_id, 7);
	assert_string_equal(s.k.backup.ifname, "eth0");
	assert_int_equal(s.k.tcp_timeout_s, 86400);

	assert_int_equal(count(&s, PLAN_SET_SERVICES, AF_INET), 1);
	e = elem(&s, PLAN_SET_SERVICES, 0);
	assert_ip(e->addr, "192.168.44.120");
	assert_int_equal(e->port, 22);
	assert_int_equal(e->protocol, 6);
	assert_int_equal(count(&s, PLAN_SET_VIPS, AF_INET), 1);
	assert_int_equal(count(&s, PLAN_SET_HOME, AF_INET), 1);
	assert_int_equal(elem(&s, PLAN_SET_HOME, 0)->ifindex, IFINDEX_ETH0);
	assert_int_equal(count(&s, PLAN_MAP_NODE, AF_INET), 1);
	assert_ip(elem(&s, PLAN_MAP_NODE, 0)->value, "192.168.44.51");
	assert_int_equal(count(&s, PLAN_MAP_SLOTS, AF_INET), PLAN_SLOTS);
	assert_int_equal(count(&s, PLAN_MAP_STICKY, AF_INET), 0);
	assert_int_equal(count(&s, PLAN_MAP_SOLO, AF_INET), 0);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 2);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET6), 0);
	/* the role's sets are not of this state */
	assert_int_equal(count(&s, PLAN_SET_REDIRECT, AF_INET), 0);
	assert_int_equal(count(&s, PLAN_SET_ANSWER, AF_INET), 0);
	for (size_t i = 1; i < s.k.n_elems; i++)
		assert_true(plan_elem_cmp(&s.k.elems[i - 1], &s.k.elems[i]) < 0);
	state_done(&s);
}

static void test_no_vip(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	make(&s);
	assert_int_equal(s.k.n_services + s.k.n_elems + s.k.n_routes + s.k.n_links, 0);
	assert_int_equal(s.k.mark4 | s.k.mark6, 0);
	assert_int_equal(s.k.master.sync_id + s.k.backup.sync_id, 0);
	assert_int_equal(s.k.tcp_timeout_s, 0);
	state_done(&s);
}

static void test_ipv6(void **state)
{
	struct state s;
	const struct plan_service *svc;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "web6", "fd00:44::200");
	make(&s);
	assert_int_equal(s.k.mark4, 0);
	assert_int_equal(s.k.mark6 >> 24, 0x76);
	svc = mark_service(&s, s.k.mark6);
	assert_int_equal(svc->family, AF_INET6);
	assert_ip(svc->dests[0].addr, "fd00:44::51");
	assert_non_null(service(&s, "fd00:44::200", 22));
	/* no ARP in IPv6 */
	assert_int_equal(s.k.n_links, 0);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET6), 2);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 0);
	assert_int_equal(count(&s, PLAN_SET_VIPS, AF_INET6), 1);
	assert_ip(s.k.routes[0].src, "fd00:44::51");

	/* both families: each machine's MAC once in each table, though two addresses told it */
	world_add_vip(s.w, "ssh", "192.168.44.120");
	make(&s);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET6), 2);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 2);
	assert_int_equal(s.k.n_services, 4);
	assert_int_equal(s.k.n_links, 1);
	state_done(&s);
}

/* Every health of three servers: weight 0 is kept in the service, slots go to the healthy ones only. */
static void test_every_health(void **state)
{
	static const enum health_verdict verdicts[] = {HEALTH_UNKNOWN, HEALTH_HEALTHY,
						       HEALTH_UNHEALTHY};
	struct state s;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "ssh", "192.168.44.120");
	for (size_t combo = 0; combo < 27; combo++) {
		size_t idx[3] = {combo % 3, combo / 3 % 3, combo / 9}, n_healthy = 0;
		const struct plan_service *svc;

		s.w->n_verdicts = 0;
		for (unsigned int i = 0; i < 3; i++) {
			world_judge(s.w, ip4_of(i + 1), 22, verdicts[idx[i]]);
			n_healthy += verdicts[idx[i]] == HEALTH_HEALTHY;
		}
		make(&s);
		svc = service(&s, "192.168.44.120", 22);
		assert_int_equal(svc->n_dests, 3);
		assert_int_equal(count(&s, PLAN_MAP_SLOTS, AF_INET),
				 n_healthy > 0 ? PLAN_SLOTS : 0);
		for (unsigned int i = 0; i < 3; i++) {
			bool healthy = verdicts[idx[i]] == HEALTH_HEALTHY;

			assert_int_equal(svc->dests[i].weight, healthy);
			assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(i + 1)),
					 healthy ? PLAN_SLOTS / n_healthy : 0);
		}
		/* what does not depend on health */
		assert_int_equal(s.k.n_routes, 1);
		assert_int_equal(count(&s, PLAN_SET_SERVICES, AF_INET), 1);
	}
	state_done(&s);
}

static void test_ports_have_their_own_health(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "web", "192.168.44.120");
	v->vip.addresses[v->vip.n_addresses++] = ip("192.168.44.121");
	world_add_port(v, 443)->protocol = API_UDP;
	world_judge(s.w, ip4_of(2), 443, HEALTH_UNHEALTHY);
	make(&s);
	assert_int_equal(s.k.n_services, 5);
	assert_int_equal(service(&s, "192.168.44.120", 22)->dests[1].weight, 1);
	assert_int_equal(service(&s, "192.168.44.120", 443)->dests[1].weight, 0);
	assert_int_equal(service(&s, "192.168.44.121", 443)->dests[1].weight, 0);
	assert_int_equal(service(&s, "192.168.44.121", 443)->protocol, 17);
	assert_int_equal(count(&s, PLAN_SET_SERVICES, AF_INET), 4);
	assert_int_equal(s.k.n_routes, 2);
	assert_int_equal(s.k.n_links, 1);
	state_done(&s);
}

static void test_schedulers(void **state)
{
	static const struct {
		enum api_scheduler scheduler;
		const char *name;
		uint32_t flags;
		size_t n_dests; /* with one of three unhealthy */
	} rows[] = {
		{API_SCHED_MH, "mh", PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2, 3},
		{API_SCHED_RR, "rr", 0, 3},
		{API_SCHED_WRR, "wrr", 0, 3},
		{API_SCHED_LC, "lc", 0, 3},
		{API_SCHED_WLC, "wlc", 0, 3},
		{API_SCHED_SH, "sh", PLAN_IPVS_SCHED1, 3},
		{API_SCHED_DH, "dh", 0, 2},
		{API_SCHED_SED, "sed", 0, 3},
		{API_SCHED_NQ, "nq", 0, 3},
		{API_SCHED_LBLC, "lblc", 0, 3},
		{API_SCHED_LBLCR, "lblcr", 0, 3},
		{API_SCHED_FO, "fo", 0, 3},
		{API_SCHED_OVF, "ovf", 0, 3},
	};
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	world_judge(s.w, ip4_of(2), 22, HEALTH_UNHEALTHY);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct plan_service *svc;

		v->ports[0].scheduler = rows[i].scheduler;
		v->ports[0].persistence_s = 0;
		make(&s);
		svc = service(&s, "192.168.44.120", 22);
		assert_string_equal(svc->scheduler, rows[i].name);
		assert_int_equal(svc->flags, rows[i].flags);
		assert_int_equal(svc->n_dests, rows[i].n_dests);

		v->ports[0].persistence_s = 300;
		make(&s);
		svc = service(&s, "192.168.44.120", 22);
		assert_int_equal(svc->flags, rows[i].flags | PLAN_IPVS_PERSISTENT);
		assert_int_equal(svc->timeout_s, 300);
		assert_int_equal(svc->n_dests, 2); /* weight 0 would keep its persisting clients */
		assert_int_equal(count(&s, PLAN_MAP_STICKY, AF_INET), PLAN_SLOTS);
		assert_int_equal(count(&s, PLAN_MAP_SLOTS, AF_INET), 0);
	}
	state_done(&s);
}

/* A weight of 0 by configuration drains: persisting clients stay where they are. */
static void test_drained_server(void **state)
{
	struct state s;
	struct world_vip *v;
	const struct plan_service *svc;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	v->ports[0].persistence_s = 300;
	world_add_server(v, ip4_of(1), 0);
	world_add_server(v, ip4_of(2), 5);
	make(&s);
	svc = service(&s, "192.168.44.120", 22);
	assert_int_equal(svc->n_dests, 2);
	assert_int_equal(svc->dests[0].weight, 0);
	assert_int_equal(svc->dests[1].weight, 5);
	assert_int_equal(slots_to(&s, PLAN_MAP_STICKY, 22, ip4_of(2)), PLAN_SLOTS);

	v->ports[0].scheduler = API_SCHED_DH;
	make(&s);
	assert_int_equal(service(&s, "192.168.44.120", 22)->n_dests, 1);
	state_done(&s);
}

static void test_prefer_same_node(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	v->ports[0].prefer_same_node = true;
	make(&s);
	assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(1)), PLAN_SLOTS);
	/* clients from outside are not this node's: the service stays even */
	assert_int_equal(service(&s, "192.168.44.120", 22)->dests[1].weight, 1);

	world_judge(s.w, ip4_of(1), 22, HEALTH_UNHEALTHY);
	make(&s);
	assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(1)), 0);
	assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(2)), 6);
	assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(3)), 6);
	state_done(&s);
}

static void test_slots_follow_weights(void **state)
{
	static const struct {
		uint32_t weights[4];
		size_t slots[4];
	} rows[] = {
		{{1, 1, 1, 1}, {3, 3, 3, 3}},
		{{3, 1, 0, 0}, {9, 3, 0, 0}},
		{{100, 1, 1, 0}, {12, 0, 0, 0}},
		{{5, 1, 1, 1}, {7, 0, 0, 0}}, /* 7.5, 1.5, 1.5, 1.5: ties, see below */
		{{65535, 65535, 0, 0}, {6, 6, 0, 0}},
		{{7, 5, 0, 0}, {7, 5, 0, 0}},
		{{2, 3, 0, 0}, {5, 7, 0, 0}}, /* 4.8, 7.2 */
	};
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t total = 0;

		v->vip.n_real_servers = 0;
		for (unsigned int j = 0; j < 4; j++)
			world_add_server(v, ip4_of(j + 1), rows[i].weights[j]);
		make(&s);
		for (unsigned int j = 0; j < 4; j++) {
			size_t n = slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(j + 1));

			total += n;
			if (i != 3)
				assert_int_equal(n, rows[i].slots[j]);
			else
				assert_in_range(n, j == 0 ? 7 : 1, j == 0 ? 8 : 2);
		}
		assert_int_equal(total, PLAN_SLOTS);
		assert_int_equal(service(&s, "192.168.44.120", 22)->dests[1].weight,
				 rows[i].weights[1]);
	}
	state_done(&s);
}

/* A server that goes takes few of the others' slots along. */
static void test_slots_move_little(void **state)
{
	struct state s;
	struct addr before[PLAN_SLOTS];
	size_t n_moved = 0;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "ssh", "192.168.44.120")->ports[0].persistence_s = 60;
	make(&s);
	for (size_t i = 0; i < PLAN_SLOTS; i++) {
		assert_int_equal(elem(&s, PLAN_MAP_STICKY, i)->slot, i);
		before[i] = elem(&s, PLAN_MAP_STICKY, i)->value;
	}
	/* the same again */
	make(&s);
	for (size_t i = 0; i < PLAN_SLOTS; i++)
		assert_true(addr_eq(&before[i], &elem(&s, PLAN_MAP_STICKY, i)->value));
	world_judge(s.w, ip4_of(2), 22, HEALTH_UNHEALTHY);
	make(&s);
	for (size_t i = 0; i < PLAN_SLOTS; i++) {
		struct addr gone = ip4_of(2);

		if (!addr_eq(&before[i], &gone))
			n_moved += !addr_eq(&before[i], &elem(&s, PLAN_MAP_STICKY, i)->value);
	}
	assert_in_range(n_moved, 0, 2);
	state_done(&s);
}

static void test_more_servers_than_slots(void **state)
{
	struct state s;
	struct world_vip *v;
	size_t n_used = 0;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	for (unsigned int i = 0; i < WORLD_SERVERS; i++)
		world_add_server(v, ip4_of(i + 1), 1);
	make(&s);
	for (unsigned int i = 0; i < WORLD_SERVERS; i++) {
		size_t n = slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(i + 1));

		assert_in_range(n, 0, 1);
		n_used += n;
	}
	assert_int_equal(n_used, PLAN_SLOTS);
	assert_int_equal(service(&s, "192.168.44.120", 22)->n_dests, WORLD_SERVERS);
	state_done(&s);
}

static void test_no_ipvs(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	s.w->facts.has_ipvs = false;
	make(&s);
	assert_int_equal(s.k.n_services, 0);
	assert_int_equal(s.k.master.sync_id + s.k.backup.sync_id, 0);
	assert_int_equal(s.k.tcp_timeout_s, 0);
	/* the tables are there all the same */
	assert_int_not_equal(s.k.mark4, 0);
	assert_int_equal(count(&s, PLAN_MAP_SOLO, AF_INET), 1);
	assert_ip(elem(&s, PLAN_MAP_SOLO, 0)->value, "192.168.44.51");
	assert_int_equal(elem(&s, PLAN_MAP_SOLO, 0)->port, 22);
	assert_int_equal(count(&s, PLAN_MAP_SLOTS, AF_INET), PLAN_SLOTS);
	assert_int_equal(s.k.n_routes, 1);

	/* nothing to serve with: refuse */
	world_judge(s.w, ip4_of(1), 22, HEALTH_UNHEALTHY);
	make(&s);
	assert_int_equal(count(&s, PLAN_MAP_SOLO, AF_INET), 0);
	s.w->n_verdicts = 0;
	world_add_server(v, ip4_of(2), 1);
	make(&s);
	assert_int_equal(count(&s, PLAN_MAP_SOLO, AF_INET), 0);
	state_done(&s);
}

static void test_synchronisation_off(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "ssh", "192.168.44.120");
	s.w->facts.sync_id = 0;
	make(&s);
	assert_int_equal(s.k.master.sync_id + s.k.backup.sync_id, 0);
	assert_string_equal(s.k.master.ifname, "");
	assert_int_equal(s.k.n_services, 2);
	state_done(&s);
}

/* The real-server half: route, rules and the firewall-mark service, but no director's service. */
static void test_only_serves(void **state)
{
	struct state s;
	struct world_vip *v;

	(void)state;
	state_init(&s);
	v = world_add_vip(s.w, "ssh", "192.168.44.120");
	world_select(v, &s.w->nodes[1], "a");
	world_add_server(v, ip4_of(1), 1);
	world_add_server(v, ip4_of(3), 1);
	make(&s);
	assert_int_equal(s.k.n_services, 1);
	assert_non_null(mark_service(&s, s.k.mark4));
	assert_int_equal(s.k.n_routes, 1);
	assert_int_equal(s.k.n_links, 1);
	assert_int_equal(count(&s, PLAN_SET_SERVICES, AF_INET), 1);
	assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(1)), 6);
	assert_int_equal(slots_to(&s, PLAN_MAP_SLOTS, 22, ip4_of(3)), 6);
	/* the director and the other server are peers */
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 2);
	state_done(&s);
}

static void test_refused_leaves_nothing(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	world_add_vip(s.w, "a", "192.168.44.53");
	make(&s);
	assert_int_equal(s.w->plan->vips[0].refused, PLAN_NODE_OWN_ADDRESS);
	assert_int_equal(s.k.n_services + s.k.n_elems + s.k.n_routes + s.k.n_links, 0);

	/* one bad object stops nothing else */
	world_add_vip(s.w, "b", "192.168.44.121");
	make(&s);
	assert_int_equal(s.k.n_services, 2);
	assert_int_equal(s.k.n_routes, 1);

	/* a fault takes nothing away */
	s.w->links[1].up = false;
	make(&s);
	assert_int_equal(s.k.n_services, 2);
	assert_int_equal(s.k.n_routes, 1);
	state_done(&s);
}

static void test_peers(void **state)
{
	struct state s;
	struct world_vip *v;
	struct world *w;

	(void)state;
	state_init(&s);
	w = s.w;
	v = world_add_vip(w, "ssh", "192.168.44.120");
	/* strangers, other interfaces, ourselves, and entries without a MAC are none */
	world_add_neigh(w, IFINDEX_ETH0, ip("192.168.44.1"), mac_of(99));
	world_add_link(w, IFINDEX_ETH1, "eth1");
	w->links[2].mac = mac_of(88);
	world_add_neigh(w, IFINDEX_ETH1, ip4_of(2), mac_of(77));
	world_add_neigh(w, IFINDEX_ETH0, ip4_of(3), mac_of(88));
	world_add_neigh(w, IFINDEX_ETH0, ip4_of(3), (struct mac){{0}});
	world_add_neigh(w, IFINDEX_ETH0, ip4_of(1), mac_of(66));
	make(&s);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 2);
	for (unsigned int i = 0; i < 2; i++) {
		struct mac want = mac_of(i + 2);

		assert_true(mac_eq(&elem(&s, PLAN_SET_PEERS, i)->mac, &want));
	}

	/* a real server that is no node is none: it gets its packets as they come */
	world_add_server(v, ip("192.168.44.1"), 1);
	make(&s);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 2);
	/* a node with two machines' worth of addresses: both */
	w->ips[1][1] = ip("192.168.44.62");
	world_add_neigh(w, IFINDEX_ETH0, ip("192.168.44.62"), mac_of(55));
	world_add_server(v, ip("192.168.44.62"), 1);
	make(&s);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 3);
	/* who sends adverts is one, on the interface that they come from */
	struct plan_host heard[] = {{IFINDEX_ETH0, ip("192.168.44.1")},
				    {IFINDEX_ETH1, ip("192.168.44.1")}};

	w->facts.heard = &heard[1];
	w->facts.n_heard = 1;
	make(&s);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 3);
	w->facts.heard = heard;
	make(&s);
	assert_int_equal(count(&s, PLAN_SET_PEERS, AF_INET), 4);
	state_done(&s);
}

static void test_targets(void **state)
{
	static char path[] = "/healthz", name[] = "X-Probe", value1[] = "1", value2[] = "2";
	static struct api_http_header h1[] = {{name, value1}}, h2[] = {{name, value2}};
	struct state s;
	struct world_vip *a, *b;
	struct plan_target *t;
	size_t n;

	(void)state;
	state_init(&s);
	a = world_add_vip(s.w, "a", "192.168.44.120");
	b = world_add_vip(s.w, "b", "192.168.44.121");
	world_plan(s.w);
	assert_int_equal(plan_targets(s.w->plan, &t, &n), 0);
	assert_int_equal(n, 3); /* equal checks of two VIPs come once */
	for (unsigned int i = 0; i < 3; i++)
		assert_true(addr_eq(&t[i].address, &s.w->ips[i][0]));
	free(t);

	/* whatever differs makes a target of its own */
	struct api_health_check base = a->ports[0].check, other[10];

	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		other[i] = base;
	other[0].port = 23;
	other[1].kind = API_CHECK_HTTP;
	other[2].period_ns++;
	other[3].timeout_ns++;
	other[4].failure_threshold++;
	other[5].success_threshold++;
	other[6].path = path;
	other[7].host = path;
	other[8].headers = h1;
	other[8].n_headers = 1;
	other[9].headers = h2;
	other[9].n_headers = 1;
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		b->ports[0].check = other[i];
		world_plan(s.w);
		assert_int_equal(plan_targets(s.w->plan, &t, &n), 0);
		assert_int_equal(n, 6);
		for (size_t j = 1; j < n; j++) {
			assert_true(plan_target_cmp(&t[j - 1], &t[j]) < 0);
			assert_true(plan_target_cmp(&t[j], &t[j - 1]) > 0);
		}
		for (size_t j = 0; j < i; j++)
			assert_false(api_check_eq(&other[i], &other[j]));
		free(t);
	}

	/* headers count by their text */
	a->ports[0].check = other[8];
	b->ports[0].check = other[9];
	world_plan(s.w);
	assert_int_equal(plan_targets(s.w->plan, &t, &n), 0);
	assert_int_equal(n, 6);
	free(t);
	b->ports[0].check = other[8];
	world_plan(s.w);
	assert_int_equal(plan_targets(s.w->plan, &t, &n), 0);
	assert_int_equal(n, 3);
	free(t);

	/* what is not run is not probed */
	b->vip.addresses[0] = a->vip.addresses[0];
	world_plan(s.w);
	assert_int_equal(plan_targets(s.w->plan, &t, &n), 0);
	assert_int_equal(n, 3);
	free(t);
	state_done(&s);
}

static void test_marks(void **state)
{
	struct addr a4 = ip("10.1.2.3"), b4 = ip("11.1.2.3"), a6 = ip("fd00::1"),
		    b6 = ip("fd00::2");

	(void)state;
	assert_int_equal(plan_mark(&a4), 0x76010203);
	assert_int_equal(plan_mark(&b4), 0x76010203);
	assert_int_equal(plan_mark(&a6) >> 24, 0x76);
	assert_int_not_equal(plan_mark(&a6), plan_mark(&b6));
	assert_int_equal(plan_mark(&a6), plan_mark(&a6));
	assert_true(plan_is_mark(plan_mark(&a4)) && plan_is_mark(plan_mark(&b6)));
	assert_false(plan_is_mark(0x75ffffff) || plan_is_mark(0x77000000) || plan_is_mark(0x76));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_vip),
		cmocka_unit_test(test_no_vip),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_every_health),
		cmocka_unit_test(test_ports_have_their_own_health),
		cmocka_unit_test(test_schedulers),
		cmocka_unit_test(test_drained_server),
		cmocka_unit_test(test_prefer_same_node),
		cmocka_unit_test(test_slots_follow_weights),
		cmocka_unit_test(test_slots_move_little),
		cmocka_unit_test(test_more_servers_than_slots),
		cmocka_unit_test(test_no_ipvs),
		cmocka_unit_test(test_synchronisation_off),
		cmocka_unit_test(test_only_serves),
		cmocka_unit_test(test_refused_leaves_nothing),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
