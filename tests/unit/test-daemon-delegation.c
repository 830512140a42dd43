/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/delegation-wire.h"
#include "wire/delegation.pb-c.h"

#include <string.h>
#include <time.h>

#define WORDS(bytes) bytes, sizeof(bytes) - 1

static const struct {
	const char *what, *bytes;
	size_t length;
	bool good;
} rows[] = {
	{"the least", WORDS("\x08\x01\x12\x01r\x2a\x04true"), true},
	{"all of it", WORDS("\x08\x01\x12\x01r\x1a\x01t\x20\x05\x2a\x04true\x2a\x00"), true},
	{"bytes that are no UTF-8 in a word", WORDS("\x08\x01\x12\x01r\x2a\x02\xff\xfe"), true},
	{"nothing", WORDS(""), false},
	{"another version", WORDS("\x08\x02\x12\x01r\x2a\x04true"), false},
	{"no version", WORDS("\x12\x01r\x2a\x04true"), false},
	{"no agent", WORDS("\x08\x01\x2a\x04true"), false},
	{"an agent of two lines", WORDS("\x08\x01\x12\x03r\nx\x2a\x04true"), false},
	{"a task that is none", WORDS("\x08\x01\x12\x01r\x1a\x02/t\x2a\x04true"), false},
	{"no command", WORDS("\x08\x01\x12\x01r"), false},
	{"an empty command", WORDS("\x08\x01\x12\x01r\x2a\x00"), false},
	{"a word with NUL", WORDS("\x08\x01\x12\x01r\x2a\x04t\0ue"), false},
	{"a field twice", WORDS("\x08\x01\x12\x01x\x12\x01r\x2a\x04true"), false},
	{"another order", WORDS("\x12\x01r\x08\x01\x2a\x04true"), false},
	{"a field that is unknown", WORDS("\x08\x01\x12\x01r\x2a\x04true\x78\x01"), false},
	{"a number at length", WORDS("\x08\x81\x00\x12\x01r\x2a\x04true"), false},
	{"the end is missing", WORDS("\x08\x01\x12\x01r\x2a\x04tru"), false},
	{"no message", WORDS("x"), false},
};

static void only_what_berm_would_have_written_is_a_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct delegation_asked asked = {0};
		struct error err = {0};
		int r = delegation_request_read(
			(const uint8_t *)rows[i].bytes, rows[i].length, &asked, &err);

		if ((r == 0) != rows[i].good)
			fail_msg("%s", rows[i].what);
		assert_int_equal(err.kind, rows[i].good ? 0 : ERROR_INPUT);
		delegation_asked_finish(&asked);
	}
}

/* The largest packet, of fields that each cost an allocation or a copy. */
static void a_packet_costs_its_length(void **state)
{
	static const char *const parts[] = {"\x2a", "\x12", "\x1a\x01t", "\x78\x01"};
	struct timespec begin, end;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	for (size_t i = 0; i < array_size(parts); i++) {
		autofree uint8_t *bytes = calloc(1, DELEGATION_REQUEST_MAX);
		size_t step = strlen(parts[i]) < 2 ? 2 : strlen(parts[i]);
		struct delegation_asked asked = {0};
		struct error err = {0};

		assert_non_null(bytes);
		for (size_t at = 0; at + step <= DELEGATION_REQUEST_MAX; at += step)
			memcpy(bytes + at, parts[i], strlen(parts[i]));
		for (unsigned n = 0; n < 10; n++)
			assert_true(delegation_request_read(
					    bytes, DELEGATION_REQUEST_MAX, &asked, &err) < 0);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_true(end.tv_sec - begin.tv_sec < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_berm_would_have_written_is_a_request),
		cmocka_unit_test(a_packet_costs_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
