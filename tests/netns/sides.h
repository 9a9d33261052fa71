/*
 * sides: two election threads on one segment, a and b, each in a namespace of its own (pair.h). The test program is
 * their control and their switchover: it does every order at once and writes down what it is told.
 * Include cmocka.h first.
 */
#ifndef VIPD_TESTS_NETNS_SIDES_H
#define VIPD_TESTS_NETNS_SIDES_H

#include <string.h>

#include "agent/election.h"
#include "l2/l2.h"
#include "pair.h"

#define PATIENCE_NS (20 * NS_PER_S)
#define VIP 7
#define HISTORY 256

static struct pair pair;

struct side {
	struct election_rings rings;
	struct election *e;
	int index;
	struct election_conf conf; /* as last sent */
	unsigned int n_sent, n_freed;
	enum vrrp_state state;
	enum vrrp_why why;
	struct election_record conflict, suspect, peer, checksum;
	struct election_counters counters;
	unsigned int n_removed, n_stopped, n_pongs, n_roles;
	struct switchover_order orders[HISTORY];
	unsigned int n_orders;
	bool serves;
};

static inline struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline void side_open(struct side *s, int index)
{
	struct verr err = {0};

	*s = (struct side){.index = index};
	assert_int_equal(ring_new(sizeof(struct election_cmd), 64, &s->rings.cmds, &err), 0);
	assert_int_equal(ring_new(sizeof(struct election_record), 64, &s->rings.records, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_order), 64, &s->rings.orders, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_done), 64, &s->rings.dones, &err), 0);
	pair_enter(&pair, index);
	if (election_start(&s->rings, &s->e, &err) < 0)
		fail_msg("%s: %s", err.msg, strerror(err.code));
}

static inline void record(struct side *s, const struct election_record *r)
{
	switch (r->type) {
	case ELECTION_ROLE:
		s->state = r->state;
		s->why = r->why;
		s->n_roles++;
		return;
	case ELECTION_SUSPECT:
		s->suspect = *r;
		return;
	case ELECTION_PEER:
		s->peer = *r;
		return;
	case ELECTION_COUNTERS:
		s->counters = r->counters;
		return;
	case ELECTION_CONFLICT:
		s->conflict = *r;
		return;
	case ELECTION_CHECKSUM:
		s->checksum = *r;
		return;
	case ELECTION_REMOVED:
		s->n_removed++;
		return;
	case ELECTION_STOPPED:
		s->n_stopped++;
		return;
	case ELECTION_FREE:
		free(r->conf);
		s->n_freed++;
		return;
	case ELECTION_PONG:
		s->n_pongs++;
		return;
	case ELECTION_SENSE:
		/* While a link is down, or of a peer that does not answer. */
		return;
	}
}

static inline void obey(struct side *s, const struct switchover_order *o)
{
	const struct switchover_done done = {.vip_id = o->vip_id, .seq = o->seq, .type = o->type};

	s->orders[s->n_orders++ % HISTORY] = *o;
	s->serves = o->type == SWITCHOVER_TAKE;
	/* A full ring may refuse it: election asks again until it has an answer. */
	(void)ring_push(s->rings.dones, &done);
}

static inline void pump_side(struct side *s)
{
	struct election_record r;
	struct switchover_order o;

	ring_clear_fd(s->rings.records);
	while (ring_pop(s->rings.records, &r))
		record(s, &r);
	ring_clear_fd(s->rings.orders);
	while (ring_pop(s->rings.orders, &o))
		obey(s, &o);
}

static struct side a, b;

static inline void pump(void)
{
	struct side *sides[] = {&a, &b};
	struct pollfd p[4];
	nfds_t n = 0;

	for (size_t k = 0; k < ARRAY_LEN(sides); k++) {
		if (!sides[k]->e)
			continue;
		p[n++] = (struct pollfd){ring_fd(sides[k]->rings.records), POLLIN, 0};
		p[n++] = (struct pollfd){ring_fd(sides[k]->rings.orders), POLLIN, 0};
	}
	(void)poll(p, n, 20);
	for (size_t k = 0; k < ARRAY_LEN(sides); k++) {
		if (sides[k]->e)
			pump_side(sides[k]);
	}
}

/* Until it is so. How long it takes is not what is tested here. */
#define until(condition)                                                                      \
	do {                                                                                  \
		uint64_t give_up_ns = mono_now_ns() + PATIENCE_NS;                            \
		while (!(condition)) {                                                        \
			if (mono_now_ns() > give_up_ns)                                       \
				fail_msg("never: %s (a %s, b %s)", #condition,                \
					 vrrp_state_name(a.state), vrrp_state_name(b.state)); \
			pump();                                                               \
		}                                                                             \
	} while (0)

static inline void pump_for(uint64_t ns)
{
	uint64_t end_ns = mono_now_ns() + ns;

	while (mono_now_ns() < end_ns)
		pump();
}

static inline void conf_v4(struct side *s, uint8_t version, uint8_t priority)
{
	struct election_conf *c = &s->conf;

	*c = (struct election_conf){.vip_id = VIP,
				    .vrrp = {.version = version,
					     .family = AF_INET,
					     .vrid = 51,
					     .priority = priority,
					     .period_ns = version == 2 ? NS_PER_S : 100 * NS_PER_MS,
					     .preempt = true,
					     .source = ip(s->index ? "10.9.0.12" : "10.9.0.11")},
				    .ifindex = pair.ifindex[s->index],
				    .mac = {{2, 0, 0, 0, 0, s->index ? 0x12 : 0x11}},
				    .link_up = true,
				    .has_source = true,
				    .may_start = true,
				    .n_addrs = 1,
				    .n_vips = 1};
	memcpy(c->ifname, s->index ? "vb" : "va", 3);
	c->addrs[0] = c->vips[0] = ip("10.9.0.100");
}

static inline void conf_v6(struct side *s, uint8_t priority)
{
	conf_v4(s, 3, priority);
	s->conf.vrrp.family = AF_INET6;
	s->conf.vrrp.source = ip(s->index ? "fe80::12" : "fe80::11");
	s->conf.addrs[0] = s->conf.vrrp.source;
	s->conf.addrs[1] = s->conf.vips[0] = ip("fd09::100");
	s->conf.n_addrs = 2;
}

static inline void command(struct side *s, enum election_cmd_type type)
{
	struct election_cmd cmd = {.type = type, .vip_id = VIP};

	if (type == ELECTION_SET) {
		cmd.conf = calloc(1, sizeof(*cmd.conf));
		assert_non_null(cmd.conf);
		*cmd.conf = s->conf;
		s->n_sent++;
	}
	assert_true(ring_push(s->rings.cmds, &cmd));
}

static inline const struct switchover_order *last_order(const struct side *s)
{
	return &s->orders[(s->n_orders - 1) % HISTORY];
}

static inline int open_both(void **state)
{
	(void)state;
	pair_enter(&pair, 0);
	pair_sh("ip link set va up");
	pair_sh("ip addr replace fe80::11/64 dev va nodad"); /* IPv6 goes with the link */
	pair_sh("ip addr replace fd09::11/64 dev va nodad");
	side_open(&a, 0);
	side_open(&b, 1);
	return 0;
}

static inline void side_close(struct side *s)
{
	/* Every configuration came back, and the addresses are nobody's. */
	assert_int_equal(s->n_freed, s->n_sent);
	assert_false(s->serves);
	election_join(s->e);
	ring_free(s->rings.cmds);
	ring_free(s->rings.records);
	ring_free(s->rings.orders);
	ring_free(s->rings.dones);
	s->e = NULL;
}

static inline int close_both(void **state)
{
	struct side *sides[] = {&a, &b};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sides); k++) {
		struct side *s = sides[k];

		if (s->n_stopped == 0) {
			command(s, ELECTION_STOP_ALL);
			until(s->n_stopped == 1);
		}
	}
	side_close(&a);
	side_close(&b);
	return 0;
}

static inline void start_both(void)
{
	command(&a, ELECTION_SET);
	command(&b, ELECTION_SET);
	/* Where the machine stalls b may have had its turn: it serves a moment longer than it is active. */
	until(a.state == VRRP_ACTIVE && b.state == VRRP_BACKUP && a.serves && !b.serves);
	until(addr_eq(&b.peer.source, &a.conf.vrrp.source));
	assert_int_equal(b.peer.priority, a.conf.vrrp.priority);
	assert_false(b.serves);
}

/* What is on the wire at b. */
static inline int open_ear(void)
{
	struct verr err = {0};
	int fd;

	pair_enter(&pair, 1);
	fd = l2_vrrp_rx_socket(AF_INET, pair.ifindex[1], "vb", &err);
	assert_true(fd >= 0);
	return fd;
}

#endif
