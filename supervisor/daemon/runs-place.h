/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/outside.h"
#include "daemon/runs.h"

/* Where the runs of this host are, found without asking any of their berms: a file beside each
 * run's socket, and beside that the word of whoever killed it. */

#define RUNS_WORDS_MAX 256

/* Tell where the run is. The file goes with runs_leave(). */
int runs_place_write(const struct run_socket *socket, pid_t init_pid, int cgroup_fd, uid_t uid,
	struct error *err) must_check;

/* One run that was found. */
struct run_found {
	char run_id[RUN_ID_LENGTH + 1];
	uid_t uid;              /* who it runs for */
	uid_t berm_uid;         /* whose berm it is: the owner of its directory */
	int directory_fd;       /* borrowed */
	struct outside outside; /* whoever is called may take it and leave OUTSIDE_NONE */
	struct error error;     /* why it cannot be taken hold of; outside is nothing then */
};

/* Call `each` for every run whose id begins with prefix ("" for all) and that lasts. all_users: as
 * root, those of every user's berm too; of these nothing is believed that would let a user point at
 * somebody else's processes. What a killed berm left behind is removed. An error of `each` (not 0)
 * ends it and is returned. */
int runs_find(const char *prefix, bool all_users,
	int (*each)(void *context, struct run_found *found), void *context,
	struct error *err) must_check;

/* Say who kills the run and why, for its berm to find. Best effort. */
void runs_say_killed(const struct run_found *found, const char *words);
/* What was said so of this run; false where nobody did. Bytes of whoever may kill it: escape. */
bool runs_was_killed(const struct run_socket *socket, char ret_words[RUNS_WORDS_MAX]);
/* Remove both files. */
void runs_place_remove(int directory_fd, const char *run_id);
