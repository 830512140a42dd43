/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/recorder-file.h"

#include <string.h>
#include <sys/stat.h>

/* recorder.yaml is read strictly: what it says is taken as it stands, or refused with its line. */

static char top[] = "/tmp/berm-recorder-file-XXXXXX";

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static void write_file(const char *text, mode_t mode)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", top, RECORDER_FILE);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void what_is_good_is_taken_as_it_stands(void **state)
{
	static const struct {
		const char *text;
		int sinks;
		uint64_t max_bytes;
		const char *directory, *program;
		bool required;
	} rows[] = {
		{"version: 1\n", 0, 0, NULL, NULL, false},
		{"version: 1\nsinks:\n", 0, 0, NULL, NULL, false},
		{"version: 1\nsinks: [{type: journald}, {type: file, path: /var/log/x, format: "
		 "cef, max_size: 1MiB}]\n",
			2, 0, NULL, NULL, false},
		{"version: 1\nsinks: [{type: syslog, path: /run/log}, {type: journald, path: "
		 "/run/systemd/journal.a/socket}]\n",
			2, 0, NULL, NULL, false},
		{"version: 1\nsinks: [{type: exec, command: [/bin/cat, a]}]\n", 1, 0, NULL, NULL,
			false},
		{"version: 1\nmax_size: 20GiB\n", 0, 20ULL << 30, NULL, NULL, false},
		{"version: 1\nanchor: {directory: /mnt/witness}\n", 0, 0, "/mnt/witness", NULL,
			false},
		{"version: 1\nanchor:\n  command: [/usr/bin/tell, --host, b]\n  required: true\n",
			0, 0, NULL, "/usr/bin/tell", true},
		{"version: 1\nanchor: {directory: /a, command: [/b], required: false}\n", 0, 0,
			"/a", "/b", false},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autorecorderfile struct recorder_file file = {0};
		autotext struct text out = {0};
		struct error err = {0};

		write_file(rows[i].text, 0644);
		if (recorder_file_read(top, getuid(), &file, &out, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(file.sink_count, rows[i].sinks);
		assert_int_equal(file.max_bytes, rows[i].max_bytes);
		assert_int_equal(file.anchor_required, rows[i].required);
		assert_int_equal(
			recorder_file_has_anchor(&file), rows[i].directory || rows[i].program);
		assert_int_equal(!file.anchor_directory, !rows[i].directory);
		assert_int_equal(!file.anchor_command, !rows[i].program);
		if (rows[i].directory)
			assert_string_equal(file.anchor_directory, rows[i].directory);
		if (rows[i].program)
			assert_string_equal(file.anchor_command[0], rows[i].program);
	}
}

/* Each with its line and column, the kind of error, and what to do. */
static void what_is_wrong_is_told_with_its_line_and_what_to_do(void **state)
{
	static const struct {
		const char *text, *place, *code, *advice;
	} rows[] = {
		{"", ":1:1", "E011", "write `version: 1`, or remove it"},
		{"# nothing\n", ":1:1", "E011", "write `version: 1`, or remove it"},
		{"max_size: 20GiB\n", ":1:1", "E011", "add `version: 1`"},
		{"[1]\n", ":1:1", "E005", "must be a mapping that begins with `version: 1`"},
		{"version: 2\n", ":1:10", "E011", "write `version: 1`"},
		{"version: 1\nversion: 1\n", ":2:1", "E004", ""},
		{"version: 1\nmax_size: 1MiB\n", ":2:11", "E015", "at least 256MiB"},
		{"version: 1\nmax_size: 20GB\n", ":2:11", "E015", "such as 20GiB"},
		{"version: 1\nmore: 1\n", ":2:1", "E003", "take it out"},
		{"version: 1\nanchr: {}\n", ":2:1", "E003", "did you mean `anchor`?"},
		{"version: 1\nsinks: {}\n", ":2:8", "E005", "[{type: journald}]"},
		{"version: 1\nsinks: [{type: exec, command: [cat]}]\n", ":2:", "E005",
			"absolute path"},
		{"version: 1\nsinks: [{type: exec}]\n", ":2:", "E033", "a program a command"},
		{"version: 1\nsinks: [{type: file}]\n", ":2:", "E033", "a file has a path"},
		{"version: 1\nsinks: [{type: exec, command: [/x], path: /x}]\n", ":2:", "E033",
			"the others"},
		{"version: 1\nsinks: [{type: syslog, path: x}]\n", ":2:", "E005", "absolute"},
		{"version: 1\nsinks: [{type: syslog, max_size: 1MiB}]\n", ":2:", "E033", "file"},
		{"version: 1\nsinks: [{type: mail}]\n", ":2:", "E013", "file, exec"},
		{"version: 1\nsinks: [{type: syslog, colour: x}]\n", ":2:", "E003", "a sink has"},
		{"version: 1\nsinks: [{type: file, path: x}]\n", ":2:", "E005", "absolute path"},
		{"version: 1\nsinks: [{type: file, path: /x, max_size: 1}]\n", ":2:", "E015",
			"100MiB"},
		{"version: 1\nanchor: /mnt/witness\n", ":2:9", "E005", "{directory: /mnt/witness}"},
		{"version: 1\nanchor:\n", ":2:", "E005", "a mapping"},
		{"version: 1\nanchor: {}\n", ":2:9", "E010", "add one, or take anchor out"},
		{"version: 1\nanchor: {required: true}\n", ":2:9", "E010", "neither"},
		{"version: 1\nanchor:\n  directory: witness\n", ":3:14", "E005", "absolute path"},
		{"version: 1\nanchor:\n  directory: /a/../b\n", ":3:14", "E005", "without . and"},
		{"version: 1\nanchor:\n  directory: [/a]\n", ":3:14", "E005", "absolute path"},
		{"version: 1\nanchor:\n  directory: TOP/anchor\n", ":3:14", "E020",
			"beside the log; name one"},
		{"version: 1\nanchor:\n  command: /bin/tell\n", ":3:12", "E005", "a list"},
		{"version: 1\nanchor:\n  command: []\n", ":3:12", "E005", "a list"},
		{"version: 1\nanchor:\n  command: [tell]\n", ":3:13", "E005", "absolute path"},
		{"version: 1\nanchor:\n  command: [/bin/tell, [a]]\n", ":3:24", "E005", "words"},
		{"version: 1\nanchor: {directory: /a, required: yes}\n", ":2:", "E016",
			"true or false"},
		{"version: 1\nanchor: {directory: /a, file: /b}\n", ":2:", "E003", "take it out"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autorecorderfile struct recorder_file file = {0};
		autotext struct text out = {0};
		struct error err = {0};
		const char *at = strstr(rows[i].text, "TOP");
		char place[160], text[512];

		snprintf(text, sizeof(text), "%.*s%s%s",
			at ? (int)(at - rows[i].text) : (int)strlen(rows[i].text), rows[i].text,
			at ? top : "", at ? at + 3 : "");
		write_file(text, 0644);
		snprintf(place, sizeof(place), "%s/%s%s", top, RECORDER_FILE, rows[i].place);
		if (recorder_file_read(top, getuid(), &file, &out, &err) != -EINVAL ||
			err.kind != ERROR_INPUT)
			fail_msg("%s: taken, or %s", text, err.text);
		/* In the one line that reaches the caller of a run. */
		if (!strstr(err.text, place) || !strstr(err.text, rows[i].code) ||
			!strstr(err.text, rows[i].advice))
			fail_msg("%s: %s", text, err.text);
		assert_int_equal(file.sink_count, 0);
	}
}

static void a_file_that_others_can_write_is_nobodys_word(void **state)
{
	autorecorderfile struct recorder_file file = {0};
	autotext struct text out = {0};
	char path[128];

	(void)state;
	write_file("version: 1\n", 0666);
	assert_int_equal(recorder_file_read(top, getuid(), &file, &out, NULL), -EPERM);
	snprintf(path, sizeof(path), "%s/%s", top, RECORDER_FILE);
	unlink(path);
	assert_int_equal(recorder_file_read(top, getuid(), &file, &out, NULL), 0);
	assert_false(recorder_file_has_anchor(&file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_good_is_taken_as_it_stands),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line_and_what_to_do),
		cmocka_unit_test(a_file_that_others_can_write_is_nobodys_word),
	};

	return cmocka_run_group_tests(tests, make_top, NULL);
}
