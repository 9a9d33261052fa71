/* The schema that the API server has (crd/) and the decoder that the agent has: one API, two guards. */
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
#include "manifest/manifest.h"
#include "api_json.h"

#define PATH_MAX_LEN 256

/* Calls fn for every property below the schema `s`; items of a list are at [0]. Counts them. */
typedef void (*visit_fn)(const char *path, const json_t *schema);

static size_t walk(const json_t *s, const char *path, visit_fn fn)
{
	const json_t *items = json_object_get(s, "items");
	size_t n = 0;
	char sub[PATH_MAX_LEN];
	const char *key;
	json_t *property;

	if (items) {
		(void)snprintf(sub, sizeof(sub), "%s[0]", path);
		fn(sub, items);
		return 1 + walk(items, sub, fn);
	}
	json_object_foreach(json_object_get(s, "properties"), key, property)
	{
		(void)snprintf(sub, sizeof(sub), "%s.%s", path, key);
		fn(sub, property);
		n += 1 + walk(property, sub, fn);
	}
	return n;
}

static size_t walk_spec(visit_fn fn)
{
	struct manifest_docs docs = {0};
	struct verr err = {0};
	const json_t *s;
	size_t n;

	if (manifest_load("crd/virtualips.yaml", &docs, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(docs.n, 1);
	s = json_object_get(docs.items[0].object, "spec");
	s = json_array_get(json_object_get(s, "versions"), 0);
	s = json_object_get(json_object_get(s, "schema"), "openAPIV3Schema");
	s = json_object_get(json_object_get(s, "properties"), "spec");
	n = walk(s, "spec", fn);
	manifest_docs_done(&docs);
	return n;
}

/* The first problem at `path` with `value` there; "" if there is none. */
static const char *problem_at(const char *path, const char *value)
{
	static struct api_problem found;
	struct api_problems problems = {0};
	struct api_vip *v = NULL;
	json_t *object = full_vip();

	/* what full_vip leaves out, so that every path has its parents */
	json_put(object, "spec.nodeSelector.matchExpressions",
		 "[{'key': 'a', 'operator': 'In', 'values': ['b']}]");
	if (strstr(path, "tcpSocket")) {
		json_put(object, "spec.ports[0].healthCheck.httpGet", NULL);
		json_put(object, "spec.ports[0].healthCheck.tcpSocket", "{}");
	}
	json_put(object, path, value);
	found.msg[0] = 0;
	if (api_vip_decode(object, &v, &problems) == 0)
		api_vip_free(v);
	for (size_t i = problems.n; i > 0; i--)
		if (strcmp(problems.items[i - 1].path, path) == 0)
			found = problems.items[i - 1];
	api_problems_done(&problems);
	json_decref(object);
	return found.msg;
}

static void check_known(const char *path, const json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type"));
	bool is_map = strcmp(type, "object") == 0;
	const char *msg = problem_at(path, is_map ? "[7]" : "{'x': 7}");

	if (!*msg || strstr(msg, "unknown field"))
		fail_msg("%s: the decoder does not know it (%s)", path, msg);
	if (!json_string_value(json_object_get(schema, "description")) && !strstr(path, "[0]"))
		fail_msg("%s: no description", path);
}

static void test_the_decoder_knows_every_field(void **state)
{
	(void)state;
	assert_true(walk_spec(check_known) > 40);
}

/* One step down the schema: `key` of an object, or NULL for an item. */
static void check_in_schema(const json_t *value, const json_t *schema, const char *path)
{
	char sub[PATH_MAX_LEN];
	const char *key;
	json_t *member;
	size_t i;

	if (!schema)
		fail_msg("%s: not in the schema", path);
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		const json_t *next = json_object_get(json_object_get(schema, "properties"), key);

		(void)snprintf(sub, sizeof(sub), "%s.%s", path, key);
		check_in_schema(member,
				next ? next : json_object_get(schema, "additionalProperties"), sub);
	}
	json_array_foreach(value, i, member)
	{
		(void)snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		check_in_schema(member, json_object_get(schema, "items"), sub);
	}
}

static void test_the_schema_knows_every_field(void **state)
{
	struct manifest_docs docs = {0};
	json_t *object = full_vip();
	const json_t *s;

	(void)state;
	assert_int_equal(manifest_load("crd/virtualips.yaml", &docs, NULL), 0);
	s = json_object_get(docs.items[0].object, "spec");
	s = json_array_get(json_object_get(s, "versions"), 0);
	s = json_object_get(json_object_get(s, "schema"), "openAPIV3Schema");
	check_in_schema(json_object_get(object, "spec"),
			json_object_get(json_object_get(s, "properties"), "spec"), "spec");
	json_decref(object);
	manifest_docs_done(&docs);
}

static void check_bounds(const char *path, const json_t *schema)
{
	json_int_t min, max;
	char value[32];

	if (strcmp(json_string_value(json_object_get(schema, "type")), "integer") != 0)
		return;
	if (!json_object_get(schema, "minimum") || !json_object_get(schema, "maximum"))
		fail_msg("%s: no bounds", path);
	min = json_integer_value(json_object_get(schema, "minimum"));
	max = json_integer_value(json_object_get(schema, "maximum"));
	(void)snprintf(value, sizeof(value), "%" JSON_INTEGER_FORMAT, min - 1);
	if (!*problem_at(path, value))
		fail_msg("%s: the decoder takes %s", path, value);
	(void)snprintf(value, sizeof(value), "%" JSON_INTEGER_FORMAT, max + 1);
	if (!*problem_at(path, value))
		fail_msg("%s: the decoder takes %s", path, value);
	(void)snprintf(value, sizeof(value), "%" JSON_INTEGER_FORMAT, max);
	if (*problem_at(path, value))
		fail_msg("%s: %s", path, problem_at(path, value));
	(void)snprintf(value, sizeof(value), "%" JSON_INTEGER_FORMAT, min);
	/* the least period is one of version 3, and full_vip has version 2 */
	if (*problem_at(path, value) && !strstr(problem_at(path, value), "with version 2"))
		fail_msg("%s: %s", path, problem_at(path, value));
}

static void check_words(const char *path, const json_t *schema)
{
	const json_t *words = json_object_get(schema, "enum");
	char want[200] = "\"Otherwise\": must be ";
	size_t n = json_array_size(words);

	if (!words)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *word = json_string_value(json_array_get(words, i));
		size_t len = strlen(want);

		(void)snprintf(want + len, sizeof(want) - len, "%s%s",
			       i == 0       ? ""
			       : i + 1 == n ? " or "
					    : ", ",
			       word);
	}
	assert_string_equal(problem_at(path, "'Otherwise'"), want);
}

static void test_bounds_and_words_agree(void **state)
{
	(void)state;
	(void)walk_spec(check_bounds);
	(void)walk_spec(check_words);
}

/* The default written out means what its absence means. */
static void check_default(const char *path, const json_t *schema)
{
	const json_t *value = json_object_get(schema, "default");
	json_t *bare = minimal_vip(), *explicit = minimal_vip();
	struct api_vip *a = NULL, *b = NULL;

	json_put(bare, "spec.realServers", "[{'address': '192.168.44.51'}]");
	json_put(explicit, "spec.realServers", "[{'address': '192.168.44.51'}]");
	if (strstr(path, "httpGet")) {
		json_put(bare, "spec.ports[0].healthCheck.httpGet", "{}");
		json_put(explicit, "spec.ports[0].healthCheck.httpGet", "{}");
	}
	if (value) {
		char *text = json_dumps(value, JSON_ENCODE_ANY);

		json_put(explicit, path, text);
		free(text);
		assert_int_equal(api_vip_decode(bare, &a, NULL), 0);
		assert_int_equal(api_vip_decode(explicit, &b, NULL), 0);
		if (!api_vip_spec_eq(a, b))
			fail_msg("%s: another default than the decoder's", path);
	}
	api_vip_free(a);
	api_vip_free(b);
	json_decref(bare);
	json_decref(explicit);
}

static void test_defaults_agree(void **state)
{
	(void)state;
	(void)walk_spec(check_default);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_decoder_knows_every_field),
		cmocka_unit_test(test_the_schema_knows_every_field),
		cmocka_unit_test(test_bounds_and_words_agree),
		cmocka_unit_test(test_defaults_agree),
	};

	return cmocka_run_group_tests_name("api: schema and decoder", tests, NULL, NULL);
}
