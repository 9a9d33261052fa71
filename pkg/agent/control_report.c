/*
 * What the API server is told: the status of VirtualIPs, by the node that is to write it. Only what changed is
 * sent, once a second and object at most, and nothing here waits for an answer or for anything else.
 */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

#define START_NS (2 * NS_PER_S) /* the first checks are over by then */
#define SETTLE_NS (100 * NS_PER_MS) /* what belongs together goes in one write */
#define LOOK_NS (10 * NS_PER_S) /* for what changes with time alone */
#define CAUGHT_UP_NS (5 * NS_PER_S) /* a watch shows what was written by then */
#define SETTLED_NS (5 * NS_PER_S)
#define MULTIPLE_NS (60 * NS_PER_S) /* what another active node said is to be read for so long */
#define UNDER_WAY_MAX 16
#define RETRY_MAX_NS (60 * NS_PER_S)
#define PATH "/apis/vipd.io/v1alpha1/virtualips/%s/status"

struct control_report {
	struct kube *kube;
	struct loop_source *timer;
	uint64_t due_ns; /* when the timer is due; 0: not armed */
	size_t n_under_way;
	struct api_participant *nodes; /* of the present turn, sorted; borrowed names */
	size_t n_nodes;
};

/* ---- pace ---- */

void control_report_at(struct control *c, uint64_t when_ns)
{
	struct control_report *r = c->report;

	if (!r || (r->due_ns != 0 && r->due_ns <= when_ns))
		return;
	r->due_ns = when_ns;
	(void)loop_timer_set(r->timer, when_ns);
}

void control_report_changed(struct control *c)
{
	if (c->report)
		control_report_at(c, mono_now_ns() + SETTLE_NS);
}

uint64_t control_pace_result(struct control_pace *pace, int status, uint64_t now_ns)
{
	if (status / 100 == 2) {
		pace->n_failures = 0;
		pace->next_ns = pace->sent_ns + NS_PER_S;
	} else {
		uint64_t wait_ns = NS_PER_S << (pace->n_failures < 6 ? pace->n_failures : 6);

		pace->n_failures++;
		pace->next_ns = now_ns + (wait_ns < RETRY_MAX_NS ? wait_ns : RETRY_MAX_NS);
	}
	return pace->next_ns;
}

/* Somebody else was faster, or it is gone: the watch will tell. */
static bool is_overtaken(int status)
{
	return status == 409 || status == 404;
}

uint64_t control_told_result(struct control_told *t, int status, uint64_t now_ns)
{
	if (is_overtaken(status)) {
		t->pace.next_ns = now_ns + SETTLE_NS;
		return t->pace.next_ns;
	}
	/* of what was refused it has nothing to show */
	if (status / 100 != 2)
		t->based_on[0] = '\0';
	return control_pace_result(&t->pace, status, now_ns);
}

/* When an object of that resourceVersion has the last write in it, or no watch will show that any more. */
static uint64_t shown_ns(const struct control_told *t, const char *version)
{
	return strcmp(t->based_on, version) == 0 ? t->pace.sent_ns + CAUGHT_UP_NS : 0;
}

uint64_t control_told_due_ns(const struct control_told *t, const char *version)
{
	uint64_t at_ns = shown_ns(t, version);

	return at_ns > t->pace.next_ns ? at_ns : t->pace.next_ns;
}

bool control_told_is_shown(const struct control_told *t, const char *version, uint64_t now_ns)
{
	return now_ns >= shown_ns(t, version);
}

/* ---- one VirtualIP ---- */

static const char *text_at(const json_t *o, const char *outer, const char *key)
{
	const char *s = json_string_value(json_object_get(json_object_get(o, outer), key));

	return s ? s : "";
}

static void on_written(void *user, const struct kube_response *response)
{
	struct control_vip *v = user;
	struct control *c = v->told.c;
	uint64_t now_ns = mono_now_ns();

	v->told.call = NULL;
	c->report->n_under_way--;
	if (response->status / 100 == 2) {
		if (v->told.telling_multiple_ns != v->told.multiple_ns)
			control_event_multiple(c, v,
					       text_at(response->body, "status", "activeNode"));
		v->told.claimed_ns = v->told.claiming_ns;
		v->told.multiple_ns = v->told.telling_multiple_ns;
	} else if (!is_overtaken(response->status) && v->told.pace.n_failures == 0) {
		log_warning("Status was not written", KV_STR("virtualIP", v->name),
			    KV_UINT("code", (uint64_t)response->status),
			    KV_STR("err", response->message));
	}
	control_report_at(c, control_told_result(&v->told, response->status, now_ns));
}

static void send_patch(struct control *c, struct control_vip *v, const char *version, json_t *patch,
		       uint64_t now_ns)
{
	char path[sizeof(PATH) + API_NAME_MAX];
	json_auto_t *body = json_pack("{s:{s:s}, s:O}", "metadata", "resourceVersion", version,
				      "status", patch);
	const struct kube_request request = {
		.method = KUBE_MERGE_PATCH, .path = path, .body = body};

	snprintf(path, sizeof(path), PATH, v->name);
	v->told.c = c;
	v->told.pace.sent_ns = now_ns;
	v->told.pace.next_ns = now_ns + NS_PER_S;
	snprintf(v->told.based_on, sizeof(v->told.based_on), "%s", version);
	if (body && kube_request(c->report->kube, &request, on_written, v, &v->told.call) == 0)
		c->report->n_under_way++;
}

static enum api_write decide(struct control *c, const struct control_vip *v,
			     const struct plan_vip *pv, const char *named, uint64_t now_ns)
{
	AUTO(free_p)
	struct api_participant *members = calloc(pv->n_members + 1, sizeof(*members));
	struct api_writing w = {
		.self = c->conf->node_name,
		.named = named,
		.is_active = v->state == VRRP_ACTIVE,
		.has_claimed = v->told.claimed_ns == v->since_ns,
		.is_settled = v->state != VRRP_ACTIVE && v->state != VRRP_RELEASING &&
			      now_ns - v->since_ns >= SETTLED_NS,
		.members = members,
		.n_members = pv->n_members,
		.nodes = c->report->nodes,
		.n_nodes = c->report->n_nodes,
	};

	if (!members)
		return API_WRITE_NOTHING;
	for (size_t i = 0; i < pv->n_members; i++)
		members[i] = (struct api_participant){pv->members[i].name, pv->members[i].ready};
	return api_write_decide(&w);
}

/* Whoever is named writes next, and would wipe out what the other one has said. */
static void keep_multiple(struct control_vip *v, const json_t *before,
			  struct api_condition *degraded, uint64_t now_ns)
{
	struct api_condition said;

	if (!api_condition_get(before, API_DEGRADED, &said) ||
	    strcmp(said.reason, API_MULTIPLE_ACTIVE) != 0) {
		v->told.heard_ns = 0;
		return;
	}
	if (v->told.heard_ns == 0)
		v->told.heard_ns = now_ns;
	if (now_ns - v->told.heard_ns < MULTIPLE_NS)
		*degraded = said;
}

static json_t *whole_status(struct control *c, struct control_vip *v, const struct plan_vip *pv,
			    const struct api_vip *present, json_t *before, bool own,
			    uint64_t now_ns)
{
	char now_text[MONO_TEXT_MAX];
	struct control_conditions all;
	bool run = pv->refused == PLAN_OK;

	control_conditions_get(c, v, pv, now_ns, &all);
	if (!run) /* who waits for it to be ready shall read that it is not */
		all.items[API_READY] =
			(struct api_condition){true, false, "NotAccepted", "it is not run"};
	else if (!own && all.items[API_READY].is_set)
		all.items[API_READY] =
			(struct api_condition){true, false, "NoActiveNode", "no node is active"};
	if (pv->n_members == 0)
		all.items[API_ACCEPTED] = (struct api_condition){
			true, false, "NoNodeSelected", "spec.nodeSelector matches no node"};
	struct api_vip_report r = {
		.vip = pv->vip,
		.generation = present->generation,
		.active_node = own ? c->conf->node_name : "",
		.transition_time = own ? control_since_text(v) : NULL,
		.interface = own ? pv->ifname : "",
		.vrid = run ? pv->vrid : 0,
		.n_servers_healthy = all.n_healthy,
		.n_servers = all.n_servers,
	};

	memcpy(r.conditions, all.items, sizeof(r.conditions));
	if (own)
		keep_multiple(v, before, &r.conditions[API_DEGRADED], now_ns);
	return api_vip_status(&r, before, mono_wall_text(now_ns, now_text, sizeof(now_text)));
}

static json_t *wanted(struct control *c, struct control_vip *v, const struct plan_vip *pv,
		      const struct api_vip *present, json_t *before, uint64_t now_ns)
{
	const char *named = json_string_value(json_object_get(before, "activeNode"));
	char now_text[MONO_TEXT_MAX], message[2 * API_NAME_MAX + 64];

	v->told.claiming_ns = v->told.claimed_ns;
	v->told.telling_multiple_ns = v->told.multiple_ns;
	switch (decide(c, v, pv, named ? named : "", now_ns)) {
	case API_WRITE_NOTHING:
		return NULL;
	case API_WRITE_OWN:
		v->told.claiming_ns = v->since_ns;
		return whole_status(c, v, pv, present, before, true, now_ns);
	case API_WRITE_NOBODY:
		return whole_status(c, v, pv, present, before, false, now_ns);
	case API_WRITE_MULTIPLE:
		if (v->told.multiple_ns == v->since_ns)
			return NULL;
		v->told.telling_multiple_ns = v->since_ns;
		snprintf(message, sizeof(message), "%s is active, and so is %s", c->conf->node_name,
			 named ? named : "");
		return api_vip_status_multiple(before, present->generation, message,
					       mono_wall_text(now_ns, now_text, sizeof(now_text)));
	}
	return NULL;
}

/* When to look at it again; 0: when something changes. */
static uint64_t report_vip(struct control *c, struct control_vip *v, const struct plan_vip *pv,
			   uint64_t now_ns)
{
	const struct control_object *o = control_object_find(c, "VirtualIP", v->name);

	if (!o || o->stale || v->told.call)
		return 0;
	const char *version = text_at(o->raw, "metadata", "resourceVersion");
	uint64_t due_ns = control_told_due_ns(&v->told, version);

	if (now_ns < due_ns)
		return due_ns;
	if (c->report->n_under_way >= UNDER_WAY_MAX)
		return now_ns + SETTLE_NS;
	json_t *before = json_object_get(o->raw, "status");
	json_auto_t *after = wanted(c, v, pv, o->vip, before, now_ns);
	json_auto_t *patch = after ? api_merge_patch(before, after) : NULL;

	if (patch)
		send_patch(c, v, version, patch, now_ns);
	return 0;
}

/* ---- all of them ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct api_participant *)a)->name,
		      ((const struct api_participant *)b)->name);
}

static void gather_nodes(struct control *c)
{
	struct control_report *r = c->report;
	struct control_object *o, *next;

	free(r->nodes);
	r->n_nodes = 0;
	r->nodes = calloc(HASH_COUNT(c->objects) + 1, sizeof(*r->nodes));
	HASH_ITER(hh, c->objects, o, next)
	{
		if (r->nodes && o->node && !o->stale)
			r->nodes[r->n_nodes++] =
				(struct api_participant){o->node->name, o->node->ready};
	}
	if (r->nodes)
		qsort(r->nodes, r->n_nodes, sizeof(*r->nodes), by_name);
}

static int on_time(void *user, uint64_t now_ns)
{
	struct control *c = user;
	uint64_t next_ns = now_ns + LOOK_NS;

	c->report->due_ns = 0;
	if (c->stopping)
		return 0;
	/* that the kernel refuses is to be read there, too */
	if (!c->has_want || now_ns - c->started_ns < START_NS || !control_source_current(c)) {
		control_report_at(c, now_ns + NS_PER_S);
		return 0;
	}
	gather_nodes(c);
	/* a node that is not there says nothing */
	if (control_object_find(c, "Node", c->conf->node_name)) {
		for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
			struct control_vip *v = control_vip_by_name(c, c->plan->vips[i].vip->name);
			uint64_t at_ns = v ? report_vip(c, v, &c->plan->vips[i], now_ns) : 0;

			if (at_ns != 0 && at_ns < next_ns)
				next_ns = at_ns;
		}
		uint64_t at_ns = control_report_node(c, c->report->kube, now_ns);

		if (at_ns != 0 && at_ns < next_ns)
			next_ns = at_ns;
	}
	free(c->report->nodes);
	c->report->nodes = NULL;
	control_report_at(c, next_ns);
	return 0;
}

/* Another node's agent would put its own name there: then this one must not be in the way. */
static bool is_last(const struct control *c, const struct plan_vip *pv)
{
	return c->uninstalled || c->unscheduled || !pv->others_ready;
}

static void leave(struct control *c, struct control_vip *v, const struct plan_vip *pv,
		  uint64_t now_ns)
{
	const struct control_object *o = control_object_find(c, "VirtualIP", v->name);
	json_t *before = o ? json_object_get(o->raw, "status") : NULL;
	const char *named = json_string_value(json_object_get(before, "activeNode"));

	v->told.is_left = true;
	if (!named || strcmp(named, c->conf->node_name) != 0 || o->stale || !is_last(c, pv))
		return;
	/* election is over, whether its last record has been seen or not */
	v->state = VRRP_INIT;
	v->active = (struct addr){0};
	json_auto_t *after = whole_status(c, v, pv, o->vip, before, false, now_ns);
	json_auto_t *patch = after ? api_merge_patch(before, after) : NULL;

	if (patch)
		send_patch(c, v, text_at(o->raw, "metadata", "resourceVersion"), patch, now_ns);
}

/* Whom the object names is known. */
static bool is_shown(const struct control *c, const struct control_vip *v, uint64_t now_ns)
{
	const struct control_object *o = control_object_find(c, "VirtualIP", v->name);

	return !o || control_told_is_shown(&v->told, text_at(o->raw, "metadata", "resourceVersion"),
					   now_ns);
}

bool control_report_leave(struct control *c, uint64_t now_ns)
{
	bool all = true;

	if (!c->report || !control_source_current(c))
		return true;
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_vip *v = control_vip_by_name(c, pv->vip->name);

		if (!v || v->told.is_left)
			continue;
		/* what is under way, or not shown yet, would make the next one fail */
		if (v->told.call || c->report->n_under_way >= UNDER_WAY_MAX ||
		    !is_shown(c, v, now_ns))
			all = false;
		else
			leave(c, v, pv, now_ns);
	}
	return all && c->report->n_under_way == 0;
}

int control_report_start(struct control *c, struct kube *kube, struct verr *reterr)
{
	struct control_report *r = calloc(1, sizeof(*r));

	if (!r)
		return verr_set(reterr, ENOMEM, "reports");
	c->report = r;
	r->kube = kube;
	int e = loop_add_timer(c->loop, LOOP_PRIO_OUTWARD, on_time, c, &r->timer);

	if (e < 0)
		return verr_set(reterr, -e, "event loop: %s", strerror(-e));
	control_report_changed(c);
	return control_events_start(c, kube, reterr);
}

void control_report_forget(struct control_vip *v)
{
	if (!v->told.call)
		return;
	kube_call_cancel(v->told.call);
	v->told.call = NULL;
	if (v->told.c->report)
		v->told.c->report->n_under_way--;
}

void control_report_done(struct control *c)
{
	struct control_vip *v, *next;

	if (!c->report)
		return;
	HASH_ITER(hh_name, c->by_name, v, next)
	control_report_forget(v);
	control_report_node_done(c);
	control_events_done(c);
	loop_source_free(c->report->timer);
	free(c->report->nodes);
	free(c->report);
	c->report = NULL;
}
