/*
 * resend: tells the other nodes of established connections, in the messages of the kernel's own
 * synchronisation. The kernel tells each connection once, early, then every 50 packets; a node that was away
 * would never learn of quiet ones. Here every connection comes again within 10 s (later where that would take
 * more than 1 % of a core, but before the kernel would have forgotten it). Runs on control's loop, in slices of
 * about a millisecond.
 *
 * Who is told that a connection stands after it has ended keeps it for a day. So one is told only if it was there a pass
 * before; the kernel has told it once. And that it has ended is told again, since a lost message of the kernel's would
 * have the same effect. So of two senders one of whom has missed the end, the other one comes first.
 *
 * Whose end everybody has missed (the client has gone without a word) stands at its server as in all tables, but there
 * is no socket for it: the server tells all, itself too, that it has ended.
 *
 * A node resends what it serves itself and, for VIPs that are active here, what it directs; so each
 * connection has one or two senders, and a node that only heard of it never echoes. The time-out that is
 * told is what is left of the entry's: two nodes that tell each other of a dead connection do not keep it alive.
 */
#ifndef VIPD_AGENT_RESEND_H
#define VIPD_AGENT_RESEND_H

#include "agent/sweep.h"
#include "base/base.h"
#include "ipvs/ipvs.h"
#include "loop/loop.h"

#define RESEND_OWN_MAX 16
/* After its link came back a node listens this long (resend_hold) before it tells: connections of the old
 * time may have ended and their ports be in use again, and what the others tell corrects its table. */
#define RESEND_HOLD_NS (12 * NS_PER_S)

/* What this node is for the service that a connection belongs to. */
enum resend_role {
	RESEND_FOREIGN, /* not vipd's: never told */
	RESEND_STANDBY,
	RESEND_ACTIVE,
};
/* Called for every connection of the table: must be quick (a lookup). */
typedef enum resend_role (*resend_role_fn)(const void *user, const struct addr *vip,
					   uint8_t protocol, uint16_t port);

struct resend_conf {
	struct sweep_conf sync; /* without synchronisation it is off */
	struct addr own[RESEND_OWN_MAX]; /* this node's addresses as a real server */
	size_t n_own;
	unsigned int share; /* on average at most one part in so many of a core; 0: 100 */
	/* How long the kernel keeps a connection without packets; 0: not known. The others hear of a connection three
	 * times in the shorter of TCP's and UDP's, whatever part of a core that takes, up to a quarter. */
	struct ipvs_timeouts kernel;
};

struct resend_counters {
	uint64_t passes; /* complete walks through the table */
	uint64_t seen, sent; /* connections */
	uint64_t ended; /* connections served here that stood without a socket */
	uint64_t messages;
	uint64_t errors; /* the table not readable, a line not understood, a message not sent */
	uint64_t last_pass_ns; /* from the beginning of the last complete pass to the next one's */
	uint64_t last_pass_end_ns; /* when it was over; 0: there was none */
	uint64_t last_pass_cpu_ns; /* processor time of it */
	uint64_t last_pass_seen, last_pass_sent;
};

struct resend;

/* Off until the first resend_reconf. user is borrowed. */
int resend_new(struct loop *l, resend_role_fn role, const void *user, struct resend **ret,
	       struct verr *reterr);
/* Copies conf. What is unchanged goes on undisturbed; otherwise a pass begins at once. */
void resend_reconf(struct resend *r, const struct resend_conf *conf);
/* Tells nothing before until_ns. */
void resend_hold(struct resend *r, uint64_t until_ns);
/*
 * Addresses have left: connections that this node has directed to another, and that do not stand yet, are its no more.
 * Their clients begin anew at the next director, which may choose this node, and what it forwards must not meet the old
 * choice. So this node's own table gets them as ended, which leaves the way of what stands as it is.
 */
void resend_settle(struct resend *r, uint64_t now_ns);
const struct resend_counters *resend_counters(const struct resend *r);
/* Text of the latest error, "" if there was none. Borrowed. */
const char *resend_problem(const struct resend *r);
void resend_free(struct resend *r);
void resend_free_p(struct resend **r);

/* The pace, apart from the walk: from the beginning of a pass that took cpu_ns of a processor to the next one's; and the
 * pause after a slice of it that took cpu_ns. In ns. */
uint64_t resend_period_ns(const struct resend_conf *conf, uint64_t cpu_ns);
uint64_t resend_pause_ns(const struct resend_conf *conf, uint64_t cpu_ns);
/* It has ended within this time, in ns. */
bool resend_has_just_ended(const struct resend_conf *conf, const struct ipvs_conn *c,
			   uint64_t within_ns);
/*
 * The state in which c is told: of one that has ended TIME_WAIT, in which the next connection from its port is a new one to
 * everybody. Its server may have forgotten it already, and would learn it from others; but what comes to a node by an entry
 * from others, and is for the node itself, the kernel drops (ip_vs_nat_xmit(), net/netfilter/ipvs/ip_vs_xmit.c).
 */
uint16_t resend_state(const struct ipvs_conn *c);
/* One of those that resend_settle looks for. */
bool resend_is_stray(const struct ipvs_conn *c, enum resend_role role, const struct addr *own,
		     size_t n_own);
/* The choice, apart from the walk: true if this node tells of c; then flags for ipvs_sync_message_add. */
bool resend_wants(const struct ipvs_conn *c, enum resend_role role, const struct addr *own,
		  size_t n_own, uint32_t *ret_flags);

#endif
