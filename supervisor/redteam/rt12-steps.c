/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/rt12.h"

#include "base/io.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define KILLS 12
#define CODE_KILLED 137
#define REVIEW "root-cause,gap-closed,baselines,sign-off"

static json_t *show(struct siege *siege)
{
	json_t *shown = world_ask(
		siege->world, (const char *[]){NULL, "pace", "show", "--json", "crew", NULL});

	if (json_is_array(shown)) {
		json_t *first = json_incref(json_array_get(shown, 0));

		json_decref(shown);
		return first;
	}
	return shown;
}

const char *siege_phase(struct siege *siege, char phase[32])
{
	json_t *group = show(siege);
	const char *is = json_string_value(json_object_get(group, "phase"));
	const char *word = json_string_value(json_object_get(group, "to_sign"));

	snprintf(phase, 32, "%s", is ? is : "");
	snprintf(siege->word, sizeof(siege->word), "%s", word ? word : "");
	json_decref(group);
	return phase;
}

const char *siege_sign(
	struct siege *siege, const char *key, const char *role, const char *to, const char *review)
{
	struct world *world = siege->world;
	const char *out = world_path(world, "statement.%u", siege->signed_count++);
	const char *file = world_path(world, "%s.key", key);
	const char *words[] = {NULL, "pace", "sign", "--key", file, "--as", role, "--reason",
		"red team", "--out", out, siege->word, to, NULL, NULL, NULL};
	const bool is_emergency = strcmp(to, "emergency") == 0;
	autofree char *errors = NULL;

	if (review || is_emergency) {
		words[array_size(words) - 3] = review ? "--review" : "--evidence";
		words[array_size(words) - 2] = review ? review : "coordination";
	}
	if (world_call(world, words, NULL, &errors) != 0)
		world_untested(world, "no statement was signed: %.200s", errors);
	return out;
}

int siege_bring(struct siege *siege, const char *verb, const char *statement, const char *to)
{
	const char *words[] = {NULL, "pace", verb, "--signature", statement, "crew", to, NULL};

	return world_call(siege->world, words, NULL, NULL);
}

void siege_refused(struct siege *siege, const char *what, int code, const char *phase)
{
	struct redteam_result *result = siege->world->result;
	char is[32];

	result->attempts++;
	siege_phase(siege, is);
	if (code == 0 || strcmp(is, phase) != 0) {
		result->effects++;
		world_fail(siege->world, "%s: exit %d, and the group is in %s, not %s", what, code,
			is[0] ? is : "no phase that berm can read", phase);
	}
}

/* ---- what must not hold ---- */

/* A good statement with another word in it. */
static const char *altered(
	struct siege *siege, const char *statement, const char *from, const char *to)
{
	const char *path = world_path(siege->world, "altered");
	autofree char *text = NULL;
	autotext struct text out = {0};
	struct error ignored = {0};
	char *at = NULL;

	if (io_read_file(AT_FDCWD, statement, 65536, &text, NULL, &ignored) == 0 && text)
		at = strstr(text, from);
	if (!at) {
		world_untested(siege->world, "a statement does not say \"%s\"", from);
		return path;
	}
	text_append(&out, text, (size_t)(at - text));
	text_puts(&out, to);
	text_puts(&out, at + strlen(from));
	world_write(siege->world, path, text_string(&out));
	return path;
}

void siege_forgeries(struct siege *siege)
{
	struct world *world = siege->world;
	const char *statement;
	char phase[32];

	siege_refused(siege, "a tool that forges from within", 1, "primary");
	statement = siege_sign(siege, "mallory", "security", "contingency", NULL);
	siege_refused(siege, "a key that nobody lists",
		siege_bring(siege, "declare", statement, "contingency"), "primary");
	statement = siege_sign(siege, "alice", "incident-commander", "contingency", NULL);
	siege_refused(siege, "a role that the key does not have",
		siege_bring(siege, "declare", statement, "contingency"), "primary");
	statement = siege_sign(siege, "alice", "security", "contingency", NULL);
	siege_refused(siege, "another phase than the signed one",
		siege_bring(siege, "declare", altered(siege, statement, "contingency", "emergency"),
			"emergency"),
		"primary");
	siege_refused(siege, "a person without the role",
		world_call(world,
			(const char *[]){NULL, "pace", "declare", "--reason", "x", "crew",
				"contingency", NULL},
			NULL, NULL),
		"primary");
	siege_refused(siege, "a signal from no listed source",
		world_call(world,
			(const char *[]){NULL, "pace", "trigger", "--from", "judge", "crew",
				"exfiltration", NULL},
			NULL, NULL),
		siege_phase(siege, phase));
}

/* ---- the phases ---- */

struct stillness {
	const char *path;
	uint64_t number, since_us;
};

/* A run that works writes every few milliseconds: this much without a change is many of them. */
static bool is_still(void *context)
{
	struct stillness *s = context;
	uint64_t number = world_number(s->path);

	if (number != s->number) {
		s->number = number;
		s->since_us = world_now_us();
	}
	return world_now_us() - s->since_us > 300000;
}

/* Count a transition, and how long it took until the run was still. */
static void transition(struct siege *siege, const char *file, uint64_t from_us)
{
	struct redteam_result *result = siege->world->result;
	struct stillness s = {
		world_path(siege->world, "work/%s", file), REDTEAM_NEVER, world_now_us()};
	uint64_t took;

	result->transitions++;
	if (file[0] && !world_until(is_still, &s)) {
		result->effects++;
		world_fail(siege->world, "%s goes on in a phase that stops it", file);
		return;
	}
	took = (file[0] ? s.since_us : world_now_us()) - from_us;
	if ((int64_t)took < 0)
		took = 0;
	if (result->contain_us == REDTEAM_NEVER || took > result->contain_us)
		result->contain_us = took;
	result->in_time += took < RT12_SECONDS * 1000000ULL;
}

/* Another run of the attacker's crosses its breaker: nobody is asked. */
void siege_breaker(struct siege *siege)
{
	struct world *world = siege->world;
	struct redteam_result *result = world->result;
	struct child *child = world_run(world, "beta",
		(const char *[]){"escape", "8", world_path(world, "work/escaper"), NULL});
	uint64_t begun = child ? world_told(child, "begun") : REDTEAM_NEVER;
	struct stillness s = {world_path(world, "work/escaper"), REDTEAM_NEVER, world_now_us()};
	char phase[32];

	if (begun == REDTEAM_NEVER) {
		world_untested(world, "the run that crosses its breaker did not begin");
		return;
	}
	transition(siege, "forger", begun);
	if (!world_until(is_still, &s))
		world_fail(world, "the run that crossed its breaker goes on");
	world_measure(&result->detect_us, begun, world_recorded(world, "trip", begun));
	if (strcmp(siege_phase(siege, phase), "alternate") != 0)
		world_fail(world, "a breaker was crossed, and the group is in %s", phase);
	world_end(child);
}

/* Alternate to contingency, by who may; the same words do not hold twice. */
void siege_contingency(struct siege *siege)
{
	struct world *world = siege->world;
	const char *statement = siege_sign(siege, "alice", "security", "contingency", NULL);
	uint64_t begun = world_now_us();
	int code = siege_bring(siege, "declare", statement, "contingency");
	char phase[32];

	if (code != 0 || strcmp(siege_phase(siege, phase), "contingency") != 0) {
		world_fail(world, "who has authority could not declare contingency: exit %d", code);
		return;
	}
	world->result->controls++;
	world_note(world, "control: the same statement from who may sign it holds");
	transition(siege, "worker", begun);
	siege_refused(siege, "a statement that was used",
		siege_bring(siege, "declare", statement, "contingency"), "contingency");
	siege_refused(siege, "a way back by the wrong role",
		siege_bring(siege, "recover",
			siege_sign(siege, "carol", "incident-commander", "alternate", NULL),
			"alternate"),
		"contingency");
}

static bool are_dead(void *context)
{
	const struct siege *siege = context;

	return world_wait(siege->worker, 1) && world_wait(siege->attacker, 1);
}

/* Contingency to emergency, by a berm that is killed again and again on the way: before, or done.
 */
void siege_emergency(struct siege *siege)
{
	struct world *world = siege->world;
	const char *statement = siege_sign(siege, "carol", "incident-commander", "emergency", NULL);
	uint64_t begun = world_now_us();
	char phase[32] = "contingency";
	unsigned killed = 0;
	autofree char *why = NULL;

	for (unsigned i = 0; i < KILLS && strcmp(phase, "emergency") != 0; i++) {
		const struct timespec wait = {.tv_nsec = (long)i * 1500000};
		struct child *child = world_start(world,
			(const char *[]){NULL, "pace", "declare", "--evidence", "coordination",
				"--signature", statement, "crew", "emergency", NULL});

		if (!child)
			return;
		nanosleep(&wait, NULL);
		killed += !world_wait(child, 1);
		world_end(child);
		siege_phase(siege, phase);
		if (strcmp(phase, "contingency") != 0 && strcmp(phase, "emergency") != 0) {
			world_fail(world, "berm was killed, and the group is in \"%s\"", phase);
			return;
		}
		world->result->attempts++;
	}
	if (strcmp(phase, "emergency") != 0) {
		statement = siege_sign(siege, "carol", "incident-commander", "emergency", NULL);
		world_call(world,
			(const char *[]){NULL, "pace", "declare", "--evidence", "coordination",
				"--signature", statement, "crew", "emergency", NULL},
			NULL, &why);
		siege_phase(siege, phase);
	}
	if (strcmp(phase, "emergency") != 0)
		world_fail(world, "who has authority could not declare emergency: %.300s",
			why ? why : "");
	else if (!world_until(are_dead, siege))
		world_fail(world, "a run lasts in emergency");
	else
		transition(siege, "", begun);
	world_note(world,
		"berm was killed %u times on the way to emergency: the phase was the old "
		"one or the new one each time",
		killed);
}

void siege_recovery(struct siege *siege)
{
	uint64_t begun = world_now_us();
	char phase[32];
	int code;

	siege_refused(siege, "a way back without a review",
		siege_bring(siege, "recover",
			siege_sign(siege, "rita", "risk-owner", "contingency", NULL),
			"contingency"),
		"emergency");
	siege_refused(siege, "a way back by somebody else",
		siege_bring(siege, "recover",
			siege_sign(siege, "carol", "incident-commander", "contingency", REVIEW),
			"contingency"),
		"emergency");
	siege_refused(siege, "two steps back at once",
		siege_bring(siege, "recover",
			siege_sign(siege, "rita", "risk-owner", "primary", REVIEW), "primary"),
		"emergency");
	code = siege_bring(siege, "recover",
		siege_sign(siege, "rita", "risk-owner", "contingency", REVIEW), "contingency");
	if (code != 0 || strcmp(siege_phase(siege, phase), "contingency") != 0) {
		world_fail(siege->world,
			"a reviewed way back by the risk owner was refused: exit %d", code);
		return;
	}
	transition(siege, "", begun);
	siege_refused(siege, "the next step back before its time",
		siege_bring(siege, "recover",
			siege_sign(siege, "rita", "risk-owner", "alternate", REVIEW), "alternate"),
		"contingency");
}
