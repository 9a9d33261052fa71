/* t_switchover: the thread in a network namespace without IPVS, driven through its rings as others drive it. */
#include "netns.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/switchover.h"
#include "nft/nft.h"
#include "rtnl/rtnl.h"

#define MARK 0x76000001u

struct env {
	struct switchover_rings rings;
	struct switchover *sw;
	struct nft *nft;
	struct rtnl *rtnl;
	unsigned int d0, d1;
	uint32_t seq;
};

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* A VIP of n addresses 10.1.0.(100 + i), ports 22 and 80. */
static struct plan_role *role_of(unsigned int ifindex, size_t n, uint32_t valid_s)
{
	struct plan_role *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->ifindex = ifindex;
	r->valid_lft_s = valid_s;
	r->redirect = calloc(2 * n, sizeof(*r->redirect));
	r->answer = calloc(n, sizeof(*r->answer));
	assert_true(r->redirect && r->answer);
	for (size_t i = 0; i < n; i++) {
		struct addr a = ip("10.1.0.100");

		a.bytes[3] = (uint8_t)(100 + i);
		r->addrs[r->n_addrs++] = a;
		for (int p = 0; p < 2; p++)
			r->redirect[r->n_redirect++] = (struct plan_elem){
				.set = PLAN_SET_REDIRECT,
				.family = AF_INET,
				.protocol = 6,
				.port = p ? 80 : 22,
				.addr = a,
			};
		r->answer[r->n_answer++] = (struct plan_elem){
			.set = PLAN_SET_ANSWER, .family = AF_INET, .addr = a, .ifindex = ifindex};
	}
	return r;
}

static void start(struct env *e)
{
	struct verr err;

	assert_int_equal(ring_new(sizeof(struct switchover_order), 64, &e->rings.orders, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_done), 64, &e->rings.dones, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_cmd), 64, &e->rings.cmds, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_note), 64, &e->rings.notes, &err), 0);
	assert_int_equal(switchover_start(&e->rings, false, &e->sw, &err), 0);
}

static void stop(struct env *e)
{
	struct switchover_cmd quit = {.type = SWITCHOVER_QUIT};

	assert_true(ring_push(e->rings.cmds, &quit));
	switchover_join(e->sw);
	ring_free(e->rings.orders);
	ring_free(e->rings.dones);
	ring_free(e->rings.cmds);
	ring_free(e->rings.notes);
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct verr err;
	bool changed;

	assert_non_null(e);
	assert_true(netns_new() >= 0);
	run("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && "
	    "ip link set d1 up && ip addr add 10.1.0.5/24 dev d0");
	e->d0 = if_nametoindex("d0");
	e->d1 = if_nametoindex("d1");
	assert_int_equal(nft_open(&e->nft, &err), 0);
	assert_int_equal(rtnl_open(&e->rtnl, &err), 0);
	assert_int_equal(nft_ensure(e->nft, MARK, 0, &changed, &err), 0);
	start(e);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	stop(e);
	nft_close(e->nft);
	rtnl_close(e->rtnl);
	free(e);
	return 0;
}

/* The limit only ends a test that has failed. */
static bool wait_ring(struct ring *r, void *ret)
{
	struct pollfd p = {.fd = ring_fd(r), .events = POLLIN};

	for (int i = 0; i < 100; i++) {
		if (ring_pop(r, ret))
			return true;
		(void)poll(&p, 1, 100);
		ring_clear_fd(r);
	}
	return false;
}

static struct switchover_note next_note(struct env *e, enum switchover_note_type type)
{
	struct switchover_note n;

	assert_true(wait_ring(e->rings.notes, &n));
	assert_int_equal(n.type, type);
	return n;
}

static void tell(struct env *e, enum switchover_cmd_type type, uint32_t id, struct plan_role *role)
{
	struct switchover_cmd c = {.type = type, .vip_id = id, .role = role};

	assert_true(ring_push(e->rings.cmds, &c));
}

static int order(struct env *e, enum switchover_order_type type, uint32_t id)
{
	struct switchover_order o = {.type = type, .vip_id = id, .seq = ++e->seq};
	struct switchover_done d;

	assert_true(ring_push(e->rings.orders, &o));
	assert_true(wait_ring(e->rings.dones, &d));
	assert_int_equal(d.vip_id, id);
	assert_int_equal(d.seq, e->seq);
	assert_int_equal(d.type, type);
	return d.error;
}

/* Commands have no answer: REMOVE of a number that nobody has comes back after all that was told before. */
static void settle(struct env *e)
{
	tell(e, SWITCHOVER_REMOVE, 4000000000u, NULL);
	assert_int_equal(next_note(e, SWITCHOVER_NOTE_REMOVED).vip_id, 4000000000u);
}

struct counts {
	size_t redirect, answer, d0, d1;
};

static struct counts count(struct env *e)
{
	struct counts c = {0};
	struct plan_elem *elems;
	struct plan_ifaddr *addrs;
	struct verr err;
	size_t n;

	assert_int_equal(nft_dump(e->nft, &elems, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		c.redirect += elems[i].set == PLAN_SET_REDIRECT;
		c.answer += elems[i].set == PLAN_SET_ANSWER;
	}
	free(elems);
	assert_int_equal(rtnl_addrs(e->rtnl, e->d0, &addrs, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		c.d0 += addrs[i].finite;
	free(addrs);
	assert_int_equal(rtnl_addrs(e->rtnl, e->d1, &addrs, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		c.d1 += addrs[i].finite;
	free(addrs);
	return c;
}

static void assert_counts(struct env *e, size_t redirect, size_t answer, size_t d0, size_t d1)
{
	struct counts c = count(e);

	assert_int_equal(c.redirect, redirect);
	assert_int_equal(c.answer, answer);
	assert_int_equal(c.d0, d0);
	assert_int_equal(c.d1, d1);
}

/* A dump may miss some, or tell some twice, while the kernel gives the set a larger table. */
static void wait_redirect(struct env *e, size_t n)
{
	for (int i = 0; i < 100 && count(e).redirect != n; i++)
		usleep(10000);
}

static void takes_and_releases(void **state)
{
	struct env *e = *state;
	struct switchover_note n;

	tell(e, SWITCHOVER_SET, 7, role_of(e->d0, 3, 30));
	settle(e);
	assert_counts(e, 6, 0, 0, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(order(e, SWITCHOVER_TAKE, 7), 0);
		n = next_note(e, SWITCHOVER_NOTE_DONE);
		assert_true(n.active && n.vip_id == 7 && n.error == 0);
		assert_counts(e, 0, 3, 3, 0);
		assert_int_equal(order(e, SWITCHOVER_TAKE, 7), 0); /* again: no harm */
		(void)next_note(e, SWITCHOVER_NOTE_DONE);
		assert_counts(e, 0, 3, 3, 0);
		assert_int_equal(order(e, SWITCHOVER_RELEASE, 7), 0);
		assert_false(next_note(e, SWITCHOVER_NOTE_DONE).active);
		assert_counts(e, 6, 0, 0, 0);
	}
	assert_int_equal(order(e, SWITCHOVER_TAKE, 7), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	tell(e, SWITCHOVER_REMOVE, 7, NULL);
	assert_int_equal(next_note(e, SWITCHOVER_NOTE_REMOVED).vip_id, 7);
	assert_counts(e, 0, 0, 0, 0);
	assert_int_equal(order(e, SWITCHOVER_TAKE, 7), -ENOENT);
	assert_int_equal(next_note(e, SWITCHOVER_NOTE_ERROR).error, -ENOENT);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
}

static void lists_change_in_either_role(void **state)
{
	struct env *e = *state;

	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 3, 30));
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 2, 30));
	settle(e);
	assert_counts(e, 4, 0, 0, 0);
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 4, 30));
	settle(e);
	assert_counts(e, 0, 4, 4, 0);
	tell(e, SWITCHOVER_SET, 1, role_of(e->d1, 1, 30));
	settle(e);
	assert_counts(e, 0, 1, 0, 1);
	assert_int_equal(order(e, SWITCHOVER_RELEASE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	assert_counts(e, 2, 0, 0, 0);
}

static void damage_is_repaired(void **state)
{
	struct env *e = *state;

	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 2, 30));
	settle(e);
	run("nft flush set ip vipd redirected");
	tell(e, SWITCHOVER_REPAIR, 1, NULL);
	settle(e);
	assert_counts(e, 4, 0, 0, 0);
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	run("ip addr del 10.1.0.101/32 dev d0; nft flush set arp vipd answer; "
	    "nft add element ip vipd redirected { tcp . 10.1.0.100 . 22 }");
	tell(e, SWITCHOVER_REPAIR, 1, NULL);
	tell(e, SWITCHOVER_REPAIR, 99, NULL); /* nobody's: nothing */
	settle(e);
	assert_counts(e, 0, 2, 2, 0);
}

/* Without its table each step is tried all the same, and the first failure is told. */
static void steps_go_on_after_a_failure(void **state)
{
	struct env *e = *state;
	struct switchover_note n;

	run("nft delete table ip vipd; nft delete table arp vipd");
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 30));
	assert_int_equal(next_note(e, SWITCHOVER_NOTE_ERROR).error, -ENOENT);
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), -ENOENT);
	n = next_note(e, SWITCHOVER_NOTE_ERROR);
	assert_non_null(strstr(n.what, "redirect"));
	assert_true(next_note(e, SWITCHOVER_NOTE_DONE).active);
	assert_counts(e, 0, 0, 1, 0);
}

static void addresses_of_an_earlier_agent_wait_for_the_order(void **state)
{
	struct env *e = *state;
	struct addr vip = ip("10.1.0.100");
	struct verr err;

	assert_int_equal(rtnl_addr_set(e->rtnl, e->d0, &vip, 30, &err), 0);
	run("nft add element arp vipd answer { 10.1.0.100 . d0 }");
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 30));
	tell(e, SWITCHOVER_REPAIR, 1, NULL);
	settle(e);
	assert_counts(e, 0, 1, 1, 0); /* as it was */
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	assert_counts(e, 0, 1, 1, 0);
	stop(e);
	start(e);
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 30));
	assert_int_equal(order(e, SWITCHOVER_RELEASE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	assert_counts(e, 2, 0, 0, 0);
}

/* Without an order the address expires, and the VIP is standby. */
static void addresses_of_an_earlier_agent_expire(void **state)
{
	struct env *e = *state;
	struct addr vip = ip("10.1.0.100");
	struct counts c = {0};
	struct verr err;

	assert_int_equal(rtnl_addr_set(e->rtnl, e->d0, &vip, 1, &err), 0);
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 1));
	settle(e);
	for (int i = 0; i < 100 && c.redirect != 2; i++) { /* 10 s end a test that has failed */
		(void)usleep(100000);
		c = count(e);
	}
	assert_counts(e, 2, 0, 0, 0);
}

static void renewal_keeps_the_address_and_tells_its_loss(void **state)
{
	struct env *e = *state;

	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 5));
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	(void)usleep(7000000); /* longer than the lifetime of 5 s */
	assert_counts(e, 0, 1, 1, 0);
	run("ip addr del 10.1.0.100/32 dev d0");
	assert_int_equal(next_note(e, SWITCHOVER_NOTE_LOST).vip_id, 1);
	assert_counts(e, 0, 1, 0, 0); /* not put back by itself */
	tell(e, SWITCHOVER_REPAIR, 1, NULL);
	settle(e);
	assert_counts(e, 0, 1, 1, 0);
}

/* Of all threads of this process: without it the kernel refuses changes, but lists what there is. */
static void be_root(bool root)
{
	assert_int_equal(seteuid(root ? 0 : 65534), 0);
}

static void a_failed_renewal_is_tried_again_soon(void **state)
{
	struct env *e = *state;
	struct switchover_note first, second, n;

	if (seteuid(65534) < 0 || seteuid(0) < 0)
		skip();
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 9));
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), 0);
	n = next_note(e, SWITCHOVER_NOTE_DONE);
	be_root(false);
	first = next_note(e, SWITCHOVER_NOTE_ERROR);
	second = next_note(e, SWITCHOVER_NOTE_ERROR);
	be_root(true);
	assert_int_equal(first.error, -EPERM);
	assert_in_range(first.at_ns - n.at_ns, 2 * NS_PER_S, 6 * NS_PER_S); /* a third of 9 s */
	assert_in_range(second.at_ns - first.at_ns, NS_PER_MS, 2 * NS_PER_S);
	while (mono_now_ns() < n.at_ns + 10 * NS_PER_S) /* longer than the lifetime */
		(void)usleep(100000);
	assert_counts(e, 0, 1, 1, 0);
	while (ring_pop(e->rings.notes, &n))
		assert_int_equal(n.type, SWITCHOVER_NOTE_ERROR); /* never lost */
}

/* The part of the frozen process. Its status: 0, or the line that failed. */
static int freezes(struct env *e, int ready)
{
	struct switchover_note n;
	struct counts c;

	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 1));
	if (order(e, SWITCHOVER_TAKE, 1) != 0 || write(ready, "r", 1) != 1)
		return __LINE__ % 256;
	for (;;) { /* DONE of the TAKE, then what the renewal after the freeze finds */
		if (!wait_ring(e->rings.notes, &n))
			return __LINE__ % 256;
		if (n.type == SWITCHOVER_NOTE_LOST)
			break;
		if (n.type != SWITCHOVER_NOTE_DONE)
			return __LINE__ % 256;
	}
	c = count(e);
	if (c.d0 != 0)
		return __LINE__ % 256;
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 1)); /* not a reason to put it back either */
	settle(e);
	if (count(e).d0 != 0)
		return __LINE__ % 256;
	tell(e, SWITCHOVER_REPAIR, 1, NULL);
	settle(e);
	return count(e).d0 == 1 ? 0 : __LINE__ % 256;
}

/* Another node has taken over by then: the address must not come back by itself. */
static void a_freeze_loses_the_address(void **state)
{
	struct env *e = *state;
	int ready[2], status;
	pid_t child;
	char c;

	stop(e);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		start(e);
		status = freezes(e, ready[1]);
		_exit(status);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	assert_int_equal(kill(child, SIGSTOP), 0);
	for (int i = 0; i < 100 && count(e).d0 != 0; i++) /* until the kernel has removed it */
		(void)usleep(100000);
	(void)usleep(1000000);
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0)
		fail_msg("failed at line %d (modulo 256)", WEXITSTATUS(status));
	start(e);
}

static void leftovers_are_swept(void **state)
{
	struct env *e = *state;

	run("nft add element ip vipd redirected { tcp . 10.1.0.200 . 22 }; "
	    "nft add element arp vipd answer { 10.1.0.200 . d0 }");
	tell(e, SWITCHOVER_SET, 1, role_of(e->d0, 1, 30));
	settle(e);
	assert_counts(e, 3, 1, 0, 0);
	tell(e, SWITCHOVER_SWEEP, 0, NULL);
	settle(e);
	assert_counts(e, 2, 0, 0, 0);
}

static void it_says_that_it_turns(void **state)
{
	struct env *e = *state;

	tell(e, SWITCHOVER_PING, 0, NULL);
	(void)next_note(e, SWITCHOVER_NOTE_PONG);
}

static void many_elements_go_in_several_transactions(void **state)
{
	struct env *e = *state;
	struct plan_role *r = role_of(e->d0, 1, 30);

	r->redirect = reallocarray(r->redirect, 600, sizeof(*r->redirect));
	assert_non_null(r->redirect);
	for (size_t i = r->n_redirect; i < 600; i++) {
		r->redirect[i] = r->redirect[0];
		r->redirect[i].port = (uint16_t)(1000 + i);
	}
	r->n_redirect = 600;
	tell(e, SWITCHOVER_SET, 1, r);
	settle(e);
	wait_redirect(e, 600);
	assert_counts(e, 600, 0, 0, 0);
	assert_int_equal(order(e, SWITCHOVER_TAKE, 1), 0);
	(void)next_note(e, SWITCHOVER_NOTE_DONE);
	assert_counts(e, 0, 1, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(takes_and_releases),
		T(lists_change_in_either_role),
		T(damage_is_repaired),
		T(steps_go_on_after_a_failure),
		T(addresses_of_an_earlier_agent_wait_for_the_order),
		T(addresses_of_an_earlier_agent_expire),
		T(renewal_keeps_the_address_and_tells_its_loss),
		T(a_failed_renewal_is_tried_again_soon),
		T(a_freeze_loses_the_address),
		T(leftovers_are_swept),
		T(it_says_that_it_turns),
		T(many_elements_go_in_several_transactions),
	};

	if (netns_new() < 0)
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
