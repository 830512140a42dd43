/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-users.h"

#include <stddef.h>

#define MILLI 1000

/* So many in a second are as many thousandths in a millisecond. */
static void add(int64_t *milli, int64_t burst, int64_t per_second, uint64_t passed_ms)
{
	const int64_t full = burst * MILLI, missing = full - *milli;

	if (passed_ms >= (uint64_t)missing)
		*milli = full;
	else
		*milli += (int64_t)passed_ms * per_second;
	if (*milli > full)
		*milli = full;
}

static void refill(struct user *user, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > user->since_ms ? now_ms - user->since_ms : 0;

	add(&user->requests_milli, USER_REQUESTS_BURST, USER_REQUESTS_PER_SECOND, passed_ms);
	add(&user->refusals_milli, USER_REFUSALS_BURST, USER_REFUSALS_PER_SECOND, passed_ms);
	user->since_ms += passed_ms;
}

static bool is_idle(struct user *user, uint64_t now_ms)
{
	if (!user->known)
		return true;
	if (user->connections || user->sessions)
		return false;
	refill(user, now_ms);
	return user->requests_milli == USER_REQUESTS_BURST * MILLI &&
	       user->refusals_milli == USER_REFUSALS_BURST * MILLI;
}

/* The first two rows are kept for root and the owner: nobody's flood of users leaves them without
 * one. */
static bool is_row_of(const struct users *users, size_t row, uid_t uid)
{
	if (row == 0)
		return uid == 0;
	if (row == 1)
		return uid == users->owner;
	return true;
}

struct user *users_find(struct users *users, uid_t uid, uint64_t now_ms)
{
	struct user *room = NULL;

	for (size_t i = 0; i < USERS_MAX; i++) {
		struct user *user = &users->rows[i];

		if (user->known && user->uid == uid)
			return user;
		if (!room && is_row_of(users, i, uid) && is_idle(user, now_ms))
			room = user;
	}
	if (room)
		*room = (struct user){.uid = uid,
			.known = true,
			.requests_milli = USER_REQUESTS_BURST * MILLI,
			.refusals_milli = USER_REFUSALS_BURST * MILLI,
			.since_ms = now_ms};
	return room;
}

unsigned users_count(const struct users *users)
{
	unsigned count = 0;

	for (size_t i = 0; i < USERS_MAX; i++)
		count += users->rows[i].connections || users->rows[i].sessions;
	return count;
}

bool user_connects(struct user *user)
{
	if (user->connections >= USER_CONNECTIONS_MAX)
		return false;
	user->connections++;
	return true;
}

bool user_begins(struct user *user)
{
	if (user->sessions >= USER_SESSIONS_MAX)
		return false;
	user->sessions++;
	return true;
}

bool user_asks(struct user *user, uint64_t now_ms)
{
	refill(user, now_ms);
	if (user->requests_milli < MILLI)
		return false;
	user->requests_milli -= MILLI;
	return true;
}

bool user_is_trusted(struct user *user, uint64_t now_ms)
{
	refill(user, now_ms);
	return user->refusals_milli >= MILLI;
}

unsigned user_was_refused(struct user *user, uint64_t now_ms)
{
	unsigned untold = ++user->untold;

	refill(user, now_ms);
	user->refusals_milli -= MILLI;
	if (user->told_ms && now_ms - user->told_ms < USER_WORDS_MS)
		return 0;
	user->told_ms = now_ms ? now_ms : 1;
	user->untold = 0;
	return untold;
}
