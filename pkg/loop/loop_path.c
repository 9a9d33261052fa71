/*
 * Following a directory by name. inotify watches inodes, but what counts is the name: the directory may
 * be missing yet, be replaced, or be reached through symbolic links that are swapped. So every directory
 * on the way to it is watched for the one name that leads on, and the last one for everything. The walk
 * is done anew whenever a step of the way changes.
 *
 * Each watch is placed before the thing that it guards is looked at, so nothing slips in between.
 */
#include "loop/loop_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define STEPS_MAX 128
#define LINKS_MAX 40

#define WAY_MASK                                                                            \
	(IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF)
#define END_MASK (WAY_MASK | IN_CLOSE_WRITE)
#define SELF_GONE (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

struct step {
	int wd;
	char *name; /* owned; that leads on. NULL: this is the directory itself */
};

struct path_watch {
	char *path; /* owned, absolute */
	int fd;
	struct step steps[STEPS_MAX];
	size_t n_steps;
	loop_path_fn fn;
	void *user;
};

static void steps_clear(struct path_watch *w)
{
	for (size_t i = 0; i < w->n_steps; i++) {
		/* The same inode may be on the way twice, and the kernel may have dropped it. */
		(void)inotify_rm_watch(w->fd, w->steps[i].wd);
		free(w->steps[i].name);
	}
	w->n_steps = 0;
}

static void path_watch_free(void *p)
{
	struct path_watch *w = p;

	if (!w)
		return;
	steps_clear(w);
	fd_close_p(&w->fd);
	free(w->path);
	free(w);
}

static void path_watch_free_p(struct path_watch **w)
{
	path_watch_free(*w);
	*w = NULL;
}

/* name NULL: the end of the way. A directory that may not be watched is passed through all the same. */
static int step_add(struct path_watch *w, const char *dir, const char *name)
{
	uint32_t mask = (name ? WAY_MASK : END_MASK) | IN_ONLYDIR | IN_MASK_ADD;
	int wd = inotify_add_watch(w->fd, dir[0] ? dir : "/", mask);

	if (wd < 0)
		return errno == ENOSPC || errno == ENOMEM ? -errno : 0;
	if (w->n_steps == STEPS_MAX)
		return -ELOOP;

	char *copy = name ? strdup(name) : NULL;

	if (name && !copy)
		return -ENOMEM;
	w->steps[w->n_steps++] = (struct step){.wd = wd, .name = copy};
	return 0;
}

/* Where a walk stands: `at` is a path without links ("" is the root), `way + next` is still to go. */
struct walk {
	char at[PATH_MAX];
	char way[PATH_MAX];
	size_t next;
	unsigned int links;
};

static void walk_up(struct walk *k)
{
	char *slash = strrchr(k->at, '/');

	if (slash)
		*slash = '\0';
}

/* Takes the next name. False at the end of the way. */
static bool walk_next(struct walk *k, char name[static NAME_MAX + 1])
{
	const char *p = k->way + k->next;
	size_t skip = strspn(p, "/");
	size_t len = strcspn(p + skip, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, p + skip, len);
	name[len] = '\0';
	k->next += skip + len;
	return true;
}

/* The name was a symbolic link: its target takes its place in front of the rest. */
static int walk_link(struct walk *k, const char *target)
{
	char joined[PATH_MAX];
	int n = snprintf(joined, sizeof(joined), "%s/%s", target, k->way + k->next);

	if (n < 0 || (size_t)n >= sizeof(joined))
		return -ENAMETOOLONG;
	if (++k->links > LINKS_MAX)
		return -ELOOP;
	memcpy(k->way, joined, (size_t)n + 1);
	k->next = 0;
	if (target[0] == '/')
		k->at[0] = '\0';
	return 0;
}

/* One step. 1: go on; 0: the way ends here, because nothing is there yet or no directory. */
static int walk_step(struct path_watch *w, struct walk *k, const char *name)
{
	if (strcmp(name, ".") == 0)
		return 1;
	if (strcmp(name, "..") == 0) {
		walk_up(k);
		return 1;
	}

	int r = step_add(w, k->at, name);

	if (r < 0)
		return r;

	size_t len = strlen(k->at);
	int n = snprintf(k->at + len, sizeof(k->at) - len, "/%s", name);

	if (n < 0 || (size_t)n >= sizeof(k->at) - len)
		return -ENAMETOOLONG;

	char target[PATH_MAX];
	ssize_t got = readlink(k->at, target, sizeof(target) - 1);

	if (got >= 0) {
		target[got] = '\0';
		walk_up(k);
		r = walk_link(k, target);
		return r < 0 ? r : 1;
	}
	/* EINVAL: there, and no link. Whether it is a directory, the next watch will tell. */
	return errno == EINVAL;
}

static int walk_way(struct path_watch *w)
{
	struct walk k = {0};
	char name[NAME_MAX + 1];
	int r = 1;

	steps_clear(w);
	memcpy(k.way, w->path, strlen(w->path) + 1);
	while (r > 0 && walk_next(&k, name))
		r = walk_step(w, &k, name);
	if (r > 0)
		r = step_add(w, k.at, NULL);
	return r;
}

enum touch { TOUCH_NONE, TOUCH_CONTENT, TOUCH_WAY };

/* What an event means; old watches that were dropped match nothing. */
static enum touch touch_of(const struct path_watch *w, const struct inotify_event *ev,
			   const char *name)
{
	enum touch found = TOUCH_NONE;

	if (ev->mask & IN_Q_OVERFLOW)
		return TOUCH_WAY;
	for (size_t i = 0; i < w->n_steps; i++) {
		if (w->steps[i].wd != ev->wd)
			continue;
		if (ev->mask & SELF_GONE)
			return TOUCH_WAY;
		if (!w->steps[i].name)
			found = TOUCH_CONTENT;
		else if (strcmp(w->steps[i].name, name) == 0)
			return TOUCH_WAY;
	}
	return found;
}

static enum touch read_events(struct path_watch *w)
{
	enum touch most = TOUCH_NONE;
	char buf[4096];
	ssize_t n;

	while ((n = read(w->fd, buf, sizeof(buf))) > 0) {
		for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)n;) {
			struct inotify_event ev;

			memcpy(&ev, buf + at, sizeof(ev));

			/* The kernel pads the name with at least one NUL. */
			const char *name = ev.len ? buf + at + sizeof(ev) : "";
			enum touch t = touch_of(w, &ev, name);

			if (t > most)
				most = t;
			at += sizeof(ev) + ev.len;
		}
	}
	return most;
}

static int on_inotify(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct path_watch *w = user;
	enum touch t = read_events(w);
	int walked = 0;

	(void)fd;
	(void)events;
	if (t == TOUCH_NONE)
		return 0;
	if (t == TOUCH_WAY)
		walked = walk_way(w);

	/* The handler may free this source, so nothing of `w` is touched after it. */
	int r = w->fn(w->user, now_ns);

	return walked < 0 ? walked : r;
}

static int absolute(const char *path, char **ret)
{
	if (path[0] == '\0' || strlen(path) >= PATH_MAX / 2)
		return path[0] ? -ENAMETOOLONG : -EINVAL;
	if (path[0] == '/') {
		*ret = strdup(path);
		return *ret ? 0 : -ENOMEM;
	}

	AUTO(free_p) char *cwd = getcwd(NULL, 0);

	if (!cwd)
		return -errno;

	AUTO(free_p) char *joined = NULL;

	if (asprintf(&joined, "%s/%s", cwd, path) < 0) {
		joined = NULL;
		return -ENOMEM;
	}
	if (strlen(joined) >= PATH_MAX)
		return -ENAMETOOLONG;
	*ret = STEAL(joined);
	return 0;
}

int loop_add_path(struct loop *l, const char *path, loop_path_fn fn, void *user,
		  struct loop_source **ret)
{
	AUTO(path_watch_free_p) struct path_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fn = fn;
	w->user = user;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return -errno;

	int r = absolute(path, &w->path);

	if (r < 0)
		return r;
	r = walk_way(w);
	if (r < 0)
		return r;

	struct loop_source *s;

	r = loop_add_io(l, w->fd, LOOP_IN, LOOP_PRIO_NORMAL, on_inotify, w, &s);
	if (r < 0)
		return r;
	loop_source_attach(s, STEAL(w), path_watch_free);
	*ret = s;
	return 0;
}
