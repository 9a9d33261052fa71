/* dl_internal: what the two files of this room share. */
#ifndef VIPD_DL_INTERNAL_H
#define VIPD_DL_INTERNAL_H

#include <stddef.h>

#include "dl/dl.h"

struct dl_function {
	const char *name;
	void **ret; /* where its address goes */
};
/* Loads a library and looks all of them up. 0 or -ENOENT. */
int dl_load(const char *library, const struct dl_function *functions, size_t n,
	    struct verr *reterr);

#endif
