/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "govern/pace-message.h"
#include "govern/pace-table.h"
#include "govern/pace-words.h"
#include "pace-crew.h"
#include "random.h"

#include <string.h>

/* What a phase means for an agent, what a group remembers, and what is kept of it. */

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
		pace_effects(&group, ALPHA, &effects);
		assert_true(effects.isolated && !effects.may_start);
		assert_int_equal(effects.posture & POSTURE_FROZEN, POSTURE_FROZEN);
		assert_int_equal(apply(&group, now += 5 * HOUR, &back).result, PACE_CHANGED);
	}
	pace_effects(&group, ALPHA, &effects);
	assert_true(effects.may_start && effects.posture == POSTURE_OPEN);
}

static void more_agents_than_the_list_holds_are_all_agents(void **state)
{
	struct pace_group group = in_phase(PHASE_ALTERNATE);
	struct pace_effects effects;

	(void)state;
	for (unsigned i = 0; i <= PACE_ISOLATED_MAX; i++) {
		struct pace_event e = suspect_a;
		char id[AGENT_ID_BYTES + 1];

		snprintf(id, sizeof(id), "%026u", i);
		e.agent = id;
		pace_effects(&group, OTHER, &effects);
		/* The question has room for fewer: then it is about all of them. */
		assert_int_equal(effects.isolated, i > PACE_FINDINGS_MAX + 2);
		apply(&group, i, &e);
	}
	assert_true(group.all_isolated);
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++)
		group.requests[i] = (struct pace_request){0};
	pace_effects(&group, OTHER, &effects);
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
		{PHASE_PRIMARY, BETA, 0, 0, true, false, false, false, false, false},
		{PHASE_PRIMARY, SPARE, 0, 0, true, false, false, false, false, false},
		{PHASE_ALTERNATE, BETA, POSTURE_NO_WRITE, 0, true, false, true, true, false, false},
		{PHASE_ALTERNATE, NULL, POSTURE_NO_WRITE, 0, true, false, true, true, false, false},
		{PHASE_ALTERNATE, SPARE, POSTURE_NO_WRITE, POSTURE_NO_WRITE, true, true, true, true, false, false},
		{PHASE_CONTINGENCY, BETA, POSTURE_FROZEN, POSTURE_FROZEN, false, true, true, true, true, true},
		{PHASE_CONTINGENCY, SPARE, POSTURE_FROZEN, POSTURE_FROZEN, false, true, true, true, true, true},
		{PHASE_CONTINGENCY, LAST, POSTURE_READ_ONLY, POSTURE_NO_NETWORK, true, false, true, true, true, true},
		{PHASE_CONTINGENCY, NULL, POSTURE_FROZEN, POSTURE_FROZEN, false, true, true, true, true, true},
		{PHASE_EMERGENCY, LAST, POSTURE_DEAD, POSTURE_DEAD, false, true, true, true, true, true},
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
	/* "lab.new" would be what an interrupted write of "lab" leaves, and the next one removes.
	 */
	assert_false(
		agent_name_is_good("") || agent_name_is_good("-a") || agent_name_is_good("a/b") ||
		agent_name_is_good(".a") || agent_name_is_good("A") ||
		agent_name_is_good("lab.new") ||
		agent_name_is_good("a234567890123456789012345678901234567890123456789012345678901"
				   "2345"));
	assert_true(agent_name_is_good("a") && agent_name_is_good("9b_c-d"));
}

static const uint8_t keys[3][PACE_KEY_BYTES] = {{1}, {2}, {3}};

static enum pace_nonce_answer use(struct pace_group *group, const uint8_t key[PACE_KEY_BYTES],
	unsigned number, uint64_t signed_ms, uint64_t wall_ms)
{
	uint8_t nonce[PACE_NONCE_BYTES] = {0};
	enum pace_nonce_answer answer;

	memcpy(nonce, &number, sizeof(number));
	answer = pace_nonce_ask(group, key, nonce, signed_ms, wall_ms);
	if (answer == PACE_NONCE_NEW)
		pace_nonce_use(group, key, nonce, signed_ms, wall_ms);
	return answer;
}

/* Wherever the clock stands: what was used once is never taken again. */
static void a_nonce_is_taken_once_and_nothing_older_than_what_was_forgotten(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	static struct {
		unsigned number;
		uint64_t signed_ms;
	} used[4000];
	uint64_t wall_ms = 1795378443118;
	unsigned count = 0, refused = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t signed_ms = wall_ms - random_below(12 * 60000) + random_below(120000);

		if (use(&group, keys[i % 3], i, signed_ms, wall_ms) == PACE_NONCE_NEW) {
			used[count].number = i;
			used[count++].signed_ms = signed_ms;
		} else {
			refused++;
		}
		assert_true(group.nonce_count <= 3 * PACE_NONCES_PER_KEY);
		for (unsigned old = count > 50 ? count - 50 : 0; old < count; old++)
			for (unsigned key = 0; key < 3; key++)
				if (used[old].signed_ms + 12 * 60000 >= wall_ms)
					assert_int_equal(use(&group, keys[key], used[old].number,
								 used[old].signed_ms, wall_ms),
						PACE_NONCE_USED);
		/* Now and then the clock is set back by minutes. */
		wall_ms += random_below(60000);
		if (random_below(40) == 0)
			wall_ms -= random_below(30 * 60000);
	}
	assert_true(count > 300 && refused > 300);
}

/* Two statements that were used while the clock stood a year ahead, and then it was set right. */
static void a_clock_that_was_ahead_shuts_no_key_out(void **state)
{
	const uint64_t now = 1795378443118, year = 365 * 24 * HOUR;
	struct pace_group group = in_phase(PHASE_PRIMARY);

	(void)state;
	assert_int_equal(use(&group, keys[0], 1, now + year, now + year), PACE_NONCE_NEW);
	assert_int_equal(use(&group, keys[0], 2, now + year + 13 * 60000, now + year + 13 * 60000),
		PACE_NONCE_NEW);
	assert_true(group.nonce_floor_ms >= now + year);
	for (unsigned key = 0; key < 3; key++)
		assert_int_equal(use(&group, keys[key], 10 + key, now, now + 5), PACE_NONCE_NEW);
	assert_int_equal(use(&group, keys[0], 10, now, now + 5), PACE_NONCE_USED);
	/* Set back by an hour alone it forgets nothing. */
	group = in_phase(PHASE_PRIMARY);
	assert_int_equal(use(&group, keys[0], 1, now, now), PACE_NONCE_NEW);
	assert_int_equal(use(&group, keys[0], 2, now + HOUR, now + HOUR), PACE_NONCE_NEW);
	assert_int_equal(use(&group, keys[0], 1, now, now), PACE_NONCE_USED);
}

/* The least role is a machine's: what it signs takes no room from the incident commander. */
static void one_key_does_not_shut_out_another_by_signing_much(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	const uint64_t now = 1795378443118;
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		taken += use(&group, keys[0], i, now + 2 * 60000, now) == PACE_NONCE_NEW;
	assert_int_equal(taken, PACE_NONCES_PER_KEY);
	assert_int_equal(use(&group, keys[0], 1000, now, now), PACE_NONCE_FULL);
	for (unsigned i = 0; i < PACE_NONCES_PER_KEY; i++)
		assert_int_equal(use(&group, keys[1], 2000 + i, now - i, now), PACE_NONCE_NEW);
	/* It may again when its statements are too old to be taken. */
	assert_int_equal(
		use(&group, keys[0], 3000, now + 15 * 60000, now + 15 * 60000), PACE_NONCE_NEW);
	/* A key that is listed later finds room, however many were listed before. */
	group = in_phase(PHASE_PRIMARY);
	for (unsigned i = 0; i < PACE_NONCES_MAX; i++) {
		uint8_t key[PACE_KEY_BYTES] = {(uint8_t)(i / PACE_NONCES_PER_KEY), 9};

		assert_int_equal(use(&group, key, i, now, now), PACE_NONCE_NEW);
	}
	assert_int_equal(use(&group, keys[2], 5000, now, now), PACE_NONCE_FULL);
	assert_int_equal(
		use(&group, keys[2], 5000, now + 13 * 60000, now + 13 * 60000), PACE_NONCE_NEW);
	assert_int_equal(group.nonce_count, 1);
}

/* Nothing that a whole group can be changes for ever; what would is not taken for what it shows. */
static void a_group_that_does_not_come_to_rest_is_unknown(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY), other;
	struct pace_now now = at(49 * HOUR);

	(void)state;
	group.phase = PHASE_ALTERNATE;
	group.configured = PHASE_EMERGENCY;
	other = group;
	assert_false(pace_settle(&other, &now, 1, NULL));
	assert_true(pace_settle(&group, &now, PACE_STEPS_MAX, NULL));
	assert_int_equal(group.phase, PHASE_EMERGENCY);
}

static struct pace_group full_group(void)
{
	struct pace_group group = in_phase(PHASE_ALTERNATE);
	struct pace_now later = at(50 * HOUR);
	struct pace_event e = suspect_a;

	for (unsigned i = 0; i < 5; i++) {
		uint8_t nonce[PACE_NONCE_BYTES] = {(uint8_t)i, 1};

		pace_nonce_use(&group, keys[i % 3], nonce, 100 + i, 100 + i);
		group.returns[group.return_count++] = group.clock.moment;
	}
	group.nonce_floor_ms = 99;
	apply(&group, HOUR, &e);
	e.agent = BETA;
	e.source = "judge";
	apply(&group, HOUR, &e);
	e.trigger = PACE_CASCADE;
	e.source = "scanner";
	apply(&group, HOUR, &e);
	e.trigger = PACE_ROGUE;
	apply(&group, HOUR, &e);
	e.agent = NULL;
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
	assert_true(group.requests[0].open && group.requests[1].open && group.isolated_count == 2);
	assert_int_equal(pace_pack(&group, &bytes, &length, &err), 0);
	if (pace_unpack(bytes, length, &again, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pace_pack(&again, &second, &second_length, &err), 0);
	assert_int_equal(length, second_length);
	assert_memory_equal(bytes, second, length);
	assert_string_equal(again.isolated[1].agent, BETA);
	assert_string_equal(again.requests[0].source, "judge");
	assert_int_equal(again.requests[0].trigger, PACE_SECOND_AGENT);
	assert_string_equal(again.requests[1].source, "scanner");
	assert_int_equal(again.requests[1].more_count, 2);
	assert_int_equal(again.requests[1].more[0].trigger, PACE_ROGUE);
	assert_string_equal(again.requests[1].more[0].agent, BETA);
	assert_string_equal(again.requests[1].more[1].agent, "");
	assert_memory_equal(again.id, group.id, sizeof(again.id));
	assert_memory_equal(again.nonces, group.nonces, sizeof(again.nonces));
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
	case 13: g->requests[0].to = PHASE_ALTERNATE; break;
	case 14: g->requests[0].authority = PACE_BY_AGENT; break;
	case 15: g->requests[1].trigger = PACE_TRIGGER_COUNT; break;
	case 16: g->nonces[0].signed_ms = 99; break;
	case 17: g->nonces[0].signed_ms = 4000; break;
	case 18: g->phase = PHASE_PRIMARY; break;
	case 19: g->requests[1].to = PHASE_CONTINGENCY; break;
	case 20: g->requests[1].agent[3] = '\0'; break;
	case 22: g->requests[1].more[0].trigger = PACE_TRIGGER_COUNT; break;
	case 23: g->requests[1].more[0].agent[0] = 'a'; break;
	case 24: g->requests[1].more[1] = g->requests[1].more[0]; break;
	case 21: g->contingency[0] = 'a'; break;
	default: g->isolated[0].agent[0] = 'a'; break;
	}
}
/* clang-format on */

static void what_no_group_can_be_is_refused(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 26; which++) {
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
		cmocka_unit_test(a_clock_that_was_ahead_shuts_no_key_out),
		cmocka_unit_test(one_key_does_not_shut_out_another_by_signing_much),
		cmocka_unit_test(a_group_that_does_not_come_to_rest_is_unknown),
		cmocka_unit_test(what_is_kept_of_a_group_is_all_of_it),
		cmocka_unit_test(a_damaged_group_is_refused_or_another_valid_one),
		cmocka_unit_test(what_no_group_can_be_is_refused),
	};

	random_seed(20261123);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
