/* vipd validate: checks manifests without a cluster, with file and line in every message. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "validate.h"

static const char usage[] =
	"Usage: vipd validate FILE...\n"
	"\n"
	"Checks the objects in the files, or in the *.yaml, *.yml and *.json files of a "
	"directory:\n"
	"each VirtualIP, Node and Secret by itself, then all of them together. Every problem "
	"comes\n"
	"with its file and line. Exit status: 0 all valid, 1 something is not, 2 wrong usage.\n";

/* Names and kinds come from the files: nothing in them may steer a terminal. */
static void print_foreign(const char *text)
{
	char ch[4];

	for (size_t n; (n = utf8_take_shown(&text, ch)) > 0;)
		(void)fwrite(ch, 1, n, stdout);
}

static void print_item(const struct validate_item *item, const char *path, const char *mark,
		       const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

static void print_item(const struct validate_item *item, const char *path, const char *mark,
		       const char *fmt, va_list ap)
{
	printf("%s:%u: %s", item->file, manifest_line_of(item->doc, path), mark);
	print_foreign(item->kind);
	putchar(' ');
	print_foreign(item->name);
	printf(": %s%s", path, *path ? ": " : "");
	vprintf(fmt, ap);
	putchar('\n');
}

void validate_problem(struct validate *v, const struct validate_item *item, const char *path,
		      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_item(item, path, "", fmt, ap);
	va_end(ap);
	v->n_problems++;
}

void validate_note(const struct validate_item *item, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_item(item, path, "note: ", fmt, ap);
	va_end(ap);
}

/* ---- reading ---- */

static bool has_ending(const char *name, const char *ending)
{
	size_t n = strlen(name), len = strlen(ending);

	return n > len && strcmp(name + n - len, ending) == 0;
}

static int is_manifest(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       (has_ending(entry->d_name, ".yaml") || has_ending(entry->d_name, ".yml") ||
		has_ending(entry->d_name, ".json"));
}

/* Takes path. */
static int read_file(struct validate *v, char *path)
{
	struct validate_file *grown = reallocarray(v->files, v->n_files + 1, sizeof(*grown));
	struct verr err = {0};

	if (!grown) {
		free(path);
		return -ENOMEM;
	}
	v->files = grown;

	struct validate_file *f = &grown[v->n_files++];

	*f = (struct validate_file){.path = path};
	int r = manifest_load(path, &f->docs, &err);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		/* a syntax error names the file itself, with line and column */
		bool named = strncmp(err.msg, path, strlen(path)) == 0;

		printf("%s%s%s\n", named ? "" : path, named ? "" : ": ", err.msg);
		v->n_problems++;
	}
	return 0;
}

static int read_dir(struct validate *v, const char *dir)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_manifest, alphasort), r = 0;

	if (n < 0 && errno == ENOMEM)
		return -ENOMEM;
	if (n <= 0) {
		printf("%s: %s\n", dir,
		       n < 0 ? strerror(errno) : "no *.yaml, *.yml or *.json file in it");
		v->n_problems++;
	}
	for (int i = 0; i < n; i++) {
		char *path = NULL;
		const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";

		if (r == 0 && asprintf(&path, "%s%s%s", dir, slash, entries[i]->d_name) < 0)
			r = -ENOMEM;
		if (r == 0)
			r = read_file(v, path);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int read_path(struct validate *v, const char *path)
{
	struct stat st;

	if (*path && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_dir(v, path);
	char *copy = strdup(path);

	return copy ? read_file(v, copy) : -ENOMEM;
}

/* ---- decoding ---- */

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool is_our_group(const char *version)
{
	const char *group = API_GROUP_VERSION;
	size_t len = strcspn(group, "/");

	return strncmp(version, group, len) == 0 && (version[len] == '/' || !version[len]);
}

static int decode_item(struct validate *v, struct validate_item *item)
{
	const json_t *object = item->doc->object;
	const char *version = text_at(object, "apiVersion");
	struct api_problems problems = {0};
	int r = 0;

	if (!*version)
		validate_problem(v, item, "apiVersion", "is missing");
	else if (is_our_group(version) && strcmp(item->kind, "VirtualIP") == 0)
		r = api_vip_decode(object, &item->vip, &problems);
	else if (strcmp(version, "v1") == 0 && strcmp(item->kind, "Node") == 0)
		r = api_node_decode(object, &item->node, &problems);
	else if (strcmp(version, "v1") == 0 && strcmp(item->kind, "Secret") == 0)
		r = api_secret_decode(object, &item->secret, &problems);
	else if (strcmp(version, API_GROUP_VERSION) == 0 &&
		 strcmp(item->kind, "VirtualIPNodeState") == 0)
		validate_note(item, "", "is not checked: the agents write it themselves");
	else if (is_our_group(version))
		validate_problem(v, item, "kind", "%s has no such kind; did you mean VirtualIP?",
				 API_GROUP_VERSION);
	else
		validate_note(item, "", "is not checked: vipd does not read objects of this kind");

	for (size_t i = 0; i < problems.n; i++)
		validate_problem(v, item, problems.items[i].path, "%s", problems.items[i].msg);
	api_problems_done(&problems);
	return r == -ENOMEM ? r : 0;
}

/* One that the API server would drop without a word. */
static void note_namespace(const struct validate_item *item)
{
	if (api_is_cluster_scoped(item->kind) && manifest_clear_namespace(item->doc))
		validate_note(item, "metadata.namespace",
			      "is ignored: %s is cluster-scoped, remove it", item->kind);
}

static int decode_all(struct validate *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_files; i++)
		n += v->files[i].docs.n;
	v->items = calloc(n ? n : 1, sizeof(*v->items));
	if (!v->items)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_files; i++) {
		for (size_t j = 0; j < v->files[i].docs.n; j++) {
			struct validate_item *item = &v->items[v->n_items++];
			const struct manifest_doc *doc = &v->files[i].docs.items[j];
			const json_t *metadata = json_object_get(doc->object, "metadata");

			*item = (struct validate_item){
				.file = v->files[i].path,
				.doc = doc,
				.kind = text_at(doc->object, "kind"),
				.name = text_at(metadata, "name"),
			};
			note_namespace(item);
			item->namespace_ = text_at(metadata, "namespace");
			int r = decode_item(v, item);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static void print_summary(const struct validate *v)
{
	size_t n_vips = 0;

	for (size_t i = 0; i < v->n_items; i++)
		n_vips += strcmp(v->items[i].kind, "VirtualIP") == 0;
	printf("%zu file%s, %zu object%s, %zu of them VirtualIP: ", v->n_files,
	       v->n_files == 1 ? "" : "s", v->n_items, v->n_items == 1 ? "" : "s", n_vips);
	if (v->n_problems == 0)
		printf("valid\n");
	else
		printf("%zu problem%s\n", v->n_problems, v->n_problems == 1 ? "" : "s");
}

static void validate_done(struct validate *v)
{
	for (size_t i = 0; i < v->n_items; i++) {
		api_vip_free(v->items[i].vip);
		api_node_free(v->items[i].node);
		api_secret_free(v->items[i].secret);
	}
	for (size_t i = 0; i < v->n_files; i++) {
		manifest_docs_done(&v->files[i].docs);
		free(v->files[i].path);
	}
	free(v->items);
	free(v->files);
}

/* 0: go on; else the exit status plus one. *ret: the first file. */
static int parse_args(int argc, char **argv, int *ret)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			(void)fputs(usage, stdout);
			return 1 + 0;
		}
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		(void)fprintf(stderr,
			      "vipd validate: unknown option %s (see vipd validate --help)\n",
			      argv[i]);
		return 1 + CMD_USAGE;
	}
	if (i >= argc) {
		(void)fprintf(stderr, "vipd validate: which files? (see vipd validate --help)\n");
		return 1 + CMD_USAGE;
	}
	*ret = i;
	return 0;
}

int cmd_validate(int argc, char **argv)
{
	struct validate v = {0};
	int first = 0, r = parse_args(argc, argv, &first);

	if (r > 0)
		return r - 1;
	for (int i = first; r == 0 && i < argc; i++)
		r = read_path(&v, argv[i]);
	if (r == 0)
		r = decode_all(&v);
	if (r == 0)
		r = validate_together(&v);
	if (r == 0)
		print_summary(&v);
	else
		(void)fprintf(stderr, "vipd validate: %s\n", strerror(-r));

	int status = r < 0 || v.n_problems > 0 ? 1 : 0;

	validate_done(&v);
	/* A full disk behind a redirection must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("vipd validate: standard output");
		status = 1;
	}
	return status;
}
