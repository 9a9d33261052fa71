/* switchover_internal: the thread (switchover.c) and the kernel steps for one VIP (switchover_vip.c). */
#ifndef VIPD_AGENT_SWITCHOVER_INTERNAL_H
#define VIPD_AGENT_SWITCHOVER_INTERNAL_H

#include "agent/switchover.h"
#include "ipvs/ipvs.h"
#include "nft/nft.h"
#include "rtnl/rtnl.h"

/* After a renewal that failed. Several of these fit into what is left of the shortest lifetime. */
#define SW_RETRY_NS (500 * NS_PER_MS)

enum sw_state {
	SW_ADOPTED, /* an earlier agent's addresses: hands off until the first order */
	SW_STANDBY,
	SW_ACTIVE,
};

struct sw_vip {
	uint32_t id;
	enum sw_state state;
	struct plan_role *role; /* owned */
	uint64_t renewed_ns; /* ACTIVE: when all addresses were last added or renewed */
	uint64_t due_ns; /* ACTIVE: next renewal; ADOPTED: when the addresses have expired */
	bool lost; /* ACTIVE: LOST has been told */
};

/* Every step is tried; the first failure is kept. */
struct sw_result {
	int error; /* -errno */
	const char *what; /* static text */
	bool silenced; /* destinations of the suspect have weight 0 now */
};

struct sw_kernel {
	struct nft *nft; /* owned */
	struct rtnl *rtnl; /* owned */
	struct ipvs *ipvs; /* owned; NULL without IPVS */
};

/* Each applies what the role needs, whatever was there, and sets the state. */
void sw_take(struct sw_kernel *k, struct sw_vip *v, const struct addr *suspect, uint64_t now_ns,
	     struct sw_result *res);
void sw_release(struct sw_kernel *k, struct sw_vip *v, struct sw_result *res);
/* Takes `role` in the place of v->role: only the differences, new things before old ones go. */
void sw_change(struct sw_kernel *k, struct sw_vip *v, struct plan_role *role, uint64_t now_ns,
	       struct sw_result *res);
/* Addresses and role elements of v go. */
void sw_remove(struct sw_kernel *k, struct sw_vip *v, struct sw_result *res);
/* The addresses of one interface, so that renewing a thousand VIPs lists them once. */
struct sw_addrs {
	unsigned int ifindex; /* 0: nothing listed yet */
	struct plan_ifaddr *items; /* owned */
	size_t n;
};
void sw_addrs_done(struct sw_addrs *a);
/* Whether any, or all, of the VIP's addresses are on its interface. Lists it into `cache` if it is another. */
int sw_look(struct sw_kernel *k, struct sw_addrs *cache, const struct plan_role *role,
	    bool *ret_any, bool *ret_all);
/* Puts the addresses' lifetime back to its full length. If that fails it is due again after SW_RETRY_NS. */
void sw_renew(struct sw_kernel *k, struct sw_vip *v, uint64_t now_ns, struct sw_result *res);
bool sw_is_late(const struct sw_vip *v, uint64_t now_ns);
/* Removes role elements that belong to none of the n VIPs. */
void sw_sweep(struct sw_kernel *k, const struct sw_vip *vips, size_t n, struct sw_result *res);

void sw_role_free(struct plan_role *r);

#endif
