/* A kubeconfig's YAML and base64: read or refused, with a text that names the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kube_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = strndup((const char *)data, size);
	AUTO(kube_blob_done) struct kube_blob decoded = {0};
	struct kube_blob bytes = {.bytes = text, .len = text ? strlen(text) : 0};
	struct verr e = {0};
	json_auto_t *json = NULL;

	require(text != NULL);
	if (kube_base64_decode(text, &decoded) == 0)
		require(decoded.len <= bytes.len && decoded.bytes[decoded.len] == '\0');
	if (kube_yaml_parse("f", &bytes, &json, &e) < 0)
		require(e.code > 0 && strncmp(e.msg, "f:", 2) == 0);
	else
		require(json != NULL);
	return 0;
}
