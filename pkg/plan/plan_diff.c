/*
 * plan_diff: the operations from what the kernel has to what it should have. One pass over the sorted
 * states for each type of operation, in the order of the types, which is the safe one: what is needed comes
 * before what points to it, and goes after it.
 */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

#define FLAGS_MASK (PLAN_IPVS_PERSISTENT | PLAN_IPVS_SCHED1 | PLAN_IPVS_SCHED2)

struct diff {
	const struct plan_kernel *want, *have;
	struct addr *owned; /* sorted copy */
	size_t n_owned;
	const struct plan_dest **sorted; /* scratch: destinations of one service of `have` */
	struct plan_ops ops;
	size_t cap;
	bool is_full; /* no memory: an operation is missing */
};

static void emit(struct diff *d, const struct plan_op *op)
{
	struct plan_op *items = array_room(d->ops.items, &d->cap, d->ops.n + 1, sizeof(*items));

	if (!items) {
		d->is_full = true;
		return;
	}
	d->ops.items = items;
	d->ops.items[d->ops.n++] = *op;
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

static bool has_route(const struct plan_route *routes, size_t n, const struct plan_route *r)
{
	for (size_t i = addr_first(routes, n, sizeof(*routes), &r->addr);
	     i < n && addr_eq(&routes[i].addr, &r->addr); i++) {
		if (addr_eq(&routes[i].src, &r->src))
			return true;
	}
	return false;
}

/* Another source is an ADD alone: it replaces. Only a second route of the same address is deleted. */
static void diff_routes(struct diff *d, enum plan_op_type phase)
{
	const struct plan_kernel *want = d->want, *have = d->have;

	for (size_t i = 0; phase == PLAN_OP_ROUTE_ADD && i < want->n_routes; i++) {
		if (!has_route(have->routes, have->n_routes, &want->routes[i]))
			emit(d, &(struct plan_op){.type = phase, .route = want->routes[i]});
	}
	for (size_t i = 0; phase == PLAN_OP_ROUTE_DEL && i < have->n_routes; i++) {
		const struct plan_route *h = &have->routes[i];
		size_t w = addr_first(want->routes, want->n_routes, sizeof(*h), &h->addr);
		bool is_wanted = w < want->n_routes && addr_eq(&want->routes[w].addr, &h->addr);

		if (!is_wanted || (!addr_eq(&want->routes[w].src, &h->src) &&
				   has_route(have->routes, have->n_routes, &want->routes[w])))
			emit(d, &(struct plan_op){.type = phase, .route = *h});
	}
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

static void diff_weights(struct diff *d, const struct plan_service *want,
			 const struct plan_service *have)
{
	for (size_t i = 0; i < want->n_dests; i++) {
		if (!is_same_dest(&want->dests[i], &have->dests[i]))
			emit_service(d, PLAN_OP_DEST_SET, want, &want->dests[i]);
	}
}

/* Additions in the wanted order, which is the same on every node. */
static void diff_dests(struct diff *d, enum plan_op_type phase, const struct plan_service *want,
		       const struct plan_service *have)
{
	const struct plan_service *from = phase == PLAN_OP_DEST_DEL ? have : want;
	const struct plan_service *in = phase == PLAN_OP_DEST_DEL ? want : have;
	size_t n;

	if (has_same_servers(want, have)) {
		if (phase == PLAN_OP_DEST_SET)
			diff_weights(d, want, have);
		return;
	}
	n = sort_dests(in, d->sorted);
	for (size_t i = 0; i < from->n_dests; i++) {
		const struct plan_dest *dest = &from->dests[i];
		const struct plan_dest *other = find_dest(d->sorted, n, dest);

		if (phase == PLAN_OP_DEST_SET ? other && !is_same_dest(other, dest) : !other)
			emit_service(d, phase, want, dest);
	}
}

static void diff_new_service(struct diff *d, enum plan_op_type phase, const struct plan_service *s)
{
	if (phase == PLAN_OP_SERVICE_ADD)
		emit_service(d, phase, s, NULL);
	for (size_t i = 0; phase == PLAN_OP_DEST_ADD && i < s->n_dests; i++)
		emit_service(d, phase, s, &s->dests[i]);
}

/* The phases, as bits, that have something to do for a service that is there and wanted. */
static unsigned int phases_of_service(const struct plan_service *want,
				      const struct plan_service *have)
{
	unsigned int phases = is_same_service(want, have) ? 0 : 1u << PLAN_OP_SERVICE_SET;

	if (!has_same_servers(want, have))
		return phases | 1u << PLAN_OP_DEST_ADD | 1u << PLAN_OP_DEST_SET |
		       1u << PLAN_OP_DEST_DEL;
	for (size_t i = 0; i < want->n_dests; i++) {
		if (!is_same_dest(&want->dests[i], &have->dests[i]))
			return phases | 1u << PLAN_OP_DEST_SET;
	}
	return phases;
}

/* Six phases go over all services; one that looks first spares most of them. */
static unsigned int phases_of_services(const struct diff *d)
{
	const struct plan_service *w = d->want->services, *h = d->have->services;
	const struct plan_service *w_end = w + d->want->n_services;
	const struct plan_service *h_end = h + d->have->n_services;
	unsigned int phases = 0;

	while (w < w_end || h < h_end) {
		int c = w == w_end ? 1 : h == h_end ? -1 : plan_service_cmp(w, h);

		if (c < 0)
			phases |= 1u << PLAN_OP_SERVICE_ADD | 1u << PLAN_OP_DEST_ADD;
		else if (c > 0)
			phases |= 1u << PLAN_OP_SERVICE_DEL;
		else
			phases |= phases_of_service(w, h);
		w += c <= 0;
		h += c >= 0;
	}
	return phases;
}

static void diff_services(struct diff *d, enum plan_op_type phase)
{
	const struct plan_service *w = d->want->services, *h = d->have->services;
	const struct plan_service *w_end = w + d->want->n_services;
	const struct plan_service *h_end = h + d->have->n_services;

	while (w < w_end || h < h_end) {
		int c = w == w_end ? 1 : h == h_end ? -1 : plan_service_cmp(w, h);

		if (c < 0) {
			diff_new_service(d, phase, w);
		} else if (c > 0) {
			if (phase == PLAN_OP_SERVICE_DEL && is_ours(d, h))
				emit_service(d, phase, h, NULL);
		} else if (phase == PLAN_OP_SERVICE_SET) {
			if (!is_same_service(w, h))
				emit_service(d, phase, w, NULL);
		} else if (phase == PLAN_OP_DEST_ADD || phase == PLAN_OP_DEST_SET ||
			   phase == PLAN_OP_DEST_DEL) {
			diff_dests(d, phase, w, h);
		}
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

static void diff_daemon(struct diff *d, enum plan_op_type phase, const struct plan_sync *want,
			const struct plan_sync *have, bool is_master)
{
	bool is_same = want->sync_id == have->sync_id &&
		       (want->sync_id == 0 || strcmp(want->ifname, have->ifname) == 0);
	const struct plan_sync *s = phase == PLAN_OP_SYNC_STOP ? have : want;

	if (!is_same && s->sync_id != 0)
		emit(d, &(struct plan_op){.type = phase, .sync = *s, .sync_master = is_master});
}

static void diff_sync(struct diff *d, enum plan_op_type phase)
{
	diff_daemon(d, phase, &d->want->master, &d->have->master, true);
	diff_daemon(d, phase, &d->want->backup, &d->have->backup, false);
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

static void emit_elem(struct diff *d, enum plan_op_type type, const struct plan_elem *e)
{
	if (!is_of_a_role(d, e))
		emit(d, &(struct plan_op){.type = type, .elem = *e});
}

enum elem_pass { ELEMS_NEW, ELEMS_CHANGED, ELEMS_GONE };

static bool is_same_value(const struct plan_elem *a, const struct plan_elem *b)
{
	return addr_eq(&a->value, &b->value);
}

/* As phases_of_services. */
static unsigned int phases_of_elems(const struct diff *d)
{
	const struct plan_elem *w = d->want->elems, *h = d->have->elems;
	const struct plan_elem *w_end = w + d->want->n_elems, *h_end = h + d->have->n_elems;
	unsigned int phases = 0;

	while (w < w_end || h < h_end) {
		int c = w == w_end ? 1 : h == h_end ? -1 : plan_elem_cmp(w, h);

		if (c < 0 || (c == 0 && !is_same_value(w, h)))
			phases |= 1u << PLAN_OP_ELEM_ADD;
		else if (c > 0)
			phases |= 1u << PLAN_OP_ELEM_DEL;
		w += c <= 0;
		h += c >= 0;
	}
	return phases;
}

static void diff_elems(struct diff *d, enum elem_pass pass)
{
	const struct plan_elem *w = d->want->elems, *h = d->have->elems;
	const struct plan_elem *w_end = w + d->want->n_elems, *h_end = h + d->have->n_elems;

	while (w < w_end || h < h_end) {
		int c = w == w_end ? 1 : h == h_end ? -1 : plan_elem_cmp(w, h);

		if (c < 0 && pass == ELEMS_NEW) {
			emit_elem(d, PLAN_OP_ELEM_ADD, w);
		} else if (c > 0 && pass == ELEMS_GONE) {
			emit_elem(d, PLAN_OP_ELEM_DEL, h);
		} else if (c == 0 && pass == ELEMS_CHANGED && !is_same_value(w, h)) {
			emit_elem(d, PLAN_OP_ELEM_DEL, h);
			emit_elem(d, PLAN_OP_ELEM_ADD, w);
		}
		w += c <= 0;
		h += c >= 0;
	}
}

/* ---- the whole ---- */

static void run_phase(struct diff *d, enum plan_op_type phase)
{
	switch (phase) {
	case PLAN_OP_LINKCONF:
		diff_links(d);
		break;
	case PLAN_OP_ROUTE_ADD:
	case PLAN_OP_ROUTE_DEL:
		diff_routes(d, phase);
		break;
	case PLAN_OP_SERVICE_ADD:
	case PLAN_OP_SERVICE_SET:
	case PLAN_OP_SERVICE_DEL:
	case PLAN_OP_DEST_ADD:
	case PLAN_OP_DEST_SET:
	case PLAN_OP_DEST_DEL:
		diff_services(d, phase);
		break;
	case PLAN_OP_TIMEOUT:
		diff_timeout(d);
		break;
	case PLAN_OP_SYNC_STOP:
	case PLAN_OP_SYNC_START:
		diff_sync(d, phase);
		break;
	case PLAN_OP_ELEM_ADD:
		diff_elems(d, ELEMS_NEW);
		diff_elems(d, ELEMS_CHANGED);
		break;
	case PLAN_OP_ELEM_DEL:
		diff_elems(d, ELEMS_GONE);
		break;
	}
}

/* What is cheap to go over. */
#define ALWAYS                                                                        \
	(1u << PLAN_OP_LINKCONF | 1u << PLAN_OP_ROUTE_ADD | 1u << PLAN_OP_ROUTE_DEL | \
	 1u << PLAN_OP_TIMEOUT | 1u << PLAN_OP_SYNC_STOP | 1u << PLAN_OP_SYNC_START)

static size_t most_dests(const struct plan_kernel *k)
{
	size_t most = 0;

	for (size_t i = 0; i < k->n_services; i++) {
		if (k->services[i].n_dests > most)
			most = k->services[i].n_dests;
	}
	return most;
}

int plan_diff(const struct plan_kernel *want, const struct plan_kernel *have,
	      const struct addr *owned, size_t n_owned, struct plan_ops *ret)
{
	AUTO(free_p) struct addr *sorted_owned = calloc(n_owned + 1, sizeof(*sorted_owned));
	AUTO(free_p)
	const struct plan_dest **sorted =
		calloc(most_dests(want) + most_dests(have) + 1, sizeof(*sorted));
	struct diff d = {.want = want, .have = have, .n_owned = n_owned};
	unsigned int phases;

	if (!sorted_owned || !sorted)
		return -ENOMEM;
	d.owned = sorted_owned;
	d.sorted = sorted;
	if (n_owned > 0)
		memcpy(d.owned, owned, n_owned * sizeof(*owned));
	qsort(d.owned, n_owned, sizeof(*d.owned), addr_order);
	phases = ALWAYS | phases_of_services(&d) | phases_of_elems(&d);
	for (enum plan_op_type phase = PLAN_OP_LINKCONF; phase <= PLAN_OP_ROUTE_DEL; phase++) {
		if (phases & 1u << phase)
			run_phase(&d, phase);
	}
	if (d.is_full) {
		plan_ops_done(&d.ops);
		return -ENOMEM;
	}
	*ret = d.ops;
	return 0;
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
