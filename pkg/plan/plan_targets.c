/* plan_targets: what to probe: each (address, check) once, however many VIPs use it. */
#include "plan/plan_internal.h"

#include <errno.h>

int plan_target_cmp(const struct plan_target *a, const struct plan_target *b)
{
	int c = addr_cmp(&a->address, &b->address);

	return c != 0 ? c : api_check_cmp(a->check, b->check);
}

static int cmp_target(const void *a, const void *b)
{
	return plan_target_cmp(a, b);
}

/* Most VIPs are for the same servers as others are: what the one before has told is not sorted again. */
static bool has_same_targets(const struct plan_vip *a, const struct plan_vip *b)
{
	if (a->n_servers != b->n_servers || a->vip->n_ports != b->vip->n_ports)
		return false;
	for (size_t i = 0; i < a->n_servers; i++) {
		if (!addr_eq(&a->servers[i].address, &b->servers[i].address))
			return false;
	}
	for (size_t i = 0; i < a->vip->n_ports; i++) {
		if (!api_check_eq(&a->vip->ports[i].check, &b->vip->ports[i].check))
			return false;
	}
	return true;
}

int plan_targets(const struct plan *p, struct plan_target **ret, size_t *ret_n)
{
	AUTO(free_p) struct plan_target *t = NULL;
	const struct plan_vip *before = NULL;
	size_t n = 0, n_unique = 0;

	for (size_t i = 0; i < p->n_vips; i++)
		n += p->vips[i].n_servers * p->vips[i].vip->n_ports;
	t = calloc(n + 1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];

		if (!plan_vip_is_held(pv) || (before && has_same_targets(before, pv)))
			continue;
		before = pv;
		for (size_t j = 0; j < pv->n_servers; j++) {
			for (size_t k = 0; k < pv->vip->n_ports; k++)
				t[n++] = (struct plan_target){.address = pv->servers[j].address,
							      .check = &pv->vip->ports[k].check};
		}
	}
	qsort(t, n, sizeof(*t), cmp_target);
	for (size_t i = 0; i < n; i++) {
		if (n_unique == 0 || plan_target_cmp(&t[n_unique - 1], &t[i]) != 0)
			t[n_unique++] = t[i];
	}
	*ret = STEAL(t);
	*ret_n = n_unique;
	return 0;
}
