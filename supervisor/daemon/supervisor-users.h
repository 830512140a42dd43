/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What each user has of a supervisor at a time. Pure: time comes in as an argument, in milliseconds
 * of boot time. */

#define USERS_MAX 512                /* known at a time; who is not and finds no room is refused */
#define USER_CONNECTIONS_MAX 16      /* that have not asked yet */
#define USER_SESSIONS_MAX 128        /* runs */
#define USER_REQUESTS_BURST 200      /* requests at once … */
#define USER_REQUESTS_PER_SECOND 100 /* … and from then on */
#define USER_REFUSALS_BURST 32       /* sessions that came to nothing at once … */
#define USER_REFUSALS_PER_SECOND 1   /* … and from then on; more are a debt */
#define USER_WORDS_MS 60000          /* a line about the refusals of a user each */

struct user {
	uid_t uid;
	bool known;
	unsigned connections, sessions;
	int64_t requests_milli; /* thousandths of a request that may be made */
	int64_t refusals_milli; /* of a refusal; less than nothing where many came at once */
	uint64_t since_ms;      /* as of then */
	unsigned untold;        /* refusals that no line was about yet */
	uint64_t told_ms;       /* 0: there was none */
};

/* Zero-initialise. */
struct users {
	struct user rows[USERS_MAX];
	uid_t owner; /* who the supervisor is: always has room, as root has */
};

/* The row of a user, which stays where it is while the user has connections or sessions; NULL where
 * there is no room. */
struct user *users_find(struct users *users, uid_t uid, uint64_t now_ms);
/* Users with connections or sessions. */
unsigned users_count(const struct users *users);

/* One more of each, where that is within the limits; else false, and nothing is counted. Given back
 * by counting down. */
bool user_connects(struct user *user);
bool user_begins(struct user *user);
bool user_asks(struct user *user, uint64_t now_ms);

/* A session is worth a try: not too many came to nothing. */
bool user_is_trusted(struct user *user, uint64_t now_ms);
/* One came to nothing. Returns how many did since the last line about that, where it is time for
 * one; else 0. */
unsigned user_was_refused(struct user *user, uint64_t now_ms);
