/*
 * Who else answers ARP or neighbour discovery for a VIP: one socket for each interface that has one, and family. What
 * is announced to all is heard; what is answered to one is not, so the active node asks from time to time.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/control.h"
#include "l2/l2.h"

#define TICK_NS NS_PER_S
/* A newcomer is noticed within this time; a thousand VIPs cost the segment 33 small frames a second. */
#define ASK_EVERY_NS (30 * NS_PER_S)
#define ASK_FIRST_NS NS_PER_S
#define ASK_AT_ONCE 64
/* At most one line and one entry per VIP in this time, however many MAC addresses answer. */
#define TELL_EVERY_NS (5 * NS_PER_S)
#define FRAMES_A_TURN 64

struct control_ear {
	struct control_ear *next;
	struct control *c;
	unsigned int ifindex;
	int family;
	int fd;
	struct loop_source *source;
	bool used;
};

static const struct plan_vip *vip_at(const struct control *c, unsigned int ifindex,
				     const struct addr *a)
{
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];

		if (pv->routes && pv->ifindex == ifindex &&
		    addr_is_among(a, pv->vip->addresses, pv->vip->n_addresses))
			return pv;
	}
	return NULL;
}

static int family_of(const struct plan_vip *pv)
{
	return pv->vip->addresses[0].family;
}

/* Also one that it had before: a node's card may have been replaced. While none is known there, it may be anybody's. */
static bool may_be_of(const struct control *c, unsigned int ifindex, const struct addr *address,
		      const struct mac *mac)
{
	bool known = false;

	for (size_t k = 0; k < c->n_neighs; k++) {
		if (!addr_eq(&c->neighs[k].addr, address))
			continue;
		if (mac_eq(&c->neighs[k].mac, mac))
			return true;
		/* on another interface it answers with another one */
		known |= c->neighs[k].ifindex == ifindex;
	}
	return !known;
}

/* The nodes themselves, those that have just left, and the MAC address of RFC 9568 s. 7.3, which others use for our
 * router ID: their adverts tell whose that is. */
static bool may_answer(const struct control *c, const struct plan_vip *pv,
		       const struct control_vip *v, const struct mac *mac, uint64_t now_ns)
{
	const struct mac virtual = {
		{0x00, 0x00, 0x5e, 0x00, family_of(pv) == AF_INET6 ? 0x02 : 0x01, pv->vrid}};
	const struct plan_link *own = control_link(c, pv->ifindex);

	if (!own || mac_eq(mac, &own->mac) || mac_eq(mac, &virtual))
		return true;
	for (size_t i = 0; i < pv->n_members; i++) {
		const struct plan_member *m = &pv->members[i];

		if (!m->self && addr_is_set(&m->address) &&
		    may_be_of(c, pv->ifindex, &m->address, mac))
			return true;
	}
	for (size_t i = 0; i < v->n_former; i++) {
		if (now_ns < v->former[i].until_ns &&
		    may_be_of(c, pv->ifindex, &v->former[i].address, mac))
			return true;
	}
	return false;
}

/* Which address a frame claims for which MAC address. 0 or -EBADMSG. */
static int claim_parse(int family, const uint8_t *frame, size_t len, struct addr *ret_address,
		       struct mac *ret_mac)
{
	struct l2_arp arp;
	struct l2_na na;
	int r;

	if (family == AF_INET6) {
		r = l2_na_parse(frame, len, &na);
		if (r < 0)
			return r;
		*ret_address = na.target;
		*ret_mac = na.mac;
		return 0;
	}
	r = l2_arp_parse(frame, len, &arp);
	if (r < 0)
		return r;
	*ret_address = arp.sender;
	*ret_mac = arp.sender_mac;
	return 0;
}

static void on_frame(struct control_ear *ear, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	struct control *c = ear->c;
	struct control_vip *v = NULL;
	struct addr address;
	struct mac mac;
	char what[CONTROL_WHAT_MAX], text[MAC_TEXT_MAX];

	if (claim_parse(ear->family, frame, len, &address, &mac) < 0 || !control_owns(c, &address))
		return;
	const struct plan_vip *pv = vip_at(c, ear->ifindex, &address);

	if (pv)
		v = control_vip_by_name(c, pv->vip->name);
	if (!v || may_answer(c, pv, v, &mac, now_ns) ||
	    (v->claim_told_ns != 0 && now_ns - v->claim_told_ns < TELL_EVERY_NS))
		return;
	v->claim_told_ns = now_ns;
	snprintf(what, sizeof(what), "answers %s as %s",
		 ear->family == AF_INET6 ? "neighbour discovery" : "ARP", mac_text(&mac, text));
	control_stranger(c, v, &address, what, now_ns);
}

static int on_frames(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct control_ear *ear = user;
	uint8_t frame[L2_FRAME_MAX];

	(void)events;
	for (int k = 0; k < FRAMES_A_TURN; k++) {
		ssize_t len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (len < 0) /* nothing more, or the interface went down: it will be back */
			break;
		on_frame(ear, frame, (size_t)len, now_ns);
	}
	return 0;
}

static struct control_ear *ear_of(const struct control *c, const struct plan_vip *pv)
{
	for (struct control_ear *e = c->ears; e; e = e->next) {
		if (e->ifindex == pv->ifindex && e->family == family_of(pv))
			return e;
	}
	return NULL;
}

/* A solicitation from the unspecified address would be answered to all, and taken for another host's wish to have
 * the address. */
static void ask(struct control *c, const struct plan_vip *pv)
{
	const struct control_ear *ear = ear_of(c, pv);
	const struct plan_link *own = control_link(c, pv->ifindex);
	uint8_t frames[16][L2_FRAME_MAX];
	size_t lens[16], n = 0;

	if (!addr_is_set(&pv->source))
		return;
	for (size_t i = 0; ear && own && i < pv->vip->n_addresses && n < ARRAY_LEN(frames); i++) {
		const struct addr *a = &pv->vip->addresses[i];

		lens[n] = a->family == AF_INET6 ? l2_ns_emit(a, &pv->source, &own->mac, frames[n])
						: l2_arp_probe_emit(a, &own->mac, frames[n]);
		n++;
	}
	if (n > 0)
		(void)l2_frames_send(ear->fd, pv->ifindex, (const uint8_t(*)[L2_FRAME_MAX])frames,
				     lens, n);
}

static int on_tick(void *user, uint64_t now_ns)
{
	struct control *c = user;
	unsigned int asked = 0;

	for (size_t i = 0; c->plan && i < c->plan->n_vips && asked < ASK_AT_ONCE; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_vip *v = NULL;

		if (!pv->routes)
			continue;
		v = control_vip_by_name(c, pv->vip->name);
		if (!v)
			continue;
		if (v->state != VRRP_ACTIVE || !v->switch_active) {
			v->claim_ask_ns = now_ns + ASK_FIRST_NS;
		} else if (now_ns >= v->claim_ask_ns) {
			ask(c, pv);
			v->claim_ask_ns = now_ns + ASK_EVERY_NS;
			asked++;
		}
	}
	return loop_timer_set(c->claim_timer, c->ears ? now_ns + TICK_NS : 0);
}

static void ear_free(struct control_ear *e)
{
	loop_source_free(e->source);
	fd_close_p(&e->fd);
	free(e);
}

static struct control_ear *ear_new(struct control *c, const struct plan_vip *pv)
{
	struct control_ear *e = calloc(1, sizeof(*e));
	struct verr err = {0};

	if (!e)
		return NULL;
	e->c = c;
	e->ifindex = pv->ifindex;
	e->family = family_of(pv);
	e->fd = e->family == AF_INET6 ? l2_na_socket(e->ifindex, &err)
				      : l2_arp_socket(e->ifindex, &err);
	if (e->fd < 0 ||
	    loop_add_io(c->loop, e->fd, LOOP_IN, LOOP_PRIO_OUTWARD, on_frames, e, &e->source) < 0) {
		log_debug(2, "Others who answer for an address are not listened to",
			  KV_UINT("ifindex", e->ifindex), KV_STR("err", err.msg));
		ear_free(e);
		return NULL;
	}
	e->next = c->ears;
	c->ears = e;
	return e;
}

void control_claim_update(struct control *c, uint64_t now_ns)
{
	bool ticks = c->ears && c->claim_timer;

	for (struct control_ear *e = c->ears; e; e = e->next)
		e->used = false;
	for (size_t i = 0; i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_ear *e;

		if (!pv->routes)
			continue;
		e = ear_of(c, pv);
		if (!e)
			e = ear_new(c, pv);
		if (e)
			e->used = true;
	}
	for (struct control_ear **at = &c->ears; *at;) {
		struct control_ear *e = *at;

		if (e->used) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		ear_free(e);
	}
	if (!c->claim_timer && c->ears &&
	    loop_add_timer(c->loop, LOOP_PRIO_OUTWARD, on_tick, c, &c->claim_timer) < 0)
		return;
	if (c->ears && !ticks)
		(void)loop_timer_set(c->claim_timer, now_ns + TICK_NS);
}

void control_claim_done(struct control *c)
{
	while (c->ears) {
		struct control_ear *e = c->ears;

		c->ears = e->next;
		ear_free(e);
	}
	loop_source_free(c->claim_timer);
	c->claim_timer = NULL;
}
