/* What election and switchover tell: roles, peers, strangers, steps done. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

static void active_is(struct control_vip *v, const struct addr *source, uint8_t priority,
		      uint64_t at_ns)
{
	if (!addr_eq(&v->active, source))
		v->active_since_ns = at_ns;
	v->active = *source;
	v->active_priority = priority;
}

static void on_role(struct control *c, struct control_vip *v, const struct election_record *rec)
{
	const struct plan_vip *pv = control_plan_of(c, v);
	const char *node =
		pv && addr_is_set(&rec->source) ? control_node_of(c, pv, &rec->source) : NULL;
	enum vrrp_state before = v->state;
	char text[ADDR_TEXT_MAX];

	v->state = rec->state;
	v->why = rec->why;
	v->transitions[rec->why]++;
	v->since_ns = rec->at_ns;
	active_is(v, &rec->source, rec->priority, rec->at_ns);
	log_info("Role changed", KV_STR("virtualIP", v->name),
		 KV_STR("from", vrrp_state_name(before)), KV_STR("to", vrrp_state_name(rec->state)),
		 KV_STR("reason", vrrp_why_name(rec->why)),
		 KV_STR("active", node ? node : addr_text(&rec->source, text)),
		 KV_UINT("priority", rec->priority));
	control_event_role(c, v, before, node);
	if (rec->state == VRRP_BACKUP || rec->state == VRRP_INIT)
		v->handover_sent = false;
	control_changed(c);
}

/* Its real servers are tried at once: who has clients here must not wait for as many failures as it takes else. */
static void on_suspect(struct control *c, const struct control_vip *v,
		       const struct election_record *rec, uint64_t now_ns)
{
	const struct plan_vip *pv = control_plan_of(c, v);
	const char *who = pv ? control_node_of(c, pv, &rec->source) : NULL;

	for (size_t s = 0; who && s < pv->n_servers; s++) {
		if (!pv->servers[s].self && strcmp(pv->servers[s].node_name, who) == 0)
			control_health_suspect(c, &pv->servers[s].address, now_ns);
	}
}

static void on_peer(struct control *c, struct control_vip *v, const struct election_record *rec,
		    uint64_t now_ns)
{
	const struct plan_vip *pv = control_plan_of(c, v);

	if (v->state == VRRP_BACKUP && rec->priority > 0)
		active_is(v, &rec->source, rec->priority, rec->at_ns);
	if (!pv || control_node_of(c, pv, &rec->source) ||
	    control_is_former(v, &rec->source, now_ns))
		return;
	control_facts_heard(c, pv->ifindex, &rec->source);
	/* an IPv6 router shows its link-local address: ask the segment whose it is before judging */
	if (addr_is_link_local(&rec->source) && !control_mac_of(c, &rec->source)) {
		control_facts_ask(c, pv->ifindex, &rec->source);
		return;
	}
	control_stranger(c, v, &rec->source, "adverts", now_ns);
}

static void on_conflict(struct control *c, struct control_vip *v, const struct election_record *rec,
			uint64_t now_ns)
{
	const struct plan_vip *pv = control_plan_of(c, v);
	const char *node = pv ? control_node_of(c, pv, &rec->source) : NULL;
	char text[ADDR_TEXT_MAX];

	const char *what = rec->rx == VRRP_RX_OK ? "address list" : vrrp_rx_name(rec->rx);

	if (!node)
		control_stranger(c, v, &rec->source, what, now_ns);
	else if (control_sign_note(v, &rec->source, what, true, now_ns))
		log_warning(
			rec->rx == VRRP_RX_OK ? "Advert of another node has another address list"
					      : "Advert of another node was not accepted",
			KV_STR("virtualIP", v->name), KV_STR("node", node),
			KV_STR("address", addr_text(&rec->source, text)), KV_STR("cause", what));
}

static void on_removed(struct control *c, struct control_vip *v)
{
	v->in_election = false;
	v->removing = false;
	v->state = VRRP_INIT;
	log_debug(2, "VirtualIP left the election", KV_STR("virtualIP", v->name));
	if (!control_plan_of(c, v) || control_plan_of(c, v)->refused != PLAN_OK)
		control_vip_leave(c, v);
	if (!control_plan_of(c, v) && !v->has_role)
		control_vip_free(c, v);
	c->dirty = true;
}

static void on_sense(struct control *c, const struct control_vip *v, int error)
{
	struct control_vip *each, *next;

	log_warning("Advert socket reported an error", KV_STR("virtualIP", v ? v->name : ""),
		    KV_STR("err", strerror(error)));
	if (error != ENOBUFS)
		return;
	/* link events were lost: every instance hears of its link again */
	HASH_ITER(hh_name, c->by_name, each, next)
	{
		free(each->sent);
		each->sent = NULL;
	}
	c->dirty = true;
}

void control_lateness_add(struct election_lateness *all, const struct election_lateness *before,
			  const struct election_lateness *now)
{
	static const struct election_lateness none;

	/* an instance that was made anew counts from 0 */
	for (size_t i = 0; i < ARRAY_LEN(now->n); i++) {
		if (now->n[i] < before->n[i])
			before = &none;
	}
	if (now->sum_ns < before->sum_ns)
		before = &none;
	for (size_t i = 0; i < ARRAY_LEN(now->n); i++)
		all->n[i] += now->n[i] - before->n[i];
	all->sum_ns += now->sum_ns - before->sum_ns;
}

static void on_record(struct control *c, struct election_record *rec, uint64_t now_ns)
{
	struct control_vip *v = control_vip_by_id(c, rec->vip_id);

	if (rec->type == ELECTION_FREE) {
		free(rec->conf);
		return;
	}
	if (rec->type == ELECTION_PONG) {
		c->election_ping.since_ns = 0;
		return;
	}
	if (rec->type == ELECTION_STOPPED) {
		c->stopped = true;
		return;
	}
	if (rec->type == ELECTION_SENSE) {
		on_sense(c, v, rec->error);
		return;
	}
	if (!v)
		return;
	switch (rec->type) {
	case ELECTION_ROLE:
		on_role(c, v, rec);
		break;
	case ELECTION_SUSPECT:
		on_suspect(c, v, rec, now_ns);
		break;
	case ELECTION_PEER:
		on_peer(c, v, rec, now_ns);
		break;
	case ELECTION_COUNTERS:
		control_lateness_add(&c->late, &v->counters.late, &rec->counters.late);
		v->counters = rec->counters;
		break;
	case ELECTION_CONFLICT:
		on_conflict(c, v, rec, now_ns);
		break;
	case ELECTION_REMOVED:
		on_removed(c, v);
		break;
	case ELECTION_CHECKSUM:
		log_debug(2, "Adverts take a peer's form of the checksum",
			  KV_STR("virtualIP", v->name),
			  KV_STR("form", rec->csum == VRRP_CSUM_PLAIN ? "plain" : "pseudo-header"));
		break;
	case ELECTION_STOPPED:
	case ELECTION_FREE:
	case ELECTION_SENSE:
	case ELECTION_PONG:
		break;
	}
}

static void on_note(struct control *c, const struct switchover_note *note, uint64_t now_ns)
{
	struct control_vip *v = control_vip_by_id(c, note->vip_id);
	char span[MONO_TEXT_MAX];

	if (note->type == SWITCHOVER_NOTE_PONG)
		c->switchover_ping.since_ns = 0;
	if (!v)
		return;
	switch (note->type) {
	case SWITCHOVER_NOTE_DONE:
		v->switch_active = note->active;
		v->settled = true;
		/* the kernel's word of it may still be under way */
		c->facts_dirty |= CONTROL_FACTS_LINKS;
		if (!note->active && c->resend)
			resend_settle(c->resend, now_ns);
		log_info(note->active ? "Addresses were taken" : "Addresses were given up",
			 KV_STR("virtualIP", v->name),
			 KV_STR("took", mono_span_text(note->took_ns, span, sizeof(span))));
		control_look(c, 0, 50 * NS_PER_MS);
		/* one that has answered meanwhile must not wait for the next look, nor be taken for somebody else's change */
		if (note->silenced) {
			c->is_as_wanted = false;
			control_changed(c);
		}
		break;
	case SWITCHOVER_NOTE_ERROR:
		log_error("Switchover failed", KV_STR("virtualIP", v->name),
			  KV_STR("step", note->what ? note->what : ""),
			  KV_STR("err", strerror(note->error < 0 ? -note->error : note->error)));
		break;
	case SWITCHOVER_NOTE_REMOVED:
		v->switch_active = false;
		c->facts_dirty |= CONTROL_FACTS_LINKS;
		break;
	case SWITCHOVER_NOTE_PONG:
		break;
	case SWITCHOVER_NOTE_LOST:
		log_debug(2, "Address was gone at its renewal", KV_STR("virtualIP", v->name));
		control_look(c, CONTROL_LOOK_RTNL, 300 * NS_PER_MS);
		(void)now_ns;
		break;
	}
}

void control_roles_drain(struct control *c, uint64_t now_ns)
{
	struct election_record rec;
	struct switchover_note note;

	ring_clear_fd(c->from_election);
	while (ring_pop(c->from_election, &rec))
		on_record(c, &rec, now_ns);
	ring_clear_fd(c->from_switch);
	while (ring_pop(c->from_switch, &note))
		on_note(c, &note, now_ns);
}

int control_records(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct control *c = user;

	(void)fd;
	(void)events;
	control_roles_drain(c, now_ns);
	if (c->dirty)
		control_changed(c);
	if (c->stopped && c->stopping)
		control_finish(c, now_ns);
	return 0;
}

int control_notes(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	return control_records(user, fd, events, now_ns);
}
