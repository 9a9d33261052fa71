/*
 * From the bytes of a watch to its events. The API server writes JSON objects one after the other without
 * lengths; they arrive split anywhere. The splitter finds where each ends, jansson does the rest.
 */
#include "kube/kube_internal.h"

#include <errno.h>
#include <string.h>

void kube_splitter_init(struct kube_splitter *s, size_t max)
{
	*s = (struct kube_splitter){.max = max};
}

void kube_splitter_done(struct kube_splitter *s)
{
	free(s->buf);
	*s = (struct kube_splitter){.max = s->max};
}

static int keep(struct kube_splitter *s, const char *bytes, size_t len)
{
	if (len > s->max - s->len)
		return -EFBIG;

	char *buf = array_room(s->buf, &s->room, s->len + len, 1);

	if (!buf)
		return -ENOMEM;
	s->buf = buf;
	memcpy(s->buf + s->len, bytes, len);
	s->len += len;
	return 0;
}

/* The object ends with these bytes. A great buffer is not kept for the small objects to come. */
static int deliver(struct kube_splitter *s, const char *bytes, size_t len, kube_value_fn fn,
		   void *user)
{
	if (s->len == 0)
		return len > s->max ? -EFBIG : fn(user, bytes, len);

	int r = keep(s, bytes, len);

	if (r < 0)
		return r;

	AUTO(free_p) char *buf = STEAL(s->buf);
	size_t whole = s->len;

	s->len = s->room = 0;
	return fn(user, buf, whole);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Moves over one byte; true if it ends the object. */
static bool step(struct kube_splitter *s, char c)
{
	if (s->is_escape) {
		s->is_escape = false;
	} else if (s->is_string) {
		s->is_escape = c == '\\';
		s->is_string = c != '"';
	} else if (c == '"') {
		s->is_string = true;
	} else if (c == '{' || c == '[') {
		s->depth++;
	} else if (c == '}' || c == ']') {
		return --s->depth == 0;
	}
	return false;
}

int kube_splitter_feed(struct kube_splitter *s, const char *bytes, size_t len, kube_value_fn fn,
		       void *user)
{
	size_t start = 0; /* of what belongs to the object at hand */

	for (size_t i = 0; i < len; i++) {
		if (s->depth == 0) {
			start = i;
			if (is_space(bytes[i]))
				continue;
			if (bytes[i] != '{')
				return -EBADMSG;
		}
		if (step(s, bytes[i])) {
			int r = deliver(s, bytes + start, i + 1 - start, fn, user);

			if (r < 0)
				return r;
		}
	}
	return s->depth > 0 ? keep(s, bytes + start, len - start) : 0;
}
