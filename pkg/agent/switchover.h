/*
 * switchover: does the few kernel steps of a role change, prepared by control, on netlink sockets of its
 * own; renews address lifetimes; repairs role state. It alone writes VIP addresses and the role sets
 * (redirect, answer), so control and switchover never undo each other's work.
 *
 * A VIP is standby until a TAKE, with one exception: if SET finds an address of the VIP on its interface, it
 * was left by an earlier agent, and everything of it stays as it is until the first order; if none comes
 * the addresses expire by themselves, and the VIP is standby from then on.
 *
 * Becoming active: weight 0 for the suspect -> delete from redirect (and answer ARP) -> add addresses -> done.
 * Leaving: add to redirect (and stop answering) -> remove addresses -> done.
 */
#ifndef VIPD_AGENT_SWITCHOVER_H
#define VIPD_AGENT_SWITCHOVER_H

#include "agent/ring.h"
#include "base/base.h"
#include "plan/plan.h"

/* election -> switchover, fixed size */
enum switchover_order_type { SWITCHOVER_TAKE, SWITCHOVER_RELEASE };
struct switchover_order {
	enum switchover_order_type type;
	uint32_t vip_id;
	uint32_t seq; /* echoed in the done */
	bool suspect; /* TAKE by timeout: `source` was active */
	struct addr source;
};
struct switchover_done {
	uint32_t vip_id;
	uint32_t seq;
	enum switchover_order_type type;
	int error; /* -errno of the first step that failed; the others were tried all the same */
	uint64_t took_ns;
};

/* control -> switchover */
enum switchover_cmd_type {
	SWITCHOVER_SET, /* role: new lists of a VIP; applied at once according to the present role */
	SWITCHOVER_REMOVE, /* vip_id: standby for good: addresses and role elements removed */
	SWITCHOVER_REPAIR, /* vip_id: something of its role state is not as it should be: apply again.
			    * Addresses that expired because this thread was frozen are LOST the first
			    * time, and put back the second: election decides in between. */
	SWITCHOVER_SWEEP, /* all VIPs are set: role elements of no VIP are an earlier agent's; remove them */
	SWITCHOVER_PING, /* answers NOTE_PONG: the thread turns */
	SWITCHOVER_QUIT,
};
struct switchover_cmd {
	enum switchover_cmd_type type;
	uint32_t vip_id;
	struct plan_role *role; /* SET: passes to switchover */
};

/* switchover -> control */
enum switchover_note_type {
	SWITCHOVER_NOTE_DONE, /* a TAKE or RELEASE is complete; with error, NOTE_ERROR came before */
	SWITCHOVER_NOTE_ERROR, /* of any step, also of SET, REPAIR and renewals (vip_id 0: of SWEEP) */
	SWITCHOVER_NOTE_REMOVED,
	SWITCHOVER_NOTE_PONG,
	SWITCHOVER_NOTE_LOST, /* a renewal found the address gone, or came too late: told once. Not put
			       * back without a TAKE or a REPAIR. */
};
struct switchover_note {
	enum switchover_note_type type;
	uint32_t vip_id;
	bool active; /* role as applied */
	int error;
	const char *what; /* static text: the step that failed */
	bool silenced; /* DONE: the suspect's destinations have weight 0, whatever is wanted by now */
	uint64_t took_ns;
	uint64_t at_ns;
};

struct switchover;
struct switchover_rings {
	struct ring *orders, *dones; /* election */
	struct ring *cmds, *notes; /* control */
};
int switchover_start(const struct switchover_rings *rings, bool has_ipvs, struct switchover **ret,
		     struct verr *reterr);
/* After SWITCHOVER_QUIT: joins the thread. */
void switchover_join(struct switchover *s);
/* The netlink handles of the thread, for control's monitors to ignore (their ports only). */
struct nft;
struct rtnl;
const struct nft *switchover_nft(const struct switchover *s);
const struct rtnl *switchover_rtnl(const struct switchover *s);

#endif
