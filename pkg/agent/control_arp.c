/*
 * Who else answers ARP for a VIP: one socket for each interface that has one. What is announced to all is heard;
 * what is answered to one is not, so the active node asks from time to time. IPv4 only.
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

struct control_arp {
	struct control_arp *next;
	struct control *c;
	unsigned int ifindex;
	int fd;
	struct loop_source *source;
	bool used;
};

static const struct plan_vip *vip_at(const struct control *c, unsigned int ifindex,
				     const struct addr *a)
{
	for (size_t i = 0; c->plan && i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];

		if (!pv->routes || pv->ifindex != ifindex)
			continue;
		for (size_t k = 0; k < pv->vip->n_addresses; k++) {
			if (addr_eq(&pv->vip->addresses[k], a))
				return pv;
		}
	}
	return NULL;
}

/* The nodes themselves, and the MAC address of RFC 9568 s. 7.3, which others use for our router ID: their adverts
 * tell whose that is. While a fellow node's MAC address is not known, it may be anybody's. */
static bool may_answer(const struct control *c, const struct plan_vip *pv, const struct mac *mac)
{
	const struct mac virtual = {{0x00, 0x00, 0x5e, 0x00, 0x01, pv->vrid}};
	const struct plan_link *own = control_link(c, pv->ifindex);

	if (!own || mac_eq(mac, &own->mac) || mac_eq(mac, &virtual))
		return true;
	for (size_t i = 0; i < pv->n_members; i++) {
		const struct plan_member *m = &pv->members[i];

		if (m->self || !addr_is_set(&m->address))
			continue;
		bool known = false;

		/* also one that it had before: a node's card may have been replaced */
		for (size_t k = 0; k < c->n_neighs; k++) {
			if (!addr_eq(&c->neighs[k].addr, &m->address))
				continue;
			known = true;
			if (mac_eq(&c->neighs[k].mac, mac))
				return true;
		}
		if (!known)
			return true;
	}
	return false;
}

static void on_frame(struct control_arp *arp, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	struct control *c = arp->c;
	struct control_vip *v = NULL;
	struct l2_arp a;
	char what[48], mac[MAC_TEXT_MAX];

	if (l2_arp_parse(frame, len, &a) < 0 || !control_owns(c, &a.sender))
		return;
	const struct plan_vip *pv = vip_at(c, arp->ifindex, &a.sender);

	if (!pv || may_answer(c, pv, &a.sender_mac))
		return;
	v = control_vip_by_name(c, pv->vip->name);
	if (!v || (v->arp_told_ns != 0 && now_ns - v->arp_told_ns < TELL_EVERY_NS))
		return;
	v->arp_told_ns = now_ns;
	snprintf(what, sizeof(what), "answers ARP as %s", mac_text(&a.sender_mac, mac));
	control_stranger(c, v, &a.sender, what, now_ns);
}

static int on_frames(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct control_arp *arp = user;
	uint8_t frame[L2_FRAME_MAX];

	(void)events;
	for (int k = 0; k < FRAMES_A_TURN; k++) {
		ssize_t len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (len < 0) /* nothing more, or the interface went down: it will be back */
			break;
		on_frame(arp, frame, (size_t)len, now_ns);
	}
	return 0;
}

static struct control_arp *arp_of(const struct control *c, unsigned int ifindex)
{
	for (struct control_arp *a = c->arps; a; a = a->next) {
		if (a->ifindex == ifindex)
			return a;
	}
	return NULL;
}

static void ask(struct control *c, const struct plan_vip *pv)
{
	const struct control_arp *arp = arp_of(c, pv->ifindex);
	const struct plan_link *own = control_link(c, pv->ifindex);
	uint8_t frames[16][L2_FRAME_MAX];
	size_t lens[16], n = 0;

	for (size_t i = 0; arp && own && i < pv->vip->n_addresses && n < ARRAY_LEN(frames); i++) {
		lens[n] = l2_arp_probe_emit(&pv->vip->addresses[i], &own->mac, frames[n]);
		n++;
	}
	if (n > 0)
		(void)l2_frames_send(arp->fd, pv->ifindex, (const uint8_t(*)[L2_FRAME_MAX])frames,
				     lens, n);
}

static int on_tick(void *user, uint64_t now_ns)
{
	struct control *c = user;
	unsigned int asked = 0;

	for (size_t i = 0; c->plan && i < c->plan->n_vips && asked < ASK_AT_ONCE; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_vip *v = NULL;

		if (!pv->routes || pv->vip->addresses[0].family != AF_INET)
			continue;
		v = control_vip_by_name(c, pv->vip->name);
		if (!v)
			continue;
		if (v->state != VRRP_ACTIVE || !v->switch_active) {
			v->arp_ask_ns = now_ns + ASK_FIRST_NS;
		} else if (now_ns >= v->arp_ask_ns) {
			ask(c, pv);
			v->arp_ask_ns = now_ns + ASK_EVERY_NS;
			asked++;
		}
	}
	return loop_timer_set(c->arp_timer, c->arps ? now_ns + TICK_NS : 0);
}

static void arp_free(struct control_arp *a)
{
	loop_source_free(a->source);
	fd_close_p(&a->fd);
	free(a);
}

static struct control_arp *arp_new(struct control *c, unsigned int ifindex)
{
	struct control_arp *a = calloc(1, sizeof(*a));
	struct verr err = {0};

	if (!a)
		return NULL;
	a->c = c;
	a->ifindex = ifindex;
	a->fd = l2_arp_socket(ifindex, &err);
	if (a->fd < 0 ||
	    loop_add_io(c->loop, a->fd, LOOP_IN, LOOP_PRIO_OUTWARD, on_frames, a, &a->source) < 0) {
		log_debug(2, "ARP is not listened to", KV_UINT("ifindex", ifindex),
			  KV_STR("err", err.msg));
		arp_free(a);
		return NULL;
	}
	a->next = c->arps;
	c->arps = a;
	return a;
}

void control_arp_update(struct control *c, uint64_t now_ns)
{
	bool ticks = c->arps && c->arp_timer;

	for (struct control_arp *a = c->arps; a; a = a->next)
		a->used = false;
	for (size_t i = 0; i < c->plan->n_vips; i++) {
		const struct plan_vip *pv = &c->plan->vips[i];
		struct control_arp *a;

		if (!pv->routes || pv->vip->addresses[0].family != AF_INET)
			continue;
		a = arp_of(c, pv->ifindex);
		if (!a)
			a = arp_new(c, pv->ifindex);
		if (a)
			a->used = true;
	}
	for (struct control_arp **at = &c->arps; *at;) {
		struct control_arp *a = *at;

		if (a->used) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		arp_free(a);
	}
	if (!c->arp_timer && c->arps &&
	    loop_add_timer(c->loop, LOOP_PRIO_OUTWARD, on_tick, c, &c->arp_timer) < 0)
		return;
	if (c->arps && !ticks)
		(void)loop_timer_set(c->arp_timer, now_ns + TICK_NS);
}

void control_arp_done(struct control *c)
{
	while (c->arps) {
		struct control_arp *a = c->arps;

		c->arps = a->next;
		arp_free(a);
	}
	loop_source_free(c->arp_timer);
	c->arp_timer = NULL;
}
