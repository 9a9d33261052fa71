/*
 * sweep: a walk through the IPVS connection table, in slices of about a millisecond of processor, and the messages of
 * the kernel's own connection synchronisation that are made of what it finds. Runs on control's loop, for resend and
 * reset; each has its own.
 */
#ifndef VIPD_AGENT_SWEEP_H
#define VIPD_AGENT_SWEEP_H

#include "base/base.h"
#include "ipvs/ipvs.h"

struct sweep_conf {
	uint8_t sync_id; /* 0: there is no synchronisation */
	char ifname[16]; /* where the daemons synchronise */
	unsigned int mtu; /* of that interface */
};

struct sweep {
	struct sweep_conf conf;
	struct ipvs_conns *conns; /* NULL: no walk */
	int fd; /* -1: not open */
	struct ipvs_sync_message msg;
	/* of all walks */
	uint64_t n_messages, n_conns; /* sent */
	uint64_t n_errors; /* the table not readable, a line not understood, a message not sent */
	struct verr problem; /* the latest of them; "": there was none */
};

/* Called for each connection; it may change its copy and call sweep_tell. */
typedef void (*sweep_fn)(void *user, struct ipvs_conn *c);

void sweep_init(struct sweep *s);
/* Messages without a walk, with s->conf. 0 or -errno. */
int sweep_open(struct sweep *s, enum ipvs_sync_to who);
/* The same, and begins a walk. */
int sweep_begin(struct sweep *s, enum ipvs_sync_to who);
/* Goes on, and sends what was told: 1: there is more; 0: the table is done; -errno. */
int sweep_slice(struct sweep *s, sweep_fn fn, void *user);
/* Adds a connection to the message, which is sent when it is full. timeout_s: what the others give it. */
void sweep_tell(struct sweep *s, const struct ipvs_conn *c, uint32_t flags, uint32_t timeout_s);
/* Sends what was told since the last message. */
void sweep_send(struct sweep *s);
/* Ends the walk, wherever it is. The next one opens everything anew: the interface may be another one by then. */
void sweep_end(struct sweep *s);

/* What this thread has used of a processor, in ns. */
uint64_t sweep_cpu_ns(void);

#endif
