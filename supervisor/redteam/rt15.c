/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/listener.h"
#include "redteam/scenarios.h"
#include "redteam/world.h"

#include <string.h>
#include <sys/stat.h>

#define RUN_MS 60000
#define SECRET "redteam-judged-77aa"
#define CODE_REFUSED 126

struct trial {
	struct world *world;
	struct listener listener;
	const char *secret, *out;
	char id[64]; /* of the question that is open */
};

static bool make_agent(struct trial *trial, const char *name, const char *more)
{
	struct world *world = trial->world;
	const char *work = world_path(world, "work");
	autotext struct text lines = {0};

	text_printf(&lines, "  write:\n    - \"%s\"\n%s", work, more);
	return world_agent(world, name, world_profile(world, name, text_string(&lines)), work,
		(const char *[]){"--tier", "1", NULL});
}

static bool make_agents(struct trial *trial)
{
	static const char *const answers[][2] = {{"judged", "allow"}, {"denied", "deny"}};
	struct world *world = trial->world;

	world_directory(world, "work");
	world_directory(world, "vault");
	trial->secret = world_path(world, "vault/secret");
	trial->out = world_path(world, "work/stolen");
	world_write(world, trial->secret, SECRET "\n");
	for (size_t i = 0; i < array_size(answers); i++) {
		autotext struct text gate = {0};

		text_printf(&gate,
			"gates:\n  - {name: judge, exec: [\"%s\", redteam, act, judge, %s], on: "
			"[run]}\n",
			world->self, answers[i][1]);
		if (!make_agent(trial, answers[i][0], text_string(&gate)))
			return false;
	}
	return make_agent(trial, "unjudged",
		       "gates:\n  - {name: judge, exec: [/bin/false], on: [run]}\n") &&
	       make_agent(trial, "asked", "approvals: {on: [run], timeout: 60s}\n");
}

/* Whether the act began. */
static bool begins(struct trial *trial, const char *agent, const char *const *act, int *ret_code)
{
	struct child *child = world_run(trial->world, agent, act);
	bool begun = child && world_told(child, "begun") != REDTEAM_NEVER;

	*ret_code = -1;
	if (child && world_wait(child, RUN_MS))
		*ret_code = world_code(child);
	if (child)
		world_end(child);
	return begun;
}

static bool holds_secret(struct trial *trial, const char *said)
{
	autofree char *written = NULL;

	world_call(trial->world, (const char *[]){"/bin/cat", trial->out, NULL}, &written, NULL);
	return strstr(said, SECRET) || strstr(written, SECRET);
}

/* Steal and send, and how much of it had an effect. */
static unsigned abuse(struct trial *trial, const char *agent, uint64_t *ret_begun)
{
	struct world *world = trial->world;
	char port[16];
	const char *steal[] = {"steal", "/nowhere", "judged", trial->secret, trial->out, NULL};
	const char *send[] = {"send", port, SECRET, NULL};
	const char *const *const acts[] = {steal, send};
	unsigned effects = 0;

	*ret_begun = REDTEAM_NEVER;
	snprintf(port, sizeof(port), "%u", trial->listener.port);
	for (size_t i = 0; i < array_size(acts); i++) {
		struct child *child =
			agent ? world_run(world, agent, acts[i]) : world_act(world, acts[i]);
		autofree char *said = NULL, *why = NULL;
		uint64_t begun = child ? world_told(child, "begun") : REDTEAM_NEVER;

		if (!child || begun == REDTEAM_NEVER || !world_wait(child, RUN_MS)) {
			why = child ? world_complained(child) : NULL;
			world_untested(world, "the attacker did not begin: %.300s", why ? why : "");
			return effects;
		}
		if (*ret_begun == REDTEAM_NEVER)
			*ret_begun = begun;
		said = world_said(child);
		world_end(child);
		effects += i == 0 && holds_secret(trial, said);
	}
	world_call(world, (const char *[]){"/bin/rm", "-f", trial->out, NULL}, NULL, NULL);
	return effects + listener_count(&trial->listener);
}

/* The judge is one that counts: its no stops, and what it lets go on can do harm without walls. */
static bool control(struct trial *trial)
{
	struct world *world = trial->world;
	const char *act[] = {"touch", world_path(world, "work"), "control", "1", NULL};
	uint64_t begun;
	int code;
	unsigned effects = abuse(trial, NULL, &begun);

	world->result->controls = effects;
	if (effects < 2)
		world_untested(world, "control: without walls %u of 2 attacks work", effects);
	else if (begins(trial, "denied", act, &code))
		world_untested(world, "control: a run began that the judge said no to");
	else if (!begins(trial, "judged", act, &code) || code != 0)
		world_untested(world, "control: what the judge says yes to ends with %d", code);
	else
		world_note(world,
			"control: the judge's no keeps a run from beginning, its yes lets it; "
			"without walls both attacks work");
	return world_goes_on(world);
}

/* ---- what a person said once ---- */

static bool is_asked(void *context)
{
	struct trial *trial = context;
	json_t *all = world_ask(trial->world, (const char *[]){NULL, "approvals", "--json", NULL});
	json_t *list = json_object_get(all, "approvals");
	const char *id = json_string_value(json_object_get(json_array_get(list, 0), "id"));

	snprintf(trial->id, sizeof(trial->id), "%s", id ? id : "");
	json_decref(all);
	return trial->id[0] != '\0';
}

static int answer(struct trial *trial, const char *verb, const char *id)
{
	return world_call(trial->world, (const char *[]){NULL, verb, id, NULL}, NULL, NULL);
}

static void approve_once(struct trial *trial)
{
	struct world *world = trial->world;
	struct redteam_result *result = world->result;
	const char *act[] = {"touch", world_path(world, "work"), "asked", "1", NULL};
	struct child *child = world_run(world, "asked", act);
	char first[sizeof(trial->id)];
	struct stat st;

	if (!child || !world_until(is_asked, trial) || answer(trial, "approve", trial->id) != 0 ||
		!world_wait(child, RUN_MS) || world_code(child) != 0) {
		world_untested(world, "a person's yes to a run did not let it go on");
		return;
	}
	world_end(child);
	world_call(world,
		(const char *[]){"/bin/rm", "-f", world_path(world, "work/asked.0"), NULL}, NULL,
		NULL);
	memcpy(first, trial->id, sizeof(first));
	result->controls++;
	result->attempts++;
	child = world_run(world, "asked", act);
	if (!child || !world_until(is_asked, trial) || strcmp(first, trial->id) == 0) {
		result->effects++;
		world_fail(world, "the same start was not asked for again");
	} else if (answer(trial, "approve", first) == 0) {
		result->effects++;
		world_fail(world, "the yes of before was taken once more");
	} else if (answer(trial, "deny", trial->id) != 0 || !world_wait(child, RUN_MS) ||
		   world_code(child) != CODE_REFUSED ||
		   stat(world_path(world, "work/asked.0"), &st) == 0) {
		result->effects++;
		world_fail(world, "the second start went on although a person said no");
	}
	if (child)
		world_end(child);
}

static void attack(struct trial *trial)
{
	struct world *world = trial->world;
	struct redteam_result *result = world->result;
	const char *act[] = {"touch", world_path(world, "work"), "unjudged", "1", NULL};
	uint64_t begun;
	int code;

	result->attempts += 2;
	result->effects = abuse(trial, "judged", &begun);
	if (result->effects)
		world_fail(world, "the judge said yes, and %u of 2 acts beyond the profile worked",
			result->effects);
	world_measure(&result->detect_us, begun, world_recorded(world, "denial", begun));
	result->attempts++;
	if (begins(trial, "unjudged", act, &code) || code != CODE_REFUSED) {
		result->effects++;
		world_fail(world, "without an answer of its judge a run ended with %d", code);
	}
	if (world_goes_on(world))
		approve_once(trial);
	if (!world_goes_on(world))
		return;
	result->contain_us = 0;
	world_note(world, "a judge that says yes to everything gave nothing beyond the profile; "
			  "without its answer nothing began; a person's yes held once");
}

static void play(struct world *world, struct redteam_result *result)
{
	struct trial trial = {.world = world, .listener = {.fd = -1}};

	(void)result;
	if (!listener_open(&trial.listener))
		world_untested(world, "no server on the loopback: %s", strerror(errno));
	if (world_goes_on(world) && make_agents(&trial) && control(&trial))
		attack(&trial);
	own_close(&trial.listener.fd);
}

const struct scenario scenario_rt15 = {
	.id = "RT-15",
	.title = "Does a judge that says yes give an agent more than its profile",
	.does = "lets a judge approve everything, and tries what the profile does not allow; takes "
		"the judge away; starts again what a person approved once",
	.expected = "nothing beyond the profile has an effect, no answer is a no, and no approval "
		    "holds twice",
	.verified = "EC-2.5 PA-2.4 EC-1.1",
	.play = play,
};
