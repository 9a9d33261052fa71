/* rtnl_watch: sockets that tell of changes: all kinds for control, links alone for election. */
#include "rtnl/rtnl_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int open_groups(const int *groups, size_t n, struct verr *reterr)
{
	AUTO(fd_close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	int size = 1 << 20;

	if (fd < 0)
		return verr_errno(reterr, errno, "rtnetlink socket");
	/* A storm of neighbour events must not push out a link event. Without the privilege: the default. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; i < n; i++)
		sa.nl_groups |= 1u << (groups[i] - 1);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return verr_errno(reterr, errno, "rtnetlink groups");
	return fd_steal(&fd);
}

int rtnl_monitor_open(struct rtnl *r, struct verr *reterr)
{
	const int groups[] = {RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
			      RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	int fd = open_groups(groups, ARRAY_LEN(groups), reterr);

	if (fd < 0)
		return fd;
	fd_close_p(&r->monitor_fd);
	r->monitor_fd = fd;
	return 0;
}

int rtnl_monitor_fd(const struct rtnl *r)
{
	return r->monitor_fd;
}

void rtnl_monitor_ignore(struct rtnl *r, const struct rtnl *other)
{
	if (other && r->n_ignore < RTNL_IGNORE_MAX)
		r->ignore[r->n_ignore++] = other->port;
}

static bool is_ignored(const struct rtnl *r, uint32_t port)
{
	for (size_t i = 0; i < r->n_ignore; i++) {
		if (r->ignore[i] == port)
			return true;
	}
	return false;
}

/* A route is news if it is one of ours or a default route. */
static unsigned int route_news(const struct rtnl_msg *m)
{
	struct rtnl_route_info ri;

	if (rtnl_parse_route(m, &ri) < 0)
		return 0;
	if (ri.table == RT_TABLE_LOCAL && ri.protocol == RTNL_PROTO)
		return RTNL_CHANGED_ROUTE;
	return ri.table == RT_TABLE_MAIN && ri.dst_len == 0 ? RTNL_CHANGED_ROUTE : 0;
}

static unsigned int news(const struct rtnl *r, const struct rtnl_msg *m)
{
	struct plan_link link;
	struct plan_neigh neigh;

	bool is_addr = m->type == RTM_NEWADDR || m->type == RTM_DELADDR;

	if (m->port != 0 && is_ignored(r, m->port))
		return is_addr && !rtnl_is_renewal(m) ? RTNL_CHANGED_OWN : 0;
	if (m->type == RTM_NEWLINK || m->type == RTM_DELLINK)
		return rtnl_parse_link(m, &link) == 0 ? RTNL_CHANGED_LINK : 0;
	if (is_addr)
		return RTNL_CHANGED_ADDR;
	if (m->type == RTM_NEWROUTE || m->type == RTM_DELROUTE)
		return route_news(m);
	if (m->type == RTM_NEWNEIGH)
		return rtnl_parse_neigh(m, &neigh) == 0 ? RTNL_CHANGED_NEIGH : 0;
	return 0;
}

int rtnl_monitor_drain(struct rtnl *r)
{
	unsigned int bits = 0;

	for (;;) {
		ssize_t n = recv(r->monitor_fd, r->buf, sizeof(r->buf), MSG_TRUNC);
		struct netlink_cursor c = {.p = r->buf, .left = n > 0 ? (size_t)n : 0};
		struct rtnl_msg m;
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return (int)bits;
		if (n < 0 && errno == ENOBUFS) {
			bits |= RTNL_CHANGED_LOST;
			continue;
		}
		if (n < 0)
			return -errno;
		if ((size_t)n > sizeof(r->buf)) {
			bits |= RTNL_CHANGED_LOST;
			continue;
		}
		while ((rc = rtnl_msg_next(&c, &m)) > 0)
			bits |= news(r, &m);
		if (rc < 0)
			bits |= RTNL_CHANGED_LOST;
	}
}

int rtnl_linkwatch_open(struct verr *reterr)
{
	const int groups[] = {RTNLGRP_LINK};

	return open_groups(groups, ARRAY_LEN(groups), reterr);
}
