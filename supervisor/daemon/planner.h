/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/planner-files.h"
#include "daemon/planner-wire.h"

#include <sys/types.h>

/* The planner of a process that has rights, and must not read by itself what people wrote: another
 * process, which has none (daemon/planner-role.h). */

#define PLANNER_READY 'r' /* its first byte: it has given up what it had */
#define PLANNER_MS 30000  /* that an answer may take */

struct planner {
	int fd; /* -1: none */
	pid_t pid;
	pid_t owner; /* whose child it is: a copy of this process has none */
	unsigned ms; /* that an answer may take */
};
#define PLANNER_NONE                                                                               \
	{                                                                                          \
		.fd = -1, .ms = PLANNER_MS                                                         \
	}

/* Start one and look at what it is: not root (where there are other users), no capability, no new
 * privileges, a filter of system calls. Errors: one that is anything else is ended. */
int planner_start(struct planner *planner, struct error *err) must_check;
/* Give one order and take its answer (caller frees), which is never a question: those are answered
 * from `files` (NULL: there are none to ask about). -ETIMEDOUT, -EPIPE, -EPROTO: kind INTERNAL, and
 * the planner is no more: it hung, died, or said what no planner says, something unasked among it.
 */
int planner_ask(struct planner *planner, const Berm__Wire__PlannerOrder *order,
	struct planner_files *files, Berm__Wire__PlannerAnswer **ret_answer,
	struct error *err) must_check;
/* End it, whatever it does, and wait for that. -EPROTO where it said something that nobody asked
 * for. Nothing where there is none. */
int planner_end(struct planner *planner, struct error *err) must_check;

/* The same by the planner of this process, which is started where there is none. */
int planners_ask(const Berm__Wire__PlannerOrder *order, struct planner_files *files,
	Berm__Wire__PlannerAnswer **ret_answer, struct error *err) must_check;
/* End it, for what it said. */
void planners_end(void);

/* From now on this process parses no document, nor do its copies: each has a planner of its own,
 * from the first document to planners_done(). */
void planners_use(void);
/* Whether that is so: then a profile is read and compiled there as well (daemon/planned.h). */
bool planners_are_used(void);
/* No more documents for now. As of planner_end(). */
int planners_done(struct error *err) must_check;
