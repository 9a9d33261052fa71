/* verr: error text that a caller owns. No heap, so it also works when memory is gone. */
#ifndef VIPD_BASE_VERR_H
#define VIPD_BASE_VERR_H

struct verr {
	int code; /* positive errno value; 0: nothing was reported */
	char msg[256]; /* one line, no trailing newline or period */
};

/*
 * Sets *reterr (may be NULL) and returns -code, so that failing is one expression:
 *	return verr_set(reterr, EBADMSG, "vrid %u", vrid);
 */
int verr_set(struct verr *reterr, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As verr_set, with the system's reason behind the text: "text: Operation not permitted". */
int verr_errno(struct verr *reterr, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts context in front of the text that is there: "context: old text". Returns rc unchanged. */
int verr_wrap(struct verr *reterr, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
