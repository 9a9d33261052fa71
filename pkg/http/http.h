/*
 * http: the small server of /livez, /readyz and /metrics. GET and HEAD only, answers made on demand by
 * callbacks, on the caller's loop (no thread of its own). At most 16 connections, 10 s of silence each.
 * Without TLS and without passwords: it belongs on a loopback or node-internal address.
 */
#ifndef VIPD_HTTP_HTTP_H
#define VIPD_HTTP_HTTP_H

#include "base/base.h"
#include "loop/loop.h"

/*
 * Makes one answer, from the loop: returns its HTTP status (200..599). The body may stay NULL; else
 * *ret_body is the caller's from then on, to be freed with free(). *ret_content_type is borrowed for the
 * call and static as a rule; NULL: text/plain.
 */
typedef int (*http_fn)(void *user, char **ret_body, size_t *ret_len, const char **ret_content_type);

struct http_route {
	const char *path; /* "/livez": the whole path, without a query */
	http_fn fn;
};
struct http_routes {
	const struct http_route *items; /* borrowed for the life of the server */
	size_t n;
	void *user; /* for every fn */
};

struct http_server;

/* listen: "127.0.0.1:9754" or "[::1]:9754"; port 0: any free one. -EINVAL: it is no such text. */
int http_server_new(struct loop *l, const char *listen, const struct http_routes *routes,
		    struct http_server **ret, struct verr *reterr);
void http_server_free(struct http_server *s); /* NULL is fine; not from within a route */
/* What it listens on, port resolved. */
uint16_t http_server_port(const struct http_server *s);

/* Parses "ADDR:PORT", IPv6 in brackets. 0 or -EINVAL. Pure. */
int http_listen_parse(const char *text, struct addr *ret_addr, uint16_t *ret_port);

/* ---- the text of /metrics: Prometheus' format, version 0.0.4. Pure but for its memory ---- */

#define HTTP_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum http_metric { HTTP_COUNTER, HTTP_GAUGE, HTTP_HISTOGRAM };
struct http_label {
	const char *name, *value;
};
#define HTTP_LABELS_MAX 6

struct http_metrics;

struct http_metrics *http_metrics_new(void); /* NULL: no memory */
void http_metrics_free(struct http_metrics *m); /* NULL is fine */
void http_metrics_free_p(struct http_metrics **m);
/* Begins a family: what follows are its samples. All borrowed until the next one begins. */
void http_metrics_family(struct http_metrics *m, const char *name, enum http_metric type,
			 const char *help);
/* A sample of a counter or a gauge. labels: at most HTTP_LABELS_MAX; values are escaped. */
void http_metrics_sample(struct http_metrics *m, double value, const struct http_label *labels,
			 size_t n_labels);
/* A histogram without labels: counts[i] fell at or below bounds[i], and above the one before; counts[n] above all. */
void http_metrics_histogram(struct http_metrics *m, const double *bounds, const uint64_t *counts,
			    size_t n, double sum);
/* The whole text, NUL-terminated, to be freed with free(); m is empty then. NULL: no memory, once or again. */
char *http_metrics_take(struct http_metrics *m, size_t *ret_len);

#endif
