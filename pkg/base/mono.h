/* mono: time. Everything in vipd counts nanoseconds of CLOCK_MONOTONIC; wall time is for people only. */
#ifndef VIPD_BASE_MONO_H
#define VIPD_BASE_MONO_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Now, ns of CLOCK_MONOTONIC. The pure cores never call this: they are told. */
uint64_t mono_now_ns(void);

static inline uint64_t mono_later(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

/* Wall clock of the moment mono_ns, as RFC 3339 in UTC with seconds ("2026-01-02T03:04:05Z"). */
char *mono_wall_text(uint64_t mono_ns, char *buf, size_t size);

/* A length for people: "850 us", "12 ms", "3.2 s", "4m05s", "2h13m", "3d04h". */
char *mono_span_text(uint64_t span_ns, char *buf, size_t size);
#define MONO_TEXT_MAX 32

#endif
