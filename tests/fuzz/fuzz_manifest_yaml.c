/* A manifest of foreign bytes, as YAML: parsed or refused with a place, and every field has a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/manifest.h"

#define NAME "f.yaml"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest_docs docs = {0};
	struct verr e = {0};
	int r = manifest_parse(NAME, data, size, &docs, &e);

	if (r < 0) {
		require(e.code == -r && docs.n == 0);
		require(strncmp(e.msg, NAME ":", strlen(NAME) + 1) == 0);
		return 0;
	}

	/* The bytes serve as the path of a field, too. */
	char path[48];
	size_t n = size < sizeof(path) ? size : sizeof(path) - 1;

	if (n > 0)
		memcpy(path, data, n);
	path[n] = '\0';
	for (size_t i = 0; i < docs.n; i++) {
		const struct manifest_doc *doc = &docs.items[i];

		require(json_is_object(doc->object) && doc->line > 0);
		require(json_is_string(json_object_get(doc->object, "kind")));
		require(manifest_line_of(doc, "") == doc->line);
		require(manifest_line_of(doc, "metadata.name") >= doc->line);
		require(manifest_line_of(doc, path) >= doc->line);
	}
	manifest_docs_done(&docs);
	return 0;
}
