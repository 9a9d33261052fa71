/* fuzz_ct_conn: tracked connections, as ctnetlink dumps them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ct/ct.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ct_conn c;
	uint8_t *copy = malloc(size ? size : 1); /* aligned, as a netlink message is */

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (ct_conn_parse(copy, size, &c) == 0 &&
	    (c.client.family != c.vip.family || addr_eq(&c.vip, &c.server)))
		abort();
	free(copy);
	return 0;
}
