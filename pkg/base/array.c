#include "base/array.h"

#include <stdlib.h>

void *array_grow(void *items, size_t *room, size_t n, size_t size)
{
	size_t want = *room ? *room : 16;
	void *grown;

	while (want < n)
		want *= 2;
	grown = reallocarray(items, want, size);
	if (grown)
		*room = want;
	return grown;
}
