/* Frames as they stand on the wire: ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861). */
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "l2/l2.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2
#define NS_TYPE 135
#define NA_TYPE 136
#define NA_ROUTER_OVERRIDE 0xa0000000u
#define NA_SOLICITED 0x40000000u
#define ND_LEN 32 /* of a solicitation or advertisement with one option */
#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2
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

struct nd {
	const uint8_t *to_mac, *to;
	uint8_t type, option;
	uint32_t flags;
};

/* A solicitation or advertisement for `a`, with own MAC address as its option. */
static size_t nd_emit(const struct nd *nd, const struct addr *a, const struct addr *source,
		      const struct mac *own, uint8_t buf[static L2_FRAME_MAX])
{
	struct wire_wr w = {.p = buf, .left = L2_FRAME_MAX};
	uint8_t *icmp;
	uint32_t sum;
	uint16_t folded;

	put_ether(&w, nd->to_mac, own, ETHERTYPE_IPV6);
	wire_put_u32(&w, 6u << 28);
	wire_put_u16(&w, ND_LEN);
	wire_put_u8(&w, IPPROTO_ICMPV6);
	wire_put_u8(&w, HOP_LIMIT);
	wire_put_bytes(&w, source->bytes, 16);
	wire_put_bytes(&w, nd->to, 16);
	icmp = w.p;
	wire_put_u8(&w, nd->type);
	wire_put_u8(&w, 0);
	wire_put_u16(&w, 0);
	wire_put_u32(&w, nd->flags);
	wire_put_bytes(&w, a->bytes, 16);
	wire_put_u8(&w, nd->option);
	wire_put_u8(&w, 1);
	wire_put_bytes(&w, own->bytes, 6);

	sum = wire_checksum_add(ND_LEN + IPPROTO_ICMPV6, source->bytes, 16);
	sum = wire_checksum_add(sum, nd->to, 16);
	folded = wire_checksum_fold(wire_checksum_add(sum, icmp, ND_LEN));
	icmp[2] = (uint8_t)(folded >> 8);
	icmp[3] = (uint8_t)folded;
	return L2_FRAME_MAX - w.left;
}

size_t l2_na_emit(const struct addr *a, const struct addr *source, const struct mac *own,
		  uint8_t buf[static L2_FRAME_MAX])
{
	const struct nd nd = {.to_mac = all_nodes_mac,
			      .to = all_nodes,
			      .type = NA_TYPE,
			      .option = OPT_TARGET_MAC,
			      .flags = NA_ROUTER_OVERRIDE};

	return nd_emit(&nd, a, source, own, buf);
}

size_t l2_ns_emit(const struct addr *a, const struct addr *source, const struct mac *own,
		  uint8_t buf[static L2_FRAME_MAX])
{
	/* RFC 4291 s. 2.7.1; RFC 2464 s. 7 */
	uint8_t group[16] = {0xff, 0x02, [11] = 1, [12] = 0xff};
	uint8_t group_mac[6] = {0x33, 0x33, 0xff};
	const struct nd nd = {
		.to_mac = group_mac, .to = group, .type = NS_TYPE, .option = OPT_SOURCE_MAC};

	memcpy(group + 13, a->bytes + 13, 3);
	memcpy(group_mac + 3, a->bytes + 13, 3);
	return nd_emit(&nd, a, source, own, buf);
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

/* Of several target MAC addresses the first one counts, as for Linux. */
static void na_options(struct wire_rd *r, struct mac *ret)
{
	bool has_mac = false;

	while (!r->bad && r->left > 0) {
		uint8_t type = wire_u8(r), words = wire_u8(r);
		struct mac mac;

		if (words == 0 || (type == OPT_TARGET_MAC && words != 1)) {
			r->bad = true;
		} else if (type == OPT_TARGET_MAC && !has_mac) {
			wire_bytes(r, mac.bytes, 6);
			*ret = mac;
			has_mac = true;
		} else {
			wire_skip(r, words * 8u - 2);
		}
	}
}

int l2_na_parse(const uint8_t *frame, size_t len, struct l2_na *ret)
{
	struct wire_rd r = {.p = frame, .left = len};
	uint8_t ends[32], target[16], next, hops, type, code;
	uint16_t ether, icmp_len;
	uint32_t version, flags, sum;
	struct l2_na na = {0};
	const uint8_t *icmp;

	wire_skip(&r, 6);
	wire_bytes(&r, na.mac.bytes, 6);
	ether = wire_u16(&r);
	version = wire_u32(&r) >> 28;
	icmp_len = wire_u16(&r);
	next = wire_u8(&r);
	hops = wire_u8(&r);
	wire_bytes(&r, ends, sizeof(ends));
	if (r.bad || ether != ETHERTYPE_IPV6 || version != 6 || next != IPPROTO_ICMPV6 ||
	    hops != HOP_LIMIT || icmp_len > r.left)
		return -EBADMSG;
	r.left = icmp_len; /* behind it is padding */
	icmp = r.p;
	type = wire_u8(&r);
	code = wire_u8(&r);
	wire_skip(&r, 2);
	flags = wire_u32(&r);
	wire_bytes(&r, target, sizeof(target));
	na_options(&r, &na.mac);
	na.target = addr_from_bytes(AF_INET6, target);
	if (r.bad || type != NA_TYPE || code != 0 || !addr_is_unicast(&na.target) ||
	    (ends[16] == 0xff && (flags & NA_SOLICITED)))
		return -EBADMSG;
	sum = wire_checksum_add(icmp_len + IPPROTO_ICMPV6, ends, sizeof(ends));
	if (wire_checksum_fold(wire_checksum_add(sum, icmp, icmp_len)) != 0)
		return -EBADMSG;
	*ret = na;
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
