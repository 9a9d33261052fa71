/* own: ownership by cleanup attributes. */
#ifndef VIPD_BASE_OWN_H
#define VIPD_BASE_OWN_H

#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn)))
#define STEAL(p)                             \
	__extension__({                      \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                  \
		stolen_;                     \
	})
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Closes an owned descriptor; a negative one is none. close() is never retried on EINTR. */
static inline void fd_close_p(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static inline int fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* AUTO(free_p) void *p */
static inline void free_p(void *pp)
{
	void **p = pp;

	free(*p);
	*p = NULL;
}

#endif
