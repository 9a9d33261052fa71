/* What can be said of a VirtualIP from here, in the four conditions of its status. */
#include <string.h>

#include "agent/control.h"

bool control_is_run(const struct plan_vip *pv)
{
	return pv->refused == PLAN_OK && (pv->routes || pv->serves);
}

const char *control_role_name(const struct control_vip *v, const struct plan_vip *pv)
{
	if (!control_is_run(pv))
		return "NotRun";
	return pv->routes ? vrrp_state_name(v->state) : "RealServer";
}

const char *control_since_text(struct control_vip *v)
{
	/* once for each change: from one moment to the next the clocks may disagree by a second */
	if (v->since_text_ns != v->since_ns) {
		v->since_text_ns = v->since_ns;
		mono_wall_text(v->since_ns, v->since_text, sizeof(v->since_text));
	}
	return v->since_text;
}

static bool is_healthy(const struct control *c, const struct plan_server *s,
		       const struct api_port *port)
{
	return control_verdict(c, &s->address, &port->check) == HEALTH_HEALTHY;
}

static size_t count_healthy(const struct control *c, const struct plan_vip *pv)
{
	size_t n = 0;

	for (size_t s = 0; s < pv->n_servers; s++) {
		bool all = true;

		for (size_t p = 0; p < pv->vip->n_ports; p++)
			all &= is_healthy(c, &pv->servers[s], &pv->vip->ports[p]);
		n += all;
	}
	return n;
}

/* Counts over ports and real servers; text of the first trouble. */
static void health_counts(const struct control *c, const struct plan_vip *pv,
			  size_t *ret_dead_ports, size_t *ret_unhealthy, char *text, size_t size)
{
	*ret_dead_ports = *ret_unhealthy = 0;
	for (size_t p = 0; p < pv->vip->n_ports; p++) {
		const struct api_port *port = &pv->vip->ports[p];
		size_t healthy = 0;

		for (size_t s = 0; s < pv->n_servers; s++)
			healthy += is_healthy(c, &pv->servers[s], port);
		*ret_unhealthy += pv->n_servers - healthy;
		*ret_dead_ports += healthy == 0;
		if (healthy < pv->n_servers && !*text)
			snprintf(text, size, "%zu of %zu real servers of %u/%s %s unhealthy",
				 pv->n_servers - healthy, pv->n_servers, port->port,
				 api_protocol_name(port->protocol),
				 pv->n_servers - healthy == 1 ? "is" : "are");
	}
}

static void set(struct control_conditions *all, enum api_condition_type type, bool status,
		const char *reason, const char *message)
{
	all->items[type] = (struct api_condition){
		.is_set = true, .status = status, .reason = reason, .message = message};
}

void control_conditions_get(const struct control *c, const struct control_vip *v,
			    const struct plan_vip *pv, uint64_t now_ns,
			    struct control_conditions *ret)
{
	bool active = addr_is_set(&v->active) || v->state == VRRP_ACTIVE;
	size_t dead = 0, unhealthy = 0;

	*ret = (struct control_conditions){.n_servers = pv->n_servers};
	if (pv->refused != PLAN_OK) {
		set(ret, API_ACCEPTED, false, plan_reason_name(pv->refused), pv->message);
		return;
	}
	if (pv->rejected != PLAN_OK) /* the version before runs on */
		set(ret, API_ACCEPTED, false, plan_reason_name(pv->rejected), pv->rejection);
	else
		set(ret, API_ACCEPTED, true, "Accepted", "the object is in force as it is");
	ret->n_healthy = count_healthy(c, pv);
	health_counts(c, pv, &dead, &unhealthy, ret->health, sizeof(ret->health));
	if (!active && pv->fault != PLAN_OK)
		set(ret, API_READY, false, plan_reason_name(pv->fault), pv->message);
	else if (!active)
		set(ret, API_READY, false, "NoActiveNode", "no node is known to be active");
	else
		set(ret, API_READY, dead == 0, dead ? "NoHealthyRealServer" : "Serving",
		    dead ? ret->health
			 : "a node is active, and every port has a healthy real server");
	if (c->kernel_refuses)
		set(ret, API_DEGRADED, true, CONTROL_KERNEL_REFUSES, c->last_apply_error);
	else if (pv->degraded != PLAN_OK)
		set(ret, API_DEGRADED, true, plan_reason_name(pv->degraded), pv->degradation);
	else
		set(ret, API_DEGRADED, unhealthy > 0,
		    unhealthy ? "RealServerUnhealthy" : "AllHealthy",
		    unhealthy ? ret->health : "every real server is healthy");
	bool strange = control_strangers_text(v, now_ns, ret->strangers, sizeof(ret->strangers));

	set(ret, API_CONFLICTED, strange, strange ? "Stranger" : "NoConflict",
	    strange ? ret->strangers : "nobody else uses the address or the virtual router ID");
}
