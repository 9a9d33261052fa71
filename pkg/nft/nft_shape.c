/* nft_shape: a whole table as the messages of a batch, and the comment that tells its version. */
#include "nft/nft_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <stdio.h>
#include <string.h>

#define UDATA_MAX 256

/* nft's numbers of data types (its include/datatype.h); a concatenation is one number of 6 bits each. */
enum {
	TYPE_INTEGER = 4,
	TYPE_IPADDR = 7,
	TYPE_IP6ADDR = 8,
	TYPE_ETHERADDR = 9,
	TYPE_PROTOCOL = 12,
	TYPE_SERVICE = 13,
	TYPE_IFINDEX = 20,
	TYPE_BITS = 6
};

/* nft's numbers of expressions, header descriptions and header fields, for a `typeof` declaration. */
enum { EXPR_PAYLOAD = 7, EXPR_META = 9, EXPR_CONCAT = 13, EXPR_NUMGEN = 23 };
enum { DESC_TH = 11, DESC_IP = 12, DESC_IP6 = 13 };
enum { TH_DPORT = 2, IP_DADDR = 12, IP6_DADDR = 9 };
enum { BYTEORDER_NONE = 0, BYTEORDER_BIG = 2 };

static uint32_t field_type(enum nft_field f, enum nft_table t)
{
	switch (f) {
	case NFT_F_PROTO:
		return TYPE_PROTOCOL;
	case NFT_F_ADDR:
		return t == NFT_T_IP6 ? TYPE_IP6ADDR : TYPE_IPADDR;
	case NFT_F_PORT:
		return TYPE_SERVICE;
	case NFT_F_SLOT:
		return TYPE_INTEGER;
	case NFT_F_IFINDEX:
		return TYPE_IFINDEX;
	case NFT_F_MAC:
		return TYPE_ETHERADDR;
	}
	return 0;
}

static uint32_t key_type(const struct nft_set_def *d, enum nft_table t)
{
	uint32_t type = 0;

	for (size_t i = 0; i < d->n_fields; i++)
		type = type << TYPE_BITS | field_type(d->fields[i], t);
	return type;
}

/* A header field: { payload, { description, field } } */
static void typeof_payload(struct nftnl_udata_buf *b, uint32_t desc, uint32_t field)
{
	struct nftnl_udata *nest;

	nftnl_udata_put_u32(b, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_PAYLOAD);
	nest = nftnl_udata_nest_start(b, NFTNL_UDATA_SET_TYPEOF_DATA);
	nftnl_udata_put_u32(b, 0, desc);
	nftnl_udata_put_u32(b, 1, field);
	nftnl_udata_nest_end(b, nest);
}

static void typeof_daddr(struct nftnl_udata_buf *b, enum nft_table t)
{
	if (t == NFT_T_IP6)
		typeof_payload(b, DESC_IP6, IP6_DADDR);
	else
		typeof_payload(b, DESC_IP, IP_DADDR);
}

/* typeof meta l4proto . ip daddr . th dport . numgen random mod 12: a plain number has no type name. */
static void typeof_slots(struct nftnl_udata_buf *b, enum nft_table t)
{
	struct nftnl_udata *key, *concat, *field, *data;

	key = nftnl_udata_nest_start(b, NFTNL_UDATA_SET_KEY_TYPEOF);
	nftnl_udata_put_u32(b, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_CONCAT);
	concat = nftnl_udata_nest_start(b, NFTNL_UDATA_SET_TYPEOF_DATA);
	field = nftnl_udata_nest_start(b, 0);
	nftnl_udata_put_u32(b, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_META);
	data = nftnl_udata_nest_start(b, NFTNL_UDATA_SET_TYPEOF_DATA);
	nftnl_udata_put_u32(b, 0, NFT_META_L4PROTO);
	nftnl_udata_nest_end(b, data);
	nftnl_udata_nest_end(b, field);
	field = nftnl_udata_nest_start(b, 1);
	typeof_daddr(b, t);
	nftnl_udata_nest_end(b, field);
	field = nftnl_udata_nest_start(b, 2);
	typeof_payload(b, DESC_TH, TH_DPORT);
	nftnl_udata_nest_end(b, field);
	field = nftnl_udata_nest_start(b, 3);
	nftnl_udata_put_u32(b, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_NUMGEN);
	data = nftnl_udata_nest_start(b, NFTNL_UDATA_SET_TYPEOF_DATA);
	nftnl_udata_put_u32(b, 0, NFT_NG_RANDOM);
	nftnl_udata_put_u32(b, 1, PLAN_SLOTS);
	nftnl_udata_put_u32(b, 2, 0);
	nftnl_udata_nest_end(b, data);
	nftnl_udata_nest_end(b, field);
	nftnl_udata_nest_end(b, concat);
	nftnl_udata_nest_end(b, key);

	data = nftnl_udata_nest_start(b, NFTNL_UDATA_SET_DATA_TYPEOF);
	typeof_daddr(b, t);
	nftnl_udata_nest_end(b, data);
}

static void udata_free_p(struct nftnl_udata_buf **b)
{
	if (*b)
		nftnl_udata_buf_free(*b);
}

static void set_free_p(struct nftnl_set **s)
{
	if (*s)
		nftnl_set_free(*s);
}

static void chain_free_p(struct nftnl_chain **c)
{
	if (*c)
		nftnl_chain_free(*c);
}

static void rule_free_p(struct nftnl_rule **r)
{
	if (*r)
		nftnl_rule_free(*r);
}

static void table_free_p(struct nftnl_table **t)
{
	if (*t)
		nftnl_table_free(*t);
}

static int emit_set(struct nft_batch *b, enum nft_table t, enum plan_set s)
{
	const struct nft_set_def *d = nft_set_def(s);
	AUTO(set_free_p) struct nftnl_set *set = nftnl_set_alloc();
	AUTO(udata_free_p) struct nftnl_udata_buf *ud = nftnl_udata_buf_alloc(UDATA_MAX);
	struct nlmsghdr *h;

	if (!set || !ud)
		return -ENOMEM;
	nftnl_udata_put_u32(ud, NFTNL_UDATA_SET_KEYBYTEORDER,
			    d->n_fields > 1 ? BYTEORDER_NONE : BYTEORDER_BIG);
	if (d->is_map)
		nftnl_udata_put_u32(ud, NFTNL_UDATA_SET_DATABYTEORDER, BYTEORDER_BIG);
	if (d->n_fields == 4)
		typeof_slots(ud, t);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, nft_table_family(t));
	nftnl_set_set_u32(set, NFTNL_SET_ID, (uint32_t)s);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, d->is_map ? NFT_SET_MAP : 0);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, key_type(d, t));
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, (uint32_t)nft_key_len(t, s));
	if (d->is_map) {
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, field_type(NFT_F_ADDR, t));
		nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, t == NFT_T_IP6 ? 16 : 4);
	}
	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, NFT_TABLE_NAME) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, d->name) < 0 ||
	    nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(ud),
			       nftnl_udata_buf_len(ud)) < 0)
		return -ENOMEM;
	h = nft_batch_open(b, NFT_MSG_NEWSET, t, NLM_F_CREATE);
	nftnl_set_nlmsg_build_payload(h, set);
	nft_batch_close(b, h);
	return 0;
}

static int emit_chain(struct nft_batch *b, enum nft_table t, const struct nft_chain_def *d)
{
	AUTO(chain_free_p) struct nftnl_chain *chain = nftnl_chain_alloc();
	struct nlmsghdr *h;

	if (!chain)
		return -ENOMEM;
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, d->hook);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, d->priority);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	if (nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, NFT_TABLE_NAME) < 0 ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, d->name) < 0 ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, d->type) < 0)
		return -ENOMEM;
	h = nft_batch_open(b, NFT_MSG_NEWCHAIN, t, NLM_F_CREATE);
	nftnl_chain_nlmsg_build_payload(h, chain);
	nft_batch_close(b, h);
	return 0;
}

static int emit_rule(struct nft_batch *b, enum nft_table t, const struct nft_rule_def *d,
		     uint32_t mark)
{
	AUTO(rule_free_p) struct nftnl_rule *rule = nftnl_rule_alloc();
	AUTO(udata_free_p) struct nftnl_udata_buf *ud = nftnl_udata_buf_alloc(UDATA_MAX);
	struct nft_rule_ctx c = {.rule = rule, .v6 = t == NFT_T_IP6, .mark = mark};
	struct nlmsghdr *h;

	if (!rule || !ud)
		return -ENOMEM;
	nftnl_udata_put_strz(ud, NFTNL_UDATA_RULE_COMMENT, d->comment);
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, nft_table_family(t));
	d->build(&c);
	if (c.failed || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, NFT_TABLE_NAME) < 0 ||
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, d->chain) < 0 ||
	    nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(ud),
				nftnl_udata_buf_len(ud)) < 0)
		return -ENOMEM;
	h = nft_batch_open(b, NFT_MSG_NEWRULE, t, NLM_F_CREATE | NLM_F_APPEND);
	nftnl_rule_nlmsg_build_payload(h, rule);
	nft_batch_close(b, h);
	return 0;
}

static int emit_table(struct nft_batch *b, enum nft_table t, const char *comment)
{
	AUTO(table_free_p) struct nftnl_table *table = nftnl_table_alloc();
	AUTO(udata_free_p) struct nftnl_udata_buf *ud = nftnl_udata_buf_alloc(UDATA_MAX);
	struct nlmsghdr *h;

	if (!table || !ud)
		return -ENOMEM;
	nftnl_udata_put_strz(ud, NFTNL_UDATA_TABLE_COMMENT, comment);
	nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, 0);
	if (nftnl_table_set_str(table, NFTNL_TABLE_NAME, NFT_TABLE_NAME) < 0 ||
	    nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(ud),
				 nftnl_udata_buf_len(ud)) < 0)
		return -ENOMEM;
	h = nft_batch_open(b, NFT_MSG_NEWTABLE, t, NLM_F_CREATE);
	nftnl_table_nlmsg_build_payload(h, table);
	nft_batch_close(b, h);
	return 0;
}

int nft_shape_emit(struct nft_batch *b, enum nft_table t, uint32_t mark, const char *comment)
{
	int r = emit_table(b, t, comment);

	for (int s = 0; r == 0 && s < PLAN_SET_N; s++) {
		if (nft_table_has(t, (enum plan_set)s))
			r = emit_set(b, t, (enum plan_set)s);
	}
	for (size_t i = 0; r == 0 && i < nft_n_chains; i++) {
		if (nft_chain_is_in(&nft_chains[i], t))
			r = emit_chain(b, t, &nft_chains[i]);
	}
	for (size_t i = 0; r == 0 && i < nft_n_rules; i++) {
		if (nft_rule_is_in(&nft_rules[i], t))
			r = emit_rule(b, t, &nft_rules[i], mark);
	}
	return r;
}

int nft_shape_comment(enum nft_table t, uint32_t mark, uint8_t *scratch,
		      char ret[static NFT_COMMENT_MAX])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a of all messages */
	struct nft_batch b;
	int r;

	nft_batch_begin(&b, scratch, 0);
	r = nft_shape_emit(&b, t, mark, "");
	if (r < 0)
		return r;
	for (size_t i = 0; i < b.len; i++)
		hash = (hash ^ scratch[i]) * UINT64_C(0x100000001b3);
	(void)snprintf(ret, NFT_COMMENT_MAX, "kept by vipd, shape %016" PRIx64, hash);
	return 0;
}
