/* ctl, inside: pieces of the text output. */
#ifndef VIPD_CTL_CTL_TEXT_H
#define VIPD_CTL_CTL_TEXT_H

#include "ctl/ctl.h"

#define CELL_MAX 160

enum text_column {
	COL_SERVER, /* its header is the port: "22/TCP rr" */
	COL_NODE,
	COL_STATE,
	COL_CHECK,
	COL_WEIGHT,
	COL_ACTIVE,
	COL_INACTIVE,
	COL_TOTAL,
	COL_BYTES,
	COL_N,
};

/* Columns are as wide everywhere, so that the eye finds a thing where it was one VIP above. */
struct text_table {
	unsigned int width[COL_N]; /* 0: left out */
	bool brief; /* checks without their details */
};

enum text_tone { TONE_PLAIN, TONE_STRONG, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM };

/* Borrowed from the JSON; "" and 0 where a field is missing or of another type. */
const char *text_str(const json_t *object, const char *key);
int64_t text_int(const json_t *object, const char *key);
bool text_true(const json_t *object, const char *key);
bool text_has(const json_t *object, const char *key);

/* Copies for a terminal: hidden characters become '?', whole characters only. Returns buf. */
char *text_clean(const char *text, char *buf, size_t size);
/* Columns that a clean text takes. */
unsigned int text_columns(const char *text);
/* "2h13m", from object's `key`, a number of seconds. Returns buf. */
char *text_age(const json_t *object, const char *key, char *buf, size_t size);

void text_tone(const struct ctl_text_opts *opts, enum text_tone tone, FILE *out);

/* The tables of ports and real servers (ctl_text_table.c). */
bool text_is_wanted(const struct ctl_text_opts *opts, const json_t *vip);
void text_table_measure(const json_t *status, const struct ctl_text_opts *opts,
			struct text_table *ret);
void text_table_print(const json_t *port, const struct text_table *t,
		      const struct ctl_text_opts *opts, FILE *out);

#endif
