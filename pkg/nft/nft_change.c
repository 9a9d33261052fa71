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
	struct plan_elem *items = array_room(l->items, &l->cap, l->n + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	l->items = items;
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

static void put_set(struct nlmsghdr *h, enum plan_set s)
{
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nft_set_def(s)->name);
}

/* Appends the elements of one set; a set or table that is not there has none. */
static int dump_set(struct nft *n, enum nft_table t, enum plan_set s, struct elems *list)
{
	struct dump d = {.list = list, .table = t, .set = s};
	size_t before = list->n;
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		struct nlmsghdr *h = nft_request_open(n, NFT_MSG_GETSETELEM, t, NLM_F_DUMP);

		put_set(h, s);
		list->n = before;
		r = nft_request(n, h, on_elems, &d);
	}
	if (r == -EAGAIN)
		return 0;
	/* It may also go away while it is told. */
	if (r < 0)
		list->n = before;
	return r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

/* While the kernel gives a set a larger hash table, a dump may tell the same element twice. */
static void sort_unique(struct elems *l)
{
	size_t out = 0;

	if (l->n > 1)
		qsort(l->items, l->n, sizeof(*l->items), cmp_elem);
	for (size_t i = 0; i < l->n; i++) {
		if (out == 0 || plan_elem_cmp(&l->items[out - 1], &l->items[i]) != 0)
			l->items[out++] = l->items[i];
	}
	l->n = out;
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
		return verr_errno(reterr, -r, "listing table %s", NFT_TABLE_NAME);
	sort_unique(&all);
	sort_unique(&arp_vips);
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

/* Those of the elements that are in set s of table t. */
static void put_elems(struct nlmsghdr *h, bool values, enum nft_table t, enum plan_set s,
		      const struct plan_elem *elems, size_t n)
{
	struct nlattr *list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);

	for (size_t i = 0; i < n; i++) {
		uint8_t key[NFT_KEY_MAX];
		struct nlattr *elem;

		if (elems[i].set != s || !nft_elem_is_in(&elems[i], t))
			continue;
		elem = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
		put_data(h, NFTA_SET_ELEM_KEY, key, nft_key_emit(&elems[i], key));
		if (values && nft_set_def(s)->is_map)
			put_data(h, NFTA_SET_ELEM_DATA, elems[i].value.bytes,
				 addr_len(&elems[i].value));
		mnl_attr_nest_end(h, elem);
	}
	mnl_attr_nest_end(h, list);
}

/* One message with those of the elements that are in set s of table t; none if there are none. */
static void emit_group(struct nft_batch *b, uint16_t type, enum nft_table t, enum plan_set s,
		       const struct plan_elem *elems, size_t n)
{
	bool is_new = type == NFT_MSG_NEWSETELEM;
	struct nlmsghdr *h;
	size_t i = 0;

	while (i < n && (elems[i].set != s || !nft_elem_is_in(&elems[i], t)))
		i++;
	if (i == n)
		return;
	h = nft_batch_open(b, type, t, is_new ? NLM_F_CREATE : 0);
	put_set(h, s);
	put_elems(h, is_new, t, s, elems + i, n - i);
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

struct deletions {
	struct elems of[NFT_T_N]; /* owned */
};

static void deletions_done(struct deletions *d)
{
	for (size_t t = 0; t < NFT_T_N; t++)
		elems_done(&d->of[t]);
}

static int on_found(void *user, const struct plan_elem *e)
{
	struct plan_elem *ret = user;

	*ret = *e;
	return 0;
}

struct lookup {
	enum nft_table table;
	struct plan_elem *ret;
};

static int on_answer(void *user, const struct nlmsghdr *h)
{
	struct lookup *l = user;

	return nft_elems_parse(l->table, l->ret->set, mnl_nlmsg_get_payload(h),
			       mnl_nlmsg_get_payload_len(h), on_found, l->ret);
}

/* 1 and *ret with its value: it is there; 0: it is not; -errno. Some microseconds. */
static int get_elem(struct nft *n, enum nft_table t, const struct plan_elem *e,
		    struct plan_elem *ret)
{
	struct lookup l = {.table = t, .ret = ret};
	struct nlmsghdr *h = nft_request_open(n, NFT_MSG_GETSETELEM, t, 0);
	int r;

	*ret = *e;
	put_set(h, e->set);
	put_elems(h, false, t, e->set, e, 1);
	r = nft_request(n, h, on_answer, &l);
	if (r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		return 0;
	return r < 0 ? r : 1;
}

/* Of the deletions those that find something. */
static int wanted_deletions(struct nft *n, const struct change *c, enum nft_table t,
			    struct elems *ret)
{
	for (size_t i = 0; i < c->n_del; i++) {
		struct plan_elem have;
		int r = nft_elem_is_in(&c->del[i], t) ? get_elem(n, t, &c->del[i], &have) : 0;

		if (r > 0)
			r = elems_add(ret, &have);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_listed(const struct elems *l, const struct plan_elem *e)
{
	for (size_t i = 0; i < l->n; i++) {
		if (plan_elem_cmp(&l->items[i], e) == 0)
			return true;
	}
	return false;
}

/* What is in the way of an addition: the same key with another value. */
static int needed_deletions(struct nft *n, const struct change *c, enum nft_table t,
			    struct elems *ret)
{
	for (size_t i = 0; i < c->n_add; i++) {
		const struct plan_elem *e = &c->add[i];
		struct plan_elem have;
		int r;

		if (!nft_elem_is_in(e, t) || !nft_set_def(e->set)->is_map || is_listed(ret, e))
			continue;
		r = get_elem(n, t, e, &have);
		if (r > 0 && !addr_eq(&have.value, &e->value))
			r = elems_add(ret, &have);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * A transaction that fails waits for all processors to forget what it had prepared, some 10 ms: so what is
 * there is looked up first. (NFT_MSG_DESTROYSETELEM would do without, but needs Linux 6.3.)
 */
static int try_change(struct nft *n, const struct change *c, bool replace, struct verr *reterr)
{
	AUTO(deletions_done) struct deletions dels = {0};
	struct nft_batch b;
	int r = 0;

	for (int t = 0; r == 0 && t < NFT_T_N; t++) {
		r = wanted_deletions(n, c, (enum nft_table)t, &dels.of[t]);
		if (r == 0 && replace)
			r = needed_deletions(n, c, (enum nft_table)t, &dels.of[t]);
	}
	if (r < 0)
		return verr_errno(reterr, -r, "looking into table %s", NFT_TABLE_NAME);
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
	r = try_change(n, &c, false, reterr);
	/* A map has the key with another value (the number depends on the kernel), or somebody was quicker. */
	if (r == -EBUSY || r == -EEXIST || (r == -ENOENT && n_del > 0))
		r = try_change(n, &c, true, reterr);
	return r;
}
