/* diag: requests to sock_diag, and what it answers. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "diag/diag.h"

#define ANSWER_MAX 4096
#define REQUEST_MAX 128

struct diag {
	struct mnl_socket *nl;
	uint32_t port, seq;
};

/* ---- what comes ---- */

int diag_answer_parse(const void *bytes, size_t len, enum diag_socket *ret)
{
	struct inet_diag_msg m;

	if (len < sizeof(m))
		return -EBADMSG;
	memcpy(&m, bytes, sizeof(m));
	*ret = m.idiag_state == TCP_LISTEN ? DIAG_LISTENS : DIAG_CONNECTED;
	return 0;
}

static int answer(struct diag *d, enum diag_socket *ret)
{
	uint8_t buf[ANSWER_MAX] __attribute__((aligned(8)));

	for (;;) {
		ssize_t len = mnl_socket_recvfrom(d->nl, buf, sizeof(buf));
		const struct nlmsghdr *a = (const struct nlmsghdr *)(const void *)buf;
		int r;

		if (len < 0)
			return -errno;
		if (!mnl_nlmsg_ok(a, (int)len))
			return -EBADMSG;
		if (a->nlmsg_seq != d->seq || a->nlmsg_pid != d->port)
			continue; /* of a request that was given up */
		if (a->nlmsg_type != NLMSG_ERROR)
			return diag_answer_parse(mnl_nlmsg_get_payload(a),
						 mnl_nlmsg_get_payload_len(a), ret);
		r = netlink_end(a);
		*ret = DIAG_NONE;
		return r == -ENOENT ? 0 : r;
	}
}

/* ---- what is asked ---- */

int diag_tcp(struct diag *d, const struct addr *local, uint16_t local_port, const struct addr *peer,
	     uint16_t peer_port, enum diag_socket *ret, struct verr *reterr)
{
	uint8_t buf[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(h, sizeof(*request));
	int r;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++d->seq;
	*request = (struct inet_diag_req_v2){
		.sdiag_family = (uint8_t)local->family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = UINT32_MAX,
		.id = {.idiag_sport = htons(local_port),
		       .idiag_dport = htons(peer_port),
		       .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	memcpy(request->id.idiag_src, local->bytes, addr_len(local));
	memcpy(request->id.idiag_dst, peer->bytes, addr_len(peer));
	r = mnl_socket_sendto(d->nl, h, h->nlmsg_len) < 0 ? -errno : answer(d, ret);
	if (r < 0)
		return verr_errno(reterr, -r, "asking for a TCP socket");
	return 0;
}

int diag_open(struct diag **ret, struct verr *reterr)
{
	struct diag *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return verr_set(reterr, ENOMEM, "TCP sockets");
	r = netlink_open(NETLINK_SOCK_DIAG, &d->nl);
	if (r < 0) {
		diag_close(d);
		return verr_errno(reterr, -r, "TCP sockets");
	}
	d->port = mnl_socket_get_portid(d->nl);
	*ret = d;
	return 0;
}

void diag_close(struct diag *d)
{
	if (!d)
		return;
	if (d->nl)
		mnl_socket_close(d->nl);
	free(d);
}
