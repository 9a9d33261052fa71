/*
 * ipvs_internal: netlink messages of family "IPVS" as pure functions, without a socket:
 * requests are put into a caller's nl_msg, replies are read from a caller's bytes.
 * ipvs_socket.c joins them to the kernel.
 */
#ifndef VIPD_IPVS_INTERNAL_H
#define VIPD_IPVS_INTERNAL_H

#include <netlink/netlink.h>
#include <netlink/msg.h>
#include <linux/ip_vs.h>

#include "ipvs/ipvs.h"

#define IPVS_REQUEST_MAX 512 /* bytes; the longest request of ours is a sixth of that */

/* One request of the one or two that an operation needs. */
struct ipvs_request {
	uint8_t cmd; /* IPVS_CMD_* */
	uint32_t weight; /* of the destination, in its place */
	bool may_exist; /* a request that follows says the same: EEXIST is no error */
	bool no_scheduler; /* NEW_SERVICE: a request that follows names the scheduler */
};

/* Number of requests written to ret: 1 or 2. -EINVAL for an operation that is not
 * IPVS's. A destination of weight 0 is added with weight 1 first: mh keeps the slots of
 * one that had a weight once. */
int ipvs_requests_of_op(const struct plan_op *op, struct ipvs_request ret[static 2]);

/* What an error code means for an operation that is level-triggered. */
enum ipvs_remedy {
	IPVS_REMEDY_FAIL, /* it is an error */
	IPVS_REMEDY_IGNORE, /* the kernel is as it should be */
	IPVS_REMEDY_RETRY, /* do ret_retry instead */
};
/* error: positive errno value. */
enum ipvs_remedy ipvs_remedy_of(const struct ipvs_request *req, int error,
				enum plan_op_type *ret_retry);

/* Each starts the message anew and fills it: 0 or -EMSGSIZE. `genl` is the number of the family. */
int ipvs_msg_plain(struct nl_msg *m, int genl, uint8_t cmd, uint16_t nl_flags, uint32_t seq);
int ipvs_msg_op(struct nl_msg *m, int genl, const struct plan_op *op,
		const struct ipvs_request *req, uint16_t nl_flags, uint32_t seq);
int ipvs_msg_get_dests(struct nl_msg *m, int genl, const struct plan_service *svc, uint32_t seq);
int ipvs_msg_timeouts(struct nl_msg *m, int genl, const struct ipvs_timeouts *t, uint32_t seq);
/* s NULL: the request to stop. */
int ipvs_msg_daemon(struct nl_msg *m, int genl, bool master, uint8_t sync_id,
		    const struct plan_sync *s, uint32_t seq);

/* A reply is any number of netlink messages; the walk stops at the first that is not whole. */
enum ipvs_reply {
	IPVS_REPLY_END, /* of these bytes */
	IPVS_REPLY_DATA, /* a message with attributes */
	IPVS_REPLY_ACK, /* `error` tells: 0 or a positive errno value; also the end of a dump */
	IPVS_REPLY_BAD, /* bytes that are no message */
};
struct ipvs_reply_walk {
	const uint8_t *buf; /* borrowed; aligned as malloc aligns */
	size_t len;
	size_t next; /* offset */
	/* of the present message */
	const struct nlmsghdr *msg;
	uint32_t seq;
	int error;
	bool interrupted; /* a dump that saw changes half-way (sticky) */
};
enum ipvs_reply ipvs_reply_next(struct ipvs_reply_walk *w);

/* Each reads one message: 0 or -EBADMSG, and then *ret is untouched. */
int ipvs_parse_service(const struct nlmsghdr *msg, struct plan_service *ret);
int ipvs_parse_dest(const struct nlmsghdr *msg, uint8_t service_family, struct plan_dest *ret);
int ipvs_parse_daemon(const struct nlmsghdr *msg, bool *ret_master, struct plan_sync *ret);
int ipvs_parse_timeouts(const struct nlmsghdr *msg, struct ipvs_timeouts *ret);
int ipvs_parse_info(const struct nlmsghdr *msg, struct ipvs_info *ret);

/* "TCP 192.0.2.1:80" or "mark 0x76000001" for messages. Returns buf. */
#define IPVS_SERVICE_TEXT_MAX 80
char *ipvs_service_text(const struct plan_service *s, char buf[static IPVS_SERVICE_TEXT_MAX]);

/* As ipvs_conns_open, of any open file; takes fd, unless it fails. */
int ipvs_conns_from(int fd, struct ipvs_conns **ret, struct verr *reterr);

/* ---- the handle ---- */

#define IPVS_BATCH_MAX 100 /* requests; so many refusals fit the smallest receive buffer */

struct ipvs {
	struct nl_sock *sock;
	struct nl_msg *msg; /* the only one, used over and over */
	int fd; /* the socket's */
	int genl; /* number of the family */
	uint32_t seq; /* of the latest request */
	uint8_t *recv_buf; /* RECV_SIZE */
	uint8_t *batch; /* IPVS_BATCH_MAX * IPVS_REQUEST_MAX */
};

int ipvs_send(struct ipvs *i, const void *bytes, size_t len, struct verr *reterr);
/* One datagram of replies into i->recv_buf and the walk. */
int ipvs_receive(struct ipvs *i, struct ipvs_reply_walk *w, struct verr *reterr);

/* Called for each message of data; a negative errno is the result of the exchange. */
typedef int (*ipvs_data_fn)(void *user, const struct nlmsghdr *msg);
/* Sends i->msg and takes its answers up to the ack or the end of the dump. Returns the kernel's
 * refusal as it is; -EAGAIN: others' changes interrupted the dump. */
int ipvs_exchange(struct ipvs *i, ipvs_data_fn fn, void *user, struct verr *reterr);

#endif
