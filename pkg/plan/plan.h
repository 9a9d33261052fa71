/*
 * plan: what should be. Pure functions from objects and facts to
 *   1. a plan: for each VirtualIP whether and how this node runs it (plan_new),
 *   2. the kernel state that this needs, whatever the role (plan_kernel), and per role (plan_role),
 *   3. the operations from what the kernel has to what it should have, in a safe order (plan_diff).
 * Also the vocabulary of kernel state that the effect rooms (ipvs, nft, rtnl) dump and apply.
 * No I/O, clock, log; heap only for what it returns. SPEC section 4 is the design.
 */
#ifndef VIPD_PLAN_PLAN_H
#define VIPD_PLAN_PLAN_H

#include "api/api.h"
#include "base/base.h"
#include "health/health.h"

/* ---- facts: what the node has ---- */

struct plan_ifaddr {
	struct addr addr;
	uint8_t prefix_len;
	bool tentative; /* IPv6: duplicate address detection is not over, or failed */
	bool deprecated;
	bool finite; /* has a finite valid lifetime (a VIP has) */
	uint32_t valid_s; /* while finite */
};

struct plan_link {
	unsigned int ifindex;
	char name[API_IFNAME_MAX];
	bool up; /* administratively up and carrier */
	bool ethernet;
	bool loopback;
	struct mac mac;
	unsigned int mtu;
	/* effective per-interface IPv4 settings; -1: unknown */
	int arp_ignore, arp_announce, rp_filter;
	struct plan_ifaddr *addrs; /* owned by the dump */
	size_t n_addrs;
};

struct plan_neigh {
	struct addr addr;
	unsigned int ifindex;
	struct mac mac;
};

struct plan_host { /* on the segment of an interface */
	unsigned int ifindex;
	struct addr addr;
};

struct plan_facts {
	const char *self; /* node name */
	const struct plan_link *links;
	size_t n_links;
	const struct plan_neigh *neighs; /* resolved entries only */
	size_t n_neighs;
	/* who sends adverts that are accepted here: fellow directors, whatever their Node objects tell */
	const struct plan_host *heard;
	size_t n_heard;
	unsigned int default_ifindex4, default_ifindex6; /* of the default routes; 0: none */
	bool has_ipvs;
	uint8_t sync_id; /* 0: no connection synchronisation */
	uint32_t tcp_timeout_s; /* --ipvs-tcp-timeout */
};

struct plan_objects {
	const struct api_vip *const *vips; /* any order; duplicates of a name do not occur */
	size_t n_vips;
	/* For each of vips the version that last ran here without being refused, or NULL; NULL: none. Where
	 * the present version is refused for what is wrong with it, this one goes on running. */
	const struct api_vip *const *vips_before;
	const struct api_node *const *nodes;
	size_t n_nodes;
	const struct api_secret *const *secrets;
	size_t n_secrets;
	const char *secret_namespace;
	bool by_name; /* --manifests: first by name wins a conflict; else the older one */
};

/* ---- 1. the plan ---- */

/* Why a VIP is not run here, or not fully; the CamelCase text is the reason of a condition. */
enum plan_reason {
	PLAN_OK,
	PLAN_NOT_SELECTED, /* nodeSelector: not here (not an error) */
	PLAN_NODE_GONE, /* no Node object of this node's name */
	PLAN_NO_INTERFACE,
	PLAN_NO_NODE_ADDRESS,
	PLAN_ADDRESS_CONFLICT,
	PLAN_VRID_CONFLICT,
	PLAN_NODE_OWN_ADDRESS,
	PLAN_SECRET_UNAVAILABLE,
	PLAN_NOT_ETHERNET,
	PLAN_TOO_MANY_PEERS, /* unicast with more nodes than PLAN_UNICAST_PEERS_MAX and this one */
	PLAN_NO_LINK_LOCAL, /* IPv6: nothing to send adverts from yet; a fault, not a refusal */
	PLAN_LINK_DOWN, /* a fault, not a refusal */
	PLAN_REAL_SERVER_NOT_ON_LINK, /* Degraded only */
	PLAN_NO_IPVS, /* Degraded only */
	PLAN_STRICT_RP_FILTER, /* Degraded only */
};
const char *plan_reason_name(enum plan_reason r);

#define PLAN_UNICAST_PEERS_MAX 64

struct plan_member { /* a participating node */
	const char *name; /* borrowed from objects */
	/* its address on the VIP's segment, else its first of the family; unset: not known here */
	struct addr address;
	uint8_t priority; /* 1..254 */
	bool cordoned, ready, self;
};

struct plan_server { /* a real server, all ports */
	struct addr address;
	uint32_t weight;
	const char *node_name; /* borrowed; "" if it is no node */
	bool self;
	bool on_link; /* inside a subnet of the VIP's interface */
};

struct plan_vip {
	const struct api_vip *vip; /* the version that counts; borrowed from objects */
	enum plan_reason
		rejected; /* PLAN_OK, or why vip is the version before and not the present one */
	enum plan_reason refused; /* PLAN_OK: run (as router or as real server only) */
	enum plan_reason fault; /* PLAN_NO_LINK_LOCAL, PLAN_LINK_DOWN or PLAN_OK */
	enum plan_reason degraded; /* PLAN_OK, NO_IPVS, else NOT_ON_LINK, else STRICT_RP_FILTER */
	/* for people: of the refusal, else the fault, else what is degraded; names the field or thing, its value
	 * and the cure, with a free number where one is needed */
	char message[240];
	/* in the same way, of what is degraded, also during a fault; and of the version that does not count; "" if
	 * there is none */
	char degradation[240], rejection[240];
	bool routes; /* takes part in VRRP; false if refused */
	bool serves; /* is a real server; false if refused */
	unsigned int ifindex;
	char ifname[API_IFNAME_MAX];
	struct addr
		node_address; /* this node's, on the VIP's segment: where its daemons are reached */
	struct addr source; /* of adverts: node_address, or the IPv6 link-local one */
	uint8_t vrid;
	uint8_t priority;
	uint8_t auth[API_AUTH_LEN]; /* zero-filled */
	bool others_ready; /* another participating node is Ready and not cordoned */
	bool cordoned; /* this node is */
	struct plan_member *members; /* sorted by name; also of a refused one */
	size_t n_members;
	struct plan_server
		*servers; /* sorted by address: the order of destinations on every node */
	size_t n_servers;
	uint32_t valid_lft_s; /* max(3 s, master-down interval + 2 s), rounded up */
};

struct plan {
	struct plan_vip *vips; /* sorted by name */
	size_t n_vips;
	char sync_ifname[API_IFNAME_MAX]; /* interface with most VIPs; "": none */
	struct addr node4, node6; /* this node's addresses that the firewall-mark services use */
};

/* objects and facts are borrowed for the life of *ret where a field says so. 0 or -ENOMEM. */
int plan_new(const struct plan_objects *objects, const struct plan_facts *facts, struct plan **ret);
void plan_free(struct plan *p);
void plan_free_p(struct plan **p);

/* One thing to probe. Equal targets of several VIPs come once. Borrowed from the plan's objects. */
struct plan_target {
	struct addr address;
	const struct api_health_check *check;
};
/* Sorted by plan_target_cmp. Owned array. Every real server that this node may ever direct to. */
int plan_targets(const struct plan *p, struct plan_target **ret, size_t *ret_n);
/* By address, port, then everything else that a check says; 0 for equal checks of different VIPs. */
int plan_target_cmp(const struct plan_target *a, const struct plan_target *b);

/* ---- 2. kernel state ---- */

enum plan_forward { PLAN_MASQ = 0, PLAN_DROUTE = 3 }; /* kernel numbers */

struct plan_dest {
	struct addr addr;
	uint16_t port; /* 0 in a firewall-mark service */
	enum plan_forward forward;
	uint32_t weight;
	/* from a dump only */
	uint32_t active, inactive; /* connections */
	uint64_t conns, packets_in, bytes_in;
};

#define PLAN_IPVS_PERSISTENT 0x1u
#define PLAN_IPVS_SCHED1 0x8u /* mh-fallback */
#define PLAN_IPVS_SCHED2 0x10u /* mh-port */

struct plan_service {
	uint32_t fwmark; /* != 0: firewall-mark service: protocol, addr, port unused; family set */
	uint8_t family;
	uint8_t protocol;
	struct addr addr;
	uint16_t port;
	char scheduler[16];
	uint32_t flags; /* PLAN_IPVS_* */
	uint32_t timeout_s; /* persistence */
	struct plan_dest *dests; /* in the order of addition (want) */
	size_t n_dests;
	/* from a dump only */
	uint64_t conns, packets_in, bytes_in;
};

/* Elements of the sets and maps of the tables `vipd`. Rules are static; only these change. */
enum plan_set {
	PLAN_SET_SERVICES, /* protocol . A . P           every A:P that this node holds */
	PLAN_SET_VIPS, /* A                          every A */
	PLAN_SET_HOME, /* A . ifindex                the VIP's own interface */
	PLAN_SET_PEERS, /* MAC                        every participating node's but our own */
	PLAN_MAP_NODE, /* A : node address           who translated connections come from */
	PLAN_MAP_SLOTS, /* protocol . A . P . slot : real server    numgen random mod 12 */
	PLAN_MAP_STICKY, /* protocol . A . P . slot : real server    jhash of the source, mod 12 */
	PLAN_MAP_SOLO, /* protocol . A . P : node address          without IPVS only */
	PLAN_SET_REDIRECT, /* protocol . A . P           role: while not active and a healthy real server */
	PLAN_SET_ANSWER, /* A . ifindex                role: table arp, while active */
	PLAN_SET_N,
};
#define PLAN_SLOTS 12
#define PLAN_NFT_BATCH_MAX 256 /* elements in a transaction, so that switchover never waits long */

struct plan_elem { /* fields that the set does not use are 0 */
	enum plan_set set;
	uint8_t family; /* table ip or ip6; ANSWER: AF_INET, table arp; VIPS is in arp too */
	uint8_t protocol;
	uint8_t slot;
	uint16_t port;
	unsigned int ifindex;
	struct addr addr;
	struct mac mac;
	struct addr value;
};

struct plan_route { /* route `local ADDR dev lo table local src SRC` */
	struct addr addr;
	struct addr src;
};

struct plan_linkconf {
	unsigned int ifindex;
	int arp_ignore, arp_announce; /* in an operation, -1: leave alone, it is enough */
};

struct plan_sync { /* both daemons, or none (sync_id 0) */
	uint8_t sync_id;
	char ifname[API_IFNAME_MAX];
};

/* Wanted or dumped kernel state of vipd's own things. All arrays sorted by identity and owned. */
struct plan_kernel {
	struct plan_service *services;
	size_t n_services;
	struct plan_elem *elems;
	size_t n_elems;
	struct plan_route *routes;
	size_t n_routes;
	struct plan_linkconf *links;
	size_t n_links;
	struct plan_sync master, backup;
	uint32_t tcp_timeout_s; /* 0: leave alone */
	uint32_t mark4, mark6; /* the node's firewall marks; 0: no VIP of that family */
};

/* The verdict about one real server's port. */
typedef enum health_verdict (*plan_verdict_fn)(const void *user, const struct addr *address,
					       const struct api_health_check *check);

/* What the kernel must hold whatever the roles are: everything but role elements and VIP addresses. */
int plan_kernel_want(const struct plan *p, const struct plan_facts *facts, plan_verdict_fn verdict,
		     const void *user, struct plan_kernel *ret);
void plan_kernel_done(struct plan_kernel *k);
/* Sorts every array by identity, as plan_diff needs it (for dumps). */
void plan_kernel_sort(struct plan_kernel *k);

/* 0x76 in the top byte, the low 24 bits from the node's address (IPv4: its own; IPv6: a hash). */
uint32_t plan_mark(const struct addr *node_address);
/* By its top byte: made by vipd on this node, if perhaps for a former address of it. */
bool plan_is_mark(uint32_t fwmark);

/* What a role change moves, for one VIP: made by plan_role_want, applied by switchover. */
struct plan_suspect { /* if `source` was active and timed out: these get weight 0 */
	struct addr source; /* its adverts' source address */
	struct addr server; /* its real-server address */
};
struct plan_role {
	unsigned int ifindex;
	struct addr addrs[API_ADDRESSES_MAX];
	size_t n_addrs;
	uint32_t valid_lft_s;
	struct plan_elem *redirect; /* there while standby, not while active; owned */
	size_t n_redirect;
	struct plan_elem *answer; /* there while active, not while standby; owned */
	size_t n_answer;
	struct plan_service *
		services; /* A:P of this VIP, for the suspects' weights: dests as wanted now; owned */
	size_t n_services;
	struct plan_suspect *suspects; /* owned */
	size_t n_suspects;
};
/*
 * facts->neighs map link-local sources to nodes by MAC. A VIP that is refused gives an empty role; one that
 * this node serves without routing gives a role that stays standby: no services, no suspects.
 */
int plan_role_want(const struct plan *p, size_t vip_idx, const struct plan_facts *facts,
		   plan_verdict_fn verdict, const void *user, struct plan_role *ret);
void plan_role_done(struct plan_role *r);
bool plan_role_eq(const struct plan_role *a, const struct plan_role *b);

/* ---- 3. operations ---- */

enum plan_op_type { /* also the order in which plan_diff lists them */
		    PLAN_OP_LINKCONF,
		    PLAN_OP_ROUTE_ADD,
		    PLAN_OP_SERVICE_ADD, /* and its dests, as DEST_ADDs that follow */
		    PLAN_OP_SERVICE_SET, /* scheduler, flags or persistence */
		    PLAN_OP_DEST_ADD,
		    PLAN_OP_DEST_SET, /* weight or forwarding method */
		    PLAN_OP_TIMEOUT,
		    PLAN_OP_SYNC_STOP,
		    PLAN_OP_SYNC_START,
		    PLAN_OP_ELEM_ADD,
		    PLAN_OP_ELEM_DEL, /* but a map element whose value changes is DEL, then at once ADD,
				       * between the other ADDs and DELs: see plan_ops_batch_end */
		    PLAN_OP_DEST_DEL,
		    PLAN_OP_SERVICE_DEL,
		    PLAN_OP_ROUTE_DEL,
};

struct plan_op {
	enum plan_op_type type;
	struct plan_service service; /* identity and parameters; dests NULL. SERVICE_* and DEST_* */
	struct plan_dest dest;
	struct plan_elem elem;
	struct plan_route route;
	struct plan_linkconf link;
	struct plan_sync sync;
	bool sync_master; /* else the backup daemon */
	uint32_t tcp_timeout_s;
};
struct plan_ops {
	struct plan_op *items;
	size_t n;
};

/*
 * From `have` to `want`. Only services of ours are ever touched: those in `owned` (addresses that are
 * ours now or were at the last run; sorted) and firewall-mark services with our mark's top byte. Role sets
 * (REDIRECT, ANSWER) are switchover's and left out, but for elements whose port or address is no longer
 * wanted at all: those are deleted. An equal state gives no operation (idempotence).
 */
int plan_diff(const struct plan_kernel *want, const struct plan_kernel *have,
	      const struct addr *owned, size_t n_owned, struct plan_ops *ret);
void plan_ops_done(struct plan_ops *ops);
/*
 * For operations on elements: where the transaction that begins at `start` ends (index behind its last
 * operation): at most PLAN_NFT_BATCH_MAX, and both halves of a changed value. Others: start + 1.
 */
size_t plan_ops_batch_end(const struct plan_ops *ops, size_t start);

/* Identity comparisons, for sorting and lookups. Firewall-mark services come last. */
int plan_service_cmp(const struct plan_service *a, const struct plan_service *b);
int plan_dest_cmp(const struct plan_dest *a, const struct plan_dest *b);
int plan_elem_cmp(const struct plan_elem *a, const struct plan_elem *b); /* key only, not value */

#endif
