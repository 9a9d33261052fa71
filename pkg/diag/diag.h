/*
 * diag: which TCP sockets there are in this network namespace (sock_diag(7)). Asks the kernel for one connection at a
 * time, over libmnl; a call is synchronous and takes some microseconds. Decides nothing.
 */
#ifndef VIPD_DIAG_DIAG_H
#define VIPD_DIAG_DIAG_H

#include "base/base.h"

struct diag;

/* What the kernel would give a segment of this connection to. */
enum diag_socket {
	DIAG_NONE,
	DIAG_LISTENS, /* to the local address, or to all: there is no such connection */
	DIAG_CONNECTED, /* in whatever state, TIME_WAIT too */
};

/* No privilege is needed; the kernel loads its module itself. 0 or -errno. */
int diag_open(struct diag **ret, struct verr *reterr);
void diag_close(struct diag *d);

/* Sockets that are bound to a device are not found. 0 or -errno. */
int diag_tcp(struct diag *d, const struct addr *local, uint16_t local_port, const struct addr *peer,
	     uint16_t peer_port, enum diag_socket *ret, struct verr *reterr);

/* The kernel's answer, without the netlink header. 0 or -EBADMSG. */
int diag_answer_parse(const void *bytes, size_t len, enum diag_socket *ret);

#endif
