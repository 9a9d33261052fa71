/* Requests: what an operation asks of the kernel, and what the kernel's refusal means. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "ipvs/ipvs_internal.h"

#define NO_SCHEDULER "none" /* the kernel's name for it */

int ipvs_requests_of_op(const struct plan_op *op, struct ipvs_request ret[static 2])
{
	struct ipvs_request req = {.weight = op->dest.weight};

	switch (op->type) {
	case PLAN_OP_SERVICE_ADD:
		req.cmd = IPVS_CMD_NEW_SERVICE;
		break;
	case PLAN_OP_SERVICE_SET:
		req.cmd = IPVS_CMD_SET_SERVICE;
		break;
	case PLAN_OP_SERVICE_DEL:
		req.cmd = IPVS_CMD_DEL_SERVICE;
		break;
	case PLAN_OP_DEST_ADD:
		req.cmd = IPVS_CMD_NEW_DEST;
		if (op->dest.weight == 0) {
			ret[0] = (struct ipvs_request){
				.cmd = IPVS_CMD_NEW_DEST, .weight = 1, .may_exist = true};
			ret[1] = (struct ipvs_request){.cmd = IPVS_CMD_SET_DEST};
			return 2;
		}
		break;
	case PLAN_OP_DEST_SET:
		req.cmd = IPVS_CMD_SET_DEST;
		break;
	case PLAN_OP_DEST_DEL:
		req.cmd = IPVS_CMD_DEL_DEST;
		break;
	case PLAN_OP_LINKCONF:
	case PLAN_OP_ROUTE_ADD:
	case PLAN_OP_ROUTE_DEL:
	case PLAN_OP_TIMEOUT:
	case PLAN_OP_SYNC_STOP:
	case PLAN_OP_SYNC_START:
	case PLAN_OP_ELEM_ADD:
	case PLAN_OP_ELEM_DEL:
		return -EINVAL;
	}
	ret[0] = req;
	return 1;
}

enum ipvs_remedy ipvs_remedy_of(const struct ipvs_request *req, int error,
				enum plan_op_type *ret_retry)
{
	bool is_missing = error == ENOENT || error == ESRCH;

	switch (req->cmd) {
	case IPVS_CMD_NEW_SERVICE:
		if (error != EEXIST)
			return IPVS_REMEDY_FAIL;
		if (req->may_exist)
			return IPVS_REMEDY_IGNORE;
		*ret_retry = PLAN_OP_SERVICE_SET;
		return IPVS_REMEDY_RETRY;
	case IPVS_CMD_SET_SERVICE:
		/* ENOENT is a missing scheduler. */
		if (error != ESRCH)
			return IPVS_REMEDY_FAIL;
		*ret_retry = PLAN_OP_SERVICE_ADD;
		return IPVS_REMEDY_RETRY;
	case IPVS_CMD_NEW_DEST:
		if (error != EEXIST)
			return IPVS_REMEDY_FAIL;
		if (req->may_exist)
			return IPVS_REMEDY_IGNORE;
		*ret_retry = PLAN_OP_DEST_SET;
		return IPVS_REMEDY_RETRY;
	case IPVS_CMD_SET_DEST:
		/* ESRCH is a missing service: a destination alone cannot mend that. */
		if (error != ENOENT)
			return IPVS_REMEDY_FAIL;
		*ret_retry = PLAN_OP_DEST_ADD;
		return IPVS_REMEDY_RETRY;
	case IPVS_CMD_DEL_SERVICE:
	case IPVS_CMD_DEL_DEST:
		return is_missing ? IPVS_REMEDY_IGNORE : IPVS_REMEDY_FAIL;
	default:
		return IPVS_REMEDY_FAIL;
	}
}

/* A message object is used over and over: its header's length is what it holds. */
static int msg_begin(struct nl_msg *m, int genl, uint8_t cmd, uint16_t nl_flags, uint32_t seq)
{
	nlmsg_hdr(m)->nlmsg_len = NLMSG_HDRLEN;
	if (!genlmsg_put(m, NL_AUTO_PORT, seq, genl, 0, nl_flags, cmd, IPVS_GENL_VERSION))
		return -EMSGSIZE;
	return 0;
}

int ipvs_msg_plain(struct nl_msg *m, int genl, uint8_t cmd, uint16_t nl_flags, uint32_t seq)
{
	return msg_begin(m, genl, cmd, nl_flags | NLM_F_REQUEST, seq);
}

/* libnl's put functions fail only for want of room in the message. */
static bool put_addr(struct nl_msg *m, int type, const struct addr *a)
{
	/* Always 16 bytes: the kernel copies as many, whatever the family. */
	return nla_put(m, type, sizeof(a->bytes), a->bytes) == 0;
}

/* scheduler NULL: identity only */
static bool put_service(struct nl_msg *m, const struct plan_service *s, const char *scheduler)
{
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);
	bool ok = nest != NULL && nla_put_u16(m, IPVS_SVC_ATTR_AF, s->family) == 0;

	if (s->fwmark != 0) {
		ok = ok && nla_put_u32(m, IPVS_SVC_ATTR_FWMARK, s->fwmark) == 0;
	} else {
		ok = ok && nla_put_u16(m, IPVS_SVC_ATTR_PROTOCOL, s->protocol) == 0;
		ok = ok && put_addr(m, IPVS_SVC_ATTR_ADDR, &s->addr);
		ok = ok && nla_put_u16(m, IPVS_SVC_ATTR_PORT, htons(s->port)) == 0;
	}
	if (scheduler) {
		/* The mask is complete: flags that are not named are cleared. */
		struct ip_vs_flags flags = {.flags = s->flags, .mask = UINT32_MAX};
		/* One client is one address: persistence never groups neighbours. */
		uint32_t netmask = s->family == AF_INET6 ? 128 : htonl(UINT32_MAX);

		ok = ok && nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, scheduler) == 0;
		ok = ok && nla_put(m, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags) == 0;
		ok = ok && nla_put_u32(m, IPVS_SVC_ATTR_TIMEOUT, s->timeout_s) == 0;
		ok = ok && nla_put_u32(m, IPVS_SVC_ATTR_NETMASK, netmask) == 0;
	}
	if (ok)
		nla_nest_end(m, nest);
	return ok;
}

static bool put_dest(struct nl_msg *m, const struct plan_service *s, const struct plan_dest *d,
		     uint32_t weight, bool is_full)
{
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_DEST);
	uint16_t port = s->fwmark != 0 ? 0 : d->port;
	bool ok = nest != NULL && put_addr(m, IPVS_DEST_ATTR_ADDR, &d->addr);

	ok = ok && nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(port)) == 0;
	ok = ok && nla_put_u16(m, IPVS_DEST_ATTR_ADDR_FAMILY, d->addr.family) == 0;
	if (is_full) {
		ok = ok && nla_put_u32(m, IPVS_DEST_ATTR_FWD_METHOD, d->forward) == 0;
		ok = ok && nla_put_u32(m, IPVS_DEST_ATTR_WEIGHT, weight) == 0;
		ok = ok && nla_put_u32(m, IPVS_DEST_ATTR_U_THRESH, 0) == 0;
		ok = ok && nla_put_u32(m, IPVS_DEST_ATTR_L_THRESH, 0) == 0;
	}
	if (ok)
		nla_nest_end(m, nest);
	return ok;
}

int ipvs_msg_op(struct nl_msg *m, int genl, const struct plan_op *op,
		const struct ipvs_request *req, uint16_t nl_flags, uint32_t seq)
{
	bool is_service = req->cmd == IPVS_CMD_NEW_SERVICE || req->cmd == IPVS_CMD_SET_SERVICE;
	bool has_dest = req->cmd == IPVS_CMD_NEW_DEST || req->cmd == IPVS_CMD_SET_DEST ||
			req->cmd == IPVS_CMD_DEL_DEST;
	const char *scheduler = NULL;
	int r = msg_begin(m, genl, req->cmd, nl_flags | NLM_F_REQUEST, seq);

	if (r < 0)
		return r;
	if (is_service)
		scheduler = req->no_scheduler ? NO_SCHEDULER : op->service.scheduler;
	if (!put_service(m, &op->service, scheduler))
		return -EMSGSIZE;
	if (has_dest &&
	    !put_dest(m, &op->service, &op->dest, req->weight, req->cmd != IPVS_CMD_DEL_DEST))
		return -EMSGSIZE;
	return 0;
}

int ipvs_msg_get_dests(struct nl_msg *m, int genl, const struct plan_service *svc, uint32_t seq)
{
	int r = msg_begin(m, genl, IPVS_CMD_GET_DEST, NLM_F_REQUEST | NLM_F_DUMP, seq);

	if (r < 0)
		return r;
	return put_service(m, svc, NULL) ? 0 : -EMSGSIZE;
}

int ipvs_msg_timeouts(struct nl_msg *m, int genl, const struct ipvs_timeouts *t, uint32_t seq)
{
	int r = msg_begin(m, genl, IPVS_CMD_SET_CONFIG, NLM_F_REQUEST | NLM_F_ACK, seq);
	bool ok = r == 0;

	/* An attribute that is absent leaves its value alone. */
	if (t->tcp_s != 0)
		ok = ok && nla_put_u32(m, IPVS_CMD_ATTR_TIMEOUT_TCP, t->tcp_s) == 0;
	if (t->tcp_fin_s != 0)
		ok = ok && nla_put_u32(m, IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, t->tcp_fin_s) == 0;
	if (t->udp_s != 0)
		ok = ok && nla_put_u32(m, IPVS_CMD_ATTR_TIMEOUT_UDP, t->udp_s) == 0;
	return ok ? 0 : -EMSGSIZE;
}

int ipvs_msg_daemon(struct nl_msg *m, int genl, bool master, uint8_t sync_id,
		    const struct plan_sync *s, uint32_t seq)
{
	uint8_t cmd = s ? IPVS_CMD_NEW_DAEMON : IPVS_CMD_DEL_DAEMON;
	int r = msg_begin(m, genl, cmd, NLM_F_REQUEST | NLM_F_ACK, seq);
	struct nlattr *nest = r == 0 ? nla_nest_start(m, IPVS_CMD_ATTR_DAEMON) : NULL;
	bool ok = nest != NULL;

	ok = ok && nla_put_u32(m, IPVS_DAEMON_ATTR_STATE,
			       master ? IP_VS_STATE_MASTER : IP_VS_STATE_BACKUP) == 0;
	ok = ok && nla_put_u32(m, IPVS_DAEMON_ATTR_SYNC_ID, sync_id) == 0;
	if (s)
		ok = ok && nla_put_string(m, IPVS_DAEMON_ATTR_MCAST_IFN, s->ifname) == 0;
	if (!ok)
		return -EMSGSIZE;
	nla_nest_end(m, nest);
	return 0;
}

static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	default:
		return "protocol?";
	}
}

char *ipvs_service_text(const struct plan_service *s, char buf[static IPVS_SERVICE_TEXT_MAX])
{
	char a[ADDR_TEXT_MAX];

	if (s->fwmark != 0)
		snprintf(buf, IPVS_SERVICE_TEXT_MAX, "mark 0x%08x", (unsigned int)s->fwmark);
	else
		snprintf(buf, IPVS_SERVICE_TEXT_MAX,
			 s->family == AF_INET6 ? "%s [%s]:%u" : "%s %s:%u",
			 protocol_name(s->protocol), addr_text(&s->addr, a), s->port);
	return buf;
}
