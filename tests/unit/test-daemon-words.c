/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/metering-words.h"

#include <string.h>

/* What an event of the kernel's programs was about, in words. */

static void expect_target(const struct meter_event *event, const char *text, const char *words)
{
	autotext struct text out = {0};

	metering_target(event, text, &out);
	assert_string_equal(text_string(&out), words);
}

static void components_become_a_path(void **state)
{
	static const struct {
		const char *text;
		unsigned bytes;
		const char *path;
	} rows[] = {
		{"hosts\0etc\0/", 12, "/etc/hosts"},
		{"hosts\0etc", 10, "/etc/hosts"},
		{"a", 2, "/a"},
		{"leaf\0cut in the middl", 21, "/cut in the middl/leaf"},
		{"a b\n\0\x1b[2J", 10, "/\x1b[2J/a b\n"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct meter_event event = {
			.hook = METER_HOOK_file_open, .text_bytes = rows[i].bytes};

		expect_target(&event, rows[i].text, rows[i].path);
	}
}

static void addresses_of_both_families_are_shown(void **state)
{
	struct meter_event event = {.hook = METER_HOOK_net_connect4,
		.address = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1},
		.port = 9};

	(void)state;
	expect_target(&event, "", "192.0.2.1:9");
	memset(event.address, 0, sizeof(event.address));
	event.address[0] = 0x20;
	event.address[1] = 1;
	event.address[15] = 7;
	expect_target(&event, "", "[2001::7]:9");
}

static void without_either_the_hook_is_named(void **state)
{
	struct meter_event event = {.hook = METER_HOOK_path_unlink};

	(void)state;
	expect_target(&event, "", "path_unlink");
	event.hook = 60000;
	expect_target(&event, "", "");
}

/* Each is one that the session's list of static words has; "operation" is for hooks of which no
 * refusal tells anything to a person. */
static void operations_are_words_of_the_record(void **state)
{
	static const struct {
		unsigned hook;
		const char *word;
	} rows[] = {
		{METER_HOOK_file_open, "open"},
		{METER_HOOK_path_unlink, "delete"},
		{METER_HOOK_path_rename, "write"},
		{METER_HOOK_bprm_check_security, "exec"},
		{METER_HOOK_net_connect6, "connect"},
		{METER_HOOK_net_egress, "send"},
		{METER_HOOK_net_bind4, "listen"},
		{METER_HOOK_sb_mount, "mount"},
		{METER_HOOK_NONE, "operation"},
		{60000, "operation"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		const struct meter_event event = {.hook = (unsigned short)rows[i].hook};

		assert_string_equal(metering_operation(&event), rows[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(components_become_a_path),
		cmocka_unit_test(addresses_of_both_families_are_shown),
		cmocka_unit_test(without_either_the_hook_is_named),
		cmocka_unit_test(operations_are_words_of_the_record),
	};

	return cmocka_run_group_tests_name("daemon-words", list, NULL, NULL);
}
