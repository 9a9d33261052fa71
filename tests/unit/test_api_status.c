/* Status as the API server is told it, who tells it, and the patches that do. */
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

#define NOW "2026-01-02T03:04:05Z"
#define BEFORE "2026-01-01T00:00:00Z"

static void expect_json(json_t *got, const char *want_text)
{
	json_t *want = want_text ? json_from(want_text) : NULL;

	if (!json_equal(got, want) && (got || want)) {
		char *text = json_dumps(got, JSON_SORT_KEYS | JSON_ENCODE_ANY);

		print_error("got %s\n", text ? text : "nothing");
		free(text);
		fail_msg("wanted %s", want_text ? want_text : "nothing");
	}
	json_decref(got);
	json_decref(want);
}

/* ---- who writes ---- */

static void test_who_writes(void **state)
{
	static const struct api_participant three[] = {
		{"node01", false}, {"node02", true}, {"node03", true}};
	static const struct {
		const char *name, *self, *named;
		bool active, claimed, settled, no_members;
		enum api_write want;
	} rows[] = {
		{"an active node claims", "node02", "node03", true, false, false, false,
		 API_WRITE_OWN},
		{"and goes on writing", "node02", "node02", true, true, false, false,
		 API_WRITE_OWN},
		{"an active node whose name was cleared", "node02", "", true, true, false, false,
		 API_WRITE_OWN},
		{"but not while it is not Ready itself: that name is cleared again", "node01", "",
		 true, true, false, false, API_WRITE_NOTHING},
		{"though once, when it becomes active", "node01", "", true, false, false, false,
		 API_WRITE_OWN},
		{"a stale name is no other active node", "node02", "node01", true, true, false,
		 false, API_WRITE_OWN},
		{"it reads another's name afterwards", "node02", "node03", true, true, false, false,
		 API_WRITE_MULTIPLE},
		{"a backup leaves it to the active node", "node03", "node02", false, false, true,
		 false, API_WRITE_NOTHING},
		{"nobody is named: the first that is Ready", "node02", "", false, false, true,
		 false, API_WRITE_NOBODY},
		{"nobody is named: not the second", "node03", "", false, false, true, false,
		 API_WRITE_NOTHING},
		{"nobody is named: nor one that is not Ready", "node01", "", false, false, true,
		 false, API_WRITE_NOTHING},
		{"the named node is not Ready", "node02", "node01", false, false, true, false,
		 API_WRITE_NOBODY},
		{"the named node is not there", "node02", "node09", false, false, true, false,
		 API_WRITE_NOBODY},
		{"the named node is this one, since a moment ago not active", "node03", "node03",
		 false, false, false, false, API_WRITE_NOTHING},
		{"and is not named by another for seconds", "node03", "node03", false, false, true,
		 false, API_WRITE_NOBODY},
		{"no node is selected: the first of all", "node02", "", false, false, true, true,
		 API_WRITE_NOBODY},
		{"no node is selected: not the second", "node03", "", false, false, true, true,
		 API_WRITE_NOTHING},
		{"no node is selected any more", "node02", "node03", false, false, true, true,
		 API_WRITE_NOBODY},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct api_writing w = {
			.self = rows[i].self,
			.named = rows[i].named,
			.is_active = rows[i].active,
			.has_claimed = rows[i].claimed,
			.is_settled = rows[i].settled,
			.members = three,
			.n_members = rows[i].no_members ? 0 : ARRAY_LEN(three),
			.nodes = three,
			.n_nodes = ARRAY_LEN(three),
		};

		if (api_write_decide(&w) != rows[i].want)
			fail_msg("%s: %d", rows[i].name, api_write_decide(&w));
	}
}

/* ---- VirtualIP ---- */

static struct api_vip *vip_of(const char *addresses, const char *ports)
{
	char text[1024];
	struct api_vip *v = NULL;

	snprintf(
		text, sizeof(text),
		"{'apiVersion': 'vipd.io/v1alpha1', 'kind': 'VirtualIP', 'metadata': {'name': 'x'},"
		" 'spec': {'addresses': [%s], 'ports': [%s]}}",
		addresses, ports);
	json_t *object = json_from(text);

	assert_int_equal(api_vip_decode(object, &v, NULL), 0);
	json_decref(object);
	return v;
}

static struct api_vip_report report_of(const struct api_vip *v)
{
	return (struct api_vip_report){
		.vip = v,
		.generation = 3,
		.active_node = "node01",
		.transition_time = BEFORE,
		.interface = "eth0",
		.vrid = 4,
		.n_servers_healthy = 2,
		.n_servers = 2,
		.conditions = {[API_ACCEPTED] = {true, true, "Accepted", ""},
			       [API_READY] = {true, true, "Serving", NULL}},
	};
}

static void test_vip_status(void **state)
{
	struct api_vip *v = vip_of("'192.168.44.120', '192.168.44.121'",
				   "{'port': 22}, {'port': 53, 'protocol': 'UDP',"
				   " 'healthCheck': {'tcpSocket': {'port': 22}}}");
	struct api_vip_report r = report_of(v);

	(void)state;
	expect_json(
		api_vip_status(&r, NULL, NOW),
		"{'observedGeneration': 3, 'activeNode': 'node01',"
		" 'lastTransitionTime': '" BEFORE "', 'interface': 'eth0', 'virtualRouterID': 4,"
		" 'realServersHealthy': 2, 'realServersTotal': 2,"
		" 'summary': {'addresses': '192.168.44.120,192.168.44.121',"
		"  'ports': '22/TCP,53/UDP', 'realServers': '2/2'},"
		" 'conditions': [{'type': 'Accepted', 'status': 'True', 'observedGeneration': 3,"
		"   'lastTransitionTime': '" NOW "', 'reason': 'Accepted', 'message': ''},"
		"  {'type': 'Ready', 'status': 'True', 'observedGeneration': 3,"
		"   'lastTransitionTime': '" NOW "', 'reason': 'Serving', 'message': ''}]}");
	api_vip_free(v);
}

static void test_vip_status_again(void **state)
{
	struct api_vip *v = vip_of("'192.168.44.120'", "{'port': 22}");
	struct api_vip_report r = report_of(v);
	json_t *before = api_vip_status(&r, NULL, BEFORE);

	(void)state;
	/* the steady state needs no write, whatever the time is */
	json_t *after = api_vip_status(&r, before, NOW);

	expect_json(api_merge_patch(before, after), NULL);
	json_decref(after);
	/* only a status that changed has a new time */
	r.conditions[API_READY] =
		(struct api_condition){true, false, "NoHealthyRealServer", "sshd is away"};
	r.conditions[API_ACCEPTED].message = "other text";
	after = api_vip_status(&r, before, NOW);
	json_t *list = json_object_get(after, "conditions");

	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "lastTransitionTime")),
		BEFORE);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 1), "lastTransitionTime")),
		NOW);
	json_decref(after);
	/* no active node: the name goes, the time of the last transition stays */
	r.active_node = "";
	r.transition_time = NULL;
	r.interface = "";
	r.conditions[API_READY] = (struct api_condition){true, true, "Serving", NULL};
	r.conditions[API_ACCEPTED].message = "";
	after = api_vip_status(&r, before, NOW);
	expect_json(api_merge_patch(before, after), "{'activeNode': null, 'interface': null}");
	json_decref(after);
	/* a condition of somebody else's stays, one that is not set goes */
	json_array_append_new(json_object_get(before, "conditions"),
			      json_from("{'type': 'Theirs', 'status': 'True'}"));
	r.conditions[API_READY].is_set = false;
	after = api_vip_status(&r, before, NOW);
	list = json_object_get(after, "conditions");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "type")),
			    "Theirs");
	json_decref(after);
	json_decref(before);
	api_vip_free(v);
}

static void test_vip_status_multiple(void **state)
{
	json_t *before = json_from("{'activeNode': 'node02', 'conditions': ["
				   "{'type': 'Degraded', 'status': 'False',"
				   " 'lastTransitionTime': '" BEFORE "', 'reason': 'AllHealthy',"
				   " 'message': ''}, {'type': 'Ready', 'status': 'True'}]}");
	json_t *after = api_vip_status_multiple(before, 3, "node01 is active too", NOW);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(before, "conditions")), 2);
	expect_json(api_merge_patch(before, after),
		    "{'conditions': [{'type': 'Ready', 'status': 'True'},"
		    " {'type': 'Degraded', 'status': 'True', 'observedGeneration': 3,"
		    "  'lastTransitionTime': '" NOW "', 'reason': 'MultipleActive',"
		    "  'message': 'node01 is active too'}]}");
	struct api_condition said = {.is_set = false};

	assert_true(api_condition_get(after, API_DEGRADED, &said));
	assert_true(said.is_set && said.status);
	assert_string_equal(said.reason, API_MULTIPLE_ACTIVE);
	assert_string_equal(said.message, "node01 is active too");
	assert_false(api_condition_get(after, API_READY, &said)); /* it has no reason */
	assert_false(api_condition_get(NULL, API_READY, &said));
	json_t *again = api_vip_status_multiple(after, 3, "node01 is active too", BEFORE);

	expect_json(api_merge_patch(after, again), NULL);
	json_decref(again);
	json_decref(after);
	json_decref(before);
	expect_json(api_merge_patch(NULL, NULL), NULL);
}

/* ---- the state of a node ---- */

static void test_node_state(void **state)
{
	struct addr a;
	struct api_node_vip vips[] = {
		{.name = "a",
		 .generation = 2,
		 .role = "Active",
		 .priority = 100,
		 .interface = "eth0",
		 .transition_time = NOW,
		 .transition_reason = "Preempted",
		 .n_servers_healthy = 1,
		 .n_servers = 2,
		 .n_unhealthy = 1,
		 .n_unhealthy_all = 9,
		 .is_active = true},
		{.name = "b", .role = "NotRun", .reason = "NoInterface", .message = "none"},
	};

	(void)state;
	assert_int_equal(addr_parse("192.168.44.52", &a), 0);
	vips[0].unhealthy[0] = (struct api_unhealthy){&a, 22, API_TCP, "L4Refused", "refused"};
	expect_json(api_node_state("0.1.0", vips, ARRAY_LEN(vips)),
		    "{'agentVersion': '0.1.0', 'virtualIPsActive': 1, 'virtualIPsTotal': 2,"
		    " 'realServersUnhealthy': 9, 'virtualIPs': [{'name': 'a',"
		    "  'observedGeneration': 2, 'role': 'Active', 'priority': 100,"
		    "  'interface': 'eth0', 'lastTransitionTime': '" NOW "',"
		    "  'lastTransitionReason': 'Preempted', 'realServersHealthy': 1,"
		    "  'realServersTotal': 2, 'unhealthyRealServers': [{"
		    "   'address': '192.168.44.52', 'port': 22, 'protocol': 'TCP',"
		    "   'reason': 'L4Refused', 'message': 'refused'}]},"
		    " {'name': 'b', 'role': 'NotRun', 'reason': 'NoInterface', 'message': 'none',"
		    "  'realServersHealthy': 0, 'realServersTotal': 0}]}");
}

/* A thousand VIPs with eight bad servers each: the object stays small enough for the API server. */
static void test_node_state_limits(void **state)
{
	struct api_node_vip *vips = calloc(1000, sizeof(*vips));
	struct addr a;
	char long_text[400];
	size_t listed = 0, i;
	json_t *vip;

	(void)state;
	assert_non_null(vips);
	assert_int_equal(addr_parse("fd00::1", &a), 0);
	/* a character of two bytes lies across the limit */
	memset(long_text, 'x', sizeof(long_text));
	memcpy(long_text + 255, "\xc3\xa4", 2);
	long_text[sizeof(long_text) - 1] = '\0';
	for (i = 0; i < 1000; i++) {
		vips[i] =
			(struct api_node_vip){.name = "n", .role = "Backup", .message = long_text};
		vips[i].n_unhealthy = API_UNHEALTHY_PER_VIP;
		vips[i].n_unhealthy_all = 20;
		for (size_t u = 0; u < API_UNHEALTHY_PER_VIP; u++)
			vips[i].unhealthy[u] =
				(struct api_unhealthy){&a, 22, API_TCP, "L4Timeout", long_text};
	}
	json_t *o = api_node_state("0.1.0", vips, 1000);

	json_array_foreach(json_object_get(o, "virtualIPs"), i, vip)
	{
		listed += json_array_size(json_object_get(vip, "unhealthyRealServers"));
		assert_int_equal(json_string_length(json_object_get(vip, "message")), 255);
	}
	assert_int_equal(listed, API_UNHEALTHY_MAX);
	assert_int_equal(json_integer_value(json_object_get(o, "realServersUnhealthy")), 20000);
	json_decref(o);
	free(vips);
}

static void test_merge_patch(void **state)
{
	static const struct {
		const char *from, *to, *patch;
	} rows[] = {
		{"{}", "{}", NULL},
		{"{'a': 1}", "{'a': 1}", NULL},
		{"{}", "{'a': 1}", "{'a': 1}"},
		{"{'a': 1}", "{}", "{'a': null}"},
		{"{'a': {'b': 1, 'c': 2}}", "{'a': {'b': 1, 'c': 3}}", "{'a': {'c': 3}}"},
		{"{'a': {'b': 1}}", "{'a': {}}", "{'a': {'b': null}}"},
		{"{'a': [1, 2]}", "{'a': [1]}", "{'a': [1]}"},
		{"{'a': {'b': 1}}", "{'a': 'text'}", "{'a': 'text'}"},
		{"{'a': 'text'}", "{'a': {'b': 1}}", "{'a': {'b': 1}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *from = json_from(rows[i].from), *to = json_from(rows[i].to);

		expect_json(api_merge_patch(from, to), rows[i].patch);
		json_decref(from);
		json_decref(to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_writes),       cmocka_unit_test(test_vip_status),
		cmocka_unit_test(test_vip_status_again), cmocka_unit_test(test_vip_status_multiple),
		cmocka_unit_test(test_node_state),       cmocka_unit_test(test_node_state_limits),
		cmocka_unit_test(test_merge_patch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
