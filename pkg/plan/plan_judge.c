/*
 * plan_judge: what stands in the way of a VIP on this node, and the words for it. A refusal: it is not run
 * here. A fault: it is run, but cannot be active now. Degraded: it works, but not as it should.
 */
#include "plan/plan_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- words ---- */

static void __attribute__((format(printf, 2, 0)))
vsay(struct plan_vip *pv, const char *fmt, va_list ap)
{
	(void)vsnprintf(pv->message, sizeof(pv->message), fmt, ap);
}

static void __attribute__((format(printf, 2, 3))) say(struct plan_vip *pv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(pv, fmt, ap);
	va_end(ap);
}

void plan_refuse(struct plan_vip *pv, enum plan_reason why, const char *fmt, ...)
{
	va_list ap;

	pv->refused = why;
	va_start(ap, fmt);
	vsay(pv, fmt, ap);
	va_end(ap);
}

/* ---- refusals ---- */

static bool has_own_address(const struct plan_index *ix, struct plan_vip *pv)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < pv->vip->n_addresses; i++) {
		const struct plan_link *l = plan_index_local(ix, &pv->vip->addresses[i]);

		if (!l)
			continue;
		plan_refuse(
			pv, PLAN_NODE_OWN_ADDRESS,
			"spec.addresses: %s is configured on interface %s of this node, and not "
			"by vipd: remove it there or choose another address",
			addr_text(&pv->vip->addresses[i], text), l->name);
		return true;
	}
	return false;
}

static bool has_no_link(const struct plan_index *ix, struct plan_vip *pv, const struct plan_work *w)
{
	char text[ADDR_TEXT_MAX];

	if (!w->link && pv->vip->interface[0] != '\0')
		plan_refuse(pv, PLAN_NO_INTERFACE,
			    "spec.interface: this node has no interface %s: name one that every "
			    "selected node has",
			    pv->vip->interface);
	else if (!w->link)
		plan_refuse(
			pv, PLAN_NO_INTERFACE,
			"spec.addresses: no interface of node \"%.60s\" has a subnet with %s, and "
			"there is no default route: set spec.interface",
			ix->facts->self, addr_text(&pv->vip->addresses[0], text));
	else if (!w->link->ethernet || w->link->loopback)
		plan_refuse(pv, PLAN_NOT_ETHERNET,
			    "spec.interface: %s is not an Ethernet interface: name one that is",
			    w->link->name);
	else
		return false;
	return true;
}

static bool has_no_address(struct plan_vip *pv)
{
	const char *family = plan_vip_family(pv) == AF_INET ? "IPv4" : "IPv6";

	if (addr_is_set(&pv->node_address))
		return false;
	plan_refuse(pv, PLAN_NO_NODE_ADDRESS,
		    "interface %s of this node has no usable %s address of its own: add one, or "
		    "name another interface in spec.interface",
		    pv->ifname, family);
	return true;
}

static bool has_no_secret(const struct plan_index *ix, struct plan_vip *pv)
{
	const struct api_vip *v = pv->vip;
	const char *field = "spec.vrrp.authentication.passwordSecretRef";
	const char *ns = ix->objects->secret_namespace ? ix->objects->secret_namespace : "";
	const struct api_secret *s;
	const struct api_secret_entry *e;

	if (!v->has_auth)
		return false;
	s = plan_index_secret(ix, v->auth_secret);
	e = s ? api_secret_get(s, v->auth_key) : NULL;
	if (e && e->len > 0) {
		memcpy(pv->auth, e->bytes, e->len < sizeof(pv->auth) ? e->len : sizeof(pv->auth));
		return false;
	}
	if (!s)
		plan_refuse(pv, PLAN_SECRET_UNAVAILABLE,
			    "%s: no Secret \"%.40s\" can be read in namespace \"%.30s\": create it "
			    "with key \"%.20s\", and list it in vrrpSecretNames",
			    field, v->auth_secret, ns, v->auth_key);
	else if (!e)
		plan_refuse(pv, PLAN_SECRET_UNAVAILABLE,
			    "%s: Secret \"%.40s\" has no key \"%.40s\": add it", field,
			    v->auth_secret, v->auth_key);
	else
		plan_refuse(
			pv, PLAN_SECRET_UNAVAILABLE,
			"%s: key \"%.40s\" of Secret \"%.40s\" is empty: put the password there",
			field, v->auth_key, v->auth_secret);
	return true;
}

/* All of them or none: who is left out hears nobody, and makes itself active. */
static bool has_too_many_peers(struct plan_vip *pv)
{
	if (pv->vip->transport != API_UNICAST || pv->n_members <= PLAN_UNICAST_PEERS_MAX + 1)
		return false;
	plan_refuse(pv, PLAN_TOO_MANY_PEERS,
		    "spec.vrrp.transport: %zu nodes take part, and Unicast is for %d at most: use "
		    "Multicast, or select fewer nodes in spec.nodeSelector",
		    pv->n_members, PLAN_UNICAST_PEERS_MAX + 1);
	return true;
}

/* Everything but the VRID, which takes all VIPs' interfaces to decide. */
void plan_judge(const struct plan_index *ix, struct plan_vip *pv, const struct plan_work *w)
{
	if (!ix->self)
		plan_refuse(pv, PLAN_NODE_GONE,
			    "there is no Node object \"%.100s\": create it, or correct --node-name",
			    ix->facts->self);
	else if (!w->is_selected && !pv->serves)
		plan_refuse(pv, PLAN_NOT_SELECTED,
			    "spec.nodeSelector does not select node \"%.100s\"", ix->facts->self);
	else if (pv->refused == PLAN_OK && !has_no_link(ix, pv, w) && !has_own_address(ix, pv) &&
		 !has_no_address(pv))
		(void)has_too_many_peers(pv);
}

/* ---- faults and what is degraded: the VIP runs, or will ---- */

static void find_fault(struct plan_vip *pv, const struct plan_work *w)
{
	if (!w->link->up) {
		pv->fault = PLAN_LINK_DOWN;
		say(pv, "interface %s is down or has no carrier: connect it", w->link->name);
	} else if (!addr_is_set(&pv->source)) {
		pv->fault = PLAN_NO_LINK_LOCAL;
		say(pv,
		    "interface %s has no usable IPv6 link-local address (none, or tentative) for "
		    "adverts "
		    "to come from: enable IPv6 on it, or end a duplicate",
		    w->link->name);
	}
}

static bool is_strict(const struct plan_link *l)
{
	return l->rp_filter == 1;
}

static const struct plan_server *off_link_server(const struct plan_vip *pv)
{
	for (size_t i = 0; i < pv->n_servers; i++) {
		if (!pv->servers[i].on_link && pv->servers[i].weight > 0)
			return &pv->servers[i];
	}
	return NULL;
}

static void find_degraded(const struct plan_index *ix, struct plan_vip *pv,
			  const struct plan_work *w)
{
	const struct plan_facts *f = ix->facts;
	const struct plan_server *off = off_link_server(pv);
	char text[ADDR_TEXT_MAX], cure[80] = "";

	if (!f->has_ipvs) {
		pv->degraded = PLAN_NO_IPVS;
		say(pv, "this kernel has no IPVS, so the active node alone serves: "
			"load the module ip_vs");
	} else if (off) {
		if (plan_vip_family(pv) == AF_INET && is_strict(w->link))
			(void)snprintf(cure, sizeof(cure), " and net.ipv4.conf.%s.rp_filter=2",
				       w->link->name);
		pv->degraded = PLAN_REAL_SERVER_NOT_ON_LINK;
		say(pv,
		    "real server %s is in no subnet of interface %s, as direct routing needs: "
		    "use its address there%s",
		    addr_text(&off->address, text), w->link->name, cure);
	} else if (plan_vip_family(pv) == AF_INET && is_strict(w->link) &&
		   f->default_ifindex4 > 0 && f->default_ifindex4 != w->link->ifindex) {
		pv->degraded = PLAN_STRICT_RP_FILTER;
		say(pv,
		    "rp_filter is strict on %s but the default route leaves elsewhere, so "
		    "routed "
		    "clients are dropped: set net.ipv4.conf.%s.rp_filter=2",
		    w->link->name, w->link->name);
	}
}

void plan_conclude(const struct plan_index *ix, struct plan_vip *pv, const struct plan_work *w)
{
	if (pv->refused == PLAN_OK && w->is_selected)
		(void)has_no_secret(ix, pv);
	if (pv->refused != PLAN_OK) {
		pv->serves = false;
		return;
	}
	pv->routes = w->is_selected;
	find_degraded(ix, pv, w);
	memcpy(pv->degradation, pv->message, sizeof(pv->degradation));
	if (pv->routes)
		find_fault(pv, w);
}
