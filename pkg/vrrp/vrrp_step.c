/* The election: RFC 9568 s. 6.4 and RFC 3768 s. 6.4, with make-before-break, late wake-up and adoption. */
#include <string.h>

#include "vrrp/vrrp.h"

const char *vrrp_state_name(enum vrrp_state s)
{
	switch (s) {
	case VRRP_INIT:
		return "Init";
	case VRRP_BACKUP:
		return "Backup";
	case VRRP_ACTIVE:
		return "Active";
	case VRRP_RELEASING:
		return "Releasing";
	}
	return "Unknown";
}

const char *vrrp_why_name(enum vrrp_why why)
{
	switch (why) {
	case VRRP_WHY_NONE:
		return "None";
	case VRRP_WHY_START:
		return "Started";
	case VRRP_WHY_TIMEOUT:
		return "PeerTimeout";
	case VRRP_WHY_PEER_RELEASED:
		return "PeerReleased";
	case VRRP_WHY_PREEMPT:
		return "Preempted";
	case VRRP_WHY_HIGHER:
		return "HigherPriority";
	case VRRP_WHY_LATE:
		return "WokeLate";
	case VRRP_WHY_FAULT:
		return "Fault";
	case VRRP_WHY_STOP:
		return "Stopped";
	case VRRP_WHY_HANDOVER:
		return "HandedOver";
	case VRRP_WHY_NO_SUCCESSOR:
		return "NoSuccessor";
	case VRRP_WHY_RESUME:
		return "Resumed";
	case VRRP_WHY_NOBODY:
		return "NobodyActive";
	case VRRP_WHY_N:
		break;
	}
	return "Unknown";
}

uint64_t vrrp_skew_ns(uint8_t version, uint8_t priority, uint64_t active_period_ns)
{
	uint64_t steps = 256u - priority;

	/* RFC 3768 s. 6.1 counts in seconds whatever the period; RFC 9568 s. 6.1 scales with it. */
	return steps * (version == 2 ? NS_PER_S : active_period_ns) / 256;
}

uint64_t vrrp_down_ns(uint8_t version, uint8_t priority, uint64_t active_period_ns)
{
	return 3 * active_period_ns + vrrp_skew_ns(version, priority, active_period_ns);
}

void vrrp_init(struct vrrp *v)
{
	*v = (struct vrrp){.state = VRRP_INIT};
}

static uint64_t max_ns(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t own_down_ns(const struct vrrp_conf *conf)
{
	return vrrp_down_ns(conf->version, conf->priority, conf->period_ns);
}

static uint64_t down_ns(const struct vrrp *v, const struct vrrp_conf *conf)
{
	return vrrp_down_ns(conf->version, conf->priority, v->active_period_ns);
}

static void enter(struct vrrp *v, enum vrrp_state state, enum vrrp_why why, uint64_t now_ns,
		  struct vrrp_out *out)
{
	v->state = state;
	v->since_ns = now_ns;
	out->why = why;
}

static void forget_active(struct vrrp *v, const struct vrrp_conf *conf)
{
	v->active = (struct addr){0};
	v->active_priority = 0;
	v->active_period_ns = conf->period_ns;
	v->heard_ns = 0;
	v->heard_zero = false;
	v->heard_lower = false;
}

static void arm_down(struct vrrp *v, const struct vrrp_conf *conf, uint64_t now_ns)
{
	v->armed_ns = now_ns;
	v->deadline_ns = now_ns + down_ns(v, conf);
	v->heard_zero = false;
	v->heard_lower = false;
}

static void enter_init(struct vrrp *v, const struct vrrp_conf *conf, enum vrrp_why why,
		       uint64_t now_ns, struct vrrp_out *out)
{
	enter(v, VRRP_INIT, why, now_ns, out);
	forget_active(v, conf);
	v->deadline_ns = 0;
	v->stopping = false;
	v->holding = false;
}

static void enter_backup(struct vrrp *v, const struct vrrp_conf *conf, enum vrrp_why why,
			 uint64_t now_ns, struct vrrp_out *out)
{
	enter(v, VRRP_BACKUP, why, now_ns, out);
	forget_active(v, conf);
	v->stopping = false;
	v->holding = false;
	arm_down(v, conf, now_ns);
}

static void send_advert(struct vrrp *v, uint64_t now_ns, struct vrrp_out *out)
{
	out->acts |= VRRP_ACT_ADVERT;
	v->sent_ns = now_ns;
}

static void enter_active(struct vrrp *v, const struct vrrp_conf *conf, enum vrrp_why why,
			 uint64_t now_ns, struct vrrp_out *out)
{
	enter(v, VRRP_ACTIVE, why, now_ns, out);
	forget_active(v, conf);
	v->active = conf->source;
	v->active_priority = conf->priority;
	v->holding = false;
	v->answered_ns = 0;
	v->announced_ns = now_ns;
	send_advert(v, now_ns, out);
	v->deadline_ns = now_ns + conf->period_ns;
}

/* The advert's sender is the active router: know it, its period, and start the down timer anew. */
static void follow(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev)
{
	v->active = ev->source;
	v->active_priority = ev->priority;
	/* RFC 3768 s. 7.1 admits only our own period; RFC 9568 s. 6.4.2 (450) learns the active one's. */
	v->active_period_ns = conf->version == 2 ? conf->period_ns : ev->period_ns;
	v->heard_ns = ev->now_ns;
	arm_down(v, conf, ev->now_ns);
}

/* ---- Init, RFC 9568 s. 6.4.1 ---- */

static void on_init(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
		    struct vrrp_out *out)
{
	switch (ev->type) {
	case VRRP_EV_START:
		v->preempt_from_ns = ev->now_ns + conf->preempt_delay_ns;
		if (ev->resume) {
			enter_active(v, conf, VRRP_WHY_RESUME, ev->now_ns, out);
			out->acts |= VRRP_ACT_TAKE;
		} else {
			enter_backup(v, conf, VRRP_WHY_START, ev->now_ns, out);
			v->holding = ev->adopted;
		}
		return;
	case VRRP_EV_STOP:
		out->acts |= VRRP_ACT_STOPPED;
		return;
	case VRRP_EV_FAULT:
	case VRRP_EV_TIMER:
	case VRRP_EV_ADVERT:
	case VRRP_EV_RECONF:
	case VRRP_EV_HANDOVER:
		return;
	}
}

/* ---- Backup, RFC 9568 s. 6.4.2 ---- */

static bool is_silent(const struct vrrp *v, uint64_t now_ns)
{
	return now_ns - v->heard_ns > 2 * v->active_period_ns;
}

static enum vrrp_why why_expired(const struct vrrp *v, uint64_t now_ns)
{
	if (v->heard_zero)
		return VRRP_WHY_PEER_RELEASED;
	if (!addr_is_set(&v->active))
		return VRRP_WHY_NOBODY;
	/* A lower router that has itself gone silent is not overruled, it is dead. */
	if (v->heard_lower && !is_silent(v, now_ns))
		return VRRP_WHY_PREEMPT;
	return VRRP_WHY_TIMEOUT;
}

static void on_backup_advert(struct vrrp *v, const struct vrrp_conf *conf,
			     const struct vrrp_event *ev, struct vrrp_out *out)
{
	bool may_preempt = conf->preempt && ev->now_ns >= v->preempt_from_ns;

	if (ev->priority == 0) {
		/* (435) Skew_Time; one that keeps saying so does not put its successor off. */
		if (!v->heard_zero) {
			v->armed_ns = ev->now_ns;
			v->deadline_ns = ev->now_ns + vrrp_skew_ns(conf->version, conf->priority,
								   v->active_period_ns);
		}
		v->heard_zero = true;
		v->heard_lower = false;
		return;
	}
	out->suspect = addr_is_set(&v->active) && !addr_eq(&v->active, &ev->source) &&
		       !v->heard_zero && is_silent(v, ev->now_ns);
	if (v->holding) {
		/* Somebody else serves already: what we kept from before our restart is theirs. */
		v->holding = false;
		out->acts |= VRRP_ACT_RELEASE;
		out->linger_ns = VRRP_LINGER_NS;
	}
	if (!may_preempt || ev->priority >= conf->priority) {
		follow(v, conf, ev); /* (445) */
		return;
	}
	/* (470) discard: the timer goes on, and when it ends we preempt. */
	v->active = ev->source;
	v->active_priority = ev->priority;
	v->heard_ns = ev->now_ns;
	v->heard_lower = !v->heard_zero;
}

static void on_backup_reconf(struct vrrp *v, const struct vrrp_conf *conf, uint64_t now_ns)
{
	/* A learned period stays until the active router says otherwise. */
	if (conf->version == 2 || v->heard_ns == 0)
		v->active_period_ns = conf->period_ns;
	if (v->heard_lower && (!conf->preempt || conf->priority <= v->active_priority)) {
		v->heard_lower = false;
		v->armed_ns = v->heard_ns;
	}
	v->deadline_ns = v->armed_ns + (v->heard_zero ? vrrp_skew_ns(conf->version, conf->priority,
								     v->active_period_ns)
						      : down_ns(v, conf));
	v->deadline_ns = max_ns(v->deadline_ns, now_ns);
}

static void on_backup(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
		      struct vrrp_out *out)
{
	switch (ev->type) {
	case VRRP_EV_STOP:
	case VRRP_EV_FAULT:
		if (v->holding)
			out->acts |= VRRP_ACT_DROP;
		if (ev->type == VRRP_EV_STOP)
			out->acts |= VRRP_ACT_STOPPED;
		enter_init(v, conf, ev->type == VRRP_EV_STOP ? VRRP_WHY_STOP : VRRP_WHY_FAULT,
			   ev->now_ns, out);
		return;
	case VRRP_EV_TIMER:
		if (ev->now_ns < v->deadline_ns)
			return;
		enter_active(v, conf, why_expired(v, ev->now_ns), ev->now_ns, out);
		out->acts |= VRRP_ACT_TAKE;
		out->suspect = out->why == VRRP_WHY_TIMEOUT;
		return;
	case VRRP_EV_ADVERT:
		on_backup_advert(v, conf, ev, out);
		return;
	case VRRP_EV_RECONF:
		on_backup_reconf(v, conf, ev->now_ns);
		return;
	case VRRP_EV_START:
	case VRRP_EV_HANDOVER:
		return;
	}
}

/* ---- Active, RFC 9568 s. 6.4.3 ---- */

/* Says at once that the role is ours, but no more than four times a period: two liars must not make a storm. */
static void answer_claim(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
			 struct vrrp_out *out)
{
	if (v->answered_ns == 0 || ev->now_ns - v->answered_ns >= conf->period_ns / 4) {
		v->answered_ns = ev->now_ns;
		send_advert(v, ev->now_ns, out);
		if (ev->priority == 0)
			v->deadline_ns = ev->now_ns + conf->period_ns; /* (705) */
	}
	/* Whoever claimed the role has announced the addresses too. */
	if (ev->now_ns - v->announced_ns >= VRRP_REANNOUNCE_NS) {
		v->announced_ns = ev->now_ns;
		out->acts |= VRRP_ACT_ANNOUNCE;
	}
}

static void on_active_advert(struct vrrp *v, const struct vrrp_conf *conf,
			     const struct vrrp_event *ev, struct vrrp_out *out)
{
	int order = addr_cmp(&ev->source, &conf->source);

	if (order == 0) {
		out->conflict = true;
		return; /* our own address: answering would set two of us on each other */
	}
	if (ev->priority > conf->priority || (ev->priority == conf->priority && order > 0)) {
		enter_backup(v, conf, VRRP_WHY_HIGHER, ev->now_ns, out); /* (720) */
		follow(v, conf, ev);
		out->acts |= VRRP_ACT_RELEASE;
		out->linger_ns = VRRP_LINGER_NS;
		return;
	}
	out->conflict = ev->priority != 0;
	answer_claim(v, conf, ev, out);
}

static void on_active_timer(struct vrrp *v, const struct vrrp_conf *conf, uint64_t now_ns,
			    struct vrrp_out *out)
{
	if (now_ns < v->deadline_ns)
		return;
	send_advert(v, now_ns, out);
	/* On the beat, whatever the delay of this turn; a missed beat is not made up for. */
	v->deadline_ns += conf->period_ns;
	if (v->deadline_ns <= now_ns)
		v->deadline_ns = now_ns + conf->period_ns;
}

static void on_active(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
		      struct vrrp_out *out)
{
	switch (ev->type) {
	case VRRP_EV_STOP:
		enter(v, VRRP_RELEASING, VRRP_WHY_STOP, ev->now_ns, out);
		v->stopping = true;
		v->deadline_ns = ev->now_ns + VRRP_STOP_WAIT_NS;
		out->acts |= VRRP_ACT_ADVERT_ZERO;
		return;
	case VRRP_EV_HANDOVER:
		enter(v, VRRP_RELEASING, VRRP_WHY_HANDOVER, ev->now_ns, out);
		v->deadline_ns = ev->now_ns + own_down_ns(conf) + VRRP_HANDOVER_EXTRA_NS;
		out->acts |= VRRP_ACT_ADVERT_ZERO;
		return;
	case VRRP_EV_FAULT:
		enter_init(v, conf, VRRP_WHY_FAULT, ev->now_ns, out);
		out->acts |= VRRP_ACT_DROP;
		return;
	case VRRP_EV_TIMER:
		on_active_timer(v, conf, ev->now_ns, out);
		return;
	case VRRP_EV_ADVERT:
		on_active_advert(v, conf, ev, out);
		return;
	case VRRP_EV_RECONF:
		v->active = conf->source;
		v->active_priority = conf->priority;
		v->active_period_ns = conf->period_ns;
		/* The others learn at once what they measure us by. */
		if (v->priority != conf->priority || v->period_ns != conf->period_ns) {
			send_advert(v, ev->now_ns, out);
			v->deadline_ns = ev->now_ns + conf->period_ns;
		}
		return;
	case VRRP_EV_START:
		return;
	}
}

/* ---- Releasing: priority 0 is out, and we serve until the successor has announced itself ---- */

static void on_successor(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
			 struct vrrp_out *out)
{
	out->acts |= VRRP_ACT_RELEASE;
	out->linger_ns = VRRP_LINGER_NS;
	if (v->stopping) {
		out->acts |= VRRP_ACT_STOPPED;
		enter_init(v, conf, VRRP_WHY_STOP, ev->now_ns, out);
		return;
	}
	enter_backup(v, conf, VRRP_WHY_HANDOVER, ev->now_ns, out);
	follow(v, conf, ev);
	/* What was just handed over is not taken back before the delay. */
	v->preempt_from_ns = ev->now_ns + conf->preempt_delay_ns;
}

static void on_nobody_came(struct vrrp *v, const struct vrrp_conf *conf, uint64_t now_ns,
			   struct vrrp_out *out)
{
	if (now_ns < v->deadline_ns)
		return;
	if (v->stopping) {
		out->acts |= VRRP_ACT_RELEASE | VRRP_ACT_STOPPED;
		enter_init(v, conf, VRRP_WHY_STOP, now_ns, out);
	} else if (now_ns - v->deadline_ns > own_down_ns(conf)) {
		enter_backup(v, conf, VRRP_WHY_LATE, now_ns, out);
		out->acts |= VRRP_ACT_DROP;
	} else {
		enter_active(v, conf, VRRP_WHY_NO_SUCCESSOR, now_ns, out);
	}
}

static void on_releasing(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
			 struct vrrp_out *out)
{
	switch (ev->type) {
	case VRRP_EV_STOP:
		if (v->stopping)
			return;
		v->stopping = true;
		if (v->deadline_ns > ev->now_ns + VRRP_STOP_WAIT_NS)
			v->deadline_ns = ev->now_ns + VRRP_STOP_WAIT_NS;
		return;
	case VRRP_EV_FAULT:
		out->acts |= VRRP_ACT_DROP | (v->stopping ? VRRP_ACT_STOPPED : 0);
		enter_init(v, conf, VRRP_WHY_FAULT, ev->now_ns, out);
		return;
	case VRRP_EV_TIMER:
		on_nobody_came(v, conf, ev->now_ns, out);
		return;
	case VRRP_EV_ADVERT:
		if (ev->priority != 0 && !addr_eq(&ev->source, &conf->source))
			on_successor(v, conf, ev, out);
		return;
	case VRRP_EV_START:
	case VRRP_EV_RECONF:
	case VRRP_EV_HANDOVER:
		return;
	}
}

/* An agent that was frozen has been replaced meanwhile: the addresses go before anything is said. */
static void drop_if_late(struct vrrp *v, const struct vrrp_conf *conf, uint64_t now_ns,
			 struct vrrp_out *out)
{
	/* By what the others were told last: a new configuration has not reached them. */
	uint64_t told_ns = vrrp_down_ns(conf->version, v->priority, v->period_ns);

	if (v->state != VRRP_ACTIVE || now_ns <= v->sent_ns + told_ns)
		return;
	enter_backup(v, conf, VRRP_WHY_LATE, now_ns, out);
	v->preempt_from_ns = now_ns + conf->preempt_delay_ns;
	out->acts |= VRRP_ACT_DROP;
}

void vrrp_step(struct vrrp *v, const struct vrrp_conf *conf, const struct vrrp_event *ev,
	       struct vrrp_out *ret)
{
	struct vrrp_out out = {.previous = v->active};

	drop_if_late(v, conf, ev->now_ns, &out);
	switch (v->state) {
	case VRRP_INIT:
		on_init(v, conf, ev, &out);
		break;
	case VRRP_BACKUP:
		on_backup(v, conf, ev, &out);
		break;
	case VRRP_ACTIVE:
		on_active(v, conf, ev, &out);
		break;
	case VRRP_RELEASING:
		on_releasing(v, conf, ev, &out);
		break;
	}
	v->priority = conf->priority;
	v->period_ns = conf->period_ns;
	*ret = out;
}
