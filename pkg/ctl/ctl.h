/*
 * ctl: the agent's UNIX socket: one request line, one JSON answer. Requests: "status\n". An unknown or
 * overlong request gets {"error": "..."}; a slow client gets 5 s, then it is closed; at most 16 at a time.
 * STATUS.md is the shape of the answer.
 */
#ifndef VIPD_CTL_CTL_H
#define VIPD_CTL_CTL_H

#include <stdio.h>

#include "base/base.h"
#include "loop/loop.h"

#define CTL_REQUEST_MAX 64

enum ctl_request { CTL_STATUS, CTL_UNKNOWN };
/* Parses a request line without its newline. Pure. */
enum ctl_request ctl_request_parse(const uint8_t *bytes, size_t len);

/* Makes the answer: an owned JSON object, or NULL for out of memory. */
typedef json_t *(*ctl_answer_fn)(void *user, enum ctl_request req);

struct ctl_server;
/* Listens at path (mode 0600; the directory must exist). The file of a socket that nobody listens on any
 * more is replaced; -EADDRINUSE: an agent answers there; -EEXIST: the path is something else. */
int ctl_server_new(struct loop *l, const char *path, ctl_answer_fn answer, void *user,
		   struct ctl_server **ret, struct verr *reterr);
void ctl_server_free(struct ctl_server *s); /* removes the socket file */

/* Client, blocking, at most timeout_ns. 0 and an owned *ret; -ENOENT/-ECONNREFUSED: no agent runs;
 * -ETIMEDOUT; -EPROTO: the answer is no JSON object, or is an {"error": ...}, whose text is in reterr. */
int ctl_ask(const char *path, const char *request, uint64_t timeout_ns, json_t **ret,
	    struct verr *reterr);

/* `vipd status` for people. Pure: from the answer of the agent (STATUS.md) to text; copes with any JSON. */
struct ctl_text_opts {
	bool color; /* a few SGR sequences; the text says everything without them, too */
	unsigned int width; /* columns; 0: unlimited. Less important columns go first */
	char *const *names; /* only these VIPs; borrowed */
	size_t n_names; /* 0: all */
};
/* The number of VIPs printed, or -errno of a failed write. */
int ctl_status_text(const json_t *status, const struct ctl_text_opts *opts, FILE *out);
/* For -o json with names: an owned copy of status that holds only these VIPs. NULL: out of memory. */
json_t *ctl_status_select(const json_t *status, char *const *names, size_t n_names);

#endif
