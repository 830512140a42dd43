/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "govern/pace-message.h"
#include "govern/pace-table.h"
#include "govern/pace-words.h"
#include "random.h"

#include <string.h>

/* What a phase means for an agent, what a group remembers, and what is kept of it. */

#define HOUR (3600 * 1000ULL)

static struct pace_now at(uint64_t ms)
{
	return (struct pace_now){
		.boot_id = {1}, .boot_ms = 1000 + ms, .wall_ms = 1795378443118 + ms};
}

static struct pace_group in_phase(unsigned phase)
{
	struct pace_group group;
	struct pace_now begin = at(0);

	pace_group_start(&group, "crew", 2, PHASE_PRIMARY, &begin);
	group.phase = phase;
	snprintf(group.backup, sizeof(group.backup), "spare");
	snprintf(group.contingency, sizeof(group.contingency), "last");
	return group;
}

static struct pace_outcome apply(
	struct pace_group *group, uint64_t ms, const struct pace_event *event)
{
	struct pace_now now = at(ms);
	struct pace_outcome o;

	pace_apply(group, &now, event, &o);
	return o;
}

static const struct pace_event suspect_a = {
	.trigger = PACE_BREAKER, .authority = PACE_BY_BERM, .to = PHASE_COUNT, .agent = "alpha"};

static void an_isolated_agent_stays_so_until_primary(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	struct pace_event back = {.trigger = PACE_REVIEWED,
		.authority = PACE_BY_RISK_OWNER,
		.to = PHASE_COUNT,
		.reason = "x",
		.review = PACE_REVIEW_ALL};
	struct pace_event kill = {
		.trigger = PACE_KILL, .authority = PACE_BY_KILL_KEY, .to = PHASE_EMERGENCY};
	uint64_t now = 0;
	struct pace_effects effects;

	(void)state;
	apply(&group, now, &suspect_a);
	apply(&group, now, &kill);
	while (group.phase != PHASE_PRIMARY) {
		pace_effects(&group, "alpha", &effects);
		assert_true(effects.isolated && !effects.may_start);
		assert_int_equal(effects.posture & POSTURE_FROZEN, POSTURE_FROZEN);
		assert_int_equal(apply(&group, now += 5 * HOUR, &back).result, PACE_CHANGED);
	}
	pace_effects(&group, "alpha", &effects);
	assert_true(effects.may_start && effects.posture == POSTURE_OPEN);
}

static void more_agents_than_the_list_holds_are_all_agents(void **state)
{
	struct pace_group group = in_phase(PHASE_ALTERNATE);
	struct pace_effects effects;

	(void)state;
	for (unsigned i = 0; i <= PACE_ISOLATED_MAX; i++) {
		struct pace_event e = suspect_a;
		char name[16];

		snprintf(name, sizeof(name), "agent-%u", i);
		e.agent = name;
		pace_effects(&group, "other", &effects);
		assert_false(effects.isolated);
		apply(&group, i, &e);
	}
	pace_effects(&group, "other", &effects);
	assert_true(effects.isolated);
	pace_effects(&group, NULL, &effects);
	assert_true(effects.isolated);
}

static void the_effects_are_those_of_the_phase(void **state)
{
	/* clang-format off */
	static const struct {
		unsigned phase;
		const char *agent;
		unsigned posture, staged;
		bool may_start, read_only, halved, approve_writes, approve_runs, no_traffic;
	} rows[] = {
		{PHASE_PRIMARY, "beta", 0, 0, true, false, false, false, false, false},
		{PHASE_PRIMARY, "spare", 0, 0, true, false, false, false, false, false},
		{PHASE_ALTERNATE, "beta", POSTURE_NO_WRITE, 0, true, false, true, true, false, false},
		{PHASE_ALTERNATE, NULL, POSTURE_NO_WRITE, 0, true, false, true, true, false, false},
		{PHASE_ALTERNATE, "spare", POSTURE_NO_WRITE, POSTURE_NO_WRITE, true, true, true, true, false, false},
		{PHASE_CONTINGENCY, "beta", POSTURE_FROZEN, POSTURE_FROZEN, false, true, true, true, true, true},
		{PHASE_CONTINGENCY, "spare", POSTURE_FROZEN, POSTURE_FROZEN, false, true, true, true, true, true},
		{PHASE_CONTINGENCY, "last", POSTURE_READ_ONLY, POSTURE_NO_NETWORK, true, false, true, true, true, true},
		{PHASE_CONTINGENCY, NULL, POSTURE_FROZEN, POSTURE_FROZEN, false, true, true, true, true, true},
		{PHASE_EMERGENCY, "last", POSTURE_DEAD, POSTURE_DEAD, false, true, true, true, true, true},
		{PHASE_EMERGENCY, NULL, POSTURE_DEAD, POSTURE_DEAD, false, true, true, true, true, true},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct pace_group group = in_phase(rows[i].phase);
		struct pace_effects e;

		pace_effects(&group, rows[i].agent, &e);
		assert_int_equal(e.posture, rows[i].posture);
		assert_int_equal(e.posture_staged, rows[i].staged);
		assert_int_equal(e.may_start, rows[i].may_start);
		assert_int_equal(e.read_only, rows[i].read_only);
		assert_int_equal(e.thresholds_halved, rows[i].halved);
		assert_int_equal(e.approve_writes, rows[i].approve_writes);
		assert_int_equal(e.approve_runs, rows[i].approve_runs);
		assert_int_equal(e.no_traffic, rows[i].no_traffic);
		assert_non_null(e.why);
	}
	/* A group without a backup has none of the name "". */
	{
		struct pace_group group = in_phase(PHASE_CONTINGENCY);
		struct pace_effects e;

		group.contingency[0] = '\0';
		pace_effects(&group, NULL, &e);
		assert_false(e.may_start);
	}
}

static void names_and_tables_are_complete(void **state)
{
	unsigned value;

	(void)state;
	for (unsigned i = 0; i < PACE_TRIGGER_COUNT; i++) {
		assert_true(pace_trigger_parse(pace_trigger_name(i), &value) && value == i);
		assert_true(pace_trigger_words(i)[0]);
	}
	for (unsigned i = 0; i < PACE_AUTHORITY_COUNT; i++)
		assert_true(pace_authority_parse(pace_authority_name(i), &value) && value == i);
	for (unsigned bit = 1; bit < PACE_ACTIONS_ALL; bit <<= 1)
		assert_true(pace_action_name(bit)[0]);
	for (unsigned bit = 1; bit < PACE_REVIEW_ALL; bit <<= 1)
		assert_true(pace_review_parse(pace_review_name(bit), &value) && value == bit);
	assert_true(pace_phase_parse("C", &value) && value == PHASE_CONTINGENCY);
	assert_false(pace_phase_parse("", &value) || pace_phase_parse("con", &value));
	for (size_t i = 0; i < pace_row_count; i++) {
		const struct pace_row *r = &pace_rows[i];

		assert_true(r->from && r->triggers && r->authorities && r->tiers);
		assert_false(r->authorities & 1U << PACE_BY_AGENT);
		assert_int_equal(r->conditions & ~(unsigned)PACE_CONDITIONS_ALL, 0);
		assert_int_equal(r->actions & ~(unsigned)PACE_ACTIONS_ALL, 0);
		for (unsigned from = 0; from < PHASE_COUNT; from++)
			if ((r->from & 1U << from) && r->how == PACE_GO && r->to < from)
				assert_int_equal(r->to, from - 1);
	}
	assert_false(
		pace_name_is_good("") || pace_name_is_good("-a") || pace_name_is_good("a/b") ||
		pace_name_is_good(".a") || pace_name_is_good("A") ||
		pace_name_is_good("a234567890123456789012345678901234567890123456789012345678901"
				  "2345"));
	assert_true(pace_name_is_good("a") && pace_name_is_good("9.b_c-d"));
}

static void a_nonce_is_taken_once_and_nothing_older_than_what_was_forgotten(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	uint8_t nonce[PACE_NONCE_BYTES] = {0};

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t signed_ms = 1000 + i / 2 + random_below(30);

		memcpy(nonce, &i, sizeof(i));
		if (!pace_nonce_is_new(&group, nonce, signed_ms)) {
			assert_true(signed_ms <= group.nonce_floor_ms);
			continue;
		}
		pace_nonce_use(&group, nonce, signed_ms);
		assert_true(group.nonce_count <= PACE_NONCES_MAX);
		/* Neither this one nor one that was used before is taken again, at any time. */
		assert_false(pace_nonce_is_new(&group, nonce, signed_ms));
		for (unsigned old = i > 200 ? i - 200 : 0; old < i; old++) {
			uint8_t again[PACE_NONCE_BYTES] = {0};

			memcpy(again, &old, sizeof(old));
			assert_false(pace_nonce_is_new(&group, again, 1000 + old / 2));
		}
	}
	assert_true(group.nonce_count == PACE_NONCES_MAX && group.nonce_floor_ms > 1500);
}

static struct pace_group full_group(void)
{
	struct pace_group group = in_phase(PHASE_ALTERNATE);
	struct pace_now later = at(50 * HOUR);
	struct pace_event e = suspect_a;

	for (unsigned i = 0; i < 5; i++) {
		uint8_t nonce[PACE_NONCE_BYTES] = {(uint8_t)i, 1};

		pace_nonce_use(&group, nonce, 100 + i);
		group.returns[group.return_count++] = group.clock.moment;
	}
	group.nonce_floor_ms = 99;
	apply(&group, HOUR, &e);
	e.agent = "beta";
	e.source = "judge";
	apply(&group, HOUR, &e);
	pace_clock_advance(&group.clock, &later);
	group.explained = group.recovering = true;
	group.changes = UINT64_MAX;
	return group;
}

static void what_is_kept_of_a_group_is_all_of_it(void **state)
{
	struct pace_group group = full_group(), again;
	autofree uint8_t *bytes = NULL, *second = NULL;
	size_t length = 0, second_length = 0;
	struct error err = {0};

	(void)state;
	assert_true(group.request.open && group.isolated_count == 2);
	assert_int_equal(pace_pack(&group, &bytes, &length, &err), 0);
	if (pace_unpack(bytes, length, &again, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pace_pack(&again, &second, &second_length, &err), 0);
	assert_int_equal(length, second_length);
	assert_memory_equal(bytes, second, length);
	assert_string_equal(again.isolated[1].agent, "beta");
	assert_string_equal(again.request.source, "judge");
	assert_int_equal(again.request.trigger, PACE_SECOND_AGENT);
	assert_true(again.changes == UINT64_MAX && again.return_count == 5);
	assert_true(again.explained && again.recovering && again.nonce_count == 5);
	assert_int_equal(again.clock.moment.least_ms, 50 * HOUR);
}

static void a_damaged_group_is_refused_or_another_valid_one(void **state)
{
	struct pace_group group = full_group(), other;
	autofree uint8_t *bytes = NULL;
	size_t length = 0;
	struct error err = {0};
	unsigned refused = 0, whole = 0;

	(void)state;
	assert_int_equal(pace_pack(&group, &bytes, &length, &err), 0);
	/* Without its last fields it is another group; that it was cut is the hash's business. */
	for (size_t cut = 0; cut < length; cut++)
		whole += pace_unpack(bytes, cut, &other, &err) == 0;
	assert_true(whole <= 20);
	for (unsigned i = 0; i < 20000; i++) {
		size_t where = random_below((uint32_t)length);
		uint8_t was = bytes[where];

		bytes[where] = (uint8_t)random_u64();
		if (pace_unpack(bytes, length, &other, &err) < 0) {
			refused++;
		} else {
			assert_true(other.phase < PHASE_COUNT && other.configured < PHASE_COUNT);
			assert_true(other.tier >= 1 && other.tier <= 3);
			assert_true(other.isolated_count <= PACE_ISOLATED_MAX);
			assert_true(other.entered.least_ms <= other.clock.moment.least_ms);
		}
		bytes[where] = was;
	}
	assert_true(refused > 5000);
}

/* clang-format off */
/* One field at a time is outside of what a group can be. */
static void break_field(struct pace_group *g, unsigned which)
{
	switch (which) {
	case 0: g->tier = 0; break;
	case 1: g->tier = 4; break;
	case 2: g->configured = PHASE_COUNT; break;
	case 3: g->phase = PHASE_COUNT; break;
	case 4: g->window_ms = 0; break;
	case 5: g->window_ms = PACE_WINDOW_MAX_MS + 1; break;
	case 6: g->entered.least_ms = g->clock.moment.least_ms + 1; break;
	case 7: g->disturbed.most_ms = g->clock.moment.most_ms + 1; break;
	case 8: g->clock.moment.most_ms = g->clock.moment.least_ms - 1; break;
	case 9: g->name[0] = '/'; break;
	case 10: g->name[0] = '\0'; break;
	case 11: g->backup[0] = '-'; break;
	case 12: g->isolated[1] = g->isolated[0]; break;
	case 13: g->request.to = PHASE_ALTERNATE; break;
	case 14: g->request.authority = PACE_BY_AGENT; break;
	case 15: g->request.trigger = PACE_TRIGGER_COUNT; break;
	case 16: g->nonces[0].signed_ms = 99; break;
	case 17: g->nonces[0].signed_ms = 4000; break;
	case 18: g->phase = PHASE_PRIMARY; break;
	default: g->isolated[0].agent[0] = 'A'; break;
	}
}
/* clang-format on */

static void what_no_group_can_be_is_refused(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 20; which++) {
		struct pace_group group = full_group(), other;
		autofree uint8_t *bytes = NULL;
		size_t length = 0;
		struct error err = {0};

		break_field(&group, which);
		assert_int_equal(pace_pack(&group, &bytes, &length, &err), 0);
		if (pace_unpack(bytes, length, &other, &err) != -EBADMSG)
			fail_msg("row %u was taken", which);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_isolated_agent_stays_so_until_primary),
		cmocka_unit_test(more_agents_than_the_list_holds_are_all_agents),
		cmocka_unit_test(the_effects_are_those_of_the_phase),
		cmocka_unit_test(names_and_tables_are_complete),
		cmocka_unit_test(a_nonce_is_taken_once_and_nothing_older_than_what_was_forgotten),
		cmocka_unit_test(what_is_kept_of_a_group_is_all_of_it),
		cmocka_unit_test(a_damaged_group_is_refused_or_another_valid_one),
		cmocka_unit_test(what_no_group_can_be_is_refused),
	};

	random_seed(20261123);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
