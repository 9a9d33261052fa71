/* VirtualIPNodeState: what this node says of itself. The object belongs to the Node and goes with it. */
#include <string.h>

#include "agent/control.h"

#define COLLECTION "/apis/vipd.io/v1alpha1/virtualipnodestates"
#define STRANGE_LOOKS \
	5 /* within half a minute the object of an earlier Node of this name is collected */
#define THERE_NS (30 * NS_PER_S) /* to see that it is there still */

enum stage { STAGE_UNKNOWN, STAGE_THERE };

struct control_node_report {
	struct control *c;
	struct kube_call *call;
	enum stage stage;
	char uid[64]; /* of the Node that it is about */
	bool is_strange; /* it is somebody else's, and that was said */
	uint64_t seen_ns; /* when the server last had it */
	json_t *known; /* status as the server has it */
	json_t *sending; /* status that is under way */
	struct control_pace pace;
};

static struct control_node_report *node_report(struct control *c)
{
	if (!c->node_report) {
		c->node_report = calloc(1, sizeof(*c->node_report));
		if (c->node_report)
			c->node_report->c = c;
	}
	return c->node_report;
}

static void forget(struct control_node_report *r)
{
	kube_call_cancel(r->call);
	r->call = NULL;
	json_decref(r->known);
	json_decref(r->sending);
	r->known = r->sending = NULL;
	r->stage = STAGE_UNKNOWN;
	r->is_strange = false;
}

static void failed(struct control_node_report *r, const struct kube_response *response)
{
	if (r->pace.n_failures == 0)
		log_warning("State of this node was not written",
			    KV_UINT("code", (uint64_t)response->status),
			    KV_STR("err", response->message));
	control_report_at(r->c, control_pace_result(&r->pace, response->status, mono_now_ns()));
}

static int request(struct control_node_report *r, struct kube *kube, enum kube_method method,
		   const char *path, const json_t *body, kube_done_fn done)
{
	const struct kube_request request = {.method = method, .path = path, .body = body};

	r->pace.sent_ns = mono_now_ns();
	return kube_request(kube, &request, done, r, &r->call);
}

/* ---- is it there, and ours? ---- */

/* It is left alone: whoever deletes it gets one of ours. */
static void not_ours(struct control_node_report *r, const char *owner, uint64_t now_ns)
{
	r->stage = STAGE_UNKNOWN;
	if (!r->is_strange && r->pace.n_failures >= STRANGE_LOOKS - 1) {
		r->is_strange = true;
		log_warning("State of this node is not written: the object belongs to no such Node",
			    KV_STR("virtualIPNodeState", r->c->conf->node_name),
			    KV_STR("owner", owner ? owner : ""), KV_STR("node", r->uid),
			    KV_STR("hint", "delete it: kubectl delete virtualipnodestate"));
	}
	control_report_at(r->c, control_pace_result(&r->pace, 0, now_ns));
}

static void is_there(struct control_node_report *r, const json_t *object)
{
	const json_t *owners =
		json_object_get(json_object_get(object, "metadata"), "ownerReferences");
	const char *uid = json_string_value(json_object_get(json_array_get(owners, 0), "uid"));
	uint64_t now_ns = mono_now_ns();

	if (!uid || strcmp(uid, r->uid) != 0) {
		not_ours(r, uid, now_ns);
		return;
	}
	r->stage = STAGE_THERE;
	r->is_strange = false;
	r->seen_ns = now_ns;
	json_decref(r->known);
	r->known = json_deep_copy(json_object_get(object, "status"));
	r->pace = (struct control_pace){0};
	control_report_at(r->c, now_ns);
}

static void on_created(void *user, const struct kube_response *response)
{
	struct control_node_report *r = user;

	r->call = NULL;
	if (response->status / 100 == 2)
		is_there(r, response->body);
	else
		failed(r, response);
}

static void create(struct control_node_report *r)
{
	const char *name = r->c->conf->node_name;
	json_auto_t *body = json_pack("{s:s, s:s, s:{s:s, s:[{s:s, s:s, s:s, s:s}]}}", "apiVersion",
				      API_GROUP_VERSION, "kind", "VirtualIPNodeState", "metadata",
				      "name", name, "ownerReferences", "apiVersion", "v1", "kind",
				      "Node", "name", name, "uid", r->uid);

	if (body)
		(void)request(r, control_source_kube(r->c), KUBE_POST, COLLECTION, body,
			      on_created);
}

static void on_got(void *user, const struct kube_response *response)
{
	struct control_node_report *r = user;

	r->call = NULL;
	if (response->status / 100 == 2) {
		is_there(r, response->body);
	} else if (response->status == 404 && strcmp(response->reason, "NotFound") == 0) {
		/* without the definition, the path itself is missing, and that has another reason */
		forget(r);
		create(r);
	} else {
		failed(r, response);
	}
}

static void look(struct control_node_report *r)
{
	char path[sizeof(COLLECTION) + API_NAME_MAX];

	snprintf(path, sizeof(path), COLLECTION "/%s", r->c->conf->node_name);
	(void)request(r, control_source_kube(r->c), KUBE_GET, path, NULL, on_got);
}

/* ---- its status ---- */

static void on_written(void *user, const struct kube_response *response)
{
	struct control_node_report *r = user;

	r->call = NULL;
	if (response->status / 100 == 2) {
		json_decref(r->known);
		r->known = STEAL(r->sending);
		r->seen_ns = mono_now_ns();
		control_report_at(r->c, control_pace_result(&r->pace, response->status, 0));
		return;
	}
	json_decref(r->sending);
	r->sending = NULL;
	if (response->status == 404) {
		forget(r);
		control_report_changed(r->c);
		return;
	}
	failed(r, response);
}

static void list_unhealthy(const struct control *c, const struct plan_vip *pv,
			   struct api_node_vip *n)
{
	for (size_t p = 0; p < pv->vip->n_ports; p++) {
		const struct api_port *port = &pv->vip->ports[p];

		for (size_t s = 0; s < pv->n_servers; s++) {
			const struct plan_server *server = &pv->servers[s];
			const struct control_target *t =
				control_health_find(c, &server->address, &port->check);

			bool is_decided = t && t->health.verdict == HEALTH_UNHEALTHY &&
					  t->decided.end != PROBE_OK;

			if (t && t->health.verdict == HEALTH_HEALTHY)
				continue;
			if (n->n_unhealthy >= API_UNHEALTHY_PER_VIP)
				continue;
			/* not of each check: how a dead node does not answer changes all the time */
			n->unhealthy[n->n_unhealthy++] = (struct api_unhealthy){
				.address = &server->address,
				.port = port->port,
				.protocol = port->protocol,
				.reason = is_decided ? probe_end_name(t->decided.end) : NULL,
				.message = is_decided ? t->decided.detail : NULL,
			};
		}
	}
}

static void describe(struct control *c, struct control_vip *v, const struct plan_vip *pv,
		     struct api_node_vip *n)
{
	bool run = control_is_run(pv);
	struct control_conditions all;

	*n = (struct api_node_vip){
		.name = v->name,
		.generation = pv->vip->generation,
		.role = control_role_name(v, pv),
		.is_active = run && v->state == VRRP_ACTIVE,
	};
	n->message = pv->message;
	if (pv->refused != PLAN_OK) {
		n->reason = plan_reason_name(pv->refused);
	} else if (pv->rejected != PLAN_OK) {
		n->reason = plan_reason_name(pv->rejected);
		n->message = pv->rejection;
	} else if (pv->fault != PLAN_OK) {
		n->reason = plan_reason_name(pv->fault);
	} else if (c->kernel_refuses) {
		n->reason = CONTROL_KERNEL_REFUSES;
		n->message = c->last_apply_error;
	} else if (pv->degraded != PLAN_OK) {
		n->reason = plan_reason_name(pv->degraded);
	}
	if (!run)
		return;
	control_conditions_get(c, v, pv, mono_now_ns(), &all);
	n->interface = pv->ifname;
	n->n_servers = all.n_servers;
	n->n_servers_healthy = all.n_healthy;
	n->n_unhealthy_all = all.n_servers - all.n_healthy; /* once, whatever the number of ports */
	list_unhealthy(c, pv, n);
	if (!pv->routes)
		return;
	n->priority = pv->priority;
	n->transition_time = control_since_text(v);
	n->transition_reason = vrrp_why_name(v->why);
}

static json_t *state_now(struct control *c)
{
	AUTO(free_p)
	struct api_node_vip *list = calloc((c->plan ? c->plan->n_vips : 0) + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; list && c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_vip *v = control_vip_by_name(c, pv->vip->name);

		if (v && pv->refused != PLAN_NOT_SELECTED)
			describe(c, v, pv, &list[n++]);
	}
	return list ? api_node_state(c->conf->version, list, n) : NULL;
}

uint64_t control_report_node(struct control *c, struct kube *kube, uint64_t now_ns)
{
	const struct control_object *o = control_object_find(c, "Node", c->conf->node_name);
	struct control_node_report *r = node_report(c);
	char path[sizeof(COLLECTION) + API_NAME_MAX + 16];

	if (!r || !o || r->call)
		return 0;
	if (strcmp(r->uid, o->node->uid) != 0) {
		forget(r);
		r->pace = (struct control_pace){0};
		snprintf(r->uid, sizeof(r->uid), "%s", o->node->uid);
	}
	if (now_ns < r->pace.next_ns)
		return r->pace.next_ns;
	if (r->stage == STAGE_UNKNOWN) {
		look(r);
		return 0;
	}
	json_t *state = state_now(c);
	json_auto_t *patch = state ? api_merge_patch(r->known, state) : NULL;
	json_auto_t *body = patch ? json_pack("{s:O}", "status", patch) : NULL;

	if (!body) {
		json_decref(state);
		if (now_ns < r->seen_ns + THERE_NS)
			return r->seen_ns + THERE_NS;
		look(r);
		return 0;
	}
	snprintf(path, sizeof(path), COLLECTION "/%s/status", c->conf->node_name);
	r->sending = state;
	r->pace.next_ns = now_ns + NS_PER_S;
	if (request(r, kube, KUBE_MERGE_PATCH, path, body, on_written) < 0) {
		json_decref(r->sending);
		r->sending = NULL;
	}
	return 0;
}

void control_report_node_done(struct control *c)
{
	if (!c->node_report)
		return;
	forget(c->node_report);
	free(c->node_report);
	c->node_report = NULL;
}
