/* The clients of real servers that have died with their nodes. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "agent/control.h"
#include "ct/ct.h"

static const struct api_port *port_of(const struct api_vip *vip, uint8_t protocol, uint16_t port)
{
	for (size_t p = 0; p < vip->n_ports; p++) {
		if (vip->ports[p].port == port && (uint8_t)vip->ports[p].protocol == protocol)
			return &vip->ports[p];
	}
	return NULL;
}

static bool is_gone(const struct control *c, const struct api_port *port, const struct addr *server)
{
	const struct control_target *t = control_health_find(c, server, &port->check);

	return t && t->health.gone;
}

/* ---- clients outside: in IPVS ---- */

static bool is_dead(const void *user, const struct ipvs_conn *conn)
{
	const struct control *c = user;
	const struct control_vip *v = control_vip_at(c, &conn->vip);
	const struct plan_vip *pv = v && v->switch_active ? control_plan_of(c, v) : NULL;
	const struct api_port *port = pv ? port_of(pv->vip, conn->protocol, conn->vip_port) : NULL;

	return port && is_gone(c, port, &conn->dest);
}

/* ---- clients here, on the node and in its pods: translated ---- */

struct found {
	const struct control *c;
	struct ct_conn *items; /* owned */
	size_t n, max;
};

static void on_tracked(void *user, const struct ct_conn *conn)
{
	struct found *f = user;
	const struct control_vip *v = control_vip_at(f->c, &conn->vip);
	const struct plan_vip *pv = v ? control_plan_of(f->c, v) : NULL;
	const struct api_port *port = pv ? port_of(pv->vip, conn->protocol, conn->vip_port) : NULL;
	struct ct_conn *items;

	/* a flow has no end that could be waited for: any failure of the check moves it */
	if (!port ||
	    (conn->protocol == IPPROTO_TCP
		     ? !is_gone(f->c, port, &conn->server)
		     : control_verdict(f->c, &conn->server, &port->check) != HEALTH_UNHEALTHY))
		return;
	items = array_room(f->items, &f->max, f->n + 1, sizeof(*items));
	if (!items)
		return;
	f->items = items;
	f->items[f->n++] = *conn;
}

/* So many listings that the kernel filters (of IPv4) cost less than one of all that it tracks. */
#define FILTERED_MAX 8

/* How many servers of a family have failed; the first ones go to `ret`. Targets are in order. */
static size_t failed_servers(const struct control *c, int family, const struct addr *ret[])
{
	const struct addr *last = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->n_targets; i++) {
		const struct control_target *t = c->targets[i];

		if (t->address.family != family || t->health.verdict != HEALTH_UNHEALTHY ||
		    (last && addr_eq(last, &t->address)))
			continue;
		last = &t->address;
		if (n < FILTERED_MAX)
			ret[n] = last;
		n++;
	}
	return n;
}

static void list_tracked(const struct control *c, struct ct *ct, int family, struct found *f)
{
	const struct addr *servers[FILTERED_MAX];
	size_t n = failed_servers(c, family, servers);

	if (n > (family == AF_INET ? FILTERED_MAX : 1)) {
		(void)ct_list_family(ct, family, on_tracked, f, NULL);
		return;
	}
	for (size_t i = 0; i < n; i++)
		(void)ct_list(ct, servers[i], on_tracked, f, NULL);
}

/*
 * What is forgotten is translated anew, a flow to a live server; a TCP connection that is
 * challenged meets this node's own TCP, as those of outside do.
 */
static void on_pass(const void *user, struct reset *r)
{
	const struct control *c = user;
	struct found f = {.c = c};
	struct ct *ct = NULL;

	if (ct_open(&ct, NULL) < 0)
		return;
	list_tracked(c, ct, AF_INET, &f);
	list_tracked(c, ct, AF_INET6, &f);
	for (size_t i = 0; i < f.n; i++) {
		const struct ct_conn *conn = &f.items[i];
		const struct l2_challenge client = {.from = conn->vip,
						    .from_port = conn->vip_port,
						    .to = conn->client,
						    .to_port = conn->client_port};

		if (ct_forget(ct, conn, NULL) == 0 && conn->protocol == IPPROTO_TCP)
			reset_challenge(r, &client);
	}
	free(f.items);
	ct_close(ct);
}

static void on_done(const void *user, uint64_t n_conns)
{
	(void)user;
	if (n_conns > 0)
		log_info("Clients of dead real servers were reset",
			 KV_UINT("connections", n_conns));
}

/*
 * A destination that is taken out for a moment makes IPVS drop its connections, where
 * expire_nodest_conn is on: that is best for flows, which any real server can go on with, and the
 * way for all where there is no synchronisation. The next turn puts it back (with weight 1, then
 * 0, so that mh keeps its table).
 */
static void take_out(struct control *c, const struct addr *server,
		     const struct api_health_check *check, bool udp_only, uint64_t now_ns)
{
	for (size_t i = 0; c->ipvs && c->plan && i < c->plan->n_vips; i++) {
		const struct api_vip *vip = c->plan->vips[i].vip;

		for (size_t p = 0; p < vip->n_ports; p++) {
			if (!api_check_eq(&vip->ports[p].check, check) ||
			    (udp_only && (int)vip->ports[p].protocol != IPPROTO_UDP))
				continue;
			for (size_t a = 0; a < vip->n_addresses; a++) {
				const struct plan_op op = {
					.type = PLAN_OP_DEST_DEL,
					.service = {.family = vip->addresses[a].family,
						    .protocol = (uint8_t)vip->ports[p].protocol,
						    .addr = vip->addresses[a],
						    .port = vip->ports[p].port},
					.dest = {.addr = *server, .port = vip->ports[p].port},
				};

				(void)ipvs_apply(c->ipvs, &op, NULL);
			}
		}
	}
	c->is_as_wanted = false;
	c->quiet_until_ns = now_ns + 100 * NS_PER_MS;
}

void control_reset(struct control *c, const struct addr *server,
		   const struct api_health_check *check, uint64_t now_ns)
{
	reset_begin(c->reset, true, now_ns);
	if (c->expire_nodest)
		take_out(c, server, check, c->sync_id != 0, now_ns);
}

void control_reset_flows(struct control *c, uint64_t now_ns)
{
	reset_begin(c->reset, false, now_ns);
}

int control_reset_start(struct control *c, struct verr *reterr)
{
	const struct reset_fns fns = {
		.wants = is_dead, .pass = on_pass, .done = on_done, .user = c};

	return reset_new(c->loop, &fns, &c->reset, reterr);
}
