/*
 * rtnl: links, addresses, local routes, neighbours and per-device settings by rtnetlink
 * (libnl-route). Decides nothing. One handle per thread: control and switchover have one each;
 * calls are synchronous.
 */
#ifndef VIPD_RTNL_RTNL_H
#define VIPD_RTNL_RTNL_H

#include "base/base.h"
#include "plan/plan.h"

struct rtnl;

int rtnl_open(struct rtnl **ret, struct verr *reterr);
void rtnl_close(struct rtnl *r);
void rtnl_close_p(struct rtnl **r);

/* Links with addresses and settings, sorted by ifindex; owned. arp_ignore, arp_announce and
 * rp_filter are what the kernel uses: the greater of the interface's own and conf/all (read from
 * /proc/sys; unreadable: 0). */
int rtnl_links(struct rtnl *r, struct plan_link **ret, size_t *ret_n, struct verr *reterr);
void rtnl_links_free(struct plan_link *links, size_t n);
/* Reads these three settings of one link anew: nobody tells of their changes.
 * -ENODEV: it is gone. */
int rtnl_link_settings(struct rtnl *r, struct plan_link *link, struct verr *reterr);
/* Interfaces of the default routes (main table, lowest metric); 0: none. */
int rtnl_default_links(struct rtnl *r, unsigned int *ret_v4, unsigned int *ret_v6,
		       struct verr *reterr);
/* Neighbour entries that have a MAC (REACHABLE, STALE, DELAY, PROBE, PERMANENT). Owned array. */
int rtnl_neighs(struct rtnl *r, struct plan_neigh **ret, size_t *ret_n, struct verr *reterr);
/* Makes the kernel resolve a neighbour now (NTF_USE): the answer comes as a neighbour event. */
int rtnl_neigh_probe(struct rtnl *r, unsigned int ifindex, const struct addr *a,
		     struct verr *reterr);

/* Our routes: `local ADDR dev lo table local`, protocol RTNL_PROTO. Sorted; owned. */
#define RTNL_PROTO 76 /* 'v' - '*': no number of linux/rtnetlink.h or of iproute2's rt_protos */
/* Metric of our IPv6 routes. The kernel gives 0 to the route of an address and nobody else, so
 * that one goes first while the address is there; then source selection picks the VIP, which
 * table vipd translates. */
#define RTNL_METRIC6 1
int rtnl_routes(struct rtnl *r, struct plan_route **ret, size_t *ret_n, struct verr *reterr);
/* IPv4: with NLM_F_CREATE alone, so in front of the route that an address brings, whichever comes
 * first. Exists: success. A different src: replaced without a moment in which there is none. IPv6
 * needs lo to be up and src (if set) to be an address of this host that is not tentative: else
 * -EINVAL, try again later. */
int rtnl_route_add(struct rtnl *r, const struct plan_route *route, struct verr *reterr);
/* Only the route with this src (unset: any of ours for addr). Absent is success. */
int rtnl_route_del(struct rtnl *r, const struct plan_route *route, struct verr *reterr);

/*
 * Adds a VIP address (/32 or /128) or renews its lifetime. IPv4: noprefixroute; IPv6: nodad,
 * deprecated (preferred_lft 0), noprefixroute. It disappears by itself after valid_s.
 * rtnl_addr_del: absent is success.
 */
int rtnl_addr_set(struct rtnl *r, unsigned int ifindex, const struct addr *a, uint32_t valid_s,
		  struct verr *reterr);
int rtnl_addr_del(struct rtnl *r, unsigned int ifindex, const struct addr *a, struct verr *reterr);
/* Addresses of one interface, sorted by addr_cmp; owned. An interface that is
 * not there has none. */
int rtnl_addrs(struct rtnl *r, unsigned int ifindex, struct plan_ifaddr **ret, size_t *ret_n,
	       struct verr *reterr);

/* arp_ignore and arp_announce of one interface over netlink (IFLA_INET_CONF): NET_ADMIN is enough.
 * A negative value is left as it is. */
int rtnl_linkconf_set(struct rtnl *r, const struct plan_linkconf *c, struct verr *reterr);

/* Events: joins the groups for links, addresses, routes (ours and default routes) and neighbours. A
 * neighbour is news when it has a MAC. */
#define RTNL_CHANGED_LINK 1u
#define RTNL_CHANGED_ADDR 2u
#define RTNL_CHANGED_ROUTE 4u
#define RTNL_CHANGED_NEIGH 8u
#define RTNL_CHANGED_LOST 16u /* the socket overflowed: dump everything */
#define RTNL_CHANGED_OWN 32u /* an address came or went through an ignored handle */
int rtnl_monitor_open(struct rtnl *r, struct verr *reterr);
int rtnl_monitor_fd(const struct rtnl *r); /* non-blocking, for the loop */
/* Drains; returns the union of RTNL_CHANGED_ bits (>= 0) or -errno. Of what is done through ignored handles only
 * that an address came or went is told, and no renewal (of an IPv6 address the kernel does not tell who
 * changed it); what is done through r itself is news. */
int rtnl_monitor_drain(struct rtnl *r);
/* Another handle of ours, by its netlink port; NULL: none. */
void rtnl_monitor_ignore(struct rtnl *r, const struct rtnl *other);

/*
 * For the election thread: a socket of its own that tells carrier and flags within microseconds.
 * Parses one netlink datagram; calls fn for each RTM_NEWLINK/RTM_DELLINK. 0 or -EBADMSG.
 */
typedef void (*rtnl_link_fn)(void *user, unsigned int ifindex, bool up);
int rtnl_linkwatch_open(struct verr *reterr); /* fd, non-blocking, or -errno */
int rtnl_linkwatch_parse(const uint8_t *bytes, size_t len, rtnl_link_fn fn, void *user);

#endif
