/*
 * nft_rules: the rules, as expressions. They are built as nft itself builds them, so that `nft list table`
 * can print them. A concatenation lies in consecutive 32-bit registers, so each field has its place:
 * protocol, address (1 or 4 registers), port, slot.
 */
#include "nft/nft_internal.h"

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/if_arp.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter_arp.h>

#define REG_A NFT_REG32_00 /* first field; a result */
/* skb->priority of what a peer has forwarded: what is marked so is delivered here, where nobody asks for it. */
#define PEER_PRIORITY 0x76697064u
#define HASH_SEED 0x76697064u /* fixed, so that a client meets the same server through any node */

static struct nftnl_expr *expr(struct nft_rule_ctx *c, const char *name)
{
	struct nftnl_expr *e = c->failed ? NULL : nftnl_expr_alloc(name);

	if (!e) {
		c->failed = true;
		return NULL;
	}
	nftnl_rule_add_expr(c->rule, e);
	return e;
}

static void meta_load(struct nft_rule_ctx *c, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = expr(c, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, reg);
}

static void payload(struct nft_rule_ctx *c, uint32_t base, uint32_t offset, uint32_t len,
		    uint32_t reg)
{
	struct nftnl_expr *e = expr(c, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

static void cmp(struct nft_rule_ctx *c, uint32_t op, uint32_t reg, const void *data, uint32_t len)
{
	struct nftnl_expr *e = expr(c, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, reg);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
}

/* Of what is in REG_A the bits of the mask, which has len bytes, 4 at most. */
static void mask_bits(struct nft_rule_ctx *c, const void *mask, uint32_t len)
{
	const uint8_t zero[4] = {0};
	struct nftnl_expr *e = expr(c, "bitwise");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, REG_A);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, REG_A);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

/* A membership test, or with `result` a map's value into REG_A. */
static void lookup(struct nft_rule_ctx *c, enum plan_set s, bool result)
{
	struct nftnl_expr *e = expr(c, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, REG_A);
	if (result)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, REG_A);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, nft_set_def(s)->name);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, (uint32_t)s);
}

static void verdict(struct nft_rule_ctx *c, uint32_t v)
{
	struct nftnl_expr *e = expr(c, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, v);
}

static void meta_set(struct nft_rule_ctx *c, uint32_t key, uint32_t value)
{
	struct nftnl_expr *imm = expr(c, "immediate"), *meta = expr(c, "meta");

	if (!imm || !meta)
		return;
	nftnl_expr_set_u32(imm, NFTNL_EXPR_IMM_DREG, REG_A);
	nftnl_expr_set_u32(imm, NFTNL_EXPR_IMM_DATA, value);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_SREG, REG_A);
}

static void set_mark(struct nft_rule_ctx *c)
{
	meta_set(c, NFT_META_MARK, c->mark);
}

static void counter(struct nft_rule_ctx *c)
{
	(void)expr(c, "counter");
}

static void nat(struct nft_rule_ctx *c, uint32_t type)
{
	struct nftnl_expr *e = expr(c, "nat");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, type);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, c->v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, REG_A);
}

static void ct_load(struct nft_rule_ctx *c, uint32_t key, bool original, uint32_t reg)
{
	struct nftnl_expr *e = expr(c, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, reg);
	if (original)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
}

/* ---- what the rules are made of ---- */

static uint32_t reg_port(const struct nft_rule_ctx *c)
{
	return REG_A + (c->v6 ? 5 : 2);
}

static uint32_t addr_bytes(const struct nft_rule_ctx *c)
{
	return c->v6 ? 16 : 4;
}

static void load_daddr(struct nft_rule_ctx *c, uint32_t reg)
{
	payload(c, NFT_PAYLOAD_NETWORK_HEADER, c->v6 ? 24 : 16, addr_bytes(c), reg);
}

static void load_saddr(struct nft_rule_ctx *c, uint32_t reg)
{
	payload(c, NFT_PAYLOAD_NETWORK_HEADER, c->v6 ? 8 : 12, addr_bytes(c), reg);
}

static void load_dport(struct nft_rule_ctx *c)
{
	payload(c, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg_port(c));
}

/* meta l4proto . ip daddr . th dport */
static void load_service(struct nft_rule_ctx *c)
{
	meta_load(c, NFT_META_L4PROTO, REG_A);
	load_daddr(c, REG_A + 1);
	load_dport(c);
}

/* ip daddr . iif @home */
static void match_home(struct nft_rule_ctx *c)
{
	load_daddr(c, REG_A);
	meta_load(c, NFT_META_IIF, REG_A + (c->v6 ? 4 : 1));
	lookup(c, PLAN_SET_HOME, false);
}

/* ether saddr @peers; only frames of Ethernet have one. */
static void match_peer(struct nft_rule_ctx *c)
{
	uint16_t ether = ARPHRD_ETHER;

	meta_load(c, NFT_META_IIFTYPE, REG_A);
	cmp(c, NFT_CMP_EQ, REG_A, &ether, sizeof(ether));
	payload(c, NFT_PAYLOAD_LL_HEADER, 6, 6, REG_A);
	lookup(c, PLAN_SET_PEERS, false);
}

/* ct status dnat */
static void match_translated(struct nft_rule_ctx *c)
{
	uint32_t mask = IPS_DST_NAT, zero = 0;

	ct_load(c, NFT_CT_STATUS, false, REG_A);
	mask_bits(c, &mask, sizeof(mask));
	cmp(c, NFT_CMP_NEQ, REG_A, &zero, sizeof(zero));
}

/*
 * meta l4proto . ct original daddr . th dport @services: our translation keeps the port, so the port at
 * hand is the original one too. (nft 1.0.6 cannot print `ct original proto-dst` in a concatenation.)
 */
static void to_node(struct nft_rule_ctx *c)
{
	uint32_t original_daddr = c->v6 ? NFT_CT_DST_IP6 : NFT_CT_DST_IP;

	meta_load(c, NFT_META_L4PROTO, REG_A);
	ct_load(c, original_daddr, true, REG_A + 1);
	load_dport(c);
	lookup(c, PLAN_SET_SERVICES, false);
	counter(c);
	ct_load(c, original_daddr, true, REG_A);
	lookup(c, PLAN_MAP_NODE, true);
	nat(c, NFT_NAT_SNAT);
}

/* ---- the rules ---- */

static void redirect(struct nft_rule_ctx *c)
{
	load_service(c);
	lookup(c, PLAN_SET_REDIRECT, false);
	counter(c);
	set_mark(c);
}

static void from_peer(struct nft_rule_ctx *c)
{
	match_peer(c);
	load_service(c);
	lookup(c, PLAN_SET_SERVICES, false);
	counter(c);
	set_mark(c);
	meta_set(c, NFT_META_PRIORITY, PEER_PRIORITY);
}

/*
 * The first segment of a connection that a peer has forwarded, and that IPVS is about to forward once more, by an entry
 * of its own. Each of two nodes may have chosen the other one, before a move and after it: it would go to and fro until
 * its TTL ends. meta priority, tcp flags & (syn | ack) == syn
 */
static void peer_again(struct nft_rule_ctx *c)
{
	uint32_t priority = PEER_PRIORITY;
	uint8_t tcp = IPPROTO_TCP, syn_ack = 0x12, syn = 0x02;

	meta_load(c, NFT_META_PRIORITY, REG_A);
	cmp(c, NFT_CMP_EQ, REG_A, &priority, sizeof(priority));
	meta_load(c, NFT_META_L4PROTO, REG_A);
	cmp(c, NFT_CMP_EQ, REG_A, &tcp, sizeof(tcp));
	payload(c, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, REG_A);
	mask_bits(c, &syn_ack, sizeof(syn_ack));
	cmp(c, NFT_CMP_EQ, REG_A, &syn, sizeof(syn));
	counter(c);
	verdict(c, NF_DROP);
}

static void home_solo(struct nft_rule_ctx *c)
{
	match_home(c);
	load_service(c);
	lookup(c, PLAN_MAP_SOLO, true);
	counter(c);
	nat(c, NFT_NAT_DNAT);
}

static void home_accept(struct nft_rule_ctx *c)
{
	match_home(c);
	verdict(c, NF_ACCEPT);
}

static void peer_accept(struct nft_rule_ctx *c)
{
	match_peer(c);
	verdict(c, NF_ACCEPT);
}

static void dnat_sticky(struct nft_rule_ctx *c)
{
	struct nftnl_expr *e;

	load_service(c);
	load_saddr(c, NFT_REG32_08);
	e = expr(c, "hash");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, NFT_REG32_08);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, reg_port(c) + 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, addr_bytes(c));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, PLAN_SLOTS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, HASH_SEED);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
	lookup(c, PLAN_MAP_STICKY, true);
	counter(c);
	nat(c, NFT_NAT_DNAT);
}

static void dnat_random(struct nft_rule_ctx *c)
{
	struct nftnl_expr *e;

	load_service(c);
	e = expr(c, "numgen");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, reg_port(c) + 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, PLAN_SLOTS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	lookup(c, PLAN_MAP_SLOTS, true);
	counter(c);
	nat(c, NFT_NAT_DNAT);
}

static void snat_leaving(struct nft_rule_ctx *c)
{
	uint32_t lo = 1; /* of every network namespace */

	match_translated(c);
	meta_load(c, NFT_META_OIF, REG_A);
	cmp(c, NFT_CMP_NEQ, REG_A, &lo, sizeof(lo));
	to_node(c);
}

static void snat_vip_source(struct nft_rule_ctx *c)
{
	match_translated(c);
	load_saddr(c, REG_A);
	lookup(c, PLAN_SET_VIPS, false);
	to_node(c);
}

static void arp_request(struct nft_rule_ctx *c)
{
	uint8_t request[2] = {0, ARPOP_REQUEST};

	payload(c, NFT_PAYLOAD_NETWORK_HEADER, 6, 2, REG_A);
	cmp(c, NFT_CMP_EQ, REG_A, request, sizeof(request));
	payload(c, NFT_PAYLOAD_NETWORK_HEADER, 24, 4, REG_A);
}

static void arp_answer(struct nft_rule_ctx *c)
{
	arp_request(c);
	meta_load(c, NFT_META_IIF, REG_A + 1);
	lookup(c, PLAN_SET_ANSWER, false);
	counter(c);
	verdict(c, NF_ACCEPT);
}

static void arp_silence(struct nft_rule_ctx *c)
{
	arp_request(c);
	lookup(c, PLAN_SET_VIPS, false);
	counter(c);
	verdict(c, NF_DROP);
}

/* Before IPVS: it answers at 98 and schedules at 99 of input, and at -99 of output. */
const struct nft_chain_def nft_chains[] = {
	{NFT_T_IP, "input", "filter", NF_INET_LOCAL_IN, 97},
	{NFT_T_IP, "prerouting", "nat", NF_INET_PRE_ROUTING, -101},
	{NFT_T_IP, "output", "nat", NF_INET_LOCAL_OUT, -101},
	{NFT_T_IP, "forwarded", "filter", NF_INET_LOCAL_OUT, 0},
	{NFT_T_IP, "postrouting", "nat", NF_INET_POST_ROUTING, 100},
	{NFT_T_ARP, "input", "filter", NF_ARP_IN, 0},
};
const size_t nft_n_chains = ARRAY_LEN(nft_chains);

const struct nft_rule_def nft_rules[] = {
	{NFT_T_IP, "input", "not active: new connections to the local server", redirect},
	{NFT_T_IP, "input", "forwarded by a peer: to the local server", from_peer},
	{NFT_T_IP, "prerouting", "no IPVS: the active node serves alone", home_solo},
	{NFT_T_IP, "prerouting", "from outside: left to IPVS", home_accept},
	{NFT_T_IP, "prerouting", "forwarded by a peer: left to IPVS", peer_accept},
	{NFT_T_IP, "prerouting", "pods, with persistence", dnat_sticky},
	{NFT_T_IP, "prerouting", "pods", dnat_random},
	{NFT_T_IP, "output", "this node, with persistence", dnat_sticky},
	{NFT_T_IP, "output", "this node", dnat_random},
	{NFT_T_IP, "forwarded", "forwarded by a peer: new connections are not forwarded again",
	 peer_again},
	{NFT_T_IP, "postrouting", "translated here, leaving: from the node's address",
	 snat_leaving},
	{NFT_T_IP, "postrouting", "translated here, from a VIP: from the node's address",
	 snat_vip_source},
	{NFT_T_ARP, "input", "active here: answered", arp_answer},
	{NFT_T_ARP, "input", "not active, or another interface: no answer", arp_silence},
};
const size_t nft_n_rules = ARRAY_LEN(nft_rules);

bool nft_chain_is_in(const struct nft_chain_def *c, enum nft_table t)
{
	return c->table == t || (c->table == NFT_T_IP && t == NFT_T_IP6);
}

bool nft_rule_is_in(const struct nft_rule_def *r, enum nft_table t)
{
	return r->table == t || (r->table == NFT_T_IP && t == NFT_T_IP6);
}
