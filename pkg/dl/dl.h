/*
 * dl: libcurl and libmicrohttpd, loaded when they are first needed. With the TLS libraries behind them they are
 * more than half of the agent's memory, and an agent that follows a directory and checks by TCP needs neither.
 *
 * This room defines the functions of the two that vipd uses, each passing on to the real one, so that their
 * users are written as always, against the libraries' own headers. Who uses one calls dl_curl or dl_mhd first;
 * from one thread, control's. What is loaded stays.
 */
#ifndef VIPD_DL_DL_H
#define VIPD_DL_DL_H

#include "base/base.h"

#define DL_CURL "libcurl.so.4"
#define DL_MHD "libmicrohttpd.so.12"

/* 0, also if it is loaded already; -ENOENT with the loader's text: no such library, or a function is not in it. */
int dl_curl(struct verr *reterr);
int dl_mhd(struct verr *reterr);

/*
 * Gives back the memory in which these libraries, and the thirty behind them, have parts of their own files: most of it
 * was for loading them and for the first handshake. What is needed again comes from the page cache, at the price of a
 * page fault each. Nothing else of the process is touched, neither its own program nor the C library.
 */
void dl_rest(void);

#endif
