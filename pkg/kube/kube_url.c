/* Paths with queries. */
#include "kube/kube_internal.h"

#include <stdio.h>
#include <string.h>

/* RFC 3986 section 2.3. */
static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

static void put_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (is_unreserved(*text))
			(void)fputc(*text, f);
		else
			(void)fprintf(f, "%%%02X", (unsigned int)(unsigned char)*text);
	}
}

char *kube_url_path(const char *path, const struct kube_query *query, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	char mark = '?';

	if (!f)
		return NULL;
	(void)fputs(path, f);
	for (size_t i = 0; i < n; i++) {
		if (!query[i].value || !query[i].value[0])
			continue;
		(void)fprintf(f, "%c%s=", mark, query[i].key);
		put_escaped(f, query[i].value);
		mark = '&';
	}

	bool is_bad = ferror(f);

	if (fclose(f) != 0 || is_bad) {
		free(text);
		return NULL;
	}
	return text;
}
