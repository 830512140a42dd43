/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "cli/option.h"
#include "cli/verb.h"

#include <string.h>

struct sample {
	bool json;
	bool quiet;
	const char *profile;
	uint64_t timeout_ms;
	int status_fd;
	struct word_list env;
	struct word_list allow;
};

static const struct sample sample_defaults = {.status_fd = -1};

static const struct option_spec sample_specs[] = {
	{"json", 'j', OPTION_FLAG, offsetof(struct sample, json), NULL, NULL, "help of json"},
	{"quiet", 'q', OPTION_FLAG, offsetof(struct sample, quiet), NULL, NULL, "help of quiet"},
	{"profile", 'p', OPTION_TEXT, offsetof(struct sample, profile), "FILE", "BERM_TEST_PROFILE",
		"help of profile"},
	{"timeout", 0, OPTION_DURATION, offsetof(struct sample, timeout_ms), "TIME", NULL,
		"help of timeout"},
	{"status-fd", 0, OPTION_DESCRIPTOR, offsetof(struct sample, status_fd), "N", NULL,
		"help of status-fd"},
	{"env", 'e', OPTION_WORDS, offsetof(struct sample, env), "K[=V]", NULL, "help of env"},
	{"allow", 0, OPTION_COMMA_WORDS, offsetof(struct sample, allow), "A,B", "BERM_TEST_ALLOW",
		"help of allow"},
};

static const struct option_table stops = {.specs = sample_specs,
	.count = array_size(sample_specs),
	.size = sizeof(struct sample),
	.defaults = &sample_defaults,
	.command_follows = true};
static const struct option_table permutes = {.specs = sample_specs,
	.count = array_size(sample_specs),
	.size = sizeof(struct sample),
	.defaults = &sample_defaults};

static int clear_environment(void **state)
{
	(void)state;
	return unsetenv("BERM_TEST_PROFILE") || unsetenv("BERM_TEST_ALLOW");
}

static struct option_result parsed(const struct option_table *table, char **words)
{
	struct option_result result;
	struct error err = {0};

	if (option_parse(table, words, &result, &err) < 0)
		fail_msg("%s", err.text);
	return result;
}

static void expect_error(const struct option_table *table, char **words, const char *text)
{
	struct option_result result;
	struct error err = {0};

	assert_true(option_parse(table, words, &result, &err) < 0);
	assert_int_equal(err.kind, ERROR_INPUT);
	assert_string_equal(err.text, text);
}

#define words(...) ((char *[]){__VA_ARGS__, NULL})

static void every_type_reaches_its_field(void **state)
{
	struct option_result result = parsed(&stops,
		words("-p", "x.yaml", "--timeout=30s", "--status-fd", "3", "-jq", "-eA=1", "--env",
			"B", "--allow", "bpf,notify", "--allow=cgroup", "cmd", "--json"));
	const struct sample *got = result.values;

	(void)state;
	assert_string_equal(got->profile, "x.yaml");
	assert_int_equal(got->timeout_ms, 30000);
	assert_int_equal(got->status_fd, 3);
	assert_true(got->json);
	assert_true(got->quiet);
	assert_int_equal(got->env.count, 2);
	assert_string_equal(got->env.items[0], "A=1");
	assert_string_equal(got->env.items[1], "B");
	assert_null(got->env.items[2]);
	assert_int_equal(got->allow.count, 3);
	assert_string_equal(got->allow.items[0], "bpf");
	assert_string_equal(got->allow.items[2], "cgroup");
	assert_int_equal(result.argc, 2);
	assert_string_equal(result.argv[1], "--json");
	option_finish(&stops, &result);
}

static void defaults_stay_where_nothing_is_said(void **state)
{
	struct option_result result = parsed(&stops, words("cmd"));
	const struct sample *got = result.values;

	(void)state;
	assert_int_equal(got->status_fd, -1);
	assert_null(got->profile);
	assert_null(got->env.items);
	option_finish(&stops, &result);
}

/* What belongs to the tool must never be read as ours. */
static void a_command_ends_the_options(void **state)
{
	struct option_result result = parsed(&stops, words("-j", "tool", "-p", "--", "--timeout"));

	(void)state;
	assert_int_equal(result.argc, 4);
	assert_string_equal(result.argv[0], "tool");
	assert_string_equal(result.argv[2], "--");
	assert_null(((const struct sample *)result.values)->profile);
	option_finish(&stops, &result);
	result = parsed(&stops, words("--", "-j"));
	assert_int_equal(result.argc, 1);
	assert_string_equal(result.argv[0], "-j");
	assert_false(((const struct sample *)result.values)->json);
	option_finish(&stops, &result);
}

static void other_verbs_take_options_after_words(void **state)
{
	struct option_result result = parsed(&permutes, words("a", "-j", "b", "--", "-q", "--"));

	(void)state;
	assert_true(((const struct sample *)result.values)->json);
	assert_false(((const struct sample *)result.values)->quiet);
	assert_int_equal(result.argc, 4);
	assert_string_equal(result.argv[1], "b");
	assert_string_equal(result.argv[2], "-q");
	assert_string_equal(result.argv[3], "--");
	option_finish(&permutes, &result);
}

static void wrong_words_are_named(void **state)
{
	const struct {
		char **words;
		const char *text;
	} rows[] = {
		{words("--profil", "x"), "unknown option --profil; did you mean --profile?"},
		{words("--hlep"), "unknown option --hlep; did you mean --help?"},
		{words("--zzzzzzzz=1"), "unknown option --zzzzzzzz"},
		{words("-z"), "unknown option -z"},
		{words("-jz"), "unknown option -z"},
		{words("--profile"), "--profile needs a value: FILE"},
		{words("-p"), "-p needs a value: FILE"},
		{words("-p", "--json"), "-p needs a value (FILE) and is followed by --json; if "
					"that is the value, write "
					"--profile=--json"},
		{words("--timeout", "--", "cmd"),
			"--timeout needs a value (TIME) and is followed by --; if that is the "
			"value, write --timeout=--"},
		{words("--json=1"), "--json takes no value"},
		{words("--profile="), "--profile: the value is empty"},
		{words("--timeout", "30"), "--timeout: \"30\" is not a time over zero: write "
					   "250ms, 30s, 15m, 2h or 1d"},
		{words("--timeout", "0s"), "--timeout: \"0s\" is not a time over zero: write "
					   "250ms, 30s, 15m, 2h or 1d"},
		{words("--status-fd", "three"),
			"--status-fd: \"three\" is not a descriptor number"},
		{words("--status-fd", "2147483648"),
			"--status-fd: \"2147483648\" is not a descriptor number"},
		{words("--allow", "a,,b"), "--allow: \"a,,b\" has an empty word between commas"},
		{words("--allow", "a,"), "--allow: \"a,\" has an empty word between commas"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		expect_error(&stops, rows[i].words, rows[i].text);
}

static void a_value_that_begins_with_a_dash_is_joined(void **state)
{
	struct option_result result = parsed(&stops, words("--profile=--odd", "-e-x", "cmd"));

	(void)state;
	assert_string_equal(((const struct sample *)result.values)->profile, "--odd");
	assert_string_equal(((const struct sample *)result.values)->env.items[0], "-x");
	option_finish(&stops, &result);
}

/* So that a wrapper's options can be followed by one's own. */
static void the_last_of_several_values_counts(void **state)
{
	struct option_result result = parsed(
		&stops, words("-p", "a", "--profile=b", "--timeout", "1s", "--timeout", "2s"));

	(void)state;
	assert_string_equal(((const struct sample *)result.values)->profile, "b");
	assert_int_equal(((const struct sample *)result.values)->timeout_ms, 2000);
	option_finish(&stops, &result);
}

static void the_environment_speaks_where_no_option_does(void **state)
{
	struct option_result result;

	(void)state;
	setenv("BERM_TEST_PROFILE", "from-environment", 1);
	setenv("BERM_TEST_ALLOW", "netns,userns", 1);
	result = parsed(&stops, words("cmd"));
	assert_string_equal(((const struct sample *)result.values)->profile, "from-environment");
	assert_int_equal(((const struct sample *)result.values)->allow.count, 2);
	option_finish(&stops, &result);
	result = parsed(&stops, words("-p", "from-option", "--allow", "bpf", "cmd"));
	assert_string_equal(((const struct sample *)result.values)->profile, "from-option");
	assert_int_equal(((const struct sample *)result.values)->allow.count, 1);
	option_finish(&stops, &result);
	setenv("BERM_TEST_ALLOW", "a,,b", 1);
	expect_error(&stops, words("cmd"),
		"environment variable BERM_TEST_ALLOW: \"a,,b\" has an empty word between commas");
}

static void a_list_has_an_end(void **state)
{
	char *many[2 * OPTION_WORDS_MAX + 4] = {0};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i <= OPTION_WORDS_MAX; i++) {
		many[n++] = "-e";
		many[n++] = "A";
	}
	expect_error(&stops, many, "-e: more than 256 words");
}

static void help_is_seen_before_the_command_only(void **state)
{
	struct option_result result = parsed(&stops, words("-j", "--help"));

	(void)state;
	assert_true(result.help);
	option_finish(&stops, &result);
	result = parsed(&stops, words("cmd", "--help"));
	assert_false(result.help);
	option_finish(&stops, &result);
}

static void help_names_every_option(void **state)
{
	autotext struct text out = {0};

	(void)state;
	option_help(&stops, &out);
	for (size_t i = 0; i < array_size(sample_specs); i++)
		assert_non_null(strstr(text_string(&out), sample_specs[i].help));
	assert_non_null(strstr(text_string(&out), "-p, --profile FILE"));
	assert_non_null(strstr(text_string(&out), "[environment: BERM_TEST_PROFILE]"));
	assert_non_null(strstr(text_string(&out), "-h, --help"));
}

/* Every row that a verb brings is complete, and no letter or name is taken twice. */
static void check_verb(const struct verb *verb)
{
	const struct option_table *table = &verb->options;

	assert_non_null(verb->name);
	assert_non_null(verb->summary);
	assert_true(verb->function || verb->children);
	assert_true(!verb->function || verb->usage);
	for (size_t i = 0; i < table->count; i++) {
		const struct option_spec *spec = &table->specs[i];

		assert_true(spec->type < OPTION_TYPE_COUNT);
		assert_true(spec->offset < table->size);
		assert_non_null(spec->help);
		assert_true((spec->type == OPTION_FLAG) == (spec->argument == NULL));
		assert_true(!spec->environment || strncmp(spec->environment, "BERM_", 5) == 0);
		for (size_t n = 0; n < i; n++) {
			assert_string_not_equal(spec->name, table->specs[n].name);
			assert_true(!spec->letter || spec->letter != table->specs[n].letter);
		}
	}
	for (const struct verb *const *child = verb->children; child && *child; child++)
		check_verb(*child);
}

static void every_verb_is_complete(void **state)
{
	(void)state;
	for (const struct verb *const *verb = verbs; *verb; verb++)
		check_verb(*verb);
}

static void a_verb_is_found_by_its_words(void **state)
{
	const struct verb *group = NULL;
	struct error err = {0};
	int used = 0;

	(void)state;
	assert_ptr_equal(verb_find(words("doctor", "--json"), &used, &group, &err), &verb_doctor);
	assert_int_equal(used, 1);
	assert_null(verb_find(words("doctr"), &used, &group, &err));
	assert_string_equal(err.text, "unknown verb \"doctr\"; did you mean \"doctor\"?");
	assert_null(verb_find(words("--json"), &used, &group, &err));
	assert_string_equal(err.text, "a verb is missing");
}

#define clean(test) cmocka_unit_test_setup_teardown(test, clear_environment, clear_environment)

int main(void)
{
	const struct CMUnitTest list[] = {
		clean(every_type_reaches_its_field),
		clean(defaults_stay_where_nothing_is_said),
		clean(a_command_ends_the_options),
		clean(other_verbs_take_options_after_words),
		clean(wrong_words_are_named),
		clean(a_value_that_begins_with_a_dash_is_joined),
		clean(the_last_of_several_values_counts),
		clean(the_environment_speaks_where_no_option_does),
		clean(a_list_has_an_end),
		clean(help_is_seen_before_the_command_only),
		clean(help_names_every_option),
		clean(every_verb_is_complete),
		clean(a_verb_is_found_by_its_words),
	};

	return cmocka_run_group_tests_name("cli-option", list, NULL, NULL);
}
