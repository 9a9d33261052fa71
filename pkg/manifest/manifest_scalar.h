/* What a plain YAML scalar means: see manifest_scalar.c. */
#ifndef VIPD_MANIFEST_SCALAR_H
#define VIPD_MANIFEST_SCALAR_H

#include <jansson.h>

enum scalar_type { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_REAL, SCALAR_STRING, SCALAR_BAD };

struct scalar {
	enum scalar_type type;
	union {
		int flag;
		json_int_t num;
		double real;
		const char *why; /* SCALAR_BAD */
	} v;
};

/* text ends with a NUL. */
struct scalar scalar_resolve(const char *text);

#endif
