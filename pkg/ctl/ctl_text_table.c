/* ctl: the table of a port and its real servers, as wide as the terminal allows. */
#include "ctl_text.h"

#include <inttypes.h>
#include <string.h>

struct row {
	char cell[COL_N][CELL_MAX];
	enum text_tone tone[COL_N];
};

static const char *const titles[COL_N] = {"",       "NODE",     "STATE", "LAST CHECK", "WEIGHT",
					  "ACTIVE", "INACTIVE", "TOTAL", "BYTES"};

/* What goes when the terminal is narrow, in this order; the details of checks go in between. */
static const enum text_column luxuries[] = {COL_BYTES, COL_INACTIVE, COL_TOTAL};
static const enum text_column comforts[] = {COL_WEIGHT, COL_NODE, COL_ACTIVE};

#define INDENT 2
#define GAP 2

static bool is_number(enum text_column c)
{
	return c >= COL_WEIGHT;
}

static void bytes_text(int64_t n, char *buf, size_t size)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t tenths = n < 0 ? 0 : (uint64_t)n;
	size_t u = 0;

	if (tenths < 1000) {
		(void)snprintf(buf, size, "%" PRIu64 " B", tenths);
		return;
	}
	for (tenths /= 100; tenths >= 10000 && u + 1 < ARRAY_LEN(units); u++)
		tenths /= 1000;
	(void)snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[u]);
}

static void count_text(const json_t *rs, const char *key, char *buf, size_t size)
{
	if (text_has(rs, key))
		(void)snprintf(buf, size, "%" PRId64, text_int(rs, key));
}

static void state_cell(const json_t *rs, struct row *row)
{
	const char *verdict = text_str(rs, "verdict");
	bool good = strcmp(verdict, "Healthy") == 0;
	char name[32], age[MONO_TEXT_MAX] = "";

	if (text_has(rs, "verdictSinceSeconds"))
		(void)text_age(rs, "verdictSinceSeconds", age, sizeof(age));
	(void)snprintf(row->cell[COL_STATE], CELL_MAX, "%s%s%s%s",
		       text_clean(verdict, name, sizeof(name)),
		       text_true(rs, "suspect") ? " (suspect)" : "", age[0] ? " " : "", age);
	row->tone[COL_STATE] =
		good ? TONE_GOOD : (strcmp(verdict, "Unhealthy") == 0 ? TONE_BAD : TONE_WARN);
}

static void check_cell(const json_t *rs, bool brief, struct row *row)
{
	const json_t *last = json_object_get(rs, "last");
	char result[24], detail[48], took[MONO_TEXT_MAX], ago[MONO_TEXT_MAX];
	char *cell = row->cell[COL_CHECK];

	if (!json_is_object(last)) {
		(void)snprintf(cell, CELL_MAX, "none yet");
		return;
	}
	bool good = strcmp(text_str(last, "result"), "OK") == 0;

	(void)text_clean(text_str(last, "result"), result, sizeof(result));
	(void)text_clean(brief ? "" : text_str(last, "detail"), detail, sizeof(detail));
	(void)mono_span_text((uint64_t)text_int(last, "latencyMicroseconds") * NS_PER_US, took,
			     sizeof(took));
	(void)mono_span_text((uint64_t)text_int(last, "agoMilliseconds") * NS_PER_MS, ago,
			     sizeof(ago));
	if (good && detail[0] && text_int(last, "status"))
		(void)snprintf(cell, CELL_MAX, "%s in %s, %s ago", detail, took, ago);
	else if (good)
		(void)snprintf(cell, CELL_MAX, "%s in %s, %s ago", result, took, ago);
	else
		(void)snprintf(cell, CELL_MAX, "%s%s%s, %s ago", result, detail[0] ? ": " : "",
			       detail, ago);
	row->tone[COL_CHECK] = good ? TONE_PLAIN : TONE_BAD;
}

static void row_of_server(const json_t *rs, bool brief, struct row *row)
{
	char node[64];

	*row = (struct row){0};
	(void)text_clean(text_str(rs, "address"), row->cell[COL_SERVER], ADDR_TEXT_MAX);
	(void)text_clean(text_str(rs, "node"), node, sizeof(node));
	(void)snprintf(row->cell[COL_NODE], CELL_MAX, "%s%s", node[0] ? node : "-",
		       text_true(rs, "local") ? " (here)" : "");
	state_cell(rs, row);
	check_cell(rs, brief, row);
	count_text(rs, "weight", row->cell[COL_WEIGHT], CELL_MAX);
	if (text_has(rs, "effectiveWeight") &&
	    text_int(rs, "effectiveWeight") != text_int(rs, "weight"))
		(void)snprintf(row->cell[COL_WEIGHT], CELL_MAX, "%" PRId64 " of %" PRId64,
			       text_int(rs, "effectiveWeight"), text_int(rs, "weight"));
	count_text(rs, "activeConnections", row->cell[COL_ACTIVE], CELL_MAX);
	count_text(rs, "inactiveConnections", row->cell[COL_INACTIVE], CELL_MAX);
	count_text(rs, "connections", row->cell[COL_TOTAL], CELL_MAX);
	if (text_has(rs, "bytes"))
		bytes_text(text_int(rs, "bytes"), row->cell[COL_BYTES], CELL_MAX);
}

/* "22/TCP rr, sticky 300 s" */
static void port_text(const json_t *port, char *buf, size_t size)
{
	char protocol[16], scheduler[24], sticky[40] = "";

	if (text_int(port, "persistenceSeconds"))
		(void)snprintf(sticky, sizeof(sticky), ", sticky %" PRId64 " s",
			       text_int(port, "persistenceSeconds"));
	(void)snprintf(buf, size, "%" PRId64 "/%s %s%s%s", text_int(port, "port"),
		       text_clean(text_str(port, "protocol"), protocol, sizeof(protocol)),
		       text_clean(text_str(port, "scheduler"), scheduler, sizeof(scheduler)),
		       sticky, text_has(port, "trafficDistribution") ? ", same node" : "");
}

/* ---- widths ---- */

static void widen(struct text_table *t, enum text_column c, const char *text)
{
	unsigned int n = text_columns(text);

	if (n > t->width[c])
		t->width[c] = n;
}

static void measure_port(const json_t *port, struct text_table *t)
{
	char head[CELL_MAX];
	const json_t *rs;
	size_t i;

	port_text(port, head, sizeof(head));
	widen(t, COL_SERVER, head);
	json_array_foreach(json_object_get(port, "realServers"), i, rs)
	{
		struct row row;

		row_of_server(rs, t->brief, &row);
		widen(t, COL_SERVER, row.cell[COL_SERVER]);
		for (enum text_column c = COL_NODE; c < COL_N; c++)
			widen(t, c, row.cell[c]);
	}
}

static unsigned int total_width(const struct text_table *t)
{
	unsigned int sum = INDENT;

	for (enum text_column c = 0; c < COL_N; c++)
		sum += t->width[c] ? t->width[c] + (c ? GAP : 0) : 0;
	return sum;
}

static void measure(const json_t *status, const struct ctl_text_opts *opts, struct text_table *t)
{
	const json_t *vip, *port;
	size_t i, j;

	memset(t->width, 0, sizeof(t->width));
	json_array_foreach(json_object_get(status, "virtualIPs"), i,
			   vip) if (text_is_wanted(opts, vip))
		json_array_foreach(json_object_get(vip, "ports"), j, port) measure_port(port, t);
	for (enum text_column c = COL_NODE; c < COL_N; c++)
		if (t->width[c]) /* a column without a single value is left out */
			widen(t, c, titles[c]);
}

static bool fits(const struct text_table *t, const struct ctl_text_opts *opts)
{
	return opts->width == 0 || total_width(t) <= opts->width;
}

void text_table_measure(const json_t *status, const struct ctl_text_opts *opts,
			struct text_table *ret)
{
	*ret = (struct text_table){.brief = false};
	measure(status, opts, ret);
	for (size_t k = 0; k < ARRAY_LEN(luxuries) && !fits(ret, opts); k++)
		ret->width[luxuries[k]] = 0;
	if (fits(ret, opts))
		return;
	ret->brief = true;
	measure(status, opts, ret);
	for (size_t k = 0; k < ARRAY_LEN(luxuries); k++)
		ret->width[luxuries[k]] = 0;
	for (size_t k = 0; k < ARRAY_LEN(comforts) && !fits(ret, opts); k++)
		ret->width[comforts[k]] = 0;
}

/* ---- printing ---- */

static void print_row(const struct row *row, const struct text_table *t,
		      const struct ctl_text_opts *opts, FILE *out)
{
	unsigned int pending = INDENT; /* blanks, never printed at the end of a line */

	for (enum text_column c = 0; c < COL_N; c++) {
		unsigned int n = text_columns(row->cell[c]);
		unsigned int pad = t->width[c] > n ? t->width[c] - n : 0;

		if (!t->width[c])
			continue;
		pending += (c ? GAP : 0) + (is_number(c) ? pad : 0);
		if (n > 0) {
			fprintf(out, "%*s", (int)pending, "");
			if (row->tone[c] != TONE_PLAIN)
				text_tone(opts, row->tone[c], out);
			fputs(row->cell[c], out);
			if (row->tone[c] != TONE_PLAIN)
				text_tone(opts, TONE_PLAIN, out);
			pending = 0;
		}
		pending += is_number(c) ? 0 : pad;
	}
	fputc('\n', out);
}

void text_table_print(const json_t *port, const struct text_table *t,
		      const struct ctl_text_opts *opts, FILE *out)
{
	struct row row = {0};
	const json_t *rs;
	size_t i;

	for (enum text_column c = COL_NODE; c < COL_N; c++) {
		(void)snprintf(row.cell[c], CELL_MAX, "%s", titles[c]);
		row.tone[c] = TONE_DIM;
	}
	port_text(port, row.cell[COL_SERVER], CELL_MAX);
	row.tone[COL_SERVER] = TONE_STRONG;
	print_row(&row, t, opts, out);
	json_array_foreach(json_object_get(port, "realServers"), i, rs)
	{
		row_of_server(rs, t->brief, &row);
		print_row(&row, t, opts, out);
	}
}
