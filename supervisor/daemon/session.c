/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session.h"

#include "base/log.h"
#include "daemon/agent-delegated.h"
#include "daemon/halts.h"
#include "daemon/live.h"
#include "daemon/metering.h"
#include "daemon/network-file.h"
#include "daemon/outputs.h"
#include "daemon/own-state.h"
#include "daemon/planned.h"
#include "daemon/planner.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define EXIT_REFUSED 126

extern char **environ;

const char *const session_features[] = {
	"bpf", "notify", "landlock", "cgroup", "netns", "userns", "idmap", NULL};

int session_check_features(const char *const *words, struct error *err)
{
	for (; words && *words; words++) {
		size_t i = 0;
		const char *near;

		while (session_features[i] && strcmp(session_features[i], *words) != 0)
			i++;
		if (session_features[i])
			continue;
		near = text_nearest(*words, session_features, array_size(session_features) - 1);
		return error_set(err, -EINVAL, ERROR_INPUT,
			"no feature is called \"%s\"%s%s%s; features are bpf, notify, landlock, "
			"cgroup, netns, userns, idmap",
			*words, near ? "; did you mean \"" : "", near ? near : "",
			near ? "\"?" : "");
	}
	return 0;
}

static const char *or_usual(const char *own, const char *usual)
{
	return own ? own : usual;
}

struct profile_variables session_variables(const struct session *session)
{
	static const struct profile_variables nothing;
	const struct session_request *request = session->request;
	const struct profile_variables *own = request->variables ? request->variables : &nothing;

	return (struct profile_variables){
		/* The home that the run will have, so that lines about ${HOME} mean something for a
		 * user without one. */
		.home = or_usual(own->home,
			session->places.home[0] ? session->places.home : PLAN_HOME_DEFAULT),
		.workdir = or_usual(own->workdir, session->directory),
		.tmpdir = or_usual(own->tmpdir, "/tmp"), /* the run's own */
		.state = or_usual(own->state, session->places.state),
		.run_id = or_usual(own->run_id, request->for_comparing ? "RUN" : session->run_id),
		.uid = or_usual(own->uid, session->uid),
	};
}

const Berm__Wire__Agent *session_agent(const struct session *session)
{
	return session->agent_run ? session->agent_run->agent : NULL;
}

static uint64_t now_ms(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int load_profile(const struct session *session, struct profile **ret_profile,
	struct text *diagnostics, struct error *err)
{
	const char *const named[] = {session->request->ceiling, NULL};
	const Berm__Wire__Agent *agent = session_agent(session);
	const struct profile_request request = {
		.profile = agent ? agent->profile : session->request->profile,
		.search_path = (const char *const *)session->places.search,
		.ceilings = session->request->for_comparing ? named : session->places.ceilings,
		.variables = session_variables(session),
		/* Who starts an agent has no say in what it may do. */
		.operator_uid = geteuid(),
		.trusted_uid =
			agent || session->request->of_operator ? geteuid() : session->caller.uid,
	};

	return planners_are_used() ? planned_load(&request, ret_profile, diagnostics, err)
				   : profile_load(&request, ret_profile, diagnostics, err);
}

int session_reload_check(const struct session *session, struct error *err)
{
	autoprofile struct profile *now = NULL;
	autotext struct text diagnostics = {0};
	struct error why = {0};
	int r;

	if (now_ms() - session->loaded_ms < SESSION_FRESH_MS)
		return 0;
	r = places_ceiling_is_same(&session->places)
		    ? load_profile(session, &now, &diagnostics, &why)
		    : -ESTALE;
	if (r == 0 && now &&
		memcmp(now->digest, session->profile->digest, sizeof(now->digest)) == 0)
		return 0;
	return error_set(err, -EAGAIN, ERROR_REFUSED,
		"the profile or the ceiling was changed while the run was prepared; start it "
		"again");
}

/* Once more without the run above: what that takes away can be told from what is denied anyhow. */
static int load_delegated(struct session *session, struct error *err)
{
	autotext struct text said = {0};
	int r = load_profile(session, &session->own_profile, &said, err);

	return r < 0 ? r : agent_delegated_narrow(session, err);
}

/* An agent's own directory is where its runs start, unless its operator says otherwise. What its
 * operator meant is the directory of that day, not where a link leads that came since. */
static int find_directory(struct session *session, struct error *err)
{
	const Berm__Wire__Agent *agent = session_agent(session);
	const char *directory = session->request->directory;

	if (!directory && agent && agent->directory[0])
		return places_directory_kept(agent->directory, &session->directory, err);
	if (session->request->delegated)
		directory = session->request->delegated->from->directory;
	return places_directory(directory, &session->directory, err);
}

int session_begin(const struct session_request *request, struct session *session, struct error *err)
{
	struct places_request places = {.profile = request->profile,
		.ceiling = request->ceiling,
		.operators_profiles = request->agent != NULL || request->of_operator};
	int r;

	session->request = request;
	if (request->delegated)
		session->chain = request->delegated->chain;
	caller_identify(&session->caller);
	places.state_dir = agent_run_state_dir(session);
	snprintf(session->uid, sizeof(session->uid), "%u", (unsigned)session->caller.uid);
	r = run_id_make(session->run_id, err);
	if (r == 0)
		r = session_check_features(request->allow_degraded, err);
	if (r == 0)
		r = places_find(&session->caller, &places, &session->places, err);
	if (r == 0 && request->agent)
		r = agent_run_find(session, err);
	if (r == 0 && session->agent_run) {
		/* Its profile is known now, and what lies beside that. */
		places.profile = session->agent_run->agent->profile;
		places_finish(&session->places);
		r = places_find(&session->caller, &places, &session->places, err);
	}
	return r == 0 ? find_directory(session, err) : r;
}

int session_load(const struct session_request *request, struct session *session, struct error *err)
{
	int r = session_begin(request, session, err);

	session->loaded_ms = now_ms();
	if (r == 0)
		r = load_profile(session, &session->profile, &session->diagnostics, err);
	if (r == 0 && request->delegated)
		r = load_delegated(session, err);
	/* Asked once more when the run has its place; here a refusal costs nothing. */
	if (r == 0 && request->record)
		r = session_may_start(session, err);
	return r == 0 && session->agent_run ? agent_run_admit(session, err) : r;
}

int session_load_again(const struct session *first, struct session *session, struct error *err)
{
	int r = session_begin(first->request, session, err);

	memcpy(session->run_id, first->run_id, sizeof(session->run_id));
	if (r == 0)
		r = load_profile(session, &session->profile, &session->diagnostics, err);
	if (r == 0 && first->request->delegated)
		r = load_delegated(session, err);
	if (r == 0)
		r = session_may_start(session, err);
	return r == 0 && session->agent_run ? agent_run_admit_again(session, first, err) : r;
}

int session_may_start(const struct session *session, struct error *err)
{
	const Berm__Wire__Agent *agent = session_agent(session);
	int r = halts_check(
		session->places.state, agent ? agent->id : NULL, agent ? agent->group : NULL, err);

	/* A run that somebody's run asks for is one of theirs, too. */
	for (size_t i = 0; r == 0 && i < session->chain.count; i++)
		r = halts_check(session->places.state, session->chain.hops[i].agent_id,
			session->chain.hops[i].group, err);
	return r == 0 ? session_hold_counts(session, err) : r;
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	return count;
}

static int compare_words(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

/* Every path that the profile, the plan and this run are about, each once (the plan's own and a
 * base profile's are much the same), in a new array; the strings are borrowed. */
static const char **all_paths(const struct session *session, const char *const *of_profile)
{
	const char *const *of_plan = plan_fact_paths();
	const char *own[2 + SESSION_OWN_PATHS] = {session->directory, session->places.home};
	size_t n = count_words(of_profile), m = count_words(of_plan), total = n + m, kept = 0;
	const char **paths = calloc(total + array_size(own) + 1, sizeof(*paths));

	if (!paths)
		return NULL;
	for (size_t i = 0; i < SESSION_OWN_PATHS; i++)
		own[2 + i] = session->own_paths[i] ? session->own_paths[i] : "";
	memcpy(paths, of_profile, n * sizeof(*paths));
	memcpy(paths + n, of_plan, m * sizeof(*paths));
	for (size_t i = 0; i < array_size(own); i++)
		if (own[i][0])
			paths[total++] = own[i];
	qsort(paths, total, sizeof(*paths), compare_words);
	for (size_t i = 0; i < total; i++)
		if (kept == 0 || strcmp(paths[kept - 1], paths[i]) != 0)
			paths[kept++] = paths[i];
	paths[kept] = NULL;
	return paths;
}

static bool needs_cgroup(const struct profile *p)
{
	return plan_needs_meter(p) || p->requires.cgroup.set || p->limits.memory_bytes.set ||
	       p->limits.pids.set || p->limits.cpu_percent.set || p->limits.io_weight.set;
}

int session_check(struct session *session, struct error *err)
{
	autofree const char **of_profile = NULL, **globs = NULL, **paths = NULL, **programs = NULL;
	struct facts_request request = {.thorough = session->request->thorough,
		.no_cgroup = !session->request->thorough && !needs_cgroup(session->profile)};
	int r = profile_paths(session->profile, &of_profile, &globs);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "cannot list the paths of the profile: %s",
			strerror(-r));
	r = own_state_find(session, err);
	if (r < 0)
		return r;
	paths = all_paths(session, of_profile);
	programs = profile_programs(session->profile);
	if (!paths || !programs)
		return error_errno(err, "facts");
	if (session->request->record && session->places.state)
		own_state_prepare(session);
	request.paths = paths;
	request.globs = globs;
	request.programs = programs;
	r = facts_gather(&request, &session->facts, err);
	/* Nobody but root can make a link, and nobody else needs to be able to read the file. */
	if (r == 0 && session->facts->privileged)
		r = network_file_read(NETWORK_FILE, session->facts, &session->diagnostics, err);
	if (r == 0 && plan_needs_meter(session->profile))
		r = metering_facts(session->facts, session->request->argv != NULL, err);
	if (r < 0)
		return r;
	return profile_check_paths(session->profile, session->facts, &session->diagnostics, err);
}

static int compile(struct session *session, const struct plan_request *request, struct error *err)
{
	int (*const how)(const struct profile *, const Berm__Wire__HostFacts *,
		const struct plan_request *, Berm__Wire__Plan **, struct text *, struct error *) =
		planners_are_used() ? planned_compile : plan_compile;

	return how(session->profile, session->facts, request, &session->plan, &session->notes, err);
}

int session_compile(struct session *session, struct error *err)
{
	const struct session_request *asked = session->request;
	const struct plan_request request = {
		.argv = asked->argv,
		.home = session->places.home[0] ? session->places.home : NULL,
		.working_directory = session->directory,
		.working_directory_explicit = asked->directory != NULL,
		.environment = (const char *const *)environ,
		.env_extra = asked->env_extra,
		.wall_time_ms = asked->timeout_ms,
		.allow_degraded = asked->allow_degraded,
		.run_id = session->run_id,
		.trace_denials = asked->trace_denials,
		.agent = session_agent(session),
	};
	int r = compile(session, &request, err);

	if (r < 0 && agent_run_cannot_stage(session, err)) {
		text_finish(&session->notes);
		r = compile(session, &request, err);
	}
	if (r == 0 && own_state_is_reached(session)) {
		r = own_state_deny(session, err);
		plan_destroy(session->plan);
		session->plan = NULL;
		text_finish(&session->notes);
		if (r == 0)
			r = compile(session, &request, err);
	}
	if (r < 0)
		return r;
	if (session->agent_run && agent_run_check(session, err) < 0)
		return err->code;
	r = plan_digest(session->plan, session->plan_digest);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "cannot hash the plan: %s", strerror(-r))
		     : 0;
}

int session_approve(struct session *session, struct error *err)
{
	int r = session_hold(session, err);

	session->approved = r == 0;
	return r;
}

/* The only door to a tool: who forgot to ask gets nothing started. */
static bool may_run(const struct session *session, struct run_result *result)
{
	if (session->approved || !session_is_held(session))
		return true;
	*result = (struct run_result){.outcome = RUN_REFUSED, .code = EXIT_REFUSED};
	error_set(&result->error, -EPERM, ERROR_REFUSED, "nobody was asked, and %s has to be",
		session->plan->approvals ? "somebody (approvals, gates)" : "a person");
	return false;
}

/* They were for a run that is over: what would end berm before it has said how is taken away. */
static void drop_pending(const sigset_t *held)
{
	const struct timespec at_once = {0};
	siginfo_t info;

	while (sigtimedwait(held, &info, &at_once) > 0 || errno == EINTR)
		;
}

void session_run(struct session *session, struct run_result *ret_result)
{
	sigset_t held, before;

	if (!may_run(session, ret_result))
		return;

	/* An agent's run that dies between its end and its being told counts as all that it could
	 * have done: signals wait for that. The tool has a mask of its own. */
	sigemptyset(&held);
	if (session->agent_run)
		sigfillset(&held);
	sigprocmask(SIG_BLOCK, &held, &before);
	live_run(session, ret_result);
	agent_run_end(session, ret_result);
	if (session->agent_run)
		drop_pending(&held);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void session_take_outputs(struct session *session, const struct run_result *result)
{
	struct error err = {0};

	if (result->outcome == RUN_SETUP_FAILED || result->outcome == RUN_REFUSED)
		return;
	/* There is a receipt also without them. */
	if (outputs_hash(session->plan->recorder, &session->outputs, &session->output_count, &err) <
		0)
		log_line("run: %s", err.text);
}

void session_refused(struct session *session, const struct run_result *result)
{
	const struct agent_run *run = session->agent_run;

	/* Anybody can be refused as often as they like: who may start nothing writes nothing into
	 * the log either. The supervisor counts them. */
	if (run && run->is_stranger && session->request->client)
		return;
	if (session->request && session->request->record)
		recording_refused(session, result);
}

void session_finish(struct session *session)
{
	recording_close(session);
	agent_run_end(session, NULL);
	denials_finish(&session->denials);
	text_finish(&session->notes);
	text_finish(&session->diagnostics);
	plan_destroy(session->plan);
	if (session->facts)
		berm__wire__host_facts__free_unpacked(session->facts, NULL);
	profile_destroy(session->profile);
	profile_destroy(session->own_profile);
	agent_run_finish(session->agent_run);
	own_state_finish(session);
	session_hold_finish(session->held);
	own_free(&session->own_deny);
	own_free(&session->outputs);
	own_free(&session->directory);
	places_finish(&session->places);
	*session = (struct session){0};
}
