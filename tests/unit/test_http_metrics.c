/* Prometheus' text: families, escaping, numbers, histograms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/http.h"

static void expect_text(struct http_metrics *m, const char *want)
{
	size_t len = 0;
	char *text = http_metrics_take(m, &len);

	assert_non_null(text);
	assert_int_equal(len, strlen(text));
	assert_string_equal(text, want);
	free(text);
}

static void test_samples(void **state)
{
	AUTO(http_metrics_free_p) struct http_metrics *m = http_metrics_new();

	(void)state;
	http_metrics_family(m, "vipd_a_total", HTTP_COUNTER, "Things.");
	http_metrics_sample(m, 3, NULL, 0);
	http_metrics_sample(m, 4294967297.0, &(struct http_label){"name", "web"}, 1);
	http_metrics_family(m, "vipd_b_seconds", HTTP_GAUGE, "How long.");
	http_metrics_sample(m, 0.25, (const struct http_label[]){{"name", "web"}, {"port", "22"}},
			    2);
	http_metrics_sample(m, -1.5, NULL, 0);
	expect_text(m, "# HELP vipd_a_total Things.\n"
		       "# TYPE vipd_a_total counter\n"
		       "vipd_a_total 3\n"
		       "vipd_a_total{name=\"web\"} 4294967297\n"
		       "# HELP vipd_b_seconds How long.\n"
		       "# TYPE vipd_b_seconds gauge\n"
		       "vipd_b_seconds{name=\"web\",port=\"22\"} 0.25\n"
		       "vipd_b_seconds -1.5\n");
}

static void test_escaping(void **state)
{
	AUTO(http_metrics_free_p) struct http_metrics *m = http_metrics_new();

	(void)state;
	http_metrics_family(m, "x", HTTP_GAUGE, "a \"b\" \\ c\nd");
	http_metrics_sample(m, 1, &(struct http_label){"l", "a \"b\" \\ c\nd"}, 1);
	expect_text(m, "# HELP x a \"b\" \\\\ c\\nd\n"
		       "# TYPE x gauge\n"
		       "x{l=\"a \\\"b\\\" \\\\ c\\nd\"} 1\n");
}

static void test_histogram(void **state)
{
	static const double bounds[] = {0.0001, 0.003, 1};
	static const uint64_t counts[] = {5, 0, 2, 1};
	AUTO(http_metrics_free_p) struct http_metrics *m = http_metrics_new();

	(void)state;
	http_metrics_family(m, "late_seconds", HTTP_HISTOGRAM, "Late.");
	http_metrics_histogram(m, bounds, counts, ARRAY_LEN(bounds), 2.5);
	expect_text(m, "# HELP late_seconds Late.\n"
		       "# TYPE late_seconds histogram\n"
		       "late_seconds_bucket{le=\"0.0001\"} 5\n"
		       "late_seconds_bucket{le=\"0.003\"} 5\n"
		       "late_seconds_bucket{le=\"1\"} 7\n"
		       "late_seconds_bucket{le=\"+Inf\"} 8\n"
		       "late_seconds_sum 2.5\n"
		       "late_seconds_count 8\n");
}

/* A text of a thousand VIPs grows as it must; what was taken is gone. */
static void test_long(void **state)
{
	AUTO(http_metrics_free_p) struct http_metrics *m = http_metrics_new();
	size_t len = 0;

	(void)state;
	http_metrics_family(m, "x", HTTP_GAUGE, "X.");
	for (int i = 0; i < 100000; i++)
		http_metrics_sample(m, i, &(struct http_label){"l", "value"}, 1);
	char *text = http_metrics_take(m, &len);

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	assert_true(len > 1000000);
	free(text);
	http_metrics_family(m, "y", HTTP_GAUGE, "Y.");
	expect_text(m, "# HELP y Y.\n# TYPE y gauge\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
