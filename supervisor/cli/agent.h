/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "cli/verb.h"
#include "daemon/agents.h"

/* What the verbs of `berm agent` share. */

struct agent_common {
	bool json;
	const char *state_dir;
};

/* What was done to an agent. */
struct agent_change {
	const char *what;          /* "add", "set" … */
	Berm__Wire__Agent *agent;  /* owned */
	Berm__Wire__Agent *before; /* owned: as it was; NULL: there was none */
	char *state;               /* owned */
	const char *reason;        /* or NULL */
};

/* The rows for a verb whose option struct begins with a struct agent_common called common. */
#define AGENT_OPTION_ROWS(type)                                                                    \
	{"json", 0, OPTION_FLAG, offsetof(type, common.json), NULL, NULL,                          \
		"one JSON object instead of lines"},                                               \
	{                                                                                          \
		"state-dir", 0, OPTION_TEXT, offsetof(type, common.state_dir), "DIR",              \
			"BERM_STATE_DIR", "where berm keeps its state"                             \
	}

/* Open the agents of the state directory that the options or the caller's place name. */
int agent_open(const struct agent_common *options, struct agents *ret_agents,
	struct error *err) must_check;
/* The same again, to be changed; NULL without memory. Release with agent_free(). */
Berm__Wire__Agent *agent_copy(const Berm__Wire__Agent *agent) must_check;
/* What an agent is shown with. */
struct agent_view {
	struct agent_now now;
	int marks_fd; /* of daemon/agent-lost.h; -1: it is not asked which runs last */
};

/* The whole agent, with what it used up. */
void agent_put(const Berm__Wire__Agent *agent, const struct agent_view *view, struct text *out);
void agent_json(const Berm__Wire__Agent *agent, const struct agent_view *view, struct json *j);
/* Its runs whose berm still is. */
size_t agent_running(const Berm__Wire__Agent *agent, const struct agent_view *view);
/* Print an agent as the options want it, and release it; returns the exit code. marks_fd: as
 * above. */
int agent_print(const struct agent_common *options, Berm__Wire__Agent *agent, int marks_fd);
/* The agent was changed: into the log with it, and print it as above. A change that could not be
 * recorded was made all the same: that is said, and is the exit code. */
int agent_changed(const struct verb *verb, const struct agent_common *options,
	const struct agent_change *change);

/* "COUNTER=AMOUNT", as of --done; false where it is none. */
bool agent_amount_parse(const char *words, unsigned *ret_counter, uint64_t *ret_amount) must_check;
/* One --budget: "COUNTER=AMOUNT/WINDOW", AMOUNT may be none. */
int agent_budget_parse(Berm__Wire__Agent *agent, const char *words, struct error *err) must_check;
/* The agents of --delegate-to, by name or id; the lock is held. Kept are their ids, so that a name
 * that is given to another agent later is nobody's leave. */
int agent_delegates_parse(const struct agents *agents, Berm__Wire__Agent *agent,
	const struct word_list *words, struct error *err) must_check;
/* The words of --may-start: users, and groups as "@GROUP"; by name or number. */
int agent_starters_parse(
	Berm__Wire__Agent *agent, const struct word_list *words, struct error *err) must_check;
