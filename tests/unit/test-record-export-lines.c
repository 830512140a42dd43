/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>

#include "random.h"
#include "record-sample.h"

/* ---- CEF ---- */

/* The next part up to an unescaped `end` (or the end of the line), unescaped. */
static const char *cef_part(const char *at, char end, const char *special, struct text *out)
{
	for (; *at && *at != '\n' && *at != end; at++) {
		if (*at == '\\') {
			at++;
			if (!*at || !strchr(special, *at))
				fail_msg("bad escape before %s", at);
		}
		text_append(out, at, 1);
	}
	return at;
}

/* The value of an extension: up to the last blank before the next unescaped "=". */
static const char *cef_value(const char *at, struct text *out)
{
	const char *end = at, *blank = NULL;

	for (; *end && *end != '\n'; end++) {
		if (*end == '\\' && end[1])
			end++;
		else if (*end == ' ')
			blank = end;
		else if (*end == '=')
			break;
	}
	if (*end == '=' && blank)
		end = blank;
	for (; at < end; at++) {
		if (*at == '\\') {
			at++;
			assert_non_null(strchr("\\=", *at));
		}
		text_append(out, at, 1);
	}
	return *end == ' ' ? end + 1 : end;
}

/* Parse the line; the value of the key, unescaped, goes to out. */
static void cef_parse(const char *line, const char *key, struct text *out)
{
	const char *at = line;

	assert_int_equal(strncmp(line, "CEF:0|", 6), 0);
	for (unsigned i = 0; i < 7; i++) {
		autotext struct text part = {0};

		at = cef_part(at, '|', "\\|", &part);
		assert_true(part.length > 0 && *at == '|');
		at++;
		if (i == 6)
			assert_in_range(strtol(text_string(&part), NULL, 10), 0, 10);
	}
	while (*at != '\n') {
		autotext struct text name = {0}, value = {0};
		size_t n = strcspn(at, "=");

		text_append(&name, at, n);
		assert_int_equal(
			strspn(text_string(&name),
				"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
			n);
		at = cef_value(at + n + 1, &value);
		if (strcmp(text_string(&name), key) == 0)
			text_puts(out, text_string(&value));
	}
}

static void cef_lines_can_be_taken_apart_again(void **state)
{
	const ProtobufCBinaryData target = BYTES(hostile);
	autotext struct text safe = {0};
	unsigned files = 0;
	struct sample s;

	(void)state;
	text_escape(&safe, hostile, sizeof(hostile) - 1, 4096);
	FOR_EACH(s, target)
	{
		autotext struct text out = {0}, path = {0}, run = {0};

		export_record(EXPORT_CEF, &s.record, &place, &out);
		one_line(text_string(&out));
		cef_parse(text_string(&out), "filePath", &path);
		cef_parse(text_string(&out), "cs3", &run);
		assert_string_equal(text_string(&run), "01JD7Y-run");
		if (path.length == 0)
			continue;
		assert_string_equal(text_string(&path), text_string(&safe));
		files++;
	}
	assert_true(files > 10);
}

/* ---- JSONL ---- */

/* What is said of outputs is bounded, and names none that is not all there. */
static void outputs_of_a_run_are_in_every_line_that_has_them(void **state)
{
	static uint8_t digest[32] = {0xab, 0xcd};
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunEnd end = BERM__WIRE__RUN_END__INIT;
	Berm__Wire__OutputHash many[64], *outputs[64];
	char hex[65] = "abcd", words[120];

	(void)state;
	memset(hex + 4, '0', 60);
	for (size_t i = 0; i < array_size(many); i++) {
		outputs[i] = &many[i];
		berm__wire__output_hash__init(outputs[i]);
		many[i].has_path = many[i].has_digest = true;
		many[i].path = (ProtobufCBinaryData)BYTES("/srv/a=b|c.bin");
		many[i].digest = (ProtobufCBinaryData){sizeof(digest), digest};
	}
	end.outputs = outputs;
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &end;
	for (end.n_outputs = 0; end.n_outputs <= array_size(many); end.n_outputs++) {
		autotext struct text cef = {0}, one = {0}, list = {0}, ecs = {0};
		unsigned named = 0;

		export_record(EXPORT_CEF, &record, &place, &cef);
		one_line(text_string(&cef));
		cef_parse(text_string(&cef), "fileHash", &one);
		cef_parse(text_string(&cef), "cs5", &list);
		assert_string_equal(text_string(&one), end.n_outputs == 1 ? hex : "");
		snprintf(words, sizeof(words), "%s /srv/a=b|c.bin", hex);
		for (const char *at = text_string(&list); (at = strstr(at, words)); at++)
			named++;
		assert_true(named == end.n_outputs || (named >= 20 && strstr(list.data, " more")));
		assert_true(list.length < 2400);
		export_record(EXPORT_ECS, &record, &place, &ecs);
		one_line(text_string(&ecs));
		named = 0;
		for (const char *at = text_string(&ecs); (at = strstr(at, hex)); at++)
			named++;
		assert_int_equal(named, 2 * end.n_outputs);
	}
}

static void jsonl_holds_every_field_and_the_whole_chain(void **state)
{
	static const char *const chain[] = {"agent_nhi", "action_type", "input_hash", "tool",
		"output_hash", "llm_judge_score", "anomaly_score", "context_utilisation",
		"approval", "approver", "accountable_human"};
	const ProtobufCBinaryData target = BYTES(hostile);
	struct sample s;

	(void)state;
	FOR_EACH(s, target)
	{
		autotext struct text out = {0};
		const json_t *record, *decisions;
		json_t *root;

		s.chain.has_llm_judge_score = true;
		s.chain.llm_judge_score = 0.25;
		export_record(EXPORT_JSONL, &s.record, &place, &out);
		one_line(text_string(&out));
		root = parse(text_string(&out));
		record = json_object_get(root, "record");
		decisions = json_object_get(record, "chain");
		assert_int_equal(strlen(string(root, "entry_hash")), 64);
		assert_int_equal(number(record, "sequence"), 812);
		for (size_t i = 0; i < array_size(chain); i++)
			assert_non_null(json_object_get(decisions, chain[i]));
		assert_true(json_is_null(json_object_get(decisions, "tool")));
		assert_true(json_real_value(json_object_get(decisions, "llm_judge_score")) == 0.25);
		assert_non_null(json_object_get(record, body_field(b_)->name));
		json_decref(root);
	}
}

static void random_bytes_break_no_format(void **state)
{
	(void)state;
	random_seed(7);
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t bytes[64];
		ProtobufCBinaryData target = {.data = bytes, .len = random_below(64)};
		enum export_format format = (enum export_format)random_below(EXPORT_FORMAT_COUNT);
		autotext struct text out = {0};
		struct sample s;

		for (size_t i = 0; i < target.len; i++)
			bytes[i] = (uint8_t)random_u64();
		if (!sample_make(&s, random_below(17), operations[random_below(13)], &target))
			fail_msg("a body is missing");
		export_record(format, &s.record, &place, &out);
		one_line(text_string(&out));
		if (format == EXPORT_CEF) {
			autotext struct text none = {0};

			cef_parse(text_string(&out), "none", &none);
		} else {
			json_decref(parse(text_string(&out)));
		}
	}
}

static void long_values_are_bounded(void **state)
{
	static uint8_t many[1 << 20];
	const ProtobufCBinaryData target = {.data = many, .len = sizeof(many)};
	struct sample s;

	(void)state;
	memset(many, 0x80, sizeof(many));
	for (unsigned format = 0; format < EXPORT_FORMAT_COUNT; format++)
		FOR_EACH(s, target)
		{
			autotext struct text out = {0};

			s.record.profile_digest.len = 0;
			if (s.record.body_case == BERM__WIRE__RECORD__BODY_APPROVAL)
				s.record.approval->digest.len = 0;
			if (s.record.body_case == BERM__WIRE__RECORD__BODY_SEGMENT_HEAD ||
				s.record.body_case == BERM__WIRE__RECORD__BODY_SEAL ||
				s.record.body_case == BERM__WIRE__RECORD__BODY_OPENED ||
				s.record.body_case == BERM__WIRE__RECORD__BODY_RUN_START ||
				s.record.body_case == BERM__WIRE__RECORD__BODY_EXEC ||
				s.record.body_case == BERM__WIRE__RECORD__BODY_PHASE_CHANGE)
				continue;
			export_record((enum export_format)format, &s.record, &place, &out);
			assert_in_range(out.length, 100, 32 << 10);
		}
}

static void formats_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EXPORT_FORMAT_COUNT; i++)
		assert_int_equal(
			export_format_from_name(export_format_name((enum export_format)i)), i);
	assert_int_equal(export_format_from_name("xml"), EXPORT_FORMAT_COUNT);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(cef_lines_can_be_taken_apart_again),
		cmocka_unit_test(outputs_of_a_run_are_in_every_line_that_has_them),
		cmocka_unit_test(jsonl_holds_every_field_and_the_whole_chain),
		cmocka_unit_test(random_bytes_break_no_format),
		cmocka_unit_test(long_values_are_bounded),
		cmocka_unit_test(formats_have_names),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
