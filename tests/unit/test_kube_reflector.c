/* A reflector against a scripted API server: what it asks for, what it believes, what it delivers. */
#include "kube_server.h"

#define PATH "/apis/vipd.io/v1alpha1/virtualips"

static void on_object(void *user, const struct object_event *ev)
{
	static const char *const names[] = {"set", "gone", "synced", "bad", "good"};
	struct client *c = user;
	const char *version = json_string_value(
		json_object_get(json_object_get(ev->object, "metadata"), "resourceVersion"));

	client_log(c, "%s%s%s%s%s\n", names[ev->type], ev->name ? " " : "",
		   ev->name ? ev->name : "", version ? "@" : "", version ? version : "");
	if (ev->type == OBJECT_SET) {
		/* A whole object, also where a server's list leaves the type to the reader. */
		assert_string_equal(json_string_value(json_object_get(ev->object, "kind")),
				    ev->kind);
		assert_string_equal(json_string_value(json_object_get(ev->object, "apiVersion")),
				    "vipd.io/v1alpha1");
		assert_null(ev->problem);
	}
	if (ev->type == OBJECT_BAD)
		assert_true(ev->problem && ev->problem[0] && ev->origin);
}

static const struct kube_resource vips = {.path = PATH, .kind = "VirtualIP"};

/* One server, one reflector; `want` is all that has been delivered, at the end of it. */
static void play(const struct server_step *steps, size_t n, const char *want)
{
	struct server s;
	struct client c;
	struct kube_reflector *r;

	server_start(&s, 0, steps, n);
	client_start_at(&c, &s);
	assert_int_equal(kube_reflector_new(c.kube, &vips, on_object, &c, &r, NULL), 0);
	client_run(&c, want);
	kube_reflector_free(r);
	client_stop(&c);
	server_stop(&s);
	if (s.mismatch[0])
		fail_msg("%s", s.mismatch);
	assert_string_equal(c.log, want);
}

#define PLAY(steps, want) play(steps, ARRAY_LEN(steps), want)

#define META(name, uid, version)                                                                 \
	"\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\",\"resourceVersion\":\"" version \
	"\"}"
#define OBJECT(name, uid, version) \
	"{\"apiVersion\":\"vipd.io/v1alpha1\",\"kind\":\"VirtualIP\"," META(name, uid, version) "}"
#define BARE(name, uid, version) "{" META(name, uid, version) "}"
#define LIST(version, more, items)                                                       \
	"{\"apiVersion\":\"vipd.io/v1alpha1\",\"kind\":\"VirtualIPList\",\"metadata\":{" \
	"\"resourceVersion\":\"" version "\"" more "},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(version)                                          \
	EVENT("BOOKMARK", "{\"kind\":\"VirtualIP\",\"metadata\":{" \
			  "\"resourceVersion\":\"" version "\"}}")
#define EXPIRED "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}"

static void lists_pages_and_watches(void **state)
{
	static const struct server_step steps[] = {
		{.want = "GET " PATH "?limit=500 ",
		 .want_too = "User-Agent: vipd/test (linux/test)",
		 .body = LIST("10", ",\"continue\":\"to/ken==\"", BARE("a", "1", "5"))},
		/* No version with a token; the token is escaped. */
		{.want = "GET " PATH "?limit=500&continue=to%2Fken%3D%3D ",
		 .body = LIST("11", "", OBJECT("b", "2", "6") "," OBJECT("c", "3", "7"))},
		/* Three events in one packet, of which one says nothing new. */
		{.want = "GET " PATH "?watch=1&resourceVersion=10&allowWatchBookmarks=true&"
			 "timeoutSeconds=",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .body = EVENT("MODIFIED", OBJECT("a", "1", "12"))
			 EVENT("MODIFIED", OBJECT("b", "2", "6"))
				 EVENT("DELETED", OBJECT("c", "3", "13"))},
	};

	(void)state;
	PLAY(steps, "set a@5\nset b@6\nset c@7\nsynced\nset a@12\ngone c\n");
}

static void asks_for_what_it_was_told(void **state)
{
	static const struct server_step steps[] = {
		{.want = "GET "
			 "/api/v1/namespaces/n/"
			 "secrets?limit=500&fieldSelector=metadata.name%3Dvipd%20vrrp&"
			 "labelSelector=a%2Cb ",
		 .want_too = "Accept: application/json\r\n",
		 .body = "{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"metadata\":{"
			 "\"resourceVersion\":\"3\"},\"items\":null}"},
		{.want = "&fieldSelector=metadata.name%3Dvipd%20vrrp&labelSelector=a%2Cb ",
		 .is_stream = true,
		 .after = AFTER_HOLD},
	};
	const struct kube_resource resource = {
		.path = "/api/v1/namespaces/n/secrets",
		.kind = "Secret",
		.field_selector = "metadata.name=vipd vrrp",
		.label_selector = "a,b",
	};
	struct server s;
	struct client c;
	struct kube_reflector *r;
	struct kube_reflector_stats stats;

	(void)state;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	client_start_at(&c, &s);
	assert_int_equal(kube_reflector_new(c.kube, &resource, on_object, &c, &r, NULL), 0);
	kube_reflector_stats(r, &stats);
	assert_false(stats.is_synced || stats.is_watching);
	do {
		(void)loop_run_once(c.loop, NS_PER_S);
		kube_reflector_stats(r, &stats);
	} while (!stats.is_watching);
	assert_string_equal(c.log, "synced\n");
	assert_true(stats.is_synced && stats.contact_ns && !stats.problem && stats.n_objects == 0);
	assert_string_equal(stats.resource_version, "3");
	kube_reflector_free(r);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

static void a_watch_in_single_bytes(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit", .body = LIST("10", "", "")},
		{.want = "watch=1",
		 .is_stream = true,
		 .piece = 1,
		 .body = EVENT("ADDED", OBJECT("a", "1", "11")) BOOKMARK("12")
			 EVENT("MODIFIED", OBJECT("a", "1", "13"))},
		/* The end of a watch is no event; the next one goes on. */
		{.want = "watch=1&resourceVersion=13",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .piece = 3,
		 .body = EVENT("DELETED", OBJECT("a", "1", "14"))},
	};

	(void)state;
	PLAY(steps, "synced\nset a@11\nset a@13\ngone a\n");
}

static void another_uid_is_another_object(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit",
		 .body = LIST("10", "", OBJECT("a", "1", "5") "," OBJECT("b", "2", "6"))},
		{.want = "watch=1",
		 .is_stream = true,
		 .body = EVENT("MODIFIED", OBJECT("a", "9", "11"))
		 /* Of the one that was there before. */
		 EVENT("DELETED", OBJECT("a", "1", "12"))},
		{.want = "watch=1&resourceVersion=12",
		 .is_stream = true,
		 .body = EVENT("ERROR", EXPIRED)},
		{.want = "?resourceVersion=12 ", .body = LIST("20", "", OBJECT("b", "8", "15"))},
		{.want = "watch=1&resourceVersion=20", .is_stream = true, .after = AFTER_HOLD},
	};

	(void)state;
	PLAY(steps, "set a@5\nset b@6\nsynced\ngone a\nset a@11\ngone b\nset b@15\ngone a\n");
}

static void expired_everywhere(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit", .body = LIST("10", "", OBJECT("a", "1", "5"))},
		/* In the stream, by HTTP, for a list at a version, for the second page. */
		{.want = "watch=1", .is_stream = true, .body = EVENT("ERROR", EXPIRED)},
		{.want = "?resourceVersion=10 ", .status = 410, .body = EXPIRED},
		{.want = "?limit=500 ",
		 .body = LIST("30", ",\"continue\":\"t\"", OBJECT("a", "1", "5"))},
		{.want = "?limit=500&continue=t ", .status = 410, .body = EXPIRED},
		{.want = "GET " PATH " ", .body = LIST("31", "", OBJECT("b", "2", "31"))},
		{.want = "watch=1&resourceVersion=31", .status = 410, .body = EXPIRED},
		{.want = "?resourceVersion=31 ",
		 .status = 504,
		 .body = "{\"kind\":\"Status\",\"reason\":\"Timeout\",\"code\":504,\"message\":"
			 "\"Timeout: "
			 "Too large resource version: 31, current: "
			 "3\",\"details\":{\"retryAfterSeconds\":1,"
			 "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}"},
		{.want = "?limit=500 ", .body = LIST("40", "", OBJECT("c", "3", "40"))},
		{.want = "watch=1&resourceVersion=40", .is_stream = true, .after = AFTER_HOLD},
	};

	(void)state;
	PLAY(steps, "set a@5\nsynced\nset b@31\ngone a\nset c@40\ngone b\n");
}

/* Whatever comes instead of a list: the object stays. */
static void nothing_but_a_list_takes_away(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit", .body = LIST("10", "", OBJECT("a", "1", "5"))},
		{.want = "watch=1", .is_stream = true, .after = AFTER_CUT, .body = BOOKMARK("11")},
		{.want = "watch=1&resourceVersion=11",
		 .status = 502,
		 .body = "<html><h1>Bad Gateway</h1></html>"},
		{.want = "?resourceVersion=11 ", .status = 500, .body = "{\"kind\":\"Status\"}"},
		{.want = "?resourceVersion=11 ", .status = 401, .body = "Unauthorized"},
		{.want = "?resourceVersion=11 ", .body = ""},
		{.want = "?resourceVersion=11 ", .body = "<html>200 and yet no list</html>"},
		{.want = "?resourceVersion=11 ", .body = "[]"},
		{.want = "?resourceVersion=11 ", .body = "{}"},
		{.want = "?resourceVersion=11 ",
		 .body = "{\"kind\":\"NodeList\",\"metadata\":{\"resourceVersion\":\"1\"},"
			 "\"items\":[]}"},
		{.want = "?resourceVersion=11 ",
		 .body = "{\"kind\":\"VirtualIPList\",\"metadata\":{},\"items\":[]}"},
		{.want = "?resourceVersion=11 ",
		 .body = "{\"kind\":\"VirtualIPList\",\"metadata\":{\"resourceVersion\":\"1\"}}"},
		{.want = "?resourceVersion=11 ",
		 .body = LIST("12", "", "{\"metadata\":{\"name\":\"b\"}}")},
		{.want = "?resourceVersion=11 ",
		 .body = LIST("12", "", "{\"kind\":\"Node\"," META("b", "2", "2") "}")},
		{.want = "?resourceVersion=11 ", .body = LIST("12", "", ""), .after = AFTER_CUT},
		{.want = "?resourceVersion=11 ",
		 .status = 429,
		 .headers = "Retry-After: 0\r\n",
		 .body = "too many requests"},
		{.want = "?resourceVersion=11 ", .body = LIST("12", "", OBJECT("a", "1", "12"))},
		{.want = "watch=1&resourceVersion=12", .is_stream = true, .after = AFTER_HOLD},
	};

	(void)state;
	PLAY(steps, "set a@5\nsynced\nset a@12\n");
}

static void refusals_are_told(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit",
		 .status = 403,
		 .body = "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\",\"message\":"
			 "\"no\"}"},
		{.want = "?limit",
		 .status = 403,
		 .body = "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\",\"message\":"
			 "\"no\"}"},
		/* A CRD that is not there: text, not a Status. */
		{.want = "?limit", .status = 404, .body = "404 page not found\n"},
		{.want = "?limit", .body = LIST("10", "", OBJECT("a", "1", "5"))},
		{.want = "watch=1", .status = 404, .body = "404 page not found\n"},
		{.want = "?resourceVersion=10", .body = LIST("11", "", "")},
		{.want = "watch=1&resourceVersion=11", .is_stream = true, .after = AFTER_HOLD},
	};

	(void)state;
	PLAY(steps, "bad\nbad\nset a@5\nsynced\ngone a\ngood\n");
}

static struct kube_config *config_at(const struct server *s, const char *token)
{
	struct kube_config *config = calloc(1, sizeof(*config));
	char url[64];

	assert_non_null(config);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", s->port);
	assert_int_equal(kube_config_set_servers(config, url, NULL), 0);
	config->token.data.bytes = strdup(token);
	config->token.data.len = strlen(token);
	return config;
}

static void read_again_from_another_server(void **state)
{
	static const struct server_step before[] = {
		{.want = "?limit",
		 .body = LIST("10", "", OBJECT("a", "1", "5") "," OBJECT("b", "2", "6"))},
		{.want = "watch=1", .is_stream = true, .after = AFTER_HOLD},
		/* With a configuration that is none, everything is as it was. */
		{.want = "?limit=500 ", .body = LIST("10", "", OBJECT("b", "2", "9"))},
		{.want = "watch=1",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .body = EVENT("MODIFIED", OBJECT("b", "2", "11"))},
	};
	static const struct server_step after[] = {
		{.want = "?limit=500 ",
		 .want_too = "Authorization: Bearer new\r\n",
		 .body = LIST("3", "", OBJECT("c", "3", "3"))},
		{.want = "watch=1&resourceVersion=3",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .body = EVENT("DELETED", OBJECT("c", "3", "4"))},
	};
	struct server old, new;
	struct client c;
	struct kube_reflector *r;
	struct kube_reflector_stats stats;
	struct kube_config *config;
	struct verr e = {0};

	(void)state;
	server_start(&old, 0, before, ARRAY_LEN(before));
	server_start(&new, 0, after, ARRAY_LEN(after));
	client_start_at(&c, &old);
	assert_int_equal(kube_reflector_new(c.kube, &vips, on_object, &c, &r, NULL), 0);
	do {
		(void)loop_run_once(c.loop, NS_PER_S);
		kube_reflector_stats(r, &stats);
	} while (!stats.is_watching);
	config = config_at(&new, "no token");
	assert_int_equal(kube_reconfigure(c.kube, config, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "holds no token"));
	kube_config_free(config);
	kube_reflector_relist(r);
	client_run(&c, "set b@11\n");
	assert_int_equal(kube_reconfigure(c.kube, config_at(&new, "new"), &e), 0);
	kube_reflector_relist(r);
	client_run(&c, "gone c\n");
	kube_reflector_free(r);
	client_stop(&c);
	server_stop(&old);
	server_stop(&new);
	assert_string_equal(old.mismatch, "");
	assert_string_equal(new.mismatch, "");
	assert_string_equal(c.log, "set a@5\nset b@6\nsynced\nset b@9\ngone a\nset b@11\n"
				   "set c@3\ngone b\ngone c\n");
}

static void nonsense_in_a_watch(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit", .body = LIST("10", "", OBJECT("a", "1", "5"))},
		/* An unknown type: what follows it is not believed. */
		{.want = "watch=1",
		 .is_stream = true,
		 .body = EVENT("RENAMED", OBJECT("a", "1", "11"))
			 EVENT("DELETED", OBJECT("a", "1", "12"))},
		{.want = "?resourceVersion=10 ", .body = LIST("13", "", OBJECT("a", "1", "5"))},
		{.want = "watch=1&resourceVersion=13", .is_stream = true, .body = "garbage"},
		{.want = "?resourceVersion=13 ", .body = LIST("14", "", OBJECT("a", "1", "5"))},
		{.want = "watch=1&resourceVersion=14",
		 .is_stream = true,
		 .body = EVENT("ERROR",
			       "{\"code\":500,\"reason\":\"InternalError\",\"message\":\"etcd\"}")},
		{.want = "?resourceVersion=14 ", .body = LIST("15", "", OBJECT("a", "1", "5"))},
		/* Another kind is passed over, its version as well. */
		{.want = "watch=1&resourceVersion=15",
		 .is_stream = true,
		 .body = EVENT("DELETED", "{\"kind\":\"Node\"," META("a", "1", "99") "}")},
		{.want = "watch=1&resourceVersion=15",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .body = EVENT("MODIFIED", OBJECT("a", "1", "16"))},
	};

	(void)state;
	PLAY(steps, "set a@5\nsynced\nset a@16\n");
}

static void overload_of_a_watch(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit",
		 .status = 429,
		 .headers = "Retry-After: 1\r\nConnection: close\r\n",
		 .body = "The apiserver is shutting down, please try again later.\n"},
		{.want = "?limit", .body = LIST("10", "", "")},
		/* The same watch again, no list. */
		{.want = "watch=1&resourceVersion=10",
		 .status = 503,
		 .headers = "Retry-After: 1\r\n"},
		{.want = "watch=1&resourceVersion=10",
		 .is_stream = true,
		 .body = EVENT("ERROR", "{\"code\":429,\"details\":{\"retryAfterSeconds\":1}}")},
		{.want = "watch=1&resourceVersion=10",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .body = EVENT("ADDED", OBJECT("a", "1", "11"))},
	};

	(void)state;
	PLAY(steps, "synced\nset a@11\n");
}

static void an_object_of_2_MB(void **state)
{
	const size_t size = 2u << 20;
	AUTO(free_p) char *text = malloc(size + 1);
	AUTO(free_p) char *object = NULL;
	AUTO(free_p) char *list = NULL;
	AUTO(free_p) char *event = NULL;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', size);
	text[size] = '\0';
	assert_true(asprintf(&object,
			     "{\"apiVersion\":\"vipd.io/v1alpha1\",\"kind\":\"VirtualIP\",%s,"
			     "\"x\":\"%s\"}",
			     META("a", "1", "5"), text) > 0);
	assert_true(
		asprintf(&list,
			 "{\"kind\":\"VirtualIPList\",\"metadata\":{\"resourceVersion\":\"10\"},"
			 "\"items\":[%s]}",
			 object) > 0);
	memcpy(strstr(object, "\"5\""), "\"6\"", 3);
	assert_true(asprintf(&event, "{\"type\":\"MODIFIED\",\"object\":%s}\n", object) > 0);

	const struct server_step steps[] = {
		{.want = "?limit", .body = list},
		{.want = "watch=1",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .piece = 10000,
		 .body = event},
	};

	PLAY(steps, "set a@5\nsynced\nset a@6\n");
}

/* A NUL within a string cannot wedge a stream. */
static void a_nul_in_a_string(void **state)
{
	static const struct server_step steps[] = {
		{.want = "?limit", .body = LIST("10", "", "")},
		{.want = "watch=1",
		 .is_stream = true,
		 .after = AFTER_HOLD,
		 .body = EVENT("ADDED",
			       "{\"apiVersion\":\"vipd.io/v1alpha1\",\"kind\":\"VirtualIP\","
			       "\"x\":\"\\u0000\"," META("a", "1", "11") "}")},
	};

	(void)state;
	PLAY(steps, "synced\nset a@11\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_pages_and_watches),
		cmocka_unit_test(asks_for_what_it_was_told),
		cmocka_unit_test(a_watch_in_single_bytes),
		cmocka_unit_test(another_uid_is_another_object),
		cmocka_unit_test(expired_everywhere),
		cmocka_unit_test(nothing_but_a_list_takes_away),
		cmocka_unit_test(refusals_are_told),
		cmocka_unit_test(read_again_from_another_server),
		cmocka_unit_test(nonsense_in_a_watch),
		cmocka_unit_test(overload_of_a_watch),
		cmocka_unit_test(an_object_of_2_MB),
		cmocka_unit_test(a_nul_in_a_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
