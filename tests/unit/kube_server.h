/*
 * An API server that says what a test has written down: a thread on loopback, HTTP/1.1. The requests, on
 * whatever connection they come, are answered by the steps of the script, one each, in order. After the last
 * step it accepts requests and is silent.
 */
#ifndef VIPD_TESTS_KUBE_SERVER_H
#define VIPD_TESTS_KUBE_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "kube/kube_internal.h"

enum server_after {
	AFTER_DONE, /* the answer is whole */
	AFTER_HOLD, /* a stream: it stays open */
	AFTER_CUT, /* the connection is reset before the answer is whole */
};

struct server_step {
	const char *want; /* must be in the request, at its beginning if it starts with a method */
	const char *want_too; /* or NULL */
	int status; /* 0: 200 */
	const char *headers; /* more of them, each with its CR LF; or NULL */
	const char *body;
	bool is_stream; /* chunked */
	size_t piece; /* bytes a chunk and a packet; 0: all at once */
	enum server_after after;
};

#define SERVER_CONNS 16
#define SERVER_REQUEST_MAX 8192
#define SERVER_REQUESTS_MAX 64

struct server_conn {
	int fd; /* -1: free */
	size_t len;
	char buf[SERVER_REQUEST_MAX];
};

struct server {
	int listen_fd, stop_fd[2];
	uint16_t port;
	pthread_t thread;
	const struct server_step *steps;
	size_t n_steps;
	struct server_conn conns[SERVER_CONNS];
	/* Read these after server_stop only. */
	size_t n_requests;
	char mismatch[SERVER_REQUEST_MAX + 256];
};

static inline void server_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

static inline void server_chunks(int fd, const char *body, size_t piece)
{
	size_t len = strlen(body);

	for (size_t i = 0; i < len;) {
		char head[32];
		size_t n = piece && piece < len - i ? piece : len - i;

		(void)snprintf(head, sizeof(head), "%zx\r\n", n);
		server_write(fd, head, strlen(head));
		server_write(fd, body + i, n);
		server_write(fd, "\r\n", 2);
		i += n;
	}
}

static inline void server_close(struct server_conn *c, bool is_reset)
{
	struct linger l = {.l_onoff = 1};

	if (is_reset)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	(void)close(c->fd);
	c->fd = -1;
	c->len = 0;
}

static inline void server_answer(struct server_conn *c, const struct server_step *s)
{
	const char *body = s->body ? s->body : "";
	char head[1024], length[64] = "Transfer-Encoding: chunked\r\n";

	if (!s->is_stream)
		(void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
			       strlen(body) + (s->after == AFTER_CUT));
	(void)snprintf(head, sizeof(head), "HTTP/1.1 %d Whatever\r\n%s%s\r\n",
		       s->status ? s->status : 200, length, s->headers ? s->headers : "");
	server_write(c->fd, head, strlen(head));
	if (s->is_stream)
		server_chunks(c->fd, body, s->piece);
	else
		server_write(c->fd, body, strlen(body));
	if (s->is_stream && s->after == AFTER_DONE)
		server_write(c->fd, "0\r\n\r\n", 5);
	if (s->after == AFTER_CUT)
		server_close(c, true);
}

static inline bool server_has(const char *request, const char *want)
{
	return !want || strstr(request, want);
}

/* The bytes of the first request in the buffer, or 0 if it is not whole yet. */
static inline size_t server_request_len(const struct server_conn *c)
{
	const char *end = strstr(c->buf, "\r\n\r\n");
	const char *length = strcasestr(c->buf, "\r\nContent-Length:");
	size_t len;

	if (!end)
		return 0;
	len = (size_t)(end + 4 - c->buf);
	if (length && length < end)
		len += strtoul(length + 17, NULL, 10);
	return len <= c->len ? len : 0;
}

static inline void server_request(struct server *s, struct server_conn *c, size_t len)
{
	const struct server_step *step = &s->steps[s->n_requests];
	AUTO(free_p) char *request = strndup(c->buf, len);

	c->len -= len;
	memmove(c->buf, c->buf + len, c->len + 1);
	if (s->n_requests++ >= s->n_steps)
		return;
	if (!server_has(request, step->want) || !server_has(request, step->want_too)) {
		if (!s->mismatch[0])
			(void)snprintf(s->mismatch, sizeof(s->mismatch),
				       "request %zu has no \"%s%s%s\": %s", s->n_requests,
				       step->want, step->want_too ? "\", \"" : "",
				       step->want_too ? step->want_too : "", request);
	}
	server_answer(c, step);
}

static inline void server_read(struct server *s, struct server_conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - 1 - c->len, 0);
	size_t len;

	if (n <= 0) {
		server_close(c, false);
		return;
	}
	c->len += (size_t)n;
	c->buf[c->len] = '\0';
	while (c->fd >= 0 && (len = server_request_len(c)) > 0)
		server_request(s, c, len);
}

static inline void server_accept(struct server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	int one = 1;

	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (size_t i = 0; i < SERVER_CONNS; i++) {
		if (s->conns[i].fd >= 0)
			continue;
		s->conns[i].fd = fd;
		return;
	}
	(void)close(fd);
}

static inline void *server_main(void *user)
{
	struct server *s = user;

	for (;;) {
		struct pollfd fds[SERVER_CONNS + 2] = {
			{.fd = s->stop_fd[0], .events = POLLIN},
			{.fd = s->listen_fd, .events = POLLIN},
		};

		for (size_t i = 0; i < SERVER_CONNS; i++)
			fds[i + 2] = (struct pollfd){.fd = s->conns[i].fd, .events = POLLIN};
		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		for (size_t i = 0; i < SERVER_CONNS; i++)
			if (fds[i + 2].revents)
				server_read(s, &s->conns[i]);
		if (fds[1].revents)
			server_accept(s);
	}
}

/* port 0: any. */
static inline void server_start(struct server *s, uint16_t port, const struct server_step *steps,
				size_t n_steps)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(a);
	int one = 1;

	memset(s, 0, sizeof(*s));
	s->steps = steps;
	s->n_steps = n_steps;
	for (size_t i = 0; i < SERVER_CONNS; i++)
		s->conns[i].fd = -1;
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listen_fd >= 0);
	(void)setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(s->listen_fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(listen(s->listen_fd, 16), 0);
	assert_int_equal(pipe(s->stop_fd), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static inline void server_stop(struct server *s)
{
	assert_int_equal(write(s->stop_fd[1], "", 1), 1);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	for (size_t i = 0; i < SERVER_CONNS; i++)
		if (s->conns[i].fd >= 0)
			server_close(&s->conns[i], false);
	(void)close(s->listen_fd);
	(void)close(s->stop_fd[0]);
	(void)close(s->stop_fd[1]);
}

/* ---- a client of it ---- */

struct client {
	struct loop *loop;
	struct kube *kube;
	char log[8192]; /* of what the client has told, a line each */
};

static inline void client_log(struct client *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline void client_log(struct client *c, const char *fmt, ...)
{
	size_t n = strlen(c->log);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->log + n, sizeof(c->log) - n, fmt, ap);
	va_end(ap);
}

static inline void client_report(void *user, enum log_level level, const char *text)
{
	static const char letters[] = "IWE";

	client_log(user, "%c %s\n", letters[level], text);
}

/* servers: "http://127.0.0.1:PORT,..."; token_path: or NULL. */
static inline void client_start(struct client *c, const char *servers, const char *token_path,
				bool has_reports)
{
	struct kube_config *config = calloc(1, sizeof(*config));
	struct verr e = {0};

	memset(c, 0, sizeof(*c));
	assert_int_equal(kube_config_set_servers(config, servers, &e), 0);
	config->token.path = token_path ? strdup(token_path) : NULL;
	assert_int_equal(loop_new(&c->loop, &e), 0);
	if (kube_new(c->loop, config, "vipd/test (linux/test)", has_reports ? client_report : NULL,
		     c, &c->kube, &e) < 0)
		fail_msg("%s", e.msg);
	c->kube->backoff_base_ns = NS_PER_MS;
	c->kube->backoff_max_ns = 10 * NS_PER_MS;
}

static inline void client_start_at(struct client *c, const struct server *s)
{
	char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", s->port);
	client_start(c, url, NULL, false);
}

static inline void client_stop(struct client *c)
{
	kube_free(c->kube);
	loop_free(c->loop);
}

/* Runs the loop until the log says it. The limit is for a test that hangs. */
static inline void client_run(struct client *c, const char *want)
{
	uint64_t end_ns = mono_now_ns() + 60 * NS_PER_S;

	while (!strstr(c->log, want)) {
		if (mono_now_ns() > end_ns)
			fail_msg("never said \"%s\", but:\n%s", want, c->log);
		(void)loop_run_once(c->loop, 100 * NS_PER_MS);
	}
}

static inline void client_run_for(struct client *c, uint64_t ns)
{
	uint64_t end_ns = mono_now_ns() + ns;

	while (mono_now_ns() < end_ns)
		(void)loop_run_once(c->loop, 10 * NS_PER_MS);
}

#endif
