/* rtnl_change: addresses, local routes, per-interface settings, and asking for a neighbour. */
#include "rtnl/rtnl_internal.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <string.h>

#define LOOPBACK_IFINDEX 1 /* of every network namespace */

static int no_memory(struct verr *reterr)
{
	return verr_set(reterr, ENOMEM, "rtnetlink request");
}

static bool put_u32(struct nl_msg *msg, int type, uint32_t v)
{
	return nla_put(msg, type, sizeof(v), &v) == 0;
}

/* ---- addresses ---- */

static struct nl_msg *addr_request(uint16_t type, int flags, unsigned int ifindex,
				   const struct addr *a)
{
	struct ifaddrmsg h = {
		.ifa_family = a->family,
		.ifa_prefixlen = (uint8_t)(8 * addr_len(a)),
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = ifindex,
	};
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = rtnl_request(type, flags, &h, sizeof(h));

	if (!msg || !rtnl_put_addr(msg, IFA_LOCAL, a) || !rtnl_put_addr(msg, IFA_ADDRESS, a))
		return NULL;
	return STEAL(msg);
}

int rtnl_addr_set(struct rtnl *r, unsigned int ifindex, const struct addr *a, uint32_t valid_s,
		  struct verr *reterr)
{
	AUTO(rtnl_msg_free_p)
	struct nl_msg *msg = addr_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, a);
	bool v6 = a->family == AF_INET6;
	struct ifa_cacheinfo life = {.ifa_valid = valid_s, .ifa_prefered = v6 ? 0 : valid_s};
	uint32_t flags = IFA_F_NOPREFIXROUTE | (v6 ? IFA_F_NODAD : 0u);
	char text[ADDR_TEXT_MAX];
	int rc;

	if (!msg || nla_put(msg, IFA_CACHEINFO, sizeof(life), &life) < 0 ||
	    !put_u32(msg, IFA_FLAGS, flags))
		return no_memory(reterr);
	rc = rtnl_talk(r, msg, reterr);
	if (rc < 0)
		return verr_wrap(reterr, rc, "address %s on interface %u", addr_text(a, text),
				 ifindex);
	return 0;
}

int rtnl_addr_del(struct rtnl *r, unsigned int ifindex, const struct addr *a, struct verr *reterr)
{
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = addr_request(RTM_DELADDR, 0, ifindex, a);
	char text[ADDR_TEXT_MAX];
	int rc;

	if (!msg)
		return no_memory(reterr);
	rc = rtnl_talk(r, msg, reterr);
	/* The address or its interface has gone already. */
	if (rc == -EADDRNOTAVAIL || rc == -ENODEV)
		return 0;
	if (rc < 0)
		return verr_wrap(reterr, rc, "removing address %s from interface %u",
				 addr_text(a, text), ifindex);
	return 0;
}

/* ---- routes ---- */

static struct nl_msg *route_request(uint16_t type, int flags, const struct plan_route *route)
{
	bool v6 = route->addr.family == AF_INET6;
	struct rtmsg h = {
		.rtm_family = route->addr.family,
		.rtm_dst_len = (uint8_t)(8 * addr_len(&route->addr)),
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = RTNL_PROTO,
		.rtm_scope = v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST,
		.rtm_type = RTN_LOCAL,
	};
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = rtnl_request(type, flags, &h, sizeof(h));

	if (!msg || !rtnl_put_addr(msg, RTA_DST, &route->addr) ||
	    !put_u32(msg, RTA_OIF, LOOPBACK_IFINDEX))
		return NULL;
	if (v6 && !put_u32(msg, RTA_PRIORITY, RTNL_METRIC6))
		return NULL;
	if (addr_is_set(&route->src) && !rtnl_put_addr(msg, RTA_PREFSRC, &route->src))
		return NULL;
	return STEAL(msg);
}

struct found_route {
	bool is_ours;
	struct rtnl_route_info info;
};

static int on_fibmatch(void *user, const struct rtnl_msg *m)
{
	struct found_route *f = user;
	int r = rtnl_parse_route(m, &f->info);

	if (r == -EBADMSG)
		return r;
	/* The table is no help: as long as there are no policy rules, local and main are one and "main". */
	f->is_ours = r == 0 && f->info.protocol == RTNL_PROTO && f->info.type == RTN_LOCAL;
	return 0;
}

/* The IPv4 route that the kernel uses for A: ours is in front of the others, so it is ours or none. */
static int route_in_use(struct rtnl *r, const struct addr *a, struct found_route *ret)
{
	struct rtmsg h = {
		.rtm_family = AF_INET,
		.rtm_dst_len = 32,
		.rtm_flags = RTM_F_FIB_MATCH,
	};
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = rtnl_request(RTM_GETROUTE, 0, &h, sizeof(h));

	*ret = (struct found_route){0};
	if (!msg || !rtnl_put_addr(msg, RTA_DST, a))
		return -ENOMEM;
	/* No route at all to A is an answer as well. */
	(void)rtnl_get(r, msg, on_fibmatch, ret, NULL);
	return 0;
}

static int route_talk(struct rtnl *r, uint16_t type, int flags, const struct plan_route *route,
		      struct verr *reterr)
{
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = route_request(type, flags, route);

	return msg ? rtnl_talk(r, msg, reterr) : no_memory(reterr);
}

static int add4(struct rtnl *r, const struct plan_route *route, struct verr *reterr)
{
	struct found_route old;
	int rc = route_in_use(r, &route->addr, &old);

	if (rc < 0)
		return no_memory(reterr);
	if (old.is_ours && addr_eq(&old.info.route.src, &route->src))
		return 0;
	rc = route_talk(r, RTM_NEWROUTE, NLM_F_CREATE, route, reterr);
	if (rc == -EEXIST)
		rc = 0;
	if (rc == 0 && old.is_ours) {
		struct plan_route gone = {.addr = route->addr, .src = old.info.route.src};

		rc = rtnl_route_del(r, &gone, reterr);
	}
	return rc;
}

int rtnl_route_add(struct rtnl *r, const struct plan_route *route, struct verr *reterr)
{
	char text[ADDR_TEXT_MAX];
	int rc;

	/* In IPv6 a route of the same metric takes the place of the old one; the metric is ours alone. */
	if (route->addr.family == AF_INET6)
		rc = route_talk(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, reterr);
	else
		rc = add4(r, route, reterr);
	if (rc < 0)
		return verr_wrap(reterr, rc, "local route for %s", addr_text(&route->addr, text));
	return 0;
}

/* RTM_DELROUTE ignores the source address in IPv6. */
static int has_route6(struct rtnl *r, const struct plan_route *route, bool *ret,
		      struct verr *reterr)
{
	AUTO(free_p) struct plan_route *routes = NULL;
	size_t n;
	int rc = rtnl_routes(r, &routes, &n, reterr);

	if (rc < 0)
		return rc;
	*ret = false;
	for (size_t i = 0; i < n; i++) {
		if (addr_eq(&routes[i].addr, &route->addr) && addr_eq(&routes[i].src, &route->src))
			*ret = true;
	}
	return 0;
}

int rtnl_route_del(struct rtnl *r, const struct plan_route *route, struct verr *reterr)
{
	char text[ADDR_TEXT_MAX];
	bool there = true;
	int rc = 0;

	if (route->addr.family == AF_INET6 && addr_is_set(&route->src))
		rc = has_route6(r, route, &there, reterr);
	if (rc == 0 && there)
		rc = route_talk(r, RTM_DELROUTE, 0, route, reterr);
	if (rc == -ESRCH || rc == -ENOENT)
		return 0;
	if (rc < 0)
		return verr_wrap(reterr, rc, "removing local route for %s",
				 addr_text(&route->addr, text));
	return 0;
}

/* ---- settings ---- */

int rtnl_linkconf_set(struct rtnl *r, const struct plan_linkconf *c, struct verr *reterr)
{
	struct ifinfomsg h = {.ifi_family = AF_UNSPEC, .ifi_index = (int)c->ifindex};
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = rtnl_request(RTM_SETLINK, 0, &h, sizeof(h));
	struct nlattr *spec, *inet, *conf;
	bool ok;
	int rc;

	if (!msg)
		return no_memory(reterr);
	spec = nla_nest_start(msg, IFLA_AF_SPEC);
	inet = spec ? nla_nest_start(msg, AF_INET) : NULL;
	conf = inet ? nla_nest_start(msg, IFLA_INET_CONF) : NULL;
	if (!conf)
		return no_memory(reterr);
	ok = c->arp_ignore < 0 || put_u32(msg, IPV4_DEVCONF_ARP_IGNORE, (uint32_t)c->arp_ignore);
	ok = ok && (c->arp_announce < 0 ||
		    put_u32(msg, IPV4_DEVCONF_ARP_ANNOUNCE, (uint32_t)c->arp_announce));
	if (!ok)
		return no_memory(reterr);
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	nla_nest_end(msg, spec);
	rc = rtnl_talk(r, msg, reterr);
	if (rc < 0)
		return verr_wrap(reterr, rc, "arp_ignore and arp_announce of interface %u",
				 c->ifindex);
	return 0;
}

/* ---- neighbours ---- */

int rtnl_neigh_probe(struct rtnl *r, unsigned int ifindex, const struct addr *a,
		     struct verr *reterr)
{
	struct ndmsg h = {
		.ndm_family = a->family,
		.ndm_ifindex = (int)ifindex,
		.ndm_flags = NTF_USE,
	};
	AUTO(rtnl_msg_free_p)
	struct nl_msg *msg = rtnl_request(RTM_NEWNEIGH, NLM_F_CREATE, &h, sizeof(h));
	char text[ADDR_TEXT_MAX];
	int rc;

	if (!msg || !rtnl_put_addr(msg, NDA_DST, a))
		return no_memory(reterr);
	rc = rtnl_talk(r, msg, reterr);
	if (rc < 0)
		return verr_wrap(reterr, rc, "resolving neighbour %s on interface %u",
				 addr_text(a, text), ifindex);
	return 0;
}
