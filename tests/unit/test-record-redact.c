/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/pattern.h"
#include "random.h"
#include "record/redact.h"

#include <string.h>
#include <time.h>

/* Secrets are put together here from parts, so that nobody who looks for secrets finds this file.
 */

static void cleanup(struct redactor **r)
{
	redactor_destroy(*r);
}

#define autoredactor __attribute__((cleanup(cleanup)))

static struct redactor *make(void)
{
	struct redactor *r = NULL;

	assert_int_equal(redactor_create(&r, NULL), 0);
	return r;
}

static void add_value(struct redactor *r, const char *name, const char *value)
{
	assert_int_equal(redactor_add_value(r, name, value, NULL), 0);
}

static void finish_texts(struct text *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		text_finish(&texts[i]);
}

#define A20 "a1b2c3d4e5f6g7h8i9j0"
#define A36 A20 "k1l2m3n4o5p6q7r8"

/* clang-format off */
static const struct {
	const char *text, *wanted;
} rows[] = {
	{"https:" "//u:hunter22@example.com/x", "https:" "//u:[redacted:url]@example.com/x"},
	{"git clone https:" "//a:p@ss@h/r?x=1", "git clone https:" "//a:[redacted:url]@h/r?x=1"},
	{"https:" "//" A20 "@h/", "https:" "//[redacted:url]@h/"},
	{"ssh://git@host/repo", "ssh://git@host/repo"},
	{"postgres://u:@h/db", "postgres://u:@h/db"},
	{"--password=hunter2 -v", "--password=[redacted:labelled] -v"},
	{"--db-password='two words' -v", "--db-password='[redacted:labelled]' -v"},
	{"{\"password\": \"hunter2\", \"a\": 1}", "{\"password\": \"[redacted:labelled]\", \"a\": 1}"},
	{"https:" "//h/x?token=abc&y=2", "https:" "//h/x?token=[redacted:labelled]&y=2"},
	{"MY_API_KEY=abc make", "MY_API_KEY=[redacted:labelled] make"},
	{"ssh_key=/srv/u/.ssh/id", "ssh_key=/srv/u/.ssh/id"},
	{"--password-file=/run/x", "--password-file=/run/x"},
	{"/run/secrets/db", "/run/secrets/db"},
	{"keyboard=us monkey=2", "keyboard=us monkey=2"},
	{"Authorization: Bearer abc.def", "Authorization: [redacted:labelled]"},
	{"authorization: basic dXNlcjpw\nHost: h", "authorization: [redacted:labelled]\nHost: h"},
	{"X: bearer " A20, "X: bearer [redacted:bearer]"},
	{"bearer bonds", "bearer bonds"},
	{"AKIA" "IOSFODNN7EXAMPLE", "[redacted:aws-key-id]"},
	{"xAKIA" "IOSFODNN7EXAMPLE", "xAKIA" "IOSFODNN7EXAMPLE"},
	{"a ghp" "_" A36 " b", "a [redacted:github-token] b"},
	{"sk" "-ant-api03-" A36, "[redacted:api-key]"},
	{"risk-" A36, "risk-" A36},
	{"/opt/sk-some-long-directory-without-digits/x", "/opt/sk-some-long-directory-without-digits/x"},
	{"eyJ" A20 "." A20 "." A20, "[redacted:jwt]"},
	{"xoxb" "-12345678901-abc", "[redacted:slack-token]"},
	{"-----BEGIN RSA " "PRIVATE KEY-----\nMIIE\nx\n-----END RSA PRIVATE KEY-----\nrest", "[redacted:private-key]\nrest"},
	{"a -----BEGIN " "PRIVATE KEY-----\nMIIE", "a [redacted:private-key]"},
	{"-----BEGIN CERTIFICATE-----\nMIIE", "-----BEGIN CERTIFICATE-----\nMIIE"},
	{"", ""},
	{"\xff\x01 plain", "\xff\x01 plain"},
};
/* clang-format on */

static void what_looks_like_a_secret_is_removed_and_nothing_else(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autotext struct text out = {0};
		bool removed = redact_text(NULL, rows[i].text, strlen(rows[i].text), false, &out);

		if (strcmp(text_string(&out), rows[i].wanted) == 0 &&
			removed == (strstr(rows[i].wanted, "[redacted:") != NULL))
			continue;
		print_error(
			"%s: wanted %s, got %s\n", rows[i].text, rows[i].wanted, text_string(&out));
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void known_values_are_removed_wherever_they_stand(void **state)
{
	static const char text[] = "a s3cr/t? s3cr%2Ft%3F b s3cr/t?s3cr/t? s3c";
	autoredactor struct redactor *r = make();
	autotext struct text out = {0}, cut = {0};

	(void)state;
	add_value(r, "MY_TOKEN", "s3cr/t?");
	add_value(r, "SHORT", "abc");
	assert_true(redact_text(r, text, strlen(text), false, &out));
	assert_string_equal(text_string(&out), "a [redacted:MY_TOKEN] [redacted:MY_TOKEN] b "
					       "[redacted:MY_TOKEN][redacted:MY_TOKEN] s3c");
	/* The end of a text that was cut may be the beginning of a secret. */
	redact_text(r, "x s3cr/", 7, true, &cut);
	assert_string_equal(text_string(&cut), "x [redacted:MY_TOKEN]");
}

static void overlapping_secrets_are_one(void **state)
{
	autoredactor struct redactor *r = make();
	autotext struct text out = {0};

	(void)state;
	add_value(r, "A", "abcdef");
	add_value(r, "B", "defghi");
	add_value(r, "C", "cdefgh");
	redact_text(r, "xabcdefghiy", 11, false, &out);
	assert_string_equal(text_string(&out), "x[redacted:A]y");
}

static void expressions_of_a_profile_are_removed(void **state)
{
	autoredactor struct redactor *r = make();
	autotext struct text out = {0}, hard = {0};
	static char slow[20000];

	(void)state;
	assert_int_equal(redactor_add_pattern(r, "\\bACME-[0-9]{4}\\b", NULL), 0);
	redact_text(r, "a ACME-1234, ACME-12345", 23, false, &out);
	assert_string_equal(text_string(&out), "a [redacted:profile], ACME-12345");
	/* What cannot be looked through in time is not shown at all. */
	assert_int_equal(redactor_add_pattern(r, "(x+)+$", NULL), 0);
	memset(slow, 'x', sizeof(slow));
	slow[sizeof(slow) - 1] = '!';
	redact_text(r, slow, sizeof(slow), false, &hard);
	assert_string_equal(text_string(&hard), "[redacted:all]");
}

static void more_secrets_than_can_be_told_remove_everything(void **state)
{
	autotext struct text in = {0}, out = {0};

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		text_puts(&in, "token=abc ");
	redact_text(NULL, in.data, in.length, false, &out);
	assert_string_equal(text_string(&out), "[redacted:all]");
}

static const struct {
	const char *words[8], *wanted;
} commands[] = {
	{{"tool", "--password", "hunter2", "-v"}, "tool|--password|[redacted:option]|-v|"},
	{{"tool", "--token", "-v"}, "tool|--token|-v|"},
	{{"/usr/bin/mysql", "-phunter2", "-uroot"}, "/usr/bin/mysql|-p[redacted:option]|-uroot|"},
	{{"mysql", "-p", "database"}, "mysql|-p|database|"},
	{{"mkdir", "-p", "directory"}, "mkdir|-p|directory|"},
	{{"sshpass", "-p", "hunter2", "ssh"}, "sshpass|-p|[redacted:option]|ssh|"},
	{{"curl", "-u", "me:hunter2",
		 "https:"
		 "//h"},
		"curl|-u|me:[redacted:option]|https:"
		"//h|"},
	{{"curl", "-ume:hunter2"}, "curl|-ume:[redacted:option]|"},
	{{"curl", "--user", "me"}, "curl|--user|me|"},
	{{"curl", "-H", "Authorization: Bearer abc"},
		"curl|-H|Authorization: [redacted:labelled]|"},
	{{"--token", "x"}, "--token|x|"},
};

static void an_option_makes_a_secret_of_the_next_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(commands); i++) {
		struct text out[8] = {{0}};
		autotext struct text joined = {0};
		size_t count = 0;

		while (commands[i].words[count])
			count++;
		redact_words(NULL, commands[i].words, count, out);
		for (size_t k = 0; k < count; k++)
			text_printf(&joined, "%s|", text_string(&out[k]));
		if (strcmp(text_string(&joined), commands[i].wanted) != 0)
			fail_msg("wanted %s, got %s", commands[i].wanted, text_string(&joined));
		finish_texts(out, count);
	}
}

/* 100 secrets of every kind between harmless words: none of them comes through, all else does. */
static void nothing_of_a_hundred_secrets_comes_through(void **state)
{
	static const struct {
		const char *before, *prefix, *after;
		unsigned length;
	} kinds[] = {
		{"https:"
		 "//user:",
			"", "@host/path", 12},
		{"--password=", "", " -v", 10}, {"X-Api-Key: ", "", "\nHost: h", 24},
		{"", "AKIA", "", 16},
		{"",
			"ghp"
			"_",
			"", 36},
		{"",
			"sk"
			"-",
			"", 40},
		{"",
			"xoxb"
			"-",
			"", 24},
		{"",
			"glpat"
			"-",
			"", 20},
		{"Authorization: Bearer ", "", "", 30},
		{"value ", "", " end", 20}, /* known by its variable alone */
	};
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	(void)state;
	random_seed(7);
	for (unsigned i = 0; i < 100; i++) {
		unsigned kind = i % (unsigned)array_size(kinds);
		autoredactor struct redactor *r = make();
		autotext struct text in = {0}, out = {0};
		char secret[64];
		size_t n = strlen(kinds[kind].prefix);

		memcpy(secret, kinds[kind].prefix, n);
		for (unsigned k = 0; k < kinds[kind].length; k++)
			secret[n + k] = letters[random_below(sizeof(letters) - 1)];
		secret[n + 2] = n ? secret[n + 2] : '7';
		secret[n + kinds[kind].length - 1] = '3';
		secret[n + kinds[kind].length] = '\0';
		if (kind == array_size(kinds) - 1)
			add_value(r, "HIDDEN", secret);
		text_printf(&in, "before %s%s%s", kinds[kind].before, secret, kinds[kind].after);
		assert_true(redact_text(r, in.data, in.length, false, &out));
		for (size_t k = 0; k + 6 <= strlen(secret + n); k++) {
			char part[7] = "";

			memcpy(part, secret + n + k, 6);
			if (strstr(text_string(&out), part))
				fail_msg("%s of %s is in %s", part, in.data, text_string(&out));
		}
		assert_non_null(strstr(text_string(&out), "before "));
		assert_non_null(strstr(text_string(&out), kinds[kind].after));
	}
}

/* No text of a tool takes long, whatever it is made of. */
static void a_hostile_text_costs_no_more_than_its_length(void **state)
{
	static const char *const parts[] = {"://", "token=", "-----BEGIN ",
		("ghp"
		 "_"),
		"bearer ", "password:\"", "eyJ", "a1", "_key=", "-----BEGIN PRIVATE KEY"};
	autoredactor struct redactor *r = make();

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		char value[32];

		snprintf(value, sizeof(value), "a1a1a1%u", i);
		add_value(r, "V", value);
	}
	for (size_t i = 0; i < array_size(parts); i++) {
		autotext struct text in = {0}, out = {0};
		struct timespec before, after;

		while (in.length < (128U << 10))
			text_puts(&in, parts[i]);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		redact_text(r, in.data, in.length, true, &out);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		if (after.tv_sec - before.tv_sec > 2)
			fail_msg("%s: more than a second", parts[i]);
	}
}

static void bounds_are_kept(void **state)
{
	autoredactor struct redactor *r = make();
	struct error err = {0};

	(void)state;
	for (unsigned i = 0; i < REDACT_VALUES_MAX; i++)
		add_value(r, "V", "value//value");
	assert_int_equal(redactor_add_value(r, "V", "value//value", &err), -E2BIG);
	for (unsigned i = 0; i < REDACT_PATTERNS_MAX; i++)
		assert_int_equal(redactor_add_pattern(r, "a", NULL), 0);
	assert_int_equal(redactor_add_pattern(r, "a", &err), -E2BIG);
	redactor_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_looks_like_a_secret_is_removed_and_nothing_else),
		cmocka_unit_test(known_values_are_removed_wherever_they_stand),
		cmocka_unit_test(overlapping_secrets_are_one),
		cmocka_unit_test(expressions_of_a_profile_are_removed),
		cmocka_unit_test(more_secrets_than_can_be_told_remove_everything),
		cmocka_unit_test(an_option_makes_a_secret_of_the_next_word),
		cmocka_unit_test(nothing_of_a_hundred_secrets_comes_through),
		cmocka_unit_test(a_hostile_text_costs_no_more_than_its_length),
		cmocka_unit_test(bounds_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
