/* Two elections on one segment: what they say and believe on the wire. timeout: 240 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sides.h"

/* An advert at b of this version, VRID and priority. */
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
			fail_msg("no advert of version %u, VRID %u, priority %u (a %s, %s; b %s)",
				 version, vrid, priority, vrrp_state_name(a.state),
				 vrrp_why_name(a.why), vrrp_state_name(b.state));
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

/* The first address of the adverts that have come. */
static void pump_ear_v6(int ear, struct addr *ret)
{
	uint8_t bufs[8][L2_VRRP_BUF];
	struct l2_vrrp_packet got[8];
	int n = l2_vrrp_receive(ear, AF_INET6, bufs, 8, got);

	for (int k = 0; k < n; k++) {
		struct vrrp_advert v;
		enum vrrp_checksum csum;

		assert_int_equal(vrrp_advert_parse(got[k].msg, got[k].len, &got[k].src, &got[k].dst,
						   &v, &csum),
				 VRRP_RX_OK);
		*ret = v.addrs[0];
	}
}

/* The form of IPv6 adverts too: where others list a link-local address that they share, or none, so do we. */
static void the_shared_link_local_address_is_listed(void **state)
{
	struct vrrp_advert advert = {.version = 3,
				     .vrid = 51,
				     .priority = 250,
				     .period_ns = 100 * NS_PER_MS,
				     .n_addrs = 2,
				     .addrs = {ip("fe80::50"), ip("fd09::100")}};
	struct addr src = ip("fe80::12"), dst = l2_vrrp_group(AF_INET6), first = {0};
	uint8_t buf[VRRP_PACKET_MAX];
	struct l2_vrrp_out out = {.msg = buf, .src = src, .dst = dst};
	struct verr err;
	AUTO(fd_close_p) int tx = -1;
	AUTO(fd_close_p) int rx = -1;

	(void)state;
	conf_v6(&a, 100);
	command(&a, ELECTION_SET);
	until(a.state == VRRP_ACTIVE);
	pair_enter(&pair, 1);
	rx = l2_vrrp_rx_socket(AF_INET6, pair.ifindex[1], "vb", &err);
	tx = l2_vrrp_tx_socket(AF_INET6, pair.ifindex[1], "vb", &err);
	assert_true(rx >= 0 && tx >= 0);
	until((pump_ear_v6(rx, &first), addr_eq(&first, &a.conf.vrrp.source)));
	for (int none = 0; none < 2; none++) {
		if (none) {
			advert.addrs[0] = advert.addrs[1];
			advert.n_addrs = 1;
		}
		out.len = vrrp_advert_emit(&advert, &src, &dst, VRRP_CSUM_PSEUDO, buf, sizeof(buf));
		assert_int_equal(l2_vrrp_send(tx, AF_INET6, pair.ifindex[1], &out, 1), 1);
		until(a.state == VRRP_BACKUP);
		/* And a change of something else does not undo it. */
		a.conf.vrrp.preempt_delay_ns++;
		command(&a, ELECTION_SET);
		until((pump_ear_v6(rx, &first), addr_eq(&first, &advert.addrs[0])));
		until(a.state == VRRP_ACTIVE);
	}
	assert_int_equal(a.counters.addr_mismatch, 0);
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

int main(void)
{
#define with_both(test) cmocka_unit_test_setup_teardown(test, open_both, close_both)
	const struct CMUnitTest tests[] = {
		with_both(identity_changes_while_active),
		with_both(strangers_are_told_of),
		with_both(the_checksum_form_is_mirrored),
		with_both(the_shared_link_local_address_is_listed),
		with_both(announcements_follow_the_switchover),
		with_both(a_flood_of_junk_changes_nothing),
	};
	int failed;

	pair_open(&pair);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pair_close(&pair);
	return failed;
}
