/* probe: the engine: deadlines, events, and the life of an attempt. */
#include "probe_internal.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define BATCH 64

const char *probe_end_name(enum probe_end e)
{
	switch (e) {
	case PROBE_OK:
		return "OK";
	case PROBE_L4_TIMEOUT:
		return "L4Timeout";
	case PROBE_L4_REFUSED:
		return "L4Refused";
	case PROBE_L6_TLS:
		return "L6TLS";
	case PROBE_L7_TIMEOUT:
		return "L7Timeout";
	case PROBE_L7_STATUS:
		return "L7Status";
	case PROBE_L7_RESPONSE:
		return "L7Response";
	case PROBE_LOCAL:
		return "Local";
	case PROBE_END_N:
		break;
	}
	return "?";
}

/* ---- deadlines: a timer that is set lazily ---- */

/* The timer only ever moves forward to an earlier deadline; one that comes for nothing sets it anew.
 * Most probes end long before their time-out, so they cost the timer nothing. */
static void arm(struct probe_engine *e)
{
	const struct heap_item *first = heap_first(&e->due);

	if (!first || e->in_batch || (e->armed_ns && e->armed_ns <= first->due_ns))
		return;
	/* Cannot fail for a timer that exists; if it ever did, the next change tries again. */
	e->armed_ns = loop_timer_set(e->timer, first->due_ns) < 0 ? 0 : first->due_ns;
}

void probe_set_deadline(struct probe *p, uint64_t deadline_ns)
{
	heap_set(&p->engine->due, &p->due, deadline_ns);
	arm(p->engine);
}

/* ---- the life of a probe ---- */

static void probe_release(struct probe *p)
{
	switch (p->phase) {
	case PROBE_ENDED:
		free(p->u.result);
		break;
	case PROBE_HTTP:
		probe_http_free(p->u.http);
		break;
	case PROBE_CONNECTING:
	case PROBE_LISTENING:
	case PROBE_CLOSING:
	case PROBE_DEAD:
		break;
	}
	fd_close_p(&p->fd); /* takes it out of epoll, too */
}

void probe_drop(struct probe *p)
{
	struct probe_engine *e = p->engine;

	heap_remove(&e->due, &p->due);
	probe_release(p);
	if (!e->in_batch) {
		free(p);
		return;
	}
	p->phase = PROBE_DEAD;
	p->u.next_dead = e->dead;
	e->dead = p;
}

void probe_tell(struct probe *p, const struct probe_result *r, uint64_t now_ns)
{
	probe_done_fn done = p->done;

	p->done = NULL;
	if (done)
		done(p->user, r, now_ns);
}

void probe_finish(struct probe *p, const struct probe_result *r, uint64_t now_ns)
{
	probe_tell(p, r, now_ns);
	probe_drop(p);
}

int probe_end_soon(struct probe *p, const struct probe_result *r)
{
	struct probe_result *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *r;
	p->phase = PROBE_ENDED;
	p->u.result = copy;
	p->due.due_ns = p->start_ns;
	return 0;
}

#define SILENCE_NS (500 * NS_PER_MS)

void probe_result_errno(struct probe_result *r, int err)
{
	switch (err) {
	case ETIMEDOUT:
		r->end = PROBE_L4_TIMEOUT;
		(void)snprintf(r->detail, sizeof(r->detail), "no answer");
		return;
	case ECONNREFUSED:
		r->end = PROBE_L4_REFUSED;
		(void)snprintf(r->detail, sizeof(r->detail), "connection refused");
		return;
	case EHOSTUNREACH:
		/* the kernel asks three seconds for a neighbour; firewalls that say the same say it at once */
		r->unreachable = r->latency_ns < SILENCE_NS;
		r->end = r->unreachable ? PROBE_L4_REFUSED : PROBE_L4_TIMEOUT;
		break;
	/* These are about us, not about the target. */
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EPERM:
	case EACCES:
		r->end = PROBE_LOCAL;
		break;
	default:
		r->end = PROBE_L4_REFUSED;
		break;
	}
	(void)snprintf(r->detail, sizeof(r->detail), "%s", strerrordesc_np(err) ?: "unknown error");
	r->detail[0] = (char)tolower((unsigned char)r->detail[0]);
}

int probe_start(struct probe_engine *e, const struct addr *target,
		const struct api_health_check *check, probe_done_fn done, void *user,
		struct probe **ret)
{
	struct probe *p = NULL;

	if (heap_reserve(&e->due, e->due.n + 1) == 0)
		p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->engine = e;
	p->fd = -1;
	p->start_ns = mono_now_ns();
	p->due.due_ns = p->start_ns + check->timeout_ns;
	p->done = done;
	p->user = user;
	p->check = check;
	p->target = *target;

	int r = check->kind == API_CHECK_TCP ? probe_tcp_start(p) : probe_http_start(p);

	if (r < 0) {
		probe_release(p);
		free(p);
		return r;
	}
	heap_set(&e->due, &p->due, p->due.due_ns);
	arm(e);
	*ret = p;
	return 0;
}

void probe_cancel(struct probe *p)
{
	/* Without `done` this is called from within done: the engine frees the probe. */
	if (p && p->done)
		probe_drop(p);
}

/* ---- the engine ---- */

void probe_batch_begin(struct probe_engine *e)
{
	assert(!e->in_batch);
	e->in_batch = true;
}

void probe_batch_end(struct probe_engine *e)
{
	e->in_batch = false;
	while (e->dead) {
		struct probe *p = e->dead;

		e->dead = p->u.next_dead;
		free(p);
	}
	arm(e);
}

/* One batch of what has happened; returns its size, or -errno. */
static int take_events(struct probe_engine *e, uint64_t now_ns)
{
	struct epoll_event evs[BATCH];
	int n = epoll_wait(e->epoll_fd, evs, BATCH, 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	probe_batch_begin(e);
	for (int i = 0; i < n; i++) {
		struct probe *p = evs[i].data.ptr;

		if (p->phase != PROBE_DEAD)
			probe_tcp_event(p, evs[i].events, now_ns);
	}
	probe_batch_end(e);
	return n;
}

static int on_events(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	int n = take_events(user, now_ns);

	(void)fd;
	(void)events;
	return n < 0 ? n : 0;
}

static void expire(struct probe *p, uint64_t now_ns)
{
	switch (p->phase) {
	case PROBE_ENDED:
		probe_finish(p, p->u.result, now_ns);
		return;
	case PROBE_CONNECTING:
	case PROBE_LISTENING:
	case PROBE_CLOSING:
		probe_tcp_timeout(p, now_ns);
		return;
	case PROBE_HTTP:
		probe_http_timeout(p, now_ns);
		return;
	case PROBE_DEAD:
		assert(false); /* not in the heap any more */
		return;
	}
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct probe_engine *e = user;

	e->armed_ns = 0;
	/* What has come before a deadline counts, however late we are. */
	for (size_t most = e->due.n / BATCH + 1; most > 0 && take_events(e, now_ns) == BATCH;
	     most--)
		;
	probe_batch_begin(e);
	for (int i = 0; i < BATCH; i++) {
		struct heap_item *first = heap_first(&e->due);

		if (!first || first->due_ns > now_ns)
			break;
		expire(heap_entry(first, struct probe, due), now_ns);
	}
	probe_batch_end(e);
	return 0;
}

int probe_engine_new(struct loop *l, struct probe_engine **ret, struct verr *reterr)
{
	struct probe_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return verr_set(reterr, ENOMEM, "probe engine");
	e->loop = l;
	e->ports = probe_ports_here();
	e->next_port = (uint32_t)(mono_now_ns() / NS_PER_MS);
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	int r = e->epoll_fd < 0 ? -errno : 0;

	if (r == 0)
		r = loop_add_io(l, e->epoll_fd, LOOP_IN, LOOP_PRIO_PROBE, on_events, e, &e->io);
	if (r == 0)
		r = loop_add_timer(l, LOOP_PRIO_PROBE, on_timer, e, &e->timer);
	if (r < 0) {
		probe_engine_free(e);
		return verr_set(reterr, -r, "probe engine: %s", strerror(-r));
	}
	*ret = e;
	return 0;
}

void probe_engine_free(struct probe_engine *e)
{
	if (!e)
		return;
	assert(!e->in_batch); /* not from within done */
	while (e->due.n)
		probe_drop(heap_entry(e->due.items[e->due.n - 1], struct probe, due));
	multi_free(e->curl);
	loop_source_free(e->timer);
	loop_source_free(e->io);
	fd_close_p(&e->epoll_fd);
	heap_done(&e->due);
	free(e);
}
