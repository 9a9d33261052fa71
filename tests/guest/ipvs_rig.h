/* ipvs_rig: what the tests of IPVS on a real kernel have in common. After cmocka.h. */
#ifndef VIPD_TESTS_GUEST_IPVS_RIG_H
#define VIPD_TESTS_GUEST_IPVS_RIG_H

#include <stdlib.h>

#include "ipvs/ipvs.h"

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
