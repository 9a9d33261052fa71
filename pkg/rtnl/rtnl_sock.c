/* rtnl_sock: one request, its answer. rtnetlink works inside sendmsg, so answers are there at once. */
#include "rtnl/rtnl_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

void rtnl_msg_free_p(struct nl_msg **msg)
{
	nlmsg_free(*msg);
	*msg = NULL;
}

/* -errno for an error number of libnl: the ones that opening a socket can give. */
static int from_nle(int nle)
{
	switch (nle < 0 ? -nle : nle) {
	case NLE_NOMEM:
		return ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return EPERM;
	case NLE_AF_NOSUPPORT:
		return EAFNOSUPPORT;
	default:
		return EIO;
	}
}

static void set_option(int fd, int option)
{
	int on = 1;

	/* Each only makes errors clearer or dumps shorter: a kernel without it does as well. */
	(void)setsockopt(fd, SOL_NETLINK, option, &on, sizeof(on));
}

int rtnl_open(struct rtnl **ret, struct verr *reterr)
{
	AUTO(rtnl_close_p) struct rtnl *r = calloc(1, sizeof(*r));
	int nle, fd;

	if (!r)
		return verr_set(reterr, ENOMEM, "rtnetlink handle");
	r->monitor_fd = -1;
	for (size_t i = 0; i < RTNL_CONF_ALL_N; i++)
		r->conf_all[i] = -1;
	r->sk = nl_socket_alloc();
	if (!r->sk)
		return verr_set(reterr, ENOMEM, "rtnetlink socket");
	nle = nl_connect(r->sk, NETLINK_ROUTE);
	if (nle < 0)
		return verr_set(reterr, from_nle(nle), "rtnetlink socket: %s", nl_geterror(nle));
	nle = nl_socket_set_nonblocking(r->sk);
	if (nle < 0)
		return verr_set(reterr, from_nle(nle), "rtnetlink socket: %s", nl_geterror(nle));
	fd = nl_socket_get_fd(r->sk);
	set_option(fd, NETLINK_CAP_ACK);
	set_option(fd, NETLINK_EXT_ACK);
	set_option(fd, NETLINK_GET_STRICT_CHK);
	r->port = nl_socket_get_local_port(r->sk);
	*ret = STEAL(r);
	return 0;
}

void rtnl_close(struct rtnl *r)
{
	if (!r)
		return;
	nl_socket_free(r->sk);
	fd_close_p(&r->monitor_fd);
	for (size_t i = 0; i < RTNL_CONF_ALL_N; i++)
		fd_close_p(&r->conf_all[i]);
	free(r);
}

void rtnl_close_p(struct rtnl **r)
{
	rtnl_close(*r);
	*r = NULL;
}

struct nl_msg *rtnl_request(uint16_t type, int flags, const void *header, size_t header_len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, (void *)(uintptr_t)header, header_len, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

bool rtnl_put_addr(struct nl_msg *msg, int type, const struct addr *a)
{
	return nla_put(msg, type, (int)addr_len(a), a->bytes) == 0;
}

/* One datagram of the kernel into r->buf; waits a second at most. */
static int receive(struct rtnl *r, size_t *ret_len, struct verr *reterr)
{
	int fd = nl_socket_get_fd(r->sk);

	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, r->buf, sizeof(r->buf), MSG_TRUNC,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			int ready = poll(&p, 1, 1000);

			if (ready > 0 || (ready < 0 && errno == EINTR))
				continue;
			return verr_set(reterr, ETIMEDOUT, "rtnetlink gave no answer");
		}
		if (n < 0)
			return verr_errno(reterr, errno, "rtnetlink receive");
		if ((size_t)n > sizeof(r->buf))
			return verr_set(reterr, EMSGSIZE, "rtnetlink answer of %zd bytes", n);
		if (from.nl_pid != 0)
			continue;
		*ret_len = (size_t)n;
		return 0;
	}
}

static int send_request(struct rtnl *r, struct nl_msg *msg, uint32_t *ret_seq, struct verr *reterr)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	ssize_t n;

	nl_complete_msg(r->sk, msg);
	*ret_seq = h->nlmsg_seq;
	do {
		n = send(nl_socket_get_fd(r->sk), h, h->nlmsg_len, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return verr_errno(reterr, errno, "rtnetlink request");
	return 0;
}

int rtnl_get(struct rtnl *r, struct nl_msg *msg, rtnl_msg_fn fn, void *user, struct verr *reterr)
{
	uint32_t seq;
	int rc = send_request(r, msg, &seq, reterr);

	while (rc == 0) {
		struct netlink_cursor c = {.p = r->buf};
		struct rtnl_msg m;

		rc = receive(r, &c.left, reterr);
		if (rc < 0)
			return rc;
		while ((rc = rtnl_msg_next(&c, &m)) > 0) {
			if (m.seq != seq)
				continue;
			if (m.type == NLMSG_ERROR)
				return rtnl_parse_end(&m, reterr);
			if (fn) {
				rc = fn(user, &m);
				if (rc < 0)
					return verr_errno(reterr, -rc, "rtnetlink answer");
			}
		}
		if (rc < 0)
			return verr_set(reterr, EBADMSG, "malformed rtnetlink answer");
	}
	return rc;
}

int rtnl_talk(struct rtnl *r, struct nl_msg *msg, struct verr *reterr)
{
	return rtnl_get(r, msg, NULL, NULL, reterr);
}

int rtnl_dump(struct rtnl *r, struct nl_msg *msg, rtnl_msg_fn fn, void *user, struct verr *reterr)
{
	uint32_t seq;
	int rc = send_request(r, msg, &seq, reterr), failed = 0;
	bool torn = false;

	/* Read to the end even after an error: the next request would find the rest otherwise. */
	while (rc == 0) {
		struct netlink_cursor c = {.p = r->buf};
		struct rtnl_msg m;

		rc = receive(r, &c.left, reterr);
		if (rc < 0)
			return rc;
		while ((rc = rtnl_msg_next(&c, &m)) > 0) {
			if (m.seq != seq)
				continue;
			torn = torn || (m.flags & NLM_F_DUMP_INTR);
			if (m.type == NLMSG_ERROR || m.type == NLMSG_DONE) {
				if (failed < 0)
					return verr_errno(reterr, -failed, "rtnetlink dump");
				rc = rtnl_parse_end(&m, reterr);
				return rc == 0 && torn ? -EAGAIN : rc;
			}
			rc = failed < 0 ? 0 : fn(user, &m);
			if (rc < 0 && rc != -EAGAIN)
				failed = rc;
		}
		if (rc < 0)
			return verr_set(reterr, EBADMSG, "malformed rtnetlink dump");
	}
	return rc;
}
