/* HTTP and HTTPS checks against servers on loopback that say exactly what a case needs. */
#include <microhttpd.h>

#include "dl/dl.h"
#include "probe_harness.h"

/* A key that guards nothing: self-signed for "vipd-test", made for this file. */
static const char tls_key[] = "-----BEGIN PRIVATE KEY-----\n"
			      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGz9DZOEG6IpRfkwa\n"
			      "TyA4/t55yh8QFft32V5jYgovFlShRANCAATeocHk3cdsevumfTUu7XRsWZuOuKsu\n"
			      "EzB7dZ7DLUM0fIso8ipi+3tcKrtS+oS51aFcyAJ2JAGR20BggBNQIeNe\n"
			      "-----END PRIVATE KEY-----\n";
static const char tls_cert[] = "-----BEGIN CERTIFICATE-----\n"
			       "MIIBfzCCASWgAwIBAgIUOrkcP+vnrzRI896BvL1tWg3dVyIwCgYIKoZIzj0EAwIw\n"
			       "FDESMBAGA1UEAwwJdmlwZC10ZXN0MCAXDTI2MTEyMjE5MTA0NVoYDzIxMjYxMDI5\n"
			       "MTkxMDQ1WjAUMRIwEAYDVQQDDAl2aXBkLXRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
			       "PQMBBwNCAATeocHk3cdsevumfTUu7XRsWZuOuKsuEzB7dZ7DLUM0fIso8ipi+3tc\n"
			       "KrtS+oS51aFcyAJ2JAGR20BggBNQIeNeo1MwUTAdBgNVHQ4EFgQUwXQnqpr2HGqU\n"
			       "FcRAFV1A4GpUgGcwHwYDVR0jBBgwFoAUwXQnqpr2HGqUFcRAFV1A4GpUgGcwDwYD\n"
			       "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAqWBsVxI4RyAdVao94v5F\n"
			       "pCgItV6MUyYlihzxrCXAtSYCICWLZBWqT7MeCoozUGDssbVcOENJkEUiAWM4czAJ\n"
			       "JzFs\n"
			       "-----END CERTIFICATE-----\n";

/* Reads a request up to its empty line; false if the peer ended first. */
static bool read_request(int conn, struct server *s)
{
	s->n_heard = 0;
	while (s->n_heard + 1 < sizeof(s->heard)) {
		ssize_t n = read(conn, s->heard + s->n_heard, sizeof(s->heard) - 1 - s->n_heard);

		if (n <= 0)
			return false;
		s->n_heard += (size_t)n;
		s->heard[s->n_heard] = '\0';
		if (strstr(s->heard, "\r\n\r\n"))
			return true;
	}
	return false;
}

static void say(int conn, const char *text)
{
	(void)!send(conn, text, strlen(text), MSG_NOSIGNAL);
}

static void serve_answer(int conn, struct server *s)
{
	if (read_request(conn, s))
		say(conn, s->say);
}

/* The answer, and then the connection stays. */
static void serve_answer_and_stay(int conn, struct server *s)
{
	if (read_request(conn, s)) {
		say(conn, s->say);
		read_to_end(conn, s);
	}
}

static void serve_endless_body(int conn, struct server *s)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	if (!read_request(conn, s))
		return;
	say(conn, s->say);
	while (!atomic_load(&s->stop) &&
	       send(conn, block, sizeof(block), MSG_NOSIGNAL) == (ssize_t)sizeof(block))
		;
}

static void serve_endless_header(int conn, struct server *s)
{
	if (!read_request(conn, s))
		return;
	say(conn, "HTTP/1.1 200 OK\r\n");
	while (!atomic_load(&s->stop) &&
	       send(conn, "X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", 41, MSG_NOSIGNAL) == 41)
		;
}

struct answer_case {
	const char *name;
	const char *answer;
	enum probe_end end;
	int status;
	const char *detail;
};

static const struct answer_case answers[] = {
	{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", PROBE_OK, 200, "200 OK"},
	{"204, HTTP/1.0", "HTTP/1.0 204 No Content\r\n\r\n", PROBE_OK, 204, "204 No Content"},
	{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", PROBE_OK, 200, "200"},
	{"100, then 200",
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n", PROBE_OK,
	 200, "200 Fine"},
	{"301 is not followed",
	 "HTTP/1.1 301 Moved Permanently\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
	 "0\r\n\r\n",
	 PROBE_OK, 301, "301 Moved Permanently"},
	{"401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
	 PROBE_L7_STATUS, 401, "401 Unauthorized"},
	{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", PROBE_L7_STATUS, 404,
	 "404 Not Found"},
	{"503 with a body cut off",
	 "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\nwait", PROBE_L7_STATUS,
	 503, "503 Service Unavailable"},
	{"unprintable reason", "HTTP/1.1 500 Bad\033[2J\r\nContent-Length: 0\r\n\r\n",
	 PROBE_L7_STATUS, 500, "500 Bad?[2J"},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n", PROBE_L7_RESPONSE, 0, "answer is not HTTP"},
	{"nothing", "", PROBE_L7_RESPONSE, 0, "closed without an answer"},
	{"header cut off", "HTTP/1.1 200 OK\r\nContent-Le", PROBE_L7_RESPONSE, 0, NULL},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		const struct answer_case *c = &answers[i];
		struct server *s = server_new(AF_INET, serve_answer, c->answer);
		struct rig *r = rig_new(API_CHECK_HTTP, s->port);

		rig_probe(r, AF_INET);
		if (r->result.end != c->end || r->result.status != c->status ||
		    (c->detail && strcmp(r->result.detail, c->detail) != 0))
			fail_msg("%s: %s, %d, \"%s\"", c->name, probe_end_name(r->result.end),
				 r->result.status, r->result.detail);
		assert_true(r->result.detail[0] != '\0');
		assert_true(r->result.latency_ns > 0);
		assert_true(r->result.latency_ns < r->check.timeout_ns);
		rig_free(r);
		server_free(s);
	}
}

static void test_header_decides_whatever_the_body_does(void **state)
{
	static const struct {
		serve_fn serve;
		const char *answer;
		enum probe_end end;
	} cases[] = {
		{serve_answer_and_stay, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", PROBE_OK},
		{serve_answer_and_stay, "HTTP/1.1 200 OK\r\n\r\nx", PROBE_OK},
		{serve_answer_and_stay, "HTTP/1.1 503 No\r\n\r\nx", PROBE_L7_STATUS},
		{serve_endless_body, "HTTP/1.1 200 OK\r\n\r\n", PROBE_OK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct server *s = server_new(AF_INET, cases[i].serve, cases[i].answer);
		struct rig *r = rig_new(API_CHECK_HTTP, s->port);

		rig_probe(r, AF_INET); /* would wait for the time-out, 20 s, otherwise */
		assert_int_equal(r->result.end, cases[i].end);
		assert_true(r->result.latency_ns < r->check.timeout_ns);
		rig_free(r);
		server_free(s);
	}
}

static void test_endless_header_is_ended(void **state)
{
	struct server *s = server_new(AF_INET, serve_endless_header, "");
	struct rig *r = rig_new(API_CHECK_HTTP, s->port);

	(void)state;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_L7_RESPONSE);
	assert_string_equal(r->result.detail, "header of more than 64 KB");
	rig_free(r);
	server_free(s);
}

static void test_no_answer_tells_the_layer(void **state)
{
	static const struct {
		enum api_check_kind kind;
		const char *answer;
		const char *detail;
	} cases[] = {
		{API_CHECK_HTTP, "", "connected, no answer"},
		{API_CHECK_HTTP, "HTTP/1.1 200 OK\r\nX: ", "connected, no answer"},
		{API_CHECK_HTTPS, "", "no answer to the TLS handshake"},
	};
	struct hole hole;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct server *s = server_new(AF_INET, serve_answer_and_stay, cases[i].answer);
		struct rig *r = rig_new(cases[i].kind, s->port);

		r->check.timeout_ns = 100 * NS_PER_MS;
		rig_probe(r, AF_INET);
		assert_int_equal(r->result.end, PROBE_L7_TIMEOUT);
		assert_string_equal(r->result.detail, cases[i].detail);
		rig_free(r);
		server_free(s);
	}
	hole_open(&hole);

	struct rig *r = rig_new(API_CHECK_HTTP, hole.port);

	r->check.timeout_ns = 50 * NS_PER_MS;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_L4_TIMEOUT);
	assert_string_equal(r->result.detail, "no answer");
	rig_free(r);
	hole_close(&hole);
}

static void test_refused(void **state)
{
	uint16_t port;
	int fd = bound_socket(AF_INET, &port);
	struct rig *r = rig_new(API_CHECK_HTTP, port);

	(void)state;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_L4_REFUSED);
	assert_string_equal(r->result.detail, "connection refused");
	rig_free(r);
	(void)close(fd);
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* What one check sends. */
static void expect_request(int family, const struct api_health_check *check, const char *want,
			   const char *const *lines)
{
	struct server *s = server_new(family, serve_answer, OK_ANSWER);
	struct rig *r = rig_new(API_CHECK_HTTP, s->port);
	char host[64];

	(void)snprintf(host, sizeof(host), "\r\nHost: %s:%u\r\n",
		       family == AF_INET6 ? "[::1]" : "127.0.0.1", s->port);
	r->check.path = check->path;
	r->check.host = check->host;
	r->check.headers = check->headers;
	r->check.n_headers = check->n_headers;
	rig_probe(r, family);
	assert_int_equal(r->result.end, PROBE_OK);
	server_join(s);
	if (strncmp(s->heard, want, strlen(want)) != 0)
		fail_msg("wanted %s, got %s", want, s->heard);
	for (size_t i = 0; lines[i]; i++)
		if (!strstr(s->heard, lines[i]))
			fail_msg("no \"%s\" in %s", lines[i], s->heard);
	if (!check->host && !check->n_headers && !strstr(s->heard, host))
		fail_msg("no \"%s\" in %s", host, s->heard);
	assert_null(strstr(s->heard, "X-Evil"));
	rig_free(r);
	server_free(s);
}

static void test_request(void **state)
{
	char path[] = "/healthz?full=1", host[] = "web.example", odd[] = "/a b\xc3\xa4\r\nX: y#z";
	char plain[] = "ready", name[] = "X-Probe", value[] = "vipd \"1\"", empty[] = "X-Empty";
	char nothing[] = "", evil[] = "a\r\nX-Evil: b", host_header[] = "host",
	     other[] = "o.example:81";
	struct api_http_header headers[] = {{name, value}, {empty, nothing}, {name, evil}};
	struct api_http_header by_header[] = {{host_header, other}};

	(void)state;
	expect_request(
		AF_INET, &(struct api_health_check){0}, "GET / HTTP/1.1\r\n",
		(const char *[]){"\r\nConnection: close\r\n", "\r\nUser-Agent: vipd\r\n", NULL});
	expect_request(AF_INET6, &(struct api_health_check){.path = path},
		       "GET /healthz?full=1 HTTP/1.1\r\n",
		       (const char *[]){"\r\nAccept: */*\r\n", NULL});
	expect_request(AF_INET,
		       &(struct api_health_check){
			       .path = odd, .host = host, .headers = headers, .n_headers = 3},
		       "GET /a%20b%C3%A4%0D%0AX:%20y HTTP/1.1\r\n",
		       (const char *[]){"\r\nHost: web.example\r\n", "\r\nX-Probe: vipd \"1\"\r\n",
					"\r\nX-Empty:\r\n", NULL});
	expect_request(
		AF_INET,
		&(struct api_health_check){.path = plain, .headers = by_header, .n_headers = 1},
		"GET /ready HTTP/1.1\r\n", (const char *[]){"\r\nHost: o.example:81\r\n", NULL});
}

static void test_environment_proxy_is_ignored(void **state)
{
	struct server *s = server_new(AF_INET, serve_answer, OK_ANSWER);
	struct rig *r = rig_new(API_CHECK_HTTP, s->port);

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_OK);
	(void)unsetenv("http_proxy");
	(void)unsetenv("ALL_PROXY");
	rig_free(r);
	server_free(s);
}

static enum MHD_Result tls_handler(void *cls, struct MHD_Connection *conn, const char *url,
				   const char *method, const char *version, const char *data,
				   size_t *n_data, void **con_cls)
{
	struct MHD_Response *res = MHD_create_response_from_buffer(2, (void *)(uintptr_t) "ok",
								   MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r = MHD_queue_response(conn, strcmp(url, "/ok") == 0 ? 200 : 500, res);

	(void)cls;
	(void)method;
	(void)version;
	(void)data;
	(void)n_data;
	(void)con_cls;
	MHD_destroy_response(res);
	return r;
}

static void test_https_needs_no_known_certificate(void **state)
{
	char ok[] = "/ok", bad[] = "/bad", host[] = "other.example";
	uint16_t port;
	int fd = bound_socket(AF_INET, &port);

	(void)state;
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(dl_mhd(NULL), 0);

	struct MHD_Daemon *d = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL, tls_handler, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_KEY, tls_key,
		MHD_OPTION_HTTPS_MEM_CERT, tls_cert, MHD_OPTION_END);

	assert_non_null(d);

	struct rig *r = rig_new(API_CHECK_HTTPS, port);

	r->check.path = ok;
	rig_probe(r, AF_INET);
	assert_string_equal(r->result.detail, "200 OK");
	assert_int_equal(r->result.end, PROBE_OK);
	r->check.host = host;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_OK);
	r->check.path = bad;
	rig_probe(r, AF_INET);
	assert_int_equal(r->result.end, PROBE_L7_STATUS);
	assert_int_equal(r->result.status, 500);
	rig_free(r);
	MHD_stop_daemon(d);
}

static void serve_plain(int conn, struct server *s)
{
	say(conn, "220 this is not TLS\r\n");
	read_to_end(conn, s);
}

static void serve_close(int conn, struct server *s)
{
	(void)conn;
	(void)s;
}

static void test_tls_handshake_fails(void **state)
{
	serve_fn serves[] = {serve_plain, serve_close};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(serves); i++) {
		struct server *s = server_new(AF_INET, serves[i], "");
		struct rig *r = rig_new(API_CHECK_HTTPS, s->port);

		rig_probe(r, AF_INET);
		if (r->result.end != PROBE_L6_TLS)
			fail_msg("%s: %s", probe_end_name(r->result.end), r->result.detail);
		assert_true(r->result.detail[0] != '\0');
		rig_free(r);
		server_free(s);
	}
}

static void test_cancel_and_free_under_way(void **state)
{
	struct server *s = server_new(AF_INET, serve_answer_and_stay, "");
	struct rig *r = rig_new(API_CHECK_HTTP, s->port);
	struct probe *p[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = rig_start(r, AF_INET);
	probe_cancel(p[0]);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	probe_cancel(p[2]);
	rig_turn(r);
	assert_int_equal(r->n_done, 0);
	rig_free(r);
	server_free(s);
}

static void test_many_at_once_each_tell_once(void **state)
{
	enum { N = 60 };
	struct server *s = server_new(AF_INET, serve_answer, OK_ANSWER);
	struct rig *r = rig_new(API_CHECK_HTTP, s->port);

	(void)state;
	for (int i = 0; i < N; i++) {
		r->check.kind = i % 3 ? API_CHECK_HTTP : API_CHECK_TCP;
		(void)rig_start(r, AF_INET);
	}
	rig_wait(r, N);
	assert_int_equal(r->result.end, PROBE_OK);
	rig_free(r);
	server_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_header_decides_whatever_the_body_does),
		cmocka_unit_test(test_endless_header_is_ended),
		cmocka_unit_test(test_no_answer_tells_the_layer),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_environment_proxy_is_ignored),
		cmocka_unit_test(test_https_needs_no_known_certificate),
		cmocka_unit_test(test_tls_handshake_fails),
		cmocka_unit_test(test_cancel_and_free_under_way),
		cmocka_unit_test(test_many_at_once_each_tell_once),
	};

	(void)alarm(120); /* a test that hangs ends */
	return cmocka_run_group_tests_name("probe_http", tests, NULL, NULL);
}
