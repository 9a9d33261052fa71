#include "loop/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include <systemd/sd-event.h>

/* 0 would mean sd-event's default of 250 ms, in which an election is long over. */
#define TIMER_ACCURACY_US 1

static_assert(LOOP_IN == EPOLLIN && LOOP_OUT == EPOLLOUT && LOOP_ERR == EPOLLERR &&
		      LOOP_HUP == EPOLLHUP,
	      "event bits are epoll's");

struct deferred {
	struct deferred *next;
	loop_defer_fn fn;
	void *user;
};

struct loop {
	sd_event *ev;
	struct deferred *first;
	struct deferred **tail;
	loop_failure_fn on_failure; /* NULL: nobody wants to know */
	void *failure_user;
	bool stopped;
	int code;
};

struct loop_source {
	struct loop *loop;
	sd_event_source *src;
	const char *what; /* for loop_on_failure */
	union {
		loop_io_fn io;
		loop_timer_fn timer;
		loop_signal_fn signal;
	} fn;
	void *user;
	void *owned;
	void (*release)(void *owned);
	int last_error; /* of the handler; a repeated one is told once */
	bool in_handler;
	bool freed; /* from within its handler: memory goes when that returns */
};

int loop_new(struct loop **ret, struct verr *reterr)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return verr_set(reterr, ENOMEM, "event loop");

	int r = sd_event_new(&l->ev);

	if (r < 0) {
		free(l);
		return verr_set(reterr, -r, "event loop: %s", strerror(-r));
	}
	l->tail = &l->first;
	*ret = l;
	return 0;
}

void loop_on_failure(struct loop *l, loop_failure_fn fn, void *user)
{
	l->on_failure = fn;
	l->failure_user = user;
}

static void failed(const struct loop *l, const char *what, int r)
{
	if (l->on_failure)
		l->on_failure(l->failure_user, what, r);
}

/* Runs what is in the list now; what that defers in turn is left for the next time. */
static bool run_deferred(struct loop *l)
{
	struct deferred *d = l->first;
	bool any = d != NULL;

	l->first = NULL;
	l->tail = &l->first;
	while (d) {
		struct deferred *next = d->next;
		int r = d->fn(d->user, loop_now_ns(l));

		if (r < 0)
			failed(l, "deferred", r);
		free(d);
		d = next;
	}
	return any;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	/* Most of it frees something; none of it is lost. */
	while (run_deferred(l))
		;
	sd_event_unref(l->ev);
	free(l);
}

void loop_free_p(struct loop **l)
{
	loop_free(*l);
	*l = NULL;
}

static uint64_t ns_to_us_up(uint64_t ns)
{
	return ns / NS_PER_US + (ns % NS_PER_US != 0);
}

int loop_run_once(struct loop *l, uint64_t timeout_ns)
{
	uint64_t timeout_us = timeout_ns == UINT64_MAX ? UINT64_MAX : ns_to_us_up(timeout_ns);

	/* Deferred from outside a turn: no reason to wait for an event first. */
	int r = sd_event_run(l->ev, l->first ? 0 : timeout_us);

	if (r < 0)
		return r;
	return run_deferred(l) || r > 0;
}

int loop_run(struct loop *l)
{
	while (!l->stopped) {
		int r = loop_run_once(l, UINT64_MAX);

		if (r < 0)
			return r;
	}
	l->stopped = false;
	return l->code;
}

void loop_stop(struct loop *l, int code)
{
	l->stopped = true;
	l->code = code;
}

uint64_t loop_now_ns(struct loop *l)
{
	uint64_t us;

	if (sd_event_now(l->ev, CLOCK_MONOTONIC, &us) < 0)
		return mono_now_ns();
	return us * NS_PER_US;
}

static struct loop_source *source_new(struct loop *l, const char *what, void *user)
{
	struct loop_source *s = calloc(1, sizeof(*s));

	if (s) {
		s->loop = l;
		s->what = what;
		s->user = user;
	}
	return s;
}

static void source_destroy(struct loop_source *s)
{
	if (s->release)
		s->release(s->owned);
	free(s);
}

void loop_source_attach(struct loop_source *s, void *owned, void (*release)(void *owned))
{
	s->owned = owned;
	s->release = release;
}

void loop_source_free(struct loop_source *s)
{
	if (!s || s->freed)
		return;
	s->src = sd_event_source_disable_unref(s->src);
	s->freed = true;
	if (!s->in_handler)
		source_destroy(s);
}

void loop_source_free_p(struct loop_source **s)
{
	loop_source_free(*s);
	*s = NULL;
}

/*
 * The end of every handler. sd-event would switch off a source whose handler fails, and that is the
 * last thing that an election needs: it never learns of a failure.
 */
static int handled(struct loop_source *s, int r)
{
	s->in_handler = false;
	if (r < 0 && r != s->last_error)
		failed(s->loop, s->what, r);
	s->last_error = r < 0 ? r : 0;
	if (s->freed)
		source_destroy(s);
	return 0;
}

static int on_io(sd_event_source *src, int fd, uint32_t events, void *user)
{
	struct loop_source *s = user;

	(void)src;
	s->in_handler = true;
	return handled(s, s->fn.io(s->user, fd, events, loop_now_ns(s->loop)));
}

static int on_timer(sd_event_source *src, uint64_t due_us, void *user)
{
	struct loop_source *s = user;

	(void)src;
	(void)due_us;
	s->in_handler = true;
	return handled(s, s->fn.timer(s->user, loop_now_ns(s->loop)));
}

static int on_signal(sd_event_source *src, const struct signalfd_siginfo *si, void *user)
{
	struct loop_source *s = user;

	(void)src;
	s->in_handler = true;
	return handled(s, s->fn.signal(s->user, (int)si->ssi_signo, loop_now_ns(s->loop)));
}

static int source_done(struct loop_source *s, int r, enum loop_priority prio,
		       struct loop_source **ret)
{
	if (r >= 0)
		r = sd_event_source_set_priority(s->src, prio);
	if (r < 0) {
		loop_source_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int loop_add_io(struct loop *l, int fd, uint32_t events, enum loop_priority prio, loop_io_fn fn,
		void *user, struct loop_source **ret)
{
	struct loop_source *s = source_new(l, "io", user);

	if (!s)
		return -ENOMEM;
	s->fn.io = fn;

	int r = sd_event_add_io(l->ev, &s->src, fd, events, on_io, s);

	if (r >= 0 && events == 0)
		r = sd_event_source_set_enabled(s->src, SD_EVENT_OFF);
	return source_done(s, r, prio, ret);
}

int loop_io_set_events(struct loop_source *s, uint32_t events)
{
	/* epoll reports errors and hang-ups even to those who wait for nothing, again and again. */
	if (events == 0)
		return sd_event_source_set_enabled(s->src, SD_EVENT_OFF);

	int r = sd_event_source_set_io_events(s->src, events);

	return r < 0 ? r : sd_event_source_set_enabled(s->src, SD_EVENT_ON);
}

int loop_add_timer(struct loop *l, enum loop_priority prio, loop_timer_fn fn, void *user,
		   struct loop_source **ret)
{
	struct loop_source *s = source_new(l, "timer", user);

	if (!s)
		return -ENOMEM;
	s->fn.timer = fn;

	int r = sd_event_add_time(l->ev, &s->src, CLOCK_MONOTONIC, UINT64_MAX, TIMER_ACCURACY_US,
				  on_timer, s);

	if (r >= 0)
		r = sd_event_source_set_enabled(s->src, SD_EVENT_OFF);
	return source_done(s, r, prio, ret);
}

int loop_timer_set(struct loop_source *s, uint64_t deadline_ns)
{
	if (deadline_ns == 0)
		return sd_event_source_set_enabled(s->src, SD_EVENT_OFF);

	/* Rounded up: a handler must never see a `now` before its deadline. */
	int r = sd_event_source_set_time(s->src, ns_to_us_up(deadline_ns));

	return r < 0 ? r : sd_event_source_set_enabled(s->src, SD_EVENT_ONESHOT);
}

int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *user,
		    struct loop_source **ret)
{
	struct loop_source *s = source_new(l, "signal", user);

	if (!s)
		return -ENOMEM;
	s->fn.signal = fn;
	return source_done(s, sd_event_add_signal(l->ev, &s->src, signo, on_signal, s),
			   LOOP_PRIO_SIGNAL, ret);
}

int loop_defer(struct loop *l, loop_defer_fn fn, void *user)
{
	struct deferred *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->fn = fn;
	d->user = user;
	*l->tail = d;
	l->tail = &d->next;
	return 0;
}

void loop_block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}
