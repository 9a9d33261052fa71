/* Events (events.k8s.io/v1): a queue, one request at a time, series of what repeats. See kube_event_core.c. */
#include "kube/kube_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define QUEUE_MAX 1000u
#define SERIES_MAX 10000u
#define FIELD_MAX 128u
#define NOTE_MAX 1024u
#define NAME_MAX_LEN 253u
#define TICK_NS (30 * NS_PER_S)
/* One object: 25 at once, then one per 5 minutes. All together: 50 at once, then 10 a second. */
#define OBJECT_BURST 25u
#define OBJECT_REFILL_NS (300 * NS_PER_S)
#define TOTAL_BURST 50u
#define TOTAL_REFILL_NS (100 * NS_PER_MS)

struct series {
	UT_hash_handle hh;
	struct kube_series core;
	json_t *event; /* as it is posted */
	uint64_t last_wall_ns;
	bool is_queued;
	TAILQ_ENTRY(series) in_queue;
	char key[];
};

/* What one object may still say. */
struct speaker {
	UT_hash_handle hh;
	struct kube_bucket bucket;
	char key[];
};

TAILQ_HEAD(queue, series);

struct kube_events {
	struct kube *k;
	char controller[FIELD_MAX + 1], instance[FIELD_MAX + 1];
	struct series *series;
	struct speaker *speakers;
	struct queue queue;
	size_t n_queued;
	struct series *sending; /* not in the queue */
	struct kube_call *call;
	struct loop_source *timer; /* to send */
	struct loop_source *ticker; /* to look after the series */
	struct kube_bucket bucket;
	uint64_t last_name_ns;
	struct kube_events_stats stats;
};

/* ---- texts ---- */

static uint64_t wall_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* metav1.MicroTime. */
static json_t *micro_time(uint64_t wall)
{
	time_t s = (time_t)(wall / NS_PER_S);
	char text[64];
	struct tm tm;
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));

	(void)snprintf(text + n, sizeof(text) - n, ".%06" PRIu64 "Z", wall % NS_PER_S / NS_PER_US);
	return json_string(text);
}

/* At most max bytes of valid UTF-8. */
static json_t *cut(const char *text, size_t max)
{
	const uint8_t *bytes = (const uint8_t *)(text ? text : "");
	size_t len = strlen((const char *)bytes);

	len = utf8_cut(bytes, utf8_valid_len(bytes, len), max);
	return json_stringn((const char *)bytes, len);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* "<object's name>.<nanoseconds in hex>", a DNS subdomain, never the same twice. */
static void event_name(struct kube_events *e, const char *name, uint64_t wall, char *dst,
		       size_t size)
{
	char suffix[20];
	size_t len = strlen(name);

	e->last_name_ns = wall > e->last_name_ns ? wall : e->last_name_ns + 1;
	(void)snprintf(suffix, sizeof(suffix), ".%" PRIx64, e->last_name_ns);
	if (len > NAME_MAX_LEN - strlen(suffix))
		len = NAME_MAX_LEN - strlen(suffix);
	while (len > 0 && !isalnum((unsigned char)name[len - 1]))
		len--;
	(void)snprintf(dst, size, "%.*s%s", (int)len, name, suffix);
}

/* Members that are empty are left out: the API takes them for absent anyway. */
static int set_text(json_t *object, const char *key, const char *text)
{
	return text && text[0] ? json_object_set_new(object, key, json_string(text)) : 0;
}

static json_t *regarding_of(const struct kube_event *ev)
{
	json_auto_t *o = json_object();

	if (!o || set_text(o, "apiVersion", ev->api_version) < 0 ||
	    set_text(o, "kind", ev->kind) < 0 || set_text(o, "namespace", ev->namespace_) < 0 ||
	    set_text(o, "name", ev->name) < 0 || set_text(o, "uid", ev->uid) < 0 ||
	    set_text(o, "resourceVersion", ev->resource_version) < 0)
		return NULL;
	return STEAL(o);
}

/* The same, of whatever else has a part in it; NULL if there is nothing. */
static json_t *related_to(const struct kube_event *ev)
{
	const struct kube_event related = {
		.api_version = ev->related_api_version,
		.kind = ev->related_kind,
		.name = ev->related_name,
	};

	return related.name && related.name[0] ? regarding_of(&related) : NULL;
}

static json_t *event_json(struct kube_events *e, const struct kube_event *ev, uint64_t wall)
{
	char name[NAME_MAX_LEN + 1];
	/* Events regarding what has no namespace must be here. */
	const char *ns = ev->namespace_ && ev->namespace_[0] ? ev->namespace_ : "default";

	event_name(e, or_empty(ev->name), wall, name, sizeof(name));
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o*}",
			 "apiVersion", "events.k8s.io/v1", "kind", "Event", "metadata", "name",
			 name, "namespace", ns, "eventTime", micro_time(wall),
			 "reportingController", e->controller, "reportingInstance", e->instance,
			 "action", cut(ev->action, FIELD_MAX), "reason", cut(ev->reason, FIELD_MAX),
			 "regarding", regarding_of(ev), "note", cut(ev->note, NOTE_MAX), "type",
			 ev->is_warning ? "Warning" : "Normal", "related", related_to(ev));
}

/* ---- sending ---- */

static void queue_push(struct kube_events *e, struct series *s)
{
	if (s->is_queued || s == e->sending)
		return;
	s->is_queued = true;
	e->n_queued++;
	TAILQ_INSERT_TAIL(&e->queue, s, in_queue);
}

static void series_forget(struct kube_events *e, struct series *s)
{
	if (s->is_queued) {
		TAILQ_REMOVE(&e->queue, s, in_queue);
		e->n_queued--;
	}
	HASH_DEL(e->series, s);
	json_decref(s->event);
	free(s);
}

static void send_at(struct kube_events *e, uint64_t when_ns)
{
	if (!e->sending && !TAILQ_EMPTY(&e->queue))
		(void)loop_timer_set(e->timer, when_ns);
}

static enum kube_series_end end_of(const struct kube_response *r, bool is_posted)
{
	if (r->status / 100 == 2)
		return KUBE_SERIES_OK;
	/* Our own request did arrive, it was the answer that was lost. */
	if (r->status == 409 && !is_posted && strcmp(r->reason, "AlreadyExists") == 0)
		return KUBE_SERIES_OK;
	if (r->status == 404)
		return KUBE_SERIES_GONE;
	if (r->status == 0 || r->status == 401 || r->status == 429 ||
	    (r->status >= 500 && r->retry_after_ns))
		return KUBE_SERIES_LATER;
	return KUBE_SERIES_REFUSED;
}

static void on_sent(void *user, const struct kube_response *r)
{
	struct kube_events *e = user;
	struct series *s = STEAL(e->sending);
	uint64_t now_ns = loop_now_ns(e->k->loop), when_ns = now_ns + 1;
	enum kube_series_end end = end_of(r, s->core.is_posted);

	e->call = NULL;
	switch (kube_series_sent(&s->core, end, now_ns)) {
	case KUBE_SERIES_KEEP:
		e->stats.n_sent++;
		if (s->core.wants_send)
			queue_push(e, s);
		break;
	case KUBE_SERIES_AGAIN:
		queue_push(e, s);
		break;
	case KUBE_SERIES_RETRY:
		/* The others would fare no better now. */
		s->is_queued = true;
		e->n_queued++;
		TAILQ_INSERT_HEAD(&e->queue, s, in_queue);
		when_ns = now_ns + kube_series_retry_ns(r->retry_after_ns, kube_dice());
		break;
	case KUBE_SERIES_DROP:
		if (e->stats.n_failed++ == 0)
			kube_report(e->k, LOG_LEVEL_WARNING, "Event could not be written: %s",
				    r->message);
		series_forget(e, s);
		break;
	}
	send_at(e, when_ns);
}

/* The body of a PATCH, or what a POST of a series that had been there before needs beside the Event. */
static json_t *series_json(const struct series *s)
{
	return json_pack("{s:i, s:o}", "count", (int)s->core.sending, "lastObservedTime",
			 micro_time(s->last_wall_ns));
}

static int series_send(struct kube_events *e, struct series *s)
{
	const json_t *meta = json_object_get(s->event, "metadata");
	bool is_patch = s->core.is_posted;
	AUTO(free_p) char *path = NULL;
	json_auto_t *body = is_patch ? json_object() : json_copy(s->event);

	s->core.sending = s->core.count;
	s->core.wants_send = false;
	if (!body ||
	    (s->core.sending >= 2 && json_object_set_new(body, "series", series_json(s)) < 0))
		return -ENOMEM;
	if (asprintf(&path, "/apis/events.k8s.io/v1/namespaces/%s/events%s%s",
		     json_string_value(json_object_get(meta, "namespace")), is_patch ? "/" : "",
		     is_patch ? json_string_value(json_object_get(meta, "name")) : "") < 0) {
		path = NULL;
		return -ENOMEM;
	}

	const struct kube_request request = {
		.method = is_patch ? KUBE_MERGE_PATCH : KUBE_POST,
		.path = path,
		.body = body,
	};

	return kube_request(e->k, &request, on_sent, e, &e->call);
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct kube_events *e = user;
	struct series *s = TAILQ_FIRST(&e->queue);

	if (!s || e->sending)
		return 0;
	if (!kube_bucket_take(&e->bucket, now_ns)) {
		send_at(e, kube_bucket_next_ns(&e->bucket));
		return 0;
	}
	TAILQ_REMOVE(&e->queue, s, in_queue);
	s->is_queued = false;
	e->n_queued--;

	int r = series_send(e, s);

	if (r == 0) {
		e->sending = s;
		return 0;
	}
	e->stats.n_failed++;
	series_forget(e, s);
	send_at(e, now_ns + 1);
	return r;
}

/* ---- what happens ---- */

static char *object_key(const struct kube_event *ev)
{
	char *key = NULL;

	if (asprintf(&key, "%s\n%s\n%s\n%s", or_empty(ev->kind), or_empty(ev->namespace_),
		     or_empty(ev->name), or_empty(ev->uid)) < 0)
		return NULL;
	return key;
}

static bool may_speak(struct kube_events *e, const char *key, uint64_t now_ns)
{
	struct speaker *sp = NULL;
	size_t len = strlen(key);

	HASH_FIND(hh, e->speakers, key, len, sp);
	if (!sp) {
		sp = calloc(1, sizeof(*sp) + len + 1);
		if (!sp)
			return false;
		memcpy(sp->key, key, len);
		sp->bucket = (struct kube_bucket){
			.refill_ns = OBJECT_REFILL_NS,
			.since_ns = now_ns,
			.burst = OBJECT_BURST,
			.tokens = OBJECT_BURST,
		};
		HASH_ADD_KEYPTR(hh, e->speakers, sp->key, len, sp);
		if (!sp->hh.tbl) {
			free(sp);
			return false;
		}
	}
	return kube_bucket_take(&sp->bucket, now_ns);
}

static struct series *series_new(struct kube_events *e, const struct kube_event *ev,
				 const char *key)
{
	size_t len = strlen(key);
	struct series *s = calloc(1, sizeof(*s) + len + 1);

	if (!s)
		return NULL;
	memcpy(s->key, key, len);
	s->event = event_json(e, ev, wall_ns());
	if (s->event)
		HASH_ADD_KEYPTR(hh, e->series, s->key, len, s);
	if (!s->event || !s->hh.tbl) {
		json_decref(s->event);
		free(s);
		return NULL;
	}
	return s;
}

static struct series *series_take(struct kube_events *e, const struct kube_event *ev,
				  uint64_t now_ns)
{
	AUTO(free_p) char *object = object_key(ev);
	AUTO(free_p) char *key = NULL;
	struct series *s = NULL;

	if (!object ||
	    asprintf(&key, "%d\n%s\n%s\n%s\n%s\n%s", ev->is_warning, or_empty(ev->action),
		     or_empty(ev->reason), or_empty(ev->related_kind), or_empty(ev->related_name),
		     object) < 0) {
		key = NULL;
		return NULL;
	}
	HASH_FIND(hh, e->series, key, strlen(key), s);
	if (s)
		return s;
	if (e->n_queued >= QUEUE_MAX || HASH_COUNT(e->series) >= SERIES_MAX ||
	    !may_speak(e, object, now_ns))
		return NULL;
	return series_new(e, ev, key);
}

void kube_event(struct kube_events *e, const struct kube_event *event)
{
	uint64_t now_ns = loop_now_ns(e->k->loop);
	struct series *s = series_take(e, event, now_ns);

	if (!s) {
		e->stats.n_dropped++;
		return;
	}
	kube_series_occur(&s->core, now_ns);
	s->last_wall_ns = wall_ns();
	if (s->core.wants_send && !s->is_queued && s != e->sending) {
		bool was_empty = TAILQ_EMPTY(&e->queue);

		queue_push(e, s);
		/* Else the timer is set already, perhaps to a time that a server asked for. */
		if (was_empty)
			send_at(e, now_ns + 1);
	}
}

static int on_tick(void *user, uint64_t now_ns)
{
	struct kube_events *e = user;
	bool was_empty = TAILQ_EMPTY(&e->queue);
	struct series *s, *next_s;
	struct speaker *sp, *next_sp;

	HASH_ITER(hh, e->series, s, next_s)
	{
		if (s == e->sending || s->is_queued)
			continue;
		if (kube_series_tick(&s->core, now_ns))
			series_forget(e, s);
		else if (s->core.wants_send)
			queue_push(e, s);
	}
	HASH_ITER(hh, e->speakers, sp, next_sp)
	{
		if (!kube_bucket_is_full(&sp->bucket, now_ns))
			continue;
		HASH_DEL(e->speakers, sp);
		free(sp);
	}
	if (was_empty)
		send_at(e, now_ns + 1);
	return loop_timer_set(e->ticker, now_ns + TICK_NS);
}

/* ---- life ---- */

void kube_events_free(struct kube_events *e)
{
	struct series *s, *next_s;
	struct speaker *sp, *next_sp;

	if (!e)
		return;
	kube_call_cancel(e->call);
	HASH_ITER(hh, e->series, s, next_s) series_forget(e, s);
	HASH_ITER(hh, e->speakers, sp, next_sp)
	{
		HASH_DEL(e->speakers, sp);
		free(sp);
	}
	loop_source_free(e->timer);
	loop_source_free(e->ticker);
	free(e);
}

void kube_events_free_p(struct kube_events **e)
{
	kube_events_free(*e);
	*e = NULL;
}

int kube_events_new(struct kube *k, const char *controller, const char *instance,
		    struct kube_events **ret, struct verr *reterr)
{
	AUTO(kube_events_free_p) struct kube_events *e = calloc(1, sizeof(*e));

	if (!e)
		return verr_set(reterr, ENOMEM, "out of memory");
	e->k = k;
	TAILQ_INIT(&e->queue);
	(void)snprintf(e->controller, sizeof(e->controller), "%s", controller);
	(void)snprintf(e->instance, sizeof(e->instance), "%s", instance);
	e->bucket = (struct kube_bucket){
		.refill_ns = TOTAL_REFILL_NS,
		.since_ns = loop_now_ns(k->loop),
		.burst = TOTAL_BURST,
		.tokens = TOTAL_BURST,
	};

	int r = loop_add_timer(k->loop, LOOP_PRIO_OUTWARD, on_timer, e, &e->timer);

	if (r == 0)
		r = loop_add_timer(k->loop, LOOP_PRIO_OUTWARD, on_tick, e, &e->ticker);
	if (r == 0)
		r = loop_timer_set(e->ticker, loop_now_ns(k->loop) + TICK_NS);
	if (r < 0)
		return verr_set(reterr, -r, "timer: %s", strerror(-r));
	*ret = STEAL(e);
	return 0;
}

bool kube_events_idle(const struct kube_events *e)
{
	return !e->sending && TAILQ_EMPTY(&e->queue);
}

void kube_events_stats(const struct kube_events *e, struct kube_events_stats *ret)
{
	*ret = e->stats;
}
