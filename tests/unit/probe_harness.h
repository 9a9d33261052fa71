/* Servers on loopback, each a thread, and a way to run probes against them. For test_probe_*.c. */
#ifndef VIPD_TESTS_PROBE_HARNESS_H
#define VIPD_TESTS_PROBE_HARNESS_H

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "probe/probe.h"

struct server;
typedef void (*serve_fn)(int conn, struct server *s);

struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	serve_fn serve; /* NULL: nobody accepts */
	const char *say;
	char heard[8192]; /* of the last connection; read after server_stop */
	size_t n_heard;
	atomic_int ended; /* connections served to their end */
	atomic_int last_read; /* what the last read of the last connection gave: 0, or -errno */
	atomic_bool stop;
};

static inline struct addr loopback(int family)
{
	struct addr a;

	assert_int_equal(addr_parse(family == AF_INET6 ? "::1" : "127.0.0.1", &a), 0);
	return a;
}

/* A bound socket; its port is the server's alone. */
static inline int bound_socket(int family, uint16_t *ret_port)
{
	struct addr a = loopback(family), bound;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&a, 0, 0, &sa);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, len, &bound, ret_port), 0);
	return fd;
}

static inline void *server_main(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int conn = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

		if (conn < 0)
			return NULL;
		s->serve(conn, s);
		(void)close(conn);
		atomic_fetch_add(&s->ended, 1);
	}
}

static inline struct server *server_new(int family, serve_fn serve, const char *say)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->fd = bound_socket(family, &s->port);
	s->serve = serve;
	s->say = say;
	atomic_store(&s->last_read, 1);
	assert_int_equal(listen(s->fd, 256), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
	return s;
}

static inline void server_join(struct server *s)
{
	atomic_store(&s->stop, true);
	(void)shutdown(s->fd, SHUT_RDWR); /* ends accept */
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	(void)close(s->fd);
	s->fd = -1;
}

/* After rig_free: a connection that a probe still holds keeps the server reading. */
static inline void server_free(struct server *s)
{
	if (s->fd >= 0)
		server_join(s);
	free(s);
}

/* Reads until the peer ends, and notes how. */
static inline void read_to_end(int conn, struct server *s)
{
	char buf[512];
	ssize_t n;

	while ((n = read(conn, buf, sizeof(buf))) > 0)
		;
	atomic_store(&s->last_read, n < 0 ? -errno : 0);
}

/* ---- the side that probes ---- */

struct rig {
	struct loop *loop;
	struct probe_engine *engine;
	struct probe_result result;
	int n_done;
	struct api_health_check check;
};

static inline struct rig *rig_new(enum api_check_kind kind, uint16_t port)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	loop_block_signals();
	assert_int_equal(loop_new(&r->loop, NULL), 0);
	assert_int_equal(probe_engine_new(r->loop, &r->engine, NULL), 0);
	r->check.kind = kind;
	r->check.port = port;
	r->check.timeout_ns = 20 * NS_PER_S; /* far from any time a test takes */
	return r;
}

static inline void rig_free(struct rig *r)
{
	probe_engine_free(r->engine);
	loop_free(r->loop);
	free(r);
}

static inline void rig_done(void *user, const struct probe_result *result, uint64_t now_ns)
{
	struct rig *r = user;

	(void)now_ns;
	r->result = *result;
	r->n_done++;
}

static inline struct probe *rig_start(struct rig *r, int family)
{
	struct addr target = loopback(family);
	struct probe *p = NULL;
	int before = r->n_done;

	assert_int_equal(probe_start(r->engine, &target, &r->check, rig_done, r, &p), 0);
	assert_int_equal(r->n_done, before); /* never from within probe_start */
	return p;
}

static inline void rig_turn(struct rig *r)
{
	assert_true(loop_run_once(r->loop, 20 * NS_PER_MS) >= 0);
}

static inline void rig_wait(struct rig *r, int n_done)
{
	while (r->n_done < n_done)
		rig_turn(r);
	assert_int_equal(r->n_done, n_done);
}

/* One probe from start to result. */
static inline void rig_probe(struct rig *r, int family)
{
	(void)rig_start(r, family);
	rig_wait(r, r->n_done + 1);
}

/* Goes on until the server has seen the end of n connections. */
static inline void rig_wait_ended(struct rig *r, struct server *s, int n)
{
	while (atomic_load(&s->ended) < n)
		rig_turn(r);
}

/* A listening socket whose queue is full: the kernel drops every further SYN. */
struct hole {
	int fd;
	int fill[8];
	uint16_t port;
};

static inline void hole_open(struct hole *h)
{
	struct addr a = loopback(AF_INET);
	struct sockaddr_storage sa;

	h->fd = bound_socket(AF_INET, &h->port);
	assert_int_equal(listen(h->fd, 0), 0);
	socklen_t len = addr_to_sockaddr(&a, h->port, 0, &sa);

	for (size_t i = 0; i < ARRAY_LEN(h->fill); i++) {
		h->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(h->fill[i], (struct sockaddr *)&sa, len);
	}
}

static inline void hole_close(struct hole *h)
{
	for (size_t i = 0; i < ARRAY_LEN(h->fill); i++)
		(void)close(h->fill[i]);
	(void)close(h->fd);
}

#endif
