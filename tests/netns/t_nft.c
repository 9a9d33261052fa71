/* t_nft: the tables against the kernel: what is made, adopted and changed. Packets: t_nft_packets. */
#include "netns.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <poll.h>
#include <string.h>

#include "nft/nft_internal.h"

#define MARK4 0x76000001u
#define MARK6 0x76000002u

static struct nft *open_nft(void)
{
	struct nft *n;
	struct verr err;

	assert_int_equal(nft_open(&n, &err), 0);
	return n;
}

static int setup(void **state)
{
	assert_true(netns_new() >= 0);
	run("ip link set lo up");
	*state = open_nft();
	return 0;
}

static int teardown(void **state)
{
	nft_close(*state);
	return 0;
}

static bool ensure(struct nft *n, uint32_t mark4, uint32_t mark6)
{
	struct verr err;
	bool changed;

	assert_int_equal(nft_ensure(n, mark4, mark6, &changed, &err), 0);
	return changed;
}

/* The i-th of many elements of a set. */
static struct plan_elem elem(enum plan_set set, uint8_t family, unsigned int i)
{
	struct plan_elem e = {.set = set, .family = family};
	uint8_t bytes[16] = {10, 1, (uint8_t)(i >> 8), (uint8_t)i, 1, 2, 3, 4, 5, 6, 7, 8, 9};

	if (family == AF_INET6)
		bytes[0] = 0xfd;
	if (set == PLAN_SET_PEERS)
		e.mac = (struct mac){{2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i}};
	else
		e.addr = addr_from_bytes(family, bytes);
	if (set == PLAN_SET_HOME || set == PLAN_SET_ANSWER)
		e.ifindex = i + 1;
	if (set == PLAN_SET_SERVICES || set == PLAN_MAP_SLOTS || set == PLAN_MAP_STICKY ||
	    set == PLAN_MAP_SOLO || set == PLAN_SET_REDIRECT) {
		e.protocol = i % 2 ? 17 : 6;
		e.port = (uint16_t)(65535 - i);
	}
	if (set == PLAN_MAP_SLOTS || set == PLAN_MAP_STICKY)
		e.slot = (uint8_t)(i % PLAN_SLOTS);
	if (set == PLAN_MAP_SLOTS || set == PLAN_MAP_STICKY || set == PLAN_MAP_SOLO ||
	    set == PLAN_MAP_NODE) {
		bytes[1] = (uint8_t)(100 + i);
		e.value = addr_from_bytes(family, bytes);
	}
	return e;
}

static void assert_elems(struct nft *n, const struct plan_elem *want, size_t n_want)
{
	struct plan_elem *have;
	struct verr err;
	size_t n_have;

	assert_int_equal(nft_dump(n, &have, &n_have, &err), 0);
	assert_int_equal(n_have, n_want);
	for (size_t i = 0; i < n_want; i++) {
		assert_int_equal(plan_elem_cmp(&have[i], &want[i]), 0);
		assert_true(addr_eq(&have[i].value, &want[i].value));
	}
	free(have);
}

static int cmp(const void *a, const void *b)
{
	return plan_elem_cmp(a, b);
}

static int change(struct nft *n, const struct plan_elem *add, size_t n_add,
		  const struct plan_elem *del, size_t n_del)
{
	struct verr err;

	return nft_change(n, add, n_add, del, n_del, &err);
}

static void tables_are_made_once(void **state)
{
	struct nft *n = *state;
	struct plan_elem e = elem(PLAN_SET_SERVICES, AF_INET, 1);

	assert_elems(n, NULL, 0); /* no table: no elements */
	assert_true(ensure(n, MARK4, MARK6));
	assert_int_equal(change(n, &e, 1, NULL, 0), 0);
	assert_false(ensure(n, MARK4, MARK6));
	nft_close(n);
	*state = n = open_nft(); /* the next start adopts them, elements and all */
	assert_false(ensure(n, MARK4, MARK6));
	assert_elems(n, &e, 1);
	assert_true(ensure(n, MARK4 + 1, MARK6));
	assert_elems(n, NULL, 0);
}

static void tables_go_with_their_family(void **state)
{
	char out[8192];

	assert_true(ensure(*state, 0, MARK6));
	run_out(out, sizeof(out), "nft list tables");
	assert_string_equal(out, "table ip6 vipd\n");
	assert_true(ensure(*state, MARK4, 0));
	run_out(out, sizeof(out), "nft list tables");
	assert_non_null(strstr(out, "table ip vipd"));
	assert_non_null(strstr(out, "table arp vipd"));
	assert_null(strstr(out, "ip6"));
	for (int i = 0; i < 2; i++) {
		struct verr err;

		assert_int_equal(nft_remove(*state, &err), 0);
		run_out(out, sizeof(out), "nft list tables");
		assert_string_equal(out, "");
	}
}

/* The kernel may tell an element twice while it gives a set a larger table. */
static void a_growing_set_is_told_once(void **state)
{
	struct plan_elem elems[250], *have;
	struct verr err;
	size_t n_have;

	assert_true(ensure(*state, MARK4, MARK6));
	for (unsigned int n = 0; n < 5000; n += 250) {
		for (unsigned int i = 0; i < 250; i++)
			elems[i] = elem(PLAN_SET_REDIRECT, AF_INET, n + i);
		assert_int_equal(change(*state, elems, 250, NULL, 0), 0);
		assert_int_equal(nft_dump(*state, &have, &n_have, &err), 0);
		for (size_t i = 1; i < n_have; i++)
			assert_true(plan_elem_cmp(&have[i - 1], &have[i]) < 0);
		free(have);
	}
}

struct removal {
	struct nft *by;
	size_t n; /* answers */
};

static int remove_at_once(void *user, const struct nlmsghdr *h)
{
	struct removal *r = user;
	struct verr err;

	(void)h;
	if (r->n++ == 0)
		assert_int_equal(nft_remove(r->by, &err), 0);
	return 0;
}

static void a_dump_that_fails_half_way_is_told(void **state)
{
	struct removal r = {.by = open_nft()};
	struct plan_elem elems[250];
	struct nlmsghdr *h;

	assert_true(ensure(*state, MARK4, MARK6));
	for (unsigned int n = 0; n < 5000; n += 250) {
		for (unsigned int i = 0; i < 250; i++)
			elems[i] = elem(PLAN_SET_REDIRECT, AF_INET, n + i);
		assert_int_equal(change(*state, elems, 250, NULL, 0), 0);
	}
	h = nft_request_open(*state, NFT_MSG_GETSETELEM, NFT_T_IP, NLM_F_DUMP);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nft_set_def(PLAN_SET_REDIRECT)->name);
	assert_int_equal(nft_request(*state, h, remove_at_once, &r), -ENOENT);
	assert_true(r.n > 0);
	assert_elems(*state, NULL, 0);
	nft_close(r.by);
}

static void damage_is_found(void **state)
{
	const char *const damage[] = {
		"nft flush chain ip vipd input",
		"nft flush ruleset",
		"nft delete table arp vipd",
		"nft add rule ip6 vipd output accept",
		"nft insert rule ip vipd prerouting accept",
		"nft 'delete rule ip vipd postrouting handle "
		"'$(nft -a list chain ip vipd postrouting | sed -n 's/.*leaving.*handle //p')",
		"nft 'delete rule ip vipd input handle "
		"'$(nft -a list chain ip vipd input | sed -n 's/.*by a peer.*handle //p')",
		"nft 'chain ip vipd input { policy drop; }'",
		"nft 'table ip vipd { flags dormant; }'",
		"nft 'delete table ip vipd; table ip vipd { }'",
		"nft 'delete chain arp vipd input'",
	};

	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		(void)ensure(*state, MARK4, MARK6);
		assert_false(ensure(*state, MARK4, MARK6));
		run("%s", damage[i]);
		if (!ensure(*state, MARK4, MARK6))
			fail_msg("not found: %s", damage[i]);
		assert_false(ensure(*state, MARK4, MARK6));
	}
}

/* What a person sees, and what `nft list ruleset` into a file and back does to the host. */
static void a_saved_ruleset_loads(void **state)
{
	struct plan_elem e = elem(PLAN_MAP_SLOTS, AF_INET, 7);
	char out[16384];

	assert_true(ensure(*state, MARK4, MARK6));
	assert_int_equal(change(*state, &e, 1, NULL, 0), 0);
	run_out(out, sizeof(out), "nft list table ip vipd");
	assert_non_null(strstr(out, "udp . 10.1.0.7 . 65528 . 7 : 10.107.0.7"));
	assert_non_null(strstr(out, "typeof meta l4proto . ip daddr . th dport . "
				    "numgen random mod 12 : ip daddr"));
	assert_non_null(strstr(out, "meta mark set 0x76000001"));
	assert_null(strstr(out, "unknown"));
	assert_null(strstr(out, "@nh"));
	assert_null(strstr(out, "@th,"));
	run("nft list ruleset >/tmp/t_nft.%d && nft flush ruleset && nft -f /tmp/t_nft.%d; "
	    "r=$?; rm -f /tmp/t_nft.%d; exit $r",
	    getpid(), getpid(), getpid());
	assert_elems(*state, &e, 1);
}

static void elements_of_every_set_come_back(void **state)
{
	struct plan_elem want[200];
	const uint8_t families[] = {AF_INET, AF_INET6};
	size_t n = 0;

	assert_true(ensure(*state, MARK4, MARK6));
	for (int s = 0; s < PLAN_SET_N; s++) {
		for (size_t f = 0; f < 2; f++) {
			for (unsigned int i = 0; i < 9; i++) {
				if (s != PLAN_SET_ANSWER || families[f] == AF_INET)
					want[n++] = elem((enum plan_set)s, families[f], i * 113);
			}
		}
	}
	assert_int_equal(change(*state, want, n, NULL, 0), 0);
	qsort(want, n, sizeof(*want), cmp);
	assert_elems(*state, want, n);
	assert_int_equal(change(*state, want, n, NULL, 0), 0); /* there already */
	assert_elems(*state, want, n);
	assert_int_equal(change(*state, NULL, 0, want, n / 2), 0);
	assert_elems(*state, want + n / 2, n - n / 2);
	assert_int_equal(change(*state, NULL, 0, want, n), 0); /* half of them are not there */
	assert_elems(*state, NULL, 0);
}

static void a_value_is_replaced(void **state)
{
	struct plan_elem e = elem(PLAN_MAP_NODE, AF_INET6, 1), other = e;

	assert_true(ensure(*state, MARK4, MARK6));
	other.value = elem(PLAN_MAP_NODE, AF_INET6, 2).value;
	assert_int_equal(change(*state, &e, 1, NULL, 0), 0);
	assert_int_equal(change(*state, &other, 1, NULL, 0), 0);
	assert_elems(*state, &other, 1);
	assert_int_equal(change(*state, &e, 1, &other, 1), 0); /* as plan_diff does it */
	assert_elems(*state, &e, 1);
}

static void all_or_nothing(void **state)
{
	struct plan_elem e[PLAN_NFT_BATCH_MAX + 1], there = elem(PLAN_SET_VIPS, AF_INET, 999);
	char out[512];

	assert_true(ensure(*state, MARK4, 0));
	assert_int_equal(change(*state, &there, 1, NULL, 0), 0);
	e[0] = elem(PLAN_SET_SERVICES, AF_INET, 1);
	e[1] = elem(PLAN_SET_SERVICES, AF_INET6, 1); /* there is no such table */
	assert_int_equal(change(*state, e, 2, &there, 1), -ENOENT);
	assert_elems(*state, &there, 1);
	for (unsigned int i = 0; i < ARRAY_LEN(e); i++)
		e[i] = elem(PLAN_MAP_SLOTS, AF_INET, i);
	assert_int_equal(change(*state, e, ARRAY_LEN(e), NULL, 0), -E2BIG);
	assert_int_equal(change(*state, e, PLAN_NFT_BATCH_MAX - 1, &there, 1), 0);
	assert_int_equal(change(*state, NULL, 0, NULL, 0), 0);
	/* VIPS are in both tables; what is in one alone is missing. */
	assert_int_equal(change(*state, &there, 1, e, PLAN_NFT_BATCH_MAX - 1), 0);
	run_out(out, sizeof(out), "nft list set arp vipd vips");
	assert_non_null(strstr(out, "10.1.3.231"));
	assert_elems(*state, &there, 1);
	run("nft flush set arp vipd vips");
	assert_elems(*state, NULL, 0);
	assert_int_equal(change(*state, &there, 1, NULL, 0), 0);
	assert_elems(*state, &there, 1);
}

static void monitor_tells_what_others_did(void **state)
{
	struct nft *n = *state, *own = open_nft(), *other = open_nft();
	struct plan_elem e = elem(PLAN_SET_VIPS, AF_INET, 1);
	struct pollfd p = {.events = POLLIN};
	struct verr err;

	assert_true(ensure(n, MARK4, 0)); /* before anybody listens */
	assert_int_equal(nft_monitor_fd(n), -1);
	assert_int_equal(nft_monitor_open(n, &err), 0);
	assert_int_equal(nft_monitor_fd(own), -1);
	p.fd = nft_monitor_fd(n);
	assert_int_equal(poll(&p, 1, 0), 0);
	nft_monitor_ignore(n, own);
	nft_monitor_ignore(n, NULL);
	assert_true(ensure(n, MARK4, MARK6));
	assert_int_equal(change(own, &e, 1, NULL, 0), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(nft_monitor_drain(n), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	run("nft 'table ip kube { set vips { type ipv4_addr; }; }'; nft add table inet vipd");
	assert_int_equal(nft_monitor_drain(n), 0);
	assert_int_equal(change(other, NULL, 0, &e, 1), 0);
	assert_int_equal(nft_monitor_drain(n), 1);
	run("nft flush ruleset");
	assert_int_equal(nft_monitor_drain(n), 1);
	assert_int_equal(nft_monitor_drain(n), 0);
	nft_close(own);
	nft_close(other);
}

/* What switchover pays for one VIP; printed, not judged. */
static void cost_of_a_change(void **state)
{
	struct plan_elem e = elem(PLAN_SET_REDIRECT, AF_INET, 1);
	uint64_t began;

	assert_true(ensure(*state, MARK4, MARK6));
	began = mono_now_ns();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(change(*state, &e, 1, NULL, 0), 0);
		assert_int_equal(change(*state, NULL, 0, &e, 1), 0);
	}
	print_message("one element: %llu us\n",
		      (unsigned long long)((mono_now_ns() - began) / 200 / NS_PER_US));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(tables_are_made_once),
		T(tables_go_with_their_family),
		T(damage_is_found),
		T(a_saved_ruleset_loads),
		T(elements_of_every_set_come_back),
		T(a_value_is_replaced),
		T(a_growing_set_is_told_once),
		T(a_dump_that_fails_half_way_is_told),
		T(all_or_nothing),
		T(monitor_tells_what_others_did),
		T(cost_of_a_change),
	};

	if (netns_new() < 0)
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
