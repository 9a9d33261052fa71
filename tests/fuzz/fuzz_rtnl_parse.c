/* fuzz_rtnl_parse: every parser of rtnetlink messages: links with settings, addresses, neighbours, routes. */
#include <stddef.h>
#include <stdint.h>

#include "rtnl/rtnl_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netlink_cursor c = {.p = data, .left = size};
	struct rtnl_msg m;

	while (rtnl_msg_next(&c, &m) > 0) {
		struct rtnl_route_info route;
		struct plan_neigh neigh;
		struct plan_ifaddr addr;
		struct plan_link link;
		unsigned int ifindex;

		(void)rtnl_parse_link(&m, &link);
		(void)rtnl_parse_addr(&m, &ifindex, &addr);
		(void)rtnl_parse_neigh(&m, &neigh);
		(void)rtnl_parse_route(&m, &route);
	}
	return 0;
}
