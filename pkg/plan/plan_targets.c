/* plan_targets: what to probe: each (address, check) once, however many VIPs use it. */
#include "plan/plan_internal.h"

#include <errno.h>
#include <string.h>

#define CMP(a, b) (((a) > (b)) - ((a) < (b)))

static int cmp_text(const char *a, const char *b)
{
	if (!a || !b)
		return CMP(a != NULL, b != NULL);
	return strcmp(a, b);
}

static int cmp_headers(const struct api_health_check *a, const struct api_health_check *b)
{
	int c = CMP(a->n_headers, b->n_headers);

	for (size_t i = 0; c == 0 && i < a->n_headers; i++) {
		c = cmp_text(a->headers[i].name, b->headers[i].name);
		if (c == 0)
			c = cmp_text(a->headers[i].value, b->headers[i].value);
	}
	return c;
}

static int cmp_check(const struct api_health_check *a, const struct api_health_check *b)
{
	int c = CMP(a->port, b->port);

	if (c == 0)
		c = CMP(a->kind, b->kind);
	if (c == 0)
		c = cmp_text(a->path, b->path);
	if (c == 0)
		c = cmp_text(a->host, b->host);
	if (c == 0)
		c = cmp_headers(a, b);
	if (c == 0)
		c = CMP(a->period_ns, b->period_ns);
	if (c == 0)
		c = CMP(a->timeout_ns, b->timeout_ns);
	if (c == 0)
		c = CMP(a->failure_threshold, b->failure_threshold);
	return c != 0 ? c : CMP(a->success_threshold, b->success_threshold);
}

int plan_target_cmp(const struct plan_target *a, const struct plan_target *b)
{
	int c = addr_cmp(&a->address, &b->address);

	return c != 0 ? c : cmp_check(a->check, b->check);
}

static int cmp_target(const void *a, const void *b)
{
	return plan_target_cmp(a, b);
}

int plan_targets(const struct plan *p, struct plan_target **ret, size_t *ret_n)
{
	AUTO(free_p) struct plan_target *t = NULL;
	size_t n = 0, n_unique = 0;

	for (size_t i = 0; i < p->n_vips; i++)
		n += p->vips[i].n_servers * p->vips[i].vip->n_ports;
	t = calloc(n + 1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < p->n_vips; i++) {
		const struct plan_vip *pv = &p->vips[i];

		if (!plan_vip_is_held(pv))
			continue;
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
