/*
 * One request to the API server, as a libcurl handle of its own; connections are shared below. HTTP/1.1, no
 * compression (libcurl cannot read the server's gzip of watches), no redirects. What curl hands over is kept
 * here and told later, outside of curl, where everything is allowed.
 */
#include "kube/kube_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define CONNECT_NS (10 * NS_PER_S)
#define ERROR_BODY_MAX (64u << 10)
#define RETRY_AFTER_MAX_S 3600ul
/*
 * A connection that is dead is found after 40 s: by its probes when it is idle (the first one after 20 s),
 * by what is not acknowledged otherwise.
 */
#define KEEPIDLE_S 20
#define KEEPINTVL_S 5
#define USER_TIMEOUT_MS 40000u
/* Keeping connections longer means finding out more often that they are gone. */
#define POOL_S 30L

char *kube_text_line(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = (unsigned char)src[i];
		bool is_blank = c <= 0x20 || c == 0x7f;

		if (is_blank && (n == 0 || dst[n - 1] == ' '))
			continue;
		dst[n++] = is_blank ? ' ' : c < 0x80 ? src[i] : '?';
	}
	while (n > 0 && dst[n - 1] == ' ')
		n--;
	dst[n] = '\0';
	return dst;
}

char *kube_result_text(const struct kube_result *r, const struct kube_status *s, char *dst,
		       size_t size)
{
	char text[KUBE_PROBLEM_MAX];

	if (r->fail != KUBE_FAIL_NONE)
		(void)snprintf(text, sizeof(text), "%s", r->error);
	else if (s->message[0])
		(void)snprintf(text, sizeof(text), "%d %s: %s", r->status, s->reason, s->message);
	else
		(void)snprintf(text, sizeof(text), "%d: %.*s", r->status,
			       (int)(r->len < 200 ? r->len : 200), r->body ? r->body : "");
	return kube_text_line(dst, size, text, strlen(text));
}

/* ---- curl's callbacks ---- */

static int append(struct kube_transfer *t, const char *bytes, size_t len)
{
	char *buf = array_room(t->buf, &t->room, t->len + len + 1, 1);

	if (!buf)
		return -ENOMEM;
	t->buf = buf;
	memcpy(t->buf + t->len, bytes, len);
	t->len += len;
	t->buf[t->len] = '\0';
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
	struct kube_transfer *t = user;
	size_t len = size * n;

	if (t->is_open) {
		kube_http_ready(t);
		return append(t, bytes, len) < 0 ? 0 : len;
	}
	if (t->status / 100 == 2 && len > t->max_body - t->len) {
		t->is_too_big = true;
		return 0;
	}
	if (t->status / 100 != 2 && t->len + len > ERROR_BODY_MAX)
		return len; /* enough is kept to know what is wrong */
	return append(t, bytes, len) < 0 ? 0 : len;
}

static bool header_is(const char *line, size_t len, const char *name, const char **ret,
		      size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	*ret = line + n + 1;
	*ret_len = len - n - 1;
	return true;
}

/* Whole seconds; the other form, a date, is not used by API servers. */
static uint64_t retry_after(const char *value, size_t len)
{
	unsigned long s = 0;
	size_t i = 0;

	while (i < len && (value[i] == ' ' || value[i] == '\t'))
		i++;
	for (; i < len && value[i] >= '0' && value[i] <= '9' && s <= RETRY_AFTER_MAX_S; i++)
		s = s * 10 + (unsigned long)(value[i] - '0');
	return (s <= RETRY_AFTER_MAX_S ? s : RETRY_AFTER_MAX_S) * NS_PER_S;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct kube_transfer *t = user;
	size_t len = size * n, value_len;
	const char *value;
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	t->status = (int)status;
	if (header_is(line, len, "Retry-After", &value, &value_len)) {
		t->retry_after_ns = retry_after(value, value_len);
	} else if (header_is(line, len, "Warning", &value, &value_len)) {
		char text[KUBE_PROBLEM_MAX];

		kube_http_warn(t->http, kube_text_line(text, sizeof(text), value, value_len));
	} else if ((line[0] == '\r' || line[0] == '\n') && t->is_stream && status == 200) {
		t->is_open = true;
		kube_http_ready(t);
	}
	return len;
}

static void set_int(int fd, int level, int option, int value)
{
	/* An older kernel has no less of a connection for it. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);

	(void)user;
	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPIDLE_S);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPINTVL_S);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)USER_TIMEOUT_MS);
	return fd;
}

/* ---- options ---- */

static bool add_header(struct kube_transfer *t, const char *name, const char *value)
{
	AUTO(free_p) char *line = NULL;

	if (asprintf(&line, "%s: %s", name, value) < 0) {
		line = NULL;
		return false;
	}

	struct curl_slist *more = curl_slist_append(t->headers, line);

	explicit_bzero(line, strlen(line));
	if (more)
		t->headers = more;
	return more != NULL;
}

static bool set_headers(struct kube_transfer *t)
{
	const struct kube_auth *a = &t->http->k->auth;
	AUTO(free_p) char *bearer = NULL;
	bool ok;

	curl_slist_free_all(t->headers);
	t->headers = NULL;
	ok = add_header(t, "Accept", "application/json");
	if (a->token.bytes) {
		if (asprintf(&bearer, "Bearer %s", a->token.bytes) < 0) {
			bearer = NULL;
			return false;
		}
		ok = ok && add_header(t, "Authorization", bearer);
		explicit_bzero(bearer, strlen(bearer));
	}
	if (t->body) {
		ok = ok && add_header(t, "Content-Type", t->content_type);
		/* Not worth a round trip. */
		ok = ok && add_header(t, "Expect", "");
	}
	return ok && curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

/* The URL says who the server must be; where tls-server-name differs, connect_to says where it is. */
static bool set_url(struct kube_transfer *t)
{
	const struct kube_config *c = t->http->k->config;
	const char *server = c->servers[t->server_idx];
	AUTO(free_p) char *url = NULL;
	AUTO(free_p) char *to = NULL;
	int n, n_to = 0;

	curl_slist_free_all(t->connect_to);
	t->connect_to = NULL;
	if (c->tls_server_name && strncmp(server, "https://", 8) == 0) {
		const char *authority = server + 8;
		int len = (int)strcspn(authority, "/");
		const char *port = memchr(authority, ']', (size_t)len);

		port = memchr(port ? port : authority, ':',
			      (size_t)(len - (port ? port - authority : 0)));
		n = asprintf(&url, "https://%s:%.*s%s%s", c->tls_server_name,
			     port ? (int)(authority + len - port - 1) : 3, port ? port + 1 : "443",
			     authority + len, t->path);
		n_to = asprintf(&to, "::%.*s%s", len, authority, port ? "" : ":443");
	} else {
		n = asprintf(&url, "%s%s", server, t->path);
	}
	if (n < 0)
		url = NULL;
	if (n_to < 0)
		to = NULL;
	if (!url || n_to < 0)
		return false;
	if (to) {
		t->connect_to = curl_slist_append(NULL, to);
		if (!t->connect_to)
			return false;
	}
	/* Also if there is none: the last server's is freed. */
	if (curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to) != CURLE_OK)
		return false;
	return curl_easy_setopt(t->easy, CURLOPT_URL, url) == CURLE_OK;
}

static bool set_blob(CURL *easy, CURLoption option, const struct kube_blob *b)
{
	struct curl_blob blob = {.data = b->bytes, .len = b->len, .flags = CURL_BLOB_COPY};

	return !b->bytes || curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

static bool set_tls(struct kube_transfer *t)
{
	const struct kube *k = t->http->k;

	if (k->config->is_insecure) {
		(void)curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		(void)curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	(void)curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* Blobs: files would be cached by curl for a day. */
	return set_blob(t->easy, CURLOPT_CAINFO_BLOB, &k->auth.ca) &&
	       set_blob(t->easy, CURLOPT_SSLCERT_BLOB, &k->auth.cert) &&
	       set_blob(t->easy, CURLOPT_SSLKEY_BLOB, &k->auth.key);
}

static bool set_options(struct kube_transfer *t)
{
	CURL *c = t->easy;

	(void)curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_NS / NS_PER_MS));
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(t->timeout_ns / NS_PER_MS));
	(void)curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, POOL_S);
	if (t->body) {
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(t->body));
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, t->body);
	}
	return curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, t->method) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, t->http->k->user_agent) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       set_headers(t) && set_tls(t) && set_url(t);
}

int kube_transfer_send(struct kube_transfer *t)
{
	struct kube *k = t->http->k;

	t->start_ns = loop_now_ns(k->loop);
	t->server_idx = k->server_idx;
	t->n_tried++;
	t->status = 0;
	t->len = 0;
	t->retry_after_ns = 0;
	t->error[0] = '\0';
	kube_auth_refresh(&k->auth, t->start_ns);
	t->n_replaced = k->auth.n_replaced;
	if (!set_options(t) ||
	    curl_multi_add_handle(multi_handle(t->http->multi), t->easy) != CURLM_OK)
		return -ENOMEM;
	t->is_in_multi = true;
	k->stats.n_requests++;
	return 0;
}

/* ---- life ---- */

void kube_transfer_free(struct kube_transfer *t)
{
	if (t->is_in_multi)
		(void)curl_multi_remove_handle(multi_handle(t->http->multi), t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->connect_to);
	if (t->is_ready)
		TAILQ_REMOVE(&t->http->ready, t, in_ready);
	TAILQ_REMOVE(&t->http->all, t, in_all);
	free(t->path);
	free(t->body);
	free(t->buf);
	free(t);
}

int kube_transfer_start(struct kube *k, const struct kube_transfer_conf *conf,
			const struct kube_transfer_ops *ops, void *user, struct kube_transfer **ret)
{
	struct kube_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->http = k->http;
	t->ops = ops;
	t->user = user;
	t->method = conf->method;
	t->content_type = conf->content_type;
	t->body = conf->body;
	t->timeout_ns = conf->timeout_ns;
	t->max_body = conf->max_body;
	t->is_stream = conf->is_stream;
	TAILQ_INSERT_TAIL(&k->http->all, t, in_all);
	t->path = strdup(conf->path);
	t->easy = curl_easy_init();

	int r = t->path && t->easy ? kube_transfer_send(t) : -ENOMEM;

	if (r < 0) {
		t->body = NULL; /* still the caller's */
		kube_transfer_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void kube_transfer_cancel(struct kube_transfer *t)
{
	if (t)
		kube_transfer_free(t);
}

/* ---- how it ended ---- */

bool kube_transfer_is_unsent(const struct kube_transfer *t, CURLcode code)
{
	curl_off_t us = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
	return code != CURLE_OK && code != CURLE_OUT_OF_MEMORY && t->status == 0 && us == 0;
}

void kube_transfer_result(const struct kube_transfer *t, CURLcode code, struct kube_result *ret)
{
	long err = 0;

	*ret = (struct kube_result){
		.status = t->status,
		.error = "",
		.body = t->buf ? t->buf : "",
		.len = t->len,
		.retry_after_ns = t->retry_after_ns,
	};
	/* A refusal is one, even if its text was cut. */
	if (code == CURLE_OK || (t->status >= 300 && code != CURLE_OUT_OF_MEMORY))
		return;
	(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &err);
	ret->fail = KUBE_FAIL_NET;
	ret->error = t->error[0] ? t->error : curl_easy_strerror(code);
	if (code == CURLE_COULDNT_CONNECT && err == ECONNREFUSED)
		ret->fail = KUBE_FAIL_REFUSED;
	ret->is_distrusted = code == CURLE_PEER_FAILED_VERIFICATION;
	ret->is_tls = ret->is_distrusted || code == CURLE_SSL_CONNECT_ERROR ||
		      code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE;
	if (t->is_too_big) {
		ret->fail = KUBE_FAIL_BAD;
		ret->error = "the answer is too big";
	}
}
