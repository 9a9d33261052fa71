/* The loop: sources, order, timers, failing handlers, freeing from within. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"

struct seen {
	struct loop *loop;
	struct loop_source *src;
	unsigned int n;
	uint64_t now_ns;
	uint64_t again_ns; /* re-arm to this */
	int result;
	int value; /* signal number, event bits, ... */
	char *trail; /* gets `letter` appended */
	char letter;
	bool free_self;
	bool drain;
};

static int setup(void **state)
{
	struct loop *l;

	if (loop_new(&l, NULL) < 0)
		return -1;
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static int note(struct seen *s, uint64_t now_ns)
{
	s->n++;
	s->now_ns = now_ns;
	if (s->trail) {
		size_t len = strlen(s->trail);

		s->trail[len] = s->letter;
		s->trail[len + 1] = '\0';
	}
	if (s->free_self)
		loop_source_free(s->src);
	return s->result;
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct seen *s = user;

	if (s->again_ns) {
		assert_int_equal(loop_timer_set(s->src, s->again_ns), 0);
		s->again_ns = 0;
	}
	return note(s, now_ns);
}

static int on_io(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct seen *s = user;
	uint64_t count;

	s->value = (int)events;
	if (s->drain)
		assert_int_equal(read(fd, &count, sizeof(count)), (ssize_t)sizeof(count));
	return note(s, now_ns);
}

static int on_signal(void *user, int signo, uint64_t now_ns)
{
	struct seen *s = user;

	s->value = signo;
	return note(s, now_ns);
}

static int on_defer(void *user, uint64_t now_ns)
{
	return note(user, now_ns);
}

static int on_stop(void *user, uint64_t now_ns)
{
	struct seen *s = user;

	loop_stop(s->loop, 42);
	return note(s, now_ns);
}

static void test_timer_fires_once_and_never_early(void **state)
{
	struct loop *l = *state;
	struct seen s = {0};

	assert_int_equal(loop_add_timer(l, LOOP_PRIO_NORMAL, on_timer, &s, &s.src), 0);
	assert_int_equal(loop_run_once(l, 0), 0);

	/* An odd number of nanoseconds: rounding must go up. */
	uint64_t deadline_ns = mono_now_ns() + 2 * NS_PER_MS + 1;

	assert_int_equal(loop_timer_set(s.src, deadline_ns), 0);
	assert_int_equal(loop_run_once(l, UINT64_MAX), 1);
	assert_int_equal(s.n, 1);
	assert_true(s.now_ns >= deadline_ns);
	assert_true(mono_now_ns() >= deadline_ns);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(s.n, 1);

	/* Past: next turn. Disarmed: never. */
	assert_int_equal(loop_timer_set(s.src, 1), 0);
	assert_int_equal(loop_run_once(l, UINT64_MAX), 1);
	assert_int_equal(s.n, 2);
	assert_int_equal(loop_timer_set(s.src, 1), 0);
	assert_int_equal(loop_timer_set(s.src, 0), 0);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(loop_timer_set(s.src, UINT64_MAX), 0);
	assert_int_equal(loop_run_once(l, 0), 0);

	/* Armed again from within its own handler. */
	s.again_ns = 1;
	assert_int_equal(loop_timer_set(s.src, 1), 0);
	assert_int_equal(loop_run_once(l, UINT64_MAX), 1);
	assert_int_equal(loop_run_once(l, UINT64_MAX), 1);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(s.n, 4);
	loop_source_free(s.src);
}

/* The wake-up is asked of the kernel to the microsecond, not at the 250 ms of sd-event's default. */
static void test_timer_is_exact(void **state)
{
	struct loop *l = *state;
	struct seen s = {0};
	struct itimerspec its = {0};
	uint64_t deadline_ns = mono_now_ns() + 3600 * NS_PER_S;
	bool found = false;

	assert_int_equal(loop_add_timer(l, LOOP_PRIO_NORMAL, on_timer, &s, &s.src), 0);
	assert_int_equal(loop_timer_set(s.src, deadline_ns), 0);
	assert_int_equal(loop_run_once(l, 0), 0);
	for (int fd = 0; fd < 64; fd++) {
		/* Taken first: being interrupted in between makes the timer look early, not late. */
		uint64_t now_ns = mono_now_ns();

		if (timerfd_gettime(fd, &its) < 0)
			continue;

		uint64_t left_ns =
			(uint64_t)its.it_value.tv_sec * NS_PER_S + (uint64_t)its.it_value.tv_nsec;

		if (left_ns > 0 && now_ns + left_ns <= deadline_ns + 2 * NS_PER_US)
			found = true;
	}
	assert_true(found);
	loop_source_free(s.src);
}

static void test_io_and_masks(void **state)
{
	struct loop *l = *state;
	struct seen s = {.drain = true};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t one = 1;

	assert_int_equal(loop_add_io(l, fd, LOOP_IN, LOOP_PRIO_NORMAL, on_io, &s, &s.src), 0);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(write(fd, &one, sizeof(one)), (ssize_t)sizeof(one));
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(s.value, LOOP_IN);
	assert_int_equal(loop_run_once(l, 0), 0);

	s.drain = false;
	assert_int_equal(loop_io_set_events(s.src, LOOP_OUT), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(s.value, LOOP_OUT);
	assert_int_equal(loop_io_set_events(s.src, 0), 0);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(loop_io_set_events(s.src, LOOP_IN | LOOP_OUT), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(s.n, 3);
	loop_source_free(s.src);
	(void)close(fd);
}

static void test_hangup_without_events_is_silent(void **state)
{
	struct loop *l = *state;
	struct seen s = {0};
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(loop_add_io(l, fds[0], 0, LOOP_PRIO_NORMAL, on_io, &s, &s.src), 0);
	(void)close(fds[1]);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(loop_io_set_events(s.src, LOOP_IN), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_true(s.value & LOOP_HUP);
	loop_source_free(s.src);
	(void)close(fds[0]);
}

static void test_add_reports_errors(void **state)
{
	struct loop *l = *state;
	struct loop_source *src = NULL;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(loop_add_io(l, fd, LOOP_IN, LOOP_PRIO_NORMAL, on_io, NULL, &src), -EPERM);
	assert_null(src);
	(void)close(fd);
	/* SIGUSR2 is not blocked. */
	assert_int_equal(loop_add_signal(l, SIGUSR2, on_signal, NULL, &src), -EBUSY);
	assert_null(src);
	loop_source_free(NULL);
	loop_source_free_p(&src);
}

static void test_priorities(void **state)
{
	struct loop *l = *state;
	static const enum loop_priority order[] = {LOOP_PRIO_OUTWARD, LOOP_PRIO_PROBE,
						   LOOP_PRIO_VRRP, LOOP_PRIO_NORMAL,
						   LOOP_PRIO_NETLINK};
	struct seen s[ARRAY_LEN(order)];
	char trail[16] = "";

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		s[i] = (struct seen){.trail = trail, .letter = (char)('a' + i)};
		assert_int_equal(loop_add_timer(l, order[i], on_timer, &s[i], &s[i].src), 0);
		assert_int_equal(loop_timer_set(s[i].src, 1 + i), 0);
	}
	while (loop_run_once(l, 0) > 0)
		;
	assert_string_equal(trail, "cebda");
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		loop_source_free(s[i].src);
}

static void count_failure(void *user, const char *what, int error)
{
	unsigned int *n = user;

	assert_string_equal(what, "io");
	assert_true(error == -EIO || error == -EBADF);
	(*n)++;
}

static void test_failing_handler_stays_on(void **state)
{
	struct loop *l = *state;
	unsigned int n_told = 0;
	struct seen s = {.result = -EIO};
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(loop_add_io(l, fd, LOOP_IN, LOOP_PRIO_NORMAL, on_io, &s, &s.src), 0);
	loop_on_failure(l, count_failure, &n_told);
	for (unsigned int i = 1; i <= 5; i++) {
		assert_int_equal(loop_run_once(l, 0), 1);
		assert_int_equal(s.n, i);
		assert_int_equal(n_told, 1);
	}
	/* Another failure, and the same one again after a success, is news. */
	s.result = -EBADF;
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(n_told, 2);
	s.result = 0;
	assert_int_equal(loop_run_once(l, 0), 1);
	s.result = -EBADF;
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(n_told, 3);
	loop_source_free(s.src);
	(void)close(fd);
}

static void test_source_frees_itself(void **state)
{
	struct loop *l = *state;
	struct seen io = {.free_self = true, .result = -EIO};
	struct seen timer = {.free_self = true};
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(loop_add_io(l, fd, LOOP_IN, LOOP_PRIO_NORMAL, on_io, &io, &io.src), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(io.n, 1);
	assert_int_equal(loop_add_timer(l, LOOP_PRIO_VRRP, on_timer, &timer, &timer.src), 0);
	assert_int_equal(loop_timer_set(timer.src, 1), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(loop_run_once(l, 0), 0);
	assert_int_equal(timer.n, 1);
	(void)close(fd);
}

struct chain {
	struct loop *loop;
	struct seen *next;
	struct seen self;
};

static int defer_another(void *user, uint64_t now_ns)
{
	struct chain *c = user;

	assert_int_equal(loop_defer(c->loop, on_defer, c->next), 0);
	return note(&c->self, now_ns);
}

static void test_defer(void **state)
{
	struct loop *l = *state;
	char trail[16] = "";
	struct seen a = {.trail = trail, .letter = 'a', .result = -EIO};
	struct seen b = {.trail = trail, .letter = 'b'};
	struct seen later = {.trail = trail, .letter = 'z'};
	struct chain c = {.loop = l, .next = &later, .self = {.trail = trail, .letter = 'c'}};

	assert_int_equal(loop_defer(l, on_defer, &a), 0);
	assert_int_equal(loop_defer(l, defer_another, &c), 0);
	assert_int_equal(loop_defer(l, on_defer, &b), 0);
	/* No event is there, and yet it does not wait for one. */
	assert_int_equal(loop_run_once(l, UINT64_MAX), 1);
	assert_string_equal(trail, "acb");
	assert_int_equal(loop_run_once(l, UINT64_MAX), 1);
	assert_string_equal(trail, "acbz");
	assert_int_equal(loop_run_once(l, 0), 0);
}

static void test_free_runs_deferred(void **state)
{
	struct loop *l;
	struct seen later = {0};
	struct chain c = {.next = &later};

	(void)state;
	assert_int_equal(loop_new(&l, NULL), 0);
	c.loop = l;
	assert_int_equal(loop_defer(l, defer_another, &c), 0);
	loop_free_p(&l);
	assert_null(l);
	assert_int_equal(c.self.n, 1);
	assert_int_equal(later.n, 1);
	loop_free(NULL);
}

static void test_signal_and_stop(void **state)
{
	struct loop *l = *state;
	struct seen sig = {0};
	struct seen busy = {0};
	struct seen stop = {.loop = l};
	sigset_t before, now;
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	loop_block_signals();
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	assert_true(sigismember(&now, SIGTERM) && sigismember(&now, SIGPIPE));
	assert_int_equal(loop_add_signal(l, SIGHUP, on_signal, &sig, &sig.src), 0);
	assert_int_equal(raise(SIGHUP), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(sig.value, SIGHUP);
	assert_int_equal(sig.n, 1);

	/* Checks that never come to an end do not keep it out. */
	assert_true(fd >= 0);
	assert_int_equal(loop_add_io(l, fd, LOOP_IN, LOOP_PRIO_PROBE, on_io, &busy, &busy.src), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(busy.n, 1);
	assert_int_equal(raise(SIGHUP), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(sig.n, 2);
	loop_source_free(busy.src);
	(void)close(fd);

	assert_int_equal(loop_add_timer(l, LOOP_PRIO_NORMAL, on_stop, &stop, &stop.src), 0);
	assert_int_equal(loop_timer_set(stop.src, 1), 0);
	assert_int_equal(loop_run(l), 42);
	/* Asked to stop before it ran: not a turn. */
	loop_stop(l, 7);
	assert_int_equal(loop_run(l), 7);
	loop_source_free(sig.src);
	loop_source_free(stop.src);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void test_now_is_that_of_the_turn(void **state)
{
	struct loop *l = *state;
	struct seen s = {0};

	assert_true(loop_now_ns(l) > 0);
	assert_int_equal(loop_add_timer(l, LOOP_PRIO_NORMAL, on_timer, &s, &s.src), 0);
	assert_int_equal(loop_timer_set(s.src, 1), 0);
	assert_int_equal(loop_run_once(l, 0), 1);
	assert_int_equal(loop_now_ns(l), s.now_ns);
	assert_true(s.now_ns <= mono_now_ns());
	loop_source_free(s.src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timer_fires_once_and_never_early, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_timer_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_and_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hangup_without_events_is_silent, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_add_reports_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_priorities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failing_handler_stays_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_frees_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_defer, setup, teardown),
		cmocka_unit_test(test_free_runs_deferred),
		cmocka_unit_test_setup_teardown(test_signal_and_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_now_is_that_of_the_turn, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
