/* YAML documents, by libyaml's events, as JSON trees. Strict: what is ambiguous or a trap is refused. */
#include "manifest/manifest_internal.h"

#include <errno.h>
#include <string.h>

#include <yaml.h>

#include "manifest/manifest_scalar.h"

struct yaml_in {
	yaml_parser_t parser;
	struct parse *p;
	struct line_map *map; /* of the document at hand */
	size_t n_values;
};

static int no_memory(struct yaml_in *y)
{
	return verr_set(y->p->reterr, ENOMEM, "%s: out of memory", y->p->name);
}

static int fail_at(struct yaml_in *y, const yaml_mark_t *mark, const char *text)
{
	return parse_fail(y->p, (unsigned int)mark->line + 1, (unsigned int)mark->column + 1, "%s",
			  text);
}

static int next_event(struct yaml_in *y, yaml_event_t *ret)
{
	if (yaml_parser_parse(&y->parser, ret))
		return 0;

	const yaml_parser_t *e = &y->parser;
	const char *problem = e->problem ? e->problem : "not YAML";
	unsigned int line, column;

	if (e->error == YAML_MEMORY_ERROR)
		return no_memory(y);
	if (e->error == YAML_READER_ERROR) {
		/* Only here libyaml counts in bytes instead of setting the mark. */
		parse_place(y->p, e->problem_offset, &line, &column);
		return parse_fail(y->p, line, column, "%s", problem);
	}
	line = (unsigned int)e->problem_mark.line + 1;
	column = (unsigned int)e->problem_mark.column + 1;
	if (e->context)
		return parse_fail(y->p, line, column, "%s %s", problem, e->context);
	return parse_fail(y->p, line, column, "%s", problem);
}

/* Anchors make aliases possible, and aliases bombs; tags ask for types that JSON does not have. */
static int refuse_extras(struct yaml_in *y, const yaml_event_t *ev, const yaml_char_t *anchor,
			 const yaml_char_t *tag)
{
	if (anchor)
		return fail_at(y, &ev->start_mark, "anchors are not supported");
	if (tag)
		return fail_at(y, &ev->start_mark, "tags are not supported");
	return 0;
}

static bool has_nul(const yaml_event_t *ev)
{
	return memchr(ev->data.scalar.value, '\0', ev->data.scalar.length) != NULL;
}

static int read_scalar(struct yaml_in *y, const yaml_event_t *ev, json_t **ret)
{
	const char *text = (const char *)ev->data.scalar.value;
	struct scalar s = {.type = SCALAR_STRING};
	json_t *j = NULL;
	int r = refuse_extras(y, ev, ev->data.scalar.anchor, ev->data.scalar.tag);

	if (r < 0)
		return r;
	if (has_nul(ev))
		return fail_at(y, &ev->start_mark, "NUL characters are not supported");
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		s = scalar_resolve(text);
	switch (s.type) {
	case SCALAR_NULL:
		j = json_null();
		break;
	case SCALAR_BOOL:
		j = json_boolean(s.v.flag);
		break;
	case SCALAR_INT:
		j = json_integer(s.v.num);
		break;
	case SCALAR_REAL:
		j = json_real(s.v.real);
		break;
	case SCALAR_STRING:
		j = json_stringn(text, ev->data.scalar.length);
		break;
	case SCALAR_BAD:
		return fail_at(y, &ev->start_mark, s.v.why);
	}
	if (!j)
		return no_memory(y);
	*ret = j;
	return 0;
}

static int read_value(struct yaml_in *y, const yaml_event_t *ev, unsigned int depth, uint32_t node,
		      json_t **ret);

static int read_sequence(struct yaml_in *y, unsigned int depth, json_t **ret)
{
	json_auto_t *array = json_array();

	if (!array)
		return no_memory(y);
	for (;;) {
		AUTO(yaml_event_delete) yaml_event_t ev = {0};
		json_t *value;
		uint32_t node;
		int r = next_event(y, &ev);

		if (r < 0)
			return r;
		if (ev.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (line_map_add(y->map, NULL, 0, (unsigned int)ev.start_mark.line + 1,
				 (unsigned int)ev.start_mark.column + 1, &node) < 0)
			return no_memory(y);
		r = read_value(y, &ev, depth + 1, node, &value);
		if (r < 0)
			return r;
		if (json_array_append_new(array, value) < 0)
			return no_memory(y);
	}
	*ret = STEAL(array);
	return 0;
}

static int check_key(struct yaml_in *y, const yaml_event_t *ev, const json_t *object)
{
	if (ev->type == YAML_ALIAS_EVENT)
		return fail_at(y, &ev->start_mark, "aliases are not supported");
	if (ev->type != YAML_SCALAR_EVENT)
		return fail_at(y, &ev->start_mark, "a key must be a string");

	const char *key = (const char *)ev->data.scalar.value;
	int r = refuse_extras(y, ev, ev->data.scalar.anchor, ev->data.scalar.tag);

	if (r < 0)
		return r;
	if (has_nul(ev))
		return fail_at(y, &ev->start_mark, "NUL characters are not supported");
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(key, "<<") == 0)
		return fail_at(y, &ev->start_mark, "merge keys are not supported");
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && key[0] == '\0')
		return fail_at(y, &ev->start_mark, "a key is missing");
	if (json_object_get(object, key))
		return parse_fail(y->p, (unsigned int)ev->start_mark.line + 1,
				  (unsigned int)ev->start_mark.column + 1, "duplicate key \"%s\"",
				  key);
	return 0;
}

static int read_mapping(struct yaml_in *y, unsigned int depth, json_t **ret)
{
	json_auto_t *object = json_object();

	if (!object)
		return no_memory(y);
	for (;;) {
		AUTO(yaml_event_delete) yaml_event_t key = {0};
		AUTO(yaml_event_delete) yaml_event_t ev = {0};
		json_t *value;
		uint32_t node;
		int r = next_event(y, &key);

		if (r < 0)
			return r;
		if (key.type == YAML_MAPPING_END_EVENT)
			break;
		r = check_key(y, &key, object);
		if (r < 0)
			return r;

		const char *text = (const char *)key.data.scalar.value;

		if (line_map_add(y->map, text, key.data.scalar.length,
				 (unsigned int)key.start_mark.line + 1,
				 (unsigned int)key.start_mark.column + 1, &node) < 0)
			return no_memory(y);
		r = next_event(y, &ev);
		if (r < 0)
			return r;
		r = read_value(y, &ev, depth + 1, node, &value);
		if (r < 0)
			return r;
		if (json_object_set_new(object, text, value) < 0)
			return no_memory(y);
	}
	*ret = STEAL(object);
	return 0;
}

static int read_collection(struct yaml_in *y, const yaml_event_t *ev, unsigned int depth,
			   json_t **ret)
{
	bool is_sequence = ev->type == YAML_SEQUENCE_START_EVENT;
	int r = is_sequence ? refuse_extras(y, ev, ev->data.sequence_start.anchor,
					    ev->data.sequence_start.tag)
			    : refuse_extras(y, ev, ev->data.mapping_start.anchor,
					    ev->data.mapping_start.tag);

	if (r < 0)
		return r;
	if (depth > DEPTH_MAX)
		return parse_fail(y->p, (unsigned int)ev->start_mark.line + 1,
				  (unsigned int)ev->start_mark.column + 1, "nested deeper than %u",
				  DEPTH_MAX);
	return is_sequence ? read_sequence(y, depth, ret) : read_mapping(y, depth, ret);
}

/* depth of the value itself: 1 for a document. node: its entry in the line map, closed here. */
static int read_value(struct yaml_in *y, const yaml_event_t *ev, unsigned int depth, uint32_t node,
		      json_t **ret)
{
	int r = -EBADMSG;

	if (++y->n_values > VALUES_MAX)
		return parse_fail(y->p, (unsigned int)ev->start_mark.line + 1,
				  (unsigned int)ev->start_mark.column + 1, "more than %u values",
				  VALUES_MAX);
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		r = read_scalar(y, ev, ret);
		break;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		r = read_collection(y, ev, depth, ret);
		break;
	case YAML_ALIAS_EVENT:
		return fail_at(y, &ev->start_mark, "aliases are not supported");
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return fail_at(y, &ev->start_mark, "unexpected end");
	}
	if (r == 0)
		line_map_close(y->map, node);
	return r;
}

/* From behind its start to its end. */
static int read_document(struct yaml_in *y)
{
	AUTO(line_map_unref_p) struct line_map *map = line_map_new();
	AUTO(yaml_event_delete) yaml_event_t ev = {0};
	AUTO(yaml_event_delete) yaml_event_t end = {0};
	json_auto_t *root = NULL;
	uint32_t node;
	int r = next_event(y, &ev);

	if (r < 0)
		return r;
	if (!map || line_map_add(map, NULL, 0, (unsigned int)ev.start_mark.line + 1,
				 (unsigned int)ev.start_mark.column + 1, &node) < 0)
		return no_memory(y);
	y->map = map;
	r = read_value(y, &ev, 1, node, &root);
	y->map = NULL;
	if (r < 0)
		return r;
	r = next_event(y, &end);
	if (r < 0)
		return r;
	/* "---" and nothing after it: kubectl passes over that too. */
	return json_is_null(root) ? 0 : parse_add_doc(y->p, root, map);
}

static int read_stream(struct yaml_in *y)
{
	for (;;) {
		AUTO(yaml_event_delete) yaml_event_t ev = {0};
		int r = next_event(y, &ev);

		if (r < 0)
			return r;
		if (ev.type == YAML_STREAM_END_EVENT)
			return 0;
		if (ev.type == YAML_DOCUMENT_START_EVENT)
			r = read_document(y);
		if (r < 0)
			return r;
	}
}

int parse_yaml(struct parse *p)
{
	struct yaml_in y = {.p = p};

	if (!yaml_parser_initialize(&y.parser))
		return no_memory(&y);
	/* Set, so that it does not guess UTF-16. */
	yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y.parser, p->bytes, p->len);

	int r = read_stream(&y);

	yaml_parser_delete(&y.parser);
	return r;
}
