/* Problems of an object: all of them at once, but not without end; texts that are fit to print. */
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

static void address_item(char *buf, size_t size, size_t i)
{
	(void)snprintf(buf, size, "'10.0.%zu.%zu'", i / 250, i % 250 + 1);
}

static void server_item(char *buf, size_t size, size_t i)
{
	(void)snprintf(buf, size, "{'address': '10.1.%zu.%zu'}", i / 250, i % 250 + 1);
}

static void port_item(char *buf, size_t size, size_t i)
{
	(void)snprintf(buf, size, "{'port': %zu}", i + 1);
}

static void priority_item(char *buf, size_t size, size_t i)
{
	(void)snprintf(buf, size, "{'nodeName': 'n%zu', 'priority': 100}", i);
}

static void test_lists_have_limits(void **state)
{
	static const struct {
		const char *path;
		void (*item)(char *buf, size_t size, size_t i);
		size_t max;
		const char *msg;
	} rows[] = {
		{"spec.addresses", address_item, 16, "has 17 items: must have at most 16"},
		{"spec.realServers", server_item, 256, "has 257 items: must have at most 256"},
		{"spec.ports", port_item, 32, "has 33 items: must have at most 32"},
		{"spec.vrrp.priorities", priority_item, 256,
		 "has 257 items: must have at most 256"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *object = minimal_vip();
		struct api_problems problems = {0};
		struct api_vip *v = NULL;
		char path[64], item[64];

		json_put(object, rows[i].path, "[]");
		for (size_t j = 0; j < rows[i].max; j++) {
			(void)snprintf(path, sizeof(path), "%s[%zu]", rows[i].path, j);
			rows[i].item(item, sizeof(item), j);
			json_put(object, path, item);
		}
		assert_int_equal(api_vip_decode(object, &v, NULL), 0);
		api_vip_free(v);
		v = NULL;
		(void)snprintf(path, sizeof(path), "%s[%zu]", rows[i].path, rows[i].max);
		rows[i].item(item, sizeof(item), rows[i].max);
		json_put(object, path, item);
		assert_int_equal(api_vip_decode(object, &v, &problems), -EINVAL);
		assert_null(v);
		assert_int_equal(problems.n, 1);
		assert_string_equal(problems.items[0].path, rows[i].path);
		assert_string_equal(problems.items[0].msg, rows[i].msg);
		api_problems_done(&problems);
		json_decref(object);
	}
}

static void test_all_problems_come_together(void **state)
{
	json_t *object = minimal_vip();
	struct api_problems problems = {0};
	struct api_vip *v = NULL;

	(void)state;
	json_put(object, "spec.addresses[0]", "'x'");
	json_put(object, "spec.vrrp.virtualRouterID", "256");
	json_put(object, "spec.ports[0].port", "70000");
	json_put(object, "spec.colour", "'red'");
	assert_int_equal(api_vip_decode(object, &v, &problems), -EINVAL);
	assert_int_equal(problems.n, 4);
	assert_string_equal(problems.items[0].path, "spec.colour");
	assert_string_equal(problems.items[1].path, "spec.addresses[0]");
	assert_string_equal(problems.items[2].path, "spec.vrrp.virtualRouterID");
	assert_string_equal(problems.items[3].path, "spec.ports[0].port");
	api_problems_done(&problems);
	assert_null(problems.items);

	/* at most so many; the rest waits for the next run */
	for (int i = 0; i < 40; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "spec.zzz%d", i);
		json_put(object, key, "1");
	}
	assert_int_equal(api_vip_decode(object, &v, &problems), -EINVAL);
	assert_int_equal(problems.n, API_PROBLEMS_MAX);
	api_problems_done(&problems);
	/* nobody has to listen */
	assert_int_equal(api_vip_decode(object, &v, NULL), -EINVAL);
	assert_null(v);
	json_decref(object);
}

static void test_long_text_is_cut(void **state)
{
	json_t *object = minimal_vip();
	struct api_problems problems = {0};
	struct api_vip *v = NULL;
	char longest[1001], key[1001];

	(void)state;
	/* two-byte characters, so that a cut in the middle of one would show */
	for (size_t i = 0; i + 1 < sizeof(longest); i += 2)
		memcpy(longest + i, "\xc3\xa4", 2);
	longest[1000] = 0;
	memset(key, 'k', sizeof(key));
	key[1000] = 0;
	json_object_set_new(json_object_get(object, "spec"), "interface", json_string(longest));
	json_object_set_new(json_object_get(object, "spec"), key, json_true());
	assert_int_equal(api_vip_decode(object, &v, &problems), -EINVAL);
	assert_int_equal(problems.n, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct api_problem *p = &problems.items[i];

		assert_true(strlen(p->path) < 80 && strlen(p->msg) < 180);
		assert_int_equal(utf8_valid_len((const uint8_t *)p->msg, strlen(p->msg)),
				 strlen(p->msg));
	}
	assert_non_null(strstr(problems.items[1].msg, "...\": must be the name"));
	api_problems_done(&problems);
	json_decref(object);
}

static void test_no_object_at_all(void **state)
{
	static const char *const texts[] = {"null", "7", "'x'", "[]", "{}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *object = json_from(texts[i]);
		struct api_problems problems = {0};
		struct api_vip *v = NULL;

		assert_int_equal(api_vip_decode(object, &v, &problems), -EINVAL);
		assert_true(problems.n >= 1);
		api_problems_done(&problems);
		json_decref(object);
	}
	struct api_vip *v = NULL;

	assert_int_equal(api_vip_decode(NULL, &v, NULL), -EINVAL);
	api_vip_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_have_limits),
		cmocka_unit_test(test_all_problems_come_together),
		cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_no_object_at_all),
	};

	return cmocka_run_group_tests_name("api: problems", tests, NULL, NULL);
}
