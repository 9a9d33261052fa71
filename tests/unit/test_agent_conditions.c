/* What a VirtualIP's conditions say of the kernel, here and in the state of the node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/control.h"

static void assert_degraded(const struct control *c, const struct plan_vip *pv, bool status,
			    const char *reason, const char *message)
{
	struct control_vip v = {.state = VRRP_ACTIVE};
	struct control_conditions all;
	const struct api_condition *d = &all.items[API_DEGRADED];

	control_conditions_get(c, &v, pv, NS_PER_S, &all);
	assert_true(d->is_set);
	assert_int_equal(d->status, status);
	assert_string_equal(d->reason, reason);
	assert_string_equal(d->message, message);
	assert_true(all.items[API_ACCEPTED].status);
}

static void the_kernel_refuses(void **state)
{
	const struct api_vip vip = {.name = "web"};
	struct plan_vip pv = {.vip = &vip, .routes = true, .degradation = "no ip_vs here"};
	struct control c = {.kernel_refuses = true};

	(void)state;
	(void)snprintf(c.last_apply_error, sizeof(c.last_apply_error), "Operation not permitted");
	assert_degraded(&c, &pv, true, "KernelRefused", "Operation not permitted");
	/* worse than what is known to be missing */
	pv.degraded = PLAN_NO_IPVS;
	assert_degraded(&c, &pv, true, "KernelRefused", "Operation not permitted");
	c.kernel_refuses = false;
	assert_degraded(&c, &pv, true, "NoIPVS", "no ip_vs here");
	pv.degraded = PLAN_OK;
	assert_degraded(&c, &pv, false, "AllHealthy", "every real server is healthy");
}

static void a_fault_is_why_nobody_is_active(void **state)
{
	const struct api_vip vip = {.name = "web"};
	const struct plan_vip pv = {
		.vip = &vip, .routes = true, .fault = PLAN_LINK_DOWN, .message = "eth0 is down"};
	const struct control c = {0};
	struct control_vip v = {.state = VRRP_INIT};
	struct control_conditions all;

	(void)state;
	control_conditions_get(&c, &v, &pv, NS_PER_S, &all);
	assert_false(all.items[API_READY].status);
	assert_string_equal(all.items[API_READY].reason, "LinkDown");
	assert_string_equal(all.items[API_READY].message, "eth0 is down");
}

static void a_refused_one_says_why_first(void **state)
{
	const struct api_vip vip = {.name = "web"};
	const struct plan_vip pv = {
		.vip = &vip, .refused = PLAN_SECRET_UNAVAILABLE, .message = "no Secret"};
	const struct control c = {.kernel_refuses = true};
	struct control_vip v = {0};
	struct control_conditions all;

	(void)state;
	control_conditions_get(&c, &v, &pv, NS_PER_S, &all);
	assert_string_equal(all.items[API_ACCEPTED].reason, "SecretUnavailable");
	assert_false(all.items[API_DEGRADED].is_set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_refuses),
		cmocka_unit_test(a_fault_is_why_nobody_is_active),
		cmocka_unit_test(a_refused_one_says_why_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
