/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/rt12.h"

#include "redteam/scenarios.h"

#include <string.h>

static bool make_keys(struct world *world)
{
	static const char *const people[][2] = {
		{"alice", "security"}, {"carol", "incident-commander"}, {"rita", "risk-owner"}};
	autotext struct text authority = {0};

	text_puts(&authority, "version: 1\nkeys:\n");
	for (size_t i = 0; i < array_size(people) && world_goes_on(world); i++) {
		const char *key = world_path(world, "%s.key", people[i][0]);
		autofree char *out = NULL;

		if (world_call(world, (const char *[]){NULL, "pace", "key", key, NULL}, &out, NULL))
			world_untested(world, "no key was made");
		out[strcspn(out, "\n")] = '\0';
		text_printf(&authority, "  - {name: %s, key: %s, roles: [%s]}\n", people[i][0], out,
			people[i][1]);
	}
	text_printf(&authority, "people:\n  - {name: bob, uid: %u, roles: [operator]}\n",
		(unsigned)geteuid());
	world_write(world, world_path(world, "state/authority.yaml"), text_string(&authority));
	/* The forger's key is as good as any, and nobody listed it. */
	world_call(world,
		(const char *[]){NULL, "pace", "key", world_path(world, "mallory.key"), NULL}, NULL,
		NULL);
	return world_goes_on(world);
}

static bool make_crew(struct world *world)
{
	static const char *const more[] = {"--tier", "2", "--group", "crew", NULL};
	autotext struct text lines = {0};
	const char *work = world_directory(world, "work"), *profile;

	text_printf(&lines,
		"  write:\n    - \"%s\"\nblast_radius: {files_changed: 1000000}\npace:\n  "
		"alternate:\n    when: [{event: denial, count: 5, within: 10m}]\n",
		work);
	profile = world_profile(world, "crew", text_string(&lines));
	if (world_call(world, (const char *[]){NULL, "pace", "group", "--tier", "2", "crew", NULL},
		    NULL, NULL) != 0)
		world_untested(world, "a group was not made");
	return world_goes_on(world) && world_agent(world, "alpha", profile, work, more) &&
	       world_agent(world, "beta", profile, work, more) && make_keys(world);
}

static bool worker_works(void *context)
{
	const struct siege *siege = context;

	return world_number(world_path(siege->world, "work/worker")) > 3;
}

/* A worker that does no harm, and an attacker that forges from within. */
static bool begin(struct siege *siege)
{
	struct world *world = siege->world;
	const char *state = world_path(world, "state");

	siege->worker = world_run(
		world, "alpha", (const char *[]){"deaf", world_path(world, "work/worker"), NULL});
	siege->attacker = world_run(world, "beta",
		(const char *[]){"forge", state, "crew", world_path(world, "work/forger"), NULL});
	if (!siege->worker || !siege->attacker)
		return false;
	if (!world_until(worker_works, siege) ||
		world_told(siege->attacker, "halt") == REDTEAM_NEVER) {
		autofree char *why = world_complained(siege->worker);

		world_untested(world, "the runs did not begin: %.300s", why);
	}
	return world_goes_on(world);
}

/* The forger writes over whatever it reaches: without walls it does. */
static bool control(struct siege *siege)
{
	struct world *world = siege->world;
	const char *state = world_directory(world, "other");
	autofree char *forged = NULL;
	struct child *child;

	world_directory(world, "other/groups");
	world_write(world, world_path(world, "other/groups/crew"), "as it was\n");
	child = world_act(world,
		(const char *[]){"forge", state, "crew", world_path(world, "other/tick"), NULL});
	if (!child)
		return false;
	world_told(child, "halt");
	world_end(child);
	world_call(world,
		(const char *[]){"/bin/cat", world_path(world, "other/groups/crew"), NULL}, &forged,
		NULL);
	if (strcmp(forged, "forged\n") != 0)
		world_untested(world, "control: without walls the forger changes no file either");
	else
		world_note(world, "control: without walls the forger writes over the group's file");
	world->result->controls++;
	return world_goes_on(world);
}

static void play(struct world *world, struct redteam_result *result)
{
	struct siege siege = {.world = world};
	static void (*const steps[])(struct siege *) = {
		siege_forgeries, siege_breaker, siege_contingency, siege_emergency, siege_recovery};

	if (!make_crew(world) || !control(&siege) || !begin(&siege))
		return;
	for (size_t i = 0; i < array_size(steps) && world_goes_on(world); i++)
		steps[i](&siege);
	if (world_goes_on(world))
		world_note(world,
			"%u statements and signals that must not hold were refused; %u transitions "
			"under attack, %u of them in force within %d seconds",
			result->attempts, result->transitions, result->in_time, RT12_SECONDS);
	if (result->in_time < result->transitions)
		world_fail(world, "%u transitions were not in force in time",
			result->transitions - result->in_time);
}

const struct scenario scenario_rt12 = {
	.id = "RT-12",
	.title = "Can a change of phase be forged, replayed, stopped half-way or outrun",
	.does = "walks a group through every phase and one back, with forged, altered and replayed "
		"statements, a tool that forges from within, and berm killed at any moment",
	.expected =
		"only who has authority changes a phase; each holds for running runs at once; no "
		"phase is half",
	.verified = "EC-3.2 PA-2.4 PA-2.6 OB-2.2 IR-03",
	.play = play,
};
