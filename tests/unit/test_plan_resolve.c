/* plan: interface, node address, members, real servers, and what refuses or degrades a VIP. */
#include "plan_world.h"

static void test_the_ordinary_case(void **state)
{
	struct world *w = world_new();
	const struct plan_vip *pv;

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->fault, PLAN_OK);
	assert_int_equal(pv->degraded, PLAN_OK);
	assert_string_equal(pv->message, "");
	assert_true(pv->routes && pv->serves && pv->others_ready && !pv->cordoned);
	assert_string_equal(pv->ifname, "eth0");
	assert_int_equal(pv->ifindex, IFINDEX_ETH0);
	assert_ip(pv->node_address, "192.168.44.51");
	assert_ip(pv->source, "192.168.44.51");
	assert_int_equal(pv->vrid, 120);
	assert_int_equal(pv->n_members, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct plan_member *m = &pv->members[i];

		assert_string_equal(m->name, w->nodes[i].name);
		assert_true(addr_eq(&m->address, &w->ips[i][0]));
		assert_int_equal(m->self, i == 0);
		assert_true(m->ready && !m->cordoned);
		if (m->self)
			assert_int_equal(m->priority, pv->priority);
	}
	assert_int_equal(pv->n_servers, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct plan_server *s = &pv->servers[i];

		assert_true(addr_eq(&s->address, &w->ips[i][0]));
		assert_int_equal(s->weight, 1);
		assert_string_equal(s->node_name, w->nodes[i].name);
		assert_int_equal(s->self, i == 0);
		assert_true(s->on_link);
	}
	assert_string_equal(w->plan->sync_ifname, "eth0");
	assert_ip(w->plan->node4, "192.168.44.51");
	assert_ip(w->plan->node6, "-");
	world_free(w);
}

static void test_nothing(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_plan(w);
	assert_int_equal(w->plan->n_vips, 0);
	assert_string_equal(w->plan->sync_ifname, "");
	world_free(w);
	plan_free(NULL);
}

static void test_ipv6(void **state)
{
	struct world *w = world_new();
	const struct plan_vip *pv;

	(void)state;
	world_add_vip(w, "web6", "fd00:44::200");
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->fault, PLAN_OK);
	assert_ip(pv->node_address, "fd00:44::51");
	assert_ip(pv->source, "fe80::51");
	assert_ip(pv->members[1].address, "fd00:44::52");
	assert_ip(w->plan->node6, "fd00:44::51");
	assert_ip(w->plan->node4, "-");

	/* no source for adverts: a fault that keeps everything else */
	w->addrs[1][2].tentative = true;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->fault, PLAN_NO_LINK_LOCAL);
	assert_true(pv->routes && pv->serves);
	assert_ip(pv->source, "-");
	assert_says(pv, "eth0");
	w->links[1].n_addrs = 2;
	assert_int_equal(world_one(w)->fault, PLAN_NO_LINK_LOCAL);

	/* nor does a link-local VIP serve as one */
	world_add_ifaddr(w, 1, ip("fe80::99"), 128)->finite = true;
	assert_int_equal(world_one(w)->fault, PLAN_NO_LINK_LOCAL);
	/* a link that is down says so first */
	w->links[1].up = false;
	assert_int_equal(world_one(w)->fault, PLAN_LINK_DOWN);
	world_free(w);
}

static void test_interface(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "10.9.0.9");
	const struct plan_vip *pv;

	(void)state;
	/* by no subnet, so the default route's */
	pv = world_one(w);
	assert_string_equal(pv->ifname, "eth0");
	assert_int_equal(pv->refused, PLAN_OK);

	/* by subnet */
	world_add_link(w, IFINDEX_ETH1, "eth1");
	world_add_ifaddr(w, 2, ip("10.0.0.1"), 8);
	assert_string_equal(world_one(w)->ifname, "eth1");
	/* the narrower subnet wins */
	world_add_ifaddr(w, 1, ip("10.9.0.1"), 24);
	assert_string_equal(world_one(w)->ifname, "eth0");
	/* an address of its own tells no subnet, a VIP's least of all */
	w->addrs[1][3].prefix_len = 32;
	w->addrs[1][3].finite = true;
	assert_string_equal(world_one(w)->ifname, "eth1");

	/* by name */
	(void)snprintf(v->vip.interface, sizeof(v->vip.interface), "eth0");
	assert_string_equal(world_one(w)->ifname, "eth0");
	(void)snprintf(v->vip.interface, sizeof(v->vip.interface), "eth9");
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NO_INTERFACE);
	assert_string_equal(pv->ifname, "eth9");
	assert_false(pv->routes || pv->serves);
	assert_says(pv, "spec.interface");
	assert_says(pv, "eth9");

	/* not Ethernet */
	(void)snprintf(v->vip.interface, sizeof(v->vip.interface), "lo");
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NOT_ETHERNET);
	assert_says(pv, "lo is not an Ethernet interface");
	w->links[2].ethernet = false;
	v->vip.interface[0] = '\0';
	assert_int_equal(world_one(w)->refused, PLAN_NOT_ETHERNET);

	/* nowhere */
	w->facts.default_ifindex4 = 0;
	w->facts.n_links = 2;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NO_INTERFACE);
	assert_says(pv, "10.9.0.9");
	/* a default route of the other family is none */
	assert_int_equal(w->facts.default_ifindex6, IFINDEX_ETH0);
	world_free(w);
}

static void test_node_address(void **state)
{
	struct world *w = world_new();
	const struct plan_vip *pv;

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");

	/* the InternalIP on the segment, though it is neither the first InternalIP nor the first there */
	w->ips[0][0] = ip("10.0.0.1");
	w->ips[0][1] = ip("192.168.44.77");
	world_add_ifaddr(w, 1, ip("192.168.44.77"), 24);
	pv = world_one(w);
	assert_ip(pv->node_address, "192.168.44.77");
	assert_ip(pv->members[0].address, "192.168.44.77");

	/* no InternalIP there: the first global address that is no VIP */
	w->ips[0][1] = ip("fd00::1");
	assert_ip(world_one(w)->node_address, "192.168.44.51");
	w->addrs[1][0] = (struct plan_ifaddr){
		.addr = ip("192.168.44.100"), .prefix_len = 32, .finite = true, .valid_s = 3};
	assert_ip(world_one(w)->node_address, "192.168.44.77");

	/* a lease makes an address finite, too, and stays the node's own */
	w->addrs[1][3].finite = true;
	assert_ip(world_one(w)->node_address, "192.168.44.77");

	/* none */
	w->links[1].n_addrs = 3;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NO_NODE_ADDRESS);
	assert_false(pv->routes || pv->serves);
	assert_says(pv, "eth0");
	assert_says(pv, "IPv4");
	/* a link-local address is none either */
	world_add_ifaddr(w, 1, ip("169.254.3.4"), 16);
	assert_int_equal(world_one(w)->refused, PLAN_NO_NODE_ADDRESS);
	world_free(w);
}

static void test_other_nodes_addresses(void **state)
{
	struct world *w = world_new();
	const struct plan_vip *pv;

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");
	/* on the segment before first of the family */
	w->ips[1][0] = ip("10.0.0.2");
	w->ips[1][1] = ip("192.168.44.52");
	/* none on the segment */
	w->ips[2][0] = ip("fd00::3");
	w->ips[2][1] = ip("10.0.0.3");
	pv = world_one(w);
	assert_ip(pv->members[1].address, "192.168.44.52");
	assert_ip(pv->members[2].address, "10.0.0.3");
	assert_int_equal(pv->degraded, PLAN_REAL_SERVER_NOT_ON_LINK);
	assert_says(pv, "10.0.0.3");

	/* none at all: takes part, but nobody here can direct to it */
	w->nodes[2].n_internal_ips = 1;
	pv = world_one(w);
	assert_int_equal(pv->n_members, 3);
	assert_ip(pv->members[2].address, "-");
	assert_int_equal(pv->n_servers, 2);
	assert_int_equal(pv->degraded, PLAN_OK);

	/* two Nodes that claim one address: one real server */
	w->ips[2][0] = ip("192.168.44.52");
	assert_int_equal(world_one(w)->n_servers, 2);
	world_free(w);
}

static void test_selection(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");
	const struct plan_vip *pv;

	(void)state;
	world_select(v, &w->nodes[1], "a");
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NOT_SELECTED);
	assert_false(pv->routes || pv->serves);
	assert_int_equal(pv->n_members, 1);
	assert_string_equal(pv->members[0].name, "node02");
	assert_says(pv, "node01");
	assert_string_equal(w->plan->sync_ifname, "");

	/* listed as a real server: serves without routing */
	world_add_server(v, ip4_of(1), 1);
	world_add_server(v, ip4_of(2), 1);
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_true(pv->serves && !pv->routes);
	assert_true(pv->servers[0].self);
	assert_string_equal(w->plan->sync_ifname, "eth0");
	/* a fault is a router's: without routing there is none */
	w->links[1].up = false;
	assert_int_equal(world_one(w)->fault, PLAN_OK);

	/* selected but not listed: routes without serving */
	w->links[1].up = true;
	w->facts.self = "node02";
	v->vip.n_real_servers = 1;
	w->addrs[1][0].addr = ip4_of(2);
	pv = world_one(w);
	assert_true(pv->routes && !pv->serves);
	world_free(w);
}

static void test_listed_servers(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");
	const struct plan_vip *pv;

	(void)state;
	world_add_server(v, ip("192.168.44.99"), 5); /* no node */
	world_add_server(v, ip4_of(2), 3);
	world_add_server(v, ip4_of(1), 0);
	world_add_server(v, ip4_of(2), 9); /* twice: the kernel would take it once */
	pv = world_one(w);
	assert_int_equal(pv->n_servers, 3);
	assert_ip(pv->servers[0].address, "192.168.44.51");
	assert_true(pv->servers[0].self && pv->serves);
	assert_int_equal(pv->servers[0].weight, 0);
	assert_ip(pv->servers[1].address, "192.168.44.52");
	assert_ip(pv->servers[2].address, "192.168.44.99");
	assert_string_equal(pv->servers[2].node_name, "");
	assert_int_equal(pv->servers[2].weight, 5);
	assert_false(pv->servers[2].self);
	assert_int_equal(pv->degraded, PLAN_OK);

	/* an address of this node that its Node object does not tell is this node all the same */
	world_add_link(w, IFINDEX_ETH1, "eth1");
	world_add_ifaddr(w, 2, ip("10.1.0.1"), 24);
	v->servers[0].address = ip("10.1.0.1");
	pv = world_one(w);
	assert_ip(pv->servers[0].address, "10.1.0.1");
	assert_true(pv->servers[0].self);
	assert_string_equal(pv->servers[0].node_name, "node01");

	/* beyond a gateway: degraded, unless it gets no traffic anyway */
	v->servers[0].address = ip("10.7.0.1");
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->degraded, PLAN_REAL_SERVER_NOT_ON_LINK);
	assert_says(pv, "10.7.0.1");
	assert_says(pv, "eth0");
	assert_null(strstr(pv->message, "rp_filter"));
	w->links[1].rp_filter = 1;
	assert_says(world_one(w), "rp_filter");
	v->servers[0].weight = 0;
	assert_int_equal(world_one(w)->degraded, PLAN_OK);
	world_free(w);
}

static void test_node_object_deleted(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");
	const struct plan_vip *pv;

	(void)state;
	w->facts.self = "node09";
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NODE_GONE);
	assert_false(pv->routes || pv->serves);
	assert_int_equal(pv->n_members, 3);
	assert_says(pv, "node09");
	assert_says(pv, "--node-name");
	/* even where it is listed by address */
	w->facts.self = "node01";
	world_add_server(v, ip4_of(1), 1);
	memmove(&w->node_ptrs[0], &w->node_ptrs[1], 2 * sizeof(w->node_ptrs[0]));
	w->objects.n_nodes = 2;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NODE_GONE);
	assert_false(pv->serves);
	world_free(w);
}

static void test_cordon_and_readiness(void **state)
{
	struct world *w = world_new();
	const struct plan_vip *pv;

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");
	w->nodes[0].unschedulable = true;
	pv = world_one(w);
	assert_true(pv->cordoned && pv->routes && pv->serves && pv->others_ready);
	assert_int_equal(pv->priority, 1);

	w->nodes[1].ready = false;
	assert_true(world_one(w)->others_ready);
	w->nodes[2].unschedulable = true;
	pv = world_one(w);
	assert_false(pv->others_ready);
	assert_false(pv->members[1].ready);
	assert_true(pv->members[2].cordoned);
	world_free(w);
}

static void test_secret(void **state)
{
	static uint8_t password[] = "password-that-is-long";
	static char key[] = "password", other[] = "other";
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");
	const struct plan_vip *pv;
	struct api_secret_entry *e = &w->entries[0][0];

	(void)state;
	assert_int_equal(world_one(w)->auth[0], 0);
	v->vip.version = 2;
	v->vip.has_auth = true;
	(void)snprintf(v->vip.auth_secret, sizeof(v->vip.auth_secret), "vipd-vrrp");
	(void)snprintf(v->vip.auth_key, sizeof(v->vip.auth_key), "password");

	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_SECRET_UNAVAILABLE);
	assert_false(pv->routes || pv->serves);
	assert_says(pv, "vipd-vrrp");
	assert_says(pv, "vipd-system");
	assert_says(pv, "vrrpSecretNames");

	*e = (struct api_secret_entry){.key = other, .bytes = password, .len = 8};
	w->secrets[0] = (struct api_secret){.entries = w->entries[0], .n_entries = 1};
	(void)snprintf(w->secrets[0].name, API_NAME_MAX, "vipd-vrrp");
	(void)snprintf(w->secrets[0].namespace_, API_NAME_MAX, "vipd-system");
	w->secret_ptrs[0] = &w->secrets[0];
	w->objects.n_secrets = 1;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_SECRET_UNAVAILABLE);
	assert_says(pv, "no key \"password\"");

	e->key = key;
	e->len = 0;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_SECRET_UNAVAILABLE);
	assert_says(pv, "empty");

	/* short: filled with zeroes; long: the first eight bytes count */
	e->len = 3;
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_memory_equal(pv->auth, "pas\0\0\0\0\0", API_AUTH_LEN);
	e->len = sizeof(password) - 1;
	assert_memory_equal(world_one(w)->auth, "password", API_AUTH_LEN);

	/* another namespace is another Secret; none is the agent's own */
	(void)snprintf(w->secrets[0].namespace_, API_NAME_MAX, "default");
	assert_int_equal(world_one(w)->refused, PLAN_SECRET_UNAVAILABLE);
	w->secrets[0].namespace_[0] = '\0';
	assert_int_equal(world_one(w)->refused, PLAN_OK);

	/* a node that only serves needs no password */
	w->objects.n_secrets = 0;
	world_select(v, &w->nodes[1], "b");
	world_add_server(v, ip4_of(1), 1);
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_OK);
	assert_true(pv->serves && !pv->routes);
	world_free(w);
}

static void test_faults_and_degraded(void **state)
{
	struct world *w = world_new();
	const struct plan_vip *pv;

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");
	world_add_vip(w, "web6", "fd00:44::200");

	w->links[1].up = false;
	world_plan(w);
	pv = world_get(w, "ssh");
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->fault, PLAN_LINK_DOWN);
	assert_true(pv->routes && pv->serves);
	assert_says(pv, "eth0");
	w->links[1].up = true;

	/* strict rp_filter is in the way only of clients behind another interface's router */
	w->links[1].rp_filter = 1;
	world_plan(w);
	assert_int_equal(world_get(w, "ssh")->degraded, PLAN_OK);
	w->facts.default_ifindex4 = 0;
	world_plan(w);
	assert_int_equal(world_get(w, "ssh")->degraded, PLAN_OK);
	w->facts.default_ifindex4 = IFINDEX_ETH1;
	world_plan(w);
	pv = world_get(w, "ssh");
	assert_int_equal(pv->degraded, PLAN_STRICT_RP_FILTER);
	assert_says(pv, "net.ipv4.conf.eth0.rp_filter=2");
	assert_int_equal(world_get(w, "web6")->degraded, PLAN_OK);
	w->links[1].rp_filter = 2;
	world_plan(w);
	assert_int_equal(world_get(w, "ssh")->degraded, PLAN_OK);

	/* the graver thing first */
	w->links[1].rp_filter = 1;
	w->facts.has_ipvs = false;
	world_plan(w);
	pv = world_get(w, "ssh");
	assert_int_equal(pv->degraded, PLAN_NO_IPVS);
	assert_true(pv->routes && pv->serves);
	assert_says(pv, "ip_vs");
	/* and a fault's message before what is degraded */
	w->links[1].up = false;
	world_plan(w);
	assert_says(world_get(w, "ssh"), "carrier");
	assert_non_null(strstr(world_get(w, "ssh")->degradation, "ip_vs"));
	world_free(w);
}

static void test_unicast_has_room_for_so_many(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");

	(void)state;
	v->vip.transport = API_UNICAST;
	while (w->objects.n_nodes < PLAN_UNICAST_PEERS_MAX + 1)
		world_add_node(w);
	assert_int_equal(world_one(w)->refused, PLAN_OK);
	world_add_node(w);
	assert_int_equal(world_one(w)->refused, PLAN_TOO_MANY_PEERS);
	assert_says(world_one(w), "66 nodes");
	v->vip.transport = API_MULTICAST;
	assert_int_equal(world_one(w)->refused, PLAN_OK);
	world_free(w);
}

static void test_address_lifetime(void **state)
{
	static const struct {
		uint8_t version;
		uint64_t period_ns;
		uint8_t priority;
		uint32_t want_s;
	} rows[] = {
		{3, 10 * NS_PER_MS, 200, 3}, /* never below 3 s */
		{3, NS_PER_S, 254, 6}, /* 3.008 + 2 */
		{3, NS_PER_S, 3, 6}, /* 3.988 + 2 */
		{2, 2 * NS_PER_S, 100, 9}, /* 6.609 + 2 */
		{2, 255 * NS_PER_S, 100, 768}, /* 765.609 + 2 */
		{3, 40950 * NS_PER_MS, 100, 150}, /* 122.85 + 24.95 + 2 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world_new();
		struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");

		v->vip.version = rows[i].version;
		v->vip.advert_period_ns = rows[i].period_ns;
		world_add_priority(v, "node01", rows[i].priority);
		assert_int_equal(world_one(w)->valid_lft_s, rows[i].want_s);
		world_free(w);
	}
}

static void test_most_vips_decide(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add_link(w, IFINDEX_ETH1, "eth1");
	world_add_ifaddr(w, 2, ip("10.1.0.1"), 24);
	world_add_vip(w, "a", "192.168.44.120");
	world_add_vip(w, "b", "10.1.0.100");
	world_plan(w);
	assert_string_equal(w->plan->sync_ifname, "eth0"); /* equal: the first by name */
	world_add_vip(w, "c", "10.1.0.101");
	world_plan(w);
	assert_string_equal(w->plan->sync_ifname, "eth1");
	assert_ip(w->plan->node4, "10.1.0.1");
	world_free(w);
}

static void test_reason_names(void **state)
{
	static const struct {
		enum plan_reason reason;
		const char *name;
	} rows[] = {
		{PLAN_OK, "OK"},
		{PLAN_NOT_SELECTED, "NotSelected"},
		{PLAN_NODE_GONE, "NodeGone"},
		{PLAN_NO_INTERFACE, "NoInterface"},
		{PLAN_NO_NODE_ADDRESS, "NoNodeAddress"},
		{PLAN_ADDRESS_CONFLICT, "AddressConflict"},
		{PLAN_VRID_CONFLICT, "VirtualRouterIDConflict"},
		{PLAN_NODE_OWN_ADDRESS, "NodeOwnAddress"},
		{PLAN_SECRET_UNAVAILABLE, "SecretUnavailable"},
		{PLAN_NOT_ETHERNET, "NotEthernet"},
		{PLAN_TOO_MANY_PEERS, "TooManyPeers"},
		{PLAN_NO_LINK_LOCAL, "NoLinkLocal"},
		{PLAN_LINK_DOWN, "LinkDown"},
		{PLAN_REAL_SERVER_NOT_ON_LINK, "RealServerNotOnLink"},
		{PLAN_NO_IPVS, "NoIPVS"},
		{PLAN_STRICT_RP_FILTER, "StrictReversePathFilter"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(plan_reason_name(rows[i].reason), rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ordinary_case),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_interface),
		cmocka_unit_test(test_node_address),
		cmocka_unit_test(test_other_nodes_addresses),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_listed_servers),
		cmocka_unit_test(test_node_object_deleted),
		cmocka_unit_test(test_cordon_and_readiness),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_faults_and_degraded),
		cmocka_unit_test(test_unicast_has_room_for_so_many),
		cmocka_unit_test(test_address_lifetime),
		cmocka_unit_test(test_most_vips_decide),
		cmocka_unit_test(test_reason_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
