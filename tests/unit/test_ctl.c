/* The agent's socket, over a real one: clients are threads that block, the server runs in a loop here. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "ctl/ctl.h"

struct rig {
	char dir[64];
	char path[96];
	struct loop *loop;
	struct ctl_server *server;
	size_t answer_len; /* of a filler in the answer */
	bool no_memory;
	int n_asked;
};

static json_t *answer(void *user, enum ctl_request req)
{
	struct rig *r = user;

	assert_int_equal(req, CTL_STATUS);
	r->n_asked++;
	if (r->no_memory)
		return NULL;

	AUTO(free_p) char *filler = malloc(r->answer_len + 1);

	assert_non_null(filler);
	memset(filler, 'x', r->answer_len);
	filler[r->answer_len] = '\0';
	return json_pack("{s:s, s:s}", "node", "node01", "filler", filler);
}

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/vipd-test-ctl-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof(r->path), "%s/agent.sock", r->dir);
	assert_int_equal(loop_new(&r->loop, NULL), 0);
	return r;
}

static void rig_listen(struct rig *r)
{
	struct verr e = {0};

	if (ctl_server_new(r->loop, r->path, answer, r, &r->server, &e) < 0)
		fail_msg("%s", e.msg);
}

static void rig_free(struct rig *r)
{
	ctl_server_free(r->server);
	loop_free(r->loop);
	(void)unlink(r->path);
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
}

/* ---- a client in a thread ---- */

struct asker {
	const char *path, *request;
	pthread_t thread;
	atomic_bool over;
	int r;
	json_t *answer;
	struct verr e;
};

static void *asker_main(void *arg)
{
	struct asker *a = arg;

	a->r = ctl_ask(a->path, a->request, 20 * NS_PER_S, &a->answer, &a->e);
	atomic_store(&a->over, true);
	return NULL;
}

static void asker_start(struct asker *a, const struct rig *r, const char *request)
{
	*a = (struct asker){.path = r->path, .request = request};
	assert_int_equal(pthread_create(&a->thread, NULL, asker_main, a), 0);
}

static void asker_wait(struct asker *a, struct rig *r)
{
	while (!atomic_load(&a->over))
		assert_true(loop_run_once(r->loop, 10 * NS_PER_MS) >= 0);
	assert_int_equal(pthread_join(a->thread, NULL), 0);
}

static void expect_answer(struct rig *r)
{
	struct asker a;

	asker_start(&a, r, "status");
	asker_wait(&a, r);
	if (a.r < 0)
		fail_msg("%s", a.e.msg);
	assert_string_equal(json_string_value(json_object_get(a.answer, "node")), "node01");
	assert_int_equal(json_string_length(json_object_get(a.answer, "filler")), r->answer_len);
	json_decref(a.answer);
}

static void expect_error(struct rig *r, const char *request, const char *text)
{
	struct asker a;

	asker_start(&a, r, request);
	asker_wait(&a, r);
	assert_int_equal(a.r, -EPROTO);
	assert_string_equal(a.e.msg, text);
	assert_null(a.answer);
}

/* ---- a client by hand ---- */

static int hand_connect(const struct rig *r)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(sa.sun_path, r->path, strlen(r->path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Turns the loop until fd has something, or has ended; the length read. */
static ssize_t hand_read(struct rig *r, int fd, char *buf, size_t size)
{
	for (;;) {
		ssize_t n = read(fd, buf, size - 1);

		if (n < 0 && errno == EAGAIN) {
			assert_true(loop_run_once(r->loop, 10 * NS_PER_MS) >= 0);
			continue;
		}
		buf[n > 0 ? n : 0] = '\0';
		return n;
	}
}

static void hand_expect(struct rig *r, int fd, const char *want)
{
	char buf[256];

	assert_true(hand_read(r, fd, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, want);
	assert_int_equal(hand_read(r, fd, buf, sizeof(buf)), 0); /* an orderly end */
	(void)close(fd);
}

#define UNKNOWN "{\"error\":\"unknown request; known are: status\"}\n"
#define ANSWER "{\"node\":\"node01\",\"filler\":\"\"}\n"

/* ---- tests ---- */

static void test_parse(void **state)
{
	(void)state;
	assert_int_equal(ctl_request_parse((const uint8_t *)"status", 6), CTL_STATUS);
	assert_int_equal(ctl_request_parse((const uint8_t *)"status ", 7), CTL_UNKNOWN);
	for (size_t n = 0; n < 6; n++) {
		uint8_t *exact = malloc(n ? n : 1);

		assert_non_null(exact);
		memcpy(exact, "status", n);
		assert_int_equal(ctl_request_parse(exact, n), CTL_UNKNOWN);
		free(exact);
	}
}

static void test_answers(void **state)
{
	struct rig *r = rig_new();
	struct stat st;

	(void)state;
	rig_listen(r);
	assert_int_equal(stat(r->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	expect_answer(r);
	r->answer_len = 3 * 1024 * 1024; /* more than a socket buffer holds */
	expect_answer(r);
	expect_error(r, "stop", "the agent says: unknown request; known are: status");
	r->no_memory = true;
	expect_error(r, "status", "the agent says: out of memory");
	assert_int_equal(r->n_asked, 3);
	rig_free(r);
}

static void test_requests_in_pieces_and_odd_ones(void **state)
{
	struct rig *r = rig_new();
	char big[200];

	(void)state;
	rig_listen(r);

	int fd = hand_connect(r);

	for (const char *p = "status\n"; *p; p++) {
		assert_int_equal(write(fd, p, 1), 1);
		assert_true(loop_run_once(r->loop, 10 * NS_PER_MS) >= 0);
	}
	hand_expect(r, fd, ANSWER);

	fd = hand_connect(r); /* the end of input ends the line */
	assert_int_equal(write(fd, "status", 6), 6);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	hand_expect(r, fd, ANSWER);

	fd = hand_connect(r); /* what follows the line is nothing to us */
	assert_int_equal(write(fd, "status\nand more\n", 16), 16);
	hand_expect(r, fd, ANSWER);

	fd = hand_connect(r);
	memset(big, 's', sizeof(big));
	assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
	hand_expect(r, fd, UNKNOWN);

	fd = hand_connect(r);
	assert_int_equal(write(fd, "sta\0us\n", 7), 7);
	hand_expect(r, fd, UNKNOWN);

	fd = hand_connect(r); /* gone without a word */
	(void)close(fd);
	expect_answer(r);
	rig_free(r);
}

static void test_a_seventeenth_client_is_told(void **state)
{
	struct rig *r = rig_new();
	int fds[16];

	(void)state;
	rig_listen(r);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = hand_connect(r); /* and says nothing */
		assert_true(loop_run_once(r->loop, 100 * NS_PER_MS) >= 0);
	}
	hand_expect(r, hand_connect(r), "{\"error\":\"too many clients\"}\n");
	(void)close(fds[0]);
	assert_true(loop_run_once(r->loop, 100 * NS_PER_MS) >= 0);
	expect_answer(r);

	/* The silent ones do not stay for ever. */
	char buf[8];

	assert_int_equal(hand_read(r, fds[1], buf, sizeof(buf)), 0);
	for (size_t i = 1; i < ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
	rig_free(r);
}

static void test_no_descriptor_for_a_client(void **state)
{
	struct rig *r = rig_new();
	struct rlimit old, none;
	int fd, busy = 0;

	(void)state;
	rig_listen(r);
	fd = hand_connect(r);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 10; i++)
		busy += loop_run_once(r->loop, NS_PER_MS) > 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_in_range(busy, 1, 3); /* it does not spin */

	/* And comes back. */
	assert_int_equal(write(fd, "status\n", 7), 7);
	hand_expect(r, fd, ANSWER);
	rig_free(r);
}

static void test_a_client_that_goes_away_while_answered(void **state)
{
	struct rig *r = rig_new();
	char buf[64];

	(void)state;
	rig_listen(r);
	r->answer_len = 3 * 1024 * 1024;

	int fd = hand_connect(r);

	assert_int_equal(write(fd, "status\n", 7), 7);
	assert_true(hand_read(r, fd, buf, sizeof(buf)) > 0);
	(void)close(fd);
	r->answer_len = 5;
	expect_answer(r);
	rig_free(r);
}

static void test_socket_file(void **state)
{
	struct rig *r = rig_new();
	struct ctl_server *second = NULL;
	struct verr e = {0};
	struct stat st;

	(void)state;
	/* Left behind by a killed agent: bound, never removed, nobody listens. */
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, r->path, strlen(r->path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)close(fd);
	rig_listen(r);
	expect_answer(r);

	/* A live one is left alone. */
	assert_int_equal(ctl_server_new(r->loop, r->path, answer, r, &second, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, "another agent answers on /tmp/vipd-test-ctl-"));
	assert_null(second);
	expect_answer(r);

	/* Removed at the end. */
	ctl_server_free(r->server);
	r->server = NULL;
	assert_int_equal(stat(r->path, &st), -1);

	/* Something that is no socket is nobody's to remove. */
	fd = open(r->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(ctl_server_new(r->loop, r->path, answer, r, &second, &e), -EEXIST);
	assert_int_equal(stat(r->path, &st), 0);
	rig_free(r);
}

static void test_paths_that_cannot_be(void **state)
{
	struct rig *r = rig_new();
	struct ctl_server *s = NULL;
	struct verr e = {0};
	char far[200];

	(void)state;
	memset(far, 'x', sizeof(far));
	far[0] = '/';
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(ctl_server_new(r->loop, far, answer, r, &s, &e), -ENAMETOOLONG);
	assert_int_equal(ctl_server_new(r->loop, "/nowhere/agent.sock", answer, r, &s, &e),
			 -ENOENT);
	ctl_server_free(NULL);
	rig_free(r);
}

static void test_no_agent(void **state)
{
	struct rig *r = rig_new();
	struct verr e = {0};
	json_t *j = NULL;

	(void)state;
	assert_int_equal(ctl_ask(r->path, "status", NS_PER_S, &j, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no agent answers on "));

	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, r->path, strlen(r->path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(ctl_ask(r->path, "status", NS_PER_S, &j, &e), -ECONNREFUSED);

	/* It listens, but never answers. */
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(ctl_ask(r->path, "status", 20 * NS_PER_MS, &j, &e), -ETIMEDOUT);
	assert_null(j);
	(void)close(fd);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_requests_in_pieces_and_odd_ones),
		cmocka_unit_test(test_a_seventeenth_client_is_told),
		cmocka_unit_test(test_no_descriptor_for_a_client),
		cmocka_unit_test(test_a_client_that_goes_away_while_answered),
		cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_paths_that_cannot_be),
		cmocka_unit_test(test_no_agent),
	};

	(void)alarm(120); /* a test that hangs ends */
	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
