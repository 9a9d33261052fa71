/* utf8: strict decoding (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef VIPD_BASE_UTF8_H
#define VIPD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length (1..4) of the character at p and the character itself; 0 if the bytes there are none. */
size_t utf8_decode(const uint8_t *p, size_t left, uint32_t *ret);
/* Index of the first byte that is not part of a valid character; len if there is none. */
size_t utf8_valid_len(const uint8_t *p, size_t len);
/* The longest prefix of at most max bytes that does not cut a character in two. */
size_t utf8_cut(const uint8_t *p, size_t len, size_t max);
/* What a terminal acts upon or does not show: controls and the invisible characters of formatting. */
bool utf8_is_hidden(uint32_t c);
/* Foreign text for people, character by character: the one at *text, which moves behind it, goes to ret, or '?' in its
 * place if it is hidden or no character. Its length; 0 at the end. */
size_t utf8_take_shown(const char **text, char ret[static 4]);

#endif
