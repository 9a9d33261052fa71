/* JSON for the tests of api: written with few quotes, changed by path. */
#ifndef VIPD_TESTS_API_JSON_H
#define VIPD_TESTS_API_JSON_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* JSON with ' for ", which reads better in C. */
static inline json_t *json_from(const char *text)
{
	char *copy = strdup(text);
	json_error_t err;
	json_t *v;

	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	v = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, &err);
	if (!v)
		fail_msg("%s: %s", text, err.text);
	free(copy);
	return v;
}

static inline json_t *minimal_vip(void)
{
	return json_from(
		"{'apiVersion': 'vipd.io/v1alpha1', 'kind': 'VirtualIP',"
		" 'metadata': {'name': 'ssh'},"
		" 'spec': {'addresses': ['192.168.44.120'], 'vrrp': {}, 'ports': [{'port': 22}]}}");
}

/* Every field is there, but for httpGet where tcpSocket is. */
static inline json_t *full_vip(void)
{
	return json_from(
		"{'apiVersion': 'vipd.io/v1alpha1', 'kind': 'VirtualIP', 'metadata': {'name': "
		"'all',"
		" 'uid': '5f3c', 'generation': 7, 'creationTimestamp': '2026-01-02T03:04:05Z'},"
		" 'spec': {'addresses': ['10.0.0.9', '10.0.0.2'], 'interface': 'bond0',"
		"  'nodeSelector': {'matchLabels': {'edge': 'yes'}},"
		"  'vrrp': {'virtualRouterID': 4, 'version': 2, 'advertisementPeriodMilliseconds': "
		"2000,"
		"   'preemption': 'Never', 'preemptionDelayMilliseconds': 250, 'transport': "
		"'Unicast',"
		"   'authentication': {'passwordSecretRef': {'name': 'vipd-vrrp', 'key': "
		"'password'}},"
		"   'priorities': [{'nodeName': 'node02', 'priority': 99},"
		"    {'nodeName': 'node01', 'priority': 100}]},"
		"  'realServers': [{'address': '10.0.0.52', 'weight': 3}, {'address': "
		"'10.0.0.51'}],"
		"  'ports': [{'name': 'web', 'port': 443, 'protocol': 'TCP', 'scheduler': 'wlc',"
		"   'trafficDistribution': 'PreferSameNode', 'persistenceSeconds': 300,"
		"   'healthCheck': {'httpGet': {'path': '/up', 'port': 8443, 'scheme': 'HTTPS',"
		"     'host': 'www.example.org', 'httpHeaders': [{'name': 'X-Probe', 'value': "
		"'vipd'}]},"
		"    'periodMilliseconds': 500, 'timeoutMilliseconds': 200, 'failureThreshold': 3,"
		"    'successThreshold': 4}},"
		"   {'port': 53, 'protocol': 'UDP', 'healthCheck': {'tcpSocket': {'port': 54}}},"
		"   {'port': 80, 'healthCheck': {'httpGet': {}}}]},"
		" 'status': {'activeNode': 'node01'}}");
}

/* Puts value (JSON; NULL: removes) at a path like spec.ports[0].port; maps on the way are made. */
static inline void json_put(json_t *at, const char *path, const char *value)
{
	char part[128];

	for (;;) {
		size_t n = strcspn(path, ".[]");
		bool last;
		json_t *next;

		assert_true(n > 0 && n < sizeof(part));
		memcpy(part, path, n);
		part[n] = 0;
		path += n;
		path += *path == ']';
		last = !*path;
		path += !last;
		if (json_is_array(at)) {
			size_t idx = strtoul(part, NULL, 10);

			if (last) {
				assert_int_equal(
					idx < json_array_size(at)
						? json_array_set_new(at, idx, json_from(value))
						: json_array_append_new(at, json_from(value)),
					0);
				return;
			}
			at = json_array_get(at, idx);
		} else {
			if (last && !value) {
				assert_int_equal(json_object_del(at, part), 0);
				return;
			}
			next = json_object_get(at, part);
			if (last || !next) {
				assert_int_equal(json_object_set_new(
							 at, part, json_from(last ? value : "{}")),
						 0);
				next = json_object_get(at, part);
			}
			at = next;
			if (last)
				return;
		}
		assert_non_null(at);
	}
}

#endif
