/* Any JSON as an agent's status: printed without a control character and in whole characters. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *j = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
	const struct ctl_text_opts opts = {.width = size % 3 ? (unsigned int)(size % 150) : 0};
	char *text = NULL;
	size_t len = 0;

	if (!j)
		return 0;

	FILE *f = open_memstream(&text, &len);

	require(f != NULL);
	require(ctl_status_text(j, &opts, f) >= 0);
	(void)fclose(f);
	require(utf8_valid_len((const uint8_t *)text, len) == len);
	for (size_t i = 0; i < len; i++)
		require(text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
	free(text);
	return 0;
}
