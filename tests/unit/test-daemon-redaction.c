/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/redaction.h"

#include <string.h>

static void look(const struct redactor *r, const char *text, const char *wanted)
{
	autotext struct text out = {0};

	redact_text(r, text, strlen(text), false, &out);
	assert_string_equal(text_string(&out), wanted);
}

static void variables_that_are_hidden_or_named_as_secrets_are_removed(void **state)
{
	struct string_rule hide[] = {{.text = "AWS_*"}, {.text = "MINE"}, {.text = "HOME"}};
	struct string_rule redact[] = {{.text = "zz[0-9]+"}};
	struct env_set set[] = {{.name = "SET_TOKEN", .value = "set-value-1"}};
	struct profile profile = {
		.env = {.hide = {hide, array_size(hide)}, .set = set, .set_count = 1},
		.recorder = {.redact = {redact, 1}}};
	const char *const environment[] = {"AWS_REGION=eu-north-9", "MINE=/srv/mine", "HOME=/srv/u",
		"X_PASSWORD=longenough", "Y_PASSWORD=short", "SSH_KEY=/srv/u/.ssh/id_rsa",
		"OTHER=otherwise", "BROKEN", NULL};
	const char *const extra[] = {"MINE", "EXTRA_SECRET=from-option", NULL};
	struct redactor *r = NULL;

	(void)state;
	assert_int_equal(redaction_make(&profile, environment, extra, &r, NULL), 0);
	look(r, "s3.eu-north-9.x", "s3.[redacted:AWS_REGION].x");
	look(r, "/srv/mine/a", "[redacted:MINE]/a");
	look(r, "/srv/u/.ssh/id_rsa", "/srv/u/.ssh/id_rsa");
	look(r, "longenough", "[redacted:X_PASSWORD]");
	look(r, "short otherwise", "short otherwise");
	look(r, "from-option", "[redacted:EXTRA_SECRET]");
	look(r, "set-value-1", "[redacted:SET_TOKEN]");
	look(r, "zz12 zz", "[redacted:profile] zz");
	redactor_destroy(r);
}

static void everything_hidden_does_not_blank_every_path(void **state)
{
	struct string_rule hide[] = {{.text = "*"}};
	struct profile profile = {.env = {.hide = {hide, 1}}};
	const char *const environment[] = {"HOME=/srv/u", "PATH=/usr/bin:/bin", "A=secret-a", NULL};
	struct redactor *r = NULL;

	(void)state;
	assert_int_equal(redaction_make(&profile, environment, NULL, &r, NULL), 0);
	look(r, "/srv/u /usr/bin:/bin secret-a", "/srv/u /usr/bin:/bin [redacted:A]");
	redactor_destroy(r);
}

static void without_a_profile_the_names_alone_decide(void **state)
{
	const char *const environment[] = {"GH_TOKEN=abcdefgh", "AWS=abcdefghi", NULL};
	struct redactor *r = NULL;

	(void)state;
	assert_int_equal(redaction_make(NULL, environment, NULL, &r, NULL), 0);
	look(r, "abcdefghi", "[redacted:GH_TOKEN]i");
	redactor_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_that_are_hidden_or_named_as_secrets_are_removed),
		cmocka_unit_test(everything_hidden_does_not_blank_every_path),
		cmocka_unit_test(without_a_profile_the_names_alone_decide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
