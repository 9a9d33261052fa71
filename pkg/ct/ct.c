/* ct: requests to ctnetlink, and what it answers. */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "ct/ct.h"

#define BUF_MAX 32768 /* what the kernel dumps at once, at most */
#define REQUEST_MAX 512
/* Of the reply tuple the source address counts (linux net/netfilter/nf_internals.h; kernels before 5.8 list all). */
#define FILTER_IP_SRC 1u

struct ct {
	struct mnl_socket *nl;
	uint32_t port, seq;
	uint8_t buf[BUF_MAX] __attribute__((aligned(8)));
};

/* ---- what comes ---- */

struct attrs {
	const struct nlattr *by_type[CTA_MAX + 1];
};

static int on_attr(const struct nlattr *a, void *user)
{
	struct attrs *t = user;
	uint16_t type = mnl_attr_get_type(a);

	if (type <= CTA_MAX)
		t->by_type[type] = a;
	return MNL_CB_OK;
}

static bool nested(const struct attrs *from, int type, struct attrs *ret)
{
	const struct nlattr *a = from->by_type[type];

	*ret = (struct attrs){0};
	return a && mnl_attr_parse_nested(a, on_attr, ret) == MNL_CB_OK;
}

static bool get_bytes(const struct attrs *from, int type, void *dst, size_t len)
{
	const struct nlattr *a = from->by_type[type];

	if (!a || mnl_attr_get_payload_len(a) != len)
		return false;
	memcpy(dst, mnl_attr_get_payload(a), len);
	return true;
}

static bool get_addr(const struct attrs *ip, int family, int type4, int type6, struct addr *ret)
{
	bool is_v6 = family == AF_INET6;
	uint8_t bytes[16];

	if (!get_bytes(ip, is_v6 ? type6 : type4, bytes, is_v6 ? 16 : 4))
		return false;
	*ret = addr_from_bytes(family, bytes);
	return true;
}

static bool get_port(const struct attrs *proto, int type, uint16_t *ret)
{
	uint8_t bytes[2];

	if (!get_bytes(proto, type, bytes, sizeof(bytes)))
		return false;
	*ret = (uint16_t)(bytes[0] << 8 | bytes[1]);
	return true;
}

struct tuple {
	uint8_t protocol;
	struct addr src, dst;
	uint16_t src_port, dst_port;
};

static int get_tuple(const struct attrs *msg, int type, int family, struct tuple *ret)
{
	struct attrs tuple, ip, proto;

	if (!nested(msg, type, &tuple) || !nested(&tuple, CTA_TUPLE_IP, &ip) ||
	    !nested(&tuple, CTA_TUPLE_PROTO, &proto) ||
	    !get_bytes(&proto, CTA_PROTO_NUM, &ret->protocol, 1))
		return -EBADMSG;
	if (ret->protocol != IPPROTO_TCP && ret->protocol != IPPROTO_UDP)
		return -EAGAIN;
	if (!get_addr(&ip, family, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &ret->src) ||
	    !get_addr(&ip, family, CTA_IP_V4_DST, CTA_IP_V6_DST, &ret->dst) ||
	    !get_port(&proto, CTA_PROTO_SRC_PORT, &ret->src_port) ||
	    !get_port(&proto, CTA_PROTO_DST_PORT, &ret->dst_port))
		return -EBADMSG;
	return 0;
}

int ct_conn_parse(const void *bytes, size_t len, struct ct_conn *ret)
{
	struct nfgenmsg head;
	struct tuple orig, reply;
	struct attrs msg = {0};
	int r;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	if (head.nfgen_family != AF_INET && head.nfgen_family != AF_INET6)
		return -EAGAIN;
	if (mnl_attr_parse_payload((const uint8_t *)bytes + sizeof(head), len - sizeof(head),
				   on_attr, &msg) != MNL_CB_OK)
		return -EBADMSG;
	r = get_tuple(&msg, CTA_TUPLE_ORIG, head.nfgen_family, &orig);
	if (r == 0)
		r = get_tuple(&msg, CTA_TUPLE_REPLY, head.nfgen_family, &reply);
	if (r < 0)
		return r;
	if (addr_eq(&orig.dst, &reply.src))
		return -EAGAIN;
	*ret = (struct ct_conn){
		.protocol = orig.protocol,
		.client = orig.src,
		.client_port = orig.src_port,
		.vip = orig.dst,
		.vip_port = orig.dst_port,
		.server = reply.src,
		.server_port = reply.src_port,
	};
	return 0;
}

/* ---- what is asked ---- */

static struct nlmsghdr *open_request(struct ct *t, uint8_t *buf, uint16_t type, uint16_t flags,
				     uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *head;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++t->seq;
	head = mnl_nlmsg_put_extra_header(h, sizeof(*head));
	*head = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
	return h;
}

static void put_addr(struct nlmsghdr *h, uint16_t type4, uint16_t type6, const struct addr *a)
{
	mnl_attr_put(h, a->family == AF_INET6 ? type6 : type4, addr_len(a), a->bytes);
}

/* Called for each message of an answer. */
typedef void (*answer_fn)(void *user, const struct nlmsghdr *h);

static int request(struct ct *t, const struct nlmsghdr *h, answer_fn fn, void *user)
{
	bool is_torn = false;

	if (mnl_socket_sendto(t->nl, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t len = mnl_socket_recvfrom(t->nl, t->buf, sizeof(t->buf));
		const struct nlmsghdr *a = (const struct nlmsghdr *)(const void *)t->buf;
		int left = (int)len;

		if (len < 0)
			return -errno;
		for (; mnl_nlmsg_ok(a, left); a = mnl_nlmsg_next(a, &left)) {
			if (a->nlmsg_seq != t->seq || a->nlmsg_pid != t->port)
				continue; /* of a request that was given up */
			is_torn = is_torn || (a->nlmsg_flags & NLM_F_DUMP_INTR);
			if (a->nlmsg_type == NLMSG_ERROR || a->nlmsg_type == NLMSG_DONE) {
				int r = netlink_end(a);

				return r == 0 && is_torn ? -EINTR : r;
			}
			if (fn)
				fn(user, a);
		}
	}
}

struct listing {
	const struct addr *server; /* NULL: any */
	ct_fn fn;
	void *user;
};

static void on_conn(void *user, const struct nlmsghdr *h)
{
	const struct listing *l = user;
	struct ct_conn c;

	if (ct_conn_parse(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h), &c) == 0 &&
	    (!l->server || addr_eq(&c.server, l->server)))
		l->fn(l->user, &c);
}

static void put_filter(struct nlmsghdr *h, const struct addr *server)
{
	struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_REPLY);
	struct nlattr *part = mnl_attr_nest_start(h, CTA_TUPLE_IP);

	put_addr(h, CTA_IP_V4_SRC, CTA_IP_V6_SRC, server);
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
	part = mnl_attr_nest_start(h, CTA_FILTER);
	mnl_attr_put_u32(h, CTA_FILTER_ORIG_FLAGS, 0);
	mnl_attr_put_u32(h, CTA_FILTER_REPLY_FLAGS, FILTER_IP_SRC);
	mnl_attr_nest_end(h, part);
}

int ct_list(struct ct *t, const struct addr *server, ct_fn fn, void *user, struct verr *reterr)
{
	struct listing l = {.server = server, .fn = fn, .user = user};
	uint8_t buf[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *h =
		open_request(t, buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, (uint8_t)server->family);
	int r;

	/* IPv6: the kernel (5.8 to 6.1 at least) drops what matches and gives the rest */
	if (server->family == AF_INET)
		put_filter(h, server);
	r = request(t, h, on_conn, &l);
	if (r < 0)
		return verr_errno(reterr, -r, "listing tracked connections");
	return 0;
}

int ct_list_family(struct ct *t, int family, ct_fn fn, void *user, struct verr *reterr)
{
	struct listing l = {.fn = fn, .user = user};
	uint8_t buf[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *h = open_request(t, buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, (uint8_t)family);
	int r = request(t, h, on_conn, &l);

	if (r < 0)
		return verr_errno(reterr, -r, "listing tracked connections");
	return 0;
}

static void put_orig(struct nlmsghdr *h, const struct ct_conn *c)
{
	struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG);
	struct nlattr *part = mnl_attr_nest_start(h, CTA_TUPLE_IP);

	put_addr(h, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &c->client);
	put_addr(h, CTA_IP_V4_DST, CTA_IP_V6_DST, &c->vip);
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, c->protocol);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(c->client_port));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(c->vip_port));
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
}

int ct_forget(struct ct *t, const struct ct_conn *c, struct verr *reterr)
{
	uint8_t buf[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *h =
		open_request(t, buf, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, (uint8_t)c->vip.family);
	int r;

	put_orig(h, c);
	r = request(t, h, NULL, NULL);
	if (r < 0 && r != -ENOENT)
		return verr_errno(reterr, -r, "forgetting a tracked connection");
	return 0;
}

int ct_open(struct ct **ret, struct verr *reterr)
{
	struct ct *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return verr_set(reterr, ENOMEM, "connection tracking");
	r = netlink_open(NETLINK_NETFILTER, &t->nl);
	if (r < 0) {
		ct_close(t);
		return verr_errno(reterr, -r, "connection tracking");
	}
	t->port = mnl_socket_get_portid(t->nl);
	*ret = t;
	return 0;
}

void ct_close(struct ct *t)
{
	if (!t)
		return;
	if (t->nl)
		mnl_socket_close(t->nl);
	free(t);
}
