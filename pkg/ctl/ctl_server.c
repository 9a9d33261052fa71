/* ctl: the agent's side. Every client is a request buffer, an answer and a deadline. */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CLIENTS_MAX 16
#define CLIENT_NS (UINT64_C(5) * NS_PER_S)
/* How long not to listen where a connection cannot be accepted (no descriptors): it would wake us at once
 * again. */
#define PAUSE_NS NS_PER_S

struct client {
	struct ctl_server *server;
	int fd; /* owned; -1: this seat is free */
	struct loop_source *io;
	struct loop_source *timer;
	uint8_t request[CTL_REQUEST_MAX];
	size_t n_request;
	char *answer; /* owned; NULL: still reading */
	size_t len;
	size_t sent;
};

struct ctl_server {
	struct loop *loop;
	int fd;
	struct loop_source *io;
	struct loop_source *pause; /* timer */
	ctl_answer_fn answer;
	void *user;
	bool bound;
	struct sockaddr_un sa;
	struct client clients[CLIENTS_MAX];
};

enum ctl_request ctl_request_parse(const uint8_t *bytes, size_t len)
{
	static const char status[] = "status";

	if (len == sizeof(status) - 1 && memcmp(bytes, status, len) == 0)
		return CTL_STATUS;
	return CTL_UNKNOWN;
}

/* ---- one client ---- */

static void client_close(struct client *c)
{
	uint8_t rest[256];

	if (c->fd < 0)
		return;
	/* What is left unread would make the client's read end in a reset. */
	for (int i = 0; i < 4 && recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	loop_source_free(c->io);
	loop_source_free(c->timer);
	free(c->answer);
	fd_close_p(&c->fd);
	*c = (struct client){.server = c->server, .fd = -1};
}

static int client_write(struct client *c)
{
	while (c->sent < c->len) {
		ssize_t n = send(c->fd, c->answer + c->sent, c->len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return loop_io_set_events(c->io, LOOP_OUT);
		if (n < 0)
			break; /* it has gone away: its affair */
		c->sent += (size_t)n;
	}
	client_close(c);
	return 0;
}

/* An owned text with a newline, or NULL. */
static char *json_line(json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	char *line = text ? realloc(text, len + 2) : NULL;

	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

static int client_answer(struct client *c, enum ctl_request req)
{
	json_auto_t *j = NULL;

	switch (req) {
	case CTL_STATUS:
		j = c->server->answer(c->server->user, req);
		if (!j)
			j = json_pack("{s:s}", "error", "out of memory");
		break;
	case CTL_UNKNOWN:
		j = json_pack("{s:s}", "error", "unknown request; known are: status");
		break;
	}
	if (j)
		c->answer = json_line(j);
	if (!c->answer) {
		client_close(c);
		return -ENOMEM;
	}
	c->len = strlen(c->answer);
	return client_write(c);
}

static int client_read(struct client *c)
{
	size_t room = sizeof(c->request) - c->n_request;
	ssize_t n = recv(c->fd, c->request + c->n_request, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 || (n == 0 && c->n_request == 0)) {
		client_close(c);
		return 0;
	}
	c->n_request += (size_t)n;

	const uint8_t *end = memchr(c->request, '\n', c->n_request);

	if (end)
		return client_answer(c, ctl_request_parse(c->request, (size_t)(end - c->request)));
	if (n == 0) /* the end of input ends the line, too */
		return client_answer(c, ctl_request_parse(c->request, c->n_request));
	if (c->n_request == sizeof(c->request))
		return client_answer(c, CTL_UNKNOWN);
	return 0;
}

static int on_client(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct client *c = user;

	(void)fd;
	(void)events;
	(void)now_ns;
	return c->answer ? client_write(c) : client_read(c);
}

static int on_client_deadline(void *user, uint64_t now_ns)
{
	(void)now_ns;
	client_close(user);
	return 0;
}

static int client_open(struct ctl_server *s, int fd, uint64_t now_ns)
{
	static const char busy[] = "{\"error\":\"too many clients\"}\n";
	struct client *c = NULL;

	for (size_t i = 0; i < CLIENTS_MAX && !c; i++)
		if (s->clients[i].fd < 0)
			c = &s->clients[i];
	if (!c) {
		(void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
		(void)close(fd);
		return 0;
	}
	c->fd = fd;

	int r = loop_add_io(s->loop, fd, LOOP_IN, LOOP_PRIO_OUTWARD, on_client, c, &c->io);

	if (r == 0)
		r = loop_add_timer(s->loop, LOOP_PRIO_OUTWARD, on_client_deadline, c, &c->timer);
	if (r == 0)
		r = loop_timer_set(c->timer, now_ns + CLIENT_NS);
	if (r < 0)
		client_close(c);
	return r;
}

/* ---- the server ---- */

static int on_connection(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct ctl_server *s = user;

	(void)events;
	for (;;) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client < 0 && errno == EAGAIN)
			return 0;
		if (client < 0) {
			int r = -errno;

			(void)loop_io_set_events(s->io, 0);
			(void)loop_timer_set(s->pause, now_ns + PAUSE_NS);
			return r;
		}

		int r = client_open(s, client, now_ns);

		if (r < 0)
			return r;
	}
}

static int on_pause_over(void *user, uint64_t now_ns)
{
	const struct ctl_server *s = user;

	(void)now_ns;
	return loop_io_set_events(s->io, LOOP_IN);
}

/* Removes the file of a socket that nobody listens on. 0: the path is free now. */
static int clear_stale(const struct sockaddr_un *sa, struct verr *reterr)
{
	struct stat st;

	if (lstat(sa->sun_path, &st) < 0) {
		int err = errno;

		return err == ENOENT ? 0
				     : verr_set(reterr, err, "%s: %s", sa->sun_path, strerror(err));
	}
	if (!S_ISSOCK(st.st_mode))
		return verr_set(reterr, EEXIST, "%s exists and is not a socket", sa->sun_path);

	AUTO(fd_close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		int err = errno;

		return verr_set(reterr, err, "control socket: %s", strerror(err));
	}
	/* A full backlog (EAGAIN) is a live agent, too. */
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		return verr_set(reterr, EADDRINUSE, "another agent answers on %s", sa->sun_path);
	if (errno != ECONNREFUSED && errno != ENOENT) {
		int err = errno;

		return verr_set(reterr, err, "%s: %s", sa->sun_path, strerror(err));
	}
	if (unlink(sa->sun_path) < 0 && errno != ENOENT) {
		int err = errno;

		return verr_set(reterr, err, "removing stale %s: %s", sa->sun_path, strerror(err));
	}
	return 0;
}

static int server_listen(struct ctl_server *s, struct verr *reterr)
{
	int r = clear_stale(&s->sa, reterr);

	if (r < 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The file takes its mode from the socket's inode, so it is never open to others. */
	if (s->fd < 0 || fchmod(s->fd, 0600) < 0 ||
	    bind(s->fd, (const struct sockaddr *)&s->sa, sizeof(s->sa)) < 0)
		r = -errno;
	if (r == 0) {
		s->bound = true;
		if (listen(s->fd, CLIENTS_MAX) < 0)
			r = -errno;
	}
	if (r == 0)
		r = loop_add_io(s->loop, s->fd, LOOP_IN, LOOP_PRIO_OUTWARD, on_connection, s,
				&s->io);
	if (r == 0)
		r = loop_add_timer(s->loop, LOOP_PRIO_OUTWARD, on_pause_over, s, &s->pause);
	if (r < 0)
		return verr_set(reterr, -r, "control socket %s: %s", s->sa.sun_path, strerror(-r));
	return 0;
}

int ctl_server_new(struct loop *l, const char *path, ctl_answer_fn answer, void *user,
		   struct ctl_server **ret, struct verr *reterr)
{
	size_t len = strlen(path);
	struct ctl_server *s = calloc(1, sizeof(*s));

	if (!s)
		return verr_set(reterr, ENOMEM, "control socket");
	s->loop = l;
	s->fd = -1;
	s->answer = answer;
	s->user = user;
	s->sa.sun_family = AF_UNIX;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		s->clients[i] = (struct client){.server = s, .fd = -1};

	int r;

	if (len >= sizeof(s->sa.sun_path)) {
		r = verr_set(reterr, ENAMETOOLONG, "control socket %s: longer than %zu bytes", path,
			     sizeof(s->sa.sun_path) - 1);
	} else {
		memcpy(s->sa.sun_path, path, len + 1);
		r = server_listen(s, reterr);
	}
	if (r < 0) {
		ctl_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ctl_server_free(struct ctl_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		client_close(&s->clients[i]);
	loop_source_free(s->io);
	loop_source_free(s->pause);
	if (s->bound)
		(void)unlink(s->sa.sun_path);
	fd_close_p(&s->fd);
	free(s);
}
