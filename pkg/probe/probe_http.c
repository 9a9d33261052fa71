/*
 * probe: HTTP and HTTPS through libcurl. One transfer, one fresh connection, never reused. The answer's header
 * decides; what comes of the body is read for manners, briefly. Deadlines are the engine's, in ns: curl's own
 * time-outs stay at their long defaults.
 */
#include "probe_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX (16 * 1024) /* kubelet reads 10 KB of it */
#define HEADER_MAX (64 * 1024)
#define PATH_MAX_ENCODED 4096

struct probe_http {
	CURL *easy;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	struct probe *probe;
	uint64_t header_ns; /* when the whole header was there; 0: not yet */
	uint32_t n_header;
	uint32_t n_body;
	int fd; /* curl's; open as long as the transfer has not ended */
	bool is_in_multi;
	bool requesting; /* connected, with TLS where that is asked for */
	int socket_errno; /* of socket(2) */
	char reason[64]; /* of the status line, printable ASCII */
	char error[CURL_ERROR_SIZE];
};

/* ---- result ---- */

/* Foreign text for people: printable ASCII only. */
static void copy_printable(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++)
		dst[n++] = src[i] >= 0x20 && src[i] < 0x7f ? src[i] : '?';
	while (n > 0 && dst[n - 1] == ' ')
		n--;
	dst[n] = '\0';
}

static void result_of_status(const struct probe_http *h, struct probe_result *r)
{
	long status = 0;

	(void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	r->status = (int)status;
	r->end = status >= 200 && status < 400 ? PROBE_OK : PROBE_L7_STATUS;
	r->latency_ns = h->header_ns - h->probe->start_ns;
	(void)snprintf(r->detail, sizeof(r->detail), "%d%s%s", r->status, h->reason[0] ? " " : "",
		       h->reason);
}

/* How far a transfer came that has no whole header. curl's times do not tell: it takes the end of the
 * TLS handshake for that of the connect. */
enum progress { AT_CONNECT, AT_TLS, AT_HTTP };

static enum progress progress_of(const struct probe_http *h)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (h->requesting)
		return AT_HTTP;
	if (h->fd < 0 || getpeername(h->fd, (struct sockaddr *)&sa, &len) < 0)
		return AT_CONNECT;
	return h->probe->check->kind == API_CHECK_HTTPS ? AT_TLS : AT_HTTP;
}

static void result_of_connect(const struct probe_http *h, struct probe_result *r)
{
	long err = h->socket_errno;

	if (err == 0)
		(void)curl_easy_getinfo(h->easy, CURLINFO_OS_ERRNO, &err);
	probe_result_errno(r, err > 0 ? (int)err : ECONNREFUSED);
}

static void result_of_error(const struct probe_http *h, CURLcode code, struct probe_result *r)
{
	const char *text = h->error[0] ? h->error : curl_easy_strerror(code);

	if (code == CURLE_COULDNT_CONNECT) {
		result_of_connect(h, r);
		return;
	}
	if (code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT ||
	    code == CURLE_URL_MALFORMAT || code == CURLE_BAD_FUNCTION_ARGUMENT)
		r->end = PROBE_LOCAL;
	else if (h->probe->check->kind == API_CHECK_HTTPS && !h->requesting)
		r->end = PROBE_L6_TLS;
	else
		r->end = PROBE_L7_RESPONSE;
	if (code == CURLE_UNSUPPORTED_PROTOCOL)
		text = "answer is not HTTP"; /* curl takes it for HTTP/0.9 */
	else if (code == CURLE_WRITE_ERROR)
		text = "header of more than 64 KB";
	else if (code == CURLE_GOT_NOTHING)
		text = "closed without an answer";
	copy_printable(r->detail, sizeof(r->detail), text, strlen(text));
}

void probe_http_timeout(struct probe *p, uint64_t now_ns)
{
	const struct probe_http *h = p->u.http;
	struct probe_result r = {.end = PROBE_L7_TIMEOUT, .latency_ns = now_ns - p->start_ns};

	if (h->header_ns) {
		result_of_status(h, &r); /* the body is still coming; enough of it */
		probe_finish(p, &r, now_ns);
		return;
	}
	switch (progress_of(h)) {
	case AT_CONNECT:
		probe_result_errno(&r, ETIMEDOUT);
		break;
	case AT_TLS:
		(void)snprintf(r.detail, sizeof(r.detail), "no answer to the TLS handshake");
		break;
	case AT_HTTP:
		(void)snprintf(r.detail, sizeof(r.detail), "connected, no answer");
		break;
	}
	probe_finish(p, &r, now_ns);
}

/* ---- curl's callbacks ---- */

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct probe_http *h = user;
	size_t len = size * n;
	long status = 0;

	h->n_header += (uint32_t)len;
	if (h->n_header > HEADER_MAX)
		return 0;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		/* HTTP/1.1 SP status SP reason */
		const char *sp = memchr(line, ' ', len);
		const char *end = line + len;

		sp = sp ? memchr(sp + 1, ' ', (size_t)(end - sp - 1)) : NULL;
		while (sp && end > sp && (end[-1] == '\r' || end[-1] == '\n'))
			end--;
		h->reason[0] = '\0';
		if (sp && end > sp + 1)
			copy_printable(h->reason, sizeof(h->reason), sp + 1,
				       (size_t)(end - sp - 1));
		return len;
	}
	if (line[0] != '\r' && line[0] != '\n')
		return len;
	(void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && !h->header_ns) {
		uint64_t now_ns = mono_now_ns();

		h->header_ns = now_ns;
		if (h->probe->due.due_ns > now_ns + PROBE_LISTEN_NS)
			probe_set_deadline(h->probe, now_ns + PROBE_LISTEN_NS);
	}
	return len;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
	struct probe_http *h = user;

	(void)bytes;
	h->n_body += (uint32_t)(size * n);
	return h->n_body > BODY_MAX ? 0 : size * n;
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct probe_http *h = user;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);

	(void)purpose;
	if (fd < 0) {
		h->socket_errno = errno;
		return CURL_SOCKET_BAD;
	}
	h->fd = fd;
	probe_bind(h->probe->engine, fd, a->family);
	return fd;
}

static int on_request(void *user, char *to, char *from, int to_port, int from_port)
{
	struct probe_http *h = user;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	h->requesting = true;
	return CURL_PREREQFUNC_OK;
}

/* ---- life ---- */

static void tell(struct probe_http *h, CURLcode code, uint64_t now_ns)
{
	struct probe *p = h->probe;
	struct probe_result r = {.latency_ns = mono_now_ns() - p->start_ns};

	if (h->header_ns)
		result_of_status(h, &r);
	else
		result_of_error(h, code, &r);
	probe_finish(p, &r, now_ns);
}

static int on_work(void *user, uint64_t now_ns)
{
	struct probe_engine *e = user;
	struct probe_http *h;
	CURLcode code;
	int r;

	probe_batch_begin(e);
	r = multi_work(e->curl);
	while (r == 0 && (h = multi_ended(e->curl, &code)))
		tell(h, code, now_ns);
	probe_batch_end(e);
	return r;
}

void probe_http_free(struct probe_http *h)
{
	if (!h)
		return;
	if (h->is_in_multi)
		(void)curl_multi_remove_handle(multi_handle(h->probe->engine->curl), h->easy);
	curl_easy_cleanup(h->easy);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->connect_to);
	free(h);
}

static bool header_is_safe(const char *text)
{
	return text && !strpbrk(text, "\r\n");
}

static int add_header(struct probe_http *h, const char *name, const char *value)
{
	AUTO(free_p) char *line = NULL;

	if (!header_is_safe(name) || !header_is_safe(value) || !name[0])
		return 0; /* cannot be said in HTTP */
	/* curl's way to say that a header has no value is a semicolon */
	int n = value[0] ? asprintf(&line, "%s: %s", name, value) : asprintf(&line, "%s;", name);

	if (n < 0) {
		line = NULL;
		return -ENOMEM;
	}
	struct curl_slist *more = curl_slist_append(h->headers, line);

	if (!more)
		return -ENOMEM;
	h->headers = more;
	return 0;
}

/* The host of the check, or that of a Host header, or NULL. */
static const char *check_host(const struct api_health_check *check)
{
	if (check->host && check->host[0])
		return check->host;
	for (size_t i = 0; i < check->n_headers; i++)
		if (strcasecmp(check->headers[i].name, "Host") == 0)
			return check->headers[i].value;
	return NULL;
}

static int add_headers(struct probe_http *h, const struct api_health_check *check)
{
	const char *host = check_host(check);
	int r = host ? add_header(h, "Host", host) : 0;
	bool has_agent = false;

	for (size_t i = 0; r == 0 && i < check->n_headers; i++) {
		const char *name = check->headers[i].name;

		if (strcasecmp(name, "Host") == 0)
			continue;
		has_agent = has_agent || strcasecmp(name, "User-Agent") == 0;
		r = add_header(h, name, check->headers[i].value);
	}
	if (r == 0 && !has_agent)
		r = add_header(h, "User-Agent", "vipd");
	return r < 0 ? r : add_header(h, "Connection", "close");
}

/* True for a name that TLS can carry as SNI. */
static bool is_dns_name(const char *host)
{
	struct addr a;
	size_t len = strlen(host);

	return len > 0 && len < 254 && addr_parse(host, &a) < 0 &&
	       strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
		       len;
}

/* The path as it goes into the request line: what HTTP does not allow there is percent-encoded. */
static void encode_path(const char *path, char *buf, size_t size)
{
	size_t n = 0;

	if (!path || path[0] != '/')
		buf[n++] = '/';
	for (const char *s = path ? path : ""; *s && *s != '#' && n + 4 < size; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch > 0x20 && ch < 0x7f)
			buf[n++] = *s;
		else
			n += (size_t)snprintf(buf + n, size - n, "%%%02X", ch);
	}
	buf[n] = '\0';
}

/* False: out of memory (curl copies strings). */
static bool set_url(struct probe_http *h, const struct probe *p)
{
	char ip[ADDR_TEXT_MAX], addr[ADDR_TEXT_MAX + 2], url[512], to[128];
	char path[PATH_MAX_ENCODED];
	const char *host = check_host(p->check);
	const char *scheme = p->check->kind == API_CHECK_HTTPS ? "https" : "http";

	(void)snprintf(addr, sizeof(addr), p->target.family == AF_INET6 ? "[%s]" : "%s",
		       addr_text(&p->target, ip));
	if (!host || !is_dns_name(host))
		host = addr;
	(void)snprintf(url, sizeof(url), "%s://%s:%u/", scheme, host, p->check->port);
	/* Wherever the URL points, this is where the connection goes. */
	(void)snprintf(to, sizeof(to), "::%s:%u", addr, p->check->port);
	encode_path(p->check->path, path, sizeof(path));
	h->connect_to = curl_slist_append(NULL, to);
	return h->connect_to && curl_easy_setopt(h->easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(h->easy, CURLOPT_CONNECT_TO, h->connect_to) == CURLE_OK &&
	       curl_easy_setopt(h->easy, CURLOPT_REQUEST_TARGET, path) == CURLE_OK;
}

static bool set_options(struct probe_http *h, const struct probe *p)
{
	CURL *c = h->easy;

	(void)curl_easy_setopt(c, CURLOPT_PRIVATE, h);
	(void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, h);
	(void)curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_request);
	(void)curl_easy_setopt(c, CURLOPT_PREREQDATA, h);
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	(void)curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 4096L);
	/* As kubelet's probes: a server is up, whatever its certificate says. */
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	/* Strings are copied; "" is no proxy, whatever the environment says. */
	return curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       set_url(h, p);
}

/* curl and its TLS library cost some megabytes, so they come with the first check that needs them. */
int probe_http_start(struct probe *p)
{
	if (!p->engine->curl) {
		int r = multi_new(p->engine->loop, LOOP_PRIO_PROBE, on_work, p->engine,
				  &p->engine->curl, NULL);

		if (r < 0 && r != -ENOMEM) {
			struct probe_result res = {.end = PROBE_LOCAL};

			probe_result_errno(&res, -r);
			return probe_end_soon(p, &res);
		}
		if (r < 0)
			return r;
	}
	struct probe_http *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->probe = p;
	h->fd = -1;
	p->phase = PROBE_HTTP;
	p->u.http = h; /* from here on whoever releases p frees it */
	h->easy = curl_easy_init();
	if (!h->easy || add_headers(h, p->check) < 0 || !set_options(h, p))
		return -ENOMEM;
	if (curl_multi_add_handle(multi_handle(p->engine->curl), h->easy) != CURLM_OK)
		return -ENOMEM;
	h->is_in_multi = true;
	return 0;
}
