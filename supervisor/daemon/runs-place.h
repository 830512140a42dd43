/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/outside.h"
#include "daemon/runs.h"
#include "govern/agent.h"

/* Where the runs of this host are, found without asking any of their berms: a file beside each
 * run's socket, and beside that the word of whoever killed it. */

#define RUNS_WORDS_MAX 256

/* A state directory, whatever its name is; inode 0: none. */
struct run_state {
	uint64_t device, inode;
};

/* That of the path; none where that is NULL or not there. */
struct run_state run_state_of(const char *path);

/* Whose run it is. */
struct run_owner {
	uid_t uid;
	bool supervised; /* a supervisor started it */
	struct run_state state;
	const char *agent, *group; /* id and name, or NULL: none */
	bool staged;               /* what it writes waits in the change set of its id */
};

/* Tell where the run is. The file goes with runs_leave(). */
int runs_place_write(const struct run_socket *socket, pid_t init_pid, int cgroup_fd,
	const struct run_owner *owner, struct error *err) must_check;

/* Tell what the run may do by now, and the phase it is in. Best effort: it is for whoever looks
 * into a run that was killed. */
void runs_place_posture(const struct run_socket *socket, unsigned posture, unsigned phase);

/* What one other user can have looked at: nobody makes root look for ever. */
#define RUNS_FOREIGN_MAX 256
#define RUNS_FOREIGN_NAMES_MAX 2048

/* One run that was found. */
struct run_found {
	char run_id[RUN_ID_LENGTH + 1];
	uid_t uid;              /* who it runs for */
	struct run_state state; /* as its place says, and so are these two; "": none */
	char agent[AGENT_ID_BYTES + 1], group[AGENT_NAME_MAX + 1];
	int directory_fd;        /* borrowed */
	bool supervised;         /* as its berm says, and so are these: */
	unsigned posture, phase; /* of these sets, whatever is in the file */
	bool staged;
	unsigned directory;     /* which one: counts from 0 in one search */
	struct outside outside; /* whoever is called may take it and leave OUTSIDE_NONE */
	struct error error;     /* why it cannot be taken hold of; outside is nothing then */
};

enum runs_whose {
	RUNS_OWN,          /* of this user: in runs_directory() */
	RUNS_OWN_ANYWHERE, /* the same, and where other settings of XDG_RUNTIME_DIR put them */
	RUNS_OTHERS,       /* as root: of every other user, each looked at within bounds */
};

/* Call `each` for every run whose id begins with prefix ("" for all) and that lasts. Of what
 * another user says nothing is believed that would let them point at somebody else's processes.
 * What a killed berm left behind is removed. *ret_more: there is more than was looked at. An error
 * of `each` (not 0) ends it and is returned. */
int runs_find(const char *prefix, enum runs_whose whose,
	int (*each)(void *context, struct run_found *found), void *context, bool *ret_more,
	struct error *err) must_check;

/* What is known of a run of this user by what stands in the directories of runs. */
enum run_sign {
	RUN_SIGN_NONE,  /* nothing: it is not there yet, or any more */
	RUN_SIGN_LASTS, /* its place, and the process that it names */
	RUN_SIGN_ENDED, /* its place, without that process */
};
enum run_sign runs_sign_of(const char *run_id);
/* How many runs of this user whose ids begin with prefix have a socket that somebody listens to,
 * and no place yet. */
unsigned runs_without_place(const char *prefix);

/* Say who kills the run and why, for its berm to find. Best effort. */
void runs_say_killed(int directory_fd, const char *run_id, const char *words);
/* What was said so of this run; false where nobody did. Bytes of whoever may kill it: escape. */
bool runs_was_killed(const struct run_socket *socket, char ret_words[RUNS_WORDS_MAX]);
/* Remove all of these files. */
void runs_place_remove(int directory_fd, const char *run_id);
