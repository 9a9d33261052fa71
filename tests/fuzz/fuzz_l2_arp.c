/* What the segment may send: the bytes as ARP, as neighbour discovery, and as an IPv4 packet of a raw socket. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "l2/l2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct l2_vrrp_packet p;
	struct l2_arp arp;
	struct l2_na na;

	if (l2_arp_parse(data, size, &arp) == 0 &&
	    (size < 42 || arp.sender.family != AF_INET || arp.target.family != AF_INET))
		abort();
	if (l2_na_parse(data, size, &na) == 0 &&
	    (size < 78 || na.target.family != AF_INET6 || !addr_is_unicast(&na.target)))
		abort();
	if (l2_ip4_parse(data, size, &p) == 0 &&
	    (p.msg < data + 20 || p.msg + p.len > data + size || p.src.family != AF_INET))
		abort();
	return 0;
}
