/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record-sample.h"
#include "record/line.h"
#include "wire/effects.h"

/* No byte that a terminal obeys, no character that hides how a line is read. */
static void is_safe(const struct text *words)
{
	assert_false(words->failed);
	for (size_t i = 0; i < words->length; i++)
		if ((unsigned char)words->data[i] < ' ' || words->data[i] == 0x7f)
			fail_msg("byte %zu of %s", i, words->data);
	if (words->data)
		assert_null(strstr(words->data, "\xe2\x80\xae"));
}

static void every_kind_of_record_has_words(void **state)
{
	const ProtobufCBinaryData target = BYTES(hostile);
	const char *kinds[64] = {NULL};
	size_t count = 0;
	struct sample s;

	(void)state;
	FOR_EACH(s, target)
	{
		struct line line;
		bool seen = false;

		line_fill(&line, &s.record);
		assert_non_null(line.verdict);
		assert_non_null(line.area);
		assert_true(strlen(line.verdict) <= 5 && strlen(line.area) <= 4);
		assert_string_not_equal(line_kind(&s.record), "unknown");
		for (size_t i = 0; i < count; i++)
			seen = seen || strcmp(kinds[i], line_kind(&s.record)) == 0;
		if (!seen)
			kinds[count++] = line_kind(&s.record);
		line_finish(&line);
	}
	/* As many as there are bodies. */
	for (size_t i = 0; i < count; i++)
		assert_non_null(body_field((unsigned)i));
	assert_null(body_field((unsigned)count));
}

static void words_of_a_tool_are_safe_and_bounded(void **state)
{
	static char large[70000];
	const ProtobufCBinaryData targets[] = {
		BYTES(hostile), {.len = sizeof(large), .data = (uint8_t *)large}};
	struct sample s;

	(void)state;
	memset(large, 0x1b, sizeof(large));
	for (size_t t = 0; t < array_size(targets); t++) {
		FOR_EACH(s, targets[t])
		{
			autotext struct text out = {0};
			struct json j = {.out = &out};
			struct line line;

			line_fill(&line, &s.record);
			is_safe(&line.operation);
			is_safe(&line.object);
			is_safe(&line.program);
			is_safe(&line.rule);
			is_safe(&line.more);
			assert_true(line.operation.length < 64 && line.more.length < 200);
			assert_true(line.object.length < 2 * LINE_OBJECT_BYTES_MAX + 64);
			line_finish(&line);
			json_object_begin(&j, NULL);
			line_json(&j, &s.record, &place);
			json_object_end(&j);
			text_puts(&out, "\n");
			assert_false(out.failed);
			one_line(out.data);
			json_decref(parse(out.data));
		}
	}
}

static json_t *json_of(const Berm__Wire__Record *record)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};

	json_object_begin(&j, NULL);
	line_json(&j, record, NULL);
	json_object_end(&j);
	return parse(text_string(&out));
}

static void what_is_not_known_is_null(void **state)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	json_t *told = json_of(&record);
	const char *const nulls[] = {"detail", "run", "agent", "group", "target", "rule", "file",
		"line", "by", "id", "program", "pid", "previous_entry_hash", "entry_hash"};

	(void)state;
	for (size_t i = 0; i < array_size(nulls); i++)
		if (!json_is_null(json_object_get(told, nulls[i])))
			fail_msg("%s is not null", nulls[i]);
	assert_string_equal(string(told, "kind"), "unknown");
	json_decref(told);
}

static void times_before_1970_are_right(void **state)
{
	static const struct {
		int64_t ns;
		const char *words;
	} rows[] = {{0, "1970-01-01T00:00:00.000000000Z"}, {-1, "1969-12-31T23:59:59.999999999Z"},
		{1795378443118000001, "2026-11-22T20:14:03.118000001Z"},
		{INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
		{INT64_MAX, "2262-04-11T23:47:16.854775807Z"}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
		json_t *told;

		record.timestamp = rows[i].ns;
		told = json_of(&record);
		assert_string_equal(string(told, "time"), rows[i].words);
		json_decref(told);
	}
}

static void numbers_that_nothing_has_are_no_crash(void **state)
{
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;
	Berm__Wire__PhaseChange phase = BERM__WIRE__PHASE_CHANGE__INIT;
	Berm__Wire__Trouble trouble = BERM__WIRE__TROUBLE__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	struct line line;

	(void)state;
	trip.counter = trip.posture = UINT32_MAX;
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	line_fill(&line, &record);
	assert_string_equal(text_string(&line.operation), "?");
	assert_string_equal(text_string(&line.more), "-> ?");
	line_finish(&line);
	phase.before = phase.after = UINT32_MAX;
	record.body_case = BERM__WIRE__RECORD__BODY_PHASE_CHANGE;
	record.phase_change = &phase;
	line_fill(&line, &record);
	assert_string_equal(text_string(&line.object), "? -> ?");
	line_finish(&line);
	trouble.error = 99999;
	record.body_case = BERM__WIRE__RECORD__BODY_TROUBLE;
	record.trouble = &trouble;
	line_fill(&line, &record);
	assert_string_equal(text_string(&line.object), "errno 99999");
	line_finish(&line);
}

static void a_start_says_whose_run_it_is(void **state)
{
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;
	Berm__Wire__DecisionChain chain = BERM__WIRE__DECISION_CHAIN__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	struct line line;

	(void)state;
	start.profile = (char *)(uintptr_t) "coding";
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	record.chain = &chain;
	line_fill(&line, &record);
	assert_string_equal(text_string(&line.operation), "coding");
	line_finish(&line);
	chain.agent_nhi = (char *)(uintptr_t) "researcher";
	line_fill(&line, &record);
	assert_string_equal(text_string(&line.operation), "researcher");
	line_finish(&line);
}

static void every_source_of_a_loss_has_words(void **state)
{
	const ProtobufCEnumDescriptor *type = &berm__wire__loss_source__descriptor;

	(void)state;
	for (unsigned i = 0; i < type->n_values; i++)
		assert_string_not_equal(
			line_loss_source((Berm__Wire__LossSource)type->values[i].value), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_source_of_a_loss_has_words),
		cmocka_unit_test(every_kind_of_record_has_words),
		cmocka_unit_test(a_start_says_whose_run_it_is),
		cmocka_unit_test(words_of_a_tool_are_safe_and_bounded),
		cmocka_unit_test(what_is_not_known_is_null),
		cmocka_unit_test(times_before_1970_are_right),
		cmocka_unit_test(numbers_that_nothing_has_are_no_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
