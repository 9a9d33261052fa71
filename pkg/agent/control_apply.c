/* Compares the plan with what the kernel has, applies the difference; counts what had to be put back. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

/* ---- compare ---- */

/* What was not looked at is taken to be as wanted: its arrays are borrowed from `want`. */
struct have {
	struct plan_kernel k;
	unsigned int looked;
};

static void have_done(struct control *c, struct have *h)
{
	if (h->looked & CONTROL_LOOK_IPVS) {
		ipvs_dump_free(c->have_services, c->n_have_services);
		c->have_services = h->k.services;
		c->n_have_services = h->k.n_services;
	}
	if (h->looked & CONTROL_LOOK_NFT)
		free(h->k.elems);
	if (h->looked & CONTROL_LOOK_ROUTES)
		free(h->k.routes);
	if (h->looked & CONTROL_LOOK_LINKS)
		free(h->k.links);
}

static int have_ipvs(struct control *c, struct have *h, struct verr *reterr)
{
	struct ipvs_timeouts t = {0};
	int r;

	if (!c->ipvs) {
		h->k.services = NULL;
		h->k.n_services = 0;
		return 0;
	}
	r = ipvs_dump(c->ipvs, &h->k.services, &h->k.n_services, reterr);
	if (r < 0)
		return r;
	h->looked |= CONTROL_LOOK_IPVS;
	if (!(c->look & CONTROL_LOOK_IPVS_MORE))
		return 0;
	r = ipvs_sync_get(c->ipvs, &h->k.master, &h->k.backup, reterr);
	if (r == 0)
		r = ipvs_timeouts_get(c->ipvs, &t, reterr);
	if (r < 0)
		return r;
	h->k.tcp_timeout_s = t.tcp_s;
	c->timeouts = t;
	return 0;
}

static int have_routes(struct control *c, struct have *h, struct verr *reterr)
{
	int r = rtnl_routes(c->rtnl, &h->k.routes, &h->k.n_routes, reterr);

	if (r == 0)
		h->looked |= CONTROL_LOOK_ROUTES;
	return r;
}

/* They were read with the facts. */
static int have_links(struct control *c, struct have *h, struct verr *reterr)
{
	h->looked |= CONTROL_LOOK_LINKS;
	h->k.links = calloc(c->n_links + 1, sizeof(*h->k.links));
	h->k.n_links = 0;
	if (!h->k.links)
		return verr_set(reterr, ENOMEM, "links");
	for (size_t i = 0; i < c->n_links; i++)
		h->k.links[h->k.n_links++] = (struct plan_linkconf){
			.ifindex = c->links[i].ifindex,
			.arp_ignore = c->links[i].arp_ignore,
			.arp_announce = c->links[i].arp_announce,
		};
	return 0;
}

static int have_get(struct control *c, struct have *h, bool *ret_rules, struct verr *reterr)
{
	int r = 0;

	h->k = c->want;
	if (c->look & CONTROL_LOOK_IPVS)
		r = have_ipvs(c, h, reterr);
	if (r == 0 && c->look & CONTROL_LOOK_ROUTES)
		r = have_routes(c, h, reterr);
	if (r == 0 && c->look & CONTROL_LOOK_LINKS)
		r = have_links(c, h, reterr);
	if (r == 0 && c->look & CONTROL_LOOK_NFT) {
		r = nft_ensure(c->nft, c->want.mark4, c->want.mark6, ret_rules, reterr);
		if (r == 0)
			r = nft_dump(c->nft, &h->k.elems, &h->k.n_elems, reterr);
		if (r == 0)
			h->looked |= CONTROL_LOOK_NFT;
	}
	return r;
}

/* ---- apply ---- */

static enum control_repair repair_of(enum plan_op_type type)
{
	switch (type) {
	case PLAN_OP_LINKCONF:
		return CONTROL_REPAIR_LINK;
	case PLAN_OP_ROUTE_ADD:
	case PLAN_OP_ROUTE_DEL:
		return CONTROL_REPAIR_ROUTE;
	case PLAN_OP_SERVICE_ADD:
	case PLAN_OP_SERVICE_SET:
	case PLAN_OP_SERVICE_DEL:
		return CONTROL_REPAIR_SERVICE;
	case PLAN_OP_DEST_ADD:
	case PLAN_OP_DEST_SET:
	case PLAN_OP_DEST_DEL:
		return CONTROL_REPAIR_DEST;
	case PLAN_OP_TIMEOUT:
		return CONTROL_REPAIR_TIMEOUT;
	case PLAN_OP_SYNC_STOP:
	case PLAN_OP_SYNC_START:
		return CONTROL_REPAIR_SYNC;
	case PLAN_OP_ELEM_ADD:
	case PLAN_OP_ELEM_DEL:
		return CONTROL_REPAIR_RULE;
	}
	return CONTROL_REPAIR_RULE;
}

const char *control_repair_name(enum control_repair kind)
{
	static const char *const names[CONTROL_REPAIR_N] = {
		[CONTROL_REPAIR_SERVICE] = "services",  [CONTROL_REPAIR_DEST] = "destinations",
		[CONTROL_REPAIR_RULE] = "rules",        [CONTROL_REPAIR_ROUTE] = "routes",
		[CONTROL_REPAIR_ADDRESS] = "addresses", [CONTROL_REPAIR_LINK] = "links",
		[CONTROL_REPAIR_SYNC] = "sync",         [CONTROL_REPAIR_TIMEOUT] = "timeouts",
	};

	return names[kind];
}

/* Logged once per cause: again only after a minute in which the cause did not show. */
void control_repaired(struct control *c, enum control_repair kind, uint64_t now_ns)
{
	bool tell =
		c->repair_told_ns[kind] == 0 || now_ns - c->repair_told_ns[kind] > 60 * NS_PER_S;

	c->repairs[kind]++;
	c->repair_told_ns[kind] = now_ns;
	if (!tell)
		return;
	if (kind == CONTROL_REPAIR_SERVICE || kind == CONTROL_REPAIR_DEST)
		log_warning("Kernel state was changed by somebody else and put back",
			    KV_STR("what", control_repair_name(kind)),
			    KV_STR("hint", "kube-proxy in IPVS mode deletes what it does not know: "
					   "list the VIPs in its ipvs.excludeCIDRs"));
	else
		log_warning("Kernel state was changed by somebody else and put back",
			    KV_STR("what", control_repair_name(kind)));
}

void control_failed(struct control *c, const char *what, const struct verr *err)
{
	c->apply_errors++;
	if (strcmp(c->last_apply_error, err->msg) == 0)
		return;
	snprintf(c->last_apply_error, sizeof(c->last_apply_error), "%.199s", err->msg);
	log_error("Kernel refused a change", KV_STR("what", what), KV_STR("err", err->msg));
}

static int apply_link(struct control *c, const struct plan_op *op, struct verr *reterr)
{
	for (size_t i = 0; i < c->n_links; i++) {
		struct plan_link *l = &c->links[i];

		if (l->ifindex != op->link.ifindex)
			continue;
		control_links_remember(c, l, &op->link);
		if (op->link.arp_ignore >= 0)
			l->arp_ignore = op->link.arp_ignore;
		if (op->link.arp_announce >= 0)
			l->arp_announce = op->link.arp_announce;
	}
	return rtnl_linkconf_set(c->rtnl, &op->link, reterr);
}

static int apply_sync(struct control *c, const struct plan_op *op, struct verr *reterr)
{
	if (op->type == PLAN_OP_SYNC_START)
		return ipvs_sync_start(c->ipvs, op->sync_master, &op->sync, reterr);
	return ipvs_sync_stop(c->ipvs, op->sync_master, op->sync.sync_id, reterr);
}

/* One operation that is neither an element nor a service or destination. */
static int apply_single(struct control *c, const struct plan_op *op, struct verr *reterr)
{
	struct ipvs_timeouts t = {.tcp_s = op->tcp_timeout_s};

	switch (op->type) {
	case PLAN_OP_LINKCONF:
		return apply_link(c, op, reterr);
	case PLAN_OP_ROUTE_ADD:
		return rtnl_route_add(c->rtnl, &op->route, reterr);
	case PLAN_OP_ROUTE_DEL:
		return rtnl_route_del(c->rtnl, &op->route, reterr);
	case PLAN_OP_TIMEOUT:
		return ipvs_timeouts_set(c->ipvs, &t, reterr);
	case PLAN_OP_SYNC_STOP:
	case PLAN_OP_SYNC_START:
		return apply_sync(c, op, reterr);
	case PLAN_OP_SERVICE_ADD:
	case PLAN_OP_SERVICE_SET:
	case PLAN_OP_SERVICE_DEL:
	case PLAN_OP_DEST_ADD:
	case PLAN_OP_DEST_SET:
	case PLAN_OP_DEST_DEL:
		return ipvs_apply(c->ipvs, op, reterr);
	case PLAN_OP_ELEM_ADD:
	case PLAN_OP_ELEM_DEL:
		break;
	}
	return 0;
}

/* One transaction: the operations on elements from start to end (plan_ops_batch_end). */
static int apply_elems(struct control *c, const struct plan_op *ops, size_t n, struct verr *reterr)
{
	AUTO(free_p) struct plan_elem *add = calloc(n, sizeof(*add));
	AUTO(free_p) struct plan_elem *del = calloc(n, sizeof(*del));
	size_t n_add = 0, n_del = 0;

	if (!add || !del)
		return verr_set(reterr, ENOMEM, "elements");
	for (size_t i = 0; i < n; i++) {
		if (ops[i].type == PLAN_OP_ELEM_ADD)
			add[n_add++] = ops[i].elem;
		else
			del[n_del++] = ops[i].elem;
	}
	return nft_change(c->nft, add, n_add, del, n_del, reterr);
}

static bool is_elem_op(const struct plan_op *op)
{
	return op->type == PLAN_OP_ELEM_ADD || op->type == PLAN_OP_ELEM_DEL;
}

static bool is_ipvs_op(const struct plan_op *op)
{
	return repair_of(op->type) == CONTROL_REPAIR_SERVICE ||
	       repair_of(op->type) == CONTROL_REPAIR_DEST;
}

bool control_apply_ops(struct control *c, const struct plan_ops *ops, bool tell)
{
	AUTO(free_p) const struct plan_op **run = calloc(ops->n + 1, sizeof(*run));
	bool good = true;

	if (!run)
		return false;
	for (size_t i = 0; i < ops->n;) {
		const struct plan_op *op = &ops->items[i];
		struct verr err = {0};
		size_t n = 0;
		int r;

		if (is_elem_op(op)) {
			n = plan_ops_batch_end(ops, i) - i;
			r = apply_elems(c, op, n, &err);
			i += n;
		} else if (is_ipvs_op(op)) {
			while (i < ops->n && is_ipvs_op(&ops->items[i]))
				run[n++] = &ops->items[i++];
			r = ipvs_apply_batch(c->ipvs, run, n, &err);
		} else {
			r = apply_single(c, op, &err);
			i++;
		}
		if (r < 0 && tell)
			control_failed(c, control_repair_name(repair_of(op->type)), &err);
		good &= r >= 0;
	}
	return good;
}

/* A role that changed while the kernel was being read is not somebody else's doing: hear of it first. */
static void check_roles(struct control *c, const struct have *h)
{
	uint64_t now_ns = mono_now_ns();

	control_roles_drain(c, now_ns);
	control_roles_check(c, h->looked & CONTROL_LOOK_NFT ? h->k.elems : NULL, h->k.n_elems,
			    now_ns);
}

bool control_reconcile(struct control *c, bool planned, uint64_t now_ns)
{
	struct have h = {0};
	struct plan_ops ops = {0};
	struct verr err = {0};
	bool rules = false, good = true;
	unsigned int kinds = 0;
	int r = have_get(c, &h, &rules, &err);

	if (r == 0)
		plan_kernel_sort(&h.k);
	if (r == 0)
		r = plan_diff(&c->want, &h.k, c->owned, c->n_owned, &ops);
	if (r < 0) {
		if (!err.msg[0])
			verr_set(&err, -r, "%s", strerror(-r));
		control_failed(c, "dump", &err);
		good = false;
	} else {
		good = control_apply_ops(c, &ops, true);
		for (size_t i = 0; i < ops.n; i++)
			kinds |= 1u << repair_of(ops.items[i].type);
		if (rules)
			kinds |= 1u << CONTROL_REPAIR_RULE;
		for (unsigned int k = 0; !planned && k < CONTROL_REPAIR_N; k++) {
			if (kinds & 1u << k)
				control_repaired(c, (enum control_repair)k, now_ns);
		}
		if (rules)
			control_roles_repair(c);
		else if (!planned)
			check_roles(c, &h);
	}
	have_done(c, &h);
	plan_ops_done(&ops);
	if (good && c->look == CONTROL_LOOK_ALL)
		control_owned_shrink(c);
	return good;
}

void control_apply_done(struct control *c)
{
	if (c->has_want)
		plan_kernel_done(&c->want);
	c->has_want = false;
	control_plan_drop(c);
	ipvs_dump_free(c->have_services, c->n_have_services);
	c->have_services = NULL;
	c->n_have_services = 0;
}
