/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/kill-order.h"

#include <stdbool.h>
#include <sys/types.h>

/* The process of the kill switch that talks to clients: it decides who may, and passes that on to
 * the one that kills. It may read /proc and answer, and nothing else (daemon/role.h). */
int kill_front_role(int argc, char **argv);

#define KILL_FRONT_PLACES 128
#define KILL_FRONT_PER_UID 8

/* Who is connected. For tests: pure. */
struct kill_front_place {
	int fd; /* -1: free */
	uid_t uid;
	bool is_operator; /* the owner, or root */
	bool is_waiting;  /* its order was passed on */
	bool is_answered; /* and it has but to go */
	uint64_t since_ms, number;
};

/* The place for somebody new of that uid: a free one; else the one that has to go for it, which is
 * the oldest of those of this uid where it has its share, and of whoever has most else; -1: none.
 * Nobody takes an operator's place but another operator. */
int kill_front_place_for(
	const struct kill_front_place *places, size_t count, uid_t uid, bool is_operator);
