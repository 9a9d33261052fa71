/* nft_elem: the sets, and their elements as bytes: keys are fields in network order, each padded to 4 bytes. */
#include "nft/nft_internal.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static const struct nft_set_def sets[PLAN_SET_N] = {
	[PLAN_SET_SERVICES] = {"services", {NFT_F_PROTO, NFT_F_ADDR, NFT_F_PORT}, 3, false},
	[PLAN_SET_VIPS] = {"vips", {NFT_F_ADDR}, 1, false},
	[PLAN_SET_HOME] = {"home", {NFT_F_ADDR, NFT_F_IFINDEX}, 2, false},
	[PLAN_SET_PEERS] = {"peers", {NFT_F_MAC}, 1, false},
	[PLAN_MAP_NODE] = {"node", {NFT_F_ADDR}, 1, true},
	[PLAN_MAP_SLOTS] = {"slots", {NFT_F_PROTO, NFT_F_ADDR, NFT_F_PORT, NFT_F_SLOT}, 4, true},
	[PLAN_MAP_STICKY] = {"sticky", {NFT_F_PROTO, NFT_F_ADDR, NFT_F_PORT, NFT_F_SLOT}, 4, true},
	[PLAN_MAP_SOLO] = {"solo", {NFT_F_PROTO, NFT_F_ADDR, NFT_F_PORT}, 3, true},
	/* `redirect` is a word of nft's language: a saved ruleset with that name could not be loaded. */
	[PLAN_SET_REDIRECT] = {"redirected", {NFT_F_PROTO, NFT_F_ADDR, NFT_F_PORT}, 3, false},
	[PLAN_SET_ANSWER] = {"answer", {NFT_F_ADDR, NFT_F_IFINDEX}, 2, false},
};

uint8_t nft_table_family(enum nft_table t)
{
	return t == NFT_T_IP ? NFPROTO_IPV4 : t == NFT_T_IP6 ? NFPROTO_IPV6 : NFPROTO_ARP;
}

uint8_t nft_table_af(enum nft_table t)
{
	return t == NFT_T_IP6 ? AF_INET6 : AF_INET;
}

const struct nft_set_def *nft_set_def(enum plan_set s)
{
	return &sets[s];
}

bool nft_table_has(enum nft_table t, enum plan_set s)
{
	if (t == NFT_T_ARP)
		return s == PLAN_SET_ANSWER || s == PLAN_SET_VIPS;
	return s != PLAN_SET_ANSWER;
}

bool nft_elem_is_in(const struct plan_elem *e, enum nft_table t)
{
	return e->set < PLAN_SET_N && e->family == nft_table_af(t) && nft_table_has(t, e->set);
}

/* Of the field alone; the padded length is that of a concatenation. */
static size_t field_len(enum nft_field f, uint8_t af)
{
	switch (f) {
	case NFT_F_PROTO:
		return 1;
	case NFT_F_ADDR:
		return af == AF_INET6 ? 16 : 4;
	case NFT_F_PORT:
		return 2;
	case NFT_F_SLOT:
	case NFT_F_IFINDEX:
		return 4;
	case NFT_F_MAC:
		return 6;
	}
	return 0;
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

size_t nft_key_len(enum nft_table t, enum plan_set s)
{
	const struct nft_set_def *d = &sets[s];
	size_t n = 0;

	if (d->n_fields == 1)
		return field_len(d->fields[0], nft_table_af(t));
	for (size_t i = 0; i < d->n_fields; i++)
		n += padded(field_len(d->fields[i], nft_table_af(t)));
	return n;
}

size_t nft_key_emit(const struct plan_elem *e, uint8_t *key)
{
	const struct nft_set_def *d = &sets[e->set];
	size_t at = 0;

	for (size_t i = 0; i < d->n_fields; i++) {
		size_t len = field_len(d->fields[i], e->family);
		uint32_t slot = e->slot, ifindex = e->ifindex; /* host order, as in registers */
		uint8_t port[2] = {(uint8_t)(e->port >> 8), (uint8_t)e->port};
		const void *src = NULL;

		switch (d->fields[i]) {
		case NFT_F_PROTO:
			src = &e->protocol;
			break;
		case NFT_F_ADDR:
			src = e->addr.bytes;
			break;
		case NFT_F_PORT:
			src = port;
			break;
		case NFT_F_SLOT:
			src = &slot;
			break;
		case NFT_F_IFINDEX:
			src = &ifindex;
			break;
		case NFT_F_MAC:
			src = e->mac.bytes;
			break;
		}
		memcpy(key + at, src, len);
		if (d->n_fields > 1) {
			memset(key + at + len, 0, padded(len) - len);
			len = padded(len);
		}
		at += len;
	}
	return at;
}

/* The contrary of nft_key_emit; key has the length that nft_key_len says. */
static int key_parse(const uint8_t *key, struct plan_elem *e)
{
	const struct nft_set_def *d = &sets[e->set];
	size_t at = 0;

	for (size_t i = 0; i < d->n_fields; i++) {
		size_t len = field_len(d->fields[i], e->family);
		const uint8_t *p = key + at;
		uint32_t u;

		switch (d->fields[i]) {
		case NFT_F_PROTO:
			e->protocol = p[0];
			break;
		case NFT_F_ADDR:
			e->addr = addr_from_bytes(e->family, p);
			break;
		case NFT_F_PORT:
			e->port = (uint16_t)(p[0] << 8 | p[1]);
			break;
		case NFT_F_SLOT:
			memcpy(&u, p, 4);
			if (u > UINT8_MAX)
				return -EBADMSG;
			e->slot = (uint8_t)u;
			break;
		case NFT_F_IFINDEX:
			memcpy(&u, p, 4);
			e->ifindex = u;
			break;
		case NFT_F_MAC:
			memcpy(e->mac.bytes, p, 6);
			break;
		}
		at += d->n_fields > 1 ? padded(len) : len;
	}
	return 0;
}

/* ---- out of messages ---- */

/* NFTA_DATA_VALUE inside of a key or a data attribute; p is NULL if there is none. */
static struct netlink_attr data_value(const struct netlink_attr *a)
{
	struct netlink_cursor c = netlink_nested(a);
	struct netlink_attr v;

	while (netlink_attr_next(&c, &v)) {
		if (v.type == NFTA_DATA_VALUE)
			return v;
	}
	return (struct netlink_attr){0};
}

static int elem_parse(enum nft_table t, enum plan_set s, const struct netlink_attr *elem,
		      struct plan_elem *ret)
{
	struct plan_elem e = {.set = s, .family = nft_table_af(t)};
	struct netlink_cursor c = netlink_nested(elem);
	struct netlink_attr a, key = {0}, data = {0};
	int r;

	while (netlink_attr_next(&c, &a)) {
		if (a.type == NFTA_SET_ELEM_KEY)
			key = data_value(&a);
		else if (a.type == NFTA_SET_ELEM_DATA)
			data = data_value(&a);
	}
	if (!key.p || key.len != nft_key_len(t, s))
		return -EBADMSG;
	r = key_parse(key.p, &e);
	if (r < 0)
		return r;
	if (sets[s].is_map) {
		if (!data.p || data.len != field_len(NFT_F_ADDR, e.family))
			return -EBADMSG;
		e.value = addr_from_bytes(e.family, data.p);
	}
	*ret = e;
	return 0;
}

int nft_elems_parse(enum nft_table t, enum plan_set s, const uint8_t *bytes, size_t len,
		    nft_elem_fn fn, void *user)
{
	struct netlink_cursor c = {.p = bytes, .left = len};
	struct netlink_attr list, elem;

	if (len < sizeof(struct nfgenmsg))
		return -EBADMSG;
	netlink_skip(&c, sizeof(struct nfgenmsg));
	while (netlink_attr_next(&c, &list)) {
		struct netlink_cursor elems = netlink_nested(&list);

		if (list.type != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		while (netlink_attr_next(&elems, &elem)) {
			struct plan_elem e;
			int r = elem_parse(t, s, &elem, &e);

			if (r == 0)
				r = fn(user, &e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

bool nft_event_is_ours(const uint8_t *bytes, size_t len)
{
	struct netlink_cursor c = {.p = bytes, .left = len};
	struct netlink_attr a;

	if (len < sizeof(struct nfgenmsg))
		return false;
	if (bytes[0] != NFPROTO_IPV4 && bytes[0] != NFPROTO_IPV6 && bytes[0] != NFPROTO_ARP)
		return false;
	netlink_skip(&c, sizeof(struct nfgenmsg));
	/* Tables, chains, rules, sets and lists of elements all name their table in attribute 1. */
	while (netlink_attr_next(&c, &a)) {
		if (a.type == NFTA_TABLE_NAME)
			return a.len == sizeof(NFT_TABLE_NAME) &&
			       memcmp(a.p, NFT_TABLE_NAME, a.len) == 0;
	}
	return false;
}
