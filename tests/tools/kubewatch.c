/*
 * kubewatch: prints what pkg/kube delivers, a line each, until SIGTERM, SIGINT, or the end of its input.
 *	kubewatch [--kubeconfig FILE [--context NAME] | --account DIR] [--servers LIST] PATH=KIND[?FIELDS]...
 * e.g. kubewatch --kubeconfig c.yaml /apis/vipd.io/v1alpha1/virtualips=VirtualIP '/api/v1/nodes=Node?metadata.name=n1'
 *
 * Standard output: "TYPE KIND NAMESPACE/NAME UID RESOURCEVERSION" (set, gone), "synced PATH", "bad PATH: why",
 * "good PATH", "report LEVEL TEXT". A line "stats" on standard input prints a line for each resource.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kube/kube.h"

#define RESOURCES_MAX 16

struct watched {
	char *path, *kind, *fields;
	struct kube_reflector *reflector;
};

struct watch {
	struct loop *loop;
	struct watched items[RESOURCES_MAX];
	size_t n;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(object, "metadata"), key));

	return text ? text : "-";
}

static void on_object(void *user, const struct object_event *ev)
{
	const struct watched *w = user;

	switch (ev->type) {
	case OBJECT_SET:
	case OBJECT_GONE:
		printf("%s %s %s/%s %s %s\n", ev->type == OBJECT_SET ? "set" : "gone", ev->kind,
		       ev->namespace_, ev->name, text_of(ev->object, "uid"),
		       text_of(ev->object, "resourceVersion"));
		break;
	case OBJECT_SYNCED:
		printf("synced %s\n", w->path);
		break;
	case OBJECT_BAD:
		printf("bad %s: %s\n", w->path, ev->problem);
		break;
	case OBJECT_GOOD:
		printf("good %s\n", w->path);
		break;
	}
	(void)fflush(stdout);
}

static void on_report(void *user, enum log_level level, const char *text)
{
	static const char letters[] = "IWE";

	(void)user;
	printf("report %c %s\n", letters[level], text);
	(void)fflush(stdout);
}

static int on_signal(void *user, int signo, uint64_t now_ns)
{
	struct watch *w = user;

	(void)signo;
	(void)now_ns;
	loop_stop(w->loop, 0);
	return 0;
}

static void print_stats(const struct watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct kube_reflector_stats s;

		kube_reflector_stats(w->items[i].reflector, &s);
		printf("stats %s synced=%d watching=%d objects=%zu lists=%" PRIu64
		       " watches=%" PRIu64 " events=%" PRIu64 " errors=%" PRIu64
		       " version=%s problem=%s\n",
		       w->items[i].path, s.is_synced, s.is_watching, s.n_objects, s.n_lists,
		       s.n_watches, s.n_events, s.n_errors, s.resource_version,
		       s.problem ? s.problem : "-");
	}
	(void)fflush(stdout);
}

static int on_input(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct watch *w = user;
	char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	(void)events;
	(void)now_ns;
	if (n <= 0) {
		loop_stop(w->loop, 0);
		return 0;
	}
	buf[n] = '\0';
	if (strstr(buf, "stats"))
		print_stats(w);
	return 0;
}

static int load_config(const char *file, const char *context, const char *account,
		       const char *servers, struct kube_config **ret, struct verr *reterr)
{
	int r = file ? kube_config_load_file(file, context, ret, reterr)
		     : kube_config_load_in_cluster(account, ret, reterr);

	return r == 0 && servers ? kube_config_set_servers(*ret, servers, reterr) : r;
}

static int add_resource(struct watch *w, struct kube *k, char *text, struct verr *reterr)
{
	struct watched *item = &w->items[w->n];
	char *kind = strchr(text, '=');
	char *fields = kind ? strchr(kind, '?') : NULL;

	if (!kind || w->n == RESOURCES_MAX)
		return verr_set(reterr, 22, "%s is not PATH=KIND[?FIELDS], or one too many", text);
	*kind++ = '\0';
	if (fields)
		*fields++ = '\0';
	item->path = text;
	item->kind = kind;
	item->fields = fields;

	const struct kube_resource resource = {
		.path = text, .kind = kind, .field_selector = fields};
	int r = kube_reflector_new(k, &resource, on_object, item, &item->reflector, reterr);

	w->n += r == 0;
	return r;
}

static int watch(struct watch *w, struct kube *k, char **resources, struct verr *reterr)
{
	AUTO(loop_source_free_p) struct loop_source *term = NULL;
	AUTO(loop_source_free_p) struct loop_source *intr = NULL;
	AUTO(loop_source_free_p) struct loop_source *input = NULL;
	int r = loop_add_signal(w->loop, 15, on_signal, w, &term);

	if (r == 0)
		r = loop_add_signal(w->loop, 2, on_signal, w, &intr);
	/* A file, or /dev/null, cannot be polled: then only a signal ends it. */
	(void)loop_add_io(w->loop, STDIN_FILENO, LOOP_IN, LOOP_PRIO_NORMAL, on_input, w, &input);
	for (; r == 0 && *resources; resources++)
		r = add_resource(w, k, *resources, reterr);
	if (r == 0)
		r = loop_run(w->loop);
	for (size_t i = 0; i < w->n; i++)
		kube_reflector_free(w->items[i].reflector);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"kubeconfig", required_argument, NULL, 'k'},
		{"context", required_argument, NULL, 'c'},
		{"account", required_argument, NULL, 'a'},
		{"servers", required_argument, NULL, 's'},
		{0},
	};
	const char *file = NULL, *context = NULL, *account = NULL, *servers = NULL;
	AUTO(loop_free_p) struct loop *loop = NULL;
	AUTO(kube_free_p) struct kube *k = NULL;
	AUTO(kube_config_free_p) struct kube_config *config = NULL;
	struct watch w = {.n = 0};
	struct verr e = {0};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'k')
			file = optarg;
		else if (opt == 'c')
			context = optarg;
		else if (opt == 'a')
			account = optarg;
		else if (opt == 's')
			servers = optarg;
		else
			return 2;
	}
	loop_block_signals();

	int r = load_config(file, context, account, servers, &config, &e);

	if (r == 0)
		r = loop_new(&loop, &e);
	if (r == 0)
		r = kube_new(loop, config, "vipd/kubewatch (linux)", on_report, NULL, &k, &e);
	if (r == 0) {
		(void)STEAL(config);
		w.loop = loop;
		r = watch(&w, k, argv + optind, &e);
	}
	if (r < 0)
		fprintf(stderr, "kubewatch: %s\n", e.msg[0] ? e.msg : strerror(-r));
	return r < 0;
}
