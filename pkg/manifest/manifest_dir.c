/*
 * The files of a directory, each with its last good version. Only a whole and successful read of the
 * directory makes what is not there go; whatever else happens, what was there stays.
 */
#include "manifest/manifest_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A file that was written to this short a time ago may not be whole yet. */
#define SETTLE_NS (50 * NS_PER_MS)
/* A change within the clock tick of the last one leaves no trace in the times: too young to trust. */
#define TRUST_FINE_NS (20 * NS_PER_MS)
#define TRUST_COARSE_NS (2 * NS_PER_S)

int dir_init(struct dir *d, const char *path, manifest_scope_fn is_cluster_scoped)
{
	*d = (struct dir){.path = strdup(path), .is_cluster_scoped = is_cluster_scoped};
	return d->path ? 0 : -ENOMEM;
}

static void file_done(struct file *f)
{
	manifest_docs_done(&f->docs);
	free(f->name);
	free(f->path);
	free(f->problem);
	*f = (struct file){0};
}

void dir_done(struct dir *d)
{
	for (size_t i = 0; i < d->n_files; i++)
		file_done(&d->files[i]);
	free(d->files);
	free(d->path);
	free(d->problem);
	*d = (struct dir){0};
}

/* Takes the text that is there from now on. Without memory there is still the fact of a problem. */
static int set_problem(char **problem, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*problem);
	*problem = copy;
	return 0;
}

static void clear_problem(char **problem)
{
	free(*problem);
	*problem = NULL;
}

static bool is_manifest_name(const char *name)
{
	static const char *const ends[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(name);

	/* Hidden files are editors' swap files and the machinery of Kubernetes volumes. */
	if (name[0] == '.')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && strcmp(name + len - n, ends[i]) == 0)
			return true;
	}
	return false;
}

struct names {
	char **items;
	size_t n, room;
};

static void names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

static int name_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int names_add(struct names *l, const char *name)
{
	char **items = array_room(l->items, &l->room, l->n + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	l->items = items;
	l->items[l->n] = strdup(name);
	return l->items[l->n++] ? 0 : -ENOMEM;
}

static void dir_close_p(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* The names, sorted, and the directory that they were read from. -errno if any of it failed. */
static int list_names(const char *path, struct names *ret, struct stat *ret_st)
{
	AUTO(fd_close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;

	AUTO(dir_close_p) DIR *dir = fdopendir(fd);

	if (!dir)
		return -errno;
	(void)fd_steal(&fd);
	for (;;) {
		errno = 0;

		const struct dirent *e = readdir(dir);
		int r = 0;

		if (!e && errno != 0)
			return -errno;
		if (!e)
			break;
		if (is_manifest_name(e->d_name))
			r = names_add(ret, e->d_name);
		if (r < 0)
			return r;
	}
	/* Removed while it was open: an empty answer that says nothing. */
	if (fstat(dirfd(dir), ret_st) < 0)
		return -errno;
	if (ret_st->st_nlink == 0)
		return -ENOENT;
	if (ret->n > 0)
		qsort(ret->items, ret->n, sizeof(*ret->items), name_cmp);
	return 0;
}

static struct file *find_file(const struct dir *d, const char *name)
{
	size_t low = 0, high = d->n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(d->files[mid].name, name);

		if (c == 0)
			return &d->files[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Moves the files that are known over to the new order; new ones start empty. */
static int match_names(struct dir *d, const struct names *names)
{
	struct file *next = calloc(names->n ? names->n : 1, sizeof(*next));
	int r = next ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < names->n; i++) {
		if (find_file(d, names->items[i]))
			continue;
		next[i].name = strdup(names->items[i]);
		if (!next[i].name || asprintf(&next[i].path, "%s/%s", d->path, next[i].name) < 0) {
			next[i].path = NULL;
			r = -ENOMEM;
		}
	}
	if (r < 0) {
		for (size_t i = 0; next && i < names->n; i++)
			file_done(&next[i]);
		free(next);
		return r;
	}
	for (size_t i = 0; i < names->n; i++) {
		struct file *old = find_file(d, names->items[i]);

		if (old) {
			next[i] = *old;
			old->listed = true;
		}
	}
	for (size_t i = 0; i < d->n_files; i++)
		if (!d->files[i].listed)
			file_done(&d->files[i]);
	free(d->files);
	d->files = next;
	d->n_files = names->n;
	for (size_t i = 0; i < d->n_files; i++)
		d->files[i].listed = false;
	return 0;
}

/* How long ago this moment of the wall clock was; one in the future is long ago. */
static uint64_t age_ns(const struct timespec *then)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);

	int64_t age = (int64_t)(now.tv_sec - then->tv_sec) * (int64_t)NS_PER_S + now.tv_nsec -
		      then->tv_nsec;

	return age < 0 ? UINT64_MAX : (uint64_t)age;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct file *f, const struct stat *st)
{
	return f->has_stamp && f->dev == st->st_dev && f->ino == st->st_ino &&
	       f->size == st->st_size && same_time(&f->mtime, &st->st_mtim) &&
	       same_time(&f->ctime, &st->st_ctim);
}

/* Only the kernel sets the ctime: where that has microseconds its tick is one of the kernel, of 10 ms at most. */
static bool is_trusted(const struct stat *st)
{
	uint64_t young_ns = st->st_ctim.tv_nsec % 1000000 != 0 ? TRUST_FINE_NS : TRUST_COARSE_NS;

	return age_ns(&st->st_mtim) > young_ns && age_ns(&st->st_ctim) > young_ns;
}

/* Who writes sets both times; who has renamed the file since, or given it its mode, is done with writing. */
static bool is_being_written(const struct stat *st)
{
	return age_ns(&st->st_mtim) < SETTLE_NS && same_time(&st->st_mtim, &st->st_ctim);
}

static void set_stamp(struct file *f, const struct stat *st)
{
	f->has_stamp = is_trusted(st);
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->size = st->st_size;
	f->mtime = st->st_mtim;
	f->ctime = st->st_ctim;
}

static void clear_namespaces(const struct dir *d, const struct manifest_docs *docs)
{
	for (size_t i = 0; d->is_cluster_scoped && i < docs->n; i++)
		if (d->is_cluster_scoped(object_kind(docs->items[i].object)))
			(void)manifest_clear_namespace(&docs->items[i]);
}

static int read_file(struct dir *d, struct file *f, enum dir_how how)
{
	struct manifest_docs docs = {0};
	struct verr err = {0};
	struct stat st;

	if (stat(f->path, &st) < 0) {
		char text[512];
		int code = errno;

		if (code == ENOENT && lstat(f->path, &st) < 0 && errno == ENOENT) {
			/* Removed since it was listed: the next listing tells. */
			d->is_unsettled = true;
			return 0;
		}
		if (how == DIR_EARLY)
			return 0;
		/* A dangling link or a missing permission: a broken file, not one that went. */
		(void)snprintf(text, sizeof(text), "%s: %s", f->path, strerror(code));
		f->has_stamp = false;
		return set_problem(&f->problem, text);
	}
	if (how != DIR_ALL && is_unchanged(f, &st))
		return 0;
	if (how != DIR_ALL && is_being_written(&st)) {
		d->is_unsettled = true;
		return 0;
	}

	int r = manifest_load(f->path, &docs, &err);

	if (r == -ENOMEM)
		return r;
	if (r == 0 && docs.n == 0 && st.st_size == 0 && f->docs.n > 0) {
		/* More likely a write in its middle than a wish. */
		r = verr_set(&err, ENODATA, "%s: empty; to remove what it held, remove the file",
			     f->path);
		manifest_docs_done(&docs);
	}
	if (r < 0 && how == DIR_EARLY)
		return 0;
	set_stamp(f, &st);
	if (r < 0)
		return set_problem(&f->problem, err.msg);
	clear_problem(&f->problem);
	clear_namespaces(d, &docs);
	manifest_docs_done(&f->docs);
	f->docs = docs;
	return 0;
}

static int dir_problem(struct dir *d, const char *what)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s: %s%s", d->path, what,
		       !d->is_whole && d->n_files > 0 ? "; what it held before stays" : "");
	return set_problem(&d->problem, text);
}

/* The files that are known; what is not in the list has not gone yet. */
static int read_early(struct dir *d, const struct names *names)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++) {
		struct file *f = find_file(d, names->items[i]);

		if (f)
			r = read_file(d, f, DIR_EARLY);
	}
	return r;
}

int dir_read(struct dir *d, enum dir_how how)
{
	AUTO(names_done) struct names names = {0};
	struct stat st;

	d->is_whole = false;
	d->is_unsettled = false;

	int r = list_names(d->path, &names, &st);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return how == DIR_EARLY ? 0 : dir_problem(d, strerror(-r));
	if (how == DIR_EARLY)
		return read_early(d, &names);

	/*
	 * Nothing here is an answer from the directory that held the files, which were then deleted. From
	 * another one, it is a volume that is not mounted, or being filled.
	 */
	bool is_same = d->has_id && d->dev == st.st_dev && d->ino == st.st_ino;

	d->is_whole = names.n > 0 || is_same;
	if (!d->is_whole)
		return dir_problem(d, "no *.yaml, *.yml or *.json file");

	r = match_names(d, &names);
	for (size_t i = 0; r == 0 && i < d->n_files; i++)
		r = read_file(d, &d->files[i], how);
	if (r < 0) {
		d->is_whole = false;
		return r;
	}
	d->has_id = true;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	if (names.n == 0)
		return dir_problem(d, "no *.yaml, *.yml or *.json file");
	clear_problem(&d->problem);
	return 0;
}
