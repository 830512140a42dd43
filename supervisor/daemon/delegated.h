/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/delegation.h"

struct metering;
struct run_handle;

/* A run that was delegated, in its own process. */

/* The whole life of that process, after fork(2): take the request, run, answer, report. */
void delegated_main(const struct delegation_origin *origin) __attribute__((noreturn));

/* What ends or narrows it from above while it lasts. Zero-initialise. */
struct delegated_link {
	const struct delegation_origin *origin; /* NULL: nobody delegated this run */
	unsigned floor;                         /* POSTURE_… that the run above is in */
	unsigned added;                         /* of these, what this run was not in before */
	bool ended;
	int epoll_fd; /* borrowed */
};

/* Have epoll_fd be readable when there is something to look at. Nothing where there is no origin.
 */
int delegated_watch(struct delegated_link *link, const struct delegation_origin *origin,
	int epoll_fd, struct error *err) must_check;

enum delegated_news {
	DELEGATED_NOTHING,
	DELEGATED_POSTURE, /* floor is another one */
	DELEGATED_END,     /* the run above, or who asked for this one, is gone; told once */
};
/* Take what is there. ret_why: half a sentence, static. */
enum delegated_news delegated_look(struct delegated_link *link, const char **ret_why);
