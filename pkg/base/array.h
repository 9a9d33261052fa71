/* array: owned arrays that grow by doubling. */
#ifndef VIPD_BASE_ARRAY_H
#define VIPD_BASE_ARRAY_H

#include <stddef.h>

/* As array_room, of an array that is too small. */
void *array_grow(void *items, size_t *room, size_t n, size_t size);

/* Where the array is once there is room for n elements of `size` bytes: it may have moved. *room is how many fit, 0
 * for an array that is not there yet. NULL: no memory, and all is as it was. */
static inline void *array_room(void *items, size_t *room, size_t n, size_t size)
{
	return n <= *room && items ? items : array_grow(items, room, n, size);
}

#endif
