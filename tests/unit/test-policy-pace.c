/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "policy/pace.h"
#include "random.h"

/* blast_radius and pace: what is read, how profiles that extend one another and a ceiling are put
 * together, and what is refused with its place. */

#define HEAD "version: 1\nname: p\n" /* lines 1 and 2 */

/* clang-format off */
static const struct {
	const char *text;
	const char *wanted;
} rows[] = {
	{HEAD "blast_radius: {warn_at: 101%}\n", "3:25: error[E014]: `blast_radius.warn_at` lies between 1 and 100"},
	{HEAD "blast_radius: {warn_at: 0%}\n", "3:25: error[E014]"},
	{HEAD "blast_radius: {files_deleted: 1.5}\n", "3:31: error[E014]"},
	{HEAD "blast_radius: {bytes_written: 1GB}\n", "3:31: error[E015]"},
	{HEAD "blast_radius: {on_exceed: stop}\n", "3:27: error[E013]"},
	{HEAD "pace: {primary: {}}\n", "3:8: error[E003]: unknown key `pace.primary`"},
	{HEAD "pace: {alternate: {when: [{count: 3}]}}\n", "3:27: error[E010]"},
	{HEAD "pace: {alternate: {when: [{event: denials}]}}\n", "3:35: error[E013]"},
	{HEAD "pace: {alternate: {when: [{event: denial, count: 65, within: 1m}]}}\n", "3:50: error[E014]"},
	{HEAD "pace: {alternate: {when: [{event: denial, count: 0, within: 1m}]}}\n", "3:50: error[E014]"},
	{HEAD "pace: {alternate: {when: [{event: denial, count: 3}]}}\n",
	 "3:35: error[E048]: the event denial needs `within: 10m` beside it"},
	{HEAD "pace: {alternate: {when: [{event: denial, within: 3m}]}}\n",
	 "3:35: error[E048]: the event denial needs `count: 5` beside it"},
	{HEAD "pace: {alternate: {when: [{event: denial, count: 3, within: 1m, above: 5%}]}}\n",
	 "3:65: error[E048]: `above` does not belong to the event denial"},
	{HEAD "pace: {emergency: {when: [{event: canary_touched, count: 1}]}}\n",
	 "3:51: error[E048]: `count` does not belong to the event canary_touched"},
	{HEAD "blast_radius: {files_deleted: 1}\npace: {alternate: {when: [{event: blast_radius}]}}\n",
	 "4:35: error[E048]: the event blast_radius needs `above: 50%` beside it"},
	{HEAD "blast_radius: {files_deleted: 1}\npace: {alternate: {when: [{event: blast_radius, above: 50}]}}\n",
	 "4:56: error[E015]"},
	{HEAD "pace: {alternate: {when: [{event: blast_radius, above: 50%}]}}\n",
	 "3:49: error[E048]: pace.alternate speaks of a share of blast_radius, and blast_radius has no cap"},
	{HEAD "pace: {emergency: {then: {run: stop}}}\n", "3:32: error[E013]"},
	{HEAD "blast_radius: {on_exceed: alternate}\n", "3:16: warning[W007]: blast_radius.on_exceed"},
	{HEAD "pace: {emergency: {when: [{event: canary_touched}]}}\n",
	 "3:27: warning[W007]: pace.emergency waits for the touch of a canary"},
	{HEAD "remove: {pace.alternate.when: [denial]}\n",
	 "3:10: error[E028]: the entries of `pace.alternate.when` have no name to remove them by"},
	/* A cap that is only checked is a cap: the trigger is not what is wrong. */
	{HEAD "blast_radius: {tool_calls: 5}\npace: {alternate: {when: [{event: blast_radius, above: 50%}]}}\n", ""},
};
/* clang-format on */

static void every_mistake_is_reported_at_its_place(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		bool error = strstr(rows[i].wanted, "error[") != NULL;
		autoloading struct loading l;
		bool refused;

		loading_init(&l);
		refused = loading_text(&l, rows[i].text) < 0;
		if (refused == error && strstr(text_string(&l.out), rows[i].wanted))
			continue;
		print_error(
			"%swants %s, got:\n%s", rows[i].text, rows[i].wanted, text_string(&l.out));
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void assert_limit(const struct limit *limit, uint64_t value, unsigned line, unsigned column)
{
	assert_true(limit->set);
	assert_int_equal(limit->value, value);
	assert_int_equal(limit->at.line, line);
	assert_int_equal(limit->at.column, column);
}

static void caps_and_states_are_read_with_their_places(void **state)
{
	autoloading struct loading l;
	const struct phase_rules *alternate, *emergency;

	(void)state;
	loading_init(&l);
	loading_good(&l,
		HEAD "blast_radius: {files_changed: 500, bytes_written: 1GiB, warn_at: 50%,\n"
		     "  on_exceed: contingency}\n"
		     "pace:\n"
		     "  alternate:\n"
		     "    when:\n"
		     "      - {event: denial, count: 3, within: 10m}\n"
		     "      - {event: blast_radius, above: 150%}\n"
		     "    then: {fs_write: ask, exec: deny}\n"
		     "  emergency: {when: [{event: escape_attempt}], then: {run: kill}, "
		     "recover: never}\n");
	assert_limit(&l.profile->blast_radius.files_changed, 500, 3, 16);
	assert_limit(&l.profile->blast_radius.bytes_written, 1ULL << 30, 3, 36);
	assert_limit(&l.profile->blast_radius.warn_at, 50, 3, 57);
	assert_false(l.profile->blast_radius.files_deleted.set);
	assert_int_equal(l.profile->blast_radius.on_exceed, ON_EXCEED_CONTINGENCY);
	assert_int_equal(l.profile->blast_radius.on_exceed_at.line, 4);
	alternate = &l.profile->pace.alternate;
	assert_int_equal(alternate->when.count, 2);
	assert_int_equal(alternate->when.items[0].event, TRIGGER_DENIAL);
	assert_limit(&alternate->when.items[0].count, 3, 8, 25);
	assert_limit(&alternate->when.items[0].within_ms, 600000, 8, 35);
	assert_int_equal(alternate->when.items[1].event, TRIGGER_BLAST_RADIUS);
	assert_int_equal(alternate->when.items[1].at.line, 9);
	assert_limit(&alternate->when.items[1].above_percent, 150, 9, 31);
	assert_limit(&alternate->then.fs_write, RESPONSE_ASK, 10, 12);
	assert_limit(&alternate->then.exec, RESPONSE_DENY, 10, 27);
	assert_false(alternate->then.network.set);
	assert_int_equal(alternate->recover, RECOVER_MANUAL);
	emergency = &l.profile->pace.emergency;
	assert_int_equal(emergency->when.items[0].event, TRIGGER_ESCAPE_ATTEMPT);
	assert_int_equal(emergency->then.run.value, RESPONSE_KILL);
	assert_int_equal(emergency->recover, RECOVER_NEVER);
	assert_int_equal(emergency->recover_at.line, 11);
	assert_int_equal(l.profile->pending.count, 0);
}

static void what_a_state_means_is_its_response_or_its_own_nature(void **state)
{
	static const struct {
		const char *text;
		unsigned postures[3];
	} cases[] = {
		{HEAD, {POSTURE_READ_ONLY, POSTURE_FROZEN, POSTURE_DEAD}},
		{HEAD "pace: {alternate: {then: {fs_write: ask}}, "
		      "contingency: {then: {network: deny, exec: deny}}, "
		      "emergency: {then: {run: freeze}}}\n",
			{POSTURE_NO_WRITE, POSTURE_NO_NETWORK | POSTURE_NO_EXEC, POSTURE_FROZEN}},
		{HEAD "pace: {alternate: {then: {fs_write: deny, run: kill}}}\n",
			{POSTURE_DEAD, POSTURE_FROZEN, POSTURE_DEAD}},
	};
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	for (size_t i = 0; i < array_size(cases); i++) {
		loading_good(&l, cases[i].text);
		for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++)
			assert_int_equal(pace_posture(pace_rules(l.profile, phase), phase),
				cases[i].postures[phase - PHASE_ALTERNATE]);
	}
}

/* Numbers and words as everywhere: what is nearer replaces. Triggers as every list: both hold. */
static void a_file_that_extends_replaces_numbers_and_adds_triggers(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml",
		"version: 1\nname: base\n"
		"blast_radius: {files_deleted: 5, files_changed: 7, on_exceed: emergency}\n"
		"pace: {alternate: {when: [{event: tool_changed}], then: {network: deny, exec: "
		"deny}, recover: {after: 5m}}}\n");
	loading_good(&l,
		HEAD "extends: [base]\nblast_radius: {files_deleted: 9, on_exceed: alternate}\n"
		     "pace: {alternate: {when: [{event: escape_attempt}], then: {exec: ask}, "
		     "recover: manual}}\n");
	assert_int_equal(l.profile->blast_radius.files_deleted.value, 9);
	assert_int_equal(l.profile->blast_radius.files_changed.value, 7);
	assert_int_equal(l.profile->blast_radius.on_exceed, ON_EXCEED_ALTERNATE);
	assert_int_equal(l.profile->pace.alternate.when.count, 2);
	assert_int_equal(l.profile->pace.alternate.then.network.value, RESPONSE_DENY);
	assert_int_equal(l.profile->pace.alternate.then.exec.value, RESPONSE_ASK);
	/* The end by itself was taken back; the trigger of the base cannot be. */
	assert_int_equal(l.profile->pending.count, 1);
	assert_string_equal(l.profile->pending.items[0].key, "pace.alternate.when[].event");
	assert_string_equal(l.profile->pending.items[0].needs, "the tool proxy");
}

static void a_ceiling_keeps_the_lower_cap_and_the_stricter_answer(void **state)
{
	autoloading struct loading l;
	const struct phase_rules *alternate;

	(void)state;
	loading_init(&l);
	loading_under(&l,
		HEAD "blast_radius: {files_deleted: 9, files_changed: 7, warn_at: 90%}\n"
		     "pace: {alternate: {when: [{event: blast_radius, above: 80%}], then: {exec: "
		     "ask}}}\n",
		HEAD "blast_radius: {files_deleted: 5, files_changed: 70, bytes_sent: 1KiB, "
		     "warn_at: 50%, on_exceed: contingency}\n"
		     "pace: {alternate: {when: [{event: denial, count: 3, within: 1m}], "
		     "then: {exec: deny, network: ask}, recover: never}}\n");
	assert_int_equal(l.profile->blast_radius.files_deleted.value, 5);
	assert_int_equal(l.profile->blast_radius.files_changed.value, 7);
	assert_int_equal(l.profile->blast_radius.bytes_sent.value, 1024);
	assert_int_equal(l.profile->blast_radius.warn_at.value, 50);
	assert_int_equal(l.profile->blast_radius.on_exceed, ON_EXCEED_CONTINGENCY);
	alternate = &l.profile->pace.alternate;
	assert_int_equal(alternate->when.count, 2);
	assert_int_equal(alternate->then.exec.value, RESPONSE_DENY);
	assert_int_equal(alternate->then.network.value, RESPONSE_ASK);
	assert_int_equal(alternate->recover, RECOVER_NEVER);
	assert_non_null(strstr(text_string(&l.out),
		"note[N001]: blast_radius.files_deleted: 9 is narrowed to 5 by "));
	assert_non_null(strstr(
		text_string(&l.out), "note[N001]: blast_radius.warn_at: 90% is narrowed to 50%"));
	/* Nobody wrote it, so there is nothing to narrow: it just holds. */
	assert_null(strstr(text_string(&l.out), "bytes_sent"));
	assert_null(strstr(text_string(&l.out), "on_exceed"));
}

/* A response that refuses one thing must not take the place of a state that refuses more by its
 * nature. */
static void no_side_makes_a_state_weaker_by_writing_less(void **state)
{
	static const char exec_only[] =
		HEAD "pace: {alternate: {when: [{event: escape_attempt}], then: {exec: deny}}}\n";
	static const char bare[] = HEAD "pace: {alternate: {when: [{event: escape_attempt}]}}\n";
	static const char exceeding[] =
		HEAD "blast_radius: {files_deleted: 5, on_exceed: alternate}\n";
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_under(&l, exec_only, bare);
	assert_int_equal(pace_posture(&l.profile->pace.alternate, PHASE_ALTERNATE),
		POSTURE_READ_ONLY | POSTURE_NO_EXEC);
	loading_under(&l, bare, exec_only);
	assert_int_equal(pace_posture(&l.profile->pace.alternate, PHASE_ALTERNATE),
		POSTURE_READ_ONLY | POSTURE_NO_EXEC);
	loading_under(&l, exec_only, exceeding);
	assert_int_equal(pace_posture(&l.profile->pace.alternate, PHASE_ALTERNATE),
		POSTURE_READ_ONLY | POSTURE_NO_EXEC);
	/* A ceiling that does not speak of a state leaves it alone. */
	loading_under(&l, exec_only, HEAD);
	assert_int_equal(
		pace_posture(&l.profile->pace.alternate, PHASE_ALTERNATE), POSTURE_NO_EXEC);
}

/* ---- random profiles under random ceilings ---- */

#define ROUNDS 1000
#define PICK(list) ((list)[random_below(array_size(list))])

static void put_caps(struct text *out)
{
	static const char *const states[] = {"deny", "alternate", "contingency", "emergency"};

	text_printf(out, "blast_radius: {files_deleted: %u", random_below(12));
	if (random_below(2))
		text_printf(out, ", processes_started: %u", random_below(12));
	if (random_below(2))
		text_printf(out, ", on_exceed: %s", PICK(states));
	text_puts(out, "}\n");
}

static void put_phase(struct text *out, const char *name)
{
	static const char *const events[] = {"{event: blast_radius, above: 0%}",
		"{event: blast_radius, above: 50%}", "{event: blast_radius, above: 150%}",
		"{event: escape_attempt}", "{event: denial, count: 2, within: 1m}"};
	static const char *const words[] = {"fs_write: deny", "fs_write: ask", "network: ask",
		"exec: deny", "run: freeze", "run: kill"};

	if (random_below(3) == 0)
		return;
	text_printf(out, "  %s:\n", name);
	text_printf(out, "    when: [%s", PICK(events));
	if (random_below(2))
		text_printf(out, ", %s", PICK(events));
	text_puts(out, "]\n");
	if (random_below(2))
		text_printf(out, "    then: {%s}\n", PICK(words));
}

static void put_file(struct text *out)
{
	text_puts(out, HEAD);
	put_caps(out);
	text_puts(out, "pace:\n");
	put_phase(out, "alternate");
	put_phase(out, "contingency");
	put_phase(out, "emergency");
}

/* What is refused in a run where that much was done or tried of a counter, and where somebody tried
 * to escape or not. */
static unsigned posture_at(
	const struct profile *p, const struct limit *cap, uint64_t value, bool escaped)
{
	enum phase exceeded = pace_exceeded(p->blast_radius.on_exceed);
	unsigned posture = 0;

	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		const struct phase_rules *rules = pace_rules(p, phase);
		bool entered = cap->set && phase == exceeded && value > cap->value;

		for (size_t i = 0; i < rules->when.count; i++) {
			const struct trigger *t = &rules->when.items[i];

			entered |= t->event == TRIGGER_ESCAPE_ATTEMPT && escaped;
			entered |= t->event == TRIGGER_BLAST_RADIUS && cap->set &&
				   value * 100 > cap->value * t->above_percent.value;
		}
		if (entered)
			posture |= pace_posture(rules, phase);
	}
	return posture;
}

struct three {
	struct profile *profile, *ceiling, *result;
	const char *profile_text, *ceiling_text;
};

static void compare_counter(const struct three *t, size_t offset)
{
	const struct limit *p = (const void *)((const char *)t->profile + offset);
	const struct limit *c = (const void *)((const char *)t->ceiling + offset);
	const struct limit *r = (const void *)((const char *)t->result + offset);
	uint64_t least = p->set && (!c->set || p->value < c->value) ? p->value : c->value;

	assert_int_equal(r->set, p->set || c->set);
	if (r->set)
		assert_int_equal(r->value, least);
	for (unsigned i = 0; i < 80; i++) {
		unsigned value = i / 2;
		unsigned wanted = posture_at(t->profile, p, value, i % 2) |
				  posture_at(t->ceiling, c, value, i % 2);

		if (wanted & ~posture_at(t->result, r, value, i % 2))
			fail_msg("at %u:\n--- profile\n%s--- ceiling\n%s", value, t->profile_text,
				t->ceiling_text);
	}
}

static void a_ceiling_never_lets_more_happen(void **state)
{
	autoloading struct loading l;
	unsigned made = 0;

	(void)state;
	loading_init(&l);
	random_seed(1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		autotext struct text profile = {0}, ceiling = {0};
		struct three t;

		put_file(&profile);
		put_file(&ceiling);
		t.profile_text = text_string(&profile);
		t.ceiling_text = text_string(&ceiling);
		loading_good(&l, t.profile_text);
		t.profile = take_ptr(&l.profile);
		loading_good(&l, t.ceiling_text);
		t.ceiling = take_ptr(&l.profile);
		loading_under(&l, t.profile_text, t.ceiling_text);
		t.result = take_ptr(&l.profile);
		compare_counter(&t, offsetof(struct profile, blast_radius.files_deleted));
		compare_counter(&t, offsetof(struct profile, blast_radius.processes_started));
		made += t.result->pace.alternate.when.count > 0;
		profile_destroy(t.profile);
		profile_destroy(t.ceiling);
		profile_destroy(t.result);
	}
	assert_true(made * 2 > ROUNDS);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_mistake_is_reported_at_its_place),
		cmocka_unit_test(caps_and_states_are_read_with_their_places),
		cmocka_unit_test(what_a_state_means_is_its_response_or_its_own_nature),
		cmocka_unit_test(a_file_that_extends_replaces_numbers_and_adds_triggers),
		cmocka_unit_test(a_ceiling_keeps_the_lower_cap_and_the_stricter_answer),
		cmocka_unit_test(no_side_makes_a_state_weaker_by_writing_less),
		cmocka_unit_test(a_ceiling_never_lets_more_happen),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
