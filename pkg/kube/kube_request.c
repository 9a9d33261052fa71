/* Single requests with JSON bodies: status patches, Events, whatever a caller needs. Sent once, answered once. */
#include "kube/kube_internal.h"

#include <errno.h>
#include <string.h>

#define REQUEST_NS (30 * NS_PER_S)
#define ANSWER_MAX_BYTES (16u << 20)

struct kube_call {
	struct kube_transfer *transfer; /* NULL: done is being called */
	kube_done_fn done;
	void *user;
};

static const char *method_name(enum kube_method method)
{
	switch (method) {
	case KUBE_GET:
		return "GET";
	case KUBE_POST:
		return "POST";
	case KUBE_PUT:
		return "PUT";
	case KUBE_MERGE_PATCH:
		return "PATCH";
	case KUBE_DELETE:
		return "DELETE";
	}
	return "GET";
}

static void on_done(void *user, const struct kube_result *result, uint64_t now_ns)
{
	AUTO(free_p) struct kube_call *call = user;
	struct kube_response response = {.reason = "", .message = ""};
	struct kube_status s = {.reason = "", .message = ""};
	char message[KUBE_PROBLEM_MAX] = "";
	json_auto_t *body = NULL;

	(void)now_ns;
	call->transfer = NULL;
	if (result->fail == KUBE_FAIL_NONE) {
		response.status = result->status;
		body = json_loadb(result->body, result->len, JSON_ALLOW_NUL, NULL);
		kube_status_read(result->status, body, result->retry_after_ns, &s);
		response.retry_after_ns = s.retry_after_ns;
	}
	if (response.status / 100 != 2) {
		response.reason = s.reason;
		response.message = kube_result_text(result, &s, message, sizeof(message));
	}
	response.body = body;
	call->done(call->user, &response);
}

/* The client is being freed. */
static void on_lost(void *user)
{
	free(user);
}

static const struct kube_transfer_ops ops = {.on_done = on_done, .on_lost = on_lost};

int kube_request(struct kube *k, const struct kube_request *request, kube_done_fn done, void *user,
		 struct kube_call **ret)
{
	AUTO(free_p) struct kube_call *call = calloc(1, sizeof(*call));
	struct kube_transfer_conf conf = {
		.method = method_name(request->method),
		.path = request->path,
		.content_type = request->method == KUBE_MERGE_PATCH ? "application/merge-patch+json"
								    : "application/json",
		.timeout_ns = request->timeout_ns ? request->timeout_ns : REQUEST_NS,
		.max_body = ANSWER_MAX_BYTES,
	};

	if (!call)
		return -ENOMEM;
	call->done = done;
	call->user = user;
	if (request->body) {
		/* Neither slashes nor what is beyond ASCII escaped: the server's YAML parser minds. */
		conf.body = json_dumps(request->body, JSON_COMPACT);
		if (!conf.body)
			return -ENOMEM;
	}

	int r = kube_transfer_start(k, &conf, &ops, call, &call->transfer);

	if (r < 0) {
		free(conf.body);
		return r;
	}
	if (ret)
		*ret = call;
	(void)STEAL(call);
	return 0;
}

void kube_call_cancel(struct kube_call *call)
{
	if (!call || !call->transfer)
		return;
	kube_transfer_cancel(call->transfer);
	free(call);
}
