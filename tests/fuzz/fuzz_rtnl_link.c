/* fuzz_rtnl_link: datagrams of rtnetlink, as the election thread's link watch reads them. */
#include <stddef.h>
#include <stdint.h>

#include "rtnl/rtnl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_link(void *user, unsigned int ifindex, bool up)
{
	unsigned int *sum = user;

	*sum += ifindex + up;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int sum = 0;

	(void)rtnl_linkwatch_parse(data, size, on_link, &sum);
	return 0;
}
