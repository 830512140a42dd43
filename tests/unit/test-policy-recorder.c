/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "policy/recorded.h"

/* recorder: what is read, how profiles that extend one another and a ceiling are put together, and
 * what a run that cannot be recorded comes to. */

#define HEAD "version: 1\nname: p\n" /* lines 1 and 2 */

/* clang-format off */
static const struct {
	const char *text;
	const char *wanted;
} rows[] = {
	{HEAD "recorder: {level: all}\n", "3:19: error[E013]: `recorder.level` can be decisions, activity, full"},
	{HEAD "recorder: {keep: 12h}\n", "3:18: error[E014]"},
	{HEAD "recorder: {chain: sha256}\n", "3:19: error[E013]"},
	{HEAD "recorder: {dir: \"${WORKDIR}/log\"}\n", "3:12: error[E050]: `recorder.dir` is not for a profile"},
	{HEAD "recorder: {sign_key: /k}\n", "3:12: error[E050]: `recorder.sign_key` is not for a profile"},
	{HEAD "recorder: {sinks: [{type: exec}]}\n", "3:27: error[E050]: a sink of type exec is not for a profile"},
	{HEAD "recorder: {sinks: [{type: file}]}\n", "3:27: error[E050]: a sink of type file is not for a profile"},
	{HEAD "recorder: {sinks: [{type: syslog, path: /x}]}\n", "3:35: error[E050]: `recorder.sinks[].path` is not"},
	{HEAD "recorder: {sinks: [{type: syslog, command: [a]}]}\n", "3:35: error[E050]"},
	{HEAD "recorder: {sinks: [{format: cef}]}\n", "3:20: error[E010]"},
	{HEAD "recorder: {sinks: [{type: kafka}]}\n", "3:27: error[E013]"},
	{HEAD "recorder: {sinks: [{}]}\n", "3:20: error[E010]"},
	{HEAD "recorder: {sinks: [~]}\n", "error[E017]"},
	{HEAD "recorder: {redact: [a, '(?<x']}\n", "3:24: error[E049]"},
	{HEAD "recorder: {keep: 89d}\n", "3:12: warning[W008]"},
	{HEAD "recorder: {keep: 90d}\n", ""},
	{HEAD "recorder: {on_failure: stop}\npace: {emergency: {when: [{event: recorder_failed}]}}\n",
	 "4:27: warning[W007]: the event recorder_failed: recorder.on_failure is stronger"},
	{HEAD "pace: {alternate: {when: [{event: recorder_failed}]}, emergency: {when: [{event: recorder_failed}]}}\n",
	 "3:27: warning[W007]: the event recorder_failed: another state that has it is stronger"},
	{HEAD "recorder: {on_failure: continue}\npace: {emergency: {when: [{event: recorder_failed}]}}\n", ""},
};
/* clang-format on */

static void every_mistake_is_reported_at_its_place(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		bool error = strstr(rows[i].wanted, "error[") != NULL;
		autoloading struct loading l;
		bool refused, silent;

		loading_init(&l);
		refused = loading_text(&l, rows[i].text) < 0;
		silent = *rows[i].wanted || !l.out.length;
		if (refused == error && silent && strstr(text_string(&l.out), rows[i].wanted))
			continue;
		print_error(
			"%swants %s, got:\n%s", rows[i].text, rows[i].wanted, text_string(&l.out));
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void the_section_is_read_and_nothing_of_it_is_pending(void **state)
{
	autoloading struct loading l;
	const struct profile *p;

	(void)state;
	loading_init(&l);
	loading_good(&l,
		HEAD "recorder:\n"
		     "  level: full\n"
		     "  keep: 400d\n"
		     "  chain: blake2b\n"
		     "  on_failure: emergency\n"
		     "  redact: ['\\bX-[0-9]+', zz]\n"
		     "  sinks: [{type: journald}, {type: syslog, format: cef}, {type: journald, "
		     "format: ocsf}]\n");
	p = l.profile;
	assert_int_equal(p->pending.count, 0);
	assert_int_equal(recorded_level(p), RECORD_FULL);
	assert_int_equal(recorded_keep_ms(p), 400ULL * 24 * 3600 * 1000);
	assert_int_equal(p->recorder.keep_ms.at.line, 5);
	assert_int_equal(p->recorder.redact.count, 2);
	assert_string_equal(p->recorder.redact.items[0].text, "\\bX-[0-9]+");
	/* The third sink is the first one again. */
	assert_int_equal(p->recorder.sinks.count, 2);
	assert_int_equal(p->recorder.sinks.items[0].type, SINK_JOURNALD);
	assert_int_equal(p->recorder.sinks.items[0].format, SINK_OCSF);
	assert_int_equal(p->recorder.sinks.items[1].type, SINK_SYSLOG);
	assert_int_equal(p->recorder.sinks.items[1].format, SINK_CEF);
	assert_int_equal(p->recorder.sinks.items[1].at.line, 9);
}

static void what_is_not_written_has_its_default(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_good(&l, HEAD);
	assert_int_equal(recorded_level(l.profile), RECORD_DECISIONS);
	assert_int_equal(recorded_keep_ms(l.profile), RECORD_KEEP_DEFAULT_MS);
	assert_int_equal(recorded_failure(l.profile).action, RECORDED_STOP);
	assert_false(recorded_needs_meter(l.profile));
}

static void profiles_that_extend_one_another_add_up(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml",
		"version: 1\nname: base\nrecorder: {level: full, keep: 500d, redact: [aa], sinks: "
		"[{type: syslog}]}\n");
	loading_good(&l, HEAD "extends: [base]\nremove: {recorder.redact: [aa]}\n"
			      "recorder: {level: activity, redact: [bb], sinks: [{type: syslog}, "
			      "{type: journald}]}\n");
	assert_int_equal(recorded_level(l.profile), RECORD_ACTIVITY);
	assert_int_equal(l.profile->recorder.keep_ms.value, 500ULL * 24 * 3600 * 1000);
	assert_int_equal(l.profile->recorder.redact.count, 1);
	assert_string_equal(l.profile->recorder.redact.items[0].text, "bb");
	assert_int_equal(l.profile->recorder.sinks.count, 2);
}

/* What stands in on_failure and which state has the event recorder_failed, and what follows. */
#define WHEN(phase) "pace: {" phase ": {when: [{event: recorder_failed}]}}\n"
#define FAIL(word) "recorder: {on_failure: " word "}\n"
static const struct {
	const char *profile;
	enum recorded_action action;
	enum phase phase;
	bool refuses;
} failures[] = {
	{"", RECORDED_STOP, PHASE_PRIMARY, false},
	{FAIL("stop"), RECORDED_STOP, PHASE_PRIMARY, false},
	{FAIL("stop") WHEN("alternate"), RECORDED_STOP, PHASE_PRIMARY, false},
	{FAIL("continue"), RECORDED_CONTINUE, PHASE_PRIMARY, false},
	{FAIL("continue") WHEN("alternate"), RECORDED_PHASE, PHASE_ALTERNATE, true},
	{FAIL("emergency"), RECORDED_PHASE, PHASE_EMERGENCY, false},
	{FAIL("emergency") "pace: {emergency: {then: {run: freeze}}}\n", RECORDED_PHASE,
		PHASE_EMERGENCY, true},
	{WHEN("alternate"), RECORDED_PHASE, PHASE_ALTERNATE, true},
	{WHEN("contingency"), RECORDED_PHASE, PHASE_CONTINGENCY, true},
	{WHEN("emergency"), RECORDED_PHASE, PHASE_EMERGENCY, false},
};

static void a_failure_leads_where_the_profile_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(failures); i++) {
		autoloading struct loading l;
		struct recorded_failure failure;
		char text[256];

		loading_init(&l);
		snprintf(text, sizeof(text), HEAD "%s", failures[i].profile);
		loading_good(&l, text);
		failure = recorded_failure(l.profile);
		if (failure.action != failures[i].action || failure.phase != failures[i].phase ||
			recorded_refuses(l.profile) != failures[i].refuses)
			fail_msg("%s: action %d, phase %d", failures[i].profile,
				(int)failure.action, (int)failure.phase);
	}
}

static unsigned strength(struct recorded_failure failure)
{
	return failure.action == RECORDED_STOP ? 9 : (unsigned)failure.phase;
}

/* Every profile of the table under every ceiling of it. */
static void under_a_ceiling_the_stronger_of_two_failures_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(failures); i++) {
		for (size_t k = 0; k < array_size(failures); k++) {
			autoloading struct loading l, alone;
			char text[256], ceiling[256];
			unsigned wanted;

			loading_init(&l);
			loading_init(&alone);
			snprintf(text, sizeof(text), HEAD "%s", failures[i].profile);
			snprintf(ceiling, sizeof(ceiling), HEAD "%s", failures[k].profile);
			loading_good(&alone, text);
			wanted = strength(recorded_failure(alone.profile));
			loading_good(&alone, ceiling);
			if (strength(recorded_failure(alone.profile)) > wanted)
				wanted = strength(recorded_failure(alone.profile));
			loading_under(&l, text, ceiling);
			if (strength(recorded_failure(l.profile)) != wanted)
				fail_msg("%s under %s: %u instead of %u", failures[i].profile,
					failures[k].profile, strength(recorded_failure(l.profile)),
					wanted);
		}
	}
}

static void a_ceiling_raises_level_and_keep_and_adds_the_rest(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_under(&l,
		HEAD "recorder: {on_failure: continue, keep: 100d, redact: [aa], sinks: [{type: "
		     "syslog}]}\n",
		HEAD "recorder: {level: activity, keep: 200d, redact: [bb], sinks: [{type: "
		     "syslog}, {type: journald}]}\n");
	assert_int_equal(recorded_level(l.profile), RECORD_ACTIVITY);
	assert_int_equal(recorded_keep_ms(l.profile), 200ULL * 24 * 3600 * 1000);
	assert_int_equal(l.profile->recorder.redact.count, 2);
	assert_int_equal(l.profile->recorder.sinks.count, 2);
	assert_non_null(strstr(text_string(&l.out),
		"3:12: note[N001]: recorder.on_failure: continue is narrowed to stop by"));
	assert_non_null(strstr(text_string(&l.out), "recorder.keep: 100d is narrowed to 200d by"));
	/* Less than what holds anyway takes nothing away. */
	loading_under(&l, HEAD "recorder: {level: full}\n",
		HEAD "recorder: {level: activity, keep: 100d, on_failure: continue}\n");
	assert_int_equal(recorded_level(l.profile), RECORD_FULL);
	assert_int_equal(recorded_keep_ms(l.profile), RECORD_KEEP_DEFAULT_MS);
	assert_int_equal(recorded_failure(l.profile).action, RECORDED_STOP);
}

static void outputs_of_a_ceiling_are_added_and_those_never_written_are_told(void **state)
{
	autoloading struct loading l;
	struct text many = {0};

	(void)state;
	loading_init(&l);
	loading_under(&l,
		HEAD "fs: {write: [/srv/w]}\n"
		     "recorder: {outputs: [/srv/w/a, {path: /srv/x/b, reason: why}]}\n",
		HEAD "fs: {write: [/srv]}\nrecorder: {outputs: [/srv/w/c, /srv/w/a]}\n");
	assert_int_equal(l.profile->recorder.outputs.count, 3);
	assert_string_equal(l.profile->recorder.outputs.items[2].path, "/srv/w/c");
	assert_non_null(strstr(text_string(&l.out),
		"recorder.outputs /srv/x/b lies in no fs.write: the run does not make it"));
	assert_null(strstr(text_string(&l.out), "outputs /srv/w/a lies"));
	text_puts(&many, HEAD "fs: {write: [/srv]}\nrecorder:\n  outputs:\n");
	for (unsigned i = 0; i < RECORD_OUTPUTS_MAX; i++)
		text_printf(&many, "    - /srv/%u\n", i);
	loading_good(&l, text_string(&many));
	text_puts(&many, "    - /srv/more\n");
	assert_true(loading_text(&l, text_string(&many)) < 0);
	assert_non_null(strstr(text_string(&l.out), "70:7: error[E009]: more than 64"));
	text_finish(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_reported_at_its_place),
		cmocka_unit_test(the_section_is_read_and_nothing_of_it_is_pending),
		cmocka_unit_test(what_is_not_written_has_its_default),
		cmocka_unit_test(profiles_that_extend_one_another_add_up),
		cmocka_unit_test(a_failure_leads_where_the_profile_says),
		cmocka_unit_test(under_a_ceiling_the_stronger_of_two_failures_holds),
		cmocka_unit_test(a_ceiling_raises_level_and_keep_and_adds_the_rest),
		cmocka_unit_test(outputs_of_a_ceiling_are_added_and_those_never_written_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
