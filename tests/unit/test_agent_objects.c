/* Objects as the agent keeps them: when it plans anew, and what is wrong with each and with each place of the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/control.h"

static const struct agent_conf conf = {.manifests_dir = "d", .node_name = "node01"};

struct fixture {
	struct control c;
	struct control_object *o;
};

static int on_turn(void *user, uint64_t now_ns)
{
	(void)user;
	(void)now_ns;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->c.conf = &conf;
	assert_int_equal(loop_new(&f->c.loop, NULL), 0);
	assert_int_equal(loop_add_timer(f->c.loop, LOOP_PRIO_NORMAL, on_turn, NULL, &f->c.turn), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	control_objects_done(&f->c);
	loop_source_free(f->c.turn);
	loop_free(f->c.loop);
	free(f);
	return 0;
}

static json_t *vip(int vrid)
{
	json_t *object =
		json_pack("{s:s, s:s, s:{s:s, s:s, s:i}, s:{s:[s], s:{s:i}, s:[{s:s, s:i}]}}",
			  "apiVersion", API_GROUP_VERSION, "kind", "VirtualIP", "metadata", "name",
			  "ssh", "uid", "u", "generation", vrid, "spec", "addresses", "192.0.2.1",
			  "vrrp", "virtualRouterID", vrid, "ports", "name", "ssh", "port", 22);

	assert_non_null(object);
	return object;
}

static void tell(struct fixture *f, enum object_event_type type, json_t *object, const char *origin)
{
	control_sink(&f->c, &(struct object_event){
				    .type = type,
				    .kind = "VirtualIP",
				    .namespace_ = "",
				    .name = "ssh",
				    .object = object,
				    .origin = origin,
				    .problem = type == OBJECT_BAD ? "is there twice" : NULL,
			    });
}

static void set(struct fixture *f, const char *origin, int vrid)
{
	json_auto_t *object = vip(vrid);

	tell(f, OBJECT_SET, object, origin);
}

static void assert_problems(const struct fixture *f, const char *a, const char *b)
{
	const struct control_problem *p = NULL;

	assert_int_equal(HASH_COUNT(f->c.problems), (a != NULL) + (b != NULL));
	if (a)
		HASH_FIND_STR(f->c.problems, a, p);
	assert_true(!a || p);
	if (b)
		HASH_FIND_STR(f->c.problems, b, p);
	assert_true(!b || p);
}

static void a_second_object_is_told_of_until_it_is_gone(void **state)
{
	struct fixture *f = *state;
	const char *at_b = "VirtualIP/ssh at d/b.yaml:7", *at_c = "VirtualIP/ssh at d/c.yaml:1";

	set(f, "d/a.yaml:1", 1);
	tell(f, OBJECT_BAD, NULL, "d/b.yaml:7");
	assert_problems(f, at_b, NULL);
	/* The first one is edited, */
	set(f, "d/a.yaml:1", 2);
	assert_problems(f, at_b, NULL);
	/* is bad, */
	set(f, "d/a.yaml:1", 999);
	assert_problems(f, at_b, "VirtualIP/ssh");
	/* and good again. */
	set(f, "d/a.yaml:1", 3);
	assert_problems(f, at_b, NULL);
	/* A third one is another matter; so is the second one on another line. */
	tell(f, OBJECT_BAD, NULL, "d/c.yaml:1");
	assert_problems(f, at_b, at_c);
	tell(f, OBJECT_BAD, NULL, "d/b.yaml:5");
	tell(f, OBJECT_GOOD, NULL, "d/b.yaml:7");
	assert_problems(f, "VirtualIP/ssh at d/b.yaml:5", at_c);
	tell(f, OBJECT_GOOD, NULL, "d/b.yaml:5");
	tell(f, OBJECT_GOOD, NULL, "d/c.yaml:1");
	assert_problems(f, NULL, NULL);
}

static void what_is_wrong_with_the_first_one_stays_without_the_second(void **state)
{
	struct fixture *f = *state;

	set(f, "d/a.yaml:1", 1);
	set(f, "d/a.yaml:1", 999);
	tell(f, OBJECT_BAD, NULL, "d/b.yaml:7");
	tell(f, OBJECT_GOOD, NULL, "d/b.yaml:7");
	assert_problems(f, "VirtualIP/ssh", NULL);
}

static void the_first_edit_is_planned_at_once(void **state)
{
	struct fixture *f = *state;

	set(f, "d/a.yaml:1", 1);
	assert_true(f->c.dirty);
	assert_true(f->c.turn_ns <= mono_now_ns());
	/* That has been done: what follows is waited for, */
	f->c.turn_ns = 0;
	f->c.planned_ns = mono_now_ns();
	set(f, "d/a.yaml:1", 2);
	assert_true(f->c.turn_ns >= f->c.planned_ns + 2 * NS_PER_MS);
	/* but not for long. */
	f->c.planned_ns -= NS_PER_S;
	set(f, "d/a.yaml:1", 3);
	assert_true(f->c.turn_ns <= mono_now_ns());
}

static void planning_leaves_time_for_others(void **state)
{
	struct fixture *f = *state;

	f->c.planned_ns = mono_now_ns();
	f->c.plan_took_ns = 40 * NS_PER_MS;
	set(f, "d/a.yaml:1", 1);
	assert_true(f->c.turn_ns >= f->c.planned_ns + 100 * NS_PER_MS);
}

static void what_agents_write_is_no_edit(void **state)
{
	struct fixture *f = *state;
	json_auto_t *object = vip(1);
	const struct control_object *o;

	tell(f, OBJECT_SET, object, "api");
	f->c.dirty = false;
	/* the same once more, as in a list; */
	tell(f, OBJECT_SET, object, "api");
	assert_false(f->c.dirty);
	/* its status, which reports go by; */
	assert_int_equal(
		json_object_set_new(object, "status", json_pack("{s:s}", "activeNode", "node01")),
		0);
	tell(f, OBJECT_SET, object, "api");
	assert_false(f->c.dirty);
	o = control_object_find(&f->c, "VirtualIP", "ssh");
	assert_true(o && json_equal(o->raw, object));
	/* the same, where the state directory had it: it is confirmed now; */
	HASH_FIND_STR(f->c.objects, "VirtualIP/ssh", f->o);
	f->o->stale = true;
	tell(f, OBJECT_SET, object, "api");
	assert_true(f->c.dirty);
	/* and after a version that was bad. */
	set(f, "api", 999);
	f->c.dirty = false;
	tell(f, OBJECT_SET, object, "api");
	assert_true(f->c.dirty);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_edit_is_planned_at_once),
		TEST(planning_leaves_time_for_others),
		TEST(what_agents_write_is_no_edit),
		TEST(a_second_object_is_told_of_until_it_is_gone),
		TEST(what_is_wrong_with_the_first_one_stays_without_the_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
