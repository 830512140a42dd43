/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent.h"

#include "base/log.h"
#include "daemon/agent-group.h"
#include "daemon/agent-lost.h"

#include <string.h>

#define NAME_BYTES 20
#define PLACE_BYTES 40

struct show_options {
	struct agent_common common;
	bool retired;
	const char *reason;
};

static const struct option_spec list_specs[] = {
	AGENT_OPTION_ROWS(struct show_options),
	{"retired", 0, OPTION_FLAG, offsetof(struct show_options, retired), NULL, NULL,
		"those that were retired too"},
};

static const struct option_spec show_specs[] = {
	AGENT_OPTION_ROWS(struct show_options),
};

static const struct option_spec retire_specs[] = {
	AGENT_OPTION_ROWS(struct show_options),
	{"reason", 0, OPTION_TEXT, offsetof(struct show_options, reason), "WORDS", NULL,
		"why; mandatory"},
};

static void put_row(const Berm__Wire__Agent *agent, const struct agent_view *view, struct text *out)
{
	text_printf(out, "%-*s  %-4u  %-*s  %4llu/%-6llu  %-7zu  ", NAME_BYTES, agent->name,
		agent->tier, NAME_BYTES, agent->group[0] ? agent->group : "-",
		(unsigned long long)agent_runs(agent, &view->now),
		(unsigned long long)agent->runs_per_hour, agent_running(agent, view));
	text_escape(out, agent->retired ? "retired" : agent->accountable_human,
		strlen(agent->retired ? "retired" : agent->accountable_human), PLACE_BYTES);
	text_puts(out, "\n");
}

static void put_list(const struct agent_common *options, Berm__Wire__Agent *const *list,
	size_t count, const struct agent_view *view, struct text *out)
{
	struct json j = {.out = out};

	if (!options->json) {
		text_printf(out, "%-*s  %-4s  %-*s  %-11s  %-7s  %s\n", NAME_BYTES, "AGENT", "TIER",
			NAME_BYTES, "GROUP", "RUNS/HOUR", "RUNNING", "ACCOUNTABLE");
		for (size_t i = 0; i < count; i++)
			put_row(list[i], view, out);
		return;
	}
	json_object_begin(&j, NULL);
	json_array_begin(&j, "agents");
	for (size_t i = 0; i < count; i++) {
		json_object_begin(&j, NULL);
		agent_json(list[i], view, &j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	text_puts(out, "\n");
}

static int agent_list(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct show_options *options = values;
	autoagents struct agents agents = AGENTS_NONE;
	autotext struct text out = {0};
	Berm__Wire__Agent **list = NULL;
	size_t count = 0, damaged = 0;
	struct agent_view view = {.marks_fd = -1};
	struct error err = {0}, ignored = {0};
	autoclose int marks = -1;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (agent_open(&options->common, &agents, &err) < 0 ||
		agents_list(&agents, options->retired, &list, &count, &damaged, &err) < 0)
		return verb_failed(verb, &err);
	(void)!agents_now(&view.now, &ignored);
	marks = agent_marks_open(&agents, &ignored);
	view.marks_fd = marks;
	put_list(&options->common, list, count, &view, &out);
	agents_free_list(list, count);
	if (damaged)
		log_line("%s: %zu cannot be read: %s", verb->name, damaged, err.text);
	return verb_print(&out, damaged ? CLI_NO : CLI_GOOD);
}

static int agent_show(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct show_options *options = values;
	autoagents struct agents agents = AGENTS_NONE;
	Berm__Wire__Agent *agent = NULL;
	struct error err = {0}, ignored = {0};
	autoclose int marks = -1;

	if (argc != 1)
		return verb_misused(verb, "one agent, by its name or id");
	if (agent_open(&options->common, &agents, &err) < 0 ||
		agents_read(&agents, argv[0], &agent, &err) < 0)
		return verb_failed(verb, &err);
	marks = agent_marks_open(&agents, &ignored);
	return agent_print(&options->common, agent, marks);
}

static int agent_retire(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct show_options *options = values;
	autoagents struct agents agents = AGENTS_NONE;
	autoagent Berm__Wire__Agent *agent = NULL, *before = NULL;
	autounlock int lock = -1;
	struct error err = {0};

	if (argc != 1)
		return verb_misused(verb, "one agent, by its name or id");
	if (!options->reason)
		return verb_misused(verb, "--reason is mandatory");
	if (agent_open(&options->common, &agents, &err) < 0)
		return verb_failed(verb, &err);
	lock = agents_lock(&agents, &err);
	if (lock < 0 || agents_read(&agents, argv[0], &agent, &err) < 0 ||
		(!agent->retired && agent_group_leave(&agents, agent, &err) < 0))
		return verb_failed(verb, &err);
	before = agent_copy(agent);
	if (!before)
		error_set(&err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (!before || agents_retire(&agents, agent, options->reason, &err) < 0)
		return verb_failed(verb, &err);
	state_unlock(&lock);
	return agent_changed(verb, &options->common,
		&(struct agent_change){"retire", take_ptr(&agent), take_ptr(&before),
			take_ptr(&agents.state), options->reason});
}

const struct verb verb_agent_list = {
	.name = "agent list",
	.summary = "List the agents",
	.usage = "[--json] [--retired]",
	.details = "Exit: 0, or 1 where a file of an agent cannot be read: it is named on stderr.",
	.options = {.specs = list_specs,
		.count = array_size(list_specs),
		.size = sizeof(struct show_options)},
	.function = agent_list,
};

const struct verb verb_agent_show = {
	.name = "agent show",
	.summary = "Tell what an agent is and what it used up",
	.usage = "[--json] NAME",
	.details = "What runs that last have reserved counts as used until they end.",
	.options = {.specs = show_specs,
		.count = array_size(show_specs),
		.size = sizeof(struct show_options)},
	.function = agent_show,
};

const struct verb verb_agent_retire = {
	.name = "agent retire",
	.summary = "Let an agent start nothing any more",
	.usage = "[--json] --reason WORDS NAME",
	.details = "Its runs that last go on (\"berm kill\" ends them). Its name is free "
		   "again, its id never;\n"
		   "what it was and used up is kept and shown by its id.",
	.options = {.specs = retire_specs,
		.count = array_size(retire_specs),
		.size = sizeof(struct show_options)},
	.function = agent_retire,
};
