/*
 * control: the thread that does everything except electing and switching: objects -> plan -> kernel ->
 * status. Private to pkg/agent; one file an idea:
 *	control.c		start, stop, the loop's sources
 *	control_objects.c	the store of objects, fed by the source and by the state directory
 *	control_owned.c		addresses that objects had once
 *	control_source.c	where objects come from
 *	control_facts.c		what the node has: links, neighbours, IPVS
 *	control_plan.c		the plan, and what it borrows
 *	control_turn.c		when to plan, when to look at the kernel
 *	control_apply.c		compare, apply; repairs
 *	control_roles.c		VIPs as election and switchover run them: what they are told
 *	control_records.c	and what they tell
 *	control_conflict.c	strangers that use a VIP's number or address
 *	control_claim.c		those that answer ARP or neighbour discovery for it
 *	control_health.c	targets, probes, verdicts
 *	control_conditions.c	what can be said of a VIP, in conditions
 *	control_status.c	the document of `vipd status`
 *	control_report.c	the status of VirtualIPs, as the API server is told it
 *	control_report_node.c	and that of this node
 *	control_events.c	Events
 *	control_resend.c	whose connections are told to the others
 *	control_reset.c		the clients of dead real servers
 *	control_http.c		/livez and /readyz
 *	control_metrics.c	/metrics
 *	control_settings.c	IPVS settings and former values in the state directory
 */
#ifndef VIPD_AGENT_CONTROL_H
#define VIPD_AGENT_CONTROL_H

/* out of memory is an error like others: uthash then leaves the element out */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent/agent.h"
#include "agent/election.h"
#include "agent/resend.h"
#include "agent/reset.h"
#include "agent/ring.h"
#include "agent/switchover.h"
#include "api/api.h"
#include "ctl/ctl.h"
#include "health/health.h"
#include "http/http.h"
#include "ipvs/ipvs.h"
#include "kube/kube.h"
#include "loop/loop.h"
#include "manifest/manifest.h"
#include "nft/nft.h"
#include "plan/plan.h"
#include "probe/probe.h"
#include "rtnl/rtnl.h"

/* ---- objects ---- */

enum control_kind { CONTROL_VIP, CONTROL_NODE, CONTROL_SECRET };

/* A good object. Counted references: the store's, and one for each health target that uses its check. */
struct control_object {
	enum control_kind kind;
	unsigned int refs;
	char key[3 * API_NAME_MAX]; /* "Kind/namespace/name" */
	struct api_vip *vip; /* exactly one of the three is set */
	struct api_node *node;
	struct api_secret *secret;
	json_t *raw; /* as delivered, for the state directory */
	char *origin;
	bool ran; /* VIP: this version was planned without being refused */
	struct control_object *before; /* VIP: the last version that ran, until this one does */
	bool gone; /* Secret: deleted; its last password stays in force while a VIP names it */
	bool stale; /* from the state directory, not confirmed by the source yet */
	UT_hash_handle hh;
};

/* Something that the source or a decoder could not take; shown until it is mended. */
struct control_problem {
	char *key; /* object key, origin, or both: "VirtualIP/ssh at dir/b.yaml:7" */
	char *text;
	UT_hash_handle hh;
};

/* ---- VIPs as they run ---- */

/* Somebody who uses our VRID or address, or a fellow node whose adverts are not accepted: one for each (address,
 * what). Shown for CONTROL_SIGN_NS after it was last seen; logged when it is new. */
#define CONTROL_SIGNS 4
#define CONTROL_SIGN_NS (60 * NS_PER_S)
#define CONTROL_WHAT_MAX 56
struct control_sign {
	struct addr address;
	char what[CONTROL_WHAT_MAX];
	bool node; /* a fellow node: no conflict, but worth a line in the log */
	uint64_t at_ns; /* last seen; 0: none */
};

/* Whether another thread turns: it is asked, and has so long to answer. */
#define CONTROL_PONG_NS (5 * NS_PER_S)
struct control_ping {
	uint64_t since_ns; /* waiting for an answer since then; 0: it has answered */
	uint64_t asked_ns; /* last asked then */
};

/* How often something is written, and when next. */
struct control_pace {
	uint64_t sent_ns, next_ns; /* not before next_ns */
	unsigned int n_failures;
};

/* What the API server is told of a VIP. */
struct control_told {
	struct control *c;
	struct kube_call *call; /* under way */
	struct control_pace pace;
	char based_on[64]; /* resourceVersion that the last write was for */
	/* since_ns of the role for which this node's name has been written, or MultipleActive; and the same
	 * of the write under way */
	uint64_t claimed_ns, claiming_ns, multiple_ns, telling_multiple_ns;
	uint64_t
		heard_ns; /* since when the status says that another node is active too; 0: it does not */
	bool is_left; /* the last words of an agent that ends are out, or none are due */
};

/* The address of a fellow node that has left, or that it had: it still hands over from there. */
#define CONTROL_FORMER_MAX 8
struct control_former {
	struct addr address;
	uint64_t until_ns;
};

struct control_vip {
	uint32_t id;
	char name[API_NAME_MAX];
	bool in_election, removing;
	bool adopted; /* its address was on the interface when it was first planned */
	bool settled; /* switchover has carried out an order */
	bool handover_sent;
	uint64_t
		born_ns; /* no first advert within a second of this, unless all peers are resolved */
	struct election_conf *sent; /* copy of the last configuration pushed; NULL: none */
	struct control_former *former; /* CONTROL_FORMER_MAX of them; NULL: none */
	size_t n_former;
	struct plan_role role_sent;
	bool has_role;
	bool role_again; /* switchover's ring was full: give it once more */

	enum vrrp_state state;
	enum vrrp_why why;
	uint64_t since_ns, since_text_ns;
	char since_text[MONO_TEXT_MAX]; /* of since_text_ns; see control_since_text */
	struct addr active; /* source address of the active router; unset: unknown */
	uint8_t active_priority;
	uint64_t active_since_ns;
	struct election_counters counters;
	uint64_t transitions[VRRP_WHY_N]; /* role changes, by reason */
	bool switch_active; /* as switchover last told */
	struct control_sign signs[CONTROL_SIGNS];
	uint64_t claim_ask_ns, claim_told_ns; /* asked next who has it too; told last */
	/* logged already */
	enum plan_reason told_refused, told_rejected, told_degraded, told_fault;
	struct control_told told;
	UT_hash_handle hh_id, hh_name;
};

/* ---- health ---- */

struct control_target {
	struct control *c;
	struct addr address;
	const struct api_health_check *check; /* inside `object` */
	struct api_health_check
		quick; /* of the probe under way, if that is the first of a suspicion */
	struct control_object *object; /* a reference */
	struct health health;
	struct probe *probe;
	struct probe_result last;
	struct probe_result decided; /* made the verdict: that is published */
	uint64_t results[PROBE_END_N];
	uint64_t last_ns; /* 0: no result yet */
	struct heap_item due; /* in control.due_targets, while a check is due some time */
	bool used; /* mark of the present plan */
};

/* ---- repairs: what was put back, by kind ---- */

enum control_repair {
	CONTROL_REPAIR_SERVICE,
	CONTROL_REPAIR_DEST,
	CONTROL_REPAIR_RULE,
	CONTROL_REPAIR_ROUTE,
	CONTROL_REPAIR_ADDRESS,
	CONTROL_REPAIR_LINK,
	CONTROL_REPAIR_SYNC,
	CONTROL_REPAIR_TIMEOUT,
	CONTROL_REPAIR_N,
};

struct control {
	const struct agent_conf *conf;
	struct loop *loop;
	uint64_t started_ns;
	int lock_fd;

	/* effects */
	struct rtnl *rtnl;
	struct nft *nft;
	struct ipvs *ipvs; /* NULL: the kernel has none */
	struct ipvs_info ipvs_info;
	struct probe_engine *probes;
	struct manifest_source *manifests; /* one of the two */
	struct control_source *source; /* the Kubernetes API */
	struct control_report *report; /* and what it is told; NULL with --manifests */
	struct control_node_report *node_report;
	struct kube_events *events;
	struct ctl_server *ctl;
	struct control_ping election_ping, switchover_ping; /* of /livez */
	struct http_server *http, *http_metrics; /* one, or metrics by themselves */
	struct resend *resend;
	struct reset *reset;
	struct control_ear *ears; /* one socket for each interface with a VIP, and family */
	struct loop_source *claim_timer;
	struct control_place *places; /* addresses of the VIPs that run, sorted */
	size_t n_places;
	bool sync_up; /* link of the synchronisation */
	struct ipvs_timeouts timeouts; /* the kernel's; 0: not read */

	/* threads */
	struct ring *to_election, *from_election, *orders, *dones, *to_switch, *from_switch;
	struct election *election;
	struct switchover *switchover;

	/* objects */
	struct control_object *objects; /* by key */
	struct control_problem *problems;
	bool synced;
	bool loaded; /* the state directory held the objects of the last run */
	bool swept; /* role elements of no VIP were removed */
	bool source_bad; /* the directory as a whole cannot be read */
	bool objects_changed; /* since the state file was written */

	/* facts */
	struct plan_link *links;
	size_t n_links;
	/* only added to while their owner takes part; by address, and of one address as they were learned */
	struct plan_neigh *neighs;
	size_t n_neighs;
	/* sources of accepted adverts that no Node object explains, the newest CONTROL_HEARD_MAX */
	struct plan_host *heard;
	size_t n_heard, heard_idx;
	unsigned int default4, default6;

	/* plan */
	char namespace_[API_NAME_MAX]; /* of Secrets and the DaemonSet */
	bool uninstalled; /* this agent's DaemonSet was there, and was deleted */
	bool unscheduled; /* it wants no node at all: all agents are about to end */
	uint8_t sync_id; /* of connection synchronisation; 0: off */
	struct plan *plan;
	const struct api_vip **p_vips; /* what the plan borrows */
	const struct api_vip **p_before; /* for each of p_vips the version that last ran */
	const struct api_node **p_nodes;
	const struct api_secret **p_secrets;
	struct control_object **p_refs;
	size_t n_p_refs;
	struct plan_kernel want;
	bool has_want;
	bool is_as_wanted; /* the kernel has all of it, as far as we know */
	struct addr *owned; /* addresses that are ours now or were at the last run */
	size_t n_owned;

	struct control_vip *by_id, *by_name;
	uint32_t next_id;
	/* of all VIPs there have been: a histogram for Prometheus never falls */
	struct election_lateness late;

	struct control_target **targets; /* sorted as plan_targets sorts */
	size_t n_targets;
	struct heap due_targets; /* room for all of them */
	struct loop_source *checks; /* timer: never later than the first of due_targets */
	uint64_t checks_ns; /* what it is set to; 0: not */
	bool in_checks; /* it is set once they have all begun */

	/* when to do what */
	struct loop_source *turn; /* timer: plan (dirty) and reconcile */
	bool dirty; /* objects, facts or verdicts changed: plan anew */
	uint64_t planned_ns; /* the last plan was made, and applied, by then */
	uint64_t plan_took_ns; /* and took so long */
	uint64_t replan_ns; /* plan anew then, whatever has changed; 0: not */
	unsigned int facts_dirty; /* CONTROL_FACTS_* to be read again */
	unsigned int look; /* CONTROL_LOOK_* at the next turn */
	uint64_t turn_ns; /* when `turn` is due; 0: not armed */
	uint64_t look_ns; /* next look at what the kernel tells nobody of */
	uint64_t reconcile_ns; /* next look at all that it has */
	bool ready; /* synced once, kernel programmed */
	bool planned_in_quiet; /* before quiet_until_ns, and not applied yet */
	bool kernel_refuses; /* the last look at the kernel left something that is not as it should be */
	uint64_t
		quiet_until_ns; /* destinations taken out for their clients' sake: do not put back before */
	struct loop_source *saver, *rest;
	struct loop_source *stopper;
	struct loop_source
		*sources[7]; /* signals, the rings from the other threads, kernel events */
	bool stopping, stopped, is_telling;
	uint64_t stop_by_ns; /* then it ends, whatever is still to be told */

	/* dump of the last reconcile, for status */
	struct plan_service *have_services;
	size_t n_have_services;

	/* settings */
	bool settings_writable, settings_ours;
	bool expire_nodest, sloppy_tcp;
	struct ipvs_timeouts former_timeouts;

	uint64_t repairs[CONTROL_REPAIR_N];
	uint64_t repair_told_ns[CONTROL_REPAIR_N];
	uint64_t apply_errors;
	char last_apply_error[200];
};

/* control_source.c */
int control_source_start(struct control *c, struct verr *reterr);
/* Reads everything again (SIGHUP): the directory, or the way to the API server and all lists. Not from a sink. */
void control_source_reload(struct control *c);
void control_source_done(struct control *c);
const char *control_source_path(const struct control *c); /* for people; borrowed */
/* Whether an object that has not been delivered by now is not there. */
bool control_source_has_told(const struct control *c, const struct control_object *o);
bool control_source_current(const struct control *c); /* what is known is what there is now */
/* Of the i-th stream of objects: what it is of, for people, and when it last heard of the server (0: never). */
bool control_source_stream(const struct control *c, size_t i, const char **ret_name,
			   uint64_t *ret_contact_ns);
struct kube *control_source_kube(const struct control *c); /* borrowed; NULL with --manifests */

/* control_objects.c */
void control_sink(void *user, const struct object_event *ev);
int control_objects_load(struct control *c); /* from the state directory, as stale ones */
int control_objects_save(struct control *c);
void control_objects_done(struct control *c);
/* Borrowed until objects change; NULL: there is none. Of the kinds without a namespace. */
const struct control_object *control_object_find(const struct control *c, const char *kind,
						 const char *name);
struct control_object *control_object_ref(struct control_object *o);
void control_object_unref(struct control_object *o);

/* control_owned.c */
/* Adds to the owned addresses (sorted, unique): 0 or -ENOMEM. */
int control_own(struct control *c, const struct addr *a);
bool control_owns(const struct control *c, const struct addr *a);
/* Drops those that no object has any more; to be called when nothing of theirs is left in the kernel. */
void control_owned_shrink(struct control *c);

/* control_facts.c: 1 if something changed that the plan depends on, 0 if not, -errno */
int control_facts_links(struct control *c, bool routes, struct verr *reterr);
int control_facts_settings(struct control *c, struct verr *reterr); /* of the links in c->want */
struct plan_link *control_link(const struct control *c, unsigned int ifindex); /* or NULL */
int control_facts_neighs(struct control *c, struct verr *reterr);
#define CONTROL_HEARD_MAX 64
/* Adverts of this source are accepted on this interface: what it forwards is served here. */
void control_facts_heard(struct control *c, unsigned int ifindex, const struct addr *source);
/* Asks the segment whose MAC address that is; the answer is among the facts soon. */
void control_facts_ask(struct control *c, unsigned int ifindex, const struct addr *a);
void control_facts_get(const struct control *c, struct plan_facts *ret);
void control_facts_done(struct control *c);
const struct mac *control_mac_of(const struct control *c, const struct addr *a);
/* Node name behind an advert's source address: a member's address, or one with the same MAC. NULL: a stranger. */
const char *control_node_of(const struct control *c, const struct plan_vip *v,
			    const struct addr *source);

/* control_turn.c */
#define CONTROL_FACTS_LINKS 1u
#define CONTROL_FACTS_NEIGHS 2u
#define CONTROL_FACTS_ROUTES 4u /* the default routes */
#define CONTROL_FACTS_ALL 7u
#define CONTROL_LOOK_IPVS 1u
#define CONTROL_LOOK_IPVS_MORE 2u /* time-outs and synchronisation daemons */
#define CONTROL_LOOK_NFT 4u
#define CONTROL_LOOK_LINKS 8u /* settings of devices */
#define CONTROL_LOOK_ROUTES 16u
#define CONTROL_LOOK_RTNL (CONTROL_LOOK_LINKS | CONTROL_LOOK_ROUTES)
#define CONTROL_LOOK_ALL 31u
void control_changed(struct control *c); /* plan anew soon: more of it is on its way */
/* Plan anew now, or soon if that has just been done: somebody waits for one edit, and of many the later ones wait. */
void control_edited(struct control *c);
void control_rest(struct control *c); /* gives back, soon, the memory that only a beginning needs */
/* Look at these parts of the kernel's state, at the latest in_ns from now. */
void control_look(struct control *c, unsigned int what, uint64_t in_ns);
/* Plans anew at at_ns at the latest. */
void control_replan_at(struct control *c, uint64_t at_ns, uint64_t now_ns);
int control_turn(void *user, uint64_t now_ns); /* timer handler */

/* control_apply.c */
/* Compares c->want with those parts of the kernel's state that c->look names, and puts them in order. planned: the
 * wanted state has just changed, so differences are not somebody else's doing. False if something was refused. */
bool control_reconcile(struct control *c, bool planned, uint64_t now_ns);
/* Applies in the order of the list; what fails is tried again later, the rest goes on. tell: log it. */
bool control_apply_ops(struct control *c, const struct plan_ops *ops, bool tell);
/* Counts an error of the kernel; logged unless it was the last one too. */
void control_failed(struct control *c, const char *what, const struct verr *err);
void control_repaired(struct control *c, enum control_repair kind, uint64_t now_ns);
const char *control_repair_name(enum control_repair kind);
void control_apply_done(struct control *c);

/* control_plan.c */
/* The plan that belongs to what is known now. *ret_change: from what was wanted before to what is wanted now; to be
 * freed by the caller. *ret_changed: whether that is anything. */
int control_replan(struct control *c, uint64_t now_ns, struct plan_ops *ret_change,
		   bool *ret_changed);
void control_plan_drop(struct control *c);
/* The plan of one VIP; NULL: none. Borrowed until the next plan. */
const struct plan_vip *control_planned(const struct control *c, const char *name);
enum health_verdict control_verdict(const void *user, const struct addr *address,
				    const struct api_health_check *check);

/* control_roles.c */
const struct plan_vip *control_plan_of(const struct control *c, const struct control_vip *v);
struct control_vip *control_vip_by_id(const struct control *c, uint32_t id);
struct control_vip *control_vip_by_name(const struct control *c, const char *name);
/* Election gives the addresses up first; switchover forgets the VIP when election has. */
void control_vip_leave(struct control *c, struct control_vip *v);
void control_vip_free(struct control *c, struct control_vip *v);
/* address is one of v->former. */
bool control_is_former(const struct control_vip *v, const struct addr *address, uint64_t now_ns);
int control_roles_update(struct control *c, uint64_t now_ns);

/* control_records.c */
int control_records(void *user, int fd, uint32_t events, uint64_t now_ns);
/* To the sum of all goes what an instance has counted since `before`. */
void control_lateness_add(struct election_lateness *all, const struct election_lateness *before,
			  const struct election_lateness *now);
int control_notes(void *user, int fd, uint32_t events, uint64_t now_ns);
void control_roles_drain(struct control *c, uint64_t now_ns);
/* Role state is there as the roles want: addresses, and if `elems` (sorted) was dumped, the role elements. */
void control_roles_check(struct control *c, const struct plan_elem *elems, size_t n_elems,
			 uint64_t now_ns);
void control_roles_repair(struct control *c); /* the tables were made anew: role elements again */
void control_roles_done(struct control *c);

/* control_conflict.c */
/* Notes a sign. True if it is new, so worth a line in the log. */
bool control_sign_note(struct control_vip *v, const struct addr *address, const char *what,
		       bool node, uint64_t now_ns);
void control_stranger(struct control *c, struct control_vip *v, const struct addr *address,
		      const char *what, uint64_t now_ns);
/* "192.0.2.7 (adverts), 192.0.2.8 (checksum)" of the strangers seen lately. False: there are none. */
bool control_strangers_text(const struct control_vip *v, uint64_t now_ns, char *buf, size_t size);

/* control_claim.c */
void control_claim_update(struct control *c, uint64_t now_ns);
void control_claim_done(struct control *c);

/* control_health.c */
int control_health_update(struct control *c, uint64_t now_ns);
void control_health_suspect(struct control *c, const struct addr *server, uint64_t now_ns);
void control_health_done(struct control *c);
const struct control_target *control_health_find(const struct control *c,
						 const struct addr *address,
						 const struct api_health_check *check);

/* control_metrics.c: a route of the HTTP server */
int control_metrics(void *user, char **ret_body, size_t *ret_len, const char **ret_type);

/* control_http.c */
/* True: ask now. Not more often than once a second while there is no answer. */
bool control_ping_due(struct control_ping *p, uint64_t now_ns);
bool control_ping_is_lost(const struct control_ping *p, uint64_t now_ns);
int control_http_start(struct control *c, struct verr *reterr);

/* control_resend.c */
int control_resend_start(struct control *c, struct verr *reterr);
void control_resend_update(struct control *c, uint64_t now_ns);
void control_resend_done(struct control *c);
/* The VIP of an address that runs here; NULL: none. Borrowed. */
const struct control_vip *control_vip_at(const struct control *c, const struct addr *address);

/* control_reset.c */
int control_reset_start(struct control *c, struct verr *reterr);
/* server does not answer this check any more, and its node neither: its clients are to be reset. */
void control_reset(struct control *c, const struct addr *server,
		   const struct api_health_check *check, uint64_t now_ns);
/* A real server has failed its checks: flows of UDP that were translated to it are to find another one. */
void control_reset_flows(struct control *c, uint64_t now_ns);

/* control_conditions.c */
#define CONTROL_KERNEL_REFUSES \
	"KernelRefused" /* Degraded, whatever else is: nothing here can be relied on */
struct control_conditions { /* not to be moved: its texts are inside */
	struct api_condition items[API_CONDITION_N];
	size_t n_healthy, n_servers; /* real servers; healthy on every port */
	char health[160], strangers[CONTROL_SIGNS * (ADDR_TEXT_MAX + CONTROL_WHAT_MAX + 4)];
};
void control_conditions_get(const struct control *c, const struct control_vip *v,
			    const struct plan_vip *pv, uint64_t now_ns,
			    struct control_conditions *ret);
bool control_is_run(const struct plan_vip *pv); /* here, as router or as real server */
const char *control_role_name(const struct control_vip *v, const struct plan_vip *pv);
const char *control_since_text(struct control_vip *v); /* RFC 3339: of its last role change */

/* control_status.c */
/* What IPVS counts of one real server, over all addresses of the VIP. */
struct control_dests {
	bool any;
	uint32_t weight;
	uint64_t active, inactive, conns, packets, bytes;
};
struct control_dests control_dests_of(const struct control *c, const struct api_vip *vip,
				      const struct api_port *port, const struct addr *server);
json_t *control_status(void *user, enum ctl_request req);

/* control_report.c: all but _start do nothing with --manifests */
int control_report_start(struct control *c, struct kube *kube, struct verr *reterr);
void control_report_changed(struct control *c); /* there may be something to tell */
void control_report_at(struct control *c, uint64_t when_ns);
/* After an answer with this HTTP status (0: none): when the next write may be, which it returns. */
uint64_t control_pace_result(struct control_pace *pace, int status, uint64_t now_ns);
/* The same of the status of a VIP, where the watch may have to show first what the next write is to be based on. */
uint64_t control_told_result(struct control_told *t, int status, uint64_t now_ns);
/* When the next write may be, to an object of that resourceVersion. */
uint64_t control_told_due_ns(const struct control_told *t, const char *version);
/* That an object of that resourceVersion has the last write in it, or that no watch will show that any more. */
bool control_told_is_shown(const struct control_told *t, const char *version, uint64_t now_ns);
/*
 * Of an agent that ends: its name goes where nobody is left to write another one. To be called again until it
 * returns true: everything is told.
 */
bool control_report_leave(struct control *c, uint64_t now_ns);
void control_report_forget(struct control_vip *v); /* its answer would find nobody */
void control_report_done(struct control *c);
/* control_report_node.c: when to look again; 0: when something changes */
uint64_t control_report_node(struct control *c, struct kube *kube, uint64_t now_ns);
void control_report_node_done(struct control *c);

/* control_events.c: nothing is told without control_events_start */
int control_events_start(struct control *c, struct kube *kube, struct verr *reterr);
bool control_events_told(const struct control *c); /* none is waiting */
void control_events_done(struct control *c);
void control_finish(struct control *c, uint64_t now_ns); /* once stopped; control.c */
/* After a role change from `before`; active: the name of the node that is, or NULL. */
void control_event_role(struct control *c, const struct control_vip *v, enum vrrp_state before,
			const char *active);
/* It is not run, refused, degraded or has a fault; PLAN_OK: it is run (again). */
void control_event_reason(struct control *c, const struct control_vip *v, enum plan_reason reason,
			  const char *message);
/* The kernel has begun to refuse what VIPs need. */
void control_event_kernel(struct control *c);
void control_event_multiple(struct control *c, const struct control_vip *v, const char *other);
void control_event_stranger(struct control *c, const struct control_vip *v, const char *address,
			    const char *what);

/* control_settings.c */
void control_settings_open(struct control *c);
void control_settings_update(struct control *c);
int control_state_path(const struct control *c, const char *name, char *buf, size_t size);
int control_file_write(const char *path, const char *text, size_t len);
void control_links_remember(struct control *c, const struct plan_link *link,
			    const struct plan_linkconf *wanted);

#endif
