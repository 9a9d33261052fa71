/* nft_batch: requests to nf_tables. The kernel works inside sendto: answers are there when it returns. */
#include "nft/nft_internal.h"

#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int nft_socket_open(uint32_t *ret_port, struct verr *reterr)
{
	AUTO(fd_close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(sa);
	int on = 1, size = 1 << 20;

	if (fd < 0)
		return verr_errno(reterr, errno, "nfnetlink socket");
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return verr_errno(reterr, errno, "nfnetlink socket");
	/* Short acknowledgements, and room for many: a failed batch reports each of its messages. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*ret_port = sa.nl_pid;
	return fd_steal(&fd);
}

int nft_open(struct nft **ret, struct verr *reterr)
{
	AUTO(nft_close_p) struct nft *n = calloc(1, sizeof(*n));

	if (!n)
		return verr_set(reterr, ENOMEM, "nf_tables handle");
	n->monitor_fd = -1;
	n->fd = nft_socket_open(&n->port, reterr);
	if (n->fd < 0)
		return n->fd;
	n->ignore[n->n_ignore++] = n->port;
	*ret = STEAL(n);
	return 0;
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	fd_close_p(&n->fd);
	fd_close_p(&n->monitor_fd);
	free(n);
}

void nft_close_p(struct nft **n)
{
	nft_close(*n);
	*n = NULL;
}

static int receive(struct nft *n, size_t *ret_len)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(n->fd, n->recv, sizeof(n->recv), MSG_TRUNC,
				       (struct sockaddr *)&from, &from_len);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		if ((size_t)len > sizeof(n->recv))
			return -EMSGSIZE;
		if (from.nl_pid != 0)
			continue;
		*ret_len = (size_t)len;
		return 0;
	}
}

/* As receive, but waits a second at most. */
static int receive_wait(struct nft *n, size_t *ret_len)
{
	for (;;) {
		struct pollfd p = {.fd = n->fd, .events = POLLIN};
		int r = receive(n, ret_len);

		if (r != -EAGAIN)
			return r;
		r = poll(&p, 1, 1000);
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(struct nft *n, size_t len)
{
	for (;;) {
		ssize_t sent = send(n->fd, n->send, len, 0);

		if (sent >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* What an earlier request left behind when its time was over. */
static void drop_leftovers(struct nft *n)
{
	size_t len;
	int r;

	do {
		r = receive(n, &len);
	} while (r == 0 || r == -ENOBUFS);
}

void nft_batch_begin(struct nft_batch *b, uint8_t *buf, uint32_t seq)
{
	*b = (struct nft_batch){.buf = buf, .seq = seq};
	b->len = mnl_nlmsg_size(sizeof(struct nfgenmsg));
	/* libmnl leaves padding as it is: no bytes of earlier messages shall be in the shape's hash. */
	memset(buf, 0, NFT_BUF_MAX);
	(void)nftnl_batch_begin((char *)buf, seq);
}

struct nlmsghdr *nft_batch_open(struct nft_batch *b, uint16_t type, enum nft_table t,
				uint16_t flags)
{
	assert(b->len < NFT_BUF_MAX / 2);
	b->n++;
	return nftnl_nlmsg_build_hdr((char *)b->buf + b->len, type, nft_table_family(t), flags,
				     b->seq + b->n);
}

void nft_batch_close(struct nft_batch *b, const struct nlmsghdr *h)
{
	b->len += NLMSG_ALIGN(h->nlmsg_len);
}

int nft_batch_commit(struct nft *n, struct nft_batch *b, struct verr *reterr)
{
	struct nlmsghdr *end = nftnl_batch_end((char *)b->buf + b->len, b->seq + b->n + 1);
	struct nlmsghdr *last = NULL;
	bool acked = false;
	size_t at, len;
	int r, failed = 0;

	/* Messages are only answered if they fail; the last one also if it does not. */
	for (at = 0; at < b->len; at += NLMSG_ALIGN(last->nlmsg_len))
		last = (struct nlmsghdr *)(void *)(b->buf + at);
	last->nlmsg_flags |= NLM_F_ACK;
	b->len += NLMSG_ALIGN(end->nlmsg_len);
	n->seq = b->seq + b->n + 2;
	drop_leftovers(n);
	r = send_all(n, b->len);
	while (r == 0 && failed == 0) {
		const struct nlmsghdr *h;
		int left;

		r = receive(n, &len);
		if (r < 0)
			break;
		h = (const struct nlmsghdr *)(const void *)n->recv;
		for (left = (int)len; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			r = netlink_end(h);
			if (r < 0 && failed == 0)
				failed = r;
			else if (h->nlmsg_seq == b->seq + b->n)
				acked = true;
		}
		r = 0;
	}
	if (failed == 0 && r < 0 && r != -EAGAIN)
		failed = r;
	if (failed == 0 && !acked)
		failed = -EIO;
	if (failed < 0)
		return verr_errno(reterr, -failed, "nf_tables");
	return 0;
}

struct nlmsghdr *nft_request_open(struct nft *n, uint16_t type, enum nft_table t, uint16_t flags)
{
	memset(n->send, 0, 4096);
	return nftnl_nlmsg_build_hdr((char *)n->send, type, nft_table_family(t),
				     (uint16_t)(flags | NLM_F_ACK), ++n->seq);
}

int nft_request(struct nft *n, const struct nlmsghdr *h, nft_answer_fn fn, void *user)
{
	uint32_t seq = h->nlmsg_seq;
	bool torn = false;
	int r, failed = 0;

	drop_leftovers(n);
	r = send_all(n, h->nlmsg_len);
	while (r == 0) {
		const struct nlmsghdr *a;
		size_t len;
		int left;

		r = receive_wait(n, &len);
		if (r < 0)
			return r;
		a = (const struct nlmsghdr *)(const void *)n->recv;
		for (left = (int)len; mnl_nlmsg_ok(a, left); a = mnl_nlmsg_next(a, &left)) {
			if (a->nlmsg_seq != seq)
				continue;
			torn = torn || (a->nlmsg_flags & NLM_F_DUMP_INTR);
			if (a->nlmsg_type == NLMSG_ERROR || a->nlmsg_type == NLMSG_DONE) {
				r = failed < 0 ? failed : netlink_end(a);
				return r == 0 && torn ? -EAGAIN : r;
			}
			if (failed == 0)
				failed = fn(user, a);
		}
	}
	return r;
}
