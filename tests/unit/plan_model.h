/* plan_model: a kernel of the mind: a plan_kernel to which plan_diff's operations are applied strictly. */
#ifndef VIPD_TESTS_PLAN_MODEL_H
#define VIPD_TESTS_PLAN_MODEL_H

#include "plan_world.h"

static inline void *model_copy(const void *items, size_t n, size_t room, size_t size)
{
	void *copy = calloc(n + room + 1, size);

	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, items, n * size);
	return copy;
}

/* A deep copy. */
static inline struct plan_kernel model_new(const struct plan_kernel *k)
{
	struct plan_kernel c = *k;

	c.services = model_copy(k->services, k->n_services, 0, sizeof(*k->services));
	for (size_t i = 0; i < k->n_services; i++)
		c.services[i].dests = model_copy(k->services[i].dests, k->services[i].n_dests, 0,
						 sizeof(*k->services[i].dests));
	c.elems = model_copy(k->elems, k->n_elems, 0, sizeof(*k->elems));
	c.routes = model_copy(k->routes, k->n_routes, 0, sizeof(*k->routes));
	c.links = model_copy(k->links, k->n_links, 0, sizeof(*k->links));
	return c;
}

static inline struct plan_service *model_service(struct plan_kernel *k,
						 const struct plan_service *s)
{
	for (size_t i = 0; i < k->n_services; i++) {
		if (plan_service_cmp(&k->services[i], s) == 0)
			return &k->services[i];
	}
	return NULL;
}

static inline struct plan_dest *model_dest(struct plan_service *s, const struct plan_dest *d)
{
	for (size_t i = 0; i < s->n_dests; i++) {
		if (plan_dest_cmp(&s->dests[i], d) == 0)
			return &s->dests[i];
	}
	return NULL;
}

static inline struct plan_elem *model_elem(struct plan_kernel *k, const struct plan_elem *e)
{
	for (size_t i = 0; i < k->n_elems; i++) {
		if (plan_elem_cmp(&k->elems[i], e) == 0)
			return &k->elems[i];
	}
	return NULL;
}

static inline void model_apply_service(struct plan_kernel *k, const struct plan_op *op)
{
	struct plan_service *s = model_service(k, &op->service);

	assert_null(op->service.dests);
	assert_int_equal(op->service.n_dests, 0);
	if (op->type == PLAN_OP_SERVICE_ADD) {
		assert_null(s);
		k->services = realloc(k->services, (k->n_services + 1) * sizeof(*k->services));
		assert_non_null(k->services);
		k->services[k->n_services++] = op->service;
		return;
	}
	assert_non_null(s);
	if (op->type == PLAN_OP_SERVICE_SET) {
		memcpy(s->scheduler, op->service.scheduler, sizeof(s->scheduler));
		s->flags = op->service.flags;
		s->timeout_s = op->service.timeout_s;
		return;
	}
	free(s->dests);
	*s = k->services[--k->n_services];
}

static inline void model_apply_dest(struct plan_kernel *k, const struct plan_op *op)
{
	struct plan_service *s = model_service(k, &op->service);
	struct plan_dest *d;

	assert_non_null(s);
	d = model_dest(s, &op->dest);
	if (op->type == PLAN_OP_DEST_ADD) {
		assert_null(d);
		s->dests = realloc(s->dests, (s->n_dests + 1) * sizeof(*s->dests));
		assert_non_null(s->dests);
		s->dests[s->n_dests++] = op->dest;
	} else if (op->type == PLAN_OP_DEST_SET) {
		assert_non_null(d);
		d->weight = op->dest.weight;
		d->forward = op->dest.forward;
	} else {
		assert_non_null(d);
		memmove(d, d + 1, (size_t)(s->dests + --s->n_dests - d) * sizeof(*d));
	}
}

static inline void model_apply_elem(struct plan_kernel *k, const struct plan_op *op)
{
	struct plan_elem *e = model_elem(k, &op->elem);

	if (op->type == PLAN_OP_ELEM_ADD) {
		assert_int_not_equal(op->elem.set, PLAN_SET_REDIRECT);
		assert_int_not_equal(op->elem.set, PLAN_SET_ANSWER);
		assert_null(e);
		k->elems = realloc(k->elems, (k->n_elems + 1) * sizeof(*k->elems));
		assert_non_null(k->elems);
		k->elems[k->n_elems++] = op->elem;
	} else {
		assert_non_null(e);
		assert_true(addr_eq(&e->value, &op->elem.value));
		*e = k->elems[--k->n_elems];
	}
}

/* As rtnl does it: a route of the same address and another source is replaced. */
static inline void model_apply_route(struct plan_kernel *k, const struct plan_op *op)
{
	for (size_t i = 0; i < k->n_routes; i++) {
		if (!addr_eq(&k->routes[i].addr, &op->route.addr))
			continue;
		if (op->type == PLAN_OP_ROUTE_ADD) {
			assert_false(addr_eq(&k->routes[i].src, &op->route.src));
			k->routes[i].src = op->route.src;
			return;
		}
		if (addr_eq(&k->routes[i].src, &op->route.src)) {
			k->routes[i] = k->routes[--k->n_routes];
			return;
		}
	}
	assert_int_equal(op->type, PLAN_OP_ROUTE_ADD);
	k->routes = realloc(k->routes, (k->n_routes + 1) * sizeof(*k->routes));
	assert_non_null(k->routes);
	k->routes[k->n_routes++] = op->route;
}

static inline void model_apply_link(struct plan_kernel *k, const struct plan_op *op)
{
	for (size_t i = 0; i < k->n_links; i++) {
		struct plan_linkconf *l = &k->links[i];

		if (l->ifindex != op->link.ifindex)
			continue;
		if (op->link.arp_ignore >= 0)
			l->arp_ignore = op->link.arp_ignore;
		if (op->link.arp_announce >= 0)
			l->arp_announce = op->link.arp_announce;
		return;
	}
	k->links = realloc(k->links, (k->n_links + 1) * sizeof(*k->links));
	assert_non_null(k->links);
	k->links[k->n_links++] = op->link;
}

static inline void model_apply_sync(struct plan_kernel *k, const struct plan_op *op)
{
	struct plan_sync *s = op->sync_master ? &k->master : &k->backup;

	if (op->type == PLAN_OP_SYNC_START) {
		assert_int_equal(s->sync_id, 0); /* the kernel refuses a second one */
		*s = op->sync;
	} else {
		assert_int_equal(s->sync_id, op->sync.sync_id);
		*s = (struct plan_sync){0};
	}
}

static inline void model_apply(struct plan_kernel *k, const struct plan_op *op)
{
	switch (op->type) {
	case PLAN_OP_LINKCONF:
		model_apply_link(k, op);
		break;
	case PLAN_OP_ROUTE_ADD:
	case PLAN_OP_ROUTE_DEL:
		model_apply_route(k, op);
		break;
	case PLAN_OP_SERVICE_ADD:
	case PLAN_OP_SERVICE_SET:
	case PLAN_OP_SERVICE_DEL:
		model_apply_service(k, op);
		break;
	case PLAN_OP_DEST_ADD:
	case PLAN_OP_DEST_SET:
	case PLAN_OP_DEST_DEL:
		model_apply_dest(k, op);
		break;
	case PLAN_OP_TIMEOUT:
		k->tcp_timeout_s = op->tcp_timeout_s;
		break;
	case PLAN_OP_SYNC_STOP:
	case PLAN_OP_SYNC_START:
		model_apply_sync(k, op);
		break;
	case PLAN_OP_ELEM_ADD:
	case PLAN_OP_ELEM_DEL:
		model_apply_elem(k, op);
		break;
	}
}

#endif
