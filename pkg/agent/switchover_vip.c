/* switchover_vip: the kernel steps of a role change for one VIP, in their order. */
#include "agent/switchover_internal.h"

#include <errno.h>

void sw_role_free(struct plan_role *r)
{
	if (!r)
		return;
	plan_role_done(r);
	free(r);
}

static void keep_first(struct sw_result *res, int r, const char *what)
{
	if (r < 0 && res->error == 0) {
		res->error = r;
		res->what = what;
	}
}

/* The deletions, then the additions: one transaction, or as many as the limit of its size asks for. */
static void change(struct sw_kernel *k, const struct plan_elem *add, size_t n_add,
		   const struct plan_elem *del, size_t n_del, const char *what,
		   struct sw_result *res)
{
	while (n_add + n_del > 0) {
		size_t d = n_del < PLAN_NFT_BATCH_MAX ? n_del : PLAN_NFT_BATCH_MAX;
		size_t a = n_add < PLAN_NFT_BATCH_MAX - d ? n_add : PLAN_NFT_BATCH_MAX - d;

		keep_first(res, nft_change(k->nft, add, a, del, d, NULL), what);
		add = a ? add + a : add;
		del = d ? del + d : del;
		n_add -= a;
		n_del -= d;
	}
}

static uint64_t lifetime_ns(const struct plan_role *r)
{
	return r->valid_lft_s * NS_PER_S;
}

static void add_addrs(struct sw_kernel *k, struct sw_vip *v, uint64_t now_ns, struct sw_result *res)
{
	const struct plan_role *r = v->role;
	bool good = true;

	for (size_t i = 0; i < r->n_addrs; i++) {
		int rc = rtnl_addr_set(k->rtnl, r->ifindex, &r->addrs[i], r->valid_lft_s, NULL);

		keep_first(res, rc, "adding the address");
		good &= rc >= 0;
	}
	if (!good) {
		/* they may still have what is left of their lifetime */
		v->due_ns = now_ns + SW_RETRY_NS;
		return;
	}
	v->renewed_ns = now_ns;
	v->due_ns = now_ns + lifetime_ns(r) / 3;
	v->lost = false;
}

static void del_addrs(struct sw_kernel *k, const struct plan_role *r, struct sw_result *res)
{
	for (size_t i = 0; i < r->n_addrs; i++)
		keep_first(res, rtnl_addr_del(k->rtnl, r->ifindex, &r->addrs[i], NULL),
			   "removing the address");
}

/* New connections must not wait for a real server that went silent with the old active router. */
static void silence_suspect(struct sw_kernel *k, const struct plan_role *r,
			    const struct addr *source, struct sw_result *res)
{
	for (size_t i = 0; k->ipvs && i < r->n_suspects; i++) {
		const struct addr *server = &r->suspects[i].server;

		if (!addr_eq(&r->suspects[i].source, source))
			continue;
		for (size_t s = 0; s < r->n_services; s++) {
			const struct plan_service *svc = &r->services[s];

			for (size_t d = 0; d < svc->n_dests; d++) {
				int rc;

				if (!addr_eq(&svc->dests[d].addr, server))
					continue;
				rc = ipvs_set_weight(k->ipvs, svc, &svc->dests[d], 0, NULL);
				if (rc == -ENOENT)
					continue;
				keep_first(res, rc, "weight 0 for the suspect");
				res->silenced = true;
			}
		}
	}
}

void sw_take(struct sw_kernel *k, struct sw_vip *v, const struct addr *suspect, uint64_t now_ns,
	     struct sw_result *res)
{
	const struct plan_role *r = v->role;

	if (suspect)
		silence_suspect(k, r, suspect, res);
	change(k, r->answer, r->n_answer, r->redirect, r->n_redirect, "leaving the redirect set",
	       res);
	add_addrs(k, v, now_ns, res);
	v->state = SW_ACTIVE;
}

void sw_release(struct sw_kernel *k, struct sw_vip *v, struct sw_result *res)
{
	const struct plan_role *r = v->role;

	change(k, r->redirect, r->n_redirect, r->answer, r->n_answer, "filling the redirect set",
	       res);
	del_addrs(k, r, res);
	v->lost = false;
	v->state = SW_STANDBY;
}

void sw_remove(struct sw_kernel *k, struct sw_vip *v, struct sw_result *res)
{
	const struct plan_role *r = v->role;

	change(k, NULL, 0, r->answer, r->n_answer, "leaving the answer set", res);
	del_addrs(k, r, res);
	change(k, NULL, 0, r->redirect, r->n_redirect, "leaving the redirect set", res);
}

/* Elements of `a` that are not in `b`, to ret (room for all of a); returns their number. */
static size_t without(const struct plan_elem *a, size_t n_a, const struct plan_elem *b, size_t n_b,
		      struct plan_elem *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < n_a; i++) {
		bool found = false;

		for (size_t j = 0; j < n_b && !found; j++)
			found = plan_elem_cmp(&a[i], &b[j]) == 0;
		if (!found)
			ret[n++] = a[i];
	}
	return n;
}

static bool has_addr(const struct plan_role *r, unsigned int ifindex, const struct addr *a)
{
	for (size_t i = 0; r->ifindex == ifindex && i < r->n_addrs; i++) {
		if (addr_eq(&r->addrs[i], a))
			return true;
	}
	return false;
}

/* What the present role wants to be in the sets, of one version of the lists. */
static const struct plan_elem *wanted(const struct sw_vip *v, const struct plan_role *r,
				      size_t *ret_n)
{
	*ret_n = v->state == SW_ACTIVE ? r->n_answer : r->n_redirect;
	return v->state == SW_ACTIVE ? r->answer : r->redirect;
}

void sw_change(struct sw_kernel *k, struct sw_vip *v, struct plan_role *role, uint64_t now_ns,
	       struct sw_result *res)
{
	struct plan_role *old = v->role;
	AUTO(free_p) struct plan_elem *add = NULL;
	AUTO(free_p) struct plan_elem *del = NULL;
	const struct plan_elem *now, *before;
	size_t n_now, n_before, n_add, n_del;
	bool holds = v->state == SW_ACTIVE && !v->lost && !sw_is_late(v, now_ns);

	v->role = role;
	if (v->state == SW_ADOPTED) {
		sw_role_free(old);
		return;
	}
	now = wanted(v, role, &n_now);
	before = wanted(v, old, &n_before);
	add = calloc(n_now + 1, sizeof(*add));
	del = calloc(n_before + 1, sizeof(*del));
	if (!add || !del) {
		keep_first(res, -ENOMEM, "changing the lists");
		sw_role_free(old);
		return;
	}
	n_add = without(now, n_now, before, n_before, add);
	n_del = without(before, n_before, now, n_now, del);
	change(k, add, n_add, NULL, 0, "adding role elements", res);
	if (holds)
		add_addrs(k, v, now_ns, res);
	for (size_t i = 0; v->state == SW_ACTIVE && i < old->n_addrs; i++) {
		if (!has_addr(role, old->ifindex, &old->addrs[i]))
			keep_first(res, rtnl_addr_del(k->rtnl, old->ifindex, &old->addrs[i], NULL),
				   "removing the address");
	}
	change(k, NULL, 0, del, n_del, "removing role elements", res);
	sw_role_free(old);
}

void sw_addrs_done(struct sw_addrs *a)
{
	free(a->items);
	*a = (struct sw_addrs){0};
}

static int cmp_ifaddr(const void *key, const void *item)
{
	const struct plan_ifaddr *ia = item;

	return addr_cmp(key, &ia->addr);
}

int sw_look(struct sw_kernel *k, struct sw_addrs *cache, const struct plan_role *role,
	    bool *ret_any, bool *ret_all)
{
	size_t n_found = 0;

	if (cache->ifindex != role->ifindex) {
		int r;

		sw_addrs_done(cache);
		r = rtnl_addrs(k->rtnl, role->ifindex, &cache->items, &cache->n, NULL);
		if (r < 0)
			return r;
		cache->ifindex = role->ifindex;
	}
	for (size_t i = 0; i < role->n_addrs; i++)
		n_found += bsearch(&role->addrs[i], cache->items, cache->n, sizeof(*cache->items),
				   cmp_ifaddr) != NULL;
	*ret_any = n_found > 0;
	*ret_all = n_found >= role->n_addrs;
	return 0;
}

bool sw_is_late(const struct sw_vip *v, uint64_t now_ns)
{
	return now_ns > v->renewed_ns + lifetime_ns(v->role);
}

void sw_renew(struct sw_kernel *k, struct sw_vip *v, uint64_t now_ns, struct sw_result *res)
{
	add_addrs(k, v, now_ns, res);
}

static bool belongs(const struct plan_elem *e, const struct sw_vip *vips, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct plan_role *r = vips[i].role;

		for (size_t j = 0; j < r->n_redirect; j++) {
			if (plan_elem_cmp(&r->redirect[j], e) == 0)
				return true;
		}
		for (size_t j = 0; j < r->n_answer; j++) {
			if (plan_elem_cmp(&r->answer[j], e) == 0)
				return true;
		}
	}
	return false;
}

void sw_sweep(struct sw_kernel *k, const struct sw_vip *vips, size_t n, struct sw_result *res)
{
	AUTO(free_p) struct plan_elem *have = NULL;
	size_t n_have, n_del = 0;
	int r = nft_dump(k->nft, &have, &n_have, NULL);

	keep_first(res, r, "listing role elements");
	for (size_t i = 0; r == 0 && i < n_have; i++) {
		bool is_role = have[i].set == PLAN_SET_REDIRECT || have[i].set == PLAN_SET_ANSWER;

		if (is_role && !belongs(&have[i], vips, n))
			have[n_del++] = have[i];
	}
	change(k, NULL, 0, have, n_del, "removing left role elements", res);
}
