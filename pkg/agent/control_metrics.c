/*
 * /metrics. Names and meanings are in pkg/http/METRICS.md, which a test compares with what is served. Labels are
 * bounded by the objects: VirtualIPs, their ports, their real servers.
 */
#include <assert.h>
#include <string.h>

#include "agent/control.h"

static double seconds(uint64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

static void one(struct http_metrics *m, const char *name, enum http_metric type, const char *help,
		double value)
{
	http_metrics_family(m, name, type, help);
	http_metrics_sample(m, value, NULL, 0);
}

/* ---- of VIPs ---- */

typedef void (*vip_fn)(struct http_metrics *m, const struct control_vip *v,
		       const struct plan_vip *pv);

static void each_vip(struct http_metrics *m, const struct control *c, vip_fn fn)
{
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		const struct control_vip *v = control_vip_by_name(c, pv->vip->name);

		if (v)
			fn(m, v, pv);
	}
}

static void vip_sample(struct http_metrics *m, const struct control_vip *v, const char *label,
		       const char *value, double n)
{
	const struct http_label labels[] = {{"virtual_ip", v->name}, {label, value}};

	http_metrics_sample(m, n, labels, label ? 2 : 1);
}

static void role(struct http_metrics *m, const struct control_vip *v, const struct plan_vip *pv)
{
	static const char *const roles[] = {"Active",    "Backup",     "Init",
					    "Releasing", "RealServer", "NotRun"};
	const char *now = control_role_name(v, pv);

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		vip_sample(m, v, "role", roles[i], strcmp(roles[i], now) == 0);
}

static void transitions(struct http_metrics *m, const struct control_vip *v,
			const struct plan_vip *pv)
{
	(void)pv;
	for (unsigned int why = 0; why < VRRP_WHY_N; why++) {
		if (v->transitions[why])
			vip_sample(m, v, "reason", vrrp_why_name((enum vrrp_why)why),
				   (double)v->transitions[why]);
	}
}

static void sent(struct http_metrics *m, const struct control_vip *v, const struct plan_vip *pv)
{
	(void)pv;
	vip_sample(m, v, NULL, NULL, (double)v->counters.sent);
}

static void received(struct http_metrics *m, const struct control_vip *v, const struct plan_vip *pv)
{
	(void)pv;
	vip_sample(m, v, NULL, NULL, (double)v->counters.received);
}

static void rejected(struct http_metrics *m, const struct control_vip *v, const struct plan_vip *pv)
{
	(void)pv;
	for (unsigned int rx = VRRP_RX_OK + 1; rx < VRRP_RX_N; rx++) {
		if (v->counters.rejected[rx])
			vip_sample(m, v, "cause", vrrp_rx_name((enum vrrp_rx)rx),
				   (double)v->counters.rejected[rx]);
	}
}

static void conflicted(struct http_metrics *m, const struct control_vip *v,
		       const struct plan_vip *pv)
{
	char who[256];

	(void)pv;
	vip_sample(m, v, NULL, NULL, control_strangers_text(v, mono_now_ns(), who, sizeof(who)));
}

static void lateness(struct http_metrics *m, const struct control *c)
{
	double bounds[ELECTION_LATENESS_BOUNDS];

	for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
		bounds[i] = seconds(election_lateness_bounds[i].ns);
	http_metrics_family(m, "vipd_vrrp_advert_lateness_seconds", HTTP_HISTOGRAM,
			    "How late adverts of this node left.");
	http_metrics_histogram(m, bounds, c->late.n, ARRAY_LEN(bounds), seconds(c->late.sum_ns));
}

static void vips(struct http_metrics *m, const struct control *c)
{
	http_metrics_family(m, "vipd_virtual_ip_role", HTTP_GAUGE,
			    "1 for the role of this node, 0 for the others.");
	each_vip(m, c, role);
	http_metrics_family(m, "vipd_role_transitions_total", HTTP_COUNTER,
			    "Role changes of this node, by reason.");
	each_vip(m, c, transitions);
	http_metrics_family(m, "vipd_virtual_ip_conflicted", HTTP_GAUGE,
			    "1 while a stranger uses the virtual router ID or the address.");
	each_vip(m, c, conflicted);
	http_metrics_family(m, "vipd_vrrp_adverts_sent_total", HTTP_COUNTER, "Adverts sent.");
	each_vip(m, c, sent);
	http_metrics_family(m, "vipd_vrrp_adverts_received_total", HTTP_COUNTER,
			    "Adverts received and accepted.");
	each_vip(m, c, received);
	http_metrics_family(m, "vipd_vrrp_adverts_rejected_total", HTTP_COUNTER,
			    "Adverts received and not accepted, by cause.");
	each_vip(m, c, rejected);
	lateness(m, c);
}

/* ---- of real servers ---- */

enum server_value {
	SERVER_UP,
	SERVER_ACTIVE,
	SERVER_INACTIVE,
	SERVER_CONNS,
	SERVER_PACKETS,
	SERVER_BYTES
};

/* False: there is nothing to tell. */
static bool server_value(const struct control *c, const struct plan_vip *pv,
			 const struct api_port *port, const struct addr *server,
			 enum server_value what, uint64_t *ret)
{
	struct control_dests d;

	if (what == SERVER_UP) {
		*ret = control_verdict(c, server, &port->check) == HEALTH_HEALTHY;
		return true;
	}
	d = control_dests_of(c, pv->vip, port, server);
	switch (what) {
	case SERVER_UP:
		break;
	case SERVER_ACTIVE:
		*ret = d.active;
		break;
	case SERVER_INACTIVE:
		*ret = d.inactive;
		break;
	case SERVER_CONNS:
		*ret = d.conns;
		break;
	case SERVER_PACKETS:
		*ret = d.packets;
		break;
	case SERVER_BYTES:
		*ret = d.bytes;
		break;
	}
	return d.any;
}

static void port_servers(struct http_metrics *m, const struct control *c, const struct plan_vip *pv,
			 const struct api_port *port, enum server_value what)
{
	char number[8], text[ADDR_TEXT_MAX];

	snprintf(number, sizeof(number), "%u", port->port);
	for (size_t s = 0; s < pv->n_servers; s++) {
		const struct addr *a = &pv->servers[s].address;
		const struct http_label labels[] = {
			{"virtual_ip", pv->vip->name},
			{"port", number},
			{"protocol", api_protocol_name(port->protocol)},
			{"real_server", addr_text(a, text)},
		};
		uint64_t value = 0;

		if (server_value(c, pv, port, a, what, &value))
			http_metrics_sample(m, (double)value, labels, ARRAY_LEN(labels));
	}
}

static void servers(struct http_metrics *m, const struct control *c, enum server_value what)
{
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];

		for (size_t p = 0; pv->refused == PLAN_OK && p < pv->vip->n_ports; p++)
			port_servers(m, c, pv, &pv->vip->ports[p], what);
	}
}

static void all_servers(struct http_metrics *m, const struct control *c)
{
	static const struct {
		enum server_value what;
		enum http_metric type;
		const char *name, *help;
	} families[] = {
		{SERVER_UP, HTTP_GAUGE, "vipd_real_server_up",
		 "1 for a real server that passes its check."},
		{SERVER_ACTIVE, HTTP_GAUGE, "vipd_ipvs_active_connections",
		 "Established connections in IPVS here."},
		{SERVER_INACTIVE, HTTP_GAUGE, "vipd_ipvs_inactive_connections",
		 "Other connections in IPVS here."},
		{SERVER_CONNS, HTTP_COUNTER, "vipd_ipvs_connections_total",
		 "Connections that this node directed."},
		{SERVER_PACKETS, HTTP_COUNTER, "vipd_ipvs_packets_total",
		 "Packets that this node directed."},
		{SERVER_BYTES, HTTP_COUNTER, "vipd_ipvs_bytes_total",
		 "Bytes that this node directed."},
	};

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		if (families[i].what != SERVER_UP && !c->ipvs)
			continue;
		http_metrics_family(m, families[i].name, families[i].type, families[i].help);
		servers(m, c, families[i].what);
	}
}

static const char *check_name(const struct control_target *t)
{
	return t->check->path ? t->check->path : "tcp";
}

/* One line for each: targets that differ in their times alone stand together under the first of them. */
static bool same_line(const struct control_target *a, const struct control_target *b)
{
	return addr_eq(&a->address, &b->address) && a->check->port == b->check->port &&
	       strcmp(check_name(a), check_name(b)) == 0;
}

static bool is_first(const struct control *c, size_t i)
{
	for (size_t k = i; k-- > 0 && addr_eq(&c->targets[k]->address, &c->targets[i]->address);) {
		if (same_line(c->targets[k], c->targets[i]))
			return false;
	}
	return true;
}

static uint64_t results(const struct control *c, size_t i, unsigned int end)
{
	uint64_t n = 0;

	for (size_t k = i; k < c->n_targets; k++) {
		if (!addr_eq(&c->targets[k]->address, &c->targets[i]->address))
			break;
		if (same_line(c->targets[k], c->targets[i]))
			n += c->targets[k]->results[end];
	}
	return n;
}

/* One probe serves all VIPs that ask for the same check, so it has no VirtualIP. `end` PROBE_END_N: its latency. */
static void check_line(struct http_metrics *m, const struct control *c, size_t i, unsigned int end)
{
	const struct control_target *t = c->targets[i];
	bool latency = end == PROBE_END_N;
	char text[ADDR_TEXT_MAX], number[8];
	const struct http_label labels[] = {
		{"real_server", addr_text(&t->address, text)},
		{"port", number},
		{"check", check_name(t)},
		{"result", latency ? "" : probe_end_name((enum probe_end)end)},
	};
	uint64_t n = latency ? 0 : results(c, i, end);

	snprintf(number, sizeof(number), "%u", t->check->port);
	if (latency && t->last_ns && t->last.end == PROBE_OK)
		http_metrics_sample(m, seconds(t->last.latency_ns), labels, 3);
	else if (n)
		http_metrics_sample(m, (double)n, labels, 4);
}

static void checks(struct http_metrics *m, const struct control *c)
{
	http_metrics_family(m, "vipd_health_checks_total", HTTP_COUNTER,
			    "Health checks done, by their result.");
	for (size_t i = 0; i < c->n_targets; i++) {
		for (unsigned int end = 0; end < PROBE_END_N && is_first(c, i); end++)
			check_line(m, c, i, end);
	}
	http_metrics_family(m, "vipd_health_check_latency_seconds", HTTP_GAUGE,
			    "How long the last check took, if it was good.");
	for (size_t i = 0; i < c->n_targets; i++) {
		if (is_first(c, i))
			check_line(m, c, i, PROBE_END_N);
	}
}

/* ---- of the agent ---- */

/* Streams of one resource follow each other: the one that was longest without news speaks for all of them. */
static void watch_ages(struct http_metrics *m, const struct control *c)
{
	const char *name = NULL, *next = NULL;
	uint64_t now_ns = mono_now_ns(), oldest_ns = 0, contact_ns = 0;
	bool more = true;

	for (size_t i = 0; more; i++) {
		more = control_source_stream(c, i, &next, &contact_ns);
		if (name && oldest_ns && (!more || strcmp(name, next) != 0)) {
			http_metrics_sample(m, seconds(now_ns - oldest_ns),
					    &(struct http_label){"resource", name}, 1);
			oldest_ns = 0;
		}
		name = next;
		if (contact_ns && (!oldest_ns || contact_ns < oldest_ns))
			oldest_ns = contact_ns;
	}
}

static void api(struct http_metrics *m, const struct control *c)
{
	struct kube *kube = control_source_kube(c);
	struct kube_stats stats;

	if (!kube)
		return;
	http_metrics_family(
		m, "vipd_api_watch_age_seconds", HTTP_GAUGE,
		"Since the API server was last heard of, else since the start, by resource.");
	watch_ages(m, c);
	kube_stats(kube, &stats);
	one(m, "vipd_api_requests_total", HTTP_COUNTER, "Requests to the API server.",
	    (double)stats.n_requests);
	one(m, "vipd_api_request_failures_total", HTTP_COUNTER,
	    "Requests to the API server that had no answer.", (double)stats.n_failures);
}

static void agent(struct http_metrics *m, const struct control *c)
{
	http_metrics_family(m, "vipd_build_info", HTTP_GAUGE, "1, with the version.");
	http_metrics_sample(m, 1, &(struct http_label){"version", c->conf->version}, 1);
	one(m, "vipd_uptime_seconds", HTTP_GAUGE, "Since the agent was started.",
	    seconds(mono_now_ns() - c->started_ns));
	one(m, "vipd_ready", HTTP_GAUGE,
	    "1 once the objects are read and the kernel is programmed.", c->ready);
	one(m, "vipd_election_realtime", HTTP_GAUGE, "1 if adverts leave with real-time priority.",
	    c->election && election_is_realtime(c->election));
	one(m, "vipd_ipvs_available", HTTP_GAUGE, "1 if the kernel has IPVS.", c->ipvs != NULL);
	http_metrics_family(m, "vipd_kernel_repairs_total", HTTP_COUNTER,
			    "What was put back because something else had changed it, by kind.");
	for (unsigned int k = 0; k < CONTROL_REPAIR_N; k++)
		http_metrics_sample(
			m, (double)c->repairs[k],
			&(struct http_label){"kind", control_repair_name((enum control_repair)k)},
			1);
	one(m, "vipd_kernel_errors_total", HTTP_COUNTER, "Changes that the kernel refused.",
	    (double)c->apply_errors);
	one(m, "vipd_object_problems", HTTP_GAUGE, "Objects or sources that cannot be used.",
	    HASH_COUNT(c->problems));
	one(m, "vipd_log_dropped_total", HTTP_COUNTER, "Log lines that were not written.",
	    (double)log_dropped());
}

int control_metrics(void *user, char **ret_body, size_t *ret_len, const char **ret_type)
{
	const struct control *c = user;
	AUTO(http_metrics_free_p) struct http_metrics *m = http_metrics_new();

	if (!m)
		return 500;
	agent(m, c);
	vips(m, c);
	all_servers(m, c);
	checks(m, c);
	api(m, c);
	*ret_body = http_metrics_take(m, ret_len);
	*ret_type = HTTP_METRICS_TYPE;
	return *ret_body ? 200 : 500;
}
