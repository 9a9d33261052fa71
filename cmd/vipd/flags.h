/* flags: long options that can also come from the environment, with clear errors. */
#ifndef VIPD_CMD_FLAGS_H
#define VIPD_CMD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_type { FLAG_TEXT, FLAG_UINT, FLAG_SWITCH };

struct flag {
	const char *name; /* long option, without dashes */
	char letter; /* short option or 0 */
	const char *env; /* environment variable or NULL */
	const char *arg; /* what its value is called in the help: "DIR" */
	const char *help;
	enum flag_type type;
	bool may_be_empty; /* FLAG_TEXT: "" is a value too, also of the environment variable */
	const char *(*check)(const char *text); /* FLAG_TEXT: NULL, or what is wrong with it */
	uint64_t min, max; /* FLAG_UINT */
	const char **text; /* where the value goes; preset to the default */
	uint64_t *num; /* FLAG_UINT and FLAG_SWITCH (0 or 1) */
};

/*
 * Environment first, then the command line. A variable that is empty is one that is not set, but where ""
 * is a value. 0 and *ret_rest: index of the first argument that is no
 * option; 1: help was asked for and printed; -1: bad usage, told on standard error.
 */
int flags_parse(const char *command, const char *usage, const struct flag *flags, size_t n,
		int argc, char **argv, int *ret_rest);

#endif
