/* rtnl_wire: rtnetlink messages as plain values. Kernel integers are in host order here, unlike on a wire. */
#include "rtnl/rtnl_internal.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <string.h>

int rtnl_msg_next(struct netlink_cursor *c, struct rtnl_msg *ret)
{
	struct nlmsghdr h;

	if (c->left == 0)
		return 0;
	if (c->left < sizeof(h))
		return -EBADMSG;
	memcpy(&h, c->p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > c->left)
		return -EBADMSG;
	*ret = (struct rtnl_msg){
		.type = h.nlmsg_type,
		.flags = h.nlmsg_flags,
		.seq = h.nlmsg_seq,
		.port = h.nlmsg_pid,
		.body = c->p + sizeof(h),
		.len = h.nlmsg_len - sizeof(h),
	};
	netlink_skip(c, h.nlmsg_len);
	return 1;
}

struct netlink_cursor rtnl_attrs(const struct rtnl_msg *m, size_t header)
{
	struct netlink_cursor c = {.p = m->body, .left = m->len};

	netlink_skip(&c, header);
	return c;
}

bool rtnl_attr_u32(const struct netlink_attr *a, uint32_t *ret)
{
	if (a->len < sizeof(*ret))
		return false;
	memcpy(ret, a->p, sizeof(*ret));
	return true;
}

int rtnl_parse_end(const struct rtnl_msg *m, struct verr *reterr)
{
	struct netlink_cursor c = {0};
	struct netlink_attr a;
	int32_t err = 0;

	if (m->len >= sizeof(err))
		memcpy(&err, m->body, sizeof(err));
	else if (m->type != NLMSG_DONE)
		return verr_set(reterr, EBADMSG, "short rtnetlink error message");
	if (err == 0)
		return 0;
	if (err > 0 || err == INT32_MIN)
		return verr_set(reterr, EBADMSG, "rtnetlink error number %d", err);
	/* An error repeats the request, and only of a cut one it is known where that ends. */
	if ((m->flags & NLM_F_ACK_TLVS) && m->type == NLMSG_DONE)
		c = rtnl_attrs(m, sizeof(err));
	else if ((m->flags & NLM_F_ACK_TLVS) && (m->flags & NLM_F_CAPPED))
		c = rtnl_attrs(m, sizeof(err) + sizeof(struct nlmsghdr));
	while (netlink_attr_next(&c, &a)) {
		const char *words = (const char *)a.p;

		if (a.type == NLMSGERR_ATTR_MSG)
			return verr_set(reterr, -err, "%s: %.*s", strerror(-err),
					(int)strnlen(words, a.len), words);
	}
	return verr_set(reterr, -err, "%s", strerror(-err));
}

/* Unset if the length does not fit the family. */
static struct addr attr_addr(const struct netlink_attr *a, int family)
{
	if (a->len != (family == AF_INET ? 4u : 16u))
		return (struct addr){.family = AF_UNSPEC};
	return addr_from_bytes(family, a->p);
}

/* IFLA_INET_CONF: an array of int32, one per IPV4_DEVCONF_ number, the first number is 1. */
static int inet_conf(const struct netlink_attr *conf, size_t number)
{
	size_t at = (number - 1) * 4;
	int32_t v;

	if (conf->len < at + 4)
		return -1;
	memcpy(&v, conf->p + at, 4);
	return v;
}

static void parse_af_spec(const struct netlink_attr *spec, struct plan_link *l)
{
	struct netlink_cursor families = netlink_nested(spec);
	struct netlink_attr family, conf;

	while (netlink_attr_next(&families, &family)) {
		struct netlink_cursor c = netlink_nested(&family);

		if (family.type != AF_INET)
			continue;
		while (netlink_attr_next(&c, &conf)) {
			if (conf.type != IFLA_INET_CONF)
				continue;
			l->arp_ignore = inet_conf(&conf, IPV4_DEVCONF_ARP_IGNORE);
			l->arp_announce = inet_conf(&conf, IPV4_DEVCONF_ARP_ANNOUNCE);
			l->rp_filter = inet_conf(&conf, IPV4_DEVCONF_RP_FILTER);
		}
	}
}

int rtnl_parse_link(const struct rtnl_msg *m, struct plan_link *ret)
{
	struct ifinfomsg h;
	struct plan_link l = {.arp_ignore = -1, .arp_announce = -1, .rp_filter = -1};
	struct netlink_cursor c;
	struct netlink_attr a;
	uint32_t v;

	if (m->type != RTM_NEWLINK && m->type != RTM_DELLINK)
		return -EAGAIN;
	if (m->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, m->body, sizeof(h));
	/* A bridge tells of its ports with the same message types: leaving one is no end of a link. */
	if (h.ifi_family != AF_UNSPEC)
		return -EAGAIN;
	if (h.ifi_index <= 0)
		return -EBADMSG;
	l.ifindex = (unsigned int)h.ifi_index;
	l.up = m->type == RTM_NEWLINK && (h.ifi_flags & IFF_UP) && (h.ifi_flags & IFF_LOWER_UP);
	l.loopback = (h.ifi_flags & IFF_LOOPBACK) != 0;
	l.ethernet = h.ifi_type == ARPHRD_ETHER;
	c = rtnl_attrs(m, sizeof(h));
	while (netlink_attr_next(&c, &a)) {
		if (a.type == IFLA_IFNAME && a.len > 0 && a.len <= sizeof(l.name)) {
			memcpy(l.name, a.p, a.len);
			l.name[sizeof(l.name) - 1] = '\0';
		} else if (a.type == IFLA_ADDRESS && a.len == sizeof(l.mac.bytes)) {
			memcpy(l.mac.bytes, a.p, a.len);
		} else if (a.type == IFLA_MTU && rtnl_attr_u32(&a, &v)) {
			l.mtu = v;
		} else if (a.type == IFLA_AF_SPEC) {
			parse_af_spec(&a, &l);
		}
	}
	*ret = l;
	return 0;
}

int rtnl_parse_addr(const struct rtnl_msg *m, unsigned int *ret_ifindex, struct plan_ifaddr *ret)
{
	struct ifaddrmsg h;
	struct plan_ifaddr ia = {0};
	struct addr local = {0}, address = {0};
	struct netlink_cursor c;
	struct netlink_attr a;
	uint32_t flags, valid = UINT32_MAX;

	if (m->type != RTM_NEWADDR && m->type != RTM_DELADDR)
		return -EAGAIN;
	if (m->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, m->body, sizeof(h));
	if (h.ifa_family != AF_INET && h.ifa_family != AF_INET6)
		return -EAGAIN;
	flags = h.ifa_flags;
	c = rtnl_attrs(m, sizeof(h));
	while (netlink_attr_next(&c, &a)) {
		if (a.type == IFA_LOCAL) {
			local = attr_addr(&a, h.ifa_family);
		} else if (a.type == IFA_ADDRESS) {
			address = attr_addr(&a, h.ifa_family);
		} else if (a.type == IFA_FLAGS) {
			(void)rtnl_attr_u32(&a, &flags);
		} else if (a.type == IFA_CACHEINFO && a.len >= sizeof(struct ifa_cacheinfo)) {
			memcpy(&valid, a.p + offsetof(struct ifa_cacheinfo, ifa_valid), 4);
		}
	}
	/* IFA_ADDRESS is the peer where the two differ. */
	ia.addr = addr_is_set(&local) ? local : address;
	if (!addr_is_set(&ia.addr))
		return -EBADMSG;
	ia.prefix_len = h.ifa_prefixlen;
	ia.tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
	ia.deprecated = (flags & IFA_F_DEPRECATED) != 0;
	ia.finite = valid != UINT32_MAX;
	ia.valid_s = ia.finite ? valid : 0;
	*ret_ifindex = h.ifa_index;
	*ret = ia;
	return 0;
}

/* The kernel keeps when an address was made, and when it was last written, in hundredths of a second. */
bool rtnl_is_renewal(const struct rtnl_msg *m)
{
	struct netlink_cursor c;
	struct netlink_attr a;
	struct ifa_cacheinfo info = {0};

	if (m->type != RTM_NEWADDR || m->len < sizeof(struct ifaddrmsg))
		return false;
	c = rtnl_attrs(m, sizeof(struct ifaddrmsg));
	while (netlink_attr_next(&c, &a)) {
		if (a.type == IFA_CACHEINFO && a.len >= sizeof(info))
			memcpy(&info, a.p, sizeof(info));
	}
	return info.tstamp != info.cstamp;
}

int rtnl_parse_neigh(const struct rtnl_msg *m, struct plan_neigh *ret)
{
	const uint16_t resolved = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
	struct ndmsg h;
	struct plan_neigh n = {0};
	bool has_mac = false;
	struct netlink_cursor c;
	struct netlink_attr a;

	if (m->type != RTM_NEWNEIGH)
		return -EAGAIN;
	if (m->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, m->body, sizeof(h));
	if ((h.ndm_family != AF_INET && h.ndm_family != AF_INET6) || !(h.ndm_state & resolved) ||
	    (h.ndm_flags & NTF_PROXY))
		return -EAGAIN;
	c = rtnl_attrs(m, sizeof(h));
	while (netlink_attr_next(&c, &a)) {
		if (a.type == NDA_DST) {
			n.addr = attr_addr(&a, h.ndm_family);
		} else if (a.type == NDA_LLADDR && a.len == sizeof(n.mac.bytes)) {
			memcpy(n.mac.bytes, a.p, a.len);
			has_mac = true;
		}
	}
	if (!addr_is_set(&n.addr))
		return -EBADMSG;
	if (!has_mac || mac_is_zero(&n.mac))
		return -EAGAIN;
	n.ifindex = (unsigned int)h.ndm_ifindex;
	*ret = n;
	return 0;
}

/* The interface of the first of several next hops. */
static unsigned int first_hop(const struct netlink_attr *a)
{
	struct rtnexthop hop;

	if (a->len < sizeof(hop))
		return 0;
	memcpy(&hop, a->p, sizeof(hop));
	return hop.rtnh_ifindex > 0 ? (unsigned int)hop.rtnh_ifindex : 0;
}

int rtnl_parse_route(const struct rtnl_msg *m, struct rtnl_route_info *ret)
{
	struct rtmsg h;
	struct rtnl_route_info ri = {0};
	struct netlink_cursor c;
	struct netlink_attr a;

	if (m->type != RTM_NEWROUTE && m->type != RTM_DELROUTE)
		return -EAGAIN;
	if (m->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, m->body, sizeof(h));
	if ((h.rtm_family != AF_INET && h.rtm_family != AF_INET6) || (h.rtm_flags & RTM_F_CLONED))
		return -EAGAIN;
	ri.family = h.rtm_family;
	ri.type = h.rtm_type;
	ri.protocol = h.rtm_protocol;
	ri.dst_len = h.rtm_dst_len;
	ri.table = h.rtm_table;
	c = rtnl_attrs(m, sizeof(h));
	while (netlink_attr_next(&c, &a)) {
		if (a.type == RTA_DST)
			ri.route.addr = attr_addr(&a, h.rtm_family);
		else if (a.type == RTA_PREFSRC)
			ri.route.src = attr_addr(&a, h.rtm_family);
		else if (a.type == RTA_TABLE)
			(void)rtnl_attr_u32(&a, &ri.table);
		else if (a.type == RTA_PRIORITY)
			(void)rtnl_attr_u32(&a, &ri.metric);
		else if (a.type == RTA_OIF)
			(void)rtnl_attr_u32(&a, &ri.ifindex);
		else if (a.type == RTA_MULTIPATH && ri.ifindex == 0)
			ri.ifindex = first_hop(&a);
	}
	*ret = ri;
	return 0;
}

int rtnl_linkwatch_parse(const uint8_t *bytes, size_t len, rtnl_link_fn fn, void *user)
{
	struct netlink_cursor c = {.p = bytes, .left = len};
	struct rtnl_msg m;
	int r;

	while ((r = rtnl_msg_next(&c, &m)) > 0) {
		struct plan_link l;
		int pr = rtnl_parse_link(&m, &l);

		if (pr == -EBADMSG)
			return pr;
		if (pr == 0)
			fn(user, l.ifindex, l.up);
	}
	return r;
}
