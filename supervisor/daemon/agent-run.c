/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-run-internal.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/path.h"
#include "daemon/agent-delegated.h"
#include "daemon/agent-group.h"
#include "daemon/agent-lost.h"
#include "daemon/agent-writes.h"
#include "daemon/group-untold.h"
#include "daemon/session.h"
#include "policy/recorded.h"

#include <sodium.h>
#include <string.h>

/* ---- who asks for whom ---- */

/* What an ordinary caller must not choose for an agent of somebody else: each could widen what the
 * agent was given, or show files that the caller may not read. */
static const char *chosen_by_caller(const struct session_request *request)
{
	if (request->directory)
		return "-C";
	if (request->env_extra && request->env_extra[0])
		return "--env";
	if (request->allow_degraded && request->allow_degraded[0])
		return "--allow-degraded";
	return request->ceiling ? "--ceiling" : NULL;
}

static bool asks_as_operator(const struct session *session)
{
	return session->caller.uid == geteuid();
}

const char *agent_run_state_dir(const struct session *session)
{
	const struct session_request *request = session->request;

	/* The supervisor's own is its operator's. */
	if (request->client || !request->agent || asks_as_operator(session))
		return request->state_dir;
	return NULL;
}

/* One answer for what is absent and for what is not theirs: who may not start an agent does not
 * learn that there is one, and nothing of its file or of others' names. */
static int not_theirs(const struct session *session, struct error *err)
{
	autotext struct text name = {0};

	text_escape(
		&name, session->request->agent, strlen(session->request->agent), AGENT_NAME_MAX);
	return error_set(err, -EPERM, ERROR_REFUSED,
		"there is no agent %s that user %u may start (may_start)",
		name.failed ? "" : text_string(&name), (unsigned)session->caller.uid);
}

static int find_agent(struct session *session, struct agent_run *run, struct error *err)
{
	struct error why = {0};
	int r = agents_read(&run->agents, session->request->agent, &run->agent, &why);

	if (session->request->delegated)
		return agent_delegated_find(session, r, err);
	if (!run->is_operator &&
		(!run->agent || !admission_is_starter(
					run->agent, session->caller.uid, session->caller.gid))) {
		agent_free(&run->agent);
		run->is_stranger = true;
		return not_theirs(session, err);
	}
	if (r < 0) {
		/* For a run NOT_FOUND is its command. */
		error_set(err, r,
			why.kind == ERROR_NOT_FOUND ? ERROR_INPUT : (enum error_kind)why.kind, "%s",
			why.text);
	}
	return r;
}

static int check_caller(
	const struct session *session, const struct agent_run *run, struct error *err)
{
	const char *chosen = chosen_by_caller(session->request);

	/* Nobody who asks through a supervisor is anywhere. */
	if (session->request->delegated ||
		(run->is_operator && !session->request->client && !session->request->is_backup))
		return 0;
	if (chosen)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s is for the operator of the agent %s alone", chosen, run->agent->name);
	if (!run->agent->directory[0])
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the agent %s has no directory of its own, so that only its operator can "
			"start it, not through a supervisor and not as a backup (berm agent set "
			"--directory DIR)",
			run->agent->name);
	return 0;
}

int agent_run_find(struct session *session, struct error *err)
{
	struct agent_run *run;
	int r;

	if (session->request->state_dir && !session->request->client && !asks_as_operator(session))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"--state-dir (BERM_STATE_DIR) is for the operator of an agent alone");
	run = calloc(1, sizeof(*run));
	if (!run)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	run->mark_fd = -1;
	run->agents = AGENTS_NONE;
	session->agent_run = run;
	run->is_operator = asks_as_operator(session);
	if (!session->places.state)
		return error_set(err, -ENOENT, ERROR_INTERNAL,
			"no state directory is known, since there is no home directory");
	r = agents_open(session->places.state, &run->agents, err);
	if (r == 0)
		r = find_agent(session, run, err);
	if (r < 0 || !run->agent)
		return r;
	snprintf(run->label, sizeof(run->label), "agent %s", run->agent->name);
	return check_caller(session, run, err);
}

/* ---- what the profile says and has to say ---- */

/* The caps that a profile can hold. */
static const struct {
	enum effect_counter counter;
	size_t offset;
} caps[] = {
	{COUNTER_FILES_CHANGED, offsetof(struct profile, blast_radius.files_changed)},
	{COUNTER_FILES_DELETED, offsetof(struct profile, blast_radius.files_deleted)},
	{COUNTER_BYTES_WRITTEN, offsetof(struct profile, blast_radius.bytes_written)},
	{COUNTER_BYTES_SENT, offsetof(struct profile, blast_radius.bytes_sent)},
	{COUNTER_HOSTS_CONTACTED, offsetof(struct profile, blast_radius.hosts_contacted)},
	{COUNTER_PROCESSES_STARTED, offsetof(struct profile, blast_radius.processes_started)},
};

static struct limit *cap_at(struct profile *profile, size_t index)
{
	return (struct limit *)(void *)((char *)profile + caps[index].offset);
}

bool agent_can_budget(unsigned counter)
{
	for (size_t i = 0; i < array_size(caps); i++)
		if (caps[i].counter == counter)
			return true;
	return false;
}

static void tighten(struct limit *limit, uint64_t value, const char *label)
{
	if (limit->set && limit->value <= value)
		return;
	*limit = (struct limit){.set = true, .value = value, .at = {.file = label}};
}

uint64_t agent_run_cap(const struct profile *profile, unsigned counter)
{
	for (size_t i = 0; i < array_size(caps); i++) {
		const struct limit *cap =
			(const struct limit *)(const void *)((const char *)profile +
							     caps[i].offset);

		if (caps[i].counter == counter && cap->set)
			return cap->value;
	}
	return AGENT_UNLIMITED;
}

void agent_run_tighten(struct profile *profile, unsigned counter, uint64_t most, const char *from)
{
	for (size_t i = 0; i < array_size(caps); i++)
		if (caps[i].counter == counter)
			tighten(cap_at(profile, i), most, from);
}

static int check_tier(const struct agent_run *run, struct profile *p, struct error *err)
{
	const struct agent_tier *tier = agent_tier(run->agent->tier);
	bool capped = false;

	/* Processes are no effect: with such a cap alone nothing of what lasts has an end. */
	for (size_t i = 0; i < array_size(caps); i++)
		capped |= cap_at(p, i)->set && caps[i].counter != COUNTER_PROCESSES_STARTED;
	if (tier->wants_caps && !capped)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u has to have a cap on what it changes or sends: "
			"neither blast_radius of its profile nor a budget of the agent %s says "
			"any (for example `blast_radius: {files_changed: 500}`)",
			run->agent->tier, run->agent->name);
	if (tier->wants_breaker && !p->pace.alternate.when.count)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u has to have a breaker: pace.alternate.when of its "
			"profile is empty (for example `pace: {alternate: {when: [{event: denial, "
			"count: 50, within: 1m}]}}`)",
			run->agent->tier);
	if (tier->never_degraded && recorded_failure(p).action == RECORDED_CONTINUE)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u never runs without being recorded: "
			"recorder.on_failure of its profile is continue",
			run->agent->tier);
	if (agent_time_box_ms(run->agent))
		tighten(&p->limits.wall_time_ms, agent_time_box_ms(run->agent), run->label);
	return 0;
}

/* At least one of a thing that one of was allowed: a cap of processes has to let the tool itself
 * begin. Of three it is two: a breaker of three is not to trip at the first refusal. */
static void halve(struct limit *limit)
{
	if (limit->set)
		limit->value -= limit->value / 2;
}

static void halve_breakers(struct phase_rules *rules)
{
	for (size_t i = 0; i < rules->when.count; i++)
		halve(&rules->when.items[i].count);
}

/* What a group in a phase beneath primary means for those of its agents that are not suspected. A
 * threshold in percent is of a cap, and is halved with it. */
static void halve_thresholds(struct profile *p)
{
	for (size_t i = 0; i < array_size(caps); i++)
		halve(cap_at(p, i));
	halve_breakers(&p->pace.alternate);
	halve_breakers(&p->pace.contingency);
	halve_breakers(&p->pace.emergency);
}

int agent_run_tell_profile(struct agent_run *run, struct profile *p, struct error *err)
{
	int r = run->answer.read_only      ? agent_start_read_only(run, p, err)
		: run->answer.stage_writes ? agent_start_staged(run, p, err)
					   : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < array_size(caps); i++)
		if (run->answer.caps[caps[i].counter] != AGENT_UNLIMITED)
			tighten(cap_at(p, i), run->answer.caps[caps[i].counter], run->label);
	/* A fork bomb, and a loop of short processes. */
	tighten(&p->limits.pids, agent_processes(run->agent), run->label);
	if (agent_starts(run->agent))
		tighten(&p->blast_radius.processes_started, agent_starts(run->agent), run->label);
	if (run->answer.halved)
		halve_thresholds(p);
	return check_tier(run, p, err);
}

/* ---- admission ---- */

static void hash_call(const char *const *argv, const char *again, uint8_t call[AGENT_CALL_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, AGENT_CALL_BYTES);
	for (; argv && *argv; argv++)
		crypto_generichash_update(&state, (const unsigned char *)*argv, strlen(*argv) + 1);
	/* Berm starts the backup for another change of phase: that one run failed is no reason not
	 * to. Without its end, as no command has it: somebody else's run that failed is none
	 * either. */
	if (again)
		crypto_generichash_update(&state, (const unsigned char *)again, strlen(again));
	crypto_generichash_final(&state, call, AGENT_CALL_BYTES);
}

int agent_run_request(const struct session *session, uint8_t call[AGENT_CALL_BYTES],
	struct admission_request *ret_request, struct error *err)
{
	const struct session_request *asked = session->request;

	if (asked->task && !agent_name_is_good(asked->task))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a task's name is 1 to %d of a-z, 0-9, \"_\" and \"-\"", AGENT_NAME_MAX);
	/* Failures in it would be the backup's. */
	if (asked->task && !asked->is_backup &&
		strncmp(asked->task, BACKUP_TASK, strlen(BACKUP_TASK)) == 0)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a task that begins with " BACKUP_TASK
			" is berm's own, for the backup of a group");
	hash_call(asked->argv, asked->is_backup ? asked->task : NULL, call);
	*ret_request = (struct admission_request){.run = session->run_id,
		.mark = agent_mark_of(session->run_id),
		.uid = session->caller.uid,
		.gid = session->caller.gid,
		/* The operator said so of the agent that delegates. */
		.is_operator = session->agent_run->is_operator || asked->delegated,
		.task = asked->task ? asked->task : "",
		.call = call};
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		ret_request->caps[i] = agent_run_cap(session->profile, i);
	return 0;
}

int agent_run_read_again(
	const struct agent_run *run, Berm__Wire__Agent **ret_agent, struct error *err)
{
	struct error why = {0};
	int r = agents_read(&run->agents, run->agent->name, ret_agent, &why);

	if (r == 0 && strcmp((*ret_agent)->id, run->agent->id) == 0)
		return 0;
	/* What is damaged is not what has another name. */
	if (r < 0 && r != -ENOENT)
		return error_set(err, r, (enum error_kind)why.kind, "%s", why.text);
	agent_free(ret_agent);
	return agents_read(&run->agents, run->agent->id, ret_agent, err);
}

int agent_run_check_unchanged(
	const struct agent_run *run, const Berm__Wire__Agent *now, struct error *err)
{
	const Berm__Wire__Agent *then = run->agent;

	if (strcmp(then->profile, now->profile) == 0 &&
		strcmp(then->directory, now->directory) == 0 && then->tier == now->tier &&
		strcmp(then->group, now->group) == 0)
		return 0;
	return error_set(err, -EAGAIN, ERROR_REFUSED,
		"the agent %s was changed while the run was prepared; start it again", now->name);
}

/* Under the lock: the agent as it is now, without the runs that were killed. */
static int ask(
	const struct session *session, const struct admission_request *request, struct error *err)
{
	struct agent_run *run = session->agent_run;
	struct admission_group group = {0};
	autoagent Berm__Wire__Agent *agent = NULL;
	struct agent_now now = {0};
	size_t lasted;
	int r = agents_now(&now, err);

	if (r == 0)
		r = agent_run_read_again(run, &agent, err);
	lasted = agent ? agent->n_runs : 0;
	if (r == 0 && agent)
		r = agent_run_check_unchanged(run, agent, err);
	if (r == 0)
		r = session_reload_check(session, err);
	if (r == 0 && agent)
		r = agent_end_lost(&run->agents, agent, &now, err);
	if (r == 0 && agent)
		r = agent_group(&run->agents, agent, &group, err);
	group.read_only |= session->request->is_backup;
	if (r < 0 || !agent)
		return r;
	/* Written down whatever the answer is: a run is lost once, not at each attempt anew. */
	if (agent->n_runs < lasted) {
		r = agents_write(&run->agents, agent, err);
		if (r < 0)
			return r;
		agent_receipts_sweep(&run->agents, agent);
	}
	failpoint("agent.admitting");
	admit(agent, &group, request, &now, &run->answer);
	if (run->answer.rule != ADMISSION_YES)
		return error_set(err, -EPERM, ERROR_REFUSED, "%s", run->answer.words);
	run->mark_fd = agent_marks_open(&run->agents, err);
	if (run->mark_fd < 0)
		return run->mark_fd;
	r = agent_mark_hold(run->mark_fd, request->mark, err);
	if (r == 0 && admission_begin(agent, &run->answer, request, &now) < 0)
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (r == 0)
		r = agents_write(&run->agents, agent, err);
	failpoint("agent.admitted");
	if (r < 0)
		own_close(&run->mark_fd);
	return r;
}

int agent_run_admit(struct session *session, struct error *err)
{
	struct agent_run *run = session->agent_run;
	struct admission_request request = {0};
	uint8_t call[AGENT_CALL_BYTES];
	autounlock int lock = -1;
	int r = agent_run_request(session, call, &request, err);

	/* What runs before did, and their berms could not tell: this one may have to stay out for
	 * it. */
	if (r == 0)
		r = group_untold_tell(run->agents.state, run->agent, AGENTS_LOCK_MS, err);
	if (r < 0)
		return r;
	agent_group_settle(&run->agents, run->agent);
	lock = agents_lock(&run->agents, err);
	if (lock < 0)
		return lock;
	r = ask(session, &request, err);
	state_unlock(&lock);
	return r < 0 ? r : agent_run_tell_profile(run, session->profile, err);
}

/* One that can trip: a canary needs canaries, and a recorder is nothing that the tool does. */
static bool has_breaker(const struct session *session)
{
	const Berm__Wire__Meter *meter = session->plan->meter;

	for (size_t i = 0; meter && i < meter->n_breakers; i++) {
		const Berm__Wire__MeterBreaker *b = meter->breakers[i];

		if (b->posture &&
			(b->class_ != DENIAL_CANARY || session->profile->fs.canaries.count))
			return true;
	}
	for (size_t i = 0; meter && i < meter->n_steps; i++)
		if (meter->steps[i]->posture)
			return true;
	return false;
}

/* What a run that changes nothing cannot do without: the walls that say so. */
static const char *missing_wall(const struct session *session)
{
	static const char *const walls[] = {"netns", "landlock"};
	const Berm__Wire__Plan *plan = session->plan;

	for (size_t i = 0; i < plan->n_degraded; i++)
		for (size_t k = 0; k < array_size(walls); k++)
			if (strcmp(plan->degraded[i], walls[k]) == 0)
				return walls[k];
	return NULL;
}

int agent_run_check(const struct session *session, struct error *err)
{
	const struct agent_run *run = session->agent_run;
	const Berm__Wire__Meter *meter = session->plan->meter;

	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		bool counted = false;

		if (run->answer.caps[i] == AGENT_UNLIMITED)
			continue;
		for (size_t k = 0; meter && k < meter->n_caps; k++)
			counted |= meter->caps[k]->counter == i;
		if (!counted)
			return error_set(err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
				"the agent %s has a budget of %s, which nothing counts here; it is "
				"not started without",
				run->agent->name, effect_counter_name(i));
	}
	if (run->answer.read_only && missing_wall(session))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"a run of the agent %s that changes nothing is not started without %s",
			run->agent->name, missing_wall(session));
	if (agent_tier(run->agent->tier)->wants_breaker && !has_breaker(session))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u has to have a breaker that can trip: nothing of "
			"pace.alternate.when and blast_radius of its profile does",
			run->agent->tier);
	if (agent_tier(run->agent->tier)->never_degraded && session->plan->n_degraded)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u never does without what its host lacks (%s)",
			run->agent->tier, session->plan->degraded[0]);
	return 0;
}

void agent_run_finish(struct agent_run *run)
{
	if (!run)
		return;
	own_close(&run->mark_fd);
	agent_free(&run->agent);
	if (run->begun)
		berm__wire__agent_moment__free_unpacked(run->begun, NULL);
	agents_close(&run->agents);
	own_free(&run->kept_read);
	free(run);
}
