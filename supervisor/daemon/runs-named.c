/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/runs-named.h"

#include "daemon/agent-lost.h"

#include <ctype.h>
#include <string.h>

#define ID_LETTERS "0123456789abcdefghjkmnpqrstvwxyzABCDEFGHJKMNPQRSTVWXYZ"

static const struct {
	const char *word;
	enum runs_named_scope scope;
} prefixes[] = {{"run:", NAMED_RUN}, {"agent:", NAMED_AGENT}, {"group:", NAMED_GROUP}};

static bool is_run_word(const char *word)
{
	size_t length = strlen(word);

	return length > 0 && length <= RUN_ID_LENGTH && strspn(word, ID_LETTERS) == length;
}

/* ---- the runs of agents ---- */

static int add_runs(struct runs_named *named, const Berm__Wire__Agent *agent, struct error *err)
{
	char(*grown)[RUN_ID_LENGTH + 1] =
		reallocarray(named->ids, named->count + agent->n_runs + 1, sizeof(*grown));

	if (!grown)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	named->ids = grown;
	for (size_t i = 0; i < agent->n_runs; i++)
		snprintf(named->ids[named->count++], sizeof(*grown), "%s", agent->runs[i]->run);
	return 0;
}

static int add_agent(const struct agents *agents, struct runs_named *named, struct error *err)
{
	autoagent Berm__Wire__Agent *agent = NULL;
	int r = agents_read(agents, named->of, &agent, err);

	return r < 0 || !agent ? r : add_runs(named, agent, err);
}

/* Retired ones too: their runs go on. */
static int add_group(
	const struct agents *agents, struct runs_named *named, bool *ret_seen, struct error *err)
{
	Berm__Wire__Agent **list = NULL;
	size_t count = 0, damaged = 0;
	int r = agents_list(agents, true, &list, &count, &damaged, &named->unsure);

	if (r < 0)
		return error_set(
			err, r, (enum error_kind)named->unsure.kind, "%s", named->unsure.text);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (strcmp(list[i]->group, named->of) != 0)
			continue;
		*ret_seen = true;
		r = add_runs(named, list[i], err);
	}
	agents_free_list(list, count);
	return r;
}

static int add_all(const struct agents *agents, struct runs_named *named, struct error *err)
{
	bool seen = false;

	named->count = 0;
	named->unsure = (struct error){0};
	named->state = run_state_of(agents->state);
	switch (named->scope) {
	case NAMED_AGENT:
		return add_agent(agents, named, err);
	case NAMED_GROUP:
		return add_group(agents, named, &seen, err);
	case NAMED_EVERYTHING:
	case NAMED_RUN:
		break;
	}
	return 0;
}

int runs_named_refresh(const char *state, struct runs_named *named, struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	int r = 0;

	if (named->scope == NAMED_EVERYTHING || named->scope == NAMED_RUN)
		return 0;
	r = agents_open(state, &agents, err);
	return r < 0 ? r : add_all(&agents, named, err);
}

unsigned runs_named_unfound(const char *state, const struct runs_named *named,
	bool (*is_known)(const void *context, const char *run_id), const void *context)
{
	autoagents struct agents agents = AGENTS_NONE;
	struct error err = {0};
	autoclose int marks =
		agents_open(state, &agents, &err) < 0 ? -1 : agent_marks_open(&agents, &err);
	unsigned count = 0;

	for (size_t i = 0; i < named->count; i++) {
		if (is_known(context, named->ids[i]))
			continue;
		/* What cannot be asked is not said to have ended. */
		if (marks >= 0 && !agent_mark_is_held(marks, agent_mark_of(named->ids[i])))
			continue;
		/* Its berm may be there still, stopped, of a run that was killed before. */
		count += runs_sign_of(named->ids[i]) != RUN_SIGN_ENDED;
	}
	return count;
}

/* ---- which ---- */

static int is_run(struct runs_named *named, const char *word, struct error *err)
{
	if (!is_run_word(word))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a run is named by the beginning of its id, as \"berm ps\" shows it: 1 to "
			"%d letters and digits",
			RUN_ID_LENGTH);
	named->scope = NAMED_RUN;
	for (size_t i = 0; word[i]; i++)
		named->of[i] = (char)toupper((unsigned char)word[i]);
	snprintf(named->words, sizeof(named->words), "run %s", named->of);
	return 0;
}

/* 1: there is such an agent. */
static int is_agent(
	const struct agents *agents, const char *word, struct runs_named *named, struct error *err)
{
	autoagent Berm__Wire__Agent *agent = NULL;
	int r = agents_read(agents, word, &agent, err);

	if (r < 0 || !agent)
		return r;
	named->scope = NAMED_AGENT;
	snprintf(named->of, sizeof(named->of), "%s", agent->id);
	snprintf(named->words, sizeof(named->words), "agent %s", agent->name);
	named->state = run_state_of(agents->state);
	r = add_runs(named, agent, err);
	return r < 0 ? r : 1;
}

void runs_named_group(const char *name, struct runs_named *ret_named)
{
	*ret_named = (struct runs_named){.scope = NAMED_GROUP};
	snprintf(ret_named->of, sizeof(ret_named->of), "%s", name);
	snprintf(ret_named->words, sizeof(ret_named->words), "group %s", name);
}

/* 1: an agent is in that group. */
static int is_group(
	const struct agents *agents, const char *word, struct runs_named *named, struct error *err)
{
	bool seen = false;
	int r;

	if (!agent_name_is_good(word))
		return 0;
	runs_named_group(word, named);
	named->state = run_state_of(agents->state);
	r = add_group(agents, named, &seen, err);
	return r < 0 ? r : seen;
}

/* A word alone, of a person in a hurry who must not hit more than was meant. */
static int guess(
	const struct agents *agents, const char *word, struct runs_named *named, struct error *err)
{
	autonamed struct runs_named agent = {0}, group = {0};
	struct error no_agent = {0};
	int a = is_agent(agents, word, &agent, &no_agent), g;

	if (a < 0 && a != -ENOENT && a != -EINVAL)
		return error_set(err, a, (enum error_kind)no_agent.kind, "%s", no_agent.text);
	g = is_group(agents, word, &group, err);
	if (g < 0)
		return g;
	if (a == 1 && g == 1)
		return error_set(err, -ENOTUNIQ, ERROR_REFUSED,
			"an agent and a group are called %s: write agent:%s or group:%s", word,
			word, word);
	if (a == 1) {
		*named = agent;
		agent = (struct runs_named){0};
		return 0;
	}
	if (g == 1) {
		*named = group;
		group = (struct runs_named){0};
		return 0;
	}
	if (is_run_word(word))
		return is_run(named, word, err);
	return error_set(err, a, a == -EINVAL ? ERROR_INPUT : ERROR_NOT_FOUND,
		"%s is no run, no agent and no group", word);
}

static int find_in(const char *state, enum runs_named_scope scope, const char *word,
	struct runs_named *named, struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	int r = agents_open(state, &agents, err);

	if (r < 0)
		return r;
	switch (scope) {
	case NAMED_AGENT:
		r = is_agent(&agents, word, named, err);
		return r < 0 ? r : 0;
	case NAMED_GROUP:
		r = is_group(&agents, word, named, err);
		if (r == 0)
			return error_set(
				err, -ENOENT, ERROR_NOT_FOUND, "no agent is in a group %s", word);
		return r < 0 ? r : 0;
	case NAMED_EVERYTHING:
	case NAMED_RUN:
		break;
	}
	return guess(&agents, word, named, err);
}

/* "0" and more may be the beginning of an id, and the name of an agent or a group. */
static int find_digits(
	const char *state, const char *word, struct runs_named *named, struct error *err)
{
	autonamed struct runs_named other = {0};
	struct error why = {0};
	int r;

	if (!state || !agent_name_is_good(word))
		return is_run(named, word, err);
	r = find_in(state, NAMED_EVERYTHING, word, &other, &why);
	if (r < 0 && r != -ENOTUNIQ)
		return is_run(named, word, err);
	if (r == 0 && (other.scope == NAMED_RUN || !is_run_word(word))) {
		*named = other;
		other = (struct runs_named){0};
		return 0;
	}
	return error_set(err, -ENOTUNIQ, ERROR_REFUSED,
		"%s is an agent or a group, and may be the beginning of a run's id: write "
		"agent:%s, "
		"group:%s or run:%s",
		word, word, word, word);
}

int runs_named_find(
	const char *state, const char *word, struct runs_named *ret_named, struct error *err)
{
	enum runs_named_scope scope = NAMED_EVERYTHING;

	*ret_named = (struct runs_named){0};
	for (size_t i = 0; i < array_size(prefixes); i++) {
		size_t length = strlen(prefixes[i].word);

		if (strncmp(word, prefixes[i].word, length) != 0)
			continue;
		scope = prefixes[i].scope;
		word += length;
		break;
	}
	if (scope == NAMED_RUN)
		return is_run(ret_named, word, err);
	/* Ids begin with 0 for some hundred years. Who means a run is kept up by no file of agents
	 * that cannot be read. */
	if (scope == NAMED_EVERYTHING && word[0] == '0')
		return find_digits(state, word, ret_named, err);
	if (!state)
		return error_set(err, -ENOENT, ERROR_INTERNAL,
			"no state directory is known: name it with --state-dir");
	return find_in(state, scope, word, ret_named, err);
}

void runs_named_finish(struct runs_named *named)
{
	free(named->ids);
	*named = (struct runs_named){0};
}

/* What a run was begun as counts, and what its agent is now. */
static bool says_so(const struct runs_named *named, const struct run_found *run)
{
	const char *of = named->scope == NAMED_AGENT ? run->agent : run->group;

	return named->state.inode != 0 && run->state.inode == named->state.inode &&
	       run->state.device == named->state.device && strcmp(of, named->of) == 0;
}

bool runs_named_has(const struct runs_named *named, const struct run_found *run)
{
	switch (named->scope) {
	case NAMED_EVERYTHING:
		return named->state.inode == 0 || (run->state.inode == named->state.inode &&
							  run->state.device == named->state.device);
	case NAMED_RUN:
		return strncmp(run->run_id, named->of, strlen(named->of)) == 0;
	case NAMED_AGENT:
	case NAMED_GROUP:
		break;
	}
	for (size_t i = 0; i < named->count; i++)
		if (strcmp(named->ids[i], run->run_id) == 0)
			return true;
	return says_so(named, run);
}
