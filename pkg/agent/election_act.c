/* What a step asks for: adverts, orders to switchover, announcements; and what is due when. */
#include <errno.h>

#include "agent/election_internal.h"

/* Each after the first: switches and hosts that missed one, or learned something else meanwhile. */
static const uint64_t announce_after_ns[] = {0, 200 * NS_PER_MS, 1100 * NS_PER_MS, 2200 * NS_PER_MS,
					     5000 * NS_PER_MS};
#define ANNOUNCE_EVERY_NS (60 * NS_PER_S)
/* How long a removed instance waits for switchover to say that the addresses are gone. */
#define DONE_WAIT_NS (500 * NS_PER_MS)
/* Switchover has not heard of the VIP yet: control told it, but through another ring. */
#define UNKNOWN_WAIT_NS (100 * NS_PER_MS)

/* Adverts that are due within this of each other go out together. */
static uint64_t slack_ns(const struct inst *i)
{
	uint64_t slack = i->conf->vrrp.period_ns / 32;

	return slack < NS_PER_MS ? slack : NS_PER_MS;
}

static bool is_advert_due(const struct inst *i, uint64_t now_ns)
{
	return i->v.state == VRRP_ACTIVE && i->v.deadline_ns <= now_ns + slack_ns(i);
}

bool election_is_due(const struct inst *i, uint64_t now_ns)
{
	return i->due.due_ns <= now_ns || is_advert_due(i, now_ns);
}

static uint64_t sooner(uint64_t a, uint64_t b_or_none)
{
	return b_or_none != 0 && b_or_none < a ? b_or_none : a;
}

void election_touch(struct election *e, struct inst *i)
{
	uint64_t next = NEVER;

	next = sooner(next, i->v.deadline_ns);
	next = sooner(next, i->linger_ns);
	next = sooner(next, i->announce_ns);
	next = sooner(next, i->gone_ns);
	next = sooner(next, i->order_ns);
	next = sooner(next, i->shadow_until_ns);
	if (next != i->due.due_ns)
		heap_set(&e->due, &i->due, next);
}

/* ---- adverts ---- */

static void send_adverts(struct election *e, struct inst *i, uint8_t priority, uint64_t now_ns)
{
	const struct election_conf *conf = i->conf;
	struct addr group = l2_vrrp_group(conf->vrrp.family);

	i->counters.sent++;
	election_count(e, i, now_ns);
	if (!conf->unicast) {
		election_port_queue(i->port, i, priority, &group, now_ns);
		return;
	}
	for (size_t k = 0; k < conf->n_peers; k++) {
		if (!addr_eq(&conf->peers[k], &conf->vrrp.source))
			election_port_queue(i->port, i, priority, &conf->peers[k], now_ns);
	}
}

const struct election_lateness_bound election_lateness_bounds[ELECTION_LATENESS_BOUNDS] = {
	{100 * NS_PER_US, "100us"}, {300 * NS_PER_US, "300us"}, {NS_PER_MS, "1ms"},
	{3 * NS_PER_MS, "3ms"},     {10 * NS_PER_MS, "10ms"},   {30 * NS_PER_MS, "30ms"},
	{100 * NS_PER_MS, "100ms"},
};

static void count_lateness(struct inst *i, uint64_t late_ns)
{
	size_t k = 0;

	while (k < ELECTION_LATENESS_BOUNDS && late_ns > election_lateness_bounds[k].ns)
		k++;
	i->counters.late.n[k]++;
	i->counters.late.sum_ns += late_ns;
}

/* ---- announcements ---- */

void election_frames_flush(struct election *e, uint64_t now_ns)
{
	size_t n = e->n_frames;
	int r;

	if (n == 0)
		return;
	e->n_frames = 0;
	r = l2_frames_send(e->frame_fd, e->frames_ifindex,
			   (const uint8_t(*)[L2_FRAME_MAX])e->frames, e->frame_lens, n);
	if (r == 0) {
		e->frame_error_told = 0;
	} else if (e->frame_error_told != -r) {
		e->frame_error_told = -r;
		election_tell_sense(e, 0, -r, now_ns);
	}
}

static uint8_t *next_frame(struct election *e, unsigned int ifindex, uint64_t now_ns)
{
	if (e->n_frames == BATCH || (e->n_frames > 0 && e->frames_ifindex != ifindex))
		election_frames_flush(e, now_ns);
	e->frames_ifindex = ifindex;
	return e->frames[e->n_frames];
}

static void announce(struct election *e, struct inst *i, uint64_t now_ns)
{
	const struct election_conf *conf = i->conf;

	for (size_t k = 0; k < conf->n_vips; k++) {
		const struct addr *vip = &conf->vips[k];

		for (int reply = 0; reply < (vip->family == AF_INET ? 2 : 1); reply++) {
			uint8_t *frame = next_frame(e, conf->ifindex, now_ns);
			size_t len =
				vip->family == AF_INET
					? l2_garp_emit(vip, &conf->mac, reply, frame)
					: l2_na_emit(vip, &conf->vrrp.source, &conf->mac, frame);

			e->frame_lens[e->n_frames++] = len;
		}
	}
	i->announce_idx++;
	if (i->announce_idx < ARRAY_LEN(announce_after_ns))
		i->announce_ns = i->announce_from_ns + announce_after_ns[i->announce_idx];
	else
		i->announce_ns += ANNOUNCE_EVERY_NS;
	/* After a pause, the rhythm begins anew rather than catching up. */
	if (i->announce_ns <= now_ns)
		i->announce_ns = now_ns + ANNOUNCE_EVERY_NS;
}

static void announce_from(struct inst *i, uint64_t now_ns)
{
	i->announce_idx = 0;
	i->announce_from_ns = now_ns;
	i->announce_ns = now_ns;
}

/* True while the addresses are ours as far as switchover has told. */
static bool is_taken(const struct inst *i)
{
	return i->seq != 0 && i->done_seq == i->seq && i->order.type == SWITCHOVER_TAKE;
}

void election_done(struct election *e, const struct switchover_done *done, uint64_t now_ns)
{
	struct inst *i = election_find(e, done->vip_id);

	if (!i || done->seq != i->seq)
		return; /* of an order that has been overtaken */
	i->done_seq = done->seq;
	i->order_ns = done->error == -ENOENT ? now_ns + UNKNOWN_WAIT_NS : 0;
	/* Also after an error: the other steps have been done, and we are who answers for the address. Not while
	 * it lingers: then the successor is. */
	if (done->type == SWITCHOVER_TAKE && i->v.state >= VRRP_ACTIVE)
		announce_from(i, now_ns);
	else if (done->type == SWITCHOVER_RELEASE && i->gone_ns != 0 && i->linger_ns == 0)
		i->gone_ns = now_ns;
	election_touch(e, i);
}

/* ---- acts ---- */

static void release(struct election *e, struct inst *i, uint64_t now_ns)
{
	i->linger_ns = 0;
	i->announce_ns = 0;
	election_order(e, i, SWITCHOVER_RELEASE, NULL, now_ns);
}

static void perform(struct election *e, struct inst *i, const struct vrrp_out *out, uint64_t now_ns)
{
	if (out->acts & VRRP_ACT_DROP)
		release(e, i, now_ns);
	if (out->acts & VRRP_ACT_ADVERT)
		send_adverts(e, i, i->conf->vrrp.priority, now_ns);
	if (out->acts & VRRP_ACT_ADVERT_ZERO)
		send_adverts(e, i, 0, now_ns);
	if (out->acts & VRRP_ACT_TAKE) {
		i->linger_ns = 0;
		i->announce_ns = 0;
		election_order(e, i, SWITCHOVER_TAKE, out->suspect ? &out->previous : NULL, now_ns);
	}
	if (out->acts & VRRP_ACT_ANNOUNCE && is_taken(i))
		announce_from(i, now_ns);
	if (out->acts & VRRP_ACT_RELEASE) {
		i->announce_ns = 0; /* the successor's word counts */
		i->linger_ns = now_ns + out->linger_ns;
		if (out->linger_ns == 0)
			release(e, i, now_ns);
	}
	if (out->acts & VRRP_ACT_STOPPED) {
		i->gone_ns = now_ns;
		if (i->linger_ns != 0)
			i->gone_ns = i->linger_ns + DONE_WAIT_NS;
		else if (i->done_seq != i->seq)
			i->gone_ns += DONE_WAIT_NS;
	}
}

/* A shadow says what it always said, until the role is lost; addresses are not its business. */
static void perform_shadow(struct election *e, struct inst *i, const struct vrrp_out *out,
			   uint64_t now_ns)
{
	if (i->v.state != VRRP_ACTIVE)
		i->shadow_until_ns = now_ns;
	else if (out->acts & VRRP_ACT_ADVERT)
		send_adverts(e, i, i->conf->vrrp.priority, now_ns);
}

void election_step(struct election *e, struct inst *i, const struct vrrp_event *ev)
{
	enum vrrp_state before = i->v.state;
	struct vrrp_out out;

	vrrp_step(&i->v, &i->conf->vrrp, ev, &out);
	if (i->is_shadow) {
		perform_shadow(e, i, &out, ev->now_ns);
		election_touch(e, i);
		return;
	}
	perform(e, i, &out, ev->now_ns);
	if (out.suspect) {
		struct election_record r = {.type = ELECTION_SUSPECT, .source = out.previous};

		election_tell(e, i, &r, ev->now_ns);
	}
	if (out.why != VRRP_WHY_NONE) {
		i->counters.became_active += before != VRRP_ACTIVE && i->v.state == VRRP_ACTIVE;
		i->counters.became_backup += before != VRRP_BACKUP && i->v.state == VRRP_BACKUP;
		i->why = out.why;
		i->told_active = (struct addr){0};
		election_count(e, i, ev->now_ns);
		election_tell_role(e, i, ev->now_ns);
	}
	election_touch(e, i);
}

/* ---- deadlines ---- */

static void run_timer(struct election *e, struct inst *i, uint64_t now_ns)
{
	struct vrrp_event ev = {.type = VRRP_EV_TIMER, .now_ns = now_ns};
	uint64_t due_ns = i->v.deadline_ns;

	/* An advert that goes out a little early, with the others, is on time for the step. */
	if (due_ns > now_ns)
		ev.now_ns = due_ns;
	if (i->v.state == VRRP_ACTIVE)
		count_lateness(i, ev.now_ns - due_ns);
	election_step(e, i, &ev);
}

void election_run_inst(struct election *e, struct inst *i, uint64_t now_ns)
{
	if (i->shadow_until_ns != 0 && i->shadow_until_ns <= now_ns) {
		election_shadow_end(e, i);
		return;
	}
	if (i->v.deadline_ns != 0 && (i->v.deadline_ns <= now_ns || is_advert_due(i, now_ns)))
		run_timer(e, i, now_ns);
	if (i->linger_ns != 0 && i->linger_ns <= now_ns)
		release(e, i, now_ns);
	if (i->announce_ns != 0 && i->announce_ns <= now_ns)
		announce(e, i, now_ns);
	if (i->order_ns != 0 && i->order_ns <= now_ns)
		election_order_again(e, i, now_ns);
	if (i->gone_ns != 0 && i->gone_ns <= now_ns && election_forget(e, i, now_ns))
		return;
	election_touch(e, i);
}
