/* What is wrong with the files of a directory at the moment: a list that is made anew by each read. */
#include "manifest/manifest_internal.h"

#include <errno.h>
#include <string.h>

static void complaint_done(struct complaint *c)
{
	free(c->origin);
	free(c->problem);
	free(c->kind);
	free(c->namespace_);
	free(c->name);
}

void complaints_done(struct complaints *l)
{
	for (size_t i = 0; i < l->n; i++)
		complaint_done(&l->items[i]);
	free(l->items);
	*l = (struct complaints){0};
}

static int text_cmp(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

int complaint_cmp(const struct complaint *a, const struct complaint *b)
{
	int c = strcmp(a->origin, b->origin);

	if (c == 0)
		c = text_cmp(a->kind, b->kind);
	if (c == 0)
		c = text_cmp(a->namespace_, b->namespace_);
	return c ? c : text_cmp(a->name, b->name);
}

static int order(const void *a, const void *b)
{
	return complaint_cmp(a, b);
}

void complaints_sort(struct complaints *l)
{
	if (l->n > 0)
		qsort(l->items, l->n, sizeof(*l->items), order);
}

int complaints_add(struct complaints *l, const char *origin, const char *problem,
		   const json_t *object)
{
	struct complaint *items = array_room(l->items, &l->room, l->n + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	l->items = items;

	struct complaint c = {.origin = strdup(origin), .problem = strdup(problem)};
	bool ok = c.origin && c.problem;

	if (object) {
		c.kind = strdup(object_kind(object));
		c.namespace_ = strdup(object_namespace(object));
		c.name = strdup(object_name(object));
		ok = ok && c.kind && c.namespace_ && c.name;
	}
	if (!ok) {
		complaint_done(&c);
		return -ENOMEM;
	}
	l->items[l->n++] = c;
	return 0;
}
