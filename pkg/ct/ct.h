/*
 * ct: the kernel's connection tracking, as far as the rules of table vipd translate connections of
 * nodes and pods: which go to a real server, and forgetting one. ctnetlink over libmnl; calls are
 * synchronous (a listing of IPv4 is filtered in the kernel). Decides nothing.
 */
#ifndef VIPD_CT_CT_H
#define VIPD_CT_CT_H

#include "base/base.h"

struct ct;

/* A connection that was translated: the client asked for `vip`, `server` answers. */
struct ct_conn {
	uint8_t protocol;
	struct addr client, vip, server; /* of one family */
	uint16_t client_port, vip_port, server_port;
};

/* NET_ADMIN is enough; the kernel loads its module itself. 0 or -errno. */
int ct_open(struct ct **ret, struct verr *reterr);
void ct_close(struct ct *t);

/* Calls fn for each TCP or UDP connection to `server` under another address. fn must not
 * use t. 0 or -errno. */
typedef void (*ct_fn)(void *user, const struct ct_conn *c);
int ct_list(struct ct *t, const struct addr *server, ct_fn fn, void *user, struct verr *reterr);
/* The same of all that are of a family, whatever their server: one listing, not filtered in the kernel. */
int ct_list_family(struct ct *t, int family, ct_fn fn, void *user, struct verr *reterr);
/* Its next packet is a new connection's. 0, also if it is gone already; -errno. */
int ct_forget(struct ct *t, const struct ct_conn *c, struct verr *reterr);

/* One message as the kernel dumps it, behind the netlink header, at an address that is a multiple
 * of 4. 0; -EAGAIN: of no interest (another protocol, not translated); -EBADMSG. */
int ct_conn_parse(const void *bytes, size_t len, struct ct_conn *ret);

#endif
