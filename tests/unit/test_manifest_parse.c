/* Bytes of a file to documents: types, limits, and where an error stands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "manifest/manifest.h"

#define HEAD "kind: K\nmetadata: {name: n}\n"

/* In a heap block of exactly this size, so that reading past the end is seen. */
static int parse_bytes(const char *name, const void *bytes, size_t len, struct manifest_docs *ret,
		       struct verr *reterr)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);

	int r = manifest_parse(name, copy, len, ret, reterr);

	free(copy);
	return r;
}

static void assert_parses(const char *name, const char *text, struct manifest_docs *ret)
{
	struct verr e = {0};

	if (parse_bytes(name, text, strlen(text), ret, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
}

static void test_yaml_types(void **state)
{
	static const struct {
		const char *yaml, *json;
	} rows[] = {
		{"true", "true"},
		{"False", "false"},
		{"null", "null"},
		{"~", "null"},
		{"", "null"},
		{"\"\"", "\"\""},
		{"yes", "\"yes\""},
		{"No", "\"No\""},
		{"on", "\"on\""},
		{"off", "\"off\""},
		{"y", "\"y\""},
		{"0", "0"},
		{"-0", "0"},
		{"4", "4"},
		{"+4", "4"},
		{"-17", "-17"},
		{"0x1F", "31"},
		{"-0x1F", "-31"},
		{"010", "8"},
		{"0o10", "8"},
		{"0b101", "5"},
		{"08", "\"08\""},
		{"0x", "\"0x\""},
		{"1_000", "\"1_000\""},
		{"12:30", "\"12:30\""},
		{"2026-01-02", "\"2026-01-02\""},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "9.2233720368547758e18"},
		{"1.5", "1.5"},
		{"1.", "1.0"},
		{".5", "0.5"},
		{"1e3", "1000.0"},
		{"-1.5E-1", "-0.15"},
		{"1e", "\"1e\""},
		{".", "\".\""},
		{"-", NULL},
		{"+", "\"+\""},
		{"1.2.3.4", "\"1.2.3.4\""},
		{"192.168.44.100", "\"192.168.44.100\""},
		{"fe80::1", "\"fe80::1\""},
		{"'1'", "\"1\""},
		{"\"true\"", "\"true\""},
		{"\"a\\tb\\u00e4\"", "\"a\\tb\xc3\xa4\""},
		{"|\n  two\n  lines\n", "\"two\\nlines\\n\""},
		{">\n  one\n  line\n", "\"one line\\n\""},
		{"plain text # comment", "\"plain text\""},
		{"[1, a, true, ]", "[1,\"a\",true]"},
		{"{a: 1, b: {c: []}}", "{\"a\":1,\"b\":{\"c\":[]}}"},
		{"\n- 1\n- - 2\n  - 3\n", "[1,[2,3]]"},
		{"{1: a, true: b}", "{\"1\":\"a\",\"true\":\"b\"}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest_docs docs = {0};
		char text[256];

		(void)snprintf(text, sizeof(text), HEAD "v: %s\n", rows[i].yaml);
		if (!rows[i].json) {
			assert_int_equal(parse_bytes("a.yaml", text, strlen(text), &docs, NULL),
					 -EBADMSG);
			continue;
		}
		assert_parses("a.yaml", text, &docs);
		assert_int_equal(docs.n, 1);

		json_t *want = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);

		assert_non_null(want);
		if (!json_equal(json_object_get(docs.items[0].object, "v"), want))
			fail_msg("%s is not %s", rows[i].yaml, rows[i].json);
		json_decref(want);
		manifest_docs_done(&docs);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} rows[] = {
		{"d/a.yaml", HEAD "a: 1\nb: 2\na: 3\n", "d/a.yaml:5:1: duplicate key \"a\""},
		{"a.yaml", HEAD "a: &x 1\n", "a.yaml:3:4: anchors are not supported"},
		{"a.yaml", HEAD "a: &x {b: 1}\n", "a.yaml:3:4: anchors are not supported"},
		{"a.yaml", HEAD "a: *x\n", "a.yaml:3:4: aliases are not supported"},
		{"a.yaml", HEAD "*x : 1\n", "a.yaml:3:1: aliases are not supported"},
		{"a.yaml", HEAD "<<: {b: 1}\n", "a.yaml:3:1: merge keys are not supported"},
		{"a.yaml", HEAD "a: !!binary aGk=\n", "a.yaml:3:4: tags are not supported"},
		{"a.yaml", HEAD "a: !x [1]\n", "a.yaml:3:4: tags are not supported"},
		{"a.yaml", HEAD "a: .inf\n",
		 "a.yaml:3:4: no infinities and no NaN; quote it for a string"},
		{"a.yaml", HEAD "a: 1e999\n", "a.yaml:3:4: number out of range"},
		{"a.yaml", HEAD "a: \"x\\0y\"\n", "a.yaml:3:4: NUL characters are not supported"},
		{"a.yaml", HEAD "? [1]\n: 2\n", "a.yaml:3:3: a key must be a string"},
		{"a.yaml", HEAD "?\n: 2\n", "a.yaml:3:2: a key is missing"},
		{"a.yaml", HEAD "a: [1\n", NULL},
		{"a.yaml", HEAD "a: b: c\n",
		 "a.yaml:3:5: mapping values are not allowed in this context"},
		{"a.yaml", HEAD "\ta: 1\n", NULL},
		{"a.yaml", HEAD "a: \x01\n", "a.yaml:3:4: control characters are not allowed"},
		{"a.yaml", HEAD "# \xc3\xa4\xff\n", "a.yaml:3:4: not UTF-8 (byte 0xff)"},
		{"a.yaml",
		 "\xff\xfe"
		 "k\0",
		 "a.yaml:1:1: not UTF-8 (byte 0xff)"},
		{"a.yaml", "just text\n", "a.yaml:1:1: expected an object"},
		{"a.yaml", "---\n- a\n", "a.yaml:2:1: expected an object"},
		{"a.yaml", HEAD "---\nfoo: 1\n",
		 "a.yaml:4:1: kind: expected a name such as VirtualIP"},
		{"a.yaml", "a: 1\nkind: 4\n",
		 "a.yaml:2:1: kind: expected a name such as VirtualIP"},
		{"a.yaml", "kind: K\n", "a.yaml:1:1: metadata.name: expected a name"},
		{"a.yaml", "kind: K\nmetadata:\n  labels: {}\n  name: 4\n",
		 "a.yaml:4:3: metadata.name: expected a name"},
		{"a.yaml", "kind: K\nmetadata: {name: n, namespace: 4}\n",
		 "a.yaml:2:21: metadata.namespace: expected a string"},
		{"a.yaml", "kind: List\nitems:\n  a: 1\n", "a.yaml:2:1: items: expected an array"},
		{"a.yaml", "kind: List\nitems:\n- 4\n", "a.yaml:3:3: expected an object"},
		{"a.yaml", "%YAML 3.0\n--- {}\n", NULL},
		{"a.json", "[1]", "a.json:1:1: expected an object"},
		{"a.json", "{\"a\":1,\n \"a\":2}", NULL},
		{"a.json", "{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"}}\n x",
		 "a.json:2:2: expected an object"},
		{"a.json", "{\"kind\":\"K\",}", NULL},
		{"a.json", "{'kind':1}", NULL},
		{"a.json", "{\"a\":\"\\u0000\"}", NULL},
		{"a.json", "{\"a\":99999999999999999999}", NULL},
		{"a.json", "{\"a\":1e999}", NULL},
		{"a.json", "{\"a\":\"\xff\"}", "a.json:1:7: not UTF-8 (byte 0xff)"},
		{"a.json", "{\"a\": 1 // no\n}", NULL},
		{"a.json", "{\n\"kind\":\"K\"\n,\"metadata\":{}}",
		 "a.json:3:2: metadata.name: expected a name"},
		{"a.json", "{", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest_docs docs = {.n = 77};
		struct verr e = {0};
		int r = parse_bytes(rows[i].name, rows[i].text, strlen(rows[i].text), &docs, &e);

		if (r != -EBADMSG)
			fail_msg("%s: gave %d", rows[i].text, r);
		assert_int_equal(e.code, EBADMSG);
		assert_int_equal(docs.n, 77);
		if (rows[i].want && strcmp(e.msg, rows[i].want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", rows[i].text, e.msg, rows[i].want);

		/* Always file:line:column: text. */
		unsigned int line, column;

		assert_int_equal(sscanf(e.msg + strlen(rows[i].name), ":%u:%u: ", &line, &column),
				 2);
		assert_true(line >= 1 && column >= 1);
		assert_int_equal(
			parse_bytes(rows[i].name, rows[i].text, strlen(rows[i].text), &docs, NULL),
			-EBADMSG);
	}
}

static void test_json_error_lines(void **state)
{
	static const char two[] = "{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"}}\n"
				  "  {\"kind\":\"K\",\n\"a\":1,\n\"a\":2}";
	static const char same[] = "{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"}} {x}";
	struct manifest_docs docs;
	struct verr e;

	(void)state;
	assert_int_equal(parse_bytes("a.json", two, strlen(two), &docs, &e), -EBADMSG);
	assert_int_equal(strncmp(e.msg, "a.json:4:", 9), 0);
	assert_non_null(strstr(e.msg, "duplicate object key"));
	assert_int_equal(parse_bytes("a.json", same, strlen(same), &docs, &e), -EBADMSG);
	assert_int_equal(strncmp(e.msg, "a.json:1:39:", 12), 0);
}

static void test_documents(void **state)
{
	static const struct {
		const char *name, *text;
		unsigned int lines[4];
		size_t n;
	} rows[] = {
		{"a.yaml", "", {0}, 0},
		{"a.yaml", "# only a comment\n", {0}, 0},
		{"a.yaml", "---\n---\n\n---\n", {0}, 0},
		{"a.yaml", HEAD "---\n# c\n\n" HEAD "...\n---\n---\n" HEAD, {1, 6, 11}, 3},
		{"a.yml", "\xef\xbb\xbf" HEAD, {1}, 1},
		{"a.yaml", "%YAML 1.1\n---\n" HEAD, {3}, 1},
		{"a.yaml", "{\"kind\": \"K\", \"metadata\": {\"name\": \"n\"}}", {1}, 1},
		{"a.yaml",
		 "kind: List\nitems:\n- kind: K\n  metadata: {name: a}\n- kind: K\n"
		 "  metadata: {name: b}\n---\n" HEAD,
		 {3, 5, 8},
		 3},
		{"a.yaml", "kind: VirtualIPList\nitems: []\n", {0}, 0},
		{"a.json", " \n ", {0}, 0},
		{"a.json", "\xef\xbb\xbf{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"}}", {1}, 1},
		{"a.json",
		 "\n{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"}}{\"kind\":\"List\",\n\"items\":["
		 "\n"
		 "{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"}}]}",
		 {2, 4},
		 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest_docs docs = {0};

		assert_parses(rows[i].name, rows[i].text, &docs);
		if (docs.n != rows[i].n)
			fail_msg("%s: %zu documents", rows[i].text, docs.n);
		for (size_t k = 0; k < docs.n; k++)
			assert_int_equal(docs.items[k].line, rows[i].lines[k]);
		manifest_docs_done(&docs);
		assert_int_equal(docs.n, 0);
	}
}

static void test_lines(void **state)
{
	static const char yaml[] = "kind: K\n"
				   "metadata:\n"
				   "  name: n\n"
				   "  labels:\n"
				   "    a.b/c: x\n"
				   "    a: y\n"
				   "spec:\n"
				   "  ports:\n"
				   "  - name: a\n"
				   "    port: 1\n"
				   "  - name: b\n"
				   "    check: {x: 1,\n"
				   "      y: 2}\n"
				   "  list: [1,\n"
				   "    2]\n";
	static const char json[] = "{\"kind\": \"K\",\n"
				   "\"metadata\":\n"
				   "  {\"name\": \"n\",\n"
				   "  \"labels\": {\n"
				   "    \"a.b/c\": \"x,}\\\"\",\n"
				   "    \"a\": null}},\n"
				   "\"spec\": {\n"
				   "  \"ports\": [\n"
				   "  {\"name\": \"a\",\n"
				   "    \"port\": 1},\n"
				   "  {\"name\": \"b\",\n"
				   "    \"check\": {\"x\": 1,\n"
				   "      \"y\": 2}}],\n"
				   "  \"list\": [1,\n"
				   "    2]}}\n";
	static const struct {
		const char *path;
		unsigned int line;
	} rows[] = {
		{"", 1},
		{NULL, 1},
		{"kind", 1},
		{"metadata", 2},
		{"metadata.name", 3},
		{"metadata.nothing", 2},
		{"metadata.labels.a.b/c", 5},
		{"metadata.labels[a.b/c]", 5},
		{"metadata.labels[\"a.b/c\"]", 5},
		{"metadata.labels.a", 6},
		{"metadata.labels[", 4},
		{"metadata.name.deeper[3].x", 3},
		{"spec.ports", 8},
		{"spec.ports[0]", 9},
		{"spec.ports[0].port", 10},
		{"spec.ports[0].protocol", 9},
		{"spec.ports[1].check.y", 13},
		{"spec.ports[2].check.y", 8},
		{"spec.ports[99999999999999999999]", 8},
		{"spec.list[1]", 15},
		{"nothing.at.all", 1},
		{"...", 1},
		{"[0]", 1},
		{"]", 1},
	};

	(void)state;
	for (int is_json = 0; is_json < 2; is_json++) {
		struct manifest_docs docs = {0};

		assert_parses(is_json ? "a.json" : "a.yaml", is_json ? json : yaml, &docs);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			unsigned int line = manifest_line_of(&docs.items[0], rows[i].path);

			if (line != rows[i].line)
				fail_msg("%s: line %u", rows[i].path, line);
		}
		manifest_docs_done(&docs);
	}
}

static void test_list_items_have_their_own_lines(void **state)
{
	static const char text[] = "kind: List\nitems:\n- kind: K\n  metadata:\n    name: a\n"
				   "- kind: K\n  metadata:\n    name: b\n";
	struct manifest_docs docs = {0};

	(void)state;
	assert_parses("a.yaml", text, &docs);
	assert_int_equal(docs.n, 2);
	assert_int_equal(manifest_line_of(&docs.items[0], "metadata.name"), 5);
	assert_int_equal(manifest_line_of(&docs.items[1], "metadata.name"), 8);
	assert_int_equal(manifest_line_of(&docs.items[1], "spec"), 6);
	manifest_docs_done(&docs);
}

/* `n` times `unit` between a head and a tail, owned by the caller. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	size_t len = strlen(unit);
	char *text = malloc(strlen(head) + n * len + strlen(tail) + 1);
	char *p;

	assert_non_null(text);
	p = stpcpy(text, head);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, unit);
	(void)stpcpy(p, tail);
	return text;
}

static void assert_outcome(const char *name, char *text, int want, const char *message)
{
	struct manifest_docs docs = {0};
	struct verr e = {0};
	int r = parse_bytes(name, text, strlen(text), &docs, &e);

	if (r != want || (message && !strstr(e.msg, message)))
		fail_msg("gave %d \"%s\"", r, e.msg);
	if (r == 0)
		manifest_docs_done(&docs);
	free(text);
}

static void test_limits(void **state)
{
	static const char json_head[] = "{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"},\"v\":";
	static const char bomb[] = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
				   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n";
	char *deep;

	(void)state;
	/* The document is level 1, so 63 more fit. */
	deep = repeat(HEAD "v: ", "[", 63, "");
	assert_outcome("a.yaml", repeat(deep, "]", 63, "\n"), 0, NULL);
	free(deep);
	assert_outcome("a.yaml", repeat(HEAD "v: ", "[", 64, "\n"), -EBADMSG,
		       "a.yaml:3:67: nested deeper than 64");
	assert_outcome("a.yaml", repeat(HEAD "v: ", "{a: ", 100000, "\n"), -EBADMSG,
		       "nested deeper");
	deep = repeat(json_head, "[", 63, "");
	assert_outcome("a.json", repeat(deep, "]", 63, "}"), 0, NULL);
	free(deep);
	assert_outcome("a.json", repeat(json_head, "[", 64, ""), -EBADMSG, "nested deeper than 64");
	assert_outcome("a.json", repeat("", "[", 1000000, ""), -EBADMSG, "nested deeper than 64");
	assert_outcome("a.json", repeat("", "{\"a\":", 1000000, ""), -EBADMSG, "nested deeper");

	assert_outcome("a.yaml", repeat(HEAD "v: [", "a,", 250000, "]\n"), -EBADMSG,
		       "more than 250000 values");
	assert_outcome("a.json", repeat(json_head, "[],", 250000, "1]}"), -EBADMSG,
		       "more than 250000 values");
	/* Commas in a string are no values. */
	assert_outcome("a.json",
		       repeat("{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"},\"v\":\"\\\"", ",",
			      300000, "\"}"),
		       0, NULL);
	assert_outcome("a.yaml", repeat("", "---\n" HEAD, 10001, ""), -EBADMSG,
		       "a.yaml:30002:1: more than 10000 documents");
	assert_outcome("a.yaml", repeat("", "---\n" HEAD, 10000, ""), 0, NULL);

	assert_outcome("a.yaml", repeat(HEAD "#", "x", 8u << 20, ""), -EFBIG,
		       "a.yaml: larger than 8 MiB");
	assert_outcome("a.yaml", repeat(HEAD "#", "x", (8u << 20) - sizeof(HEAD), ""), 0, NULL);
	assert_outcome("a.yaml", repeat(HEAD, bomb, 1, ""), -EBADMSG,
		       "a.yaml:3:4: anchors are not supported");
}

/* Every prefix of a good file is a good file or a clean refusal, never a read past its end. */
static void test_truncation(void **state)
{
	static const char yaml[] = HEAD "a: [1, \"\\u00e4\", {b: |\n   x\n  }]\n---\n" HEAD
					"v:\n- 'it''s'\n- \xe2\x82\xac\n";
	static const char json[] =
		"{\"kind\":\"K\",\"metadata\":{\"name\":\"n\"},\"a\":[1.5e3,\"\\u00e4\",\n"
		"{\"b\":null,\"c\":\"\xe2\x82\xac\"}]}\n{\"kind\":\"K\"}";

	(void)state;
	for (int is_json = 0; is_json < 2; is_json++) {
		const char *text = is_json ? json : yaml;

		for (size_t len = 0; len <= strlen(text); len++) {
			struct manifest_docs docs = {0};
			struct verr e = {0};
			int r = parse_bytes(is_json ? "a.json" : "a.yaml", text, len, &docs, &e);

			assert_true(r == 0 || r == -EBADMSG);
			assert_int_equal(r == 0, e.code == 0);
			if (r == 0)
				manifest_docs_done(&docs);
		}
	}
}

static void test_load(void **state)
{
	char dir[] = "/tmp/vipd-test-load-XXXXXX";
	char path[64];
	struct manifest_docs docs = {0};
	struct verr e = {0};
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a.yaml", dir);
	assert_int_equal(manifest_load(path, &docs, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "a.yaml: No such file"));
	assert_int_equal(manifest_load(dir, &docs, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "not a regular file"));
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(manifest_load(path, &docs, &e), -EINVAL);
	assert_int_equal(unlink(path), 0);

	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(HEAD "v: 1\nv: 2\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(manifest_load(path, &docs, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "/a.yaml:4:1: duplicate key \"v\""));

	f = fopen(path, "we");
	assert_non_null(f);
	for (int i = 0; i < 30000; i++)
		assert_true(fputs("# filling\n", f) >= 0);
	assert_true(fputs(HEAD, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(manifest_load(path, &docs, &e), 0);
	assert_int_equal(docs.n, 1);
	assert_int_equal(docs.items[0].line, 30001);
	manifest_docs_done(&docs);

	/* The size of a file of zeros on disk is nothing; what counts is what would be read. */
	assert_int_equal(truncate(path, 10 << 20), 0);
	assert_int_equal(manifest_load(path, &docs, &e), -EFBIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml_types),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_json_error_lines),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_list_items_have_their_own_lines),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests_name("manifest_parse", tests, NULL, NULL);
}
