/*
 * api: the objects of group vipd.io/v1alpha1 (and the two of Kubernetes that vipd reads) as C values:
 * decode from JSON, apply defaults, validate with the path of the bad field, select by label, encode
 * status. Pure: no file, socket, clock or log. It may allocate; everything it returns is owned.
 *
 * Paths are JSON paths as kubectl prints them: "spec.ports[0].healthCheck.timeoutMilliseconds".
 */
#ifndef VIPD_API_API_H
#define VIPD_API_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

#define API_GROUP_VERSION "vipd.io/v1alpha1"
#define API_NAME_MAX 254 /* DNS subdomain of 253 bytes and NUL */
#define API_ADDRESSES_MAX 16
#define API_REAL_SERVERS_MAX 256
#define API_PORTS_MAX 32
#define API_PRIORITIES_MAX 256
#define API_IFNAME_MAX 16
#define API_PATH_MAX 160
#define API_AUTH_LEN 8

/* NULL, or what is wrong with a name: "must be ...". Of a node, a Secret, a DaemonSet; of a namespace. */
const char *api_syntax_subdomain(const char *text);
const char *api_syntax_label(const char *text);

/* True of our own kinds, and of those of Kubernetes that vipd reads, whose objects are in no namespace. */
bool api_is_cluster_scoped(const char *kind);

/* What is wrong with an object. `path` is "" for the object as a whole. */
struct api_problem {
	char path[API_PATH_MAX];
	char msg[200];
};
/* Starts as {0}. */
struct api_problems {
	struct api_problem *items; /* owned, at most API_PROBLEMS_MAX */
	size_t n;
};
#define API_PROBLEMS_MAX 32
void api_problems_done(struct api_problems *p);

enum api_protocol { API_TCP = 6, API_UDP = 17 }; /* IANA protocol numbers */
enum api_scheduler {
	API_SCHED_MH,
	API_SCHED_RR,
	API_SCHED_WRR,
	API_SCHED_LC,
	API_SCHED_WLC,
	API_SCHED_SH,
	API_SCHED_DH,
	API_SCHED_SED,
	API_SCHED_NQ,
	API_SCHED_LBLC,
	API_SCHED_LBLCR,
	API_SCHED_FO,
	API_SCHED_OVF,
};
const char *api_scheduler_name(enum api_scheduler s); /* the kernel's name: "mh" */
const char *api_protocol_name(enum api_protocol p); /* "TCP", "UDP" */

enum api_preemption { API_PREEMPT, API_PREEMPT_NEVER };
enum api_transport { API_MULTICAST, API_UNICAST };

struct api_priority {
	char node_name[API_NAME_MAX];
	uint8_t priority; /* 3..254 */
};

struct api_real_server {
	struct addr address;
	uint32_t weight; /* 0..65535 */
};

enum api_check_kind { API_CHECK_TCP, API_CHECK_HTTP, API_CHECK_HTTPS };

struct api_http_header {
	char *name;
	char *value;
};

struct api_health_check {
	enum api_check_kind kind; /* default API_CHECK_TCP */
	uint16_t port; /* resolved: the check's own, else the port that it checks */
	char *path; /* HTTP: default "/"; NULL for TCP */
	char *host; /* HTTP: Host header; NULL: the address */
	struct api_http_header *headers;
	size_t n_headers;
	/*
	 * From one attempt to the next; default 2 s; 100 ms..1 h. What is safe where the port is sshd's:
	 * OpenSSH >= 9.8 (PerSourcePenalties, by its defaults) charges a source 1 s for each connection
	 * that ends without authentication, takes 1 s off per second, and refuses the source once 15 s
	 * have come together. A probe reads the banner and closes politely, and equal checks of several
	 * VirtualIPs share one probe, so the default charges a node at most half of what is taken off.
	 * Safe is what stays below one probe per second and source, all checks of one sshd together: the
	 * default, and no period below 1 s on port 22.
	 */
	uint64_t period_ns;
	uint64_t timeout_ns; /* default 1 s; 10 ms..60 s */
	uint32_t failure_threshold; /* default 2; 1..100 */
	uint32_t success_threshold; /* default 1; 1..100 */
};

struct api_port {
	char name[64]; /* "" if not given */
	uint16_t port; /* 1..65535 */
	enum api_protocol protocol; /* default TCP */
	enum api_scheduler scheduler; /* default mh */
	bool prefer_same_node; /* trafficDistribution: PreferSameNode */
	uint32_t persistence_s; /* 0: none; 1..86400 */
	struct api_health_check check;
};

/* metav1.LabelSelector. No requirement at all selects everything. */
enum api_operator { API_OP_IN, API_OP_NOT_IN, API_OP_EXISTS, API_OP_DOES_NOT_EXIST };
struct api_requirement {
	char *key;
	enum api_operator op;
	char **values;
	size_t n_values;
};
struct api_selector {
	/* Sorted by key, then operator; matchLabels come here too, as In with one value. */
	struct api_requirement *reqs;
	size_t n_reqs;
};

struct api_label {
	char *key;
	char *value;
};

struct api_vip {
	char name[API_NAME_MAX];
	char uid[64]; /* "" with --manifests */
	int64_t generation; /* 0 with --manifests */
	int64_t created_s; /* metadata.creationTimestamp, Unix seconds; 0 with --manifests */
	struct addr addresses[API_ADDRESSES_MAX]; /* all of one family, as listed */
	size_t n_addresses; /* 1..16 */
	char interface[API_IFNAME_MAX]; /* "": found by address */
	struct api_selector node_selector;

	bool has_vrid; /* explicit */
	uint8_t vrid; /* resolved: explicit, else last byte of the first address, 0: 255 */
	uint8_t version; /* 2 | 3 */
	uint64_t advert_period_ns;
	enum api_preemption preemption;
	uint64_t preempt_delay_ns;
	enum api_transport transport;
	bool has_auth; /* version 2 only */
	char auth_secret[API_NAME_MAX];
	char auth_key[API_NAME_MAX];
	struct api_priority *priorities; /* sorted by node name */
	size_t n_priorities;

	/* Sorted by address. n 0: every participating node, weight 1. */
	struct api_real_server *real_servers;
	size_t n_real_servers;
	struct api_port *ports;
	size_t n_ports; /* 1..32 */
};

struct api_node {
	char name[API_NAME_MAX];
	char uid[64];
	struct addr *internal_ips; /* as listed */
	size_t n_internal_ips;
	struct api_label *labels;
	size_t n_labels;
	bool unschedulable; /* cordoned */
	bool ready; /* condition Ready is True; without that condition: true */
};

struct api_secret {
	char namespace_[API_NAME_MAX];
	char name[API_NAME_MAX];
	struct api_secret_entry {
		char *key;
		uint8_t *bytes; /* decoded; stringData wins over data */
		size_t len;
	} * entries;
	size_t n_entries;
};

/*
 * Decoders. 0 and an owned *ret; or -EINVAL with an entry in ret_problems for each thing that is wrong
 * (unknown field, wrong type, out of bounds, two families, ...), the first API_PROBLEMS_MAX of them; or
 * -ENOMEM. Unknown fields are refused in a VirtualIP, metadata and status apart, and ignored in Node and
 * Secret. ret_problems may be NULL; it is written with -EINVAL only, and what it held is not freed. Text
 * of the object that a message quotes is cut to 64 bytes and has no control characters; the data of a
 * Secret is never quoted.
 */
int api_vip_decode(const json_t *object, struct api_vip **ret, struct api_problems *ret_problems);
int api_node_decode(const json_t *object, struct api_node **ret, struct api_problems *ret_problems);
int api_secret_decode(const json_t *object, struct api_secret **ret,
		      struct api_problems *ret_problems);
void api_vip_free(struct api_vip *v);
void api_node_free(struct api_node *n);
void api_secret_free(struct api_secret *s);
void api_vip_free_p(struct api_vip **v);
void api_node_free_p(struct api_node **n);
void api_secret_free_p(struct api_secret **s);

/* True if both specs mean the same (metadata apart). The order of realServers and priorities does not
 * matter, that of addresses and ports does. */
bool api_vip_spec_eq(const struct api_vip *a, const struct api_vip *b);
/* True if every requirement holds for these labels. */
bool api_selector_matches(const struct api_selector *sel, const struct api_label *labels,
			  size_t n_labels);
/* By port, then by everything else: checks that compare equal can share one probe. */
int api_check_cmp(const struct api_health_check *a, const struct api_health_check *b);
bool api_check_eq(const struct api_health_check *a, const struct api_health_check *b);
/* Borrowed entry or NULL. */
const struct api_secret_entry *api_secret_get(const struct api_secret *s, const char *key);

/* ---- status: what agents tell the API server ---- */

enum api_condition_type { API_ACCEPTED, API_READY, API_DEGRADED, API_CONFLICTED, API_CONDITION_N };
const char *api_condition_name(enum api_condition_type t); /* "Accepted" */

struct api_condition {
	bool is_set; /* false: nothing is said of it */
	bool status;
	const char *reason; /* CamelCase, one word */
	const char *message; /* for people, or "" */
};

/* One VirtualIP as the node that writes its status sees it. All texts are borrowed. */
struct api_vip_report {
	const struct api_vip *vip; /* the version that counts here: addresses and ports */
	int64_t generation; /* of the present object */
	const char *active_node; /* "": none */
	const char *transition_time; /* RFC 3339: when it became active; NULL: as it was */
	const char *interface; /* "": not known */
	uint8_t vrid; /* 0: not known */
	size_t n_servers_healthy, n_servers; /* healthy: on every port */
	struct api_condition conditions[API_CONDITION_N];
};
/*
 * VirtualIP.status. before: the present one, or NULL; a condition whose status is the same keeps its
 * lastTransitionTime, conditions of others stay. now_text: RFC 3339. Owned; NULL: no memory.
 */
json_t *api_vip_status(const struct api_vip_report *r, const json_t *before, const char *now_text);
/* `before` with condition Degraded/MultipleActive, and nothing else changed. Owned; NULL: no memory. */
json_t *api_vip_status_multiple(json_t *before, int64_t generation, const char *message,
				const char *now_text);

#define API_MULTIPLE_ACTIVE "MultipleActive"
/* What a status says of a condition; false: nothing. Texts are borrowed from it. */
bool api_condition_get(const json_t *status, enum api_condition_type t, struct api_condition *ret);

/* Who writes a VirtualIP's status, and how; SPEC section 3. */
enum api_write {
	API_WRITE_NOTHING, /* another node does */
	API_WRITE_OWN, /* all of it, with this node as the active one */
	API_WRITE_NOBODY, /* all of it, with no active node */
	API_WRITE_MULTIPLE, /* another node's name is there although this one is active: say so */
};
struct api_participant {
	const char *name;
	bool ready;
};
struct api_writing {
	const char *self;
	const char *named; /* status.activeNode; "": none */
	bool is_active; /* this node is */
	bool has_claimed; /* and has written its name once since it became so */
	bool is_settled; /* it is not active, and has not been for some seconds */
	const struct api_participant *members; /* the nodes that take part, sorted by name */
	size_t n_members;
	const struct api_participant *nodes; /* all nodes, for a VIP that selects none; sorted */
	size_t n_nodes;
};
enum api_write api_write_decide(const struct api_writing *w);

/* One real server's port that fails its check. */
struct api_unhealthy {
	const struct addr *address;
	uint16_t port;
	enum api_protocol protocol;
	const char *reason; /* "L4Timeout"; NULL: not checked yet */
	const char *message;
};
#define API_UNHEALTHY_PER_VIP 8
#define API_UNHEALTHY_MAX 1024

/* One VirtualIP in the state of this node. All texts are borrowed; NULL: left out. */
struct api_node_vip {
	const char *name;
	int64_t generation;
	const char *role;
	const char *reason, *message; /* what is wrong */
	uint8_t priority; /* 0: takes no part in the election */
	const char *interface;
	const char *transition_time, *transition_reason;
	size_t n_servers_healthy, n_servers;
	struct api_unhealthy unhealthy[API_UNHEALTHY_PER_VIP];
	size_t n_unhealthy; /* entries of unhealthy */
	size_t n_unhealthy_all; /* real servers that fail on a port */
	bool is_active;
};
/* VirtualIPNodeState.status; messages are cut to 256 bytes. Owned; NULL: no memory. */
json_t *api_node_state(const char *agent_version, const struct api_node_vip *vips, size_t n);

/*
 * The merge patch (RFC 7396) that makes `from` (NULL: nothing) what `to` is: only what differs, null for
 * what goes. NULL if they are equal, so that nothing need be written, or without memory. Owned; neither
 * argument is changed.
 */
json_t *api_merge_patch(json_t *from, json_t *to);

#endif
