/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/log.h"
#include "cli/profile.h"
#include "cli/test-live.h"
#include "cli/test-report.h"
#include "meter/classes.h"
#include "policy/test-file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct test_options {
	struct profile_options common;
	bool live;
	bool fail_only;
	const char *junit;
	struct word_list allow_degraded;
};

static const struct option_spec specs[] = {
	PROFILE_OPTION_ROWS(struct test_options),
	{"live", 0, OPTION_FLAG, offsetof(struct test_options, live), NULL, NULL,
		"also try each case in a real run, where the kernel must say the same"},
	{"fail-only", 0, OPTION_FLAG, offsetof(struct test_options, fail_only), NULL, NULL,
		"list only what failed"},
	{"junit", 0, OPTION_TEXT, offsetof(struct test_options, junit), "FILE", NULL,
		"also write the results to FILE as JUnit XML"},
	{"allow-degraded", 0, OPTION_COMMA_WORDS, offsetof(struct test_options, allow_degraded),
		"FEATURE,...", "BERM_ALLOW_DEGRADED",
		"as for run: features that this host may lack in a live run"},
};

/* Cases and the profile they are about, with all that they borrow from. */
struct source_of_cases {
	struct source_of_cases *next;
	struct session_request request;
	struct session base;    /* of a test file: who and where, without a profile */
	struct session session; /* the profile */
	struct test_file *file; /* or NULL: the profile's own tests */
	struct test_case *own;
	struct test_step *steps;
	char *shown;
	const struct test_case *cases;
	size_t count;
};

struct collection {
	const struct verb *verb;
	const struct test_options *options;
	struct source_of_cases *first, **last;
	int code; /* of what could not be read */
};

static void collection_finish(struct collection *c)
{
	while (c->first) {
		struct source_of_cases *s = c->first;

		c->first = s->next;
		session_finish(&s->session);
		test_file_destroy(s->file);
		session_finish(&s->base);
		free(s->own);
		free(s->steps);
		free(s->shown);
		free(s);
	}
}
#define autocollection __attribute__((cleanup(collection_finish)))

static struct source_of_cases *add_source(struct collection *c, const char *shown)
{
	struct source_of_cases *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->request = profile_request_of(&c->options->common, shown);
	s->request.allow_degraded = c->options->allow_degraded.items;
	s->request.thorough = false;
	s->shown = strdup(shown);
	*c->last = s;
	c->last = &s->next;
	return s->shown ? s : NULL;
}

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n > m && strcmp(text + n - m, suffix) == 0;
}

/* The test file and the profile that it names. */
static int add_file(struct collection *c, const char *path, struct error *err)
{
	struct source_of_cases *s = add_source(c, path);
	struct profile_variables usual;
	int r;

	if (!s)
		return out_of_memory(err);
	r = session_begin(&s->request, &s->base, err);
	if (r < 0)
		return r;
	usual = session_variables(&s->base);
	r = test_file_load(path, s->base.caller.uid, &usual, &s->file, &s->base.diagnostics, err);
	if (r < 0) {
		c->code = profile_report_failure(c->verb, &s->base, err);
		return r;
	}
	s->request.profile = s->file->profile;
	s->request.variables = &s->file->variables;
	r = session_load(&s->request, &s->session, err);
	if (r < 0)
		c->code = profile_report_failure(c->verb, &s->session, err);
	s->cases = s->file->cases;
	s->count = s->file->count;
	return r;
}

static int add_own_tests(struct source_of_cases *s, struct error *err)
{
	const struct profile *profile = s->session.profile;

	s->own = calloc(profile->tests.count + 1, sizeof(*s->own));
	s->steps = calloc(profile->tests.count + 1, sizeof(*s->steps));
	if (!s->own || !s->steps)
		return out_of_memory(err);
	for (size_t i = 0; i < profile->tests.count; i++)
		s->own[i] = test_case_of(&profile->tests.items[i], &s->steps[i]);
	s->cases = s->own;
	s->count = profile->tests.count;
	return 0;
}

/* The profile's own tests, and the test file beside it. */
static int add_profile(struct collection *c, const char *profile, struct error *err)
{
	struct source_of_cases *s = add_source(c, profile);
	autofree char *beside = NULL;
	const char *file;
	int r;

	if (!s)
		return out_of_memory(err);
	s->request.profile = s->shown;
	r = session_load(&s->request, &s->session, err);
	if (r < 0 || !s->session.profile) {
		c->code = profile_report_failure(c->verb, &s->session, err);
		return r;
	}
	r = add_own_tests(s, err);
	file = s->session.profile->file;
	if (r < 0 || !has_suffix(file, ".yaml"))
		return r;
	if (asprintf(&beside, "%.*s%s", (int)(strlen(file) - strlen(".yaml")), file,
		    TEST_FILE_SUFFIX) < 0)
		return out_of_memory(err);
	return access(beside, F_OK) == 0 ? add_file(c, beside, err) : 0;
}

static int is_test_file(const struct dirent *entry)
{
	return has_suffix(entry->d_name, TEST_FILE_SUFFIX);
}

static int add_directory(struct collection *c, const char *path, struct error *err)
{
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, is_test_file, alphasort), r = 0;

	if (count < 0)
		return error_errno(err, "%s", path);
	for (int i = 0; i < count; i++) {
		autofree char *file = NULL;

		if (r == 0 && asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
			r = out_of_memory(err);
		if (r == 0)
			r = add_file(c, file, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int add_word(struct collection *c, const char *word, struct error *err)
{
	struct stat st;

	if (stat(word, &st) == 0 && S_ISDIR(st.st_mode))
		return add_directory(c, word, err);
	return has_suffix(word, TEST_FILE_SUFFIX) ? add_file(c, word, err)
						  : add_profile(c, word, err);
}

static int ask_model(const struct source_of_cases *s, struct test_report *report, struct error *err)
{
	struct test_suite *suite = test_report_add(report, s->shown, s->count);

	if (!suite)
		return out_of_memory(err);
	for (size_t i = 0; i < s->count; i++) {
		struct test_result *result = &suite->results[i];

		result->test = &s->cases[i];
		result->outcome = test_case_ask(
			s->session.profile, result->test, denial_class_of, &result->why);
		if (result->why.failed)
			return out_of_memory(err);
	}
	return 0;
}

/* Replay on the kernel what the model said. A run that cannot start is told and costs exit 3. */
static int ask_kernel(const struct verb *verb, const struct source_of_cases *s,
	struct test_suite *suite, unsigned *untried)
{
	struct error err = {0};

	if (s->file && s->file->own_variables) {
		log_line("%s: %s sets variables, so its cases are for the model only", verb->name,
			s->shown);
		*untried += (unsigned)s->count;
		return CLI_GOOD;
	}
	if (test_live(&s->request, s->session.profile, suite, untried, &err) == 0)
		return CLI_GOOD;
	log_line("%s: %s: %s", verb->name, s->shown, err.text);
	return CLI_HOST_CANNOT;
}

static int write_junit(const char *path, const struct test_report *report)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	autotext struct text out = {0};
	int r = fd < 0 ? -errno : 0;

	test_report_junit(report, &out);
	if (r == 0)
		r = out.failed ? -ENOMEM : io_write_all(fd, text_string(&out), out.length);
	if (r < 0)
		log_line("profile test: cannot write %s: %s", path, strerror(-r));
	return r < 0 ? CLI_HOST_CANNOT : CLI_GOOD;
}

static int finish(const struct verb *verb, const struct test_options *options,
	const struct test_report *report, int code)
{
	struct test_totals totals = test_report_totals(report);
	autotext struct text out = {0};

	if (options->common.json)
		test_report_json(report, &out);
	else
		test_report_lines(report, options->fail_only, &out);
	if (options->junit && code == CLI_GOOD)
		code = write_junit(options->junit, report);
	if (totals.of[TEST_FAILED])
		code = CLI_NO;
	if (totals.of[TEST_PASSED] + totals.of[TEST_FAILED] == 0 && code == CLI_GOOD) {
		log_line("%s: no test ran", verb->name);
		code = CLI_BAD_INPUT;
	}
	return verb_print(&out, code);
}

static int run_all(const struct verb *verb, const struct test_options *options,
	const struct collection *c, struct test_report *report)
{
	unsigned untried = 0;
	struct error err = {0};
	int code = CLI_GOOD;

	for (const struct source_of_cases *s = c->first; s; s = s->next) {
		if (s->count == 0)
			continue;
		if (ask_model(s, report, &err) < 0)
			return verb_failed(verb, &err);
		if (!options->live)
			continue;
		if (ask_kernel(verb, s, &report->suites[report->count - 1], &untried) != CLI_GOOD)
			code = CLI_HOST_CANNOT;
	}
	if (untried)
		log_line("%s: %u case%s could not be tried on the kernel", verb->name, untried,
			untried == 1 ? "" : "s");
	return code;
}

static int test(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct test_options *options = values;
	autocollection struct collection c = {.verb = verb, .options = options};
	autoreport struct test_report report = {0};
	struct error err = {0};

	if (argc == 0)
		return verb_misused(verb, "which profiles or test files?");
	c.last = &c.first;
	for (int i = 0; i < argc; i++) {
		if (add_word(&c, argv[i], &err) < 0)
			return c.code ? c.code : verb_failed(verb, &err);
	}
	return finish(verb, options, &report, run_all(verb, options, &c, &report));
}

const struct verb verb_profile_test = {
	.name = "profile test",
	.summary = "Run the tests of profiles",
	.usage = "[OPTIONS] FILE...",
	.details =
		"FILE is a profile (its own `tests` and NAME.test.yaml beside it), a test file, or "
		"a directory with\n"
		"test files. A case is {do: read /etc/shadow, expect: deny}, "
		"{steps: [{do: …, times: 5}],\n"
		"expect_state: alternate} or {run: [CMD, ARG], expect_exit: 1}; the last kind "
		"needs --live. A test\n"
		"file has `cases`, may name its `profile` and set `vars: {WORKDIR: /srv/repo}`.\n"
		"Exit: 0 all passed, 1 some failed, 2 a file is wrong or no test ran, 3 a live "
		"run cannot start here.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct test_options)},
	.function = test,
};
