/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "govern/pace-table.h"
#include "govern/pace-words.h"
#include "pace-crew.h"

#include <string.h>

/* The phases of a group: what may follow what, written down a second time. */

#define YEARS (3 * 366 * 24 * HOUR)

/* All that the design lets pass, from words of it: who and why, from where to where. Everything
 * that is not here is refused. Letters of authorities: b berm, v observer, o operator, s security,
 * c incident commander, r risk owner, k kill key. */
static const struct {
	const char *triggers;
	const char *authorities;
	const char *tiers;
	char from, to;
	enum pace_result result;
} allowed[] = {
	{"cap breaker score external time-box", "bv", "123", 'P', 'A', PACE_CHANGED},
	{"declared", "oscr", "123", 'P', 'A', PACE_CHANGED},
	{"declared", "sc", "123", 'P', 'C', PACE_CHANGED},
	{"declared", "sc", "123", 'A', 'C', PACE_CHANGED},
	{"cascade exfiltration coordination rogue", "c", "123", 'P', 'E', PACE_CHANGED},
	{"cascade exfiltration coordination rogue", "c", "123", 'A', 'E', PACE_CHANGED},
	{"cascade exfiltration coordination rogue", "c", "123", 'C', 'E', PACE_CHANGED},
	{"cascade exfiltration coordination rogue", "bv", "123", 'P', 'E', PACE_ASKED},
	{"cascade exfiltration coordination rogue", "bv", "123", 'A', 'E', PACE_ASKED},
	{"cascade exfiltration coordination rogue", "bv", "123", 'C', 'E', PACE_ASKED},
	{"kill", "k", "123", 'P', 'E', PACE_CHANGED},
	{"kill", "k", "123", 'A', 'E', PACE_CHANGED},
	{"kill", "k", "123", 'C', 'E', PACE_CHANGED},
	{"explained", "oscrv", "123", 'A', 'A', PACE_NOTED},
	{"reviewed", "oscr", "123", 'A', 'P', PACE_CHANGED},
	{"reviewed", "sr", "123", 'C', 'A', PACE_CHANGED},
	{"reviewed", "r", "123", 'E', 'C', PACE_CHANGED},
};

static const char phase_letters[] = "PACE";
static const char authority_letters[] = ".bvoscrk";

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = strstr(words, word); p; p = strstr(p + 1, word))
		if ((p == words || p[-1] == ' ') && (p[length] == ' ' || !p[length]))
			return true;
	return false;
}

/* What the rows above say: the result, REFUSED where there is none. Signals in a phase that is as
 * restrictive as what they bring, and persons who declare what is so, are noted. */
static enum pace_result wanted(const struct pace_event *e, unsigned from, unsigned tier)
{
	const char *name = pace_trigger_name(e->trigger);
	char who = authority_letters[e->authority];

	for (size_t i = 0; i < array_size(allowed); i++)
		if (allowed[i].from == phase_letters[from] &&
			allowed[i].to == phase_letters[e->to] &&
			strchr(allowed[i].authorities, who) &&
			has_word(allowed[i].triggers, name) &&
			strchr(allowed[i].tiers, (char)('0' + tier)))
			return allowed[i].result;
	if (strchr("bv", who) && has_word("cap breaker score external time-box", name))
		return from == PHASE_PRIMARY ? PACE_REFUSED : PACE_NOTED;
	if (strchr("bv", who) && has_word("cascade exfiltration coordination rogue", name))
		return from == PHASE_EMERGENCY ? PACE_NOTED : PACE_ASKED;
	if (e->to == from &&
		((has_word("declared", name) && strchr("oscrk", who)) ||
			(has_word("kill", name) && who == 'k') ||
			(has_word("cascade exfiltration coordination rogue", name) && who == 'c')))
		return PACE_NOTED;
	return PACE_REFUSED;
}

static void every_change_is_one_that_the_design_has(void **state)
{
	unsigned changed = 0, refused = 0, wrong = 0;
	struct pace_now late = at(YEARS);

	(void)state;
	for (unsigned tier = 1; tier <= 3; tier++)
		for (unsigned from = 0; from < PHASE_COUNT; from++)
			for (unsigned n = 0;
				n < PHASE_COUNT * PACE_TRIGGER_COUNT * PACE_AUTHORITY_COUNT; n++) {
				struct pace_event e = {.to = n % PHASE_COUNT,
					.trigger = n / PHASE_COUNT % PACE_TRIGGER_COUNT,
					.authority = n / PHASE_COUNT / PACE_TRIGGER_COUNT,
					.reason = "it was found",
					.review = PACE_REVIEW_ALL};
				struct pace_group group = ripe(from, tier);
				enum pace_result want = wanted(&e, from, tier);
				struct pace_outcome o;

				pace_apply(&group, &late, &e, &o);
				changed += o.result == PACE_CHANGED;
				refused += o.result == PACE_REFUSED;
				if (o.result == want && group.phase == o.after &&
					(o.after == (want == PACE_CHANGED ? e.to : from)))
					continue;
				print_error("tier %u %s -> %s by %s of %s: result %u, not %u\n",
					tier, phase_name(from), phase_name(e.to),
					pace_trigger_name(e.trigger),
					pace_authority_name(e.authority), o.result, want);
				wrong++;
			}
	assert_int_equal(wrong, 0);
	/* 5 triggers x 2 + 4 + 2 + 2 + 4 x 3 + 3 + 4 + 2 + 1, in three tiers. */
	assert_int_equal(changed, 3 * (10 + 4 + 2 + 2 + 12 + 3 + 4 + 2 + 1));
	assert_true(refused > 2500);
}

static void a_return_goes_one_step_and_every_refusal_has_words(void **state)
{
	static const struct {
		unsigned from, to, refusal;
	} rows[] = {{PHASE_EMERGENCY, PHASE_PRIMARY, PACE_NO_SKIPPING},
		{PHASE_EMERGENCY, PHASE_ALTERNATE, PACE_NO_SKIPPING},
		{PHASE_CONTINGENCY, PHASE_PRIMARY, PACE_NO_SKIPPING},
		{PHASE_PRIMARY, PHASE_PRIMARY, PACE_NO_RULE}};
	struct pace_now late = at(YEARS);

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct pace_group group = ripe(rows[i].from, 2);
		struct pace_event e = {.trigger = PACE_REVIEWED,
			.authority = PACE_BY_RISK_OWNER,
			.to = rows[i].to,
			.reason = "x",
			.review = PACE_REVIEW_ALL};
		struct pace_outcome o;

		pace_apply(&group, &late, &e, &o);
		assert_int_equal(o.result, PACE_REFUSED);
		assert_int_equal(o.refusal, rows[i].refusal);
		assert_int_equal(group.phase, rows[i].from);
	}
	for (unsigned refusal = PACE_FINE + 1; refusal < PACE_REFUSAL_COUNT; refusal++) {
		struct pace_group group = ripe(PHASE_CONTINGENCY, 2);
		struct pace_outcome o = {.refusal = refusal, .before = 2, .wanted = 1};
		autotext struct text words = {0};

		pace_refusal_write(&words, &group, &o);
		assert_true(words.length > 20);
	}
}

static struct pace_outcome tick(struct pace_group *group, uint64_t ms)
{
	struct pace_now now = at(ms);
	struct pace_outcome o;

	pace_tick(group, &now, &o);
	return o;
}

static void alternate_lasts_48_hours_whatever_happens(void **state)
{
	struct pace_group group = ripe(PHASE_PRIMARY, 2);
	struct pace_event again = suspect_a;

	(void)state;
	assert_int_equal(apply(&group, 0, &suspect_a).result, PACE_CHANGED);
	for (uint64_t h = 1; h < 48; h++) {
		apply(&group, h * HOUR, &again);
		assert_int_equal(tick(&group, h * HOUR).result, PACE_NOTED);
	}
	assert_int_equal(pace_next_ms(&group), HOUR);
	assert_int_equal(tick(&group, 48 * HOUR - 1).result, PACE_NOTED);
	assert_int_equal(tick(&group, 48 * HOUR).after, PHASE_CONTINGENCY);
	assert_int_equal(tick(&group, 480 * HOUR).after, PHASE_CONTINGENCY);
	assert_int_equal(pace_next_ms(&group), UINT64_MAX);
}

static void tier_3_goes_back_by_itself_when_stable_and_explained(void **state)
{
	struct pace_event why = {.trigger = PACE_EXPLAINED,
		.authority = PACE_BY_OPERATOR,
		.to = PHASE_COUNT,
		.reason = "a broken index"};

	(void)state;
	for (unsigned tier = 1; tier <= 3; tier++) {
		struct pace_group group = ripe(PHASE_PRIMARY, tier);

		apply(&group, 0, &suspect_a);
		assert_int_equal(tick(&group, 3 * HOUR).result, PACE_NOTED);
		assert_int_equal(apply(&group, 3 * HOUR, &why).result, PACE_NOTED);
		assert_int_equal(
			tick(&group, 3 * HOUR).after, tier == 3 ? PHASE_PRIMARY : PHASE_ALTERNATE);
	}
	/* A new signal takes the explanation back and begins the wait anew. */
	{
		struct pace_group group = ripe(PHASE_PRIMARY, 3);

		apply(&group, 0, &suspect_a);
		apply(&group, HOUR, &why);
		assert_int_equal(pace_next_ms(&group), HOUR);
		apply(&group, HOUR, &suspect_a);
		assert_int_equal(tick(&group, 4 * HOUR).result, PACE_NOTED);
		apply(&group, 4 * HOUR, &why);
		assert_int_equal(tick(&group, 4 * HOUR).after, PHASE_PRIMARY);
	}
}

static void the_fourth_cycle_within_a_day_is_contingency(void **state)
{
	struct pace_group group = ripe(PHASE_PRIMARY, 3);
	struct pace_event why = {.trigger = PACE_EXPLAINED,
		.authority = PACE_BY_OBSERVER,
		.to = PHASE_COUNT,
		.reason = "x"};
	uint64_t now = 0;

	(void)state;
	for (unsigned cycle = 0; cycle < PACE_CYCLES_MAX; cycle++) {
		assert_int_equal(apply(&group, now, &suspect_a).result, PACE_CHANGED);
		assert_int_equal(tick(&group, now).result, PACE_NOTED);
		apply(&group, now, &why);
		now += 2 * HOUR;
		assert_int_equal(tick(&group, now - 1).result, PACE_NOTED);
		assert_int_equal(tick(&group, now).after, PHASE_PRIMARY);
	}
	{
		struct pace_group next_day = group;

		assert_int_equal(
			apply(&next_day, now + 24 * HOUR, &suspect_a).after, PHASE_ALTERNATE);
		assert_int_equal(tick(&next_day, now + 24 * HOUR).result, PACE_NOTED);
	}
	assert_int_equal(apply(&group, now, &suspect_a).after, PHASE_ALTERNATE);
	assert_int_equal(tick(&group, now).after, PHASE_CONTINGENCY);
}

static void the_way_back_from_emergency_is_supervised(void **state)
{
	static const uint64_t waits[] = {0, 0, 4 * HOUR, 24 * HOUR};
	struct pace_event back = {.trigger = PACE_REVIEWED,
		.authority = PACE_BY_RISK_OWNER,
		.to = PHASE_COUNT,
		.reason = "x",
		.review = PACE_REVIEW_ALL};

	(void)state;
	for (unsigned tier = 1; tier <= 3; tier++) {
		struct pace_group group = ripe(PHASE_EMERGENCY, tier);
		struct pace_event incomplete = back, other = back;
		uint64_t wait = waits[tier];
		uint64_t last = wait > 2 * HOUR ? wait : 2 * HOUR;

		incomplete.review = PACE_REVIEW_ALL & ~(unsigned)PACE_BASELINES;
		other.authority = PACE_BY_SECURITY;
		assert_int_equal(apply(&group, 0, &incomplete).refusal, PACE_NO_REVIEW);
		assert_int_equal(apply(&group, 0, &other).refusal, PACE_NO_AUTHORITY);
		assert_int_equal(apply(&group, 0, &back).after, PHASE_CONTINGENCY);
		if (wait)
			assert_int_equal(apply(&group, wait - 1, &back).wait_ms, 1);
		assert_int_equal(apply(&group, wait, &other).refusal, PACE_NO_AUTHORITY);
		assert_int_equal(apply(&group, wait, &back).after, PHASE_ALTERNATE);
		assert_int_equal(apply(&group, wait + last - 1, &back).refusal, PACE_TOO_EARLY);
		assert_int_equal(tick(&group, wait + last).result, PACE_NOTED);
		assert_int_equal(apply(&group, wait + last, &back).after, PHASE_PRIMARY);
		assert_false(group.recovering);
	}
}

static void a_second_agent_asks_for_contingency_and_is_isolated_at_once(void **state)
{
	struct pace_group group = ripe(PHASE_PRIMARY, 2);
	struct pace_event second = suspect_a, spare = suspect_a;
	struct pace_event no = {.trigger = PACE_DISMISSED,
		.authority = PACE_BY_OPERATOR,
		.to = PHASE_COUNT,
		.reason = "x"};
	struct pace_effects effects;
	struct pace_outcome o;

	(void)state;
	second.agent = BETA;
	spare.agent = SPARE;
	apply(&group, 0, &suspect_a);
	o = apply(&group, 1, &second);
	assert_int_equal(o.result, PACE_ASKED);
	assert_int_equal(o.trigger, PACE_SECOND_AGENT);
	pace_effects(&group, BETA, &effects);
	assert_int_equal(effects.posture, POSTURE_FROZEN);
	assert_false(effects.may_start);
	assert_int_equal(apply(&group, 2, &no).refusal, PACE_NO_AUTHORITY);
	no.authority = PACE_BY_SECURITY;
	assert_int_equal(apply(&group, 3, &no).result, PACE_NOTED);
	assert_int_equal(apply(&group, 3, &no).refusal, PACE_NOT_ASKED);
	assert_true(group.phase == PHASE_ALTERNATE && !pace_is_undecided(&group));
	o = apply(&group, 4, &spare);
	assert_int_equal(o.trigger, PACE_BACKUP);
	assert_int_equal(o.result, PACE_ASKED);
}

static const struct pace_event alarm_judge = {.trigger = PACE_EXFILTRATION,
	.authority = PACE_BY_BERM,
	.to = PHASE_COUNT,
	.agent = ALPHA,
	.source = "judge"};

static void one_signal_holds_and_a_second_or_the_window_kills(void **state)
{
	struct pace_event scanner = alarm_judge;
	struct pace_event no = {.trigger = PACE_DISMISSED,
		.authority = PACE_BY_COMMANDER,
		.to = PHASE_COUNT,
		.reason = "a drill"};
	struct pace_effects effects;

	(void)state;
	scanner.source = "scanner";
	for (unsigned tier = 1; tier <= 3; tier++) {
		struct pace_group group = ripe(PHASE_PRIMARY, tier), other, third;

		assert_int_equal(apply(&group, 0, &alarm_judge).result, PACE_ASKED);
		pace_effects(&group, ALPHA, &effects);
		assert_true(effects.isolated && effects.posture == POSTURE_FROZEN);
		pace_effects(&group, BETA, &effects);
		assert_false(effects.isolated);
		other = third = group;
		/* The same source again is no second signal, and begins no window anew. */
		assert_int_equal(
			apply(&group, PACE_WINDOW_MS - 1, &alarm_judge).result, PACE_NOTED);
		assert_int_equal(tick(&group, PACE_WINDOW_MS - 1).result, PACE_NOTED);
		assert_int_equal(pace_next_ms(&group), 1);
		assert_int_equal(tick(&group, PACE_WINDOW_MS).after, PHASE_EMERGENCY);
		assert_int_equal(apply(&other, 1, &scanner).after, PHASE_EMERGENCY);
		assert_int_equal(apply(&third, 1, &no).result, PACE_NOTED);
		pace_effects(&third, ALPHA, &effects);
		assert_false(effects.isolated);
		assert_int_equal(tick(&third, YEARS).result, PACE_NOTED);
		assert_int_equal(third.phase, PHASE_PRIMARY);
	}
}

static void the_observer_of_tier_3_decides_after_5_minutes(void **state)
{
	struct pace_event observer = alarm_judge;

	(void)state;
	observer.authority = PACE_BY_OBSERVER;
	observer.source = "observer";
	for (unsigned tier = 1; tier <= 3; tier++) {
		struct pace_group group = ripe(PHASE_CONTINGENCY, tier);

		group.window_ms = PACE_WINDOW_MAX_MS;
		assert_int_equal(apply(&group, 0, &observer).result, PACE_ASKED);
		assert_int_equal(tick(&group, PACE_UNANSWERED_MS - 1).result, PACE_NOTED);
		assert_int_equal(tick(&group, PACE_UNANSWERED_MS).after,
			tier == 3 ? PHASE_EMERGENCY : PHASE_CONTINGENCY);
		assert_int_equal(tick(&group, PACE_WINDOW_MAX_MS).after, PHASE_EMERGENCY);
	}
}

static void no_group_is_less_restrictive_than_configured(void **state)
{
	struct pace_event back = {.trigger = PACE_REVIEWED,
		.authority = PACE_BY_RISK_OWNER,
		.to = PHASE_PRIMARY,
		.reason = "x"};

	(void)state;
	for (unsigned saved = 0; saved < PHASE_COUNT; saved++)
		for (unsigned configured = 0; configured < PHASE_COUNT; configured++) {
			struct pace_group group = ripe(saved, 2);

			group.configured = configured;
			while (tick(&group, 1).result == PACE_CHANGED)
				;
			assert_int_equal(group.phase, saved > configured ? saved : configured);
		}
	{
		struct pace_group group = ripe(PHASE_ALTERNATE, 2);

		group.configured = PHASE_ALTERNATE;
		assert_int_equal(apply(&group, 3 * HOUR, &back).refusal, PACE_FLOOR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_is_one_that_the_design_has),
		cmocka_unit_test(a_return_goes_one_step_and_every_refusal_has_words),
		cmocka_unit_test(alternate_lasts_48_hours_whatever_happens),
		cmocka_unit_test(tier_3_goes_back_by_itself_when_stable_and_explained),
		cmocka_unit_test(the_fourth_cycle_within_a_day_is_contingency),
		cmocka_unit_test(the_way_back_from_emergency_is_supervised),
		cmocka_unit_test(a_second_agent_asks_for_contingency_and_is_isolated_at_once),
		cmocka_unit_test(one_signal_holds_and_a_second_or_the_window_kills),
		cmocka_unit_test(the_observer_of_tier_3_decides_after_5_minutes),
		cmocka_unit_test(no_group_is_less_restrictive_than_configured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
