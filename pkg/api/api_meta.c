/* What every object begins with: apiVersion, kind and metadata. */
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

bool api_is_cluster_scoped(const char *kind)
{
	return strcmp(kind, "VirtualIP") == 0 || strcmp(kind, "VirtualIPNodeState") == 0 ||
	       strcmp(kind, "Node") == 0;
}

static bool is_constant(const struct api_cur *c, const char *want)
{
	const char *text;

	if (!api_is_given(c) || !api_read_string(c, &text))
		return false;
	if (strcmp(text, want) == 0)
		return true;
	api_refuse_value(c, "must be %s", want);
	return false;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar. Years begin in March, so that the leap day
 * is the last one of a year. */
static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;
	int64_t day_of_year = (153 * m + 2) / 5 + day - 1;

	return 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static bool read_digits(const char **p, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		char ch = (*p)[i];

		if (ch < '0' || ch > '9')
			return false;
		v = v * 10 + (ch - '0');
	}
	*p += n;
	*ret = v;
	return true;
}

static bool read_sign(const char **p, char want)
{
	return *(*p)++ == want;
}

/* "2026-01-02T03:04:05Z", the only form in which Kubernetes writes metav1.Time. Else 0. */
static int64_t parse_time(const char *p)
{
	int year, month, day, hour, minute, second;

	/* In this order each comparison fails at the terminating NUL before anything reads past it. */
	if (!read_digits(&p, 4, &year) || !read_sign(&p, '-') || !read_digits(&p, 2, &month) ||
	    !read_sign(&p, '-') || !read_digits(&p, 2, &day) || !read_sign(&p, 'T') ||
	    !read_digits(&p, 2, &hour) || !read_sign(&p, ':') || !read_digits(&p, 2, &minute) ||
	    !read_sign(&p, ':') || !read_digits(&p, 2, &second) || !read_sign(&p, 'Z') || *p)
		return 0;
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
	    second > 60)
		return 0;
	return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

/* What the API server sets is its own business: taken if it looks right, else left out. */
static void decode_server_fields(const json_t *metadata, struct api_meta *ret)
{
	const char *uid = json_string_value(json_object_get(metadata, "uid"));
	const char *created = json_string_value(json_object_get(metadata, "creationTimestamp"));
	json_int_t generation = json_integer_value(json_object_get(metadata, "generation"));

	if (uid && strlen(uid) < sizeof(ret->uid))
		(void)snprintf(ret->uid, sizeof(ret->uid), "%s", uid);
	if (created)
		ret->created_s = parse_time(created);
	if (generation > 0)
		ret->generation = generation;
}

bool api_decode_head(const struct api_cur *root, const char *version, const char *kind,
		     struct api_meta *ret)
{
	if (!root->value || !api_is_map(root, NULL)) {
		if (!root->value)
			api_refuse(root, "must be a map");
		return false;
	}
	struct api_cur c = api_at_key(root, "apiVersion");
	bool ours = is_constant(&c, version);

	c = api_at_key(root, "kind");
	ours = is_constant(&c, kind) && ours;
	/* Another version's fields would only give misleading problems. */
	if (!ours)
		return false;

	struct api_cur metadata = api_at_key(root, "metadata");

	if (!api_is_given(&metadata) || !api_is_map(&metadata, NULL))
		return true;
	c = api_at_key(&metadata, "name");
	if (api_is_given(&c))
		(void)api_read_text_to(&c, api_syntax_subdomain, ret->name, sizeof(ret->name));
	c = api_at_key(&metadata, "namespace");
	if (!json_is_null(c.value))
		(void)api_read_text_to(&c, api_syntax_label, ret->namespace_,
				       sizeof(ret->namespace_));
	decode_server_fields(metadata.value, ret);
	return true;
}

void api_decode_labels(const struct api_cur *c, struct api_label **ret, size_t *ret_n)
{
	if (json_is_null(c->value) || !api_is_map(c, NULL))
		return;
	*ret = api_new_array(c, json_object_size(c->value), sizeof(**ret));
	if (!*ret)
		return;

	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)c->value, key, value)
	{
		struct api_cur item = api_at_key(c, key);
		struct api_label *label = &(*ret)[*ret_n];
		const char *text;

		if (!api_read_string(&item, &text))
			continue;
		*ret_n += 1;
		label->key = api_new_copy(c, key);
		label->value = api_new_copy(c, text);
	}
}
