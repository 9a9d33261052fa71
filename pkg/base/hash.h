/* hash: FNV-1a, 64 bits (draft-eastlake-fnv), for what wants a spread; foreigners can make collisions. */
#ifndef VIPD_BASE_HASH_H
#define VIPD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* hash, of what came before or HASH_BEGIN, with n bytes more. */
static inline uint64_t hash_add(uint64_t hash, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Both halves in 32 bits: the low ones alone depend on the low ones of what was added. */
static inline uint32_t hash_end(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

#endif
