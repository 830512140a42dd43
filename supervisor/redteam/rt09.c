/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/scenarios.h"
#include "redteam/world.h"

#include <string.h>

#define RUN_MS 60000
#define SECRET "redteam-laundered-31c7"
#define CHAIN "second,third,last"
#define HOPS 3

struct chain {
	struct world *world;
	const char *secret, *out;
};

/* From the last to the first, since each names the one that it may hand a task on to. */
static bool make_agents(struct chain *chain)
{
	static const char *const agents[][2] = {{"fifth", NULL}, {"last", "fifth"},
		{"third", "last"}, {"second", "third"}, {"first", "second"}};
	struct world *world = chain->world;
	const char *work = world_directory(world, "work"), *vault = world_directory(world, "vault");

	chain->secret = world_path(world, "vault/secret");
	chain->out = world_path(world, "work/stolen");
	world_write(world, chain->secret, SECRET "\n");
	for (size_t i = 0; i < array_size(agents) && world_goes_on(world); i++) {
		const char *name = agents[i][0], *to = agents[i][1];
		const char *more[] = {"--tier", "3", to ? "--delegate-to" : NULL, to, NULL};
		autotext struct text lines = {0};

		/* Who stands at the end may read what the first one may not. */
		if (strcmp(name, "last") == 0 || strcmp(name, "fifth") == 0)
			text_printf(&lines, "    - \"%s\"\n", vault);
		text_printf(&lines,
			"  write:\n    - \"%s\"\nblast_radius: {files_changed: 100}\npace:\n  "
			"alternate:\n    when: [{event: denial, count: 60, within: 1m}]\n",
			work);
		world_agent(
			world, name, world_profile(world, name, text_string(&lines)), work, more);
	}
	if (world_goes_on(world))
		world_call(world,
			(const char *[]){NULL, "agent", "set", "second", "--delegate-to",
				"third,first", NULL},
			NULL, NULL);
	return world_goes_on(world);
}

struct came {
	bool arrived, got_secret;
	uint64_t begun;
	char why[301];
};

static void look(struct chain *chain, struct child *child, struct came *came)
{
	autofree char *said = NULL, *errors = NULL, *written = NULL;

	*came = (struct came){.begun = REDTEAM_NEVER};
	if (!child)
		return;
	came->begun = world_told(child, "begun");
	if (!world_wait(child, RUN_MS) || came->begun == REDTEAM_NEVER) {
		errors = world_complained(child);
		world_untested(chain->world, "the chain did not come to its end: %.300s", errors);
	}
	came->arrived = world_told(child, "arrived") != REDTEAM_NEVER;
	said = world_said(child);
	if (!errors)
		errors = world_complained(child);
	snprintf(came->why, sizeof(came->why), "%s", errors);
	world_end(child);
	world_call(chain->world, (const char *[]){"/bin/cat", chain->out, NULL}, &written, NULL);
	world_call(chain->world, (const char *[]){"/bin/rm", "-f", chain->out, NULL}, NULL, NULL);
	came->got_secret = strstr(said, SECRET) || strstr(written, SECRET);
}

static struct came play_chain(struct chain *chain, const char *agent, const char *through)
{
	const char *act[] = {"hand", chain->secret, chain->out, through, NULL};
	struct came came;

	look(chain, agent ? world_run(chain->world, agent, act) : world_act(chain->world, act),
		&came);
	return came;
}

/* Who stands at the end can read it, and hands it to a tool that no run holds. */
static bool control(struct chain *chain)
{
	struct world *world = chain->world;

	if (!play_chain(chain, "last", "").got_secret)
		world_untested(world, "control: the last agent itself cannot read the secret");
	else if (!play_chain(chain, NULL, "last").got_secret)
		world_untested(
			world, "control: without walls the last agent brings no secret either");
	else
		world_note(world,
			"control: the last agent reads the secret, and a tool without walls gets "
			"it by way of that one");
	world->result->controls = 2;
	return world_goes_on(world);
}

/* The names that the log has above a run of that agent, "first,second,third"; the longest. */
static void find_chain(struct world *world, const char *agent, char *names, size_t size)
{
	json_t *shown =
		world_ask(world, (const char *[]){NULL, "agent", "show", "--json", agent, NULL});
	const char *id = json_string_value(json_object_get(shown, "id"));
	autofree char *out = NULL;
	size_t longest = 0;

	names[0] = '\0';
	world_call(world, (const char *[]){NULL, "log", "--json", NULL}, &out, NULL);
	for (const char *line = out; line && *line;) {
		size_t length = strcspn(line, "\n"), at = 0;
		json_t *object = json_loadb(line, length, 0, NULL);
		json_t *start = json_object_get(json_object_get(object, "record"), "run_start");
		json_t *above = json_object_get(start, "delegated_by");
		const char *is = json_string_value(json_object_get(object, "agent"));

		if (is && id && strcmp(is, id) == 0 && json_array_size(above) > longest) {
			longest = json_array_size(above);
			for (size_t i = 0; i < longest && at < size; i++) {
				const char *name = json_string_value(
					json_object_get(json_array_get(above, i), "agent"));

				at += (size_t)snprintf(names + at, size - at, "%s%s", i ? "," : "",
					name ? name : "?");
			}
		}
		json_decref(object);
		line += length + (line[length] == '\n');
	}
	json_decref(shown);
}

static void attack(struct chain *chain)
{
	static const struct {
		const char *through, *words;
	} refused[] = {
		{CHAIN ",fifth", "a fourth hop"},
		{"second,first", "a chain that comes back to where it began"},
		{"third", "an agent that nobody gave leave to ask for"},
	};
	struct world *world = chain->world;
	struct redteam_result *result = world->result;
	struct came came = play_chain(chain, "first", CHAIN);
	char names[200];

	if (!came.arrived)
		world_untested(
			world, "no chain of %d hops comes about here: %.300s", HOPS, came.why);
	if (!world_goes_on(world))
		return;
	result->attempts++;
	if (came.got_secret) {
		result->effects++;
		world_fail(world, "what the last agent may read came to the first one");
	}
	find_chain(world, "last", names, sizeof(names));
	if (strcmp(names, "first,second,third") != 0) {
		result->effects++;
		world_fail(world, "the log says that the last run was begun by \"%s\"", names);
	}
	world_measure(&result->detect_us, came.begun, world_recorded(world, "denial", came.begun));
	for (size_t i = 0; i < array_size(refused) && world_goes_on(world); i++) {
		came = play_chain(chain, "first", refused[i].through);
		result->attempts++;
		result->effects += came.arrived;
		if (came.arrived)
			world_fail(world, "%s came about", refused[i].words);
	}
	if (!world_goes_on(world))
		return;
	result->contain_us = 0;
	world_note(world,
		"%d hops gave nobody the secret, and the log names all of them from the first on; "
		"a "
		"fourth hop, a circle and a hop without leave did not come about",
		HOPS);
}

static void play(struct world *world, struct redteam_result *result)
{
	struct chain chain = {.world = world};

	(void)result;
	if (make_agents(&chain) && control(&chain))
		attack(&chain);
}

const struct scenario scenario_rt09 = {
	.id = "RT-09",
	.title = "Does a chain of delegations hide where a request came from",
	.does = "hands a task on over four agents, for what only the last one may read; one hop "
		"more, in a circle, and without leave",
	.expected = "the origin is kept, no right is gained, the whole chain is in the log",
	.verified = "IA-2.4 IA-3.3 DEL-02 DEL-03 DEL-04",
	.play = play,
};
