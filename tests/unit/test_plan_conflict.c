/* plan: an address belongs to one VirtualIP and to no node, a VRID to one per interface and family. */
#include "plan_world.h"

static void test_address_older_keeps_it(void **state)
{
	struct world *w = world_new();
	struct world_vip *a = world_add_vip(w, "a-young", "192.168.44.120");
	struct world_vip *b = world_add_vip(w, "b-old", "192.168.44.120");
	const struct plan_vip *pv;

	(void)state;
	w->objects.by_name = false;
	a->vip.created_s = 2000;
	b->vip.created_s = 1000;
	world_plan(w);
	assert_int_equal(world_get(w, "b-old")->refused, PLAN_OK);
	pv = world_get(w, "a-young");
	assert_int_equal(pv->refused, PLAN_ADDRESS_CONFLICT);
	assert_false(pv->routes || pv->serves);
	assert_says(pv, "192.168.44.120");
	assert_says(pv, "\"b-old\"");
	assert_says(pv, "older");

	/* equally old: by name */
	a->vip.created_s = 1000;
	world_plan(w);
	assert_int_equal(world_get(w, "a-young")->refused, PLAN_OK);
	pv = world_get(w, "b-old");
	assert_int_equal(pv->refused, PLAN_ADDRESS_CONFLICT);
	assert_says(pv, "first by name");

	/* manifests: by name, whatever the age says */
	a->vip.created_s = 2000;
	w->objects.by_name = true;
	world_plan(w);
	assert_int_equal(world_get(w, "a-young")->refused, PLAN_OK);
	assert_int_equal(world_get(w, "b-old")->refused, PLAN_ADDRESS_CONFLICT);
	world_free(w);
}

/* c loses to b, which loses to a: c's other address is free for d, and b's for c. */
static void test_address_loser_claims_nothing(void **state)
{
	struct world *w = world_new();
	struct world_vip *v;

	(void)state;
	world_add_vip(w, "a", "192.168.44.101");
	v = world_add_vip(w, "b", "192.168.44.101");
	v->vip.addresses[v->vip.n_addresses++] = ip("192.168.44.102");
	v = world_add_vip(w, "c", "192.168.44.102");
	v->vip.addresses[v->vip.n_addresses++] = ip("192.168.44.103");
	v = world_add_vip(w, "d", "192.168.44.104");
	v->vip.addresses[v->vip.n_addresses++] = ip("192.168.44.103");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_OK);
	assert_int_equal(world_get(w, "b")->refused, PLAN_ADDRESS_CONFLICT);
	assert_int_equal(world_get(w, "c")->refused, PLAN_OK);
	assert_int_equal(world_get(w, "d")->refused, PLAN_ADDRESS_CONFLICT);
	assert_says(world_get(w, "d"), "192.168.44.103");
	world_free(w);
}

/* The whole cluster decides, so one that is not for this node keeps its address as well. */
static void test_address_of_one_that_is_not_here(void **state)
{
	struct world *w = world_new();
	struct world_vip *v;

	(void)state;
	v = world_add_vip(w, "a", "192.168.44.120");
	world_select(v, &w->nodes[1], "a");
	world_add_vip(w, "b", "192.168.44.120");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_NOT_SELECTED);
	assert_int_equal(world_get(w, "b")->refused, PLAN_ADDRESS_CONFLICT);
	world_free(w);
}

static void test_own_address(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "a", "192.168.44.53");
	struct plan_ifaddr *a;
	const struct plan_vip *pv;

	(void)state;
	/* another node's */
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NODE_OWN_ADDRESS);
	assert_says(pv, "192.168.44.53");
	assert_says(pv, "node03");
	/* ours */
	v->vip.addresses[0] = ip4_of(1);
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NODE_OWN_ADDRESS);
	assert_says(pv, "node01");
	/* the second of several */
	v->vip.addresses[0] = ip("192.168.44.120");
	v->vip.addresses[v->vip.n_addresses++] = ip4_of(2);
	assert_int_equal(world_one(w)->refused, PLAN_NODE_OWN_ADDRESS);
	v->vip.n_addresses = 1;
	assert_int_equal(world_one(w)->refused, PLAN_OK);

	/* on a link of this node, though no Node object tells it */
	a = world_add_ifaddr(w, 1, ip("192.168.44.120"), 24);
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NODE_OWN_ADDRESS);
	assert_says(pv, "192.168.44.120");
	assert_says(pv, "eth0");
	/* a host address that stays for ever was not made by vipd */
	a->prefix_len = 32;
	assert_int_equal(world_one(w)->refused, PLAN_NODE_OWN_ADDRESS);
	/* a leased one neither */
	a->prefix_len = 24;
	a->finite = true;
	assert_int_equal(world_one(w)->refused, PLAN_NODE_OWN_ADDRESS);
	/* this is the VIP itself: this node is active, or was when the agent ended */
	a->prefix_len = 32;
	assert_int_equal(world_one(w)->refused, PLAN_OK);
	/* twice there, once of our making */
	a = world_add_ifaddr(w, 0, ip("192.168.44.120"), 32);
	pv = world_one(w);
	assert_int_equal(pv->refused, PLAN_NODE_OWN_ADDRESS);
	assert_says(pv, "lo");
	world_free(w);
}

/* One that has a node's address is refused everywhere, so it does not keep its other address. */
static void test_own_address_claims_nothing(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "a", "192.168.44.120");

	(void)state;
	v->vip.addresses[v->vip.n_addresses++] = ip4_of(2);
	world_add_vip(w, "b", "192.168.44.120");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_NODE_OWN_ADDRESS);
	assert_int_equal(world_get(w, "b")->refused, PLAN_OK);
	world_free(w);
}

static void test_vrid(void **state)
{
	struct world *w = world_new();
	struct world_vip *a = world_add_vip(w, "a", "192.168.44.101");
	struct world_vip *b = world_add_vip(w, "b", "192.168.44.102");
	const struct plan_vip *pv;

	(void)state;
	a->vip.vrid = 1;
	b->vip.vrid = 1;
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_OK);
	pv = world_get(w, "b");
	assert_int_equal(pv->refused, PLAN_VRID_CONFLICT);
	assert_false(pv->routes || pv->serves);
	assert_says(pv, "spec.vrrp.virtualRouterID: 1 on eth0");
	assert_says(pv, "\"a\"");
	assert_says(pv, "for example 2");

	/* an explicit number goes before a derived one, whatever the names and ages */
	b->vip.has_vrid = true;
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_VRID_CONFLICT);
	assert_int_equal(world_get(w, "b")->refused, PLAN_OK);
	a->vip.has_vrid = true;
	world_plan(w);
	assert_int_equal(world_get(w, "b")->refused, PLAN_VRID_CONFLICT);

	/* the older one, with a source that tells ages */
	w->objects.by_name = false;
	a->vip.created_s = 5;
	b->vip.created_s = 4;
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_VRID_CONFLICT);

	/* the number that is proposed is the lowest that nobody has */
	world_add_vip(w, "c", "192.168.44.103")->vip.vrid = 2;
	world_add_vip(w, "d", "192.168.44.104")->vip.vrid = 3;
	world_add_vip(w, "e", "192.168.44.105")->vip.vrid = 5;
	world_plan(w);
	assert_says(world_get(w, "a"), "for example 4");

	/* another family, or another interface, counts for itself */
	a->vip.addresses[0] = ip("fd00:44::200");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_OK);
	world_add_link(w, IFINDEX_ETH1, "eth1");
	world_add_ifaddr(w, 2, ip("10.1.0.1"), 24);
	a->vip.addresses[0] = ip("10.1.0.100");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_OK);
	world_free(w);
}

static void test_vrid_of_one_that_is_refused_is_free(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_add_vip(w, "a", "192.168.44.101");
	world_add_vip(w, "b", "192.168.44.101")->vip.vrid = 7;
	world_add_vip(w, "c", "192.168.44.102")->vip.vrid = 7;
	world_plan(w);
	assert_int_equal(world_get(w, "b")->refused, PLAN_ADDRESS_CONFLICT);
	assert_int_equal(world_get(w, "c")->refused, PLAN_OK);
	world_free(w);
}

/* Routers of other nodes are heard here if they are on the same segment, and only then. */
static void test_vrid_of_one_that_is_not_here(void **state)
{
	struct world *w = world_new();
	struct world_vip *a = world_add_vip(w, "a", "192.168.44.101");
	struct world_vip *b = world_add_vip(w, "b", "192.168.44.102");

	(void)state;
	a->vip.vrid = 9;
	b->vip.vrid = 9;
	world_select(a, &w->nodes[1], "a");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_NOT_SELECTED);
	assert_int_equal(world_get(w, "b")->refused, PLAN_VRID_CONFLICT);
	a->vip.addresses[0] = ip("10.20.30.101");
	world_plan(w);
	assert_int_equal(world_get(w, "a")->refused, PLAN_NOT_SELECTED);
	assert_int_equal(world_get(w, "b")->refused, PLAN_OK);
	world_free(w);
}

static void test_vrids_run_out(void **state)
{
	struct world *w = world_new();
	char name[16], text[ADDR_TEXT_MAX];
	size_t n_refused = 0;

	(void)state;
	w->addrs[1][0].prefix_len = 16;
	for (unsigned int i = 0; i < 300; i++) {
		struct world_vip *v;

		(void)snprintf(name, sizeof(name), "v%03u", i);
		(void)snprintf(text, sizeof(text), "192.168.%u.%u", 100 + i / 250, 1 + i % 250);
		v = world_add_vip(w, name, text);
		v->vip.vrid = (uint8_t)(1 + i % 255);
	}
	world_plan(w);
	for (size_t i = 0; i < w->plan->n_vips; i++) {
		const struct plan_vip *pv = &w->plan->vips[i];

		if (pv->refused == PLAN_OK)
			continue;
		assert_int_equal(pv->refused, PLAN_VRID_CONFLICT);
		assert_says(pv, "none is free");
		assert_true(i >= 255);
		n_refused++;
	}
	assert_int_equal(n_refused, 45);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_older_keeps_it),
		cmocka_unit_test(test_address_loser_claims_nothing),
		cmocka_unit_test(test_address_of_one_that_is_not_here),
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_own_address_claims_nothing),
		cmocka_unit_test(test_vrid),
		cmocka_unit_test(test_vrid_of_one_that_is_refused_is_free),
		cmocka_unit_test(test_vrid_of_one_that_is_not_here),
		cmocka_unit_test(test_vrids_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
