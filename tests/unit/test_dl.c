/* Libraries that are loaded later: they are there, and still work once they have given back what they can. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <microhttpd.h>

#include "dl/dl.h"

static uint64_t resident_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	uint64_t kb = 0;
	char line[256];

	assert_non_null(f);
	while (kb == 0 && fgets(line, sizeof(line), f))
		(void)sscanf(line, "Rss: %" SCNu64, &kb);
	(void)fclose(f);
	assert_true(kb > 0);
	return kb;
}

static void use(void)
{
	CURL *curl = curl_easy_init();

	assert_non_null(curl);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_URL, "https://127.0.0.1:1/"), CURLE_OK);
	curl_easy_cleanup(curl);
	assert_non_null(curl_version_info(CURLVERSION_NOW)->ssl_version);
	assert_non_null(MHD_get_version());
}

static void test_loads_and_rests(void **state)
{
	struct verr err = {0};
	uint64_t before_kb;

	(void)state;
	dl_rest(); /* nothing to give back */
	assert_int_equal(dl_curl(&err), 0);
	assert_int_equal(dl_mhd(&err), 0);
	assert_int_equal(dl_curl(&err), 0);
	use();
	before_kb = resident_kb();
	dl_rest();
	assert_true(resident_kb() + 1024 < before_kb);
	use();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_and_rests),
	};

	return cmocka_run_group_tests_name("dl", tests, NULL, NULL);
}
