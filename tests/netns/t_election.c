/*
 * Two election threads on one segment, each in a namespace of its own. This program is their control and their
 * switchover: it does every order at once and writes down what happens. timeout: 240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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
	struct election_record conflict, peer, checksum;
	struct election_counters counters;
	unsigned int n_removed, n_stopped, n_roles;
	struct switchover_order orders[HISTORY];
	unsigned int n_orders;
	bool serves;
};

static struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void side_open(struct side *s, int index)
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

static void record(struct side *s, const struct election_record *r)
{
	switch (r->type) {
	case ELECTION_ROLE:
		s->state = r->state;
		s->why = r->why;
		s->n_roles++;
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
	case ELECTION_SENSE:
		/* While a link is down, or of a peer that does not answer. */
		return;
	}
}

static void obey(struct side *s, const struct switchover_order *o)
{
	const struct switchover_done done = {.vip_id = o->vip_id, .seq = o->seq, .type = o->type};

	s->orders[s->n_orders++ % HISTORY] = *o;
	s->serves = o->type == SWITCHOVER_TAKE;
	assert_true(ring_push(s->rings.dones, &done));
}

static void pump_side(struct side *s)
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

static void pump(void)
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

static void pump_for(uint64_t ns)
{
	uint64_t end_ns = mono_now_ns() + ns;

	while (mono_now_ns() < end_ns)
		pump();
}

static void conf_v4(struct side *s, uint8_t version, uint8_t priority)
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

static void conf_v6(struct side *s, uint8_t priority)
{
	conf_v4(s, 3, priority);
	s->conf.vrrp.family = AF_INET6;
	s->conf.vrrp.source = ip(s->index ? "fe80::12" : "fe80::11");
	s->conf.addrs[0] = s->conf.vrrp.source;
	s->conf.addrs[1] = s->conf.vips[0] = ip("fd09::100");
	s->conf.n_addrs = 2;
}

static void command(struct side *s, enum election_cmd_type type)
{
	struct election_cmd cmd = {.type = type, .vip_id = VIP};

	if (type == ELECTION_SET) {
		cmd.conf = calloc(1, sizeof(*cmd.conf));
		assert_non_null(cmd.conf);
		s->conf.generation++;
		*cmd.conf = s->conf;
		s->n_sent++;
	}
	assert_true(ring_push(s->rings.cmds, &cmd));
}

static const struct switchover_order *last_order(const struct side *s)
{
	return &s->orders[(s->n_orders - 1) % HISTORY];
}

static int open_both(void **state)
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

static void side_close(struct side *s)
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

static int close_both(void **state)
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

static void start_both(void)
{
	command(&a, ELECTION_SET);
	command(&b, ELECTION_SET);
	until(a.state == VRRP_ACTIVE && b.state == VRRP_BACKUP && a.serves);
	until(addr_eq(&b.peer.source, &a.conf.vrrp.source));
	assert_int_equal(b.peer.priority, a.conf.vrrp.priority);
	assert_false(b.serves);
}

/* The story of a link: lost, taken over, back, preempted; then a graceful end. */
static void whole_story(void)
{
	start_both();
	assert_false(last_order(&a)->suspect);

	pair_enter(&pair, 0);
	pair_sh("ip link set va down");
	until(a.state == VRRP_INIT && !a.serves);
	assert_int_equal(a.why, VRRP_WHY_FAULT);
	until(b.state == VRRP_ACTIVE && b.serves);
	assert_int_equal(b.why, VRRP_WHY_TIMEOUT);
	assert_true(last_order(&b)->suspect);
	assert_true(addr_eq(&last_order(&b)->source, &a.conf.vrrp.source));

	pair_sh("ip link set va up");
	if (a.conf.vrrp.family == AF_INET6)
		pair_sh("ip addr replace fe80::11/64 dev va nodad");
	until(a.state == VRRP_ACTIVE && b.state == VRRP_BACKUP && a.serves && !b.serves);
	assert_int_equal(b.why, VRRP_WHY_HIGHER);

	command(&a, ELECTION_STOP_ALL);
	until(a.n_stopped == 1 && b.state == VRRP_ACTIVE && b.serves && !a.serves);
	assert_int_equal(b.why, VRRP_WHY_PEER_RELEASED);
	assert_false(last_order(&b)->suspect);
}

static void story_v3(void **state)
{
	(void)state;
	conf_v4(&a, 3, 200);
	conf_v4(&b, 3, 100);
	whole_story();
}

static void story_v2_with_password(void **state)
{
	(void)state;
	conf_v4(&a, 2, 254);
	conf_v4(&b, 2, 253);
	a.conf.has_auth = b.conf.has_auth = true;
	memcpy(a.conf.auth, "password", VRRP_AUTH_LEN);
	memcpy(b.conf.auth, "password", VRRP_AUTH_LEN);
	whole_story();
}

static void story_v6(void **state)
{
	(void)state;
	conf_v6(&a, 200);
	conf_v6(&b, 100);
	whole_story();
}

static void story_unicast(void **state)
{
	(void)state;
	conf_v4(&a, 3, 200);
	conf_v4(&b, 3, 100);
	a.conf.unicast = b.conf.unicast = true;
	a.conf.n_peers = b.conf.n_peers = 2;
	a.conf.peers[0] = b.conf.peers[0] = ip("10.9.0.11");
	a.conf.peers[1] = b.conf.peers[1] = ip("10.9.0.12");
	whole_story();
}

/* Peers are known by their global addresses, adverts come from link-local ones. */
static void story_unicast_v6(void **state)
{
	(void)state;
	conf_v6(&a, 200);
	conf_v6(&b, 100);
	a.conf.unicast = b.conf.unicast = true;
	a.conf.n_peers = b.conf.n_peers = 1;
	a.conf.peers[0] = ip("fd09::12");
	b.conf.peers[0] = ip("fd09::11");
	start_both();
	command(&a, ELECTION_STOP_ALL);
	until(a.n_stopped == 1 && b.state == VRRP_ACTIVE && b.serves);
	assert_int_equal(b.why, VRRP_WHY_PEER_RELEASED);
}

static void handover_and_removal(void **state)
{
	(void)state;
	conf_v4(&a, 3, 200);
	conf_v4(&b, 3, 100);
	start_both();
	/* Cordoned: priority 1, and the role goes at once. */
	a.conf.vrrp.priority = 1;
	command(&a, ELECTION_SET);
	command(&a, ELECTION_HANDOVER);
	until(a.state == VRRP_BACKUP && b.state == VRRP_ACTIVE && b.serves && !a.serves);
	assert_int_equal(a.why, VRRP_WHY_HANDOVER);
	/* Removed there, it comes back, though its priority is 1. */
	command(&b, ELECTION_REMOVE);
	until(b.n_removed == 1 && a.state == VRRP_ACTIVE && a.serves && !b.serves);
	/* Nobody knows it: removed at once. */
	command(&b, ELECTION_REMOVE);
	until(b.n_removed == 2);
	/* And nobody to hand over to. */
	command(&a, ELECTION_HANDOVER);
	until(a.why == VRRP_WHY_NO_SUCCESSOR);
	assert_int_equal(a.state, VRRP_ACTIVE);
	assert_true(a.serves);
}

/* What is on the wire at b, by VRID, version and priority. */
static int open_ear(void)
{
	struct verr err = {0};
	int fd;

	pair_enter(&pair, 1);
	fd = l2_vrrp_rx_socket(AF_INET, pair.ifindex[1], "vb", &err);
	assert_true(fd >= 0);
	return fd;
}

static void until_heard(int ear, uint8_t version, uint8_t vrid, uint8_t priority)
{
	uint64_t give_up_ns = mono_now_ns() + PATIENCE_NS;

	for (;;) {
		uint8_t bufs[8][L2_VRRP_BUF];
		struct l2_vrrp_packet got[8];
		int n = l2_vrrp_receive(ear, AF_INET, bufs, 8, got);

		for (int k = 0; k < n; k++) {
			struct vrrp_advert v;
			enum vrrp_checksum csum;

			assert_int_equal(vrrp_advert_parse(got[k].msg, got[k].len, &got[k].src,
							   &got[k].dst, &v, &csum),
					 VRRP_RX_OK);
			if (v.version == version && v.vrid == vrid && v.priority == priority)
				return;
		}
		if (mono_now_ns() > give_up_ns)
			fail_msg("no advert of version %u, VRID %u, priority %u", version, vrid,
				 priority);
		pump();
	}
}

static void identity_changes_while_active(void **state)
{
	AUTO(fd_close_p) int ear = -1;
	unsigned int n_roles;

	(void)state;
	conf_v4(&a, 3, 200);
	conf_v4(&b, 3, 100);
	start_both();
	ear = open_ear();

	a.conf.vrrp.vrid = 52;
	n_roles = b.n_roles;
	command(&a, ELECTION_SET);
	until(a.why == VRRP_WHY_RESUME);
	assert_int_equal(a.state, VRRP_ACTIVE);
	until_heard(ear, 3, 52, 200);
	until_heard(ear, 3, 51, 200);
	/* b still knows the old identity, hears it, and stays what it is. */
	pump_for(NS_PER_S);
	assert_int_equal(b.n_roles, n_roles);
	b.conf.vrrp.vrid = 52;
	command(&b, ELECTION_SET);
	until(b.n_roles > n_roles);
	pump_for(NS_PER_S);
	assert_int_equal(b.state, VRRP_BACKUP);
	assert_int_equal(a.state, VRRP_ACTIVE);
	assert_true(a.serves);

	/* The version, and soon after a password: three identities at once. */
	a.conf.vrrp.version = 2;
	a.conf.vrrp.period_ns = NS_PER_S;
	command(&a, ELECTION_SET);
	until_heard(ear, 2, 52, 200);
	until_heard(ear, 3, 52, 200);
	a.conf.has_auth = true;
	memcpy(a.conf.auth, "1111\0\0\0\0", VRRP_AUTH_LEN);
	command(&a, ELECTION_SET);
	until_heard(ear, 3, 51, 200);
	until_heard(ear, 3, 52, 200);
	until_heard(ear, 2, 52, 200);
	assert_int_equal(b.state, VRRP_BACKUP);
}

static void strangers_are_told_of(void **state)
{
	(void)state;
	conf_v4(&a, 2, 200);
	conf_v4(&b, 2, 100);
	a.conf.has_auth = b.conf.has_auth = true;
	memcpy(a.conf.auth, "right\0\0\0", VRRP_AUTH_LEN);
	memcpy(b.conf.auth, "wrong\0\0\0", VRRP_AUTH_LEN);
	command(&a, ELECTION_SET);
	until(a.state == VRRP_ACTIVE);
	command(&b, ELECTION_SET);
	until(b.conflict.rx == VRRP_RX_AUTH && b.counters.rejected[VRRP_RX_AUTH] >= 2);
	assert_true(addr_eq(&b.conflict.source, &a.conf.vrrp.source));
	assert_int_equal(b.counters.received, 0);
	/* Neither hears the other: both serve. */
	until(b.state == VRRP_ACTIVE);
	assert_int_equal(b.why, VRRP_WHY_NOBODY);
	memcpy(b.conf.auth, "right\0\0\0", VRRP_AUTH_LEN);
	b.conf.addrs[0] = b.conf.vips[0] = ip("10.9.0.101");
	command(&b, ELECTION_SET);
	until(b.state == VRRP_BACKUP && !b.serves);
	/* Another address list is a matter for people, not for the election. */
	until(b.conflict.rx == VRRP_RX_OK && b.counters.addr_mismatch > 0);
	assert_int_equal(a.state, VRRP_ACTIVE);
}

static void the_checksum_form_is_mirrored(void **state)
{
	const struct vrrp_advert advert = {.version = 3,
					   .vrid = 51,
					   .priority = 250,
					   .period_ns = 100 * NS_PER_MS,
					   .n_addrs = 1,
					   .addrs = {ip("10.9.0.100")}};
	struct addr src = ip("10.9.0.12"), dst = l2_vrrp_group(AF_INET);
	uint8_t buf[VRRP_PACKET_MAX];
	struct l2_vrrp_out out = {.msg = buf, .src = src, .dst = dst};
	struct verr err;
	AUTO(fd_close_p) int tx = -1;

	(void)state;
	conf_v4(&a, 3, 100);
	command(&a, ELECTION_SET);
	until(a.state == VRRP_ACTIVE);
	pair_enter(&pair, 1);
	tx = l2_vrrp_tx_socket(AF_INET, pair.ifindex[1], "vb", &err);
	assert_true(tx >= 0);
	out.len = vrrp_advert_emit(&advert, &src, &dst, VRRP_CSUM_PLAIN, buf, sizeof(buf));
	assert_int_equal(l2_vrrp_send(tx, AF_INET, pair.ifindex[1], &out, 1), 1);
	until(a.checksum.type == ELECTION_CHECKSUM);
	assert_int_equal(a.checksum.csum, VRRP_CSUM_PLAIN);
	until(a.state == VRRP_BACKUP && !a.serves);
	until(a.state == VRRP_ACTIVE && a.serves);
}

static void announcements_follow_the_switchover(void **state)
{
	AUTO(fd_close_p) int arp = -1;
	struct verr err;

	(void)state;
	pair_enter(&pair, 1);
	arp = l2_arp_socket(pair.ifindex[1], &err);
	assert_true(arp >= 0);
	conf_v4(&a, 3, 200);
	command(&a, ELECTION_SET);
	/* Active, but switchover has not said that the address is there: not a word. */
	while (!pair_readable(ring_fd(a.rings.orders), 100))
		;
	assert_false(pair_readable(arp, 300));
	for (int k = 0; k < 4; k++) {
		uint8_t frame[L2_FRAME_MAX];
		struct l2_arp got;
		ssize_t len;

		while (!pair_readable(arp, 0))
			pump();
		len = read(arp, frame, sizeof(frame));
		assert_int_equal(l2_arp_parse(frame, (size_t)len, &got), 0);
		assert_int_equal(got.request, k % 2 == 0);
		assert_true(addr_eq(&got.sender, &a.conf.vips[0]));
		assert_true(mac_eq(&got.sender_mac, &a.conf.mac));
	}
}

static void a_flood_of_junk_changes_nothing(void **state)
{
	static uint8_t junk[64][64];
	struct l2_vrrp_out out[64];
	struct verr err;
	unsigned int a_roles, b_roles;
	AUTO(fd_close_p) int tx = -1;

	(void)state;
	conf_v4(&a, 3, 200);
	conf_v4(&b, 3, 100);
	start_both();
	a_roles = a.n_roles;
	b_roles = b.n_roles;
	pair_enter(&pair, 1);
	tx = l2_vrrp_tx_socket(AF_INET, pair.ifindex[1], "vb", &err);
	assert_true(tx >= 0);
	for (size_t k = 0; k < ARRAY_LEN(out); k++) {
		junk[k][0] = 0x31;
		junk[k][1] = 51;
		junk[k][2] = 255;
		out[k] = (struct l2_vrrp_out){.msg = junk[k],
					      .len = k,
					      .src = ip("10.9.0.12"),
					      .dst = l2_vrrp_group(AF_INET)};
	}
	for (int round = 0; round < 300; round++) {
		(void)l2_vrrp_send(tx, AF_INET, pair.ifindex[1], out, ARRAY_LEN(out));
		pump();
	}
	until(a.counters.rejected[VRRP_RX_LENGTH] + a.counters.rejected[VRRP_RX_CHECKSUM] > 1000);
	assert_int_equal(a.n_roles, a_roles);
	assert_int_equal(b.n_roles, b_roles);
}

static void faults_and_their_end(void **state)
{
	(void)state;
	conf_v4(&a, 3, 200);
	a.conf.may_start = false;
	a.conf.adopted = true;
	command(&a, ELECTION_SET);
	pump_for(NS_PER_S / 2);
	assert_int_equal(a.n_roles, 0);
	assert_int_equal(a.n_orders, 0);
	a.conf.may_start = true;
	command(&a, ELECTION_SET);
	until(a.state == VRRP_ACTIVE && a.serves);
	/* Its source address goes, and comes back. */
	a.conf.has_source = false;
	command(&a, ELECTION_SET);
	until(a.state == VRRP_INIT && !a.serves);
	a.conf.has_source = true;
	command(&a, ELECTION_SET);
	until(a.state == VRRP_ACTIVE && a.serves);
	/* A new identity that cannot run takes nothing with it. */
	a.conf.has_source = false;
	a.conf.vrrp.vrid = 99;
	command(&a, ELECTION_SET);
	until(a.state == VRRP_INIT && !a.serves);
}

/* Runs side a as a process of its own, which says of each order on `pipe` what it is. */
static void be_side_a(int pipe_fd)
{
	unsigned int told = 0;

	side_open(&a, 0);
	conf_v4(&a, 3, 200);
	a.conf.vrrp.preempt = false;
	command(&a, ELECTION_SET);
	for (;;) {
		struct pollfd p[] = {{ring_fd(a.rings.records), POLLIN, 0},
				     {ring_fd(a.rings.orders), POLLIN, 0}};

		(void)poll(p, ARRAY_LEN(p), -1);
		pump_side(&a);
		for (; told < a.n_orders; told++) {
			uint8_t what = (uint8_t)a.orders[told % HISTORY].type;

			if (write(pipe_fd, &what, 1) != 1)
				_exit(1);
		}
	}
}

/* Switchover that does not know the VIP yet, or whose answer is lost, is asked again. */
static void orders_are_given_until_done(void **state)
{
	struct switchover_order o = {0};
	struct switchover_done done;

	(void)state;
	conf_v4(&a, 3, 200);
	command(&a, ELECTION_SET);
	for (int k = 0; k < 3; k++) {
		uint32_t seq = o.seq;

		assert_true(pair_readable(ring_fd(a.rings.orders), 20000));
		ring_clear_fd(a.rings.orders);
		assert_true(ring_pop(a.rings.orders, &o));
		assert_int_equal(o.type, SWITCHOVER_TAKE);
		assert_true(k == 0 || o.seq == seq);
		done = (struct switchover_done){
			.vip_id = VIP, .seq = o.seq, .type = o.type, .error = -ENOENT};
		if (k == 0)
			assert_true(ring_push(a.rings.dones, &done));
	}
	done.error = 0;
	assert_true(ring_push(a.rings.dones, &done));
	assert_false(pair_readable(ring_fd(a.rings.orders), 2500));
}

static unsigned int count_from_a(int ear)
{
	struct addr from_a = ip("10.9.0.11");
	unsigned int count = 0;
	uint8_t bufs[8][L2_VRRP_BUF];
	struct l2_vrrp_packet got[8];
	int n;

	while ((n = l2_vrrp_receive(ear, AF_INET, bufs, 8, got)) > 0) {
		for (int k = 0; k < n; k++)
			count += addr_eq(&got[k].src, &from_a);
	}
	return count;
}

/* Stopped for longer than its down interval, it wakes up, gives the addresses back, and says nothing. */
static void a_frozen_agent_wakes_as_a_backup(void **state)
{
	AUTO(fd_close_p) int ear = open_ear();
	int pipe_fds[2];
	uint8_t what = 99;
	pid_t child;
	unsigned int n_roles;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_side_a(pipe_fds[1]);
	}
	assert_int_equal(read(pipe_fds[0], &what, 1), 1);
	assert_int_equal(what, SWITCHOVER_TAKE);
	side_open(&b, 1);
	conf_v4(&b, 3, 100);
	command(&b, ELECTION_SET);
	until(b.state == VRRP_BACKUP && addr_is_set(&b.peer.source));

	assert_int_equal(kill(child, SIGSTOP), 0);
	until(b.state == VRRP_ACTIVE && b.serves);
	n_roles = b.n_roles;
	(void)count_from_a(ear);
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(read(pipe_fds[0], &what, 1), 1);
	assert_int_equal(what, SWITCHOVER_RELEASE);
	pump_for(NS_PER_S);
	assert_int_equal(count_from_a(ear), 0);
	assert_int_equal(b.state, VRRP_ACTIVE);
	assert_int_equal(b.n_roles, n_roles);

	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	command(&b, ELECTION_STOP_ALL);
	until(b.n_stopped == 1);
	side_close(&b);
}

int main(void)
{
#define with_both(test) cmocka_unit_test_setup_teardown(test, open_both, close_both)
	const struct CMUnitTest tests[] = {
		with_both(story_v3),
		with_both(story_v2_with_password),
		with_both(story_v6),
		with_both(story_unicast),
		with_both(story_unicast_v6),
		with_both(handover_and_removal),
		with_both(identity_changes_while_active),
		with_both(strangers_are_told_of),
		with_both(the_checksum_form_is_mirrored),
		with_both(announcements_follow_the_switchover),
		with_both(a_flood_of_junk_changes_nothing),
		with_both(faults_and_their_end),
		with_both(orders_are_given_until_done),
		cmocka_unit_test(a_frozen_agent_wakes_as_a_backup),
	};
	int failed;

	pair_open(&pair);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pair_close(&pair);
	return failed;
}
