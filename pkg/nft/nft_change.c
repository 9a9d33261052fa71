/* nft_change: the elements: dumping all of them, changing some in one transaction. */
#include "nft/nft_internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>

#define TRIES 5

struct elems {
	struct plan_elem *items; /* owned */
	size_t n, cap;
};

static void elems_done(struct elems *l)
{
	free(l->items);
	*l = (struct elems){0};
}

static int elems_add(struct elems *l, const struct plan_elem *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct plan_elem *items = reallocarray(l->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = *e;
	return 0;
}

static int cmp_elem(const void *a, const void *b)
{
	return plan_elem_cmp(a, b);
}

static const struct plan_elem *find(const struct elems *l, const struct plan_elem *key)
{
	if (l->n == 0)
		return NULL;
	return bsearch(key, l->items, l->n, sizeof(*l->items), cmp_elem);
}

struct dump {
	struct elems *list;
	enum nft_table table;
	enum plan_set set;
};

static int on_elem(void *user, const struct plan_elem *e)
{
	struct dump *d = user;

	return elems_add(d->list, e);
}

static int on_elems(void *user, const struct nlmsghdr *h)
{
	struct dump *d = user;

	return nft_elems_parse(d->table, d->set, mnl_nlmsg_get_payload(h),
			       mnl_nlmsg_get_payload_len(h), on_elem, d);
}

/* Appends the elements of one set; a set or table that is not there has none. */
static int dump_set(struct nft *n, enum nft_table t, enum plan_set s, struct elems *list)
{
	struct dump d = {.list = list, .table = t, .set = s};
	size_t before = list->n;
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		struct nlmsghdr *h = nft_request_open(n, NFT_MSG_GETSETELEM, t, NLM_F_DUMP);

		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nft_set_def(s)->name);
		list->n = before;
		r = nft_request(n, h, on_elems, &d);
	}
	if (r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP || r == -EAGAIN)
		return 0;
	return r;
}

static void sort(struct elems *l)
{
	if (l->n > 1)
		qsort(l->items, l->n, sizeof(*l->items), cmp_elem);
}

/* IPv4 VIPS are in tables ip and arp; what only one of them has is not there. Both lists are sorted. */
static void keep_common(struct elems *l, const struct elems *arp_vips)
{
	size_t out = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct plan_elem *e = &l->items[i];

		if (e->set != PLAN_SET_VIPS || e->family != AF_INET || find(arp_vips, e))
			l->items[out++] = *e;
	}
	l->n = out;
}

int nft_dump(struct nft *n, struct plan_elem **ret, size_t *ret_n, struct verr *reterr)
{
	AUTO(elems_done) struct elems all = {0};
	AUTO(elems_done) struct elems arp_vips = {0};
	int r = 0;

	for (int t = 0; r == 0 && t < NFT_T_N; t++) {
		for (int s = 0; r == 0 && s < PLAN_SET_N; s++) {
			bool twice = t == NFT_T_ARP && s == PLAN_SET_VIPS;

			if (nft_table_has((enum nft_table)t, (enum plan_set)s))
				r = dump_set(n, (enum nft_table)t, (enum plan_set)s,
					     twice ? &arp_vips : &all);
		}
	}
	if (r < 0)
		return verr_set(reterr, -r, "listing table %s: %s", NFT_TABLE_NAME, strerror(-r));
	sort(&all);
	sort(&arp_vips);
	keep_common(&all, &arp_vips);
	*ret_n = all.n;
	*ret = STEAL(all.items);
	return 0;
}

static void put_data(struct nlmsghdr *h, uint16_t type, const void *bytes, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);

	mnl_attr_put(h, NFTA_DATA_VALUE, len, bytes);
	mnl_attr_nest_end(h, nest);
}

/* One message with those of the elements that are in set s of table t; none if there are none. */
static void emit_group(struct nft_batch *b, uint16_t type, enum nft_table t, enum plan_set s,
		       const struct plan_elem *elems, size_t n)
{
	struct nlmsghdr *h = NULL;
	struct nlattr *list = NULL;

	for (size_t i = 0; i < n; i++) {
		uint8_t key[NFT_KEY_MAX];
		struct nlattr *elem;

		if (elems[i].set != s || !nft_elem_is_in(&elems[i], t))
			continue;
		if (!h) {
			h = nft_batch_open(b, type, t,
					   type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
			mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
			mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nft_set_def(s)->name);
			list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
		}
		elem = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
		put_data(h, NFTA_SET_ELEM_KEY, key, nft_key_emit(&elems[i], key));
		if (type == NFT_MSG_NEWSETELEM && nft_set_def(s)->is_map)
			put_data(h, NFTA_SET_ELEM_DATA, elems[i].value.bytes,
				 addr_len(&elems[i].value));
		mnl_attr_nest_end(h, elem);
	}
	if (!h)
		return;
	mnl_attr_nest_end(h, list);
	nft_batch_close(b, h);
}

static void emit_table_groups(struct nft_batch *b, uint16_t type, enum nft_table t,
			      const struct plan_elem *elems, size_t n)
{
	for (int s = 0; s < PLAN_SET_N; s++)
		emit_group(b, type, t, (enum plan_set)s, elems, n);
}

struct change {
	const struct plan_elem *add, *del;
	size_t n_add, n_del;
};

/* The straight way: right whenever the caller knows what is there. */
static int try_plain(struct nft *n, const struct change *c, struct verr *reterr)
{
	struct nft_batch b;

	nft_batch_begin(&b, n->send, n->seq + 1);
	for (int t = 0; t < NFT_T_N; t++)
		emit_table_groups(&b, NFT_MSG_DELSETELEM, (enum nft_table)t, c->del, c->n_del);
	for (int t = 0; t < NFT_T_N; t++)
		emit_table_groups(&b, NFT_MSG_NEWSETELEM, (enum nft_table)t, c->add, c->n_add);
	return b.n == 0 ? 0 : nft_batch_commit(n, &b, reterr);
}

static bool touches(const struct change *c, enum nft_table t, enum plan_set s)
{
	for (size_t i = 0; i < c->n_add; i++) {
		if (c->add[i].set == s && nft_elem_is_in(&c->add[i], t))
			return true;
	}
	for (size_t i = 0; i < c->n_del; i++) {
		if (c->del[i].set == s && nft_elem_is_in(&c->del[i], t))
			return true;
	}
	return false;
}

/* Deletions that find something: asked for, or in the way of an addition with another value. */
static int real_deletions(const struct change *c, enum nft_table t, enum plan_set s,
			  const struct elems *have, struct elems *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < have->n; i++) {
		const struct plan_elem *h = &have->items[i];
		bool gone = false;

		for (size_t k = 0; k < c->n_del && !gone; k++)
			gone = c->del[k].set == s && plan_elem_cmp(&c->del[k], h) == 0;
		for (size_t k = 0; k < c->n_add && !gone; k++)
			gone = c->add[k].set == s && plan_elem_cmp(&c->add[k], h) == 0 &&
			       !addr_eq(&c->add[k].value, &h->value);
		if (gone && nft_elem_is_in(h, t))
			r = elems_add(ret, h);
	}
	return r;
}

struct deletions {
	struct elems of[NFT_T_N]; /* owned */
};

static void deletions_done(struct deletions *d)
{
	for (size_t t = 0; t < NFT_T_N; t++)
		elems_done(&d->of[t]);
}

static int find_deletions(struct nft *n, const struct change *c, enum nft_table t,
			  struct elems *ret)
{
	for (int s = 0; s < PLAN_SET_N; s++) {
		AUTO(elems_done) struct elems have = {0};
		int r;

		if (!touches(c, t, (enum plan_set)s))
			continue;
		r = dump_set(n, t, (enum plan_set)s, &have);
		if (r == 0)
			r = real_deletions(c, t, (enum plan_set)s, &have, ret);
		if (r < 0)
			return r;
	}
	return 0;
}

/* After looking at what is there. */
static int try_dumped(struct nft *n, const struct change *c, struct verr *reterr)
{
	AUTO(deletions_done) struct deletions dels = {0};
	struct nft_batch b;

	for (int t = 0; t < NFT_T_N; t++) {
		int r = find_deletions(n, c, (enum nft_table)t, &dels.of[t]);

		if (r < 0)
			return verr_set(reterr, -r, "listing table %s: %s", NFT_TABLE_NAME,
					strerror(-r));
	}
	nft_batch_begin(&b, n->send, n->seq + 1);
	for (int t = 0; t < NFT_T_N; t++)
		emit_table_groups(&b, NFT_MSG_DELSETELEM, (enum nft_table)t, dels.of[t].items,
				  dels.of[t].n);
	for (int t = 0; t < NFT_T_N; t++)
		emit_table_groups(&b, NFT_MSG_NEWSETELEM, (enum nft_table)t, c->add, c->n_add);
	return b.n == 0 ? 0 : nft_batch_commit(n, &b, reterr);
}

int nft_change(struct nft *n, const struct plan_elem *add, size_t n_add,
	       const struct plan_elem *del, size_t n_del, struct verr *reterr)
{
	struct change c = {.add = add, .del = del, .n_add = n_add, .n_del = n_del};
	int r;

	if (n_add + n_del > PLAN_NFT_BATCH_MAX)
		return verr_set(reterr, E2BIG, "%zu elements in one transaction", n_add + n_del);
	/* ENOENT: a deletion found nothing; EBUSY or EEXIST: a map has the key with another value. */
	r = try_plain(n, &c, reterr);
	for (int i = 0; i < TRIES && (r == -ENOENT || r == -EBUSY || r == -EEXIST); i++)
		r = try_dumped(n, &c, reterr);
	return r;
}
