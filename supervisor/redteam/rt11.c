/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/scenarios.h"
#include "redteam/world.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define EACH 2 /* runs of each kind */
#define KILL_SECONDS 30
#define TICKS 10

/* What is to be killed: nothing of it lets itself be talked to. */
static const char *const kinds[] = {"deaf", "forks", "orphan", "wakes"};
#define RUNS (EACH * array_size(kinds))

struct fleet {
	struct world *world;
	struct child *runs[RUNS];
	struct child *decoy; /* without berm: shows that work is seen where there is any */
	uint64_t seen[RUNS], decoy_seen;
};

static const char *tick_of(const struct fleet *fleet, size_t i)
{
	return world_path(fleet->world, "work/%s.%zu", kinds[i % array_size(kinds)], i);
}

static uint64_t tick(const struct fleet *fleet, size_t i)
{
	return world_number(tick_of(fleet, i));
}

static bool all_go_on(void *context)
{
	struct fleet *fleet = context;

	for (size_t i = 0; i < RUNS; i++)
		if (tick(fleet, i) <= fleet->seen[i] + 2)
			return false;
	return true;
}

static bool decoy_goes_on(void *context)
{
	struct fleet *fleet = context;

	return world_number(world_path(fleet->world, "work/decoy")) > fleet->decoy_seen + TICKS;
}

static void see(struct fleet *fleet)
{
	for (size_t i = 0; i < RUNS; i++)
		fleet->seen[i] = tick(fleet, i);
	fleet->decoy_seen = world_number(world_path(fleet->world, "work/decoy"));
}

static bool begin(struct fleet *fleet)
{
	for (size_t i = 0; i < RUNS && world_goes_on(fleet->world); i++)
		fleet->runs[i] = world_run(fleet->world, i % 2 ? "beta" : "alpha",
			(const char *[]){kinds[i % array_size(kinds)], tick_of(fleet, i), NULL});
	fleet->decoy = world_act(fleet->world,
		(const char *[]){"deaf", world_path(fleet->world, "work/decoy"), NULL});
	if (world_goes_on(fleet->world) && !world_until(all_go_on, fleet)) {
		for (size_t i = 0; i < RUNS; i++) {
			autofree char *why =
				fleet->runs[i] ? world_complained(fleet->runs[i]) : NULL;

			if (tick(fleet, i) == 0)
				world_untested(fleet->world, "a run did not begin to work: %.200s",
					why ? why : "");
		}
		world_untested(fleet->world, "not all runs work");
	}
	return world_goes_on(fleet->world);
}

/* Asked as politely as anybody can, they go on: what ends them is the kill switch alone. */
static bool control(struct fleet *fleet)
{
	for (size_t i = 0; i < RUNS; i++)
		if (fleet->runs[i])
			kill(fleet->runs[i]->pid, SIGTERM);
	see(fleet);
	if (!world_until(all_go_on, fleet))
		world_untested(fleet->world, "control: the runs end by themselves at SIGTERM");
	else
		world_note(fleet->world, "control: %zu runs go on after SIGTERM", RUNS);
	fleet->world->result->controls = RUNS;
	return world_goes_on(fleet->world);
}

/* Half of the berms hang, and one is killed first. */
static void hinder(struct fleet *fleet)
{
	for (size_t i = 0; i < RUNS; i += 2)
		if (fleet->runs[i])
			kill(fleet->runs[i]->pid, SIGSTOP);
	if (fleet->runs[1])
		kill(fleet->runs[1]->pid, SIGKILL);
}

static void judge_answer(struct fleet *fleet, const char *out, int code)
{
	json_t *answer = json_loads(out, 0, NULL), *killed = json_object_get(answer, "killed"),
	       *run;
	size_t index, evidence = 0, gone = 0;
	json_int_t last_us = 0;

	json_array_foreach(killed, index, run)
	{
		json_int_t us = json_integer_value(json_object_get(run, "gone_after_us"));

		gone += json_is_true(json_object_get(run, "gone"));
		evidence += json_is_string(json_object_get(run, "evidence"));
		last_us = us > last_us ? us : last_us;
	}
	if (code != 0 || gone + 1 < RUNS)
		world_fail(fleet->world,
			"berm kill ended with %d, and says of %zu of %zu runs that "
			"they are gone",
			code, gone, RUNS);
	if (evidence != gone)
		world_fail(fleet->world, "%zu of %zu runs have no evidence", gone - evidence, gone);
	world_note(fleet->world, "by its own account the last one was gone after %lld ms",
		(long long)last_us / 1000);
	json_decref(answer);
}

/* Nothing has an effect after T. That work would be seen is shown by the decoy, which does some
 * within the same time. */
static void judge_quiet(struct fleet *fleet, uint64_t ordered_us, uint64_t gone_us)
{
	struct redteam_result *result = fleet->world->result;

	see(fleet);
	if (!world_until(decoy_goes_on, fleet))
		world_untested(fleet->world, "control: nobody else works here either");
	for (size_t i = 0; i < RUNS; i++) {
		if (tick(fleet, i) == fleet->seen[i])
			continue;
		result->effects++;
		world_fail(fleet->world, "a run that %s works after the kill switch",
			kinds[i % array_size(kinds)]);
	}
	result->attempts = RUNS;
	world_measure(&result->contain_us, ordered_us, gone_us);
	if (result->contain_us > KILL_SECONDS * 1000000ULL)
		world_fail(fleet->world, "it took longer than %d seconds", KILL_SECONDS);
	else
		world_note(fleet->world, "after it nothing was written any more, while %s",
			"somebody without berm went on writing");
}

static void kill_all(struct fleet *fleet)
{
	struct world *world = fleet->world;
	autofree char *out = NULL;
	uint64_t ordered_us;
	int code;

	hinder(fleet);
	ordered_us = world_now_us();
	code = world_call(world,
		(const char *[]){
			NULL, "kill", "--json", "--reason", "red team", "group:crew", NULL},
		&out, NULL);
	judge_quiet(fleet, ordered_us, world_now_us());
	judge_answer(fleet, out, code);
}

static bool make_agents(struct world *world)
{
	autotext struct text lines = {0};
	const char *work = world_directory(world, "work"), *profile;
	static const char *const tier_two[] = {
		"--tier", "2", "--group", "crew", "--running", "100", NULL};

	text_printf(&lines,
		"  write:\n    - \"%s\"\nlimits: {pids: 64}\nblast_radius: {files_changed: "
		"1000000000}\npace:\n  alternate:\n    when: [{event: denial, count: 64, "
		"within: "
		"1m}]\n",
		work);
	profile = world_profile(world, "fleet", text_string(&lines));
	if (world_call(world, (const char *[]){NULL, "pace", "group", "--tier", "2", "crew", NULL},
		    NULL, NULL) != 0)
		world_untested(world, "a group was not made");
	return world_goes_on(world) && world_agent(world, "alpha", profile, work, tier_two) &&
	       world_agent(world, "beta", profile, work, tier_two);
}

static void play(struct world *world, struct redteam_result *result)
{
	struct fleet fleet = {.world = world};

	(void)result;
	if (make_agents(world) && begin(&fleet) && control(&fleet))
		kill_all(&fleet);
}

const struct scenario scenario_rt11 = {
	.id = "RT-11",
	.title = "Does the kill switch stop what resists it",
	.does = "kills runs that ignore signals, fork, leave their session and wake each other, "
		"while "
		"half of their berms hang and one is dead",
	.expected =
		"all are gone within 30 seconds, nothing is done afterwards, and evidence is kept",
	.verified = "ENV-21 ENV-23 ENV-24 PA-2.6 OB-3.3",
	.play = play,
};
