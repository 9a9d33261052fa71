/* Single requests and Events against a scripted API server; servers in turn; reports. */
#include "kube_server.h"

/* ---- requests ---- */

static void on_response(void *user, const struct kube_response *r)
{
	const char *name = json_string_value(json_object_get(r->body, "name"));

	client_log(user, "%d %s|%s|%s|%llu\n", r->status, name ? name : "-", r->reason, r->message,
		   (unsigned long long)(r->retry_after_ns / NS_PER_S));
}

static struct kube_call *ask(struct client *c, enum kube_method method, const char *path,
			     const char *json)
{
	json_auto_t *body = json ? json_loads(json, 0, NULL) : NULL;
	const struct kube_request request = {.method = method, .path = path, .body = body};
	struct kube_call *call;

	assert_int_equal(kube_request(c->kube, &request, on_response, c, &call), 0);
	return call;
}

static void requests_and_answers(void **state)
{
	static const struct server_step steps[] = {
		{.want = "GET /a?b=c HTTP/1.1\r\n", .body = "{\"name\":\"one\"}"},
		{.want = "POST /a HTTP/1.1\r\n",
		 .want_too = "Content-Type: application/json\r\n",
		 .status = 201,
		 .body = "{\"name\":\"two\"}"},
		/* Neither slashes nor what is beyond ASCII is escaped. */
		{.want = "PATCH /a/status HTTP/1.1\r\n",
		 .want_too = "\r\n\r\n{\"x\":\"a/b \xc3\xa9\"}",
		 .status = 409,
		 .body = "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"the object "
			 "has\\nbeen "
			 "modified\",\"code\":409}"},
		{.want = "Content-Type: application/merge-patch+json\r\n"},
		{.want = "DELETE /a HTTP/1.1\r\n", .status = 404, .body = "404 page not found\n"},
		{.want = "PUT /a HTTP/1.1\r\n",
		 .status = 429,
		 .headers = "retry-after:  7\r\n",
		 .body = "slowly\x01 please"},
		{.want = "GET /a ", .body = "not JSON"},
		{.want = "GET /a ", .status = 200, .after = AFTER_CUT, .body = "{}"},
	};
	struct server s;
	struct client c;

	(void)state;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	client_start_at(&c, &s);
	(void)ask(&c, KUBE_GET, "/a?b=c", NULL);
	client_run(&c, "200 one|||0\n");
	(void)ask(&c, KUBE_POST, "/a", "{\"name\":\"x\"}");
	client_run(&c, "201 two|||0\n");
	(void)ask(&c, KUBE_MERGE_PATCH, "/a/status", "{\"x\":\"a/b \xc3\xa9\"}");
	client_run(&c, "409 -|Conflict|409 Conflict: the object has been modified|0\n");
	(void)ask(&c, KUBE_MERGE_PATCH, "/a", "{}");
	client_run(&c, "200 -|||0\n");
	(void)ask(&c, KUBE_DELETE, "/a", NULL);
	client_run(&c, "404 -||404: 404 page not found|0\n");
	(void)ask(&c, KUBE_PUT, "/a", "{}");
	client_run(&c, "429 -||429: slowly please|7\n");
	c.log[0] = '\0';
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "200 -|||0\n");
	/* Cut off: it may have been done or not. */
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "\n0 -||");

	struct kube_stats stats;

	kube_stats(c.kube, &stats);
	assert_int_equal(stats.n_requests, 8);
	assert_int_equal(stats.n_answers[2], 5);
	assert_int_equal(stats.n_answers[4], 3);
	assert_int_equal(stats.n_failures, 1);
	assert_true(stats.contact_ns > 0);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

static void cancelled_and_lost_calls_say_nothing(void **state)
{
	struct server s;
	struct client c;
	struct kube_call *call;

	(void)state;
	server_start(&s, 0, NULL, 0); /* silent */
	client_start_at(&c, &s);
	call = ask(&c, KUBE_GET, "/a", NULL);
	client_run_for(&c, 20 * NS_PER_MS);
	kube_call_cancel(call);
	kube_call_cancel(ask(&c, KUBE_GET, "/b", NULL));
	(void)ask(&c, KUBE_POST, "/c", "{}");
	client_run_for(&c, 20 * NS_PER_MS);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(c.log, "");
}

static void a_silent_server_is_given_up(void **state)
{
	const struct kube_request request = {
		.method = KUBE_GET,
		.path = "/a",
		.timeout_ns = 50 * NS_PER_MS,
	};
	struct server s;
	struct client c;

	(void)state;
	server_start(&s, 0, NULL, 0);
	client_start_at(&c, &s);
	assert_int_equal(kube_request(c.kube, &request, on_response, &c, NULL), 0);
	client_run(&c, "0 -||");
	client_stop(&c);
	server_stop(&s);
}

/* Calls from within callbacks: start one, cancel another. */
struct chain {
	struct client *c;
	struct kube_call *other;
	int n;
};

static void on_chain(void *user, const struct kube_response *r)
{
	const struct kube_request request = {.method = KUBE_GET, .path = "/next"};
	struct chain *chain = user;

	assert_int_equal(r->status, 200);
	kube_call_cancel(chain->other);
	chain->other = NULL;
	if (++chain->n < 3)
		assert_int_equal(kube_request(chain->c->kube, &request, on_chain, chain, NULL), 0);
	else
		client_log(chain->c, "end\n");
}

static void callbacks_may_start_and_cancel(void **state)
{
	static const struct server_step steps[] = {
		{.want = "GET /first ", .body = "{}"},
		{.want = "GET /next ", .body = "{}"},
		{.want = "GET /next ", .body = "{}"},
	};
	const struct kube_request first = {.method = KUBE_GET, .path = "/first"};
	const struct kube_request other = {.method = KUBE_GET, .path = "/other"};
	struct server s, silent;
	struct client c;
	struct chain chain = {.c = &c};
	char url[80];

	(void)state;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	server_start(&silent, 0, NULL, 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u,http://127.0.0.1:%u", silent.port,
		       s.port);
	client_start(&c, url, NULL, false);
	assert_int_equal(kube_request(c.kube, &other, on_chain, &chain, &chain.other), 0);
	c.kube->server_idx = 1;
	assert_int_equal(kube_request(c.kube, &first, on_chain, &chain, NULL), 0);
	client_run(&c, "end\n");
	client_stop(&c);
	server_stop(&s);
	server_stop(&silent);
	assert_string_equal(s.mismatch, "");
}

/* A port where nobody listens. */
static uint16_t closed_port(void)
{
	struct server s;

	server_start(&s, 0, NULL, 0);
	server_stop(&s);
	return s.port;
}

static void servers_are_tried_in_turn(void **state)
{
	static const struct server_step steps[] = {
		{.want = "POST /a ", .body = "{\"name\":\"one\"}"},
		{.want = "GET /a ", .status = 500},
		{.want = "GET /b ", .body = "{\"name\":\"two\"}"},
	};
	struct server s;
	struct client c;
	uint16_t closed = closed_port();
	char url[80];

	(void)state;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u,http://127.0.0.1:%u", closed, s.port);
	client_start(&c, url, NULL, true);
	/* What was not sent is sent to the next one, and the one that answered is kept. */
	(void)ask(&c, KUBE_POST, "/a", "{}");
	client_run(&c, "200 one|||0\n");
	assert_int_equal(c.kube->server_idx, 1);
	/* A server that fails is not asked again first, but what it has answered is an answer. */
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "500 -||500:|0\n");
	assert_int_equal(c.kube->server_idx, 0);
	(void)ask(&c, KUBE_GET, "/b", NULL);
	client_run(&c, "200 two|||0\n");
	assert_string_equal(c.log, "200 one|||0\n500 -||500:|0\n200 two|||0\n");
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

/* A call that is under way ends with what its server says, and names none of those that are no more. */
static void servers_are_others_meanwhile(void **state)
{
	static const struct server_step steps[] = {{.want = "GET /b "}};
	struct kube_config *config = calloc(1, sizeof(*config));
	struct server silent, s;
	struct client c;
	char url[80];

	(void)state;
	server_start(&silent, 0, NULL, 0);
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u,http://127.0.0.1:%u", closed_port(),
		       silent.port);
	client_start(&c, url, NULL, true);
	(void)ask(&c, KUBE_GET, "/a", NULL);
	while (c.kube->stats.n_requests < 2)
		(void)loop_run_once(c.loop, 100 * NS_PER_MS);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", s.port);
	assert_non_null(config);
	assert_int_equal(kube_config_set_servers(config, url, NULL), 0);
	assert_int_equal(kube_reconfigure(c.kube, config, NULL), 0);
	server_stop(&silent);
	client_run(&c, "0 -||");
	(void)ask(&c, KUBE_GET, "/b", NULL);
	client_run(&c, "200 -|||0\n");
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

static void away_and_back_are_reported_once(void **state)
{
	static const struct server_step steps[] = {
		{.want = "GET /a ",
		 .headers = "Warning: 299 - \"vipd.io/v1alpha1 is deprecated\"\r\n"},
		{.want = "GET /b ",
		 .headers = "Warning: 299 - \"vipd.io/v1alpha1 is deprecated\"\r\n"},
	};
	uint16_t port = closed_port();
	struct server s;
	struct client c;
	char url[64], want[256];

	(void)state;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
	client_start(&c, url, NULL, true);
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "\n0 -||");
	(void)snprintf(want, sizeof(want), "W API server %s does not answer: ", url);
	assert_memory_equal(c.log, want, strlen(want));
	c.log[0] = '\0';
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "0 -||");
	assert_memory_equal(c.log, "0 -||", 5);
	c.log[0] = '\0';
	server_start(&s, port, steps, ARRAY_LEN(steps));
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "200 -|||0\n");
	(void)ask(&c, KUBE_GET, "/b", NULL);
	client_run(&c, "200 -|||0\n200 -|||0\n");
	(void)snprintf(want, sizeof(want),
		       "W API server warns: 299 - \"vipd.io/v1alpha1 is deprecated\"\n"
		       "I API server %s answers again\n200 -|||0\n200 -|||0\n",
		       url);
	assert_string_equal(c.log, want);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

/* ---- tokens ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void token_is_read_again_after_401(void **state)
{
	static const struct server_step steps[] = {
		{.want = "GET /a ", .want_too = "\r\nAuthorization: Bearer one\r\n", .body = "{}"},
		/* with the new one at once, and whole */
		{.want = "PATCH /b ",
		 .want_too = "\r\nAuthorization: Bearer one\r\n",
		 .status = 401},
		{.want = "\r\n\r\n{\"a\":1}",
		 .want_too = "\r\nAuthorization: Bearer two\r\n",
		 .body = "{}"},
		/* there is no other: what was refused is refused */
		{.want = "GET /c ", .want_too = "\r\nAuthorization: Bearer two\r\n", .status = 401},
		{.want = "GET /d ", .want_too = "\r\nAuthorization: Bearer two\r\n", .body = "{}"},
		/* that one is no better */
		{.want = "POST /e ",
		 .want_too = "\r\nAuthorization: Bearer two\r\n",
		 .status = 401},
		{.want = "POST /e ",
		 .want_too = "\r\nAuthorization: Bearer three\r\n",
		 .status = 401},
		/* the next request looks again */
		{.want = "GET /f ", .want_too = "\r\nAuthorization: Bearer four\r\n", .body = "{}"},
	};
	static const char body[] = "{\"a\":1}";
	char dir[] = "/tmp/kube-token-XXXXXX", path[64], url[64];
	struct server s;
	struct client c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/token", dir);
	write_file(path, " one\n");
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", s.port);
	client_start(&c, url, path, false);
	write_file(path, "two\n");
	/* Not yet a minute old. */
	(void)ask(&c, KUBE_GET, "/a", NULL);
	client_run(&c, "200 ");
	c.log[0] = '\0';
	(void)ask(&c, KUBE_MERGE_PATCH, "/b", body);
	client_run(&c, "200 ");
	c.log[0] = '\0';
	(void)ask(&c, KUBE_GET, "/c", NULL);
	client_run(&c, "401 ");
	c.log[0] = '\0';
	/* One that cannot be read, or is empty, changes nothing. */
	write_file(path, "\n");
	(void)ask(&c, KUBE_GET, "/d", NULL);
	client_run(&c, "200 ");
	c.log[0] = '\0';
	write_file(path, "three\n");
	(void)ask(&c, KUBE_POST, "/e", body);
	client_run(&c, "401 ");
	c.log[0] = '\0';
	write_file(path, "four\n");
	(void)ask(&c, KUBE_GET, "/f", NULL);
	client_run(&c, "200 ");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

/* ---- Events ---- */

#define EVENTS "/apis/events.k8s.io/v1/namespaces/default/events"

static const struct kube_event active = {
	.reason = "BecameActive",
	.action = "Transition",
	.note = "no advert for 3.6 s",
	.api_version = "vipd.io/v1alpha1",
	.kind = "VirtualIP",
	.name = "ssh",
	.uid = "1-2-3",
};

static void events_become_a_series(void **state)
{
	static const struct server_step steps[] = {
		{.want = "POST " EVENTS " ",
		 .want_too = "\"reportingController\":\"vipd.io/agent\"",
		 .status = 201},
		{.want = "PATCH " EVENTS "/ssh.",
		 .want_too = "{\"series\":{\"count\":2,",
		 .status = 404},
		/* It had expired: the same one anew, with what it knows. */
		{.want = "POST " EVENTS " ", .want_too = "\"series\":{\"count\":2,", .status = 201},
	};
	struct server s;
	struct client c;
	struct kube_events *e;
	struct kube_events_stats stats;

	(void)state;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	client_start_at(&c, &s);
	assert_int_equal(kube_events_new(c.kube, "vipd.io/agent", "vipd-n1", &e, NULL), 0);
	assert_true(kube_events_idle(e));
	kube_event(e, &active);
	assert_false(kube_events_idle(e));
	while (!kube_events_idle(e))
		(void)loop_run_once(c.loop, NS_PER_S);
	kube_event(e, &active);
	while (!kube_events_idle(e))
		(void)loop_run_once(c.loop, NS_PER_S);
	/* Now they are counted only. */
	kube_event(e, &active);
	assert_true(kube_events_idle(e));
	kube_events_stats(e, &stats);
	assert_int_equal(stats.n_sent, 2);
	assert_int_equal(stats.n_dropped + stats.n_failed, 0);
	kube_events_free(e);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
	assert_int_equal(s.n_requests, 3);
}

static void events_have_all_that_the_API_wants(void **state)
{
	static const struct server_step steps[] = {
		{.want = "\"kind\":\"Event\",\"metadata\":{\"name\":\"node-1.example.",
		 .want_too = "\",\"namespace\":\"n\"},\"eventTime\":\"20",
		 .status = 201},
		{.want = "\"regarding\":{\"apiVersion\":\"vipd.io/"
			 "v1alpha1\",\"kind\":\"VirtualIP\","
			 "\"name\":\"ssh\",\"uid\":\"1-2-3\"},\"note\":\"no advert for 3.6 s\","
			 "\"type\":\"Normal\"}",
		 .want_too = "\"reportingInstance\":\"vipd-n1\",\"action\":\"Transition\","
			     "\"reason\":\"BecameActive\"",
		 .status = 403},
	};
	struct kube_event other = active;
	struct server s;
	struct client c;
	struct kube_events *e;
	struct kube_events_stats stats;
	char note[3001];

	(void)state;
	memset(note, 'n', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	note[100] = '\xff';
	other.name = "node-1.example";
	other.namespace_ = "n";
	other.note = note;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	client_start_at(&c, &s);
	assert_int_equal(kube_events_new(c.kube, "vipd.io/agent", "vipd-n1", &e, NULL), 0);
	kube_event(e, &other);
	kube_event(e, &active);
	while (!kube_events_idle(e))
		(void)loop_run_once(c.loop, NS_PER_S);
	kube_events_stats(e, &stats);
	assert_int_equal(stats.n_sent, 1);
	assert_int_equal(stats.n_failed, 1);
	kube_events_free(e);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
}

/* What became of it is the same, but not why, nor who else has a part in it. */
static void another_cause_is_another_event(void **state)
{
	static const struct server_step steps[] = {
		{.want = "POST " EVENTS " ",
		 .want_too = "\"action\":\"Transition\"",
		 .status = 201},
		{.want = "POST " EVENTS " ", .want_too = "\"action\":\"LinkUp\"", .status = 201},
		{.want = "POST " EVENTS " ",
		 .want_too =
			 "\"related\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n2\"}",
		 .status = 201},
		{.want = "POST " EVENTS " ", .want_too = "\"name\":\"n3\"}", .status = 201},
		{.want = "PATCH " EVENTS "/ssh.", .want_too = "\"count\":2,", .status = 200},
	};
	static const char *const nodes[] = {NULL, "n2", "n3", "n3"};
	struct kube_event ev = active;
	struct server s;
	struct client c;
	struct kube_events *e;

	(void)state;
	server_start(&s, 0, steps, ARRAY_LEN(steps));
	client_start_at(&c, &s);
	assert_int_equal(kube_events_new(c.kube, "vipd.io/agent", "vipd-n1", &e, NULL), 0);
	kube_event(e, &active);
	ev.action = "LinkUp";
	ev.related_api_version = "v1";
	ev.related_kind = "Node";
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		ev.related_name = nodes[i];
		kube_event(e, &ev);
		while (!kube_events_idle(e))
			(void)loop_run_once(c.loop, NS_PER_S);
	}
	kube_events_free(e);
	client_stop(&c);
	server_stop(&s);
	assert_string_equal(s.mismatch, "");
	assert_int_equal(s.n_requests, ARRAY_LEN(steps));
}

static void events_of_a_chatterbox_are_dropped(void **state)
{
	struct server s;
	struct client c;
	struct kube_events *e;
	struct kube_events_stats stats;

	(void)state;
	server_start(&s, 0, NULL, 0);
	client_start_at(&c, &s);
	assert_int_equal(kube_events_new(c.kube, "vipd.io/agent", "vipd-n1", &e, NULL), 0);
	for (int i = 0; i < 40; i++) {
		struct kube_event ev = active;
		char reason[16];

		(void)snprintf(reason, sizeof(reason), "Reason%d", i);
		ev.reason = reason;
		kube_event(e, &ev);
	}
	kube_events_stats(e, &stats);
	assert_int_equal(stats.n_dropped, 15);
	/* Others may still speak, until the queue is full. */
	for (int i = 0; i < 1100; i++) {
		struct kube_event ev = active;
		char name[16];

		(void)snprintf(name, sizeof(name), "vip-%d", i);
		ev.name = name;
		kube_event(e, &ev);
	}
	kube_events_stats(e, &stats);
	assert_int_equal(stats.n_dropped, 15 + 1100 - (1000 - 25));
	client_run_for(&c, 20 * NS_PER_MS);
	kube_events_free(e);
	client_stop(&c);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_and_answers),
		cmocka_unit_test(cancelled_and_lost_calls_say_nothing),
		cmocka_unit_test(a_silent_server_is_given_up),
		cmocka_unit_test(callbacks_may_start_and_cancel),
		cmocka_unit_test(servers_are_tried_in_turn),
		cmocka_unit_test(servers_are_others_meanwhile),
		cmocka_unit_test(away_and_back_are_reported_once),
		cmocka_unit_test(token_is_read_again_after_401),
		cmocka_unit_test(events_become_a_series),
		cmocka_unit_test(events_have_all_that_the_API_wants),
		cmocka_unit_test(another_cause_is_another_event),
		cmocka_unit_test(events_of_a_chatterbox_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
