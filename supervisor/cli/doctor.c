/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/apply.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/host-features.h"
#include "cli/paint.h"
#include "cli/verb.h"
#include "daemon/network-file.h"

#include <string.h>

#define NAME_COLUMN 14
#define STATE_COLUMN 8
#define DETAIL_COLUMN (NAME_COLUMN + STATE_COLUMN)
#define LABEL_COLUMN 9
#define LINE_WIDTH 100
#define DETAIL_MAX 1024
#define REQUIRED_MAX 64

struct doctor_options {
	bool json;
	struct word_list require;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct doctor_options, json), NULL, NULL,
		"one JSON object instead of a table"},
	{"require", 0, OPTION_COMMA_WORDS, offsetof(struct doctor_options, require),
		"FEATURE[=LEVEL]", NULL,
		"exit 3 unless the host has it; repeatable (landlock=4, notify, cgroup=memory, "
		"kernel=6.1)"},
};

static const enum paint paints[FEATURE_STATE_COUNT] = {
	[FEATURE_NO] = PAINT_BAD,
	[FEATURE_WEAKER] = PAINT_WARN,
	[FEATURE_YES] = PAINT_GOOD,
};

struct report {
	const Berm__Wire__HostFacts *facts;
	struct finding *findings; /* by row of features */
	const char *missing[REQUIRED_MAX];
	size_t missing_count;
};

static int require_one(struct report *report, const char *word, struct error *err)
{
	size_t length = strcspn(word, "=");
	const struct feature *feature = feature_find(word, length);
	const char *wanted = word[length] == '=' ? word + length + 1 : NULL;
	const struct finding *finding;
	const char *names[REQUIRED_MAX], *near;
	bool met;

	if (!feature) {
		for (size_t i = 0; i < feature_count; i++)
			names[i] = features[i].name;
		near = text_nearest(word, names, feature_count);
		return error_set(err, -EINVAL, ERROR_INPUT, "no feature is called \"%.*s\"%s%s%s",
			(int)length, word, near ? "; did you mean \"" : "", near ? near : "",
			near ? "\"?" : "");
	}
	if (wanted && !feature->meets)
		return error_set(
			err, -EINVAL, ERROR_INPUT, "the feature %s has no levels", feature->name);
	finding = &report->findings[feature - features];
	met = wanted ? feature->meets(report->facts, finding, wanted, err)
		     : finding->state == FEATURE_YES;
	if (err->code)
		return err->code;
	if (!met && report->missing_count < REQUIRED_MAX)
		report->missing[report->missing_count++] = word;
	return 0;
}

static const char *costs_of(size_t feature, const struct finding *finding)
{
	return finding->costs ? finding->costs : features[feature].costs;
}

static const char *how_of(size_t feature, const struct finding *finding)
{
	return finding->how ? finding->how : features[feature].how;
}

static void print_json(const struct report *report, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "berm", BERM_VERSION);
	json_put_string(&j, "kernel", report->facts->kernel_release);
	json_put_bool(&j, "privileged", report->facts->privileged);
	json_array_begin(&j, "features");
	for (size_t i = 0; i < feature_count; i++) {
		const struct finding *finding = &report->findings[i];

		json_object_begin(&j, NULL);
		json_put_string(&j, "name", features[i].name);
		json_put_string(&j, "state", feature_state_word(finding->state));
		if (finding->level)
			json_put_u64(&j, "level", finding->level);
		json_put_string(&j, "detail", text_string(&finding->detail));
		json_put_string(&j, "gives", features[i].gives);
		if (finding->state != FEATURE_YES) {
			json_put_string(&j, "costs", costs_of(i, finding));
			json_put_string(&j, "how", how_of(i, finding));
		}
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array_begin(&j, "missing");
	for (size_t i = 0; i < report->missing_count; i++)
		json_put_string(&j, NULL, report->missing[i]);
	json_array_end(&j);
	json_object_end(&j);
	text_puts(out, "\n");
}

/* Append words in lines of at most LINE_WIDTH columns, each new line indented; the first starts at
 * column. */
static void put_wrapped(struct text *out, const char *words, unsigned indent)
{
	unsigned column = indent;

	while (*words) {
		size_t length = strcspn(words, " ");

		if (column > indent && column + 1 + length > LINE_WIDTH) {
			text_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			text_puts(out, " ");
			column++;
		}
		text_append(out, words, length);
		column += (unsigned)length;
		words += length;
		words += strspn(words, " ");
	}
	text_puts(out, "\n");
}

static void put_labelled(struct text *out, const char *label, const char *words)
{
	text_printf(out, "%*s%-*s", DETAIL_COLUMN, "", LABEL_COLUMN, label);
	put_wrapped(out, words, DETAIL_COLUMN + LABEL_COLUMN);
}

static void print_table(const struct report *report, struct text *out)
{
	bool paint = paint_wanted(STDOUT_FILENO);

	text_printf(out, "berm %s on Linux %s, %s\n\n", BERM_VERSION, report->facts->kernel_release,
		report->facts->privileged ? "as root" : "without privilege");
	for (size_t i = 0; i < feature_count; i++) {
		const struct finding *finding = &report->findings[i];
		autotext struct text detail = {0};

		text_escape(
			&detail, text_string(&finding->detail), finding->detail.length, DETAIL_MAX);
		paint_word(out, false, PAINT_PLAIN, features[i].name, NAME_COLUMN);
		paint_word(out, paint, paints[finding->state], feature_state_word(finding->state),
			STATE_COLUMN);
		put_wrapped(out, text_string(&detail), DETAIL_COLUMN);
		put_labelled(out, "for:", features[i].gives);
		if (finding->state == FEATURE_YES)
			continue;
		put_labelled(out, "costs:", costs_of(i, finding));
		put_labelled(out, "get it:", how_of(i, finding));
	}
	text_puts(out, "\n\"weaker\" works, but holds less than the feature itself.\n");
}

static int report_all(
	const struct verb *verb, const struct doctor_options *options, struct report *report)
{
	autotext struct text out = {0};
	struct error err = {0};
	int code = CLI_GOOD;

	for (size_t i = 0; i < feature_count; i++)
		features[i].look(report->facts, &report->findings[i]);
	for (size_t i = 0; i < options->require.count; i++)
		if (require_one(report, options->require.items[i], &err) < 0)
			return verb_misused(verb, "--require: %s", err.text);
	if (options->json)
		print_json(report, &out);
	else
		print_table(report, &out);
	code = verb_print(&out, report->missing_count ? CLI_HOST_CANNOT : CLI_GOOD);
	for (size_t i = 0; i < report->missing_count; i++)
		log_line("doctor: this host does not have %s", report->missing[i]);
	return code;
}

static int doctor(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct facts_request request = {.thorough = true};
	autotext struct text diagnostics = {0};
	struct report report = {0};
	Berm__Wire__HostFacts *facts = NULL;
	struct error err = {0};
	int code;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (facts_gather(&request, &facts, &err) < 0)
		return verb_failed(verb, &err);
	if (facts->privileged && network_file_read(NETWORK_FILE, facts, &diagnostics, &err) < 0) {
		(void)!io_write_all(STDERR_FILENO, text_string(&diagnostics), diagnostics.length);
		berm__wire__host_facts__free_unpacked(facts, NULL);
		return verb_failed(verb, &err);
	}
	report.facts = facts;
	report.findings = calloc(feature_count, sizeof(*report.findings));
	code = report.findings ? report_all(verb, values, &report) : CLI_HOST_CANNOT;
	for (size_t i = 0; report.findings && i < feature_count; i++)
		text_finish(&report.findings[i].detail);
	free(report.findings);
	berm__wire__host_facts__free_unpacked(facts, NULL);
	return code;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.summary = "Tell what this host can enforce",
	.usage = "[--json] [--require FEATURE[=LEVEL]]...",
	.details =
		"Each feature is tried in a child process, not looked up. For what is missing or "
		"weaker it is said\n"
		"what that costs and how to get it. Nothing is changed on the host.\n"
		"Exit: 0 all that --require names is there, 3 something is missing, 2 bad words.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct doctor_options)},
	.function = doctor,
};
