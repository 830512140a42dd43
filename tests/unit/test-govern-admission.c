/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "agent-tries.h"
#include "pace-names.h"
#include "random.h"

static void a_hundred_runs_an_hour_and_no_more_around_any_boundary(void **state)
{
	struct admission answer;
	uint64_t at = 59 * MINUTE + 59000;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		end_at(at, try_at(at, &answer), ADMISSION_WORKED, 0);
	assert_int_equal(try_at(at, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_RATE);
	assert_string_equal(admission_rule_name(answer.rule), "runs_per_hour");
	assert_int_equal(answer.wait_ms, HOUR);
	/* A minute, a new hour, and a millisecond too early. */
	assert_int_equal(try_at(at + MINUTE, &answer), 0);
	assert_int_equal(try_at(at + HOUR - 1, &answer), 0);
	assert_int_equal(answer.wait_ms, 1);
	assert_true(try_at(at + HOUR, &answer) > 0);
}

/* Against a list of all that happened: no hour and no day, wherever it begins, holds more. */
static void no_window_ever_holds_more_than_its_limit(void **state)
{
	static struct {
		uint64_t at, files;
	} done[20000];
	size_t count = 0;
	uint64_t now_ms = 0, hour_limit = 500, day_limit = 3000;
	struct admission answer;
	unsigned refused = 0;

	(void)state;
	random_seed(6);
	agent->runs_per_hour = 1000000;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_HOUR, hour_limit), 0);
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_DAY, day_limit), 0);
	while (count < array_size(done) && now_ms < 5 * DAY) {
		struct admission_request request = sample_request(1, a_call);
		unsigned run;

		/* Bursts and pauses, some as long as a window and a bit. */
		now_ms += random_below(20) == 0 ? random_below(70 * MINUTE) : random_below(2000);
		request.caps[COUNTER_FILES_CHANGED] = 1 + random_below(100);
		run = try_with(&request, now_ms, &answer);
		refused += run == 0;
		if (run == 0)
			continue;
		now_ms += random_below(MINUTE);
		done[count].at = now_ms;
		done[count].files =
			random_below(4) == 0
				? answer.caps[COUNTER_FILES_CHANGED]
				: random_below((unsigned)answer.caps[COUNTER_FILES_CHANGED] + 1);
		end_at(now_ms, run, ADMISSION_WORKED, done[count++].files);
	}
	assert_true(count > 500 && refused > 100);
	for (size_t first = 0; first < count; first++) {
		uint64_t hour = 0, day = 0;

		for (size_t i = first; i < count && done[i].at < done[first].at + DAY; i++) {
			day += done[i].files;
			if (done[i].at < done[first].at + HOUR)
				hour += done[i].files;
		}
		assert_true(hour <= hour_limit && day <= day_limit);
	}
	assert_true(agent->n_hour <= 62 && agent->n_day <= 62);
}

static void clocks_that_are_set_make_nothing_older(void **state)
{
	struct agent_now now = sample_now(10 * DAY), later;
	uint64_t amounts[COUNTER_COUNT] = {[COUNTER_BYTES_SENT] = 7};

	(void)state;
	assert_int_equal(agent_charge(agent, &now, amounts, 1), 0);
	/* The wall clock ten years ahead, ten years back. */
	later = now;
	later.wall_ms += 3650 * DAY;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 7);
	later.wall_ms = now.wall_ms - 3650 * DAY;
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_BYTES_SENT, &later), 7);
	assert_int_equal(agent_runs(agent, &later), 1);
	/* The boot clock ahead, as in a time namespace. */
	later = now;
	later.boot_ms += 3650 * DAY;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 7);
	later.boot_ms = 0;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 7);
	/* A reboot tells nothing but what the wall clock does. */
	later = now;
	later.boot_id[0]++;
	later.boot_ms = 100 * DAY;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 7);
	later.wall_ms += HOUR - 1;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 7);
	later.wall_ms++;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 0);
	/* Both on, as time does. */
	later = now;
	later.wall_ms += HOUR;
	later.boot_ms += HOUR;
	assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_BYTES_SENT, &later), 0);
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_BYTES_SENT, &later), 7);
	assert_int_equal(agent_used(agent, AGENT_LIFETIME, COUNTER_BYTES_SENT, &later), 7);
}

static void a_clock_that_is_set_back_and_forth_loses_nothing(void **state)
{
	uint64_t amounts[COUNTER_COUNT] = {[COUNTER_DENIALS] = 1};
	struct agent_now now = sample_now(DAY);

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		now.boot_id[0] = (uint8_t)(i % 7);
		now.wall_ms = 1700000000000 + i % 3 * 100;
		now.boot_ms += 10;
		assert_int_equal(agent_charge(agent, &now, amounts, 1), 0);
		assert_int_equal(agent_used(agent, AGENT_HOUR, COUNTER_DENIALS, &now), i + 1);
		assert_int_equal(agent_runs(agent, &now), i + 1);
	}
	assert_true(agent->n_hour <= 128 && agent->n_day <= 128);
	assert_int_equal(agent_used(agent, AGENT_LIFETIME, COUNTER_DENIALS, &now), 5000);
	assert_int_equal(agent->runs_total, 5000);
}

static void what_runs_that_last_may_do_is_reserved(void **state)
{
	struct admission_request request = sample_request(1, no_call);
	struct admission answer;
	unsigned first, second;

	(void)state;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_DAY, 100), 0);
	request.caps[COUNTER_FILES_CHANGED] = 60;
	first = try_with(&request, 0, &answer);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 60);
	assert_int_equal(answer.caps[COUNTER_BYTES_SENT], AGENT_UNLIMITED);
	second = try_with(&request, 0, &answer);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 40);
	assert_int_equal(try_with(&request, 0, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_BUDGET);
	assert_int_equal(answer.counter, COUNTER_FILES_CHANGED);
	assert_non_null(strstr(answer.words, "files_changed (100 per day)"));
	assert_non_null(strstr(answer.words, "reserved"));
	/* What was not done comes back, what was done does not. */
	end_at(1000, first, ADMISSION_WORKED, 10);
	assert_true(try_with(&request, 2000, &answer) > 0);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 50);
	/* A run that nobody knows the end of is not free. */
	end_at(3000, second, ADMISSION_LOST, 0);
	end_at(3000, number, ADMISSION_WORKED, 0);
	assert_true(try_with(&request, 4000, &answer) > 0);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 50);
	end_at(4000, number, ADMISSION_LOST, 0);
	assert_int_equal(try_with(&request, 5000, &answer), 0);
	assert_null(strstr(answer.words, "reserved"));
	assert_int_equal(answer.wait_ms, DAY - 2000);
	/* Its end twice is nothing. */
	end_at(6000, second, ADMISSION_WORKED, 77);
	assert_int_equal(agent->n_runs, 0);
}

/* A run that nobody saw the end of, found much later: it was over when its time was. */
static void a_lost_run_is_charged_when_it_was_over_and_not_when_it_is_found(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	struct agent_now begun_at = sample_now(0), found = sample_now(3 * DAY), over;
	Berm__Wire__AgentMoment *begun = agent_moment(&begun_at);
	struct admission answer;
	unsigned run;

	(void)state;
	assert_non_null(begun);
	agent->cooldown_ms = HOUR;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_DAY, 10), 0);
	run = try_with(&request, 0, &answer);
	over = admission_over(begun, HOUR, &found);
	assert_int_equal(admission_end(agent, sample_run(run), ADMISSION_LOST, NULL, &over), 0);
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_FILES_CHANGED, &begun_at), 10);
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_FILES_CHANGED, &found), 0);
	assert_int_equal(agent_used(agent, AGENT_LIFETIME, COUNTER_FILES_CHANGED, &found), 10);
	/* Neither does it cool down now. */
	assert_true(try_with(&request, 3 * DAY, &answer) > 0);
	end_at(3 * DAY, number, ADMISSION_NEVER_RAN, 0);
	/* Never later than now, and without a limit not before that. */
	over = admission_over(begun, 7 * DAY, &found);
	assert_int_equal(over.boot_ms, found.boot_ms);
	assert_int_equal(over.wall_ms, found.wall_ms);
	over = admission_over(begun, 0, &found);
	assert_int_equal(over.boot_ms, found.boot_ms);
	/* A reboot an hour ago ended it, at the latest. */
	found.boot_id[0]++;
	found.boot_ms = HOUR;
	over = admission_over(begun, 0, &found);
	assert_int_equal(over.wall_ms, found.wall_ms - HOUR);
	assert_memory_equal(over.boot_id, begun_at.boot_id, sizeof(over.boot_id));
	over = admission_over(begun, HOUR, &found);
	assert_int_equal(over.wall_ms, begun_at.wall_ms + HOUR);
	berm__wire__agent_moment__free_unpacked(begun, NULL);
}

static void a_lost_run_is_settled_by_who_knows_better(void **state)
{
	uint64_t done[COUNTER_COUNT];
	struct admission answer;
	struct agent_now now = sample_now(MINUTE);
	unsigned run;

	(void)state;
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		done[i] = AGENT_UNLIMITED;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_LIFETIME, 10), 0);
	assert_int_equal(agent_set_budget(agent, COUNTER_BYTES_SENT, AGENT_DAY, 7), 0);
	run = try_at(0, &answer);
	assert_int_equal(admission_settle(agent, sample_run(run), done), -ENOENT);
	end_at(MINUTE, run, ADMISSION_LOST, 0);
	assert_int_equal(try_at(MINUTE, &answer), 0);
	done[COUNTER_FILES_CHANGED] = 11;
	assert_int_equal(admission_settle(agent, sample_run(run), done), -ERANGE);
	assert_int_equal(agent_lifetime(agent, COUNTER_FILES_CHANGED), 10);
	done[COUNTER_FILES_CHANGED] = 3;
	assert_int_equal(admission_settle(agent, sample_run(run), done), 0);
	/* What nobody spoke of stays. */
	assert_int_equal(agent_used(agent, AGENT_LIFETIME, COUNTER_FILES_CHANGED, &now), 3);
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_BYTES_SENT, &now), 7);
	done[COUNTER_BYTES_SENT] = 0;
	assert_int_equal(admission_settle(agent, sample_run(run), done), 0);
	assert_true(try_at(MINUTE, &answer) > 0);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 7);
}

/* The list of those that can be settled has an end, what they count as has none. */
static void many_lost_runs_count_all(void **state)
{
	struct admission_request request = sample_request(1, no_call);
	struct admission answer;
	struct agent_now now = sample_now(200 * MINUTE);

	(void)state;
	agent->runs_per_hour = 1000;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_DAY, 1000), 0);
	request.caps[COUNTER_FILES_CHANGED] = 1;
	for (unsigned i = 0; i < 2 * AGENT_LOST_MAX; i++)
		end_at(i * MINUTE, try_with(&request, i * MINUTE, &answer), ADMISSION_LOST, 0);
	assert_int_equal(agent->n_lost, AGENT_LOST_MAX);
	assert_int_equal(
		agent_used(agent, AGENT_DAY, COUNTER_FILES_CHANGED, &now), 2 * AGENT_LOST_MAX);
	assert_int_equal(agent_lifetime(agent, COUNTER_FILES_CHANGED), 2 * AGENT_LOST_MAX);
}

static void a_lifetime_is_never_over(void **state)
{
	struct admission answer;

	(void)state;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_LIFETIME, 10), 0);
	end_at(1, try_at(0, &answer), ADMISSION_WORKED, 10);
	assert_int_equal(try_at(3650 * DAY, &answer), 0);
	assert_int_equal(answer.wait_ms, AGENT_UNLIMITED);
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_LIFETIME, 11), 0);
	assert_true(try_at(3650 * DAY, &answer) > 0);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 1);
	assert_int_equal(
		agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_LIFETIME, AGENT_UNLIMITED), 0);
	assert_int_equal(agent->n_budgets, 0);
}

static void a_run_that_changes_nothing_reserves_nothing_of_that(void **state)
{
	struct admission_request request = sample_request(1, no_call);
	struct admission answer;
	struct agent_now now = sample_now(0);

	(void)state;
	agent->tier = 1;
	assert_int_equal(agent_set_budget(agent, COUNTER_FILES_CHANGED, AGENT_DAY, 10), 0);
	assert_int_equal(agent_set_budget(agent, COUNTER_PROCESSES_STARTED, AGENT_DAY, 10), 0);
	request.caps[COUNTER_PROCESSES_STARTED] = 4;
	assert_true(try_with(&request, 0, &answer) > 0);
	assert_int_equal(answer.caps[COUNTER_FILES_CHANGED], 0);
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_FILES_CHANGED, &now), 0);
	assert_int_equal(agent_used(agent, AGENT_DAY, COUNTER_PROCESSES_STARTED, &now), 4);
}

static void only_those_who_may_start_it(void **state)
{
	static const struct {
		bool is_operator;
		uint32_t uid, gid;
		bool may;
	} rows[] = {{true, 5, 5, true}, {false, 1000, 5, true}, {false, 5, 1000, false},
		{false, 5, 60, true}, {false, 60, 5, false}, {false, 0, 0, false}};
	Berm__Wire__AgentStarter uid = BERM__WIRE__AGENT_STARTER__INIT, gid = uid;
	Berm__Wire__AgentStarter *starters[] = {&uid, &gid};
	struct admission answer;

	(void)state;
	uid.id = 1000;
	gid.group = true;
	gid.id = 60;
	agent->may_start = starters;
	agent->n_may_start = array_size(starters);
	for (size_t i = 0; i < array_size(rows); i++) {
		struct admission_request request = sample_request(1, a_call);

		request.is_operator = rows[i].is_operator;
		request.uid = rows[i].uid;
		request.gid = rows[i].gid;
		assert_true((try_with(&request, 0, &answer) > 0) == rows[i].may);
		assert_int_equal(answer.rule, rows[i].may ? ADMISSION_YES : ADMISSION_NOT_YOURS);
	}
	agent->n_may_start = 0;
	agent->may_start = NULL;
}

static void groups_and_tiers_and_retirement_are_heard(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	struct admission_group group = {.why = "two agents are suspected"};
	struct agent_now now = sample_now(0);
	struct admission answer;

	(void)state;
	admit(agent, &group, &request, &now, &answer);
	assert_true(answer.rule == ADMISSION_YES && !answer.read_only && !answer.approval);
	group.read_only = true;
	admit(agent, &group, &request, &now, &answer);
	assert_true(answer.rule == ADMISSION_YES && answer.read_only);
	group.approval = true;
	admit(agent, &group, &request, &now, &answer);
	assert_int_equal(answer.rule, ADMISSION_YES);
	assert_string_equal(answer.approval, group.why);
	group.no_start = true;
	admit(agent, &group, &request, &now, &answer);
	assert_int_equal(answer.rule, ADMISSION_GROUP);
	assert_non_null(strstr(answer.words, group.why));
	group = (struct admission_group){0};
	agent->tier = 1;
	admit(agent, &group, &request, &now, &answer);
	assert_true(answer.rule == ADMISSION_YES && answer.read_only);
	agent->running_max = 1;
	assert_true(try_at(0, &answer) > 0);
	assert_int_equal(try_at(0, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_RUNNING);
	agent->retired = agent_moment(&now);
	agent->retired_reason = sample_words("its work is done");
	admit(agent, &group, &request, &now, &answer);
	assert_int_equal(answer.rule, ADMISSION_RETIRED);
	assert_non_null(strstr(answer.words, "its work is done"));
}

/* MASO's table of tiers, and nothing beside it: EC-1.1, EC-2.3, EC-2.4, ENV-14, SESS-01, DEL-03,
 * the fail postures; EC-1.3, EC-1.5a and EC-1.10 are the same in all of them. */
static void tiers_differ_as_maso_has_it(void **state)
{
	/* clang-format off */
	static const struct {
		bool read_only, caps, breaker, closed_always;
		uint64_t cooldown_s, time_box_min;
		unsigned delegations;
	} rows[] = {
		{true,  false, false, false, 0,  0,   0},
		{false, true,  true,  false, 60, 240, 2},
		{false, true,  true,  true,  60, 30,  3},
	};
	/* clang-format on */

	(void)state;
	for (unsigned i = 0; i < array_size(rows); i++) {
		const struct agent_tier *tier = agent_tier(i + 1);

		assert_int_equal(tier->read_only, rows[i].read_only);
		assert_int_equal(tier->wants_caps, rows[i].caps);
		assert_int_equal(tier->wants_breaker, rows[i].breaker);
		assert_int_equal(tier->never_degraded, rows[i].closed_always);
		assert_int_equal(tier->cooldown_ms, rows[i].cooldown_s * 1000);
		assert_int_equal(tier->time_box_ms, rows[i].time_box_min * 60000);
		assert_int_equal(tier->delegations, rows[i].delegations);
		agent->tier = i + 1;
		agent->time_box_ms = 0;
		assert_int_equal(agent_time_box_ms(agent), tier->time_box_ms);
		agent->time_box_ms = 1000;
		assert_int_equal(agent_time_box_ms(agent), 1000);
		agent->time_box_ms = 300 * 60000;
		assert_int_equal(agent_time_box_ms(agent),
			tier->time_box_ms ? tier->time_box_ms : 300 * 60000);
	}
	assert_int_equal(AGENT_RUNS_PER_HOUR, 100);
	assert_int_equal(AGENT_RETRIES, 3);
	/* Who has no tier that there is has the narrowest one. */
	assert_true(agent_tier(0)->read_only && agent_tier(4)->read_only);
}

/* What a phase means for a new run, through the effects and not by hand: each phase and each part
 * that an agent can have in its group. */
static void each_phase_lets_each_agent_start_what_the_design_says(void **state)
{
	static const char *const parts[] = {ALPHA, BETA, SPARE, LAST}; /* isolated, other … */
	enum { NO, READ_ONLY, STAGED, WHOLE, ASKS };
	/* clang-format off */
	static const struct {
		unsigned phase;
		unsigned may[4]; /* of an isolated one, another one, the backup, the one of contingency */
		bool halved;
	} rows[] = {
		{PHASE_PRIMARY,     {NO, WHOLE,     WHOLE,     WHOLE},     false},
		{PHASE_ALTERNATE,   {NO, STAGED,    READ_ONLY, STAGED},    true},
		{PHASE_CONTINGENCY, {NO, NO,        NO,        ASKS},      true},
		{PHASE_EMERGENCY,   {NO, NO,        NO,        NO},        true},
		{PHASE_COUNT,       {NO, NO,        NO,        NO},        true}, /* not known */
	};
	/* clang-format on */
	const uint8_t id[PACE_ID_BYTES] = {1};
	struct admission_request request = sample_request(1, a_call);
	struct agent_now now = sample_now(0);
	struct pace_now begin = {.boot_ms = 1};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		for (size_t part = 0; part < array_size(parts); part++) {
			struct admission_group group;
			struct pace_effects effects;
			struct admission answer;
			struct pace_group crew;
			unsigned may;

			pace_group_start(&crew, "crew", id, 2, PHASE_PRIMARY, &begin);
			crew.phase = rows[i].phase;
			snprintf(crew.backup, sizeof(crew.backup), SPARE);
			snprintf(crew.contingency, sizeof(crew.contingency), LAST);
			snprintf(crew.isolated[0].agent, sizeof(crew.isolated[0].agent), ALPHA);
			crew.isolated_count = 1;
			pace_effects(&crew, parts[part], &effects);
			admission_of_phase(&effects, &group);
			admit(agent, &group, &request, &now, &answer);
			may = answer.rule == ADMISSION_GROUP ? NO
			      : answer.approval              ? ASKS
			      : answer.read_only             ? READ_ONLY
			      : answer.stage_writes          ? STAGED
							     : WHOLE;
			if (may != rows[i].may[part] || answer.halved != rows[i].halved)
				fail_msg("phase %u, part %zu: may %u, halved %d", rows[i].phase,
					part, may, answer.halved);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(a_hundred_runs_an_hour_and_no_more_around_any_boundary),
		row(no_window_ever_holds_more_than_its_limit),
		row(clocks_that_are_set_make_nothing_older),
		row(a_clock_that_is_set_back_and_forth_loses_nothing),
		row(what_runs_that_last_may_do_is_reserved),
		row(a_lost_run_is_charged_when_it_was_over_and_not_when_it_is_found),
		row(a_lost_run_is_settled_by_who_knows_better),
		row(many_lost_runs_count_all),
		row(a_lifetime_is_never_over),
		row(a_run_that_changes_nothing_reserves_nothing_of_that),
		row(only_those_who_may_start_it),
		row(groups_and_tiers_and_retirement_are_heard),
		row(tiers_differ_as_maso_has_it),
		row(each_phase_lets_each_agent_start_what_the_design_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
