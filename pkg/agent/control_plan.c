/* The plan: made anew from the objects and the facts; what it borrows is kept alive with it. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

enum health_verdict control_verdict(const void *user, const struct addr *address,
				    const struct api_health_check *check)
{
	const struct control_target *t = control_health_find(user, address, check);

	return t ? t->health.verdict : HEALTH_UNKNOWN;
}

void control_plan_drop(struct control *c)
{
	plan_free(c->plan);
	c->plan = NULL;
	free(c->p_vips);
	free(c->p_before);
	free(c->p_nodes);
	free(c->p_secrets);
	for (size_t i = 0; i < c->n_p_refs; i++)
		control_object_unref(c->p_refs[i]);
	free(c->p_refs);
	c->p_vips = NULL;
	c->p_before = NULL;
	c->p_nodes = NULL;
	c->p_secrets = NULL;
	c->p_refs = NULL;
	c->n_p_refs = 0;
}

static int name_order(const void *key, const void *item)
{
	const struct plan_vip *pv = item;

	return strcmp(key, pv->vip->name);
}

const struct plan_vip *control_planned(const struct control *c, const char *name)
{
	if (!c->plan || !c->plan->n_vips)
		return NULL;
	return bsearch(name, c->plan->vips, c->plan->n_vips, sizeof(*c->plan->vips), name_order);
}

/* What a plan borrows: arrays of the objects, and references that keep them alive as long as it lives. */
struct borrowed {
	const struct api_vip **vips, **before;
	const struct api_node **nodes;
	const struct api_secret **secrets;
	struct control_object **refs;
	size_t n_vips, n_nodes, n_secrets, n_refs;
};

static void borrowed_done(struct borrowed *b)
{
	for (size_t i = 0; i < b->n_refs; i++)
		control_object_unref(b->refs[i]);
	free(b->vips);
	free(b->before);
	free(b->nodes);
	free(b->secrets);
	free(b->refs);
}

static int borrow(struct control *c, struct borrowed *b)
{
	size_t n = HASH_COUNT(c->objects);
	struct control_object *o, *next;

	b->vips = calloc(n + 1, sizeof(*b->vips));
	b->before = calloc(n + 1, sizeof(*b->before));
	b->nodes = calloc(n + 1, sizeof(*b->nodes));
	b->secrets = calloc(n + 1, sizeof(*b->secrets));
	b->refs = calloc(2 * n + 1, sizeof(*b->refs));
	if (!b->vips || !b->before || !b->nodes || !b->secrets || !b->refs)
		return -ENOMEM;
	HASH_ITER(hh, c->objects, o, next)
	{
		b->refs[b->n_refs++] = control_object_ref(o);
		switch (o->kind) {
		case CONTROL_VIP:
			if (o->before) {
				b->refs[b->n_refs++] = control_object_ref(o->before);
				b->before[b->n_vips] = o->before->vip;
			}
			b->vips[b->n_vips++] = o->vip;
			break;
		case CONTROL_NODE:
			b->nodes[b->n_nodes++] = o->node;
			break;
		case CONTROL_SECRET:
			b->secrets[b->n_secrets++] = o->secret;
			break;
		}
	}
	return 0;
}

/* A version that is planned without being refused is what a bad edit falls back to. */
static void mark_ran(struct control *c)
{
	struct control_object *o, *next;

	HASH_ITER(hh, c->objects, o, next)
	{
		const struct plan_vip *pv = o->vip ? control_planned(c, o->vip->name) : NULL;

		if (!pv || pv->vip != o->vip || pv->refused != PLAN_OK || pv->rejected != PLAN_OK)
			continue;
		o->ran = true;
		control_object_unref(o->before);
		o->before = NULL;
	}
}

static int plan_make(struct control *c, const struct plan_facts *facts)
{
	struct borrowed b = {0};
	struct plan *fresh = NULL;
	int r = borrow(c, &b);

	if (r == 0) {
		const struct plan_objects in = {
			.vips = b.vips,
			.vips_before = b.before,
			.n_vips = b.n_vips,
			.nodes = b.nodes,
			.n_nodes = b.n_nodes,
			.secrets = b.secrets,
			.n_secrets = b.n_secrets,
			.secret_namespace = c->namespace_,
			.by_name = c->conf->manifests_dir != NULL,
		};

		r = plan_new(&in, facts, &fresh);
	}
	if (r < 0) {
		borrowed_done(&b);
		return r;
	}
	control_plan_drop(c);
	c->plan = fresh;
	c->p_vips = b.vips;
	c->p_before = b.before;
	c->p_nodes = b.nodes;
	c->p_secrets = b.secrets;
	c->p_refs = b.refs;
	c->n_p_refs = b.n_refs;
	mark_ran(c);
	return 0;
}

int control_replan(struct control *c, uint64_t now_ns, struct plan_ops *ret_change,
		   bool *ret_changed)
{
	struct plan_facts facts;
	struct plan_kernel want = {0};

	control_facts_get(c, &facts);
	int r = plan_make(c, &facts);

	if (r == 0)
		r = control_health_update(c, now_ns);
	if (r == 0)
		r = plan_kernel_want(c->plan, &facts, control_verdict, c, &want);
	if (r == 0)
		r = plan_diff(&want, &c->want, c->owned, c->n_owned, ret_change);
	if (r < 0) {
		plan_kernel_done(&want);
		return r;
	}
	/* the marks are in the rules, which no operation changes */
	if (want.mark4 != c->want.mark4 || want.mark6 != c->want.mark6)
		c->is_as_wanted = false;
	*ret_changed = !c->has_want || !c->is_as_wanted || ret_change->n > 0;
	if (c->has_want)
		plan_kernel_done(&c->want);
	c->want = want;
	c->has_want = true;
	return 0;
}
