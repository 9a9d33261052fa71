/*
 * beat: how punctual the machine itself is, to judge others' punctuality by.
 *
 *	beat	until SIGTERM, one thread on each core, with SCHED_FIFO if permitted, wakes every 5 ms; then prints
 *		"realtime=1 beats=3000 late=12 worst=1234": how many woke more than a millisecond late, and the worst in us.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 5000000
#define NS_PER_S INT64_C(1000000000)
#define CORES_MAX 64

static atomic_bool ended;
static atomic_ulong n_beats, n_late, worst_us;

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

static void *run(void *unused)
{
	struct timespec next, now;

	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	while (!atomic_load(&ended)) {
		int64_t at = ns_of(&next) + PERIOD_NS;

		next.tv_sec = (time_t)(at / NS_PER_S);
		next.tv_nsec = (long)(at % NS_PER_S);
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		unsigned long us = (unsigned long)((ns_of(&now) - at) / 1000);
		unsigned long worst = atomic_load(&worst_us);

		atomic_fetch_add(&n_beats, 1);
		if (us > 1000)
			atomic_fetch_add(&n_late, 1);
		while (us > worst && !atomic_compare_exchange_weak(&worst_us, &worst, us))
			;
		if (us > PERIOD_NS / 1000) /* do not catch up */
			next = now;
	}
	return unused;
}

int main(void)
{
	const struct sched_param realtime = {.sched_priority = 10};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[CORES_MAX];
	int n = 0, signo, is_realtime = 1;
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &term, NULL);
	for (; n < cores && n < CORES_MAX; n++) {
		cpu_set_t core;

		if (pthread_create(&threads[n], NULL, run, NULL) != 0)
			break;
		CPU_ZERO(&core);
		CPU_SET((size_t)n, &core);
		(void)pthread_setaffinity_np(threads[n], sizeof(core), &core);
		if (pthread_setschedparam(threads[n], SCHED_FIFO, &realtime) != 0)
			is_realtime = 0;
	}
	(void)sigwait(&term, &signo);
	atomic_store(&ended, 1);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	printf("realtime=%d beats=%lu late=%lu worst=%lu\n", is_realtime, atomic_load(&n_beats),
	       atomic_load(&n_late), atomic_load(&worst_us));
	return 0;
}
