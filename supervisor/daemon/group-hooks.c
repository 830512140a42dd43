/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-hooks.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "daemon/detached.h"
#include "daemon/group-backup.h"
#include "daemon/operator-file.h"
#include "govern/pace-words.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* ---- the file ---- */

struct reading {
	struct diagnostics d;
	const char *wanted; /* the group */
	const char *name;   /* of the entry that is being read; NULL: of all groups */
	struct group_hooks *hooks;
	bool found, no_memory;
};

static void read_name(void *context, const struct node *node)
{
	struct reading *r = context;

	if (node->kind != NODE_SCALAR || !agent_name_is_good(node->text))
		diagnostics_report(
			&r->d, CODE_NAME, node->at, "name: the name of a group: a-z 0-9 _ -");
}

static void read_command(struct reading *r, const struct node *node, char ***command)
{
	const char *words[OPERATOR_COMMAND_MAX + 1] = {0};
	bool mine = r->name ? strcmp(r->name, r->wanted) == 0 : !r->found;

	if (!operator_command(&r->d, node, words) || !mine)
		return;
	operator_command_free(*command);
	*command = operator_command_copy(words);
	r->no_memory |= !*command;
}

static void read_notify(void *context, const struct node *node)
{
	struct reading *r = context;

	read_command(r, node, &r->hooks->notify);
}

static void read_backup(void *context, const struct node *node)
{
	struct reading *r = context;

	read_command(r, node, &r->hooks->backup);
}

static void read_entry(struct reading *r, const struct node *entry)
{
	static const struct operator_part parts[] = {
		{"name", read_name},
		{"notify", read_notify},
		{"backup", read_backup},
	};
	const struct node *name;

	if (entry->kind != NODE_MAPPING) {
		diagnostics_report(&r->d, CODE_WRONG_TYPE, entry->at,
			"an entry is a mapping: {name: GROUP, notify: [/PROGRAM], backup: "
			"[/PROGRAM]}");
		return;
	}
	name = node_get(entry, "name");
	r->name = name && name->kind == NODE_SCALAR ? name->text : NULL;
	if (!node_get(entry, "notify") && !node_get(entry, "backup"))
		diagnostics_report(&r->d, CODE_MISSING_KEY, entry->at,
			"`notify` is missing, and so is `backup`: say which program is to be told, "
			"or what the backup is to run");
	/* An entry of its own replaces the one of all groups, with all that this says. */
	if (r->name && strcmp(r->name, r->wanted) == 0) {
		group_hooks_finish(r->hooks);
		r->found = true;
	}
	operator_mapping(&r->d, entry, parts, array_size(parts), r);
}

/* The same name twice, or two entries for all: which one is meant? */
static void check_twins(struct reading *r, const struct node *list)
{
	for (const struct node *one = list->first; one; one = one->next)
		for (const struct node *other = list->first; other != one; other = other->next) {
			const struct node *a = node_get(one, "name"), *b = node_get(other, "name");

			if ((!a && !b) ||
				(a && b && a->kind == NODE_SCALAR && b->kind == NODE_SCALAR &&
					strcmp(a->text, b->text) == 0))
				diagnostics_report(&r->d, CODE_DUPLICATE_KEY, one->at,
					"there are two entries for %s", a ? a->text : "all groups");
		}
}

static void read_groups(void *context, const struct node *node)
{
	struct reading *r = context;

	if (node->kind != NODE_LIST) {
		diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at,
			"groups: a list of mappings: [{name: GROUP, notify: [/PROGRAM]}]");
		return;
	}
	for (const struct node *entry = node->first; entry; entry = entry->next)
		read_entry(r, entry);
	if (r->d.errors == 0)
		check_twins(r, node);
}

static const struct operator_part parts[] = {{"groups", read_groups}};

int group_hooks_read(const struct groups *groups, const char *name, struct group_hooks *ret_hooks,
	struct error *err)
{
	autogrouphooks struct group_hooks hooks = {0};
	autotext struct text diagnostics = {0};
	autofree char *own = path_join(groups->state, GROUP_HOOKS_FILE);
	struct reading r = {.d = {.out = &diagnostics}, .wanted = name, .hooks = &hooks};
	struct operator_file file = {
		.owner = groups->owner, .parts = parts, .count = array_size(parts)};
	int result;

	if (!own)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	file.path = own;
	if (faccessat(AT_FDCWD, own, F_OK, AT_EACCESS) < 0 && errno == ENOENT) {
		file.path = GROUP_HOOKS_FILE_SYSTEM;
		file.optional = true;
	}
	result = operator_file_read(&file, &r.d, &r, err);
	if (result == 0 && r.no_memory)
		result = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (result < 0)
		return result;
	*ret_hooks = hooks;
	hooks = (struct group_hooks){0};
	return 0;
}

void group_hooks_finish(struct group_hooks *hooks)
{
	operator_command_free(hooks->notify);
	operator_command_free(hooks->backup);
	*hooks = (struct group_hooks){0};
}

/* ---- what is told ---- */

static void put_actions(struct json *j, const char *key, unsigned actions)
{
	json_array_begin(j, key);
	for (unsigned bit = 1; bit < PACE_ACTIONS_ALL; bit <<= 1)
		if (actions & bit)
			json_put_string(j, NULL, pace_action_name(bit));
	json_array_end(j);
}

static void put_change(struct text *out, const struct groups *groups,
	const struct pace_group *group, const struct group_told *told)
{
	struct json j = {.out = out};
	const struct pace_outcome *o = &told->outcome;
	unsigned done = group_told_done(told);
	char agent[GROUP_AGENT_WORDS] = "";

	if (o->agent[0])
		groups_agent_name(groups, o->agent, agent);
	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "group", group->name);
	json_put_u64(&j, "tier", group->tier);
	json_put_u64(&j, "change", told->number);
	json_put_string(&j, "before", phase_name(o->before));
	json_put_string(&j, "after", phase_name(o->after));
	json_put_string(&j, "wanted", phase_name(o->wanted));
	json_put_string(&j, "trigger", pace_trigger_name(o->trigger));
	json_put_string(&j, "authority", pace_authority_name(o->authority));
	json_put_string(&j, "by", told->by && told->by[0] ? told->by : NULL);
	json_put_string(&j, "reason", told->reason && told->reason[0] ? told->reason : NULL);
	json_put_string(&j, "agent", agent[0] ? agent : NULL);
	json_put_string(&j, "agent_id", o->agent[0] ? o->agent : NULL);
	put_actions(&j, "actions", o->actions & done);
	put_actions(&j, "begun", o->actions & told->begun);
	put_actions(&j, "required", o->actions & ~done & ~told->begun & ~(unsigned)PACE_NOTIFY);
	if (told->killed) {
		json_put_u64(&j, "runs_gone", told->killed->gone);
		json_put_u64(&j, "runs_left", told->killed->left);
	}
	json_object_end(&j);
	text_puts(out, "\n");
}

static int notify(char *const *command, const struct text *words, struct error *err)
{
	autoclose int input = memfd_create("berm-phase", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (input < 0)
		return error_errno(err, "a file in memory");
	if (write(input, words->data, words->length) != (ssize_t)words->length ||
		lseek(input, 0, SEEK_SET) < 0 ||
		fcntl(input, F_ADD_SEALS,
			F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return error_errno(err, "a file in memory");
	return detached_start(
		&(struct detached){
			.argv = command, .input = input, .limit_seconds = GROUP_NOTIFY_SECONDS},
		err);
}

static int tell_one(const struct groups *groups, const struct group_hooks *hooks,
	const struct pace_group *group, const struct group_told *told, struct error *err)
{
	autotext struct text words = {0};

	put_change(&words, groups, group, told);
	if (words.failed)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return notify(hooks->notify, &words, err);
}

/* Nobody waits for it. What could not be begun somebody has to do, and the program that is notified
 * hears so. */
static void begin_backup(struct groups *groups, const struct group_hooks *hooks,
	const struct pace_group *group, struct group_told *told)
{
	struct error err = {0};

	if (told->outcome.result != PACE_CHANGED || !(told->outcome.actions & PACE_START_BACKUP) ||
		!hooks->backup || !pace_takeover_is_due(group))
		return;
	if (group_backup_launch(groups, group->name, &err) < 0)
		log_line("group %s: its backup is not started: %s", group->name, err.text);
	else
		told->begun |= PACE_START_BACKUP;
}

void group_hooks_start(struct groups *groups, const struct pace_group *group,
	struct group_told *told, size_t count)
{
	autogrouphooks struct group_hooks hooks = {0};
	struct error err = {0};
	bool read = false;

	for (size_t i = 0; i < count; i++) {
		if (!(told[i].outcome.actions & ~told[i].started & PACE_NOTIFY) ||
			told[i].outcome.result == PACE_REFUSED)
			continue;
		if (!read && group_hooks_read(groups, group->name, &hooks, &err) < 0) {
			log_line("group %s: nobody is notified and no backup is started: %s",
				group->name, err.text);
			return;
		}
		read = true;
		begin_backup(groups, &hooks, group, &told[i]);
		if (!hooks.notify)
			continue;
		failpoint("hooks.starting");
		if (tell_one(groups, &hooks, group, &told[i], &err) < 0)
			log_line("group %s: nobody is notified: %s", group->name, err.text);
		else
			told[i].started |= PACE_NOTIFY;
		failpoint("hooks.started");
	}
}
