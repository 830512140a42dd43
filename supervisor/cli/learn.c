/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/learn.h"

#include "base/io.h"
#include "base/log.h"
#include "base/number.h"
#include "base/path.h"
#include "cli/learn-save.h"
#include "daemon/learn-run.h"
#include "daemon/learn-walls.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

static const struct learn_options defaults = {.base = "base-linux"};

#define at(field) offsetof(struct learn_options, field)

/* clang-format off */
static const struct option_spec specs[] = {
	{"out", 'o', OPTION_TEXT, at(out), "FILE.yaml", NULL, "where the proposal goes; FILE.learn.json beside it holds what was seen"},
	{"base", 0, OPTION_TEXT, at(base), "PROFILE", NULL, "the profile that the proposal extends; default: base-linux"},
	{"runs", 0, OPTION_TEXT, at(runs), "N", NULL, "run the command so often; default: 1"},
	{"merge", 0, OPTION_TEXT, at(merge), "FILE.learn.json", NULL, "add to what was seen before"},
	{"verify", 0, OPTION_FLAG, at(verify), NULL, NULL, "run the command once more, under the proposal"},
	{"force", 0, OPTION_FLAG, at(force), NULL, NULL, "replace the files where they are there already"},
	{"env", 0, OPTION_WORDS, at(env), "K[=V]", NULL, "give the tool a variable beside those of the base; repeatable"},
	{"timeout", 0, OPTION_DURATION, at(timeout_ms), "TIME", NULL, "end each run after this time (30s, 15m)"},
	{"allow-degraded", 0, OPTION_COMMA_WORDS, at(allow_degraded), "FEATURE,...", "BERM_ALLOW_DEGRADED",
		"run although the host lacks these"},
	PROFILE_OPTION_ROWS(struct learn_options),
};
/* clang-format on */

struct learning {
	const struct verb *verb;
	const struct learn_options *options;
	const char *const *argv;
	unsigned runs;
	char entry[PATH_MAX]; /* of extends */
	struct session_request base_request, walls_request;
	struct session base, held; /* the base; the walls */
	struct learn_walls walls;
	struct learn_save save;
	struct learn learn;
	struct learn_world world;
	struct learn_proposal proposal;
	struct text profile; /* the proposal */
	struct error err;
};

static void finish(struct learning *l)
{
	text_finish(&l->profile);
	learn_proposal_finish(&l->proposal);
	learn_finish(&l->learn);
	learn_save_finish(&l->save);
	session_finish(&l->held);
	learn_walls_finish(&l->walls);
	session_finish(&l->base);
}
#define autolearning __attribute__((cleanup(finish)))

/* Say why a profile could not be used, with its own errors; the exit code. */
static int fail(struct learning *l, const struct session *session)
{
	return session ? profile_report_failure(l->verb, session, &l->err)
		       : verb_failed(l->verb, &l->err);
}

static struct session_request request_of(const struct learning *l, const char *profile)
{
	struct session_request request = profile_request_of(&l->options->common, profile);

	request.thorough = false;
	request.argv = l->argv;
	request.env_extra = l->options->env.items;
	request.allow_degraded = l->options->allow_degraded.items;
	request.timeout_ms = l->options->timeout_ms;
	return request;
}

static bool is_path(const char *profile)
{
	size_t n = strlen(profile);

	return strchr(profile, '/') || (n > 5 && strcmp(profile + n - 5, ".yaml") == 0);
}

/* A file is extended by its whole path, so that the proposal can lie anywhere. */
static int find_entry(struct learning *l)
{
	const char *base = l->options->base;

	if (!is_path(base)) {
		snprintf(l->entry, sizeof(l->entry), "%s", base);
		return 0;
	}
	if (!realpath(base, l->entry))
		return error_set(
			&l->err, -errno, ERROR_INPUT, "--base %s: %s", base, strerror(errno));
	return learn_can_write(l->entry) ? 0
					 : error_set(&l->err, -EINVAL, ERROR_INPUT,
						   "--base %s: its name cannot be written into a "
						   "profile",
						   base);
}

static int read_words(struct learning *l, int argc)
{
	const struct learn_options *options = l->options;
	uint64_t runs = 1;

	if (!options->out)
		return verb_misused(l->verb, "no -o: say where the proposal goes");
	if (argc == 0)
		return verb_misused(l->verb, "no command: it stands after the options, as in "
					     "\"berm learn -o new.yaml -- CMD\"");
	if (options->runs &&
		(!number_parse_u64(options->runs, &runs) || runs == 0 || runs > LEARN_RUNS_MAX))
		return verb_misused(l->verb, "--runs is a number from 1 to %d", LEARN_RUNS_MAX);
	l->runs = (unsigned)runs;
	if (find_entry(l) < 0 ||
		learn_save_open(options->out, options->force, &l->save, &l->err) < 0)
		return fail(l, NULL);
	return CLI_GOOD;
}

/* Read the base, make the walls and read them. */
static int prepare(struct learning *l)
{
	const struct learn_options *options = l->options;
	struct learn_walls_request walls;

	l->base_request = request_of(l, options->base);
	if (session_load(&l->base_request, &l->base, &l->err) < 0)
		return fail(l, &l->base);
	walls = (struct learn_walls_request){.base = l->base.profile,
		.entry = l->entry,
		.workdir = l->base.directory,
		.home = session_variables(&l->base).home};
	if (learn_walls_make(&walls, &l->walls, &l->err) < 0)
		return fail(l, NULL);
	l->walls_request = request_of(l, l->walls.path);
	if (session_load(&l->walls_request, &l->held, &l->err) < 0)
		return fail(l, &l->held);
	l->world = (struct learn_world){.base = l->base.profile,
		.walls = l->held.profile,
		.workdir = walls.workdir,
		.home = walls.home,
		.starts_there = true,
		.secrets = l->walls.secrets};
	if (options->merge &&
		learn_file_read(options->merge, walls.workdir, &l->learn, &l->err) < 0)
		return fail(l, NULL);
	if (l->learn.runs + l->runs > LEARN_RUNS_MAX)
		return verb_misused(l->verb, "%u runs of --merge and %u more are over %d",
			l->learn.runs, l->runs, LEARN_RUNS_MAX);
	return CLI_GOOD;
}

/* A person at the terminal who stops a run means all of them. */
static bool was_stopped(int code)
{
	return code == 128 + SIGINT || code == 128 + SIGTERM || code == 128 + SIGHUP;
}

static int run_all(struct learning *l)
{
	for (unsigned i = 0; i < l->runs; i++) {
		size_t before = l->learn.count;
		int code = 0;

		if (learn_run(&l->walls_request, &l->learn, &code, &l->err) < 0)
			return fail(l, NULL);
		log_line("learn: run %u of %u: %zu observations, %zu new; exit %d", i + 1, l->runs,
			l->learn.count, l->learn.count - before, code);
		if (was_stopped(code))
			return verb_failed(l->verb,
				(error_set(&l->err, -EINTR, ERROR_INTERNAL, "stopped"), &l->err));
	}
	return CLI_GOOD;
}

static int save_draft(struct learning *l, char *path, size_t capacity)
{
	autoclose int fd = -1;
	int r;

	snprintf(path, capacity, "%s/new.yaml", l->walls.directory);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(&l->err, "%s", path);
	r = l->profile.failed ? -ENOMEM
			      : io_write_all(fd, text_string(&l->profile), l->profile.length);
	return r < 0 ? error_set(&l->err, r, ERROR_INTERNAL, "%s: %s", path, strerror(-r)) : 0;
}

/* The base and the draft against each other, without what the site's ceiling makes of them. */
static int compare(struct learning *l, const char *draft, struct session *was, struct session *now,
	struct diff **ret_diff)
{
	static struct session_request requests[2];

	requests[0] = request_of(l, l->options->base);
	requests[1] = request_of(l, draft);
	requests[0].for_comparing = requests[1].for_comparing = true;
	if (session_load(&requests[0], was, &l->err) < 0)
		return fail(l, was);
	if (session_load(&requests[1], now, &l->err) < 0)
		return fail(l, now);
	if (profile_diff(was->profile, now->profile, ret_diff, &l->err) < 0)
		return fail(l, NULL);
	/* The draft is gone when somebody reads this. */
	for (size_t i = 0; i < (*ret_diff)->count; i++) {
		struct diff_line *line = &(*ret_diff)->lines[i];

		if (line->now_at.file && strcmp(line->now_at.file, draft) == 0)
			line->now_at.file = l->options->out;
	}
	return CLI_GOOD;
}

static int print(struct learning *l, const struct learn_told *told)
{
	autotext struct text out = {0};

	if (l->options->common.json)
		learn_report_json(told, &out);
	else
		learn_report(told, &out);
	return verb_print(&out, CLI_GOOD);
}

static int save(struct learning *l)
{
	autotext struct text observations = {0};

	learn_file_write(&l->learn, l->world.workdir, &observations);
	if (learn_save_write(&l->save, &l->profile, &observations, &l->err) < 0)
		return fail(l, NULL);
	return CLI_GOOD;
}

/* The draft stands as a file: hold it against the base, the observations and the tool itself. */
static int judge(struct learning *l, const char *draft)
{
	struct session_request request = request_of(l, draft);
	autosession struct session made = {0}, was = {0}, now = {0};
	autotext struct text wrong = {0};
	autodiff struct diff *diff = NULL;
	struct learn_told told = {l->options, &l->learn, &l->world, &l->proposal,
		.observations = l->save.observations, .verified = -1};
	int code;

	if (session_load(&request, &made, &l->err) < 0 || session_check(&made, &l->err) < 0 ||
		session_compile(&made, &l->err) < 0)
		return fail(l, &made);
	told.wrong = learn_check(&l->learn, &l->proposal, made.profile, &wrong);
	if (wrong.length)
		(void)!io_write_all(STDERR_FILENO, wrong.data, wrong.length);
	code = compare(l, draft, &was, &now, &diff);
	if (code == CLI_GOOD && l->options->verify && told.wrong == 0 &&
		learn_run(&request, NULL, &told.verified, &l->err) < 0)
		code = fail(l, NULL);
	if (code != CLI_GOOD)
		return code;
	told.diff = diff;
	code = print(l, &told);
	if (told.wrong) {
		log_line("learn: the proposal does not hold what it should and is not written");
		return CLI_NO;
	}
	if (code == CLI_GOOD)
		code = save(l);
	if (code == CLI_GOOD)
		log_line("learn: wrote %s, and what was seen beside it", l->options->out);
	return code == CLI_GOOD && (l->learn.failed || told.verified > 0) ? CLI_NO : code;
}

static bool is_empty(const struct learn_proposal *proposal)
{
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		if (proposal->caps[cap].known)
			return false;
	}
	return proposal->count == 0;
}

static int propose(struct learning *l)
{
	char draft[PATH_MAX];
	int code;

	if (learn_propose(&l->learn, &l->world, &l->proposal, &l->err) < 0)
		return fail(l, NULL);
	if (is_empty(&l->proposal)) {
		log_line("learn: the base allows all that may be proposed; nothing is written");
		return CLI_NO;
	}
	learn_write(&l->learn, &l->world, &l->proposal, l->save.name, l->entry, &l->profile);
	code = save_draft(l, draft, sizeof(draft)) < 0 ? fail(l, NULL) : judge(l, draft);
	unlink(draft);
	return code;
}

static int learn(const struct verb *verb, const void *values, int argc, char **argv)
{
	autolearning struct learning l = {.verb = verb,
		.options = values,
		.argv = (const char *const *)argv,
		.save = {.directory_fd = -1}};
	int code = read_words(&l, argc);

	if (code == CLI_GOOD)
		code = prepare(&l);
	if (code == CLI_GOOD)
		code = run_all(&l);
	return code == CLI_GOOD ? propose(&l) : code;
}

const struct verb verb_learn = {
	.name = "learn",
	.summary = "Propose a profile from what confined runs did",
	.usage = "-o FILE.yaml [OPTIONS] [--] CMD [ARG]...",
	.details =
		"The command always runs behind walls: the base, the system for reading, the work "
		"tree (-C, default\n"
		"here) for writing, no credentials, no network. What it tries is seen before it "
		"goes on, what is\n"
		"refused as well. The proposal is checked, compared with the base and written; "
		"nothing is granted by\n"
		"it, and no profile is changed. The tool's own output goes to stderr.\n"
		"Exit: 0 written; 1 nothing to propose, or the command failed (what it needed is "
		"written all the\n"
		"same); 2 wrong words or profile; 3 the host or berm failed.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct learn_options),
		.defaults = &defaults,
		.command_follows = true},
	.function = learn,
};
