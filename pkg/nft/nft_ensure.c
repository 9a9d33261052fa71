/* nft_ensure: are the tables as this version makes them? If not, replaced in one transaction. */
#include "nft/nft_internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <string.h>

/* ---- what is there; each answer function compares one object with what is wanted ---- */

/* True if the user data is exactly one comment with this text. */
static bool is_comment(const uint8_t *ud, uint32_t len, uint8_t type, const char *text)
{
	size_t n = strlen(text) + 1;

	return ud && len == n + 2 && ud[0] == type && ud[1] == n && memcmp(ud + 2, text, n) == 0;
}

struct expect {
	const char *comment; /* table, rules */
	const struct nft_chain_def *chain;
	enum nft_table table;
	enum plan_set set;
	size_t next_rule; /* index in nft_rules */
	bool ok;
};

static int on_table(void *user, const struct nlmsghdr *h)
{
	struct expect *e = user;
	struct nftnl_table *t = nftnl_table_alloc();
	uint32_t len = 0;

	if (!t)
		return -ENOMEM;
	if (nftnl_table_nlmsg_parse(h, t) == 0) {
		const uint8_t *ud = nftnl_table_get_data(t, NFTNL_TABLE_USERDATA, &len);

		e->ok = is_comment(ud, len, NFTNL_UDATA_TABLE_COMMENT, e->comment);
	}
	/* A dormant table has no hooks. */
	if (nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT)
		e->ok = false;
	nftnl_table_free(t);
	return 0;
}

static int on_chain(void *user, const struct nlmsghdr *h)
{
	struct expect *e = user;
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (!c)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(h, c) == 0) {
		const char *type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);

		e->ok = type && strcmp(type, e->chain->type) == 0 &&
			nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == e->chain->hook &&
			nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO) == e->chain->priority &&
			nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_ACCEPT;
	}
	nftnl_chain_free(c);
	return 0;
}

static int on_set(void *user, const struct nlmsghdr *h)
{
	struct expect *e = user;
	struct nftnl_set *s = nftnl_set_alloc();

	if (!s)
		return -ENOMEM;
	if (nftnl_set_nlmsg_parse(h, s) == 0) {
		bool is_map = (nftnl_set_get_u32(s, NFTNL_SET_FLAGS) & NFT_SET_MAP) != 0;

		e->ok = is_map == nft_set_def(e->set)->is_map &&
			nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN) == nft_key_len(e->table, e->set);
	}
	nftnl_set_free(s);
	return 0;
}

/* The next rule that the chain should have, or nft_n_rules. */
static size_t rule_from(size_t i, const struct nft_chain_def *chain, enum nft_table t)
{
	while (i < nft_n_rules &&
	       (!nft_rule_is_in(&nft_rules[i], t) || strcmp(nft_rules[i].chain, chain->name) != 0))
		i++;
	return i;
}

static int on_rule(void *user, const struct nlmsghdr *h)
{
	struct expect *e = user;
	struct nftnl_rule *r = nftnl_rule_alloc();
	size_t i = rule_from(e->next_rule, e->chain, e->table);
	uint32_t len = 0;
	bool same = false;

	if (!r)
		return -ENOMEM;
	if (i < nft_n_rules && nftnl_rule_nlmsg_parse(h, r) == 0) {
		const uint8_t *ud = nftnl_rule_get_data(r, NFTNL_RULE_USERDATA, &len);

		same = is_comment(ud, len, NFTNL_UDATA_RULE_COMMENT, nft_rules[i].comment);
	}
	nftnl_rule_free(r);
	e->ok = e->ok && same;
	e->next_rule = i + 1;
	return 0;
}

/* A rule that was dropped or appended by somebody lacks its comment or is one too many. */
static int check_chain(struct nft *n, struct expect *e)
{
	struct nlmsghdr *h = nft_request_open(n, NFT_MSG_GETCHAIN, e->table, 0);
	int r;

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, e->chain->name);
	e->ok = false;
	r = nft_request(n, h, on_chain, e);
	if (r < 0 || !e->ok)
		return r;
	h = nft_request_open(n, NFT_MSG_GETRULE, e->table, NLM_F_DUMP);
	mnl_attr_put_strz(h, NFTA_RULE_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, e->chain->name);
	e->next_rule = 0;
	r = nft_request(n, h, on_rule, e);
	if (rule_from(e->next_rule, e->chain, e->table) < nft_n_rules)
		e->ok = false;
	return r;
}

static int check_set(struct nft *n, struct expect *e)
{
	struct nlmsghdr *h = nft_request_open(n, NFT_MSG_GETSET, e->table, 0);

	mnl_attr_put_strz(h, NFTA_SET_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(h, NFTA_SET_NAME, nft_set_def(e->set)->name);
	e->ok = false;
	return nft_request(n, h, on_set, e);
}

/* -ENOENT: no such table. *ret: whether it is as it should be. */
static int check_table(struct nft *n, enum nft_table t, const char *comment, bool *ret)
{
	struct expect e = {.comment = comment, .table = t};
	struct nlmsghdr *h = nft_request_open(n, NFT_MSG_GETTABLE, t, 0);
	int r;

	*ret = false;
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, NFT_TABLE_NAME);
	r = nft_request(n, h, on_table, &e);
	if (r < 0 || !e.ok)
		return r;
	for (size_t i = 0; i < nft_n_chains; i++) {
		if (!nft_chain_is_in(&nft_chains[i], t))
			continue;
		e.chain = &nft_chains[i];
		r = check_chain(n, &e);
		if (r < 0 || !e.ok)
			return r == -ENOENT || r == -EAGAIN ? 0 : r;
	}
	for (int s = 0; s < PLAN_SET_N; s++) {
		if (!nft_table_has(t, (enum plan_set)s))
			continue;
		e.set = (enum plan_set)s;
		r = check_set(n, &e);
		if (r < 0 || !e.ok)
			return r == -ENOENT ? 0 : r;
	}
	*ret = true;
	return 0;
}

/* ---- changing ---- */

/* Deleting needs the table to be there: so it is made first, which changes nothing if it is. */
static void emit_delete(struct nft_batch *b, enum nft_table t)
{
	const uint16_t types[] = {NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct nlmsghdr *h = nft_batch_open(b, types[i], t, i == 0 ? NLM_F_CREATE : 0);

		mnl_attr_put_strz(h, NFTA_TABLE_NAME, NFT_TABLE_NAME);
		nft_batch_close(b, h);
	}
}

static const char *table_text(enum nft_table t)
{
	return t == NFT_T_IP ? "ip" : t == NFT_T_IP6 ? "ip6" : "arp";
}

/* -ENOENT and the like mean: a kernel without that family has no such table. */
static bool is_absent(int r)
{
	return r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP;
}

int nft_ensure(struct nft *n, uint32_t mark4, uint32_t mark6, bool *ret_changed,
	       struct verr *reterr)
{
	const uint32_t marks[NFT_T_N] = {
		[NFT_T_IP] = mark4, [NFT_T_IP6] = mark6, [NFT_T_ARP] = mark4};
	char comments[NFT_T_N][NFT_COMMENT_MAX];
	bool is_there[NFT_T_N], is_ok[NFT_T_N];
	struct nft_batch b;
	int r;

	for (int i = 0; i < NFT_T_N; i++) {
		enum nft_table t = (enum nft_table)i;

		r = nft_shape_comment(t, marks[t], n->send, comments[t]);
		if (r == 0)
			r = check_table(n, t, comments[t], &is_ok[t]);
		is_there[t] = !is_absent(r);
		if (r < 0 && is_there[t])
			return verr_errno(reterr, -r, "looking at table %s %s", table_text(t),
					  NFT_TABLE_NAME);
	}
	nft_batch_begin(&b, n->send, n->seq + 1);
	for (int i = 0; i < NFT_T_N; i++) {
		enum nft_table t = (enum nft_table)i;
		bool wanted = marks[t] != 0;

		if (is_there[t] && !(wanted && is_ok[t]))
			emit_delete(&b, t);
		r = wanted && !is_ok[t] ? nft_shape_emit(&b, t, marks[t], comments[t]) : 0;
		if (r < 0)
			return verr_errno(reterr, -r, "nf_tables");
	}
	*ret_changed = false;
	if (b.n == 0)
		return 0;
	r = nft_batch_commit(n, &b, reterr);
	if (r < 0)
		return verr_wrap(reterr, r, "making table %s", NFT_TABLE_NAME);
	*ret_changed = true;
	return 0;
}

int nft_remove(struct nft *n, struct verr *reterr)
{
	bool changed;

	return nft_ensure(n, 0, 0, &changed, reterr);
}
