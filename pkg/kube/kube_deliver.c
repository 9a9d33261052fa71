/*
 * What a reflector says outwards: objects to the sink, what is wrong to people. And what it believes: a list
 * is checked as a whole before any of it is delivered.
 */
#include "kube/kube_reflector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- to the sink ---- */

void kube_deliver(const struct kube_reflector *r, enum object_event_type type,
		  const struct kube_meta *m, json_t *object)
{
	const struct object_event ev = {
		.type = type,
		.kind = m ? r->kind : NULL,
		.namespace_ = m ? m->namespace_ : NULL,
		.name = m ? m->name : NULL,
		.object = object,
		.origin = r->origin,
		.problem = type == OBJECT_BAD ? r->problem : NULL,
	};

	r->sink(r->user, &ev);
}

int kube_deliver_set(struct kube_reflector *r, json_t *object, const char *api_version)
{
	struct kube_meta m;
	enum kube_news news;
	int err = kube_meta_read(object, false, &m);

	if (err == 0)
		err = kube_store_put(r->store, &m, r->round, &news);
	if (err < 0 || news == KUBE_NEWS_NONE)
		return err;
	if (news == KUBE_NEWS_REPLACED)
		kube_deliver(r, OBJECT_GONE, &m, NULL);
	/* The server leaves them out of the items of built-in lists. */
	if (!json_object_get(object, "kind"))
		(void)json_object_set_new(object, "kind", json_string(r->kind));
	if (!json_object_get(object, "apiVersion"))
		(void)json_object_set_new(object, "apiVersion", json_string(api_version));
	kube_deliver(r, OBJECT_SET, &m, object);
	return 0;
}

int kube_deliver_gone(struct kube_reflector *r, const struct kube_meta *m)
{
	bool was_known = false;
	int err = kube_store_remove(r->store, m, &was_known);

	if (err == 0 && was_known)
		kube_deliver(r, OBJECT_GONE, m, NULL);
	return err;
}

static void on_swept(void *user, const char *namespace_, const char *name)
{
	const struct kube_meta m = {.namespace_ = namespace_, .name = name};

	kube_deliver(user, OBJECT_GONE, &m, NULL);
}

/* ---- what is wrong, and that it is over ---- */

/* The server says something of the resource, not of itself or of us. */
static bool is_refusal(const struct kube_status *s)
{
	return s->fail != KUBE_FAIL_EXPIRED && s->fail != KUBE_FAIL_BUSY && s->code >= 400 &&
	       s->code < 500 && s->code != 401;
}

/* A version that the server does not know (any more) is part of the protocol, page by page, whole, then latest; more of
 * it in a row is a server that has gone mad. */
#define PROTOCOL_EXPIRED 3

/* What is reported each time that it changes: statuses of 4xx and 5xx, and answers that make no sense. */
void kube_note_problem(struct kube_reflector *r, int status, bool is_bad)
{
	r->stats.n_errors++;
	r->stats.status = status;
	if (!r->is_reported || r->reported_status != status)
		kube_report(r->k, LOG_LEVEL_WARNING, "%s of %s failed: %s",
			    r->core.state == KUBE_REFLECT_WATCHING ? "Watch" : "List", r->origin,
			    r->problem);
	if (is_bad && (!r->is_bad || r->reported_status != status))
		kube_deliver(r, OBJECT_BAD, NULL, NULL);
	r->is_bad = r->is_bad || is_bad;
	r->is_reported = true;
	r->reported_status = status;
}

void kube_note_good(struct kube_reflector *r)
{
	r->problem[0] = '\0';
	if (r->is_reported)
		kube_report(r->k, LOG_LEVEL_INFO, "Watch of %s works again", r->origin);
	if (r->is_bad)
		kube_deliver(r, OBJECT_GOOD, NULL, NULL);
	r->is_reported = r->is_bad = false;
	r->n_expired = 0;
}

/* Also what the core is to be told of it. */
enum kube_fail kube_note_result(struct kube_reflector *r, const struct kube_result *result,
				uint64_t *ret_retry_after_ns)
{
	json_auto_t *body = NULL;
	struct kube_status s = {.message = "", .reason = ""};

	*ret_retry_after_ns = 0;
	if (result->fail != KUBE_FAIL_NONE) {
		(void)kube_result_text(result, &s, r->problem, sizeof(r->problem));
		r->stats.n_errors++;
		r->stats.status = 0;
		return result->fail;
	}
	body = json_loadb(result->body, result->len, JSON_ALLOW_NUL, NULL);
	kube_status_read(result->status, body, result->retry_after_ns, &s);
	(void)kube_result_text(result, &s, r->problem, sizeof(r->problem));
	*ret_retry_after_ns = s.retry_after_ns;
	if ((s.fail == KUBE_FAIL_EXPIRED || s.fail == KUBE_FAIL_AHEAD) &&
	    ++r->n_expired <= PROTOCOL_EXPIRED)
		r->stats.n_errors++;
	else
		kube_note_problem(r, result->status, is_refusal(&s));
	return s.fail;
}

enum kube_fail kube_note_bad(struct kube_reflector *r, const char *text)
{
	(void)snprintf(r->problem, sizeof(r->problem), "%s", text);
	kube_note_problem(r, 0, false);
	return KUBE_FAIL_BAD;
}

/* ---- lists ---- */

/* NULL: it is the list that was asked for, complete and with items that are what they should be. */
const char *kube_list_problem(const struct kube_reflector *r, const json_t *list)
{
	const json_t *items = json_object_get(list, "items");
	const char *version = text_of(json_object_get(list, "metadata"), "resourceVersion");
	const json_t *item;
	size_t i;

	if (!json_is_object(list))
		return "the list is not JSON";
	if (strcmp(text_of(list, "kind"), r->list_kind) != 0)
		return "the list is of another kind";
	if (!version[0] || strlen(version) >= KUBE_VERSION_MAX)
		return "the list has no resourceVersion";
	if (!json_is_array(items) && !json_is_null(items))
		return "the list has no items";
	json_array_foreach(items, i, item)
	{
		struct kube_meta m;

		if (kube_meta_read(item, false, &m) < 0)
			return "an item of the list has no name, uid or resourceVersion";
		if (m.kind[0] && strcmp(m.kind, r->kind) != 0)
			return "an item of the list is of another kind";
	}
	return NULL;
}

int kube_deliver_page(struct kube_reflector *r, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		int err = kube_deliver_set(r, item, text_of(list, "apiVersion"));

		if (err < 0)
			return err;
	}
	return 0;
}

void kube_deliver_sweep(struct kube_reflector *r)
{
	kube_store_sweep(r->store, r->round, on_swept, r);
}
