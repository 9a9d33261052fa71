/* A kubeconfig file: the context, its cluster and its user. Fields that would be needed are never ignored. */
#include "kube/kube_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct reader {
	const char *path;
	char *dir; /* what relative paths are relative to */
	json_t *root;
	struct kube_config *config;
	struct verr *reterr;
};

static int no_memory(const struct reader *k)
{
	return verr_set(k->reterr, ENOMEM, "%s: out of memory", k->path);
}

/* NULL: not there, or empty, which means the same in a kubeconfig. */
static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && text[0] ? text : NULL;
}

/* The item of that name in a list of {name, [what]: {...}}. */
static int find(const struct reader *k, const char *list, const char *what, const char *name,
		const json_t **ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(k->root, list), i, item)
	{
		const char *own = text_of(item, "name");

		if (!own || strcmp(own, name) != 0)
			continue;
		*ret = json_object_get(item, what);
		return 0;
	}
	return verr_set(k->reterr, ENOENT, "%s: there is no %s \"%s\"", k->path, what, name);
}

static int refuse(const struct reader *k, const char *where, const json_t *object,
		  const char *const *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_object_get(object, fields[i]);

		if (value && !json_is_null(value) &&
		    !(json_is_string(value) && !json_string_length(value)))
			return verr_set(k->reterr, ENOTSUP, "%s: %s.%s is not supported", k->path,
					where, fields[i]);
	}
	return 0;
}

static int take_path(const struct reader *k, const char *text, char **ret)
{
	if (text[0] == '/') {
		*ret = strdup(text);
	} else if (asprintf(ret, "%s/%s", k->dir, text) < 0) {
		*ret = NULL;
	}
	return *ret ? 0 : no_memory(k);
}

/* data: the field with base64, which goes before path; both NULL-able in the object. */
static int take_secret(const struct reader *k, const json_t *object, const char *data,
		       const char *path, struct kube_secret *ret)
{
	const char *text = text_of(object, data);

	if (text) {
		int r = kube_base64_decode(text, &ret->data);

		if (r == -ENOMEM)
			return no_memory(k);
		return r < 0 ? verr_set(k->reterr, EBADMSG, "%s: %s is not base64", k->path, data)
			     : 0;
	}
	text = text_of(object, path);
	return text ? take_path(k, text, &ret->path) : 0;
}

static int take_text(const struct reader *k, const json_t *object, const char *key, char **ret)
{
	const char *text = text_of(object, key);

	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : no_memory(k);
}

/* tokenFile goes before token: it is the one that is kept up to date. */
static int take_token(const struct reader *k, const json_t *user)
{
	struct kube_secret *token = &k->config->token;
	const char *path = text_of(user, "tokenFile");
	const char *text = text_of(user, "token");

	if (path)
		return take_path(k, path, &token->path);
	if (!text)
		return 0;
	token->data = (struct kube_blob){.bytes = strdup(text), .len = strlen(text)};
	return token->data.bytes ? 0 : no_memory(k);
}

static int read_cluster(const struct reader *k, const json_t *cluster)
{
	static const char *const refused[] = {"proxy-url"};
	struct kube_config *c = k->config;
	const char *server = text_of(cluster, "server");
	const char *insecure = text_of(cluster, "insecure-skip-tls-verify");
	int r = refuse(k, "cluster", cluster, refused, ARRAY_LEN(refused));

	if (r < 0)
		return r;
	if (!server)
		return verr_set(k->reterr, EBADMSG, "%s: cluster.server is missing", k->path);
	r = kube_config_set_servers(c, server, k->reterr);
	if (r < 0)
		return verr_wrap(k->reterr, r, "%s: cluster", k->path);
	c->is_insecure = insecure && strcasecmp(insecure, "true") == 0;
	r = take_text(k, cluster, "tls-server-name", &c->tls_server_name);
	if (r == 0)
		r = take_secret(k, cluster, "certificate-authority-data", "certificate-authority",
				&c->ca);
	return r;
}

static int read_user(const struct reader *k, const json_t *user)
{
	static const char *const refused[] = {
		"exec", "auth-provider", "username",  "password",
		"as",   "as-uid",        "as-groups", "as-user-extra"};
	struct kube_config *c = k->config;
	int r = refuse(k, "user", user, refused, ARRAY_LEN(refused));

	if (r == 0)
		r = take_secret(k, user, "client-certificate-data", "client-certificate", &c->cert);
	if (r == 0)
		r = take_secret(k, user, "client-key-data", "client-key", &c->key);
	if (r < 0)
		return r;

	bool has_cert = c->cert.data.bytes || c->cert.path;
	bool has_key = c->key.data.bytes || c->key.path;

	if (has_cert != has_key)
		return verr_set(k->reterr, EBADMSG, "%s: user: client-%s is missing", k->path,
				has_cert ? "key" : "certificate");
	return take_token(k, user);
}

static int read_context(const struct reader *k, const char *name)
{
	const json_t *context, *cluster, *user;

	if (!name)
		name = text_of(k->root, "current-context");
	if (!name)
		return verr_set(k->reterr, ENOENT, "%s: current-context is not set", k->path);

	int r = find(k, "contexts", "context", name, &context);

	if (r < 0)
		return r;

	const char *cluster_name = text_of(context, "cluster");
	const char *user_name = text_of(context, "user");

	if (!cluster_name)
		return verr_set(k->reterr, EBADMSG, "%s: context \"%s\" names no cluster", k->path,
				name);
	r = find(k, "clusters", "cluster", cluster_name, &cluster);
	if (r == 0)
		r = read_cluster(k, cluster);
	if (r == 0 && user_name)
		r = find(k, "users", "user", user_name, &user);
	if (r == 0 && user_name)
		r = read_user(k, user);
	return r;
}

static int dir_of(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		*ret = strdup(".");
	else
		*ret = strndup(path, slash > path ? (size_t)(slash - path) : 1);
	return *ret ? 0 : -ENOMEM;
}

int kube_config_load_file(const char *path, const char *context, struct kube_config **ret,
			  struct verr *reterr)
{
	AUTO(kube_config_free_p) struct kube_config *c = calloc(1, sizeof(*c));
	AUTO(kube_blob_done) struct kube_blob bytes = {0};
	AUTO(free_p) char *dir = NULL;
	json_auto_t *root = NULL;

	if (!c || dir_of(path, &dir) < 0)
		return verr_set(reterr, ENOMEM, "%s: out of memory", path);

	int r = kube_file_read(path, &bytes, reterr);

	if (r == 0)
		r = kube_yaml_parse(path, &bytes, &root, reterr);
	if (r < 0)
		return r;

	struct reader k = {.path = path, .dir = dir, .root = root, .config = c, .reterr = reterr};

	r = read_context(&k, context);
	if (r < 0)
		return r;
	*ret = STEAL(c);
	return 0;
}
