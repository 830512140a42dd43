/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-backup.h"

#include "base/failpoint.h"
#include "daemon/group-hooks.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

/* Whoever brought the change about starts it within milliseconds; others come later. */
#define LOOK_AFTER_MS 3000
#define REASON_BYTES 256

/* ---- the process ---- */

int group_backup_launch(const struct groups *groups, const char *name, struct error *err)
{
	autoclose int read_end = -1, write_end = -1;
	size_t length = strlen(name) + 1;
	int ends[2];

	if (groups->start_backup)
		return groups->start_backup(groups, name, err);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "a pipe");
	read_end = ends[0];
	write_end = ends[1];
	if (write(write_end, name, length) != (ssize_t)length)
		return error_errno(err, "a pipe");
	own_close(&write_end);
	return role_launch(ROLE_BACKUP, groups->state, read_end, err);
}

int group_backup_hold(const struct groups *groups, const char *name, struct error *err)
{
	char file[GROUP_LOCK_BYTES];
	autoclose int fd = -1;

	snprintf(file, sizeof(file), "%s.backup", name);
	fd = openat(groups->dir_fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_errno(err, "groups/%s", file);
	return take_fd(&fd);
}

static bool has_command(const struct groups *groups, const char *name)
{
	autogrouphooks struct group_hooks hooks = {0};
	struct error ignored = {0};

	return group_hooks_read(groups, name, &hooks, &ignored) == 0 && hooks.backup;
}

void group_backup_look(const struct groups *groups, const struct pace_group *group)
{
	autoclose int held = -1;
	struct error ignored = {0};

	if (!group->takeover.taken &&
		(!pace_takeover_is_due(group) ||
			pace_at_most_ms(&group->clock, &group->entered) < LOOK_AFTER_MS ||
			!has_command(groups, group->name)))
		return;
	held = group_backup_hold(groups, group->name, &ignored);
	if (held < 0)
		return;
	own_close(&held);
	(void)!group_backup_launch(groups, group->name, &ignored);
}

bool group_backup_is_early(const struct groups *groups, const char *name)
{
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct group_log log = {0};
	struct error ignored = {0};
	bool early = group && group_read(groups, name, group, &log, &ignored) == 0 && log.count;

	group_log_finish(&log);
	return early;
}

/* ---- what it writes down ---- */

/* Something about the change that asked for it, under its number. */
static void tell(struct group_change *act, const struct group_backup *backup, unsigned actions,
	const char *reason)
{
	const struct pace_group *group = &act->result->group;
	struct pace_outcome *outcome = &act->result->outcome;
	struct group_told *told;

	*outcome = (struct pace_outcome){.result = PACE_NOTED,
		.before = group->phase,
		.after = group->phase,
		.wanted = PHASE_ALTERNATE,
		.trigger = backup->takeover.trigger,
		.authority = backup->takeover.authority,
		.actions = actions};
	snprintf(outcome->agent, sizeof(outcome->agent), "%s", group->backup);
	group_change_add(act, outcome, backup->by, reason, NULL);
	told = &act->told[act->told_count - 1];
	told->number = backup->takeover.change;
	act->weighs = false;
}

static void tell_done(
	struct group_change *act, const struct group_backup *backup, const char *reason)
{
	tell(act, backup, PACE_START_BACKUP, reason);
	act->told[act->told_count - 1].started = PACE_START_BACKUP;
}

static void tell_undone(
	struct group_change *act, const struct group_backup *backup, const char *why)
{
	tell(act, backup, PACE_NOTIFY | PACE_START_BACKUP, why);
	act->told[act->told_count - 1].result = "undone";
}

static void fill(const struct pace_group *group, struct group_backup *backup)
{
	*backup = (struct group_backup){.takeover = group->takeover};
	snprintf(backup->agent, sizeof(backup->agent), "%s", group->backup);
	snprintf(backup->by, sizeof(backup->by), "%s", group->takeover.by);
}

/* A transaction about the takeover: what it decides, in force and told. */
static int decide(struct groups *groups, const char *name,
	int (*what)(struct group_change *act, struct group_backup *backup, void *context),
	struct group_backup *backup, void *context, struct error *err)
{
	static const struct group_patience patience = {GROUP_LOCK_MS, GROUP_TELL_MS};
	autofree struct group_result *result = calloc(1, sizeof(*result));
	autochange struct group_change act = {
		.groups = groups, .name = name, .result = result, .lock = -1};
	int r, answer;

	if (!result)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a group");
	r = group_change_begin(&act, &patience, true, err);
	if (r < 0)
		return r;
	answer = what(&act, backup, context);
	r = group_change_commit(&act, err);
	return r < 0 ? r : answer;
}

struct taking {
	bool lasts;
	char words[REASON_BYTES], lost[REASON_BYTES];
	struct group_backup before;
};

static void take_lost(struct group_change *act, struct taking *taking)
{
	struct pace_group *group = &act->result->group;

	fill(group, &taking->before);
	snprintf(taking->lost, sizeof(taking->lost),
		"berm was ended while it started or watched its backup (task backup-%llu)",
		(unsigned long long)group->takeover.change);
	group->takeover = (struct pace_takeover){0};
	tell_undone(act, &taking->before, taking->lost);
}

static int take(struct group_change *act, struct group_backup *backup, void *context)
{
	struct pace_group *group = &act->result->group;
	struct taking *taking = context;

	if (group->takeover.taken && !taking->lasts)
		take_lost(act, taking);
	if (!pace_takeover_is_due(group))
		return 0;
	fill(group, backup);
	if (pace_takeover_is_late(group)) {
		group->takeover = (struct pace_takeover){0};
		tell_undone(act, backup, "nobody started it in time");
		return 0;
	}
	group->takeover.taken = true;
	snprintf(taking->words, sizeof(taking->words),
		taking->lasts ? "its backup runs already, since before change %llu"
			      : "its backup is started read-only, in the task backup-%llu",
		(unsigned long long)group->takeover.change);
	tell_done(act, backup, taking->words);
	return 1;
}

int group_backup_take(struct groups *groups, const char *name, bool lasts,
	struct group_backup *ret_backup, struct error *err)
{
	struct taking taking = {.lasts = lasts};
	int r;

	failpoint("backup.before");
	r = decide(groups, name, take, ret_backup, &taking, err);
	failpoint("backup.taken");
	return r;
}

struct ending {
	const char *why, *words;
};

static int end(struct group_change *act, struct group_backup *backup, void *context)
{
	struct pace_takeover *takeover = &act->result->group.takeover;
	const struct ending *ending = context;

	/* What came since and counted on this run has none any more. */
	if (takeover->taken && takeover->change != backup->takeover.change)
		takeover->taken = false;
	else if (takeover->change == backup->takeover.change)
		*takeover = (struct pace_takeover){0};
	if (ending->why)
		tell_undone(act, backup, ending->why);
	else
		tell(act, backup, 0, ending->words);
	return 0;
}

int group_backup_end(struct groups *groups, const char *name, const struct group_backup *backup,
	const char *why, const char *words, struct error *err)
{
	struct ending ending = {why, words};
	struct group_backup copy = *backup;

	failpoint("backup.over");
	return decide(groups, name, end, &copy, &ending, err);
}
