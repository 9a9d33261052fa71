/* Unit tests of pkg/rtnl: datagrams that no kernel would send. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/if.h>

#include "rtnl/rtnl_internal.h"

struct seen {
	size_t n;
	unsigned int ifindex[8];
	bool up[8];
};

static void on_link(void *user, unsigned int ifindex, bool up)
{
	struct seen *s = user;

	assert_true(s->n < ARRAY_LEN(s->ifindex));
	s->ifindex[s->n] = ifindex;
	s->up[s->n++] = up;
}

/* Appends one message to buf; returns the new length. */
static size_t put(uint8_t *buf, size_t len, uint16_t type, uint8_t family, int ifindex,
		  unsigned int flags)
{
	struct nlmsghdr h = {.nlmsg_len = sizeof(h) + sizeof(struct ifinfomsg), .nlmsg_type = type};
	struct ifinfomsg i = {.ifi_family = family, .ifi_index = ifindex, .ifi_flags = flags};

	memcpy(buf + len, &h, sizeof(h));
	memcpy(buf + len + sizeof(h), &i, sizeof(i));
	return len + h.nlmsg_len;
}

static void links_in_one_datagram(void **state)
{
	uint8_t buf[512];
	struct seen s = {0};
	size_t len = 0;

	(void)state;
	len = put(buf, len, RTM_NEWLINK, AF_UNSPEC, 2, IFF_UP | IFF_LOWER_UP);
	len = put(buf, len, RTM_NEWLINK, AF_UNSPEC, 3, IFF_UP); /* no carrier */
	len = put(buf, len, RTM_NEWLINK, AF_UNSPEC, 4, IFF_LOWER_UP); /* set down */
	len = put(buf, len, RTM_DELLINK, AF_BRIDGE, 2, IFF_UP | IFF_LOWER_UP);
	len = put(buf, len, RTM_DELLINK, AF_UNSPEC, 5, IFF_UP | IFF_LOWER_UP);
	len = put(buf, len, RTM_NEWADDR, AF_UNSPEC, 6, 0);
	assert_int_equal(rtnl_linkwatch_parse(buf, len, on_link, &s), 0);
	assert_int_equal(s.n, 4);
	assert_true(s.ifindex[0] == 2 && s.up[0]);
	assert_true(s.ifindex[1] == 3 && !s.up[1]);
	assert_true(s.ifindex[2] == 4 && !s.up[2]);
	assert_true(s.ifindex[3] == 5 && !s.up[3]);
}

static void truncations_are_refused(void **state)
{
	uint8_t buf[64];
	size_t len = put(buf, 0, RTM_NEWLINK, AF_UNSPEC, 2, IFF_UP | IFF_LOWER_UP);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		struct seen s = {0};

		assert_non_null(copy);
		memcpy(copy, buf, n);
		assert_int_equal(rtnl_linkwatch_parse(copy, n, on_link, &s), n ? -EBADMSG : 0);
		assert_int_equal(s.n, 0);
		free(copy);
	}
}

static void bad_lengths_are_refused(void **state)
{
	const uint32_t lengths[] = {0, 1, 15, 16, 20, 31, 33, 4096, UINT32_MAX};
	uint8_t buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct seen s = {0};

		(void)put(buf, 0, RTM_NEWLINK, AF_UNSPEC, 2, IFF_UP);
		memcpy(buf, &lengths[i], 4);
		assert_int_equal(rtnl_linkwatch_parse(buf, 32, on_link, &s), -EBADMSG);
		assert_int_equal(s.n, 0);
	}
	for (int ifindex = -1; ifindex <= 0; ifindex++) {
		struct seen s = {0};
		size_t len = put(buf, 0, RTM_NEWLINK, AF_UNSPEC, ifindex, IFF_UP);

		assert_int_equal(rtnl_linkwatch_parse(buf, len, on_link, &s), -EBADMSG);
	}
}

/* How the kernel ends an answer; err in front of what the row has. */
static void ends_of_answers(void **state)
{
	static const uint8_t words[] = {11, 0, NLMSGERR_ATTR_MSG, 0, 'w', 'h', 'y', '?', 0, 0,
					0,  0};
	static const uint8_t request_and_words[28] = {[16] = 11, 0,  NLMSGERR_ATTR_MSG, 0, 'w', 'h',
						      'y',       '?'};
	static const struct {
		uint16_t type, flags;
		int32_t err;
		const uint8_t *more;
		size_t len; /* of the body, err included */
		int want;
		const char *msg;
	} rows[] = {
		{NLMSG_ERROR, 0, 0, NULL, 4, 0, ""},
		{NLMSG_ERROR, 0, 0, NULL, 3, -EBADMSG, "short rtnetlink error message"},
		{NLMSG_ERROR, 0, -EPERM, NULL, 4, -EPERM, "Operation not permitted"},
		{NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, -ENODEV, request_and_words, 4 + 28,
		 -ENODEV, "No such device: why?"},
		/* not cut: who knows how long the request was */
		{NLMSG_ERROR, NLM_F_ACK_TLVS, -ENODEV, request_and_words, 4 + 28, -ENODEV,
		 "No such device"},
		{NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, -ENODEV, NULL, 4, -ENODEV,
		 "No such device"},
		{NLMSG_ERROR, 0, EPERM, NULL, 4, -EBADMSG, "rtnetlink error number 1"},
		{NLMSG_ERROR, 0, INT32_MIN, NULL, 4, -EBADMSG,
		 "rtnetlink error number -2147483648"},
		{NLMSG_DONE, 0, 0, NULL, 0, 0, ""},
		{NLMSG_DONE, 0, 0, NULL, 4, 0, ""},
		{NLMSG_DONE, 0, -ENODEV, NULL, 4, -ENODEV, "No such device"},
		{NLMSG_DONE, NLM_F_ACK_TLVS, -EINVAL, words, 4 + 12, -EINVAL,
		 "Invalid argument: why?"},
		{NLMSG_DONE, NLM_F_ACK_TLVS, -EINVAL, words, 4 + 10, -EINVAL, "Invalid argument"},
		{NLMSG_DONE, 0, -EINVAL, words, 4 + 12, -EINVAL, "Invalid argument"},
		{NLMSG_DONE, 0, 7, NULL, 4, -EBADMSG, "rtnetlink error number 7"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t *body = malloc(rows[i].len ? rows[i].len : 1);
		struct rtnl_msg m = {.type = rows[i].type,
				     .flags = rows[i].flags,
				     .body = body,
				     .len = rows[i].len};
		struct verr err = {0};

		assert_non_null(body);
		memcpy(body, &rows[i].err, rows[i].len < 4 ? rows[i].len : 4);
		if (rows[i].more)
			memcpy(body + 4, rows[i].more, rows[i].len - 4);
		if (rtnl_parse_end(&m, &err) != rows[i].want)
			fail_msg("row %zu: %s", i, err.msg);
		assert_string_equal(err.msg, rows[i].msg);
		free(body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_in_one_datagram),
		cmocka_unit_test(truncations_are_refused),
		cmocka_unit_test(bad_lengths_are_refused),
		cmocka_unit_test(ends_of_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
