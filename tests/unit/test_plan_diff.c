/* plan: the operations from what the kernel has to what it should have. */
#include "plan_model.h"

/* ---- a state by hand ---- */

struct state {
	struct world *w;
	struct world_vip *ssh;
	struct plan_kernel want, have;
	struct addr owned[WORLD_VIPS];
	size_t n_owned;
	struct plan_ops ops;
};

/* By identity, and each but once. */
static void assert_in_order(const struct plan_kernel *k)
{
	for (size_t i = 1; i < k->n_services; i++)
		assert_true(plan_service_cmp(&k->services[i - 1], &k->services[i]) < 0);
	for (size_t i = 1; i < k->n_elems; i++)
		assert_true(plan_elem_cmp(&k->elems[i - 1], &k->elems[i]) < 0);
	for (size_t i = 1; i < k->n_routes; i++)
		assert_true(addr_cmp(&k->routes[i - 1].addr, &k->routes[i].addr) < 0);
	for (size_t i = 1; i < k->n_links; i++)
		assert_true(k->links[i - 1].ifindex < k->links[i].ifindex);
}

static void want(struct state *s)
{
	plan_kernel_done(&s->want);
	world_plan(s->w);
	assert_int_equal(plan_kernel_want(s->w->plan, &s->w->facts, world_verdict, s->w, &s->want),
			 0);
	assert_in_order(&s->want);
}

static void diff(struct state *s)
{
	plan_ops_done(&s->ops);
	qsort(s->owned, s->n_owned, sizeof(*s->owned), addr_order);
	assert_int_equal(plan_diff(&s->want, &s->have, s->owned, s->n_owned, &s->ops), 0);
}

/* One VIP, with everything of it in the kernel. */
static void state_init(struct state *s)
{
	*s = (struct state){.w = world_new()};
	s->ssh = world_add_vip(s->w, "ssh", "192.168.44.120");
	want(s);
	s->have = model_new(&s->want);
	s->owned[s->n_owned++] = ip("192.168.44.120");
}

static void state_done(struct state *s)
{
	plan_kernel_done(&s->want);
	plan_kernel_done(&s->have);
	plan_ops_done(&s->ops);
	world_free(s->w);
}

static const struct plan_op *only(const struct state *s, enum plan_op_type type)
{
	assert_int_equal(s->ops.n, 1);
	assert_int_equal(s->ops.items[0].type, type);
	return &s->ops.items[0];
}

/* The A:P service; firewall-mark services sort behind. */
static struct plan_service *service(struct plan_kernel *k)
{
	assert_int_equal(k->services[0].fwmark, 0);
	return &k->services[0];
}

/* ---- single things ---- */

static void test_equal_is_nothing(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	diff(&s);
	assert_int_equal(s.ops.n, 0);
	/* counters and the kernel's order of destinations are no difference */
	struct plan_service *svc = service(&s.have);
	struct plan_dest d = svc->dests[0];

	svc->conns = 7;
	svc->dests[0] = svc->dests[2];
	svc->dests[2] = d;
	svc->dests[2].active = 3;
	diff(&s);
	assert_int_equal(s.ops.n, 0);
	state_done(&s);
}

static void test_from_nothing(void **state)
{
	static const enum plan_op_type types[] = {
		PLAN_OP_LINKCONF, PLAN_OP_ROUTE_ADD,  PLAN_OP_SERVICE_ADD, PLAN_OP_SERVICE_ADD,
		PLAN_OP_DEST_ADD, PLAN_OP_DEST_ADD,   PLAN_OP_DEST_ADD,    PLAN_OP_DEST_ADD,
		PLAN_OP_TIMEOUT,  PLAN_OP_SYNC_START, PLAN_OP_SYNC_START,
	};
	struct state s;

	(void)state;
	state_init(&s);
	plan_kernel_done(&s.have);
	diff(&s);
	assert_int_equal(s.ops.n, ARRAY_LEN(types) + s.want.n_elems);
	for (size_t i = 0; i < s.ops.n; i++) {
		enum plan_op_type type = i < ARRAY_LEN(types) ? types[i] : PLAN_OP_ELEM_ADD;

		assert_int_equal(s.ops.items[i].type, type);
	}
	/* destinations in the same order on every node: by address */
	for (unsigned int i = 0; i < 3; i++)
		assert_true(addr_eq(&s.ops.items[4 + i].dest.addr, &s.w->ips[i][0]));
	assert_true(s.ops.items[9].sync_master);
	assert_false(s.ops.items[10].sync_master);
	state_done(&s);
}

static void test_to_nothing(void **state)
{
	static const enum plan_op_type types[] = {PLAN_OP_SERVICE_DEL, PLAN_OP_SERVICE_DEL,
						  PLAN_OP_ROUTE_DEL};
	struct state s;

	(void)state;
	state_init(&s);
	s.w->objects.n_vips = 0;
	want(&s);
	diff(&s);
	assert_int_equal(s.ops.n, 2 + s.have.n_elems + ARRAY_LEN(types));
	assert_int_equal(s.ops.items[0].type, PLAN_OP_SYNC_STOP);
	assert_int_equal(s.ops.items[1].type, PLAN_OP_SYNC_STOP);
	assert_int_equal(s.ops.items[2].type, PLAN_OP_ELEM_DEL);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_int_equal(s.ops.items[s.ops.n - ARRAY_LEN(types) + i].type, types[i]);
	state_done(&s);
}

static void test_others_services_are_left_alone(void **state)
{
	struct state s;
	struct plan_service foreign[3] = {
		{.family = AF_INET, .protocol = 6, .addr = ip("10.96.0.1"), .port = 443},
		{.family = AF_INET, .protocol = 6, .addr = ip("192.168.44.121"), .port = 22},
		{.family = AF_INET, .fwmark = 0x4000},
	};

	(void)state;
	state_init(&s);
	s.have.services = realloc(s.have.services, 5 * sizeof(*s.have.services));
	assert_non_null(s.have.services);
	memcpy(&s.have.services[2], foreign, sizeof(foreign));
	s.have.n_services = 5;
	plan_kernel_sort(&s.have);
	diff(&s);
	assert_int_equal(s.ops.n, 0);

	/* an address that was ours at the last run; and a mark of a former address of this node */
	s.owned[s.n_owned++] = ip("192.168.44.121");
	diff(&s);
	assert_ip(only(&s, PLAN_OP_SERVICE_DEL)->service.addr, "192.168.44.121");
	s.n_owned = 1;
	for (size_t i = 0; i < s.have.n_services; i++) {
		if (s.have.services[i].fwmark == 0x4000)
			s.have.services[i].fwmark = 0x76000001;
	}
	plan_kernel_sort(&s.have);
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_SERVICE_DEL)->service.fwmark, 0x76000001);
	/* another port of our address is ours */
	s.have.services[1].addr = ip("192.168.44.120");
	plan_kernel_sort(&s.have);
	state_done(&s);
}

static void test_services(void **state)
{
	struct state s;
	struct plan_service *svc;
	const struct plan_op *op;

	(void)state;
	state_init(&s);
	svc = service(&s.have);
	memcpy(svc->scheduler, "rr", 3);
	diff(&s);
	op = only(&s, PLAN_OP_SERVICE_SET);
	assert_string_equal(op->service.scheduler, "mh");
	assert_null(op->service.dests);
	memcpy(svc->scheduler, "mh", 3);

	svc->flags = 0;
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_SERVICE_SET)->service.flags, service(&s.want)->flags);
	/* flags of the kernel's own (2: hashed) are no difference, nor a time-out without persistence */
	svc->flags = service(&s.want)->flags | 2;
	svc->timeout_s = 360;
	diff(&s);
	assert_int_equal(s.ops.n, 0);

	s.ssh->ports[0].persistence_s = 60;
	want(&s);
	diff(&s);
	assert_int_equal(s.ops.items[0].type, PLAN_OP_SERVICE_SET);
	assert_int_equal(s.ops.items[0].service.timeout_s, 60);
	state_done(&s);
}

static void test_dests(void **state)
{
	struct state s;
	struct plan_service *svc;
	const struct plan_op *op;

	(void)state;
	state_init(&s);
	svc = service(&s.have);
	svc->dests[1].weight = 0;
	diff(&s);
	op = only(&s, PLAN_OP_DEST_SET);
	assert_ip(op->service.addr, "192.168.44.120");
	assert_ip(op->dest.addr, "192.168.44.52");
	assert_int_equal(op->dest.weight, 1);
	svc->dests[1].weight = 1;

	svc->dests[0].forward = PLAN_DROUTE;
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_DEST_SET)->dest.forward, PLAN_MASQ);
	svc->dests[0].forward = PLAN_MASQ;

	svc->n_dests = 2;
	diff(&s);
	assert_ip(only(&s, PLAN_OP_DEST_ADD)->dest.addr, "192.168.44.53");
	svc->n_dests = 3;

	/* a replaced one: added before the other is deleted */
	svc->dests[2].addr = ip("192.168.44.99");
	diff(&s);
	assert_int_equal(s.ops.n, 2);
	assert_int_equal(s.ops.items[0].type, PLAN_OP_DEST_ADD);
	assert_int_equal(s.ops.items[1].type, PLAN_OP_DEST_DEL);
	assert_ip(s.ops.items[1].dest.addr, "192.168.44.99");
	state_done(&s);
}

static void test_routes(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	/* another source: replaced, not deleted */
	s.have.routes[0].src = ip("192.168.44.9");
	diff(&s);
	assert_ip(only(&s, PLAN_OP_ROUTE_ADD)->route.src, "192.168.44.51");
	/* two of one address: the wrong one goes */
	s.have.routes = realloc(s.have.routes, 2 * sizeof(*s.have.routes));
	assert_non_null(s.have.routes);
	s.have.routes[1] = s.want.routes[0];
	s.have.n_routes = 2;
	plan_kernel_sort(&s.have);
	diff(&s);
	assert_ip(only(&s, PLAN_OP_ROUTE_DEL)->route.src, "192.168.44.9");
	state_done(&s);
}

static void test_settings(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	s.have.tcp_timeout_s = 900;
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_TIMEOUT)->tcp_timeout_s, 86400);
	s.have.tcp_timeout_s = 100000; /* somebody else's longer one */
	diff(&s);
	assert_int_equal(s.ops.n, 0);

	s.have.links[0].arp_ignore = 0;
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_LINKCONF)->link.arp_ignore, 1);
	assert_int_equal(only(&s, PLAN_OP_LINKCONF)->link.arp_announce, -1);
	s.have.links[0] = (struct plan_linkconf){IFINDEX_ETH0, 2, 0}; /* one of them stricter */
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_LINKCONF)->link.arp_ignore, -1);
	assert_int_equal(only(&s, PLAN_OP_LINKCONF)->link.arp_announce, 2);
	s.have.links[0].arp_ignore = 1;
	s.have.links[0].arp_announce = -1; /* not known */
	diff(&s);
	only(&s, PLAN_OP_LINKCONF);
	s.have.links[0] = (struct plan_linkconf){IFINDEX_ETH0, 2, 2}; /* stricter for all */
	diff(&s);
	assert_int_equal(s.ops.n, 0);
	/* other links are not touched */
	s.have.links[0].ifindex = IFINDEX_ETH1;
	diff(&s);
	assert_int_equal(only(&s, PLAN_OP_LINKCONF)->link.ifindex, IFINDEX_ETH0);
	state_done(&s);
}

static void test_sync(void **state)
{
	struct state s;

	(void)state;
	state_init(&s);
	memcpy(s.have.master.ifname, "eth1", 5);
	diff(&s);
	assert_int_equal(s.ops.n, 2);
	assert_int_equal(s.ops.items[0].type, PLAN_OP_SYNC_STOP);
	assert_string_equal(s.ops.items[0].sync.ifname, "eth1");
	assert_int_equal(s.ops.items[1].type, PLAN_OP_SYNC_START);
	assert_string_equal(s.ops.items[1].sync.ifname, "eth0");
	assert_true(s.ops.items[0].sync_master && s.ops.items[1].sync_master);

	s.have.master = s.want.master;
	s.have.backup.sync_id = 0;
	diff(&s);
	assert_false(only(&s, PLAN_OP_SYNC_START)->sync_master);
	state_done(&s);
}

static void test_role_sets_are_left_alone(void **state)
{
	struct state s;
	struct plan_elem redirect = {.set = PLAN_SET_REDIRECT,
				     .family = AF_INET,
				     .protocol = 6,
				     .port = 22,
				     .addr = ip("192.168.44.120")};
	struct plan_elem answer = {.set = PLAN_SET_ANSWER,
				   .family = AF_INET,
				   .ifindex = IFINDEX_ETH0,
				   .addr = ip("192.168.44.120")};

	(void)state;
	state_init(&s);
	s.have.elems = realloc(s.have.elems, (s.have.n_elems + 5) * sizeof(*s.have.elems));
	assert_non_null(s.have.elems);
	s.have.elems[s.have.n_elems++] = redirect;
	s.have.elems[s.have.n_elems++] = answer;
	plan_kernel_sort(&s.have);
	diff(&s);
	assert_int_equal(s.ops.n, 0);

	/* left from a VIP or a port that went while no agent ran: nobody's role any more */
	redirect.port = 23;
	s.have.elems[s.have.n_elems++] = redirect;
	redirect.addr = ip("192.168.44.121");
	redirect.port = 22;
	s.have.elems[s.have.n_elems++] = redirect;
	answer.addr = redirect.addr;
	s.have.elems[s.have.n_elems++] = answer;
	plan_kernel_sort(&s.have);
	diff(&s);
	assert_int_equal(s.ops.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(s.ops.items[i].type, PLAN_OP_ELEM_DEL);
	assert_int_equal(s.ops.items[0].elem.port, 23);
	assert_ip(s.ops.items[1].elem.addr, "192.168.44.121");
	assert_int_equal(s.ops.items[2].elem.set, PLAN_SET_ANSWER);
	state_done(&s);
}

/* A changed map value is DEL and ADD side by side, behind the new and before the superfluous. */
static void test_changed_value(void **state)
{
	struct state s;
	struct plan_elem *changed = NULL;

	(void)state;
	state_init(&s);
	for (size_t i = 0; i < s.have.n_elems; i++) {
		if (s.have.elems[i].set == PLAN_MAP_SLOTS)
			changed = &s.have.elems[i];
	}
	assert_non_null(changed);
	changed->value = ip("192.168.44.99");
	/* a service that is missing, and one that is too many */
	for (size_t i = 0; i < s.have.n_elems; i++) {
		if (s.have.elems[i].set == PLAN_SET_SERVICES)
			s.have.elems[i].port = 23;
	}
	plan_kernel_sort(&s.have);
	diff(&s);
	assert_int_equal(s.ops.n, 4);
	assert_int_equal(s.ops.items[0].type, PLAN_OP_ELEM_ADD);
	assert_int_equal(s.ops.items[0].elem.port, 22);
	assert_int_equal(s.ops.items[1].type, PLAN_OP_ELEM_DEL);
	assert_ip(s.ops.items[1].elem.value, "192.168.44.99");
	assert_int_equal(s.ops.items[2].type, PLAN_OP_ELEM_ADD);
	assert_int_equal(plan_elem_cmp(&s.ops.items[1].elem, &s.ops.items[2].elem), 0);
	assert_int_equal(s.ops.items[3].type, PLAN_OP_ELEM_DEL);
	assert_int_equal(s.ops.items[3].elem.port, 23);
	state_done(&s);
}

static void test_batches(void **state)
{
	struct plan_op *items = calloc(600, sizeof(*items));
	struct plan_ops ops = {.items = items};
	size_t end;

	(void)state;
	assert_non_null(items);
	items[ops.n++] = (struct plan_op){.type = PLAN_OP_TIMEOUT};
	items[ops.n++] = (struct plan_op){.type = PLAN_OP_SYNC_START};
	/* one new one, then pairs: a boundary of 256 would cut one in two */
	items[ops.n++] = (struct plan_op){.type = PLAN_OP_ELEM_ADD};
	for (uint16_t i = 0; i < 200; i++) {
		struct plan_elem e = {.set = PLAN_MAP_SLOTS, .port = i};

		items[ops.n++] = (struct plan_op){.type = PLAN_OP_ELEM_DEL, .elem = e};
		items[ops.n++] = (struct plan_op){.type = PLAN_OP_ELEM_ADD, .elem = e};
	}
	items[ops.n++] = (struct plan_op){.type = PLAN_OP_ELEM_DEL, .elem = {.port = 9999}};
	items[ops.n++] = (struct plan_op){.type = PLAN_OP_SERVICE_DEL};

	assert_int_equal(plan_ops_batch_end(&ops, 0), 1);
	assert_int_equal(plan_ops_batch_end(&ops, 1), 2);
	end = plan_ops_batch_end(&ops, 2);
	assert_int_equal(end, 2 + 255);
	assert_int_equal(items[end].type, PLAN_OP_ELEM_DEL);
	end = plan_ops_batch_end(&ops, end);
	assert_int_equal(end, ops.n - 1);
	assert_int_equal(plan_ops_batch_end(&ops, end), ops.n);
	free(items);
}

/* ---- any state to any state ---- */

struct dice {
	uint64_t x;
};

static unsigned int roll(struct dice *d, unsigned int sides)
{
	d->x = d->x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(d->x >> 33) % sides;
}

/* Some VIPs of a pool of twelve, with random ports, servers and healths. */
static void shuffle(struct state *s, struct dice *d)
{
	struct world *w = s->w;
	char name[16], text[ADDR_TEXT_MAX];

	w->objects.n_vips = 0;
	for (unsigned int i = 0; i < 12; i++) {
		struct world_vip *v;

		if (roll(d, 2) == 0)
			continue;
		(void)snprintf(name, sizeof(name), "v%02u", i);
		(void)snprintf(text, sizeof(text), i % 3 == 0 ? "fd00:44::%u" : "192.168.44.%u",
			       200 + i);
		v = world_add_vip(w, name, text);
		if (roll(d, 3) == 0)
			world_add_port(v, 80)->scheduler = (enum api_scheduler)roll(d, 13);
		v->ports[0].scheduler = (enum api_scheduler)roll(d, 13);
		v->ports[0].persistence_s = roll(d, 2) * roll(d, 100);
		v->ports[0].prefer_same_node = roll(d, 4) == 0;
		for (unsigned int j = 1; roll(d, 2) == 0 && j < 6; j++)
			world_add_server(v, i % 3 == 0 ? ip6_of(j) : ip4_of(j), roll(d, 3));
	}
	w->n_verdicts = 0;
	for (unsigned int i = 1; i <= 4; i++)
		world_judge(w, ip4_of(i), roll(d, 2) ? 22 : 0, (enum health_verdict)roll(d, 3));
	w->facts.sync_id = (uint8_t)roll(d, 3);
	w->facts.has_ipvs = roll(d, 8) != 0;
	w->facts.tcp_timeout_s = 100 + roll(d, 3);
	w->facts.n_neighs = roll(d, 7);
	w->addrs[1][0].addr = roll(d, 4) == 0 ? ip("192.168.44.49") : ip4_of(1);
	w->addrs[1][1].addr = roll(d, 4) == 0 ? ip("fd00:44::41") : ip6_of(1);
}

/* What others may do behind our back. */
static void damage(struct plan_kernel *k, struct dice *d)
{
	if (k->n_services > 0 && roll(d, 2) == 0) {
		struct plan_service *s = &k->services[roll(d, (unsigned int)k->n_services)];

		if (s->n_dests > 1 && roll(d, 2) == 0) {
			struct plan_dest first = s->dests[0];

			s->dests[0] = s->dests[--s->n_dests];
			s->dests[s->n_dests] = first;
		}
		s->flags ^= roll(d, 4);
		if (s->n_dests > 0)
			s->dests[0].weight = roll(d, 5);
	}
	if (k->n_elems > 0 && roll(d, 2) == 0)
		k->elems[roll(d, (unsigned int)k->n_elems)].value = ip("192.168.44.77");
	if (k->n_elems > 0 && roll(d, 2) == 0)
		k->n_elems -= roll(d, (unsigned int)k->n_elems);
	if (k->n_routes > 0 && roll(d, 2) == 0)
		k->routes[0].src = ip("192.168.44.78");
	if (k->n_routes > 0 && roll(d, 2) == 0)
		k->n_routes--;
	if (k->n_links > 0 && roll(d, 2) == 0)
		k->links[0].arp_announce = 0;
	if (roll(d, 4) == 0)
		k->master = (struct plan_sync){0};
}

static void own_everything(struct state *s)
{
	char text[ADDR_TEXT_MAX];

	s->n_owned = 0;
	for (unsigned int i = 0; i < 12; i++) {
		(void)snprintf(text, sizeof(text), i % 3 == 0 ? "fd00:44::%u" : "192.168.44.%u",
			       200 + i);
		s->owned[s->n_owned++] = ip(text);
	}
}

static void assert_reached(const struct plan_kernel *got, const struct plan_kernel *w)
{
	assert_int_equal(got->n_services, w->n_services);
	for (size_t i = 0; i < w->n_services; i++) {
		const struct plan_service *a = &got->services[i], *b = &w->services[i];

		assert_int_equal(plan_service_cmp(a, b), 0);
		assert_string_equal(a->scheduler, b->scheduler);
		assert_int_equal(a->n_dests, b->n_dests);
		for (size_t j = 0; j < b->n_dests; j++) {
			assert_int_equal(plan_dest_cmp(&a->dests[j], &b->dests[j]), 0);
			assert_int_equal(a->dests[j].weight, b->dests[j].weight);
			assert_int_equal(a->dests[j].forward, b->dests[j].forward);
		}
	}
	assert_int_equal(got->n_elems, w->n_elems);
	for (size_t i = 0; i < w->n_elems; i++) {
		assert_int_equal(plan_elem_cmp(&got->elems[i], &w->elems[i]), 0);
		assert_true(addr_eq(&got->elems[i].value, &w->elems[i].value));
	}
	assert_int_equal(got->n_routes, w->n_routes);
	for (size_t i = 0; i < w->n_routes; i++) {
		assert_true(addr_eq(&got->routes[i].addr, &w->routes[i].addr));
		assert_true(addr_eq(&got->routes[i].src, &w->routes[i].src));
	}
	assert_int_equal(got->master.sync_id, w->master.sync_id);
	assert_int_equal(got->backup.sync_id, w->backup.sync_id);
	assert_true(got->tcp_timeout_s >= w->tcp_timeout_s);
}

static void test_any_state_to_any_state(void **state)
{
	struct state s;

	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct dice d = {.x = seed};
		enum plan_op_type last = PLAN_OP_LINKCONF;

		state_init(&s);
		plan_kernel_done(&s.have);
		shuffle(&s, &d);
		want(&s);
		s.have = model_new(&s.want);
		damage(&s.have, &d);
		plan_kernel_sort(&s.have);
		shuffle(&s, &d);
		want(&s);
		own_everything(&s);
		diff(&s);
		for (size_t i = 0; i < s.ops.n; i++) {
			enum plan_op_type type = s.ops.items[i].type;

			/* in the safe order, but for the two halves of a changed value */
			if (type != PLAN_OP_ELEM_ADD && type != PLAN_OP_ELEM_DEL) {
				assert_true(type >= last);
				last = type;
			}
			model_apply(&s.have, &s.ops.items[i]);
		}
		plan_kernel_sort(&s.have);
		assert_reached(&s.have, &s.want);
		diff(&s);
		assert_int_equal(s.ops.n, 0);
		state_done(&s);
	}
}

/* The size that the product is made for. VRIDs are per interface: four of them with 250 VIPs each. */
static void test_a_thousand_vips(void **state)
{
	struct state s;
	char name[16], text[ADDR_TEXT_MAX];
	struct plan_role r;
	struct plan_target *t;
	size_t n;

	(void)state;
	state_init(&s);
	while (s.w->objects.n_nodes < 10)
		world_add_node(s.w);
	for (unsigned int i = 1; i <= 4; i++) {
		(void)snprintf(name, sizeof(name), "net%u", i);
		(void)snprintf(text, sizeof(text), "10.%u.0.1", i);
		world_add_link(s.w, 10 + i, name);
		world_add_ifaddr(s.w, 1 + i, ip(text), 16);
	}
	s.w->objects.n_vips = 0;
	s.n_owned = 0;
	for (unsigned int i = 0; i < WORLD_VIPS; i++) {
		(void)snprintf(name, sizeof(name), "v%03u", i);
		(void)snprintf(text, sizeof(text), "10.%u.1.%u", 1 + i % 4, 1 + i / 4);
		s.owned[s.n_owned++] = world_add_vip(s.w, name, text)->vip.addresses[0];
	}
	world_add_server(&s.w->vips[500], ip("10.1.0.1"), 1);
	world_add_server(&s.w->vips[500], ip("10.1.0.2"), 1);
	want(&s);
	plan_kernel_done(&s.have);
	diff(&s);
	assert_int_equal(s.want.n_services, WORLD_VIPS + 1);
	assert_int_equal(s.want.n_routes, WORLD_VIPS);
	assert_int_equal(s.want.n_links, 4);
	/* route, service and 10 destinations each; the mark's service; links, time-out, two daemons */
	assert_int_equal(s.ops.n, WORLD_VIPS * 12 - 8 + 2 + 4 + 1 + 2 + s.want.n_elems);
	assert_int_equal(plan_role_want(s.w->plan, 0, &s.w->facts, world_verdict, s.w, &r), 0);
	assert_int_equal(r.n_services, 1);
	plan_role_done(&r);
	assert_int_equal(plan_targets(s.w->plan, &t, &n), 0);
	/* nine other nodes, this one on four networks, and the listed server that is no node */
	assert_int_equal(n, 9 + 4 + 1);
	free(t);

	/* one weight changes: one operation, and some slots of that port */
	s.have = model_new(&s.want);
	s.w->vips[500].servers[1].weight = 2;
	want(&s);
	diff(&s);
	assert_int_equal(s.ops.items[0].type, PLAN_OP_DEST_SET);
	assert_int_equal(s.ops.items[0].dest.weight, 2);
	assert_int_equal(s.ops.n, 1 + 2 * 2); /* 6:6 becomes 4:8 */
	state_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_is_nothing),
		cmocka_unit_test(test_from_nothing),
		cmocka_unit_test(test_to_nothing),
		cmocka_unit_test(test_others_services_are_left_alone),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_dests),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_role_sets_are_left_alone),
		cmocka_unit_test(test_changed_value),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_any_state_to_any_state),
		cmocka_unit_test(test_a_thousand_vips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
