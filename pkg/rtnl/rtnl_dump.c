/* rtnl_dump: what the kernel has: links, addresses, neighbours, our routes, default routes. */
#include "rtnl/rtnl_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/neighbour.h>

#define DUMP_TRIES 5

/* A growing array of values of one size. */
struct list {
	void *items; /* owned */
	size_t n, cap, size;
};

static void list_done(struct list *l)
{
	free(l->items);
	l->items = NULL;
	l->n = l->cap = 0;
}

static int list_add(struct list *l, const void *value)
{
	void *items = array_room(l->items, &l->cap, l->n + 1, l->size);

	if (!items)
		return -ENOMEM;
	l->items = items;
	memcpy((uint8_t *)l->items + l->n * l->size, value, l->size);
	l->n++;
	return 0;
}

/* Nobody here is interested in the counters of links, which are most of an answer. */
static struct nl_msg *list_request(uint16_t type, const void *header, size_t header_len)
{
	struct nl_msg *msg = rtnl_request(type, NLM_F_DUMP, header, header_len);

	if (msg && type == RTM_GETLINK)
		(void)nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return msg;
}

/* Dumps until the kernel says that the answer is of one moment; the last answer, if it never does. */
static int dump_list(struct rtnl *r, uint16_t type, const void *header, size_t header_len,
		     rtnl_msg_fn fn, struct list *l, struct verr *reterr)
{
	int rc = -EAGAIN;

	for (int i = 0; i < DUMP_TRIES && rc == -EAGAIN; i++) {
		AUTO(rtnl_msg_free_p)
		struct nl_msg *msg = list_request(type, header, header_len);

		if (!msg)
			return verr_set(reterr, ENOMEM, "rtnetlink request");
		l->n = 0;
		rc = rtnl_dump(r, msg, fn, l, reterr);
	}
	return rc == -EAGAIN ? 0 : rc;
}

/* ---- addresses ---- */

struct owned_addr {
	unsigned int ifindex;
	struct plan_ifaddr ia;
};

static int on_addr(void *user, const struct rtnl_msg *m)
{
	struct owned_addr oa;
	int r = rtnl_parse_addr(m, &oa.ifindex, &oa.ia);

	return r < 0 ? r : list_add(user, &oa);
}

static int cmp_owned_addr(const void *pa, const void *pb)
{
	const struct owned_addr *a = pa, *b = pb;

	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return addr_cmp(&a->ia.addr, &b->ia.addr);
}

static int dump_addrs(struct rtnl *r, unsigned int ifindex, struct list *l, struct verr *reterr)
{
	struct ifaddrmsg h = {.ifa_family = AF_UNSPEC, .ifa_index = ifindex};
	int rc = dump_list(r, RTM_GETADDR, &h, sizeof(h), on_addr, l, reterr);

	if (rc < 0)
		return verr_wrap(reterr, rc, "listing addresses");
	if (l->n > 1)
		qsort(l->items, l->n, l->size, cmp_owned_addr);
	return 0;
}

int rtnl_addrs(struct rtnl *r, unsigned int ifindex, struct plan_ifaddr **ret, size_t *ret_n,
	       struct verr *reterr)
{
	AUTO(list_done) struct list l = {.size = sizeof(struct owned_addr)};
	int rc = dump_addrs(r, ifindex, &l, reterr);
	const struct owned_addr *items;
	struct plan_ifaddr *out;
	size_t n = 0;

	if (rc == -ENODEV)
		l.n = 0;
	else if (rc < 0)
		return rc;
	out = calloc(l.n + 1, sizeof(*out));
	if (!out)
		return verr_set(reterr, ENOMEM, "addresses");
	items = l.items;
	for (size_t i = 0; i < l.n; i++) {
		if (items[i].ifindex == ifindex)
			out[n++] = items[i].ia;
	}
	*ret = out;
	*ret_n = n;
	return 0;
}

/* ---- links ---- */

static int on_link(void *user, const struct rtnl_msg *m)
{
	struct plan_link link;
	int r = rtnl_parse_link(m, &link);

	return r < 0 ? r : list_add(user, &link);
}

static int cmp_link(const void *pa, const void *pb)
{
	const struct plan_link *a = pa, *b = pb;

	return (a->ifindex > b->ifindex) - (a->ifindex < b->ifindex);
}

/* conf/all is no link: rtnetlink does not tell it. The first call resolves the path in its caller's namespace. */
static int conf_all(struct rtnl *r, enum rtnl_conf_all which)
{
	static const char *const paths[RTNL_CONF_ALL_N] = {
		[RTNL_ARP_IGNORE] = "/proc/sys/net/ipv4/conf/all/arp_ignore",
		[RTNL_ARP_ANNOUNCE] = "/proc/sys/net/ipv4/conf/all/arp_announce",
		[RTNL_RP_FILTER] = "/proc/sys/net/ipv4/conf/all/rp_filter",
	};
	int *fd = &r->conf_all[which];
	char text[16] = "";

	if (*fd < 0)
		*fd = open(paths[which], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0 || pread(*fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return atoi(text);
}

static int effective(int own, int all)
{
	return own < 0 ? own : own > all ? own : all;
}

/* Gives each link its part of the addresses; both are sorted by ifindex. */
static int attach_addrs(struct list *links, const struct list *addrs)
{
	struct plan_link *link = links->items;
	const struct owned_addr *oa = addrs->items;
	size_t at = 0;

	for (size_t i = 0; i < links->n; i++) {
		size_t first;

		while (at < addrs->n && oa[at].ifindex < link[i].ifindex)
			at++;
		first = at;
		while (at < addrs->n && oa[at].ifindex == link[i].ifindex)
			at++;
		if (at == first)
			continue;
		link[i].addrs = calloc(at - first, sizeof(*link[i].addrs));
		if (!link[i].addrs)
			return -ENOMEM;
		for (size_t k = first; k < at; k++)
			link[i].addrs[link[i].n_addrs++] = oa[k].ia;
	}
	return 0;
}

static void add_conf_all(struct rtnl *r, struct plan_link *l, size_t n)
{
	int ignore = conf_all(r, RTNL_ARP_IGNORE), announce = conf_all(r, RTNL_ARP_ANNOUNCE);
	int rp = conf_all(r, RTNL_RP_FILTER);

	for (size_t i = 0; i < n; i++) {
		l[i].arp_ignore = effective(l[i].arp_ignore, ignore);
		l[i].arp_announce = effective(l[i].arp_announce, announce);
		l[i].rp_filter = effective(l[i].rp_filter, rp);
	}
}

static int on_settings(void *user, const struct rtnl_msg *m)
{
	struct plan_link *ret = user, link;
	int r = rtnl_parse_link(m, &link);

	if (r < 0)
		return r;
	ret->arp_ignore = link.arp_ignore;
	ret->arp_announce = link.arp_announce;
	ret->rp_filter = link.rp_filter;
	return 0;
}

int rtnl_link_settings(struct rtnl *r, struct plan_link *link, struct verr *reterr)
{
	struct ifinfomsg h = {.ifi_family = AF_UNSPEC, .ifi_index = (int)link->ifindex};
	AUTO(rtnl_msg_free_p) struct nl_msg *msg = rtnl_request(RTM_GETLINK, 0, &h, sizeof(h));
	int rc;

	if (!msg || nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
		return verr_set(reterr, ENOMEM, "rtnetlink request");
	rc = rtnl_get(r, msg, on_settings, link, reterr);
	if (rc < 0)
		return verr_wrap(reterr, rc, "settings of link %s", link->name);
	add_conf_all(r, link, 1);
	return 0;
}

int rtnl_links(struct rtnl *r, struct plan_link **ret, size_t *ret_n, struct verr *reterr)
{
	AUTO(list_done) struct list links = {.size = sizeof(struct plan_link)};
	AUTO(list_done) struct list addrs = {.size = sizeof(struct owned_addr)};
	struct ifinfomsg h = {.ifi_family = AF_UNSPEC};
	int rc = dump_list(r, RTM_GETLINK, &h, sizeof(h), on_link, &links, reterr);
	struct plan_link *l;

	if (rc < 0)
		return verr_wrap(reterr, rc, "listing links");
	rc = dump_addrs(r, 0, &addrs, reterr);
	if (rc < 0)
		return rc;
	l = links.items;
	if (links.n > 1)
		qsort(l, links.n, sizeof(*l), cmp_link);
	add_conf_all(r, l, links.n);
	if (attach_addrs(&links, &addrs) < 0) {
		for (size_t i = 0; i < links.n; i++)
			free(l[i].addrs);
		return verr_set(reterr, ENOMEM, "links");
	}
	*ret_n = links.n;
	*ret = STEAL(links.items);
	return 0;
}

void rtnl_links_free(struct plan_link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(links[i].addrs);
	free(links);
}

/* ---- neighbours ---- */

static int on_neigh(void *user, const struct rtnl_msg *m)
{
	struct plan_neigh n;
	int r = rtnl_parse_neigh(m, &n);

	return r < 0 ? r : list_add(user, &n);
}

int rtnl_neighs(struct rtnl *r, struct plan_neigh **ret, size_t *ret_n, struct verr *reterr)
{
	AUTO(list_done) struct list l = {.size = sizeof(struct plan_neigh)};
	struct ndmsg h = {.ndm_family = AF_UNSPEC};
	int rc = dump_list(r, RTM_GETNEIGH, &h, sizeof(h), on_neigh, &l, reterr);

	if (rc < 0)
		return verr_wrap(reterr, rc, "listing neighbours");
	*ret_n = l.n;
	*ret = STEAL(l.items);
	return 0;
}

/* ---- routes ---- */

static int on_our_route(void *user, const struct rtnl_msg *m)
{
	struct rtnl_route_info ri;
	int r = rtnl_parse_route(m, &ri);

	if (r < 0)
		return r;
	/* The kernel filters where it can; an old one tells everything. */
	if (ri.table != RT_TABLE_LOCAL || ri.protocol != RTNL_PROTO || ri.type != RTN_LOCAL ||
	    !addr_is_set(&ri.route.addr) || ri.dst_len != 8 * addr_len(&ri.route.addr))
		return 0;
	return list_add(user, &ri.route);
}

static int cmp_route(const void *pa, const void *pb)
{
	const struct plan_route *a = pa, *b = pb;
	int c = addr_cmp(&a->addr, &b->addr);

	return c ? c : addr_cmp(&a->src, &b->src);
}

int rtnl_routes(struct rtnl *r, struct plan_route **ret, size_t *ret_n, struct verr *reterr)
{
	AUTO(list_done) struct list all = {.size = sizeof(struct plan_route)};
	const int families[] = {AF_INET, AF_INET6};

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		AUTO(list_done) struct list part = {.size = sizeof(struct plan_route)};
		struct rtmsg h = {
			.rtm_family = (uint8_t)families[f],
			.rtm_table = RT_TABLE_LOCAL,
			.rtm_protocol = RTNL_PROTO,
		};
		int rc = dump_list(r, RTM_GETROUTE, &h, sizeof(h), on_our_route, &part, reterr);

		/* A host without IPv6 has none there; without routes of the table it is ENOENT. */
		if (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP || rc == -ENOENT)
			continue;
		if (rc < 0)
			return verr_wrap(reterr, rc, "listing routes");
		for (size_t i = 0; i < part.n; i++) {
			const struct plan_route *items = part.items;

			if (list_add(&all, &items[i]) < 0)
				return verr_set(reterr, ENOMEM, "routes");
		}
	}
	if (all.n > 1)
		qsort(all.items, all.n, all.size, cmp_route);
	*ret_n = all.n;
	*ret = STEAL(all.items);
	return 0;
}

struct default_link {
	unsigned int ifindex;
	uint32_t metric;
};

static int on_default(void *user, const struct rtnl_msg *m)
{
	struct list *l = user;
	struct rtnl_route_info ri;
	int r = rtnl_parse_route(m, &ri);

	if (r < 0)
		return r;
	if (ri.table != RT_TABLE_MAIN || ri.dst_len != 0 || ri.type != RTN_UNICAST ||
	    ri.ifindex == 0)
		return 0;
	return list_add(l, &(struct default_link){.ifindex = ri.ifindex, .metric = ri.metric});
}

int rtnl_default_links(struct rtnl *r, unsigned int *ret_v4, unsigned int *ret_v6,
		       struct verr *reterr)
{
	const int families[] = {AF_INET, AF_INET6};
	unsigned int best[ARRAY_LEN(families)] = {0};

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		AUTO(list_done) struct list l = {.size = sizeof(struct default_link)};
		struct rtmsg h = {
			.rtm_family = (uint8_t)families[f],
			.rtm_table = RT_TABLE_MAIN,
			.rtm_type = RTN_UNICAST,
		};
		int rc = dump_list(r, RTM_GETROUTE, &h, sizeof(h), on_default, &l, reterr);
		const struct default_link *d = l.items;
		size_t lowest = 0;

		if (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP || rc == -ENOENT)
			continue;
		if (rc < 0)
			return verr_wrap(reterr, rc, "listing default routes");
		for (size_t i = 1; i < l.n; i++) {
			if (d[i].metric < d[lowest].metric)
				lowest = i;
		}
		if (l.n > 0)
			best[f] = d[lowest].ifindex;
	}
	*ret_v4 = best[0];
	*ret_v6 = best[1];
	return 0;
}
