/* Dump: every service of the namespace with its destinations. */
#include <errno.h>
#include <stdlib.h>

#include "ipvs/ipvs_internal.h"

#define DUMP_TRIES 5

struct list {
	void *items;
	size_t n, cap;
	uint8_t family; /* of the service whose destinations these are */
};

/* Room for one more of item_size; NULL: no memory. */
static void *list_grow(struct list *l, size_t item_size)
{
	void *items = array_room(l->items, &l->cap, l->n + 1, item_size);

	if (!items)
		return NULL;
	l->items = items;
	return (uint8_t *)l->items + item_size * l->n++;
}

static int on_service(void *user, const struct nlmsghdr *msg)
{
	struct plan_service s;
	struct plan_service *slot;
	int r = ipvs_parse_service(msg, &s);

	if (r < 0)
		return r;
	slot = list_grow(user, sizeof(s));
	if (!slot)
		return -ENOMEM;
	*slot = s;
	return 0;
}

static int on_dest(void *user, const struct nlmsghdr *msg)
{
	struct list *l = user;
	struct plan_dest d;
	struct plan_dest *slot;
	int r = ipvs_parse_dest(msg, l->family, &d);

	if (r < 0)
		return r;
	slot = list_grow(l, sizeof(d));
	if (!slot)
		return -ENOMEM;
	*slot = d;
	return 0;
}

static int dump_dests(struct ipvs *i, struct plan_service *s, struct verr *reterr)
{
	struct list l = {.family = s->family};
	int r = ipvs_msg_get_dests(i->msg, i->genl, s, ++i->seq);

	if (r == 0)
		r = ipvs_exchange(i, on_dest, &l, reterr);
	/* A service that others removed meanwhile ends its dump without a destination. */
	s->dests = l.items;
	s->n_dests = l.n;
	return r;
}

static int by_identity(const void *a, const void *b)
{
	return plan_service_cmp(a, b);
}

/* A dump that others' changes shift may tell a service twice. */
static void drop_repeated(struct list *l)
{
	struct plan_service *s = l->items;
	size_t kept = 0;

	for (size_t k = 0; k < l->n; k++) {
		if (kept > 0 && plan_service_cmp(&s[kept - 1], &s[k]) == 0)
			continue;
		s[kept++] = s[k];
	}
	l->n = kept;
}

static int dump_once(struct ipvs *i, struct list *l, struct verr *reterr)
{
	int r = ipvs_msg_plain(i->msg, i->genl, IPVS_CMD_GET_SERVICE, NLM_F_DUMP, ++i->seq);

	if (r == 0)
		r = ipvs_exchange(i, on_service, l, reterr);
	if (r < 0)
		return r;
	if (l->n > 0)
		qsort(l->items, l->n, sizeof(struct plan_service), by_identity);
	drop_repeated(l);
	for (size_t k = 0; k < l->n; k++) {
		r = dump_dests(i, (struct plan_service *)l->items + k, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int ipvs_dump(struct ipvs *i, struct plan_service **ret, size_t *ret_n, struct verr *reterr)
{
	int r = -EAGAIN;

	for (int try = 0; try < DUMP_TRIES && r == -EAGAIN; try++) {
		struct list l = {0};

		r = dump_once(i, &l, reterr);
		if (r == 0) {
			*ret = l.items;
			*ret_n = l.n;
			return 0;
		}
		ipvs_dump_free(l.items, l.n);
	}
	if (r == -EAGAIN)
		return verr_set(reterr, EAGAIN, "IPVS services change too fast to be read");
	return verr_wrap(reterr, r, "reading the IPVS services");
}

void ipvs_dump_free(struct plan_service *services, size_t n)
{
	for (size_t k = 0; k < n; k++)
		free(services[k].dests);
	free(services);
}
