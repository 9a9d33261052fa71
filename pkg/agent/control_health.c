/* Targets of the plan, their probes and verdicts. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"
#include "dl/dl.h"

#define CHECKS_PER_TURN 64

static uint32_t phase_of(const struct addr *a, uint16_t port)
{
	/* any spread does, as long as it differs by target */
	uint64_t hash = hash_add(HASH_BEGIN, a->bytes, sizeof(a->bytes));

	return hash_end(hash_add(hash, &port, sizeof(port))) ^ (uint32_t)mono_now_ns();
}

static struct health_conf conf_of(const struct api_health_check *check)
{
	return (struct health_conf){
		.period_ns = check->period_ns,
		.timeout_ns = check->timeout_ns,
		.failure_threshold = check->failure_threshold,
		.success_threshold = check->success_threshold,
	};
}

/*
 * A suspect has been silent for a whole master-down interval already. Its first probe is short, so that the
 * clients of a dead node are reset within a second of the takeover.
 */
#define SUSPECT_TIMEOUT_NS (500 * NS_PER_MS)

static const struct api_health_check *check_of(struct control_target *t)
{
	if (!t->health.suspect || t->health.timeouts > 0 ||
	    t->check->timeout_ns <= SUSPECT_TIMEOUT_NS)
		return t->check;
	t->quick = *t->check;
	t->quick.timeout_ns = SUSPECT_TIMEOUT_NS;
	return &t->quick;
}

/* The timer only ever moves to an earlier time; one that comes for nothing sets it anew. */
static void arm(struct control *c)
{
	const struct heap_item *first = heap_first(&c->due_targets);

	if (!first || c->in_checks || (c->checks_ns && c->checks_ns <= first->due_ns))
		return;
	/* Cannot fail for a timer that exists; if it ever did, the next change tries again. */
	c->checks_ns = loop_timer_set(c->checks, first->due_ns) < 0 ? 0 : first->due_ns;
}

static const struct probe_result not_started = {.end = PROBE_LOCAL, .detail = "out of memory"};

static void on_done(void *user, const struct probe_result *result, uint64_t now_ns);

static void step(struct control_target *t, const struct health_event *ev)
{
	struct control *c = t->c;
	const struct health_conf conf = conf_of(t->check);
	struct health_out out = {0};
	enum health_verdict before = t->health.verdict;
	char text[ADDR_TEXT_MAX];

	health_step(&t->health, &conf, ev, &out);
	if (out.changed) {
		t->decided = t->last;
		log_info("Real server changed", KV_STR("address", addr_text(&t->address, text)),
			 KV_UINT("port", t->check->port),
			 KV_STR("from", health_verdict_name(before)),
			 KV_STR("to", health_verdict_name(t->health.verdict)),
			 KV_STR("result", t->health.suspect ? "suspect: its node fell silent"
							    : t->last.detail));
		control_changed(c);
	}
	if (out.went_gone)
		control_reset(c, &t->address, t->check, ev->now_ns);
	else if (out.changed && t->health.verdict == HEALTH_UNHEALTHY)
		control_reset_flows(c, ev->now_ns);
	if (out.probe) {
		probe_cancel(t->probe);
		t->probe = NULL;
		if (probe_start(c->probes, &t->address, check_of(t), on_done, t, &t->probe) < 0) {
			/* our own trouble, which says nothing of the server */
			on_done(t, &not_started, ev->now_ns);
			return;
		}
	}
	if (t->health.next_ns)
		heap_set(&c->due_targets, &t->due, t->health.next_ns);
	else
		heap_remove(&c->due_targets, &t->due);
	arm(c);
}

/* Without a carrier all others are silent, and it is this node that is gone: its clients wait for the cable. */
static bool is_cut_off(const struct control_target *t)
{
	const struct plan_vip *pv = control_planned(t->c, t->object->vip->name);
	const struct plan_link *l = pv ? control_link(t->c, pv->ifindex) : NULL;

	return l && !l->up;
}

static void on_done(void *user, const struct probe_result *result, uint64_t now_ns)
{
	struct control_target *t = user;
	bool is_silent = result->end == PROBE_L4_TIMEOUT;
	bool is_alone = is_silent && is_cut_off(t);
	const struct health_event ev = {
		.type = HEALTH_EV_RESULT,
		.now_ns = now_ns,
		.good = result->end == PROBE_OK,
		.timed_out = is_silent && !is_alone,
		.unreachable = result->unreachable || is_alone,
		.inconclusive = result->end == PROBE_LOCAL,
	};

	t->probe = NULL;
	t->last = *result;
	t->results[result->end]++;
	t->last_ns = now_ns;
	step(t, &ev);
}

/* All that are due: a thousand checks a second do not wake the machine a thousand times. */
static int on_timer(void *user, uint64_t now_ns)
{
	const struct health_event ev = {.type = HEALTH_EV_TIMER, .now_ns = now_ns};
	struct control *c = user;

	c->checks_ns = 0;
	c->in_checks = true;
	for (int i = 0; i < CHECKS_PER_TURN; i++) {
		struct heap_item *first = heap_first(&c->due_targets);

		if (!first || first->due_ns > now_ns)
			break;
		step(heap_entry(first, struct control_target, due), &ev);
	}
	c->in_checks = false;
	arm(c);
	return 0;
}

static void target_free(struct control_target *t)
{
	probe_cancel(t->probe);
	heap_remove(&t->c->due_targets, &t->due);
	control_object_unref(t->object);
	free(t);
}

static int target_order(const void *key, const void *item)
{
	const struct plan_target *k = key;
	const struct control_target *const *t = item;
	const struct plan_target have = {.address = (*t)->address, .check = (*t)->check};

	return plan_target_cmp(k, &have);
}

/* The targets are kept as plan_targets sorts them. */
static struct control_target *find(const struct control *c, const struct addr *address,
				   const struct api_health_check *check)
{
	const struct plan_target key = {.address = *address, .check = check};
	struct control_target **t = NULL;

	if (c->n_targets)
		t = bsearch(&key, c->targets, c->n_targets, sizeof(*c->targets), target_order);
	return t ? *t : NULL;
}

const struct control_target *control_health_find(const struct control *c,
						 const struct addr *address,
						 const struct api_health_check *check)
{
	return find(c, address, check);
}

/* At adoption the weight found in the kernel is the first verdict: that of a service which this check decides on. */
static bool adopted_healthy(const struct control *c, const struct plan_target *pt)
{
	for (size_t i = 0; c->n_have_services > 0 && i < c->plan->n_vips; i++) {
		const struct api_vip *vip = c->plan->vips[i].vip;

		for (size_t p = 0; p < vip->n_ports; p++) {
			struct control_dests d;

			if (!api_check_eq(&vip->ports[p].check, pt->check))
				continue;
			d = control_dests_of(c, vip, &vip->ports[p], &pt->address);
			if (d.any && d.weight > 0)
				return true;
		}
	}
	return false;
}

static struct control_object *object_of(struct control *c, const struct api_health_check *check)
{
	for (size_t i = 0; i < c->n_p_refs; i++) {
		const struct api_vip *vip = c->p_refs[i]->vip;

		for (size_t p = 0; vip && p < vip->n_ports; p++) {
			if (&vip->ports[p].check == check)
				return c->p_refs[i];
		}
	}
	return NULL;
}

static struct control_target *target_new(struct control *c, const struct plan_target *pt,
					 uint64_t now_ns)
{
	struct control_target *t = calloc(1, sizeof(*t));
	struct control_object *o = object_of(c, pt->check);
	struct verr err = {0};

	if (!t || !o) {
		free(t);
		return NULL;
	}
	t->c = c;
	t->address = pt->address;
	t->object = control_object_ref(o);
	t->check = pt->check;
	/* the probes will fail without a word */
	if (pt->check->kind != API_CHECK_TCP && dl_curl(&err) < 0)
		log_error("Checks over HTTP are not possible", KV_STR("err", err.msg));
	health_init(&t->health);
	const struct health_event ev = {
		.type = HEALTH_EV_START,
		.now_ns = now_ns,
		.phase = phase_of(&pt->address, pt->check->port),
		.adopted_healthy = adopted_healthy(c, pt),
	};

	step(t, &ev);
	return t;
}

int control_health_update(struct control *c, uint64_t now_ns)
{
	AUTO(free_p) struct plan_target *want = NULL;
	size_t n = 0, n_next = 0;
	int r = plan_targets(c->plan, &want, &n);

	if (r == 0 && !c->checks)
		r = loop_add_timer(c->loop, LOOP_PRIO_CHECK, on_timer, c, &c->checks);
	if (r < 0)
		return r;
	struct control_target **next = calloc(n + 1, sizeof(*next));

	if (!next || heap_reserve(&c->due_targets, c->n_targets + n) < 0) {
		free(next);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->n_targets; i++)
		c->targets[i]->used = false;
	for (size_t i = 0; i < n; i++) {
		struct control_target *t = find(c, &want[i].address, want[i].check);

		if (!t)
			t = target_new(c, &want[i], now_ns);
		if (!t) {
			r = -ENOMEM;
			continue;
		}
		t->used = true;
		next[n_next++] = t;
	}
	for (size_t i = 0; i < c->n_targets; i++) {
		if (!c->targets[i]->used)
			target_free(c->targets[i]);
	}
	free(c->targets);
	c->targets = next;
	c->n_targets = n_next;
	return r;
}

void control_health_suspect(struct control *c, const struct addr *server, uint64_t now_ns)
{
	const struct health_event ev = {.type = HEALTH_EV_SUSPECT, .now_ns = now_ns};

	for (size_t i = 0; i < c->n_targets; i++) {
		if (addr_eq(&c->targets[i]->address, server))
			step(c->targets[i], &ev);
	}
}

void control_health_done(struct control *c)
{
	for (size_t i = 0; i < c->n_targets; i++)
		target_free(c->targets[i]);
	free(c->targets);
	c->targets = NULL;
	c->n_targets = 0;
	loop_source_free_p(&c->checks);
	heap_done(&c->due_targets);
}
