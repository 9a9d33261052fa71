#include "base/utf8.h"

#include <string.h>

static bool is_tail(uint8_t b)
{
	return (b & 0xc0) == 0x80;
}

size_t utf8_decode(const uint8_t *p, size_t left, uint32_t *ret)
{
	if (left == 0)
		return 0;
	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}

	size_t n;
	uint32_t c, least;

	if ((p[0] & 0xe0) == 0xc0) {
		n = 2;
		c = p[0] & 0x1f;
		least = 0x80;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3;
		c = p[0] & 0x0f;
		least = 0x800;
	} else if ((p[0] & 0xf8) == 0xf0) {
		n = 4;
		c = p[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (!is_tail(p[i]))
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

size_t utf8_valid_len(const uint8_t *p, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint32_t c;
		size_t n = utf8_decode(p + i, len - i, &c);

		if (n == 0)
			break;
		i += n;
	}
	return i;
}

size_t utf8_cut(const uint8_t *p, size_t len, size_t max)
{
	if (len <= max)
		return len;
	/* At most three bytes back: what is not UTF-8 anyhow is cut where it falls. */
	for (size_t i = 0; i < 4 && i < max; i++)
		if (!is_tail(p[max - i]))
			return max - i;
	return max;
}

bool utf8_is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c & 0xfffe) == 0xfffe;
}

size_t utf8_take_shown(const char **text, char ret[static 4])
{
	const char *s = *text;
	uint32_t c = 0;
	size_t n = utf8_decode((const uint8_t *)s, strnlen(s, 4), &c);

	if (*s == '\0')
		return 0;
	*text += n > 0 ? n : 1;
	if (n == 0 || utf8_is_hidden(c)) {
		ret[0] = '?';
		return 1;
	}
	memcpy(ret, s, n);
	return n;
}
