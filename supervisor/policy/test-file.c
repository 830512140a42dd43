/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/test-file.h"

#include "base/number.h"
#include "policy/document.h"
#include "policy/read.h"
#include "policy/trust.h"

#include <inttypes.h>
#include <string.h>

/* What test_file_destroy() frees: the file is its first member. */
struct loaded_file {
	struct test_file file;
	struct arena arena;
};

struct suite {
	struct loaded_file *loaded;
	struct diagnostics d;
	struct reader reader;
	struct profile_request request; /* carries the variables */
};

static const char *const top_keys[] = {"profile", "vars", "cases"};
static const char *const case_keys[] = {
	"name", "do", "expect", "steps", "expect_state", "run", "expect_exit"};
static const char *const step_keys[] = {"do", "times"};

/* Report keys that are not in the list. where: before the key, "cases[]." or "". */
static void check_keys(struct suite *s, const struct node *mapping, const char *where,
	const char *const *keys, size_t count)
{
	for (const struct node *entry = mapping->first; entry; entry = entry->next) {
		const char *nearest;
		size_t i = 0;

		while (i < count && strcmp(keys[i], entry->key) != 0)
			i++;
		if (i < count)
			continue;
		nearest = text_nearest(entry->key, keys, count);
		diagnostics_report(&s->d, CODE_UNKNOWN_KEY, entry->key_at,
			"unknown key `%s%s`%s%s%s", where, entry->key,
			nearest ? "; did you mean `" : "", nearest ? nearest : "",
			nearest ? "`?" : "");
	}
}
#define CHECK_KEYS(s, mapping, where, keys) check_keys(s, mapping, where, keys, array_size(keys))

/* A list that is not empty, or reported. */
static bool is_list(struct suite *s, const struct node *node, const char *key)
{
	if (node->kind == NODE_LIST && node->count > 0)
		return true;
	if (node->kind == NODE_LIST || node_is_null(node))
		diagnostics_report(&s->d, CODE_EMPTY, node->at, "`%s` is empty", key);
	else
		diagnostics_report(&s->d, CODE_WRONG_TYPE, node->at, "`%s` wants a list", key);
	return false;
}

static bool is_mapping(struct suite *s, const struct node *node, const char *key)
{
	if (node->kind == NODE_MAPPING)
		return true;
	diagnostics_report(&s->d, CODE_WRONG_TYPE, node->at, "`%s` wants mappings", key);
	return false;
}

/* The index of a word, or -1 and reported with the words. */
static int word_of(struct suite *s, const struct node *node, const char *key,
	const char *const *words, size_t count)
{
	autotext struct text all = {0};

	for (size_t i = 0; i < count; i++) {
		if (node->kind == NODE_SCALAR && strcmp(words[i], node->text) == 0)
			return (int)i;
		text_printf(&all, "%s%s", i ? ", " : "", words[i]);
	}
	diagnostics_report(
		&s->d, CODE_UNKNOWN_WORD, node->at, "`%s` is one of %s", key, text_string(&all));
	return -1;
}

/* A whole number from least to most; least and reported where it is none. */
static uint64_t number_of(
	struct suite *s, const struct node *node, const char *key, uint64_t least, uint64_t most)
{
	uint64_t number;

	if (node->kind == NODE_SCALAR && number_parse_u64(node->text, &number) && number >= least &&
		number <= most)
		return number;
	diagnostics_report(&s->d, CODE_NUMBER, node->at,
		"`%s` wants a whole number from %" PRIu64 " to %" PRIu64, key, least, most);
	return least;
}

static void read_variables(struct suite *s, const struct node *mapping)
{
	struct profile_variables *v = &s->request.variables;
	static const char *const names[] = {"HOME", "WORKDIR", "TMPDIR", "STATE", "RUN_ID", "UID"};
	const char **places[] = {&v->home, &v->workdir, &v->tmpdir, &v->state, &v->run_id, &v->uid};

	if (!is_mapping(s, mapping, "vars"))
		return;
	CHECK_KEYS(s, mapping, "vars.", names);
	for (size_t i = 0; i < array_size(names); i++) {
		const struct node *entry = node_get(mapping, names[i]);

		if (!entry)
			continue;
		if (entry->kind != NODE_SCALAR || !*entry->text)
			diagnostics_report(&s->d, CODE_WRONG_TYPE, entry->at,
				"`vars.%s` wants one value", names[i]);
		else
			*places[i] = entry->text;
		s->loaded->file.own_variables = true;
	}
}

static bool read_step(struct suite *s, const struct node *node, struct test_step *ret_step)
{
	struct test_rule rule = {.operation = value_string(&s->reader, node, CONTENT_TEST)};

	if (!rule.operation || !read_test_line(&s->reader, node, &rule))
		return false;
	ret_step->operation = rule.operation;
	ret_step->object = rule.object;
	ret_step->times = 1;
	return true;
}

static void read_steps(struct suite *s, const struct node *list, struct test_case *test)
{
	struct test_step *steps;

	if (!is_list(s, list, "steps"))
		return;
	steps = reader_alloc(&s->reader, list->count * sizeof(*steps));
	if (!steps)
		return;
	test->steps = steps;
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		const struct node *times, *what;

		if (!is_mapping(s, entry, "steps"))
			continue;
		CHECK_KEYS(s, entry, "steps[].", step_keys);
		what = node_get(entry, "do");
		times = node_get(entry, "times");
		if (!what)
			diagnostics_report(
				&s->d, CODE_MISSING_KEY, entry->at, "`steps[].do` is missing");
		else if (read_step(s, what, &steps[test->step_count]) && times)
			steps[test->step_count].times =
				(unsigned)number_of(s, times, "times", 1, TEST_TIMES_MAX);
		test->step_count += what != NULL;
	}
}

static void read_run(struct suite *s, const struct node *list, struct test_case *test)
{
	const char **words;
	size_t count = 0;

	if (!is_list(s, list, "run"))
		return;
	words = reader_alloc(&s->reader, (list->count + 1) * sizeof(*words));
	if (!words)
		return;
	test->run = words;
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		const char *word = value_string(&s->reader, entry, CONTENT_VALUE);

		if (word)
			words[count++] = word;
	}
}

/* What makes a case of its kind: the key that says what is done and the one that says what must
 * come out. */
static const struct {
	const char *deed, *expect;
} kinds[TEST_KIND_COUNT] = {
	[TEST_DECISION] = {"do", "expect"},
	[TEST_STATE] = {"steps", "expect_state"},
	[TEST_RUN] = {"run", "expect_exit"},
};

/* The kind of the case; TEST_KIND_COUNT and reported where it is none, or two. */
static enum test_kind kind_of(struct suite *s, const struct node *node)
{
	enum test_kind kind = TEST_KIND_COUNT;

	for (enum test_kind i = 0; i < TEST_KIND_COUNT; i++) {
		bool deed = node_get(node, kinds[i].deed), expect = node_get(node, kinds[i].expect);

		if (!deed && !expect)
			continue;
		if (deed != expect || kind != TEST_KIND_COUNT) {
			diagnostics_report(&s->d, CODE_ONE_OF, node->at,
				"a case has do and expect, or steps and expect_state, or run and "
				"expect_exit");
			return TEST_KIND_COUNT;
		}
		kind = i;
	}
	if (kind == TEST_KIND_COUNT)
		diagnostics_report(&s->d, CODE_MISSING_KEY, node->at,
			"a case without `do`, `steps` or `run` tests nothing");
	return kind;
}

static void read_decision(struct suite *s, const struct node *node, struct test_case *test)
{
	static const char *const words[] = {"deny", "ask", "allow"};
	struct test_step *step = reader_alloc(&s->reader, sizeof(*step));
	int expect = word_of(s, node_get(node, "expect"), "expect", words, array_size(words));

	if (!step || expect < 0 || !read_step(s, node_get(node, "do"), step))
		return;
	test->expect = (enum decision)expect;
	test->steps = step;
	test->step_count = 1;
}

static void read_state(struct suite *s, const struct node *node, struct test_case *test)
{
	const char *words[PHASE_COUNT];
	int state;

	for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
		words[phase] = test_state_name(phase);
	state = word_of(s, node_get(node, "expect_state"), "expect_state", words, PHASE_COUNT);
	read_steps(s, node_get(node, "steps"), test);
	if (state >= 0)
		test->expect_state = (enum phase)state;
}

static void read_case(struct suite *s, const struct node *node, struct test_case *test)
{
	const struct node *name;

	test->at = node->at;
	if (!is_mapping(s, node, "cases"))
		return;
	CHECK_KEYS(s, node, "cases[].", case_keys);
	name = node_get(node, "name");
	if (name)
		test->name = value_string(&s->reader, name, CONTENT_LINE);
	test->kind = kind_of(s, node);
	switch (test->kind) {
	case TEST_DECISION:
		read_decision(s, node, test);
		break;
	case TEST_STATE:
		read_state(s, node, test);
		break;
	case TEST_RUN:
		read_run(s, node_get(node, "run"), test);
		test->expect_exit =
			(int)number_of(s, node_get(node, "expect_exit"), "expect_exit", 0, 255);
		break;
	case TEST_KIND_COUNT:
		break;
	}
}

static void read_cases(struct suite *s, const struct node *list)
{
	struct test_case *cases;

	if (!is_list(s, list, "cases"))
		return;
	cases = reader_alloc(&s->reader, list->count * sizeof(*cases));
	s->loaded->file.cases = cases;
	for (const struct node *entry = list->first; cases && entry; entry = entry->next)
		read_case(s, entry, &cases[s->loaded->file.count++]);
}

/* A path goes from the directory of the test file; a name is looked up. Nothing written: the file
 * of the same name. */
static void find_profile(struct suite *s, const struct source_file *file, const struct node *node)
{
	const char *slash = strrchr(file->name, '/'), *written;
	int directory = slash ? (int)(slash - file->name + 1) : 0;
	size_t length = strlen(file->name), suffix = strlen(TEST_FILE_SUFFIX);
	autotext struct text path = {0};

	if (node) {
		written = value_string(&s->reader, node, CONTENT_LINE);
		if (!written)
			return;
		if (written[0] == '/' || (!strchr(written, '/') && !strstr(written, ".yaml")))
			text_puts(&path, written);
		else
			text_printf(&path, "%.*s%s", directory, file->name, written);
	} else if (length > suffix && strcmp(file->name + length - suffix, TEST_FILE_SUFFIX) == 0) {
		text_printf(&path, "%.*s.yaml", (int)(length - suffix), file->name);
	} else {
		diagnostics_report(&s->d, CODE_MISSING_KEY, (struct source){file->name, 1, 1},
			"`profile` is missing; write `profile: NAME.yaml`");
	}
	s->loaded->file.profile = reader_copy(&s->reader, text_string(&path));
}

static int read_suite(struct suite *s, const struct source_file *file)
{
	const struct node *vars, *cases;
	struct node *root = NULL;
	int r = document_parse(&s->loaded->arena, &s->d, file, &root);

	if (r < 0)
		return r;
	if (!root || root->kind != NODE_MAPPING) {
		diagnostics_report(&s->d, CODE_WRONG_TYPE, (struct source){file->name, 1, 1},
			"a test file is a mapping of keys: `profile: …`, `cases: …`");
		return 0;
	}
	CHECK_KEYS(s, root, "", top_keys);
	vars = node_get(root, "vars");
	if (vars)
		read_variables(s, vars);
	find_profile(s, file, node_get(root, "profile"));
	cases = node_get(root, "cases");
	if (cases)
		read_cases(s, cases);
	else
		diagnostics_report(&s->d, CODE_MISSING_KEY, root->at,
			"`cases` is missing: a test file without cases tests nothing");
	s->loaded->file.variables = s->request.variables;
	return s->reader.no_memory ? -ENOMEM : 0;
}

int test_file_load(const char *path, uid_t trusted_uid, const struct profile_variables *defaults,
	struct test_file **ret_file, struct text *diagnostics, struct error *err)
{
	struct suite s = {.loaded = calloc(1, sizeof(*s.loaded)),
		.d.out = diagnostics,
		.request.variables = *defaults};
	struct source_file *file;
	bool linked;
	int r;

	if (!s.loaded)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	s.reader = (struct reader){.arena = &s.loaded->arena, .d = &s.d, .request = &s.request};
	s.reader.trail[s.reader.depth++] = "cases[]";
	r = trust_read(&s.loaded->arena, path, trusted_uid, &file, &linked, err);
	if (r == 0) {
		s.d.files = file;
		r = read_suite(&s, file);
		if (r == -ENOMEM)
			r = error_set(err, r, ERROR_INTERNAL, "out of memory");
		else if (r < 0 || s.d.errors)
			r = error_set(err, -EINVAL, ERROR_INPUT, "%s: %u error%s", path, s.d.errors,
				s.d.errors == 1 ? "" : "s");
	} else {
		err->kind = ERROR_INPUT;
	}
	if (r < 0)
		test_file_destroy(&s.loaded->file);
	else
		*ret_file = &s.loaded->file;
	return r;
}

void test_file_destroy(struct test_file *file)
{
	struct loaded_file *loaded = (struct loaded_file *)file;

	if (!loaded)
		return;
	arena_finish(&loaded->arena);
	free(loaded);
}
