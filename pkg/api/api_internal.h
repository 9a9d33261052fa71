/*
 * What the files of room api share: a cursor that knows its path, readers that report what is wrong, and
 * the syntax of names. A decoder reads every field through a cursor, so no problem goes without its place.
 */
#ifndef VIPD_API_API_INTERNAL_H
#define VIPD_API_API_INTERNAL_H

#include <stdarg.h>

#include "api/api.h"

/* Where the problems of one object go. */
struct api_sink {
	struct api_problems problems;
	bool no_memory;
};

/*
 * A JSON value and where it stands. Lives on the stack of the decoder, below the cursor it came from. An
 * absent value is NULL, so that optional fields below an absent object read as absent themselves.
 */
struct api_cur {
	const struct api_cur *up; /* NULL: the object itself */
	const char *key; /* NULL: item idx of a list */
	size_t idx;
	const json_t *value;
	struct api_sink *sink;
};

/* ---- api_problem.c: the places and the words ---- */

/* "must be between 1 and 3" at the cursor's path. */
void api_refuse(const struct api_cur *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same with the value in front: "7: must be between 1 and 3". */
void api_refuse_value(const struct api_cur *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* 0; or -ENOMEM; or -EINVAL and the problems moved to *ret (may be NULL). */
int api_sink_close(struct api_sink *s, struct api_problems *ret);

/* ---- api_decode.c: readers ---- */

struct api_cur api_at_key(const struct api_cur *c, const char *key);
struct api_cur api_at_item(const struct api_cur *c, size_t idx);
/* False, and refused, if it is absent. */
bool api_is_given(const struct api_cur *c);
/* True for a map. Refuses another type, and each field that is not in the NULL-terminated `fields` (NULL:
 * any field goes). An absent value is false without a problem. */
bool api_is_map(const struct api_cur *c, const char *const *fields);
/* The number of items; refuses another type and other numbers. Absent or refused: 0. */
size_t api_list_len(const struct api_cur *c, size_t min, size_t max);

/* The readers store and return true if the value is there and good. Absent: false without a problem. */
bool api_read_uint(const struct api_cur *c, uint64_t min, uint64_t max, uint64_t *ret);
bool api_read_ms(const struct api_cur *c, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ns);
bool api_read_bool(const struct api_cur *c, bool *ret);
/* Borrowed from the JSON; refuses a NUL inside. */
bool api_read_string(const struct api_cur *c, const char **ret);

struct api_word {
	const char *word; /* NULL ends a table */
	int value;
};
bool api_read_word(const struct api_cur *c, const struct api_word *words, int *ret);

/* NULL if the text is fine, else what it must be: "must be ...". */
typedef const char *(*api_syntax_fn)(const char *text);
bool api_read_text(const struct api_cur *c, api_syntax_fn syntax, const char **ret);
/* Into a buffer; the syntax must not allow more than fits. */
bool api_read_text_to(const struct api_cur *c, api_syntax_fn syntax, char *buf, size_t size);
/* Into an owned copy. */
bool api_read_text_dup(const struct api_cur *c, api_syntax_fn syntax, char **ret);

/* An address as a person must write it: canonical, unicast. */
bool api_read_addr(const struct api_cur *c, struct addr *ret);

/* Zeroed array or NULL, noted in the sink if memory is gone. */
void *api_new_array(const struct api_cur *c, size_t n, size_t size);
char *api_new_copy(const struct api_cur *c, const char *text);

/* ---- api_name.c: syntax, beside that of names in api.h ---- */

const char *api_syntax_label_key(const char *text);
const char *api_syntax_label_value(const char *text);
const char *api_syntax_data_key(const char *text); /* of a Secret */
const char *api_syntax_ifname(const char *text);
const char *api_syntax_http_path(const char *text);
const char *api_syntax_http_host(const char *text);
const char *api_syntax_http_name(const char *text); /* of a header */
const char *api_syntax_http_value(const char *text);

/* ---- parts of objects ---- */

struct api_meta {
	char name[API_NAME_MAX];
	char namespace_[API_NAME_MAX]; /* "" if not given */
	char uid[64];
	int64_t generation;
	int64_t created_s;
};
/* apiVersion, kind and metadata, of which the rest is tolerated. False if there is no use in going on. */
bool api_decode_head(const struct api_cur *root, const char *version, const char *kind,
		     struct api_meta *ret);
/* metadata.labels and the like: any map of strings. */
void api_decode_labels(const struct api_cur *c, struct api_label **ret, size_t *ret_n);

void api_decode_selector(const struct api_cur *c, struct api_selector *ret);
void api_selector_done(struct api_selector *sel);
bool api_selector_eq(const struct api_selector *a, const struct api_selector *b);

/* spec.vrrp into v, whose addresses are decoded already. */
void api_decode_vrrp(const struct api_cur *c, struct api_vip *v);
void api_decode_ports(const struct api_cur *c, struct api_vip *v);
void api_port_done(struct api_port *p);
/* c: the check, which may be absent; port: what it checks. */
void api_decode_check(const struct api_cur *c, const struct api_port *port,
		      struct api_health_check *ret);
void api_check_done(struct api_health_check *check);

#endif
