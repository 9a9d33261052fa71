/* Status of VirtualIPs and of nodes, as the API server is told it; and by whom. */
#include <string.h>

#include "api/api.h"

#define MESSAGE_MAX 256 /* bytes, in the state of a node */

const char *api_condition_name(enum api_condition_type t)
{
	switch (t) {
	case API_ACCEPTED:
		return "Accepted";
	case API_READY:
		return "Ready";
	case API_DEGRADED:
		return "Degraded";
	case API_CONFLICTED:
		return "Conflicted";
	case API_CONDITION_N:
		break;
	}
	return "";
}

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(o, key, json_string(text));
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* ---- conditions ---- */

static const json_t *condition_find(const json_t *list, const char *type)
{
	size_t i;
	const json_t *c;

	json_array_foreach(list, i, c)
	{
		const char *t = json_string_value(json_object_get(c, "type"));

		if (t && strcmp(t, type) == 0)
			return c;
	}
	return NULL;
}

bool api_condition_get(const json_t *status, enum api_condition_type t, struct api_condition *ret)
{
	const json_t *c =
		condition_find(json_object_get(status, "conditions"), api_condition_name(t));
	const char *value = json_string_value(json_object_get(c, "status"));
	const char *reason = json_string_value(json_object_get(c, "reason"));

	if (!value || !reason)
		return false;
	*ret = (struct api_condition){
		.is_set = true,
		.status = strcmp(value, "True") == 0,
		.reason = reason,
		.message = json_string_value(json_object_get(c, "message")),
	};
	return true;
}

static json_t *condition(const char *type, const struct api_condition *c, int64_t generation,
			 const json_t *before, const char *now_text)
{
	const char *status = c->status ? "True" : "False";
	const json_t *old = condition_find(before, type);
	const char *was = json_string_value(json_object_get(old, "status"));
	const char *since = json_string_value(json_object_get(old, "lastTransitionTime"));
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string(type));
	json_object_set_new(o, "status", json_string(status));
	if (generation > 0)
		json_object_set_new(o, "observedGeneration", json_integer(generation));
	json_object_set_new(
		o, "lastTransitionTime",
		json_string(was && since && strcmp(was, status) == 0 ? since : now_text));
	json_object_set_new(o, "reason", json_string(c->reason));
	json_object_set_new(o, "message", json_string(c->message ? c->message : ""));
	return o;
}

static bool is_ours(const char *type)
{
	for (unsigned int t = 0; t < API_CONDITION_N; t++) {
		if (strcmp(type, api_condition_name((enum api_condition_type)t)) == 0)
			return true;
	}
	return false;
}

static json_t *conditions(const struct api_vip_report *r, const json_t *before,
			  const char *now_text)
{
	json_t *list = json_array();
	size_t i;
	json_t *other;

	for (unsigned int t = 0; t < API_CONDITION_N; t++) {
		if (r->conditions[t].is_set)
			json_array_append_new(
				list,
				condition(api_condition_name((enum api_condition_type)t),
					  &r->conditions[t], r->generation, before, now_text));
	}
	json_array_foreach(before, i, other)
	{
		const char *type = json_string_value(json_object_get(other, "type"));

		if (type && !is_ours(type))
			json_array_append(list, other);
	}
	return list;
}

/* ---- VirtualIP.status ---- */

static json_t *summary(const struct api_vip_report *r)
{
	char addresses[API_ADDRESSES_MAX * (ADDR_TEXT_MAX + 1)] = "";
	char ports[API_PORTS_MAX * 16] = "";
	char servers[64], text[ADDR_TEXT_MAX];
	size_t len = 0;
	json_t *o = json_object();

	for (size_t i = 0; i < r->vip->n_addresses; i++)
		len += (size_t)snprintf(addresses + len, sizeof(addresses) - len, "%s%s",
					i ? "," : "", addr_text(&r->vip->addresses[i], text));
	len = 0;
	for (size_t i = 0; i < r->vip->n_ports; i++)
		len += (size_t)snprintf(ports + len, sizeof(ports) - len, "%s%u/%s", i ? "," : "",
					r->vip->ports[i].port,
					api_protocol_name(r->vip->ports[i].protocol));
	snprintf(servers, sizeof(servers), "%zu/%zu", r->n_servers_healthy, r->n_servers);
	set_text(o, "addresses", addresses);
	set_text(o, "ports", ports);
	set_text(o, "realServers", servers);
	return o;
}

json_t *api_vip_status(const struct api_vip_report *r, const json_t *before, const char *now_text)
{
	const char *since = r->transition_time;
	json_t *o = json_object();

	if (!o)
		return NULL;
	if (!since)
		since = json_string_value(json_object_get(before, "lastTransitionTime"));
	if (r->generation > 0)
		json_object_set_new(o, "observedGeneration", json_integer(r->generation));
	set_text(o, "activeNode", r->active_node);
	set_text(o, "lastTransitionTime", since);
	set_text(o, "interface", r->interface);
	if (r->vrid)
		set_count(o, "virtualRouterID", r->vrid);
	set_count(o, "realServersHealthy", r->n_servers_healthy);
	set_count(o, "realServersTotal", r->n_servers);
	json_object_set_new(o, "summary", summary(r));
	json_object_set_new(o, "conditions",
			    conditions(r, json_object_get(before, "conditions"), now_text));
	return o;
}

json_t *api_vip_status_multiple(json_t *before, int64_t generation, const char *message,
				const char *now_text)
{
	const struct api_condition multiple = {
		.is_set = true, .status = true, .reason = API_MULTIPLE_ACTIVE, .message = message};
	const char *degraded = api_condition_name(API_DEGRADED);
	const json_t *old = json_object_get(before, "conditions");
	json_t *o = before ? json_copy(before) : json_object(), *list = json_array();
	size_t i;
	json_t *each;

	if (!o || !list) {
		json_decref(o);
		json_decref(list);
		return NULL;
	}
	json_array_foreach(old, i, each)
	{
		const char *type = json_string_value(json_object_get(each, "type"));

		if (!type || strcmp(type, degraded) != 0)
			json_array_append(list, each);
	}
	json_array_append_new(list, condition(degraded, &multiple, generation, old, now_text));
	json_object_set_new(o, "conditions", list);
	return o;
}

/* ---- who writes ---- */

static const struct api_participant *find(const struct api_participant *list, size_t n,
					  const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	}
	return NULL;
}

static bool is_first_ready(const struct api_participant *list, size_t n, const char *self)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].ready)
			return strcmp(list[i].name, self) == 0;
	}
	return false;
}

enum api_write api_write_decide(const struct api_writing *w)
{
	const struct api_participant *named = find(w->members, w->n_members, w->named);
	const struct api_participant *self = find(w->members, w->n_members, w->self);

	if (w->is_active) {
		if (strcmp(w->named, w->self) == 0 || !w->has_claimed)
			return API_WRITE_OWN;
		if (named && named->ready)
			return API_WRITE_MULTIPLE;
		/* others clear the name of a node that is not Ready: to put it back would never end */
		return self && self->ready ? API_WRITE_OWN : API_WRITE_NOTHING;
	}
	/* its own name is out of date, and nobody else has put theirs there */
	if (strcmp(w->named, w->self) == 0 && w->is_settled)
		return API_WRITE_NOBODY;
	if (named && named->ready)
		return API_WRITE_NOTHING;
	if (w->n_members ? is_first_ready(w->members, w->n_members, w->self)
			 : is_first_ready(w->nodes, w->n_nodes, w->self))
		return API_WRITE_NOBODY;
	return API_WRITE_NOTHING;
}

/* ---- VirtualIPNodeState.status ---- */

static void set_message(json_t *o, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	len = utf8_cut((const uint8_t *)text, len, MESSAGE_MAX);
	if (len > 0)
		json_object_set_new(o, "message", json_stringn(text, len));
}

static json_t *unhealthy(const struct api_unhealthy *u)
{
	char text[ADDR_TEXT_MAX];
	json_t *o = json_object();

	set_text(o, "address", addr_text(u->address, text));
	set_count(o, "port", u->port);
	set_text(o, "protocol", api_protocol_name(u->protocol));
	set_text(o, "reason", u->reason);
	set_message(o, u->message);
	return o;
}

static json_t *node_vip(const struct api_node_vip *v, size_t *left)
{
	json_t *o = json_object(), *list = json_array();
	size_t n_listed = v->n_unhealthy < *left ? v->n_unhealthy : *left;

	set_text(o, "name", v->name);
	if (v->generation > 0)
		json_object_set_new(o, "observedGeneration", json_integer(v->generation));
	set_text(o, "role", v->role);
	set_text(o, "reason", v->reason);
	set_message(o, v->message);
	if (v->priority)
		set_count(o, "priority", v->priority);
	set_text(o, "interface", v->interface);
	set_text(o, "lastTransitionTime", v->transition_time);
	set_text(o, "lastTransitionReason", v->transition_reason);
	set_count(o, "realServersHealthy", v->n_servers_healthy);
	set_count(o, "realServersTotal", v->n_servers);
	*left -= n_listed;
	for (size_t i = 0; i < n_listed; i++)
		json_array_append_new(list, unhealthy(&v->unhealthy[i]));
	if (json_array_size(list) > 0)
		json_object_set(o, "unhealthyRealServers", list);
	json_decref(list);
	return o;
}

json_t *api_node_state(const char *agent_version, const struct api_node_vip *vips, size_t n)
{
	json_t *o = json_object(), *list = json_array();
	size_t active = 0, bad = 0, left = API_UNHEALTHY_MAX;

	if (!o || !list) {
		json_decref(o);
		json_decref(list);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		active += vips[i].is_active;
		bad += vips[i].n_unhealthy_all;
		json_array_append_new(list, node_vip(&vips[i], &left));
	}
	set_text(o, "agentVersion", agent_version);
	set_count(o, "virtualIPsActive", active);
	set_count(o, "virtualIPsTotal", n);
	set_count(o, "realServersUnhealthy", bad);
	json_object_set_new(o, "virtualIPs", list);
	return o;
}

/* ---- RFC 7396 ---- */

json_t *api_merge_patch(json_t *from, json_t *to)
{
	json_t *patch = json_object(), *value;
	const char *key;

	json_object_foreach(to, key, value)
	{
		json_t *old = json_object_get(from, key), *inner = NULL;

		if (old && json_equal(old, value))
			continue;
		if (json_is_object(old) && json_is_object(value))
			inner = api_merge_patch(old, value);
		if (inner)
			json_object_set_new(patch, key, inner);
		else
			json_object_set(patch, key, value);
	}
	json_object_foreach(from, key, value)
	{
		if (!json_object_get(to, key))
			json_object_set_new(patch, key, json_null());
	}
	if (json_object_size(patch) > 0)
		return patch;
	json_decref(patch);
	return NULL;
}
