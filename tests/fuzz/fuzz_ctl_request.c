/* A request line of foreign bytes: the one that is known, or unknown. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_status = size == 6 && memcmp(data, "status", 6) == 0;

	if ((ctl_request_parse(data, size) == CTL_STATUS) != is_status)
		abort();
	return 0;
}
