/* Addresses that were objects' once: what the kernel holds of them is ours to remove. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

bool control_owns(const struct control *c, const struct addr *a)
{
	return c->n_owned && bsearch(a, c->owned, c->n_owned, sizeof(*a), addr_order);
}

int control_own(struct control *c, const struct addr *a)
{
	size_t at = addr_first(c->owned, c->n_owned, sizeof(*a), a);

	if (at < c->n_owned && addr_eq(&c->owned[at], a))
		return 0;
	struct addr *grown = realloc(c->owned, (c->n_owned + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	c->owned = grown;
	memmove(&c->owned[at + 1], &c->owned[at], (c->n_owned - at) * sizeof(*a));
	c->owned[at] = *a;
	c->n_owned++;
	return 0;
}

static size_t add_addrs(struct addr *to, size_t n, const struct api_vip *vip)
{
	memcpy(&to[n], vip->addresses, vip->n_addresses * sizeof(*to));
	return n + vip->n_addresses;
}

/*
 * The addresses of all objects, and of the versions that run while an edit is rejected: what the kernel holds of those
 * is still ours to remove. Sorted, owned array; NULL: no memory.
 */
static struct addr *addrs_in_use(const struct control *c, size_t *ret_n)
{
	size_t n_vips = 0, n = 0;
	struct addr *all;

	while (c->p_vips && c->p_vips[n_vips])
		n_vips++;
	if (c->plan)
		n_vips += c->plan->n_vips;
	all = calloc(n_vips * API_ADDRESSES_MAX + 1, sizeof(*all));
	if (!all)
		return NULL;
	for (size_t v = 0; c->p_vips && c->p_vips[v]; v++)
		n = add_addrs(all, n, c->p_vips[v]);
	for (size_t v = 0; c->plan && v < c->plan->n_vips; v++)
		n = add_addrs(all, n, c->plan->vips[v].vip);
	qsort(all, n, sizeof(*all), addr_order);
	*ret_n = n;
	return all;
}

void control_owned_shrink(struct control *c)
{
	AUTO(free_p) struct addr *used = NULL;
	size_t n = 0, n_used = 0;

	if (!c->synced || c->source_bad || c->n_owned == 0)
		return;
	used = addrs_in_use(c, &n_used);
	if (!used)
		return;
	for (size_t i = 0; i < c->n_owned; i++) {
		if (bsearch(&c->owned[i], used, n_used, sizeof(*used), addr_order))
			c->owned[n++] = c->owned[i];
	}
	if (n != c->n_owned) {
		c->objects_changed = true;
		c->facts_dirty |= CONTROL_FACTS_LINKS;
	}
	c->n_owned = n;
}
