/* rtnl_internal: what the files of this room share: cursors, pure parsers, requests. */
#ifndef VIPD_RTNL_INTERNAL_H
#define VIPD_RTNL_INTERNAL_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "rtnl/rtnl.h"

/* ---- rtnl_wire.c: bytes of datagrams, in host order; nothing is cast, nothing is kept ---- */

struct rtnl_msg {
	uint16_t type, flags;
	uint32_t seq, port; /* port: of the socket whose request this answers or tells of */
	const uint8_t *body;
	size_t len;
};
/* 1 and *ret, 0 at the end, -EBADMSG. */
int rtnl_msg_next(struct netlink_cursor *c, struct rtnl_msg *ret);

/* A cursor behind the fixed header of `header` bytes; an empty one if the body is shorter. */
struct netlink_cursor rtnl_attrs(const struct rtnl_msg *m, size_t header);
/* False, and *ret untouched, if the attribute is shorter. */
bool rtnl_attr_u32(const struct netlink_attr *a, uint32_t *ret);

/* What ends an answer, NLMSG_ERROR or NLMSG_DONE: 0, or the kernel's -errno with its own words in
 * reterr. A dump may end without a number: 0. Any other bytes: -EBADMSG. */
int rtnl_parse_end(const struct rtnl_msg *m, struct verr *reterr);

/* Each: 0, -EBADMSG, or -EAGAIN for a message that this room does not care about. */
int rtnl_parse_link(const struct rtnl_msg *m, struct plan_link *ret);
int rtnl_parse_addr(const struct rtnl_msg *m, unsigned int *ret_ifindex, struct plan_ifaddr *ret);
/* Only the lifetime of the address was set anew. False: it is new, or that is not to be told. */
bool rtnl_is_renewal(const struct rtnl_msg *m);
int rtnl_parse_neigh(const struct rtnl_msg *m, struct plan_neigh *ret);
struct rtnl_route_info {
	struct plan_route route; /* addr unset: a default route */
	uint8_t family, type, protocol, dst_len;
	uint32_t table, metric;
	unsigned int ifindex; /* of the first next hop */
};
int rtnl_parse_route(const struct rtnl_msg *m, struct rtnl_route_info *ret);

/* ---- rtnl_sock.c ---- */

#define RTNL_RECV_MAX 65536 /* the kernel fills at most 32 KiB of a dump at once */
#define RTNL_IGNORE_MAX 4

enum rtnl_conf_all { RTNL_ARP_IGNORE, RTNL_ARP_ANNOUNCE, RTNL_RP_FILTER, RTNL_CONF_ALL_N };

struct rtnl {
	struct nl_sock *sk; /* requests */
	uint32_t port;
	int monitor_fd; /* -1: none */
	int conf_all[RTNL_CONF_ALL_N]; /* files, kept open: read twice a second; -1: not yet */
	uint32_t ignore[RTNL_IGNORE_MAX];
	size_t n_ignore;
	uint8_t buf[RTNL_RECV_MAX];
};

void rtnl_msg_free_p(struct nl_msg **msg);
/* A request with a fixed header; NULL without memory. */
struct nl_msg *rtnl_request(uint16_t type, int flags, const void *header, size_t header_len);
/* Sends and waits for the acknowledgement; -errno of the kernel, its own words in reterr. */
int rtnl_talk(struct rtnl *r, struct nl_msg *msg, struct verr *reterr);
/* Like rtnl_talk, for one answer instead of an acknowledgement: fn sees it. */
typedef int (*rtnl_msg_fn)(void *user, const struct rtnl_msg *m);
int rtnl_get(struct rtnl *r, struct nl_msg *msg, rtnl_msg_fn fn, void *user, struct verr *reterr);
/* Every message of a dump, to fn; -EAGAIN if the kernel says that the dump is not of one moment;
 * its -errno if it failed, before the first message or after some. */
int rtnl_dump(struct rtnl *r, struct nl_msg *msg, rtnl_msg_fn fn, void *user, struct verr *reterr);
/* nla_put of an address; false without room. */
bool rtnl_put_addr(struct nl_msg *msg, int type, const struct addr *a);

#endif
