/* What a good VirtualIP comes out as: defaults, every value, comparison. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api_json.h"

static struct api_vip *decode(const json_t *object)
{
	struct api_vip *v = NULL;
	struct api_problems problems = {0};

	if (api_vip_decode(object, &v, &problems) < 0)
		fail_msg("%s: %s", problems.items[0].path, problems.items[0].msg);
	return v;
}

static struct api_vip *decode_full(void)
{
	json_t *object = full_vip();
	struct api_vip *v = decode(object);

	json_decref(object);
	return v;
}

static void assert_addr(const struct addr *a, const char *want)
{
	char buf[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(a, buf), want);
}

static void test_defaults(void **state)
{
	json_t *object = minimal_vip();
	struct api_vip *v;

	(void)state;
	/* an absent vrrp is as good as an empty one */
	json_put(object, "spec.vrrp", NULL);
	v = decode(object);
	assert_string_equal(v->name, "ssh");
	assert_string_equal(v->uid, "");
	assert_int_equal(v->generation, 0);
	assert_int_equal(v->created_s, 0);
	assert_int_equal(v->n_addresses, 1);
	assert_addr(&v->addresses[0], "192.168.44.120");
	assert_string_equal(v->interface, "");
	assert_int_equal(v->node_selector.n_reqs, 0);
	assert_false(v->has_vrid);
	assert_int_equal(v->vrid, 120);
	assert_int_equal(v->version, 3);
	assert_int_equal(v->advert_period_ns, NS_PER_S);
	assert_int_equal(v->preemption, API_PREEMPT);
	assert_int_equal(v->preempt_delay_ns, 15 * NS_PER_S);
	assert_int_equal(v->transport, API_MULTICAST);
	assert_false(v->has_auth);
	assert_int_equal(v->n_priorities, 0);
	assert_int_equal(v->n_real_servers, 0);
	assert_int_equal(v->n_ports, 1);

	const struct api_port *p = &v->ports[0];

	assert_string_equal(p->name, "");
	assert_int_equal(p->port, 22);
	assert_int_equal(p->protocol, API_TCP);
	assert_int_equal(p->scheduler, API_SCHED_MH);
	assert_false(p->prefer_same_node);
	assert_int_equal(p->persistence_s, 0);
	assert_int_equal(p->check.kind, API_CHECK_TCP);
	assert_int_equal(p->check.port, 22);
	assert_null(p->check.path);
	assert_null(p->check.host);
	assert_int_equal(p->check.n_headers, 0);
	assert_int_equal(p->check.period_ns, 2 * NS_PER_S);
	assert_int_equal(p->check.timeout_ns, NS_PER_S);
	assert_int_equal(p->check.failure_threshold, 2);
	assert_int_equal(p->check.success_threshold, 1);
	api_vip_free(v);
	json_decref(object);
}

static void test_default_vrid(void **state)
{
	static const struct {
		const char *address;
		uint8_t vrid;
	} rows[] = {
		{"'192.168.44.1'", 1},   {"'192.168.44.255'", 255}, {"'10.0.1.0'", 255},
		{"'fd00:44::7'", 7},     {"'fd00:44::1:100'", 255}, {"'fd00:44::1ff'", 255},
		{"'fd00:44::ab'", 0xab},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *object = minimal_vip();
		struct api_vip *v;

		json_put(object, "spec.addresses[0]", rows[i].address);
		v = decode(object);
		assert_false(v->has_vrid);
		assert_int_equal(v->vrid, rows[i].vrid);
		api_vip_free(v);
		json_decref(object);
	}
}

static void test_every_value(void **state)
{
	struct api_vip *v = decode_full();

	(void)state;
	assert_string_equal(v->uid, "5f3c");
	assert_int_equal(v->generation, 7);
	assert_int_equal(v->created_s, 1767323045);
	assert_int_equal(v->n_addresses, 2);
	assert_addr(&v->addresses[0], "10.0.0.9");
	assert_addr(&v->addresses[1], "10.0.0.2");
	assert_string_equal(v->interface, "bond0");
	assert_int_equal(v->node_selector.n_reqs, 1);
	assert_true(v->has_vrid);
	assert_int_equal(v->vrid, 4);
	assert_int_equal(v->version, 2);
	assert_int_equal(v->advert_period_ns, 2 * NS_PER_S);
	assert_int_equal(v->preemption, API_PREEMPT_NEVER);
	assert_int_equal(v->preempt_delay_ns, 250 * NS_PER_MS);
	assert_int_equal(v->transport, API_UNICAST);
	assert_true(v->has_auth);
	assert_string_equal(v->auth_secret, "vipd-vrrp");
	assert_string_equal(v->auth_key, "password");
	/* sorted */
	assert_int_equal(v->n_priorities, 2);
	assert_string_equal(v->priorities[0].node_name, "node01");
	assert_int_equal(v->priorities[0].priority, 100);
	assert_string_equal(v->priorities[1].node_name, "node02");
	assert_int_equal(v->priorities[1].priority, 99);
	assert_int_equal(v->n_real_servers, 2);
	assert_addr(&v->real_servers[0].address, "10.0.0.51");
	assert_int_equal(v->real_servers[0].weight, 1);
	assert_addr(&v->real_servers[1].address, "10.0.0.52");
	assert_int_equal(v->real_servers[1].weight, 3);

	const struct api_port *web = &v->ports[0], *dns = &v->ports[1], *plain = &v->ports[2];

	assert_int_equal(v->n_ports, 3);
	assert_string_equal(web->name, "web");
	assert_int_equal(web->port, 443);
	assert_int_equal(web->scheduler, API_SCHED_WLC);
	assert_true(web->prefer_same_node);
	assert_int_equal(web->persistence_s, 300);
	assert_int_equal(web->check.kind, API_CHECK_HTTPS);
	assert_int_equal(web->check.port, 8443);
	assert_string_equal(web->check.path, "/up");
	assert_string_equal(web->check.host, "www.example.org");
	assert_int_equal(web->check.n_headers, 1);
	assert_string_equal(web->check.headers[0].name, "X-Probe");
	assert_string_equal(web->check.headers[0].value, "vipd");
	assert_int_equal(web->check.period_ns, 500 * NS_PER_MS);
	assert_int_equal(web->check.timeout_ns, 200 * NS_PER_MS);
	assert_int_equal(web->check.failure_threshold, 3);
	assert_int_equal(web->check.success_threshold, 4);
	assert_int_equal(dns->protocol, API_UDP);
	assert_string_equal(api_protocol_name(dns->protocol), "UDP");
	assert_int_equal(dns->check.kind, API_CHECK_TCP);
	assert_int_equal(dns->check.port, 54);
	assert_int_equal(plain->check.kind, API_CHECK_HTTP);
	assert_int_equal(plain->check.port, 80);
	assert_string_equal(plain->check.path, "/");
	api_vip_free(v);
}

static void test_creation_times(void **state)
{
	static const struct {
		const char *text;
		int64_t want_s;
	} rows[] = {
		{"'1970-01-01T00:00:00Z'", 0},
		{"'1970-01-01T00:00:01Z'", 1},
		{"'2000-02-29T12:00:00Z'", 951825600},
		{"'2000-03-01T00:00:00Z'", 951868800},
		{"'2026-12-31T23:59:59Z'", 1798761599},
		{"'2100-03-01T00:00:00Z'", 4107542400},
		{"'2026-01-02T03:04:05+01:00'", 0},
		{"'2026-01-02T03:04:05'", 0},
		{"'2026-13-02T03:04:05Z'", 0},
		{"'2026'", 0},
		{"''", 0},
		{"7", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *object = minimal_vip();
		struct api_vip *v;

		json_put(object, "metadata.creationTimestamp", rows[i].text);
		v = decode(object);
		assert_int_equal(v->created_s, rows[i].want_s);
		api_vip_free(v);
		json_decref(object);
	}
}

/* Each of these alone makes another spec of full_vip(). */
static const struct {
	const char *path, *value;
} changes[] = {
	{"spec.addresses[1]", "'10.0.0.3'"},
	{"spec.addresses[2]", "'10.0.0.3'"},
	{"spec.interface", "'bond1'"},
	{"spec.interface", NULL},
	{"spec.nodeSelector.matchLabels.edge", "'no'"},
	{"spec.nodeSelector.matchLabels.core", "'no'"},
	{"spec.vrrp.virtualRouterID", "5"},
	{"spec.vrrp.virtualRouterID", NULL},
	{"spec.vrrp.advertisementPeriodMilliseconds", "3000"},
	{"spec.vrrp.preemption", "'Preempt'"},
	{"spec.vrrp.preemptionDelayMilliseconds", "251"},
	{"spec.vrrp.transport", "'Multicast'"},
	{"spec.vrrp.authentication", NULL},
	{"spec.vrrp.authentication.passwordSecretRef.name", "'other'"},
	{"spec.vrrp.authentication.passwordSecretRef.key", "'other'"},
	{"spec.vrrp.priorities[0].priority", "98"},
	{"spec.vrrp.priorities[0].nodeName", "'node03'"},
	{"spec.vrrp.priorities[2]", "{'nodeName': 'node03', 'priority': 98}"},
	{"spec.realServers[0].weight", "4"},
	{"spec.realServers[0].address", "'10.0.0.53'"},
	{"spec.realServers", NULL},
	{"spec.ports[0].name", "'www'"},
	{"spec.ports[0].port", "444"},
	{"spec.ports[1].protocol", "'TCP'"},
	{"spec.ports[0].scheduler", "'lc'"},
	{"spec.ports[0].trafficDistribution", NULL},
	{"spec.ports[0].persistenceSeconds", "301"},
	{"spec.ports[0].healthCheck.httpGet.path", "'/down'"},
	{"spec.ports[0].healthCheck.httpGet.port", "8444"},
	{"spec.ports[0].healthCheck.httpGet.scheme", "'HTTP'"},
	{"spec.ports[0].healthCheck.httpGet.host", NULL},
	{"spec.ports[0].healthCheck.httpGet.httpHeaders", NULL},
	{"spec.ports[0].healthCheck.httpGet.httpHeaders[0].name", "'Y-Probe'"},
	{"spec.ports[0].healthCheck.httpGet.httpHeaders[0].value", "'vrrp'"},
	{"spec.ports[0].healthCheck.periodMilliseconds", "501"},
	{"spec.ports[0].healthCheck.timeoutMilliseconds", "201"},
	{"spec.ports[0].healthCheck.failureThreshold", "5"},
	{"spec.ports[0].healthCheck.successThreshold", "5"},
	{"spec.ports[1].healthCheck.tcpSocket.port", "55"},
	{"spec.ports[3]", "{'port': 81}"},
};

static void test_a_changed_spec_is_another(void **state)
{
	struct api_vip *v = decode_full();

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		json_t *object = full_vip();
		struct api_vip *other;

		json_put(object, changes[i].path, changes[i].value);
		other = decode(object);
		if (api_vip_spec_eq(v, other) || api_vip_spec_eq(other, v))
			fail_msg("%s makes no difference", changes[i].path);
		api_vip_free(other);
		json_decref(object);
	}
	api_vip_free(v);
}

/* Each of these leaves full_vip() what it is. */
static const struct {
	const char *path, *value;
} rewordings[] = {
	{"metadata.name", "'other'"},
	{"metadata.uid", "'other'"},
	{"metadata.generation", "8"},
	{"metadata.labels", "{'a': 'b'}"},
	{"status", "{}"},
	{"spec.ports[0].protocol", NULL},
	{"spec.ports[1].healthCheck.periodMilliseconds", "2000"},
	{"spec.ports[2].healthCheck.httpGet.path", "'/'"},
	{"spec.ports[2].scheduler", "'mh'"},
	{"spec.realServers", "[{'address': '10.0.0.51'}, {'address': '10.0.0.52', 'weight': 3}]"},
	{"spec.vrrp.priorities",
	 "[{'nodeName': 'node01', 'priority': 100}, {'nodeName': 'node02', 'priority': 99}]"},
	{"spec.nodeSelector",
	 "{'matchExpressions': [{'key': 'edge', 'operator': 'In', 'values': ['yes']}]}"},
};

static void test_a_reworded_spec_is_the_same(void **state)
{
	struct api_vip *v = decode_full();

	(void)state;
	for (size_t i = 0; i < sizeof(rewordings) / sizeof(rewordings[0]); i++) {
		json_t *object = full_vip();
		struct api_vip *other;

		json_put(object, rewordings[i].path, rewordings[i].value);
		other = decode(object);
		if (!api_vip_spec_eq(v, other))
			fail_msg("%s makes a difference", rewordings[i].path);
		api_vip_free(other);
		json_decref(object);
	}
	api_vip_free(v);
}

static void test_checks_are_ordered(void **state)
{
	struct api_vip *v = decode_full();
	const struct api_port *p = v->ports;

	(void)state;
	for (size_t i = 0; i < v->n_ports; i++) {
		for (size_t j = 0; j < v->n_ports; j++) {
			int d = api_check_cmp(&p[i].check, &p[j].check);

			assert_int_equal(api_check_eq(&p[i].check, &p[j].check), i == j);
			assert_int_equal(d == 0, i == j);
			assert_int_equal(d > 0, api_check_cmp(&p[j].check, &p[i].check) < 0);
		}
	}
	/* by port first */
	assert_true(api_check_cmp(&p[1].check, &p[2].check) < 0);
	api_vip_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_vrid),
		cmocka_unit_test(test_every_value),
		cmocka_unit_test(test_creation_times),
		cmocka_unit_test(test_a_changed_spec_is_another),
		cmocka_unit_test(test_a_reworded_spec_is_the_same),
		cmocka_unit_test(test_checks_are_ordered),
	};

	return cmocka_run_group_tests_name("api: VirtualIP, values", tests, NULL, NULL);
}
