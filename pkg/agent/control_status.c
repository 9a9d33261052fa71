/* The document of `vipd status`; its shape is pkg/ctl/STATUS.md. */
#include <string.h>

#include "agent/control.h"

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, json_string(text));
}

static void set_uint(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_bool(json_t *o, const char *key, bool b)
{
	json_object_set_new(o, key, json_boolean(b));
}

static void set_addr(json_t *o, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	if (addr_is_set(a))
		set_text(o, key, addr_text(a, text));
}

/* "since" and "sinceSeconds", or with a prefix "verdictSince" and "verdictSinceSeconds". */
static void set_since(json_t *o, const char *key, uint64_t at_ns, uint64_t now_ns)
{
	char wall[MONO_TEXT_MAX], age[64];

	set_text(o, key, mono_wall_text(at_ns, wall, sizeof(wall)));
	snprintf(age, sizeof(age), "%sSeconds", key);
	set_uint(o, age, now_ns > at_ns ? (now_ns - at_ns) / NS_PER_S : 0);
}

static json_t *source_json(struct control *c)
{
	json_t *s = json_object(), *problems = json_array();
	struct control_problem *p, *next;
	struct control_object *o, *onext;
	bool stale = false;

	set_text(s, "kind", c->conf->manifests_dir ? "manifests" : "kubernetes");
	set_text(s, "path", control_source_path(c));
	set_bool(s, "synced", control_source_current(c));
	HASH_ITER(hh, c->objects, o, onext)
	stale |= o->stale;
	set_bool(s, "fromState", stale);
	HASH_ITER(hh, c->problems, p, next)
	json_array_append_new(problems,
			      json_pack("{s:s, s:s}", "origin", p->key, "message", p->text));
	json_object_set_new(s, "problems", problems);
	return s;
}

static json_t *repairs_json(const struct control *c)
{
	json_t *o = json_object();
	uint64_t total = 0;

	for (unsigned int k = 0; k < CONTROL_REPAIR_N; k++) {
		set_uint(o, control_repair_name((enum control_repair)k), c->repairs[k]);
		total += c->repairs[k];
	}
	set_uint(o, "total", total);
	return o;
}

static json_t *settings_json(const struct control *c)
{
	json_t *o = json_object();
	char text[64];

	set_bool(o, "writable", c->settings_writable);
	set_bool(o, "expireNodestConn", c->expire_nodest);
	set_bool(o, "sloppyTCP", c->sloppy_tcp);
	if (ipvs_sysctl_read(c->conf->ipvs_sysctl_dir, "sync_threshold", text, sizeof(text)) == 0)
		set_text(o, "syncThreshold", text);
	if (ipvs_sysctl_read(c->conf->ipvs_sysctl_dir, "sync_refresh_period", text, sizeof(text)) ==
	    0)
		set_uint(o, "syncRefreshPeriodSeconds", strtoul(text, NULL, 10));
	return o;
}

static json_t *kernel_json(const struct control *c)
{
	json_t *k = json_object();
	struct plan_sync master = {0}, backup = {0};
	struct ipvs_timeouts t;
	char version[32];

	set_bool(k, "ipvs", c->ipvs != NULL);
	set_bool(k, "nftables", true);
	set_bool(k, "realtime", c->election && election_is_realtime(c->election));
	set_bool(k, "memoryLocked", c->election && election_is_locked(c->election));
	json_object_set_new(k, "repairs", repairs_json(c));
	if (c->last_apply_error[0])
		set_text(k, "error", c->last_apply_error);
	if (!c->ipvs)
		return k;
	snprintf(version, sizeof(version), "%u.%u.%u", c->ipvs_info.version >> 16 & 0xff,
		 c->ipvs_info.version >> 8 & 0xff, c->ipvs_info.version & 0xff);
	set_text(k, "ipvsVersion", version);
	set_uint(k, "connectionTableSize", c->ipvs_info.conn_tab_size);
	json_object_set_new(k, "settings", settings_json(c));
	if (ipvs_timeouts_get(c->ipvs, &t, NULL) == 0)
		set_uint(k, "tcpTimeoutSeconds", t.tcp_s);
	if (ipvs_sync_get(c->ipvs, &master, &backup, NULL) == 0 &&
	    (master.sync_id || backup.sync_id)) {
		json_t *s = json_object();

		set_uint(s, "id", master.sync_id ? master.sync_id : backup.sync_id);
		set_text(s, "interface", master.sync_id ? master.ifname : backup.ifname);
		set_bool(s, "master", master.sync_id != 0);
		set_bool(s, "backup", backup.sync_id != 0);
		json_object_set_new(k, "sync", s);
	}
	return k;
}

/* ---- one VIP ---- */

static json_t *adverts_json(const struct control_vip *v)
{
	const struct election_counters *n = &v->counters;
	json_t *o = json_object(), *rejected = json_object(), *late = json_object();

	set_uint(o, "sent", n->sent);
	set_uint(o, "received", n->received);
	for (unsigned int i = 1; i < VRRP_RX_N; i++) {
		if (n->rejected[i])
			set_uint(rejected, vrrp_rx_name((enum vrrp_rx)i), n->rejected[i]);
	}
	json_object_set_new(o, "rejected", rejected);
	set_uint(o, "addressMismatch", n->addr_mismatch);
	set_uint(o, "becameActive", n->became_active);
	set_uint(o, "becameBackup", n->became_backup);
	for (size_t i = 0; i < ELECTION_LATENESS_BOUNDS; i++)
		set_uint(late, election_lateness_bounds[i].name, n->late.n[i]);
	set_uint(late, "more", n->late.n[ELECTION_LATENESS_BOUNDS]);
	json_object_set_new(o, "lateness", late);
	return o;
}

static json_t *members_json(const struct control *c, const struct plan_vip *pv)
{
	json_t *list = json_array();
	const struct plan_link *link = control_link(c, pv->ifindex);
	char text[MAC_TEXT_MAX];

	for (size_t i = 0; i < pv->n_members; i++) {
		const struct plan_member *m = &pv->members[i];
		const struct mac *mac = control_mac_of(c, &m->address);
		json_t *o = json_object();

		set_text(o, "node", m->name);
		set_addr(o, "address", &m->address);
		set_uint(o, "priority", m->priority);
		set_bool(o, "cordoned", m->cordoned);
		set_bool(o, "ready", m->ready);
		set_bool(o, "self", m->self);
		if (m->self && link)
			mac = &link->mac;
		if (mac)
			set_text(o, "mac", mac_text(mac, text));
		json_array_append_new(list, o);
	}
	return list;
}

static int service_order(const void *a, const void *b)
{
	return plan_service_cmp(a, b);
}

/* A dump is sorted; a scrape asks it for every real server. */
static const struct plan_service *service_of(const struct control *c, const struct addr *address,
					     const struct api_port *port)
{
	const struct plan_service key = {.family = address->family,
					 .protocol = (uint8_t)port->protocol,
					 .addr = *address,
					 .port = port->port};

	if (c->n_have_services == 0)
		return NULL;
	return bsearch(&key, c->have_services, c->n_have_services, sizeof(key), service_order);
}

/* Over all addresses of the VIP; the local real server's redirected connections run by the firewall-mark service. */
struct control_dests control_dests_of(const struct control *c, const struct api_vip *vip,
				      const struct api_port *port, const struct addr *server)
{
	struct control_dests sum = {.weight = UINT32_MAX};

	for (size_t a = 0; a < vip->n_addresses; a++) {
		const struct plan_service *s = service_of(c, &vip->addresses[a], port);

		for (size_t d = 0; s && d < s->n_dests; d++) {
			const struct plan_dest *dest = &s->dests[d];

			if (!addr_eq(&dest->addr, server))
				continue;
			sum.any = true;
			sum.weight = dest->weight < sum.weight ? dest->weight : sum.weight;
			sum.active += dest->active;
			sum.inactive += dest->inactive;
			sum.conns += dest->conns;
			sum.packets += dest->packets_in;
			sum.bytes += dest->bytes_in;
		}
	}
	return sum;
}

static void check_result(json_t *o, const struct control_target *t, uint64_t now_ns)
{
	set_text(o, "verdict", health_verdict_name(t->health.verdict));
	if (t->health.verdict != HEALTH_UNKNOWN)
		set_since(o, "verdictSince", t->health.since_ns, now_ns);
	if (t->health.suspect)
		set_bool(o, "suspect", true);
	if (t->health.failures)
		set_uint(o, "failures", t->health.failures);
	if (t->health.successes)
		set_uint(o, "successes", t->health.successes);
	if (t->last_ns == 0)
		return;
	json_t *last = json_object();

	set_text(last, "result", probe_end_name(t->last.end));
	set_text(last, "detail", t->last.detail);
	if (t->last.status)
		set_uint(last, "status", (uint64_t)t->last.status);
	set_uint(last, "latencyMicroseconds", t->last.latency_ns / NS_PER_US);
	set_uint(last, "agoMilliseconds", (now_ns - t->last_ns) / NS_PER_MS);
	json_object_set_new(o, "last", last);
}

static json_t *servers_json(const struct control *c, const struct plan_vip *pv,
			    const struct api_port *port, uint64_t now_ns)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pv->n_servers; i++) {
		const struct plan_server *s = &pv->servers[i];
		const struct control_target *t = control_health_find(c, &s->address, &port->check);
		struct control_dests sum = control_dests_of(c, pv->vip, port, &s->address);
		json_t *o = json_object();

		set_addr(o, "address", &s->address);
		if (s->node_name && *s->node_name)
			set_text(o, "node", s->node_name);
		set_bool(o, "local", s->self);
		set_uint(o, "weight", s->weight);
		if (t)
			check_result(o, t, now_ns);
		else
			set_text(o, "verdict", health_verdict_name(HEALTH_UNKNOWN));
		if (sum.any) {
			set_uint(o, "effectiveWeight", sum.weight);
			set_uint(o, "activeConnections", sum.active);
			set_uint(o, "inactiveConnections", sum.inactive);
			set_uint(o, "connections", sum.conns);
			set_uint(o, "packets", sum.packets);
			set_uint(o, "bytes", sum.bytes);
		} else if (t && !c->ipvs) {
			set_uint(o, "effectiveWeight",
				 t->health.verdict == HEALTH_HEALTHY ? s->weight : 0);
		}
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *check_json(const struct api_health_check *check)
{
	static const char *const kinds[] = {
		[API_CHECK_TCP] = "tcp", [API_CHECK_HTTP] = "http", [API_CHECK_HTTPS] = "https"};
	json_t *o = json_object();

	set_text(o, "kind", kinds[check->kind]);
	set_uint(o, "port", check->port);
	set_text(o, "path", check->path);
	set_uint(o, "periodMilliseconds", check->period_ns / NS_PER_MS);
	set_uint(o, "timeoutMilliseconds", check->timeout_ns / NS_PER_MS);
	set_uint(o, "failureThreshold", check->failure_threshold);
	set_uint(o, "successThreshold", check->success_threshold);
	return o;
}

static json_t *ports_json(const struct control *c, const struct plan_vip *pv, uint64_t now_ns)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pv->vip->n_ports; i++) {
		const struct api_port *p = &pv->vip->ports[i];
		json_t *o = json_object();

		if (p->name[0])
			set_text(o, "name", p->name);
		set_uint(o, "port", p->port);
		set_text(o, "protocol", p->protocol == API_TCP ? "TCP" : "UDP");
		set_text(o, "scheduler", api_scheduler_name(p->scheduler));
		if (p->persistence_s)
			set_uint(o, "persistenceSeconds", p->persistence_s);
		if (p->prefer_same_node)
			set_text(o, "trafficDistribution", "PreferSameNode");
		json_object_set_new(o, "check", check_json(&p->check));
		json_object_set_new(o, "realServers", servers_json(c, pv, p, now_ns));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *conditions_json(const struct control *c, const struct control_vip *v,
			       const struct plan_vip *pv, uint64_t now_ns)
{
	struct control_conditions all;
	json_t *list = json_array();

	control_conditions_get(c, v, pv, now_ns, &all);
	for (unsigned int t = 0; t < API_CONDITION_N; t++) {
		const struct api_condition *one = &all.items[t];

		if (one->is_set)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s}", "type",
						api_condition_name((enum api_condition_type)t),
						"status", one->status ? "True" : "False", "reason",
						one->reason, "message", one->message));
	}
	return list;
}

static void router_json(json_t *o, const struct control *c, const struct control_vip *v,
			const struct plan_vip *pv, uint64_t now_ns)
{
	set_text(o, "interface", pv->ifname);
	set_uint(o, "virtualRouterID", pv->vrid);
	set_uint(o, "version", pv->vip->version);
	set_text(o, "transport", pv->vip->transport == API_UNICAST ? "Unicast" : "Multicast");
	set_uint(o, "advertisementPeriodMilliseconds", pv->vip->advert_period_ns / NS_PER_MS);
	if (!pv->routes)
		return;
	set_uint(o, "priority", pv->priority);
	if (addr_is_set(&v->active)) {
		set_text(o, "activeNode", control_node_of(c, pv, &v->active));
		set_addr(o, "activeAddress", &v->active);
		set_uint(o, "activePriority", v->active_priority);
		set_since(o, "activeSince", v->active_since_ns, now_ns);
	}
	json_object_set_new(o, "adverts", adverts_json(v));
}

static json_t *vip_json(const struct control *c, const struct control_vip *v,
			const struct plan_vip *pv, uint64_t now_ns)
{
	json_t *o = json_object(), *addresses = json_array();
	bool run = control_is_run(pv);
	char text[ADDR_TEXT_MAX];

	set_text(o, "name", v->name);
	for (size_t i = 0; i < pv->vip->n_addresses; i++)
		json_array_append_new(addresses,
				      json_string(addr_text(&pv->vip->addresses[i], text)));
	json_object_set_new(o, "addresses", addresses);
	set_text(o, "role", control_role_name(v, pv));
	if (pv->refused != PLAN_OK)
		set_text(o, "reason", plan_reason_name(pv->refused));
	else if (pv->fault != PLAN_OK)
		set_text(o, "reason", plan_reason_name(pv->fault));
	else if (v->why != VRRP_WHY_NONE)
		set_text(o, "reason", vrrp_why_name(v->why));
	const char *message = pv->rejected != PLAN_OK ? pv->rejection : pv->message;

	if (message[0])
		set_text(o, "message", message);
	set_since(o, "since", v->since_ns, now_ns);
	if (run)
		router_json(o, c, v, pv, now_ns);
	if (pv->vip->generation)
		set_uint(o, "generation", (uint64_t)pv->vip->generation);
	json_object_set_new(o, "conditions", conditions_json(c, v, pv, now_ns));
	json_object_set_new(o, "members", run ? members_json(c, pv) : json_array());
	json_object_set_new(o, "ports", run ? ports_json(c, pv, now_ns) : json_array());
	return o;
}

static json_t *resend_json(const struct control *c, uint64_t now_ns)
{
	const struct resend_counters *n = resend_counters(c->resend);
	json_t *o = json_object();

	set_bool(o, "running", true);
	set_uint(o, "passes", n->passes);
	set_uint(o, "connections", n->last_pass_sent);
	set_uint(o, "messages", n->messages);
	set_uint(o, "ended", n->ended);
	set_uint(o, "errors", n->errors);
	if (*resend_problem(c->resend))
		set_text(o, "problem", resend_problem(c->resend));
	if (n->passes) {
		set_uint(o, "lastPassMilliseconds", n->last_pass_ns / NS_PER_MS);
		set_uint(o, "lastPassAgoSeconds", (now_ns - n->last_pass_end_ns) / NS_PER_S);
	}
	return o;
}

json_t *control_status(void *user, enum ctl_request req)
{
	struct control *c = user;
	uint64_t now_ns = mono_now_ns();
	json_t *root = json_object(), *vips = json_array();

	(void)req;
	set_text(root, "version", c->conf->version);
	set_text(root, "node", c->conf->node_name);
	set_since(root, "since", c->started_ns, now_ns);
	json_object_set_new(root, "source", source_json(c));
	json_object_set_new(root, "kernel", kernel_json(c));
	if (c->resend)
		json_object_set_new(root, "resend", resend_json(c, now_ns));
	set_uint(root, "logDropped", log_dropped());
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_vip *v = control_vip_by_name(c, pv->vip->name);

		if (v)
			json_array_append_new(vips, vip_json(c, v, pv, now_ns));
	}
	json_object_set_new(root, "virtualIPs", vips);
	return root;
}
