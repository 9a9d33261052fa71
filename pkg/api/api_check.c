/* ports[].healthCheck: how a real server's port is asked whether it is well. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/api_internal.h"

#define HEADERS_MAX 16

static void decode_check_port(const struct api_cur *c, struct api_health_check *check)
{
	uint64_t port = 0;

	if (api_read_uint(c, 1, 65535, &port))
		check->port = (uint16_t)port;
}

static void decode_header(const struct api_cur *c, struct api_http_header *ret)
{
	static const char *const fields[] = {"name", "value", NULL};

	if (!api_is_given(c) || !api_is_map(c, fields))
		return;
	struct api_cur name = api_at_key(c, "name");
	struct api_cur value = api_at_key(c, "value");

	if (api_is_given(&name) && api_read_text_dup(&name, api_syntax_http_name, &ret->name) &&
	    strcasecmp(ret->name, "Host") == 0)
		api_refuse_value(&name, "must be given as httpGet.host");
	if (api_is_given(&value))
		(void)api_read_text_dup(&value, api_syntax_http_value, &ret->value);
}

static void decode_http(const struct api_cur *c, struct api_health_check *check)
{
	static const char *const fields[] = {"path", "port", "scheme", "host", "httpHeaders", NULL};
	static const struct api_word schemes[] = {
		{"HTTP", API_CHECK_HTTP}, {"HTTPS", API_CHECK_HTTPS}, {NULL, 0}};
	int kind = API_CHECK_HTTP;
	struct api_cur f;

	if (!api_is_map(c, fields))
		return;
	f = api_at_key(c, "scheme");
	(void)api_read_word(&f, schemes, &kind);
	check->kind = (enum api_check_kind)kind;
	f = api_at_key(c, "port");
	decode_check_port(&f, check);
	f = api_at_key(c, "path");
	if (!f.value)
		check->path = api_new_copy(c, "/");
	else
		(void)api_read_text_dup(&f, api_syntax_http_path, &check->path);
	f = api_at_key(c, "host");
	(void)api_read_text_dup(&f, api_syntax_http_host, &check->host);

	f = api_at_key(c, "httpHeaders");
	size_t n = api_list_len(&f, 0, HEADERS_MAX);

	check->headers = api_new_array(c, n, sizeof(*check->headers));
	for (size_t i = 0; check->headers && i < n; i++) {
		struct api_cur item = api_at_item(&f, i);

		decode_header(&item, &check->headers[check->n_headers++]);
	}
}

static void decode_tcp(const struct api_cur *c, struct api_health_check *check)
{
	static const char *const fields[] = {"port", NULL};
	struct api_cur f = api_at_key(c, "port");

	if (api_is_map(c, fields))
		decode_check_port(&f, check);
}

/* Nothing answers a bare UDP port: something else must vouch for it. */
static void require_for_udp(const struct api_cur *c, const struct api_cur *tcp,
			    const struct api_cur *http)
{
	struct api_cur tcp_port = api_at_key(tcp, "port");

	if (!tcp_port.value && !http->value)
		api_refuse(c, "a UDP port needs httpGet or tcpSocket.port");
}

static void decode_threshold(const struct api_cur *c, uint32_t *threshold)
{
	uint64_t n = 0;

	if (api_read_uint(c, 1, 100, &n))
		*threshold = (uint32_t)n;
}

void api_decode_check(const struct api_cur *c, const struct api_port *port,
		      struct api_health_check *ret)
{
	static const char *const fields[] = {"tcpSocket",
					     "httpGet",
					     "periodMilliseconds",
					     "timeoutMilliseconds",
					     "failureThreshold",
					     "successThreshold",
					     NULL};
	struct api_cur f;

	*ret = (struct api_health_check){
		.kind = API_CHECK_TCP,
		.port = port->port,
		.period_ns = 2 * NS_PER_S,
		.timeout_ns = 1 * NS_PER_S,
		.failure_threshold = 2,
		.success_threshold = 1,
	};
	if (c->value && !api_is_map(c, fields))
		return;
	struct api_cur tcp = api_at_key(c, "tcpSocket");
	struct api_cur http = api_at_key(c, "httpGet");

	if (tcp.value && http.value)
		api_refuse(c, "must have only one of tcpSocket and httpGet");
	else if (port->protocol == API_UDP)
		require_for_udp(c, &tcp, &http);
	decode_tcp(&tcp, ret);
	decode_http(&http, ret);

	f = api_at_key(c, "periodMilliseconds");
	(void)api_read_ms(&f, 100, 3600000, &ret->period_ns);
	f = api_at_key(c, "timeoutMilliseconds");
	(void)api_read_ms(&f, 10, 60000, &ret->timeout_ns);
	f = api_at_key(c, "failureThreshold");
	decode_threshold(&f, &ret->failure_threshold);
	f = api_at_key(c, "successThreshold");
	decode_threshold(&f, &ret->success_threshold);
}

void api_check_done(struct api_health_check *check)
{
	for (size_t i = 0; i < check->n_headers; i++) {
		free(check->headers[i].name);
		free(check->headers[i].value);
	}
	free(check->headers);
	free(check->path);
	free(check->host);
	*check = (struct api_health_check){0};
}
