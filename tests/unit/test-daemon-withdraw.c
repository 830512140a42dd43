/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/requests.h"
#include "daemon/session.h"
#include "daemon/withdraw.h"
#include "wire/held.h"

#include "tree.h"

/* What a kill takes back, in a state directory of its own. */

#define RUN "01M833Y5M9PQBSFAY2EHEZ0Z1T"

static struct requests_asked asked;

static void ask(uint32_t on, const char *run)
{
	autorequests struct requests requests = REQUESTS_NONE;
	Berm__Wire__ApprovalRequest wanted;
	uint8_t digest[APPROVAL_DIGEST_BYTES] = {1};
	struct error err = {0};

	berm__wire__approval_request__init(&wanted);
	wanted.on = on;
	wanted.channels = APPROVAL_SOCKET;
	wanted.asker = (char *)(uintptr_t) "agent-id";
	wanted.group = (char *)(uintptr_t) "crew";
	wanted.digest = (ProtobufCBinaryData){sizeof(digest), digest};
	assert_int_equal(requests_open(top, true, &requests, &err), 0);
	assert_int_equal(requests_ask(&requests,
				 &(const struct requests_ask){&wanted, run, 600000, 100, 600000},
				 &asked, &err),
		0);
}

static int answer_yes(void)
{
	autorequests struct requests requests = REQUESTS_NONE;
	struct error err = {0};

	assert_int_equal(requests_open(top, false, &requests, &err), 0);
	return requests_answer(&requests,
		&(const struct requests_answer){.id = asked.id,
			.yes = true,
			.channel = APPROVAL_SOCKET,
			.who = "p",
			.reason = ""},
		NULL, &err);
}

static int withdraw(enum runs_named_scope scope, const char *of, struct withdrawal *ret)
{
	struct runs_named named = {.scope = scope};
	struct error err = {0};

	*ret = (struct withdrawal){0};
	snprintf(named.of, sizeof(named.of), "%s", of);
	return withdraw_held(top, &named, "somebody: why", ret, &err);
}

static void what_is_named_and_waits_is_taken_back(void **state)
{
	static const struct {
		enum runs_named_scope scope;
		const char *of;
		uint32_t on;
		size_t taken;
	} rows[] = {
		{NAMED_RUN, "02", HELD_RUN, 0},
		{NAMED_RUN, "01M8", HELD_RUN, 1},
		{NAMED_RUN, "01M8", HELD_WRITE, 1},
		/* Who waits for a commit is no run. */
		{NAMED_RUN, "01M8", HELD_COMMIT, 0},
		{NAMED_AGENT, "other-id", HELD_RUN, 0},
		{NAMED_AGENT, "agent-id", HELD_COMMIT, 1},
		{NAMED_GROUP, "other", HELD_RUN, 0},
		{NAMED_GROUP, "crew", HELD_WRITE, 1},
		{NAMED_EVERYTHING, "", HELD_COMMIT, 1},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct withdrawal taken;

		ask(rows[i].on, RUN);
		assert_int_equal(withdraw(rows[i].scope, rows[i].of, &taken), 0);
		assert_int_equal(taken.count, rows[i].taken);
		if (taken.count) {
			assert_string_equal(taken.items[0].run, RUN);
			assert_string_equal(taken.items[0].id, asked.id);
			assert_int_equal(taken.items[0].on, rows[i].on);
			assert_int_equal(answer_yes(), -EALREADY);
		} else {
			assert_int_equal(answer_yes(), 0);
		}
		withdrawal_finish(&taken);
	}
}

static void a_yes_that_was_seen_counts_until_it_is_taken_back(void **state)
{
	struct session_hold held = {0};
	struct session session = {.held = &held};
	struct withdrawal taken;
	struct error err = {0};

	(void)state;
	snprintf(session.run_id, sizeof(session.run_id), "%s", RUN);
	session.places.state = top;
	/* Gates alone were asked: there is no question. */
	held.answers.count = 1;
	assert_int_equal(session_hold_counts(&session, &err), 0);
	ask(HELD_RUN, RUN);
	snprintf(held.answers.items[0].id, sizeof(held.answers.items[0].id), "%s", asked.id);
	assert_int_equal(session_hold_counts(&session, &err), -ETIMEDOUT);
	assert_int_equal(answer_yes(), 0);
	assert_int_equal(session_hold_counts(&session, &err), 0);
	assert_int_equal(withdraw(NAMED_AGENT, "agent-id", &taken), 0);
	assert_true(taken.was_approved);
	assert_int_equal(taken.count, 0);
	withdrawal_finish(&taken);
	assert_int_equal(session_hold_counts(&session, &err), -ECANCELED);
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_non_null(strstr(err.text, "somebody: why"));
	/* A question that is gone says nothing. */
	snprintf(held.answers.items[0].id, sizeof(held.answers.items[0].id), "ABCDEFGH");
	assert_true(session_hold_counts(&session, &err) < 0);
	assert_int_equal(err.kind, ERROR_REFUSED);
}

static void the_lock_is_wanted_only_where_somebody_waits(void **state)
{
	struct withdrawal taken;
	struct error err = {0};
	int dir, lock;

	(void)state;
	ask(HELD_RUN, RUN);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	lock = state_lock(dir, 10000, &err);
	assert_true(lock >= 0);
	assert_int_equal(withdraw(NAMED_GROUP, "other", &taken), 0);
	assert_true(withdraw(NAMED_GROUP, "crew", &taken) < 0);
	assert_int_equal(taken.count, 0);
	withdrawal_finish(&taken);
	state_unlock(&lock);
	close(dir);
	assert_int_equal(withdraw_count(top, "01M8"), 1);
	assert_int_equal(withdraw_count(top, "02"), 0);
	assert_int_equal(withdraw(NAMED_GROUP, "crew", &taken), 0);
	assert_int_equal(taken.count, 1);
	withdrawal_finish(&taken);
	assert_int_equal(withdraw_count(top, "01M8"), 0);
}

static void where_nothing_was_asked_nothing_is_made(void **state)
{
	struct runs_named named = {.scope = NAMED_EVERYTHING};
	struct withdrawal taken = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(withdraw_held(in_top("none"), &named, "w", &taken, &err), 0);
	assert_int_equal(access(in_top("none"), F_OK), -1);
	assert_int_equal(withdraw_held(top, &named, "w", &taken, &err), 0);
}

#define row(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest rows[] = {
		row(what_is_named_and_waits_is_taken_back),
		row(a_yes_that_was_seen_counts_until_it_is_taken_back),
		row(the_lock_is_wanted_only_where_somebody_waits),
		row(where_nothing_was_asked_nothing_is_made),
	};

	umask(022);
	return cmocka_run_group_tests(rows, NULL, NULL);
}
