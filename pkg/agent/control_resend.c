/* Resending of connections: which are whose, by where the VIPs are. */
#include <string.h>

#include "agent/control.h"

struct control_place { /* an address and the VIP that it belongs to; sorted */
	struct addr addr;
	uint32_t id;
};

static int place_order(const void *a, const void *b)
{
	const struct control_place *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

const struct control_vip *control_vip_at(const struct control *c, const struct addr *address)
{
	const struct control_place key = {.addr = *address};
	const struct control_place *p = NULL;

	if (c->n_places)
		p = bsearch(&key, c->places, c->n_places, sizeof(*c->places), place_order);
	return p ? control_vip_by_id(c, p->id) : NULL;
}

static enum resend_role role_of(const void *user, const struct addr *vip, uint8_t protocol,
				uint16_t port)
{
	const struct control_vip *v = control_vip_at(user, vip);

	(void)protocol;
	(void)port;
	if (!v)
		return RESEND_FOREIGN;
	return v->switch_active ? RESEND_ACTIVE : RESEND_STANDBY;
}

static int places_update(struct control *c)
{
	size_t n = 0, most = c->plan->n_vips * API_ADDRESSES_MAX;
	struct control_place *places = calloc(most + 1, sizeof(*places));

	if (!places)
		return -1;
	for (size_t i = 0; i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		const struct control_vip *v = control_vip_by_name(c, pv->vip->name);

		for (size_t a = 0; v && pv->refused == PLAN_OK && a < pv->vip->n_addresses; a++)
			places[n++] = (struct control_place){pv->vip->addresses[a], v->id};
	}
	qsort(places, n, sizeof(*places), place_order);
	free(c->places);
	c->places = places;
	c->n_places = n;
	return 0;
}

static void add_own(struct resend_conf *conf, const struct addr *a)
{
	if (addr_is_set(a) && conf->n_own < RESEND_OWN_MAX &&
	    !addr_is_among(a, conf->own, conf->n_own))
		conf->own[conf->n_own++] = *a;
}

void control_resend_update(struct control *c, uint64_t now_ns)
{
	struct resend_conf conf = {.sync.sync_id = c->sync_id, .kernel = c->timeouts};
	bool up = false;

	if (places_update(c) < 0 || !c->resend)
		return;
	snprintf(conf.sync.ifname, sizeof(conf.sync.ifname), "%s", c->plan->sync_ifname);
	for (size_t i = 0; i < c->n_links; i++) {
		if (strcmp(c->links[i].name, conf.sync.ifname) != 0)
			continue;
		conf.sync.mtu = c->links[i].mtu;
		up = c->links[i].up;
	}
	if (!conf.sync.ifname[0] || !conf.sync.mtu)
		conf.sync.sync_id = 0;
	add_own(&conf, &c->plan->node4);
	add_own(&conf, &c->plan->node6);
	for (size_t i = 0; i < c->plan->n_vips; i++) {
		if (c->plan->vips[i].serves)
			add_own(&conf, &c->plan->vips[i].node_address);
	}
	if (up && !c->sync_up)
		resend_hold(c->resend, now_ns + RESEND_HOLD_NS);
	c->sync_up = up;
	resend_reconf(c->resend, &conf);
	reset_reconf(c->reset, &conf.sync);
}

int control_resend_start(struct control *c, struct verr *reterr)
{
	if (!c->ipvs || c->sync_id == 0)
		return 0;
	/* an agent that starts has missed nothing that its kernel was not told: no need to hold back */
	c->sync_up = true;
	return resend_new(c->loop, role_of, c, &c->resend, reterr);
}

void control_resend_done(struct control *c)
{
	resend_free(c->resend);
	free(c->places);
	c->resend = NULL;
	c->places = NULL;
	c->n_places = 0;
}
