/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/test-report.h"

#include "base/json.h"
#include "cli/paint.h"

#include <string.h>

#define SHOWN_BYTES_MAX 400

static const enum paint paints[TEST_OUTCOME_COUNT] = {
	[TEST_PASSED] = PAINT_GOOD, [TEST_FAILED] = PAINT_BAD, [TEST_SKIPPED] = PAINT_WARN};

struct test_suite *test_report_add(struct test_report *report, const char *file, size_t count)
{
	struct test_suite *grown =
		reallocarray(report->suites, report->count + 1, sizeof(*report->suites));

	if (!grown)
		return NULL;
	report->suites = grown;
	grown[report->count] = (struct test_suite){.file = file,
		.results = calloc(count + 1, sizeof(struct test_result)),
		.count = count};
	if (!grown[report->count].results)
		return NULL;
	return &grown[report->count++];
}

void test_report_finish(struct test_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		for (size_t j = 0; j < report->suites[i].count; j++)
			text_finish(&report->suites[i].results[j].why);
		free(report->suites[i].results);
	}
	own_free(&report->suites);
	report->count = 0;
}

struct test_totals test_report_totals(const struct test_report *report)
{
	struct test_totals totals = {{0}};

	for (size_t i = 0; i < report->count; i++) {
		for (size_t j = 0; j < report->suites[i].count; j++)
			totals.of[report->suites[i].results[j].outcome]++;
	}
	return totals;
}

static void put(struct text *out, const char *words)
{
	text_escape(out, words, strlen(words), SHOWN_BYTES_MAX);
}

void test_report_name(const struct test_case *test, struct text *out)
{
	if (test->name) {
		put(out, test->name);
		return;
	}
	if (test->kind == TEST_RUN) {
		text_puts(out, "run");
		for (size_t i = 0; test->run[i]; i++) {
			text_puts(out, " ");
			put(out, test->run[i]);
		}
		return;
	}
	for (size_t i = 0; i < test->step_count; i++) {
		text_printf(out, "%s%s ", i ? ", " : "", test->steps[i].operation);
		put(out, test->steps[i].object);
		if (test->steps[i].times > 1)
			text_printf(out, " x%u", test->steps[i].times);
	}
}

static void put_line(const struct test_suite *suite, const struct test_result *result, bool colour,
	struct text *out)
{
	paint_word(out, colour, paints[result->outcome], test_outcome_name(result->outcome), 0);
	text_puts(out, " ");
	put(out, suite->file);
	text_puts(out, "  ");
	test_report_name(result->test, out);
	if (result->outcome != TEST_FAILED && result->why.length)
		text_printf(out, "  (%s)", text_string(&result->why));
	if (result->outcome == TEST_FAILED)
		text_printf(out, "\n     line %u: %s", result->test->at.line,
			text_string(&result->why));
	text_puts(out, "\n");
}

void test_report_lines(const struct test_report *report, bool fail_only, struct text *out)
{
	struct test_totals totals = test_report_totals(report);
	bool colour = paint_wanted(STDOUT_FILENO);

	for (size_t i = 0; i < report->count; i++) {
		const struct test_suite *suite = &report->suites[i];

		for (size_t j = 0; j < suite->count; j++) {
			if (!fail_only || suite->results[j].outcome == TEST_FAILED)
				put_line(suite, &suite->results[j], colour, out);
		}
	}
	text_printf(out, "%u passed, %u failed, %u skipped\n", totals.of[TEST_PASSED],
		totals.of[TEST_FAILED], totals.of[TEST_SKIPPED]);
}

static void put_result(struct json *j, const struct test_result *result)
{
	autotext struct text name = {0};

	test_report_name(result->test, &name);
	j->out->failed |= name.failed;
	json_object_begin(j, NULL);
	json_put_string(j, "outcome", test_outcome_name(result->outcome));
	json_put_string(j, "name", text_string(&name));
	json_put_u64(j, "line", result->test->at.line);
	json_put_string(j, "why", result->why.length ? text_string(&result->why) : NULL);
	json_object_end(j);
}

void test_report_json(const struct test_report *report, struct text *out)
{
	struct test_totals totals = test_report_totals(report);
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_u64(&j, "passed", totals.of[TEST_PASSED]);
	json_put_u64(&j, "failed", totals.of[TEST_FAILED]);
	json_put_u64(&j, "skipped", totals.of[TEST_SKIPPED]);
	json_array_begin(&j, "suites");
	for (size_t i = 0; i < report->count; i++) {
		json_object_begin(&j, NULL);
		json_put_string(&j, "file", report->suites[i].file);
		json_array_begin(&j, "cases");
		for (size_t k = 0; k < report->suites[i].count; k++)
			put_result(&j, &report->suites[i].results[k]);
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	text_puts(out, "\n");
}

/* Inside a double-quoted attribute (XML 1.0, section 2.4). Escaping for one line comes first: what
 * it leaves are characters that XML may hold. */
static void put_attribute(struct text *out, const char *name, const char *value)
{
	static const struct {
		char character;
		const char *entity;
	} rows[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};
	autotext struct text plain = {0};

	put(&plain, value);
	out->failed |= plain.failed;
	text_printf(out, " %s=\"", name);
	for (const char *c = text_string(&plain); *c; c++) {
		const char *entity = NULL;

		for (size_t i = 0; i < array_size(rows); i++) {
			if (rows[i].character == *c)
				entity = rows[i].entity;
		}
		if (entity)
			text_puts(out, entity);
		else
			text_append(out, c, 1);
	}
	text_puts(out, "\"");
}

static void put_testcase(
	const struct test_suite *suite, const struct test_result *result, struct text *out)
{
	static const char *const elements[TEST_OUTCOME_COUNT] = {
		[TEST_FAILED] = "failure", [TEST_SKIPPED] = "skipped"};
	autotext struct text name = {0};

	test_report_name(result->test, &name);
	out->failed |= name.failed;
	text_puts(out, "    <testcase");
	put_attribute(out, "classname", suite->file);
	put_attribute(out, "name", text_string(&name));
	text_printf(out, " line=\"%u\"", result->test->at.line);
	if (!elements[result->outcome]) {
		text_puts(out, "/>\n");
		return;
	}
	text_printf(out, ">\n      <%s", elements[result->outcome]);
	put_attribute(out, "message", text_string(&result->why));
	text_puts(out, "/>\n    </testcase>\n");
}

static void put_sums(const struct test_report *report, struct text *out)
{
	struct test_totals t = test_report_totals(report);

	text_printf(out, " tests=\"%u\" failures=\"%u\" skipped=\"%u\"",
		t.of[TEST_PASSED] + t.of[TEST_FAILED] + t.of[TEST_SKIPPED], t.of[TEST_FAILED],
		t.of[TEST_SKIPPED]);
}

void test_report_junit(const struct test_report *report, struct text *out)
{
	text_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"berm\"");
	put_sums(report, out);
	text_puts(out, ">\n");
	for (size_t i = 0; i < report->count; i++) {
		struct test_suite *suite = &report->suites[i];
		const struct test_report one = {.suites = suite, .count = 1};

		text_puts(out, "  <testsuite");
		put_attribute(out, "name", suite->file);
		put_sums(&one, out);
		text_puts(out, ">\n");
		for (size_t j = 0; j < suite->count; j++)
			put_testcase(suite, &suite->results[j], out);
		text_puts(out, "  </testsuite>\n");
	}
	text_puts(out, "</testsuites>\n");
}
