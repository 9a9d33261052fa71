/* plan_internal: what the files of this room share. */
#ifndef VIPD_PLAN_PLAN_INTERNAL_H
#define VIPD_PLAN_PLAN_INTERNAL_H

#include "plan/plan.h"

/* ---- plan_index.c: objects and facts, sorted for lookup ---- */

struct plan_owner { /* an InternalIP and whose it is */
	struct addr addr;
	size_t node_idx;
};

struct plan_local { /* an address on one of this node's links */
	struct addr addr;
	const struct plan_link *link;
	const struct plan_ifaddr *ifaddr;
	bool is_vip; /* a host address with a finite lifetime: only vipd makes such for a VIP */
};

struct plan_subnet {
	struct addr net;
	uint8_t prefix_len;
	const struct plan_link *link;
};

struct plan_index {
	const struct plan_objects *objects;
	const struct plan_facts *facts;
	const struct api_node **nodes; /* by name */
	const struct api_node *self; /* NULL: there is no such Node */
	struct plan_owner *owners; /* by address, then node */
	size_t n_owners;
	struct plan_local *locals; /* by address */
	size_t n_locals;
	struct plan_subnet *subnets; /* longest prefix first, then lowest ifindex */
	size_t n_subnets;
};

int plan_index_init(struct plan_index *ix, const struct plan_objects *objects,
		    const struct plan_facts *facts);
void plan_index_done(struct plan_index *ix);
/* The node that has this InternalIP, the first by name; NULL: none. */
const struct api_node *plan_index_owner(const struct plan_index *ix, const struct addr *a);
/* The link that has this address as its own (not as a VIP); NULL: none. */
const struct plan_link *plan_index_local(const struct plan_index *ix, const struct addr *a);
/* The address on that link, a VIP or not; NULL: it is not there. */
const struct plan_ifaddr *plan_index_ifaddr(const struct plan_index *ix,
					    const struct plan_link *link, const struct addr *a);
const struct plan_link *plan_index_link(const struct plan_index *ix, const char *name);
/* The link whose subnet holds the address; NULL: none. */
const struct plan_link *plan_index_segment(const struct plan_index *ix, const struct addr *a);
bool plan_index_on_link(const struct plan_index *ix, const struct plan_link *link,
			const struct addr *a);
const struct api_secret *plan_index_secret(const struct plan_index *ix, const char *name);

/* ---- plan_resolve.c ---- */

/* plan_new for VIPs that are sorted by name, and without a look at vips_before. */
int plan_resolve(const struct plan_objects *objects, const struct plan_facts *facts,
		 struct plan **ret);

/* What plan_new knows of a VIP while it works, beside its plan_vip; same index. */
struct plan_work {
	const struct plan_link *link; /* NULL: none found */
	int64_t age_s; /* creation; 0 where the names alone decide */
	size_t *node_idx; /* of each member, in plan_index.nodes; owned */
	bool is_barred; /* refused for a reason that every node sees: it claims nothing */
	bool is_selected; /* this node is a member */
};

/* A VIP's place in the order of precedence: the older first, then by name. */
struct plan_turn {
	int64_t age_s; /* plan_work.age_s */
	size_t vip_idx; /* a plan is sorted by name, so this compares names */
};
int plan_turn_cmp(const void *a, const void *b); /* for qsort */

static inline uint8_t plan_vip_family(const struct plan_vip *pv)
{
	return pv->vip->addresses[0].family;
}

/* ---- plan_judge.c ---- */

/* Sets or replaces the refusal and its message. */
void plan_refuse(struct plan_vip *pv, enum plan_reason why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Everything that refuses a VIP here, but its VRID and its Secret. */
void plan_judge(const struct plan_index *ix, struct plan_vip *pv, const struct plan_work *w);
/* The last word: Secret, fault, degraded, and whether the node routes and serves. */
void plan_conclude(const struct plan_index *ix, struct plan_vip *pv, const struct plan_work *w);

/* ---- plan_conflict.c ---- */

/* An address belongs to one VirtualIP and to no node. The same answer on every node. */
int plan_claim_addresses(const struct plan_index *ix, struct plan *p, struct plan_work *work);
/* A VRID belongs to one VirtualIP per interface and family. */
int plan_claim_vrids(const struct plan_index *ix, struct plan *p, const struct plan_work *work);

/* ---- plan_priority.c ---- */

/* Sets the priority of every member of every VIP. The same answer on every node. */
int plan_prioritise(const struct plan_index *ix, struct plan *p, const struct plan_work *work);

/* ---- plan.c ---- */

/* For qsort: struct plan_linkconf by interface. */
int plan_linkconf_order(const void *a, const void *b);

uint64_t plan_hash_bytes(const void *bytes, size_t n);
uint64_t plan_hash_mix(uint64_t x);

/* ---- plan_slots.c ---- */

struct plan_slots {
	bool any; /* a server has a weight */
	uint16_t server_idx[PLAN_SLOTS];
};

/* Which server each slot of each port goes to, in proportion to the weights (of plan_vip_weights); those of
 * weight 0 get none. Owned array; NULL: no memory. */
struct plan_slots *plan_vip_slots(const struct plan_vip *pv, const uint32_t *weights);

/* ---- plan_kernel.c ---- */

/* This node holds kernel state for the VIP. */
static inline bool plan_vip_is_held(const struct plan_vip *pv)
{
	return pv->routes || pv->serves;
}

/* Weights as the verdicts allow: [port_idx * n_servers + server_idx]; owned. NULL: no memory. */
uint32_t *plan_vip_weights(const struct plan_vip *pv, plan_verdict_fn verdict, const void *user);

/* A VIP that this node holds kernel state for. */
struct plan_held {
	const struct plan_vip *pv;
	uint32_t *weights; /* of plan_vip_weights; owned */
	struct plan_slots *slots; /* of each port; owned */
	uint8_t port_idx[API_PORTS_MAX]; /* by protocol and number */
};

struct plan_place { /* one of its addresses */
	const struct addr *addr;
	const struct plan_held *held;
};

/* All is made in the order of identities, and each but once, so that nothing is left to sort. */
struct plan_builder {
	const struct plan *plan;
	const struct plan_facts *facts;
	struct plan_kernel *k;
	size_t cap_elems;
	struct plan_held *helds; /* owned */
	size_t n_helds;
	struct plan_place *places; /* by address; owned */
	size_t n_places;
};

/* The service of one address and port; weights: of this port. 0 or -ENOMEM. */
int plan_service_make(const struct plan_vip *pv, const struct api_port *port, const struct addr *a,
		      const uint32_t *weights, struct plan_service *ret);

/* ---- plan_elems.c ---- */

/* Every element, set by set and each in order, into b->k; its marks are there. 0 or -ENOMEM. */
int plan_add_elems(struct plan_builder *b);

#endif
