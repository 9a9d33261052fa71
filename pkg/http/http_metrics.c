/* Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

struct http_metrics {
	char *text;
	size_t len, size;
	bool bad; /* there was no memory: nothing is better than half */
	const char *name;
};

struct http_metrics *http_metrics_new(void)
{
	return calloc(1, sizeof(struct http_metrics));
}

void http_metrics_free(struct http_metrics *m)
{
	if (!m)
		return;
	free(m->text);
	free(m);
}

void http_metrics_free_p(struct http_metrics **m)
{
	http_metrics_free(*m);
	*m = NULL;
}

static void put(struct http_metrics *m, const char *s, size_t len)
{
	if (m->bad)
		return;
	if (m->len + len + 1 > m->size) {
		size_t size = 2 * (m->size + len) + 4096;
		char *grown = realloc(m->text, size);

		if (!grown) {
			m->bad = true;
			return;
		}
		m->text = grown;
		m->size = size;
	}
	memcpy(m->text + m->len, s, len);
	m->len += len;
	m->text[m->len] = '\0';
}

static void put_text(struct http_metrics *m, const char *s)
{
	put(m, s, strlen(s));
}

/* Of a label, or of a help text, where quotes may stand. */
static void put_escaped(struct http_metrics *m, const char *s, bool is_label)
{
	for (; *s; s++) {
		if (*s == '\\')
			put(m, "\\\\", 2);
		else if (*s == '\n')
			put(m, "\\n", 2);
		else if (*s == '"' && is_label)
			put(m, "\\\"", 2);
		else
			put(m, s, 1);
	}
}

static void put_number(struct http_metrics *m, double value)
{
	char text[48];

	/* counters as they are, up to where a double knows each integer */
	if (value >= 0 && value < 9007199254740992.0 && (double)(uint64_t)value == value)
		snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)value);
	else
		snprintf(text, sizeof(text), "%.9g", value);
	put_text(m, text);
}

void http_metrics_family(struct http_metrics *m, const char *name, enum http_metric type,
			 const char *help)
{
	static const char *const types[] = {
		[HTTP_COUNTER] = "counter", [HTTP_GAUGE] = "gauge", [HTTP_HISTOGRAM] = "histogram"};

	m->name = name;
	put_text(m, "# HELP ");
	put_text(m, name);
	put_text(m, " ");
	put_escaped(m, help, false);
	put_text(m, "\n# TYPE ");
	put_text(m, name);
	put_text(m, " ");
	put_text(m, types[type]);
	put_text(m, "\n");
}

static void sample(struct http_metrics *m, const char *suffix, double value,
		   const struct http_label *labels, size_t n_labels)
{
	put_text(m, m->name);
	put_text(m, suffix);
	for (size_t i = 0; i < n_labels; i++) {
		put_text(m, i == 0 ? "{" : ",");
		put_text(m, labels[i].name);
		put_text(m, "=\"");
		put_escaped(m, labels[i].value, true);
		put_text(m, "\"");
	}
	put_text(m, n_labels ? "} " : " ");
	put_number(m, value);
	put_text(m, "\n");
}

void http_metrics_sample(struct http_metrics *m, double value, const struct http_label *labels,
			 size_t n_labels)
{
	sample(m, "", value, labels, n_labels);
}

void http_metrics_histogram(struct http_metrics *m, const double *bounds, const uint64_t *counts,
			    size_t n, double sum)
{
	uint64_t below = 0;
	char bound[48];

	for (size_t i = 0; i <= n; i++) {
		below += counts[i];
		if (i < n)
			snprintf(bound, sizeof(bound), "%.9g", bounds[i]);
		sample(m, "_bucket", (double)below,
		       &(struct http_label){"le", i < n ? bound : "+Inf"}, 1);
	}
	sample(m, "_sum", sum, NULL, 0);
	sample(m, "_count", (double)below, NULL, 0);
}

char *http_metrics_take(struct http_metrics *m, size_t *ret_len)
{
	char *text = m->bad ? NULL : m->text;

	if (m->bad)
		free(m->text);
	*ret_len = text ? m->len : 0;
	*m = (struct http_metrics){.bad = m->bad};
	return text;
}
