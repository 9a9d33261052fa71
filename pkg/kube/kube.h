/*
 * kube: access to the Kubernetes API, as object streams (list and watch), single requests and Events.
 * It knows neither what a VirtualIP is nor what to do about an error: it delivers, retries and reports.
 *
 * Everything runs on one loop; nothing blocks it but the reading of small files (token, certificates).
 * HTTP/1.1 by libcurl, one connection per watch and a pool for the rest. Nothing here ends a process or
 * gives up: whatever the server or the network does, streams go on from where they were.
 *
 * Callbacks (sinks, kube_done_fn, kube_report_fn) come from the loop, never from within the call that
 * starts something. They may start requests, but must not free the struct kube or the thing that calls.
 */
#ifndef VIPD_KUBE_KUBE_H
#define VIPD_KUBE_KUBE_H

#include "base/base.h"
#include "loop/loop.h"

/* ---- where the API server is, and who we are ---- */

struct kube_config; /* opaque */

/*
 * The account of the pod. dir: NULL for /var/run/secrets/kubernetes.io/serviceaccount, which holds token
 * and ca.crt. The server is KUBERNETES_SERVICE_HOST and _PORT of the environment; several hosts, separated
 * by commas, are tried in turn.
 * -ENOENT: not in a cluster (the text says what is missing); -EINVAL; -ENOMEM; or what reading gives.
 */
int kube_config_load_in_cluster(const char *dir, struct kube_config **ret, struct verr *reterr);
/*
 * A kubeconfig file. context: NULL for its current-context. Relative paths in it are taken from its
 * directory. Understood: server, tls-server-name, insecure-skip-tls-verify, certificate-authority,
 * client-certificate, client-key (each as file or -data), token, tokenFile. -ENOTSUP, naming the
 * field, for what would be needed to get in and is not understood (exec, auth-provider, proxy-url,
 * username, as); -EBADMSG for bad YAML or base64, with the line; -ENOENT for a context that is not there.
 */
int kube_config_load_file(const char *path, const char *context, struct kube_config **ret,
			  struct verr *reterr);
/*
 * Other servers than the configuration's, tried in turn: "https://10.0.0.1:6443,https://[fd00::1]:6443".
 * -EINVAL for anything that is no http or https URL of a host and a port.
 */
int kube_config_set_servers(struct kube_config *c, const char *list, struct verr *reterr);
/* kube_new asks: -EPERM if a token would leave this machine over plain http. */
int kube_config_check(const struct kube_config *c, struct verr *reterr);
/*
 * The namespace of the pod that this is, however the API server is reached. dir as above. -ENOENT: it is none, or
 * one without a service account's volume, or the name has no room in buf.
 */
int kube_pod_namespace(const char *dir, char *buf, size_t size);
/* The servers, comma-separated, for people. Borrowed from c. */
const char *kube_config_servers(const struct kube_config *c);
/*
 * A number that is the same wherever the cluster is reached with the same CA: of its first certificate, white
 * space apart. -ENOENT: the configuration has none; or what reading gives.
 */
int kube_config_ca_hash(const struct kube_config *c, uint32_t *ret, struct verr *reterr);
void kube_config_free(struct kube_config *c);
void kube_config_free_p(struct kube_config **c);

/* ---- the client ---- */

struct kube;

/*
 * What a person may want to read of: edges (the server is away, and back), refusals, Warning headers. Never
 * a line per retry, never a secret. text: one line, borrowed for the call.
 */
typedef void (*kube_report_fn)(void *user, enum log_level level, const char *text);

/*
 * Takes config on success. user_agent: "vipd/0.1.0 (linux/amd64)"; the part before the slash becomes the
 * field manager of what is written. report may be NULL. Nothing is sent yet. A token or CA that cannot be
 * read now is an error (-errno); later the last good one stays.
 */
int kube_new(struct loop *l, struct kube_config *config, const char *user_agent,
	     kube_report_fn report, void *user, struct kube **ret, struct verr *reterr);
/*
 * Takes config on success: what begins from now on goes to its servers, with its credentials. Otherwise, for the
 * reasons of kube_new, nothing has changed. Not from within a callback of k.
 */
int kube_reconfigure(struct kube *k, struct kube_config *config, struct verr *reterr);
/* After everything that was made from it. What is still under way ends without a callback. */
void kube_free(struct kube *k);
void kube_free_p(struct kube **k);

struct kube_stats {
	uint64_t contact_ns; /* when a server last answered anything; 0: never */
	uint64_t n_requests; /* sent, watches included */
	uint64_t n_failures; /* no answer: refused, reset, timed out, TLS */
	uint64_t n_answers[6]; /* by class of the status: [2] for 2xx; [0]: others */
	const char *server; /* the one in use; borrowed until the next turn of the loop */
};
void kube_stats(const struct kube *k, struct kube_stats *ret);

/* ---- reflector: the objects of one resource as a stream of events ---- */

struct kube_resource {
	const char *path; /* of the collection: "/apis/vipd.io/v1alpha1/virtualips" */
	const char *kind; /* of one object: "VirtualIP" */
	const char *field_selector; /* "metadata.name=web", or NULL for all */
	const char *label_selector; /* or NULL */
};

struct kube_reflector;

/*
 * Lists and watches until it is freed. resource is copied. The sink gets:
 * - OBJECT_SET for a new object and for one whose resourceVersion has changed, with kind and apiVersion
 *   filled in also where the server's lists leave them out;
 * - OBJECT_GONE by a DELETED event, by absence from a complete and successful list, and before the
 *   OBJECT_SET of an object of the same name that has another uid; by nothing else;
 * - OBJECT_SYNCED once, when the first complete list has been delivered;
 * - OBJECT_BAD (kind and name NULL, origin: the path with its selector) while the server refuses the
 *   resource itself, with 403, 404 or another 4xx but 401; OBJECT_GOOD once it does not. Servers that are away or
 *   overloaded are no OBJECT_BAD: see kube_reflector_stats and the reports.
 * After a 404 (the CRD is not there) it asks again about every 0.6 s, after a Retry-After when that says;
 * all other failures back off from 0.8 s to between 30 s and 60 s, and once one of a client's streams finds
 * that servers which did not answer are back, the others try within a second.
 */
int kube_reflector_new(struct kube *k, const struct kube_resource *resource, object_sink_fn sink,
		       void *user, struct kube_reflector **ret, struct verr *reterr);
/* Lists what is latest, now, and goes on from there. Not from within a callback of its client. */
void kube_reflector_relist(struct kube_reflector *r);
void kube_reflector_free(struct kube_reflector *r);
void kube_reflector_free_p(struct kube_reflector **r);

struct kube_reflector_stats {
	bool is_synced; /* the first complete list has been delivered */
	bool is_watching; /* a watch is established now: what is known is current */
	uint64_t
		contact_ns; /* when this stream last heard of the server: list, event, bookmark; 0: never */
	uint64_t n_lists, n_watches, n_events, n_errors;
	size_t n_objects;
	int status; /* HTTP status of the last failed request; 0: none, or there was no answer */
	const char
		*problem; /* why it is not watching; NULL: nothing is wrong. Borrowed, next turn */
	const char *resource_version; /* last one seen, "" at first. Borrowed, next turn */
};
void kube_reflector_stats(const struct kube_reflector *r, struct kube_reflector_stats *ret);

/* ---- single requests ---- */

enum kube_method { KUBE_GET, KUBE_POST, KUBE_PUT, KUBE_MERGE_PATCH, KUBE_DELETE };

struct kube_request {
	enum kube_method method;
	const char *path; /* with its query: "/apis/vipd.io/v1alpha1/virtualips/ssh/status" */
	const json_t *body; /* or NULL */
	uint64_t timeout_ns; /* for everything; 0: 30 s */
};

struct kube_response {
	int status; /* HTTP; 0: no answer (then it may or may not have been done) */
	const json_t *body; /* the answer, if it is JSON; NULL otherwise */
	const char *reason; /* of a Status object: "NotFound", "Conflict", ...; else "" */
	const char *message; /* for people, when status is not 2xx: one line, else "" */
	uint64_t retry_after_ns; /* what the server asked for; 0: nothing */
};
/* Called once; the response is borrowed for the call. */
typedef void (*kube_done_fn)(void *user, const struct kube_response *response);

struct kube_call; /* freed by itself once it is done */

/*
 * Sends one request, once: only when no connection could be made is the next server tried, and only when
 * a connection kept from before turns out to be closed is it sent again on another. After a 401 it is sent once more, at
 * once, if the token or certificate has been replaced in the meantime.
 * The body is written out before this returns. ret may be NULL when nobody will cancel.
 * -ENOMEM; everything else comes by done.
 */
int kube_request(struct kube *k, const struct kube_request *request, kube_done_fn done, void *user,
		 struct kube_call **ret);
/* Before done has been called: it will not be. NULL is fine. */
void kube_call_cancel(struct kube_call *c);

/* ---- Events (events.k8s.io/v1) ---- */

struct kube_events;

/*
 * controller: "vipd.io/agent"; instance: "vipd-node01", cut to 128 bytes. Both copied.
 * Events of the same type, action, reason, object and related object become one series: a POST, then a PATCH
 * with the count for the second one within 6 minutes, then one every 30 minutes and one at the end. 25 new Events at once
 * and then one per 5 minutes and object; a queue of 1,000; what is too much is dropped and counted.
 */
int kube_events_new(struct kube *k, const char *controller, const char *instance,
		    struct kube_events **ret, struct verr *reterr);
/* What is not sent yet is lost. */
void kube_events_free(struct kube_events *e);
void kube_events_free_p(struct kube_events **e);

/* All strings are copied; NULL is "". Limits of the API (128 bytes, note 1,024) are kept by cutting. */
struct kube_event {
	bool is_warning;
	const char *reason; /* "BecameActive" */
	const char *action; /* "Preempted" */
	const char *note; /* for people */
	const char *api_version, *kind, *namespace_, *name, *uid, *resource_version; /* regarding */
	const char *related_api_version, *related_kind, *related_name; /* or nothing */
};
void kube_event(struct kube_events *e, const struct kube_event *event);
/* True when nothing waits and nothing is under way: for an orderly end. */
bool kube_events_idle(const struct kube_events *e);

struct kube_events_stats {
	uint64_t n_sent, n_dropped, n_failed;
};
void kube_events_stats(const struct kube_events *e, struct kube_events_stats *ret);

#endif
