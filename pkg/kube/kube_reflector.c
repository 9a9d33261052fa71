/*
 * A reflector: the core says when to list and to watch; this does it, checks what comes, and delivers it.
 * An answer is checked as a whole before any of it is believed, and believed before the core is told: so
 * nothing is swept that a list has named, and no version is passed that was not delivered.
 */
#include "kube/kube_reflector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LIST_NS (60 * NS_PER_S)
#define LIST_MAX_BYTES (256u << 20)
#define EVENT_MAX_BYTES (16u << 20)
/* The server ends a watch after 300 to 600 s by itself; the request ends a little later. */
#define WATCH_MIN_S 300u
#define WATCH_SPREAD_S 300u
#define WATCH_GRACE_S 10u

/* ---- the core's wishes ---- */

static const struct kube_transfer_ops list_ops;
static const struct kube_transfer_ops watch_ops;

static int start(struct kube_reflector *r, const struct kube_query *query, size_t n,
		 const struct kube_transfer_ops *ops, uint64_t timeout_ns)
{
	AUTO(free_p) char *path = kube_url_path(r->path, query, n);

	if (!path)
		return -ENOMEM;

	const struct kube_transfer_conf conf = {
		.method = "GET",
		.path = path,
		.timeout_ns = timeout_ns,
		.max_body = LIST_MAX_BYTES,
		.is_stream = ops == &watch_ops,
	};

	return kube_transfer_start(r->k, &conf, ops, r, &r->transfer);
}

static int start_list(struct kube_reflector *r, const char *version, unsigned int limit,
		      const char *token)
{
	char limit_text[16] = "";

	if (limit > 0)
		(void)snprintf(limit_text, sizeof(limit_text), "%u", limit);

	const struct kube_query query[] = {
		{"limit", limit_text},
		{"continue", token},
		{"resourceVersion", version},
		{"fieldSelector", r->field_selector},
		{"labelSelector", r->label_selector},
	};

	r->stats.n_lists++;
	return start(r, query, ARRAY_LEN(query), &list_ops, LIST_NS);
}

static int start_watch(struct kube_reflector *r, const char *version)
{
	unsigned int timeout_s = WATCH_MIN_S + kube_dice() % (WATCH_SPREAD_S + 1);
	char timeout_text[16];

	(void)snprintf(timeout_text, sizeof(timeout_text), "%u", timeout_s);

	const struct kube_query query[] = {
		{"watch", "1"},
		{"resourceVersion", version},
		{"allowWatchBookmarks", "true"},
		{"timeoutSeconds", timeout_text},
		{"fieldSelector", r->field_selector},
		{"labelSelector", r->label_selector},
	};

	r->stats.n_watches++;
	kube_splitter_done(&r->splitter);
	return start(r, query, ARRAY_LEN(query), &watch_ops,
		     (timeout_s + WATCH_GRACE_S) * NS_PER_S);
}

/* 0, or -ENOMEM if a request could not be started. */
static int perform(struct kube_reflector *r, const struct kube_reflect_out *out)
{
	if (out->acts & KUBE_ACT_DROP) {
		kube_transfer_cancel(r->transfer);
		r->transfer = NULL;
	}
	if (out->acts & KUBE_ACT_SWEEP)
		kube_deliver_sweep(r);
	if (out->acts & KUBE_ACT_SYNCED) {
		r->stats.is_synced = true;
		kube_deliver(r, OBJECT_SYNCED, NULL, NULL);
	}
	(void)loop_timer_set(r->timer, out->deadline_ns);
	if (out->acts & KUBE_ACT_LIST) {
		r->round++;
		return start_list(r, out->version, out->limit, NULL);
	}
	if (out->acts & KUBE_ACT_LIST_MORE)
		return start_list(r, NULL, KUBE_PAGE_LIMIT, r->token);
	if (out->acts & KUBE_ACT_WATCH)
		return start_watch(r, out->version);
	return 0;
}

/* Ends, since a request that cannot be started makes the core sleep. */
static void step(struct kube_reflector *r, struct kube_reflect_ev ev)
{
	for (;;) {
		struct kube_reflect_out out;

		ev.dice = kube_dice();
		r->core.backoff.base_ns = r->k->backoff_base_ns;
		r->core.backoff.max_ns = r->k->backoff_max_ns;
		kube_reflect_step(&r->core, &ev, &out);

		int err = perform(r, &out);

		if (err == 0)
			return;
		(void)snprintf(r->problem, sizeof(r->problem), "%s", strerror(-err));
		r->stats.n_errors++;
		ev = (struct kube_reflect_ev){
			.type = out.acts & KUBE_ACT_WATCH ? KUBE_EV_WATCH_FAILED
							  : KUBE_EV_LIST_FAILED,
			.now_ns = ev.now_ns,
			.fail = KUBE_FAIL_NET,
		};
	}
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct kube_reflector *r = user;
	enum kube_reflect_ev_type type =
		r->core.state == KUBE_REFLECT_IDLE ? KUBE_EV_START : KUBE_EV_TIMER;

	step(r, (struct kube_reflect_ev){.type = type, .now_ns = now_ns});
	return 0;
}

void kube_reflectors_back(struct kube *k, uint64_t now_ns)
{
	struct kube_reflector *r;

	TAILQ_FOREACH(r, &k->reflectors, in_all)
	{
		step(r, (struct kube_reflect_ev){.type = KUBE_EV_BACK, .now_ns = now_ns});
	}
}

void kube_reflector_relist(struct kube_reflector *r)
{
	step(r,
	     (struct kube_reflect_ev){.type = KUBE_EV_RELIST, .now_ns = loop_now_ns(r->k->loop)});
}

/* ---- lists ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int keep_token(struct kube_reflector *r, const json_t *list)
{
	const char *token = text_of(json_object_get(list, "metadata"), "continue");

	free(r->token);
	r->token = token[0] ? strdup(token) : NULL;
	return token[0] && !r->token ? -ENOMEM : 0;
}

static void on_list_done(void *user, const struct kube_result *result, uint64_t now_ns)
{
	struct kube_reflector *r = user;
	struct kube_reflect_ev ev = {.type = KUBE_EV_LIST_FAILED, .now_ns = now_ns};
	json_auto_t *list = NULL;

	r->transfer = NULL;
	if (result->fail != KUBE_FAIL_NONE || result->status != 200) {
		ev.fail = kube_note_result(r, result, &ev.retry_after_ns);
		step(r, ev);
		return;
	}
	list = json_loadb(result->body, result->len, JSON_ALLOW_NUL, NULL);

	const char *problem = kube_list_problem(r, list);

	if (!problem && (kube_deliver_page(r, list) < 0 || keep_token(r, list) < 0))
		problem = "out of memory";
	if (problem) {
		ev.fail = kube_note_bad(r, problem);
		step(r, ev);
		return;
	}
	r->stats.contact_ns = now_ns;
	ev.type = KUBE_EV_LIST_PAGE;
	ev.version = text_of(json_object_get(list, "metadata"), "resourceVersion");
	ev.has_more = r->token != NULL;
	step(r, ev);
}

static const struct kube_transfer_ops list_ops = {.on_done = on_list_done};

/* ---- watches ---- */

struct feeding {
	struct kube_reflector *r;
	uint64_t now_ns;
};

/* -ECANCELED once the watch is closed: the rest of the bytes is nobody's. */
static int watch_broken(const struct feeding *f, enum kube_fail fail, uint64_t retry_after_ns)
{
	step(f->r, (struct kube_reflect_ev){
			   .type = KUBE_EV_WATCH_ERROR,
			   .now_ns = f->now_ns,
			   .fail = fail,
			   .retry_after_ns = retry_after_ns,
		   });
	return -ECANCELED;
}

static int on_error_event(const struct feeding *f, const json_t *status)
{
	struct kube_reflector *r = f->r;
	struct kube_status s;

	kube_status_read(0, status, 0, &s);
	(void)snprintf(r->problem, sizeof(r->problem), "%d %.100s: %.300s", s.code, s.reason,
		       s.message);
	if (s.fail == KUBE_FAIL_EXPIRED || s.fail == KUBE_FAIL_BUSY)
		r->stats.n_errors++;
	else
		kube_note_problem(r, s.code, false);
	return watch_broken(f, s.fail, s.retry_after_ns);
}

static int on_change(const struct feeding *f, const struct kube_watch_event *e)
{
	struct kube_reflector *r = f->r;
	int err;

	if (e->type == KUBE_WATCH_DELETED)
		err = kube_deliver_gone(r, &e->meta);
	else
		err = kube_deliver_set(r, e->object, "");
	return err < 0 ? watch_broken(f, kube_note_bad(r, "out of memory"), 0) : 0;
}

static int on_event(void *user, const char *bytes, size_t len)
{
	const struct feeding *f = user;
	struct kube_reflector *r = f->r;
	json_auto_t *json = json_loadb(bytes, len, JSON_ALLOW_NUL, NULL);
	struct kube_reflect_ev ev = {.type = KUBE_EV_WATCH_CHANGE, .now_ns = f->now_ns};
	struct kube_watch_event e;

	if (!json || kube_watch_event_read(json, &e) < 0)
		return watch_broken(
			f, kube_note_bad(r, "the watch sent something that is no event"), 0);
	r->stats.n_events++;
	if (e.type == KUBE_WATCH_ERROR)
		return on_error_event(f, e.object);
	ev.version = e.meta.resource_version;
	if (strcmp(e.meta.kind, r->kind) != 0) {
		ev.type = KUBE_EV_WATCH_ALIEN;
	} else if (e.type == KUBE_WATCH_BOOKMARK) {
		ev.type = KUBE_EV_WATCH_BOOKMARK;
	} else {
		int err = on_change(f, &e);

		if (err < 0)
			return err;
	}
	step(r, ev);
	return 0;
}

static void on_watch_open(void *user, uint64_t now_ns)
{
	struct kube_reflector *r = user;

	r->stats.contact_ns = now_ns;
	kube_note_good(r);
	step(r, (struct kube_reflect_ev){.type = KUBE_EV_WATCH_OPEN, .now_ns = now_ns});
}

static void on_watch_bytes(void *user, const char *bytes, size_t len, uint64_t now_ns)
{
	struct kube_reflector *r = user;
	struct feeding f = {.r = r, .now_ns = now_ns};

	r->stats.contact_ns = now_ns;
	step(r, (struct kube_reflect_ev){.type = KUBE_EV_WATCH_BYTES, .now_ns = now_ns});

	int err = kube_splitter_feed(&r->splitter, bytes, len, on_event, &f);

	if (err < 0 && err != -ECANCELED)
		(void)watch_broken(&f,
				   kube_note_bad(r, err == -EFBIG    ? "an event is too big"
						    : err == -ENOMEM ? "out of memory"
								     : "the watch sent no JSON"),
				   0);
}

static void on_watch_done(void *user, const struct kube_result *result, uint64_t now_ns)
{
	struct kube_reflector *r = user;
	struct kube_reflect_ev ev = {.type = KUBE_EV_WATCH_ENDED, .now_ns = now_ns};

	r->transfer = NULL;
	if (!r->core.is_open) {
		ev.type = KUBE_EV_WATCH_FAILED;
		ev.fail = kube_note_result(r, result, &ev.retry_after_ns);
	}
	step(r, ev);
}

static const struct kube_transfer_ops watch_ops = {
	.on_open = on_watch_open,
	.on_bytes = on_watch_bytes,
	.on_done = on_watch_done,
};

/* ---- life ---- */

void kube_reflector_free(struct kube_reflector *r)
{
	if (!r)
		return;
	TAILQ_REMOVE(&r->k->reflectors, r, in_all);
	kube_transfer_cancel(r->transfer);
	loop_source_free(r->timer);
	kube_splitter_done(&r->splitter);
	kube_store_free(r->store);
	free(r->path);
	free(r->kind);
	free(r->list_kind);
	free(r->field_selector);
	free(r->label_selector);
	free(r->origin);
	free(r->token);
	free(r);
}

void kube_reflector_free_p(struct kube_reflector **r)
{
	kube_reflector_free(*r);
	*r = NULL;
}

static bool copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return !text || *ret;
}

static bool copy_resource(struct kube_reflector *r, const struct kube_resource *resource)
{
	const char *selector =
		resource->field_selector ? resource->field_selector : resource->label_selector;

	if (!copy(resource->path, &r->path) || !copy(resource->kind, &r->kind) ||
	    !copy(resource->field_selector, &r->field_selector) ||
	    !copy(resource->label_selector, &r->label_selector))
		return false;
	if (asprintf(&r->list_kind, "%sList", resource->kind) < 0) {
		r->list_kind = NULL;
		return false;
	}
	if (asprintf(&r->origin, "%s%s%s", resource->path, selector ? "?" : "",
		     selector ? selector : "") < 0) {
		r->origin = NULL;
		return false;
	}
	return true;
}

int kube_reflector_new(struct kube *k, const struct kube_resource *resource, object_sink_fn sink,
		       void *user, struct kube_reflector **ret, struct verr *reterr)
{
	AUTO(kube_reflector_free_p) struct kube_reflector *r = calloc(1, sizeof(*r));

	if (!r)
		return verr_set(reterr, ENOMEM, "out of memory");
	r->k = k;
	TAILQ_INSERT_TAIL(&k->reflectors, r, in_all);
	r->sink = sink;
	r->user = user;
	kube_reflect_init(&r->core);
	kube_splitter_init(&r->splitter, EVENT_MAX_BYTES);
	if (!copy_resource(r, resource) || kube_store_new(&r->store) < 0)
		return verr_set(reterr, ENOMEM, "out of memory");

	int err = loop_add_timer(k->loop, LOOP_PRIO_NORMAL, on_timer, r, &r->timer);

	if (err == 0)
		err = loop_timer_set(r->timer, loop_now_ns(k->loop) + 1);
	if (err < 0)
		return verr_set(reterr, -err, "timer: %s", strerror(-err));
	*ret = STEAL(r);
	return 0;
}

void kube_reflector_stats(const struct kube_reflector *r, struct kube_reflector_stats *ret)
{
	*ret = r->stats;
	ret->is_watching = r->core.state == KUBE_REFLECT_WATCHING && r->core.is_open;
	ret->n_objects = kube_store_count(r->store);
	ret->problem = ret->is_watching || !r->problem[0] ? NULL : r->problem;
	ret->resource_version = r->core.version;
}
