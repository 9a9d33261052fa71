/*
 * loop: a facade over sd-event, the only room that includes it. One loop per thread; nothing here is
 * shared between threads (they wake each other by eventfds). Handlers are short: read, parse, step,
 * perform, re-arm. A handler that returns a negative errno is reported to loop_on_failure and its source
 * stays on: no failure takes a timer or a socket out of the loop.
 *
 * Every turn runs the handler of one ready source, the one of the highest priority, and then what was
 * deferred. Functions return 0 or -errno.
 */
#ifndef VIPD_LOOP_LOOP_H
#define VIPD_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

struct loop;
struct loop_source; /* opaque; owned by who made it, freed by loop_source_free */

/* Lower runs first when several are ready in one turn. */
enum loop_priority {
	LOOP_PRIO_VRRP = -100,
	LOOP_PRIO_NETLINK = -50,
	LOOP_PRIO_SIGNAL = -30, /* all signals: who is busy with checks can still be ended */
	LOOP_PRIO_PROBE = -20,
	LOOP_PRIO_CHECK =
		-19, /* checks that begin come after those that end: overload is no time-out */
	LOOP_PRIO_NORMAL = 0,
	LOOP_PRIO_OUTWARD = 50,
};

int loop_new(struct loop **ret, struct verr *reterr);
/* What is still deferred is run first. Sources may outlive their loop, but do nothing any more. */
void loop_free(struct loop *l);
void loop_free_p(struct loop **l);
/* Runs until loop_stop (also an earlier one); returns the code given there, or -errno. */
int loop_run(struct loop *l);
/* One turn, waiting at most timeout_ns (UINT64_MAX: for ever). 1 if something ran, 0 if not, -errno. */
int loop_run_once(struct loop *l, uint64_t timeout_ns);
void loop_stop(struct loop *l, int code);
/*
 * Tells of handlers that return a negative errno; a repeated one once, until it succeeds or fails in another
 * way. what: "io", "timer", "signal" or "deferred". Without it nobody hears of them.
 */
typedef void (*loop_failure_fn)(void *user, const char *what, int error);
void loop_on_failure(struct loop *l, loop_failure_fn fn, void *user);
/* The time at which this turn began (ns of CLOCK_MONOTONIC): one `now` per turn, passed down. */
uint64_t loop_now_ns(struct loop *l);

#define LOOP_IN 1u
#define LOOP_OUT 4u
#define LOOP_ERR 8u
#define LOOP_HUP 16u
typedef int (*loop_io_fn)(void *user, int fd, uint32_t events, uint64_t now_ns);
typedef int (*loop_timer_fn)(void *user, uint64_t now_ns);
typedef int (*loop_signal_fn)(void *user, int signo, uint64_t now_ns);
typedef int (*loop_path_fn)(void *user, uint64_t now_ns);
typedef int (*loop_defer_fn)(void *user, uint64_t now_ns);

/* fd is borrowed and must outlive the source. events: LOOP_IN | LOOP_OUT; 0: off, also for LOOP_ERR and
 * LOOP_HUP, which are otherwise always reported. -EPERM: fd cannot be polled (a regular file). */
int loop_add_io(struct loop *l, int fd, uint32_t events, enum loop_priority prio, loop_io_fn fn,
		void *user, struct loop_source **ret);
int loop_io_set_events(struct loop_source *s, uint32_t events);
/* A timer, disarmed until loop_timer_set. One shot: it fires once per loop_timer_set. */
int loop_add_timer(struct loop *l, enum loop_priority prio, loop_timer_fn fn, void *user,
		   struct loop_source **ret);
/* deadline_ns: absolute, CLOCK_MONOTONIC, accuracy 1 us; 0 disarms. A past one fires next turn. */
int loop_timer_set(struct loop_source *s, uint64_t deadline_ns);
/* signo must be blocked in all threads first (loop_block_signals). */
int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *user,
		    struct loop_source **ret);
/*
 * Calls fn once something in directory `path` is created, moved, written and closed, deleted, or changed
 * in its permissions, or the directory itself appears, goes, or is replaced, by itself or by a symbolic
 * link on the way to it (Kubernetes swaps one). It need not exist yet. Changes may be merged; there may
 * be calls for nothing. Not seen: writes through a link out of the directory, mounts, remote writers.
 * A relative path is taken from the working directory of now. -EMFILE, -ENOSPC: the user's inotify limit.
 */
int loop_add_path(struct loop *l, const char *path, loop_path_fn fn, void *user,
		  struct loop_source **ret);
/* Runs fn once at the end of this turn. What it frees may be in use by the caller until then. */
int loop_defer(struct loop *l, loop_defer_fn fn, void *user);
/* Disables and frees a source; also from within its own handler. NULL is fine. */
void loop_source_free(struct loop_source *s);
void loop_source_free_p(struct loop_source **s);

/* Blocks SIGTERM, SIGINT, SIGHUP and SIGPIPE in the calling thread (and those that it starts). */
void loop_block_signals(void);

#endif
