/*
 * election: the VRRP thread. Packets and timers only: after an instance is configured there is no malloc,
 * no netlink request, no log call, no wait. SCHED_FIFO and locked memory where permitted.
 * control hands over complete, immutable instance configurations; the thread answers with records.
 */
#ifndef VIPD_AGENT_ELECTION_H
#define VIPD_AGENT_ELECTION_H

#include "agent/ring.h"
#include "agent/switchover.h"
#include "base/base.h"
#include "plan/plan.h"
#include "vrrp/vrrp.h"

#define ELECTION_PEERS_MAX PLAN_UNICAST_PEERS_MAX

/* One virtual router. Made by control on the heap (calloc), owned by election from the moment it is pushed. */
struct election_conf {
	struct election_conf *next; /* election's own use */
	uint32_t vip_id; /* control's number of the VIP, unique for the life of the process */
	struct vrrp_conf vrrp;
	unsigned int ifindex;
	char ifname[16];
	struct mac mac; /* of the interface */
	bool link_up;
	bool has_source; /* false: fault (NoLinkLocal) until a new configuration brings one */
	bool unicast;
	uint8_t n_peers;
	struct addr peers[ELECTION_PEERS_MAX]; /* unicast destinations and only accepted sources */
	bool has_auth;
	uint8_t auth[VRRP_AUTH_LEN];
	uint8_t n_addrs;
	struct addr
		addrs[VRRP_ADDRS_MAX]; /* as advertised: IPv6 with the link-local address first */
	uint8_t n_vips;
	struct addr vips[16]; /* as announced by ARP or NA */
	bool adopted; /* the address was on the interface when the agent started */
	bool may_start; /* false: stay in Init (peers' MACs are not resolved yet) */
};

/*
 * The identity of an instance is its VRID, version, family, interface, transport and password. A change of
 * anything else is taken over in place. A change of the identity while active: the instance stays active, and
 * the old identity is advertised beside the new one for ELECTION_SHADOW_NS; a backup begins anew as Backup.
 */
enum election_cmd_type {
	ELECTION_SET, /* conf: new or changed instance */
	ELECTION_REMOVE, /* vip_id: hand over, then forget; answers ELECTION_REMOVED, also for an unknown one */
	ELECTION_HANDOVER, /* vip_id: cordon */
	/* SIGTERM: hand over everything, then ELECTION_STOPPED (no ELECTION_REMOVED), within 2 s. Configurations
	 * that come later are given back unused. */
	ELECTION_STOP_ALL,
	ELECTION_PING, /* answers ELECTION_PONG: the thread turns */
};
#define ELECTION_SHADOW_NS (10 * NS_PER_S)
struct election_cmd {
	enum election_cmd_type type;
	uint32_t vip_id;
	struct election_conf
		*conf; /* SET: passes to election, which passes it back by ELECTION_FREE */
};

/* Of our adverts against their deadline: a count for each bound, itself included, one for more; and the sum. */
#define ELECTION_LATENESS_BOUNDS 7
struct election_lateness {
	uint64_t n[ELECTION_LATENESS_BOUNDS + 1];
	uint64_t sum_ns;
};
struct election_lateness_bound {
	uint64_t ns;
	const char *name;
};
extern const struct election_lateness_bound election_lateness_bounds[ELECTION_LATENESS_BOUNDS];

/* Counters of one instance; a copy comes with every ELECTION_COUNTERS record (once a second while changing). */
struct election_counters {
	uint64_t sent, received, rejected[VRRP_RX_N];
	uint64_t addr_mismatch; /* adverts with another address list: counted, not dropped */
	uint64_t became_active, became_backup;
	struct election_lateness late;
};

/*
 * A full ring loses nothing but SUSPECT, PEER, CONFLICT, CHECKSUM, SENSE and PONG: the others are told later, ROLE and
 * COUNTERS as they are then.
 */
enum election_record_type {
	ELECTION_ROLE, /* state changed: state, why; source and priority of the active router, if known */
	/* An advert from a source not seen before, or with another priority, or from who is active now, or of whom
	 * nothing was told for 20 s: source, priority. At most one per 100 ms and instance. */
	ELECTION_PEER,
	ELECTION_SUSPECT, /* source was active, fell silent without a word and was replaced, by us or another */
	ELECTION_COUNTERS,
	/* source used this VRID, but rx was wrong (version, checksum, interval, auth, peer), or its address
	 * list differs (rx VRRP_RX_OK). At most one per cause, instance and 10 s. */
	ELECTION_CONFLICT,
	ELECTION_CHECKSUM, /* version 3 over IPv4: our adverts take the form of source's, csum */
	ELECTION_REMOVED,
	ELECTION_STOPPED,
	ELECTION_FREE, /* conf is control's again, to be freed */
	/* A socket call failed: error (positive errno); vip_id may be 0. Once, until it succeeds again. ENOBUFS: link
	 * events were lost, so send every instance's configuration again. */
	ELECTION_SENSE,
	ELECTION_PONG,
};
struct election_record {
	enum election_record_type type;
	uint32_t vip_id;
	uint64_t at_ns;
	enum vrrp_state state;
	enum vrrp_why why;
	struct addr source; /* the active router; CONFLICT: the stranger */
	uint8_t priority;
	enum vrrp_rx rx; /* CONFLICT: what was wrong */
	enum vrrp_checksum csum; /* CHECKSUM */
	int error;
	struct election_counters counters;
	struct election_conf *conf; /* FREE */
};

struct election;

/* cmds: control -> election; records: election -> control; orders, dones: switchover.
 * All rings are borrowed and outlive the election. */
struct election_rings {
	struct ring *cmds, *records, *orders, *dones;
};
/* Starts the thread, in the network namespace of the caller. */
int election_start(const struct election_rings *rings, struct election **ret, struct verr *reterr);
/* Ends and joins the thread and frees everything. After ELECTION_STOPPED, or at any time to leave without
 * a word to anybody. NULL is fine. */
void election_join(struct election *e);
/* True if the thread runs with SCHED_FIFO, and if the memory of the process is locked: where permitted. */
bool election_is_realtime(const struct election *e);
bool election_is_locked(const struct election *e);

#endif
