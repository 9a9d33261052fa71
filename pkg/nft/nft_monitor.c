/* nft_monitor: has somebody else touched our tables? */
#include "nft/nft_internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int nft_monitor_open(struct nft *n, struct verr *reterr)
{
	uint32_t port;
	AUTO(fd_close_p) int fd = nft_socket_open(&port, reterr);
	int group = NFNLGRP_NFTABLES;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return verr_errno(reterr, errno, "nf_tables events");
	fd_close_p(&n->monitor_fd);
	n->monitor_fd = fd_steal(&fd);
	return 0;
}

int nft_monitor_fd(const struct nft *n)
{
	return n->monitor_fd;
}

void nft_monitor_ignore(struct nft *n, const struct nft *other)
{
	if (other && n->n_ignore < ARRAY_LEN(n->ignore))
		n->ignore[n->n_ignore++] = other->port;
}

static bool is_news(const struct nft *n, const struct nlmsghdr *h)
{
	for (size_t i = 0; i < n->n_ignore; i++) {
		if (n->ignore[i] == h->nlmsg_pid)
			return false;
	}
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN)
		return false;
	return nft_event_is_ours(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h));
}

int nft_monitor_drain(struct nft *n)
{
	int news = 0;

	for (;;) {
		ssize_t len = recv(n->monitor_fd, n->recv, sizeof(n->recv), MSG_TRUNC);
		const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)n->recv;
		int left = (int)len;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return news;
		/* The queue overflowed, or a message did: what was lost may have been about us. */
		if ((len < 0 && errno == ENOBUFS) || (len > 0 && (size_t)len > sizeof(n->recv))) {
			news = 1;
			continue;
		}
		if (len < 0)
			return -errno;
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
			news |= is_news(n, h);
	}
}
