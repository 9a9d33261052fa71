/* What is shipped as an example is valid, and says what it is meant to say. */
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

/* Paths are those of the repository, whose top is where the tests are run. */
static void load(const char *path, struct manifest_docs *docs)
{
	struct verr err = {0};

	if (manifest_load(path, docs, &err) < 0)
		fail_msg("%s: %s", path, err.msg);
}

static struct api_vip *load_vip(const char *path)
{
	struct manifest_docs docs = {0};
	struct api_problems problems = {0};
	struct api_vip *v = NULL;

	load(path, &docs);
	assert_int_equal(docs.n, 1);
	if (api_vip_decode(docs.items[0].object, &v, &problems) < 0)
		fail_msg("%s: %s: %s", path, problems.items[0].path, problems.items[0].msg);
	manifest_docs_done(&docs);
	return v;
}

static void check_example(const char *name, const char *address, uint8_t vrid, uint64_t advert_s,
			  uint16_t port, uint64_t timeout_s)
{
	char path[64], text[ADDR_TEXT_MAX];
	struct api_vip *v;

	(void)snprintf(path, sizeof(path), "deploy/examples/%s.yaml", name);
	v = load_vip(path);
	assert_string_equal(v->name, name);
	assert_int_equal(v->n_addresses, 1);
	assert_string_equal(addr_text(&v->addresses[0], text), address);
	assert_string_equal(v->interface, "eth0");
	assert_int_equal(v->node_selector.n_reqs, 0);
	assert_int_equal(v->vrid, vrid);
	assert_true(v->has_vrid);
	assert_int_equal(v->version, 2);
	assert_int_equal(v->advert_period_ns, advert_s * NS_PER_S);
	assert_true(v->has_auth);
	assert_string_equal(v->auth_secret, "vipd-vrrp");
	assert_string_equal(v->auth_key, "password");
	assert_int_equal(v->n_priorities, 2);
	assert_string_equal(v->priorities[0].node_name, "node01");
	assert_int_equal(v->priorities[0].priority, 100);
	assert_string_equal(v->priorities[1].node_name, "node02");
	assert_int_equal(v->priorities[1].priority, 99);
	assert_int_equal(v->n_real_servers, 0);
	assert_int_equal(v->n_ports, 1);
	assert_int_equal(v->ports[0].port, port);
	assert_int_equal(v->ports[0].protocol, API_TCP);
	assert_int_equal(v->ports[0].scheduler, API_SCHED_RR);
	assert_int_equal(v->ports[0].check.kind, API_CHECK_TCP);
	assert_int_equal(v->ports[0].check.port, port);
	assert_int_equal(v->ports[0].check.period_ns, 10 * NS_PER_S);
	assert_int_equal(v->ports[0].check.timeout_ns, timeout_s * NS_PER_S);
	api_vip_free(v);
}

static void test_vips(void **state)
{
	(void)state;
	check_example("glusterfs", "192.168.44.100", 2, 2, 24007, 10);
	check_example("kubernetes", "192.168.44.110", 3, 1, 10250, 10);
	check_example("ssh", "192.168.44.120", 4, 2, 22, 1);
}

static void test_secret(void **state)
{
	struct manifest_docs docs = {0};
	struct api_secret *s = NULL;
	const struct api_secret_entry *e;

	(void)state;
	load("deploy/examples/secret.yaml", &docs);
	assert_int_equal(docs.n, 1);
	assert_int_equal(api_secret_decode(docs.items[0].object, &s, NULL), 0);
	assert_string_equal(s->namespace_, "vipd-system");
	assert_string_equal(s->name, "vipd-vrrp");
	e = api_secret_get(s, "password");
	assert_non_null(e);
	assert_int_equal(e->len, 8);
	assert_memory_equal(e->bytes, "password", 8);
	api_secret_free(s);
	manifest_docs_done(&docs);
}

static void check_nodes(const char *path, const char *const addresses[2])
{
	static const char *const names[] = {"node01", "node02"};
	struct manifest_docs docs = {0};

	load(path, &docs);
	assert_int_equal(docs.n, 2);
	for (size_t i = 0; i < 2; i++) {
		struct api_node *n = NULL;
		char text[ADDR_TEXT_MAX];

		assert_int_equal(api_node_decode(docs.items[i].object, &n, NULL), 0);
		assert_string_equal(n->name, names[i]);
		assert_int_equal(n->n_internal_ips, 1);
		assert_string_equal(addr_text(&n->internal_ips[0], text), addresses[i]);
		assert_true(n->ready && !n->unschedulable);
		api_node_free(n);
	}
	manifest_docs_done(&docs);
}

static void test_nodes(void **state)
{
	static const char *const v4[] = {"192.168.44.51", "192.168.44.52"};
	static const char *const v6[] = {"fd00:44::51", "fd00:44::52"};

	(void)state;
	check_nodes("deploy/examples/standalone/nodes.yaml", v4);
	check_nodes("tests/guest/manifests/ipv6/nodes.yaml", v6);
}

static void test_ipv6(void **state)
{
	struct api_vip *v = load_vip("tests/guest/manifests/ipv6/ssh6.yaml");
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(v->n_addresses, 2);
	assert_string_equal(addr_text(&v->addresses[0], text), "fd00:44::120");
	assert_int_equal(v->version, 3);
	assert_false(v->has_auth);
	api_vip_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vips),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_ipv6),
	};

	return cmocka_run_group_tests_name("the examples", tests, NULL, NULL);
}
