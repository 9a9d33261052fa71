/* Options of the subcommands. */
#include "flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const char *usage, const struct flag *flags, size_t n)
{
	printf("%s\nOptions (each also by the environment variable behind it):\n", usage);
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", flags[i].letter ? '-' : ' ',
			 flags[i].letter ? flags[i].letter : ' ', flags[i].letter ? ", " : "  ",
			 flags[i].name, flags[i].arg ? " " : "", flags[i].arg ? flags[i].arg : "");
		/* a long one has its help on a line of its own */
		printf("  %-28s%s %s%s%s%s\n", left,
		       strlen(left) > 28 ? "\n                              " : "", flags[i].help,
		       flags[i].env ? " [" : "", flags[i].env ? flags[i].env : "",
		       flags[i].env ? "]" : "");
	}
	printf("  -h, --help                   this text\n");
}

static bool to_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);

	if (errno || end == text || *end || *text == '-' || *text == '+' || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

/* "" where it is no value has come from the command line, of a shell variable that was not set. */
static int set_text(const char *command, const struct flag *f, const char *origin,
		    const char *value)
{
	const char *wrong = NULL;

	if (!*value && !f->may_be_empty)
		wrong = "must not be empty";
	else if (*value && f->check)
		wrong = f->check(value);
	if (wrong) {
		fprintf(stderr, "vipd %s: %s: \"%s\" %s\n", command, origin, value, wrong);
		return -1;
	}
	*f->text = value;
	return 0;
}

static int flag_set(const char *command, const struct flag *f, const char *origin,
		    const char *value)
{
	switch (f->type) {
	case FLAG_TEXT:
		return set_text(command, f, origin, value);
	case FLAG_UINT:
		if (to_uint(value, f->min, f->max, f->num))
			return 0;
		fprintf(stderr, "vipd %s: %s: \"%s\" is not a whole number from %llu to %llu\n",
			command, origin, value, (unsigned long long)f->min,
			(unsigned long long)f->max);
		return -1;
	case FLAG_SWITCH:
		if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
			*f->num = 1;
		else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
			*f->num = 0;
		else {
			fprintf(stderr, "vipd %s: %s: \"%s\" is neither true nor false\n", command,
				origin, value);
			return -1;
		}
		return 0;
	}
	return -1;
}

static const struct flag *find(const struct flag *flags, size_t n, const char *arg, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(flags[i].name) == len && strncmp(flags[i].name, arg, len) == 0)
			return &flags[i];
	}
	return NULL;
}

static const struct flag *find_letter(const struct flag *flags, size_t n, char letter)
{
	for (size_t i = 0; i < n; i++) {
		if (flags[i].letter && flags[i].letter == letter)
			return &flags[i];
	}
	return NULL;
}

/* One option at argv[*i]; moves *i to the last argument that it used. */
static int parse_one(const char *command, const struct flag *flags, size_t n, int argc, char **argv,
		     int *i)
{
	const char *arg = argv[*i], *value = NULL;
	const struct flag *f;
	char origin[64];

	if (arg[1] == '-') {
		const char *eq = strchr(arg, '=');

		f = find(flags, n, arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2));
		value = eq ? eq + 1 : NULL;
	} else {
		f = find_letter(flags, n, arg[1]);
		value = f && arg[2] ? arg + 2 : NULL;
	}
	if (!f) {
		fprintf(stderr, "vipd %s: unknown option %s (see vipd %s --help)\n", command, arg,
			command);
		return -1;
	}
	if (!value && f->type == FLAG_SWITCH)
		value = "true";
	if (!value && *i + 1 < argc)
		value = argv[++*i];
	if (!value) {
		fprintf(stderr, "vipd %s: %s needs a value\n", command, arg);
		return -1;
	}
	snprintf(origin, sizeof(origin), "--%s", f->name);
	return flag_set(command, f, origin, value);
}

int flags_parse(const char *command, const char *usage, const struct flag *flags, size_t n,
		int argc, char **argv, int *ret_rest)
{
	int i;

	for (size_t k = 0; k < n; k++) {
		const char *value = flags[k].env ? getenv(flags[k].env) : NULL;

		if (!value || (!*value && !flags[k].may_be_empty))
			continue;
		if (flag_set(command, &flags[k], flags[k].env, value) < 0)
			return -1;
	}
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			print_help(usage, flags, n);
			return 1;
		}
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1])
			break;
		if (parse_one(command, flags, n, argc, argv, &i) < 0)
			return -1;
	}
	*ret_rest = i;
	return 0;
}
