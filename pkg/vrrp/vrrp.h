/*
 * vrrp: the Virtual Router Redundancy Protocol as pure functions: the advert codec of version 2
 * (RFC 3768, with the simple password of RFC 2338) and version 3 (RFC 9568/5798), and the election's
 * step function. No socket, clock, heap, log or global. All time is ns; centiseconds exist only in the codec.
 */
#ifndef VIPD_VRRP_VRRP_H
#define VIPD_VRRP_VRRP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

#define VRRP_ADDRS_MAX 17 /* 16 of the object, and the link-local one that IPv6 lists first */
#define VRRP_AUTH_LEN 8
#define VRRP_PACKET_MAX (8 + 16 * VRRP_ADDRS_MAX + VRRP_AUTH_LEN)
#define VRRP_IPPROTO 112
#define VRRP_TTL 255

/* ---- codec ---- */

struct vrrp_advert {
	uint8_t version; /* 2 | 3 */
	uint8_t vrid; /* 1..255 */
	uint8_t priority; /* 0: releasing; 255: owner */
	uint64_t period_ns; /* v2: whole seconds; v3: multiples of 10 ms, at most 40.95 s */
	uint8_t auth_type; /* v2: 0 none, 1 simple password; v3: 0 */
	uint8_t auth[VRRP_AUTH_LEN];
	size_t n_addrs; /* as received or sent; addrs holds the first VRRP_ADDRS_MAX */
	struct addr addrs[VRRP_ADDRS_MAX];
};

/* Which form of the v3/IPv4 checksum a packet carries (RFC 9568 s. 5.2.8 against RFC 5798 s. 5.2.8). */
enum vrrp_checksum { VRRP_CSUM_PSEUDO, VRRP_CSUM_PLAIN };

/* What became of a received packet; VRRP_RX_OK and then the causes, in the order of the checks. */
enum vrrp_rx {
	VRRP_RX_OK,
	VRRP_RX_TTL, /* not 255 (RFC 9568 s. 7.1); multicast only, unicast has routers between */
	VRRP_RX_VERSION,
	VRRP_RX_TYPE,
	VRRP_RX_LENGTH,
	VRRP_RX_CHECKSUM,
	VRRP_RX_VRID, /* 0, or none of ours */
	VRRP_RX_COUNT, /* no address (errata 8299) */
	VRRP_RX_INTERVAL, /* v3: 0 (errata 8301); v2: differs from ours (RFC 3768 s. 7.1) */
	VRRP_RX_AUTH, /* v2: type or password differs */
	VRRP_RX_SELF, /* our own advert came back */
	VRRP_RX_PEER, /* unicast: not from a configured peer */
	VRRP_RX_N,
};
const char *vrrp_rx_name(enum vrrp_rx rx); /* "ttl", "checksum", ... for counters and logs */

/*
 * Parses one VRRP message (behind the IP header). src and dst are the IP header's, for the checksum.
 * Checks everything that does not depend on configuration. *ret and *ret_csum are written only for
 * VRRP_RX_OK. For v3/IPv4 both checksum forms are accepted, and v2's auth data is covered.
 */
enum vrrp_rx vrrp_advert_parse(const uint8_t *buf, size_t len, const struct addr *src,
			       const struct addr *dst, struct vrrp_advert *ret,
			       enum vrrp_checksum *ret_csum);

/* Writes a message; the bytes written, or 0 if it does not fit or cannot be expressed. csum counts for v3/IPv4. */
size_t vrrp_advert_emit(const struct vrrp_advert *a, const struct addr *src, const struct addr *dst,
			enum vrrp_checksum csum, uint8_t *buf, size_t size);

/* ---- election ---- */

struct vrrp_conf {
	uint8_t version;
	uint8_t family; /* AF_INET | AF_INET6 */
	uint8_t vrid;
	uint8_t priority; /* 1..254 */
	uint64_t period_ns; /* 10 ms..255 s */
	bool preempt;
	uint64_t preempt_delay_ns; /* from start or link return */
	struct addr source; /* what our adverts come from: node address, or IPv6 link-local */
};

/* Derived, RFC 9568 s. 6.1; ns, never rounded to centiseconds.
 * v2: (256 - priority)/256 s, not scaled; v3: (256 - priority)/256 of the active router's period. */
uint64_t vrrp_skew_ns(uint8_t version, uint8_t priority, uint64_t active_period_ns);
uint64_t vrrp_down_ns(uint8_t version, uint8_t priority, uint64_t active_period_ns);

enum vrrp_state {
	VRRP_INIT, /* not running, or a fault holds */
	VRRP_BACKUP,
	VRRP_ACTIVE,
	VRRP_RELEASING, /* ours: sent priority 0, still serves until a successor has announced itself */
};
const char *vrrp_state_name(enum vrrp_state s); /* "Init", "Backup", "Active", "Releasing" */

enum vrrp_event_type {
	VRRP_EV_START, /* begin, or a fault is over. `adopted`: our address is still there from before */
	VRRP_EV_STOP, /* leave for good: priority 0, hand over, then Init */
	VRRP_EV_FAULT, /* carrier or link-local address lost: Init at once */
	VRRP_EV_TIMER, /* the deadline that the last step asked for has come */
	VRRP_EV_ADVERT, /* a valid advert for this VRID, of our version, from another router */
	VRRP_EV_RECONF, /* *conf has changed; keeps the state */
	VRRP_EV_HANDOVER, /* give up the active role now (cordon), take it back only if nobody comes */
};

struct vrrp_event {
	enum vrrp_event_type type;
	uint64_t now_ns;
	bool adopted; /* START */
	bool resume; /* START: be Active at once, as after a change of VRID while active */
	uint8_t priority; /* ADVERT */
	uint64_t period_ns; /* ADVERT */
	struct addr source; /* ADVERT */
};

/* What the shell must do after a step, in this order of bits. */
enum vrrp_act {
	VRRP_ACT_DROP =
		1 << 0, /* give the addresses up before anything is sent (late wake-up, fault) */
	VRRP_ACT_ADVERT = 1 << 1, /* send an advert with the configured priority */
	VRRP_ACT_ADVERT_ZERO = 1 << 2, /* send an advert with priority 0 */
	VRRP_ACT_TAKE = 1 << 3, /* take the addresses, then announce them */
	VRRP_ACT_ANNOUNCE = 1 << 4, /* announce again: somebody else claimed the role */
	VRRP_ACT_RELEASE =
		1 << 5, /* give the addresses up after linger_ns: the successor announces first */
	VRRP_ACT_STOPPED = 1 << 6, /* what VRRP_EV_STOP asked for is complete */
};

enum vrrp_why {
	VRRP_WHY_NONE,
	VRRP_WHY_START,
	VRRP_WHY_TIMEOUT, /* nothing heard for the master-down interval */
	VRRP_WHY_PEER_RELEASED, /* priority 0 heard, then the skew time */
	VRRP_WHY_PREEMPT, /* a router of lower priority was active */
	VRRP_WHY_HIGHER, /* lost to a higher priority or address */
	VRRP_WHY_LATE, /* woke later than the own master-down interval */
	VRRP_WHY_FAULT,
	VRRP_WHY_STOP,
	VRRP_WHY_HANDOVER,
	VRRP_WHY_NO_SUCCESSOR, /* released, but nobody came */
	VRRP_WHY_RESUME,
	VRRP_WHY_NOBODY, /* nothing heard since the start: nobody was active */
	VRRP_WHY_N,
};
/* CamelCase reason: "PeerTimeout", "PeerReleased", ... */
const char *vrrp_why_name(enum vrrp_why why);

struct vrrp_out {
	unsigned int acts; /* enum vrrp_act bits */
	uint64_t linger_ns; /* for VRRP_ACT_RELEASE */
	enum vrrp_why why; /* of a change of state, else NONE */
	struct addr previous; /* who was active before this step */
	/* previous fell silent without a word and was replaced, by us or by another: it may be dead */
	bool suspect;
	bool conflict; /* another router claims the role that is ours, or has our source address */
};

/* The whole state of one virtual router. Read freely, written by vrrp_step alone. */
struct vrrp {
	enum vrrp_state state;
	uint64_t deadline_ns; /* when VRRP_EV_TIMER is due; 0: never */
	uint64_t active_period_ns; /* the active router's period as heard (v3), else ours */
	uint64_t preempt_from_ns; /* no preemption before this */
	uint64_t since_ns; /* when this state began */
	struct addr active; /* who is active, ourselves included; unset: nobody known */
	uint8_t active_priority;
	bool stopping; /* RELEASING because of STOP */
	bool heard_zero; /* the down timer runs from a priority 0 advert */
	bool heard_lower; /* the down timer runs although a lower priority router is active */
	bool holding; /* BACKUP after an adopted start: the addresses are still on the interface */
	uint8_t priority; /* as configured at the last step, to notice what VRRP_EV_RECONF changed */
	uint64_t period_ns; /* the same */
	uint64_t armed_ns; /* BACKUP: when the down timer was last started */
	uint64_t heard_ns; /* BACKUP: when the active router's last advert came; 0: never */
	uint64_t sent_ns; /* ACTIVE: when the last advert went out */
	uint64_t answered_ns; /* ACTIVE: when a claim of another was last answered; 0: never */
	uint64_t announced_ns; /* ACTIVE: the last VRRP_ACT_TAKE or VRRP_ACT_ANNOUNCE */
};

/* 250 ms: how long the old active node keeps an address once its successor's advert has come. */
#define VRRP_LINGER_NS (UINT64_C(250) * NS_PER_MS)
/* 1.5 s: the longest wait for a successor after STOP, so that the process is gone within 2 s. */
#define VRRP_STOP_WAIT_NS (UINT64_C(1500) * NS_PER_MS)
/* 1 s beyond the down interval: the longest wait for a successor after VRRP_EV_HANDOVER. */
#define VRRP_HANDOVER_EXTRA_NS (UINT64_C(1000) * NS_PER_MS)
/* 500 ms: announcements that answer another router's claims are at least this far apart. */
#define VRRP_REANNOUNCE_NS (UINT64_C(500) * NS_PER_MS)

/* To VRRP_INIT, nothing known. */
void vrrp_init(struct vrrp *v);
/*
 * RFC 9568 s. 6.4 and RFC 3768 s. 6.4. A TIMER before the deadline is ignored, so is every event that a state
 * has no use for. The shell hands over all received adverts before it acts on a deadline that has passed.
 * Whoever is Active and hears of an event later than its own down interval after its last advert has been taken
 * for dead: it answers VRRP_ACT_DROP, becomes Backup (VRRP_WHY_LATE) and only then looks at the event.
 */
void vrrp_step(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
	       struct vrrp_out *ret);

#endif
