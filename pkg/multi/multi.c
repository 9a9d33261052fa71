#include "multi/multi.h"

#include <errno.h>
#include <sys/epoll.h>

#include "dl/dl.h"

#define BATCH 16

struct multi {
	CURLM *handle;
	int epoll_fd; /* curl's sockets, level-triggered */
	struct loop_source *io, *timer;
	multi_fn fn;
	void *user;
	bool is_due; /* curl's timer */
};

/* ---- curl's callbacks ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
	struct multi *m = user;
	struct epoll_event ev = {.data.fd = fd};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		/* It may be closed already. */
		(void)epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		ev.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(m->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0)
		return -1;
	(void)curl_multi_assign(m->handle, fd, m); /* anything but NULL: known from now on */
	return 0;
}

static int on_curl_wants_timer(CURLM *handle, long timeout_ms, void *user)
{
	struct multi *m = user;
	uint64_t deadline_ns = 0;

	(void)handle;
	if (timeout_ms >= 0)
		deadline_ns = mono_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	return loop_timer_set(m->timer, deadline_ns) < 0 ? -1 : 0;
}

/* ---- the loop's callbacks ---- */

static int on_timer(void *user, uint64_t now_ns)
{
	struct multi *m = user;

	m->is_due = true;
	return m->fn(m->user, now_ns);
}

static int on_io(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct multi *m = user;

	(void)fd;
	(void)events;
	return m->fn(m->user, now_ns);
}

int multi_work(struct multi *m)
{
	struct epoll_event evs[BATCH];
	int n, running;

	if (m->is_due) {
		m->is_due = false;
		(void)curl_multi_socket_action(m->handle, CURL_SOCKET_TIMEOUT, 0, &running);
		return 0;
	}
	n = epoll_wait(m->epoll_fd, evs, BATCH, 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		int bits = (evs[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (evs[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (evs[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		(void)curl_multi_socket_action(m->handle, evs[i].data.fd, bits, &running);
	}
	return 0;
}

void *multi_ended(struct multi *m, CURLcode *ret_code)
{
	const CURLMsg *msg;
	void *private = NULL;
	int left;

	do {
		msg = curl_multi_info_read(m->handle, &left);
		if (!msg)
			return NULL;
	} while (msg->msg != CURLMSG_DONE);
	/* The message is invalid once its handle is touched. */
	*ret_code = msg->data.result;
	(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&private);
	return private;
}

/* ---- life ---- */

CURLM *multi_handle(struct multi *m)
{
	return m->handle;
}

void multi_free(struct multi *m)
{
	if (!m)
		return;
	if (m->handle) {
		(void)curl_multi_cleanup(m->handle);
		curl_global_cleanup();
	}
	loop_source_free(m->io);
	loop_source_free(m->timer);
	fd_close_p(&m->epoll_fd);
	free(m);
}

static void multi_free_p(struct multi **m)
{
	multi_free(*m);
}

static int start_curl(struct multi *m)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	m->handle = curl_multi_init();
	if (!m->handle) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	(void)curl_multi_setopt(m->handle, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(m->handle, CURLMOPT_SOCKETDATA, m);
	(void)curl_multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, on_curl_wants_timer);
	(void)curl_multi_setopt(m->handle, CURLMOPT_TIMERDATA, m);
	return 0;
}

int multi_new(struct loop *l, enum loop_priority prio, multi_fn fn, void *user, struct multi **ret,
	      struct verr *reterr)
{
	int r = dl_curl(reterr);

	if (r < 0)
		return r;

	AUTO(multi_free_p) struct multi *m = calloc(1, sizeof(*m));

	if (!m)
		return verr_set(reterr, ENOMEM, "out of memory");
	m->fn = fn;
	m->user = user;
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll_fd < 0)
		r = -errno;
	if (r == 0)
		r = loop_add_io(l, m->epoll_fd, LOOP_IN, prio, on_io, m, &m->io);
	if (r == 0)
		r = loop_add_timer(l, prio, on_timer, m, &m->timer);
	if (r == 0)
		r = start_curl(m);
	if (r < 0)
		return verr_errno(reterr, -r, "setting up the HTTP client");
	*ret = STEAL(m);
	return 0;
}
