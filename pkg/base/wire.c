#include "base/wire.h"

#include <string.h>

static const uint8_t *take(struct wire_rd *r, size_t n)
{
	if (r->bad || r->left < n) {
		r->bad = true;
		return NULL;
	}

	const uint8_t *p = r->p;

	r->p += n;
	r->left -= n;
	return p;
}

uint8_t wire_u8(struct wire_rd *r)
{
	const uint8_t *p = take(r, 1);

	return p ? p[0] : 0;
}

uint16_t wire_u16(struct wire_rd *r)
{
	const uint8_t *p = take(r, 2);

	return p ? (uint16_t)((unsigned int)p[0] << 8 | p[1]) : 0;
}

uint32_t wire_u32(struct wire_rd *r)
{
	const uint8_t *p = take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

void wire_bytes(struct wire_rd *r, void *dst, size_t n)
{
	/* Nothing to copy may mean that there is no buffer at all: memcpy would not like NULL. */
	if (n == 0)
		return;

	const uint8_t *p = take(r, n);

	if (p)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

void wire_skip(struct wire_rd *r, size_t n)
{
	if (n > 0)
		(void)take(r, n);
}

static uint8_t *room(struct wire_wr *w, size_t n)
{
	if (w->bad || w->left < n) {
		w->bad = true;
		return NULL;
	}

	uint8_t *p = w->p;

	w->p += n;
	w->left -= n;
	return p;
}

void wire_put_u8(struct wire_wr *w, uint8_t v)
{
	wire_put_bytes(w, &v, 1);
}

void wire_put_u16(struct wire_wr *w, uint16_t v)
{
	const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	wire_put_bytes(w, bytes, sizeof(bytes));
}

void wire_put_u32(struct wire_wr *w, uint32_t v)
{
	const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				  (uint8_t)v};

	wire_put_bytes(w, bytes, sizeof(bytes));
}

void wire_put_bytes(struct wire_wr *w, const void *src, size_t n)
{
	if (n == 0)
		return;

	uint8_t *p = room(w, n);

	if (p)
		memcpy(p, src, n);
}

uint32_t wire_checksum_add(uint32_t sum, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t total = sum;

	for (; n > 1; p += 2, n -= 2)
		total += (uint32_t)(p[0] << 8 | p[1]);
	if (n == 1)
		total += (uint32_t)p[0] << 8;
	while (total >> 32)
		total = (total & UINT32_MAX) + (total >> 32);
	return (uint32_t)total;
}

uint16_t wire_checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
