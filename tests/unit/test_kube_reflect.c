/*
 * The reflector's core as stories: a column of events with what each must lead to. Times are in ms since the
 * start of the story; chance always throws a zero, so that back-off sleeps 800, 1600, 3200 ms...
 */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kube/kube_internal.h"

#define MS NS_PER_MS
#define T0 (1000 * NS_PER_S)

/* What the core does, in one line: "sweep synced watch@5", "list@/500", "until 800", "drop until 800". */
static const char *text_of(const struct kube_reflect_out *out, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	if (out->acts & KUBE_ACT_DROP)
		n += (size_t)snprintf(buf + n, size - n, "drop ");
	if (out->acts & KUBE_ACT_SWEEP)
		n += (size_t)snprintf(buf + n, size - n, "sweep ");
	if (out->acts & KUBE_ACT_SYNCED)
		n += (size_t)snprintf(buf + n, size - n, "synced ");
	if (out->acts & KUBE_ACT_LIST)
		n += (size_t)snprintf(buf + n, size - n, "list@%s/%u ", out->version, out->limit);
	if (out->acts & KUBE_ACT_LIST_MORE)
		n += (size_t)snprintf(buf + n, size - n, "more ");
	if (out->acts & KUBE_ACT_WATCH)
		n += (size_t)snprintf(buf + n, size - n, "watch@%s ", out->version);
	if (out->deadline_ns)
		n += (size_t)snprintf(buf + n, size - n, "until %llu ",
				      (unsigned long long)((out->deadline_ns - T0) / MS));
	if (n > 0)
		buf[n - 1] = '\0';
	return buf;
}

struct line {
	unsigned int at_ms;
	enum kube_reflect_ev_type type;
	const char *want;
	const char *version;
	enum kube_fail fail;
	unsigned int retry_ms;
	bool has_more;
};

static void tell(const char *name, const struct line *lines, size_t n)
{
	struct kube_reflect s;

	kube_reflect_init(&s);
	for (size_t i = 0; i < n; i++) {
		const struct line *l = &lines[i];
		const struct kube_reflect_ev ev = {
			.type = l->type,
			.now_ns = T0 + l->at_ms * MS,
			.version = l->version,
			.has_more = l->has_more,
			.fail = l->fail,
			.retry_after_ns = l->retry_ms * MS,
		};
		struct kube_reflect_out out;
		char buf[128];

		kube_reflect_step(&s, &ev, &out);
		if (strcmp(text_of(&out, buf, sizeof(buf)), l->want) != 0)
			fail_msg("%s, line %zu: \"%s\" instead of \"%s\"", name, i + 1, buf,
				 l->want);
	}
}

#define STORY(story_name)                                                             \
	static void story_name(void **state)                                          \
	{                                                                             \
		(void)state;                                                          \
		tell(#story_name, story_name##_lines, ARRAY_LEN(story_name##_lines)); \
	}                                                                             \
	static_assert(sizeof(story_name##_lines) > 0, "")

#define EV(ms, t, wants, ...)                                                    \
	{                                                                        \
		.at_ms = (ms), .type = KUBE_EV_##t, .want = (wants), __VA_ARGS__ \
	}
#define OPEN(ms) EV(ms, WATCH_OPEN, "")
/* A list is refused, and asked for again when the server has said. */
#define BUSY(ms, until) \
	EV(ms, LIST_FAILED, "until " #until, .fail = KUBE_FAIL_BUSY, .retry_ms = 1000)
#define AGAIN_BUSY(ms, until) EV(ms, TIMER, "list@/500"), BUSY(ms, until)
/* Everybody's beginning. */
#define BEGIN EV(0, START, "list@/500"), EV(10, LIST_PAGE, "sweep synced watch@5", .version = "5")

static const struct line ordinary_life_lines[] = {
	BEGIN,
	OPEN(20),
	EV(100, WATCH_BYTES, ""),
	EV(100, WATCH_CHANGE, "", .version = "6"),
	/* With a bookmark seen, silence is news after 150 s. */
	EV(60000, WATCH_BOOKMARK, "until 210000", .version = "9"),
	EV(70000, WATCH_CHANGE, "until 220000", .version = "10"),
	EV(120000, WATCH_BYTES, "until 270000"),
	EV(120000, WATCH_ALIEN, "until 270000"),
	EV(400000, WATCH_ENDED, "watch@10"),
	OPEN(400010),
	EV(800000, WATCH_ENDED, "watch@10"),
};
STORY(ordinary_life);

static const struct line pages_lines[] = {
	EV(0, START, "list@/500"),
	EV(10, LIST_PAGE, "more", .version = "5", .has_more = true),
	EV(20, LIST_PAGE, "more", .version = "6", .has_more = true),
	/* The version is that of the first page. */
	EV(30, LIST_PAGE, "sweep synced watch@5", .version = "7"),
};
STORY(pages);

static const struct line page_2_expired_lines[] = {
	EV(0, START, "list@/500"),
	EV(10, LIST_PAGE, "more", .version = "5", .has_more = true),
	EV(20, LIST_FAILED, "list@/0", .fail = KUBE_FAIL_EXPIRED),
	EV(30, LIST_PAGE, "sweep synced watch@8", .version = "8"),
};
STORY(page_2_expired);

static const struct line page_2_failed_lines[] = {
	EV(0, START, "list@/500"),
	EV(10, LIST_PAGE, "more", .version = "5", .has_more = true),
	/* Nothing is swept, and it begins anew. */
	EV(20, LIST_FAILED, "until 820", .fail = KUBE_FAIL_STATUS),
	EV(820, TIMER, "list@/500"),
};
STORY(page_2_failed);

static const struct line whole_list_expired_too_lines[] = {
	EV(0, START, "list@/500"),
	EV(10, LIST_PAGE, "more", .version = "5", .has_more = true),
	EV(20, LIST_FAILED, "list@/0", .fail = KUBE_FAIL_EXPIRED),
	EV(30, LIST_FAILED, "until 830", .fail = KUBE_FAIL_EXPIRED),
	EV(830, TIMER, "list@/500"),
};
STORY(whole_list_expired_too);

static const struct line expired_in_the_stream_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_CHANGE, "", .version = "6"),
	/* At the version that is known, in one piece: the server may be at it. */
	EV(70000, WATCH_ERROR, "drop list@6/0", .fail = KUBE_FAIL_EXPIRED),
	/* It is not: what is latest, in pages again. */
	EV(70010, LIST_FAILED, "list@/500", .fail = KUBE_FAIL_EXPIRED),
	EV(70020, LIST_FAILED, "until 70820", .fail = KUBE_FAIL_NET),
	EV(70820, TIMER, "list@/500"),
	EV(70830, LIST_PAGE, "sweep watch@70", .version = "70"),
	OPEN(70840),
	/* From then on the version is good again. */
	EV(90000, WATCH_ERROR, "drop list@70/0", .fail = KUBE_FAIL_EXPIRED),
};
STORY(expired_in_the_stream);

static const struct line expired_by_http_lines[] = {
	BEGIN,
	OPEN(20),
	EV(300000, WATCH_ENDED, "watch@5"),
	EV(300010, WATCH_FAILED, "list@5/0", .fail = KUBE_FAIL_EXPIRED),
	EV(300020, LIST_PAGE, "sweep until 300500", .version = "8"),
	EV(300500, TIMER, "watch@8"),
	/* A server that says so at once of what it has just listed is not asked in a circle. */
	EV(300510, WATCH_FAILED, "until 301310", .fail = KUBE_FAIL_EXPIRED),
	EV(301310, TIMER, "list@8/0"),
	EV(301320, LIST_PAGE, "sweep watch@8", .version = "8"),
	EV(301330, WATCH_FAILED, "until 302130", .fail = KUBE_FAIL_EXPIRED),
	EV(302130, TIMER, "list@8/0"),
	EV(302140, LIST_PAGE, "sweep watch@8", .version = "8"),
	EV(302150, WATCH_FAILED, "until 303750", .fail = KUBE_FAIL_EXPIRED),
};
STORY(expired_by_http);

/* A server that has started again knows less than it lists: that is over soon, and no part of the outage. */
static const struct line expired_after_an_outage_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_ENDED, "watch@5"),
	EV(60010, WATCH_FAILED, "until 60810", .fail = KUBE_FAIL_REFUSED),
	EV(60810, TIMER, "watch@5"),
	EV(60820, WATCH_FAILED, "until 62420", .fail = KUBE_FAIL_REFUSED),
	EV(62420, TIMER, "watch@5"),
	EV(62430, WATCH_FAILED, "until 65630", .fail = KUBE_FAIL_REFUSED),
	EV(65630, TIMER, "watch@5"),
	OPEN(65640),
	EV(65650, WATCH_ERROR, "drop list@5/0", .fail = KUBE_FAIL_EXPIRED),
	EV(65660, LIST_PAGE, "sweep until 66130", .version = "8"),
	EV(66130, TIMER, "watch@8"),
	OPEN(66140),
	EV(66150, WATCH_ERROR, "drop until 66950", .fail = KUBE_FAIL_EXPIRED),
	EV(66950, TIMER, "list@8/0"),
	EV(66960, LIST_PAGE, "sweep watch@8", .version = "8"),
	/* Once more is something else. */
	EV(66970, WATCH_ERROR, "drop until 73370", .fail = KUBE_FAIL_EXPIRED),
};
STORY(expired_after_an_outage);

static const struct line version_too_large_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_ERROR, "drop until 60800", .fail = KUBE_FAIL_STATUS),
	EV(60800, TIMER, "list@5/0"),
	/* Another server, which is behind. */
	EV(63800, LIST_FAILED, "list@/500", .fail = KUBE_FAIL_AHEAD, .retry_ms = 1000),
	EV(63810, LIST_PAGE, "sweep watch@4", .version = "4"),
};
STORY(version_too_large);

static const struct line overload_lines[] = {
	EV(0, START, "list@/500"),
	/* As long as the server asks for, however often. */
	EV(10, LIST_FAILED, "until 5010", .fail = KUBE_FAIL_BUSY, .retry_ms = 5000),
	EV(5010, TIMER, "list@/500"),
	EV(5020, LIST_FAILED, "until 6020", .fail = KUBE_FAIL_BUSY, .retry_ms = 1000),
	EV(6020, TIMER, "list@/500"),
	EV(6030, LIST_PAGE, "sweep synced watch@5", .version = "5"),
	/* No list after it. */
	EV(6040, WATCH_FAILED, "until 7040", .fail = KUBE_FAIL_BUSY, .retry_ms = 1000),
	EV(7040, TIMER, "watch@5"),
	OPEN(7050),
	EV(9000, WATCH_ERROR, "drop until 9800", .fail = KUBE_FAIL_BUSY),
	EV(9800, TIMER, "watch@5"),
};
STORY(overload);

static const struct line server_restarts_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_ENDED, "watch@5"),
	EV(60010, WATCH_FAILED, "until 60810", .fail = KUBE_FAIL_REFUSED),
	EV(60810, TIMER, "watch@5"),
	EV(60820, WATCH_FAILED, "until 62420", .fail = KUBE_FAIL_REFUSED),
	EV(62000, TIMER, "until 62420"),
	EV(62420, TIMER, "watch@5"),
	OPEN(62430),
	EV(62440, WATCH_CHANGE, "", .version = "6"),
	EV(63000, WATCH_ENDED, "watch@6"),
};
STORY(server_restarts);

static const struct line network_is_gone_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_ENDED, "watch@5"),
	EV(70000, WATCH_FAILED, "until 70800", .fail = KUBE_FAIL_NET),
	EV(70800, TIMER, "list@5/0"),
	EV(80800, LIST_FAILED, "until 82400", .fail = KUBE_FAIL_NET),
	EV(82400, TIMER, "list@5/0"),
};
STORY(network_is_gone);

static const struct line server_is_back_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_ENDED, "watch@5"),
	/* Watching or listing, there is nothing to wake. */
	EV(60000, BACK, ""),
	EV(60010, WATCH_FAILED, "until 60810", .fail = KUBE_FAIL_REFUSED),
	EV(60500, BACK, "until 60500"),
	EV(60500, TIMER, "watch@5"),
	/* Another sleep has its reasons. */
	EV(60510, WATCH_FAILED, "until 62110", .fail = KUBE_FAIL_STATUS),
	EV(60520, BACK, "until 62110"),
};
STORY(server_is_back);

static const struct line overload_without_end_lines[] = {
	EV(0, START, "list@/500"),
	BUSY(0, 1000),
	AGAIN_BUSY(1000, 2000),
	AGAIN_BUSY(2000, 3000),
	AGAIN_BUSY(3000, 4000),
	AGAIN_BUSY(4000, 5000),
	AGAIN_BUSY(5000, 6000),
	AGAIN_BUSY(6000, 7000),
	AGAIN_BUSY(7000, 8000),
	AGAIN_BUSY(8000, 9000),
	AGAIN_BUSY(9000, 10000),
	EV(10000, TIMER, "list@/500"),
	/* From the eleventh on it backs off as after any failure. */
	BUSY(10000, 11000),
	AGAIN_BUSY(11000, 12600),
};
STORY(overload_without_end);

static const struct line refused_by_rbac_lines[] = {
	EV(0, START, "list@/500"),
	EV(10, LIST_FAILED, "until 810", .fail = KUBE_FAIL_STATUS),
	EV(810, TIMER, "list@/500"),
	EV(820, LIST_PAGE, "sweep synced watch@5", .version = "5"),
	EV(830, WATCH_FAILED, "until 2430", .fail = KUBE_FAIL_STATUS),
	EV(2430, TIMER, "list@5/0"),
};
STORY(refused_by_rbac);

static const struct line crd_goes_and_comes_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_CHANGE, "", .version = "6"),
	EV(60010, WATCH_ENDED, "watch@6"),
	/* However long it takes, it is asked for about every 0.6 s. */
	EV(60020, WATCH_FAILED, "until 60520", .fail = KUBE_FAIL_MISSING),
	EV(60520, TIMER, "list@6/0"),
	EV(60530, LIST_FAILED, "until 61030", .fail = KUBE_FAIL_MISSING),
	EV(61030, TIMER, "list@6/0"),
	EV(61040, LIST_FAILED, "until 61540", .fail = KUBE_FAIL_MISSING),
	EV(61540, TIMER, "list@6/0"),
	EV(61550, LIST_PAGE, "sweep watch@9", .version = "9"),
};
STORY(crd_goes_and_comes);

static const struct line short_empty_watches_lines[] = {
	BEGIN,
	OPEN(20),
	EV(30, WATCH_ENDED, "until 830"),
	EV(830, TIMER, "list@5/0"),
	EV(840, LIST_PAGE, "sweep watch@5", .version = "5"),
	OPEN(850),
	EV(1849, WATCH_ENDED, "until 3449"),
	EV(3449, TIMER, "list@5/0"),
	EV(3450, LIST_PAGE, "sweep watch@5", .version = "5"),
	OPEN(3460),
	/* A second is long enough. */
	EV(4460, WATCH_ENDED, "watch@5"),
};
STORY(short_empty_watches);

static const struct line short_watches_with_events_lines[] = {
	BEGIN,
	OPEN(20),
	EV(30, WATCH_CHANGE, "", .version = "6"),
	/* No failure, but no hurry either. */
	EV(40, WATCH_ENDED, "until 510"),
	EV(510, TIMER, "watch@6"),
	OPEN(520),
	EV(530, WATCH_ALIEN, ""),
	EV(540, WATCH_ENDED, "until 1010"),
	EV(1010, TIMER, "watch@6"),
};
STORY(short_watches_with_events);

static const struct line silence_lines[] = {
	BEGIN,
	OPEN(20),
	/* A server without bookmarks may be silent for as long as a watch lasts. */
	EV(200000, TIMER, ""),
	EV(300000, WATCH_BOOKMARK, "until 450000", .version = "7"),
	EV(449999, TIMER, "until 450000"),
	EV(450000, TIMER, "drop watch@7"),
	EV(450010, WATCH_FAILED, "until 450810", .fail = KUBE_FAIL_REFUSED),
};
STORY(silence);

static const struct line nonsense_lines[] = {
	BEGIN,
	OPEN(20),
	EV(60000, WATCH_ERROR, "drop until 60800", .fail = KUBE_FAIL_BAD),
	/* Echoes of what was dropped change nothing. */
	EV(60010, WATCH_CHANGE, "until 60800", .version = "77"),
	EV(60010, WATCH_ENDED, "until 60800"),
	EV(60020, LIST_PAGE, "until 60800", .version = "78"),
	EV(60020, LIST_FAILED, "until 60800", .fail = KUBE_FAIL_EXPIRED),
	EV(60020, START, "until 60800"),
	EV(60800, TIMER, "list@5/0"),
	EV(60810, LIST_FAILED, "until 62410", .fail = KUBE_FAIL_BAD),
};
STORY(nonsense);

/*
 * Whatever comes in whatever order: never two requests at once, none without a reason to end or a deadline,
 * and a sweep only for the page that completes a list.
 */
static const struct line relist_lines[] = {
	/* What has not begun lists anyway. */
	EV(0, RELIST, ""),
	BEGIN,
	OPEN(20),
	EV(100, WATCH_CHANGE, "", .version = "6"),
	/* What is latest, whatever is known. */
	EV(1000, RELIST, "drop list@/500"),
	EV(1010, LIST_PAGE, "more", .version = "7", .has_more = true),
	EV(1020, RELIST, "drop list@/500"),
	EV(1030, LIST_PAGE, "sweep watch@3", .version = "3"),
	/* Before the watch is open. */
	EV(1040, RELIST, "drop list@/500"),
	EV(1050, LIST_FAILED, "until 1850", .fail = KUBE_FAIL_NET),
	/* At once, and its failure is one more. */
	EV(1060, RELIST, "list@/500"),
	EV(1070, LIST_FAILED, "until 2670", .fail = KUBE_FAIL_NET),
	EV(2670, TIMER, "list@/500"),
	EV(2680, LIST_PAGE, "sweep watch@4", .version = "4"),
};
STORY(relist);

static void any_order(void **state)
{
	uint32_t seed = 1;
	struct kube_reflect s;
	uint64_t now_ns = T0;
	unsigned int n_requests = 0;

	(void)state;
	kube_reflect_init(&s);
	for (unsigned int i = 0; i < 200000; i++) {
		char version[8];
		struct kube_reflect_out out;

		seed = seed * 1664525 + 1013904223;
		(void)snprintf(version, sizeof(version), "%u", i % 1000 + 1);

		const struct kube_reflect_ev ev = {
			.type = i ? (seed >> 8) % (KUBE_EV_WATCH_ENDED + 1) : KUBE_EV_START,
			.now_ns = now_ns += (uint64_t)(seed >> 20) * 100 * NS_PER_US,
			.dice = seed,
			.version = version,
			.has_more = (seed >> 16) % 3 == 0,
			.fail = (seed >> 4) % (KUBE_FAIL_BAD + 1),
			.retry_after_ns = (seed >> 12) % 4 == 0 ? NS_PER_S : 0,
		};
		enum kube_reflect_state before = s.state;
		unsigned int requests;

		kube_reflect_step(&s, &ev, &out);
		requests = out.acts & (KUBE_ACT_LIST | KUBE_ACT_LIST_MORE | KUBE_ACT_WATCH);
		assert_true((requests & (requests - 1)) == 0);
		if (out.acts & (KUBE_ACT_SWEEP | KUBE_ACT_SYNCED))
			assert_true(ev.type == KUBE_EV_LIST_PAGE && !ev.has_more &&
				    before == KUBE_REFLECT_LISTING);
		if (out.acts & KUBE_ACT_DROP)
			assert_true(before == KUBE_REFLECT_WATCHING ||
				    (before == KUBE_REFLECT_LISTING && ev.type == KUBE_EV_RELIST));
		if (out.acts & KUBE_ACT_WATCH)
			assert_true(s.state == KUBE_REFLECT_WATCHING && out.version[0]);
		if (out.acts & (KUBE_ACT_LIST | KUBE_ACT_LIST_MORE))
			assert_int_equal(s.state, KUBE_REFLECT_LISTING);
		if (s.state == KUBE_REFLECT_SLEEPING)
			assert_true(out.deadline_ns && !requests);
		n_requests += requests != 0;
	}
	assert_true(n_requests > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_life),
		cmocka_unit_test(pages),
		cmocka_unit_test(page_2_expired),
		cmocka_unit_test(page_2_failed),
		cmocka_unit_test(whole_list_expired_too),
		cmocka_unit_test(expired_in_the_stream),
		cmocka_unit_test(expired_by_http),
		cmocka_unit_test(expired_after_an_outage),
		cmocka_unit_test(version_too_large),
		cmocka_unit_test(overload),
		cmocka_unit_test(server_restarts),
		cmocka_unit_test(network_is_gone),
		cmocka_unit_test(server_is_back),
		cmocka_unit_test(overload_without_end),
		cmocka_unit_test(refused_by_rbac),
		cmocka_unit_test(crd_goes_and_comes),
		cmocka_unit_test(short_empty_watches),
		cmocka_unit_test(short_watches_with_events),
		cmocka_unit_test(silence),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(relist),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
