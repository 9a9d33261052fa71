/* When the plan is made and the kernel looked at: one turn of control. */
#include <string.h>

#include "agent/control.h"

#define RECONCILE_NS (10 * NS_PER_S)
/* IPVS and device settings tell nobody of changes: look, so that they are put back within 1 s. */
#define LOOK_NS (500 * NS_PER_MS)
#define MERGE_NS (2 * NS_PER_MS)
#define RETRY_NS NS_PER_S
/* While edits keep coming, of so many parts of the time more than planning takes there is no planning. */
#define REST_SHARE 3

void control_changed(struct control *c)
{
	c->dirty = true;
	control_look(c, 0, MERGE_NS);
}

void control_edited(struct control *c)
{
	uint64_t now_ns = mono_now_ns(), rest_ns = REST_SHARE * c->plan_took_ns;
	uint64_t at_ns = c->planned_ns + (rest_ns > MERGE_NS ? rest_ns : MERGE_NS);

	c->dirty = true;
	control_look(c, 0, at_ns > now_ns ? at_ns - now_ns : 0);
}

void control_look(struct control *c, unsigned int what, uint64_t in_ns)
{
	uint64_t at_ns = mono_now_ns() + in_ns;

	c->look |= what;
	if (c->turn_ns == 0 || at_ns < c->turn_ns) {
		c->turn_ns = at_ns;
		(void)loop_timer_set(c->turn, at_ns);
	}
}

void control_replan_at(struct control *c, uint64_t at_ns, uint64_t now_ns)
{
	if (c->replan_ns == 0 || at_ns < c->replan_ns)
		c->replan_ns = at_ns;
	control_look(c, 0, at_ns > now_ns ? at_ns - now_ns : 0);
}

/* Looks at what c->look says, and puts it in order. */
static bool look(struct control *c, bool planned, uint64_t now_ns)
{
	uint64_t begin_ns = mono_now_ns();
	bool good = control_reconcile(c, planned, now_ns);
	uint64_t end_ns = mono_now_ns();

	if (!good || c->look == CONTROL_LOOK_ALL)
		c->is_as_wanted = good;
	if (good)
		c->last_apply_error[0] = '\0';
	/* looking costs at most some per cent of a core, however many services there are */
	if (!good)
		c->look_ns = end_ns + RETRY_NS;
	else if (c->look & CONTROL_LOOK_IPVS)
		c->look_ns = end_ns + LOOK_NS + (planned ? 0 : 20 * (end_ns - begin_ns));
	return good;
}

/*
 * A change costs what it changes, however much there is besides: it is applied to what was wanted before, which the
 * kernel has unless somebody else was there in the meantime. If that does not do, all that the kernel has is looked at.
 * False if something is not as it should be.
 */
static bool apply_wanted(struct control *c, const struct plan_ops *change, bool planned,
			 uint64_t now_ns)
{
	bool good = !c->kernel_refuses;

	if (planned && c->is_as_wanted) {
		c->is_as_wanted = control_apply_ops(c, change, false);
		planned = !c->is_as_wanted;
	}
	if (planned)
		c->look = CONTROL_LOOK_ALL;
	if (c->look)
		good = look(c, planned, now_ns);
	c->look = 0;
	return good;
}

/* Reads the facts that may have changed; true if the plan must be made anew. */
static bool facts_update(struct control *c)
{
	struct verr err = {0};
	unsigned int dirty = c->facts_dirty;
	int links = 0, neighs = 0;

	if (dirty & (CONTROL_FACTS_LINKS | CONTROL_FACTS_ROUTES))
		links = control_facts_links(c, dirty & CONTROL_FACTS_ROUTES, &err);
	else if (c->look & CONTROL_LOOK_LINKS)
		links = control_facts_settings(c, &err);
	if (links < 0)
		control_failed(c, "links", &err);
	if (dirty & CONTROL_FACTS_NEIGHS) {
		neighs = control_facts_neighs(c, &err);
		if (neighs < 0)
			control_failed(c, "neighbours", &err);
	}
	/* what was not read is read at the next turn */
	c->facts_dirty = 0;
	if (links < 0)
		c->facts_dirty |= CONTROL_FACTS_LINKS | CONTROL_FACTS_ROUTES;
	if (neighs < 0)
		c->facts_dirty |= CONTROL_FACTS_NEIGHS;
	return links > 0 || neighs > 0;
}

/* What was asked for, and what is due; all of it at times, and after a failure. */
static void look_due(struct control *c, uint64_t now_ns)
{
	if (now_ns >= c->look_ns)
		c->look |= CONTROL_LOOK_IPVS | CONTROL_LOOK_LINKS;
	if (c->look && !c->is_as_wanted)
		c->look = CONTROL_LOOK_ALL;
	if (c->replan_ns != 0 && now_ns >= c->replan_ns) {
		c->replan_ns = 0;
		c->dirty = true;
	}
	if (now_ns >= c->reconcile_ns) {
		c->reconcile_ns = now_ns + RECONCILE_NS;
		c->look = CONTROL_LOOK_ALL;
		c->facts_dirty = CONTROL_FACTS_ALL;
		/* what waits for time alone, as an unresolved peer, is tried again */
		c->dirty = true;
	}
}

static void look_again(struct control *c)
{
	uint64_t now_ns = mono_now_ns();

	if (!c->has_want)
		control_look(c, 0, LOOK_NS);
	else
		control_look(c, 0, c->look_ns > now_ns ? c->look_ns - now_ns : 0);
	if (c->replan_ns != 0)
		control_replan_at(c, c->replan_ns, now_ns);
}

int control_turn(void *user, uint64_t now_ns)
{
	struct control *c = user;
	struct verr err = {0};
	AUTO(plan_ops_done) struct plan_ops change = {0};
	bool planned = false, dirty;

	c->turn_ns = 0;
	control_roles_drain(c, now_ns);
	if (c->stopping) {
		if (c->stopped)
			control_finish(c, now_ns);
		return 0;
	}
	look_due(c, now_ns);
	if (facts_update(c))
		c->dirty = true;
	/* half of the objects would be taken for all of them: a VIP without its Node */
	dirty = c->dirty && (c->synced || c->loaded);
	if (dirty) {
		c->dirty = false;
		int r = control_replan(c, now_ns, &change, &planned);

		if (r < 0) {
			verr_set(&err, -r, "%s", strerror(-r));
			control_failed(c, "plan", &err);
		}
	}
	if (now_ns < c->quiet_until_ns) {
		/* the roles of this plan are still to come, and what it changes is nobody else's doing */
		c->dirty |= dirty;
		c->planned_in_quiet |= planned;
		control_look(c, CONTROL_LOOK_ALL, c->quiet_until_ns - now_ns);
		return 0;
	}
	planned |= c->planned_in_quiet;
	c->planned_in_quiet = false;
	if (c->has_want) {
		bool refuses = !apply_wanted(c, &change, planned, now_ns);

		if (refuses != c->kernel_refuses)
			control_report_changed(c);
		if (refuses && !c->kernel_refuses)
			control_event_kernel(c);
		c->kernel_refuses = refuses;
		control_settings_update(c);
	}
	/* the tables are there by now; roles come and go on top of them */
	if (dirty && c->plan && control_roles_update(c, now_ns) < 0)
		c->dirty = true;
	if (dirty && c->plan) {
		control_resend_update(c, now_ns);
		control_claim_update(c, now_ns);
		control_report_changed(c);
	}
	c->ready = c->has_want && !c->kernel_refuses && c->synced;
	if (c->objects_changed)
		(void)loop_timer_set(c->saver, now_ns + 200 * NS_PER_MS);
	if (dirty) {
		c->planned_ns = mono_now_ns();
		c->plan_took_ns = c->planned_ns - now_ns;
	}
	look_again(c);
	return 0;
}
