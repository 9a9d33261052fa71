/*
 * The socket: requests out, replies in, and the small questions. The kernel works a request off within
 * sendmsg(). A dump comes in pieces as large as the buffer of the previous recvmsg().
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include "ipvs/ipvs_internal.h"

#define RECV_SIZE 32768 /* the kernel fills no more in one piece of a dump */
#define SOCKET_BUFFER (1 << 20)
#define ANSWER_TIMEOUT_MS \
	5000 /* an answer is there when sendmsg() returns; this is for a broken one */

void ipvs_close(struct ipvs *i)
{
	if (!i)
		return;
	nlmsg_free(i->msg);
	nl_socket_free(i->sock);
	free(i->recv_buf);
	free(i->batch);
	free(i);
}

void ipvs_close_p(struct ipvs **i)
{
	ipvs_close(*i);
	*i = NULL;
}

/* libnl keeps errno for what it got from the system; its own numbers say too little to be worth a table. */
static int connect_family(struct ipvs *i, struct verr *reterr)
{
	int r = genl_connect(i->sock);
	int on = 1, size = SOCKET_BUFFER, flags;

	if (r < 0)
		return verr_set(reterr, EIO, "opening generic netlink: %s", nl_geterror(r));
	/* Looking the family up makes the kernel load ip_vs, where it may. */
	i->genl = genl_ctrl_resolve(i->sock, IPVS_GENL_NAME);
	if (i->genl == -NLE_OBJ_NOTFOUND)
		return verr_set(reterr, ENOTSUP, "this kernel has no IPVS (module ip_vs)");
	if (i->genl < 0)
		return verr_set(reterr, EIO, "looking up IPVS: %s", nl_geterror(i->genl));
	i->fd = nl_socket_get_fd(i->sock);
	/* Refusals without a copy of the request, so that many fit the buffer; both are comfort only. */
	(void)setsockopt(i->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(i->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(i->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	flags = fcntl(i->fd, F_GETFL);
	if (flags < 0 || fcntl(i->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return verr_errno(reterr, errno, "netlink socket");
	return 0;
}

int ipvs_open(struct ipvs **ret, struct verr *reterr)
{
	AUTO(ipvs_close_p) struct ipvs *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return verr_set(reterr, ENOMEM, "IPVS handle");
	i->sock = nl_socket_alloc();
	i->msg = nlmsg_alloc_size(IPVS_REQUEST_MAX);
	i->recv_buf = malloc(RECV_SIZE);
	i->batch = malloc(IPVS_BATCH_MAX * IPVS_REQUEST_MAX);
	if (!i->sock || !i->msg || !i->recv_buf || !i->batch)
		return verr_set(reterr, ENOMEM, "IPVS handle");
	r = connect_family(i, reterr);
	if (r < 0)
		return r;
	*ret = STEAL(i);
	return 0;
}

int ipvs_send(struct ipvs *i, const void *bytes, size_t len, struct verr *reterr)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	do
		n = sendto(i->fd, bytes, len, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return verr_errno(reterr, errno, "sending to the kernel");
	return 0;
}

/* One datagram of replies into the walk. */
int ipvs_receive(struct ipvs *i, struct ipvs_reply_walk *w, struct verr *reterr)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = i->recv_buf, .iov_len = RECV_SIZE};

	for (;;) {
		struct msghdr h = {.msg_name = &from,
				   .msg_namelen = sizeof(from),
				   .msg_iov = &iov,
				   .msg_iovlen = 1};
		struct pollfd p = {.fd = i->fd, .events = POLLIN};
		ssize_t n = recvmsg(i->fd, &h, 0);

		if (n >= 0 && (h.msg_flags & MSG_TRUNC))
			return verr_set(reterr, EMSGSIZE, "the kernel's answer is too long");
		if (n >= 0 && h.msg_namelen == sizeof(from) && from.nl_pid != 0)
			continue; /* not from the kernel */
		if (n >= 0) {
			*w = (struct ipvs_reply_walk){.buf = i->recv_buf, .len = (size_t)n};
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return verr_errno(reterr, errno, "reading the kernel's answer");
		if (poll(&p, 1, ANSWER_TIMEOUT_MS) == 0)
			return verr_set(reterr, ETIMEDOUT, "the kernel does not answer");
	}
}

int ipvs_exchange(struct ipvs *i, ipvs_data_fn fn, void *user, struct verr *reterr)
{
	struct nlmsghdr *h = nlmsg_hdr(i->msg);
	bool is_interrupted = false;
	int bad = 0;
	int r;

	h->nlmsg_pid = nl_socket_get_local_port(i->sock);
	r = ipvs_send(i, h, h->nlmsg_len, reterr);
	while (r >= 0) {
		struct ipvs_reply_walk w;
		enum ipvs_reply kind;

		r = ipvs_receive(i, &w, reterr);
		if (r < 0)
			break;
		while ((kind = ipvs_reply_next(&w)) != IPVS_REPLY_END) {
			if (kind == IPVS_REPLY_BAD)
				return verr_set(reterr, EBADMSG, "malformed answer of the kernel");
			if (w.seq != i->seq)
				continue; /* of a request that was given up */
			if (kind == IPVS_REPLY_DATA && bad == 0 && fn)
				bad = fn(user, w.msg);
			if (kind == IPVS_REPLY_ACK) {
				if (w.error != 0)
					return verr_set(reterr, w.error, "%s", strerror(w.error));
				if (bad < 0)
					return verr_set(reterr, -bad, "%s", strerror(-bad));
				return is_interrupted || w.interrupted ? -EAGAIN : 0;
			}
		}
		is_interrupted = is_interrupted || w.interrupted;
	}
	return r;
}

/* ---- questions ---- */

static int on_info(void *user, const struct nlmsghdr *msg)
{
	return ipvs_parse_info(msg, user);
}

int ipvs_info(struct ipvs *i, struct ipvs_info *ret, struct verr *reterr)
{
	struct ipvs_info info = {0};
	int r = ipvs_msg_plain(i->msg, i->genl, IPVS_CMD_GET_INFO, NLM_F_ACK, ++i->seq);

	if (r == 0)
		r = ipvs_exchange(i, on_info, &info, reterr);
	if (r < 0)
		return verr_wrap(reterr, r, "asking IPVS for its version");
	*ret = info;
	return 0;
}

static int on_timeouts(void *user, const struct nlmsghdr *msg)
{
	return ipvs_parse_timeouts(msg, user);
}

int ipvs_timeouts_get(struct ipvs *i, struct ipvs_timeouts *ret, struct verr *reterr)
{
	struct ipvs_timeouts t = {0};
	int r = ipvs_msg_plain(i->msg, i->genl, IPVS_CMD_GET_CONFIG, NLM_F_ACK, ++i->seq);

	if (r == 0)
		r = ipvs_exchange(i, on_timeouts, &t, reterr);
	if (r < 0)
		return verr_wrap(reterr, r, "asking IPVS for its time-outs");
	*ret = t;
	return 0;
}

int ipvs_timeouts_set(struct ipvs *i, const struct ipvs_timeouts *t, struct verr *reterr)
{
	int r;

	if (t->tcp_s == 0 && t->tcp_fin_s == 0 && t->udp_s == 0)
		return 0;
	r = ipvs_msg_timeouts(i->msg, i->genl, t, ++i->seq);
	if (r == 0)
		r = ipvs_exchange(i, NULL, NULL, reterr);
	if (r < 0)
		return verr_wrap(reterr, r, "setting the time-outs of IPVS");
	return 0;
}

struct daemons {
	struct plan_sync master, backup;
};

static int on_daemon(void *user, const struct nlmsghdr *msg)
{
	struct daemons *d = user;
	struct plan_sync s;
	bool is_master;
	int r = ipvs_parse_daemon(msg, &is_master, &s);

	if (r == 0)
		*(is_master ? &d->master : &d->backup) = s;
	return r;
}

int ipvs_sync_get(struct ipvs *i, struct plan_sync *ret_master, struct plan_sync *ret_backup,
		  struct verr *reterr)
{
	struct daemons d = {0};
	int r = ipvs_msg_plain(i->msg, i->genl, IPVS_CMD_GET_DAEMON, NLM_F_DUMP, ++i->seq);

	if (r == 0)
		r = ipvs_exchange(i, on_daemon, &d, reterr);
	if (r < 0)
		return verr_wrap(reterr, r, "asking for the IPVS synchronisation daemons");
	*ret_master = d.master;
	*ret_backup = d.backup;
	return 0;
}

/*
 * A daemon that is stopped before its thread first ran makes the kernel answer nothing at all (EINTR means
 * "no ack" to netlink). So a no-operation travels behind the request, whose ack always comes. -EINTR: only
 * that came.
 */
static int exchange_with_daemon(struct ipvs *i, struct verr *reterr)
{
	struct nlmsghdr *h = nlmsg_hdr(i->msg);
	size_t len = NLMSG_ALIGN(h->nlmsg_len);
	struct nlmsghdr fence = {.nlmsg_len = NLMSG_HDRLEN,
				 .nlmsg_type = NLMSG_NOOP,
				 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
				 .nlmsg_seq = ++i->seq,
				 .nlmsg_pid = nl_socket_get_local_port(i->sock)};
	int answer = -EINTR;
	int r;

	h->nlmsg_pid = fence.nlmsg_pid;
	memset(i->batch, 0, len);
	memcpy(i->batch, h, h->nlmsg_len);
	memcpy(i->batch + len, &fence, sizeof(fence));
	r = ipvs_send(i, i->batch, len + sizeof(fence), reterr);
	while (r >= 0) {
		struct ipvs_reply_walk w;
		enum ipvs_reply kind;

		r = ipvs_receive(i, &w, reterr);
		while (r >= 0 && (kind = ipvs_reply_next(&w)) != IPVS_REPLY_END) {
			if (kind == IPVS_REPLY_BAD)
				return verr_set(reterr, EBADMSG, "malformed answer of the kernel");
			if (kind == IPVS_REPLY_ACK && w.seq == fence.nlmsg_seq - 1)
				answer = -w.error;
			if (kind == IPVS_REPLY_ACK && w.seq == fence.nlmsg_seq)
				return answer == 0
					       ? 0
					       : verr_set(reterr, -answer, "%s", strerror(-answer));
		}
	}
	return r;
}

static const char *daemon_name(bool master)
{
	return master ? "master" : "backup";
}

int ipvs_sync_stop(struct ipvs *i, bool master, uint8_t sync_id, struct verr *reterr)
{
	int r = ipvs_msg_daemon(i->msg, i->genl, master, sync_id, NULL, ++i->seq);

	if (r == 0)
		r = exchange_with_daemon(i, reterr);
	if (r == -ESRCH || r == -EINTR)
		return 0; /* none runs, or its thread never began */
	if (r < 0)
		return verr_wrap(reterr, r, "stopping the IPVS synchronisation %s",
				 daemon_name(master));
	return 0;
}

static int start_daemon(struct ipvs *i, bool master, const struct plan_sync *s, struct verr *reterr)
{
	int r = ipvs_msg_daemon(i->msg, i->genl, master, s->sync_id, s, ++i->seq);

	return r < 0 ? r : exchange_with_daemon(i, reterr);
}

int ipvs_sync_start(struct ipvs *i, bool master, const struct plan_sync *s, struct verr *reterr)
{
	struct plan_sync now[2];
	int r = start_daemon(i, master, s, reterr);

	if (r == -EEXIST) {
		const struct plan_sync *own = &now[master ? 0 : 1];

		r = ipvs_sync_get(i, &now[0], &now[1], reterr);
		if (r < 0)
			return r;
		if (own->sync_id == s->sync_id && strcmp(own->ifname, s->ifname) == 0)
			return 0;
		r = ipvs_sync_stop(i, master, own->sync_id, reterr);
		if (r == 0)
			r = start_daemon(i, master, s, reterr);
	}
	if (r < 0)
		return verr_wrap(reterr, r, "starting the IPVS synchronisation %s on %s",
				 daemon_name(master), s->ifname);
	return 0;
}
