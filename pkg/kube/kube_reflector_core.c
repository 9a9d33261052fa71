/*
 * When a reflector lists, watches and waits: client-go's state machine (tools/cache/reflector.go) with its
 * rules, and a few of our own where they are not enough for an agent whose objects are a cluster's addresses:
 * - the first list asks for what is latest, not for whatever a cache holds;
 * - a missing resource is asked for about every 0.6 s, because its objects will be wanted at once;
 * - no two watches begin within half a second, whatever ends them.
 */
#include "kube/kube_internal.h"

#include <string.h>

/* A 404 costs the server little, and VIPs wait for the end of it. */
#define MISSING_NS (500 * NS_PER_MS)
/* A server that says when to come again knows better than a formula; but not for ever. */
#define BUSY_MAX 10u
/* Those that waited for the server to be back do not all come at once. */
#define BACK_NS (1 * NS_PER_S)
/* A watch without an event that ended so soon is a failure. */
#define SHORT_WATCH_NS (1 * NS_PER_S)
#define WATCH_GAP_NS (500 * NS_PER_MS)
/* Bookmarks come about every minute. */
#define SILENCE_NS (150 * NS_PER_S)
/* A version that expires so soon after a list was never any good: no list at once. */
#define FRESH_LIST_NS (10 * NS_PER_S)

void kube_reflect_init(struct kube_reflect *s)
{
	*s = (struct kube_reflect){.state = KUBE_REFLECT_IDLE};
}

static void set_version(char *dst, const char *version)
{
	size_t len = strlen(version);

	if (len >= KUBE_VERSION_MAX)
		len = KUBE_VERSION_MAX - 1;
	memcpy(dst, version, len);
	dst[len] = '\0';
}

/* What the list under way asks for. */
static const char *asked_version(const struct kube_reflect *s)
{
	return s->is_lost ? "" : s->version;
}

static void list(struct kube_reflect *s, struct kube_reflect_out *out)
{
	s->state = KUBE_REFLECT_LISTING;
	s->is_paging = false;
	out->acts |= KUBE_ACT_LIST;
	out->version = asked_version(s);
	/* A limit with a version would bypass the server's watch cache. */
	out->limit = s->is_whole || out->version[0] ? 0 : KUBE_PAGE_LIMIT;
}

static void sleep_until(struct kube_reflect *s, uint64_t wake_ns, bool wakes_to_watch)
{
	s->state = KUBE_REFLECT_SLEEPING;
	s->wakes_to_watch = wakes_to_watch;
	s->is_cut_off = false;
	s->wake_ns = wake_ns;
}

static void watch(struct kube_reflect *s, uint64_t now_ns, struct kube_reflect_out *out)
{
	if (s->watched_ns && now_ns < s->watched_ns + WATCH_GAP_NS) {
		sleep_until(s, s->watched_ns + WATCH_GAP_NS, true);
		return;
	}
	s->state = KUBE_REFLECT_WATCHING;
	s->is_open = s->has_bookmark = false;
	s->n_heard = 0;
	s->watched_ns = s->opened_ns = s->heard_ns = now_ns;
	out->acts |= KUBE_ACT_WATCH;
	out->version = s->version;
}

/* ns and up to a part of it more. */
static uint64_t spread(uint64_t ns, uint64_t part, uint32_t dice)
{
	return ns + (uint64_t)((double)(ns / part) * (dice / 4294967296.0));
}

static void back_off(struct kube_reflect *s, const struct kube_reflect_ev *ev, bool wakes_to_watch)
{
	bool is_asked = ev->fail == KUBE_FAIL_BUSY && ev->retry_after_ns > 0;
	uint64_t sleep_ns;

	if (ev->fail == KUBE_FAIL_MISSING)
		sleep_ns = spread(MISSING_NS, 2, ev->dice);
	else if (is_asked && s->n_busy++ < BUSY_MAX)
		sleep_ns = spread(ev->retry_after_ns, 10, ev->dice);
	else
		sleep_ns = kube_backoff_next(&s->backoff, ev->now_ns, ev->retry_after_ns, ev->dice);
	sleep_until(s, ev->now_ns + sleep_ns, wakes_to_watch);
	s->is_cut_off = ev->fail == KUBE_FAIL_REFUSED || ev->fail == KUBE_FAIL_NET;
}

/*
 * A server that has just started fills its watch cache from a later version than that of the list before it, and
 * knows nothing older. That is no failure, and what the failures before it have earned is no reason to be late.
 */
static void retry_soon(struct kube_reflect *s, const struct kube_reflect_ev *ev)
{
	uint64_t base_ns = s->backoff.base_ns ? s->backoff.base_ns : KUBE_BACKOFF_BASE_NS;

	sleep_until(s, ev->now_ns + spread(base_ns, 1, ev->dice), false);
}

static void on_page(struct kube_reflect *s, const struct kube_reflect_ev *ev,
		    struct kube_reflect_out *out)
{
	if (!s->is_paging)
		set_version(s->list_version, ev->version);
	if (ev->has_more) {
		s->is_paging = true;
		out->acts |= KUBE_ACT_LIST_MORE;
		return;
	}
	out->acts |= KUBE_ACT_SWEEP;
	if (!s->is_synced)
		out->acts |= KUBE_ACT_SYNCED;
	s->is_synced = true;
	s->is_lost = s->is_whole = s->is_paging = false;
	s->listed_ns = ev->now_ns;
	set_version(s->version, s->list_version);
	watch(s, ev->now_ns, out);
}

static void on_list_failed(struct kube_reflect *s, const struct kube_reflect_ev *ev,
			   struct kube_reflect_out *out)
{
	bool was_paging = s->is_paging;

	s->is_paging = false;
	if (ev->fail == KUBE_FAIL_EXPIRED && was_paging && !s->is_whole) {
		/* The pages outlived their snapshot: all in one, at what was first asked for. */
		s->is_whole = true;
		list(s, out);
		return;
	}
	s->is_whole = false;
	if ((ev->fail == KUBE_FAIL_EXPIRED || ev->fail == KUBE_FAIL_AHEAD) && asked_version(s)[0]) {
		s->is_lost = true;
		list(s, out);
		return;
	}
	back_off(s, ev, false);
}

/* After a watch that cannot go on from its version, or should not. */
static void watch_failed(struct kube_reflect *s, const struct kube_reflect_ev *ev,
			 struct kube_reflect_out *out)
{
	switch (ev->fail) {
	case KUBE_FAIL_REFUSED:
	case KUBE_FAIL_BUSY:
		back_off(s, ev, true);
		break;
	case KUBE_FAIL_EXPIRED:
		/* Not "what is latest" yet: a list at a version means "not older than it". */
		if (ev->now_ns >= s->listed_ns + FRESH_LIST_NS)
			list(s, out);
		else if (s->n_stale++ == 0)
			retry_soon(s, ev);
		else
			back_off(s, ev, false);
		break;
	case KUBE_FAIL_NONE:
	case KUBE_FAIL_NET:
	case KUBE_FAIL_AHEAD:
	case KUBE_FAIL_MISSING:
	case KUBE_FAIL_STATUS:
	case KUBE_FAIL_BAD:
		back_off(s, ev, false);
		break;
	}
}

static void on_watch_ended(struct kube_reflect *s, const struct kube_reflect_ev *ev,
			   struct kube_reflect_out *out)
{
	if (s->n_heard == 0 && ev->now_ns < s->opened_ns + SHORT_WATCH_NS)
		back_off(s, ev, false);
	else
		watch(s, ev->now_ns, out);
}

static void on_timer(struct kube_reflect *s, const struct kube_reflect_ev *ev,
		     struct kube_reflect_out *out)
{
	switch (s->state) {
	case KUBE_REFLECT_IDLE:
	case KUBE_REFLECT_LISTING:
		break;
	case KUBE_REFLECT_SLEEPING:
		if (ev->now_ns < s->wake_ns)
			break;
		if (s->wakes_to_watch)
			watch(s, ev->now_ns, out);
		else
			list(s, out);
		break;
	case KUBE_REFLECT_WATCHING:
		if (s->has_bookmark && ev->now_ns >= s->heard_ns + SILENCE_NS) {
			out->acts |= KUBE_ACT_DROP;
			watch(s, ev->now_ns, out);
		}
		break;
	}
}

static void on_back(struct kube_reflect *s, const struct kube_reflect_ev *ev)
{
	uint64_t wake_ns = ev->now_ns + (uint64_t)((double)BACK_NS * (ev->dice / 4294967296.0));

	if (wake_ns < s->wake_ns)
		s->wake_ns = wake_ns;
}

/* Whatever is under way: what is known may be from another server. What has not begun will list anyway. */
static void on_relist(struct kube_reflect *s, struct kube_reflect_out *out)
{
	if (s->state == KUBE_REFLECT_IDLE)
		return;
	if (s->state != KUBE_REFLECT_SLEEPING)
		out->acts |= KUBE_ACT_DROP;
	s->is_lost = true;
	s->is_whole = false;
	list(s, out);
}

static void on_event(struct kube_reflect *s, const struct kube_reflect_ev *ev, bool is_bookmark)
{
	s->n_heard++;
	s->n_stale = 0;
	s->has_bookmark = s->has_bookmark || is_bookmark;
	set_version(s->version, ev->version);
}

static bool is_echo(const struct kube_reflect *s, enum kube_reflect_ev_type type)
{
	if (type >= KUBE_EV_WATCH_OPEN)
		return s->state != KUBE_REFLECT_WATCHING;
	return (type == KUBE_EV_LIST_PAGE || type == KUBE_EV_LIST_FAILED) &&
	       s->state != KUBE_REFLECT_LISTING;
}

static void step(struct kube_reflect *s, const struct kube_reflect_ev *ev,
		 struct kube_reflect_out *out)
{
	if (ev->type >= KUBE_EV_WATCH_OPEN)
		s->heard_ns = ev->now_ns;
	switch (ev->type) {
	case KUBE_EV_START:
		if (s->state == KUBE_REFLECT_IDLE)
			list(s, out);
		break;
	case KUBE_EV_TIMER:
		on_timer(s, ev, out);
		break;
	case KUBE_EV_BACK:
		if (s->state == KUBE_REFLECT_SLEEPING && s->is_cut_off)
			on_back(s, ev);
		break;
	case KUBE_EV_RELIST:
		on_relist(s, out);
		break;
	case KUBE_EV_LIST_PAGE:
		s->n_busy = 0;
		on_page(s, ev, out);
		break;
	case KUBE_EV_LIST_FAILED:
		on_list_failed(s, ev, out);
		break;
	case KUBE_EV_WATCH_OPEN:
		s->is_open = true;
		s->n_busy = 0;
		s->opened_ns = ev->now_ns;
		break;
	case KUBE_EV_WATCH_BYTES:
		break;
	case KUBE_EV_WATCH_CHANGE:
	case KUBE_EV_WATCH_BOOKMARK:
		on_event(s, ev, ev->type == KUBE_EV_WATCH_BOOKMARK);
		break;
	case KUBE_EV_WATCH_ALIEN:
		s->n_heard++;
		break;
	case KUBE_EV_WATCH_ERROR:
		out->acts |= KUBE_ACT_DROP;
		watch_failed(s, ev, out);
		break;
	case KUBE_EV_WATCH_FAILED:
		watch_failed(s, ev, out);
		break;
	case KUBE_EV_WATCH_ENDED:
		on_watch_ended(s, ev, out);
		break;
	}
}

void kube_reflect_step(struct kube_reflect *s, const struct kube_reflect_ev *ev,
		       struct kube_reflect_out *ret)
{
	*ret = (struct kube_reflect_out){.version = ""};
	/* An echo is what comes of something that was dropped. */
	if (!is_echo(s, ev->type))
		step(s, ev, ret);
	if (s->state == KUBE_REFLECT_SLEEPING)
		ret->deadline_ns = s->wake_ns;
	else if (s->state == KUBE_REFLECT_WATCHING && s->has_bookmark)
		ret->deadline_ns = s->heard_ns + SILENCE_NS;
}
