#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <endian.h>
#include <string.h>

int addr_parse(const char *text, struct addr *ret)
{
	struct addr a = {0};

	if (inet_pton(AF_INET, text, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.bytes) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

bool addr_text_is_canonical(const char *text)
{
	struct addr a;
	char buf[ADDR_TEXT_MAX];

	return addr_parse(text, &a) == 0 && strcmp(addr_text(&a, buf), text) == 0;
}

char *addr_text(const struct addr *a, char buf[static ADDR_TEXT_MAX])
{
	if (!addr_is_set(a) || !inet_ntop(a->family, a->bytes, buf, ADDR_TEXT_MAX))
		(void)snprintf(buf, ADDR_TEXT_MAX, "-");
	return buf;
}

struct addr addr_from_bytes(int family, const void *bytes)
{
	struct addr a = {.family = (uint8_t)family};

	memcpy(a.bytes, bytes, addr_len(&a));
	return a;
}

int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *ret,
		       uint16_t *ret_port)
{
	/* Copied, because what the kernel filled in need not be aligned for its own type. */
	struct sockaddr_storage ss = {0};

	if (!sa || len < sizeof(sa->sa_family) || len > sizeof(ss))
		return -EINVAL;
	memcpy(&ss, sa, len);

	if (ss.ss_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in sin;

		memcpy(&sin, &ss, sizeof(sin));
		*ret = addr_from_bytes(AF_INET, &sin.sin_addr);
		if (ret_port)
			*ret_port = ntohs(sin.sin_port);
		return 0;
	}
	if (ss.ss_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 sin6;

		memcpy(&sin6, &ss, sizeof(sin6));
		*ret = addr_from_bytes(AF_INET6, &sin6.sin6_addr);
		if (ret_port)
			*ret_port = ntohs(sin6.sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, unsigned int scope_ifindex,
			   struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == AF_INET) {
		struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

		memcpy(&sin.sin_addr, a->bytes, sizeof(sin.sin_addr));
		memcpy(ret, &sin, sizeof(sin));
		return sizeof(sin);
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

		memcpy(&sin6.sin6_addr, a->bytes, sizeof(sin6.sin6_addr));
		/* The kernel refuses a scope only where the address has none of its own. */
		if (addr_is_link_local(a) || a->bytes[0] == 0xff)
			sin6.sin6_scope_id = scope_ifindex;
		memcpy(ret, &sin6, sizeof(sin6));
		return sizeof(sin6);
	}
	return 0;
}

size_t addr_len(const struct addr *a)
{
	return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

bool addr_is_set(const struct addr *a)
{
	return addr_len(a) > 0;
}

/* AF_INET is 2 and AF_INET6 10 on Linux, but no one should have to know that. */
static int family_rank(const struct addr *a)
{
	return a->family == AF_INET ? 1 : a->family == AF_INET6 ? 2 : 0;
}

static uint64_t half(const struct addr *a, size_t at)
{
	uint64_t v;

	memcpy(&v, a->bytes + at, sizeof(v));
	return be64toh(v);
}

bool addr_is_among(const struct addr *a, const struct addr *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_eq(a, &list[i]))
			return true;
	}
	return false;
}

/* As memcmp does it, which is a call: what sorts thousands of elements by address does little else. */
int addr_cmp(const struct addr *a, const struct addr *b)
{
	uint64_t x = half(a, 0), y = half(b, 0);

	if (a->family != b->family)
		return family_rank(a) - family_rank(b);
	if (x == y) {
		x = half(a, sizeof(x));
		y = half(b, sizeof(y));
	}
	return (x > y) - (x < y);
}

int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* The first record that compares with a as `least` or more. */
static size_t bisect(const void *records, size_t n, size_t size, const struct addr *a, int least)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_order((const uint8_t *)records + mid * size, a) < least)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t addr_first(const void *records, size_t n, size_t size, const struct addr *a)
{
	return bisect(records, n, size, a, 0);
}

size_t addr_behind(const void *records, size_t n, size_t size, const struct addr *a)
{
	return bisect(records, n, size, a, 1);
}

bool addr_is_link_local(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 169 && a->bytes[1] == 254;
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == AF_INET)
		return a->bytes[0] == 127;
	return a->family == AF_INET6 && memcmp(a->bytes, one, sizeof(one)) == 0;
}

bool addr_is_unicast(const struct addr *a)
{
	static const uint8_t none[16];
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (!addr_is_set(a) || addr_is_loopback(a) || memcmp(a->bytes, none, sizeof(none)) == 0)
		return false;
	if (a->family == AF_INET)
		return (a->bytes[0] & 0xf0) != 0xe0 && memcmp(a->bytes, broadcast, 4) != 0;
	return a->bytes[0] != 0xff;
}

bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned int prefix_len)
{
	size_t whole = prefix_len / 8;
	unsigned int rest = prefix_len % 8;

	if (a->family != net->family || !addr_is_set(a) || prefix_len > addr_len(a) * 8)
		return false;
	if (memcmp(a->bytes, net->bytes, whole) != 0)
		return false;
	return rest == 0 || (a->bytes[whole] ^ net->bytes[whole]) >> (8 - rest) == 0;
}

char *mac_text(const struct mac *m, char buf[static MAC_TEXT_MAX])
{
	const uint8_t *b = m->bytes;

	(void)snprintf(buf, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		       b[4], b[5]);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_parse(const char *text, struct mac *ret)
{
	struct mac m;

	for (size_t i = 0; i < sizeof(m.bytes); i++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);
		char end = i + 1 < sizeof(m.bytes) ? ':' : '\0';

		if (low < 0 || text[2] != end)
			return -EINVAL;
		m.bytes[i] = (uint8_t)(high << 4 | low);
		text += 3;
	}
	*ret = m;
	return 0;
}

bool mac_eq(const struct mac *a, const struct mac *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool mac_is_zero(const struct mac *m)
{
	static const struct mac zero;

	return mac_eq(m, &zero);
}
