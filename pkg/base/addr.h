/* addr: one value type for IPv4 and IPv6 addresses, comparable by memcmp, and for MAC addresses. */
#ifndef VIPD_BASE_ADDR_H
#define VIPD_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* family is AF_INET, AF_INET6, or AF_UNSPEC for "no address" (then all bytes are 0).
 * bytes: network order, an IPv4 address in the first four, the rest 0. */
struct addr {
	uint8_t family;
	uint8_t bytes[16];
};

struct mac {
	uint8_t bytes[6];
};

#define ADDR_TEXT_MAX 46
#define MAC_TEXT_MAX 18

/* Text to address. 0, or -EINVAL. Accepts what inet_pton accepts; no zone, no prefix length. */
int addr_parse(const char *text, struct addr *ret);
/* True if text is the canonical form of an address (RFC 5952 for IPv6). */
bool addr_text_is_canonical(const char *text);
/* Canonical text; "-" for no address. Returns buf. */
char *addr_text(const struct addr *a, char buf[static ADDR_TEXT_MAX]);
/* From 4 or 16 bytes of network order. family AF_INET or AF_INET6. */
struct addr addr_from_bytes(int family, const void *bytes);
/* From and to the kernel's socket addresses. port is in host order. */
int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *ret,
		       uint16_t *ret_port);
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, unsigned int scope_ifindex,
			   struct sockaddr_storage *ret);

/* Number of bytes on the wire: 4, 16, or 0. */
size_t addr_len(const struct addr *a);
bool addr_is_set(const struct addr *a);
/* In place: what compares thousands of addresses does little else. */
static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
/* One of a list in any order. */
bool addr_is_among(const struct addr *a, const struct addr *list, size_t n);
/* Family first (IPv4 before IPv6), then unsigned network order, as RFC 9568 s. 6.4.3 compares. */
int addr_cmp(const struct addr *a, const struct addr *b);
/* The same for qsort and bsearch. */
int addr_order(const void *a, const void *b);
/* Among n records of `size` bytes, in the order of the address that each begins with: the index of the
 * first one that is not before a, and of the first one behind a; n if there is none. */
size_t addr_first(const void *records, size_t n, size_t size, const struct addr *a);
size_t addr_behind(const void *records, size_t n, size_t size, const struct addr *a);
bool addr_is_link_local(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
/* Neither unspecified, loopback, multicast, nor limited broadcast. */
bool addr_is_unicast(const struct addr *a);
/* True if a lies in net/prefix_len; false for another family. */
bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned int prefix_len);

char *mac_text(const struct mac *m, char buf[static MAC_TEXT_MAX]);
int mac_parse(const char *text, struct mac *ret);
bool mac_eq(const struct mac *a, const struct mac *b);
bool mac_is_zero(const struct mac *m);

#endif
