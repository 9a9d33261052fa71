/*
 * plan_diff: the operations from what the kernel has to what it should have. Each kind of state is gone over
 * once; what is found goes into a list for its type of operation. Joined in the order of the types they are in
 * the safe one: what is needed comes before what points to it, and goes after it.
 */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

#define FLAGS_MASK (PLAN_IPVS_PERSISTENT | PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2)
#define N_TYPES (PLAN_OP_ROUTE_DEL + 1)

struct list {
	struct plan_op *items; /* owned */
	size_t n, room;
};

struct diff {
	const struct plan_kernel *want, *have;
	const struct addr *owned; /* sorted */
	size_t n_owned;
	const struct plan_dest **sorted; /* scratch: destinations of one service */
	struct list lists[N_TYPES];
	struct list
		changed; /* halves of changed values: between PLAN_OP_ELEM_ADD and PLAN_OP_ELEM_DEL */
	bool is_full; /* no memory: an operation is missing */
};

static void append(struct diff *d, struct list *l, const struct plan_op *op)
{
	struct plan_op *items = array_room(l->items, &l->room, l->n + 1, sizeof(*items));

	if (!items) {
		d->is_full = true;
		return;
	}
	l->items = items;
	l->items[l->n++] = *op;
}

static void emit(struct diff *d, const struct plan_op *op)
{
	append(d, &d->lists[op->type], op);
}

/* ---- links, routes ---- */

/* The kernel uses the stricter of a device's own value and that for all: more than wanted is fine. */
static void diff_links(struct diff *d)
{
	size_t j = 0;

	for (size_t i = 0; i < d->want->n_links; i++) {
		const struct plan_linkconf *w = &d->want->links[i], *h = NULL;

		while (j < d->have->n_links && d->have->links[j].ifindex < w->ifindex)
			j++;
		if (j < d->have->n_links && d->have->links[j].ifindex == w->ifindex)
			h = &d->have->links[j];
		if (h && h->arp_ignore >= w->arp_ignore && h->arp_announce >= w->arp_announce)
			continue;
		struct plan_op op = {.type = PLAN_OP_LINKCONF, .link = *w};

		if (h && h->arp_ignore >= w->arp_ignore)
			op.link.arp_ignore = -1;
		if (h && h->arp_announce >= w->arp_announce)
			op.link.arp_announce = -1;
		emit(d, &op);
	}
}

static void emit_route(struct diff *d, enum plan_op_type type, const struct plan_route *r)
{
	emit(d, &(struct plan_op){.type = type, .route = *r});
}

/* Those of one address, n of them. Another source is an ADD alone: it replaces. Only a second route is deleted. */
static void diff_route(struct diff *d, const struct plan_route *want, const struct plan_route *have,
		       size_t n)
{
	bool is_there = false;

	for (size_t i = 0; i < n; i++)
		is_there |= addr_eq(&want->src, &have[i].src);
	if (!is_there)
		emit_route(d, PLAN_OP_ROUTE_ADD, want);
	for (size_t i = 0; is_there && i < n; i++) {
		if (!addr_eq(&want->src, &have[i].src))
			emit_route(d, PLAN_OP_ROUTE_DEL, &have[i]);
	}
}

static void diff_routes(struct diff *d)
{
	const struct plan_route *w = d->want->routes, *h = d->have->routes;
	const struct plan_route *w_end = w + d->want->n_routes, *h_end = h + d->have->n_routes;

	for (; w < w_end; w++) {
		size_t n = 0;

		for (; h < h_end && addr_cmp(&h->addr, &w->addr) < 0; h++)
			emit_route(d, PLAN_OP_ROUTE_DEL, h);
		while (h + n < h_end && addr_eq(&h[n].addr, &w->addr))
			n++;
		diff_route(d, w, h, n);
		h += n;
	}
	for (; h < h_end; h++)
		emit_route(d, PLAN_OP_ROUTE_DEL, h);
}

/* ---- services ---- */

static int cmp_dest_ptr(const void *pa, const void *pb)
{
	const struct plan_dest *const *a = pa, *const *b = pb;

	return plan_dest_cmp(*a, *b);
}

/* Everybody's services are in a dump. */
static bool is_ours(const struct diff *d, const struct plan_service *s)
{
	if (s->fwmark != 0)
		return plan_is_mark(s->fwmark);
	return d->n_owned > 0 &&
	       bsearch(&s->addr, d->owned, d->n_owned, sizeof(s->addr), addr_order);
}

static void emit_service(struct diff *d, enum plan_op_type type, const struct plan_service *s,
			 const struct plan_dest *dest)
{
	struct plan_op op = {.type = type, .service = *s};

	op.service.dests = NULL;
	op.service.n_dests = 0;
	if (dest)
		op.dest = *dest;
	emit(d, &op);
}

static bool is_same_service(const struct plan_service *a, const struct plan_service *b)
{
	return strcmp(a->scheduler, b->scheduler) == 0 &&
	       (a->flags & FLAGS_MASK) == (b->flags & FLAGS_MASK) &&
	       ((a->flags & PLAN_IPVS_PERSISTENT) == 0 || a->timeout_s == b->timeout_s);
}

static const struct plan_dest *find_dest(const struct plan_dest *const *sorted, size_t n,
					 const struct plan_dest *dest)
{
	const struct plan_dest *const *found =
		n > 0 ? bsearch(&dest, sorted, n, sizeof(*sorted), cmp_dest_ptr) : NULL;

	return found ? *found : NULL;
}

static size_t sort_dests(const struct plan_service *s, const struct plan_dest **ret)
{
	for (size_t i = 0; i < s->n_dests; i++)
		ret[i] = &s->dests[i];
	if (s->n_dests > 1)
		qsort(ret, s->n_dests, sizeof(*ret), cmp_dest_ptr);
	return s->n_dests;
}

static bool is_same_dest(const struct plan_dest *a, const struct plan_dest *b)
{
	return a->weight == b->weight && a->forward == b->forward;
}

/* Most services have what they had, in the order that they had it in: then nothing needs to be sorted. */
static bool has_same_servers(const struct plan_service *a, const struct plan_service *b)
{
	if (a->n_dests != b->n_dests)
		return false;
	for (size_t i = 0; i < a->n_dests; i++) {
		if (plan_dest_cmp(&a->dests[i], &b->dests[i]) != 0)
			return false;
	}
	return true;
}

/* Additions in the wanted order, which is the same on every node. */
static void diff_dests(struct diff *d, const struct plan_service *want,
		       const struct plan_service *have)
{
	bool is_same = has_same_servers(want, have);
	size_t n = is_same ? 0 : sort_dests(have, d->sorted);

	for (size_t i = 0; i < want->n_dests; i++) {
		const struct plan_dest *w = &want->dests[i];
		const struct plan_dest *h = is_same ? &have->dests[i] : find_dest(d->sorted, n, w);

		if (!h)
			emit_service(d, PLAN_OP_DEST_ADD, want, w);
		else if (!is_same_dest(w, h))
			emit_service(d, PLAN_OP_DEST_SET, want, w);
	}
	if (is_same)
		return;
	n = sort_dests(want, d->sorted);
	for (size_t i = 0; i < have->n_dests; i++) {
		if (!find_dest(d->sorted, n, &have->dests[i]))
			emit_service(d, PLAN_OP_DEST_DEL, want, &have->dests[i]);
	}
}

static void add_service(struct diff *d, const struct plan_service *s)
{
	emit_service(d, PLAN_OP_SERVICE_ADD, s, NULL);
	for (size_t i = 0; i < s->n_dests; i++)
		emit_service(d, PLAN_OP_DEST_ADD, s, &s->dests[i]);
}

static void diff_service(struct diff *d, const struct plan_service *want,
			 const struct plan_service *have)
{
	if (!is_same_service(want, have))
		emit_service(d, PLAN_OP_SERVICE_SET, want, NULL);
	diff_dests(d, want, have);
}

static void diff_services(struct diff *d)
{
	const struct plan_service *w = d->want->services, *h = d->have->services;
	const struct plan_service *w_end = w + d->want->n_services;
	const struct plan_service *h_end = h + d->have->n_services;

	while (w < w_end || h < h_end) {
		int c = w == w_end ? 1 : h == h_end ? -1 : plan_service_cmp(w, h);

		if (c < 0)
			add_service(d, w);
		else if (c == 0)
			diff_service(d, w, h);
		else if (is_ours(d, h))
			emit_service(d, PLAN_OP_SERVICE_DEL, h, NULL);
		w += c <= 0;
		h += c >= 0;
	}
}

/* ---- time-outs and synchronisation ---- */

/* Somebody else's longer time-out is never lowered. */
static void diff_timeout(struct diff *d)
{
	if (d->have->tcp_timeout_s < d->want->tcp_timeout_s)
		emit(d, &(struct plan_op){.type = PLAN_OP_TIMEOUT,
					  .tcp_timeout_s = d->want->tcp_timeout_s});
}

static void diff_daemon(struct diff *d, const struct plan_sync *want, const struct plan_sync *have,
			bool is_master)
{
	if (want->sync_id == have->sync_id &&
	    (want->sync_id == 0 || strcmp(want->ifname, have->ifname) == 0))
		return;
	if (have->sync_id != 0)
		emit(d, &(struct plan_op){.type = PLAN_OP_SYNC_STOP,
					  .sync = *have,
					  .sync_master = is_master});
	if (want->sync_id != 0)
		emit(d, &(struct plan_op){.type = PLAN_OP_SYNC_START,
					  .sync = *want,
					  .sync_master = is_master});
}

/* ---- elements ---- */

static int cmp_elem(const void *a, const void *b)
{
	return plan_elem_cmp(a, b);
}

static bool wants_elem(const struct diff *d, const struct plan_elem *e)
{
	return d->want->n_elems > 0 &&
	       bsearch(e, d->want->elems, d->want->n_elems, sizeof(*e), cmp_elem);
}

/* Role elements are switchover's as long as there is something that they belong to. */
static bool is_of_a_role(const struct diff *d, const struct plan_elem *e)
{
	struct plan_elem base = {.family = e->family, .addr = e->addr};

	if (e->set == PLAN_SET_REDIRECT) {
		base.set = PLAN_SET_SERVICES;
		base.protocol = e->protocol;
		base.port = e->port;
	} else if (e->set == PLAN_SET_ANSWER) {
		base.set = PLAN_SET_VIPS;
	} else {
		return false;
	}
	return wants_elem(d, &base);
}

static void emit_elem(struct diff *d, struct list *l, enum plan_op_type type,
		      const struct plan_elem *e)
{
	if (!is_of_a_role(d, e))
		append(d, l, &(struct plan_op){.type = type, .elem = *e});
}

/* Most are alike to the last byte, which is soon seen. */
static int order_of(const struct plan_elem *want, const struct plan_elem *have)
{
	return memcmp(want, have, sizeof(*want)) == 0 ? 0 : plan_elem_cmp(want, have);
}

static void diff_elems(struct diff *d)
{
	const struct plan_elem *w = d->want->elems, *h = d->have->elems;
	const struct plan_elem *w_end = w + d->want->n_elems, *h_end = h + d->have->n_elems;

	while (w < w_end || h < h_end) {
		int c = w == w_end ? 1 : h == h_end ? -1 : order_of(w, h);

		if (c < 0) {
			emit_elem(d, &d->lists[PLAN_OP_ELEM_ADD], PLAN_OP_ELEM_ADD, w);
		} else if (c > 0) {
			emit_elem(d, &d->lists[PLAN_OP_ELEM_DEL], PLAN_OP_ELEM_DEL, h);
		} else if (!addr_eq(&w->value, &h->value)) {
			emit_elem(d, &d->changed, PLAN_OP_ELEM_DEL, h);
			emit_elem(d, &d->changed, PLAN_OP_ELEM_ADD, w);
		}
		w += c <= 0;
		h += c >= 0;
	}
}

/* ---- the whole ---- */

static size_t most_dests(const struct plan_kernel *k)
{
	size_t most = 0;

	for (size_t i = 0; i < k->n_services; i++) {
		if (k->services[i].n_dests > most)
			most = k->services[i].n_dests;
	}
	return most;
}

static void diff_done(struct diff *d)
{
	for (size_t i = 0; i < N_TYPES; i++)
		free(d->lists[i].items);
	free(d->changed.items);
	free(d->sorted);
}

static void join(struct plan_ops *ops, struct list *l)
{
	if (l->n > 0)
		memcpy(&ops->items[ops->n], l->items, l->n * sizeof(*l->items));
	ops->n += l->n;
	free(l->items);
	*l = (struct list){0};
}

static int join_all(struct diff *d, struct plan_ops *ret)
{
	size_t n = d->changed.n;

	for (size_t i = 0; i < N_TYPES; i++)
		n += d->lists[i].n;
	*ret = (struct plan_ops){.items = calloc(n + 1, sizeof(*ret->items))};
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < N_TYPES; i++) {
		if (i == PLAN_OP_ELEM_DEL)
			join(ret, &d->changed);
		join(ret, &d->lists[i]);
	}
	return 0;
}

int plan_diff(const struct plan_kernel *want, const struct plan_kernel *have,
	      const struct addr *owned, size_t n_owned, struct plan_ops *ret)
{
	AUTO(diff_done)
	struct diff d = {.want = want, .have = have, .owned = owned, .n_owned = n_owned};

	d.sorted = calloc(most_dests(want) + most_dests(have) + 1, sizeof(*d.sorted));
	if (!d.sorted)
		return -ENOMEM;
	diff_links(&d);
	diff_routes(&d);
	diff_services(&d);
	diff_timeout(&d);
	diff_daemon(&d, &want->master, &have->master, true);
	diff_daemon(&d, &want->backup, &have->backup, false);
	diff_elems(&d);
	return d.is_full ? -ENOMEM : join_all(&d, ret);
}

static bool is_elem_op(const struct plan_op *op)
{
	return op->type == PLAN_OP_ELEM_ADD || op->type == PLAN_OP_ELEM_DEL;
}

static bool is_pair(const struct plan_op *a, const struct plan_op *b)
{
	return a->type == PLAN_OP_ELEM_DEL && b->type == PLAN_OP_ELEM_ADD &&
	       plan_elem_cmp(&a->elem, &b->elem) == 0;
}

size_t plan_ops_batch_end(const struct plan_ops *ops, size_t start)
{
	size_t end = start;

	if (!is_elem_op(&ops->items[start]))
		return start + 1;
	while (end < ops->n && end - start < PLAN_NFT_BATCH_MAX && is_elem_op(&ops->items[end]))
		end++;
	if (end < ops->n && is_pair(&ops->items[end - 1], &ops->items[end]))
		end--;
	return end;
}
