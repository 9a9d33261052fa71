/* A directory as an object stream: a real one, changed under the loop's eyes. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "manifest/manifest.h"

/* What is told is written down, a word an event: "set K/n=1 gone K/n bad a.yaml good a.yaml synced ". */
struct fixture {
	struct loop *loop;
	struct manifest_source *source;
	char root[64];
	char path[PATH_MAX];
	char told[4096];
	char problem[1024]; /* of the last OBJECT_BAD */
};

static void note(struct fixture *f, const char *what, const char *of)
{
	size_t len = strlen(f->told);

	(void)snprintf(f->told + len, sizeof(f->told) - len, "%s %s ", what, of);
}

/* An origin without the directory before it; the directory itself is "d". */
static const char *short_of(const struct fixture *f, const char *origin)
{
	size_t len = strlen(f->root);

	assert_int_equal(strncmp(origin, f->root, len), 0);
	origin += len + 1;
	return strncmp(origin, "d/", 2) == 0 ? origin + 2 : origin;
}

static void sink(void *user, const struct object_event *ev)
{
	struct fixture *f = user;
	char text[512];
	const json_t *v;

	switch (ev->type) {
	case OBJECT_SET:
		v = json_object_get(ev->object, "v");
		(void)snprintf(text, sizeof(text), "%s/%s%s%s=%d", ev->kind, ev->namespace_,
			       ev->namespace_[0] ? "/" : "", ev->name, (int)json_integer_value(v));
		note(f, "set", text);
		assert_non_null(strchr(short_of(f, ev->origin), ':'));
		assert_null(ev->problem);
		break;
	case OBJECT_GONE:
		(void)snprintf(text, sizeof(text), "%s/%s%s%s", ev->kind, ev->namespace_,
			       ev->namespace_[0] ? "/" : "", ev->name);
		note(f, "gone", text);
		assert_null(ev->object);
		break;
	case OBJECT_SYNCED:
		note(f, "synced", "");
		assert_null(ev->object);
		assert_null(ev->kind);
		break;
	case OBJECT_BAD:
		note(f, "bad", short_of(f, ev->origin));
		(void)snprintf(f->problem, sizeof(f->problem), "%s", ev->problem);
		break;
	case OBJECT_GOOD:
		note(f, "good", short_of(f, ev->origin));
		break;
	}
}

static const char *at(struct fixture *f, const char *name)
{
	(void)snprintf(f->path, sizeof(f->path), "%s/%s", f->root, name);
	return f->path;
}

static void put(struct fixture *f, const char *name, const char *text)
{
	FILE *file = fopen(at(f, name), "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* One object a pair of name and value, as documents of one file. */
static void put_objects(struct fixture *f, const char *file, const char *const *names,
			const int *values, size_t n)
{
	char text[2048];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"---\nkind: K\nmetadata:\n  name: %s\nv: %d\n", names[i],
					values[i]);
	put(f, file, text);
}

static void put_one(struct fixture *f, const char *file, const char *name, int value)
{
	put_objects(f, file, &name, &value, 1);
}

static void dir(struct fixture *f, const char *name)
{
	assert_int_equal(mkdir(at(f, name), 0755), 0);
}

static void drop(struct fixture *f, const char *name)
{
	assert_int_equal(remove(at(f, name)), 0);
}

static void move(struct fixture *f, const char *from, const char *to)
{
	char old[PATH_MAX];

	(void)snprintf(old, sizeof(old), "%s/%s", f->root, from);
	assert_int_equal(rename(old, at(f, to)), 0);
}

static bool is_cluster_scoped(const char *kind)
{
	return strcmp(kind, "C") == 0;
}

static void start(struct fixture *f)
{
	struct verr e = {0};

	if (manifest_source_new(f->loop, at(f, "d"), is_cluster_scoped, sink, f, &f->source, &e) <
	    0)
		fail_msg("%s", e.msg);
}

/* What has been told until now is `want`; forgets it. */
static void assert_told(struct fixture *f, const char *want)
{
	if (strcmp(f->told, want) != 0)
		fail_msg("told \"%s\" instead of \"%s\" (%s)", f->told, want, f->problem);
	f->told[0] = '\0';
}

/* Runs the loop until something is told, and a while longer for what comes with it. */
static void assert_soon_told(struct fixture *f, const char *want)
{
	for (int i = 0; i < 1000 && strlen(f->told) < strlen(want); i++)
		(void)loop_run_once(f->loop, 10 * NS_PER_MS);
	assert_told(f, want);
}

/* Runs through a whole bunching of changes, of which nothing comes. */
static void assert_nothing_told(struct fixture *f)
{
	uint64_t until_ns = mono_now_ns() + 150 * NS_PER_MS;

	while (mono_now_ns() < until_ns)
		(void)loop_run_once(f->loop, 10 * NS_PER_MS);
	assert_told(f, "");
}

/* The place of a path in an object, behind the root. */
static void assert_where(const struct fixture *f, const char *kind, const char *namespace_,
			 const char *name, const char *path, const char *want)
{
	char got[PATH_MAX];
	const char *where =
		manifest_source_where(f->source, kind, namespace_, name, path, got, sizeof(got));

	assert_int_equal(strncmp(where, f->root, strlen(f->root)), 0);
	assert_string_equal(where + strlen(f->root), want);
}

/* A directory with K/a and K/b in a file each, read. */
static void start_with_a_and_b(struct fixture *f)
{
	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 1);
	put_one(f, "d/b.yaml", "b", 1);
	start(f);
	assert_told(f, "set K/a=1 set K/b=1 synced  ");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || loop_new(&f->loop, NULL) < 0)
		return -1;
	(void)snprintf(f->root, sizeof(f->root), "/tmp/vipd-test-source-XXXXXX");
	*state = f;
	return mkdtemp(f->root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	manifest_source_free(f->source);
	loop_free(f->loop);
	(void)nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void test_first_read(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_objects(f, "d/b.yaml", (const char *const[]){"z", "y"}, (const int[]){1, 2}, 2);
	put(f, "d/a.json",
	    "{\"kind\":\"S\",\"metadata\":{\"name\":\"n\",\"namespace\":\"ns\"},\"v\":3}");
	put_one(f, "d/c.yml", "x", 4);
	put_one(f, "d/.hidden.yaml", "h", 5);
	put_one(f, "d/readme.txt", "h", 5);
	put_one(f, "d/x.yaml~", "h", 5);
	put(f, "d/empty.yaml", "");
	start(f);
	assert_told(f, "set S/ns/n=3 set K/z=1 set K/y=2 set K/x=4 synced  ");
	assert_nothing_told(f);
}

static void test_changes(void **state)
{
	struct fixture *f = *state;

	start_with_a_and_b(f);

	/* Only what has changed, and what is only written anew is nothing. */
	put_one(f, "d/b.yaml", "b", 2);
	assert_soon_told(f, "set K/b=2 ");
	put(f, "d/b.yaml", "# a comment\n{kind: K, v: 2, metadata: {name: b}}\n");
	assert_nothing_told(f);
	put_one(f, "d/c.yaml", "c", 1);
	assert_soon_told(f, "set K/c=1 ");
	move(f, "d/c.yaml", "d/0.yaml");
	assert_nothing_told(f);
	drop(f, "d/b.yaml");
	assert_soon_told(f, "gone K/b ");
	/* One object of a file, and one more. */
	put_objects(f, "d/a.yaml", (const char *const[]){"n", "m"}, (const int[]){1, 2}, 2);
	assert_soon_told(f, "set K/n=1 set K/m=2 gone K/a ");
	/* A comment is a wish; the next test tells what an empty file is. */
	put(f, "d/a.yaml", "# all gone\n");
	assert_soon_told(f, "gone K/m gone K/n ");
}

static void test_broken_file_keeps_its_objects(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_objects(f, "d/a.yaml", (const char *const[]){"a", "b"}, (const int[]){1, 2}, 2);
	put_one(f, "d/c.yaml", "c", 1);
	start(f);
	assert_told(f, "set K/a=1 set K/b=2 set K/c=1 synced  ");
	put(f, "d/a.yaml", "kind: K\nmetadata: {name: a}\nv: 5\nv: 6\n");
	assert_soon_told(f, "bad a.yaml ");
	assert_non_null(strstr(f->problem, "/d/a.yaml:4:1: duplicate key \"v\""));
	/* Broken in another way: said again. The others go on. */
	put(f, "d/a.yaml", "kind: K\nmetadata: {name: a}\nv: *x\n");
	assert_soon_told(f, "bad a.yaml ");
	assert_non_null(strstr(f->problem, "/d/a.yaml:3:4: aliases are not supported"));
	put_one(f, "d/c.yaml", "c", 2);
	assert_soon_told(f, "set K/c=2 ");
	put(f, "d/a.yaml", "");
	assert_soon_told(f, "bad a.yaml ");
	assert_non_null(strstr(f->problem, "remove the file"));
	put_one(f, "d/a.yaml", "a", 1);
	assert_soon_told(f, "gone K/b good a.yaml ");
	/* Without permission (which root does not need) or behind a dangling link: broken as well. */
	drop(f, "d/c.yaml");
	assert_int_equal(symlink("nowhere", at(f, "d/c.yaml")), 0);
	assert_soon_told(f, "bad c.yaml ");
	assert_non_null(strstr(f->problem, "No such file"));
	/* A broken file that is removed takes its objects and its complaint along. */
	drop(f, "d/c.yaml");
	assert_soon_told(f, "gone K/c good c.yaml ");
}

static void test_broken_from_the_start(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put(f, "d/a.yaml", "kind: K\n");
	put_one(f, "d/b.yaml", "b", 1);
	dir(f, "d/dir.yaml");
	start(f);
	assert_told(f, "set K/b=1 bad a.yaml bad dir.yaml synced  ");
	put_one(f, "d/a.yaml", "a", 1);
	assert_soon_told(f, "set K/a=1 good a.yaml ");
	drop(f, "d/dir.yaml");
	assert_soon_told(f, "good dir.yaml ");
}

static void test_duplicates(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_one(f, "d/b.yaml", "x", 1);
	put_objects(f, "d/c.yaml", (const char *const[]){"y", "x"}, (const int[]){1, 2}, 2);
	start(f);
	assert_told(f, "set K/x=1 set K/y=1 bad c.yaml:7 synced  ");
	assert_non_null(strstr(f->problem, "/d/c.yaml:7: K x is also in "));
	assert_non_null(strstr(f->problem, "/d/b.yaml:2, which stays"));
	/* The same name in another namespace or of another kind is another object. */
	put(f, "d/e.yaml",
	    "kind: K\nmetadata: {name: x, namespace: n}\n---\n"
	    "kind: L\nmetadata: {name: x}\n");
	assert_soon_told(f, "set K/n/x=0 set L/x=0 ");
	/* What is said of the second one holds whatever becomes of the first one. */
	put_one(f, "d/b.yaml", "x", 4);
	assert_soon_told(f, "set K/x=4 ");
	/* The first one goes: the second one is it now. */
	drop(f, "d/b.yaml");
	assert_soon_told(f, "set K/x=2 good c.yaml:7 ");
	put_one(f, "d/a.yaml", "x", 3);
	assert_soon_told(f, "set K/x=3 bad c.yaml:7 ");
}

/* A namespace makes no other object of one whose kind is in none. */
static void test_cluster_scoped(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put(f, "d/a.yaml", "kind: C\nmetadata:\n  namespace: n\n  name: x\nv: 1\n");
	put(f, "d/b.yaml", "kind: C\nmetadata: {name: x}\nv: 2\n");
	put(f, "d/c.yaml",
	    "kind: CList\nitems:\n- {kind: C, metadata: {name: y, namespace: n}}\n"
	    "- {kind: C, metadata: {name: x, namespace: m}}\n");
	start(f);
	assert_told(f, "set C/x=1 set C/y=0 bad b.yaml:1 bad c.yaml:4 synced  ");
	assert_non_null(strstr(f->problem, "C x is also in "));
	assert_where(f, "C", "", "x", "metadata.namespace", "/d/a.yaml:3");
	/* Nor is it another version. */
	put(f, "d/a.yaml", "kind: C\nmetadata:\n  name: x\nv: 1\n");
	assert_nothing_told(f);
	drop(f, "d/a.yaml");
	assert_soon_told(f, "set C/x=2 good b.yaml:1 bad c.yaml:4 ");
}

static void test_missing_directory(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_told(f, "bad d ");
	assert_non_null(strstr(f->problem, "/d: No such file or directory"));
	dir(f, "d");
	assert_soon_told(f, "bad d ");
	assert_non_null(strstr(f->problem, "no *.yaml"));
	put_one(f, "d/a.yaml", "a", 1);
	assert_soon_told(f, "set K/a=1 good d synced  ");
}

static void test_directory_that_vanishes_removes_nothing(void **state)
{
	struct fixture *f = *state;

	start_with_a_and_b(f);
	move(f, "d", "away");
	assert_soon_told(f, "bad d ");
	assert_non_null(strstr(f->problem, "what it held before stays"));
	/* Another directory that is empty says nothing either. */
	dir(f, "d");
	assert_soon_told(f, "bad d ");
	assert_non_null(strstr(f->problem, "no *.yaml, *.yml or *.json file; what it held before"));
	assert_nothing_told(f);
	/* One with files in it does. */
	put_one(f, "d/a.yaml", "a", 1);
	assert_soon_told(f, "gone K/b good d ");
}

static void test_removed_and_made_again_at_once(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 1);
	start(f);
	assert_told(f, "set K/a=1 synced  ");
	drop(f, "d/a.yaml");
	drop(f, "d");
	assert_soon_told(f, "bad d ");
	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 2);
	assert_soon_told(f, "set K/a=2 good d ");
}

static void test_files_deleted_one_by_one(void **state)
{
	struct fixture *f = *state;

	start_with_a_and_b(f);
	drop(f, "d/a.yaml");
	assert_soon_told(f, "gone K/a ");
	drop(f, "d/b.yaml");
	assert_soon_told(f, "gone K/b bad d ");
	assert_null(strstr(f->problem, "stays"));
	put_one(f, "d/a.yaml", "a", 1);
	assert_soon_told(f, "set K/a=1 good d ");
}

/* What is whole comes at once; what goes, and what is wrong, waits until things are quiet. */
static void test_renamed_into_its_place(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 1);
	put_one(f, "d/b.yaml", "b", 1);
	put_objects(f, "d/c.yaml", (const char *const[]){"c", "e"}, (const int[]){1, 1}, 2);
	start(f);
	assert_told(f, "set K/a=1 set K/b=1 set K/c=1 set K/e=1 synced  ");
	put_one(f, "a.new", "a", 2);
	put_one(f, "c.new", "c", 2);
	put(f, "b.new", "kind: [");
	assert_nothing_told(f);
	move(f, "a.new", "d/a.yaml");
	move(f, "c.new", "d/c.yaml");
	move(f, "b.new", "d/b.yaml");
	for (int i = 0; i < 1000 && !f->told[0]; i++)
		(void)loop_run_once(f->loop, 10 * NS_PER_MS);
	assert_told(f, "set K/a=2 set K/c=2 ");
	assert_soon_told(f, "gone K/e bad b.yaml ");
	/* The early read is not one that makes the directory whole. */
	move(f, "d", "away");
	assert_soon_told(f, "bad d ");
	move(f, "away", "d");
	assert_soon_told(f, "good d ");
}

/*
 * Writes the file anew all the time, for so long that the directory is read in between; or until something is
 * told. False if that was because this process did not run for so long that the file had settled.
 */
static bool keep_writing(struct fixture *f, const char *file, const char *name, int value,
			 uint64_t ns)
{
	uint64_t now_ns = mono_now_ns(), until_ns = now_ns + ns, longest_ns = 0;

	while (now_ns < until_ns && !f->told[0]) {
		uint64_t from_ns = now_ns;

		put_one(f, file, name, value);
		(void)loop_run_once(f->loop, 5 * NS_PER_MS);
		now_ns = mono_now_ns();
		if (now_ns - from_ns > longest_ns)
			longest_ns = now_ns - from_ns;
	}
	return longest_ns < 50 * NS_PER_MS;
}

static void test_moved_to_a_file_that_is_being_written(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 1);
	put_one(f, "d/k.yaml", "k", 1);
	start(f);
	assert_told(f, "set K/a=1 set K/k=1 synced  ");
	drop(f, "d/a.yaml");
	(void)keep_writing(f, "d/b.yaml", "a", 1, 800 * NS_PER_MS);
	assert_nothing_told(f);
	/* With a change: that alone. */
	drop(f, "d/b.yaml");
	(void)keep_writing(f, "d/c.yaml", "a", 2, 800 * NS_PER_MS);
	assert_soon_told(f, "set K/a=2 ");
	/* Not in it after all: gone as soon as that is known. */
	drop(f, "d/c.yaml");
	if (keep_writing(f, "d/k.yaml", "k", 1, 800 * NS_PER_MS))
		assert_told(f, "");
	assert_soon_told(f, "gone K/a ");
}

/* What is held goes by a whole read only, too. */
static void test_held_while_the_directory_is_away(void **state)
{
	struct fixture *f = *state;
	bool is_punctual;

	dir(f, "d");
	put_one(f, "d/k.yaml", "k", 1);
	start(f);
	assert_told(f, "set K/k=1 synced  ");
	do {
		put_one(f, "d/a.yaml", "a", 1);
		assert_soon_told(f, "set K/a=1 ");
		drop(f, "d/a.yaml");
		is_punctual = keep_writing(f, "d/k.yaml", "k", 1, 800 * NS_PER_MS);
		if (!is_punctual)
			assert_soon_told(f, "gone K/a ");
	} while (!is_punctual);
	move(f, "d", "away");
	assert_soon_told(f, "bad d ");
	assert_nothing_told(f);
	move(f, "away", "d");
	assert_soon_told(f, "gone K/a good d ");
}

static void test_gone_from_a_directory_that_never_settles(void **state)
{
	struct fixture *f = *state;
	uint64_t from_ns;

	dir(f, "d");
	put_objects(f, "d/a.yaml", (const char *const[]){"a", "b"}, (const int[]){1, 1}, 2);
	put_one(f, "d/k.yaml", "k", 1);
	start(f);
	assert_told(f, "set K/a=1 set K/b=1 set K/k=1 synced  ");
	drop(f, "d/a.yaml");
	from_ns = mono_now_ns();
	if (keep_writing(f, "d/k.yaml", "k", 1, 20 * NS_PER_S))
		assert_true(mono_now_ns() >= from_ns + 2 * NS_PER_S);
	assert_told(f, "gone K/a gone K/b ");
}

/* A volume of Kubernetes: all files change at once, by one rename of a link. */
static void test_kubernetes_volume(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	dir(f, "d/..1");
	put_one(f, "d/..1/a.yaml", "a", 1);
	put_one(f, "d/..1/b.yaml", "b", 1);
	assert_int_equal(symlink("..1", at(f, "d/..data")), 0);
	assert_int_equal(symlink("..data/a.yaml", at(f, "d/a.yaml")), 0);
	assert_int_equal(symlink("..data/b.yaml", at(f, "d/b.yaml")), 0);
	start(f);
	assert_told(f, "set K/a=1 set K/b=1 synced  ");

	dir(f, "d/..2");
	put_one(f, "d/..2/a.yaml", "a", 2);
	put_one(f, "d/..2/b.yaml", "b", 2);
	assert_nothing_told(f);
	assert_int_equal(symlink("..2", at(f, "d/..data_tmp")), 0);
	move(f, "d/..data_tmp", "d/..data");
	assert_soon_told(f, "set K/a=2 set K/b=2 ");
}

static void test_reload(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 1);
	start(f);
	assert_told(f, "set K/a=1 synced  ");
	manifest_source_reload(f->source);
	assert_told(f, "");
	put_one(f, "d/a.yaml", "a", 2);
	manifest_source_reload(f->source);
	assert_told(f, "set K/a=2 ");
	assert_nothing_told(f);
}

static void test_where(void **state)
{
	struct fixture *f = *state;
	char got[5];

	dir(f, "d");
	put(f, "d/a.yaml",
	    "kind: K\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 1\n---\n"
	    "kind: S\nmetadata:\n  namespace: n\n  name: a\n");
	start(f);
	assert_where(f, "K", "", "a", "spec.ports[0].port", "/d/a.yaml:5");
	assert_where(f, "K", NULL, "a", "spec.ports[0].x", "/d/a.yaml:5");
	assert_where(f, "S", "n", "a", "metadata.namespace", "/d/a.yaml:9");
	assert_where(f, "S", "", "a", "", "/d");
	assert_int_equal(
		strlen(manifest_source_where(f->source, "K", "", "a", "", got, sizeof(got))), 4);
}

static void test_big_and_binary_files(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put_one(f, "d/a.yaml", "a", 1);
	put(f, "d/b.yaml", "");
	assert_int_equal(truncate(at(f, "d/b.yaml"), 10 << 20), 0);
	put(f, "d/c.yaml", "\xff\xfe");
	start(f);
	assert_told(f, "set K/a=1 bad b.yaml bad c.yaml synced  ");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_read),
		TEST(test_changes),
		TEST(test_broken_file_keeps_its_objects),
		TEST(test_broken_from_the_start),
		TEST(test_duplicates),
		TEST(test_cluster_scoped),
		TEST(test_missing_directory),
		TEST(test_directory_that_vanishes_removes_nothing),
		TEST(test_removed_and_made_again_at_once),
		TEST(test_files_deleted_one_by_one),
		TEST(test_renamed_into_its_place),
		TEST(test_moved_to_a_file_that_is_being_written),
		TEST(test_held_while_the_directory_is_away),
		TEST(test_gone_from_a_directory_that_never_settles),
		TEST(test_kubernetes_volume),
		TEST(test_reload),
		TEST(test_where),
		TEST(test_big_and_binary_files),
	};

	return cmocka_run_group_tests_name("manifest_source", tests, NULL, NULL);
}
