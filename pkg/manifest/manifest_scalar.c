/*
 * Plain YAML scalars become JSON values as kubectl makes them, with one difference: yes, no, on, off, y and
 * n stay the strings that people mean by them. Numbers: decimal, 0x, 0b, octal as 0o17 and as 017, with a
 * sign; fractions and exponents. Underscores, sexagesimals and dates are strings. JSON has no infinity.
 */
#include "manifest/manifest_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
static const char *const trues[] = {"true", "True", "TRUE"};
static const char *const falses[] = {"false", "False", "FALSE"};
static const char *const no_numbers[] = {
	".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
	"-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN",
};

/* The digits of an integer and their base; NULL if text is none. */
static const char *int_digits(const char *text, int *ret_base)
{
	static const struct {
		const char *prefix;
		int base;
		const char *digits;
	} rows[] = {
		{"0x", 16, "0123456789abcdefABCDEF"},
		{"0o", 8, "01234567"},
		{"0b", 2, "01"},
		{"0", 8, "01234567"},
		{"", 10, "0123456789"},
	};

	if (strcmp(text, "0") == 0) {
		*ret_base = 10;
		return text;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].prefix);

		if (strncmp(text, rows[i].prefix, n) != 0)
			continue;
		if (text[n] == '\0' || text[n + strspn(text + n, rows[i].digits)] != '\0')
			return NULL;
		*ret_base = rows[i].base;
		return text + n;
	}
	return NULL;
}

static bool parse_int(const char *text, struct scalar *ret)
{
	bool negative = text[0] == '-';
	int base;
	const char *digits = int_digits(text + (text[0] == '-' || text[0] == '+'), &base);

	if (!digits)
		return false;
	errno = 0;

	unsigned long long n = strtoull(digits, NULL, base);

	/* Beyond 64 bits a decimal number is a float, as in JSON for everybody else. */
	if (errno == ERANGE || n > (unsigned long long)INT64_MAX + (negative ? 1 : 0))
		return false;
	ret->type = SCALAR_INT;
	ret->v.num = negative ? (json_int_t)(0 - n) : (json_int_t)n;
	return true;
}

/* [-+]? ( digits [. digits?] | . digits ) ( [eE] [-+]? digits )? */
static bool looks_real(const char *p)
{
	if (*p == '-' || *p == '+')
		p++;

	size_t whole = strspn(p, "0123456789");
	size_t fraction = 0;
	bool leading_zero = whole > 1 && p[0] == '0';
	bool plain = true;

	p += whole;
	if (*p == '.') {
		p++;
		fraction = strspn(p, "0123456789");
		p += fraction;
		plain = false;
	}
	if (whole + fraction == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;

		size_t n = strspn(p, "0123456789");

		if (n == 0)
			return false;
		p += n;
		plain = false;
	}
	/* 089 is neither octal nor what anybody would write for 89. */
	return *p == '\0' && !(plain && leading_zero);
}

struct scalar scalar_resolve(const char *text)
{
	struct scalar s = {.type = SCALAR_STRING};

	if (is_one_of(text, nulls, ARRAY_LEN(nulls))) {
		s.type = SCALAR_NULL;
	} else if (is_one_of(text, trues, ARRAY_LEN(trues))) {
		s = (struct scalar){.type = SCALAR_BOOL, .v.flag = 1};
	} else if (is_one_of(text, falses, ARRAY_LEN(falses))) {
		s = (struct scalar){.type = SCALAR_BOOL, .v.flag = 0};
	} else if (is_one_of(text, no_numbers, ARRAY_LEN(no_numbers))) {
		s = (struct scalar){.type = SCALAR_BAD,
				    .v.why = "no infinities and no NaN; quote it for a string"};
	} else if (!parse_int(text, &s) && looks_real(text)) {
		double real = strtod(text, NULL);

		if (isfinite(real))
			s = (struct scalar){.type = SCALAR_REAL, .v.real = real};
		else
			s = (struct scalar){.type = SCALAR_BAD, .v.why = "number out of range"};
	}
	return s;
}
