/* Packet sockets: sending announcements, and listening for those of others. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "l2/l2.h"

#define BATCH 64

int l2_packet_socket(struct verr *reterr)
{
	/* Protocol 0: the kernel hands it nothing, so there is nothing to drain. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return verr_errno(reterr, errno, "packet socket");
	return fd;
}

int l2_frames_send(int fd, unsigned int ifindex, const uint8_t (*frames)[L2_FRAME_MAX],
		   const size_t *lens, size_t n)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = 6};
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iovs[BATCH];
	size_t next = 0;
	int error = 0;

	while (next < n) {
		size_t batch = n - next < BATCH ? n - next : BATCH;
		int sent;

		for (size_t i = 0; i < batch; i++) {
			/* sendmmsg only reads what iov_base points to */
			iovs[i] =
				(struct iovec){(void *)(uintptr_t)frames[next + i], lens[next + i]};
			msgs[i].msg_hdr = (struct msghdr){.msg_name = &to,
							  .msg_namelen = sizeof(to),
							  .msg_iov = &iovs[i],
							  .msg_iovlen = 1};
		}
		sent = sendmmsg(fd, msgs, (unsigned int)batch, MSG_DONTWAIT);
		if (sent > 0) {
			next += (size_t)sent;
			continue;
		}
		/* The first one was refused. Those behind it may find room. */
		if (error == 0)
			error = sent < 0 ? -errno : -EIO;
		next++;
	}
	return error;
}

/* Receives what the filter lets through of one protocol. */
static int listen_to(unsigned int ifindex, uint16_t protocol, const struct sock_fprog *filter,
		     const char *what, struct verr *reterr)
{
	const struct sockaddr_ll from = {.sll_family = AF_PACKET,
					 .sll_protocol = htons(protocol),
					 .sll_ifindex = (int)ifindex};
	AUTO(fd_close_p)
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return verr_errno(reterr, errno, "packet socket");
	/* The filter first: bound, it would receive at once. */
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) < 0)
		return verr_errno(reterr, errno, "filter of the %s socket", what);
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
		return verr_errno(reterr, errno, "binding the %s socket to interface %u", what,
				  ifindex);
	return fd_steal(&fd);
}

int l2_arp_socket(unsigned int ifindex, struct verr *reterr)
{
	/* Replies, and requests in which sender and target are the same address. */
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 4, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 28),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 38),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, L2_FRAME_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};

	return listen_to(ifindex, ETH_P_ARP, &prog, "ARP", reterr);
}

int l2_na_socket(unsigned int ifindex, struct verr *reterr)
{
	/* ICMPv6 with a hop limit of 255; type 136, code 0; a target outside of fe80::/10. */
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x3aff, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 54),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x8800, 0, 4),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 62),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffc0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xfe80, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, L2_FRAME_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};

	return listen_to(ifindex, ETH_P_IPV6, &prog, "neighbour discovery", reterr);
}
