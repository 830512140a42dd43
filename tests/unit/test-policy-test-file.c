/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/test-file.h"

#include "loading.h"

/* A test file read from a string, and what is wrong with it. */
struct fixture {
	struct loading l;
	struct test_file *file;
	struct text out;
	struct error err;
};

static void fixture_finish(struct fixture *f)
{
	test_file_destroy(f->file);
	text_finish(&f->out);
	loading_finish(&f->l);
}
#define autofixture __attribute__((cleanup(fixture_finish)))

static int read_file(struct fixture *f, const char *name, const char *text)
{
	char path[PATH_MAX];

	test_file_destroy(f->file);
	f->file = NULL;
	text_finish(&f->out);
	loading_string(&f->l, name, text);
	snprintf(path, sizeof(path), "%s/%s", f->l.dir, name);
	return test_file_load(path, getuid(), &f->l.request.variables, &f->file, &f->out, &f->err);
}

static void cases_of_all_kinds_are_read(void **state)
{
	autofixture struct fixture f = {0};
	char path[PATH_MAX];

	(void)state;
	loading_init(&f.l);
	if (read_file(&f, "p.test.yaml",
		    "vars: {WORKDIR: /w, HOME: /h}\n"
		    "cases:\n"
		    "  - {name: first, do: \"read ${WORKDIR}/a b\", expect: ask}\n"
		    "  - {steps: [{do: \"read ${HOME}/x\", times: 5}, {do: tool a.b}], "
		    "expect_state: emergency}\n"
		    "  - {run: [sh, -c, \"cat ${HOME}/x\"], expect_exit: 255}\n") < 0)
		fail_msg("%s\n%s", f.err.text, text_string(&f.out));
	snprintf(path, sizeof(path), "%s/p.yaml", f.l.dir);
	assert_string_equal(f.file->profile, path);
	assert_true(f.file->own_variables);
	assert_string_equal(f.file->variables.workdir, "/w");
	assert_string_equal(f.file->variables.state, "/var/lib/berm");
	assert_int_equal(f.file->count, 3);
	assert_int_equal(f.file->cases[0].kind, TEST_DECISION);
	assert_string_equal(f.file->cases[0].name, "first");
	assert_string_equal(f.file->cases[0].steps[0].operation, "read");
	assert_string_equal(f.file->cases[0].steps[0].object, "/w/a b");
	assert_int_equal(f.file->cases[0].expect, DECISION_ASK);
	assert_int_equal(f.file->cases[0].at.line, 3);
	assert_int_equal(f.file->cases[1].kind, TEST_STATE);
	assert_int_equal(f.file->cases[1].step_count, 2);
	assert_int_equal(f.file->cases[1].steps[0].times, 5);
	assert_int_equal(f.file->cases[1].steps[1].times, 1);
	assert_int_equal(f.file->cases[1].expect_state, PHASE_EMERGENCY);
	assert_int_equal(f.file->cases[2].kind, TEST_RUN);
	assert_string_equal(f.file->cases[2].run[2], "cat /h/x");
	assert_null(f.file->cases[2].run[3]);
	assert_int_equal(f.file->cases[2].expect_exit, 255);
}

static void the_profile_is_named_from_the_file(void **state)
{
	static const struct {
		const char *written, *found;
	} rows[] = {{"other.yaml", "%s/other.yaml"}, {"./sub/other.yaml", "%s/./sub/other.yaml"},
		{"/abs/p.yaml", "/abs/p.yaml"}, {"coding-agent", "coding-agent"}};
	autofixture struct fixture f = {0};

	(void)state;
	loading_init(&f.l);
	for (size_t i = 0; i < array_size(rows); i++) {
		autotext struct text text = {0}, found = {0};
		const char *place = strstr(rows[i].found, "%s");

		text_printf(&text, "profile: %s\ncases: [{do: read /a, expect: deny}]\n",
			rows[i].written);
		if (place)
			text_puts(&found, f.l.dir);
		text_puts(&found, place ? place + 2 : rows[i].found);
		assert_int_equal(read_file(&f, "t.yaml", text_string(&text)), 0);
		assert_string_equal(f.file->profile, text_string(&found));
	}
}

/* A typing error must never turn a test into one that cannot fail. */
static void what_is_not_understood_is_an_error(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{"", "a test file is a mapping"},
		{"[]", "a test file is a mapping"},
		{"profile: p\n", "`cases` is missing"},
		{"cases: []\n", "`cases` is empty"},
		{"cases:\n", "`cases` is empty"},
		{"case: []\n", "unknown key `case`; did you mean `cases`?"},
		{"cases: {do: x}\n", "`cases` wants a list"},
		{"cases: [x]\n", "`cases` wants mappings"},
		{"cases: [{name: x}]\n", "tests nothing"},
		{"cases: [{do: read /a}]\n", "a case has do and expect"},
		{"cases: [{expect: deny}]\n", "a case has do and expect"},
		{"cases: [{do: read /a, expect: deny, run: [x], expect_exit: 1}]\n",
			"a case has do and expect"},
		{"cases: [{do: read /a, expect: denied}]\n", "`expect` is one of deny, ask, allow"},
		{"cases: [{do: read /a, expect: pass}]\n", "`expect` is one of deny, ask, allow"},
		{"cases: [{do: read /a, expect: [deny]}]\n", "`expect` is one of"},
		{"cases: [{do: read a, expect: deny}]\n", "wants an absolute, plain path"},
		{"cases: [{do: reed /a, expect: deny}]\n", "did you mean `read`"},
		{"cases: [{do: \"read ${NONE}/a\", expect: deny}]\n", "NONE"},
		{"cases: [{do: read /a, expect: deny, extra: 1}]\n", "unknown key `cases[].extra`"},
		{"cases: [{do: read /a, do: read /b, expect: deny}]\n", "duplicate key"},
		{"cases: [{steps: [], expect_state: primary}]\n", "`steps` is empty"},
		{"cases: [{steps: [{times: 2}], expect_state: primary}]\n",
			"`steps[].do` is missing"},
		{"cases: [{steps: [{do: read /a, times: 0}], expect_state: primary}]\n",
			"`times` wants a whole number"},
		{"cases: [{steps: [{do: read /a}], expect_state: secondary}]\n",
			"`expect_state` is one of primary"},
		{"cases: [{run: [], expect_exit: 0}]\n", "`run` is empty"},
		{"cases: [{run: [x], expect_exit: 256}]\n", "`expect_exit` wants a whole number"},
		{"cases: [{run: [x], expect_exit: yes}]\n", "`expect_exit` wants a whole number"},
		{"vars: {HOMES: /x}\ncases: [{do: read /a, expect: deny}]\n",
			"did you mean `HOME`"},
		{"vars: {HOME: [x]}\ncases: [{do: read /a, expect: deny}]\n",
			"`vars.HOME` wants one value"},
	};
	autofixture struct fixture f = {0};

	(void)state;
	loading_init(&f.l);
	for (size_t i = 0; i < array_size(rows); i++) {
		int r = read_file(&f, "p.test.yaml", rows[i].text);

		if (r != -EINVAL || f.err.kind != ERROR_INPUT ||
			!strstr(text_string(&f.out), rows[i].said))
			fail_msg("%s: wanted \"%s\", got %d and\n%s", rows[i].text, rows[i].said, r,
				text_string(&f.out));
	}
	assert_int_equal(
		read_file(&f, "t.yaml", "cases: [{do: read /a, expect: deny}]\n"), -EINVAL);
	assert_non_null(strstr(text_string(&f.out), "`profile` is missing"));
}

static void a_file_that_others_can_write_is_not_read(void **state)
{
	autofixture struct fixture f = {0};
	char path[PATH_MAX];

	(void)state;
	loading_init(&f.l);
	assert_int_equal(read_file(&f, "p.test.yaml", "cases: [{do: read /a, expect: deny}]\n"), 0);
	snprintf(path, sizeof(path), "%s/p.test.yaml", f.l.dir);
	assert_int_equal(chmod(path, 0666), 0);
	test_file_destroy(f.file);
	f.file = NULL;
	assert_int_equal(
		test_file_load(path, getuid(), &f.l.request.variables, &f.file, &f.out, &f.err),
		-EPERM);
}

/* ---- what the model answers ---- */

static enum denial_class class_for_tests(const char *operation, const char *object)
{
	if (strcmp(operation, "syscall") == 0 && strcmp(object, "bpf") == 0)
		return DENIAL_ESCAPE;
	return strcmp(object, "personality") == 0 ? DENIAL_QUIET : DENIAL_COUNTED;
}

static const char profile_text[] =
	"version: 1\nname: p\n"
	"fs: {read: [/a], write: [/w], deny: [/a/no], canaries: [/a/bird]}\n"
	"syscalls: {deny: [personality]}\n"
	"pace:\n"
	"  alternate: {when: [{event: denial, count: 3, within: 1m}]}\n"
	"  contingency: {when: [{event: escape_attempt}]}\n"
	"  emergency: {when: [{event: canary_touched}]}\n";

static void answers_are_those_of_decide_and_of_pace(void **state)
{
	static const struct {
		const char *text;
		enum test_outcome outcome;
		const char *why;
	} rows[] = {
		{"do: read /a/x, expect: allow", TEST_PASSED, ""},
		{"do: read /a/no/x, expect: deny", TEST_PASSED, ""},
		{"do: read /a/no/x, expect: allow", TEST_FAILED,
			"expected allow, got deny by fs.deny /a/no (p.yaml:3)"},
		{"do: read /a/x, expect: ask", TEST_FAILED,
			"expected ask, got allow by fs.read /a (p.yaml:3)"},
		{"do: tool a.b, expect: deny", TEST_SKIPPED, "needs the tool proxy"},
		{"run: [x], expect_exit: 0", TEST_SKIPPED, "needs --live"},
		{"steps: [{do: read /a/no, times: 2}], expect_state: primary", TEST_PASSED, ""},
		{"steps: [{do: read /a/no, times: 3}], expect_state: alternate", TEST_PASSED, ""},
		{"steps: [{do: read /a/no, times: 2}, {do: write /a/x}], expect_state: alternate",
			TEST_PASSED, ""},
		/* What is not visible is refused by nobody. */
		{"steps: [{do: read /z, times: 9}], expect_state: primary", TEST_PASSED, ""},
		{"steps: [{do: write /z, times: 3}], expect_state: alternate", TEST_PASSED, ""},
		{"steps: [{do: read /a/x, times: 9}], expect_state: primary", TEST_PASSED, ""},
		{"steps: [{do: syscall personality, times: 9}], expect_state: primary", TEST_PASSED,
			""},
		{"steps: [{do: syscall bpf}], expect_state: contingency", TEST_PASSED, ""},
		{"steps: [{do: read /a/no, times: 9}, {do: read /a/bird}], expect_state: emergency",
			TEST_PASSED, ""},
		{"steps: [{do: read /a/no, times: 2}], expect_state: alternate", TEST_FAILED,
			"expected state alternate, got primary after 2 refusals, 0 of canaries and "
			"0 of escapes; it takes 3 refusals (p.yaml:6)"},
		{"steps: [{do: read /a/bird}], expect_state: primary", TEST_FAILED,
			"expected state primary, got emergency after 1 refusals, 1 of canaries and "
			"0 of escapes (p.yaml:8)"},
		{"steps: [{do: tool a.b}], expect_state: primary", TEST_SKIPPED,
			"needs the tool proxy"},
	};
	autofixture struct fixture f = {0};

	(void)state;
	loading_init(&f.l);
	loading_string(&f.l, "p.yaml", profile_text);
	assert_int_equal(loading_load(&f.l, "p"), 0);
	for (size_t i = 0; i < array_size(rows); i++) {
		autotext struct text text = {0}, why = {0}, plain = {0};
		enum test_outcome outcome;
		const char *dir;

		text_printf(&text, "cases: [{%s}]\n", rows[i].text);
		if (read_file(&f, "p.test.yaml", text_string(&text)) < 0)
			fail_msg("%s", text_string(&f.out));
		outcome = test_case_ask(f.l.profile, &f.file->cases[0], class_for_tests, &why);
		dir = strstr(text_string(&why), f.l.dir);
		text_append(&plain, text_string(&why),
			dir ? (size_t)(dir - why.data) : strlen(text_string(&why)));
		if (dir)
			text_puts(&plain, dir + strlen(f.l.dir) + 1);
		if (outcome != rows[i].outcome || strcmp(text_string(&plain), rows[i].why) != 0)
			fail_msg("%s: %s %s", rows[i].text, test_outcome_name(outcome),
				text_string(&plain));
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(cases_of_all_kinds_are_read),
		cmocka_unit_test(the_profile_is_named_from_the_file),
		cmocka_unit_test(what_is_not_understood_is_an_error),
		cmocka_unit_test(a_file_that_others_can_write_is_not_read),
		cmocka_unit_test(answers_are_those_of_decide_and_of_pace),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
