/*
 * plan_world: a small cluster for the tests of plan: three nodes on one segment, seen from one of them.
 * Everything is a fixed array that a test changes as it likes before world_plan.
 */
#ifndef VIPD_TESTS_PLAN_WORLD_H
#define VIPD_TESTS_PLAN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"

#define WORLD_VIPS 1000
#define WORLD_NODES 260
#define WORLD_ADDRS 8
#define WORLD_LINKS 6
#define WORLD_NEIGHS 128
#define WORLD_SECRETS 2
#define WORLD_SERVERS 16
#define WORLD_PORTS 3

#define IFINDEX_LO 1
#define IFINDEX_ETH0 2
#define IFINDEX_ETH1 3

struct world_vip {
	struct api_vip vip;
	struct api_port ports[WORLD_PORTS];
	struct api_real_server servers[WORLD_SERVERS];
	struct api_priority priorities[4];
};

/* Verdicts: `others` unless an entry says otherwise. */
struct world_verdict {
	struct addr addr;
	uint16_t port; /* 0: every port */
	enum health_verdict verdict;
};

struct world {
	struct world_vip *vips; /* WORLD_VIPS */
	const struct api_vip *vip_ptrs[WORLD_VIPS];
	const struct api_vip *before_ptrs[WORLD_VIPS]; /* used where a test sets vips_before */
	struct api_node nodes[WORLD_NODES];
	const struct api_node *node_ptrs[WORLD_NODES];
	struct addr ips[WORLD_NODES][2];
	struct api_secret secrets[WORLD_SECRETS];
	struct api_secret_entry entries[WORLD_SECRETS][2];
	const struct api_secret *secret_ptrs[WORLD_SECRETS];
	struct plan_link links[WORLD_LINKS];
	struct plan_ifaddr addrs[WORLD_LINKS][WORLD_ADDRS];
	struct plan_neigh neighs[WORLD_NEIGHS];
	struct plan_objects objects;
	struct plan_facts facts;
	enum health_verdict others;
	struct world_verdict verdicts[8];
	size_t n_verdicts;
	struct plan *plan;
};

static inline struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline struct mac mac_of(unsigned int node)
{
	return (struct mac){{0x02, 0, 0, 0, (uint8_t)(node >> 8), (uint8_t)node}};
}

static inline struct addr ip4_of(unsigned int node)
{
	char text[ADDR_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "192.168.%u.%u", 44 + (50 + node) / 256,
		       (50 + node) % 256);
	return ip(text);
}

static inline struct addr ip6_of(unsigned int node)
{
	char text[ADDR_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "fd00:44::%u", 50 + node);
	return ip(text);
}

static inline struct addr link_local_of(unsigned int node)
{
	char text[ADDR_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "fe80::%u", 50 + node);
	return ip(text);
}

static inline struct plan_ifaddr *world_add_ifaddr(struct world *w, size_t link, struct addr a,
						   uint8_t prefix_len)
{
	struct plan_link *l = &w->links[link];

	assert_true(l->n_addrs < WORLD_ADDRS);
	l->addrs[l->n_addrs] = (struct plan_ifaddr){.addr = a, .prefix_len = prefix_len};
	return &l->addrs[l->n_addrs++];
}

static inline void world_add_link(struct world *w, unsigned int ifindex, const char *name)
{
	size_t i = w->facts.n_links++;

	w->links[i] = (struct plan_link){
		.ifindex = ifindex,
		.up = true,
		.ethernet = true,
		.mtu = 1500,
		.addrs = w->addrs[i],
	};
	(void)snprintf(w->links[i].name, sizeof(w->links[i].name), "%s", name);
}

static inline void world_add_neigh(struct world *w, unsigned int ifindex, struct addr a,
				   struct mac m)
{
	assert_true(w->facts.n_neighs < WORLD_NEIGHS);
	w->neighs[w->facts.n_neighs++] =
		(struct plan_neigh){.addr = a, .ifindex = ifindex, .mac = m};
}

/* node01, node02, ... with an IPv4 and an IPv6 InternalIP. */
static inline struct api_node *world_add_node(struct world *w)
{
	size_t i = w->objects.n_nodes++;
	unsigned int number = (unsigned int)i + 1;
	struct api_node *n = &w->nodes[i];

	assert_true(i < WORLD_NODES);
	*n = (struct api_node){.internal_ips = w->ips[i], .n_internal_ips = 2, .ready = true};
	(void)snprintf(n->name, sizeof(n->name), "node%02u", number);
	w->ips[i][0] = ip4_of(number);
	w->ips[i][1] = ip6_of(number);
	w->node_ptrs[i] = n;
	return n;
}

static inline void world_see_node(struct world *w, unsigned int number)
{
	world_add_neigh(w, IFINDEX_ETH0, ip4_of(number), mac_of(number));
	world_add_neigh(w, IFINDEX_ETH0, ip6_of(number), mac_of(number));
	world_add_neigh(w, IFINDEX_ETH0, link_local_of(number), mac_of(number));
}

/* Three nodes, seen from node01; every real server healthy. */
static inline struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->vips = calloc(WORLD_VIPS, sizeof(*w->vips));
	assert_non_null(w->vips);
	w->objects.vips = w->vip_ptrs;
	w->objects.nodes = w->node_ptrs;
	w->objects.secrets = w->secret_ptrs;
	w->objects.secret_namespace = "vipd-system";
	w->objects.by_name = true;
	w->facts.self = "node01";
	w->facts.links = w->links;
	w->facts.neighs = w->neighs;
	w->facts.default_ifindex4 = IFINDEX_ETH0;
	w->facts.default_ifindex6 = IFINDEX_ETH0;
	w->facts.has_ipvs = true;
	w->facts.sync_id = 7;
	w->facts.tcp_timeout_s = 86400;
	w->others = HEALTH_HEALTHY;

	world_add_link(w, IFINDEX_LO, "lo");
	w->links[0].loopback = true;
	w->links[0].ethernet = false;
	world_add_ifaddr(w, 0, ip("127.0.0.1"), 8);
	world_add_ifaddr(w, 0, ip("::1"), 128);
	world_add_link(w, IFINDEX_ETH0, "eth0");
	w->links[1].mac = mac_of(1);
	world_add_ifaddr(w, 1, ip4_of(1), 24);
	world_add_ifaddr(w, 1, ip6_of(1), 64);
	world_add_ifaddr(w, 1, link_local_of(1), 64);

	for (unsigned int i = 1; i <= 3; i++) {
		world_add_node(w);
		if (i > 1)
			world_see_node(w, i);
	}
	return w;
}

static inline void world_free(struct world *w)
{
	plan_free(w->plan);
	free(w->vips);
	free(w);
}

static inline void port_init(struct api_port *p, uint16_t number)
{
	*p = (struct api_port){
		.port = number,
		.protocol = API_TCP,
		.scheduler = API_SCHED_MH,
		.check = {.kind = API_CHECK_TCP,
			  .port = number,
			  .period_ns = 2 * NS_PER_S,
			  .timeout_ns = NS_PER_S,
			  .failure_threshold = 2,
			  .success_threshold = 1},
	};
}

/* One address, port 22/TCP, defaults. The order of calls is not the order of names. */
static inline struct world_vip *world_add_vip(struct world *w, const char *name,
					      const char *address)
{
	size_t i = w->objects.n_vips++;
	struct world_vip *v = &w->vips[i];

	assert_true(i < WORLD_VIPS);
	v->vip = (struct api_vip){
		.n_addresses = 1,
		.version = 3,
		.advert_period_ns = NS_PER_S,
		.preempt_delay_ns = 15 * NS_PER_S,
		.real_servers = v->servers,
		.priorities = v->priorities,
		.ports = v->ports,
		.n_ports = 1,
	};
	(void)snprintf(v->vip.name, sizeof(v->vip.name), "%s", name);
	v->vip.addresses[0] = ip(address);
	v->vip.vrid = v->vip.addresses[0].bytes[addr_len(&v->vip.addresses[0]) - 1];
	port_init(&v->ports[0], 22);
	w->vip_ptrs[i] = &v->vip;
	return v;
}

static inline struct api_port *world_add_port(struct world_vip *v, uint16_t number)
{
	assert_true(v->vip.n_ports < WORLD_PORTS);
	port_init(&v->ports[v->vip.n_ports], number);
	return &v->ports[v->vip.n_ports++];
}

static inline void world_add_server(struct world_vip *v, struct addr a, uint32_t weight)
{
	assert_true(v->vip.n_real_servers < WORLD_SERVERS);
	v->servers[v->vip.n_real_servers++] =
		(struct api_real_server){.address = a, .weight = weight};
}

static inline void world_add_priority(struct world_vip *v, const char *node, uint8_t priority)
{
	struct api_priority *p = &v->priorities[v->vip.n_priorities++];

	(void)snprintf(p->node_name, sizeof(p->node_name), "%s", node);
	p->priority = priority;
}

/* The VIP is for the node with the label role=NAME alone. */
static inline void world_select(struct world_vip *v, struct api_node *n, const char *value)
{
	static char key[] = "role";
	static char values[4][16];
	static char *value_ptrs[4];
	static struct api_requirement reqs[4];
	static struct api_label labels[4];
	size_t i = (size_t)(value[0] - 'a');

	assert_true(i < 4);
	(void)snprintf(values[i], sizeof(values[i]), "%s", value);
	value_ptrs[i] = values[i];
	reqs[i] = (struct api_requirement){
		.key = key, .op = API_OP_IN, .values = &value_ptrs[i], .n_values = 1};
	labels[i] = (struct api_label){.key = key, .value = values[i]};
	v->vip.node_selector = (struct api_selector){.reqs = &reqs[i], .n_reqs = 1};
	if (n) {
		n->labels = &labels[i];
		n->n_labels = 1;
	}
}

static inline void world_plan(struct world *w)
{
	plan_free(w->plan);
	w->plan = NULL;
	assert_int_equal(plan_new(&w->objects, &w->facts, &w->plan), 0);
	assert_int_equal(w->plan->n_vips, w->objects.n_vips);
}

static inline size_t world_idx(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->plan->n_vips; i++) {
		if (strcmp(w->plan->vips[i].vip->name, name) == 0)
			return i;
	}
	fail_msg("no VIP %s in the plan", name);
	return 0;
}

static inline const struct plan_vip *world_get(const struct world *w, const char *name)
{
	return &w->plan->vips[world_idx(w, name)];
}

/* Plans anew and gives the only VIP. */
static inline const struct plan_vip *world_one(struct world *w)
{
	world_plan(w);
	assert_int_equal(w->plan->n_vips, 1);
	return &w->plan->vips[0];
}

static inline void world_judge(struct world *w, struct addr a, uint16_t port,
			       enum health_verdict verdict)
{
	assert_true(w->n_verdicts < ARRAY_LEN(w->verdicts));
	w->verdicts[w->n_verdicts++] =
		(struct world_verdict){.addr = a, .port = port, .verdict = verdict};
}

static inline enum health_verdict world_verdict(const void *user, const struct addr *a,
						const struct api_health_check *check)
{
	const struct world *w = user;

	for (size_t i = 0; i < w->n_verdicts; i++) {
		if (addr_eq(&w->verdicts[i].addr, a) &&
		    (w->verdicts[i].port == 0 || w->verdicts[i].port == check->port))
			return w->verdicts[i].verdict;
	}
	return w->others;
}

#define assert_ip(a, text)                                        \
	do {                                                      \
		char got_[ADDR_TEXT_MAX];                         \
		assert_string_equal(addr_text(&(a), got_), text); \
	} while (0)

#define assert_says(pv, text)                                                     \
	do {                                                                      \
		if (!strstr((pv)->message, text))                                 \
			fail_msg("\"%s\" is not in \"%s\"", text, (pv)->message); \
	} while (0)

#endif
