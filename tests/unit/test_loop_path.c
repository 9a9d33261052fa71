/* Following a directory through everything that people and Kubernetes do to it. */
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

#include "loop/loop.h"

struct fixture {
	struct loop *loop;
	struct loop_source *src;
	char root[64];
	char path[PATH_MAX];
	unsigned int n;
	bool free_self;
};

static int on_path(void *user, uint64_t now_ns)
{
	struct fixture *f = user;

	assert_true(now_ns > 0);
	f->n++;
	if (f->free_self)
		loop_source_free_p(&f->src);
	return 0;
}

/* True if anything was reported since the last call. */
static bool told(struct fixture *f)
{
	f->n = 0;
	while (loop_run_once(f->loop, 0) > 0)
		;
	return f->n > 0;
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

static void dir(struct fixture *f, const char *name)
{
	assert_int_equal(mkdir(at(f, name), 0755), 0);
}

static void link_to(struct fixture *f, const char *target, const char *name)
{
	assert_int_equal(symlink(target, at(f, name)), 0);
}

static void move(struct fixture *f, const char *from, const char *to)
{
	char old[PATH_MAX];

	(void)snprintf(old, sizeof(old), "%s/%s", f->root, from);
	assert_int_equal(rename(old, at(f, to)), 0);
}

static void follow(struct fixture *f, const char *name)
{
	assert_int_equal(loop_add_path(f->loop, at(f, name), on_path, f, &f->src), 0);
	assert_false(told(f));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || loop_new(&f->loop, NULL) < 0)
		return -1;
	(void)snprintf(f->root, sizeof(f->root), "/tmp/vipd-test-path-XXXXXX");
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

	loop_source_free(f->src);
	loop_free(f->loop);
	(void)nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void test_files(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	put(f, "d/old.yaml", "a");
	follow(f, "d");
	put(f, "d/new.yaml", "a");
	assert_true(told(f));
	put(f, "d/new.yaml", "b");
	assert_true(told(f));
	move(f, "d/new.yaml", "d/moved.yaml");
	assert_true(told(f));
	assert_int_equal(chmod(at(f, "d/moved.yaml"), 0600), 0);
	assert_true(told(f));
	assert_int_equal(unlink(at(f, "d/old.yaml")), 0);
	assert_true(told(f));
	/* What happens beside it is nobody's business. */
	put(f, "beside.yaml", "a");
	assert_false(told(f));
}

static void test_missing_at_first(void **state)
{
	struct fixture *f = *state;

	follow(f, "a/b/c");
	dir(f, "a");
	(void)told(f);
	dir(f, "a/b");
	(void)told(f);
	dir(f, "a/b/c");
	assert_true(told(f));
	put(f, "a/b/c/x.yaml", "a");
	assert_true(told(f));
}

static void test_appears_all_at_once(void **state)
{
	struct fixture *f = *state;

	dir(f, "new");
	dir(f, "new/b");
	put(f, "new/b/x.yaml", "a");
	follow(f, "a/b");
	move(f, "new", "a");
	assert_true(told(f));
	put(f, "a/b/y.yaml", "a");
	assert_true(told(f));
}

static void test_deleted_and_made_again(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	follow(f, "d");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rmdir(at(f, "d")), 0);
		assert_true(told(f));
		dir(f, "d");
		assert_true(told(f));
		put(f, "d/x.yaml", "a");
		assert_true(told(f));
		assert_int_equal(unlink(at(f, "d/x.yaml")), 0);
		assert_true(told(f));
	}
	/* Without a chance to look in between. */
	assert_int_equal(rmdir(at(f, "d")), 0);
	dir(f, "d");
	assert_true(told(f));
	put(f, "d/x.yaml", "a");
	assert_true(told(f));
}

static void test_moved_away_and_replaced(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	dir(f, "other");
	follow(f, "d");
	move(f, "d", "gone");
	assert_true(told(f));
	put(f, "gone/x.yaml", "a");
	assert_false(told(f));
	move(f, "other", "d");
	assert_true(told(f));
	put(f, "d/x.yaml", "a");
	assert_true(told(f));
}

/* The way of kubelet: files are links through ..data, which is swapped by rename. */
static void test_kubernetes_swap(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	dir(f, "d/..1");
	put(f, "d/..1/x.yaml", "one");
	link_to(f, "..1", "d/..data");
	link_to(f, "..data/x.yaml", "d/x.yaml");
	follow(f, "d");
	dir(f, "d/..2");
	put(f, "d/..2/x.yaml", "two");
	link_to(f, "..2", "d/..data_tmp");
	(void)told(f);
	move(f, "d/..data_tmp", "d/..data");
	assert_true(told(f));
}

/* The followed directory is itself behind links that are swapped: ..data alone, or a chain of them. */
static void test_links_on_the_way(void **state)
{
	struct fixture *f = *state;

	dir(f, "v1");
	dir(f, "v1/m");
	dir(f, "v2");
	dir(f, "v2/m");
	link_to(f, "v1", "current");
	(void)snprintf(f->path, sizeof(f->path), "%s/./current/../current", f->root);

	char target[PATH_MAX];

	memcpy(target, f->path, sizeof(target));
	link_to(f, target, "alias");
	follow(f, "alias/m/");
	put(f, "v1/m/x.yaml", "a");
	assert_true(told(f));
	link_to(f, "v2", "tmp");
	move(f, "tmp", "current");
	assert_true(told(f));
	put(f, "v2/m/x.yaml", "a");
	assert_true(told(f));
	put(f, "v1/m/x.yaml", "b");
	assert_false(told(f));
	assert_int_equal(unlink(at(f, "alias")), 0);
	assert_true(told(f));
	link_to(f, "v1", "alias");
	assert_true(told(f));
	put(f, "v1/m/x.yaml", "c");
	assert_true(told(f));
}

static void test_broken_ways(void **state)
{
	struct fixture *f = *state;
	struct loop_source *src = NULL;
	char *big = malloc(PATH_MAX + 2);

	link_to(f, "self", "self");
	assert_int_equal(loop_add_path(f->loop, at(f, "self/x"), on_path, f, &src), -ELOOP);
	assert_int_equal(loop_add_path(f->loop, "", on_path, f, &src), -EINVAL);
	assert_non_null(big);
	memset(big, 'x', PATH_MAX + 1);
	big[PATH_MAX + 1] = '\0';
	assert_int_equal(loop_add_path(f->loop, big, on_path, f, &src), -ENAMETOOLONG);
	free(big);
	assert_null(src);

	/* A file where a directory should be; it may become one. */
	put(f, "d", "a");
	follow(f, "d/sub");
	assert_int_equal(unlink(at(f, "d")), 0);
	dir(f, "d");
	dir(f, "d/sub");
	assert_true(told(f));
	put(f, "d/sub/x.yaml", "a");
	assert_true(told(f));
}

static void test_relative_and_root(void **state)
{
	struct fixture *f = *state;
	char cwd[PATH_MAX];

	dir(f, "d");
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(f->root), 0);
	assert_int_equal(loop_add_path(f->loop, "d", on_path, f, &f->src), 0);
	assert_int_equal(chdir(cwd), 0);
	put(f, "d/x.yaml", "a");
	assert_true(told(f));

	struct loop_source *root = NULL;

	assert_int_equal(loop_add_path(f->loop, "/", on_path, f, &root), 0);
	loop_source_free(root);
}

static void test_frees_itself(void **state)
{
	struct fixture *f = *state;

	dir(f, "d");
	follow(f, "d");
	f->free_self = true;
	put(f, "d/x.yaml", "a");
	put(f, "d/y.yaml", "a");
	(void)told(f);
	assert_int_equal(f->n, 1);
	assert_null(f->src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_at_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_appears_all_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted_and_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_away_and_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kubernetes_swap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_on_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relative_and_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frees_itself, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop_path", tests, NULL, NULL);
}
