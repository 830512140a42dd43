/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent.h"

#include "base/io.h"
#include "base/number.h"
#include "base/path.h"
#include "daemon/agent-group.h"
#include "daemon/group-untold.h"
#include "daemon/session.h"

#include <string.h>

/* berm agent add and berm agent set: the same options, of which add demands a few. */

struct set_options {
	struct agent_common common;
	const char *role, *human, *profile, *directory, *group, *name;
	const char *retries, *cooldown, *time_box; /* words, since 0 means something */
	uint64_t tier, runs_per_hour, running, processes, starts;
	struct word_list may_start, budget, delegate_to;
	bool task_required, task_optional;
};

#define at(field) offsetof(struct set_options, field)

/* clang-format off */
#define SET_ROWS \
	AGENT_OPTION_ROWS(struct set_options), \
	{"role", 0, OPTION_TEXT, at(role), "WORDS", NULL, "what the agent is for"}, \
	{"accountable-human", 0, OPTION_TEXT, at(human), "WORDS", NULL, "who answers for what it does"}, \
	{"profile", 'p', OPTION_TEXT, at(profile), "PROFILE", NULL, "what its runs may do: a file, or a name on the search path"}, \
	{"directory", 'C', OPTION_TEXT, at(directory), "DIR", NULL, "where its runs start, ${WORKDIR} of the profile; needed for others to start it"}, \
	{"tier", 0, OPTION_NUMBER, at(tier), "1|2|3", NULL, "1 supervised, 2 managed, 3 autonomous"}, \
	{"group", 0, OPTION_TEXT, at(group), "NAME", NULL, "agents that work together (berm pace group makes it); none: no group"}, \
	{"may-start", 0, OPTION_COMMA_WORDS, at(may_start), "USER,@GROUP", NULL, "who may start it beside its operator; none: nobody"}, \
	{"delegate-to", 0, OPTION_COMMA_WORDS, at(delegate_to), "AGENT,...", NULL, "whom the tools of its runs may start runs of; none: nobody"}, \
	{"budget", 0, OPTION_WORDS, at(budget), "C=N/WINDOW", NULL, "what all its runs together may do, as files_changed=500/day; repeatable"}, \
	{"runs-per-hour", 0, OPTION_NUMBER, at(runs_per_hour), "N", NULL, "default 100"}, \
	{"running", 0, OPTION_NUMBER, at(running), "N", NULL, "runs at once; default 10"}, \
	{"processes", 0, OPTION_NUMBER, at(processes), "N", NULL, "of one run at once; default 512"}, \
	{"starts", 0, OPTION_NUMBER, at(starts), "N", NULL, "processes that one run may start; default 10000 in tiers 2 and 3"}, \
	{"retries", 0, OPTION_TEXT, at(retries), "N", NULL, "of a command that failed, in one task; default 3"}, \
	{"cooldown", 0, OPTION_TEXT, at(cooldown), "TIME", NULL, "before a command that failed may be tried again; never less than its tier has"}, \
	{"time-box", 0, OPTION_TEXT, at(time_box), "TIME", NULL, "how long a run may last; never more than its tier has; none: as tier and profile say"}, \
	{"task-required", 0, OPTION_FLAG, at(task_required), NULL, NULL, "each run has to name its task"}

static const struct option_spec add_specs[] = {SET_ROWS};
static const struct option_spec set_specs[] = {
	SET_ROWS,
	{"task-optional", 0, OPTION_FLAG, at(task_optional), NULL, NULL, "a run need not name its task any more"},
	{"name", 0, OPTION_TEXT, at(name), "NAME", NULL, "give it another name; its id and what it used up stay"},
};
/* clang-format on */

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

static int set_words(char **field, const char *words, struct error *err)
{
	char *copy;

	if (!words)
		return 0;
	copy = words[0] ? strdup(words) : (char *)(uintptr_t)protobuf_c_empty_string;
	if (!copy)
		return out_of_memory(err);
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = copy;
	return 0;
}

/* none: 0. words NULL: it stays as it is. */
static int set_time(const char *option, const char *words, uint64_t *ret_value, struct error *err)
{
	uint64_t value = 0;

	if (!words)
		return 0;
	if (strcmp(words, "none") != 0 && !number_parse_duration(words, &value))
		return error_set(err, -EINVAL, ERROR_INPUT, "%s is a time as in 60s, or none: %s",
			option, words);
	*ret_value = value;
	return 0;
}

static int set_rates(Berm__Wire__Agent *agent, const struct set_options *options, struct error *err)
{
	uint64_t value = 0;
	int r;

	if (options->retries) {
		if (!number_parse_u64(options->retries, &value) || value > 1000000)
			return error_set(err, -EINVAL, ERROR_INPUT, "--retries is a number: %s",
				options->retries);
		agent->retries = value;
	}
	r = set_time("--cooldown", options->cooldown, &agent->cooldown_ms, err);
	if (r == 0)
		r = set_time("--time-box", options->time_box, &agent->time_box_ms, err);
	if (r < 0)
		return r;
	if (options->runs_per_hour)
		agent->runs_per_hour = options->runs_per_hour;
	if (options->running)
		agent->running_max = options->running;
	if (options->processes)
		agent->processes_max = options->processes;
	if (options->starts)
		agent->starts_max = options->starts;
	agent->task_required =
		options->task_optional ? false : options->task_required || agent->task_required;
	return 0;
}

/* What takes a while, and words of others, before anything is locked: a profile on a file system
 * that does not answer, or a pipe that nobody reads, keeps nobody from starting. */
struct found_places {
	char *profile, *directory; /* owned; NULL: not named */
};

static void found_finish(struct found_places *found)
{
	own_free(&found->profile);
	own_free(&found->directory);
}
#define autofound __attribute__((cleanup(found_finish)))

/* The profile must be one that a run of the agent takes, from where a run finds it: the operator's
 * alone. Its whole path is kept, so that no search path decides later. */
static int find_profile(
	const struct set_options *options, struct found_places *found, struct error *err)
{
	const struct session_request request = {.profile = options->profile,
		.of_operator = true,
		.state_dir = options->common.state_dir,
		.directory = found->directory && found->directory[0] ? found->directory : NULL};
	autosession struct session session = {0};
	int r = session_load(&request, &session, err);

	if (r < 0) {
		if (session.diagnostics.length)
			(void)!io_write_all(STDERR_FILENO, session.diagnostics.data,
				session.diagnostics.length);
		return r;
	}
	found->profile = realpath(session.profile->file, NULL);
	return found->profile ? 0 : error_errno(err, "%s", session.profile->file);
}

static int find_directory(
	const struct set_options *options, struct found_places *found, struct error *err)
{
	if (strcmp(options->directory, "none") != 0)
		return places_directory(options->directory, &found->directory, err);
	found->directory = strdup("");
	return found->directory ? 0 : out_of_memory(err);
}

static int find_places(
	const struct set_options *options, struct found_places *ret_found, struct error *err)
{
	int r = 0;

	if (options->directory)
		r = find_directory(options, ret_found, err);
	return r == 0 && options->profile ? find_profile(options, ret_found, err) : r;
}

static int fill(Berm__Wire__Agent *agent, const struct set_options *options,
	const struct found_places *found, struct error *err)
{
	int r = set_words(&agent->role, options->role, err);

	if (r == 0)
		r = set_words(&agent->accountable_human, options->human, err);
	if (r == 0 && options->group)
		r = set_words(&agent->group,
			strcmp(options->group, "none") == 0 ? "" : options->group, err);
	if (options->tier && r == 0) {
		if (options->tier > 3)
			return error_set(err, -EINVAL, ERROR_INPUT, "--tier is 1, 2 or 3");
		agent->tier = (uint32_t)options->tier;
	}
	if (r == 0)
		r = set_words(&agent->directory, found->directory, err);
	if (r == 0)
		r = set_words(&agent->profile, found->profile, err);
	if (r == 0)
		r = set_rates(agent, options, err);
	if (r == 0)
		r = agent_starters_parse(agent, &options->may_start, err);
	for (size_t i = 0; r == 0 && i < options->budget.count; i++)
		r = agent_budget_parse(agent, options->budget.items[i], err);
	return r;
}

static int add_agent(const struct set_options *options, const char *name,
	struct agent_change *ret_change, struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	autoagent Berm__Wire__Agent *agent = malloc(sizeof(*agent));
	autofound struct found_places found = {0};
	autounlock int lock = -1;
	int r = agent ? agent_open(&options->common, &agents, err) : out_of_memory(err);

	if (agent)
		berm__wire__agent__init(agent);
	if (r == 0)
		r = find_places(options, &found, err);
	if (r < 0 || !agent)
		return r;
	agent->runs_per_hour = AGENT_RUNS_PER_HOUR;
	agent->retries = AGENT_RETRIES;
	agent->running_max = AGENT_RUNNING;
	agent->cooldown_ms = agent_tier((unsigned)options->tier)->cooldown_ms;
	r = set_words(&agent->name, name, err);
	if (r == 0)
		r = fill(agent, options, &found, err);
	if (r < 0)
		return r;
	lock = agents_lock(&agents, err);
	r = lock < 0 ? lock : agent_group_join(&agents, agent, err);
	if (r == 0)
		r = agent_delegates_parse(&agents, agent, &options->delegate_to, err);
	if (r == 0)
		r = agents_add(&agents, agent, err);
	if (r == 0)
		*ret_change = (struct agent_change){
			"add", take_ptr(&agent), NULL, take_ptr(&agents.state), NULL};
	return r;
}

static int agent_add(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct set_options *options = values;
	struct agent_change change = {0};
	struct error err = {0};

	if (argc != 1)
		return verb_misused(verb, "one name");
	if (!options->role || !options->human || !options->profile || !options->tier)
		return verb_misused(verb, "--role, --accountable-human, --profile and --tier are "
					  "mandatory");
	if (add_agent(options, argv[0], &change, &err) < 0)
		return verb_failed(verb, &err);
	return agent_changed(verb, &options->common, &change);
}

/* What runs of it did, and its group has not heard, is told before it leaves; whether all was is
 * asked where nobody else changes it. */
static void tell_group(const struct agents *agents, const char *name)
{
	autoagent Berm__Wire__Agent *agent = NULL;
	struct error err = {0};

	if (agents_read(agents, name, &agent, &err) == 0)
		(void)!group_untold_tell(agents->state, agent, AGENTS_LOCK_MS, &err);
}

static bool is_moved(const Berm__Wire__Agent *agent, const struct set_options *options)
{
	return options->group &&
	       strcmp(agent->group, strcmp(options->group, "none") ? options->group : "") != 0;
}

static int change_agent(const struct set_options *options, const char *name,
	struct agent_change *ret_change, struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	autoagent Berm__Wire__Agent *agent = NULL, *before = NULL;
	autofound struct found_places found = {0};
	autounlock int lock = -1;
	int r = agent_open(&options->common, &agents, err);

	if (r == 0)
		r = find_places(options, &found, err);
	if (r < 0)
		return r;
	if (options->group)
		tell_group(&agents, name);
	lock = agents_lock(&agents, err);
	r = lock < 0 ? lock : agents_read(&agents, name, &agent, err);
	if (r == 0 && agent->retired)
		r = error_set(err, -EPERM, ERROR_REFUSED, "the agent %s was retired", agent->name);
	/* Who is held stays who it is and what it may do: as it was looked at. */
	if (r == 0 && (options->name || options->group || options->profile || options->directory ||
			      options->budget.count))
		r = agent_group_leave(&agents, agent, err);
	if (r == 0 && is_moved(agent, options))
		r = agent_group_move(&agents, agent, err);
	if (r == 0) {
		before = agent_copy(agent);
		r = before ? fill(agent, options, &found, err) : out_of_memory(err);
	}
	if (r == 0 && options->group)
		r = agent_group_join(&agents, agent, err);
	if (r == 0)
		r = agent_delegates_parse(&agents, agent, &options->delegate_to, err);
	if (r == 0 && before && agent->group[0] && strcmp(agent->group, before->group) != 0)
		r = agents_join(&agents, agent, err);
	/* All that is named is changed, or nothing of it: a taken name undoes no wider budget. */
	if (r == 0)
		r = options->name ? agents_rename(&agents, agent, options->name, err)
				  : agents_write(&agents, agent, err);
	if (r == 0)
		*ret_change = (struct agent_change){options->name ? "rename" : "set",
			take_ptr(&agent), take_ptr(&before), take_ptr(&agents.state), NULL};
	return r;
}

static int agent_set(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct set_options *options = values;
	struct agent_change change = {0};
	struct error err = {0};

	if (argc != 1)
		return verb_misused(verb, "one agent, by its name or id");
	if (change_agent(options, argv[0], &change, &err) < 0)
		return verb_failed(verb, &err);
	return agent_changed(verb, &options->common, &change);
}

const struct verb verb_agent_add = {
	.name = "agent add",
	.summary = "Register an agent",
	.usage = "NAME --role WORDS --accountable-human WORDS --profile PROFILE --tier 1|2|3 "
		 "[OPTIONS]",
	.details =
		"An agent has an id that is never given to another one, and what its runs do is "
		"counted together,\n"
		"over restarts and renames. A budget narrows each of its runs: a run may do what "
		"its profile\n"
		"allows and what is left of the agent's budgets, whichever is less.\n"
		"Windows are hour and day, which slide, and lifetime. See docs/agents.md.\n"
		"Exit: 0 it is registered, 1 it was refused, 2 wrong words or profile.",
	.options = {.specs = add_specs,
		.count = array_size(add_specs),
		.size = sizeof(struct set_options)},
	.function = agent_add,
};

const struct verb verb_agent_set = {
	.name = "agent set",
	.summary = "Change what an agent is and may do",
	.usage = "NAME [OPTIONS]",
	.details = "What is not named stays. --may-start and --delegate-to replace the whole list; "
		   "--budget C=none/"
		   "WINDOW takes one\n"
		   "budget away. Runs that last go on with what they were given.\n"
		   "Exit: 0 it is so now, 1 it was refused, 2 wrong words or no such agent.",
	.options = {.specs = set_specs,
		.count = array_size(set_specs),
		.size = sizeof(struct set_options)},
	.function = agent_set,
};
