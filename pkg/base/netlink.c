#include "base/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>

#define ANSWER_S 1

void netlink_skip(struct netlink_cursor *c, size_t n)
{
	size_t step = (n + 3) & ~(size_t)3;

	if (step > c->left)
		step = c->left;
	c->p += step;
	c->left -= step;
}

bool netlink_attr_next(struct netlink_cursor *c, struct netlink_attr *ret)
{
	struct nlattr h;

	if (c->left < sizeof(h))
		return false;
	memcpy(&h, c->p, sizeof(h));
	if (h.nla_len < sizeof(h) || h.nla_len > c->left)
		return false;
	*ret = (struct netlink_attr){
		.type = h.nla_type & NLA_TYPE_MASK,
		.p = c->p + sizeof(h),
		.len = h.nla_len - sizeof(h),
	};
	netlink_skip(c, h.nla_len);
	return true;
}

struct netlink_cursor netlink_nested(const struct netlink_attr *a)
{
	return (struct netlink_cursor){.p = a->p, .left = a->len};
}

int netlink_end(const struct nlmsghdr *h)
{
	int32_t err;

	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(err))
		return h->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&err, (const uint8_t *)h + NLMSG_HDRLEN, sizeof(err));
	return err > 0 || err == INT32_MIN ? -EBADMSG : err;
}

int netlink_open(int protocol, struct mnl_socket **ret)
{
	const struct timeval limit = {.tv_sec = ANSWER_S};
	struct mnl_socket *nl = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	int error;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0) {
		error = errno;
		mnl_socket_close(nl);
		return -error;
	}
	*ret = nl;
	return 0;
}
