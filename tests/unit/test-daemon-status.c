/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/status.h"

#include <jansson.h>
#include <string.h>

static Berm__Wire__Rule rules[] = {
	{.base = PROTOBUF_C_MESSAGE_INIT(&berm__wire__rule__descriptor),
		.key = "berm",
		.value = "",
		.file = "",
		.enforced_by = "seccomp",
		.reason = ""},
	{.base = PROTOBUF_C_MESSAGE_INIT(&berm__wire__rule__descriptor),
		.key = "fs.read",
		.value = "/usr",
		.file = "p.yaml",
		.line = 3,
		.enforced_by = "mount+landlock",
		.reason = ""},
	{.base = PROTOBUF_C_MESSAGE_INIT(&berm__wire__rule__descriptor),
		.key = "fs.read",
		.value = "/lib",
		.file = "p.yaml",
		.line = 4,
		.enforced_by = "mount+landlock",
		.reason = ""},
	{.base = PROTOBUF_C_MESSAGE_INIT(&berm__wire__rule__descriptor),
		.key = "fs.read",
		.value = "/x",
		.file = "p.yaml",
		.line = 5,
		.enforced_by = "mount (weaker)",
		.reason = ""},
	{.base = PROTOBUF_C_MESSAGE_INIT(&berm__wire__rule__descriptor),
		.key = "env.pass",
		.value = "A",
		.file = "p.yaml",
		.line = 6,
		.enforced_by = "",
		.reason = ""},
};
static Berm__Wire__Rule *rule_list[] = {&rules[0], &rules[1], &rules[2], &rules[3], &rules[4]};
static char degraded_word[] = "netns";
static char *degraded_list[] = {degraded_word};

static Berm__Wire__Plan make_plan(void)
{
	Berm__Wire__Plan plan;

	berm__wire__plan__init(&plan);
	plan.rules = rule_list;
	plan.n_rules = array_size(rule_list);
	plan.degraded = degraded_list;
	plan.n_degraded = 1;
	return plan;
}

static const struct denial_rule by_default = {.key = "berm", .file = ""};
static const struct denial_rule by_line = {
	.key = "syscalls.deny", .value = "bpf", .file = "p.yaml", .line = 12, .reason = "no need"};

static json_t *record_of(const struct status *status)
{
	autotext struct text out = {0};
	json_error_t problem;
	json_t *record;

	status_record(status, &out);
	assert_false(out.failed);
	/* One line: what reads it may be a shell. */
	assert_ptr_equal(strchr(text_string(&out), '\n'), out.data + out.length - 1);
	record = json_loads(text_string(&out), JSON_REJECT_DUPLICATES, &problem);
	if (!record)
		fail_msg("%s in %s", problem.text, text_string(&out));
	return record;
}

static const char *word(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "(none)";
}

static void a_good_run_has_every_field(void **state)
{
	static const char *const keys[] = {"version", "run", "agent", "outcome", "code", "signal",
		"posture", "enforcement", "denials", "counters", "duration_ms", "plan_digest"};
	Berm__Wire__Plan plan = make_plan();
	uint8_t digest[PLAN_DIGEST_BYTES] = {0xab, 0x01};
	struct denials denials = {0};
	const struct status status = {.run_id = "01R",
		.outcome = RUN_EXITED,
		.code = 3,
		.plan = &plan,
		.plan_digest = digest,
		.denials = &denials,
		.duration_ms = 7};
	json_t *record = record_of(&status), *enforcement = json_object_get(record, "enforcement");

	(void)state;
	for (size_t i = 0; i < array_size(keys); i++)
		assert_non_null(json_object_get(record, keys[i]));
	assert_int_equal(json_integer_value(json_object_get(record, "version")), 1);
	assert_string_equal(word(record, "run"), "01R");
	assert_string_equal(word(record, "outcome"), "exited");
	assert_int_equal(json_integer_value(json_object_get(record, "code")), 3);
	assert_true(json_is_null(json_object_get(record, "signal")));
	assert_true(json_is_null(json_object_get(record, "agent")));
	assert_string_equal(word(record, "posture"), "open");
	assert_int_equal(json_integer_value(json_object_get(record, "duration_ms")), 7);
	assert_memory_equal(word(record, "plan_digest"), "ab0100", 6);
	assert_int_equal(strlen(word(record, "plan_digest")), 64);
	assert_string_equal(word(enforcement, "fs.read"), "mount+landlock, mount (weaker)");
	assert_string_equal(word(enforcement, "berm"), "seccomp");
	assert_null(json_object_get(enforcement, "env.pass"));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(record, "degraded"), 0)), "netns");
	assert_null(json_object_get(record, "error"));
	json_decref(record);
}

static void a_run_that_did_not_start_says_why(void **state)
{
	struct denials denials = {0};
	const struct status status = {.run_id = "01R",
		.outcome = RUN_SETUP_FAILED,
		.code = 125,
		.error = "feature \"netns\" is missing\n\033[31m",
		.denials = &denials};
	json_t *record = record_of(&status);

	(void)state;
	assert_string_equal(word(record, "outcome"), "setup_failed");
	assert_string_equal(word(record, "error"), "feature \"netns\" is missing\n\033[31m");
	assert_true(json_is_null(json_object_get(record, "plan_digest")));
	assert_int_equal(json_object_size(json_object_get(record, "enforcement")), 0);
	json_decref(record);
}

static void denials_carry_rule_line_and_count(void **state)
{
	struct denials denials = {0};
	const struct status status = {.run_id = "01R", .outcome = RUN_EXITED, .denials = &denials};
	json_t *record, *first, *second;

	(void)state;
	denials_add(&denials, "syscall", "bpf", &by_line);
	denials_add(&denials, "syscall", "bpf", &by_line);
	denials_add(&denials, "read", "/a\xff\n\"\\", &by_default);
	record = record_of(&status);
	assert_int_equal(json_array_size(json_object_get(record, "denials")), 2);
	first = json_array_get(json_object_get(record, "denials"), 0);
	second = json_array_get(json_object_get(record, "denials"), 1);
	assert_string_equal(word(first, "id"), "01R.1");
	assert_string_equal(word(first, "op"), "syscall");
	assert_string_equal(word(first, "target"), "bpf");
	assert_string_equal(word(first, "rule"), "syscalls.deny");
	assert_string_equal(word(first, "file"), "p.yaml");
	assert_int_equal(json_integer_value(json_object_get(first, "line")), 12);
	assert_int_equal(json_integer_value(json_object_get(first, "count")), 2);
	assert_string_equal(word(second, "target"), "/a\xef\xbf\xbd\n\"\\");
	assert_int_equal(json_integer_value(json_object_get(record, "denials_total")), 3);
	json_decref(record);
	denials_finish(&denials);
}

static void every_outcome_has_a_word(void **state)
{
	(void)state;
	for (enum run_outcome i = 0; i < RUN_OUTCOME_COUNT; i++) {
		assert_non_null(status_outcome_word(i));
		for (enum run_outcome k = 0; k < i; k++)
			assert_string_not_equal(status_outcome_word(i), status_outcome_word(k));
	}
}

static void nothing_refused_means_no_footer(void **state)
{
	struct denials denials = {0};
	const struct status status = {.run_id = "01R", .denials = &denials};
	autotext struct text out = {0};

	(void)state;
	status_footer(&status, &out);
	assert_int_equal(out.length, 0);
}

static void the_footer_names_rule_and_line(void **state)
{
	struct denials denials = {0};
	const struct status status = {.run_id = "01R", .denials = &denials};
	autotext struct text out = {0};

	(void)state;
	denials_add(&denials, "syscall", "bpf", &by_line);
	denials_add(&denials, "syscall", "bpf", &by_line);
	status_footer(&status, &out);
	assert_string_equal(text_string(&out),
		"berm: 2 operations were refused (run 01R):\n"
		"berm:   denied 2x syscall bpf\n"
		"berm:     by syscalls.deny bpf (p.yaml:12): no need\n");
	denials_finish(&denials);
}

/* What a tool tried is its own choice of bytes: it must not be able to forge a line or steer the
 * terminal. */
static void a_tool_cannot_write_into_the_footer(void **state)
{
	struct denials denials = {0};
	const struct status status = {.run_id = "01R", .denials = &denials};
	autotext struct text out = {0};
	char long_name[DENIAL_TARGET_MAX + 1];

	(void)state;
	denials_add(&denials, "read", "/x\nberm: all is well\033[2K\r\xe2\x80\xae", &by_default);
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	denials_add(&denials, "read", long_name, &by_default);
	status_footer(&status, &out);
	assert_null(strchr(text_string(&out), '\033'));
	assert_null(strchr(text_string(&out), '\r'));
	assert_null(strstr(text_string(&out), "\xe2\x80\xae"));
	assert_non_null(
		strstr(text_string(&out), "read /x\\x0aberm: all is well\\x1b[2K\\x0d\\u{202e}\n"));
	for (const char *line = text_string(&out); *line; line = strchr(line, '\n') + 1) {
		assert_memory_equal(line, "berm: ", 6);
		assert_true(strcspn(line, "\n") < 300);
	}
	denials_finish(&denials);
}

static void a_long_footer_is_cut_and_says_so(void **state)
{
	struct denials denials = {0};
	const struct status status = {.run_id = "01R", .denials = &denials};
	autotext struct text out = {0};
	char name[16];
	unsigned lines = 0;

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		denials_add(&denials, "read", name, &by_default);
	}
	status_footer(&status, &out);
	for (const char *at = text_string(&out); *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 1 + 2 * 10 + 1);
	assert_non_null(strstr(text_string(&out), "and more"));
	denials_finish(&denials);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_good_run_has_every_field),
		cmocka_unit_test(a_run_that_did_not_start_says_why),
		cmocka_unit_test(denials_carry_rule_line_and_count),
		cmocka_unit_test(every_outcome_has_a_word),
		cmocka_unit_test(nothing_refused_means_no_footer),
		cmocka_unit_test(the_footer_names_rule_and_line),
		cmocka_unit_test(a_tool_cannot_write_into_the_footer),
		cmocka_unit_test(a_long_footer_is_cut_and_says_so),
	};

	return cmocka_run_group_tests_name("daemon-status", list, NULL, NULL);
}
