/* The place and the words of a problem, and the list of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

#define VALUE_MAX 64 /* bytes of a foreign string that a message quotes */

struct text {
	char *buf;
	size_t size;
	size_t len;
};

static void text_add(struct text *t, const char *s)
{
	while (*s && t->len + 1 < t->size)
		t->buf[t->len++] = *s++;
	t->buf[t->len] = 0;
}

/* Foreign text, at most max bytes of it, cut between characters: it must not reach a terminal with controls, start a
 * line of a log, or reorder what stands around it. */
static void text_add_foreign(struct text *t, const char *s, size_t max)
{
	char ch[4];

	for (size_t n, used = 0; (n = utf8_take_shown(&s, ch)) > 0; used += n) {
		if (used + n > max || t->len + n + 4 > t->size) {
			text_add(t, "...");
			return;
		}
		memcpy(t->buf + t->len, ch, n);
		t->len += n;
		t->buf[t->len] = 0;
	}
}

static bool is_plain_key(const char *key)
{
	return *key && !key[strspn(key, "abcdefghijklmnopqrstuvwxyz"
					"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

static void text_add_path(struct text *t, const struct api_cur *c)
{
	if (!c->up)
		return;
	text_add_path(t, c->up);
	if (!c->key) {
		char idx[32];

		(void)snprintf(idx, sizeof(idx), "[%zu]", c->idx);
		text_add(t, idx);
	} else if (is_plain_key(c->key)) {
		text_add(t, t->len ? "." : "");
		text_add_foreign(t, c->key, VALUE_MAX);
	} else {
		text_add(t, "[");
		text_add_foreign(t, c->key, VALUE_MAX);
		text_add(t, "]");
	}
}

static void text_add_value(struct text *t, const json_t *v)
{
	char num[40];

	if (!v)
		return;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		text_add(t, "a map");
		break;
	case JSON_ARRAY:
		text_add(t, "a list");
		break;
	case JSON_STRING:
		text_add(t, "\"");
		text_add_foreign(t, json_string_value(v), VALUE_MAX);
		text_add(t, "\"");
		break;
	case JSON_INTEGER:
		(void)snprintf(num, sizeof(num), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		text_add(t, num);
		break;
	case JSON_REAL:
		(void)snprintf(num, sizeof(num), "%g", json_real_value(v));
		text_add(t, num);
		text_add(t, num[strspn(num, "-0123456789")] ? "" : ".0");
		break;
	case JSON_TRUE:
		text_add(t, "true");
		break;
	case JSON_FALSE:
		text_add(t, "false");
		break;
	case JSON_NULL:
		text_add(t, "null");
		break;
	}
}

static void refuse(const struct api_cur *c, bool with_value, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void refuse(const struct api_cur *c, bool with_value, const char *fmt, va_list ap)
{
	struct api_problems *list = &c->sink->problems;

	if (list->n == API_PROBLEMS_MAX)
		return;
	if (!list->items)
		list->items = api_new_array(c, API_PROBLEMS_MAX, sizeof(*list->items));
	if (!list->items)
		return;

	struct api_problem *p = &list->items[list->n++];
	struct text path = {.buf = p->path, .size = sizeof(p->path)};
	struct text msg = {.buf = p->msg, .size = sizeof(p->msg)};

	text_add_path(&path, c);
	if (with_value) {
		text_add_value(&msg, c->value);
		text_add(&msg, ": ");
	}
	(void)vsnprintf(msg.buf + msg.len, msg.size - msg.len, fmt, ap);
}

void api_refuse(const struct api_cur *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	refuse(c, false, fmt, ap);
	va_end(ap);
}

void api_refuse_value(const struct api_cur *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	refuse(c, true, fmt, ap);
	va_end(ap);
}

int api_sink_close(struct api_sink *s, struct api_problems *ret)
{
	int r = s->no_memory ? -ENOMEM : s->problems.n ? -EINVAL : 0;

	if (r == -EINVAL && ret) {
		*ret = s->problems;
		s->problems = (struct api_problems){0};
	}
	api_problems_done(&s->problems);
	return r;
}

void api_problems_done(struct api_problems *p)
{
	free(p->items);
	*p = (struct api_problems){0};
}
