/*
 * l2: what is sent to the segment: gratuitous ARP and unsolicited neighbour advertisements; what others
 * say there of an address, and what makes them say it; the raw sockets of VRRP; and segments that
 * challenge TCP clients. Builders are pure and write into the caller's buffer; senders never block.
 * Holds no state.
 */
#ifndef VIPD_L2_L2_H
#define VIPD_L2_L2_H

#include "base/base.h"

#define L2_FRAME_MAX 128

/* A gratuitous ARP for `a` (RFC 5227 s. 3): request (target MAC 0) or reply (target MAC =
 * sender's). A whole Ethernet frame, broadcast. Bytes written. */
size_t l2_garp_emit(const struct addr *a, const struct mac *own, bool reply,
		    uint8_t buf[static L2_FRAME_MAX]);
/* An ARP probe for `a` (RFC 5227 s. 1.1: the sender's address is 0): whoever has the address on
 * that link answers to `own`. A whole Ethernet frame, broadcast. Bytes written. */
size_t l2_arp_probe_emit(const struct addr *a, const struct mac *own,
			 uint8_t buf[static L2_FRAME_MAX]);
/* Unsolicited neighbour advertisement (RFC 4861 s. 4.4; R=1 S=0 O=1 as RFC 9568 s. 6.4.2), whole
 * frame to ff02::1. source: an address of the interface (link-local). */
size_t l2_na_emit(const struct addr *a, const struct addr *source, const struct mac *own,
		  uint8_t buf[static L2_FRAME_MAX]);
/* Neighbour solicitation (RFC 4861 s. 4.3) to the solicited-node group of `a`: whoever has the address
 * on that link answers to `source`, an address of the interface (link-local). Bytes written. */
size_t l2_ns_emit(const struct addr *a, const struct addr *source, const struct mac *own,
		  uint8_t buf[static L2_FRAME_MAX]);

struct l2_arp {
	bool request;
	struct mac sender_mac;
	struct addr sender, target;
};
/* Parses an ARP packet as seen on the wire (Ethernet header included). 0 or -EBADMSG. */
int l2_arp_parse(const uint8_t *frame, size_t len, struct l2_arp *ret);

struct l2_na {
	struct addr target;
	struct mac mac; /* of the target: what the option says, else the frame's source */
};
/* Parses a neighbour advertisement as seen on the wire (Ethernet header included), by all the rules of
 * RFC 4861 s. 7.1.2. 0 or -EBADMSG, also for one that is longer than L2_FRAME_MAX and was cut. */
int l2_na_parse(const uint8_t *frame, size_t len, struct l2_na *ret);

/* A packet socket for sending frames (no protocol bound, receives nothing). fd or -errno. */
int l2_packet_socket(struct verr *reterr);
/* Sends frames of one interface by sendmmsg. 0; -errno of the first that was refused:
 * the others are sent. */
int l2_frames_send(int fd, unsigned int ifindex, const uint8_t (*frames)[L2_FRAME_MAX],
		   const size_t *lens, size_t n);
/* A packet socket that receives ARP of one interface, filtered in the kernel to replies and
 * gratuitous requests (for conflict detection). fd or -errno. */
int l2_arp_socket(unsigned int ifindex, struct verr *reterr);
/* The same for neighbour advertisements, but for those of link-local addresses: no VIP is one. */
int l2_na_socket(unsigned int ifindex, struct verr *reterr);

/* Receive socket for VRRP (protocol 112) of one interface and family: bound to the device, group
 * joined (224.0.0.18 / ff02::12), own multicast not looped, TTL and destination told with each
 * packet. fd or -errno. */
int l2_vrrp_rx_socket(int family, unsigned int ifindex, const char *ifname, struct verr *reterr);
/* Send socket: bound to the device, TTL/hop limit 255, TOS 0xC0, receives nothing. fd or -errno. */
int l2_vrrp_tx_socket(int family, unsigned int ifindex, const char *ifname, struct verr *reterr);

struct l2_vrrp_packet {
	const uint8_t *msg; /* VRRP message, inside the caller's buffer */
	size_t len;
	struct addr src, dst;
	uint8_t ttl;
};
/* Receives up to n packets without blocking. Number, 0 if none, -errno. bufs are the caller's. */
#define L2_VRRP_BUF 1536 /* a whole packet, with more addresses than vipd itself has in one */
int l2_vrrp_receive(int fd, int family, uint8_t (*bufs)[L2_VRRP_BUF], size_t n,
		    struct l2_vrrp_packet *ret);
/* Parses one IPv4 packet as the raw socket gives it (header included; IP options are
 * skipped). 0 or -EBADMSG. */
int l2_ip4_parse(const uint8_t *buf, size_t len, struct l2_vrrp_packet *ret);

struct l2_vrrp_out {
	const uint8_t *msg;
	size_t len;
	struct addr src, dst;
};
/* Sends n messages by sendmmsg, source addresses as given. Number sent, or -errno. Never blocks. */
int l2_vrrp_send(int fd, int family, unsigned int ifindex, const struct l2_vrrp_out *out, size_t n);
struct addr l2_vrrp_group(int family);

/*
 * A TCP segment for a connection of which only the addresses are known: an octet, of a sequence
 * number that most likely lies outside of the receiver's window, and acknowledging what it has not
 * sent of late. It changes nothing there, but is answered at once by an ACK with the right numbers
 * (RFC 9293 s. 3.10.7.4), or by a reset where there is no such connection. The octet is that of a
 * keep-alive (s. 3.8.4): Linux answers segments without data only twice a second.
 */
struct l2_challenge {
	struct addr from, to; /* of one family */
	uint16_t from_port, to_port;
	/* Another one at the next try: a window is no larger than a quarter of all numbers. */
	uint32_t seq;
};
/* The whole IP packet, checksums included. Bytes written. */
size_t l2_challenge_emit(const struct l2_challenge *c, uint8_t buf[static L2_FRAME_MAX]);
/* Sends whole packets of a family; receives nothing. Needs CAP_NET_RAW. fd or -errno. */
int l2_challenge_socket(int family, struct verr *reterr);
/* 0 or -errno; goes where the routes lead. Never blocks. */
int l2_challenge_send(int fd, const struct l2_challenge *c);

#endif
