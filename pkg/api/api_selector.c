/* metav1.LabelSelector: which nodes. */
#include <string.h>

#include "api/api_internal.h"

#define REQUIREMENTS_MAX 64
#define VALUES_MAX 64

static const struct api_word operators[] = {
	{"In", API_OP_IN},
	{"NotIn", API_OP_NOT_IN},
	{"Exists", API_OP_EXISTS},
	{"DoesNotExist", API_OP_DOES_NOT_EXIST},
	{NULL, 0},
};

static bool takes_values(enum api_operator op)
{
	return op == API_OP_IN || op == API_OP_NOT_IN;
}

/* One entry of matchLabels, as In with one value. */
static void decode_label(const struct api_cur *c, struct api_requirement *req)
{
	const char *expected = api_syntax_label_key(c->key);

	if (expected)
		api_refuse(c, "%s", expected);
	req->op = API_OP_IN;
	req->key = api_new_copy(c, c->key);
	req->values = api_new_array(c, 1, sizeof(*req->values));
	if (req->values && api_read_text_dup(c, api_syntax_label_value, &req->values[0]))
		req->n_values = 1;
}

static void decode_expression(const struct api_cur *c, struct api_requirement *req)
{
	static const char *const fields[] = {"key", "operator", "values", NULL};
	int op = API_OP_EXISTS;

	if (!api_is_map(c, fields))
		return;
	struct api_cur f = api_at_key(c, "key");

	if (api_is_given(&f))
		(void)api_read_text_dup(&f, api_syntax_label_key, &req->key);
	f = api_at_key(c, "operator");
	if (!api_is_given(&f) || !api_read_word(&f, operators, &op))
		return;
	req->op = (enum api_operator)op;

	f = api_at_key(c, "values");
	if (!takes_values(req->op)) {
		if (api_list_len(&f, 0, VALUES_MAX) > 0)
			api_refuse(&f, "must be left out with this operator");
		return;
	}
	size_t n = api_is_given(&f) ? api_list_len(&f, 1, VALUES_MAX) : 0;

	req->values = api_new_array(&f, n, sizeof(*req->values));
	for (size_t i = 0; req->values && i < n; i++) {
		struct api_cur item = api_at_item(&f, i);

		if (api_read_text_dup(&item, api_syntax_label_value, &req->values[req->n_values]))
			req->n_values++;
	}
}

static int compare_reqs(const void *a, const void *b)
{
	const struct api_requirement *x = a, *y = b;
	int by_key = strcmp(x->key ? x->key : "", y->key ? y->key : "");

	return by_key ? by_key : (int)x->op - (int)y->op;
}

void api_decode_selector(const struct api_cur *c, struct api_selector *ret)
{
	static const char *const fields[] = {"matchLabels", "matchExpressions", NULL};

	if (!api_is_map(c, fields))
		return;
	struct api_cur labels = api_at_key(c, "matchLabels");
	struct api_cur expressions = api_at_key(c, "matchExpressions");
	size_t n_labels = api_is_map(&labels, NULL) ? json_object_size(labels.value) : 0;
	size_t n_expressions = api_list_len(&expressions, 0, REQUIREMENTS_MAX);

	if (n_labels > REQUIREMENTS_MAX) {
		api_refuse(&labels, "has %zu entries: must have at most %d", n_labels,
			   REQUIREMENTS_MAX);
		n_labels = 0;
	}
	ret->reqs = api_new_array(c, n_labels + n_expressions, sizeof(*ret->reqs));
	if (!ret->reqs)
		return;

	const char *key;
	json_t *value;

	if (n_labels > 0) {
		json_object_foreach((json_t *)(uintptr_t)labels.value, key, value)
		{
			struct api_cur item = api_at_key(&labels, key);

			decode_label(&item, &ret->reqs[ret->n_reqs++]);
		}
	}
	for (size_t i = 0; i < n_expressions; i++) {
		struct api_cur item = api_at_item(&expressions, i);

		decode_expression(&item, &ret->reqs[ret->n_reqs++]);
	}
	/* The order has no meaning; a fixed one lets equal selectors compare equal. */
	qsort(ret->reqs, ret->n_reqs, sizeof(*ret->reqs), compare_reqs);
}

static bool has_value(const struct api_requirement *req, const char *value)
{
	for (size_t i = 0; i < req->n_values; i++)
		if (strcmp(req->values[i], value) == 0)
			return true;
	return false;
}

static bool req_holds(const struct api_requirement *req, const char *value)
{
	switch (req->op) {
	case API_OP_IN:
		return value && has_value(req, value);
	case API_OP_NOT_IN:
		return !value || !has_value(req, value);
	case API_OP_EXISTS:
		return value;
	case API_OP_DOES_NOT_EXIST:
		return !value;
	}
	return false;
}

bool api_selector_matches(const struct api_selector *sel, const struct api_label *labels,
			  size_t n_labels)
{
	for (size_t i = 0; i < sel->n_reqs; i++) {
		const char *value = NULL;

		for (size_t j = 0; j < n_labels; j++)
			if (strcmp(labels[j].key, sel->reqs[i].key) == 0)
				value = labels[j].value;
		if (!req_holds(&sel->reqs[i], value))
			return false;
	}
	return true;
}

static bool req_eq(const struct api_requirement *a, const struct api_requirement *b)
{
	if (a->op != b->op || a->n_values != b->n_values || strcmp(a->key, b->key) != 0)
		return false;
	for (size_t i = 0; i < a->n_values; i++)
		if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	return true;
}

bool api_selector_eq(const struct api_selector *a, const struct api_selector *b)
{
	if (a->n_reqs != b->n_reqs)
		return false;
	for (size_t i = 0; i < a->n_reqs; i++)
		if (!req_eq(&a->reqs[i], &b->reqs[i]))
			return false;
	return true;
}

void api_selector_done(struct api_selector *sel)
{
	for (size_t i = 0; i < sel->n_reqs; i++) {
		struct api_requirement *req = &sel->reqs[i];

		for (size_t j = 0; j < req->n_values; j++)
			free(req->values[j]);
		free(req->values);
		free(req->key);
	}
	free(sel->reqs);
	*sel = (struct api_selector){0};
}
