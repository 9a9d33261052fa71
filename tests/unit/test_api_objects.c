/* Node and Secret, and which labels a selector selects. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api_json.h"

static json_t *minimal_node(void)
{
	return json_from("{'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': 'node01'},"
			 " 'status': {'addresses': []}}");
}

static json_t *minimal_secret(void)
{
	return json_from("{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 's'}}");
}

static void test_scopes(void **state)
{
	(void)state;
	assert_true(api_is_cluster_scoped("VirtualIP"));
	assert_true(api_is_cluster_scoped("VirtualIPNodeState"));
	assert_true(api_is_cluster_scoped("Node"));
	assert_false(api_is_cluster_scoped("Secret"));
	assert_false(api_is_cluster_scoped(""));
}

static void test_node(void **state)
{
	json_t *object = json_from(
		"{'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': 'node01', 'uid': 'u1',"
		"  'labels': {'kubernetes.io/hostname': 'node01', 'edge': ''}, 'annotations': {}},"
		" 'spec': {'podCIDR': '10.1.0.0/24', 'unschedulable': true, 'taints': [{}]},"
		" 'status': {'addresses': [{'type': 'Hostname', 'address': 'node01'},"
		"   {'type': 'InternalIP', 'address': '192.168.44.51'},"
		"   {'type': 'ExternalIP', 'address': '203.0.113.7'},"
		"   {'type': 'InternalIP', 'address': 'FD00:44::51'}],"
		"  'conditions': [{'type': 'MemoryPressure', 'status': 'False'},"
		"   {'type': 'Ready', 'status': 'True'}], 'nodeInfo': {'kernelVersion': '6.1'}}}");
	struct api_node *n = NULL;
	char buf[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(api_node_decode(object, &n, NULL), 0);
	assert_string_equal(n->name, "node01");
	assert_string_equal(n->uid, "u1");
	assert_int_equal(n->n_internal_ips, 2);
	assert_string_equal(addr_text(&n->internal_ips[0], buf), "192.168.44.51");
	assert_string_equal(addr_text(&n->internal_ips[1], buf), "fd00:44::51");
	assert_int_equal(n->n_labels, 2);
	assert_string_equal(n->labels[0].key, "kubernetes.io/hostname");
	assert_string_equal(n->labels[0].value, "node01");
	assert_string_equal(n->labels[1].key, "edge");
	assert_string_equal(n->labels[1].value, "");
	assert_true(n->unschedulable);
	assert_true(n->ready);
	api_node_free(n);
	json_decref(object);
}

static void test_node_readiness(void **state)
{
	static const struct {
		const char *conditions;
		bool ready;
	} rows[] = {
		{"[]", true},
		{"null", true},
		{"[{'type': 'Ready', 'status': 'True'}]", true},
		{"[{'type': 'Ready', 'status': 'False'}]", false},
		{"[{'type': 'Ready', 'status': 'Unknown'}]", false},
		{"[{'type': 'Ready'}]", false},
		{"[{'type': 'DiskPressure', 'status': 'False'}]", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *object = minimal_node();
		struct api_node *n = NULL;

		json_put(object, "status.conditions", rows[i].conditions);
		assert_int_equal(api_node_decode(object, &n, NULL), 0);
		assert_int_equal(n->ready, rows[i].ready);
		assert_false(n->unschedulable);
		api_node_free(n);
		json_decref(object);
	}
}

struct bad_row {
	const char *path, *value, *want_path, *want_msg;
};

static void check_bad(const struct bad_row *row, bool secret)
{
	json_t *object = secret ? minimal_secret() : minimal_node();
	struct api_problems problems = {0};
	struct api_node *n = NULL;
	struct api_secret *s = NULL;
	int r;

	json_put(object, row->path, row->value);
	r = secret ? api_secret_decode(object, &s, &problems)
		   : api_node_decode(object, &n, &problems);
	if (r != -EINVAL || problems.n != 1)
		fail_msg("%s = %s: returned %d with %zu problems", row->path, row->value, r,
			 problems.n);
	assert_true(!n && !s);
	assert_string_equal(problems.items[0].path, row->want_path);
	assert_string_equal(problems.items[0].msg, row->want_msg);
	api_problems_done(&problems);
	json_decref(object);
}

static void test_bad_nodes(void **state)
{
	static const struct bad_row rows[] = {
		{"apiVersion", "'v2'", "apiVersion", "\"v2\": must be v1"},
		{"kind", "'Pod'", "kind", "\"Pod\": must be Node"},
		{"metadata.name", NULL, "metadata.name", "is missing"},
		{"metadata.labels", "{'a': 1}", "metadata.labels.a",
		 "1: must be a string: put it in quotes"},
		{"metadata.labels", "['a']", "metadata.labels", "a list: must be a map"},
		{"spec", "7", "spec", "7: must be a map"},
		{"spec.unschedulable", "'yes'", "spec.unschedulable",
		 "\"yes\": must be true or false"},
		{"status", "'up'", "status", "\"up\": must be a map"},
		{"status.addresses", "{}", "status.addresses", "a map: must be a list"},
		{"status.addresses[0]", "'192.168.44.51'", "status.addresses[0]",
		 "\"192.168.44.51\": must be a map"},
		{"status.addresses[0]", "{'address': '192.168.44.51'}", "status.addresses[0].type",
		 "is missing"},
		{"status.addresses[0]", "{'type': 'InternalIP'}", "status.addresses[0].address",
		 "is missing"},
		{"status.addresses[0]", "{'type': 'InternalIP', 'address': '192.168.44.300'}",
		 "status.addresses[0].address", "\"192.168.44.300\": must be an IP address"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_bad(&rows[i], false);
}

static void assert_entry(const struct api_secret *s, const char *key, const char *want, size_t len)
{
	const struct api_secret_entry *e = api_secret_get(s, key);

	assert_non_null(e);
	assert_int_equal(e->len, len);
	assert_memory_equal(e->bytes, want, len);
}

static void test_secret(void **state)
{
	json_t *object = json_from(
		"{'apiVersion': 'v1', 'kind': 'Secret', 'type': 'Opaque', 'immutable': true,"
		" 'metadata': {'name': 'vipd-vrrp', 'namespace': 'vipd-system'},"
		" 'data': {'zero': '', 'one': 'AA==', 'two': 'AAE=', 'three': 'AAEC', 'both': "
		"'eA==',"
		"  'lines': 'cGFz\\nc3dv\\r\\ncmQ=\\n', 'high': '//79+w=='},"
		" 'stringData': {'password': 'p\\u00e4ss', 'both': 'y', 'nul': 'a\\u0000b'}}");
	struct api_secret *s = NULL;

	(void)state;
	assert_int_equal(api_secret_decode(object, &s, NULL), 0);
	assert_string_equal(s->name, "vipd-vrrp");
	assert_string_equal(s->namespace_, "vipd-system");
	assert_int_equal(s->n_entries, 9);
	assert_entry(s, "zero", "", 0);
	assert_entry(s, "one", "\0", 1);
	assert_entry(s, "two", "\0\1", 2);
	assert_entry(s, "three", "\0\1\2", 3);
	assert_entry(s, "lines", "password", 8);
	assert_entry(s, "high", "\xff\xfe\xfd\xfb", 4);
	assert_entry(s, "password", "p\xc3\xa4ss", 5);
	assert_entry(s, "both", "y", 1);
	assert_entry(s, "nul", "a\0b", 3);
	assert_null(api_secret_get(s, "Password"));
	api_secret_free(s);
	json_decref(object);

	object = minimal_secret();
	s = NULL;
	assert_int_equal(api_secret_decode(object, &s, NULL), 0);
	assert_string_equal(s->namespace_, "");
	assert_int_equal(s->n_entries, 0);
	assert_null(api_secret_get(s, "a"));
	api_secret_free(s);
	json_decref(object);
}

#define NOT_BASE64 "must be base64; plain text goes under stringData"

static void test_bad_secrets(void **state)
{
	static const struct bad_row rows[] = {
		{"metadata.namespace", "'A'", "metadata.namespace",
		 "\"A\": must be a DNS label: a-z, 0-9 and '-', letter or digit first and last, at "
		 "most 63"},
		{"data", "[]", "data", "must be a map"},
		{"stringData", "'password'", "stringData", "must be a map"},
		{"data.a", "'password!'", "data.a", NOT_BASE64},
		{"data.a", "'passwor'", "data.a", NOT_BASE64},
		{"data.a", "'A==='", "data.a", NOT_BASE64},
		{"data.a", "'===='", "data.a", NOT_BASE64},
		{"data.a", "'AA=A'", "data.a", NOT_BASE64},
		{"data.a", "'AA==AA=='", "data.a", NOT_BASE64},
		{"data.a", "'AA====='", "data.a", NOT_BASE64},
		{"data.a", "'AA======'", "data.a", NOT_BASE64},
		{"data.a", "'AB=='", "data.a", NOT_BASE64},
		{"data.a", "'AAF='", "data.a", NOT_BASE64},
		{"data.a", "'AA-_'", "data.a", NOT_BASE64},
		{"data.a", "'AA\\u0000AA='", "data.a", NOT_BASE64},
		{"data.a", "'AAAA\\u0000'", "data.a", NOT_BASE64},
		{"data.a", "7", "data.a", "must be a string: put it in quotes"},
		{"stringData.a", "12345678", "stringData.a", "must be a string: put it in quotes"},
		{"stringData.a", "null", "stringData.a", "must be a string"},
		{"stringData", "{'a b': 'c'}", "stringData[a b]",
		 "must be a key of a Secret: letters, digits, '-', '_' and '.', at most 253"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_bad(&rows[i], true);
}

static void test_a_secret_stays_secret(void **state)
{
	static const char *const values[] = {"'hunter2!'", "12345678", "['hunter2']",
					     "{'hunter2': 1}"};
	static const char *const places[] = {"data.a", "stringData.a", "data", "stringData"};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			json_t *object = minimal_secret();
			struct api_problems problems = {0};
			struct api_secret *s = NULL;

			json_put(object, places[i], values[j]);
			if (api_secret_decode(object, &s, &problems) == 0)
				api_secret_free(s);
			for (size_t k = 0; k < problems.n; k++)
				assert_true(!strstr(problems.items[k].msg, "hunter2") &&
					    !strstr(problems.items[k].msg, "1234"));
			api_problems_done(&problems);
			json_decref(object);
		}
	}
}

static const struct {
	const char *selector;
	bool matches; /* labels zone=a, edge="" */
} selections[] = {
	{"{}", true},
	{"{'matchLabels': {}}", true},
	{"{'matchLabels': {'zone': 'a'}}", true},
	{"{'matchLabels': {'zone': 'a', 'edge': ''}}", true},
	{"{'matchLabels': {'zone': 'b'}}", false},
	{"{'matchLabels': {'zone': 'a', 'gpu': 'yes'}}", false},
	{"{'matchExpressions': [{'key': 'zone', 'operator': 'In', 'values': ['b', 'a']}]}", true},
	{"{'matchExpressions': [{'key': 'zone', 'operator': 'In', 'values': ['b', 'c']}]}", false},
	{"{'matchExpressions': [{'key': 'gpu', 'operator': 'In', 'values': ['']}]}", false},
	{"{'matchExpressions': [{'key': 'zone', 'operator': 'NotIn', 'values': ['b']}]}", true},
	{"{'matchExpressions': [{'key': 'zone', 'operator': 'NotIn', 'values': ['a']}]}", false},
	{"{'matchExpressions': [{'key': 'gpu', 'operator': 'NotIn', 'values': ['a']}]}", true},
	{"{'matchExpressions': [{'key': 'edge', 'operator': 'Exists'}]}", true},
	{"{'matchExpressions': [{'key': 'gpu', 'operator': 'Exists'}]}", false},
	{"{'matchExpressions': [{'key': 'gpu', 'operator': 'DoesNotExist'}]}", true},
	{"{'matchExpressions': [{'key': 'edge', 'operator': 'DoesNotExist'}]}", false},
	{"{'matchLabels': {'zone': 'a'},"
	 " 'matchExpressions': [{'key': 'edge', 'operator': 'DoesNotExist'}]}",
	 false},
};

static void test_selectors(void **state)
{
	json_t *node = minimal_node();
	struct api_node *n = NULL;

	(void)state;
	json_put(node, "metadata.labels", "{'zone': 'a', 'edge': ''}");
	assert_int_equal(api_node_decode(node, &n, NULL), 0);
	for (size_t i = 0; i < sizeof(selections) / sizeof(selections[0]); i++) {
		json_t *object = minimal_vip();
		struct api_vip *v = NULL;

		json_put(object, "spec.nodeSelector", selections[i].selector);
		assert_int_equal(api_vip_decode(object, &v, NULL), 0);
		if (api_selector_matches(&v->node_selector, n->labels, n->n_labels) !=
		    selections[i].matches)
			fail_msg("%s", selections[i].selector);
		api_vip_free(v);
		json_decref(object);
	}
	api_node_free(n);
	json_decref(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_node),
		cmocka_unit_test(test_node_readiness),
		cmocka_unit_test(test_bad_nodes),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_bad_secrets),
		cmocka_unit_test(test_a_secret_stays_secret),
		cmocka_unit_test(test_selectors),
	};

	return cmocka_run_group_tests_name("api: Node, Secret, selectors", tests, NULL, NULL);
}
