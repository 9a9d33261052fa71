/* Synchronisation messages as the kernel's master daemon writes them, version 1, and their socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "ipvs/ipvs.h"

#define SYNC_GROUP 0xe0000051u /* 224.0.0.81 */
#define HEADER_LEN 8
#define CONN4_LEN 36
#define CONN6_LEN 72
#define TYPE_IPV4 0
#define TYPE_IPV6 1 /* a bit in the first byte */
#define VERSION 1

static void put_header(struct ipvs_sync_message *m)
{
	struct wire_wr w = {.p = m->bytes + 2, .left = HEADER_LEN - 2};

	/* bytes[0] is reserved, bytes[1] the sync id */
	wire_put_u16(&w, (uint16_t)m->len);
	wire_put_u8(&w, m->n_conns);
	wire_put_u8(&w, VERSION);
	wire_put_u16(&w, 0);
}

void ipvs_sync_message_init(struct ipvs_sync_message *m, uint8_t sync_id, size_t max_len)
{
	m->len = HEADER_LEN;
	m->max_len = max_len < sizeof(m->bytes) ? max_len : sizeof(m->bytes);
	m->n_conns = 0;
	m->bytes[0] = 0;
	m->bytes[1] = sync_id;
	put_header(m);
}

bool ipvs_sync_message_add(struct ipvs_sync_message *m, const struct ipvs_conn *c, uint32_t flags,
			   uint32_t fwmark, uint32_t timeout_s)
{
	bool is_v6 = c->family == AF_INET6;
	uint16_t len = is_v6 ? CONN6_LEN : CONN4_LEN;
	struct wire_wr w = {.p = m->bytes + m->len, .left = len};

	/* Both lengths are multiples of 4, so every entry is aligned as the receiver expects. */
	if (m->n_conns == UINT8_MAX || m->max_len < m->len || m->max_len - m->len < len)
		return false;
	wire_put_u8(&w, is_v6 ? TYPE_IPV6 : TYPE_IPV4);
	wire_put_u8(&w, c->protocol);
	wire_put_u16(&w, len); /* upper four bits: version 0 of the entry */
	wire_put_u32(&w, flags);
	wire_put_u16(&w, c->state);
	wire_put_u16(&w, c->client_port);
	wire_put_u16(&w, c->vip_port);
	wire_put_u16(&w, c->dest_port);
	wire_put_u32(&w, fwmark);
	wire_put_u32(&w, timeout_s);
	wire_put_bytes(&w, c->client.bytes, is_v6 ? 16 : 4);
	wire_put_bytes(&w, c->vip.bytes, is_v6 ? 16 : 4);
	wire_put_bytes(&w, c->dest.bytes, is_v6 ? 16 : 4);
	m->len += len;
	m->n_conns++;
	put_header(m);
	return true;
}

int ipvs_sync_socket(const char *ifname, enum ipvs_sync_to who, struct verr *reterr)
{
	AUTO(fd_close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned int ifindex = if_nametoindex(ifname);
	struct ip_mreqn out = {.imr_ifindex = (int)ifindex};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(IPVS_SYNC_PORT),
				 .sin_addr.s_addr = htonl(SYNC_GROUP)};
	int ttl = who != IPVS_SYNC_SELF, loop = who != IPVS_SYNC_OTHERS;

	if (fd < 0)
		return verr_errno(reterr, errno, "socket");
	if (ifindex == 0)
		return verr_set(reterr, ENODEV, "no interface %s", ifname);
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop)) < 0)
		return verr_errno(reterr, errno, "multicast on %s", ifname);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return verr_errno(reterr, errno, "multicast on %s", ifname);
	return fd_steal(&fd);
}
