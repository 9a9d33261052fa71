/* plan: the version before goes on running where the present one is bad. */
#include "plan_world.h"

/* The first VIP as it is now, and what it was before. */
static struct world_vip *keep(struct world *w, struct world_vip *v)
{
	static struct world_vip before[4];
	size_t i = (size_t)(v - w->vips);

	assert_true(i < ARRAY_LEN(before));
	before[i] = *v;
	before[i].vip.ports = before[i].ports;
	before[i].vip.real_servers = before[i].servers;
	before[i].vip.priorities = before[i].priorities;
	w->before_ptrs[i] = &before[i].vip;
	w->objects.vips_before = w->before_ptrs;
	return &before[i];
}

static void test_good_change(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");
	const struct plan_vip *pv;

	(void)state;
	keep(w, v);
	v->vip.addresses[0] = ip("192.168.44.121");
	pv = world_one(w);
	assert_ptr_equal(pv->vip, &v->vip);
	assert_int_equal(pv->rejected, PLAN_OK);
	assert_string_equal(pv->message, "");
	world_free(w);
}

static void no_interface(struct world_vip *v)
{
	(void)snprintf(v->vip.interface, sizeof(v->vip.interface), "eth9");
}

static void not_ethernet(struct world_vip *v)
{
	(void)snprintf(v->vip.interface, sizeof(v->vip.interface), "lo");
}

static void no_address(struct world_vip *v)
{
	(void)snprintf(v->vip.interface, sizeof(v->vip.interface), "eth1");
}

static void own_address(struct world_vip *v)
{
	v->vip.addresses[0] = ip4_of(3);
}

static void address_conflict(struct world_vip *v)
{
	v->vip.addresses[0] = ip("192.168.44.99");
}

static void vrid_conflict(struct world_vip *v)
{
	v->vip.vrid = 99;
}

static void no_secret(struct world_vip *v)
{
	v->vip.has_auth = true;
	v->vip.version = 2;
}

static void test_bad_changes(void **state)
{
	static const struct {
		void (*change)(struct world_vip *v);
		enum plan_reason want;
	} rows[] = {
		{no_interface, PLAN_NO_INTERFACE},         {not_ethernet, PLAN_NOT_ETHERNET},
		{no_address, PLAN_NO_NODE_ADDRESS},        {own_address, PLAN_NODE_OWN_ADDRESS},
		{address_conflict, PLAN_ADDRESS_CONFLICT}, {vrid_conflict, PLAN_VRID_CONFLICT},
		{no_secret, PLAN_SECRET_UNAVAILABLE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world_new();
		struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120"), *before;
		const struct plan_vip *pv;
		char message[sizeof(pv->message)];

		world_add_link(w, IFINDEX_ETH1, "eth1");
		world_add_vip(w, "a-first", "192.168.44.99");
		before = keep(w, v);
		rows[i].change(v);

		/* new here: refused */
		w->objects.vips_before = NULL;
		world_plan(w);
		pv = world_get(w, "ssh");
		assert_int_equal(pv->refused, rows[i].want);
		assert_int_equal(pv->rejected, PLAN_OK);
		memcpy(message, pv->message, sizeof(message));

		/* changed: the version before runs, and the message is the same */
		w->objects.vips_before = w->before_ptrs;
		world_plan(w);
		pv = world_get(w, "ssh");
		assert_ptr_equal(pv->vip, &before->vip);
		assert_int_equal(pv->refused, PLAN_OK);
		assert_int_equal(pv->rejected, rows[i].want);
		assert_true(pv->routes && pv->serves);
		assert_int_equal(pv->vrid, 120);
		assert_string_equal(pv->rejection, message);
		assert_string_equal(pv->message, "");
		assert_int_equal(world_get(w, "a-first")->refused, PLAN_OK);
		assert_int_equal(world_get(w, "a-first")->rejected, PLAN_OK);

		/* an equal version before is no way out */
		rows[i].change(before);
		world_plan(w);
		pv = world_get(w, "ssh");
		assert_ptr_equal(pv->vip, &v->vip);
		assert_int_equal(pv->refused, rows[i].want);
		world_free(w);
	}
}

/* What is not the object's fault is not mended by another version of it. */
static void test_not_for_this_node(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");

	(void)state;
	keep(w, v);
	world_select(v, &w->nodes[1], "a");
	assert_int_equal(world_one(w)->refused, PLAN_NOT_SELECTED);
	w->facts.self = "node09";
	assert_int_equal(world_one(w)->refused, PLAN_NODE_GONE);
	world_free(w);
}

/* b took the address that a gave up: a keeps what it had, so b has to wait with its own version before. */
static void test_chain(void **state)
{
	struct world *w = world_new();
	struct world_vip *a = world_add_vip(w, "a", "192.168.44.101");
	struct world_vip *b = world_add_vip(w, "b", "192.168.44.102");
	struct world_vip *b_before;
	const struct plan_vip *pv;

	(void)state;
	keep(w, a);
	b_before = keep(w, b);
	a->vip.addresses[0] = ip4_of(2); /* bad */
	b->vip.addresses[0] = ip("192.168.44.101");
	world_plan(w);
	pv = world_get(w, "a");
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->rejected, PLAN_NODE_OWN_ADDRESS);
	assert_ip(pv->vip->addresses[0], "192.168.44.101");
	pv = world_get(w, "b");
	assert_int_equal(pv->refused, PLAN_OK);
	assert_int_equal(pv->rejected, PLAN_ADDRESS_CONFLICT);
	assert_ip(pv->vip->addresses[0], "192.168.44.102");

	/* without one, b is refused; and so is whoever cannot run either version */
	b_before->vip.addresses[0] = ip("192.168.44.101");
	b_before->vip.advert_period_ns += 1;
	world_plan(w);
	pv = world_get(w, "b");
	assert_int_equal(pv->refused, PLAN_ADDRESS_CONFLICT);
	assert_int_equal(pv->rejected, PLAN_OK);
	assert_ptr_equal(pv->vip, &b->vip);
	assert_false(pv->routes || pv->serves);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_change),
		cmocka_unit_test(test_bad_changes),
		cmocka_unit_test(test_not_for_this_node),
		cmocka_unit_test(test_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
