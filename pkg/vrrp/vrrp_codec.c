/* Advert codec: RFC 3768 s. 5 with the authentication of RFC 2338 s. 5.3.6, and RFC 9568 s. 5. */
#include <string.h>

#include "vrrp/vrrp.h"

#define TYPE_ADVERT 1
#define HEAD_LEN 8
#define NS_PER_CS (UINT64_C(10) * NS_PER_MS)
#define CS_MAX 4095u

const char *vrrp_rx_name(enum vrrp_rx rx)
{
	switch (rx) {
	case VRRP_RX_OK:
		return "ok";
	case VRRP_RX_TTL:
		return "ttl";
	case VRRP_RX_VERSION:
		return "version";
	case VRRP_RX_TYPE:
		return "type";
	case VRRP_RX_LENGTH:
		return "length";
	case VRRP_RX_CHECKSUM:
		return "checksum";
	case VRRP_RX_VRID:
		return "vrid";
	case VRRP_RX_COUNT:
		return "count";
	case VRRP_RX_INTERVAL:
		return "interval";
	case VRRP_RX_AUTH:
		return "auth";
	case VRRP_RX_SELF:
		return "self";
	case VRRP_RX_PEER:
		return "peer";
	case VRRP_RX_N:
		break;
	}
	return "unknown";
}

/* Both families' pseudo-headers hold the same numbers, and a sum does not care where the zeros stand. */
static uint32_t pseudo_sum(const struct addr *src, const struct addr *dst, size_t len)
{
	uint32_t sum = wire_checksum_add(0, src->bytes, addr_len(src));

	sum = wire_checksum_add(sum, dst->bytes, addr_len(dst));
	return sum + (uint32_t)len + VRRP_IPPROTO;
}

static bool checksum_ok(const uint8_t *buf, size_t len, uint8_t version, const struct addr *src,
			const struct addr *dst, enum vrrp_checksum *ret_csum)
{
	uint32_t plain = wire_checksum_add(0, buf, len);
	bool is_plain_ok = wire_checksum_fold(plain) == 0;

	if (version == 2) {
		*ret_csum = VRRP_CSUM_PLAIN;
		return is_plain_ok;
	}
	if (wire_checksum_fold(wire_checksum_add(pseudo_sum(src, dst, len), buf, len)) == 0) {
		*ret_csum = VRRP_CSUM_PSEUDO;
		return true;
	}
	*ret_csum = VRRP_CSUM_PLAIN;
	return src->family == AF_INET && is_plain_ok;
}

enum vrrp_rx vrrp_advert_parse(const uint8_t *buf, size_t len, const struct addr *src,
			       const struct addr *dst, struct vrrp_advert *ret,
			       enum vrrp_checksum *ret_csum)
{
	struct wire_rd r = {.p = buf, .left = len};
	struct vrrp_advert a = {0};
	enum vrrp_checksum csum;
	size_t alen = addr_len(src);
	uint8_t version_type, period_hi, period_lo;

	if (len < 1)
		return VRRP_RX_LENGTH;
	version_type = wire_u8(&r);
	a.version = version_type >> 4;
	if (a.version != 3 && (a.version != 2 || src->family != AF_INET))
		return VRRP_RX_VERSION;
	if ((version_type & 0x0f) != TYPE_ADVERT)
		return VRRP_RX_TYPE;
	a.vrid = wire_u8(&r);
	a.priority = wire_u8(&r);
	a.n_addrs = wire_u8(&r);
	period_hi = wire_u8(&r);
	period_lo = wire_u8(&r);
	wire_skip(&r, 2); /* the checksum is verified over the whole message */
	if (r.bad || r.left != a.n_addrs * alen + (a.version == 2 ? VRRP_AUTH_LEN : 0))
		return VRRP_RX_LENGTH;
	if (!checksum_ok(buf, len, a.version, src, dst, &csum))
		return VRRP_RX_CHECKSUM;
	if (a.vrid == 0)
		return VRRP_RX_VRID;
	if (a.n_addrs == 0)
		return VRRP_RX_COUNT;
	for (size_t i = 0; i < a.n_addrs; i++) {
		uint8_t bytes[16];

		wire_bytes(&r, bytes, alen);
		if (i < VRRP_ADDRS_MAX)
			a.addrs[i] = addr_from_bytes(src->family, bytes);
	}
	if (a.version == 2) {
		a.auth_type = period_hi;
		a.period_ns = period_lo * NS_PER_S;
		wire_bytes(&r, a.auth, VRRP_AUTH_LEN);
	} else {
		/* The upper nibble is reserved: ignored on receipt (RFC 9568 s. 5.2.6). */
		a.period_ns = ((period_hi & 0x0fu) << 8 | period_lo) * NS_PER_CS;
	}
	if (a.period_ns == 0)
		return VRRP_RX_INTERVAL;
	*ret = a;
	*ret_csum = csum;
	return VRRP_RX_OK;
}

/* The two bytes behind the address count. False if this version cannot express the period. */
static bool period_to_wire(const struct vrrp_advert *a, uint16_t *ret)
{
	uint64_t unit_ns = a->version == 2 ? NS_PER_S : NS_PER_CS;
	uint64_t units = a->period_ns / unit_ns;

	if (a->period_ns % unit_ns != 0 || units < 1 || units > (a->version == 2 ? 255 : CS_MAX))
		return false;
	*ret = (uint16_t)(a->version == 2 ? (uint64_t)a->auth_type << 8 | units : units);
	return true;
}

size_t vrrp_advert_emit(const struct vrrp_advert *a, const struct addr *src, const struct addr *dst,
			enum vrrp_checksum csum, uint8_t *buf, size_t size)
{
	struct wire_wr w = {.p = buf, .left = size};
	uint32_t sum = 0;
	uint16_t period, folded;
	size_t len;

	if ((a->version != 3 && (a->version != 2 || src->family != AF_INET)) || a->vrid == 0)
		return 0;
	if (a->n_addrs < 1 || a->n_addrs > VRRP_ADDRS_MAX || dst->family != src->family)
		return 0;
	if (!period_to_wire(a, &period))
		return 0;
	wire_put_u8(&w, (uint8_t)(a->version << 4 | TYPE_ADVERT));
	wire_put_u8(&w, a->vrid);
	wire_put_u8(&w, a->priority);
	wire_put_u8(&w, (uint8_t)a->n_addrs);
	wire_put_u16(&w, period);
	wire_put_u16(&w, 0);
	for (size_t i = 0; i < a->n_addrs; i++) {
		if (a->addrs[i].family != src->family)
			return 0;
		wire_put_bytes(&w, a->addrs[i].bytes, addr_len(src));
	}
	if (a->version == 2)
		wire_put_bytes(&w, a->auth, VRRP_AUTH_LEN);
	if (w.bad)
		return 0;
	len = size - w.left;
	if (a->version == 3 && (src->family == AF_INET6 || csum == VRRP_CSUM_PSEUDO))
		sum = pseudo_sum(src, dst, len);
	folded = wire_checksum_fold(wire_checksum_add(sum, buf, len));
	buf[HEAD_LEN - 2] = (uint8_t)(folded >> 8);
	buf[HEAD_LEN - 1] = (uint8_t)folded;
	return len;
}
