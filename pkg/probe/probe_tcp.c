/*
 * probe: TCP. The connection itself is the check, and its result is told as soon as it is there. What
 * follows is manners: hear what the server says (sshd's banner), close our half, wait for the server's,
 * and only then close, so that the server reads an end of file and not a reset.
 */
#include "probe_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* 0, or the errno of the call that failed. */
static int open_connection(struct probe *p, bool bound)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&p->target, p->check->port, 0, &sa);

	fd_close_p(&p->fd);
	p->fd = socket(p->target.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return errno;
	if (bound)
		probe_bind(p->engine, p->fd, p->target.family);
	if (connect(p->fd, (const struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return errno;
	return 0;
}

static int start_connect(struct probe *p)
{
	int err = open_connection(p, true);

	/* that port has met this server within the last minute */
	if (err == EADDRNOTAVAIL)
		err = open_connection(p, false);
	if (err != 0)
		return err;

	/* Edge-triggered for good: one call for the life of the connection. */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 .data.ptr = p};

	if (epoll_ctl(p->engine->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) < 0)
		return errno == ENOSPC ? ENOBUFS : errno;
	return 0;
}

int probe_tcp_start(struct probe *p)
{
	int err = start_connect(p);

	if (err == 0) {
		p->phase = PROBE_CONNECTING;
		return 0;
	}
	fd_close_p(&p->fd);

	struct probe_result r = {.end = PROBE_LOCAL};

	probe_result_errno(&r, err);
	return probe_end_soon(p, &r);
}

/* A connection to a port of this host that nobody listens on may, by chance of the source port, meet
 * itself (simultaneous open). That is no server. */
static bool met_itself(const struct probe *p)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr own;
	uint16_t port;

	if (getsockname(p->fd, (struct sockaddr *)&sa, &len) < 0 ||
	    addr_from_sockaddr((const struct sockaddr *)&sa, len, &own, &port) < 0)
		return false;
	return port == p->check->port && addr_eq(&own, &p->target);
}

/* Reads everything there is. p may be gone afterwards. */
static void listen_to_server(struct probe *p, uint64_t now_ns)
{
	uint8_t buf[2048];

	for (;;) {
		ssize_t n = recv(p->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n > 0)
			p->n_talk += (uint32_t)n;
		if (n <= 0 || p->n_talk > PROBE_TALK_MAX) {
			probe_drop(p);
			return;
		}
		if (p->phase == PROBE_LISTENING)
			probe_tcp_timeout(p, now_ns); /* it has said something: go on to close */
	}
}

static void on_connect_end(struct probe *p, uint32_t events, uint64_t now_ns)
{
	struct probe_result r = {.end = PROBE_OK, .latency_ns = mono_now_ns() - p->start_ns};
	int err = 0;
	socklen_t len = sizeof(err);

	if ((events & EPOLLERR) && getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err == 0 && met_itself(p))
		err = ECONNREFUSED;
	if (err != 0) {
		probe_result_errno(&r, err);
		probe_finish(p, &r, now_ns);
		return;
	}
	(void)snprintf(r.detail, sizeof(r.detail), "connected");
	p->phase = PROBE_LISTENING;
	probe_set_deadline(p, now_ns + PROBE_LISTEN_NS);
	probe_tell(p, &r, now_ns);
	listen_to_server(p, now_ns);
}

void probe_tcp_event(struct probe *p, uint32_t events, uint64_t now_ns)
{
	if (p->phase == PROBE_CONNECTING)
		on_connect_end(p, events, now_ns);
	else if (p->phase == PROBE_CLOSING && (events & EPOLLHUP))
		probe_drop(p); /* both halves are closed: nothing is left to be polite about */
	else
		listen_to_server(p, now_ns);
}

void probe_tcp_timeout(struct probe *p, uint64_t now_ns)
{
	if (p->phase == PROBE_CONNECTING) {
		struct probe_result r = {.latency_ns = now_ns - p->start_ns};

		probe_result_errno(&r, ETIMEDOUT);
		probe_finish(p, &r, now_ns);
	} else if (p->phase == PROBE_LISTENING) {
		(void)shutdown(p->fd, SHUT_WR); /* fails only if the server has reset it */
		p->phase = PROBE_CLOSING;
		probe_set_deadline(p, now_ns + PROBE_CLOSE_NS);
	} else {
		probe_drop(p);
	}
}
