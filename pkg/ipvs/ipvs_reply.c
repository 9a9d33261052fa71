/* Replies: the kernel's messages to values. Every length is checked before it is used. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "ipvs/ipvs_internal.h"

/* linux/ip_vs.h names them IPVS_STATS_ATTR_*; newer kernels append. */
#define STATS_MAX IPVS_STATS_ATTR_MAX

/* To libnl a length is a lower bound, so what a newer kernel makes longer still passes. */
static const struct nla_policy cmd_policy[IPVS_CMD_ATTR_MAX + 1] = {
	[IPVS_CMD_ATTR_SERVICE] = {.type = NLA_NESTED},
	[IPVS_CMD_ATTR_DEST] = {.type = NLA_NESTED},
	[IPVS_CMD_ATTR_DAEMON] = {.type = NLA_NESTED},
	[IPVS_CMD_ATTR_TIMEOUT_TCP] = {.type = NLA_U32},
	[IPVS_CMD_ATTR_TIMEOUT_TCP_FIN] = {.type = NLA_U32},
	[IPVS_CMD_ATTR_TIMEOUT_UDP] = {.type = NLA_U32},
};
static const struct nla_policy service_policy[IPVS_SVC_ATTR_MAX + 1] = {
	[IPVS_SVC_ATTR_AF] = {.type = NLA_U16},
	[IPVS_SVC_ATTR_PROTOCOL] = {.type = NLA_U16},
	[IPVS_SVC_ATTR_ADDR] = {.type = NLA_UNSPEC, .minlen = 4},
	[IPVS_SVC_ATTR_PORT] = {.type = NLA_U16},
	[IPVS_SVC_ATTR_FWMARK] = {.type = NLA_U32},
	[IPVS_SVC_ATTR_SCHED_NAME] = {.type = NLA_STRING},
	[IPVS_SVC_ATTR_FLAGS] = {.type = NLA_UNSPEC, .minlen = sizeof(struct ip_vs_flags)},
	[IPVS_SVC_ATTR_TIMEOUT] = {.type = NLA_U32},
	[IPVS_SVC_ATTR_STATS64] = {.type = NLA_NESTED},
};
static const struct nla_policy dest_policy[IPVS_DEST_ATTR_MAX + 1] = {
	[IPVS_DEST_ATTR_ADDR] = {.type = NLA_UNSPEC, .minlen = 4},
	[IPVS_DEST_ATTR_PORT] = {.type = NLA_U16},
	[IPVS_DEST_ATTR_FWD_METHOD] = {.type = NLA_U32},
	[IPVS_DEST_ATTR_WEIGHT] = {.type = NLA_U32},
	[IPVS_DEST_ATTR_ACTIVE_CONNS] = {.type = NLA_U32},
	[IPVS_DEST_ATTR_INACT_CONNS] = {.type = NLA_U32},
	[IPVS_DEST_ATTR_ADDR_FAMILY] = {.type = NLA_U16},
	[IPVS_DEST_ATTR_STATS64] = {.type = NLA_NESTED},
};
static const struct nla_policy daemon_policy[IPVS_DAEMON_ATTR_MAX + 1] = {
	[IPVS_DAEMON_ATTR_STATE] = {.type = NLA_U32},
	[IPVS_DAEMON_ATTR_MCAST_IFN] = {.type = NLA_STRING},
	[IPVS_DAEMON_ATTR_SYNC_ID] = {.type = NLA_U32},
};
static const struct nla_policy info_policy[IPVS_INFO_ATTR_MAX + 1] = {
	[IPVS_INFO_ATTR_VERSION] = {.type = NLA_U32},
	[IPVS_INFO_ATTR_CONN_TAB_SIZE] = {.type = NLA_U32},
};
static const struct nla_policy stats_policy[STATS_MAX + 1] = {
	[IPVS_STATS_ATTR_CONNS] = {.type = NLA_U64},
	[IPVS_STATS_ATTR_INPKTS] = {.type = NLA_U64},
	[IPVS_STATS_ATTR_INBYTES] = {.type = NLA_U64},
};

static uint16_t get_u16(struct nlattr *const *tb, int type)
{
	return tb[type] ? nla_get_u16(tb[type]) : 0;
}

static uint32_t get_u32(struct nlattr *const *tb, int type)
{
	return tb[type] ? nla_get_u32(tb[type]) : 0;
}

static uint64_t get_u64(struct nlattr *const *tb, int type)
{
	return tb[type] ? nla_get_u64(tb[type]) : 0;
}

/* Copies a string attribute, which need not end in a zero; false if it is absent, empty or too long. */
static bool get_string(struct nlattr *const *tb, int type, char *buf, size_t size)
{
	size_t len;

	if (!tb[type])
		return false;
	len = strnlen(nla_data(tb[type]), (size_t)nla_len(tb[type]));
	if (len == 0 || len >= size)
		return false;
	memset(buf, 0, size);
	memcpy(buf, nla_data(tb[type]), len);
	return true;
}

static bool get_addr(struct nlattr *const *tb, int type, int family, struct addr *ret)
{
	int need = family == AF_INET6 ? 16 : 4;

	if ((family != AF_INET && family != AF_INET6) || !tb[type] || nla_len(tb[type]) < need)
		return false;
	*ret = addr_from_bytes(family, nla_data(tb[type]));
	return true;
}

enum ipvs_reply ipvs_reply_next(struct ipvs_reply_walk *w)
{
	struct nlmsghdr h;

	w->msg = NULL;
	if (w->next >= w->len)
		return IPVS_REPLY_END;
	if (w->len - w->next < sizeof(h))
		return IPVS_REPLY_BAD;
	memcpy(&h, w->buf + w->next, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > w->len - w->next)
		return IPVS_REPLY_BAD;
	w->msg = (const struct nlmsghdr *)(const void *)(w->buf + w->next);
	w->next += NLMSG_ALIGN((size_t)h.nlmsg_len);
	w->seq = h.nlmsg_seq;
	w->error = 0;
	if (h.nlmsg_flags & NLM_F_DUMP_INTR)
		w->interrupted = true;
	if (h.nlmsg_type == NLMSG_OVERRUN)
		return IPVS_REPLY_BAD;
	if (h.nlmsg_type != NLMSG_ERROR && h.nlmsg_type != NLMSG_DONE)
		return IPVS_REPLY_DATA;
	if (h.nlmsg_type == NLMSG_ERROR && h.nlmsg_len < NLMSG_HDRLEN + sizeof(int32_t))
		return IPVS_REPLY_BAD;
	w->error = -netlink_end(w->msg);
	return IPVS_REPLY_ACK;
}

static int parse_top(const struct nlmsghdr *msg, struct nlattr **tb, int max,
		     const struct nla_policy *policy)
{
	/* libnl does not write through this pointer. */
	struct nlmsghdr *h = (struct nlmsghdr *)(uintptr_t)msg;

	if (h->nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN || genlmsg_parse(h, 0, tb, max, policy) < 0)
		return -EBADMSG;
	return 0;
}

static int parse_nested(const struct nlmsghdr *msg, int type, struct nlattr **tb, int max,
			const struct nla_policy *policy)
{
	struct nlattr *top[IPVS_CMD_ATTR_MAX + 1];
	int r = parse_top(msg, top, IPVS_CMD_ATTR_MAX, cmd_policy);

	if (r < 0)
		return r;
	if (!top[type] || nla_parse_nested(tb, max, top[type], policy) < 0)
		return -EBADMSG;
	return 0;
}

struct stats {
	uint64_t conns, packets_in, bytes_in;
};

/* Counters are for people: kernels without the 64-bit ones (before 4.1) give zeros. */
static int parse_stats(struct nlattr *nest, struct stats *ret)
{
	struct nlattr *tb[STATS_MAX + 1];

	*ret = (struct stats){0};
	if (!nest)
		return 0;
	if (nla_parse_nested(tb, STATS_MAX, nest, stats_policy) < 0)
		return -EBADMSG;
	ret->conns = get_u64(tb, IPVS_STATS_ATTR_CONNS);
	ret->packets_in = get_u64(tb, IPVS_STATS_ATTR_INPKTS);
	ret->bytes_in = get_u64(tb, IPVS_STATS_ATTR_INBYTES);
	return 0;
}

int ipvs_parse_service(const struct nlmsghdr *msg, struct plan_service *ret)
{
	struct nlattr *tb[IPVS_SVC_ATTR_MAX + 1];
	struct plan_service s = {0};
	struct ip_vs_flags flags = {0};
	struct stats stats;
	int r = parse_nested(msg, IPVS_CMD_ATTR_SERVICE, tb, IPVS_SVC_ATTR_MAX, service_policy);
	uint16_t family;

	if (r < 0)
		return r;
	family = get_u16(tb, IPVS_SVC_ATTR_AF);
	if (family != AF_INET && family != AF_INET6)
		return -EBADMSG;
	s.family = (uint8_t)family;
	s.fwmark = get_u32(tb, IPVS_SVC_ATTR_FWMARK);
	if (s.fwmark == 0) {
		uint16_t protocol = get_u16(tb, IPVS_SVC_ATTR_PROTOCOL);

		if (protocol == 0 || protocol > UINT8_MAX ||
		    !get_addr(tb, IPVS_SVC_ATTR_ADDR, family, &s.addr))
			return -EBADMSG;
		s.protocol = (uint8_t)protocol;
		s.port = ntohs(get_u16(tb, IPVS_SVC_ATTR_PORT));
	}
	/* A service may have lost its scheduler; then there is no name. */
	if (tb[IPVS_SVC_ATTR_SCHED_NAME] &&
	    !get_string(tb, IPVS_SVC_ATTR_SCHED_NAME, s.scheduler, sizeof(s.scheduler)))
		return -EBADMSG;
	if (tb[IPVS_SVC_ATTR_FLAGS])
		memcpy(&flags, nla_data(tb[IPVS_SVC_ATTR_FLAGS]), sizeof(flags));
	s.flags = flags.flags & ~(uint32_t)IP_VS_SVC_F_HASHED;
	s.timeout_s = get_u32(tb, IPVS_SVC_ATTR_TIMEOUT);
	r = parse_stats(tb[IPVS_SVC_ATTR_STATS64], &stats);
	if (r < 0)
		return r;
	s.conns = stats.conns;
	s.packets_in = stats.packets_in;
	s.bytes_in = stats.bytes_in;
	*ret = s;
	return 0;
}

int ipvs_parse_dest(const struct nlmsghdr *msg, uint8_t service_family, struct plan_dest *ret)
{
	struct nlattr *tb[IPVS_DEST_ATTR_MAX + 1];
	struct plan_dest d = {0};
	struct stats stats;
	int r = parse_nested(msg, IPVS_CMD_ATTR_DEST, tb, IPVS_DEST_ATTR_MAX, dest_policy);
	int family;

	if (r < 0)
		return r;
	family = tb[IPVS_DEST_ATTR_ADDR_FAMILY] ? get_u16(tb, IPVS_DEST_ATTR_ADDR_FAMILY)
						: service_family;
	if (!get_addr(tb, IPVS_DEST_ATTR_ADDR, family, &d.addr))
		return -EBADMSG;
	d.port = ntohs(get_u16(tb, IPVS_DEST_ATTR_PORT));
	/* Others' services may use methods that plan has no name for; they are not ours to compare. */
	d.forward =
		(enum plan_forward)(get_u32(tb, IPVS_DEST_ATTR_FWD_METHOD) & IP_VS_CONN_F_FWD_MASK);
	d.weight = get_u32(tb, IPVS_DEST_ATTR_WEIGHT);
	d.active = get_u32(tb, IPVS_DEST_ATTR_ACTIVE_CONNS);
	d.inactive = get_u32(tb, IPVS_DEST_ATTR_INACT_CONNS);
	r = parse_stats(tb[IPVS_DEST_ATTR_STATS64], &stats);
	if (r < 0)
		return r;
	d.conns = stats.conns;
	d.packets_in = stats.packets_in;
	d.bytes_in = stats.bytes_in;
	*ret = d;
	return 0;
}

int ipvs_parse_daemon(const struct nlmsghdr *msg, bool *ret_master, struct plan_sync *ret)
{
	struct nlattr *tb[IPVS_DAEMON_ATTR_MAX + 1];
	struct plan_sync s = {0};
	int r = parse_nested(msg, IPVS_CMD_ATTR_DAEMON, tb, IPVS_DAEMON_ATTR_MAX, daemon_policy);
	uint32_t state, sync_id;

	if (r < 0)
		return r;
	state = get_u32(tb, IPVS_DAEMON_ATTR_STATE);
	sync_id = get_u32(tb, IPVS_DAEMON_ATTR_SYNC_ID);
	if ((state != IP_VS_STATE_MASTER && state != IP_VS_STATE_BACKUP) || sync_id > UINT8_MAX ||
	    !get_string(tb, IPVS_DAEMON_ATTR_MCAST_IFN, s.ifname, sizeof(s.ifname)))
		return -EBADMSG;
	s.sync_id = (uint8_t)sync_id;
	*ret_master = state == IP_VS_STATE_MASTER;
	*ret = s;
	return 0;
}

int ipvs_parse_timeouts(const struct nlmsghdr *msg, struct ipvs_timeouts *ret)
{
	struct nlattr *tb[IPVS_CMD_ATTR_MAX + 1];
	int r = parse_top(msg, tb, IPVS_CMD_ATTR_MAX, cmd_policy);

	if (r < 0)
		return r;
	*ret = (struct ipvs_timeouts){.tcp_s = get_u32(tb, IPVS_CMD_ATTR_TIMEOUT_TCP),
				      .tcp_fin_s = get_u32(tb, IPVS_CMD_ATTR_TIMEOUT_TCP_FIN),
				      .udp_s = get_u32(tb, IPVS_CMD_ATTR_TIMEOUT_UDP)};
	return 0;
}

int ipvs_parse_info(const struct nlmsghdr *msg, struct ipvs_info *ret)
{
	struct nlattr *tb[IPVS_INFO_ATTR_MAX + 1];
	int r = parse_top(msg, tb, IPVS_INFO_ATTR_MAX, info_policy);

	if (r < 0)
		return r;
	*ret = (struct ipvs_info){.version = get_u32(tb, IPVS_INFO_ATTR_VERSION),
				  .conn_tab_size = get_u32(tb, IPVS_INFO_ATTR_CONN_TAB_SIZE)};
	return 0;
}
