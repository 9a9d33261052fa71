/* Strangers: each is new once, shown for a minute after its last sign, and the oldest makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/control.h"

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static bool note(struct control_vip *v, const char *address, const char *what, uint64_t at_s)
{
	struct addr a = ip(address);

	return control_sign_note(v, &a, what, false, at_s * NS_PER_S);
}

static void assert_text(const struct control_vip *v, uint64_t at_s, const char *want)
{
	char text[256] = "";

	assert_int_equal(control_strangers_text(v, at_s * NS_PER_S, text, sizeof(text)),
			 *want != '\0');
	assert_string_equal(text, want);
}

static void each_is_new_once(void **state)
{
	struct control_vip v = {0};

	(void)state;
	assert_text(&v, 1, "");
	assert_true(note(&v, "192.0.2.7", "adverts", 1));
	assert_false(note(&v, "192.0.2.7", "adverts", 2));
	assert_true(note(&v, "192.0.2.7", "checksum", 3));
	assert_true(note(&v, "192.0.2.8", "adverts", 4));
	/* taking turns does not make them new again */
	assert_false(note(&v, "192.0.2.7", "checksum", 5));
	assert_false(note(&v, "192.0.2.8", "adverts", 6));
	assert_text(&v, 6, "192.0.2.7 (adverts), 192.0.2.7 (checksum), 192.0.2.8 (adverts)");
}

static void shown_for_a_minute(void **state)
{
	struct control_vip v = {0};

	(void)state;
	assert_true(note(&v, "192.0.2.7", "adverts", 10));
	assert_false(note(&v, "192.0.2.7", "adverts", 60));
	assert_text(&v, 119, "192.0.2.7 (adverts)");
	assert_text(&v, 120, "");
	assert_true(note(&v, "192.0.2.7", "adverts", 120));
	assert_text(&v, 121, "192.0.2.7 (adverts)");
}

static void the_oldest_makes_room(void **state)
{
	struct control_vip v = {0};

	(void)state;
	for (uint64_t i = 1; i <= CONTROL_SIGNS; i++) {
		char address[16];

		snprintf(address, sizeof(address), "192.0.2.%u", (unsigned int)i);
		assert_true(note(&v, address, "adverts", i));
	}
	assert_false(note(&v, "192.0.2.1", "adverts", 10));
	assert_true(note(&v, "192.0.2.99", "adverts", 11));
	assert_false(note(&v, "192.0.2.1", "adverts", 12));
	assert_true(note(&v, "192.0.2.2", "adverts", 13));
}

static void a_node_is_no_stranger(void **state)
{
	struct control_vip v = {0};
	struct addr a = ip("192.0.2.52");

	(void)state;
	assert_true(control_sign_note(&v, &a, "auth", true, NS_PER_S));
	assert_false(control_sign_note(&v, &a, "auth", true, 2 * NS_PER_S));
	assert_text(&v, 2, "");
}

static void text_is_cut_to_its_buffer(void **state)
{
	struct control_vip v = {0};
	char text[24];

	(void)state;
	assert_true(note(&v, "2001:db8::1234:5678", "adverts", 1));
	assert_true(note(&v, "2001:db8::1234:5679", "adverts", 1));
	assert_true(control_strangers_text(&v, NS_PER_S, text, sizeof(text)));
	assert_string_equal(text, "2001:db8::1234:5678 (ad");
}

/* The longest that is said of the longest addresses. */
static void a_condition_has_room_for_all(void **state)
{
	struct control_conditions room;
	struct control_vip v = {0};

	(void)state;
	for (char last = '1'; last < '1' + CONTROL_SIGNS; last++) {
		char address[] = "2001:db8:1111:2222:3333:4444:5555:666x";

		address[sizeof(address) - 2] = last;
		assert_true(
			note(&v, address, "answers neighbour discovery as 02:44:00:00:02:00", 1));
	}
	assert_true(control_strangers_text(&v, NS_PER_S, room.strangers, sizeof(room.strangers)));
	assert_non_null(strstr(room.strangers,
			       "6661 (answers neighbour discovery as 02:44:00:00:02:00), "));
	assert_string_equal(strstr(room.strangers, "6664"),
			    "6664 (answers neighbour discovery as 02:44:00:00:02:00)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_new_once),
		cmocka_unit_test(shown_for_a_minute),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(a_node_is_no_stranger),
		cmocka_unit_test(text_is_cut_to_its_buffer),
		cmocka_unit_test(a_condition_has_room_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
