/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-run.h"

#include "base/log.h"
#include "base/path.h"
#include "daemon/agent-group.h"
#include "daemon/agent-lost.h"
#include "daemon/session.h"

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

	return request->agent && !asks_as_operator(session) ? NULL : request->state_dir;
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

	if (!run->is_operator &&
		(!run->agent || !admission_is_starter(
					run->agent, session->caller.uid, session->caller.gid))) {
		agent_free(&run->agent);
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

	if (run->is_operator)
		return 0;
	if (chosen)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s is for the operator of the agent %s alone", chosen, run->agent->name);
	if (!run->agent->directory[0])
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the agent %s has no directory of its own, so that only its operator can "
			"start it (berm agent set --directory DIR)",
			run->agent->name);
	return 0;
}

int agent_run_find(struct session *session, struct error *err)
{
	struct agent_run *run;
	int r;

	if (session->request->state_dir && !asks_as_operator(session))
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

/* All that may be written may be read, and nothing is sent. Programs do not run from where a run
 * can write, and must not begin to by that: another run may have left them there. */
static int start_read_only(struct agent_run *run, struct profile *p, struct error *err)
{
	size_t reads = p->fs.read.count, writes = p->fs.write.count;
	struct path_rule *items = calloc(reads + writes + 1, sizeof(*items));

	if (!items)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (reads)
		memcpy(items, p->fs.read.items, reads * sizeof(*items));
	if (writes)
		memcpy(items + reads, p->fs.write.items, writes * sizeof(*items));
	for (size_t i = 0; i < writes; i++) {
		struct path_rule *copy = &items[reads + i];

		copy->access = PATH_READ;
		copy->no_exec = true;
		for (size_t k = 0; k < reads; k++)
			items[k].no_exec |= path_is_beneath(items[k].path, copy->path);
	}
	run->kept_read = items;
	p->fs.read.items = items;
	p->fs.read.count = reads + writes;
	p->fs.write.count = 0;
	p->fs.protect.count = 0;
	p->network.mode = NETWORK_MODE_SCOPED;
	p->network.allow.count = p->network.ask.count = p->network.listen.count = 0;
	p->network.unix_sockets.count = 0;
	return 0;
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
			"any",
			run->agent->tier, run->agent->name);
	if (tier->wants_breaker && !p->pace.alternate.when.count)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u has to have a breaker: pace.alternate.when of its "
			"profile is empty",
			run->agent->tier);
	if (tier->time_box_ms)
		tighten(&p->limits.wall_time_ms, tier->time_box_ms, run->label);
	return 0;
}

/* At least one of a thing that one of was allowed: a cap of processes has to let the tool itself
 * begin. */
static void halve(struct limit *limit)
{
	if (limit->set && limit->value > 1)
		limit->value /= 2;
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

static int tighten_profile(struct agent_run *run, struct profile *p, struct error *err)
{
	int r = run->answer.read_only ? start_read_only(run, p, err) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < array_size(caps); i++)
		if (run->answer.caps[caps[i].counter] != AGENT_UNLIMITED)
			tighten(cap_at(p, i), run->answer.caps[caps[i].counter], run->label);
	if (run->answer.halved)
		halve_thresholds(p);
	return check_tier(run, p, err);
}

/* ---- admission ---- */

static void hash_call(const char *const *argv, uint8_t call[AGENT_CALL_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, AGENT_CALL_BYTES);
	for (; argv && *argv; argv++)
		crypto_generichash_update(&state, (const unsigned char *)*argv, strlen(*argv) + 1);
	crypto_generichash_final(&state, call, AGENT_CALL_BYTES);
}

static int make_request(const struct session *session, uint8_t call[AGENT_CALL_BYTES],
	struct admission_request *ret_request, struct error *err)
{
	const struct session_request *asked = session->request;

	if (asked->task && !agent_name_is_good(asked->task))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a task's name is 1 to %d of a-z, 0-9, \"_\" and \"-\"", AGENT_NAME_MAX);
	hash_call(asked->argv, call);
	*ret_request = (struct admission_request){.run = session->run_id,
		.mark = agent_mark_of(session->run_id),
		.uid = session->caller.uid,
		.gid = session->caller.gid,
		.is_operator = session->agent_run->is_operator,
		.task = asked->task ? asked->task : "",
		.call = call};
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		ret_request->caps[i] = AGENT_UNLIMITED;
	for (size_t i = 0; i < array_size(caps); i++) {
		const struct limit *cap = cap_at(session->profile, i);

		if (cap->set)
			ret_request->caps[caps[i].counter] = cap->value;
	}
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

/* The run was made of what the agent was when it was found. Whoever keeps a start waiting between
 * the two must not get yesterday's profile with today's leave. */
static int check_unchanged(
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
static int ask(struct agent_run *run, const struct admission_request *request, struct error *err)
{
	struct admission_group group = {0};
	autoagent Berm__Wire__Agent *agent = NULL;
	struct agent_now now = {0};
	size_t lasted;
	int r = agents_now(&now, err);

	if (r == 0)
		r = agent_run_read_again(run, &agent, err);
	lasted = agent ? agent->n_runs : 0;
	if (r == 0 && agent)
		r = check_unchanged(run, agent, err);
	if (r == 0 && agent)
		r = agent_end_lost(&run->agents, agent, &now, err);
	if (r == 0 && agent)
		r = agent_group(&run->agents, agent, &group, err);
	if (r < 0 || !agent)
		return r;
	/* Written down whatever the answer is: a run is lost once, not at each attempt anew. */
	if (agent->n_runs < lasted) {
		r = agents_write(&run->agents, agent, err);
		if (r < 0)
			return r;
		agent_receipts_sweep(&run->agents, agent);
	}
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
	int r = make_request(session, call, &request, err);

	if (r < 0)
		return r;
	lock = agents_lock(&run->agents, err);
	if (lock < 0)
		return lock;
	r = ask(run, &request, err);
	state_unlock(&lock);
	return r < 0 ? r : tighten_profile(run, session->profile, err);
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
