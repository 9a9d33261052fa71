/* What the API server says: Status objects, metadata, watch events. Nothing in them is trusted to be there. */
#include "kube/kube_internal.h"

#include <errno.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool has_cause(const json_t *status, const char *reason)
{
	const json_t *causes = json_object_get(json_object_get(status, "details"), "causes");
	const json_t *cause;
	size_t i;

	json_array_foreach(causes, i,
			   cause) if (strcmp(text_of(cause, "reason"), reason) == 0) return true;
	return false;
}

/* Old servers say it in the message only. */
static bool is_ahead(const json_t *status)
{
	return has_cause(status, "ResourceVersionTooLarge") ||
	       strstr(text_of(status, "message"), "Too large resource version");
}

static enum kube_fail fail_of(const struct kube_status *s, const json_t *status)
{
	if (s->code == 410 || strcmp(s->reason, "Expired") == 0 || strcmp(s->reason, "Gone") == 0)
		return KUBE_FAIL_EXPIRED;
	if ((s->code == 504 || strcmp(s->reason, "Timeout") == 0) && is_ahead(status))
		return KUBE_FAIL_AHEAD;
	if (s->code == 429 || (s->code >= 500 && s->retry_after_ns))
		return KUBE_FAIL_BUSY;
	return s->code == 404 ? KUBE_FAIL_MISSING : KUBE_FAIL_STATUS;
}

void kube_status_read(int http, const json_t *status, uint64_t retry_after_ns,
		      struct kube_status *ret)
{
	json_int_t code = json_integer_value(json_object_get(status, "code"));
	json_int_t retry = json_integer_value(
		json_object_get(json_object_get(status, "details"), "retryAfterSeconds"));

	*ret = (struct kube_status){
		.code = http,
		.reason = text_of(status, "reason"),
		.message = text_of(status, "message"),
		.retry_after_ns = retry_after_ns,
	};
	if (http == 0)
		ret->code = code >= 100 && code <= 599 ? (int)code : 500;
	if (retry_after_ns == 0 && retry > 0 && retry <= 3600)
		ret->retry_after_ns = (uint64_t)retry * NS_PER_S;
	ret->fail = fail_of(ret, status);
}

int kube_meta_read(const json_t *object, bool is_bookmark, struct kube_meta *ret)
{
	const json_t *meta = json_object_get(object, "metadata");
	struct kube_meta m = {
		.kind = text_of(object, "kind"),
		.name = text_of(meta, "name"),
		.namespace_ = text_of(meta, "namespace"),
		.uid = text_of(meta, "uid"),
		.resource_version = text_of(meta, "resourceVersion"),
	};

	if (!m.resource_version[0] || strlen(m.resource_version) >= KUBE_VERSION_MAX)
		return -EBADMSG;
	if (!is_bookmark && (!m.name[0] || !m.uid[0]))
		return -EBADMSG;
	*ret = m;
	return 0;
}

int kube_watch_event_read(const json_t *event, struct kube_watch_event *ret)
{
	static const struct {
		const char *name;
		enum kube_watch_type type;
	} types[] = {
		{"ADDED", KUBE_WATCH_ADDED},     {"MODIFIED", KUBE_WATCH_MODIFIED},
		{"DELETED", KUBE_WATCH_DELETED}, {"BOOKMARK", KUBE_WATCH_BOOKMARK},
		{"ERROR", KUBE_WATCH_ERROR},
	};
	const char *name = text_of(event, "type");
	struct kube_watch_event e = {.object = json_object_get(event, "object")};
	size_t i = 0;

	while (i < ARRAY_LEN(types) && strcmp(types[i].name, name) != 0)
		i++;
	if (i == ARRAY_LEN(types) || !json_is_object(e.object))
		return -EBADMSG;
	e.type = types[i].type;
	if (e.type != KUBE_WATCH_ERROR) {
		int r = kube_meta_read(e.object, e.type == KUBE_WATCH_BOOKMARK, &e.meta);

		if (r < 0)
			return r;
	}
	*ret = e;
	return 0;
}
