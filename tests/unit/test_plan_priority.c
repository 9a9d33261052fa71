/* plan: listed priorities, and the even, stable spread of VIPs over nodes where none is listed. */
#include "plan_world.h"

static uint8_t priority_of(const struct plan_vip *pv, const char *node)
{
	for (size_t i = 0; i < pv->n_members; i++) {
		if (strcmp(pv->members[i].name, node) == 0)
			return pv->members[i].priority;
	}
	fail_msg("%s is no member", node);
	return 0;
}

static const char *first_of(const struct plan_vip *pv)
{
	const struct plan_member *best = &pv->members[0];

	for (size_t i = 1; i < pv->n_members; i++) {
		if (pv->members[i].priority > best->priority)
			best = &pv->members[i];
	}
	return best->name;
}

static void add_many(struct world *w, unsigned int n)
{
	char name[16], text[ADDR_TEXT_MAX];

	w->addrs[1][0].prefix_len = 16;
	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "vip-%04u", i);
		(void)snprintf(text, sizeof(text), "192.168.%u.%u", 100 + i / 200, 1 + i % 200);
		world_add_vip(w, name, text)->vip.vrid = (uint8_t)(1 + i % 255);
	}
}

static void test_listed(void **state)
{
	struct world *w = world_new();
	struct world_vip *v = world_add_vip(w, "ssh", "192.168.44.120");
	const struct plan_vip *pv;

	(void)state;
	world_add_priority(v, "node03", 99);
	world_add_priority(v, "elsewhere", 120);
	world_add_priority(v, "node01", 100);
	pv = world_one(w);
	assert_int_equal(pv->priority, 100);
	assert_int_equal(priority_of(pv, "node01"), 100);
	assert_int_equal(priority_of(pv, "node02"), 2);
	assert_int_equal(priority_of(pv, "node03"), 99);

	w->nodes[0].unschedulable = true;
	w->nodes[1].unschedulable = true;
	pv = world_one(w);
	assert_int_equal(pv->priority, 1);
	assert_int_equal(priority_of(pv, "node02"), 1);
	assert_int_equal(priority_of(pv, "node03"), 99);
	world_free(w);
}

static void test_ranks(void **state)
{
	struct world *w = world_new();
	bool seen[3] = {false};

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");
	for (size_t i = 0; i < 3; i++) {
		uint8_t priority = world_one(w)->members[i].priority;

		assert_true(priority == 200 || priority == 190 || priority == 180);
		assert_false(seen[(200 - priority) / 10]);
		seen[(200 - priority) / 10] = true;
	}
	world_free(w);
}

/* At least 3, and distinct as long as there are as many numbers. */
static void test_ranks_of_many_nodes(void **state)
{
	static const size_t n_nodes[] = {20, 21, 40, 198, 260};
	struct world *w = world_new();

	(void)state;
	world_add_vip(w, "ssh", "192.168.44.120");
	for (size_t r = 0; r < ARRAY_LEN(n_nodes); r++) {
		bool seen[256] = {false};
		const struct plan_vip *pv;

		while (w->objects.n_nodes < n_nodes[r])
			world_add_node(w);
		/* the 70th node would have the VIP's address */
		w->vips[0].vip.addresses[0] = ip("192.168.40.1");
		pv = world_one(w);
		assert_int_equal(pv->n_members, n_nodes[r]);
		for (size_t i = 0; i < pv->n_members; i++) {
			uint8_t priority = pv->members[i].priority;

			assert_in_range(priority, 3, 200);
			assert_false(n_nodes[r] <= 198 && seen[priority]);
			seen[priority] = true;
		}
		assert_true(seen[200]);
	}
	world_free(w);
}

static void test_spread_is_even(void **state)
{
	static const struct {
		unsigned int n_vips, n_nodes;
	} rows[] = {{3, 3}, {4, 3}, {100, 3}, {101, 7}, {5, 10}, {200, 20}};

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		struct world *w = world_new();
		size_t n_firsts[WORLD_NODES] = {0};
		size_t most = (rows[r].n_vips + rows[r].n_nodes - 1) / rows[r].n_nodes;

		while (w->objects.n_nodes < rows[r].n_nodes)
			world_add_node(w);
		add_many(w, rows[r].n_vips);
		world_plan(w);
		for (size_t i = 0; i < w->plan->n_vips; i++) {
			unsigned int node;

			assert_int_equal(sscanf(first_of(&w->plan->vips[i]), "node%u", &node), 1);
			n_firsts[node - 1]++;
		}
		for (size_t i = 0; i < rows[r].n_nodes; i++)
			assert_in_range(n_firsts[i], 0, most);
		world_free(w);
	}
}

/* Whoever computes it, and in whatever order the objects came. */
static void test_all_nodes_agree(void **state)
{
	struct world *a = world_new(), *b = world_new();

	(void)state;
	add_many(a, 50);
	add_many(b, 50);
	for (size_t i = 0; i < 25; i++) {
		const struct api_vip *v = b->vip_ptrs[i];

		b->vip_ptrs[i] = b->vip_ptrs[49 - i];
		b->vip_ptrs[49 - i] = v;
	}
	b->node_ptrs[0] = &b->nodes[2];
	b->node_ptrs[2] = &b->nodes[0];
	b->facts.self = "node02";
	b->addrs[1][0].addr = ip4_of(2);
	world_plan(a);
	world_plan(b);
	for (size_t i = 0; i < a->plan->n_vips; i++) {
		const struct plan_vip *va = &a->plan->vips[i], *vb = &b->plan->vips[i];

		assert_string_equal(va->vip->name, vb->vip->name);
		assert_int_equal(va->n_members, vb->n_members);
		for (size_t j = 0; j < va->n_members; j++) {
			assert_string_equal(va->members[j].name, vb->members[j].name);
			assert_int_equal(va->members[j].priority, vb->members[j].priority);
		}
		assert_int_equal(vb->priority, priority_of(vb, "node02"));
	}
	world_free(a);
	world_free(b);
}

/* A newer VIP moves no older one as long as the share stays the same. */
static void test_a_newcomer_moves_nobody(void **state)
{
	struct world *w = world_new();
	char first[8][API_NAME_MAX];

	(void)state;
	w->objects.by_name = false;
	add_many(w, 9);
	for (size_t i = 0; i < 9; i++)
		w->vips[i].vip.created_s = (int64_t)(100 - i); /* age runs against the names */
	w->vips[8].vip.created_s = 1000;
	w->objects.n_vips = 8; /* a share of 3, and so with the ninth */
	world_plan(w);
	for (size_t i = 0; i < 8; i++)
		(void)snprintf(first[i], sizeof(first[i]), "%s", first_of(&w->plan->vips[i]));
	w->objects.n_vips = 9;
	world_plan(w);
	for (size_t i = 0; i < 8; i++)
		assert_string_equal(first[i], first_of(&w->plan->vips[i]));
	world_free(w);
}

/* A node that leaves moves only what it had, apart from what the larger share lets go home. */
static void test_cordon_moves_only_its_own(void **state)
{
	struct world *w = world_new();
	char first[30][API_NAME_MAX];

	(void)state;
	add_many(w, 30);
	world_plan(w);
	for (size_t i = 0; i < 30; i++)
		(void)snprintf(first[i], sizeof(first[i]), "%s", first_of(&w->plan->vips[i]));
	w->nodes[1].unschedulable = true;
	world_plan(w);
	for (size_t i = 0; i < 30; i++) {
		const struct plan_vip *pv = &w->plan->vips[i];

		assert_int_equal(priority_of(pv, "node02"), 1);
		if (strcmp(first[i], "node02") != 0)
			assert_string_equal(first[i], first_of(pv));
	}
	world_free(w);
}

/* VIPs that only some nodes may have are spread evenly over those. */
static void test_spread_over_selected_nodes(void **state)
{
	struct world *w = world_new();
	size_t n_first = 0, n_second = 0;

	(void)state;
	while (w->objects.n_nodes < 10)
		world_add_node(w);
	add_many(w, 6);
	for (size_t i = 0; i < 6; i++)
		world_select(&w->vips[i], &w->nodes[1], "a");
	w->nodes[2].labels = w->nodes[1].labels;
	w->nodes[2].n_labels = 1;
	world_plan(w);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(w->plan->vips[i].n_members, 2);
		n_first += strcmp(first_of(&w->plan->vips[i]), "node02") == 0;
		n_second += strcmp(first_of(&w->plan->vips[i]), "node03") == 0;
	}
	assert_int_equal(n_first, 3);
	assert_int_equal(n_second, 3);
	world_free(w);
}

/* Listed ones, and ones that are not run, take no share. */
static void test_only_spread_vips_count(void **state)
{
	struct world *w = world_new();
	size_t n_firsts[3] = {0};

	(void)state;
	add_many(w, 9);
	for (size_t i = 0; i < 9; i += 3) {
		world_add_priority(&w->vips[i], "node01", 250);
		w->vips[i + 1].vip.addresses[0] = w->vips[0].vip.addresses[0]; /* conflicts */
	}
	world_plan(w);
	for (size_t i = 2; i < 9; i += 3) {
		unsigned int node;

		assert_int_equal(w->plan->vips[i].refused, PLAN_OK);
		assert_int_equal(sscanf(first_of(&w->plan->vips[i]), "node%u", &node), 1);
		n_firsts[node - 1]++;
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(n_firsts[i], 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_ranks_of_many_nodes),
		cmocka_unit_test(test_spread_is_even),
		cmocka_unit_test(test_all_nodes_agree),
		cmocka_unit_test(test_a_newcomer_moves_nobody),
		cmocka_unit_test(test_cordon_moves_only_its_own),
		cmocka_unit_test(test_spread_over_selected_nodes),
		cmocka_unit_test(test_only_spread_vips_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
