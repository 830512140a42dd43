/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "redteam/redteam.h"

#include <jansson.h>
#include <sys/types.h>

/* What the scenarios share: a directory and a state directory of their own, berm's verbs as
 * processes, and what is found out from outside. */

#define WORLD_PATH_MAX 200
#define WORLD_WORDS_MAX 48
#define WORLD_CHILDREN_MAX 32

/* A process that the suite started. Its output goes to memory, so that nobody waits for it. */
struct child {
	pid_t pid; /* 0: none */
	int out_fd, error_fd;
	uint64_t begun_us;
	int status; /* of waitpid(2), once it ended */
	bool ended;
};

struct world {
	char self[1024];          /* this program, which plays the tools */
	char berm[1024];          /* the one that is attacked */
	char top[WORLD_PATH_MAX]; /* of this scenario; removed afterwards */
	char **paths;             /* every path that was named, until the end */
	size_t path_count;
	struct redteam_result *result;
	struct child children[WORLD_CHILDREN_MAX];
	size_t child_count;
};

/* Boot time in microseconds, as the acts print it. */
uint64_t world_now_us(void);
/* "TOP/…", for as long as the world is there. */
const char *world_path(const struct world *world, const char *format, ...) printf_like(2, 3);

/* ---- the result ---- */

/* A sentence of what happened. */
void world_note(struct world *world, const char *format, ...) printf_like(2, 3);
/* The same, and the scenario failed. */
void world_fail(struct world *world, const char *format, ...) printf_like(2, 3);
/* The same, and it was not tested, unless it failed already. */
void world_untested(struct world *world, const char *format, ...) printf_like(2, 3);
/* True while the scenario is worth going on with. */
bool world_goes_on(const struct world *world);

/* ---- files ---- */

/* Make a directory TOP/name. */
const char *world_directory(struct world *world, const char *name);
void world_write(struct world *world, const char *path, const char *text);
/* The number that a file holds; 0 where there is none. */
uint64_t world_number(const char *path);
/* Write the profile TOP/name.yaml: the system to read, then the lines. Returns its path. */
const char *world_profile(struct world *world, const char *name, const char *lines);

/* ---- processes ---- */

/* Start a program with the suite's environment; words end with NULL, a first word NULL stands for
 * the berm that is attacked. NULL where that failed (and the scenario is not tested). */
struct child *world_start(struct world *world, const char *const *words);
/* Wait for its end; false when the time is over. */
bool world_wait(struct child *child, unsigned ms);
/* Kill it and wait. */
void world_end(struct child *child);
/* What it wrote so far. The caller frees. */
char *world_said(const struct child *child);
char *world_complained(const struct child *child);
/* The exit code as a shell has it; -1 while it lasts. */
int world_code(const struct child *child);
/* Start it and wait; the code, 124 where it was ended after 60 seconds. ret_out and ret_errors may
 * be NULL; the caller frees. */
int world_call(struct world *world, const char *const *words, char **ret_out, char **ret_errors);
/* The same of words of berm that print JSON; NULL where they do not. json_decref() it. */
json_t *world_ask(struct world *world, const char *const *words);

/* ---- berm ---- */

/* "berm agent add" with what is mandatory; more ends with NULL. False: the scenario is not tested.
 */
bool world_agent(struct world *world, const char *name, const char *profile, const char *directory,
	const char *const *more);
/* Start "berm run --agent NAME -- berm redteam act …". */
struct child *world_run(struct world *world, const char *agent, const char *const *act);
/* The same act without berm around it, for a control. */
struct child *world_act(struct world *world, const char *const *act);
/* Wait until the condition holds or 30 seconds are over. */
bool world_until(bool (*holds)(void *context), void *context);

/* The first record of the log of that kind ("denial", "trip", …) not before a boot time; the time
 * in microseconds, REDTEAM_NEVER where there is none. */
uint64_t world_recorded(struct world *world, const char *kind, uint64_t since_us);
/* Wait until a child wrote "NAME NUMBER": that number; REDTEAM_NEVER: it did not, and ended. */
uint64_t world_told(struct child *child, const char *name);
void world_measure(uint64_t *field, uint64_t from_us, uint64_t until_us);

/* Make and remove what a scenario has of its own. */
int world_open(struct world *world, const struct redteam_request *request, const char *id,
	struct error *err) must_check;
void world_close(struct world *world);
