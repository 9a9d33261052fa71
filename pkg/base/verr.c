#include "base/verr.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Keeps the promise of one line, whatever foreign text was quoted, and of whole characters. */
static void verr_tidy(struct verr *e, int wanted)
{
	size_t len = strlen(e->msg);

	/* Cut short by the buffer: a character may have lost its end. */
	if (wanted >= (int)sizeof(e->msg)) {
		size_t valid = utf8_valid_len((const uint8_t *)e->msg, len);

		if (len - valid < 4)
			e->msg[valid] = '\0';
	}
	for (char *p = e->msg; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
}

/* Puts ": reason" behind what was written, `wanted` bytes; returns the bytes that both need. */
static int add_reason(struct verr *e, int wanted, const char *reason)
{
	size_t at = (size_t)wanted;

	if (wanted < 0 || at >= sizeof(e->msg))
		return wanted;
	return wanted + snprintf(e->msg + at, sizeof(e->msg) - at, ": %s", reason);
}

/* reason: NULL for none. */
static int __attribute__((format(printf, 4, 0)))
vset(struct verr *reterr, int code, const char *reason, const char *fmt, va_list ap)
{
	if (!reterr)
		return -code;

	/* Built aside, because an argument may be the text that is being replaced. */
	struct verr e = {.code = code};
	int wanted = vsnprintf(e.msg, sizeof(e.msg), fmt, ap);

	verr_tidy(&e, reason ? add_reason(&e, wanted, reason) : wanted);
	*reterr = e;
	return -code;
}

int verr_set(struct verr *reterr, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = vset(reterr, code, NULL, fmt, ap);
	va_end(ap);
	return r;
}

int verr_errno(struct verr *reterr, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = vset(reterr, code, strerror(code), fmt, ap);
	va_end(ap);
	return r;
}

int verr_wrap(struct verr *reterr, int rc, const char *fmt, ...)
{
	if (!reterr)
		return rc;

	struct verr e = {.code = reterr->code ? reterr->code : -rc};
	va_list ap;

	va_start(ap, fmt);
	int wanted = vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	verr_tidy(&e, add_reason(&e, wanted, reterr->code ? reterr->msg : strerror(-rc)));
	*reterr = e;
	return rc;
}
