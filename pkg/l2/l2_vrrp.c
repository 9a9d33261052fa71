/* The raw sockets of VRRP (IP protocol 112), one pair per interface and family. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "l2/l2.h"

#define PROTO_VRRP 112
#define HOPS 255
#define TOS_NETWORK_CONTROL 0xc0
#define BATCH 64
/* Some hundred adverts: what comes while the thread is busy with one turn, not minutes of a flood. */
#define RX_BYTES (128 * 1024)

static const uint8_t group_v4[4] = {224, 0, 0, 18};
static const uint8_t group_v6[16] = {0xff, 0x02, [15] = 0x12};

struct addr l2_vrrp_group(int family)
{
	return family == AF_INET6 ? addr_from_bytes(AF_INET6, group_v6)
				  : addr_from_bytes(AF_INET, group_v4);
}

struct option {
	int level, name, value;
	const char *what;
};

static int set_options(int fd, const struct option *opts, size_t n, struct verr *reterr)
{
	for (size_t i = 0; i < n; i++) {
		if (setsockopt(fd, opts[i].level, opts[i].name, &opts[i].value,
			       sizeof(opts[i].value)) < 0)
			return verr_errno(reterr, errno, "%s", opts[i].what);
	}
	return 0;
}

static int raw_socket(int family, const char *ifname, struct verr *reterr)
{
	static struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog prog = {.len = ARRAY_LEN(drop_all), .filter = drop_all};
	AUTO(fd_close_p)
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, PROTO_VRRP);
	uint8_t byte;

	if (fd < 0)
		return verr_errno(reterr, errno, "raw socket");
	/* An open raw socket receives from every interface: deaf, then bound, then emptied. */
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return verr_errno(reterr, errno, "filter of the raw socket");
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
		       (socklen_t)strnlen(ifname, 15) + 1) < 0)
		return verr_errno(reterr, errno, "binding to interface %s", ifname);
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) >= 0)
		;
	return fd_steal(&fd);
}

static int join_group(int fd, int family, unsigned int ifindex)
{
	if (family == AF_INET) {
		struct ip_mreqn m = {.imr_ifindex = (int)ifindex};

		memcpy(&m.imr_multiaddr, group_v4, sizeof(group_v4));
		return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
	}
	struct ipv6_mreq m6 = {.ipv6mr_interface = ifindex};

	memcpy(&m6.ipv6mr_multiaddr, group_v6, sizeof(group_v6));
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m6, sizeof(m6));
}

int l2_vrrp_rx_socket(int family, unsigned int ifindex, const char *ifname, struct verr *reterr)
{
	static const struct option v4[] = {
		{SOL_SOCKET, SO_RCVBUF, RX_BYTES, "SO_RCVBUF"},
		{IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL"},
	};
	static const struct option v6[] = {
		{SOL_SOCKET, SO_RCVBUF, RX_BYTES, "SO_RCVBUF"},
		{IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL"},
		{IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"},
		{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT"},
	};
	AUTO(fd_close_p) int fd = raw_socket(family, ifname, reterr);
	int r;

	if (fd < 0)
		return fd;
	r = family == AF_INET ? set_options(fd, v4, ARRAY_LEN(v4), reterr)
			      : set_options(fd, v6, ARRAY_LEN(v6), reterr);
	if (r < 0)
		return r;
	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)) < 0)
		return verr_errno(reterr, errno, "filter of the receive socket");
	if (join_group(fd, family, ifindex) < 0)
		return verr_errno(reterr, errno, "joining the VRRP group on %s", ifname);
	return fd_steal(&fd);
}

int l2_vrrp_tx_socket(int family, unsigned int ifindex, const char *ifname, struct verr *reterr)
{
	const struct option v4[] = {
		{IPPROTO_IP, IP_TTL, HOPS, "IP_TTL"},
		{IPPROTO_IP, IP_MULTICAST_TTL, HOPS, "IP_MULTICAST_TTL"},
		{IPPROTO_IP, IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP"},
		{IPPROTO_IP, IP_TOS, TOS_NETWORK_CONTROL, "IP_TOS"},
	};
	const struct option v6[] = {
		{IPPROTO_IPV6, IPV6_UNICAST_HOPS, HOPS, "IPV6_UNICAST_HOPS"},
		{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOPS, "IPV6_MULTICAST_HOPS"},
		{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP"},
		{IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex, "IPV6_MULTICAST_IF"},
		{IPPROTO_IPV6, IPV6_TCLASS, TOS_NETWORK_CONTROL, "IPV6_TCLASS"},
	};
	AUTO(fd_close_p) int fd = raw_socket(family, ifname, reterr); /* and it stays deaf */
	int r;

	if (fd < 0)
		return fd;
	r = family == AF_INET ? set_options(fd, v4, ARRAY_LEN(v4), reterr)
			      : set_options(fd, v6, ARRAY_LEN(v6), reterr);
	if (r < 0)
		return r;
	if (family == AF_INET) {
		const struct ip_mreqn m = {.imr_ifindex = (int)ifindex};

		if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m)) < 0)
			return verr_errno(reterr, errno, "IP_MULTICAST_IF");
	}
	return fd_steal(&fd);
}

/* An IPv6 raw socket gives the message without its header; what else we need comes beside it. */
static int ip6_packet(const struct msghdr *h, const uint8_t *buf, size_t len,
		      struct l2_vrrp_packet *ret)
{
	struct l2_vrrp_packet p = {.msg = buf, .len = len};
	bool has_dst = false, has_ttl = false;
	uint16_t port;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)h, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			p.dst = addr_from_bytes(AF_INET6, &info.ipi6_addr);
			has_dst = true;
		} else if (c->cmsg_type == IPV6_HOPLIMIT) {
			int hops;

			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
			p.ttl = (uint8_t)hops;
			has_ttl = true;
		}
	}
	if (!has_dst || !has_ttl ||
	    addr_from_sockaddr(h->msg_name, h->msg_namelen, &p.src, &port) < 0)
		return -EBADMSG;
	*ret = p;
	return 0;
}

int l2_vrrp_receive(int fd, int family, uint8_t (*bufs)[L2_VRRP_BUF], size_t n,
		    struct l2_vrrp_packet *ret)
{
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iovs[BATCH];
	struct sockaddr_in6 from[BATCH];
	_Alignas(struct cmsghdr) uint8_t
		control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
	int got, good = 0;

	if (n > BATCH)
		n = BATCH;
	for (size_t i = 0; i < n; i++) {
		iovs[i] = (struct iovec){bufs[i], L2_VRRP_BUF};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iovs[i], .msg_iovlen = 1};
		if (family == AF_INET6) {
			msgs[i].msg_hdr.msg_name = &from[i];
			msgs[i].msg_hdr.msg_namelen = sizeof(from[i]);
			msgs[i].msg_hdr.msg_control = control[i];
			msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
		}
	}
	got = recvmmsg(fd, msgs, (unsigned int)n, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < got; i++) {
		int r = family == AF_INET6
				? ip6_packet(&msgs[i].msg_hdr, bufs[i], msgs[i].msg_len, &ret[good])
				: l2_ip4_parse(bufs[i], msgs[i].msg_len, &ret[good]);

		good += r == 0;
	}
	return good;
}

/* One message to the kernel: where to, what, and from which of our addresses. */
struct tx_slot {
	struct sockaddr_storage to;
	struct iovec iov;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void fill_slot(struct tx_slot *s, struct msghdr *h, unsigned int ifindex,
		      const struct l2_vrrp_out *out)
{
	struct cmsghdr *c;

	s->iov = (struct iovec){(void *)(uintptr_t)out->msg, out->len};
	memset(s->control, 0, sizeof(s->control));
	*h = (struct msghdr){
		.msg_name = &s->to,
		.msg_namelen = addr_to_sockaddr(&out->dst, 0, ifindex, &s->to),
		.msg_iov = &s->iov,
		.msg_iovlen = 1,
		.msg_control = s->control,
		.msg_controllen = sizeof(s->control),
	};
	c = CMSG_FIRSTHDR(h);
	if (out->src.family == AF_INET) {
		struct in_pktinfo info = {.ipi_ifindex = (int)ifindex};

		memcpy(&info.ipi_spec_dst, out->src.bytes, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		h->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = ifindex};

		memcpy(&info.ipi6_addr, out->src.bytes, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

int l2_vrrp_send(int fd, int family, unsigned int ifindex, const struct l2_vrrp_out *out, size_t n)
{
	struct mmsghdr msgs[BATCH] = {0};
	struct tx_slot slots[BATCH];
	size_t next = 0;
	int sent = 0, error = 0;

	(void)family;
	while (next < n) {
		size_t batch = n - next < BATCH ? n - next : BATCH;
		int r;

		for (size_t i = 0; i < batch; i++)
			fill_slot(&slots[i], &msgs[i].msg_hdr, ifindex, &out[next + i]);
		r = sendmmsg(fd, msgs, (unsigned int)batch, MSG_DONTWAIT);
		if (r > 0) {
			sent += r;
			next += (size_t)r;
		} else {
			/* The first one failed. One unreachable peer must not silence the others. */
			error = r < 0 ? -errno : -EIO;
			next++;
		}
	}
	return sent > 0 || n == 0 ? sent : error;
}
