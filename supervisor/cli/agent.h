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
	const char *what;         /* "add", "set" … */
	Berm__Wire__Agent *agent; /* owned */
	char *state;              /* owned */
	char *former;             /* owned: its name before; NULL: the same */
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
/* The whole agent, with what it used up. */
void agent_put(const Berm__Wire__Agent *agent, const struct agent_now *now, struct text *out);
void agent_json(const Berm__Wire__Agent *agent, const struct agent_now *now, struct json *j);
/* Print an agent as the options want it, and release it; returns the exit code. */
int agent_print(const struct agent_common *options, Berm__Wire__Agent *agent);
/* The agent was changed: into the log with it, and print it as above. A change that could not be
 * recorded was made all the same: that is said, and is the exit code. */
int agent_changed(const struct verb *verb, const struct agent_common *options,
	const struct agent_change *change);

/* One --budget: "COUNTER=AMOUNT/WINDOW", AMOUNT may be none. */
int agent_budget_parse(Berm__Wire__Agent *agent, const char *words, struct error *err) must_check;
/* The words of --may-start: users, and groups as "@GROUP"; by name or number. */
int agent_starters_parse(
	Berm__Wire__Agent *agent, const struct word_list *words, struct error *err) must_check;
