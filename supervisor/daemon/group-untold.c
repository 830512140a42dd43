/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-untold.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "daemon/groups.h"
#include "daemon/run-id.h"
#include "daemon/state-directory.h"
#include "govern/pace-words.h"
#include "wire/pace.pb-c.h"

#include <string.h>

#define VERSION 1
#define TYPE (&berm__wire__group_untold__descriptor)

#define NAME_BYTES (AGENT_NAME_MAX + 1 + RUN_ID_LENGTH + 1)

/* "GROUP.RUN", so that one that cannot be read keeps no other group from anything. Of a berm before
 * this one "RUN": that can be any group's. */
static void name_of(char name[NAME_BYTES], const char *group, const char *run)
{
	snprintf(name, NAME_BYTES, "%s.%s", group, run);
}

/* The run in that name and, where there is one, the group; false where it is no such name. */
static bool read_name(const char *name, char ret_group[AGENT_NAME_MAX + 1], const char **ret_run)
{
	const char *dot = strchr(name, '.');
	size_t length = dot ? (size_t)(dot - name) : 0;

	if (length > AGENT_NAME_MAX)
		return false;
	memcpy(ret_group, name, length);
	ret_group[length] = '\0';
	*ret_run = dot ? dot + 1 : name;
	return run_id_is_valid(*ret_run) && (!dot || agent_name_is_good(ret_group));
}

/* A directory by itself: the receipts of all runs that last would be read otherwise. */
static int open_directory(const char *state, struct error *err)
{
	autoclose int state_fd = state_directory_open(state, err);

	return state_fd < 0 ? state_fd
			    : state_directory_within(state_fd, GROUP_UNTOLD_DIR, 0700, err);
}

int group_untold_keep(const char *state, const char *run, const Berm__Wire__Agent *agent,
	unsigned triggers, struct error *err)
{
	autoclose int dir = open_directory(state, err);
	const struct state_place place = {&storage_system, dir};
	Berm__Wire__GroupUntold untold;
	char name[NAME_BYTES];

	if (dir < 0)
		return dir;
	name_of(name, agent->group, run);
	berm__wire__group_untold__init(&untold);
	untold.version = VERSION;
	untold.run = (char *)(uintptr_t)run;
	untold.agent = agent->id;
	untold.group = agent->group;
	untold.triggers = triggers;
	failpoint("untold.keeping");
	return state_file_write(&place, name, &untold.base, err);
}

void group_untold_drop(const char *state, const char *group, const char *run)
{
	struct error ignored = {0};
	autoclose int dir = open_directory(state, &ignored);
	const struct state_place place = {&storage_system, dir};
	char name[NAME_BYTES];

	name_of(name, group, run);
	failpoint("untold.dropping");
	if (dir >= 0)
		(void)!state_file_remove(&place, name, &ignored);
}

int group_tell_one(const char *state, const char *group, const char *agent, unsigned trigger,
	unsigned lock_ms, struct error *err)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));
	/* Who cannot wait for the lock cannot wait for the log. */
	const struct group_finding finding = {
		agent, trigger, {lock_ms, lock_ms < 1000 ? 500 : 5000}};
	autogroups struct groups groups = GROUPS_NONE;
	int r;

	if (!result)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = groups_open(state, &groups, err);
	if (r == 0)
		r = groups_suspect(&groups, group, &finding, result, err);
	if (r == 0)
		log_line("run: the group %s knows of it (%s): it is in %s now", group,
			pace_trigger_name(trigger), phase_name(result->group.phase));
	return r;
}

struct telling {
	const char *state;
	struct state_place place;
	const Berm__Wire__Agent *agent;
	unsigned lock_ms;
	struct error *err;
};

static bool is_good(const Berm__Wire__GroupUntold *untold, const char *group, const char *run)
{
	return untold->version == VERSION && strcmp(untold->run, run) == 0 &&
	       agent_id_is_good(untold->agent) && agent_name_is_good(untold->group) &&
	       (!group[0] || strcmp(untold->group, group) == 0) && untold->triggers &&
	       untold->triggers < 1U << PACE_TRIGGER_COUNT;
}

static int tell_all(const struct telling *t, const Berm__Wire__GroupUntold *untold)
{
	int r = 0;

	/* A suspicion first: it isolates, whatever becomes of the evidence. */
	for (unsigned trigger = 0; r == 0 && trigger < PACE_TRIGGER_COUNT; trigger++)
		if (untold->triggers & 1U << trigger)
			r = group_tell_one(t->state, untold->group, untold->agent, trigger,
				t->lock_ms, t->err);
	/* Nobody is left who would have to hear it. */
	return r == -ENOENT && strcmp(untold->group, t->agent->group) != 0 ? 0 : r;
}

/* What is left of a run of the agent or of its group, in *ret_untold (NULL where it is not, or is
 * told already). What cannot be read of another group is that group's. */
static int find_untold(
	const struct telling *t, const char *name, Berm__Wire__GroupUntold **ret_untold)
{
	char group[AGENT_NAME_MAX + 1];
	Berm__Wire__GroupUntold *untold;
	void *message = NULL;
	const char *run;
	int r;

	*ret_untold = NULL;
	if (!read_name(name, group, &run))
		return 0;
	r = state_file_read(&t->place, name, TYPE, &message, t->err);
	/* Its own berm, or somebody else who starts a run, was faster. */
	if (r == -ENOENT)
		return 0;
	untold = message;
	if (r == 0 && !is_good(untold, group, run))
		r = error_set(t->err, -EBADMSG, ERROR_INTERNAL,
			"no berm wrote %s/%s: what a run did is not known", GROUP_UNTOLD_DIR, name);
	if (r < 0 && group[0] && strcmp(group, t->agent->group) != 0)
		r = 0;
	else if (r == 0 && (strcmp(untold->group, t->agent->group) == 0 ||
				   strcmp(untold->agent, t->agent->id) == 0))
		*ret_untold = untold;
	if (untold && !*ret_untold)
		berm__wire__group_untold__free_unpacked(untold, NULL);
	return r;
}

static int tell_one(void *data, const char *name)
{
	const struct telling *t = data;
	Berm__Wire__GroupUntold *untold;
	struct error ignored = {0};
	int r = find_untold(t, name, &untold);

	if (r < 0 || !untold)
		return r;
	failpoint("untold.found");
	r = tell_all(t, untold);
	failpoint("untold.told");
	if (r == 0)
		(void)!state_file_remove(&t->place, name, &ignored);
	berm__wire__group_untold__free_unpacked(untold, NULL);
	return r;
}

static int look_at_one(void *data, const char *name)
{
	const struct telling *t = data;
	Berm__Wire__GroupUntold *untold;
	int r = find_untold(t, name, &untold);

	if (r < 0 || !untold)
		return r;
	if (strcmp(untold->agent, t->agent->id) == 0)
		r = error_set(t->err, -EAGAIN, ERROR_REFUSED,
			"the group %s was not told yet what the run %s of the agent %s did",
			untold->group, untold->run, t->agent->name);
	berm__wire__group_untold__free_unpacked(untold, NULL);
	return r;
}

int group_untold_none(const char *state, const Berm__Wire__Agent *agent, struct error *err)
{
	autoclose int dir = open_directory(state, err);
	struct telling telling = {
		.state = state, .place = {&storage_system, dir}, .agent = agent, .err = err};
	int r = dir < 0 ? dir : state_file_list(&telling.place, look_at_one, &telling);

	if (r < 0 && !err->code)
		return error_set(err, r, ERROR_INTERNAL, "%s: %s", GROUP_UNTOLD_DIR, strerror(-r));
	return r;
}

int group_untold_tell(
	const char *state, const Berm__Wire__Agent *agent, unsigned lock_ms, struct error *err)
{
	autoclose int dir = -1;
	struct telling telling = {.state = state, .agent = agent, .lock_ms = lock_ms, .err = err};
	struct error why = {0};
	int r;

	if (!agent->group[0])
		return 0;
	dir = open_directory(state, err);
	if (dir < 0)
		return dir;
	telling.place = (struct state_place){&storage_system, dir};
	telling.err = &why;
	r = state_file_list(&telling.place, tell_one, &telling);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL,
			       "the group %s cannot be told what a run before this one did: %s",
			       agent->group, why.text[0] ? why.text : strerror(-r))
		     : 0;
}
