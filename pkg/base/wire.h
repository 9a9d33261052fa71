/*
 * wire: a cursor over foreign bytes. Its failure is sticky: after a short read `bad` stays set and
 * every further read gives 0, so that a parser is straight-line code with one check at its end.
 * Integers are big-endian on the wire (network order), host order in C.
 */
#ifndef VIPD_BASE_WIRE_H
#define VIPD_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_rd {
	const uint8_t *p; /* borrowed */
	size_t left;
	bool bad;
};

struct wire_wr {
	uint8_t *p; /* borrowed; next byte to write */
	size_t left;
	bool bad; /* something did not fit: nothing of it was written */
};

uint8_t wire_u8(struct wire_rd *r);
uint16_t wire_u16(struct wire_rd *r);
uint32_t wire_u32(struct wire_rd *r);
/* Copies n bytes to dst (zero-filled on a short read). */
void wire_bytes(struct wire_rd *r, void *dst, size_t n);
void wire_skip(struct wire_rd *r, size_t n);

void wire_put_u8(struct wire_wr *w, uint8_t v);
void wire_put_u16(struct wire_wr *w, uint16_t v);
void wire_put_u32(struct wire_wr *w, uint32_t v);
void wire_put_bytes(struct wire_wr *w, const void *src, size_t n);

/* RFC 1071 sum of n bytes added to `sum`; only the last piece may have an odd n. Fold it with
 * wire_checksum_fold (the complement, host order). */
uint32_t wire_checksum_add(uint32_t sum, const void *bytes, size_t n);
uint16_t wire_checksum_fold(uint32_t sum);

#endif
