/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "govern/approval.h"

#include "wire/held.h"

#include <string.h>

#define TIMEOUT 1000

static Berm__Wire__ApprovalRequest *request;

static struct agent_now at(uint64_t ms)
{
	struct agent_now now = {.boot_id = {1}, .boot_ms = 5000 + ms, .wall_ms = 100000 + ms};

	return now;
}

static Berm__Wire__ApprovalRequest *make(const char *asker, uint8_t digest, uint64_t ms)
{
	Berm__Wire__ApprovalRequest *r = malloc(sizeof(*r));
	struct agent_now now = at(ms);

	assert_non_null(r);
	berm__wire__approval_request__init(r);
	r->id = strdup("ABCDEFGH");
	r->asker = strdup(asker);
	r->on = HELD_RUN;
	r->channels = APPROVAL_SOCKET;
	r->digest.data = calloc(1, APPROVAL_DIGEST_BYTES);
	assert_non_null(r->digest.data);
	r->digest.len = APPROVAL_DIGEST_BYTES;
	r->digest.data[0] = digest;
	assert_int_equal(approval_begin(r, "one", TIMEOUT, &now), 0);
	assert_int_equal(approval_check(r, NULL), 0);
	return r;
}

static int set_up(void **state)
{
	(void)state;
	request = make("agent", 1, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	berm__wire__approval_request__free_unpacked(request, NULL);
	return 0;
}

/* The answer of somebody to whom it was shown as it is then. */
static int give(Berm__Wire__ApprovalRequest *r, bool yes, const struct agent_now *now)
{
	const struct approval_answer answer = {.yes = yes,
		.covers = (unsigned)r->n_waiters,
		.who = "alice",
		.channel = "socket",
		.reason = ""};

	return approval_answer(r, &answer, now);
}

/* ---- states and events ---- */

enum event { YES, NO, JOIN, LEAVE, LATE, REBOOT, EVENT_COUNT };

static struct agent_now moment;

/* What happens, and what comes back. */
static int do_event(enum event event)
{
	switch (event) {
	case YES:
	case NO:
		return give(request, event == YES, &moment);
	case JOIN:
		return approval_join(request, "two", TIMEOUT, &moment);
	case LEAVE:
		approval_leave(request, "one");
		return 0;
	case LATE:
		moment = at(TIMEOUT);
		return 0;
	case REBOOT:
		moment.boot_id[0] = 2;
		return 0;
	case EVENT_COUNT:
		break;
	}
	return -1;
}

/* From each state, reached by the event before it: what each event answers, and the state then. */
static const struct {
	enum event before; /* EVENT_COUNT: none, it is open */
	struct {
		int result;
		enum approval_state state;
	} after[EVENT_COUNT];
} table[] = {
	{EVENT_COUNT, {[YES] = {0, APPROVAL_APPROVED},
			      [NO] = {0, APPROVAL_DENIED},
			      [JOIN] = {0, APPROVAL_PENDING},
			      [LEAVE] = {0, APPROVAL_WITHDRAWN},
			      [LATE] = {0, APPROVAL_EXPIRED},
			      [REBOOT] = {0, APPROVAL_EXPIRED}}},
	{YES, {[YES] = {-EALREADY, APPROVAL_APPROVED},
		      [NO] = {-EALREADY, APPROVAL_APPROVED},
		      [JOIN] = {-EALREADY, APPROVAL_APPROVED},
		      [LEAVE] = {0, APPROVAL_APPROVED},
		      [LATE] = {0, APPROVAL_APPROVED},
		      [REBOOT] = {0, APPROVAL_APPROVED}}},
	{NO, {[YES] = {-EALREADY, APPROVAL_DENIED},
		     [NO] = {-EALREADY, APPROVAL_DENIED},
		     [JOIN] = {-EALREADY, APPROVAL_DENIED},
		     [LEAVE] = {0, APPROVAL_DENIED},
		     [LATE] = {0, APPROVAL_DENIED},
		     [REBOOT] = {0, APPROVAL_DENIED}}},
	{LEAVE, {[YES] = {-EALREADY, APPROVAL_WITHDRAWN},
			[NO] = {-EALREADY, APPROVAL_WITHDRAWN},
			[JOIN] = {-EALREADY, APPROVAL_WITHDRAWN},
			[LEAVE] = {0, APPROVAL_WITHDRAWN},
			[LATE] = {0, APPROVAL_WITHDRAWN},
			[REBOOT] = {0, APPROVAL_WITHDRAWN}}},
	{LATE, {[YES] = {-EALREADY, APPROVAL_EXPIRED},
		       [NO] = {-EALREADY, APPROVAL_EXPIRED},
		       [JOIN] = {-EALREADY, APPROVAL_EXPIRED},
		       [LEAVE] = {0, APPROVAL_WITHDRAWN},
		       [LATE] = {0, APPROVAL_EXPIRED},
		       [REBOOT] = {0, APPROVAL_EXPIRED}}},
	{REBOOT, {[YES] = {-EALREADY, APPROVAL_EXPIRED},
			 [NO] = {-EALREADY, APPROVAL_EXPIRED},
			 [JOIN] = {-EALREADY, APPROVAL_EXPIRED},
			 [LEAVE] = {0, APPROVAL_WITHDRAWN},
			 [LATE] = {0, APPROVAL_EXPIRED},
			 [REBOOT] = {0, APPROVAL_EXPIRED}}},
};

static void every_state_answers_every_event_as_the_table_says(void **state)
{
	for (size_t i = 0; i < array_size(table); i++) {
		for (unsigned event = 0; event < EVENT_COUNT; event++) {
			moment = at(1);
			if (table[i].before != EVENT_COUNT)
				assert_int_equal(do_event(table[i].before), 0);
			assert_int_equal(do_event((enum event)event), table[i].after[event].result);
			if (approval_state(request, &moment) != table[i].after[event].state)
				fail_msg("row %zu, event %u: %s", i, event,
					approval_state_name(approval_state(request, &moment)));
			tear_down(state);
			set_up(state);
		}
	}
}

/* ---- who waits ---- */

static void an_answer_is_for_who_waits_in_time(void **state)
{
	struct agent_now now = at(500);

	(void)state;
	assert_int_equal(approval_of(request, "one", &now), APPROVAL_PENDING);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_WITHDRAWN);
	assert_int_equal(approval_join(request, "two", TIMEOUT, &now), 0);
	assert_int_equal(approval_join(request, "two", TIMEOUT, &now), -EEXIST);
	assert_int_equal(approval_waiting(request, &now), 2);
	assert_int_equal(approval_left_ms(request, &now), TIMEOUT);
	/* The first one's time is up, the second one's is not. */
	now = at(TIMEOUT);
	assert_int_equal(approval_waiting(request, &now), 1);
	assert_int_equal(give(request, true, &now), 0);
	assert_int_equal(approval_of(request, "one", &now), APPROVAL_EXPIRED);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_APPROVED);
	/* Who looks a little late has had the answer in time; nobody keeps it for later. */
	now = at(500 + TIMEOUT + APPROVAL_GRACE_MS - 1);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_APPROVED);
	now = at(500 + TIMEOUT + APPROVAL_GRACE_MS);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_EXPIRED);
	now = at(TIMEOUT);
	now.boot_id[0] = 2;
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_EXPIRED);
	now = at(TIMEOUT);
	approval_leave(request, "two");
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_WITHDRAWN);
	assert_int_equal(approval_of(request, "three", &now), APPROVAL_WITHDRAWN);
}

/* Who joins after somebody looked is not in what was looked at. */
static void a_yes_is_for_those_that_were_shown(void **state)
{
	struct approval_answer answer = {
		.yes = true, .covers = 0, .who = "alice", .channel = "socket", .reason = ""};
	struct agent_now now = at(1);

	(void)state;
	assert_int_equal(approval_join(request, "two", TIMEOUT, &now), 0);
	assert_int_equal(approval_join(request, "three", TIMEOUT, &now), 0);
	assert_int_equal(approval_answer(request, &answer, &now), -EINVAL);
	answer.covers = 4;
	assert_int_equal(approval_answer(request, &answer, &now), -EINVAL);
	assert_int_equal(approval_state(request, &now), APPROVAL_PENDING);
	/* One that gave up is none of the two that are seen waiting. */
	approval_leave(request, "one");
	assert_int_equal(approval_covers(request, 0, &now), 0);
	assert_int_equal(approval_covers(request, 1, &now), 2);
	assert_int_equal(approval_covers(request, 2, &now), 3);
	assert_int_equal(approval_covers(request, 9, &now), 3);
	answer.covers = approval_covers(request, 1, &now);
	assert_int_equal(approval_answer(request, &answer, &now), 0);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_APPROVED);
	assert_int_equal(approval_of(request, "three", &now), APPROVAL_ANEW);
	now = at(1 + TIMEOUT);
	assert_int_equal(approval_of(request, "three", &now), APPROVAL_EXPIRED);
	now.boot_id[0] = 2;
	assert_int_equal(approval_covers(request, 1, &now), 0);
}

static void a_no_is_for_all(void **state)
{
	struct approval_answer answer = {
		.yes = false, .covers = 1, .who = "alice", .channel = "socket", .reason = ""};
	struct agent_now now = at(1);

	(void)state;
	assert_int_equal(approval_join(request, "two", TIMEOUT, &now), 0);
	assert_int_equal(approval_answer(request, &answer, &now), 0);
	assert_int_equal(approval_of(request, "one", &now), APPROVAL_DENIED);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_DENIED);
}

static void only_so_many_wait_for_one_answer(void **state)
{
	struct agent_now now = at(1);
	char run[16];

	(void)state;
	for (unsigned i = 1; i < APPROVAL_WAITERS_MAX; i++) {
		snprintf(run, sizeof(run), "run %u", i);
		assert_int_equal(approval_join(request, run, TIMEOUT, &now), 0);
	}
	assert_int_equal(approval_join(request, "more", TIMEOUT, &now), -ENOSPC);
	assert_int_equal(approval_check(request, NULL), 0);
}

static void only_the_same_question_is_joined(void **state)
{
	struct agent_now now = at(1);
	Berm__Wire__ApprovalRequest *same = make("agent", 1, 0), *digest = make("agent", 2, 0),
				    *asker = make("other", 1, 0), *channels = make("agent", 1, 0);

	(void)state;
	channels->channels = APPROVAL_SOCKET | APPROVAL_TERMINAL;
	assert_true(approval_is_equal(request, same, &now));
	assert_false(approval_is_equal(request, digest, &now));
	assert_false(approval_is_equal(request, asker, &now));
	assert_false(approval_is_equal(request, channels, &now));
	assert_int_equal(give(request, true, &now), 0);
	assert_false(approval_is_equal(request, same, &now));
	berm__wire__approval_request__free_unpacked(same, NULL);
	berm__wire__approval_request__free_unpacked(digest, NULL);
	berm__wire__approval_request__free_unpacked(asker, NULL);
	berm__wire__approval_request__free_unpacked(channels, NULL);
}

static void a_flood_is_one_asker_within_the_time(void **state)
{
	Berm__Wire__ApprovalRequest *all[] = {
		make("agent", 1, 0), make("agent", 2, 100), make("other", 3, 100)};
	const Berm__Wire__ApprovalRequest *const *list =
		(const Berm__Wire__ApprovalRequest *const *)all;
	struct agent_now now = at(200);

	(void)state;
	assert_true(approval_is_flood(list, 3, "agent", 2, 1000, &now));
	assert_false(approval_is_flood(list, 3, "agent", 3, 1000, &now));
	assert_false(approval_is_flood(list, 3, "other", 2, 1000, &now));
	/* The first one is out of the window, to the millisecond. */
	assert_true(approval_is_flood(list, 3, "agent", 2, 201, &now));
	assert_false(approval_is_flood(list, 3, "agent", 2, 200, &now));
	/* Who joins a question is one more that a person is asked about. */
	assert_int_equal(approval_join(all[1], "two", TIMEOUT, &now), 0);
	assert_true(approval_is_flood(list, 3, "agent", 3, 1000, &now));
	assert_false(approval_is_flood(list, 3, "agent", 4, 1000, &now));
	/* Answers and a clock that is set make no room. */
	assert_int_equal(give(all[0], false, &now), 0);
	now.wall_ms += 1000000;
	assert_true(approval_is_flood(list, 3, "agent", 2, 1000, &now));
	for (size_t i = 0; i < array_size(all); i++)
		berm__wire__approval_request__free_unpacked(all[i], NULL);
}

static void what_no_berm_wrote_is_told(void **state)
{
	struct error err = {0};

	(void)state;
	request->version = 2;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->version = APPROVAL_VERSION;
	request->on = HELD_WRITE | HELD_COMMIT;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->on = HELD_COMMIT;
	assert_int_equal(approval_check(request, &err), 0);
	request->channels = 1U << 7;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->channels = APPROVAL_EXEC;
	request->digest.len = 16;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->digest.len = APPROVAL_DIGEST_BYTES;
	request->answered_waiters = 1;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->verdict = BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_YES;
	request->answered_boot_ms = request->asked_boot_ms;
	assert_int_equal(approval_check(request, &err), 0);
	request->answered_waiters = 2;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->answered_waiters = 0;
	assert_int_equal(approval_check(request, &err), -EINVAL);
	request->answered_waiters = 1;
	request->waiters[0]->until_boot_ms = 0;
	assert_int_equal(approval_check(request, &err), -EINVAL);
}

#define row(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void who_kills_takes_the_wait_and_the_yes(void **state)
{
	struct agent_now now = at(10), late = at(10 + APPROVAL_START_MS);
	struct approval_answer yes = {true, 2, "p", "socket", ""};

	(void)state;
	assert_int_equal(approval_join(request, "two", TIMEOUT, &now), 0);
	assert_int_equal(approval_withdraw(request, "nobody", "w", &now), 0);
	assert_string_equal(approval_withdrawn_by(request, "one"), "");
	assert_int_equal(approval_withdraw(request, "one", "who: why", &now), 2);
	assert_int_equal(approval_withdraw(request, "one", "again", &now), 0);
	assert_string_equal(approval_withdrawn_by(request, "one"), "who: why");
	/* The other one waits still, and the yes is for it alone. */
	assert_int_equal(approval_state(request, &now), APPROVAL_PENDING);
	assert_int_equal(approval_waiting(request, &now), 1);
	assert_int_equal(approval_at_start(request, "two", &now), APPROVAL_EXPIRED);
	assert_int_equal(approval_answer(request, &yes, &now), 0);
	assert_int_equal(approval_of(request, "one", &now), APPROVAL_WITHDRAWN);
	assert_int_equal(approval_at_start(request, "one", &now), APPROVAL_WITHDRAWN);
	assert_int_equal(approval_at_start(request, "two", &now), APPROVAL_APPROVED);
	/* A yes that was given is taken back until the run must have begun. */
	assert_int_equal(approval_at_start(request, "two", &late), APPROVAL_EXPIRED);
	assert_int_equal(approval_withdraw(request, "two", "w", &late), 0);
	assert_int_equal(approval_withdraw(request, "two", "w", &now), 1);
	assert_int_equal(approval_of(request, "two", &now), APPROVAL_WITHDRAWN);
	assert_int_equal(approval_at_start(request, "two", &now), APPROVAL_WITHDRAWN);
	assert_int_equal(approval_check(request, NULL), 0);
}

static void what_is_over_is_not_withdrawn(void **state)
{
	struct agent_now now = at(10), over = at(TIMEOUT);
	struct approval_answer no = {false, 0, "p", "socket", ""};

	(void)state;
	assert_int_equal(approval_withdraw(request, "one", "w", &over), 0);
	assert_int_equal(approval_answer(request, &no, &now), 0);
	assert_int_equal(approval_withdraw(request, "one", "w", &now), 0);
	assert_int_equal(approval_at_start(request, "one", &now), APPROVAL_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(every_state_answers_every_event_as_the_table_says),
		row(an_answer_is_for_who_waits_in_time),
		row(a_yes_is_for_those_that_were_shown),
		row(a_no_is_for_all),
		row(only_so_many_wait_for_one_answer),
		row(only_the_same_question_is_joined),
		row(a_flood_is_one_asker_within_the_time),
		row(what_no_berm_wrote_is_told),
		row(who_kills_takes_the_wait_and_the_yes),
		row(what_is_over_is_not_withdrawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
