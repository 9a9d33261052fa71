/* Where the API server is and how to get in: as a pod, or by a kubeconfig file. */
#include "kube/kube_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
#define SERVERS_MAX 16u

static int no_memory(struct verr *reterr)
{
	return verr_set(reterr, ENOMEM, "out of memory");
}

static void secret_done(struct kube_secret *s)
{
	kube_blob_done(&s->data);
	free(s->path);
}

static void servers_free(char **servers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(servers[i]);
	free(servers);
}

void kube_config_free(struct kube_config *c)
{
	if (!c)
		return;
	servers_free(c->servers, c->n_servers);
	free(c->servers_text);
	free(c->tls_server_name);
	secret_done(&c->ca);
	secret_done(&c->cert);
	secret_done(&c->key);
	secret_done(&c->token);
	free(c);
}

void kube_config_free_p(struct kube_config **c)
{
	kube_config_free(*c);
	*c = NULL;
}

const char *kube_config_servers(const struct kube_config *c)
{
	return c->servers_text ? c->servers_text : "";
}

/* ---- servers ---- */

static bool is_port(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len > 0 && len <= 5 && !text[len] && strtoul(text, NULL, 10) <= 65535 &&
	       strtoul(text, NULL, 10) > 0;
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static bool is_authority(const char *text)
{
	if (text[0] == '[') {
		const char *end = strchr(text, ']');
		char ip[ADDR_TEXT_MAX];
		struct addr a;
		size_t len = end ? (size_t)(end - text - 1) : sizeof(ip);

		if (len >= sizeof(ip))
			return false;
		memcpy(ip, text + 1, len);
		ip[len] = '\0';
		if (addr_parse(ip, &a) < 0 || a.family != AF_INET6)
			return false;
		return !end[1] || (end[1] == ':' && is_port(end + 2));
	}
	size_t len =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

	if (len == 0 || len > 253)
		return false;
	return !text[len] || (text[len] == ':' && is_port(text + len + 1));
}

/* Takes the URL of a server into canonical form: no slash at the end. NULL: not one. */
static char *server_parse(const char *text, size_t len)
{
	while (len > 0 && text[len - 1] == '/')
		len--;

	char *url = strndup(text, len);

	if (!url)
		return NULL;

	size_t scheme = strncmp(url, "https://", 8) == 0  ? 8
			: strncmp(url, "http://", 7) == 0 ? 7
							  : 0;
	char *path = strchr(url + scheme, '/');
	bool ok;

	/* A path is a proxy's that has several clusters behind it; nothing in it may break the URL. */
	if (path && strpbrk(path, " ?#\"<>\\"))
		scheme = 0;
	if (path)
		*path = '\0';
	ok = scheme > 0 && is_authority(url + scheme);
	if (path)
		*path = '/';
	if (!ok) {
		free(url);
		return NULL;
	}
	return url;
}

/* No way leads over it, on which anybody could listen. */
static bool is_loopback(const char *authority)
{
	char host[ADDR_TEXT_MAX];
	struct addr a;
	bool is_v6 = authority[0] == '[';
	size_t len = strcspn(authority + is_v6, is_v6 ? "]" : ":/");

	if (len >= sizeof(host))
		return false;
	memcpy(host, authority + is_v6, len);
	host[len] = '\0';
	return strcasecmp(host, "localhost") == 0 ||
	       (addr_parse(host, &a) == 0 && addr_is_loopback(&a));
}

int kube_config_check(const struct kube_config *c, struct verr *reterr)
{
	if (!c->token.path && !c->token.data.bytes)
		return 0;
	for (size_t i = 0; i < c->n_servers; i++) {
		const char *server = c->servers[i];

		if (strncmp(server, "http://", 7) == 0 && !is_loopback(server + 7))
			return verr_set(reterr, EPERM,
					"server %s: the token would go there in the clear: use "
					"https, or a user without a token",
					server);
	}
	return 0;
}

int kube_config_set_servers(struct kube_config *c, const char *list, struct verr *reterr)
{
	char **servers = calloc(SERVERS_MAX, sizeof(*servers));
	char *text = strdup(list);
	size_t n = 0;
	int r = servers && text ? 0 : no_memory(reterr);

	for (const char *s = list; r == 0;) {
		s += strspn(s, " \t");

		size_t len = strcspn(s, ", \t");

		if (n == SERVERS_MAX) {
			r = verr_set(reterr, EINVAL, "more than %u servers", SERVERS_MAX);
			break;
		}
		servers[n] = server_parse(s, len);
		if (!servers[n]) {
			r = verr_set(reterr, EINVAL,
				     "server \"%.*s\" must be a URL like https://10.0.0.1:6443",
				     (int)len, s);
			break;
		}
		n++;
		s += len;
		s += strspn(s, " \t");
		if (!*s)
			break;
		if (*s++ != ',')
			r = verr_set(reterr, EINVAL, "servers must be separated by commas");
	}
	if (r < 0) {
		if (servers)
			servers_free(servers, n);
		free(text);
		return r;
	}
	servers_free(c->servers, c->n_servers);
	free(c->servers_text);
	c->servers = servers;
	c->n_servers = n;
	c->servers_text = text;
	return 0;
}

/* ---- in a pod ---- */

static int path_join(const char *dir, const char *name, char **ret)
{
	if (asprintf(ret, "%s/%s", dir, name) >= 0)
		return 0;
	*ret = NULL;
	return -ENOMEM;
}

/* The hosts of a list, comma-separated, as URLs: set_servers finds what is wrong with them. */
static char *urls_of_hosts(const char *hosts, const char *port)
{
	AUTO(free_p) char *urls = strdup("");

	for (const char *h = hosts; urls; h++) {
		h += strspn(h, " \t");

		size_t len = strcspn(h, ",");
		bool is_v6 = memchr(h, ':', len) && h[0] != '[';
		char *longer = NULL;

		if (asprintf(&longer, "%s%shttps://%s%.*s%s:%s", urls, *urls ? "," : "",
			     is_v6 ? "[" : "", (int)len, h, is_v6 ? "]" : "", port) < 0)
			return NULL;
		free(urls);
		urls = longer;
		h += len;
		if (!*h)
			break;
	}
	return STEAL(urls);
}

static int server_from_environment(struct kube_config *c, struct verr *reterr)
{
	const char *hosts = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!hosts || !hosts[0] || !port || !port[0])
		return verr_set(reterr, ENOENT,
				"not in a cluster: KUBERNETES_SERVICE_HOST or _PORT is not set");

	AUTO(free_p) char *urls = urls_of_hosts(hosts, port);

	if (!urls)
		return no_memory(reterr);

	int r = kube_config_set_servers(c, urls, reterr);

	return r < 0 ? verr_wrap(reterr, r, "KUBERNETES_SERVICE_HOST and _PORT") : 0;
}

int kube_pod_namespace(const char *dir, char *buf, size_t size)
{
	AUTO(free_p) char *path = NULL;
	AUTO(kube_blob_done) struct kube_blob b = {0};

	if (path_join(dir ? dir : ACCOUNT_DIR, "namespace", &path) < 0)
		return -ENOMEM;
	if (kube_file_read(path, &b, NULL) < 0)
		return -ENOENT;

	size_t len = strcspn(b.bytes, " \t\r\n");

	if (len == 0 || len >= size)
		return -ENOENT;
	memcpy(buf, b.bytes, len);
	buf[len] = '\0';
	return 0;
}

int kube_config_load_in_cluster(const char *dir, struct kube_config **ret, struct verr *reterr)
{
	AUTO(kube_config_free_p) struct kube_config *c = calloc(1, sizeof(*c));

	if (!c)
		return no_memory(reterr);
	if (!dir)
		dir = ACCOUNT_DIR;

	int r = server_from_environment(c, reterr);

	if (r < 0)
		return r;
	if (path_join(dir, "token", &c->token.path) < 0 ||
	    path_join(dir, "ca.crt", &c->ca.path) < 0)
		return no_memory(reterr);
	if (access(c->token.path, R_OK) < 0) {
		int err = errno;

		return verr_set(reterr, err, "%s: %s (a service account's token is needed)",
				c->token.path, strerror(err));
	}
	*ret = STEAL(c);
	return 0;
}
