/*
 * YAML into JSON, just as much as a kubeconfig needs: one document, every scalar a string. JSON is YAML, so
 * kubeconfigs in JSON are read as well. Aliases are followed, within bounds.
 */
#include "kube/kube_internal.h"

#include <errno.h>
#include <string.h>

#include <yaml.h>

#define DEPTH_MAX 32u
#define NODES_MAX 100000u

struct yaml_in {
	yaml_document_t *doc;
	const char *name;
	size_t n_nodes; /* made so far: aliases count each time */
	struct verr *reterr;
};

static int fail_at(const struct yaml_in *y, const yaml_node_t *node, const char *text)
{
	return verr_set(y->reterr, EBADMSG, "%s:%zu: %s", y->name, node->start_mark.line + 1, text);
}

static int no_memory(const struct yaml_in *y)
{
	return verr_set(y->reterr, ENOMEM, "%s: out of memory", y->name);
}

static int convert(struct yaml_in *y, int index, unsigned int depth, json_t **ret);

static int convert_scalar(const struct yaml_in *y, const yaml_node_t *node, json_t **ret)
{
	const char *text = (const char *)node->data.scalar.value;
	size_t len = node->data.scalar.length;
	bool is_null = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		       (len == 0 || strcmp(text, "null") == 0 || strcmp(text, "~") == 0);

	if (memchr(text, '\0', len))
		return fail_at(y, node, "NUL characters are not supported");
	*ret = is_null ? json_null() : json_stringn(text, len);
	return *ret ? 0 : fail_at(y, node, "not UTF-8, or out of memory");
}

static int convert_sequence(struct yaml_in *y, const yaml_node_t *node, unsigned int depth,
			    json_t **ret)
{
	json_auto_t *array = json_array();

	if (!array)
		return no_memory(y);
	for (const yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++) {
		json_t *value;
		int r = convert(y, *i, depth + 1, &value);

		if (r < 0)
			return r;
		if (json_array_append_new(array, value) < 0)
			return no_memory(y);
	}
	*ret = STEAL(array);
	return 0;
}

static int convert_mapping(struct yaml_in *y, const yaml_node_t *node, unsigned int depth,
			   json_t **ret)
{
	json_auto_t *object = json_object();

	if (!object)
		return no_memory(y);
	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(y->doc, p->key);
		json_t *value;

		if (key->type != YAML_SCALAR_NODE)
			return fail_at(y, key, "a key must be a string");

		int r = convert(y, p->value, depth + 1, &value);

		if (r < 0)
			return r;
		if (json_object_set_new(object, (const char *)key->data.scalar.value, value) < 0)
			return fail_at(y, key, "not UTF-8, or out of memory");
	}
	*ret = STEAL(object);
	return 0;
}

static int convert(struct yaml_in *y, int index, unsigned int depth, json_t **ret)
{
	const yaml_node_t *node = yaml_document_get_node(y->doc, index);

	if (depth > DEPTH_MAX || ++y->n_nodes > NODES_MAX)
		return fail_at(y, node, "nested too deeply, or too long");
	switch (node->type) {
	case YAML_SCALAR_NODE:
		return convert_scalar(y, node, ret);
	case YAML_SEQUENCE_NODE:
		return convert_sequence(y, node, depth, ret);
	case YAML_MAPPING_NODE:
		return convert_mapping(y, node, depth, ret);
	case YAML_NO_NODE:
		break;
	}
	return fail_at(y, node, "an unknown node");
}

static int load(yaml_parser_t *parser, const char *name, json_t **ret, struct verr *reterr)
{
	yaml_document_t doc;

	if (!yaml_parser_load(parser, &doc))
		return verr_set(reterr, EBADMSG, "%s:%zu: %s", name, parser->problem_mark.line + 1,
				parser->problem ? parser->problem : "not YAML");

	struct yaml_in y = {.doc = &doc, .name = name, .reterr = reterr};
	const yaml_node_t *root = yaml_document_get_root_node(&doc);
	int r;

	if (root)
		r = convert(&y, 1, 1, ret);
	else
		r = verr_set(reterr, EBADMSG, "%s: empty", name);
	yaml_document_delete(&doc);
	return r;
}

int kube_yaml_parse(const char *name, const struct kube_blob *bytes, json_t **ret,
		    struct verr *reterr)
{
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser))
		return verr_set(reterr, ENOMEM, "%s: out of memory", name);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes->bytes, bytes->len);

	int r = load(&parser, name, ret, reterr);

	yaml_parser_delete(&parser);
	return r;
}
