/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/state-file.h"
#include "govern/agent.h"

#include <stdbool.h>

/* The agents of a state directory: one file each in agents/ (daemon/state-file.h). An agent's file
 * has its name, so that it is found at once and no two have one name; that of a retired one has its
 * id, which looks like no name, and its name is free again. */

#define AGENTS_DIR "agents"
#define AGENTS_LOCK_MS 10000
#define AGENTS_MAX 10000 /* files that are looked at */
#define AGENTS_NEW_PER_HOUR                                                                        \
	20 /* in one group: an orchestration that grows by itself is stopped                       \
	    */

/* Zero is no valid state: initialise with AGENTS_NONE. */
struct agents {
	int state_fd, dir_fd; /* owned; -1: not open */
	char *state;          /* owned: the directory's path */
	struct state_place place;
};
#define AGENTS_NONE                                                                                \
	(struct agents)                                                                            \
	{                                                                                          \
		.state_fd = -1, .dir_fd = -1                                                       \
	}

/* Open the directories, made where they are absent. Kind REFUSED where they are somebody else's. */
int agents_open(const char *state, struct agents *ret_agents, struct error *err) must_check;
void agents_close(struct agents *agents);
#define autoagents __attribute__((cleanup(agents_close)))

static inline void agent_free(Berm__Wire__Agent **agent)
{
	if (*agent)
		berm__wire__agent__free_unpacked(*agent, NULL);
	*agent = NULL;
}
#define autoagent __attribute__((cleanup(agent_free)))

/* The clocks now. */
int agents_now(struct agent_now *ret_now, struct error *err) must_check;

/* Read one by its name, or by its id (a retired one too). To change it, hold the lock from before.
 * Release with agent_free(). Errors: kind NOT_FOUND, with the nearest name; those of
 * state_file_read(); -EBADMSG for what no berm wrote. */
int agents_read(const struct agents *agents, const char *name, Berm__Wire__Agent **ret_agent,
	struct error *err) must_check;
/* All of them, sorted by name, in a new array (release with agents_free_list()): those that can be
 * read. ret_damaged: how many cannot, with err holding the first one's error. */
int agents_list(const struct agents *agents, bool retired, Berm__Wire__Agent ***ret_list,
	size_t *ret_count, size_t *ret_damaged, struct error *err) must_check;
void agents_free_list(Berm__Wire__Agent **list, size_t count);

/* Hold the lock around these. */
int agents_lock(const struct agents *agents, struct error *err) must_check;
/* Keep a new agent: gives it its id and its beginning; the rest is as the caller set it. Errors:
 * -EEXIST; kind INPUT for what is no agent; kind REFUSED where its group grows too fast. */
int agents_add(const struct agents *agents, Berm__Wire__Agent *agent, struct error *err) must_check;
/* The agent, which was read, gets the group that it says now: to be kept with agents_write(). Kind
 * REFUSED where the group grows too fast. */
int agents_join(
	const struct agents *agents, Berm__Wire__Agent *agent, struct error *err) must_check;
/* Keep what was changed of an agent that was read. Not its name. */
int agents_write(
	const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err) must_check;
/* Give it another name; its id and all that it used up stay. What else was changed of it is kept
 * too: with the new name, or not at all. With -EEXIST, and where agents_write() would refuse it,
 * nothing was changed; a kill or a full disk can leave it renamed and otherwise as it was. */
int agents_rename(const struct agents *agents, Berm__Wire__Agent *agent, const char *name,
	struct error *err) must_check;
/* Nothing of it starts any more; its name is free again, its id never. */
int agents_retire(const struct agents *agents, Berm__Wire__Agent *agent, const char *reason,
	struct error *err) must_check;
