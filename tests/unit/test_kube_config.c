/* Where the API server is: in a pod, by kubeconfig, by a list; and the credentials that go with it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kube/kube_internal.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/kube-config-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static const char *path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"token",  "ca.crt", "namespace",
					    "config", "a.crt",  "a.key"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

#define PEM(n) "-----BEGIN CERTIFICATE-----\n" n "\n-----END CERTIFICATE-----\n"

/* ---- base64 ---- */

static void base64(void **state)
{
	static const struct {
		const char *text, *want; /* want NULL: refused */
	} cases[] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg==", "foob"},
		{"Zm9v\nYmE=\n", "fooba"},
		{"+/+/", "\xfb\xff\xbf"},
		{"Z", NULL},
		{"Zg", NULL},
		{"Zg=", NULL},
		{"Zg===", NULL},
		{"====", NULL},
		{"Zg==Zg==", NULL},
		{"Z-__", NULL},
		{"Zm9v*", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_blob b = {0};
		int r = kube_base64_decode(cases[i].text, &b);

		if (r != (cases[i].want ? 0 : -EBADMSG))
			fail_msg("\"%s\": %d", cases[i].text, r);
		if (r == 0)
			assert_string_equal(b.bytes, cases[i].want);
		kube_blob_done(&b);
	}
}

/* ---- servers ---- */

static void server_lists(void **state)
{
	static const struct {
		const char *list;
		size_t want; /* 0: refused */
	} cases[] = {
		{"https://10.0.0.1:6443", 1},
		{"https://10.0.0.1:6443/", 1},
		{"https://a.example", 1},
		{"http://127.0.0.1:8001", 1},
		{"https://[fd00::1]:6443, https://[::1]", 2},
		{"https://a:1,https://b:2 , https://c:3/k8s/clusters/x", 3},
		{"", 0},
		{"10.0.0.1:6443", 0},
		{"ftp://a", 0},
		{"https://", 0},
		{"https://a:", 0},
		{"https://a:0", 0},
		{"https://a:65536", 0},
		{"https://a:6443x", 0},
		{"https://[10.0.0.1]:6443", 0},
		{"https://[fd00::1", 0},
		{"https://fd00::1:6443", 0},
		{"https://user@a", 0},
		{"https://a b", 0},
		{"https://a,", 0},
		{"https://a?x", 0},
		{"https://a/?x", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_config *c = calloc(1, sizeof(*c));
		struct verr e = {0};
		int r = kube_config_set_servers(c, cases[i].list, &e);

		if (r != (cases[i].want ? 0 : -EINVAL) || c->n_servers != cases[i].want)
			fail_msg("\"%s\": %d, %zu: %s", cases[i].list, r, c->n_servers, e.msg);
		assert_string_equal(kube_config_servers(c), r == 0 ? cases[i].list : "");
		kube_config_free(c);
	}
}

static void no_token_in_the_clear(void **state)
{
	static const struct {
		const char *list;
		bool is_good;
	} cases[] = {
		{"https://10.0.0.1:6443", true},
		{"http://127.0.0.1:8001", true},
		{"http://127.0.0.1/path", true},
		{"http://[::1]:8001", true},
		{"http://localhost", true},
		{"http://10.0.0.1:8001", false},
		{"http://[fd00::1]:8001", false},
		{"http://localhost.example", false},
		{"http://127.0.0.1.example:80", false},
		{"https://10.0.0.1:6443,http://10.0.0.2", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_config *c = calloc(1, sizeof(*c));
		struct verr e = {0};

		assert_int_equal(kube_config_set_servers(c, cases[i].list, &e), 0);
		assert_int_equal(kube_config_check(c, &e), 0);
		c->token.path = strdup("/token");
		if (kube_config_check(c, &e) != (cases[i].is_good ? 0 : -EPERM))
			fail_msg("%s: %s", cases[i].list, e.msg);
		kube_config_free(c);
	}
}

/* ---- in a pod ---- */

static void in_a_pod(void **state)
{
	struct kube_config *c;
	struct verr e = {0};

	(void)state;
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	(void)unsetenv("KUBERNETES_SERVICE_PORT");
	assert_int_equal(kube_config_load_in_cluster(dir, &c, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "not in a cluster"));
	assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1), 0);
	assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", "443", 1), 0);
	assert_int_equal(kube_config_load_in_cluster(dir, &c, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/token"));
	put("token", "abc\n");
	assert_int_equal(kube_config_load_in_cluster(dir, &c, &e), 0);
	assert_string_equal(kube_config_servers(c), "https://[fd00::1]:443");
	kube_config_free(c);
	assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1), 0);
	assert_int_equal(kube_config_load_in_cluster(dir, &c, &e), 0);
	assert_string_equal(kube_config_servers(c), "https://10.96.0.1:443");
	kube_config_free(c);
	assert_int_equal(
		setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1, fd00::1,[fd00::2],api.test", 1), 0);
	assert_int_equal(kube_config_load_in_cluster(dir, &c, &e), 0);
	assert_string_equal(kube_config_servers(c), "https://10.0.0.1:443,https://[fd00::1]:443,"
						    "https://[fd00::2]:443,https://api.test:443");
	assert_int_equal(c->n_servers, 4);
	kube_config_free(c);
	for (const char *const *bad = (const char *const[]){"10.0.0.1,", ",10.0.0.1", "a b", NULL};
	     *bad; bad++) {
		assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", *bad, 1), 0);
		if (kube_config_load_in_cluster(dir, &c, &e) != -EINVAL)
			fail_msg("\"%s\" is taken", *bad);
	}
	assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1), 0);
	assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", "x", 1), 0);
	assert_int_equal(kube_config_load_in_cluster(dir, &c, &e), -EINVAL);
}

/* The agent has a default of its own: "default" would be nobody's wish. */
static void namespace_of_the_pod(void **state)
{
	static const struct {
		const char *text; /* NULL: no such file */
		const char *want; /* NULL: none */
	} cases[] = {
		{NULL, NULL},           {"", NULL},
		{"\n", NULL},           {"kube-system", "kube-system"},
		{"vips\n", "vips"},     {"12345678901", "12345678901"},
		{"123456789012", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[12] = "untouched";
		int r;

		(void)unlink(path_of("namespace"));
		if (cases[i].text)
			put("namespace", cases[i].text);
		r = kube_pod_namespace(dir, buf, sizeof(buf));
		assert_int_equal(r, cases[i].want ? 0 : -ENOENT);
		assert_string_equal(buf, cases[i].want ? cases[i].want : "untouched");
	}
}

/* ---- which cluster it is ---- */

static uint32_t ca_hash(const char *ca)
{
	char path[128];
	const struct kube_config c = {.ca = {.path = path}};
	struct verr e = {0};
	uint32_t hash = 0;

	put("ca.crt", ca);
	(void)snprintf(path, sizeof(path), "%s", path_of("ca.crt"));
	if (kube_config_ca_hash(&c, &hash, &e) < 0)
		fail_msg("%s", e.msg);
	return hash;
}

static void the_ca_tells_the_cluster(void **state)
{
	char data[] = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
	const struct kube_config none = {.n_servers = 0};
	const struct kube_config in_line = {
		.ca = {.data = {.bytes = data, .len = sizeof(data) - 1}}};
	uint32_t one = ca_hash(data), hash;
	struct verr e = {0};

	(void)state;
	assert_int_equal(kube_config_ca_hash(&in_line, &hash, &e), 0);
	assert_int_equal(hash, one);
	/* as another tool would write it, and with the next CA behind it during a rotation */
	assert_int_equal(ca_hash("cluster\r\n-----BEGIN CERTIFICATE-----\r\nYW\r\nJj\r\n"
				 "-----END CERTIFICATE-----\r\n"
				 "-----BEGIN CERTIFICATE-----\nZGVm\n-----END CERTIFICATE-----\n"),
			 one);
	assert_int_not_equal(
		ca_hash("-----BEGIN CERTIFICATE-----\nYWJk\n-----END CERTIFICATE-----\n"), one);
	assert_int_equal(kube_config_ca_hash(&none, &hash, &e), -ENOENT);
}

/* ---- kubeconfig ---- */

#define FILE_OF(cluster, user)                                                          \
	"apiVersion: v1\nkind: Config\ncurrent-context: one\n"                          \
	"contexts:\n- name: one\n  context: {cluster: c, user: u, namespace: n}\n"      \
	"- name: two\n  context: {cluster: d}\n"                                        \
	"- name: three\n  context: {cluster: nowhere}\n"                                \
	"clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443\n" cluster \
	"- name: d\n  cluster: {server: 'http://127.0.0.1:8001/'}\n"                    \
	"users:\n- name: u\n  user:\n    {" user "}\n"

static int load(const char *text, const char *context, struct kube_config **ret, struct verr *e)
{
	put("config", text);
	return kube_config_load_file(path_of("config"), context, ret, e);
}

static void kubeconfig_fields(void **state)
{
	struct kube_config *c;
	struct verr e = {0};
	char want[128];

	(void)state;
	if (load(FILE_OF("    certificate-authority: pki/ca.crt\n    tls-server-name: kubernetes\n",
			 "client-certificate: /etc/a.crt, client-key-data: Zm9v, token: t, "
			 "tokenFile: token"),
		 NULL, &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(kube_config_servers(c), "https://10.0.0.1:6443");
	assert_string_equal(c->tls_server_name, "kubernetes");
	assert_false(c->is_insecure);
	(void)snprintf(want, sizeof(want), "%s/pki/ca.crt", dir);
	assert_string_equal(c->ca.path, want);
	assert_string_equal(c->cert.path, "/etc/a.crt");
	assert_string_equal(c->key.data.bytes, "foo");
	(void)snprintf(want, sizeof(want), "%s/token", dir);
	assert_string_equal(c->token.path, want);
	assert_null(c->token.data.bytes);
	kube_config_free(c);

	if (load(FILE_OF("    insecure-skip-tls-verify: true\n    certificate-authority: x\n"
			 "    certificate-authority-data: Zm9v\n",
			 "token: abc"),
		 "one", &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(c->is_insecure);
	assert_string_equal(c->ca.data.bytes, "foo");
	assert_null(c->ca.path);
	assert_string_equal(c->token.data.bytes, "abc");
	kube_config_free(c);

	/* Another context, without a user. */
	if (load(FILE_OF("", ""), "two", &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(c->servers[0], "http://127.0.0.1:8001");
	kube_config_free(c);
}

static void kubeconfig_refusals(void **state)
{
	static const struct {
		const char *text, *context;
		int want;
		const char *part;
	} cases[] = {
		{FILE_OF("", "exec: {command: aws}"), NULL, -ENOTSUP, "user.exec is not supported"},
		{FILE_OF("", "auth-provider: {name: gcp}"), NULL, -ENOTSUP, "user.auth-provider"},
		{FILE_OF("", "username: a"), NULL, -ENOTSUP, "user.username"},
		{FILE_OF("", "as: admin"), NULL, -ENOTSUP, "user.as "},
		{FILE_OF("    proxy-url: http://p\n", ""), NULL, -ENOTSUP, "cluster.proxy-url"},
		{FILE_OF("", "client-certificate: a"), NULL, -EBADMSG, "client-key is missing"},
		{FILE_OF("", "client-key: a"), NULL, -EBADMSG, "client-certificate is missing"},
		{FILE_OF("", "client-key-data: '*'"), NULL, -EBADMSG,
		 "client-key-data is not base64"},
		{FILE_OF("", ""), "four", -ENOENT, "no context \"four\""},
		{FILE_OF("", ""), "three", -ENOENT, "no cluster \"nowhere\""},
		{"contexts: []\n", NULL, -ENOENT, "current-context is not set"},
		{"a: [b\n", NULL, -EBADMSG, "config:2: "},
		{"", NULL, -EBADMSG, "empty"},
		{"current-context: a\ncontexts:\n- name: a\n  context: {cluster: c}\n"
		 "clusters:\n- name: c\n  cluster: {server: 'x:1'}\n",
		 NULL, -EINVAL, "must be a URL"},
		{"current-context: a\ncontexts:\n- name: a\n  context: {cluster: c}\n"
		 "clusters:\n- name: c\n  cluster: {}\n",
		 NULL, -EBADMSG, "cluster.server is missing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_config *c = NULL;
		struct verr e = {0};
		int r = load(cases[i].text, cases[i].context, &c, &e);

		if (r != cases[i].want || !strstr(e.msg, cases[i].part) || c)
			fail_msg("%zu: %d, %s", i, r, e.msg);
	}
}

static void kubeconfig_missing(void **state)
{
	struct kube_config *c;
	struct verr e = {0};

	(void)state;
	assert_int_equal(kube_config_load_file("/nonexistent/config", NULL, &c, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent/config: No such file"));
}

/* ---- credentials ---- */

#define S NS_PER_S

static void credentials_are_read_again(void **state)
{
	struct kube_config *c;
	struct kube_auth a;
	struct verr e = {0};

	(void)state;
	put("token", "one");
	put("ca.crt", PEM("one"));
	put("a.crt", PEM("crt one"));
	put("a.key", PEM("key one"));
	if (load(FILE_OF("    certificate-authority: ca.crt\n",
			 "client-certificate: a.crt, client-key: a.key, tokenFile: token"),
		 NULL, &c, &e) < 0 ||
	    kube_auth_init(&a, c, 1000 * S, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(a.token.bytes, "one");
	assert_string_equal(a.ca.bytes, PEM("one"));

	put("token", "two\n");
	put("ca.crt", PEM("two"));
	kube_auth_refresh(&a, 1059 * S);
	assert_string_equal(a.token.bytes, "one");
	kube_auth_refresh(&a, 1060 * S);
	assert_string_equal(a.token.bytes, "two");
	assert_string_equal(a.ca.bytes, PEM("one"));
	/* A certificate without its new key is not taken, nor what is no certificate. */
	put("a.crt", PEM("crt two"));
	put("a.key", "");
	kube_auth_refresh(&a, 1300 * S);
	assert_string_equal(a.ca.bytes, PEM("two"));
	assert_string_equal(a.cert.bytes, PEM("crt one"));
	put("a.key", PEM("key two"));
	/* Nor what is still being written. */
	put("ca.crt", PEM("three") "-----BEGIN CERTIFICATE-----\nfour\n");
	put("token", " \n");
	kube_auth_refresh(&a, 1600 * S);
	assert_string_equal(a.cert.bytes, PEM("crt two"));
	assert_string_equal(a.key.bytes, PEM("key two"));
	assert_string_equal(a.ca.bytes, PEM("two"));
	assert_string_equal(a.token.bytes, "two");
	/* Nor are 5 minutes waited for once the server is not trusted any more; of that one, too, once. */
	put("ca.crt", PEM("three"));
	kube_auth_distrusted(&a, 1599 * S);
	kube_auth_refresh(&a, 1601 * S);
	assert_string_equal(a.ca.bytes, PEM("two"));
	kube_auth_distrusted(&a, 1601 * S);
	kube_auth_refresh(&a, 1602 * S);
	assert_string_equal(a.ca.bytes, PEM("three"));
	/* A 401 to a request that had an older token says nothing of this one. */
	put("token", "three");
	kube_auth_refused(&a, 1599 * S);
	kube_auth_refresh(&a, 1601 * S);
	assert_string_equal(a.token.bytes, "two");
	kube_auth_refused(&a, 1600 * S);
	kube_auth_refresh(&a, 1602 * S);
	assert_string_equal(a.token.bytes, "three");
	kube_auth_done(&a);
	kube_config_free(c);
}

static void credentials_must_be_there_at_first(void **state)
{
	static const struct {
		const char *token, *ca;
		int want;
		const char *part;
	} cases[] = {
		{"", PEM("x"), -EBADMSG, "token: holds no token"},
		{"two words", PEM("x"), -EBADMSG, "token: holds no token"},
		{"tok\x01"
		 "en",
		 PEM("x"), -EBADMSG, "token: holds no token"},
		{"t", "nonsense", -EBADMSG, "ca.crt: holds no PEM block"},
		{"t", "-----BEGIN CERTIFICATE-----\nhalf", -EBADMSG, "ca.crt: holds no PEM block"},
		{"t", "-----BEGIN CERTIFICATE-----\nx\n-----END CERT", -EBADMSG,
		 "ca.crt: holds no PEM block"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_config *c;
		struct kube_auth a;
		struct verr e = {0};
		int r;

		put("token", cases[i].token);
		put("ca.crt", cases[i].ca);
		assert_int_equal(
			load(FILE_OF("    certificate-authority: ca.crt\n", "tokenFile: token"),
			     NULL, &c, &e),
			0);
		r = kube_auth_init(&a, c, S, &e);
		if (r != cases[i].want || !strstr(e.msg, cases[i].part))
			fail_msg("%zu: %d, %s", i, r, e.msg);
		kube_config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64),
		cmocka_unit_test(server_lists),
		cmocka_unit_test(no_token_in_the_clear),
		cmocka_unit_test_setup_teardown(in_a_pod, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(namespace_of_the_pod, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_ca_tells_the_cluster, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(kubeconfig_fields, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(kubeconfig_refusals, make_dir, remove_dir),
		cmocka_unit_test(kubeconfig_missing),
		cmocka_unit_test_setup_teardown(credentials_are_read_again, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(credentials_must_be_there_at_first, make_dir,
						remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
