/*
 * netlink: what is alike in all netlink messages. Attributes are copied out, never cast; the kernel's integers
 * are in host order, unlike on a wire.
 */
#ifndef VIPD_BASE_NETLINK_H
#define VIPD_BASE_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netlink_cursor {
	const uint8_t *p; /* borrowed */
	size_t left;
};

struct netlink_attr {
	uint16_t type; /* without the nested and byte order flags */
	const uint8_t *p;
	size_t len;
};

/* Over n bytes and what pads them; no further than to the end. */
void netlink_skip(struct netlink_cursor *c, size_t n);
/* False at the end and at the first attribute that does not fit. */
bool netlink_attr_next(struct netlink_cursor *c, struct netlink_attr *ret);
struct netlink_cursor netlink_nested(const struct netlink_attr *a);

/* What ends an answer, NLMSG_ERROR or NLMSG_DONE: 0 or the kernel's -errno; -EBADMSG. A dump may
 * end without a number: 0. */
int netlink_end(const struct nlmsghdr *h);

struct mnl_socket;
/* A bound socket of this protocol (NETLINK_...) for requests whose answers are waited for: the kernel answers while it is
 * asked; a lost answer is given up after a second (-EAGAIN). Closed with mnl_socket_close. 0 or -errno. */
int netlink_open(int protocol, struct mnl_socket **ret);

#endif
