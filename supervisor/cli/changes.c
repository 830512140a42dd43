/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/verb.h"
#include "daemon/act.h"
#include "daemon/places.h"

#include <string.h>
#include <sys/stat.h>

#define PATH_SHOWN 2048
#define WORKSPACE_SHOWN 60
#define BY_BYTES 48
#define RECORD_TIMEOUT_MS 5000

struct changes_options {
	const char *state_dir;
	bool json;
	bool diff;
};

#define STATE_DIR                                                                                  \
	{                                                                                          \
		"state-dir", 0, OPTION_TEXT, offsetof(struct changes_options, state_dir), "DIR",   \
			"BERM_STATE_DIR", "where the change sets are"                              \
	}

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct changes_options, json), NULL, NULL,
		"one JSON object"},
	STATE_DIR,
};

static const struct option_spec show_specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct changes_options, json), NULL, NULL,
		"one JSON object"},
	{"diff", 0, OPTION_FLAG, offsetof(struct changes_options, diff), NULL, NULL,
		"also the lines of text that differ"},
	STATE_DIR,
};

static const struct option_spec act_specs[] = {STATE_DIR};

#define TABLE(rows)                                                                                \
	{                                                                                          \
		.specs = (rows), .count = array_size(rows), .size = sizeof(struct changes_options) \
	}

/* -ENOENT where nothing was ever staged. */
static int open_place(
	const struct changes_options *options, int *ret_fd, char **ret_state, struct error *err)
{
	const struct places_request wanted = {.state_dir = options->state_dir};
	struct places places;
	struct caller caller;
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, err);
	if (r < 0)
		return r;
	if (!places.state) {
		places_finish(&places);
		return error_set(err, -EINVAL, ERROR_INPUT,
			"there is no home directory to look in: name it with --state-dir");
	}
	r = changes_place(places.state, false, ret_fd, err);
	if (r == 0 && ret_state && !(*ret_state = strdup(places.state)))
		r = error_errno(err, "the state directory");
	places_finish(&places);
	return r;
}

static void put_path(struct text *out, const ProtobufCBinaryData *path, size_t most)
{
	const char *string = (const char *)path->data;

	if (path->len)
		text_escape(out, string, strnlen(string, path->len), most);
}

static void json_path(struct json *j, const char *key, const ProtobufCBinaryData *path)
{
	json_put_string_n(j, key, (const char *)path->data,
		path->len ? strnlen((const char *)path->data, path->len) : 0);
}

/* ---- berm changes ---- */

static void list_row(struct text *out, const struct change_set *set)
{
	text_printf(out, "%-16s  %7zu  ", set->run, set->manifest->n_changes);
	put_path(out, &set->head->workspace, WORKSPACE_SHOWN);
	text_puts(out, "\n");
}

static void list_object(struct json *j, const struct change_set *set)
{
	json_object_begin(j, NULL);
	json_put_string(j, "run", set->run);
	json_put_u64(j, "changes", set->manifest->n_changes);
	json_path(j, "workspace", &set->head->workspace);
	json_put_string(j, "profile", set->head->profile);
	json_object_end(j);
}

static int list_all(int place_fd, const struct changes_options *options, struct text *out)
{
	struct json j = {.out = out};
	autofree char **runs = NULL;
	struct error err = {0};
	int r = changes_list(place_fd, &runs, &err);

	if (r < 0 || !runs)
		return r;
	if (options->json) {
		json_object_begin(&j, NULL);
		json_array_begin(&j, "change_sets");
	} else if (runs[0]) {
		text_printf(out, "%-16s  %7s  %s\n", "RUN", "CHANGES", "WORKSPACE");
	}
	for (size_t i = 0; runs[i]; i++) {
		struct change_set set = CHANGE_SET_INIT;

		/* A run that goes on shows nothing yet; one that cannot be read says so by itself.
		 */
		if (changes_open(place_fd, runs[i], NULL, &set, &err) < 0) {
			if (!options->json)
				text_printf(out, "%-16s  %7s  %s\n", runs[i], "-", err.text);
			continue;
		}
		if (options->json)
			list_object(&j, &set);
		else
			list_row(out, &set);
		change_set_finish(&set);
	}
	if (options->json) {
		json_array_end(&j);
		json_object_end(&j);
		text_puts(out, "\n");
	}
	return 0;
}

static int changes_verb_list(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct changes_options *options = values;
	autotext struct text out = {0};
	autoclose int place = -1;
	struct error err = {0};
	int r;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	r = open_place(options, &place, NULL, &err);
	if (r == -ENOENT) {
		if (options->json)
			text_puts(&out, "{\"change_sets\":[]}\n");
		return verb_print(&out, CLI_GOOD);
	}
	if (r < 0 || list_all(place, options, &out) < 0)
		return verb_failed(verb, &err);
	return verb_print(&out, CLI_GOOD);
}

/* ---- berm changes show ---- */

static void show_row(struct text *out, const Berm__Wire__Change *change)
{
	text_printf(out, "%-8s  ", changes_kind_word(change->kind));
	put_path(out, &change->path, PATH_SHOWN);
	if (change->staged && S_ISDIR(change->staged->mode))
		text_puts(out, "/");
	if (change->entries > 1)
		text_printf(out, " (%llu names)", (unsigned long long)change->entries);
	if (change->from.len) {
		text_puts(out, " (was ");
		put_path(out, &change->from, PATH_SHOWN);
		text_puts(out, ")");
	}
	if (change->old && change->staged &&
		(change->old->mode & 07777) != (change->staged->mode & 07777) &&
		!S_ISLNK(change->staged->mode))
		text_printf(out, " (mode %04o, was %04o)", change->staged->mode & 07777,
			change->old->mode & 07777);
	if (change->old && change->old->links > 1)
		text_printf(out, " (it has %u more names, which keep what they lead to)",
			change->old->links - 1);
	if (change->linked)
		text_printf(out, " (%llu of a file with several names: each becomes a file)",
			(unsigned long long)change->linked);
	text_puts(out, "\n");
	if (*change->problem) {
		text_puts(out, "          ! ");
		text_escape(out, change->problem, strlen(change->problem), PATH_SHOWN);
		text_puts(out, "\n");
	}
}

static void json_side(struct json *j, const char *key, const Berm__Wire__ChangeIdentity *side)
{
	char mode[16];

	if (!side)
		return;
	snprintf(mode, sizeof(mode), "%06o", side->mode);
	json_object_begin(j, key);
	json_put_string(j, "mode", mode);
	json_put_u64(j, "size", side->size);
	json_put_u64(j, "uid", side->uid);
	json_put_u64(j, "gid", side->gid);
	if (side->links)
		json_put_u64(j, "links", side->links);
	json_object_end(j);
}

static void show_object(struct json *j, const Berm__Wire__Change *change)
{
	json_object_begin(j, NULL);
	json_put_string(j, "kind", changes_kind_word(change->kind));
	json_path(j, "path", &change->path);
	if (change->from.len)
		json_path(j, "from", &change->from);
	json_put_u64(j, "names", change->entries);
	if (change->linked)
		json_put_u64(j, "linked", change->linked);
	json_side(j, "before", change->old);
	json_side(j, "after", change->staged);
	if (*change->problem)
		json_put_string(j, "problem", change->problem);
	json_object_end(j);
}

static int show_set(struct change_set *set, const struct changes_options *options, struct text *out,
	struct error *err)
{
	const Berm__Wire__ChangeManifest *m = set->manifest;
	autotext struct text conflicts = {0};
	struct json j = {.out = out};
	int r = changes_conflicts(set, &conflicts, err);

	if (r < 0 || !m)
		return r;
	if (options->json) {
		json_object_begin(&j, NULL);
		json_put_string(&j, "run", set->run);
		json_path(&j, "workspace", &set->head->workspace);
		json_put_string(&j, "profile", set->head->profile);
		json_put_bool(&j, "can_be_committed", conflicts.length == 0);
		json_array_begin(&j, "changes");
		for (size_t i = 0; i < m->n_changes; i++)
			show_object(&j, m->changes[i]);
		json_array_end(&j);
		json_object_end(&j);
		text_puts(out, "\n");
		return 0;
	}
	for (size_t i = 0; i < m->n_changes; i++)
		show_row(out, m->changes[i]);
	for (size_t i = 0; options->diff && r == 0 && i < m->n_changes; i++)
		r = changes_diff(set, m->changes[i], out, err);
	if (r == 0 && conflicts.length)
		text_printf(out, "in the way of a commit:\n%s", text_string(&conflicts));
	return r;
}

static int changes_verb_show(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct changes_options *options = values;
	struct change_set set = CHANGE_SET_INIT;
	autotext struct text out = {0};
	autoclose int place = -1;
	struct error err = {0};
	int r;

	if (argc != 1)
		return verb_misused(verb, "one run, by the beginning of its id");
	if (options->json && options->diff)
		return verb_misused(verb, "either --json or --diff");
	r = open_place(options, &place, NULL, &err);
	if (r == 0)
		r = changes_open(place, argv[0], NULL, &set, &err);
	if (r < 0)
		return verb_failed(verb, &err);
	r = show_set(&set, options, &out, &err);
	change_set_finish(&set);
	return r < 0 ? verb_failed(verb, &err) : verb_print(&out, CLI_GOOD);
}

/* ---- berm changes commit, rollback ---- */

struct deed {
	const char *action;
	int (*function)(struct change_set *, struct error *);
};

/* It is done: what cannot be recorded is said and no more. */
static void record(const struct verb *verb, const struct deed *deed, const char *state,
	const struct change_set *set)
{
	Berm__Wire__ChangeSetEnd end;
	Berm__Wire__Record record;
	const Berm__Wire__Record *const records[] = {&record};
	struct error err = {0};
	char by[BY_BYTES];

	snprintf(by, sizeof(by), "uid %u, pid %d", (unsigned)getuid(), (int)getpid());
	berm__wire__change_set_end__init(&end);
	berm__wire__record__init(&record);
	record.body_case = BERM__WIRE__RECORD__BODY_CHANGE_SET;
	record.change_set = &end;
	end.staged_by = (char *)(uintptr_t)set->run;
	end.action = (char *)(uintptr_t)deed->action;
	end.by = by;
	end.has_changes = true;
	end.changes = set->manifest->n_changes;
	end.has_workspace = true;
	end.workspace = set->head->workspace;
	if (end.workspace.len)
		end.workspace.len--; /* its NUL */
	if (act_record(&(const struct act){.state = state, .records = records, .count = 1},
		    RECORD_TIMEOUT_MS, &err) < 0)
		log_line("%s: done, but not recorded: %s", verb->name, err.text);
}

static int act(
	const struct verb *verb, const void *values, int argc, char **argv, const struct deed *deed)
{
	const struct changes_options *options = values;
	struct change_set set = CHANGE_SET_INIT;
	autofree char *state = NULL;
	autoclose int place = -1;
	struct error err = {0};
	int r;

	if (argc != 1)
		return verb_misused(verb, "one run, by the beginning of its id");
	r = open_place(options, &place, &state, &err);
	if (r == 0)
		r = changes_open(place, argv[0], NULL, &set, &err);
	if (r == 0)
		r = deed->function(&set, &err);
	if (r == 0)
		record(verb, deed, state, &set);
	change_set_finish(&set);
	return r < 0 ? verb_failed(verb, &err) : CLI_GOOD;
}

static int changes_verb_commit(const struct verb *verb, const void *values, int argc, char **argv)
{
	return act(verb, values, argc, argv, &(const struct deed){"commit", changes_commit});
}

static int changes_verb_rollback(const struct verb *verb, const void *values, int argc, char **argv)
{
	return act(verb, values, argc, argv, &(const struct deed){"rollback", changes_rollback});
}

static const struct verb verb_changes_show = {
	.name = "changes show",
	.summary = "List what a run changed in its staged workspace",
	.usage = "[--json | --diff] RUN",
	.details =
		"One line a name: create, modify, replace, delete, mode, left-out (sockets, pipes "
		"and devices,\nwhich no commit makes). What is in the way of a commit is listed at "
		"the end.",
	.options = TABLE(show_specs),
	.function = changes_verb_show,
};

static const struct verb verb_changes_commit = {
	.name = "changes commit",
	.summary = "Put the changes of a run into its workspace, all or none",
	.usage = "RUN",
	.details =
		"Refused where a file changed underneath, or where the profile protects a name. A "
		"commit that was\nbroken off is finished or undone by the next \"berm changes\".\n"
		"Exit: 0 done, 1 refused and nothing changed, 2 no such run.",
	.options = TABLE(act_specs),
	.function = changes_verb_commit,
};

static const struct verb verb_changes_rollback = {
	.name = "changes rollback",
	.summary = "Throw the changes of a run away",
	.usage = "RUN",
	.details = "The workspace itself was never touched.",
	.options = TABLE(act_specs),
	.function = changes_verb_rollback,
};

static const struct verb *const children[] = {
	&verb_changes_show, &verb_changes_commit, &verb_changes_rollback, NULL};

const struct verb verb_changes = {
	.name = "changes",
	.summary = "List the staged changes that wait to be kept or dropped",
	.usage = "[--json]",
	.options = TABLE(specs),
	.function = changes_verb_list,
	.children = children,
};
