/*
 * reset: ends the TCP connections of real servers that have died. Runs on control's loop, in slices of about a
 * millisecond, on the node that directs them.
 *
 * Nobody is left who could reset such a connection, and what IPVS does by itself needs settings that a container
 * may not write. So: a walk through the connection table finds what belongs to the dead. A message of the
 * kernel's own synchronisation, heard by this node's backup daemon too, gives each entry the VIP for its
 * destination: an address that is local on every node. (A daemon that is told of another destination replaces its
 * entry. A real server must not be told: what the kernel has learnt so it does not translate to a local
 * address.) And a challenge (l2_challenge) makes a client speak at once that waits or has backed off. Its packet
 * meets this node's own TCP, which knows no such connection and resets it (RFC 9293 s. 3.10.7.1).
 * All of it is done several times: a challenge may be lost, and nodes that know less may tell the old
 * destination once more.
 */
#ifndef VIPD_AGENT_RESET_H
#define VIPD_AGENT_RESET_H

#include "agent/sweep.h"
#include "base/base.h"
#include "ipvs/ipvs.h"
#include "l2/l2.h"
#include "loop/loop.h"

#define RESET_PASSES 12
#define RESET_GAP_NS (150 * NS_PER_MS) /* between the beginnings of passes, at least */

struct reset;

/* True if this node directs c and its destination is dead. Called for every connection of the table: must be
 * quick (a lookup). */
typedef bool (*reset_wants_fn)(const void *user, const struct ipvs_conn *c);
/* Each pass begins with this, for what is not in the connection table: it may call reset_challenge. */
typedef void (*reset_pass_fn)(const void *user, struct reset *r);
/* A run has ended in which so many connections were taken from the dead. */
typedef void (*reset_done_fn)(const void *user, uint64_t n_conns);

struct reset_fns {
	reset_wants_fn wants;
	reset_pass_fn pass;
	reset_done_fn done;
	const void *user; /* borrowed */
};

int reset_new(struct loop *l, const struct reset_fns *fns, struct reset **ret, struct verr *reterr);
/* Copies conf; without synchronisation there is no walk. A run under way goes on with it. */
void reset_reconf(struct reset *r, const struct sweep_conf *conf);
/* Begins RESET_PASSES passes now, or anew if some are under way. walk: through the connection table too, as a real
 * server was found dead; else only what `pass` does. */
void reset_begin(struct reset *r, bool walk, uint64_t now_ns);
/* Another client of the dead, to be challenged at every pass of this run. */
void reset_challenge(struct reset *r, const struct l2_challenge *c);
void reset_free(struct reset *r);

#endif
