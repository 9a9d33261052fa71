/* Frames as they stand on the wire: ARP (RFC 826, RFC 5227) and neighbour advertisements (RFC 4861). */
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "l2/l2.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2
#define NA_TYPE 136
#define NA_ROUTER_OVERRIDE 0xa0000000u
#define NA_LEN 32
#define HOP_LIMIT 255

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};

static void put_ether(struct wire_wr *w, const uint8_t dst[static 6], const struct mac *src,
		      uint16_t type)
{
	wire_put_bytes(w, dst, 6);
	wire_put_bytes(w, src->bytes, 6);
	wire_put_u16(w, type);
}

static size_t arp_emit(uint16_t operation, const struct mac *own, const uint8_t sender[static 4],
		       const struct mac *target_mac, const uint8_t target[static 4],
		       uint8_t buf[static L2_FRAME_MAX])
{
	struct wire_wr w = {.p = buf, .left = L2_FRAME_MAX};

	put_ether(&w, broadcast, own, ETHERTYPE_ARP);
	wire_put_u16(&w, 1); /* Ethernet */
	wire_put_u16(&w, ETHERTYPE_IP);
	wire_put_u8(&w, 6);
	wire_put_u8(&w, 4);
	wire_put_u16(&w, operation);
	wire_put_bytes(&w, own->bytes, 6);
	wire_put_bytes(&w, sender, 4);
	wire_put_bytes(&w, target_mac->bytes, 6);
	wire_put_bytes(&w, target, 4);
	return L2_FRAME_MAX - w.left;
}

size_t l2_garp_emit(const struct addr *a, const struct mac *own, bool reply,
		    uint8_t buf[static L2_FRAME_MAX])
{
	static const struct mac none = {0};

	/* Linux takes a reply for gratuitous only if both MAC addresses are the sender's. */
	return arp_emit(reply ? ARP_REPLY : ARP_REQUEST, own, a->bytes, reply ? own : &none,
			a->bytes, buf);
}

size_t l2_arp_probe_emit(const struct addr *a, const struct mac *own,
			 uint8_t buf[static L2_FRAME_MAX])
{
	static const struct mac none = {0};
	static const uint8_t nobody[4] = {0};

	return arp_emit(ARP_REQUEST, own, nobody, &none, a->bytes, buf);
}

size_t l2_na_emit(const struct addr *a, const struct addr *source, const struct mac *own,
		  uint8_t buf[static L2_FRAME_MAX])
{
	struct wire_wr w = {.p = buf, .left = L2_FRAME_MAX};
	uint8_t *icmp;
	uint32_t sum;
	uint16_t folded;

	put_ether(&w, all_nodes_mac, own, ETHERTYPE_IPV6);
	wire_put_u32(&w, 6u << 28);
	wire_put_u16(&w, NA_LEN);
	wire_put_u8(&w, IPPROTO_ICMPV6);
	wire_put_u8(&w, HOP_LIMIT);
	wire_put_bytes(&w, source->bytes, 16);
	wire_put_bytes(&w, all_nodes, 16);
	icmp = w.p;
	wire_put_u8(&w, NA_TYPE);
	wire_put_u8(&w, 0);
	wire_put_u16(&w, 0);
	wire_put_u32(&w, NA_ROUTER_OVERRIDE);
	wire_put_bytes(&w, a->bytes, 16);
	wire_put_u8(&w, 2); /* option: target link-layer address */
	wire_put_u8(&w, 1);
	wire_put_bytes(&w, own->bytes, 6);

	sum = wire_checksum_add(NA_LEN + IPPROTO_ICMPV6, source->bytes, 16);
	sum = wire_checksum_add(sum, all_nodes, 16);
	folded = wire_checksum_fold(wire_checksum_add(sum, icmp, NA_LEN));
	icmp[2] = (uint8_t)(folded >> 8);
	icmp[3] = (uint8_t)folded;
	return L2_FRAME_MAX - w.left;
}

int l2_arp_parse(const uint8_t *frame, size_t len, struct l2_arp *ret)
{
	struct wire_rd r = {.p = frame, .left = len};
	struct l2_arp arp = {0};
	uint16_t ether, hardware, protocol, operation;
	uint8_t hlen, plen, ip[4];

	wire_skip(&r, 12);
	ether = wire_u16(&r);
	hardware = wire_u16(&r);
	protocol = wire_u16(&r);
	hlen = wire_u8(&r);
	plen = wire_u8(&r);
	operation = wire_u16(&r);
	if (r.bad || ether != ETHERTYPE_ARP || hardware != 1 || protocol != ETHERTYPE_IP ||
	    hlen != 6 || plen != 4 || (operation != ARP_REQUEST && operation != ARP_REPLY))
		return -EBADMSG;
	arp.request = operation == ARP_REQUEST;
	wire_bytes(&r, arp.sender_mac.bytes, 6);
	wire_bytes(&r, ip, 4);
	arp.sender = addr_from_bytes(AF_INET, ip);
	wire_skip(&r, 6);
	wire_bytes(&r, ip, 4);
	arp.target = addr_from_bytes(AF_INET, ip);
	if (r.bad)
		return -EBADMSG;
	*ret = arp;
	return 0;
}

int l2_ip4_parse(const uint8_t *buf, size_t len, struct l2_vrrp_packet *ret)
{
	struct wire_rd r = {.p = buf, .left = len};
	uint8_t version_ihl, ttl, protocol, src[4], dst[4];
	uint16_t total, fragment;
	size_t head;

	version_ihl = wire_u8(&r);
	wire_skip(&r, 1);
	total = wire_u16(&r);
	wire_skip(&r, 2);
	fragment = wire_u16(&r);
	ttl = wire_u8(&r);
	protocol = wire_u8(&r);
	wire_skip(&r, 2);
	wire_bytes(&r, src, 4);
	wire_bytes(&r, dst, 4);
	head = (version_ihl & 0x0fu) * 4u;
	if (r.bad || version_ihl >> 4 != 4 || head < 20 || head > len || total < head ||
	    total > len)
		return -EBADMSG;
	/* Any fragment: the kernel has put together what it could. */
	if ((fragment & 0x3fff) != 0 || protocol != 112)
		return -EBADMSG;
	*ret = (struct l2_vrrp_packet){.msg = buf + head,
				       .len = total - head,
				       .src = addr_from_bytes(AF_INET, src),
				       .dst = addr_from_bytes(AF_INET, dst),
				       .ttl = ttl};
	return 0;
}
