/* Bytes as a line of the connection table; what is understood goes into a message. */
#include <stdint.h>
#include <stdlib.h>

#include "ipvs/ipvs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipvs_conn c;
	struct ipvs_sync_message m;

	if (ipvs_conn_parse((const char *)data, size, &c) < 0)
		return 0;
	ipvs_sync_message_init(&m, 1, size);
	while (ipvs_sync_message_add(&m, &c, 0, 0, c.expires_s))
		if (m.len > m.max_len || m.len > sizeof(m.bytes))
			abort();
	return 0;
}
