/* Log lines: their format, and that they never block. Standard error is a pipe of ours meanwhile. */
#include <ctype.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include <cmocka.h>

#include "base/base.h"

struct fixture {
	int saved; /* the real standard error */
	int rd; /* what is logged comes out here */
	char text[8192];
};

static void divert(struct fixture *f, int rd, int wr)
{
	f->rd = rd;
	f->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(f->saved >= 0);
	assert_int_equal(dup2(wr, STDERR_FILENO), STDERR_FILENO);
	(void)close(wr);
}

static void divert_to_pipe(struct fixture *f)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	divert(f, fds[0], fds[1]);
}

static void restore(struct fixture *f)
{
	(void)dup2(f->saved, STDERR_FILENO);
	(void)close(f->saved);
	(void)close(f->rd);
	log_setup(LOG_FORMAT_TEXT, 2);
}

static const char *logged(struct fixture *f)
{
	ssize_t n = read(f->rd, f->text, sizeof(f->text) - 1);

	assert_true(n >= 0);
	f->text[n] = '\0';
	return f->text;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("\"%s\" does not match %s", text, pattern);
	regfree(&re);
}

static void test_text(void **state)
{
	struct fixture f;

	(void)state;
	divert_to_pipe(&f);
	log_setup(LOG_FORMAT_TEXT, 2);
	log_info("Became active", KV_STR("virtualIP", "ssh"), KV_INT("priority", -100),
		 KV_UINT("counter", UINT64_MAX), KV_BOOL("clean", true), KV_STR("why", NULL));
	assert_matches(logged(&f),
		       "^I[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6} [ 0-9]{7} "
		       "test_base_log\\.c:[0-9]+\\] \"Became active\" virtualIP=\"ssh\" "
		       "priority=-100 counter=18446744073709551615 clean=true why=\"\"\n$");
	log_warning("Lost", KV_STR("a", "b"));
	assert_matches(logged(&f), "^W.*\\] \"Lost\" a=\"b\"\n$");
	log_error("Failed", KV_STR("err", "no"));
	assert_matches(logged(&f), "^E.*\\] \"Failed\" err=\"no\"\n$");
	restore(&f);
}

static void test_text_quotes(void **state)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
		{"say \"hi\\\"", " v=\"say \\\"hi\\\\\\\"\"\n"},
		{"two\nlines\r\t", " v=\"two\\nlines\\r\\t\"\n"},
		{"\x1b[31mred\x7f", " v=\"\\x1b[31mred\\x7f\"\n"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		 " v=\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"\n"},
		{"\xc2\x9b\xe2\x80\xae", " v=\"\\u009b\\u202e\"\n"},
		{"cut \xe2\x82", " v=\"cut \\xe2\\x82\"\n"},
		{"\xff\xc0\x80", " v=\"\\xff\\xc0\\x80\"\n"},
	};
	struct fixture f;

	(void)state;
	divert_to_pipe(&f);
	log_setup(LOG_FORMAT_TEXT, 2);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		log_info("M", KV_STR("v", rows[i].value));

		const char *line = logged(&f);
		const char *at = strstr(line, " v=");

		assert_non_null(at);
		assert_string_equal(at, rows[i].want);
	}
	restore(&f);
}

static json_t *parse_line(struct fixture *f)
{
	json_error_t err;
	const char *line = logged(f);
	json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, &err);

	if (!j)
		fail_msg("%s: %s", line, err.text);
	assert_int_equal(line[strlen(line) - 1], '\n');
	return j;
}

static void test_json(void **state)
{
	struct fixture f;

	(void)state;
	divert_to_pipe(&f);
	log_setup(LOG_FORMAT_JSON, 2);
	log_info("Saw \"x\"", KV_STR("s", "a\"\\\n\x01\xe2\x80\xae"), KV_INT("i", -1),
		 KV_UINT("u", 7), KV_BOOL("b", false), KV_STR("bad", "\xff\xfe"));

	json_t *j = parse_line(&f);

	assert_string_equal(json_string_value(json_object_get(j, "msg")), "Saw \"x\"");
	assert_string_equal(json_string_value(json_object_get(j, "s")), "a\"\\\n\x01\xe2\x80\xae");
	assert_string_equal(json_string_value(json_object_get(j, "bad")),
			    "\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(json_integer_value(json_object_get(j, "i")), -1);
	assert_int_equal(json_integer_value(json_object_get(j, "u")), 7);
	assert_true(json_is_false(json_object_get(j, "b")));
	assert_int_equal(json_integer_value(json_object_get(j, "v")), 0);
	assert_true(json_real_value(json_object_get(j, "ts")) > 1e12);
	assert_int_equal(
		strncmp(json_string_value(json_object_get(j, "caller")), "test_base_log.c:", 16),
		0);
	json_decref(j);

	log_error("Failed", KV_STR("err", "no"));
	j = parse_line(&f);
	assert_null(json_object_get(j, "v"));
	json_decref(j);
	restore(&f);
}

static void test_long_lines_stay_whole(void **state)
{
	struct fixture f;
	char big[3000];
	const struct log_kv kvs[] = {
		KV_STR("a", big), KV_STR("b", big),  KV_STR("c", big),
		KV_STR("d", big), KV_INT("last", 1),
	};

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	divert_to_pipe(&f);
	log_setup(LOG_FORMAT_JSON, 2);
	log_emit(LOG_LEVEL_INFO, "f.c", 1, big, kvs, ARRAY_LEN(kvs));

	json_t *j = parse_line(&f);

	assert_true(json_is_true(json_object_get(j, "truncated")));
	assert_int_equal(strlen(json_string_value(json_object_get(j, "a"))), 1024 + 3);
	assert_null(json_object_get(j, "c"));
	assert_int_equal(json_integer_value(json_object_get(j, "last")), 1);
	json_decref(j);

	log_setup(LOG_FORMAT_TEXT, 2);
	log_emit(LOG_LEVEL_INFO, "f.c", 1, big, kvs, ARRAY_LEN(kvs));
	assert_matches(logged(&f), " last=1 truncated=true\n$");
	restore(&f);
}

static void test_verbosity(void **state)
{
	struct fixture f;

	(void)state;
	divert_to_pipe(&f);
	log_setup(LOG_FORMAT_TEXT, 3);
	assert_int_equal(log_verbosity(), 3);
	log_debug(4, "Hidden", KV_INT("n", 4));
	log_debug(3, "Shown", KV_INT("n", 3));
	assert_matches(logged(&f), "^I[^\n]*\"Shown\" n=3\n$");
	restore(&f);
}

/* Writes until something is dropped: were this to block, the test would never end. */
static void fill_until_dropped(void)
{
	uint64_t before = log_dropped();

	for (int i = 0; i < 100000 && log_dropped() == before; i++)
		log_info("Filling", KV_INT("n", i));
	assert_int_equal(log_dropped(), before + 1);
	log_info("Lost too", KV_INT("n", 0));
	assert_int_equal(log_dropped(), before + 2);
}

static void test_full_pipe_drops(void **state)
{
	struct fixture f;

	(void)state;
	divert_to_pipe(&f);
	log_setup(LOG_FORMAT_TEXT, 2);
	fill_until_dropped();
	/* The description that standard error shares with others stays as it was. */
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	/* Once there is room, it goes on. */
	(void)logged(&f);
	uint64_t before = log_dropped();

	log_info("Back", KV_INT("n", 1));
	assert_int_equal(log_dropped(), before);
	restore(&f);
}

static void test_full_socket_drops(void **state)
{
	struct fixture f;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	divert(&f, fds[0], fds[1]);
	log_setup(LOG_FORMAT_TEXT, 2);
	fill_until_dropped();
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	restore(&f);
}

static void test_file_and_closed(void **state)
{
	struct fixture f;
	char path[] = "/tmp/vipd-test-log-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	divert(&f, open(path, O_RDONLY | O_CLOEXEC), fd);
	(void)unlink(path);
	log_setup(LOG_FORMAT_TEXT, 2);
	log_info("One", KV_INT("n", 1));
	log_info("Two", KV_INT("n", 2));
	assert_matches(logged(&f), "^I[^\n]*\"One\" n=1\nI[^\n]*\"Two\" n=2\n$");

	(void)close(STDERR_FILENO);
	log_setup(LOG_FORMAT_TEXT, 2);
	uint64_t before = log_dropped();

	log_info("Into nothing", KV_INT("n", 1));
	assert_int_equal(log_dropped(), before + 1);
	restore(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_quotes),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long_lines_stay_whole),
		cmocka_unit_test(test_verbosity),
		cmocka_unit_test(test_full_pipe_drops),
		cmocka_unit_test(test_full_socket_drops),
		cmocka_unit_test(test_file_and_closed),
	};

	return cmocka_run_group_tests_name("base_log", tests, NULL, NULL);
}
