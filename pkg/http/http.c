/* http: libmicrohttpd, driven from our loop: its epoll descriptor is one source, its time-outs one timer. */
#include "http/http.h"

#include "dl/dl.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 16u
#define SILENCE_S 10u
#define CONNECTION_MEMORY ((size_t)16 * 1024)

struct http_server {
	struct http_routes routes;
	struct MHD_Daemon *daemon;
	struct loop_source *io;
	struct loop_source *timer;
	uint16_t port;
};

/* ---- one request ---- */

static enum MHD_Result respond(struct MHD_Connection *conn, unsigned int status, char *body,
			       size_t len, const char *content_type)
{
	struct MHD_Response *res = MHD_create_response_from_buffer(
		len, body, body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r = MHD_NO;

	if (!res) {
		free(body);
		return MHD_NO;
	}
	if (MHD_add_response_header(res, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_YES &&
	    MHD_add_response_header(res, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
	    (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     MHD_add_response_header(res, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		r = MHD_queue_response(conn, status, res);
	MHD_destroy_response(res);
	return r;
}

static enum MHD_Result respond_text(struct MHD_Connection *conn, unsigned int status,
				    const char *text)
{
	char *copy = strdup(text);

	return respond(conn, status, copy, copy ? strlen(copy) : 0, "text/plain; charset=utf-8");
}

static enum MHD_Result respond_route(struct MHD_Connection *conn, const struct http_server *s,
				     const struct http_route *route)
{
	const char *content_type = NULL;
	char *body = NULL;
	size_t len = 0;
	int status = route->fn(s->routes.user, &body, &len, &content_type);

	if (status < 200 || status > 599) {
		free(body);
		return respond_text(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal error\n");
	}
	return respond(conn, (unsigned int)status, body, body ? len : 0,
		       content_type ? content_type : "text/plain; charset=utf-8");
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	static const char seen; /* its address marks a request whose header we have had */
	const struct http_server *s = user;

	(void)version;
	(void)upload;
	(void)upload_len;
	/* An answer to the first call refuses the request's body, if there is one, unread. */
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return respond_text(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
	if (!*request) {
		*request = (void *)(uintptr_t)&seen;
		return MHD_YES;
	}
	for (size_t i = 0; i < s->routes.n; i++)
		if (strcmp(s->routes.items[i].path, url) == 0)
			return respond_route(conn, s, &s->routes.items[i]);
	return respond_text(conn, MHD_HTTP_NOT_FOUND, "not found\n");
}

/* ---- the loop ---- */

static unsigned int n_connections(const struct http_server *s)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

static int run(struct http_server *s, uint64_t now_ns)
{
	unsigned int before = n_connections(s);
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_run(s->daemon) != MHD_YES)
		return -EIO;
	/* At its limit it stops to listen, and takes that up only at its next run: without this one,
	 * nobody who waits would wake it. */
	if (n_connections(s) < before && MHD_run(s->daemon) != MHD_YES)
		return -EIO;
	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return loop_timer_set(s->timer, 0);
	/* 0 would be a deadline in this very turn: the next one is soon enough. */
	return loop_timer_set(s->timer, now_ns + (uint64_t)ms * NS_PER_MS + 1);
}

static int on_events(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	(void)fd;
	(void)events;
	return run(user, now_ns);
}

static int on_timer(void *user, uint64_t now_ns)
{
	return run(user, now_ns);
}

/* ---- life ---- */

int http_listen_parse(const char *text, struct addr *ret_addr, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	char host[ADDR_TEXT_MAX + 2];
	struct addr a;
	uint32_t port = 0;

	if (!colon || len == 0 || len >= sizeof(host))
		return -EINVAL;
	if (strlen(colon + 1) == 0 || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strlen(colon + 1) > 5)
		return -EINVAL;
	for (const char *p = colon + 1; *p; p++)
		port = 10 * port + (uint32_t)(*p - '0');
	if (port > UINT16_MAX)
		return -EINVAL;

	bool brackets = text[0] == '[' && len >= 2 && text[len - 1] == ']';

	memcpy(host, brackets ? text + 1 : text, brackets ? len - 2 : len);
	host[brackets ? len - 2 : len] = '\0';
	if (addr_parse(host, &a) < 0 || (a.family == AF_INET6) != brackets)
		return -EINVAL;
	*ret_addr = a;
	*ret_port = (uint16_t)port;
	return 0;
}

/* fd or -errno. */
static int listen_on(const struct addr *a, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, port, 0, &sa);
	const int one = 1;
	struct addr bound;
	AUTO(fd_close_p) int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&sa, len) < 0 || listen(fd, CONNECTIONS_MAX) < 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;

	int r = addr_from_sockaddr((const struct sockaddr *)&sa, len, &bound, ret_port);

	return r < 0 ? r : fd_steal(&fd);
}

/* Takes fd, which becomes the daemon's. */
static int start(struct http_server *s, struct loop *l, int fd)
{
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		SILENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
	if (!s->daemon) {
		(void)close(fd);
		return -ENOMEM;
	}

	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (!info)
		return -ENOTSUP;

	int r = loop_add_io(l, info->epoll_fd, LOOP_IN, LOOP_PRIO_OUTWARD, on_events, s, &s->io);

	return r < 0 ? r : loop_add_timer(l, LOOP_PRIO_OUTWARD, on_timer, s, &s->timer);
}

int http_server_new(struct loop *l, const char *listen, const struct http_routes *routes,
		    struct http_server **ret, struct verr *reterr)
{
	struct addr a;
	uint16_t port;

	if (http_listen_parse(listen, &a, &port) < 0)
		return verr_set(reterr, EINVAL, "'%s' is no ADDRESS:PORT (IPv6 in brackets)",
				listen);

	int r = dl_mhd(reterr);

	if (r < 0)
		return r;

	struct http_server *s = calloc(1, sizeof(*s));

	if (!s)
		return verr_set(reterr, ENOMEM, "HTTP server on %s", listen);
	s->routes = *routes;

	int fd = listen_on(&a, port, &s->port);

	r = fd < 0 ? fd : start(s, l, fd);
	if (r < 0) {
		http_server_free(s);
		return verr_set(reterr, -r, "listening on %s: %s", listen, strerror(-r));
	}
	*ret = s;
	return 0;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	loop_source_free(s->timer);
	loop_source_free(s->io); /* before its descriptor is closed */
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	free(s);
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}
