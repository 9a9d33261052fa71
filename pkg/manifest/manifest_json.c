/* Strict JSON by jansson; the lines of the fields, which jansson does not keep, by a scan of our own. */
#include "manifest/manifest_internal.h"

#include <errno.h>
#include <string.h>

/* A place in the text. */
struct scan {
	const uint8_t *p, *end;
	unsigned int line, column; /* of p, from 1 */
};

static void advance(struct scan *s)
{
	if (*s->p == '\n') {
		s->line++;
		s->column = 1;
	} else if ((*s->p & 0xc0) != 0x80) {
		s->column++;
	}
	s->p++;
}

static void skip_space(struct scan *s)
{
	while (s->p < s->end && memchr(" \t\r\n", *s->p, 4))
		advance(s);
}

static bool at(const struct scan *s, char c)
{
	return s->p < s->end && *s->p == (uint8_t)c;
}

/* From the opening quote to behind the closing one (or to the end of the text). */
static void skip_string(struct scan *s)
{
	advance(s);
	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\\')
			advance(s);
		if (s->p < s->end)
			advance(s);
	}
	if (s->p < s->end)
		advance(s);
}

/* Before any of it becomes a tree: how deep and how many. Right for every text, valid or not. */
static int check_limits(struct parse *p)
{
	struct scan s = {.p = p->bytes, .end = p->bytes + p->len, .line = 1, .column = 1};
	size_t depth = 0, n_values = 0;

	while (s.p < s.end) {
		if (*s.p == '"') {
			skip_string(&s);
			continue;
		}
		if (*s.p == '[' || *s.p == '{')
			depth++;
		else if ((*s.p == ']' || *s.p == '}') && depth > 0)
			depth--;
		if (depth > DEPTH_MAX)
			return parse_fail(p, s.line, s.column, "nested deeper than %u", DEPTH_MAX);
		if (*s.p == '[' || *s.p == '{' || *s.p == ',')
			n_values++;
		if (n_values > VALUES_MAX)
			return parse_fail(p, s.line, s.column, "more than %u values", VALUES_MAX);
		advance(&s);
	}
	return 0;
}

static int scan_value(struct line_map *m, struct scan *s, const struct scan *start, const char *key,
		      size_t key_len);

static int scan_members(struct line_map *m, struct scan *s)
{
	int r = 0;

	advance(s);
	skip_space(s);
	while (r == 0 && at(s, '"')) {
		struct scan start = *s;

		skip_string(s);

		const char *key = (const char *)start.p + 1;
		size_t len = (size_t)(s->p - start.p) - 2;

		skip_space(s);
		if (at(s, ':'))
			advance(s);
		r = scan_value(m, s, &start, key, len);
		if (at(s, ','))
			advance(s);
		skip_space(s);
	}
	if (at(s, '}'))
		advance(s);
	return r;
}

static int scan_items(struct line_map *m, struct scan *s)
{
	int r = 0;

	advance(s);
	skip_space(s);
	while (r == 0 && s->p < s->end && !at(s, ']')) {
		r = scan_value(m, s, NULL, NULL, 0);
		if (at(s, ','))
			advance(s);
		skip_space(s);
	}
	if (at(s, ']'))
		advance(s);
	return r;
}

/*
 * The text has passed jansson, so its shape is known to be right (and its depth to be bounded). A member
 * stands where its key does (`start`), an item where it begins.
 */
static int scan_value(struct line_map *m, struct scan *s, const struct scan *start, const char *key,
		      size_t key_len)
{
	uint32_t node;

	skip_space(s);
	if (!start)
		start = s;

	int r = line_map_add(m, key, key_len, start->line, start->column, &node);

	if (r < 0)
		return r;
	if (at(s, '{'))
		r = scan_members(m, s);
	else if (at(s, '['))
		r = scan_items(m, s);
	else if (at(s, '"'))
		skip_string(s);
	else
		while (s->p < s->end && !memchr(",]} \t\r\n", *s->p, 7))
			advance(s);
	line_map_close(m, node);
	skip_space(s);
	return r;
}

static int parse_one(struct parse *p, struct scan *s)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK;
	json_error_t err;
	json_auto_t *root = json_loadb((const char *)s->p, (size_t)(s->end - s->p), flags, &err);

	if (!root && json_error_code(&err) == json_error_out_of_memory)
		return verr_set(p->reterr, ENOMEM, "%s: out of memory", p->name);
	if (!root) {
		/* jansson counts from where this document begins, and columns from 0. */
		unsigned int line = err.line > 0 ? (unsigned int)err.line : 1;
		unsigned int column = err.column > 0 ? (unsigned int)err.column : 1;

		return parse_fail(p, s->line + line - 1,
				  line == 1 ? s->column + column - 1 : column, "%s", err.text);
	}

	AUTO(line_map_unref_p) struct line_map *map = line_map_new();
	struct scan doc = *s;

	if (!map)
		return verr_set(p->reterr, ENOMEM, "%s: out of memory", p->name);
	doc.end = s->p + err.position;
	if (scan_value(map, &doc, NULL, NULL, 0) < 0)
		return verr_set(p->reterr, ENOMEM, "%s: out of memory", p->name);
	s->p = doc.end;
	s->line = doc.line;
	s->column = doc.column;
	return parse_add_doc(p, root, map);
}

int parse_json(struct parse *p)
{
	struct scan s = {.p = p->bytes, .end = p->bytes + p->len, .line = 1, .column = 1};
	int r = check_limits(p);

	for (skip_space(&s); r == 0 && s.p < s.end; skip_space(&s)) {
		if (*s.p != '{')
			return parse_fail(p, s.line, s.column, "expected an object");
		r = parse_one(p, &s);
	}
	return r;
}
