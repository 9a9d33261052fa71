/* The sockets of l2 between two namespaces: what one sends, the other receives, with all that goes with it. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "l2/l2.h"
#include "pair.h"

#define PATIENCE_MS 5000
#define SILENCE_MS 50

static struct pair pair;

static struct addr ip(const char *text)
{
	struct addr a = {0};

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static int must(int fd, const struct verr *err)
{
	if (fd < 0)
		fail_msg("%s", err->msg);
	return fd;
}

struct ends {
	int tx[2], rx[2];
};

static void open_ends(struct ends *e, int family)
{
	static const char *const names[2] = {"va", "vb"};
	struct verr err;

	for (int side = 0; side < 2; side++) {
		pair_enter(&pair, side);
		e->tx[side] = must(l2_vrrp_tx_socket(family, pair.ifindex[side], names[side], &err),
				   &err);
		e->rx[side] = must(l2_vrrp_rx_socket(family, pair.ifindex[side], names[side], &err),
				   &err);
	}
}

static void close_ends(struct ends *e)
{
	for (int side = 0; side < 2; side++) {
		fd_close_p(&e->tx[side]);
		fd_close_p(&e->rx[side]);
	}
}

static void exchange(int family, const char *src, const char *dst)
{
	static const uint8_t msg[] = "not VRRP, but protocol 112";
	struct l2_vrrp_out out[3] = {
		{.msg = msg, .len = sizeof(msg), .src = ip(src), .dst = ip(dst)}};
	uint8_t bufs[8][L2_VRRP_BUF];
	struct l2_vrrp_packet got[8];
	struct ends e;
	int n = 0;

	out[1] = out[2] = out[0];
	out[2].len = 5;
	open_ends(&e, family);
	assert_int_equal(l2_vrrp_receive(e.rx[1], family, bufs, 8, got), 0);
	assert_int_equal(l2_vrrp_send(e.tx[0], family, pair.ifindex[0], out, 3), 3);
	while (n < 3) {
		int r;

		assert_true(pair_readable(e.rx[1], PATIENCE_MS));
		r = l2_vrrp_receive(e.rx[1], family, bufs + n, (size_t)(8 - n), got + n);
		assert_true(r > 0);
		n += r;
	}
	assert_int_equal(n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(got[i].len, out[i].len);
		assert_memory_equal(got[i].msg, msg, got[i].len);
		assert_int_equal(got[i].ttl, 255);
		assert_true(addr_eq(&got[i].src, &out[i].src));
		assert_true(addr_eq(&got[i].dst, &out[i].dst));
	}
	/* Nothing comes back to its sender, and send sockets hear nothing. */
	assert_false(pair_readable(e.rx[0], SILENCE_MS));
	assert_false(pair_readable(e.tx[0], 0));
	assert_false(pair_readable(e.tx[1], 0));
	close_ends(&e);
}

static void multicast_v4(void **state)
{
	(void)state;
	exchange(AF_INET, "10.9.0.11", "224.0.0.18");
}

static void unicast_v4(void **state)
{
	(void)state;
	exchange(AF_INET, "10.9.0.11", "10.9.0.12");
}

static void multicast_v6(void **state)
{
	(void)state;
	exchange(AF_INET6, "fe80::11", "ff02::12");
}

static void unicast_v6(void **state)
{
	(void)state;
	exchange(AF_INET6, "fe80::11", "fe80::12");
}

/* The source is what we say, not the interface's first address. */
static void source_is_chosen(void **state)
{
	(void)state;
	pair_enter(&pair, 0);
	pair_sh("ip addr add 10.9.0.99/24 dev va");
	exchange(AF_INET, "10.9.0.99", "224.0.0.18");
	pair_enter(&pair, 0);
	pair_sh("ip addr del 10.9.0.99/24 dev va");
}

/* One destination that cannot be reached does not silence the others. */
static void unreachable_peer_is_skipped(void **state)
{
	static const uint8_t msg[] = {1, 2, 3, 4};
	struct l2_vrrp_out out[3];
	struct ends e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(out); i++)
		out[i] = (struct l2_vrrp_out){.msg = msg,
					      .len = sizeof(msg),
					      .src = ip("10.9.0.11"),
					      .dst = ip(i == 1 ? "10.9.0.12" : "192.0.2.1")};
	out[0].src = out[2].src = ip("10.9.0.77"); /* not ours: the kernel refuses */
	open_ends(&e, AF_INET);
	assert_int_equal(l2_vrrp_send(e.tx[0], AF_INET, pair.ifindex[0], out, 3), 1);
	assert_true(l2_vrrp_send(e.tx[0], AF_INET, pair.ifindex[0], out, 1) < 0);
	assert_int_equal(l2_vrrp_send(e.tx[0], AF_INET, pair.ifindex[0], out, 0), 0);
	assert_true(pair_readable(e.rx[1], PATIENCE_MS));
	close_ends(&e);
}

static void announcements_reach_the_other_side(void **state)
{
	const struct mac own = {{2, 0, 0, 0, 0, 0x11}};
	struct addr vip = ip("10.9.0.100"), vip6 = ip("fd09::100"), source = ip("fe80::11");
	uint8_t frames[3][L2_FRAME_MAX], frame[L2_FRAME_MAX];
	size_t lens[3];
	struct l2_arp arp;
	struct verr err;
	AUTO(fd_close_p) int tx = -1;
	AUTO(fd_close_p) int rx = -1;

	(void)state;
	pair_enter(&pair, 1);
	rx = must(l2_arp_socket(pair.ifindex[1], &err), &err);
	pair_enter(&pair, 0);
	tx = must(l2_packet_socket(&err), &err);
	lens[0] = l2_garp_emit(&vip, &own, false, frames[0]);
	lens[1] = l2_na_emit(&vip6, &source, &own, frames[1]);
	lens[2] = l2_garp_emit(&vip, &own, true, frames[2]);
	assert_int_equal(l2_frames_send(tx, pair.ifindex[0], (const uint8_t(*)[L2_FRAME_MAX])frames,
					lens, 3),
			 0);
	for (int i = 0; i < 2; i++) {
		ssize_t len;

		assert_true(pair_readable(rx, PATIENCE_MS));
		len = read(rx, frame, sizeof(frame));
		assert_true(len > 0);
		assert_int_equal(l2_arp_parse(frame, (size_t)len, &arp), 0);
		assert_int_equal(arp.request, i == 0);
		assert_true(addr_eq(&arp.sender, &vip));
		assert_true(mac_eq(&arp.sender_mac, &own));
	}
	assert_false(pair_readable(tx, 0));
	/* An ordinary request is none of our business. */
	l2_garp_emit(&vip, &own, false, frames[0]);
	frames[0][41] ^= 1;
	assert_int_equal(l2_frames_send(tx, pair.ifindex[0], (const uint8_t(*)[L2_FRAME_MAX])frames,
					lens, 1),
			 0);
	assert_false(pair_readable(rx, SILENCE_MS));
	assert_int_equal(l2_frames_send(tx, 9999, (const uint8_t(*)[L2_FRAME_MAX])frames, lens, 1),
			 -ENXIO);
}

/* Of all that is IPv6 on the segment, a socket for advertisements hears those alone that may be of a VIP. */
static void advertisements_are_heard(void **state)
{
	/* where a frame differs, and in what: a solicitation, code, hop limit, next header, a link-local target */
	static const struct {
		size_t offset;
		uint8_t value;
	} others[] = {{54, 135}, {55, 1}, {21, 254}, {20, 0}, {62, 0xfe}};
	const struct mac own = {{2, 0, 0, 0, 0, 0x11}};
	struct addr vip6 = ip("fd80::100"), source = ip("fe80::11");
	uint8_t frames[1][L2_FRAME_MAX], frame[L2_FRAME_MAX];
	struct l2_na na;
	struct verr err;
	size_t len;
	ssize_t got;
	AUTO(fd_close_p) int tx = -1;
	AUTO(fd_close_p) int rx = -1;

	(void)state;
	pair_enter(&pair, 1);
	rx = must(l2_na_socket(pair.ifindex[1], &err), &err);
	pair_enter(&pair, 0);
	tx = must(l2_packet_socket(&err), &err);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		len = l2_na_emit(&vip6, &source, &own, frames[0]);
		frames[0][others[i].offset] = others[i].value;
		assert_int_equal(l2_frames_send(tx, pair.ifindex[0],
						(const uint8_t(*)[L2_FRAME_MAX])frames, &len, 1),
				 0);
	}
	len = l2_ns_emit(&vip6, &source, &own, frames[0]);
	assert_int_equal(l2_frames_send(tx, pair.ifindex[0], (const uint8_t(*)[L2_FRAME_MAX])frames,
					&len, 1),
			 0);
	assert_false(pair_readable(rx, SILENCE_MS));
	len = l2_na_emit(&vip6, &source, &own, frames[0]);
	assert_int_equal(l2_frames_send(tx, pair.ifindex[0], (const uint8_t(*)[L2_FRAME_MAX])frames,
					&len, 1),
			 0);
	assert_true(pair_readable(rx, PATIENCE_MS));
	got = read(rx, frame, sizeof(frame));
	assert_true(got > 0);
	assert_int_equal(l2_na_parse(frame, (size_t)got, &na), 0);
	assert_true(addr_eq(&na.target, &vip6));
	assert_true(mac_eq(&na.mac, &own));
	assert_false(pair_readable(rx, SILENCE_MS));
}

/* Who has the address answers a solicitation to the asker alone; who has it on another interface, or only a route that
 * makes it local, does not. */
static void solicitations_are_answered(void **state)
{
	const struct addr asked[] = {ip("fd09::a0"), ip("fd09::a1"), ip("fd09::a2")};
	const struct mac own = {{2, 0, 0, 0, 0, 0x11}};
	uint8_t frames[ARRAY_LEN(asked)][L2_FRAME_MAX], frame[L2_FRAME_MAX];
	size_t lens[ARRAY_LEN(asked)];
	struct addr source = ip("fe80::11");
	struct l2_na na;
	struct verr err;
	ssize_t got;
	AUTO(fd_close_p) int rx = -1;

	(void)state;
	pair_enter(&pair, 1);
	pair_sh("ip -6 route add local fd09::a0 dev lo table local");
	pair_sh("ip -6 addr add fd09::a1/128 dev lo nodad");
	pair_sh("ip -6 addr add fd09::a2/128 dev vb nodad");
	pair_enter(&pair, 0);
	rx = must(l2_na_socket(pair.ifindex[0], &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		lens[i] = l2_ns_emit(&asked[i], &source, &own, frames[i]);
	assert_int_equal(l2_frames_send(rx, pair.ifindex[0], (const uint8_t(*)[L2_FRAME_MAX])frames,
					lens, ARRAY_LEN(asked)),
			 0);
	assert_true(pair_readable(rx, PATIENCE_MS));
	got = read(rx, frame, sizeof(frame));
	assert_true(got > 0);
	assert_int_equal(l2_na_parse(frame, (size_t)got, &na), 0);
	assert_true(addr_eq(&na.target, &asked[2]));
	assert_memory_equal(frame, own.bytes, 6);
	assert_false(pair_readable(rx, SILENCE_MS));
	pair_enter(&pair, 1);
	pair_sh("ip -6 addr del fd09::a2/128 dev vb; ip -6 addr del fd09::a1/128 dev lo;"
		"ip -6 route del local fd09::a0 dev lo table local");
}

/* What is refused in the middle is told, and nothing else is lost by it. */
static void a_refused_frame_is_told(void **state)
{
	const struct mac own = {{2, 0, 0, 0, 0, 0x11}};
	struct addr vip = ip("10.9.0.100");
	uint8_t frames[70][L2_FRAME_MAX], frame[L2_FRAME_MAX];
	size_t lens[ARRAY_LEN(frames)], n = 0;
	struct verr err;
	AUTO(fd_close_p) int tx = -1;
	AUTO(fd_close_p) int rx = -1;

	(void)state;
	pair_enter(&pair, 1);
	rx = must(l2_arp_socket(pair.ifindex[1], &err), &err);
	pair_enter(&pair, 0);
	tx = must(l2_packet_socket(&err), &err);
	for (size_t i = 0; i < ARRAY_LEN(frames); i++)
		lens[i] = l2_garp_emit(&vip, &own, true, frames[i]);
	lens[1] = lens[69] = 5; /* shorter than an Ethernet header */
	assert_int_equal(l2_frames_send(tx, pair.ifindex[0], (const uint8_t(*)[L2_FRAME_MAX])frames,
					lens, ARRAY_LEN(frames)),
			 -EINVAL);
	while (n < ARRAY_LEN(frames) - 2) {
		assert_true(pair_readable(rx, PATIENCE_MS));
		assert_true(read(rx, frame, sizeof(frame)) > 0);
		n++;
	}
	assert_false(pair_readable(rx, SILENCE_MS));
}

/* The two ends of a connection, of va to vb, and the port of va. */
static void tcp_connect(const struct addr *to, int fds[2], uint16_t *client_port)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, 24007, 0, &sa);
	AUTO(fd_close_p) int listener = -1;
	struct addr a;

	pair_enter(&pair, 1);
	listener = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	pair_enter(&pair, 0);
	fds[0] = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sa, len), 0);
	fds[1] = accept(listener, NULL, NULL);
	assert_true(fds[1] >= 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, len, &a, client_port), 0);
}

/* Whoever has missed an answer can ask again at once, as often as it likes. */
static void challenge(int family, const char *client, const char *server)
{
	struct l2_challenge c = {.from = ip(server), .from_port = 24007, .to = ip(client)};
	struct verr err;
	uint8_t buf[256];
	int fds[2], fd, heard;

	tcp_connect(&c.from, fds, &c.to_port);
	pair_enter(&pair, 1);
	fd = must(l2_challenge_socket(family, &err), &err);
	heard = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	assert_true(heard >= 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(l2_challenge_send(fd, &c), 0);
		assert_true(pair_readable(heard, PATIENCE_MS));
		assert_true(recv(heard, buf, sizeof(buf), 0) > 0);
		c.seq += 0x55555555;
	}
	assert_false(pair_readable(fds[0], SILENCE_MS)); /* it has changed nothing */
	assert_int_equal(send(fds[1], "x", 1, 0), 1);
	assert_true(pair_readable(fds[0], PATIENCE_MS));
	assert_int_equal(recv(fds[0], buf, sizeof(buf), 0), 1);
	assert_int_equal(buf[0], 'x');
	fd_close_p(&fd);
	fd_close_p(&heard);
	fd_close_p(&fds[0]);
	fd_close_p(&fds[1]);
}

static void challenges_are_answered_each(void **state)
{
	(void)state;
	challenge(AF_INET, "10.9.0.11", "10.9.0.12");
	challenge(AF_INET6, "fd09::11", "fd09::12");
}

static void absent_interface_is_told(void **state)
{
	struct verr err = {0};

	(void)state;
	assert_int_equal(l2_vrrp_rx_socket(AF_INET, 99, "nosuch0", &err), -ENODEV);
	assert_string_equal(err.msg, "binding to interface nosuch0: No such device");
	assert_int_equal(l2_arp_socket(9999, &err), -ENODEV);
	assert_string_equal(err.msg, "binding the ARP socket to interface 9999: No such device");
	assert_int_equal(l2_na_socket(9999, &err), -ENODEV);
	assert_string_equal(
		err.msg,
		"binding the neighbour discovery socket to interface 9999: No such device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multicast_v4),
		cmocka_unit_test(unicast_v4),
		cmocka_unit_test(multicast_v6),
		cmocka_unit_test(unicast_v6),
		cmocka_unit_test(source_is_chosen),
		cmocka_unit_test(unreachable_peer_is_skipped),
		cmocka_unit_test(announcements_reach_the_other_side),
		cmocka_unit_test(advertisements_are_heard),
		cmocka_unit_test(solicitations_are_answered),
		cmocka_unit_test(a_refused_frame_is_told),
		cmocka_unit_test(challenges_are_answered_each),
		cmocka_unit_test(absent_interface_is_told),
	};
	int failed;

	pair_open(&pair);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pair_close(&pair);
	return failed;
}
