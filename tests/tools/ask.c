/*
 * ask: a client for the lab. It counts who answers.
 *
 *   ask [-n 1] [-t 2000] [-i 0] [-b SOURCE [-f PORT]] [-u] [-s] ADDRESS PORT
 *	n connections (-u: datagrams) one after the other, i ms apart, each given t ms to connect and to read
 *	the server's name. Prints "node01=8 node02=8 failed=0" and, for failures, their kinds; exit status 1
 *	if one failed. -s prints the answers one by one before that.
 *   ask --watch [-t 2000] [-i 50] [-p PIDFILE] [-o FILE] ADDRESS PORT
 *	until SIGTERM, a new connection every i ms, not waiting for the earlier ones; then those that are under
 *	way have 3 s (and no more than t), after which they have failed. The line ends with "silence=MS": the
 *	longest time without an answer, until SIGTERM, and with "pending=N oldest-pending=MS": how many are under
 *	way, and since when the oldest of them is. SIGUSR1: a report as it stands.
 *   ask --hold [-n 1] [-i 100] [-l SLOW] [-q QUIET] [-z] [-w NAME] [-t 20000] [-p PIDFILE] [-o FILE]
 *	ADDRESS PORT
 *	n connections to a server that echoes, kept until SIGTERM: each sends a line every i ms, the last
 *	QUIET of them only at the start and at the end (-z: only at the end, so that their third packet is
 *	the last one before that), and SLOW of the others every 3 s. At the end every one sends a last line
 *	and has t ms for the answer. Prints who serves how many, "failed" (never connected), "lost" and
 *	"quiet-lost" (reset, closed or mute at the end), "reset" of both, "reset-at=MS": when the last one was, on
 *	the monotonic clock (only if one was), "silence=MS": the longest time that
 *	a line waited for its answer, and two of these for each server ("lost-NAME" only if there are any).
 *	Exit status 1 if any failed or was lost. -w NAME keeps connections to that server only. At SIGUSR1 it
 *	writes the report as it stands, where "lost" is who has waited for more than a second. -u: datagrams.
 *
 * SIGUSR2 to the last two: a report as it stands, and a new beginning: silence and the counts of --watch start
 * again. An answer to what --watch began before counts no more; its failure does, when it comes, and is told
 * again in "failed-before=N" (if there is one).
 *
 * With -p it goes to the background once it has begun (--hold: once all connections stand).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define MAX_NAMES 64
#define MAX_CONNS 4096
#define SLOW_MS 3000
#define DRAIN_MS 3000

enum outcome {
	OUT_ANSWERED,
	OUT_REFUSED,
	OUT_RESET,
	OUT_TIMEOUT,
	OUT_UNREACHABLE,
	OUT_OTHER,
	OUT_N
};
static const char *const outcome_names[OUT_N] = {"answered", "refused",     "reset",
						 "timeout",  "unreachable", "other"};

struct options {
	unsigned int n, timeout_ms, interval_ms, quiet, slow;
	bool udp, watch, hold, sequence, mute;
	const char *pidfile, *report, *want;
	struct addrinfo *to, *source;
};

struct conn {
	int fd; /* -1: none */
	bool connected, last_line;
	uint64_t dead_ns; /* reset or closed then; 0: it lives */
	uint64_t begun_ns; /* of the connection */
	uint64_t waiting_since_ns; /* of the oldest line without its answer; 0: none */
	uint64_t next_line_ns;
	uint64_t silence_ns; /* the longest wait */
	unsigned int n_sent, n_answered; /* lines */
	char name[64];
	size_t name_len;
};

struct tally {
	char names[MAX_NAMES][64];
	unsigned int counts[MAX_NAMES], n_names;
	unsigned int outcomes[OUT_N];
};

static volatile sig_atomic_t stopping;
static volatile sig_atomic_t reporting;
static volatile sig_atomic_t renewing; /* a report, then a new beginning */

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		reporting = 1;
	else if (sig == SIGUSR2)
		renewing = 1;
	else
		stopping = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&ts, NULL);
}

static void tally_name(struct tally *t, const char *name)
{
	unsigned int i = 0;
	while (i < t->n_names && strcmp(t->names[i], name) < 0)
		i++;
	if (i == t->n_names || strcmp(t->names[i], name) != 0) {
		if (t->n_names == MAX_NAMES)
			return;
		memmove(&t->names[i + 1], &t->names[i], (t->n_names - i) * sizeof t->names[0]);
		memmove(&t->counts[i + 1], &t->counts[i], (t->n_names - i) * sizeof t->counts[0]);
		snprintf(t->names[i], sizeof t->names[i], "%s", name);
		t->counts[i] = 0;
		t->n_names++;
	}
	t->counts[i]++;
}

static void tally_print_names(const struct tally *t, FILE *f)
{
	for (unsigned int i = 0; i < t->n_names; i++)
		fprintf(f, "%s=%u ", t->names[i], t->counts[i]);
}

static unsigned int tally_failed(const struct tally *t)
{
	unsigned int failed = 0;
	for (int i = OUT_ANSWERED + 1; i < OUT_N; i++)
		failed += t->outcomes[i];
	return failed;
}

static void tally_print_failed(const struct tally *t, FILE *f)
{
	fprintf(f, "failed=%u", tally_failed(t));
	for (int i = OUT_ANSWERED + 1; i < OUT_N; i++) {
		if (t->outcomes[i] > 0)
			fprintf(f, " %s=%u", outcome_names[i], t->outcomes[i]);
	}
}

static enum outcome outcome_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return OUT_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return OUT_RESET;
	case ETIMEDOUT:
		return OUT_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EADDRNOTAVAIL:
		return OUT_UNREACHABLE;
	default:
		return OUT_OTHER;
	}
}

/* 0 or -errno; a connection in progress is a success. */
static int conn_begin(struct conn *c, const struct options *o, uint64_t now)
{
	*c = (struct conn){.fd = -1, .begun_ns = now};
	int fd = socket(o->to->ai_family, o->to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;
	if (fd < 0)
		return -errno;
	/* with -f, the port may be that of another connection */
	if ((o->source && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
			   bind(fd, o->source->ai_addr, o->source->ai_addrlen) < 0)) ||
	    (connect(fd, o->to->ai_addr, o->to->ai_addrlen) < 0 && errno != EINPROGRESS) ||
	    (o->udp && send(fd, "?\n", 2, MSG_NOSIGNAL) < 0)) {
		int err = errno;
		close(fd);
		return -err;
	}
	c->fd = fd;
	return 0;
}

static void conn_end(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Takes what has come. 1: the name is known; 0: go on; -errno (end of stream is ECONNRESET). */
static int conn_read_name(struct conn *c)
{
	char buf[256];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n')
			return 1;
		if (c->name_len < sizeof c->name - 1)
			c->name[c->name_len++] = buf[i];
	}
	return 0;
}

/* A report in a file is written aside and renamed, so that whoever sees it sees all of it. */
static FILE *report_open(const struct options *o)
{
	if (!o->report)
		return stdout;
	char tmp[4096];
	snprintf(tmp, sizeof tmp, "%s.new", o->report);
	FILE *f = fopen(tmp, "we");
	if (!f) {
		perror(tmp);
		exit(2);
	}
	return f;
}

static void report_close(const struct options *o, FILE *f)
{
	if (!o->report) {
		fflush(f);
		return;
	}
	char tmp[4096];
	snprintf(tmp, sizeof tmp, "%s.new", o->report);
	if (fclose(f) != 0 || rename(tmp, o->report) < 0) {
		perror(o->report);
		exit(2);
	}
}

static enum outcome ask_once(const struct options *o, char *ret_name, size_t size)
{
	uint64_t begun = now_ns();
	uint64_t deadline = begun + o->timeout_ms * NS_PER_MS;
	struct conn c;
	int r = conn_begin(&c, o, begun);
	while (r == 0) {
		uint64_t now = now_ns();
		if (now >= deadline) {
			r = -ETIMEDOUT;
			break;
		}
		struct pollfd p = {.fd = c.fd, .events = POLLIN};
		if (poll(&p, 1, (int)((deadline - now) / NS_PER_MS) + 1) > 0)
			r = conn_read_name(&c);
	}
	conn_end(&c);
	if (r < 0)
		return outcome_of(-r);
	snprintf(ret_name, size, "%s", c.name);
	return OUT_ANSWERED;
}

static int run_ask(const struct options *o)
{
	FILE *f = report_open(o);
	struct tally t = {0};
	for (unsigned int i = 0; i < o->n && !stopping; i++) {
		if (i > 0 && o->interval_ms > 0)
			pause_ms(o->interval_ms);
		char name[64];
		enum outcome out = ask_once(o, name, sizeof name);
		t.outcomes[out]++;
		if (out == OUT_ANSWERED)
			tally_name(&t, name);
		if (o->sequence)
			fprintf(f, "%s ", out == OUT_ANSWERED ? name : outcome_names[out]);
	}
	if (o->sequence)
		fprintf(f, "\n");
	tally_print_names(&t, f);
	tally_print_failed(&t, f);
	fprintf(f, "\n");
	report_close(o, f);
	return tally_failed(&t) > 0;
}

struct watch {
	struct conn conns[MAX_CONNS]; /* under way */
	nfds_t n;
	struct tally tally;
	uint64_t next_ns; /* the next connection begins then */
	uint64_t epoch_ns; /* answers to older ones do not count */
	unsigned int failed_before; /* of the failures: of older ones */
	uint64_t last_answer_ns, silence_ns;
};

static void watch_report(const struct options *o, const struct watch *w, uint64_t now)
{
	uint64_t oldest = now;
	FILE *f = report_open(o);
	for (nfds_t i = 0; i < w->n; i++) {
		if (w->conns[i].begun_ns < oldest)
			oldest = w->conns[i].begun_ns;
	}
	tally_print_names(&w->tally, f);
	tally_print_failed(&w->tally, f);
	if (w->failed_before > 0)
		fprintf(f, " failed-before=%u", w->failed_before);
	fprintf(f, " silence=%llu pending=%u oldest-pending=%llu\n",
		(unsigned long long)(w->silence_ns / NS_PER_MS), (unsigned int)w->n,
		(unsigned long long)((now - oldest) / NS_PER_MS));
	report_close(o, f);
}

static void watch_silence(struct watch *w, uint64_t now)
{
	if (now - w->last_answer_ns > w->silence_ns)
		w->silence_ns = now - w->last_answer_ns;
}

static void watch_begin_one(struct watch *w, const struct options *o, uint64_t now)
{
	int r = conn_begin(&w->conns[w->n], o, now);
	if (r < 0)
		w->tally.outcomes[outcome_of(-r)]++;
	else
		w->n++;
	w->next_ns += o->interval_ms * NS_PER_MS;
	if (w->next_ns < now)
		w->next_ns = now;
}

/* Waits until `wake_ns` for answers, and takes those that have come. */
static void watch_take(struct watch *w, const struct options *o, uint64_t wake_ns)
{
	static struct pollfd fds[MAX_CONNS];
	for (nfds_t i = 0; i < w->n; i++)
		fds[i] = (struct pollfd){.fd = w->conns[i].fd, .events = POLLIN};
	uint64_t now = now_ns();
	int wait = wake_ns > now ? (int)((wake_ns - now) / NS_PER_MS) + 1 : 0;
	if (poll(fds, w->n, wait) < 0)
		return;
	now = now_ns();
	for (nfds_t i = w->n; i-- > 0;) {
		struct conn *c = &w->conns[i];
		int r = fds[i].revents ? conn_read_name(c) : 0;
		if (r == 0 && now - c->begun_ns > o->timeout_ms * NS_PER_MS)
			r = -ETIMEDOUT;
		if (r == 0)
			continue;
		if (r < 0) {
			w->tally.outcomes[outcome_of(-r)]++;
			w->failed_before += c->begun_ns < w->epoch_ns;
		} else if (c->begun_ns >= w->epoch_ns) {
			w->tally.outcomes[OUT_ANSWERED]++;
			tally_name(&w->tally, c->name);
			watch_silence(w, now);
			w->last_answer_ns = now;
		}
		conn_end(c);
		*c = w->conns[--w->n];
	}
}

static int run_watch(const struct options *o)
{
	static struct watch w;
	w.next_ns = w.last_answer_ns = now_ns();

	while (!stopping) {
		uint64_t now = now_ns();
		if (reporting || renewing) {
			watch_silence(&w, now);
			watch_report(o, &w, now);
			if (renewing) {
				w.tally = (struct tally){0};
				w.epoch_ns = w.last_answer_ns = now;
				w.silence_ns = w.failed_before = 0;
			}
			reporting = renewing = 0;
		}
		if (now >= w.next_ns && w.n < MAX_CONNS)
			watch_begin_one(&w, o, now);
		watch_take(&w, o, w.next_ns);
	}
	/* A silence that has not ended counts as well, the time that nothing is begun in does not. */
	uint64_t now = now_ns();
	uint64_t deadline = now + DRAIN_MS * NS_PER_MS;
	watch_silence(&w, now);
	uint64_t silence = w.silence_ns;
	for (; w.n > 0 && now < deadline; now = now_ns())
		watch_take(&w, o, now + 100 * NS_PER_MS);
	w.silence_ns = silence;
	w.tally.outcomes[OUT_TIMEOUT] += (unsigned int)w.n;
	watch_report(o, &w, now);
	return tally_failed(&w.tally) > 0;
}

static void hold_send_line(struct conn *c, uint64_t now, bool udp)
{
	char line[32];
	int len = snprintf(line, sizeof line, "%07u\n", ++c->n_sent);
	if (send(c->fd, line, (size_t)len, MSG_NOSIGNAL) < 0 && errno != EAGAIN && !udp)
		c->dead_ns = now;
	if (c->waiting_since_ns == 0)
		c->waiting_since_ns = now;
}

/*
 * Lines are eight bytes each way; the answer to the oldest one that waits ends or renews the wait. A datagram
 * may be lost without an end of its flow: any answer ends the wait.
 */
static void hold_read(struct conn *c, uint64_t now, uint64_t interval_ns, bool udp)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || udp))
		return;
	if (n <= 0) {
		c->dead_ns = now;
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		c->n_answered += buf[i] == '\n';
	if (udp)
		c->n_answered = c->n_sent;
	if (c->waiting_since_ns == 0)
		return;
	if (now - c->waiting_since_ns > c->silence_ns)
		c->silence_ns = now - c->waiting_since_ns;
	if (c->n_answered >= c->n_sent) {
		c->waiting_since_ns = 0;
	} else {
		/* The later ones were sent an interval apart, the last one before next_line_ns. */
		uint64_t later = (uint64_t)(c->n_sent - c->n_answered) * interval_ns;
		uint64_t since = c->next_line_ns > later ? c->next_line_ns - later : now;
		c->waiting_since_ns = since < now ? since : now;
	}
}

/* 1: connected, the name is known; -errno otherwise. */
static int hold_open_one(struct conn *c, const struct options *o)
{
	int r = conn_begin(c, o, now_ns());
	while (r == 0) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		r = poll(&p, 1, 5000) == 1 ? conn_read_name(c) : -ETIMEDOUT;
	}
	if (r < 0)
		conn_end(c);
	return r;
}

/* Opens all connections and reads the names. */
static void hold_open(struct conn *conns, const struct options *o, struct tally *t)
{
	unsigned int tries_left = o->n * 20;
	for (unsigned int i = 0; i < o->n; i++) {
		int r = hold_open_one(&conns[i], o);
		while (r > 0 && o->want && strcmp(conns[i].name, o->want) != 0) {
			conn_end(&conns[i]);
			r = tries_left-- > 0 ? hold_open_one(&conns[i], o) : -ECONNREFUSED;
		}
		if (r < 0) {
			t->outcomes[outcome_of(-r)]++;
			continue;
		}
		t->outcomes[OUT_ANSWERED]++;
		tally_name(t, conns[i].name);
		/* The second packet of data makes a connection one that is worth telling others of. */
		if (!o->mute || i < o->n - o->quiet)
			hold_send_line(&conns[i], now_ns(), o->udp);
	}
}

static bool hold_is_over(const struct conn *conns, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (conns[i].fd >= 0 && conns[i].dead_ns == 0 &&
		    (!conns[i].last_line || conns[i].waiting_since_ns != 0))
			return false;
	}
	return true;
}

struct hold_server { /* what its connections have come to */
	unsigned int lost;
	uint64_t silence_ns;
};

/* Who has waited for longer than `patience` is lost. */
static bool hold_report(const struct options *o, FILE *f, const struct conn *conns,
			const struct tally *t, uint64_t patience)
{
	uint64_t now = now_ns();
	unsigned int lost[2] = {0};
	unsigned int reset = 0;
	uint64_t last_reset_ns = 0;
	struct hold_server servers[MAX_NAMES] = {0};
	uint64_t silence = 0;
	for (unsigned int i = 0; i < o->n; i++) {
		const struct conn *c = &conns[i];
		if (c->fd < 0)
			continue;
		struct hold_server *s = servers;
		while (strcmp(t->names[s - servers], c->name) != 0)
			s++;
		uint64_t waited = c->waiting_since_ns != 0 ? now - c->waiting_since_ns : 0;
		reset += c->dead_ns != 0;
		if (c->dead_ns > last_reset_ns)
			last_reset_ns = c->dead_ns;
		if (c->dead_ns || waited > patience) {
			lost[i >= o->n - o->quiet]++;
			s->lost++;
		}
		if (waited < c->silence_ns || c->dead_ns)
			waited = c->silence_ns;
		if (waited > s->silence_ns)
			s->silence_ns = waited;
		if (waited > silence)
			silence = waited;
	}
	tally_print_names(t, f);
	tally_print_failed(t, f);
	fprintf(f, " lost=%u quiet-lost=%u reset=%u silence=%llu", lost[0], lost[1], reset,
		(unsigned long long)(silence / NS_PER_MS));
	if (reset > 0)
		fprintf(f, " reset-at=%llu", (unsigned long long)(last_reset_ns / NS_PER_MS));
	for (unsigned int i = 0; i < t->n_names; i++) {
		if (servers[i].lost > 0)
			fprintf(f, " lost-%s=%u", t->names[i], servers[i].lost);
		fprintf(f, " silence-%s=%llu", t->names[i],
			(unsigned long long)(servers[i].silence_ns / NS_PER_MS));
	}
	fprintf(f, "\n");
	return tally_failed(t) == 0 && lost[0] == 0 && lost[1] == 0;
}

static uint64_t hold_interval_ns(const struct options *o, unsigned int i)
{
	bool slow = i < o->n - o->quiet && i >= o->n - o->quiet - o->slow;
	return (slow ? SLOW_MS : o->interval_ms) * NS_PER_MS;
}

static int run_hold(const struct options *o, struct conn *conns, const struct tally *t)
{
	static struct pollfd fds[MAX_CONNS];
	uint64_t deadline = 0;

	for (;;) {
		uint64_t now = now_ns();
		if (stopping && deadline == 0)
			deadline = now + o->timeout_ms * NS_PER_MS;
		if (deadline != 0 && (now > deadline || hold_is_over(conns, o->n)))
			break;
		if (reporting || renewing) {
			FILE *f = report_open(o);
			hold_report(o, f, conns, t, 1000 * NS_PER_MS);
			report_close(o, f);
			for (unsigned int i = 0; renewing && i < o->n; i++)
				conns[i].silence_ns = 0;
			reporting = renewing = 0;
		}
		uint64_t wake = now + 100 * NS_PER_MS;
		for (unsigned int i = 0; i < o->n; i++) {
			struct conn *c = &conns[i];
			fds[i] = (struct pollfd){.fd = c->dead_ns ? -1 : c->fd, .events = POLLIN};
			if (fds[i].fd < 0)
				continue;
			if (deadline != 0 && !c->last_line) {
				c->last_line = true;
				hold_send_line(c, now, o->udp);
			} else if (deadline == 0 && i < o->n - o->quiet) {
				if (now >= c->next_line_ns) {
					hold_send_line(c, now, o->udp);
					c->next_line_ns = now + hold_interval_ns(o, i);
				}
				if (c->next_line_ns < wake)
					wake = c->next_line_ns;
			}
		}
		int wait = wake > now ? (int)((wake - now) / NS_PER_MS) + 1 : 0;
		if (poll(fds, o->n, wait) < 0)
			continue;
		now = now_ns();
		for (unsigned int i = 0; i < o->n; i++) {
			if (fds[i].revents)
				hold_read(&conns[i], now, hold_interval_ns(o, i), o->udp);
		}
	}
	FILE *f = report_open(o);
	bool good = hold_report(o, f, conns, t, 0);
	report_close(o, f);
	return !good;
}

static struct addrinfo *resolve(const char *address, const char *port, bool udp)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				       .ai_socktype = udp ? SOCK_DGRAM : SOCK_STREAM};
	struct addrinfo *ai;
	int r = getaddrinfo(address, port, &hints, &ai);
	if (r != 0) {
		fprintf(stderr, "ask: %s: %s\n", address, gai_strerror(r));
		exit(2);
	}
	return ai;
}

static void go_to_background(const struct options *o)
{
	pid_t pid = fork();
	if (pid < 0) {
		perror("ask: fork");
		exit(2);
	}
	if (pid > 0) {
		FILE *f = fopen(o->pidfile, "w");
		if (!f || fprintf(f, "%d\n", (int)pid) < 0 || fclose(f) != 0) {
			perror(o->pidfile);
			exit(2);
		}
		exit(0);
	}
	setsid();
	/* Whoever reads our parent's output must see its end. */
	if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout) ||
	    !freopen("/dev/null", "w", stderr))
		exit(1);
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*text == '\0' || *end != '\0' || v > 100000000) {
		fprintf(stderr, "ask: not a number: %s\n", text);
		exit(2);
	}
	return (unsigned int)v;
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"watch", no_argument, NULL, 'W'}, {"hold", no_argument, NULL, 'H'}, {0}};
	const char *source = NULL, *source_port = "0";
	int c;
	*o = (struct options){.n = 1};
	bool has_interval = false;
	while ((c = getopt_long(argc, argv, "n:t:i:l:q:b:f:w:suzp:o:", longs, NULL)) != -1) {
		if (c == 'n')
			o->n = number(optarg);
		else if (c == 't')
			o->timeout_ms = number(optarg);
		else if (c == 'i')
			o->interval_ms = number(optarg), has_interval = true;
		else if (c == 'q')
			o->quiet = number(optarg);
		else if (c == 'l')
			o->slow = number(optarg);
		else if (c == 'z')
			o->mute = true;
		else if (c == 'b')
			source = optarg;
		else if (c == 'f')
			source_port = optarg;
		else if (c == 'w')
			o->want = optarg;
		else if (c == 's')
			o->sequence = true;
		else if (c == 'u')
			o->udp = true;
		else if (c == 'p')
			o->pidfile = optarg;
		else if (c == 'o')
			o->report = optarg;
		else if (c == 'W')
			o->watch = true;
		else if (c == 'H')
			o->hold = true;
		else
			exit(2);
	}
	if (argc - optind != 2 || o->n == 0 || o->n > MAX_CONNS || o->quiet > o->n ||
	    o->slow > o->n - o->quiet) {
		fprintf(stderr,
			"usage: ask [--watch | --hold] [-n N] [-t MS] [-i MS] [-l SLOW] [-q QUIET] "
			"[-z] [-b SOURCE [-f PORT]] [-w NAME] "
			"[-u] [-s] [-p PIDFILE] [-o FILE] ADDRESS PORT\n");
		exit(2);
	}
	if (o->timeout_ms == 0)
		o->timeout_ms = o->hold ? 20000 : 2000;
	if (!has_interval)
		o->interval_ms = o->hold ? 100 : o->watch ? 50 : 0;
	o->to = resolve(argv[optind], argv[optind + 1], o->udp);
	o->source = source ? resolve(source, source_port, o->udp) : NULL;
}

int main(int argc, char **argv)
{
	static struct conn conns[MAX_CONNS];
	struct tally held = {0};
	struct options o;
	parse_options(argc, argv, &o);
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);

	if (o.hold)
		hold_open(conns, &o, &held);
	if (o.pidfile)
		go_to_background(&o);
	if (o.hold)
		return run_hold(&o, conns, &held);
	return o.watch ? run_watch(&o) : run_ask(&o);
}
