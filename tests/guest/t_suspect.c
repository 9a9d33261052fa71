/*
 * t_suspect: a takeover by timeout gives the real servers of the silent router weight 0 in the same step. Needs
 * root and a kernel with IPVS (tests/guest/boot), else it is skipped (77).
 */
#include "../netns/netns.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "agent/switchover.h"
#include "ipvs/ipvs.h"
#include "nft/nft.h"

struct env {
	struct switchover_rings rings;
	struct switchover *sw;
	struct ipvs *ipvs;
	struct nft *nft;
	unsigned int d0;
};

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
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
	assert_int_equal(ipvs_open(&e->ipvs, &err), 0);
	assert_int_equal(nft_open(&e->nft, &err), 0);
	assert_int_equal(nft_ensure(e->nft, 0x76000001, 0, &changed, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_order), 64, &e->rings.orders, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_done), 64, &e->rings.dones, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_cmd), 64, &e->rings.cmds, &err), 0);
	assert_int_equal(ring_new(sizeof(struct switchover_note), 64, &e->rings.notes, &err), 0);
	assert_int_equal(switchover_start(&e->rings, true, &e->sw, &err), 0);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;
	struct switchover_cmd quit = {.type = SWITCHOVER_QUIT};

	assert_true(ring_push(e->rings.cmds, &quit));
	switchover_join(e->sw);
	ring_free(e->rings.orders);
	ring_free(e->rings.dones);
	ring_free(e->rings.cmds);
	ring_free(e->rings.notes);
	nft_close(e->nft);
	ipvs_close(e->ipvs);
	free(e);
	return 0;
}

/* Ports 22 and 80 of one VIP on three servers; put into the kernel, and into the role. */
static struct plan_role *make_role(struct env *e)
{
	const char *const servers[] = {"10.1.0.5", "10.1.0.6", "10.1.0.7"};
	struct plan_role *r = calloc(1, sizeof(*r));
	struct verr err;

	assert_non_null(r);
	r->ifindex = e->d0;
	r->valid_lft_s = 30;
	r->addrs[r->n_addrs++] = ip("10.1.0.100");
	r->services = calloc(2, sizeof(*r->services));
	r->suspects = calloc(2, sizeof(*r->suspects));
	assert_true(r->services && r->suspects);
	r->n_services = 2;
	for (size_t i = 0; i < 2; i++) {
		struct plan_service *s = &r->services[i];
		struct plan_op op = {.type = PLAN_OP_SERVICE_ADD};

		*s = (struct plan_service){.family = AF_INET,
					   .protocol = IPPROTO_TCP,
					   .addr = r->addrs[0],
					   .port = i ? 80 : 22,
					   .scheduler = "rr"};
		op.service = *s;
		assert_int_equal(ipvs_apply(e->ipvs, &op, &err), 0);
		s->dests = calloc(ARRAY_LEN(servers), sizeof(*s->dests));
		assert_non_null(s->dests);
		for (size_t d = 0; d < ARRAY_LEN(servers); d++) {
			s->dests[d] = (struct plan_dest){.addr = ip(servers[d]),
							 .port = s->port,
							 .forward = d ? PLAN_DROUTE : PLAN_MASQ,
							 .weight = 3};
			s->n_dests++;
			op.type = PLAN_OP_DEST_ADD;
			op.dest = s->dests[d];
			/* Not in the kernel: a destination that has failed its checks for good. */
			if (i == 0 || d != 1)
				assert_int_equal(ipvs_apply(e->ipvs, &op, &err), 0);
		}
	}
	/* The address that adverts come from need not be the one that serves. */
	r->suspects[r->n_suspects++] =
		(struct plan_suspect){.source = ip("10.1.0.66"), .server = ip("10.1.0.6")};
	r->suspects[r->n_suspects++] =
		(struct plan_suspect){.source = ip("10.1.0.7"), .server = ip("10.1.0.7")};
	return r;
}

/* What control is told of it: whether weights were changed. */
static bool silenced(struct env *e)
{
	struct pollfd p = {.fd = ring_fd(e->rings.notes), .events = POLLIN};
	struct switchover_note n;

	assert_int_equal(poll(&p, 1, 10000), 1);
	ring_clear_fd(e->rings.notes);
	assert_true(ring_pop(e->rings.notes, &n));
	assert_int_equal(n.type, SWITCHOVER_NOTE_DONE);
	return n.silenced;
}

static int take(struct env *e, bool suspect, const char *source)
{
	struct switchover_order o = {
		.type = SWITCHOVER_TAKE, .vip_id = 1, .suspect = suspect, .source = ip(source)};
	struct pollfd p = {.fd = ring_fd(e->rings.dones), .events = POLLIN};
	struct switchover_done d;

	assert_true(ring_push(e->rings.orders, &o));
	assert_int_equal(poll(&p, 1, 10000), 1); /* the limit only ends a test that has failed */
	ring_clear_fd(e->rings.dones);
	assert_true(ring_pop(e->rings.dones, &d));
	return d.error;
}

static uint32_t weight(struct env *e, uint16_t port, const char *server)
{
	struct addr want = ip(server);
	struct plan_service *s;
	uint32_t w = UINT32_MAX;
	struct verr err;
	size_t n;

	assert_int_equal(ipvs_dump(e->ipvs, &s, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		for (size_t d = 0; s[i].port == port && d < s[i].n_dests; d++) {
			if (addr_eq(&s[i].dests[d].addr, &want))
				w = s[i].dests[d].weight;
		}
	}
	ipvs_dump_free(s, n);
	return w;
}

static void the_suspect_gets_no_new_connections(void **state)
{
	struct env *e = *state;
	struct switchover_cmd c = {.type = SWITCHOVER_SET, .vip_id = 1, .role = make_role(e)};

	assert_true(ring_push(e->rings.cmds, &c));
	assert_int_equal(take(e, false, "10.1.0.66"), 0); /* no suspicion */
	assert_false(silenced(e));
	assert_int_equal(take(e, true, "10.1.0.99"), 0); /* a stranger */
	assert_false(silenced(e));
	assert_int_equal(weight(e, 22, "10.1.0.6"), 3);
	assert_int_equal(weight(e, 22, "10.1.0.7"), 3);
	assert_int_equal(take(e, true, "10.1.0.66"), 0);
	assert_true(silenced(e));
	assert_int_equal(weight(e, 22, "10.1.0.5"), 3);
	assert_int_equal(weight(e, 22, "10.1.0.6"), 0);
	assert_int_equal(weight(e, 22, "10.1.0.7"), 3);
	assert_int_equal(weight(e, 80, "10.1.0.6"), UINT32_MAX); /* was not there, is not made */
	assert_int_equal(take(e, true, "10.1.0.7"), 0);
	assert_true(silenced(e));
	assert_int_equal(weight(e, 80, "10.1.0.7"), 0);
	assert_int_equal(weight(e, 80, "10.1.0.5"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_suspect_gets_no_new_connections, setup,
						teardown),
	};
	struct ipvs *i = NULL;

	if (netns_new() < 0 || ipvs_open(&i, NULL) < 0)
		return NETNS_SKIP;
	ipvs_close(i);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
