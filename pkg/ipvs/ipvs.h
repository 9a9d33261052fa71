/*
 * ipvs: the kernel's IP virtual server over generic netlink (family "IPVS", version 1): services,
 * destinations, time-outs, synchronisation daemons; the connection table and the daemons' message
 * format. Decides nothing. One handle per thread: control and switchover have one each. Calls are
 * synchronous (one request, one ack, some microseconds; a lock held by others can make it
 * milliseconds). Never FLUSH: kube-proxy and others own services too.
 */
#ifndef VIPD_IPVS_IPVS_H
#define VIPD_IPVS_IPVS_H

#include "base/base.h"
#include "plan/plan.h"

struct ipvs;

/* 0; or -ENOTSUP where the kernel has no IPVS (looking the family up loads the
 * module where allowed). */
int ipvs_open(struct ipvs **ret, struct verr *reterr);
void ipvs_close(struct ipvs *i);
void ipvs_close_p(struct ipvs **i);

struct ipvs_info {
	uint32_t version; /* of IPVS, as 0xMMmmpp */
	uint32_t conn_tab_size;
};
int ipvs_info(struct ipvs *i, struct ipvs_info *ret, struct verr *reterr);

/* Every service of the network namespace with its destinations and counters (others'
 * too), sorted by plan_service_cmp; destinations in the kernel's order. Owned array of
 * services with owned dests. */
int ipvs_dump(struct ipvs *i, struct plan_service **ret, size_t *ret_n, struct verr *reterr);
void ipvs_dump_free(struct plan_service *services, size_t n);

/* Service and destination operations of plan_diff (SERVICE_*, DEST_*). Idempotent: EEXIST on
 * add becomes a set, ENOENT or ESRCH on delete is success, a set of something that is
 * missing becomes an add. */
int ipvs_apply(struct ipvs *i, const struct plan_op *op, struct verr *reterr);
/* Many at once, in order, a hundred to a system call. All are tried; returns and tells the first
 * error. A new service with scheduler mh gets it last, after all destinations: until then it
 * refuses connections, as one without destinations does. -EINVAL, and nothing is done, if one is
 * not an operation of IPVS. */
int ipvs_apply_batch(struct ipvs *i, const struct plan_op *const *ops, size_t n,
		     struct verr *reterr);
/* For switchover: sets the weight of destination `dest` of service `svc`;
 * -ENOENT if there is none. */
int ipvs_set_weight(struct ipvs *i, const struct plan_service *svc, const struct plan_dest *dest,
		    uint32_t weight, struct verr *reterr);

struct ipvs_timeouts {
	uint32_t tcp_s, tcp_fin_s, udp_s;
};
int ipvs_timeouts_get(struct ipvs *i, struct ipvs_timeouts *ret, struct verr *reterr);
/* A value of 0 leaves that one as it is. */
int ipvs_timeouts_set(struct ipvs *i, const struct ipvs_timeouts *t, struct verr *reterr);

/* sync_id 0 in *ret: that daemon does not run. start: one that runs with other parameters is
 * stopped first. stop: success also where none runs. */
int ipvs_sync_get(struct ipvs *i, struct plan_sync *ret_master, struct plan_sync *ret_backup,
		  struct verr *reterr);
int ipvs_sync_start(struct ipvs *i, bool master, const struct plan_sync *s, struct verr *reterr);
int ipvs_sync_stop(struct ipvs *i, bool master, uint8_t sync_id, struct verr *reterr);

/* ---- connections, to resend them to the others ---- */

/* The kernel's numbers of TCP states. */
enum ipvs_tcp_state {
	IPVS_TCP_NONE,
	IPVS_TCP_ESTABLISHED,
	IPVS_TCP_SYN_SENT,
	IPVS_TCP_SYN_RECV,
	IPVS_TCP_FIN_WAIT,
	IPVS_TCP_TIME_WAIT,
	IPVS_TCP_CLOSE,
	IPVS_TCP_CLOSE_WAIT,
	IPVS_TCP_LAST_ACK,
	IPVS_TCP_LISTEN,
	IPVS_TCP_SYNACK,
};

/* An entry with client_port 0 is a template: it holds a client to its server (persistence). */
struct ipvs_conn {
	uint8_t family; /* of client and vip */
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, or 0 for others */
	/* enum ipvs_tcp_state; UDP: 0; template: 1 once it had an established connection */
	uint16_t state;
	struct addr client, vip, dest;
	uint16_t client_port, vip_port, dest_port;
	uint32_t expires_s;
	bool local_origin; /* this node made it; else it came by synchronisation */
};

/* Parses one line of /proc/net/ip_vs_conn_sync. 0; -EAGAIN for the header; -EBADMSG. */
int ipvs_conn_parse(const char *line, size_t len, struct ipvs_conn *ret);

/* Reads the table piecewise, from /proc/net/ip_vs_conn_sync. next: 1 and *ret; 0 at the end;
 * -EBADMSG for a line that it does not understand (the next call goes on behind it); else -errno.
 * Every 4 KiB the kernel counts its way through the table anew, so a pass costs the square of the
 * number of entries; entries that come and go meanwhile may be missed or told twice. Of the network
 * namespace of the process. */
struct ipvs_conns;
int ipvs_conns_open(struct ipvs_conns **ret, struct verr *reterr);
int ipvs_conns_next(struct ipvs_conns *c, struct ipvs_conn *ret);
void ipvs_conns_close(struct ipvs_conns *c);

/* Synchronisation message, protocol version 1 (linux net/netfilter/ipvs/ip_vs_sync.c). */
#define IPVS_SYNC_PORT 8848
#define IPVS_SYNC_MESSAGE_MAX 1472
struct ipvs_sync_message {
	uint8_t bytes[IPVS_SYNC_MESSAGE_MAX];
	size_t len;
	size_t max_len; /* interface MTU - 28, at most IPVS_SYNC_MESSAGE_MAX */
	uint8_t n_conns;
};
void ipvs_sync_message_init(struct ipvs_sync_message *m, uint8_t sync_id, size_t max_len);
/* Flags of an entry, as the kernel numbers them. */
#define IPVS_CONN_DROUTE 0x3u
#define IPVS_CONN_NOOUTPUT 0x80u
#define IPVS_CONN_INACTIVE 0x100u
#define IPVS_CONN_TEMPLATE 0x1000u
/* False if it does not fit: send and start anew. The receiver's entry then expires after
 * timeout_s, and it takes the forwarding method from its own destination; that in flags counts
 * only where it has none. */
bool ipvs_sync_message_add(struct ipvs_sync_message *m, const struct ipvs_conn *c, uint32_t flags,
			   uint32_t fwmark, uint32_t timeout_s);
enum ipvs_sync_to {
	IPVS_SYNC_OTHERS,
	IPVS_SYNC_ALL, /* this node's own backup daemon hears it too */
	IPVS_SYNC_SELF, /* it alone does: TTL 0 */
};
/* A non-blocking UDP socket for 224.0.0.81:8848 out of ifname, TTL 1. fd or -errno. */
int ipvs_sync_socket(const char *ifname, enum ipvs_sync_to who, struct verr *reterr);

/* The settings directory (--ipvs-sysctl-dir). Each value is read or written as text, several
 * numbers with one blank between; 0 or -errno. */
int ipvs_sysctl_read(const char *dir, const char *name, char *buf, size_t size);
int ipvs_sysctl_write(const char *dir, const char *name, const char *value);
bool ipvs_sysctl_writable(const char *dir);

#endif
