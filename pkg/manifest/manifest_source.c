/*
 * From the files of a directory to events. Each read makes two sorted tables anew, of the objects that
 * should be known and of the complaints that are open; the events are how they differ from the last ones.
 */
#include "manifest/manifest_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Changes come in bunches: read once things have been quiet for so long, or after so long anyway. The first one after a
 * quiet time is read early, for what is whole in it; what goes and what is wrong waits for the rest.
 */
#define EARLY_NS (2 * NS_PER_MS)
#define QUIET_NS (50 * NS_PER_MS)
#define PATIENCE_NS (500 * NS_PER_MS)
/* What is missing while a file is being written may be in that file: it stays for so long. */
#define HOLD_NS (2 * NS_PER_S)
/* For what inotify does not see: mounts, files behind links, network file systems, its limits. */
#define RESCAN_NS (10 * NS_PER_S)

/* An object as it was delivered. Owns its references. */
struct entry {
	json_t *object;
	const char *kind, *namespace_, *name; /* within it */
	struct line_map *map;
	uint32_t root;
	char *path; /* of the file */
	unsigned int line;
	size_t order; /* in files and documents */
	bool is_news; /* not delivered yet in this version */
	bool is_missing; /* in no file any more, and still held */
	uint64_t missing_ns; /* then: since when */
};

struct table {
	struct entry *items;
	size_t n;
};

struct manifest_source {
	struct loop *loop;
	struct dir dir;
	object_sink_fn sink;
	void *user;
	struct loop_source *watch; /* NULL: inotify's limits are reached, see watch_error */
	struct loop_source *timer;
	int watch_error;
	uint64_t changed_ns; /* first change that has not been read yet; 0: none */
	uint64_t early_ns; /* of an early read to come; 0: none */
	uint64_t read_ns; /* the last read */
	bool is_synced;
	struct table table; /* sorted by entry_cmp, no two alike */
	struct complaints complaints; /* sorted by complaint_cmp */
};

/* ---- the table of objects ---- */

static void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		json_decref(t->items[i].object);
		line_map_unref(t->items[i].map);
		free(t->items[i].path);
	}
	free(t->items);
	*t = (struct table){0};
}

static int key_cmp(const struct entry *e, const char *kind, const char *namespace_,
		   const char *name)
{
	int c = strcmp(e->kind, kind);

	if (c == 0)
		c = strcmp(e->namespace_, namespace_);
	if (c == 0)
		c = strcmp(e->name, name);
	return c;
}

static int same_key_cmp(const struct entry *a, const struct entry *b)
{
	return key_cmp(a, b->kind, b->namespace_, b->name);
}

static int entry_cmp(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = same_key_cmp(x, y);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int order_cmp(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return ((*x)->order > (*y)->order) - ((*x)->order < (*y)->order);
}

/* Every document of every file, sorted; the same object may be there twice yet. */
static int table_collect(const struct dir *d, struct table *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_files; i++)
		n += d->files[i].docs.n;
	ret->items = calloc(n ? n : 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < d->n_files; i++) {
		const struct file *f = &d->files[i];

		for (size_t k = 0; k < f->docs.n; k++) {
			const struct manifest_doc *doc = &f->docs.items[k];
			char *path = strdup(f->path);

			if (!path)
				return -ENOMEM;
			ret->items[ret->n] = (struct entry){
				.object = json_incref(doc->object),
				.kind = object_kind(doc->object),
				.namespace_ = object_namespace(doc->object),
				.name = object_name(doc->object),
				.map = line_map_ref(doc->lines->map),
				.root = doc->lines->root,
				.path = path,
				.line = doc->line,
				.order = ret->n,
			};
			ret->n++;
		}
	}
	qsort(ret->items, ret->n, sizeof(*ret->items), entry_cmp);
	return 0;
}

/* ---- complaints ---- */

static int complain_of_watch(const struct manifest_source *s, struct complaints *l)
{
	char problem[512];

	if (s->watch)
		return 0;
	(void)snprintf(problem, sizeof(problem),
		       "%s: changes are seen every 10 s only, because inotify says: %s",
		       s->dir.path, strerror(-s->watch_error));
	return complaints_add(l, "inotify", problem, NULL);
}

static int complain_of_files(const struct dir *d, struct complaints *l)
{
	int r = d->problem ? complaints_add(l, d->path, d->problem, NULL) : 0;

	for (size_t i = 0; r == 0 && i < d->n_files; i++)
		if (d->files[i].problem)
			r = complaints_add(l, d->files[i].path, d->files[i].problem, NULL);
	return r;
}

static int complain_of_second(struct complaints *l, const struct entry *first,
			      const struct entry *e)
{
	AUTO(free_p) char *origin = NULL;
	AUTO(free_p) char *problem = NULL;

	if (asprintf(&origin, "%s:%u", e->path, e->line) < 0) {
		origin = NULL;
		return -ENOMEM;
	}
	if (asprintf(&problem, "%s: %s %s is also in %s:%u, which stays", origin, e->kind, e->name,
		     first->path, first->line) < 0) {
		problem = NULL;
		return -ENOMEM;
	}
	return complaints_add(l, origin, problem, e->object);
}

/* Leaves the first one of each object in the table, and complains of the others. */
static int table_unite(struct table *t, struct complaints *l)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->items[i];
		const struct entry *first = kept > 0 ? &t->items[kept - 1] : NULL;

		if (!first || same_key_cmp(first, e) != 0) {
			struct entry moved = *e;

			*e = (struct entry){0};
			t->items[kept++] = moved;
			continue;
		}

		if (r == 0)
			r = complain_of_second(l, first, e);
		json_decref(e->object);
		line_map_unref(e->map);
		free(e->path);
	}
	t->n = kept;
	return r;
}

static bool is_held(const struct dir *d, const struct entry *e, uint64_t now_ns)
{
	/* Only a whole read tells what has gone, also of what had been held until then. */
	return !d->is_whole || (d->is_unsettled && now_ns < e->missing_ns + HOLD_NS);
}

/*
 * An object that has moved to another file is missing as long as that one is too young to be read. It must
 * not go and come again; nor may a directory that is written to all the time keep what was deleted.
 */
static int table_hold(struct table *t, const struct table *old, const struct dir *d,
		      uint64_t now_ns)
{
	struct entry *grown = realloc(t->items, (t->n + old->n + 1) * sizeof(*grown));
	size_t n = t->n;

	if (!grown)
		return -ENOMEM;
	t->items = grown;
	for (size_t i = 0, k = 0; i < old->n; i++) {
		struct entry e = old->items[i];
		int c = 1;

		while (k < n && (c = same_key_cmp(&t->items[k], &e)) < 0)
			k++;
		if (k < n && c == 0)
			continue;
		e.missing_ns = e.is_missing ? e.missing_ns : now_ns;
		if (!is_held(d, &e, now_ns))
			continue;
		e.is_missing = true;
		e.path = strdup(e.path);
		if (!e.path)
			return -ENOMEM;
		json_incref(e.object);
		line_map_ref(e.map);
		t->items[t->n++] = e;
	}
	if (t->n > n)
		qsort(t->items, t->n, sizeof(*t->items), entry_cmp);
	return 0;
}

/* ---- events ---- */

static void tell(const struct manifest_source *s, const struct object_event *ev)
{
	s->sink(s->user, ev);
}

static void tell_entry(const struct manifest_source *s, const struct entry *e,
		       enum object_event_type type)
{
	char origin[4200];

	(void)snprintf(origin, sizeof(origin), "%s:%u", e->path, e->line);
	tell(s, &(struct object_event){
			.type = type,
			.kind = e->kind,
			.namespace_ = e->namespace_,
			.name = e->name,
			.object = type == OBJECT_SET ? e->object : NULL,
			.origin = origin,
		});
}

static void tell_complaint(const struct manifest_source *s, const struct complaint *c,
			   enum object_event_type type)
{
	tell(s, &(struct object_event){
			.type = type,
			.kind = c->kind,
			.namespace_ = c->namespace_ ? c->namespace_ : "",
			.name = c->name,
			.origin = c->origin,
			.problem = type == OBJECT_BAD ? c->problem : NULL,
		});
}

/* Marks what is new against `old`. */
static size_t mark_news(struct table *t, const struct table *old)
{
	size_t n_news = 0;

	for (size_t i = 0, k = 0; i < t->n; i++) {
		struct entry *e = &t->items[i];
		int c = 1;

		while (k < old->n && (c = same_key_cmp(&old->items[k], e)) < 0)
			k++;
		e->is_news = k == old->n || c != 0 || !json_equal(old->items[k].object, e->object);
		n_news += e->is_news;
	}
	return n_news;
}

static void tell_gone(const struct manifest_source *s, const struct table *old)
{
	for (size_t i = 0, k = 0; i < old->n; i++) {
		int c = 1;

		while (k < s->table.n && (c = same_key_cmp(&s->table.items[k], &old->items[i])) < 0)
			k++;
		if (k == s->table.n || c != 0)
			tell_entry(s, &old->items[i], OBJECT_GONE);
	}
}

static void tell_complaints(const struct manifest_source *s, const struct complaints *old)
{
	const struct complaints *l = &s->complaints;

	for (size_t i = 0, k = 0; i < l->n || k < old->n;) {
		int c = i == l->n     ? 1
			: k == old->n ? -1
				      : complaint_cmp(&l->items[i], &old->items[k]);

		if (c > 0) {
			tell_complaint(s, &old->items[k++], OBJECT_GOOD);
			continue;
		}
		if (c < 0 || strcmp(l->items[i].problem, old->items[k].problem) != 0)
			tell_complaint(s, &l->items[i], OBJECT_BAD);
		i++;
		k += c == 0;
	}
}

/* One read, and the events that come of it. -ENOMEM: nothing has been told, everything is as it was. */
static int source_read(struct manifest_source *s, enum dir_how how, uint64_t now_ns)
{
	AUTO(table_done) struct table table = {0};
	AUTO(complaints_done) struct complaints complaints = {0};
	int r = dir_read(&s->dir, how);

	if (r == 0)
		r = table_collect(&s->dir, &table);
	if (r == 0)
		r = complain_of_files(&s->dir, &complaints);
	if (r == 0)
		r = complain_of_watch(s, &complaints);
	if (r == 0)
		r = table_unite(&table, &complaints);
	if (r == 0)
		r = table_hold(&table, &s->table, &s->dir, now_ns);
	if (r < 0)
		return r;

	size_t n_news = mark_news(&table, &s->table);
	AUTO(free_p) struct entry **news = calloc(n_news ? n_news : 1, sizeof(struct entry *));

	if (!news)
		return -ENOMEM;
	complaints_sort(&complaints);

	/* The new state is in place before anybody hears of it: the sink may ask where a field stands. */
	struct table old_table = s->table;
	struct complaints old_complaints = s->complaints;

	s->table = table;
	table = old_table;
	if (how != DIR_EARLY) {
		s->complaints = complaints;
		complaints = old_complaints;
	}

	for (size_t i = 0, k = 0; i < s->table.n; i++)
		if (s->table.items[i].is_news)
			news[k++] = &s->table.items[i];
	qsort(news, n_news, sizeof(struct entry *), order_cmp);
	for (size_t i = 0; i < n_news; i++)
		tell_entry(s, news[i], OBJECT_SET);
	tell_gone(s, &table);
	if (how != DIR_EARLY)
		tell_complaints(s, &complaints);
	if (!s->is_synced && s->dir.is_whole) {
		s->is_synced = true;
		tell(s, &(struct object_event){
				.type = OBJECT_SYNCED, .namespace_ = "", .origin = s->dir.path});
	}
	return 0;
}

/* ---- following ---- */

static void arm(struct manifest_source *s, uint64_t now_ns)
{
	uint64_t due_ns = now_ns + RESCAN_NS;

	if (s->changed_ns) {
		due_ns = now_ns + QUIET_NS;
		if (due_ns > s->changed_ns + PATIENCE_NS)
			due_ns = s->changed_ns + PATIENCE_NS;
	}
	if (s->early_ns)
		due_ns = s->early_ns;
	(void)loop_timer_set(s->timer, due_ns);
}

static int read_and_arm(struct manifest_source *s, enum dir_how how, uint64_t now_ns)
{
	int r = source_read(s, how, now_ns);

	s->early_ns = 0;
	s->read_ns = now_ns;
	if (how != DIR_EARLY)
		s->changed_ns = s->dir.is_unsettled ? now_ns : 0;
	arm(s, now_ns);
	return r;
}

static int on_change(void *user, uint64_t now_ns)
{
	struct manifest_source *s = user;

	if (!s->changed_ns) {
		s->changed_ns = now_ns;
		if (now_ns >= s->read_ns + QUIET_NS)
			s->early_ns = now_ns + EARLY_NS;
	}
	/* A timer that is set anew at each turn of the loop never runs out: not that of the patience. */
	if (now_ns + QUIET_NS < s->changed_ns + PATIENCE_NS)
		arm(s, now_ns);
	return 0;
}

/* The user's inotify limits are no reason not to start: the slow look is still there. */
static int follow(struct manifest_source *s)
{
	if (s->watch)
		return 0;
	s->watch_error = loop_add_path(s->loop, s->dir.path, on_change, s, &s->watch);
	if (s->watch_error == -EMFILE || s->watch_error == -ENOSPC)
		return 0;
	return s->watch_error;
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct manifest_source *s = user;

	(void)follow(s);
	return read_and_arm(s, s->early_ns ? DIR_EARLY : DIR_CHANGED, now_ns);
}

int manifest_source_new(struct loop *l, const char *dir, manifest_scope_fn is_cluster_scoped,
			object_sink_fn sink, void *user, struct manifest_source **ret,
			struct verr *reterr)
{
	AUTO(manifest_source_free_p) struct manifest_source *s = calloc(1, sizeof(*s));

	if (!s)
		return verr_set(reterr, ENOMEM, "manifests in %s", dir);
	s->loop = l;
	s->sink = sink;
	s->user = user;

	int r = dir_init(&s->dir, dir, is_cluster_scoped);

	if (r == 0)
		r = loop_add_timer(l, LOOP_PRIO_NORMAL, on_timer, s, &s->timer);
	/* Followed before it is read, so that no change falls in between. */
	if (r == 0)
		r = follow(s);
	if (r == 0)
		r = read_and_arm(s, DIR_ALL, loop_now_ns(l));
	if (r < 0)
		return verr_set(reterr, -r, "manifests in %s: %s", dir, strerror(-r));
	*ret = STEAL(s);
	return 0;
}

void manifest_source_reload(struct manifest_source *s)
{
	/* Out of memory: the next read is soon. */
	if (read_and_arm(s, DIR_ALL, loop_now_ns(s->loop)) < 0)
		(void)on_change(s, loop_now_ns(s->loop));
}

char *manifest_source_where(const struct manifest_source *s, const char *kind,
			    const char *namespace_, const char *name, const char *path, char *buf,
			    size_t size)
{
	size_t low = 0, high = s->table.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct entry *e = &s->table.items[mid];
		int c = key_cmp(e, kind, namespace_ ? namespace_ : "", name);
		unsigned int line, column;

		if (c == 0) {
			line_map_place(e->map, line_map_find(e->map, e->root, path), &line,
				       &column);
			(void)snprintf(buf, size, "%s:%u", e->path, line);
			return buf;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	(void)snprintf(buf, size, "%s", s->dir.path);
	return buf;
}

void manifest_source_free(struct manifest_source *s)
{
	if (!s)
		return;
	loop_source_free(s->watch);
	loop_source_free(s->timer);
	table_done(&s->table);
	complaints_done(&s->complaints);
	dir_done(&s->dir);
	free(s);
}

void manifest_source_free_p(struct manifest_source **s)
{
	manifest_source_free(*s);
	*s = NULL;
}
