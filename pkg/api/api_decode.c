/* Readers: from a JSON value at a cursor to a C value, or a problem. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

struct api_cur api_at_key(const struct api_cur *c, const char *key)
{
	return (struct api_cur){
		.up = c,
		.key = key,
		.value = json_object_get(c->value, key),
		.sink = c->sink,
	};
}

struct api_cur api_at_item(const struct api_cur *c, size_t idx)
{
	return (struct api_cur){
		.up = c,
		.idx = idx,
		.value = json_array_get(c->value, idx),
		.sink = c->sink,
	};
}

bool api_is_given(const struct api_cur *c)
{
	if (!c->value)
		api_refuse(c, "is missing");
	return c->value;
}

static void refuse_type(const struct api_cur *c, const char *what)
{
	if (json_is_null(c->value))
		api_refuse_value(c, "must be %s; leave the field out if it is not needed", what);
	else
		api_refuse_value(c, "must be %s", what);
}

#define FIELD_MAX 40 /* longest name that is worth a guess */

/* Levenshtein distance without regard to case, for short names. */
static size_t distance(const char *a, const char *b)
{
	size_t row[FIELD_MAX + 1];
	size_t len_b = strlen(b);

	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);
			size_t best = diagonal + (same ? 0 : 1);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[len_b];
}

/* The known field that was probably meant, or NULL. */
static const char *guess_field(const char *key, const char *const *fields)
{
	const char *best = NULL;
	size_t best_distance = strlen(key) / 4 + 2;

	if (strlen(key) > FIELD_MAX)
		return NULL;
	for (; *fields; fields++) {
		size_t d = distance(key, *fields);

		if (d < best_distance) {
			best = *fields;
			best_distance = d;
		}
	}
	return best;
}

static bool is_known(const char *key, const char *const *fields)
{
	for (; *fields; fields++)
		if (strcmp(key, *fields) == 0)
			return true;
	return false;
}

bool api_is_map(const struct api_cur *c, const char *const *fields)
{
	if (!c->value)
		return false;
	if (!json_is_object(c->value)) {
		refuse_type(c, "a map");
		return false;
	}
	if (!fields)
		return true;

	const char *key;
	json_t *value;

	/* jansson iterates through a pointer that is not const, and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)c->value, key, value)
	{
		if (is_known(key, fields))
			continue;
		struct api_cur field = api_at_key(c, key);
		const char *guess = guess_field(key, fields);

		if (guess)
			api_refuse(&field, "unknown field; did you mean %s?", guess);
		else
			api_refuse(&field, "unknown field");
	}
	return true;
}

size_t api_list_len(const struct api_cur *c, size_t min, size_t max)
{
	if (!c->value)
		return 0;
	if (!json_is_array(c->value)) {
		refuse_type(c, "a list");
		return 0;
	}
	size_t n = json_array_size(c->value);

	if (n >= min && n <= max)
		return n;
	if (n < min)
		api_refuse(c, "has %zu item%s: must have at least %zu", n, n == 1 ? "" : "s", min);
	else
		api_refuse(c, "has %zu items: must have at most %zu", n, max);
	return 0;
}

bool api_read_uint(const struct api_cur *c, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (!c->value)
		return false;
	if (json_is_string(c->value)) {
		api_refuse_value(c, "must be an integer, without quotes");
		return false;
	}
	if (!json_is_integer(c->value)) {
		refuse_type(c, "an integer");
		return false;
	}
	json_int_t v = json_integer_value(c->value);

	if (v < 0 || (uint64_t)v < min || (uint64_t)v > max) {
		api_refuse_value(c, "must be between %" PRIu64 " and %" PRIu64, min, max);
		return false;
	}
	*ret = (uint64_t)v;
	return true;
}

bool api_read_ms(const struct api_cur *c, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ns)
{
	uint64_t ms = 0;

	if (!api_read_uint(c, min_ms, max_ms, &ms))
		return false;
	*ret_ns = ms * NS_PER_MS;
	return true;
}

bool api_read_bool(const struct api_cur *c, bool *ret)
{
	if (!c->value)
		return false;
	if (!json_is_boolean(c->value)) {
		refuse_type(c, "true or false");
		return false;
	}
	*ret = json_is_true(c->value);
	return true;
}

bool api_read_string(const struct api_cur *c, const char **ret)
{
	if (!c->value)
		return false;
	if (json_is_number(c->value) || json_is_boolean(c->value)) {
		api_refuse_value(c, "must be a string: put it in quotes");
		return false;
	}
	if (!json_is_string(c->value)) {
		refuse_type(c, "a string");
		return false;
	}
	if (strlen(json_string_value(c->value)) != json_string_length(c->value)) {
		api_refuse_value(c, "must not have a NUL character in it");
		return false;
	}
	*ret = json_string_value(c->value);
	return true;
}

bool api_read_word(const struct api_cur *c, const struct api_word *words, int *ret)
{
	const char *text;
	char known[120] = "";

	if (!api_read_string(c, &text))
		return false;
	for (const struct api_word *w = words; w->word; w++) {
		if (strcmp(w->word, text) == 0) {
			*ret = w->value;
			return true;
		}
		size_t len = strlen(known);

		(void)snprintf(known + len, sizeof(known) - len, "%s%s",
			       w == words      ? ""
			       : (w + 1)->word ? ", "
					       : " or ",
			       w->word);
	}
	api_refuse_value(c, "must be %s", known);
	return false;
}

bool api_read_text(const struct api_cur *c, api_syntax_fn syntax, const char **ret)
{
	const char *text;

	if (!api_read_string(c, &text))
		return false;
	const char *expected = syntax(text);

	if (expected) {
		api_refuse_value(c, "%s", expected);
		return false;
	}
	*ret = text;
	return true;
}

bool api_read_text_to(const struct api_cur *c, api_syntax_fn syntax, char *buf, size_t size)
{
	const char *text;

	if (!api_read_text(c, syntax, &text))
		return false;
	(void)snprintf(buf, size, "%s", text);
	return true;
}

bool api_read_text_dup(const struct api_cur *c, api_syntax_fn syntax, char **ret)
{
	const char *text;

	if (!api_read_text(c, syntax, &text))
		return false;
	*ret = api_new_copy(c, text);
	return *ret;
}

/* What a multicast, loopback or other special address is, for people. */
static const char *special_kind(const struct addr *a)
{
	if (addr_is_loopback(a))
		return "a loopback address";
	if (a->family == AF_INET ? (a->bytes[0] & 0xf0) == 0xe0 : a->bytes[0] == 0xff)
		return "a multicast address";
	if (a->family == AF_INET && a->bytes[0] == 0xff)
		return "the broadcast address";
	return "the unspecified address";
}

static bool is_ipv4_mapped(const struct addr *a)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return a->family == AF_INET6 && memcmp(a->bytes, prefix, sizeof(prefix)) == 0;
}

bool api_read_addr(const struct api_cur *c, struct addr *ret)
{
	const char *text;
	struct addr a;

	if (!api_read_string(c, &text))
		return false;
	if (addr_parse(text, &a) < 0) {
		if (strchr(text, '/'))
			api_refuse_value(c, "must be an IP address without a prefix length");
		else if (strchr(text, '%'))
			api_refuse_value(c, "must be an IP address without a zone");
		else
			api_refuse_value(c, "must be an IP address");
		return false;
	}
	if (is_ipv4_mapped(&a)) {
		struct addr v4 = addr_from_bytes(AF_INET, a.bytes + 12);
		char canonical[ADDR_TEXT_MAX];

		api_refuse_value(c, "must be written %s", addr_text(&v4, canonical));
		return false;
	}
	if (!addr_text_is_canonical(text)) {
		char canonical[ADDR_TEXT_MAX];

		api_refuse_value(c, "must be written %s", addr_text(&a, canonical));
		return false;
	}
	if (!addr_is_unicast(&a)) {
		api_refuse_value(c, "is %s: must be the address of a host", special_kind(&a));
		return false;
	}
	*ret = a;
	return true;
}

void *api_new_array(const struct api_cur *c, size_t n, size_t size)
{
	void *p = n ? calloc(n, size) : NULL;

	if (n && !p)
		c->sink->no_memory = true;
	return p;
}

char *api_new_copy(const struct api_cur *c, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		c->sink->no_memory = true;
	return copy;
}
