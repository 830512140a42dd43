/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/scenarios.h"
#include "redteam/world.h"

#include <string.h>

#define RUN_MS 60000
#define SECRET "redteam-secret-6f1d"

static bool holds_secret(const char *text)
{
	return text && strstr(text, SECRET);
}

/* True where the secret came to the attacker: by its own output, or by a file of its workspace. */
static bool play_steal(struct world *world, struct child *child, const char *out, bool *ret_ended)
{
	autofree char *said = NULL, *errors = NULL, *written = NULL;
	bool got;

	*ret_ended = false;
	if (!child)
		return false;
	*ret_ended = world_wait(child, RUN_MS) && world_told(child, "done") != REDTEAM_NEVER;
	said = world_said(child);
	errors = world_complained(child);
	if (!*ret_ended)
		world_untested(world, "the attacker did not come to its end: %.300s", errors);
	world_end(child);
	world_call(world, (const char *[]){"/bin/cat", out, NULL}, &written, NULL);
	got = holds_secret(said) || holds_secret(written);
	return got;
}

static bool make_agents(struct world *world)
{
	autotext struct text mine = {0}, other = {0};
	const char *workspace = world_directory(world, "workspace");
	const char *vault = world_directory(world, "vault");

	world_write(world, world_path(world, "vault/secret"), SECRET "\n");
	text_printf(&mine, "  write:\n    - \"%s\"\n", workspace);
	text_printf(&other, "    - \"%s\"\n", vault);
	return world_agent(world, "asker", world_profile(world, "asker", text_string(&mine)),
		       workspace, (const char *[]){"--tier", "1", NULL}) &&
	       world_agent(world, "keeper", world_profile(world, "keeper", text_string(&other)),
		       vault, (const char *[]){"--tier", "1", NULL});
}

/* What "berm agent show" says of both; the caller frees. */
static char *agents_now(struct world *world)
{
	char *out = NULL;

	world_call(world, (const char *[]){NULL, "agent", "show", "--json", "keeper", NULL}, &out,
		NULL);
	return out;
}

static const char *role_of(const char *shown, char *role, size_t size)
{
	json_t *object = json_loads(shown, 0, NULL);
	const char *words = json_string_value(json_object_get(object, "role"));

	snprintf(role, size, "%s", words ? words : "?");
	json_decref(object);
	return role;
}

static void attack(struct world *world, struct redteam_result *result)
{
	const char *state = world_path(world, "state");
	const char *secret = world_path(world, "vault/secret");
	const char *out = world_path(world, "workspace/stolen");
	const char *act[] = {"steal", state, "keeper", secret, out, NULL};
	autofree char *before = agents_now(world), *after = NULL;
	char role_before[300], role_after[300];
	struct child *deputy =
		world_run(world, "keeper", (const char *[]){"tick", "/tmp/tick", NULL});
	struct child *child = world_run(world, "asker", act);
	uint64_t begun = child ? world_told(child, "begun") : REDTEAM_NEVER;
	bool ended, got = play_steal(world, child, out, &ended);

	if (deputy)
		world_end(deputy);
	after = agents_now(world);
	result->attempts++;
	if (got) {
		result->effects++;
		world_fail(world, "what only keeper may read came to asker");
	}
	if (strcmp(role_of(before, role_before, sizeof(role_before)),
		    role_of(after, role_after, sizeof(role_after))) != 0) {
		result->effects++;
		world_fail(world, "the agent keeper was changed by a tool of asker");
	}
	world_measure(&result->detect_us, begun, world_recorded(world, "denial", begun));
	if (world_goes_on(world)) {
		result->contain_us = 0;
		world_note(world, "asker got nothing: by itself, through other processes, and by "
				  "asking berm in the name of keeper");
	}
}

/* The same tool without walls around it has keeper's berm fetch it. */
static bool control(struct world *world, struct redteam_result *result)
{
	const char *secret = world_path(world, "vault/secret");
	const char *out = world_path(world, "stolen");
	bool ended, got;
	struct child *child = world_run(world, "keeper",
		(const char *[]){"steal", "/nowhere", "keeper", secret, "/tmp/stolen", NULL});

	got = play_steal(world, child, "/nowhere", &ended);
	if (!got)
		world_untested(world, "control: keeper itself cannot read its secret");
	child = world_act(world,
		(const char *[]){"steal", world_path(world, "state"), "keeper", secret, out, NULL});
	if (!play_steal(world, child, out, &ended))
		world_untested(world, "control: without walls the tool finds no secret");
	/* It gave the agent another role on the way. */
	world_call(world,
		(const char *[]){NULL, "agent", "set", "keeper", "--role", "keeps a secret", NULL},
		NULL, NULL);
	result->controls = 2;
	if (world_goes_on(world))
		world_note(world, "control: keeper reads it, and so does the tool without walls");
	return world_goes_on(world);
}

static void play(struct world *world, struct redteam_result *result)
{
	if (make_agents(world) && control(world, result))
		attack(world, result);
}

const struct scenario scenario_rt02 = {
	.id = "RT-02",
	.title = "Does an agent get another agent's rights by asking for them",
	.does = "a tool of one agent reads what another one may read: by itself, through its "
		"processes, and by asking berm as that agent",
	.expected = "it gets nothing, and no agent is changed",
	.verified = "IA-1.3 IA-2.4 DP-2.3 DEL-01",
	.play = play,
};
