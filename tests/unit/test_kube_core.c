/* The pure parts of pkg/kube: back-off, splitter, what the server says, when Events are sent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kube/kube_internal.h"

#define MS NS_PER_MS
#define S NS_PER_S

/* ---- back-off ---- */

static void backoff_doubles_to_30_s(void **state)
{
	static const uint64_t want_ms[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct kube_backoff b = {0};
	uint64_t now_ns = 1000 * S;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want_ms); i++) {
		struct kube_backoff other = b;
		uint64_t low = kube_backoff_next(&b, now_ns, 0, 0);
		uint64_t high = kube_backoff_next(&other, now_ns, 0, UINT32_MAX);

		assert_int_equal(low, want_ms[i] * MS);
		assert_true(high >= 2 * want_ms[i] * MS - 1000 && high < 2 * want_ms[i] * MS);
		now_ns += low;
	}
}

static void backoff_forgets_after_2_minutes(void **state)
{
	struct kube_backoff b = {0};
	uint64_t sleep_ns;

	(void)state;
	(void)kube_backoff_next(&b, 10 * S, 0, 0);
	sleep_ns = kube_backoff_next(&b, 11 * S, 0, 0);
	assert_int_equal(sleep_ns, 1600 * MS);
	assert_int_equal(kube_backoff_next(&b, 11 * S + sleep_ns + 119 * S, 0, 0), 3200 * MS);
	assert_int_equal(kube_backoff_next(&b, 11 * S + 400 * S, 0, 0), 800 * MS);
}

static void backoff_waits_as_long_as_asked(void **state)
{
	struct kube_backoff b = {0};

	(void)state;
	assert_int_equal(kube_backoff_next(&b, 10 * S, 5 * S, 0), 5 * S);
	assert_in_range(kube_backoff_next(&b, 20 * S, 5 * S, UINT32_MAX), 5 * S, 6250 * MS);
	/* Its own delay, if that is longer. */
	(void)kube_backoff_next(&b, 30 * S, 0, 0);
	assert_int_equal(kube_backoff_next(&b, 40 * S, 5 * S, 0), 6400 * MS);
}

/* ---- splitter ---- */

#define VALUES_MAX 8

struct got {
	char text[VALUES_MAX][256];
	size_t n;
	int stop_at; /* answer -ECANCELED at this one; 0: never */
};

static int on_value(void *user, const char *bytes, size_t len)
{
	struct got *g = user;

	assert_true(g->n < VALUES_MAX && len < sizeof(g->text[0]));
	memcpy(g->text[g->n], bytes, len);
	g->text[g->n++][len] = '\0';
	return g->stop_at && (int)g->n == g->stop_at ? -ECANCELED : 0;
}

static const char stream[] =
	"{\"a\":\"}\\\"{\\\\\",\"b\":[{},[1,2]]}\n"
	" {\"type\":\"ADDED\",\"object\":{\"x\":\"[\\u0000]\"}}{}\r\n\t{\"z\":1}";
static const char *const values[] = {
	"{\"a\":\"}\\\"{\\\\\",\"b\":[{},[1,2]]}",
	"{\"type\":\"ADDED\",\"object\":{\"x\":\"[\\u0000]\"}}",
	"{}",
	"{\"z\":1}",
};

static void assert_values(const struct got *g)
{
	assert_int_equal(g->n, ARRAY_LEN(values));
	for (size_t i = 0; i < g->n; i++)
		assert_string_equal(g->text[i], values[i]);
}

/* A heap copy of exact size, so that the sanitizer sees a read beyond the chunk. */
static int feed(struct kube_splitter *s, const char *bytes, size_t len, struct got *g)
{
	AUTO(free_p) char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return kube_splitter_feed(s, copy, len, on_value, g);
}

static void splitter_at_every_two_places(void **state)
{
	size_t len = sizeof(stream) - 1;

	(void)state;
	for (size_t i = 0; i <= len; i++) {
		for (size_t k = i; k <= len; k++) {
			struct kube_splitter s;
			struct got g = {.n = 0};

			kube_splitter_init(&s, 1024);
			assert_int_equal(feed(&s, stream, i, &g), 0);
			assert_int_equal(feed(&s, stream + i, k - i, &g), 0);
			assert_int_equal(feed(&s, stream + k, len - k, &g), 0);
			assert_values(&g);
			kube_splitter_done(&s);
		}
	}
}

static void splitter_byte_by_byte(void **state)
{
	struct kube_splitter s;
	struct got g = {.n = 0};

	(void)state;
	kube_splitter_init(&s, 1024);
	for (size_t i = 0; i < sizeof(stream) - 1; i++)
		assert_int_equal(feed(&s, stream + i, 1, &g), 0);
	assert_values(&g);
	kube_splitter_done(&s);
}

static void splitter_refuses(void **state)
{
	static const struct {
		const char *name, *first, *second;
		int want;
		size_t n;
	} cases[] = {
		{"no object", "hello", "", -EBADMSG, 0},
		{"an array", "[{}]", "", -EBADMSG, 0},
		{"text behind an object", "{}x", "", -EBADMSG, 1},
		{"a bracket too many", "{}}", "", -EBADMSG, 1},
		{"too big at once", "{\"a\":\"012345678901234567890\"}", "", -EFBIG, 0},
		{"too big in pieces", "{\"a\":\"0123456", "78901234567890\"}", -EFBIG, 0},
		{"too big, not at its end", "{\"a\":\"0123456", "7890123456789012345", -EFBIG, 0},
		{"just small enough", "{\"a\":\"012345678", "901\"}", 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_splitter s;
		struct got g = {.n = 0};
		int r;

		kube_splitter_init(&s, 20);
		r = feed(&s, cases[i].first, strlen(cases[i].first), &g);
		if (r == 0)
			r = feed(&s, cases[i].second, strlen(cases[i].second), &g);
		if (r != cases[i].want || g.n != cases[i].n)
			fail_msg("%s: %d, %zu values", cases[i].name, r, g.n);
		kube_splitter_done(&s);
	}
}

static void splitter_stops_when_told(void **state)
{
	struct kube_splitter s;
	struct got g = {.stop_at = 2};

	(void)state;
	kube_splitter_init(&s, 1024);
	assert_int_equal(feed(&s, stream, sizeof(stream) - 1, &g), -ECANCELED);
	assert_int_equal(g.n, 2);
	kube_splitter_done(&s);
}

/* ---- what the server says ---- */

static void status_becomes_a_kind_of_failure(void **state)
{
	static const struct {
		const char *name;
		int http;
		const char *json;
		uint64_t header_s;
		enum kube_fail want;
		int code;
		uint64_t retry_s;
	} cases[] = {
		{"410 by HTTP", 410, "{\"kind\":\"Status\",\"reason\":\"Expired\",\"code\":410}", 0,
		 KUBE_FAIL_EXPIRED, 410, 0},
		{"410 in a stream", 0, "{\"reason\":\"Expired\",\"code\":410}", 0,
		 KUBE_FAIL_EXPIRED, 410, 0},
		{"410 of old servers", 0, "{\"reason\":\"Gone\",\"code\":410}", 0,
		 KUBE_FAIL_EXPIRED, 410, 0},
		{"too large version", 504,
		 "{\"reason\":\"Timeout\",\"code\":504,\"details\":{\"retryAfterSeconds\":1,"
		 "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}",
		 0, KUBE_FAIL_AHEAD, 504, 1},
		{"too large version of old servers", 504,
		 "{\"reason\":\"Timeout\",\"message\":\"Too large resource version: 9, current: "
		 "1\"}",
		 0, KUBE_FAIL_AHEAD, 504, 0},
		{"a gateway's 504", 504, NULL, 0, KUBE_FAIL_STATUS, 504, 0},
		{"429 with text", 429, NULL, 5, KUBE_FAIL_BUSY, 429, 5},
		{"429 in a stream", 0, "{\"code\":429,\"details\":{\"retryAfterSeconds\":3}}", 0,
		 KUBE_FAIL_BUSY, 429, 3},
		{"503 with Retry-After", 503, NULL, 2, KUBE_FAIL_BUSY, 503, 2},
		{"503 without", 503, NULL, 0, KUBE_FAIL_STATUS, 503, 0},
		{"404 with text", 404, NULL, 0, KUBE_FAIL_MISSING, 404, 0},
		{"403", 403, "{\"reason\":\"Forbidden\",\"code\":403}", 0, KUBE_FAIL_STATUS, 403,
		 0},
		{"no code", 0, "{}", 0, KUBE_FAIL_STATUS, 500, 0},
		{"a mad code", 0, "{\"code\":99999999999}", 0, KUBE_FAIL_STATUS, 500, 0},
		{"a mad delay", 429, "{\"details\":{\"retryAfterSeconds\":-3}}", 0, KUBE_FAIL_BUSY,
		 429, 0},
		{"HTTP decides", 403, "{\"code\":404}", 0, KUBE_FAIL_STATUS, 403, 0},
		{"other types", 403, "{\"reason\":1,\"details\":[],\"message\":{}}", 0,
		 KUBE_FAIL_STATUS, 403, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_auto_t *json = cases[i].json ? json_loads(cases[i].json, 0, NULL) : NULL;
		struct kube_status s;

		kube_status_read(cases[i].http, json, cases[i].header_s * S, &s);
		if (s.fail != cases[i].want || s.code != cases[i].code ||
		    s.retry_after_ns != cases[i].retry_s * S)
			fail_msg("%s: %d, %d", cases[i].name, s.fail, s.code);
	}
}

static void events_are_read_or_refused(void **state)
{
#define META "\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"7\"}"
	static const struct {
		const char *json;
		int want;
		enum kube_watch_type type;
	} cases[] = {
		{"{\"type\":\"ADDED\",\"object\":{\"kind\":\"VirtualIP\"," META "}}", 0,
		 KUBE_WATCH_ADDED},
		{"{\"type\":\"MODIFIED\",\"object\":{" META "}}", 0, KUBE_WATCH_MODIFIED},
		{"{\"type\":\"DELETED\",\"object\":{" META "}}", 0, KUBE_WATCH_DELETED},
		{"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"8\"}}}", 0,
		 KUBE_WATCH_BOOKMARK},
		{"{\"type\":\"ERROR\",\"object\":{\"code\":410}}", 0, KUBE_WATCH_ERROR},
		{"{\"type\":\"RENAMED\",\"object\":{" META "}}", -EBADMSG, 0},
		{"{\"type\":\"ADDED\"}", -EBADMSG, 0},
		{"{\"type\":\"ADDED\",\"object\":[]}", -EBADMSG, 0},
		{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}}}",
		 -EBADMSG, 0},
		{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\","
		 "\"resourceVersion\":\"7\"}}}",
		 -EBADMSG, 0},
		{"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"uid\":\"u\","
		 "\"resourceVersion\":\"7\"}}}",
		 -EBADMSG, 0},
		{"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
		 -EBADMSG, 0},
		{"{\"object\":{" META "}}", -EBADMSG, 0},
		{"{}", -EBADMSG, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_auto_t *json = json_loads(cases[i].json, 0, NULL);
		struct kube_watch_event e;
		int r = kube_watch_event_read(json, &e);

		assert_non_null(json);
		if (r != cases[i].want || (r == 0 && e.type != cases[i].type))
			fail_msg("%s: %d", cases[i].json, r);
	}
}

static void version_too_long_is_refused(void **state)
{
	char version[KUBE_VERSION_MAX + 1];
	struct kube_meta m;

	(void)state;
	for (size_t len = KUBE_VERSION_MAX - 1; len <= KUBE_VERSION_MAX; len++) {
		memset(version, '1', len);
		version[len] = '\0';

		json_auto_t *o = json_pack("{s:{s:s}}", "metadata", "resourceVersion", version);

		assert_int_equal(kube_meta_read(o, true, &m),
				 len < KUBE_VERSION_MAX ? 0 : -EBADMSG);
	}
}

/* ---- Events ---- */

static void series_story(void **state)
{
	struct kube_series s = {0};

	(void)state;
	/* The first one is posted. */
	kube_series_occur(&s, 10 * S);
	assert_true(s.wants_send);
	s.wants_send = false;
	s.sending = s.count;
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_OK, 10 * S), KUBE_SERIES_KEEP);
	assert_true(s.is_posted && !s.wants_send);
	/* The second one makes it a series. */
	kube_series_occur(&s, 60 * S);
	assert_true(s.wants_send);
	s.wants_send = false;
	s.sending = s.count;
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_OK, 60 * S), KUBE_SERIES_KEEP);
	/* Then it is told every half hour. */
	for (uint64_t t = 120; t < 1860; t += 60) {
		kube_series_occur(&s, t * S);
		assert_false(kube_series_tick(&s, t * S));
		assert_false(s.wants_send);
	}
	kube_series_occur(&s, 1860 * S);
	assert_false(kube_series_tick(&s, 1860 * S));
	assert_true(s.wants_send);
	s.wants_send = false;
	s.sending = s.count;
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_OK, 1860 * S), KUBE_SERIES_KEEP);
	/* The rest of it at its end, and then it is forgotten. */
	kube_series_occur(&s, 1900 * S);
	assert_false(kube_series_tick(&s, 2259 * S));
	assert_false(s.wants_send);
	assert_false(kube_series_tick(&s, 2260 * S));
	assert_true(s.wants_send);
	s.wants_send = false;
	s.sending = s.count;
	assert_int_equal(s.sending, 33);
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_OK, 2261 * S), KUBE_SERIES_KEEP);
	assert_true(kube_series_tick(&s, 2262 * S));
}

static void series_that_happens_once_is_forgotten(void **state)
{
	struct kube_series s = {0};

	(void)state;
	kube_series_occur(&s, 10 * S);
	s.wants_send = false;
	s.sending = 1;
	(void)kube_series_sent(&s, KUBE_SERIES_OK, 10 * S);
	assert_false(kube_series_tick(&s, 369 * S));
	assert_true(kube_series_tick(&s, 370 * S));
}

static void series_second_while_first_is_on_its_way(void **state)
{
	struct kube_series s = {0};

	(void)state;
	kube_series_occur(&s, 10 * S);
	s.sending = 1;
	s.wants_send = false;
	kube_series_occur(&s, 10 * S);
	s.wants_send = false; /* the shell cannot queue what is being sent */
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_OK, 10 * S), KUBE_SERIES_KEEP);
	assert_true(s.wants_send);
}

static void series_failures(void **state)
{
	struct kube_series s = {0};

	(void)state;
	kube_series_occur(&s, 10 * S);
	for (int i = 0; i < 11; i++)
		assert_int_equal(kube_series_sent(&s, KUBE_SERIES_LATER, 10 * S),
				 KUBE_SERIES_RETRY);
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_LATER, 10 * S), KUBE_SERIES_DROP);
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_REFUSED, 10 * S), KUBE_SERIES_DROP);
	/* A namespace that is not there, and an Event that is not there any more. */
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_GONE, 10 * S), KUBE_SERIES_DROP);
	s.is_posted = true;
	assert_int_equal(kube_series_sent(&s, KUBE_SERIES_GONE, 10 * S), KUBE_SERIES_AGAIN);
	assert_false(s.is_posted);
	assert_int_equal(kube_series_retry_ns(0, 0), 10 * S);
	assert_int_equal(kube_series_retry_ns(60 * S, 0), 60 * S);
	assert_in_range(kube_series_retry_ns(0, UINT32_MAX), 12 * S, 12500 * MS);
}

static void bucket_burst_and_refill(void **state)
{
	struct kube_bucket b = {.refill_ns = 300 * S, .since_ns = S, .burst = 3, .tokens = 3};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(kube_bucket_take(&b, 1000 * S));
	assert_false(kube_bucket_take(&b, 1000 * S));
	assert_int_equal(kube_bucket_next_ns(&b), 1300 * S);
	assert_false(kube_bucket_take(&b, 1300 * S - 1));
	assert_true(kube_bucket_take(&b, 1300 * S));
	assert_false(kube_bucket_take(&b, 1300 * S));
	assert_false(kube_bucket_is_full(&b, 2199 * S));
	assert_true(kube_bucket_is_full(&b, 2200 * S));
	for (int i = 0; i < 3; i++)
		assert_true(kube_bucket_take(&b, 100000 * S));
	assert_false(kube_bucket_take(&b, 100000 * S));
}

/* ---- store ---- */

static void on_swept(void *user, const char *namespace_, const char *name)
{
	char *text = user;

	(void)strcat(strcat(strcat(strcat(text, namespace_), "/"), name), " ");
}

static void store_tells_news(void **state)
{
	struct kube_store *s;
	struct kube_meta a = {.namespace_ = "n", .name = "a", .uid = "1", .resource_version = "1"};
	struct kube_meta b = {.namespace_ = "", .name = "na", .uid = "2", .resource_version = "1"};
	enum kube_news news;
	char swept[64] = "";
	bool was_known;

	(void)state;
	assert_int_equal(kube_store_new(&s), 0);
	assert_int_equal(kube_store_put(s, &a, 1, &news), 0);
	assert_int_equal(news, KUBE_NEWS_SET);
	assert_int_equal(kube_store_put(s, &a, 1, &news), 0);
	assert_int_equal(news, KUBE_NEWS_NONE);
	a.resource_version = "2";
	assert_int_equal(kube_store_put(s, &a, 1, &news), 0);
	assert_int_equal(news, KUBE_NEWS_SET);
	a.uid = "3";
	assert_int_equal(kube_store_put(s, &a, 1, &news), 0);
	assert_int_equal(news, KUBE_NEWS_REPLACED);
	assert_int_equal(kube_store_put(s, &b, 2, &news), 0);
	assert_int_equal(news, KUBE_NEWS_SET);
	assert_int_equal(kube_store_count(s), 2);
	/* The deletion of a former object says nothing of the one that is there now. */
	a.uid = "1";
	assert_int_equal(kube_store_remove(s, &a, &was_known), 0);
	assert_false(was_known);
	kube_store_sweep(s, 2, on_swept, swept);
	assert_string_equal(swept, "n/a ");
	assert_int_equal(kube_store_remove(s, &b, &was_known), 0);
	assert_true(was_known);
	assert_int_equal(kube_store_count(s), 0);
	kube_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backoff_doubles_to_30_s),
		cmocka_unit_test(backoff_forgets_after_2_minutes),
		cmocka_unit_test(backoff_waits_as_long_as_asked),
		cmocka_unit_test(splitter_at_every_two_places),
		cmocka_unit_test(splitter_byte_by_byte),
		cmocka_unit_test(splitter_refuses),
		cmocka_unit_test(splitter_stops_when_told),
		cmocka_unit_test(status_becomes_a_kind_of_failure),
		cmocka_unit_test(events_are_read_or_refused),
		cmocka_unit_test(version_too_long_is_refused),
		cmocka_unit_test(series_story),
		cmocka_unit_test(series_that_happens_once_is_forgotten),
		cmocka_unit_test(series_second_while_first_is_on_its_way),
		cmocka_unit_test(series_failures),
		cmocka_unit_test(bucket_burst_and_refill),
		cmocka_unit_test(store_tells_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
