/*
 * log: one line per event on standard error, klog text or JSON:
 *	I0528 19:15:22.737538       1 control.c:52] "Became active" virtualIP="ssh" node="node01"
 * Never blocks: a line that standard error does not take at once is dropped and counted. The election
 * and switchover threads do not call this; they hand records over to control.
 * This room holds the program's only mutable file-scope state (format, verbosity, drop counter).
 */
#ifndef VIPD_BASE_LOG_H
#define VIPD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_value_type { LOG_STR, LOG_INT, LOG_UINT, LOG_BOOL };

struct log_kv {
	const char *key; /* lowerCamelCase */
	enum log_value_type type;
	union {
		const char *str; /* borrowed for the call; NULL prints as "" */
		int64_t num;
		uint64_t unum;
		bool flag;
	} v;
};

#define KV_STR(k, val) ((struct log_kv){.key = (k), .type = LOG_STR, .v = {.str = (val)}})
#define KV_INT(k, val) ((struct log_kv){.key = (k), .type = LOG_INT, .v = {.num = (val)}})
#define KV_UINT(k, val) ((struct log_kv){.key = (k), .type = LOG_UINT, .v = {.unum = (val)}})
#define KV_BOOL(k, val) ((struct log_kv){.key = (k), .type = LOG_BOOL, .v = {.flag = (val)}})

/* Process-wide, before threads start. Makes standard error non-blocking for our writes only. */
void log_setup(enum log_format format, int verbosity);
/* Highest level of V(n) messages that are printed; the default of vipd run is 2. */
int log_verbosity(void);
uint64_t log_dropped(void);

void log_emit(enum log_level level, const char *file, int line, const char *msg,
	      const struct log_kv *kvs, size_t n_kvs);

#define log_at(level, msg, ...)                                                                 \
	log_emit((level), __FILE_NAME__, __LINE__, (msg), (const struct log_kv[]){__VA_ARGS__}, \
		 sizeof((const struct log_kv[]){__VA_ARGS__}) / sizeof(struct log_kv))
/* Message: capital first letter, no trailing period, past tense; then KV_ pairs (at least one). */
#define log_info(msg, ...) log_at(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_warning(msg, ...) log_at(LOG_LEVEL_WARNING, msg, __VA_ARGS__)
#define log_error(msg, ...) log_at(LOG_LEVEL_ERROR, msg, __VA_ARGS__)
#define log_debug(n, msg, ...)                                    \
	do {                                                      \
		if (log_verbosity() >= (n))                       \
			log_at(LOG_LEVEL_INFO, msg, __VA_ARGS__); \
	} while (0)

#endif
