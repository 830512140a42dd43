/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/log.h"
#include "cli/changes-show.h"
#include "cli/verb.h"
#include "daemon/act.h"
#include "daemon/changes-approval.h"
#include "daemon/changes-hold.h"
#include "daemon/changes-view.h"
#include "daemon/places.h"

#include <string.h>
#include <sys/stat.h>

#define WORKSPACE_SHOWN 60
#define BY_BYTES 48
#define RECORD_TIMEOUT_MS 5000

struct changes_options {
	const char *state_dir;
	const char *shown;
	bool json;
	bool diff;
	bool all;
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
	{"all", 0, OPTION_FLAG, offsetof(struct changes_options, all), NULL, NULL,
		"every name of directories that come, however many"},
	STATE_DIR,
};

static const struct option_spec commit_specs[] = {
	{"shown", 0, OPTION_TEXT, offsetof(struct changes_options, shown), "DIGEST", NULL,
		"only what \"changes show\" listed with this digest"},
	STATE_DIR,
};

static const struct option_spec act_specs[] = {STATE_DIR};

#define TABLE(rows)                                                                                \
	{                                                                                          \
		.specs = (rows), .count = array_size(rows), .size = sizeof(struct changes_options) \
	}

struct changes_place {
	int fd;
	char *state;
	char by[CHANGES_BY_BYTES]; /* as whom a commit was approved, or "" */
};

#define CHANGES_PLACE_INIT                                                                         \
	{                                                                                          \
		.fd = -1                                                                           \
	}

static void close_place(struct changes_place *place)
{
	own_close(&place->fd);
	own_free(&place->state);
}

/* -ENOENT where nothing was ever staged. */
static int open_place(
	const struct changes_options *options, struct changes_place *ret, struct error *err)
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
	r = changes_place(places.state, false, &ret->fd, err);
	if (r == 0 && !(ret->state = strdup(places.state)))
		r = error_errno(err, "the state directory");
	places_finish(&places);
	return r;
}

/* What is done is recorded first, then what it leaves is taken away: neither undoes it. */
static void record(const struct changes_place *place, const char *action, struct change_set *set)
{
	Berm__Wire__ChangeSetEnd end;
	Berm__Wire__Record record;
	const Berm__Wire__Record *const records[] = {&record};
	struct error err = {0};
	char by[BY_BYTES + CHANGES_BY_BYTES];

	snprintf(by, sizeof(by), "uid %u, pid %d%s%s", (unsigned)getuid(), (int)getpid(),
		*place->by ? ", " : "", place->by);
	berm__wire__change_set_end__init(&end);
	berm__wire__record__init(&record);
	record.body_case = BERM__WIRE__RECORD__BODY_CHANGE_SET;
	record.change_set = &end;
	end.staged_by = (char *)(uintptr_t)set->run;
	end.action = (char *)(uintptr_t)action;
	end.by = by;
	end.has_changes = set->manifest != NULL;
	end.changes = set->manifest ? set->manifest->n_changes : 0;
	end.has_workspace = set->head != NULL;
	if (set->head)
		end.workspace = set->head->workspace;
	if (end.workspace.len)
		end.workspace.len--; /* its NUL */
	if (act_record(&(const struct act){.state = place->state, .records = records, .count = 1},
		    RECORD_TIMEOUT_MS, &err) < 0)
		log_line("changes %s: done, but not recorded: %s", action, err.text);
	else if (set->committed)
		changes_recorded(set);
}

static void finish(const struct changes_place *place, const char *action, struct change_set *set)
{
	struct error err = {0};

	if (!set->recorded)
		record(place, action, set);
	if (changes_clean(set, &err) < 0)
		log_line("changes %s: done; what it leaves is still there: %s", action, err.text);
}

typedef int opener(int place_fd, const char *run, const struct changes_disk *disk,
	struct change_set *ret_set, struct error *err);

/* One whose commit was broken off and could be finished is none any more. */
static int open_set(const struct changes_place *place, const char *run, opener *open,
	struct change_set *ret_set, struct error *err)
{
	int r = open(place->fd, run, NULL, ret_set, err);

	if (r < 0 || !ret_set->committed)
		return r;
	finish(place, "commit", ret_set);
	return error_set(err, -ENOENT, ERROR_NOT_FOUND,
		"the commit of %s, which was broken off, is finished now", ret_set->run);
}

struct deed {
	const char *action;
	opener *open;
	int (*function)(struct change_set *, struct error *);
	bool wants_approval;
};

/* ---- berm changes ---- */

static void list_row(struct text *out, const struct change_set *set)
{
	text_printf(out, "%-*s  %7zu  ", RUN_ID_LENGTH, set->run, set->manifest->n_changes);
	changes_put_path(out, &set->head->workspace, WORKSPACE_SHOWN);
	if (*set->stuck) {
		text_puts(out, " (");
		text_escape(out, set->stuck, strlen(set->stuck), sizeof(set->stuck));
		text_puts(out, ")");
	}
	text_puts(out, "\n");
}

static void list_object(struct json *j, const struct change_set *set)
{
	json_object_begin(j, NULL);
	json_put_string(j, "run", set->run);
	json_put_u64(j, "changes", set->manifest->n_changes);
	changes_json_path(j, "workspace", &set->head->workspace);
	json_put_string(j, "profile", set->head->profile);
	if (*set->stuck)
		json_put_string(j, "stuck", set->stuck);
	json_object_end(j);
}

static void put_error(struct text *out, const struct error *err)
{
	text_escape(out, err->text, strlen(err->text), sizeof(err->text));
}

/* A run that goes on shows nothing yet; one that cannot be looked at says why, and can be rolled
 * back. */
static void list_trouble(
	struct json *j, struct text *out, const char *run, const struct error *err, bool json)
{
	if (json) {
		json_object_begin(j, NULL);
		json_put_string(j, "run", run);
		json_put_string(j, "error", err->text);
		json_put_bool(j, "busy", err->code == -EWOULDBLOCK);
		json_object_end(j);
		return;
	}
	text_printf(out, "%-*s  %7s  ", RUN_ID_LENGTH, run, "-");
	put_error(out, err);
	text_puts(out, "\n");
}

static int list_all(
	const struct changes_place *place, bool json, struct text *out, struct error *ret_err)
{
	struct json j = {.out = out};
	autofree char **runs = NULL;
	int r = changes_list(place->fd, &runs, ret_err);

	if (r < 0 || !runs)
		return r;
	if (json) {
		json_object_begin(&j, NULL);
		json_array_begin(&j, "change_sets");
	} else if (runs[0]) {
		text_printf(out, "%-*s  %7s  %s\n", RUN_ID_LENGTH, "RUN", "CHANGES", "WORKSPACE");
	}
	for (size_t i = 0; runs[i]; i++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};

		r = changes_open(place->fd, runs[i], NULL, &set, &err);
		if (r == 0 && set.committed)
			finish(place, "commit", &set);
		else if (r < 0)
			list_trouble(&j, out, runs[i], &err, json);
		else if (json)
			list_object(&j, &set);
		else
			list_row(out, &set);
		change_set_finish(&set);
	}
	if (json) {
		json_array_end(&j);
		json_object_end(&j);
		text_puts(out, "\n");
	}
	return 0;
}

static int changes_verb_list(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct changes_options *options = values;
	struct changes_place place = CHANGES_PLACE_INIT;
	autotext struct text out = {0};
	struct error err = {0};
	int r;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	r = open_place(options, &place, &err);
	if (r == 0) {
		r = list_all(&place, options->json, &out, &err);
	} else if (r == -ENOENT) {
		if (options->json)
			text_puts(&out, "{\"change_sets\":[]}\n");
		r = 0;
	}
	close_place(&place);
	return r < 0 ? verb_failed(verb, &err) : verb_print(&out, CLI_GOOD);
}

/* ---- berm changes show ---- */

static int changes_verb_show(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct changes_options *options = values;
	struct change_set set = CHANGE_SET_INIT;
	struct changes_place place = CHANGES_PLACE_INIT;
	autotext struct text out = {0};
	struct error err = {0};
	int r;

	if (argc != 1)
		return verb_misused(verb, "one run, by the beginning of its id");
	if (options->json && options->diff)
		return verb_misused(verb, "either --json or --diff");
	r = open_place(options, &place, &err);
	if (r == 0)
		r = open_set(&place, argv[0], changes_open, &set, &err);
	if (r == 0)
		r = changes_show(&set,
			&(const struct changes_showing){options->json, options->diff, options->all},
			&out, &err);
	change_set_finish(&set);
	close_place(&place);
	return r < 0 ? verb_failed(verb, &err) : verb_print(&out, CLI_GOOD);
}

/* ---- berm changes commit, rollback ---- */

/* What changed since somebody looked asks anew. */
static int check_shown(const struct change_set *set, const char *shown, struct error *err)
{
	char digest[CHANGES_DIGEST_HEX];
	int r = changes_digest(set, digest);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "out of memory");
	if (strcmp(digest, shown) == 0)
		return 0;
	return error_set(err, -ESTALE, ERROR_REFUSED,
		"this is not what was shown: \"berm changes show\" lists it with the digest %s",
		digest);
}

/* Those whom the run's profile wants asked see what there is; and that is what is committed. */
static int ask(const struct changes_place *place, struct change_set *set, struct error *err)
{
	autotext struct text lines = {0}, json = {0};
	char run[CHANGES_RUN_MAX], shown[CHANGES_DIGEST_HEX];
	int r = changes_show(set, &(const struct changes_showing){.diff = true}, &lines, err);

	if (r == 0)
		r = changes_show(set, &(const struct changes_showing){.json = true, .all = true},
			&json, err);
	if (r == 0 && (lines.failed || json.failed || changes_digest(set, shown) < 0))
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (r == 0)
		r = changes_hold(place->state, set,
			&(const struct changes_shown){text_string(&lines), text_string(&json)},
			err);
	if (r < 0)
		return r;
	memcpy(run, set->run, sizeof(run));
	change_set_finish(set);
	*set = (struct change_set)CHANGE_SET_INIT;
	r = open_set(place, run, changes_open, set, err);
	return r < 0 ? r : check_shown(set, shown, err);
}

static int approve(const struct changes_options *options, struct changes_place *place,
	struct change_set *set, struct error *err)
{
	bool bound = options->shown != NULL;
	int r = changes_approve(place->state, set, bound, place->by, err);

	if (r < 0 || !changes_is_held(set))
		return r;
	r = ask(place, set, err);
	/* The group may be in another phase by now. */
	return r < 0 ? r : changes_approve(place->state, set, bound, place->by, err);
}

static int act(
	const struct verb *verb, const void *values, int argc, char **argv, const struct deed *deed)
{
	const struct changes_options *options = values;
	struct change_set set = CHANGE_SET_INIT;
	struct changes_place place = CHANGES_PLACE_INIT;
	struct error err = {0};
	int r;

	if (argc != 1)
		return verb_misused(verb, "one run, by the beginning of its id");
	r = open_place(options, &place, &err);
	if (r == 0)
		r = open_set(&place, argv[0], deed->open, &set, &err);
	if (r == 0 && options->shown)
		r = check_shown(&set, options->shown, &err);
	if (r == 0 && deed->wants_approval)
		r = approve(options, &place, &set, &err);
	if (r == 0)
		r = deed->function(&set, &err);
	if (r == 0)
		finish(&place, deed->action, &set);
	change_set_finish(&set);
	close_place(&place);
	return r < 0 ? verb_failed(verb, &err) : CLI_GOOD;
}

static int changes_verb_commit(const struct verb *verb, const void *values, int argc, char **argv)
{
	return act(verb, values, argc, argv,
		&(const struct deed){"commit", changes_open, changes_commit, true});
}

static int changes_verb_rollback(const struct verb *verb, const void *values, int argc, char **argv)
{
	return act(verb, values, argc, argv,
		&(const struct deed){"rollback", changes_open_to_drop, changes_rollback, false});
}

static const struct verb verb_changes_show = {
	.name = "changes show",
	.summary = "List what a run changed in its staged workspace",
	.usage = "[--json | --diff] [--all] RUN",
	.details =
		"One line a name: create, modify, replace, delete, mode, left-out (sockets, pipes "
		"and devices,\nwhich no commit makes), and beneath a directory that comes each "
		"name "
		"in it. What is in the way of\na commit is listed at the end, and the digest that "
		"\"changes commit --shown\" takes.",
	.options = TABLE(show_specs),
	.function = changes_verb_show,
};

static const struct verb verb_changes_commit = {
	.name = "changes commit",
	.summary = "Put the changes of a run into its workspace, all or none",
	.usage = "[--shown DIGEST] RUN",
	.details =
		"Refused where a file changed underneath, or where the profile protects a name. A "
		"commit that was\nbroken off is finished or undone by the next \"berm changes\".\n"
		"Exit: 0 done, 1 refused and nothing changed, 2 no such run.",
	.options = TABLE(commit_specs),
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
