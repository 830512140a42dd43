/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/log.h"
#include "cli/verb.h"
#include "daemon/delegation-wire.h"
#include "daemon/perform.h"
#include "daemon/supervisor-client.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

struct run_options {
	const char *profile;
	const char *agent;
	const char *task;
	uint64_t timeout_ms;
	struct word_list env;
	const char *directory;
	bool json;
	int status_fd;
	const char *state_dir;
	const char *socket;
	const char *ceiling;
	struct word_list allow_degraded;
	bool trace_denials;
};

static const struct run_options defaults = {.status_fd = -1};

#define at(field) offsetof(struct run_options, field)

/* clang-format off */
static const struct option_spec specs[] = {
	{"profile", 'p', OPTION_TEXT, at(profile), "PROFILE", "BERM_PROFILE",
		"what the tool may do: a file, or a name on the search path"},
	{"agent", 0, OPTION_TEXT, at(agent), "NAME", "BERM_AGENT",
		"run for this agent (\"berm agent\"): its profile and what is left of its budgets"},
	{"task", 0, OPTION_TEXT, at(task), "TASK", "BERM_TASK",
		"what the agent is at: the same command is tried again only so often in one task"},
	{"timeout", 0, OPTION_DURATION, at(timeout_ms), "TIME", "BERM_TIMEOUT",
		"end the run after this time (30s, 15m); exit 124"},
	{"env", 0, OPTION_WORDS, at(env), "K[=V]", NULL, "give the tool a variable beside those of the profile; repeatable"},
	{"directory", 'C', OPTION_TEXT, at(directory), "DIR", NULL, "start in DIR; it is ${WORKDIR} of the profile"},
	{"json", 0, OPTION_FLAG, at(json), NULL, NULL,
		"write the status record as the last line of stderr instead of the footer"},
	{"status-fd", 0, OPTION_DESCRIPTOR, at(status_fd), "N", NULL, "write the status record to descriptor N"},
	{"state-dir", 0, OPTION_TEXT, at(state_dir), "DIR", "BERM_STATE_DIR", "where berm keeps its state"},
	{"socket", 0, OPTION_TEXT, at(socket), "PATH", "BERM_SOCKET", "have the supervisor there run the agent"},
	{"ceiling", 0, OPTION_TEXT, at(ceiling), "FILE", "BERM_CEILING",
		"a profile that narrows this one, beside /etc/berm/ceiling.yaml"},
	{"allow-degraded", 0, OPTION_COMMA_WORDS, at(allow_degraded), "FEATURE,...", "BERM_ALLOW_DEGRADED",
		"run although the host lacks these: bpf notify landlock cgroup netns userns idmap"},
	{"trace-denials", 0, OPTION_FLAG, at(trace_denials), NULL, NULL, "report refused paths one by one too (slower)"},
};
/* clang-format on */

/* The descriptor must be ours to write to, and must not reach the tool. */
static int check_status_fd(int fd, struct error *err)
{
	int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;

	if (fd == STDIN_FILENO)
		return error_set(err, -EINVAL, ERROR_INPUT, "0 is the tool's stdin");
	if (flags < 0)
		return error_set(err, -EBADF, ERROR_INPUT, "descriptor %d is not open", fd);
	if ((flags & O_PATH) || (mode != O_WRONLY && mode != O_RDWR))
		return error_set(
			err, -EBADF, ERROR_INPUT, "descriptor %d is not open for writing", fd);
	if (fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_errno(err, "descriptor %d", fd);
	return 0;
}

/* What only the operator of an agent may say is not for a supervisor, which would not take it. */
static const char *for_operator(const struct run_options *options)
{
	if (options->directory)
		return "-C";
	if (options->env.items && options->env.items[0])
		return "--env";
	if (options->allow_degraded.items && options->allow_degraded.items[0])
		return "--allow-degraded";
	if (options->state_dir)
		return "--state-dir";
	return options->ceiling ? "--ceiling" : NULL;
}

static bool may_be_asked(const struct run_options *options)
{
	return !for_operator(options);
}

static int check_options(const struct verb *verb, const struct run_options *options, int argc)
{
	struct error err = {0};

	if (options->status_fd >= 0 && check_status_fd(options->status_fd, &err) < 0)
		return verb_misused(verb, "--status-fd: %s", err.text);
	if (session_check_features(options->allow_degraded.items, &err) < 0)
		return verb_misused(verb, "--allow-degraded: %s", err.text);
	if (options->profile && options->agent)
		return verb_misused(verb, "an agent has its own profile: --agent or --profile");
	if (options->task && !options->agent)
		return verb_misused(verb, "--task is for runs of an agent");
	if (!options->profile && !options->agent)
		return verb_misused(verb, "no profile: give one with -p or BERM_PROFILE; shipped "
					  "are base-linux, coding-agent, coding-agent-metered, "
					  "mcp-server, read-only, no-network-compute and ci-build");
	if (options->socket && !options->agent)
		return verb_misused(verb, "a supervisor runs agents: --socket is for --agent");
	if (options->socket && for_operator(options))
		return verb_misused(
			verb, "%s is not for a run through a supervisor", for_operator(options));
	if (argc == 0)
		return verb_misused(verb, "no command: it stands after the options, as in \"berm "
					  "run -p PROFILE -- CMD\"");
	return 0;
}

/* A reader that went away must not kill berm after a run that went well. */
static void write_quietly(int fd, const struct text *line)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	int r;

	sigaction(SIGPIPE, &ignore, &old);
	r = line->failed ? -ENOMEM : io_write_all(fd, text_string(line), line->length);
	sigaction(SIGPIPE, &old, NULL);
	if (r < 0 && fd != STDERR_FILENO)
		log_line("run: cannot write the status record to descriptor %d: %s", fd,
			strerror(-r));
}

static void report(const struct run_options *options, const struct performance *performance)
{
	const struct text *diagnostics = &performance->diagnostics;

	if (diagnostics->length)
		(void)!io_write_all(STDERR_FILENO, diagnostics->data, diagnostics->length);
	if (performance->reason[0])
		log_line("run: %s", performance->reason);
	/* The tool can have filled a pipe on stderr that nobody reads: the record does not wait. */
	if (options->status_fd >= 0)
		write_quietly(options->status_fd, &performance->record);
	if (performance->footer.length)
		write_quietly(STDERR_FILENO, &performance->footer);
	if (options->json)
		write_quietly(STDERR_FILENO, &performance->record);
}

/* What was said outweighs what the environment says. */
static struct run_options settle(const struct run_options *said)
{
	struct run_options options = *said;
	bool profile_of_environment = said->profile && said->profile == getenv("BERM_PROFILE");

	if (said->agent && profile_of_environment)
		options.profile = NULL;
	else if (said->agent && said->profile && said->agent == getenv("BERM_AGENT"))
		options.agent = NULL;
	if (!options.agent && said->task && said->task == getenv("BERM_TASK"))
		options.task = NULL;
	if (said->socket && said->socket == getenv("BERM_SOCKET") && !options.agent)
		options.socket = NULL;
	/* The supervisor has its own. */
	if (options.socket && said->state_dir && said->state_dir == getenv("BERM_STATE_DIR"))
		options.state_dir = NULL;
	return options;
}

/* True for what was said, not what the environment says. */
static bool is_said(const char *value, const char *variable)
{
	return value && value != getenv(variable);
}

/* What cannot be said inside of a run. */
static const char *not_to_delegate(const struct run_options *o)
{
	const struct {
		bool said;
		const char *name;
	} rows[] = {{o->directory, "-C"}, {o->env.count, "--env"},
		{is_said(o->ceiling, "BERM_CEILING"), "--ceiling"},
		{is_said(o->state_dir, "BERM_STATE_DIR"), "--state-dir"},
		{o->allow_degraded.count, "--allow-degraded"}, {o->json, "--json"},
		{o->status_fd >= 0, "--status-fd"}, {o->trace_denials, "--trace-denials"},
		{is_said(o->socket, "BERM_SOCKET"), "--socket"}};

	for (size_t i = 0; i < array_size(rows); i++)
		if (rows[i].said)
			return rows[i].name;
	return NULL;
}

/* Inside of a run: its own berm starts the other agent, if that may be. True where there was
 * somebody to ask. */
static bool delegate(
	const struct verb *verb, const struct run_options *options, char **argv, int *ret_code)
{
	const char *said = not_to_delegate(options);
	const struct delegation_asked asked = {.agent = options->agent,
		.task = options->task,
		.argv = (const char *const *)argv,
		.timeout_ms = options->timeout_ms};
	char reason[ERROR_TEXT_MAX];

	if (!getenv("BERM_RUN"))
		return false;
	if (said && delegation_has_door()) {
		*ret_code = verb_misused(verb, "%s is not for a run that a run asks for", said);
		return true;
	}
	if (!delegation_ask(&asked, ret_code, reason))
		return false;
	if (reason[0])
		log_line("run: %s", reason);
	return true;
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	return count;
}

static void ask_supervisor(const struct run_options *options, const struct session_request *request,
	const struct performance_wanted *wanted, struct performance *performance)
{
	char none[] = "";
	Berm__Wire__SuperviseRun order;
	struct error err = {0};

	berm__wire__supervise_run__init(&order);
	order.agent = (char *)(uintptr_t)request->agent;
	order.task = request->task ? (char *)(uintptr_t)request->task : none;
	order.argv = (char **)(uintptr_t)request->argv;
	order.n_argv = count_words(request->argv);
	order.timeout_ms = request->timeout_ms;
	order.trace_denials = request->trace_denials;
	order.want_record = wanted->record;
	order.want_footer = wanted->footer;
	if (supervisor_run(options->socket, &order, performance, &err) == 0)
		return;
	performance->code = perform_exit_code(&err);
	snprintf(performance->reason, sizeof(performance->reason), "%s", err.text);
}

static int run(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct run_options settled = settle(values), *options = &settled;
	const struct session_request request = {
		.profile = options->profile,
		.agent = options->agent,
		.task = options->task,
		.argv = (const char *const *)argv,
		.directory = options->directory,
		.env_extra = options->env.items,
		.allow_degraded = options->allow_degraded.items,
		.ceiling = options->ceiling,
		.state_dir = options->state_dir,
		.timeout_ms = options->timeout_ms,
		.trace_denials = options->trace_denials,
		.record = true,
	};
	const struct performance_wanted wanted = {
		.record = options->json || options->status_fd >= 0, .footer = !options->json};
	autoperformance struct performance performance = {0};
	int code = check_options(verb, options, argc);

	if (code)
		return code;
	if (options->agent && delegate(verb, options, argv, &code))
		return code;
	if (options->socket ||
		(options->agent && may_be_asked(options) && supervisor_is_asked(options->agent)))
		ask_supervisor(options, &request, &wanted, &performance);
	else
		perform(&request, &wanted, &performance);
	report(options, &performance);
	return performance.code;
}

const struct verb verb_run = {
	.name = "run",
	.summary = "Run a tool behind the walls of a profile",
	.usage = "[-p PROFILE | --agent NAME] [OPTIONS] [--] CMD [ARG]...",
	.details = "The options end at \"--\" or at the first word that is no option; the rest is "
		   "the tool's command line.\n"
		   "Its stdin, stdout and stderr are untouched. berm is silent unless something "
		   "was refused: then a\n"
		   "short list follows on stderr when the tool has ended.\n"
		   "Profiles are looked for by name in $XDG_CONFIG_HOME/berm/profiles, "
		   "/etc/berm/profiles and\n"
		   "/usr/share/berm/profiles, never in the working directory.\n"
		   "In a run whose agent may delegate (\"berm agent set --delegate-to\") the same "
		   "words "
		   "start a run of\nanother agent, with no options but --task and --timeout.\n"
		   "Exit: the tool's own code; 124 time limit, 125 berm or the host failed, 126 "
		   "refused or not\n"
		   "executable, 127 not found, 128+N ended by signal N, 2 wrong words or profile.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct run_options),
		.defaults = &defaults,
		.command_follows = true},
	.function = run,
};
