/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent.h"

#include "base/number.h"
#include "daemon/agent-lost.h"
#include "daemon/run-id.h"

#include <string.h>

struct settle_options {
	struct agent_common common;
	struct word_list done;
	const char *reason;
};

static const struct option_spec settle_specs[] = {
	AGENT_OPTION_ROWS(struct settle_options),
	{"done", 0, OPTION_WORDS, offsetof(struct settle_options, done), "C=N", NULL,
		"what the run did of a counter, as files_changed=3; repeatable"},
	{"reason", 0, OPTION_TEXT, offsetof(struct settle_options, reason), "WORDS", NULL,
		"how that is known; mandatory"},
};

static int parse_done(
	const struct word_list *words, uint64_t done[COUNTER_COUNT], struct error *err)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		done[i] = AGENT_UNLIMITED;
	for (size_t i = 0; i < words->count; i++) {
		unsigned counter = 0;
		uint64_t amount = 0;

		if (!agent_amount_parse(words->items[i], &counter, &amount))
			return error_set(err, -EINVAL, ERROR_INPUT,
				"--done is COUNTER=AMOUNT, as in files_changed=3: %s",
				words->items[i]);
		done[counter] = amount;
	}
	return 0;
}

static int settle_run(Berm__Wire__Agent *agent, const char *run, const uint64_t done[COUNTER_COUNT],
	struct error *err)
{
	int r = admission_settle(agent, run, done);

	if (r == -ENOENT)
		return error_set(err, r, ERROR_NOT_FOUND,
			"no run %s of the agent %s counts as lost", run, agent->name);
	if (r == -ERANGE)
		return error_set(err, r, ERROR_REFUSED,
			"the run could not do so much: no more was reserved for it");
	return r;
}

/* With the lock held. */
static int prepare(const struct agents *agents, Berm__Wire__Agent *agent,
	Berm__Wire__Agent **ret_before, struct error *err)
{
	struct agent_now now = {0};
	int r = agents_now(&now, err);

	/* Nobody may have asked for a run since it was killed. */
	if (r == 0)
		r = agent_end_lost(agents, agent, &now, err);
	if (r < 0)
		return r;
	*ret_before = agent_copy(agent);
	return *ret_before ? 0 : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

static int settle(const struct settle_options *options, char **argv,
	struct agent_change *ret_change, struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	autoagent Berm__Wire__Agent *agent = NULL, *before = NULL;
	uint64_t done[COUNTER_COUNT];
	autounlock int lock = -1;
	int r = parse_done(&options->done, done, err);

	if (r == 0 && (!agent_words_are_good(options->reason) || !run_id_is_valid(argv[1])))
		r = error_set(err, -EINVAL, ERROR_INPUT,
			"a reason is one line of at most %d bytes, and a run has an id of %d",
			AGENT_WORDS_MAX, RUN_ID_LENGTH);
	if (r == 0)
		r = agent_open(&options->common, &agents, err);
	if (r < 0)
		return r;
	lock = agents_lock(&agents, err);
	r = lock < 0 ? lock : agents_read(&agents, argv[0], &agent, err);
	if (r < 0)
		return r;
	r = prepare(&agents, agent, &before, err);
	if (r == 0)
		r = settle_run(agent, argv[1], done, err);
	if (r == 0)
		r = agents_write(&agents, agent, err);
	if (r < 0)
		return r;
	agent_receipts_sweep(&agents, agent);
	*ret_change = (struct agent_change){"settle", take_ptr(&agent), take_ptr(&before),
		take_ptr(&agents.state), options->reason};
	return 0;
}

static int agent_settle(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct settle_options *options = values;
	struct agent_change changed = {0};
	struct error err = {0};

	if (argc != 2)
		return verb_misused(verb, "one agent and one run");
	if (!options->reason || !options->done.count)
		return verb_misused(verb, "--done and --reason are mandatory");
	if (settle(options, argv, &changed, &err) < 0)
		return verb_failed(verb, &err);
	return agent_changed(verb, &options->common, &changed);
}

const struct verb verb_agent_settle = {
	.name = "agent settle",
	.summary = "Say what a run did whose berm was killed",
	.usage = "AGENT RUN --done C=N... --reason WORDS [--json]",
	.details =
		"Such a run counts as all that it had reserved (\"lost\" in berm agent show). "
		"Who knows better says so\n"
		"here: less than that, never more. It is in the log. The last 64 of an agent can "
		"be settled.\n"
		"Exit: 0 it is so now, 1 it was refused, 2 wrong words or no such agent or run.",
	.options = {.specs = settle_specs,
		.count = array_size(settle_specs),
		.size = sizeof(struct settle_options)},
	.function = agent_settle,
};
