/*
 * election, inside. One thread owns all of this. Its turn: packets and commands go through vrrp_step, whose acts
 * queue adverts, frames, orders and records; election_turn_end sends what is queued and arms the one timer.
 *
 *   election.c       the thread, its loop, and the turn
 *   election_conf.c  instances: made, changed, removed; faults
 *   election_port.c  sockets of one interface and family, shared by its instances
 *   election_rx.c    from packet to event; who else is there
 *   election_act.c   what a step asks for; deadlines
 *   election_tell.c  records and orders, and what of them a full ring has put off
 */
#ifndef VIPD_AGENT_ELECTION_INTERNAL_H
#define VIPD_AGENT_ELECTION_INTERNAL_H

#include <pthread.h>

#include "agent/election.h"
#include "l2/l2.h"
#include "loop/loop.h"

#define BATCH 64 /* packets per sendmmsg and recvmmsg */
/* A socket that still has packets after this many batches is being flooded. */
#define DRAIN_BATCHES 8
#define SEEN_MAX 8 /* other routers remembered per instance */
#define LINKS_MAX 64
#define NEVER UINT64_MAX

struct inst;

/* Sockets of one (ifindex, family), and the adverts that this turn has queued for them. */
struct port {
	struct port *next;
	struct election *e;
	unsigned int ifindex;
	int family;
	char ifname[16];
	int rx, tx; /* -1: could not be opened; tried again when something changes */
	struct loop_source *source;
	uint64_t woken_ns; /* when the socket last woke us */
	uint64_t look_ns; /* packets are being collected: looked at then; 0: the socket wakes us */
	size_t n_insts;
	struct inst *by_vrid[256]; /* chains by next_vrid */
	int error_told;
	size_t n_out;
	uint32_t out_vip_id; /* of the first one queued */
	struct l2_vrrp_out out[BATCH];
	uint8_t bufs[BATCH][VRRP_PACKET_MAX];
};

/* A router heard for this VRID. */
struct seen {
	struct addr source;
	uint8_t priority;
	uint64_t told_ns;
};

/* One virtual router, or (is_shadow) the identity that one had before. */
struct inst {
	struct election_conf *conf; /* owned */
	struct vrrp v;
	struct port *port;
	struct inst *next_vrid, *next_shadow;
	struct heap_item due; /* in election.due; due_ns: when something is, or NEVER */
	bool is_shadow;
	uint64_t shadow_until_ns;

	bool started; /* a START, or the loss of what was adopted: adoption is a matter of the first */
	bool removing, removed_told;
	uint64_t gone_ns; /* forget it then; 0: it stays */
	uint64_t linger_ns; /* RELEASE is due; 0: none */

	uint32_t seq, done_seq; /* of the last order, and of the last one that is done */
	struct switchover_order order;
	uint64_t order_ns; /* the last order is given again then; 0: it is done */
	bool is_order_untold, is_role_untold, is_counters_dirty;
	enum vrrp_why why;

	uint64_t announce_ns, announce_from_ns; /* next announcement, 0: none; when they began */
	size_t announce_idx;

	struct vrrp_advert advert; /* as we send it */
	enum vrrp_checksum csum;
	struct addr shared_link_local; /* listed first by others who share it; unset: our own is */
	bool lists_no_link_local; /* as others do */
	uint64_t old_period_ns, old_period_until_ns; /* v2: the period before, still valid */
	struct seen seen[SEEN_MAX];
	size_t seen_idx;
	struct addr told_active;
	uint64_t peer_told_ns, csum_told_ns, conflict_told_ns[VRRP_RX_N];
	struct election_counters counters;
};

struct link_state {
	unsigned int ifindex;
	bool up;
};

struct election {
	struct election_rings rings;
	pthread_t thread;
	bool is_thread, is_realtime, is_locked;

	struct loop *loop;
	struct loop_source *timer, *on_cmds, *on_dones, *on_link, *on_quit;
	int quit_fd, link_fd, frame_fd;

	struct inst **insts; /* by vip_id; without shadows */
	size_t n_insts, insts_cap;
	struct heap due; /* of all, shadows too */
	struct inst *shadows;
	struct port *ports;
	struct link_state links[LINKS_MAX];
	size_t n_links;

	bool stopping, is_stopped_untold;
	bool has_cmds; /* more commands than one turn takes */
	uint64_t settle_ns; /* sockets could not be opened: try again then; 0: none */
	uint64_t retry_ns; /* something is untold; 0: nothing */
	uint64_t counters_ns; /* some counters have changed and are told then; 0: none */
	struct election_conf *freed; /* to be given back */

	unsigned int frames_ifindex;
	size_t n_frames, frame_lens[BATCH];
	int frame_error_told;
	uint8_t frames[BATCH][L2_FRAME_MAX];
	uint8_t rx_bufs[BATCH][L2_VRRP_BUF];
	struct l2_vrrp_packet rx_packets[BATCH];
	uint8_t link_buf[16384];
};

/* election.c */
/* Sends what the turn has queued, and arms the timer. */
void election_turn_end(struct election *e, uint64_t now_ns);

/* election_port.c */
/* The port of conf, made if need be, with one more instance on it. NULL without memory. */
struct port *election_port_get(struct election *e, const struct election_conf *conf);
void election_port_put(struct election *e, struct port *p);
/* True if its sockets are open; tries to open them if not. */
bool election_port_ready(struct port *p);
void election_port_link(struct port *p, struct inst *i);
void election_port_unlink(struct port *p, struct inst *i);
/* Queues one message for dst; sends when the batch is full. */
void election_port_queue(struct port *p, const struct inst *i, uint8_t priority,
			 const struct addr *dst, uint64_t now_ns);
void election_port_flush(struct port *p, uint64_t now_ns);
/* Takes what has been collected, if that is due. */
void election_port_look(struct port *p, uint64_t now_ns);

/* election_rx.c */
/*
 * Receives what one port has, but a flood must not keep us from our timers: at most DRAIN_BATCHES times BATCH packets.
 * False if there were none.
 */
bool election_receive(struct election *e, struct port *p, uint64_t now_ns);

/* election_act.c */
void election_step(struct election *e, struct inst *i, const struct vrrp_event *ev);
/* What is due of one instance at now_ns. May forget it. */
void election_run_inst(struct election *e, struct inst *i, uint64_t now_ns);
/* True if i may be run now: due, or an advert so close that it goes out with the others. */
bool election_is_due(const struct inst *i, uint64_t now_ns);
/* Recomputes next_ns. */
void election_touch(struct election *e, struct inst *i);
void election_frames_flush(struct election *e, uint64_t now_ns);
void election_done(struct election *e, const struct switchover_done *done, uint64_t now_ns);

/* election_conf.c */
/* The advert as configuration and the others' habits want it. */
void election_build_advert(struct inst *i);
struct inst *election_find(const struct election *e, uint32_t vip_id);
void election_cmd(struct election *e, const struct election_cmd *cmd, uint64_t now_ns);
/* Tries again what sockets kept from running. */
void election_settle_all(struct election *e, uint64_t now_ns);
void election_link(struct election *e, unsigned int ifindex, bool up, uint64_t now_ns);
/* A port of it has gone. Without any, what was heard of it ages: the next configuration knows better. */
void election_link_unused(struct election *e, unsigned int ifindex);
/* Removes it from everything and frees it. False (and it stays) if that cannot be told yet. */
bool election_forget(struct election *e, struct inst *i, uint64_t now_ns);
void election_shadow_end(struct election *e, struct inst *i);

/* election_tell.c */
void election_tell_pong(struct election *e, uint64_t now_ns);
void election_tell_role(struct election *e, struct inst *i, uint64_t now_ns);
void election_tell_sense(struct election *e, uint32_t vip_id, int error, uint64_t now_ns);
/* Loses the record if the ring is full. */
void election_tell(struct election *e, const struct inst *i, struct election_record *r,
		   uint64_t now_ns);
void election_give_back(struct election *e, struct election_conf *conf);
void election_order(struct election *e, struct inst *i, enum switchover_order_type type,
		    const struct addr *suspect, uint64_t now_ns);
/* The last order once more: its answer is missing. */
void election_order_again(struct election *e, struct inst *i, uint64_t now_ns);
void election_count(struct election *e, struct inst *i, uint64_t now_ns);
/* Tells what is untold, as far as there is room. */
void election_tell_rest(struct election *e, uint64_t now_ns);
void election_tell_counters(struct election *e, uint64_t now_ns);

#endif
