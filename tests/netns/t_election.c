/* Two elections on one segment: the stories of their lives. timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sides.h"

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
	assert_true(addr_eq(&b.suspect.source, &a.conf.vrrp.source));

	pair_sh("ip link set va up");
	if (a.conf.vrrp.family == AF_INET6)
		pair_sh("ip addr replace fe80::11/64 dev va nodad");
	until(a.state == VRRP_ACTIVE && b.state == VRRP_BACKUP && a.serves && !b.serves);
	assert_int_equal(b.why, VRRP_WHY_HIGHER);

	command(&a, ELECTION_PING);
	until(a.n_pongs == 1);
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

/* Control that does not listen for a while misses nothing that it must know. */
static void full_rings_put_off_and_lose_nothing(void **state)
{
	(void)state;
	conf_v4(&a, 3, 200);
	for (unsigned int k = 0; k < 300; k++) {
		struct election_cmd cmd = {.type = ELECTION_SET, .vip_id = VIP + k % 100};

		cmd.conf = calloc(1, sizeof(*cmd.conf));
		assert_non_null(cmd.conf);
		*cmd.conf = a.conf;
		cmd.conf->vip_id = cmd.vip_id;
		cmd.conf->vrrp.vrid = (uint8_t)(1 + k % 100);
		while (!ring_push(a.rings.cmds, &cmd))
			(void)poll(NULL, 0, 5);
		a.n_sent++;
	}
	(void)poll(NULL, 0, 1000); /* all become active, and the rings are full of it */
	assert_true(ring_refused(a.rings.records) > 0 && ring_refused(a.rings.orders) > 0);
	until(a.n_freed == 200);
	/* Of the roles of one instance, the last; of its orders, the last. */
	until(a.state == VRRP_ACTIVE && a.n_orders >= 100);
	command(&a, ELECTION_STOP_ALL);
	until(a.n_stopped == 1);
	assert_int_equal(a.n_freed, 300);
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
		with_both(faults_and_their_end),
		with_both(orders_are_given_until_done),
		with_both(full_rings_put_off_and_lose_nothing),
		cmocka_unit_test(a_frozen_agent_wakes_as_a_backup),
	};
	int failed;

	pair_open(&pair);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pair_close(&pair);
	return failed;
}
