/* ctl: the answer of the agent as text for people: a summary, then a paragraph for each VIP. */
#include "ctl_text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- pieces ---- */

const char *text_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

int64_t text_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool text_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool text_has(const json_t *object, const char *key)
{
	return json_object_get(object, key) != NULL;
}

char *text_clean(const char *text, char *buf, size_t size)
{
	size_t n = 0;
	char ch[4];

	for (size_t len; (len = utf8_take_shown(&text, ch)) > 0 && n + len < size; n += len)
		memcpy(buf + n, ch, len);
	buf[n] = '\0';
	return buf;
}

unsigned int text_columns(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

char *text_age(const json_t *object, const char *key, char *buf, size_t size)
{
	int64_t s = text_int(object, key);

	if (s >= 0 && s < 60) /* it is counted in whole seconds */
		(void)snprintf(buf, size, "%" PRId64 " s", s);
	else
		(void)mono_span_text(s > 0 ? (uint64_t)s * NS_PER_S : 0, buf, size);
	return buf;
}

void text_tone(const struct ctl_text_opts *opts, enum text_tone tone, FILE *out)
{
	if (!opts->color)
		return;
	switch (tone) {
	case TONE_PLAIN:
		fputs("\033[0m", out);
		return;
	case TONE_STRONG:
		fputs("\033[1m", out);
		return;
	case TONE_GOOD:
		fputs("\033[32m", out);
		return;
	case TONE_WARN:
		fputs("\033[33m", out);
		return;
	case TONE_BAD:
		fputs("\033[31m", out);
		return;
	case TONE_DIM:
		fputs("\033[2m", out);
		return;
	}
}

static void print_toned(const struct ctl_text_opts *opts, enum text_tone tone, const char *text,
			FILE *out)
{
	text_tone(opts, tone, out);
	fputs(text, out);
	text_tone(opts, TONE_PLAIN, out);
}

static void print_str(const json_t *object, const char *key, FILE *out)
{
	char buf[512];

	fputs(text_clean(text_str(object, key), buf, sizeof(buf)), out);
}

static bool is_role(const json_t *vip, const char *role)
{
	return strcmp(text_str(vip, "role"), role) == 0;
}

bool text_is_wanted(const struct ctl_text_opts *opts, const json_t *vip)
{
	for (size_t i = 0; i < opts->n_names; i++)
		if (strcmp(opts->names[i], text_str(vip, "name")) == 0)
			return true;
	return opts->n_names == 0;
}

/* ---- the summary ---- */

static void print_roles(const json_t *vips, FILE *out)
{
	static const struct {
		const char *role, *text;
	} roles[] = {
		{"Active", "active here"},   {"Releasing", "handing over"}, {"Backup", "backup"},
		{"Init", "not taking part"}, {"RealServer", "served"},      {"NotRun", "not run"},
	};
	const char *before = ": ";

	for (size_t k = 0; k < ARRAY_LEN(roles); k++) {
		size_t i, n = 0;
		const json_t *vip;

		json_array_foreach(vips, i, vip) n += is_role(vip, roles[k].role);
		if (!n)
			continue;
		fprintf(out, "%s%zu %s", before, n, roles[k].text);
		before = ", ";
	}
}

static void print_source(const json_t *source, FILE *out)
{
	size_t n = json_array_size(json_object_get(source, "problems"));

	fputs("objects from ", out);
	print_str(source, text_has(source, "path") ? "path" : "kind", out);
	fputs(text_true(source, "synced") ? "" : ", not all read yet", out);
	fputs(text_true(source, "fromState") ? ", which does not answer: last known ones" : "",
	      out);
	if (n)
		fprintf(out, ", %zu problem%s", n, n == 1 ? "" : "s");
}

static void print_kernel(const json_t *kernel, FILE *out)
{
	const json_t *sync = json_object_get(kernel, "sync");
	int64_t repairs = text_int(json_object_get(kernel, "repairs"), "total");

	if (text_true(kernel, "ipvs")) {
		fputs("IPVS ", out);
		print_str(kernel, "ipvsVersion", out);
	} else {
		fputs("no IPVS", out);
	}
	fputs(text_true(kernel, "nftables") ? "" : ", no nftables", out);
	if (text_int(sync, "id")) {
		fprintf(out, ", sync id %" PRId64 " on ", text_int(sync, "id"));
		print_str(sync, "interface", out);
	}
	fputs(text_true(kernel, "realtime") ? "" : ", no real-time priority", out);
	if (repairs)
		fprintf(out, ", %" PRId64 " repair%s", repairs, repairs == 1 ? "" : "s");
}

static void print_summary(const json_t *status, const struct ctl_text_opts *opts, FILE *out)
{
	const json_t *vips = json_object_get(status, "virtualIPs");
	const json_t *source = json_object_get(status, "source");
	size_t n = json_array_size(vips), i;
	const json_t *problem;
	char age[MONO_TEXT_MAX];

	text_tone(opts, TONE_STRONG, out);
	fputs("vipd ", out);
	print_str(status, "version", out);
	fputs(" on ", out);
	print_str(status, "node", out);
	text_tone(opts, TONE_PLAIN, out);
	fprintf(out, ", up %s; %zu virtual IP%s",
		text_age(status, "sinceSeconds", age, sizeof(age)), n, n == 1 ? "" : "s");
	print_roles(vips, out);
	fputc('\n', out);
	text_tone(opts, TONE_DIM, out);
	print_source(source, out);
	fputs("; ", out);
	print_kernel(json_object_get(status, "kernel"), out);
	text_tone(opts, TONE_PLAIN, out);
	fputc('\n', out);
	json_array_foreach(json_object_get(source, "problems"), i, problem)
	{
		print_toned(opts, TONE_BAD, "! ", out);
		print_str(problem, "message", out);
		fputc('\n', out);
	}
}

/* ---- one VIP ---- */

static void print_reason(const json_t *vip, FILE *out)
{
	if (!text_str(vip, "reason")[0])
		return;
	fputs(" (", out);
	print_str(vip, "reason", out);
	fputc(')', out);
}

/* "node02 (192.168.44.52, priority 100) is active for 2h13m" */
static void print_active(const json_t *vip, FILE *out)
{
	const char *node = text_str(vip, "activeNode");
	char age[MONO_TEXT_MAX];

	if (!node[0] && !text_has(vip, "activeAddress")) {
		fputs("; nobody is known to be active", out);
		return;
	}
	fputs("; ", out);
	print_str(vip, node[0] ? "activeNode" : "activeAddress", out);
	fputs(node[0] ? "" : " (no node of ours)", out);
	fputs(" is active", out);
	if (text_has(vip, "activeSinceSeconds"))
		fprintf(out, " for %s", text_age(vip, "activeSinceSeconds", age, sizeof(age)));
	if (text_has(vip, "activePriority"))
		fprintf(out, " with priority %" PRId64, text_int(vip, "activePriority"));
}

static void print_role(const json_t *vip, const struct ctl_text_opts *opts, FILE *out)
{
	char age[MONO_TEXT_MAX], span[MONO_TEXT_MAX + 8] = "";

	if (text_has(vip, "sinceSeconds"))
		(void)snprintf(span, sizeof(span), " for %s",
			       text_age(vip, "sinceSeconds", age, sizeof(age)));
	if (is_role(vip, "Active")) {
		print_toned(opts, TONE_GOOD, "active here", out);
	} else if (is_role(vip, "Releasing")) {
		print_toned(opts, TONE_WARN, "handing over", out);
	} else if (is_role(vip, "Backup")) {
		fputs("backup", out);
	} else if (is_role(vip, "RealServer")) {
		fputs("real server only", out);
	} else if (is_role(vip, "Init")) {
		print_toned(opts, TONE_WARN, "not taking part", out);
	} else {
		print_toned(opts, TONE_BAD, "not run", out);
	}
	fputs(span, out);
	print_reason(vip, out);
	if (is_role(vip, "Backup") || is_role(vip, "Init") || is_role(vip, "RealServer"))
		print_active(vip, out);
}

/* "eth0, VRID 4, VRRPv2 every 2.0 s, priority 99; node02 100" */
static void print_vrrp(const json_t *vip, const struct ctl_text_opts *opts, FILE *out)
{
	const json_t *m;
	char every[MONO_TEXT_MAX];
	const char *before = "; ";
	size_t i;

	if (!text_has(vip, "virtualRouterID"))
		return;
	text_tone(opts, TONE_DIM, out);
	fputs("  ", out);
	print_str(vip, "interface", out);
	fprintf(out, ", VRID %" PRId64 ", VRRPv%" PRId64 " every %s",
		text_int(vip, "virtualRouterID"), text_int(vip, "version"),
		mono_span_text((uint64_t)text_int(vip, "advertisementPeriodMilliseconds") *
				       NS_PER_MS,
			       every, sizeof(every)));
	if (strcmp(text_str(vip, "transport"), "Unicast") == 0)
		fputs(", unicast", out);
	if (text_has(vip, "priority"))
		fprintf(out, ", priority %" PRId64, text_int(vip, "priority"));
	json_array_foreach(json_object_get(vip, "members"), i, m)
	{
		if (text_true(m, "self"))
			continue;
		fputs(before, out);
		print_str(m, "node", out);
		fprintf(out, " %" PRId64, text_int(m, "priority"));
		fputs(text_true(m, "cordoned") ? " (cordoned)" : "", out);
		fputs(text_has(m, "ready") && !text_true(m, "ready") ? " (not ready)" : "", out);
		before = ", ";
	}
	text_tone(opts, TONE_PLAIN, out);
	fputc('\n', out);
}

static void print_trouble(const json_t *c, const char *want, const struct ctl_text_opts *opts,
			  FILE *out)
{
	print_toned(opts, TONE_WARN, "  ! ", out);
	fputs(strcmp(want, "True") == 0 ? "not " : "", out);
	print_str(c, "type", out);
	fputs(": ", out);
	print_str(c, "reason", out);
	if (text_str(c, "message")[0]) {
		fputs(": ", out);
		print_str(c, "message", out);
	}
	fputc('\n', out);
}

/* Conditions that are not as they should be, and the VIP's message; nothing is said twice. */
static void print_conditions(const json_t *vip, const struct ctl_text_opts *opts, FILE *out)
{
	const char *message = text_str(vip, "message"), *reason = text_str(vip, "reason");
	bool said = false;
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(vip, "conditions"), i, c)
	{
		const char *type = text_str(c, "type"), *want = "False";
		bool same = message[0] && strcmp(text_str(c, "message"), message) == 0;

		if (strcmp(type, "Accepted") == 0 || strcmp(type, "Ready") == 0)
			want = "True";
		if (strcmp(text_str(c, "status"), want) == 0 ||
		    (same && strcmp(text_str(c, "reason"), reason) == 0))
			continue; /* the second: the role line has named this reason */
		print_trouble(c, want, opts, out);
		said = said || same;
	}
	if (message[0] && !said) {
		print_toned(opts, TONE_WARN, "  ! ", out);
		print_str(vip, "message", out);
		fputc('\n', out);
	}
}

/* VRRP counters, where they tell of trouble. */
static void print_adverts(const json_t *vip, const struct ctl_text_opts *opts, FILE *out)
{
	const json_t *adverts = json_object_get(vip, "adverts");
	const json_t *late = json_object_get(adverts, "lateness"), *n;
	const char *cause;
	int64_t mismatch = text_int(adverts, "addressMismatch");
	int64_t slow = text_int(late, "10ms") + text_int(late, "30ms") + text_int(late, "100ms") +
		       text_int(late, "more");
	char name[32];

	json_object_foreach((json_t *)(uintptr_t)json_object_get(adverts, "rejected"), cause, n)
	{
		if (json_integer_value(n) == 0)
			continue;
		print_toned(opts, TONE_WARN, "  ! ", out);
		fprintf(out, "%" JSON_INTEGER_FORMAT " adverts rejected: %s\n",
			json_integer_value(n), text_clean(cause, name, sizeof(name)));
	}
	if (mismatch) {
		print_toned(opts, TONE_WARN, "  ! ", out);
		fprintf(out, "%" PRId64 " adverts with another list of addresses\n", mismatch);
	}
	if (slow) {
		print_toned(opts, TONE_WARN, "  ! ", out);
		fprintf(out, "%" PRId64 " of %" PRId64 " adverts left more than 3 ms late\n", slow,
			text_int(adverts, "sent"));
	}
}

static void print_vip(const json_t *vip, const struct text_table *table,
		      const struct ctl_text_opts *opts, FILE *out)
{
	const json_t *a, *port;
	size_t i;
	char buf[ADDR_TEXT_MAX];

	fputc('\n', out);
	text_tone(opts, TONE_STRONG, out);
	print_str(vip, "name", out);
	text_tone(opts, TONE_PLAIN, out);
	json_array_foreach(json_object_get(vip, "addresses"), i, a)
		fprintf(out, "%s%s", i ? ", " : "  ",
			text_clean(json_string_value(a) ?: "", buf, sizeof(buf)));
	fputs("  ", out);
	print_role(vip, opts, out);
	fputc('\n', out);
	print_vrrp(vip, opts, out);
	print_conditions(vip, opts, out);
	print_adverts(vip, opts, out);
	json_array_foreach(json_object_get(vip, "ports"), i, port)
		text_table_print(port, table, opts, out);
}

int ctl_status_text(const json_t *status, const struct ctl_text_opts *opts, FILE *out)
{
	struct text_table table;
	const json_t *vip;
	size_t i;
	int n = 0;

	text_table_measure(status, opts, &table);
	if (opts->n_names == 0)
		print_summary(status, opts, out);
	json_array_foreach(json_object_get(status, "virtualIPs"), i, vip)
	{
		if (!text_is_wanted(opts, vip))
			continue;
		print_vip(vip, &table, opts, out);
		n++;
	}
	return fflush(out) == 0 && !ferror(out) ? n : -EIO;
}

json_t *ctl_status_select(const json_t *status, char *const *names, size_t n_names)
{
	const struct ctl_text_opts opts = {.names = names, .n_names = n_names};
	json_auto_t *copy = json_copy((json_t *)(uintptr_t)status); /* shallow */
	json_auto_t *vips = json_array();
	json_t *vip;
	size_t i;

	if (!copy || !vips)
		return NULL;
	json_array_foreach(json_object_get(status, "virtualIPs"), i,
			   vip) if (text_is_wanted(&opts, vip) &&
				    json_array_append(vips, vip) < 0) return NULL;
	if (json_object_set(copy, "virtualIPs", vips) < 0)
		return NULL;
	return STEAL(copy);
}
