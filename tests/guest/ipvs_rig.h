/* ipvs_rig: what the tests of IPVS on a real kernel have in common. After cmocka.h. */
#ifndef VIPD_TESTS_GUEST_IPVS_RIG_H
#define VIPD_TESTS_GUEST_IPVS_RIG_H

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipvs/ipvs.h"

#define SKIP 77 /* what a test exits with */

/* Into a network namespace of its own, on a kernel that has IPVS. False, and it has said why: it cannot be. */
static bool enter_lab(void)
{
	struct ipvs *i = NULL;
	struct verr err = {0};

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "skipped: a network namespace needs root\n");
		return false;
	}
	if (ipvs_open(&i, &err) < 0) {
		fprintf(stderr, "skipped: %s\n", err.msg);
		return false;
	}
	ipvs_close(i);
	return true;
}

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void apply(struct ipvs *i, enum plan_op_type type, const struct plan_service *s,
		  const struct plan_dest *d)
{
	struct plan_op op = {.type = type, .service = *s};
	struct verr err = {0};

	if (d)
		op.dest = *d;
	if (ipvs_apply(i, &op, &err) != 0)
		fail_msg("%s", err.msg);
}

#endif
