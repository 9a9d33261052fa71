/* The syntax of names and of the strings that go into an HTTP request. */
#include <string.h>

#include "api/api_internal.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* 1..max bytes of `inner`, the first and the last of `outer`. */
static bool is_framed(const char *text, size_t len, size_t max, const char *outer,
		      const char *inner)
{
	if (len < 1 || len > max || strspn(text, inner) < len)
		return false;
	return strchr(outer, text[0]) && strchr(outer, text[len - 1]);
}

static bool is_subdomain(const char *text, size_t len)
{
	if (len < 1 || len > API_NAME_MAX - 1)
		return false;
	for (size_t at = 0; at <= len;) {
		size_t part = strcspn(text + at, ".");

		if (at + part > len)
			part = len - at;
		if (!is_framed(text + at, part, len, LOWER DIGIT, LOWER DIGIT "-"))
			return false;
		at += part + 1;
	}
	return true;
}

const char *api_syntax_subdomain(const char *text)
{
	if (is_subdomain(text, strlen(text)))
		return NULL;
	return "must be a DNS subdomain: a-z, 0-9, '-' and '.', letter or digit first and last, "
	       "at most 253";
}

const char *api_syntax_label(const char *text)
{
	if (is_framed(text, strlen(text), 63, LOWER DIGIT, LOWER DIGIT "-"))
		return NULL;
	return "must be a DNS label: a-z, 0-9 and '-', letter or digit first and last, at most 63";
}

/* The name part of a label's key; also a label's value. */
static bool is_qualified(const char *text)
{
	return is_framed(text, strlen(text), 63, LOWER UPPER DIGIT, LOWER UPPER DIGIT "-_.");
}

const char *api_syntax_label_key(const char *text)
{
	const char *slash = strchr(text, '/');

	if ((!slash || is_subdomain(text, (size_t)(slash - text))) &&
	    is_qualified(slash ? slash + 1 : text))
		return NULL;
	return "must be a label key, like kubernetes.io/hostname";
}

const char *api_syntax_label_value(const char *text)
{
	if (!*text || is_qualified(text))
		return NULL;
	return "must be a label value: letters, digits, '-', '_' and '.', at most 63";
}

const char *api_syntax_data_key(const char *text)
{
	size_t len = strlen(text);

	if (len >= 1 && len < API_NAME_MAX && strspn(text, LOWER UPPER DIGIT "-_.") == len)
		return NULL;
	return "must be a key of a Secret: letters, digits, '-', '_' and '.', at most 253";
}

/* Printable ASCII without space; what the kernel allows beyond that would garble a terminal. */
static bool is_graphic(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

const char *api_syntax_ifname(const char *text)
{
	size_t len = strlen(text);

	if (len >= 1 && len < API_IFNAME_MAX && is_graphic(text) && !strpbrk(text, "/:") &&
	    strcmp(text, ".") != 0 && strcmp(text, "..") != 0)
		return NULL;
	return "must be the name of a network interface: 1 to 15 characters without '/', ':' and "
	       "spaces";
}

const char *api_syntax_http_path(const char *text)
{
	if (text[0] == '/' && strlen(text) <= 1024 && is_graphic(text))
		return NULL;
	return "must begin with '/' and have no spaces or control characters, at most 1024";
}

const char *api_syntax_http_host(const char *text)
{
	size_t len = strlen(text);

	if (len >= 1 && len <= 255 && strspn(text, LOWER UPPER DIGIT "-_.:[]") == len)
		return NULL;
	return "must be a host name or an IP address, with :port if needed";
}

const char *api_syntax_http_name(const char *text)
{
	size_t len = strlen(text);

	/* RFC 9110 s. 5.6.2, token */
	if (len >= 1 && len <= 256 && strspn(text, LOWER UPPER DIGIT "!#$%&'*+-.^_`|~") == len)
		return NULL;
	return "must be the name of an HTTP header";
}

const char *api_syntax_http_value(const char *text)
{
	size_t n = 0; /* characters, as the schema counts them */

	/* RFC 9110 s. 5.5: a line break would smuggle in another header, or another request */
	for (; *text; text++) {
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return "must have no line break or other control character";
		n += ((unsigned char)*text & 0xc0) != 0x80;
	}
	return n <= 1024 ? NULL : "must have at most 1024 characters";
}
