/* TCP segments that make the other side of a connection say where it stands, and the raw sockets for them. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "l2/l2.h"

#define IP4_LEN 20
#define TCP_HEADER_LEN 20
#define TCP_LEN (TCP_HEADER_LEN + 1) /* and an octet */
#define TTL 64
#define DONT_FRAGMENT 0x4000
#define TCP_ACK 0x10
#define TCP_WORDS (TCP_HEADER_LEN / 4 << 4)

static uint32_t addr_sum(uint32_t sum, const struct addr *a)
{
	return wire_checksum_add(sum, a->bytes, addr_len(a));
}

static void put_checksum(uint8_t *at, uint32_t sum)
{
	struct wire_wr w = {.p = at, .left = 2};

	wire_put_u16(&w, wire_checksum_fold(sum));
}

static void put_ip4(struct wire_wr *w, const struct l2_challenge *c)
{
	uint8_t *start = w->p;

	wire_put_u8(w, 0x45);
	wire_put_u8(w, 0);
	wire_put_u16(w, IP4_LEN + TCP_LEN);
	wire_put_u16(w, 0);
	wire_put_u16(w, DONT_FRAGMENT);
	wire_put_u8(w, TTL);
	wire_put_u8(w, IPPROTO_TCP);
	wire_put_u16(w, 0); /* checksum */
	wire_put_bytes(w, c->from.bytes, 4);
	wire_put_bytes(w, c->to.bytes, 4);
	put_checksum(start + 10, wire_checksum_add(0, start, IP4_LEN));
}

static void put_ip6(struct wire_wr *w, const struct l2_challenge *c)
{
	wire_put_u32(w, 0x60000000);
	wire_put_u16(w, TCP_LEN);
	wire_put_u8(w, IPPROTO_TCP);
	wire_put_u8(w, TTL);
	wire_put_bytes(w, c->from.bytes, 16);
	wire_put_bytes(w, c->to.bytes, 16);
}

size_t l2_challenge_emit(const struct l2_challenge *c, uint8_t buf[static L2_FRAME_MAX])
{
	struct wire_wr w = {.p = buf, .left = L2_FRAME_MAX};
	uint32_t sum = TCP_LEN + IPPROTO_TCP; /* of the pseudo-header, either family's */
	uint8_t *tcp;

	if (c->from.family == AF_INET6)
		put_ip6(&w, c);
	else
		put_ip4(&w, c);
	tcp = w.p;
	wire_put_u16(&w, c->from_port);
	wire_put_u16(&w, c->to_port);
	wire_put_u32(&w, c->seq);
	wire_put_u32(&w, 0);
	wire_put_u8(&w, TCP_WORDS);
	wire_put_u8(&w, TCP_ACK);
	wire_put_u16(&w, UINT16_MAX); /* window */
	wire_put_u16(&w, 0); /* checksum */
	wire_put_u16(&w, 0);
	wire_put_u8(&w, 0);
	sum = addr_sum(addr_sum(sum, &c->from), &c->to);
	put_checksum(tcp + 16, wire_checksum_add(sum, tcp, TCP_LEN));
	return L2_FRAME_MAX - w.left;
}

int l2_challenge_socket(int family, struct verr *reterr)
{
	/* of this protocol: the header is ours in both families, and nothing is received */
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);

	if (fd < 0)
		return verr_errno(reterr, errno, "raw socket");
	return fd;
}

int l2_challenge_send(int fd, const struct l2_challenge *c)
{
	uint8_t buf[L2_FRAME_MAX];
	size_t len = l2_challenge_emit(c, buf);
	struct sockaddr_storage to;
	socklen_t to_len = addr_to_sockaddr(&c->to, 0, 0, &to);

	if (sendto(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to,
		   to_len) < 0)
		return -errno;
	return 0;
}
