#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

/* A line is one write of at most PIPE_BUF bytes, so lines of two processes never mix in a pipe. */
#define LINE_MAX_BYTES 4096
/* Kept free for " truncated=true" and the like, so that a full line still ends as it should. */
#define LINE_TAIL_BYTES 32
#define VALUE_MAX_BYTES 1024

enum sink_kind {
	SINK_PLAIN, /* cannot block for long (a file), or can only be asked by poll */
	SINK_OURS, /* our own non-blocking open file description of the same pipe or terminal */
	SINK_SOCKET, /* send() takes the flag with each call */
};

static struct {
	enum log_format format;
	int verbosity;
	enum sink_kind sink;
	int fd;
	_Atomic uint64_t dropped;
	atomic_bool torn; /* a line was taken in part: the next one starts with a newline */
} log_state = {.format = LOG_FORMAT_TEXT, .verbosity = 2, .fd = STDERR_FILENO};

void log_setup(enum log_format format, int verbosity)
{
	struct stat st;

	if (log_state.sink == SINK_OURS)
		(void)close(log_state.fd);
	log_state.format = format;
	log_state.verbosity = verbosity;
	log_state.sink = SINK_PLAIN;
	log_state.fd = STDERR_FILENO;
	if (fstat(STDERR_FILENO, &st) < 0)
		return;

	if (S_ISSOCK(st.st_mode)) {
		log_state.sink = SINK_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(STDERR_FILENO))) {
		/*
		 * O_NONBLOCK belongs to the open file description, which stderr shares with the shell
		 * or the container runtime: setting it there would break them. A fresh description
		 * of the same pipe is ours alone.
		 */
		int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0) {
			log_state.fd = fd;
			log_state.sink = SINK_OURS;
		}
	}
}

int log_verbosity(void)
{
	return log_state.verbosity;
}

uint64_t log_dropped(void)
{
	return atomic_load(&log_state.dropped);
}

static ssize_t write_once(const char *p, size_t n)
{
	switch (log_state.sink) {
	case SINK_SOCKET:
		return send(log_state.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_PLAIN: {
		struct pollfd pfd = {.fd = log_state.fd, .events = POLLOUT};

		if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT)) {
			errno = EAGAIN;
			return -1;
		}
		return write(log_state.fd, p, n);
	}
	case SINK_OURS:
		break;
	}
	return write(log_state.fd, p, n);
}

static void write_line(const char *p, size_t n)
{
	ssize_t r;

	do
		r = write_once(p, n);
	while (r < 0 && errno == EINTR);
	if (r != (ssize_t)n)
		atomic_fetch_add(&log_state.dropped, 1);
	if (r > 0)
		atomic_store(&log_state.torn, r != (ssize_t)n);
}

/* A line in the making. After something did not fit, `full` stays set. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	size_t limit;
	bool full;
};

static void put(struct line *l, const char *p, size_t n)
{
	if (l->full || l->limit - l->len < n) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->len, p, n);
	l->len += n;
}

static void put_text(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

__attribute__((format(printf, 2, 3))) static void putf(struct line *l, const char *fmt, ...)
{
	char buf[160];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	put(l, buf, n < 0 ? 0 : (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1);
}

static void put_escape(struct line *l, uint32_t c)
{
	bool json = log_state.format == LOG_FORMAT_JSON;

	if (c == '\n')
		put_text(l, "\\n");
	else if (c == '\t')
		put_text(l, "\\t");
	else if (c == '\r')
		put_text(l, "\\r");
	else if (c < 0x80 && !json)
		putf(l, "\\x%02x", (unsigned int)c);
	else if (c < 0x10000)
		putf(l, "\\u%04x", (unsigned int)c);
	else if (json)
		putf(l, "\\u%04x\\u%04x", 0xd800 + ((unsigned int)(c - 0x10000) >> 10),
		     0xdc00 + ((unsigned int)c & 0x3ff));
	else
		putf(l, "\\U%08x", (unsigned int)c);
}

/* Quoted as Go's %q (text) or as JSON. What is not UTF-8 shows as \xNN there and as U+FFFD here. */
static void put_quoted(struct line *l, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t whole = strlen(s);
	size_t len = utf8_cut(p, whole, VALUE_MAX_BYTES);

	put(l, "\"", 1);
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_decode(p + i, len - i, &c);

		if (n == 0) {
			if (log_state.format == LOG_FORMAT_JSON)
				put_text(l, "\\ufffd");
			else
				putf(l, "\\x%02x", p[i]);
			n = 1;
		} else if (c == '"' || c == '\\') {
			put(l, "\\", 1);
			put(l, s + i, 1);
		} else if (utf8_is_hidden(c)) {
			put_escape(l, c);
		} else {
			put(l, s + i, n);
		}
		i += n;
	}
	if (len < whole)
		put_text(l, "...");
	put(l, "\"", 1);
}

static void put_value(struct line *l, const struct log_kv *kv)
{
	switch (kv->type) {
	case LOG_STR:
		put_quoted(l, kv->v.str ? kv->v.str : "");
		break;
	case LOG_INT:
		putf(l, "%" PRId64, kv->v.num);
		break;
	case LOG_UINT:
		putf(l, "%" PRIu64, kv->v.unum);
		break;
	case LOG_BOOL:
		put_text(l, kv->v.flag ? "true" : "false");
		break;
	}
}

static void put_pairs(struct line *l, const struct log_kv *kvs, size_t n_kvs)
{
	bool json = log_state.format == LOG_FORMAT_JSON;
	bool lost = false;

	for (size_t i = 0; i < n_kvs; i++) {
		size_t before = l->len;

		if (json) {
			put(l, ",", 1);
			put_quoted(l, kvs[i].key);
			put(l, ":", 1);
		} else {
			put(l, " ", 1);
			put_text(l, kvs[i].key);
			put(l, "=", 1);
		}
		put_value(l, &kvs[i]);
		if (l->full) {
			/* Half a pair would be no JSON any more: leave it out whole. */
			l->len = before;
			l->full = false;
			lost = true;
		}
	}
	l->limit = sizeof(l->text);
	if (lost)
		put_text(l, json ? ",\"truncated\":true" : " truncated=true");
}

static void put_head_text(struct line *l, enum log_level level, const char *file, int line,
			  const struct timespec *now)
{
	static const char letters[] = {
		[LOG_LEVEL_INFO] = 'I', [LOG_LEVEL_WARNING] = 'W', [LOG_LEVEL_ERROR] = 'E'};
	struct tm tm = {0};

	(void)localtime_r(&now->tv_sec, &tm);
	putf(l, "%c%02d%02d %02d:%02d:%02d.%06ld %7d %s:%d] ", letters[level], tm.tm_mon + 1,
	     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now->tv_nsec / 1000, (int)getpid(), file,
	     line);
}

/* klog's JSON knows no level: an error is what has no "v" (reference: component-base/logs/json). */
static void put_head_json(struct line *l, const char *file, int line, const struct timespec *now)
{
	putf(l, "{\"ts\":%" PRId64 ".%03ld,\"caller\":\"%s:%d\",\"msg\":",
	     (int64_t)now->tv_sec * 1000 + now->tv_nsec / 1000000, now->tv_nsec / 1000 % 1000, file,
	     line);
}

void log_emit(enum log_level level, const char *file, int line, const char *msg,
	      const struct log_kv *kvs, size_t n_kvs)
{
	bool json = log_state.format == LOG_FORMAT_JSON;
	struct line l;
	struct timespec now;

	l.len = 0;
	l.limit = sizeof(l.text) - LINE_TAIL_BYTES;
	l.full = false;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (atomic_load(&log_state.torn))
		put(&l, "\n", 1);
	if (json)
		put_head_json(&l, file, line, &now);
	else
		put_head_text(&l, level, file, line, &now);
	put_quoted(&l, msg);
	if (json && level != LOG_LEVEL_ERROR)
		put_text(&l, ",\"v\":0");
	put_pairs(&l, kvs, n_kvs);
	put_text(&l, json ? "}\n" : "\n");
	write_line(l.text, l.len);
}
