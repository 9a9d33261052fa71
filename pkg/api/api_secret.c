/* Secret: its entries as bytes. No value of a Secret ever gets into a message. */
#include <errno.h>
#include <string.h>

#include "api/api_internal.h"

static int base64_digit(char ch)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const char *at = memchr(digits, ch, sizeof(digits) - 1);

	return at ? (int)(at - digits) : -1;
}

/* Strict RFC 4648 s. 4, padded; line breaks are skipped, as Kubernetes does. False: not base64.
 * out has room for text_len bytes. */
static bool base64_decode(const char *text, size_t text_len, uint8_t *out, size_t *ret_len)
{
	uint32_t bits = 0;
	size_t n = 0, len = 0, pad = 0;

	for (const char *end = text + text_len; text < end; text++) {
		if (*text == '\n' || *text == '\r')
			continue;
		int digit = *text == '=' ? 0 : base64_digit(*text);

		if (digit < 0 || (pad > 0 && *text != '='))
			return false;
		pad += *text == '=';
		bits = bits << 6 | (uint32_t)digit;
		if (++n % 4 != 0)
			continue;
		if (pad > 2)
			return false;
		out[len++] = (uint8_t)(bits >> 16);
		if (pad < 2)
			out[len++] = (uint8_t)(bits >> 8);
		if (pad < 1)
			out[len++] = (uint8_t)bits;
		if (pad > 0 && (bits & (pad == 2 ? 0xffffu : 0xffu)))
			return false;
		bits = 0;
	}
	*ret_len = len;
	return n % 4 == 0;
}

/* The entry of this key; a new one if there is none. NULL: no memory. */
static struct api_secret_entry *entry_at(const struct api_cur *c, struct api_secret *s,
					 const char *key)
{
	for (size_t i = 0; i < s->n_entries; i++)
		if (strcmp(s->entries[i].key, key) == 0)
			return &s->entries[i];
	char *copy = api_new_copy(c, key);

	if (!copy)
		return NULL;
	s->entries[s->n_entries].key = copy;
	return &s->entries[s->n_entries++];
}

static void entry_clear(struct api_secret_entry *e)
{
	if (e->bytes)
		explicit_bzero(e->bytes, e->len);
	free(e->bytes);
	e->bytes = NULL;
	e->len = 0;
}

static void decode_entry(const struct api_cur *c, bool encoded, struct api_secret *s)
{
	const char *expected = api_syntax_data_key(c->key);

	if (expected) {
		api_refuse(c, "%s", expected);
		return;
	}
	if (!json_is_string(c->value)) {
		api_refuse(c, "must be a string%s",
			   json_is_number(c->value) || json_is_boolean(c->value)
				   ? ": put it in quotes"
				   : "");
		return;
	}
	size_t len = json_string_length(c->value);
	uint8_t *bytes = api_new_array(c, len + 3, 1);

	if (!bytes)
		return;
	if (encoded && !base64_decode(json_string_value(c->value), len, bytes, &len)) {
		api_refuse(c, "must be base64; plain text goes under stringData");
		explicit_bzero(bytes, json_string_length(c->value) + 3);
		free(bytes);
		return;
	}
	if (!encoded)
		memcpy(bytes, json_string_value(c->value), len);

	struct api_secret_entry *e = entry_at(c, s, c->key);

	if (!e) {
		explicit_bzero(bytes, len);
		free(bytes);
		return;
	}
	entry_clear(e);
	e->bytes = bytes;
	e->len = len;
}

static void decode_entries(const struct api_cur *c, bool encoded, struct api_secret *s)
{
	const char *key;
	json_t *value;

	if (!json_is_object(c->value))
		return;
	json_object_foreach((json_t *)(uintptr_t)c->value, key, value)
	{
		struct api_cur item = api_at_key(c, key);

		decode_entry(&item, encoded, s);
	}
}

static void decode_secret(const struct api_cur *root, struct api_secret *s)
{
	struct api_meta meta = {0};

	if (!api_decode_head(root, "v1", "Secret", &meta))
		return;
	memcpy(s->name, meta.name, sizeof(s->name));
	memcpy(s->namespace_, meta.namespace_, sizeof(s->namespace_));

	struct api_cur data = api_at_key(root, "data");
	struct api_cur string_data = api_at_key(root, "stringData");

	if (data.value && !json_is_null(data.value) && !json_is_object(data.value))
		api_refuse(&data, "must be a map");
	if (string_data.value && !json_is_null(string_data.value) &&
	    !json_is_object(string_data.value))
		api_refuse(&string_data, "must be a map");
	s->entries = api_new_array(
		root, json_object_size(data.value) + json_object_size(string_data.value),
		sizeof(*s->entries));
	if (!s->entries)
		return;
	decode_entries(&data, true, s);
	decode_entries(&string_data, false, s);
}

int api_secret_decode(const json_t *object, struct api_secret **ret,
		      struct api_problems *ret_problems)
{
	struct api_sink sink = {0};
	struct api_cur root = {.value = object, .sink = &sink};
	AUTO(api_secret_free_p) struct api_secret *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	decode_secret(&root, s);
	int r = api_sink_close(&sink, ret_problems);

	if (r < 0)
		return r;
	*ret = STEAL(s);
	return 0;
}

const struct api_secret_entry *api_secret_get(const struct api_secret *s, const char *key)
{
	for (size_t i = 0; i < s->n_entries; i++)
		if (strcmp(s->entries[i].key, key) == 0)
			return &s->entries[i];
	return NULL;
}

void api_secret_free(struct api_secret *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_entries; i++) {
		entry_clear(&s->entries[i]);
		free(s->entries[i].key);
	}
	free(s->entries);
	free(s);
}

void api_secret_free_p(struct api_secret **s)
{
	api_secret_free(*s);
	*s = NULL;
}
