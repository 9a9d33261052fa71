/* Node: the fields that vipd reads of it. */
#include <errno.h>
#include <string.h>

#include "api/api_internal.h"

static void decode_address(const struct api_cur *c, struct api_node *n)
{
	struct api_cur type = api_at_key(c, "type");
	struct api_cur address = api_at_key(c, "address");
	const char *text;
	struct addr a;

	if (!api_is_given(c) || !api_is_map(c, NULL) || !api_is_given(&type) ||
	    !api_read_string(&type, &text) || strcmp(text, "InternalIP") != 0)
		return;
	if (!api_is_given(&address) || !api_read_string(&address, &text))
		return;
	/* Kubernetes lets other spellings than the canonical one pass here. */
	if (addr_parse(text, &a) < 0)
		api_refuse_value(&address, "must be an IP address");
	else
		n->internal_ips[n->n_internal_ips++] = a;
}

static void decode_addresses(const struct api_cur *c, struct api_node *n)
{
	size_t len = json_is_null(c->value) ? 0 : api_list_len(c, 0, SIZE_MAX);

	n->internal_ips = api_new_array(c, len, sizeof(*n->internal_ips));
	for (size_t i = 0; n->internal_ips && i < len; i++) {
		struct api_cur item = api_at_item(c, i);

		decode_address(&item, n);
	}
}

/* A node is ready unless its Ready condition says otherwise: manifests rarely have one. */
static bool read_ready(const struct api_cur *conditions)
{
	size_t len = json_is_null(conditions->value) ? 0 : api_list_len(conditions, 0, SIZE_MAX);

	for (size_t i = 0; i < len; i++) {
		const json_t *item = json_array_get(conditions->value, i);
		const char *type = json_string_value(json_object_get(item, "type"));
		const char *status = json_string_value(json_object_get(item, "status"));

		if (type && strcmp(type, "Ready") == 0)
			return status && strcmp(status, "True") == 0;
	}
	return true;
}

static void decode_node(const struct api_cur *root, struct api_node *n)
{
	struct api_meta meta = {0};

	n->ready = true;
	if (!api_decode_head(root, "v1", "Node", &meta))
		return;
	memcpy(n->name, meta.name, sizeof(n->name));
	memcpy(n->uid, meta.uid, sizeof(n->uid));

	struct api_cur metadata = api_at_key(root, "metadata");
	struct api_cur labels = api_at_key(&metadata, "labels");
	struct api_cur spec = api_at_key(root, "spec");
	struct api_cur unschedulable = api_at_key(&spec, "unschedulable");
	struct api_cur status = api_at_key(root, "status");
	struct api_cur addresses = api_at_key(&status, "addresses");
	struct api_cur conditions = api_at_key(&status, "conditions");

	api_decode_labels(&labels, &n->labels, &n->n_labels);
	if (!json_is_null(spec.value))
		(void)api_is_map(&spec, NULL);
	if (!json_is_null(unschedulable.value))
		(void)api_read_bool(&unschedulable, &n->unschedulable);
	if (!json_is_null(status.value))
		(void)api_is_map(&status, NULL);
	decode_addresses(&addresses, n);
	n->ready = read_ready(&conditions);
}

int api_node_decode(const json_t *object, struct api_node **ret, struct api_problems *ret_problems)
{
	struct api_sink sink = {0};
	struct api_cur root = {.value = object, .sink = &sink};
	AUTO(api_node_free_p) struct api_node *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	decode_node(&root, n);
	int r = api_sink_close(&sink, ret_problems);

	if (r < 0)
		return r;
	*ret = STEAL(n);
	return 0;
}

void api_node_free(struct api_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n_labels; i++) {
		free(n->labels[i].key);
		free(n->labels[i].value);
	}
	free(n->labels);
	free(n->internal_ips);
	free(n);
}

void api_node_free_p(struct api_node **n)
{
	api_node_free(*n);
	*n = NULL;
}
