/* Where objects come from: a directory of manifests, or the Kubernetes API. Both feed control_sink. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

#define NODE_STREAMS 2 /* VirtualIP and Node: what must be known before anything may go */

struct control_stream {
	struct control_source *source;
	struct kube_reflector *reflector;
	char secret[API_NAME_MAX]; /* name of the one Secret that it is about; "" for the others */
	bool synced;
};

struct control_source {
	struct control *c;
	struct kube *kube;
	struct control_stream *streams; /* VirtualIP, Node, then one for each Secret */
	size_t n_streams;
};

static void on_report(void *user, enum log_level level, const char *text)
{
	(void)user;
	switch (level) {
	case LOG_LEVEL_INFO:
		log_info("Kubernetes API", KV_STR("message", text));
		break;
	case LOG_LEVEL_WARNING:
		log_warning("Kubernetes API", KV_STR("message", text));
		break;
	case LOG_LEVEL_ERROR:
		log_error("Kubernetes API", KV_STR("message", text));
		break;
	}
}

/* A Secret may be forbidden or missing for ever: only VirtualIPs and Nodes hold the start back. */
static void on_stream(void *user, const struct object_event *ev)
{
	struct control_stream *s = user;
	struct control_source *src = s->source;
	bool all = true;

	if (ev->type != OBJECT_SYNCED) {
		control_sink(src->c, ev);
		return;
	}
	s->synced = true;
	for (size_t i = 0; i < NODE_STREAMS; i++)
		all &= src->streams[i].synced;
	/* once when both are there, and again for each Secret that comes later */
	if (all)
		control_sink(src->c, ev);
}

static int open_stream(struct control_source *src, size_t i, const struct kube_resource *resource,
		       struct verr *reterr)
{
	src->streams[i].source = src;
	return kube_reflector_new(src->kube, resource, on_stream, &src->streams[i],
				  &src->streams[i].reflector, reterr);
}

static int open_secret(struct control_source *src, const char *name, struct verr *reterr)
{
	char path[512], selector[300];
	const struct kube_resource resource = {
		.path = path, .kind = "Secret", .field_selector = selector};

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/secrets", src->c->namespace_);
	snprintf(selector, sizeof(selector), "metadata.name=%s", name);
	snprintf(src->streams[src->n_streams].secret, API_NAME_MAX, "%s", name);
	return open_stream(src, src->n_streams++, &resource, reterr);
}

static int open_secrets(struct control_source *src, struct verr *reterr)
{
	AUTO(free_p) char *names = strdup(src->c->conf->secret_names);
	char *rest = NULL;
	int r = names ? 0 : verr_set(reterr, ENOMEM, "Secret names");

	for (char *name = names ? strtok_r(names, ",", &rest) : NULL; r == 0 && name;
	     name = strtok_r(NULL, ",", &rest))
		r = open_secret(src, name, reterr);
	return r;
}

/* False as long as its controller has not seen this generation of it. */
static bool wants_no_node(const json_t *daemonset)
{
	const json_t *status = json_object_get(daemonset, "status");
	const json_t *seen = json_object_get(status, "observedGeneration");
	const json_t *generation =
		json_object_get(json_object_get(daemonset, "metadata"), "generation");
	const json_t *wanted = json_object_get(status, "desiredNumberScheduled");

	return json_is_integer(seen) && json_equal(seen, generation) && json_is_integer(wanted) &&
	       json_integer_value(wanted) == 0;
}

/* Its end is that of all agents: then nothing may stay on the nodes. */
static void on_daemonset(void *user, const struct object_event *ev)
{
	struct control_stream *s = user;
	struct control *c = s->source->c;

	switch (ev->type) {
	case OBJECT_SET:
		/* with --cascade=foreground its agents end before it goes */
		c->uninstalled = json_is_string(json_object_get(
			json_object_get(ev->object, "metadata"), "deletionTimestamp"));
		c->unscheduled = wants_no_node(ev->object);
		break;
	case OBJECT_GONE:
		c->uninstalled = true;
		log_warning("DaemonSet was deleted: this agent leaves nothing behind when it ends",
			    KV_STR("daemonSet", ev->name));
		break;
	case OBJECT_BAD:
	case OBJECT_GOOD:
		control_sink(c, ev);
		break;
	case OBJECT_SYNCED:
		break;
	}
}

static int open_daemonset(struct control_source *src, struct verr *reterr)
{
	struct control_stream *s = &src->streams[src->n_streams++];
	char path[512], selector[300];
	const struct kube_resource resource = {
		.path = path, .kind = "DaemonSet", .field_selector = selector};

	s->source = src;
	snprintf(path, sizeof(path), "/apis/apps/v1/namespaces/%s/daemonsets", src->c->namespace_);
	snprintf(selector, sizeof(selector), "metadata.name=%s", src->c->conf->daemonset);
	return kube_reflector_new(src->kube, &resource, on_daemonset, s, &s->reflector, reterr);
}

/* Clusters on one segment must differ: what all nodes of one have in common and no other has is its CA. */
static void derive_sync_id(struct control *c, const struct kube_config *config)
{
	uint32_t hash;

	if (!c->conf->has_sync_id && kube_config_ca_hash(config, &hash, NULL) == 0)
		c->sync_id = (uint8_t)(1 + hash % 255);
}

static int open_kube(struct control_source *src, struct kube_config *config, struct verr *reterr)
{
	static const struct kube_resource vips = {.path = "/apis/vipd.io/v1alpha1/virtualips",
						  .kind = "VirtualIP"};
	static const struct kube_resource nodes = {.path = "/api/v1/nodes", .kind = "Node"};
	struct control *c = src->c;
	char agent[96];
	int r;

	snprintf(agent, sizeof(agent), "vipd/%s", c->conf->version);
	derive_sync_id(c, config);
	log_info("Objects come from the Kubernetes API",
		 KV_STR("servers", kube_config_servers(config)), KV_STR("namespace", c->namespace_),
		 KV_UINT("syncID", c->sync_id));
	r = kube_new(c->loop, config, agent, on_report, c, &src->kube, reterr);
	if (r < 0) {
		kube_config_free(config);
		return r;
	}
	src->n_streams = NODE_STREAMS;
	r = open_stream(src, 0, &vips, reterr);
	if (r == 0)
		r = open_stream(src, 1, &nodes, reterr);
	if (r == 0)
		r = open_secrets(src, reterr);
	if (r == 0 && c->conf->daemonset && *c->conf->daemonset)
		r = open_daemonset(src, reterr);
	return r;
}

static size_t count_names(const char *list)
{
	size_t n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

static int load_config(const struct control *c, struct kube_config **ret, struct verr *reterr)
{
	int r;

	if (c->conf->kubeconfig)
		return kube_config_load_file(c->conf->kubeconfig, NULL, ret, reterr);
	r = kube_config_load_in_cluster(NULL, ret, reterr);
	return r < 0 ? verr_wrap(reterr, r, "no --manifests and no --kubeconfig") : 0;
}

static int start_kube(struct control *c, struct verr *reterr)
{
	struct control_source *src = calloc(1, sizeof(*src));
	struct kube_config *config = NULL;
	int r;

	if (!src)
		return verr_set(reterr, ENOMEM, "source");
	src->c = c;
	c->source = src;
	src->streams = calloc(NODE_STREAMS + count_names(c->conf->secret_names) + 1,
			      sizeof(*src->streams));
	if (!src->streams)
		return verr_set(reterr, ENOMEM, "source");
	r = load_config(c, &config, reterr);
	if (r < 0)
		return r;
	return open_kube(src, config, reterr);
}

/* Where the deploy manifests install, if nothing says better. */
static void find_namespace(struct control *c)
{
	if (c->conf->namespace_)
		snprintf(c->namespace_, sizeof(c->namespace_), "%s", c->conf->namespace_);
	else if (kube_pod_namespace(NULL, c->namespace_, sizeof(c->namespace_)) < 0)
		snprintf(c->namespace_, sizeof(c->namespace_), "vipd-system");
}

int control_source_start(struct control *c, struct verr *reterr)
{
	find_namespace(c);
	if (c->conf->manifests_dir)
		return manifest_source_new(c->loop, c->conf->manifests_dir, api_is_cluster_scoped,
					   control_sink, c, &c->manifests, reterr);
	return start_kube(c, reterr);
}

/* The way to the API server, then the objects; what cannot be read leaves everything as it is. */
static void reload_kube(struct control_source *src)
{
	struct kube_config *config = NULL;
	struct verr err = {0};
	int r = load_config(src->c, &config, &err);

	if (r == 0)
		r = kube_reconfigure(src->kube, config, &err);
	if (r < 0) {
		kube_config_free(config);
		log_warning("Way to the Kubernetes API could not be read again: the old one stays",
			    KV_STR("err", err.msg));
	}
	for (size_t i = 0; i < src->n_streams; i++)
		kube_reflector_relist(src->streams[i].reflector);
}

void control_source_reload(struct control *c)
{
	if (c->manifests)
		manifest_source_reload(c->manifests);
	if (c->source)
		reload_kube(c->source);
}

void control_source_done(struct control *c)
{
	manifest_source_free(c->manifests);
	c->manifests = NULL;
	if (!c->source)
		return;
	for (size_t i = 0; c->source->streams && i < c->source->n_streams; i++)
		kube_reflector_free(c->source->streams[i].reflector);
	kube_free(c->source->kube);
	free(c->source->streams);
	free(c->source);
	c->source = NULL;
}

/* For people: the directory, or the server in use. */
const char *control_source_path(const struct control *c)
{
	struct kube_stats stats;

	if (c->conf->manifests_dir)
		return c->conf->manifests_dir;
	if (!c->source || !c->source->kube)
		return "";
	kube_stats(c->source->kube, &stats);
	return stats.server ? stats.server : "";
}

bool control_source_stream(const struct control *c, size_t i, const char **ret_name,
			   uint64_t *ret_contact_ns)
{
	struct kube_reflector_stats stats;

	if (!c->source || i >= c->source->n_streams)
		return false;
	kube_reflector_stats(c->source->streams[i].reflector, &stats);
	*ret_name = i == 0                            ? "virtualips"
		    : i == 1                          ? "nodes"
		    : c->source->streams[i].secret[0] ? "secrets"
						      : "daemonsets";
	*ret_contact_ns = stats.contact_ns;
	/* a Secret may be forbidden for ever; without these two the server was never reached */
	if (i < NODE_STREAMS && stats.contact_ns == 0)
		*ret_contact_ns = c->started_ns;
	return true;
}

struct kube *control_source_kube(const struct control *c)
{
	return c->source ? c->source->kube : NULL;
}

bool control_source_has_told(const struct control *c, const struct control_object *o)
{
	for (size_t i = NODE_STREAMS; c->source && o->secret && i < c->source->n_streams; i++) {
		const struct control_stream *s = &c->source->streams[i];

		if (strcmp(s->secret, o->secret->name) == 0)
			return s->synced;
	}
	return c->synced;
}

bool control_source_current(const struct control *c)
{
	if (!c->synced || c->source_bad)
		return false;
	for (size_t i = 0; c->source && i < NODE_STREAMS; i++) {
		struct kube_reflector_stats stats;

		kube_reflector_stats(c->source->streams[i].reflector, &stats);
		if (!stats.is_watching)
			return false;
	}
	return true;
}
