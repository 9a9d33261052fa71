/*
 * probe: one attempt of one check: TCP connect, or HTTP(S) GET. Tells how it ended, at which layer and how
 * long it took; counts nothing. A TCP probe that connects reads what the server says for up to 100 ms and
 * closes politely, so that sshd (PerSourcePenalties) does not take it for an attack.
 */
#ifndef VIPD_PROBE_PROBE_H
#define VIPD_PROBE_PROBE_H

#include "api/api.h"
#include "base/base.h"
#include "loop/loop.h"

enum probe_end {
	PROBE_OK,
	PROBE_L4_TIMEOUT, /* no answer to the SYN */
	PROBE_L4_REFUSED, /* reset, unreachable, or any other connect error */
	PROBE_L6_TLS, /* handshake failed */
	PROBE_L7_TIMEOUT, /* connected, but no whole answer in time */
	PROBE_L7_STATUS, /* answered something else than 2xx or 3xx */
	PROBE_L7_RESPONSE, /* not HTTP, or cut off */
	PROBE_LOCAL, /* could not even try (no descriptor, no memory): says nothing of the target */
	PROBE_END_N,
};
const char *probe_end_name(enum probe_end e); /* "OK", "L4Timeout", "L4Refused", ... */

struct probe_result {
	enum probe_end end;
	bool unreachable; /* L4_REFUSED, but perhaps by nobody: the host may be gone */
	uint64_t latency_ns; /* to connect (TCP), to the whole header (HTTP) */
	int status; /* HTTP status, else 0 */
	char detail[96]; /* for people: "connection refused", "503 Service Unavailable" */
};

struct probe_engine; /* per loop: connections, curl handles */
struct probe; /* one attempt under way */

int probe_engine_new(struct loop *l, struct probe_engine **ret, struct verr *reterr);
void probe_engine_free(struct probe_engine *e);

/* Called once, from the loop, unless probe_cancel came first. The probe is freed after it returns. */
typedef void (*probe_done_fn)(void *user, const struct probe_result *result, uint64_t now_ns);

/* target: who is checked (link-local addresses are not supported); check is borrowed until the end.
 * -errno only for out of memory; everything else comes by done. */
int probe_start(struct probe_engine *e, const struct addr *target,
		const struct api_health_check *check, probe_done_fn done, void *user,
		struct probe **ret);
void probe_cancel(struct probe *p); /* NULL is fine */

#endif
