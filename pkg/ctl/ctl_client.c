/* ctl: the side of `vipd status`: ask, read to the end, parse. */
#include "ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct bytes {
	char *p; /* owned */
	size_t len;
	size_t cap;
};

static void bytes_done(struct bytes *b)
{
	free(b->p);
}

/* 1: ready, 0: the time is over, -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now_ns = mono_now_ns();
		struct pollfd pfd = {.fd = fd, .events = events};

		if (now_ns >= deadline_ns)
			return 0;

		uint64_t left_ns = deadline_ns - now_ns;
		struct timespec ts = {.tv_sec = (time_t)(left_ns / NS_PER_S),
				      .tv_nsec = (long)(left_ns % NS_PER_S)};
		int r = ppoll(&pfd, 1, &ts, NULL);

		if (r >= 0)
			return r > 0;
		if (errno != EINTR)
			return -errno;
	}
}

static int client_connect(int fd, const struct sockaddr_un *sa, uint64_t deadline_ns)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	while (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		/* The backlog is full; nothing tells when it is not. */
		if (mono_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static int client_send(int fd, const char *text, size_t len, uint64_t deadline_ns)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		int r = wait_for(fd, POLLOUT, deadline_ns);

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
	}
	return 0;
}

static int client_recv(int fd, struct bytes *b, uint64_t deadline_ns)
{
	for (;;) {
		if (b->len == b->cap) {
			size_t cap = b->cap ? 2 * b->cap : 16384;
			char *bigger = cap <= ANSWER_MAX ? realloc(b->p, cap) : NULL;

			if (!bigger)
				return cap <= ANSWER_MAX ? -ENOMEM : -EMSGSIZE;
			b->p = bigger;
			b->cap = cap;
		}
		ssize_t n = recv(fd, b->p + b->len, b->cap - b->len, 0);

		if (n == 0)
			return 0;
		if (n > 0) {
			b->len += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		int r = wait_for(fd, POLLIN, deadline_ns);

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
	}
}

static int parse_answer(const struct bytes *b, json_t **ret, struct verr *reterr)
{
	json_error_t where;
	json_auto_t *j = json_loadb(b->p, b->len, JSON_REJECT_DUPLICATES, &where);
	const char *text = json_string_value(json_object_get(j, "error"));

	if (b->len == 0)
		return verr_set(reterr, EPROTO,
				"the agent closed the connection without an answer");
	if (!json_is_object(j))
		return verr_set(reterr, EPROTO, "the agent's answer is no JSON object: %s",
				where.text);
	if (text)
		return verr_set(reterr, EPROTO, "the agent says: %s", text);
	*ret = STEAL(j);
	return 0;
}

int ctl_ask(const char *path, const char *request, uint64_t timeout_ns, json_t **ret,
	    struct verr *reterr)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	uint64_t deadline_ns = mono_now_ns() + timeout_ns;
	AUTO(bytes_done) struct bytes answer = {0};
	size_t len = strlen(path);

	if (len >= sizeof(sa.sun_path))
		return verr_set(reterr, ENAMETOOLONG, "%s: longer than %zu bytes", path,
				sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, len + 1);

	AUTO(fd_close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		int err = errno;

		return verr_set(reterr, err, "socket: %s", strerror(err));
	}

	int r = client_connect(fd, &sa, deadline_ns);

	if (r < 0)
		return verr_set(reterr, -r, "no agent answers on %s: %s", path, strerror(-r));
	r = client_send(fd, request, strlen(request), deadline_ns);
	if (r == 0)
		r = client_send(fd, "\n", 1, deadline_ns);
	if (r == 0 || r == -EPIPE) /* it may have answered already, and closed */
		r = client_recv(fd, &answer, deadline_ns);
	if (r < 0)
		return verr_set(reterr, -r, "asking the agent on %s: %s", path, strerror(-r));
	return parse_answer(&answer, ret, reterr);
}
