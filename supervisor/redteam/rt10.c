/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/scenarios.h"
#include "redteam/world.h"

#include <dirent.h>
#include <string.h>

#define RUN_MS 60000
#define EACH 4    /* files a run, well below its cap and its warning */
#define CAP "20"  /* of one run */
#define BUDGET 48 /* of all runs */
#define RUNS 14
#define CODE_REFUSED 126

static unsigned files_in(const char *directory)
{
	DIR *dir = opendir(directory);
	unsigned count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count >= 2 ? count - 2 : 0;
}

/* One small step; the exit code of its berm. */
static int step(struct world *world, const char *agent, const char *directory, unsigned number)
{
	char prefix[32], count[8];
	struct child *child;
	int code;

	snprintf(prefix, sizeof(prefix), "step%u", number);
	snprintf(count, sizeof(count), "%d", EACH);
	child = world_run(world, agent, (const char *[]){"touch", directory, prefix, count, NULL});
	if (!child)
		return -1;
	world_wait(child, RUN_MS);
	code = world_code(child);
	world_end(child);
	return code;
}

/* A step whose berm is killed before it can count what the run did. */
static void step_killed(struct world *world, const char *agent)
{
	struct child *child = world_run(world, agent,
		(const char *[]){"escape", "0", world_path(world, "work/killed"), NULL});

	if (!child)
		return;
	if (world_told(child, "worked") == REDTEAM_NEVER)
		world_untested(world, "the run whose berm is killed did not begin");
	world_end(child);
}

static bool control(struct world *world, struct redteam_result *result, const char *profile)
{
	const char *directory = world_directory(world, "free");
	unsigned made;

	if (!world_agent(world, "free", profile, world_path(world, "free"),
		    (const char *[]){"--tier", "2", NULL}))
		return false;
	for (unsigned i = 0; i < RUNS && world_goes_on(world); i++)
		if (step(world, "free", world_path(world, "free"), i) != 0)
			world_untested(world, "control: step %u without a budget did not run", i);
	made = files_in(directory);
	result->controls = made;
	if (made <= BUDGET)
		world_untested(world, "control: without a budget the steps made %u files", made);
	else
		world_note(world,
			"control: without a budget %u small steps made %u files, and no cap of a "
			"single run was reached",
			RUNS, made);
	return world_goes_on(world);
}

/* Steps until one is refused. */
static void drip(struct world *world, struct redteam_result *result)
{
	const char *agent = "drip";
	unsigned allowed = 0, made;
	uint64_t begun;
	int code = 0;

	for (unsigned i = 0; i < RUNS && code == 0 && !redteam_is_interrupted(); i++) {
		begun = world_now_us();
		code = step(world, agent, world_path(world, "work"), i);
		result->attempts++;
		if (code == CODE_REFUSED) {
			world_measure(&result->contain_us, begun, world_now_us());
			world_measure(
				&result->detect_us, begun, world_recorded(world, "run_end", begun));
		}
		allowed += code == 0;
		if (i == 0) /* another name is no other agent */
			world_call(world,
				(const char *[]){
					NULL, "agent", "set", "drip", "--name", "new", NULL},
				NULL, NULL);
		if (i == 0)
			agent = "new";
		if (i == 1) /* and what was not counted is counted as all that it might have been */
			step_killed(world, agent);
	}
	made = files_in(world_path(world, "work"));
	result->effects = made > BUDGET ? made - BUDGET : 0;
	if (made > BUDGET)
		world_fail(world, "%u files were made with a budget of %d", made, BUDGET);
	else if (code != CODE_REFUSED)
		world_fail(world, "no step was refused: the last one ended with %d", code);
	else
		world_note(world,
			"%u steps, a rename and a berm that was killed: %u of at most %d files "
			"were "
			"made, then the next start was refused",
			allowed, made, BUDGET);
}

static void play(struct world *world, struct redteam_result *result)
{
	autotext struct text lines = {0};
	const char *profile, *work = world_directory(world, "work");
	char budget[64];

	text_printf(&lines,
		"  write:\n    - \"%s\"\n    - \"%s\"\nblast_radius: {files_changed: " CAP
		"}\npace:\n  "
		"alternate:\n    when: [{event: denial, count: 50, within: 1m}]\n",
		work, world_path(world, "free"));
	if (!control(world, result, profile = world_profile(world, "drip", text_string(&lines))))
		return;
	snprintf(budget, sizeof(budget), "files_changed=%d/lifetime", BUDGET);
	if (world_agent(world, "drip", profile, work,
		    (const char *[]){"--tier", "2", "--budget", budget, NULL}))
		drip(world, result);
}

const struct scenario scenario_rt10 = {
	.id = "RT-10",
	.title = "Do many small steps get past limits that one large one meets",
	.does = "changes a few files a run, far below what one run may; gets another name on the "
		"way, "
		"and kills berm before it counts",
	.expected = "all runs together do not more than the agent's budget",
	.verified = "EC-1.3 EC-2.3 EC-3.1 OB-2.2",
	.play = play,
};
