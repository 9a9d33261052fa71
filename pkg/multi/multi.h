/*
 * multi: libcurl's transfers on a loop, by its multi_socket interface. curl's sockets live in an epoll set that the loop
 * watches. Nothing is told from within curl: first curl works, then what it left behind is asked for.
 */
#ifndef VIPD_MULTI_MULTI_H
#define VIPD_MULTI_MULTI_H

#include <curl/curl.h>

#include "base/base.h"
#include "loop/loop.h"

struct multi;

/* There is work: time for multi_work, and then for multi_ended. Returns as loop_io_fn does. */
typedef int (*multi_fn)(void *user, uint64_t now_ns);

/* Loads libcurl. user is borrowed. */
int multi_new(struct loop *l, enum loop_priority prio, multi_fn fn, void *user, struct multi **ret,
	      struct verr *reterr);
/* After all transfers; NULL is fine. */
void multi_free(struct multi *m);

/* Where transfers are added and removed; borrowed. */
CURLM *multi_handle(struct multi *m);
/* Lets curl work for what the loop has seen. */
int multi_work(struct multi *m);
/* CURLOPT_PRIVATE of a transfer that has ended and was not told of before; NULL: none any more. */
void *multi_ended(struct multi *m, CURLcode *ret_code);

#endif
