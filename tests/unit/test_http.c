/* The small server, spoken to in plain bytes over loopback. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "http/http.h"

struct rig {
	struct loop *loop;
	struct http_server *server;
	int n_asked;
	size_t body_len;
};

static int livez(void *user, char **ret_body, size_t *ret_len, const char **ret_content_type)
{
	struct rig *r = user;

	(void)ret_content_type;
	r->n_asked++;
	*ret_body = strdup("ok\n");
	*ret_len = 3;
	return 200;
}

static int readyz(void *user, char **ret_body, size_t *ret_len, const char **ret_content_type)
{
	(void)user;
	(void)ret_body;
	(void)ret_len;
	(void)ret_content_type;
	return 503; /* without a body */
}

static int metrics(void *user, char **ret_body, size_t *ret_len, const char **ret_content_type)
{
	struct rig *r = user;

	*ret_body = malloc(r->body_len);
	assert_non_null(*ret_body);
	memset(*ret_body, 'm', r->body_len);
	*ret_len = r->body_len;
	*ret_content_type = "text/plain; version=0.0.4; charset=utf-8";
	return 200;
}

static int broken(void *user, char **ret_body, size_t *ret_len, const char **ret_content_type)
{
	(void)user;
	(void)ret_content_type;
	*ret_body = strdup("x");
	*ret_len = 1;
	return -5;
}

static const struct http_route routes[] = {
	{"/livez", livez}, {"/readyz", readyz}, {"/metrics", metrics}, {"/broken", broken}};

static struct rig *rig_new(const char *listen)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct verr e = {0};

	assert_non_null(r);
	loop_block_signals();
	r->body_len = 10;
	assert_int_equal(loop_new(&r->loop, NULL), 0);
	if (http_server_new(r->loop, listen, &(struct http_routes){routes, ARRAY_LEN(routes), r},
			    &r->server, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(http_server_port(r->server) != 0);
	return r;
}

static void rig_free(struct rig *r)
{
	http_server_free(r->server);
	loop_free(r->loop);
	free(r);
}

static int dial(const struct rig *r, const char *address)
{
	struct addr a;
	struct sockaddr_storage sa;

	assert_int_equal(addr_parse(address, &a), 0);
	socklen_t len = addr_to_sockaddr(&a, http_server_port(r->server), 0, &sa);
	int fd = socket(a.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void turn(struct rig *r)
{
	assert_true(loop_run_once(r->loop, 5 * NS_PER_MS) >= 0);
}

/* Everything up to the end of the connection; owned. */
static char *read_all(struct rig *r, int fd)
{
	size_t size = 1024 * 1024, n = 0;
	char *buf = malloc(size);

	assert_non_null(buf);
	for (;;) {
		ssize_t got = recv(fd, buf + n, size - 1 - n, MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN) {
			turn(r);
			continue;
		}
		assert_true(got >= 0 || errno == ECONNRESET);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	(void)close(fd);
	return buf;
}

static char *ask(struct rig *r, const char *address, const char *request)
{
	int fd = dial(r, address);

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return read_all(r, fd);
}

static void test_answers(void **state)
{
	static const struct {
		const char *request, *status, *header, *body;
	} cases[] = {
		{"GET /livez", "HTTP/1.1 200 OK\r\n", "Content-Type: text/plain; charset=utf-8\r\n",
		 "ok\n"},
		{"GET /livez?verbose=1", "HTTP/1.1 200 OK\r\n", "Cache-Control: no-store\r\n",
		 "ok\n"},
		{"HEAD /livez", "HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", ""},
		{"GET /readyz", "HTTP/1.1 503 Service Unavailable\r\n", "Content-Length: 0\r\n",
		 ""},
		{"GET /metrics", "HTTP/1.1 200 OK\r\n",
		 "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", "mmmmmmmmmm"},
		{"GET /broken", "HTTP/1.1 500 Internal Server Error\r\n", "", "internal error\n"},
		{"GET /", "HTTP/1.1 404 Not Found\r\n", "", "not found\n"},
		{"GET /livez/", "HTTP/1.1 404 Not Found\r\n", "", "not found\n"},
		{"POST /livez", "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD\r\n",
		 "GET and HEAD only\n"},
		{"DELETE /livez", "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD\r\n",
		 "GET and HEAD only\n"},
	};
	struct rig *r = rig_new("127.0.0.1:0");
	char request[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(request, sizeof(request),
			       "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			       cases[i].request);

		char *got = ask(r, "127.0.0.1", request);
		const char *body = strstr(got, "\r\n\r\n");

		if (strncmp(got, cases[i].status, strlen(cases[i].status)) != 0 ||
		    !strstr(got, cases[i].header) || !body || strcmp(body + 4, cases[i].body) != 0)
			fail_msg("%s: got %s", cases[i].request, got);
		free(got);
	}
	assert_int_equal(r->n_asked, 3);
	rig_free(r);
}

static void test_ipv6_and_a_large_body(void **state)
{
	struct rig *r = rig_new("[::1]:0");

	(void)state;
	r->body_len = 700 * 1000;

	char *got = ask(r, "::1", "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	const char *body = strstr(got, "\r\n\r\n");

	assert_non_null(body);
	assert_int_equal(strlen(body + 4), r->body_len);
	free(got);
	rig_free(r);
}

static void test_several_requests_on_one_connection(void **state)
{
	static const char two[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
				  "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct rig *r = rig_new("127.0.0.1:0");
	int fd = dial(r, "127.0.0.1");

	(void)state;
	for (const char *p = two; *p; p++) { /* a byte at a time */
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
		if (*p == '\n')
			turn(r);
	}

	char *got = read_all(r, fd);

	assert_int_equal(r->n_asked, 2);
	free(got);
	rig_free(r);
}

static void test_bad_requests_leave_it_running(void **state)
{
	struct rig *r = rig_new("127.0.0.1:0");
	char *big = malloc(100001);

	(void)state;
	assert_non_null(big);
	memset(big, 'a', 100000);
	big[100000] = '\0';
	memcpy(big, "GET /", 5);

	/* The server closes under our feet: not all of it need be taken. */
	int fd = dial(r, "127.0.0.1");

	(void)!send(fd, big, 60000, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(read_all(r, fd));
	free(ask(r, "127.0.0.1", "\x16\x03\x01 not HTTP\r\n\r\n"));
	fd = dial(r, "127.0.0.1");
	(void)close(fd);
	turn(r);

	char *got =
		ask(r, "127.0.0.1", "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

	assert_non_null(strstr(got, "ok\n"));
	free(got);
	free(big);
	rig_free(r);
}

static void test_connection_limit(void **state)
{
	struct rig *r = rig_new("127.0.0.1:0");
	int fds[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(r, "127.0.0.1");
		for (int k = 0; k < 3; k++)
			turn(r);
	}

	/* One more waits in the queue until a seat is free. */
	int fd = dial(r, "127.0.0.1");
	static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

	assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	for (int k = 0; k < 10; k++)
		turn(r);
	assert_int_equal(r->n_asked, 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void)close(fds[i]);

	char *got = read_all(r, fd);

	assert_non_null(strstr(got, "ok\n"));
	free(got);
	rig_free(r);
}

static void test_listen_texts(void **state)
{
	static const char *const bad[] = {"",
					  ":",
					  "9754",
					  ":9754",
					  "127.0.0.1",
					  "127.0.0.1:",
					  "127.0.0.1:65536",
					  "127.0.0.1:-1",
					  "::1:9754",
					  "[::1]",
					  "[127.0.0.1]:80",
					  "localhost:80",
					  "[::1:80",
					  "[]:80",
					  "127.0.0.1:8x",
					  "127.0.0.1:000080"};
	struct addr a;
	uint16_t port;
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (http_listen_parse(bad[i], &a, &port) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(http_listen_parse("127.0.0.1:9754", &a, &port), 0);
	assert_string_equal(addr_text(&a, text), "127.0.0.1");
	assert_int_equal(port, 9754);
	assert_int_equal(http_listen_parse("[2001:db8::1]:65535", &a, &port), 0);
	assert_string_equal(addr_text(&a, text), "2001:db8::1");
	assert_int_equal(port, 65535);
}

static void test_what_it_cannot_listen_on(void **state)
{
	struct rig *r = rig_new("127.0.0.1:0");
	struct http_server *s = NULL;
	struct verr e = {0};
	char text[64];

	(void)state;
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", http_server_port(r->server));
	assert_int_equal(http_server_new(r->loop, text, &(struct http_routes){0}, &s, &e),
			 -EADDRINUSE);
	assert_non_null(strstr(e.msg, "Address already in use"));
	assert_int_equal(http_server_new(r->loop, "x", &(struct http_routes){0}, &s, &e), -EINVAL);
	assert_string_equal(e.msg, "'x' is no ADDRESS:PORT (IPv6 in brackets)");
	assert_null(s);
	http_server_free(NULL);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_ipv6_and_a_large_body),
		cmocka_unit_test(test_several_requests_on_one_connection),
		cmocka_unit_test(test_bad_requests_leave_it_running),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test(test_listen_texts),
		cmocka_unit_test(test_what_it_cannot_listen_on),
	};

	(void)alarm(120); /* a test that hangs ends */
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
