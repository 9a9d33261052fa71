/* vipd status as people see it: golden text, from the very example that pkg/ctl/STATUS.md shows. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 65536);

	if (!f)
		fail_msg("%s: run this in the root of the repository", path);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, f) > 0);
	(void)fclose(f);
	return text;
}

static json_t *example(void)
{
	char *text = slurp("pkg/ctl/STATUS.md");
	char *begin = strstr(text, "```json\n"), *end;
	json_error_t e;

	assert_non_null(begin);
	begin += strlen("```json\n");
	end = strstr(begin, "```");
	assert_non_null(end);

	json_t *j = json_loadb(begin, (size_t)(end - begin), JSON_REJECT_DUPLICATES, &e);

	if (!j)
		fail_msg("STATUS.md: line %d of the example: %s", e.line, e.text);
	free(text);
	return j;
}

/* An owned text. */
static char *render(const json_t *j, const struct ctl_text_opts *opts, int want)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(ctl_status_text(j, opts, f), want);
	(void)fclose(f);
	return text;
}

static void expect(const json_t *j, const struct ctl_text_opts *opts, int n, const char *want)
{
	char *got = render(j, opts, n);

	if (strcmp(got, want) != 0)
		fail_msg("wanted:\n%s\ngot:\n%s", want, got);
	free(got);
}

#define GLUSTERFS                                                          \
	"\n"                                                               \
	"glusterfs  192.168.44.100  active here for 2h13m (PeerTimeout)\n" \
	"  eth0, VRID 2, VRRPv2 every 2.0 s, priority 100; node02 99\n"    \
	"  ! 2 adverts rejected: auth\n"

/* Golden text, as it is printed. */
/* clang-format off */
static void test_example_in_full(void **state)
{
	json_auto_t *j = example();

	(void)state;
	expect(j, &(struct ctl_text_opts){0}, 3,
	       "vipd 0.1.0 on node01, up 2h13m; 3 virtual IPs: 1 active here, 1 backup, 1 not run\n"
	       "objects from /etc/vipd/manifests, 1 problem; IPVS 1.2.1, sync id 1 on eth0, 2 repairs\n"
	       "! /etc/vipd/manifests/web.yaml:12: spec.ports[0].port: 70000 is not in 1..65535\n" GLUSTERFS
	       "  24007/TCP rr   NODE           STATE           LAST CHECK                                WEIGHT  ACTIVE  INACTIVE  TOTAL    BYTES\n"
	       "  192.168.44.51  node01 (here)  Healthy 2h13m   OK in 93 us, 4.2 s ago                         1      12         0    530   5.1 MB\n"
	       "  192.168.44.52  node02         Healthy 2h13m   OK in 412 us, 3.1 s ago                        1      11         1    529   5.0 MB\n"
	       "\n"
	       "ssh  192.168.44.120  backup for 15m48s (HigherPriority); node02 is active for 15m48s with priority 100\n"
	       "  eth0, VRID 4, VRRPv2 every 2.0 s, priority 99; node02 100\n"
	       "  ! Degraded: RealServerUnhealthy: 1 of 2 real servers of 22/TCP is unhealthy\n"
	       "  22/TCP rr      NODE           STATE           LAST CHECK                                WEIGHT  ACTIVE  INACTIVE  TOTAL    BYTES\n"
	       "  192.168.44.51  node01 (here)  Healthy 2h13m   OK in 88 us, 900 ms ago                        1       1         0      3  90.1 kB\n"
	       "  192.168.44.52  node02         Unhealthy 47 s  L4Refused: connection refused, 7.3 s ago  0 of 1       0         2      2  61.0 kB\n"
	       "\n"
	       "web  192.168.44.120, 192.168.44.121  not run for 2h13m (AddressConflict)\n"
	       "  ! 192.168.44.120 belongs to VirtualIP ssh\n");
}
/* clang-format on */

/* Golden text, as it is printed. */
/* clang-format off */
static void test_narrow_terminals(void **state)
{
	json_auto_t *j = example();
	char name[] = "glusterfs";
	char *names[] = {name};
	static const struct {
		unsigned int width;
		const char *want;
	} cases[] = {
		{100, GLUSTERFS "  24007/TCP rr   NODE           STATE          LAST CHECK               WEIGHT  ACTIVE  TOTAL\n"
				"  192.168.44.51  node01 (here)  Healthy 2h13m  OK in 93 us, 4.2 s ago        1      12    530\n"
				"  192.168.44.52  node02         Healthy 2h13m  OK in 412 us, 3.1 s ago       1      11    529\n"},
		{80, GLUSTERFS
		 "  24007/TCP rr   NODE           STATE          LAST CHECK               ACTIVE\n"
		 "  192.168.44.51  node01 (here)  Healthy 2h13m  OK in 93 us, 4.2 s ago       12\n"
		 "  192.168.44.52  node02         Healthy 2h13m  OK in 412 us, 3.1 s ago      11\n"},
		{20, GLUSTERFS "  24007/TCP rr   STATE          LAST CHECK\n"
			       "  192.168.44.51  Healthy 2h13m  OK in 93 us, 4.2 s ago\n"
			       "  192.168.44.52  Healthy 2h13m  OK in 412 us, 3.1 s ago\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(j,
		       &(struct ctl_text_opts){
			       .width = cases[i].width, .names = names, .n_names = 1},
		       1, cases[i].want);
}
/* clang-format on */

static void test_details_go_before_columns_that_matter(void **state)
{
	json_auto_t *j = example();
	char name[] = "ssh";
	char *names[] = {name};
	char *got =
		render(j, &(struct ctl_text_opts){.width = 80, .names = names, .n_names = 1}, 1);

	(void)state;
	assert_non_null(strstr(got, "  L4Refused, 7.3 s ago"));
	assert_null(strstr(got, "connection refused"));
	assert_non_null(strstr(got, "ACTIVE"));
	free(got);
}

static void test_color_changes_nothing_but_color(void **state)
{
	json_auto_t *j = example();
	char *plain = render(j, &(struct ctl_text_opts){0}, 3);
	char *color = render(j, &(struct ctl_text_opts){.color = true}, 3);
	size_t n = 0;

	(void)state;
	assert_non_null(strstr(color, "\033[32mactive here\033[0m"));
	assert_non_null(strstr(color, "\033[31mUnhealthy 47 s\033[0m"));
	for (const char *p = color; *p; p++) {
		if (*p == '\033')
			while (*p != 'm')
				p++;
		else
			color[n++] = *p;
	}
	color[n] = '\0';
	assert_string_equal(color, plain);
	free(plain);
	free(color);
}

static void expect_vip(const char *vip, const char *want)
{
	json_error_t e;
	json_auto_t *j = json_object();
	json_t *v = json_loads(vip, 0, &e);

	if (!v)
		fail_msg("%s", e.text);
	assert_int_equal(json_object_set_new(j, "virtualIPs", json_pack("[o]", v)), 0);

	char *got = render(j, &(struct ctl_text_opts){0}, 1);
	const char *body = strstr(got, "\n\n"); /* behind the summary */

	assert_non_null(body);
	if (strcmp(body + 2, want) != 0)
		fail_msg("wanted:\n%s\ngot:\n%s", want, body + 2);
	free(got);
}

/* Golden text, as it is printed. */
/* clang-format off */
static void test_roles_and_odd_values(void **state)
{
	(void)state;
	expect_vip("{}", "  not run\n");
	expect_vip(
		"{\"name\":\"a\",\"addresses\":[\"2001:db8::1\"],\"role\":\"Init\",\"reason\":\"LinkDown\",\"message\":\"eth0 has no carrier\",\"sinceSeconds\":3}",
		"a  2001:db8::1  not taking part for 3 s (LinkDown); nobody is known to be active\n"
		"  ! eth0 has no carrier\n");
	expect_vip("{\"name\":\"a\",\"role\":\"Active\",\"reason\":\"PeerTimeout\",\"message\":\"no IPVS here\","
		   "\"conditions\":[{\"type\":\"Degraded\",\"status\":\"True\",\"reason\":\"NoIPVS\",\"message\":\"no IPVS here\"}]}",
		   "a  active here (PeerTimeout)\n"
		   "  ! Degraded: NoIPVS: no IPVS here\n");
	expect_vip(
		"{\"name\":\"a\",\"addresses\":[],\"role\":\"Releasing\",\"reason\":\"Stopping\"}",
		"a  handing over (Stopping)\n");
	expect_vip("{\"name\":\"a\",\"addresses\":[\"192.0.2.9\"],\"role\":\"RealServer\",\"activeAddress\":\"192.0.2.77\",\"activePriority\":200}",
		   "a  192.0.2.9  real server only; 192.0.2.77 (no node of ours) is active with priority 200\n");
	expect_vip("{\"name\":\"a\\u001b[2J\\u009b\\u202e\",\"addresses\":[7],\"role\":\"Active\"}",
		   "a?[2J??    active here\n");
	expect_vip(
		"{\"name\":\"a\",\"role\":\"Active\",\"ports\":[{\"port\":53,\"protocol\":\"UDP\",\"scheduler\":\"mh\",\"persistenceSeconds\":300,\"realServers\":[{\"address\":\"2001:db8::51\",\"verdict\":\"Unknown\",\"weight\":1},{\"address\":\"2001:db8::52\",\"node\":\"n\303\266de\",\"verdict\":\"Healthy\",\"suspect\":true,\"weight\":10,\"last\":{\"result\":\"OK\",\"status\":200,\"detail\":\"200 OK\",\"latencyMicroseconds\":2500,\"agoMilliseconds\":1000}}]}]}",
		"a  active here\n"
		"  53/UDP mh, sticky 300 s  NODE  STATE              LAST CHECK                 WEIGHT\n"
		"  2001:db8::51             -     Unknown            none yet                        1\n"
		"  2001:db8::52             n\303\266de  Healthy (suspect)  200 OK in 2 ms, 1.0 s ago      10\n");
	expect_vip("{\"name\":\"a\",\"role\":\"Backup\",\"interface\":\"eth0\",\"virtualRouterID\":9,\"version\":3,\"advertisementPeriodMilliseconds\":100,\"transport\":\"Unicast\",\"priority\":1,\"members\":[{\"node\":\"x\",\"priority\":1,\"self\":true},{\"node\":\"y\",\"priority\":2,\"cordoned\":true,\"ready\":false}],\"adverts\":{\"sent\":7,\"addressMismatch\":4,\"lateness\":{\"3ms\":9,\"10ms\":1,\"more\":1}},\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"NoHealthyRealServer\"}]}",
		   "a  backup; nobody is known to be active\n"
		   "  eth0, VRID 9, VRRPv3 every 100 ms, unicast, priority 1; y 2 (cordoned) (not ready)\n"
		   "  ! not Ready: NoHealthyRealServer\n"
		   "  ! 4 adverts with another list of addresses\n"
		   "  ! 2 of 7 adverts left more than 3 ms late\n");
}
/* clang-format on */

/* Whatever JSON comes, nothing breaks. */
static void test_any_json(void **state)
{
	static const char *const texts[] = {
		"null",
		"[]",
		"7",
		"{}",
		"{\"virtualIPs\":{}}",
		"{\"virtualIPs\":[1,null,[],\"x\"]}",
		"{\"virtualIPs\":[{\"ports\":[{\"realServers\":[[],1,{\"last\":7,\"bytes\":-5}]},3]"
		"}]}",
		"{\"source\":{\"problems\":[1]},\"kernel\":[],\"sinceSeconds\":-4}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_auto_t *j = json_loads(texts[i], JSON_DECODE_ANY, NULL);
		char *text = NULL;
		size_t len;
		FILE *f = open_memstream(&text, &len);

		assert_non_null(j);
		assert_true(ctl_status_text(j, &(struct ctl_text_opts){.width = 80}, f) >= 0);
		(void)fclose(f);
		free(text);
	}
}

static void test_select(void **state)
{
	json_auto_t *j = example();
	char web[] = "web", nobody[] = "nobody";
	char *names[] = {nobody, web};
	json_auto_t *some = ctl_status_select(j, names, 2);
	const json_t *vips = json_object_get(some, "virtualIPs");

	(void)state;
	assert_int_equal(json_array_size(vips), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(vips, 0), "name")),
			    "web");
	assert_string_equal(json_string_value(json_object_get(some, "node")), "node01");
	assert_int_equal(json_array_size(json_object_get(j, "virtualIPs")), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_in_full),
		cmocka_unit_test(test_narrow_terminals),
		cmocka_unit_test(test_details_go_before_columns_that_matter),
		cmocka_unit_test(test_color_changes_nothing_but_color),
		cmocka_unit_test(test_roles_and_odd_values),
		cmocka_unit_test(test_any_json),
		cmocka_unit_test(test_select),
	};

	return cmocka_run_group_tests_name("ctl_text", tests, NULL, NULL);
}
