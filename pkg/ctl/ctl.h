/*
 * ctl: the agent's UNIX socket: one request line, one JSON answer. Requests: "status\n". An unknown or
 * overlong request gets {"error": "..."}; a slow client gets 5 s, then it is closed; at most 16 at a time.
 */
#ifndef VIPD_CTL_CTL_H
#define VIPD_CTL_CTL_H

#include "base/base.h"
#include "loop/loop.h"

#define CTL_REQUEST_MAX 64

enum ctl_request { CTL_STATUS, CTL_UNKNOWN };
/* Parses a request line without its newline. Pure. */
enum ctl_request ctl_request_parse(const uint8_t *bytes, size_t len);

/* Makes the answer: an owned JSON object, or NULL for out of memory. */
typedef json_t *(*ctl_answer_fn)(void *user, enum ctl_request req);

struct ctl_server;
/* Listens at path (mode 0600; a stale socket file is replaced; the directory must exist). */
int ctl_server_new(struct loop *l, const char *path, ctl_answer_fn answer, void *user,
		   struct ctl_server **ret, struct verr *reterr);
void ctl_server_free(struct ctl_server *s); /* removes the socket file */

/* Client, blocking, at most timeout_ns. 0 and an owned *ret; -ENOENT/-ECONNREFUSED: no agent runs. */
int ctl_ask(const char *path, const char *request, uint64_t timeout_ns, json_t **ret,
	    struct verr *reterr);

#endif
