#include "base/mono.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t mono_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

char *mono_wall_text(uint64_t mono_ns, char *buf, size_t size)
{
	/* Unsigned wrap-around makes this right for moments in the future too. */
	uint64_t wall_ns = clock_ns(CLOCK_REALTIME) - (mono_now_ns() - mono_ns);
	time_t t = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(buf, size, "-");
	return buf;
}

char *mono_span_text(uint64_t span_ns, char *buf, size_t size)
{
	uint64_t s = span_ns / NS_PER_S;

	/* Cut, never rounded: 59.97 s must not read "60.0 s". */
	if (span_ns < NS_PER_MS)
		(void)snprintf(buf, size, "%" PRIu64 " us", span_ns / NS_PER_US);
	else if (s == 0)
		(void)snprintf(buf, size, "%" PRIu64 " ms", span_ns / NS_PER_MS);
	else if (s < 60)
		(void)snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " s", s,
			       span_ns % NS_PER_S / (100 * NS_PER_MS));
	else if (s < 3600)
		(void)snprintf(buf, size, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(buf, size, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s % 3600 / 60);
	else
		(void)snprintf(buf, size, "%" PRIu64 "d%02" PRIu64 "h", s / 86400,
			       s % 86400 / 3600);
	return buf;
}
