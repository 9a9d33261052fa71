/* Events about VirtualIPs, for those who ask `kubectl describe` what happened. With the Kubernetes API only. */
#include <stdarg.h>
#include <string.h>

#include "agent/control.h"

int control_events_start(struct control *c, struct kube *kube, struct verr *reterr)
{
	char instance[API_NAME_MAX + 8];

	snprintf(instance, sizeof(instance), "vipd-%s", c->conf->node_name);
	return kube_events_new(kube, "vipd.io/agent", instance, &c->events, reterr);
}

bool control_events_told(const struct control *c)
{
	return !c->events || kube_events_idle(c->events);
}

void control_events_done(struct control *c)
{
	kube_events_free(c->events);
	c->events = NULL;
}

/* What differs in reason, action or the other node is another Event; what differs in its note alone is told once more. */
static void tell_with(struct control *c, const char *name, bool is_warning, const char *reason,
		      const char *action, const char *other, const char *note)
{
	const struct control_object *o = control_object_find(c, "VirtualIP", name);
	const struct kube_event event = {
		.is_warning = is_warning,
		.reason = reason,
		.action = action,
		.note = note,
		.api_version = API_GROUP_VERSION,
		.kind = "VirtualIP",
		.name = name,
		.uid = o ? o->vip->uid : NULL,
		.related_api_version = "v1",
		.related_kind = "Node",
		.related_name = other,
	};

	/* what the state directory brought may not be there any more, and a node that is not there says nothing */
	if (c->events && o && !o->stale && control_object_find(c, "Node", c->conf->node_name))
		kube_event(c->events, &event);
}

static void tell(struct control *c, const char *name, bool is_warning, const char *reason,
		 const char *action, const char *note)
{
	tell_with(c, name, is_warning, reason, action, NULL, note);
}

void control_event_role(struct control *c, const struct control_vip *v, enum vrrp_state before,
			const char *active)
{
	const char *node = c->conf->node_name, *why = vrrp_why_name(v->why);
	char note[3 * API_NAME_MAX];

	switch (v->state) {
	case VRRP_ACTIVE:
		snprintf(note, sizeof(note), "%s became active (%s)", node, why);
		tell(c, v->name, false, "BecameActive", why, note);
		break;
	case VRRP_BACKUP:
		snprintf(note, sizeof(note), "%s became backup (%s)%s%s%s", node, why,
			 active && *active ? "; " : "", active ? active : "",
			 active && *active ? " is active" : "");
		tell_with(c, v->name, false, "BecameBackup", why, active, note);
		break;
	case VRRP_RELEASING:
		snprintf(note, sizeof(note), "%s is handing over (%s)", node, why);
		tell(c, v->name, false, "HandingOver", why, note);
		break;
	case VRRP_INIT:
		snprintf(note, sizeof(note), "%s takes no part (%s), it was %s", node, why,
			 vrrp_state_name(before));
		tell(c, v->name, v->why == VRRP_WHY_FAULT, "LeftElection", why, note);
		break;
	}
}

void control_event_reason(struct control *c, const struct control_vip *v, enum plan_reason reason,
			  const char *message)
{
	char note[2 * API_NAME_MAX];

	if (reason == PLAN_OK) {
		snprintf(note, sizeof(note), "%s runs it", c->conf->node_name);
		tell(c, v->name, false, "Accepted", "Run", note);
		return;
	}
	snprintf(note, sizeof(note), "%s: %s", c->conf->node_name, message);
	tell(c, v->name, true, plan_reason_name(reason), "Run", note);
}

void control_event_kernel(struct control *c)
{
	struct control_vip *v, *next;
	char note[2 * API_NAME_MAX];

	snprintf(note, sizeof(note), "%s: %s", c->conf->node_name, c->last_apply_error);
	HASH_ITER(hh_name, c->by_name, v, next)
	{
		const struct plan_vip *pv = control_plan_of(c, v);

		if (pv && control_is_run(pv))
			tell(c, v->name, true, CONTROL_KERNEL_REFUSES, "Program", note);
	}
}

void control_event_multiple(struct control *c, const struct control_vip *v, const char *other)
{
	char note[3 * API_NAME_MAX];

	snprintf(note, sizeof(note),
		 "%s and %s are both active: do their adverts reach each other?",
		 c->conf->node_name, other);
	tell_with(c, v->name, true, API_MULTIPLE_ACTIVE, "Transition", other, note);
}

void control_event_stranger(struct control *c, const struct control_vip *v, const char *address,
			    const char *what)
{
	char note[2 * API_NAME_MAX];

	snprintf(note, sizeof(note),
		 "%s sees a stranger at %s that uses the virtual router ID or the address (%s)",
		 c->conf->node_name, address, what);
	tell(c, v->name, true, "Conflicted", "Watch", note);
}
