/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-run.h"

#include "base/log.h"
#include "daemon/agent-group.h"
#include "daemon/agent-lost.h"
#include "daemon/session.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#define SETTLE_AT_ONCE_MS 500
#define SETTLE_MS 2000       /* where what the run did is kept already */
#define SETTLE_ANEW_MS 30000 /* a full disk may be looked after in that time */
#define SETTLE_PAUSE_MS 250

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
		r = agents_read(&run->agents, session->request->agent, &run->agent, err);
	if (r < 0) {
		/* For a run NOT_FOUND is its command. */
		if (err->kind == ERROR_NOT_FOUND)
			err->kind = ERROR_INPUT;
		return r;
	}
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

/* All that may be written may be read, and nothing is sent. */
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

	for (size_t i = 0; i < array_size(caps); i++)
		capped |= cap_at(p, i)->set;
	if (tier->wants_caps && !capped)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u has to have a cap: neither blast_radius of its "
			"profile nor a budget of the agent %s says any",
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

static int tighten_profile(struct agent_run *run, struct profile *p, struct error *err)
{
	int r = run->answer.read_only ? start_read_only(run, p, err) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < array_size(caps); i++)
		if (run->answer.caps[caps[i].counter] != AGENT_UNLIMITED)
			tighten(cap_at(p, i), run->answer.caps[caps[i].counter], run->label);
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

/* As it is now; it may have got another name since. */
static int read_again(const struct agent_run *run, Berm__Wire__Agent **ret_agent, struct error *err)
{
	struct error ignored = {0};

	if (agents_read(&run->agents, run->agent->name, ret_agent, &ignored) == 0) {
		if (strcmp((*ret_agent)->id, run->agent->id) == 0)
			return 0;
		agent_free(ret_agent);
	}
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
		r = read_again(run, &agent, err);
	lasted = agent ? agent->n_runs : 0;
	if (r == 0 && agent)
		r = check_unchanged(run, agent, err);
	if (r == 0 && agent)
		r = agent_end_lost(&run->agents, agent, &now, err);
	if (r == 0 && agent)
		r = agent_group(&run->agents, agent, &now, &group, err);
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
	if (agent_tier(run->agent->tier)->never_degraded && session->plan->n_degraded)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u never does without what its host lacks (%s)",
			run->agent->tier, session->plan->degraded[0]);
	return 0;
}

/* ---- the end ---- */

static enum admission_end end_of(const struct session *session, const struct run_result *result)
{
	/* A tool that fills the disk of the recorder does not get its tries back by that. */
	if (result && session->tool_ran)
		return ADMISSION_FAILED;
	if (!result || result->outcome == RUN_SETUP_FAILED || result->outcome == RUN_REFUSED)
		return ADMISSION_NEVER_RAN;
	return result->outcome == RUN_EXITED && result->code == 0 ? ADMISSION_WORKED
								  : ADMISSION_FAILED;
}

/* What is known of the run so far, for whoever finds it without its berm. */
static int keep_receipt(
	const struct session *session, const enum admission_end *end, struct error *err)
{
	const struct agent_run *run = session->agent_run;
	Berm__Wire__AgentReceipt receipt;
	uint64_t done[COUNTER_COUNT];

	berm__wire__agent_receipt__init(&receipt);
	receipt.version = AGENT_VERSION;
	receipt.run = (char *)(uintptr_t)session->run_id;
	receipt.agent = run->agent->id;
	receipt.begun = run->begun;
	receipt.limit_ms = session->plan ? session->plan->wall_time_ms : 0;
	if (end) {
		receipt.ended = true;
		receipt.end = *end;
		receipt.n_done = COUNTER_COUNT;
		receipt.done = done;
		memcpy(done, session->effects.done, sizeof(done));
	}
	return agent_receipt_write(&run->agents, &receipt, err);
}

int agent_run_begins(struct session *session, struct error *err)
{
	struct agent_run *run = session->agent_run;
	struct agent_now now = {0};
	int r;

	if (!run)
		return 0;
	r = agents_now(&now, err);
	if (r < 0)
		return r;
	run->begun = agent_moment(&now);
	return run->begun ? keep_receipt(session, NULL, err)
			  : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

static int settle(
	const struct session *session, enum admission_end end, unsigned wait_ms, struct error *err)
{
	const struct agent_run *run = session->agent_run;
	autounlock int lock = state_lock(run->agents.state_fd, wait_ms, err);
	autoagent Berm__Wire__Agent *agent = NULL;
	struct agent_now now = {0};
	int r = lock < 0 ? lock : agents_now(&now, err);

	if (r == 0)
		r = read_again(run, &agent, err);
	if (r == 0 && admission_end(agent, session->run_id, end, session->effects.done, &now) < 0)
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (r == 0)
		r = agents_write(&run->agents, agent, err);
	if (r == 0)
		agent_receipt_remove(&run->agents, session->run_id);
	return r;
}

/* Whoever holds the lock for long must not make the run cost all that it had reserved: what it did
 * is written down beside the agent, and counted when somebody can. */
static int tell_agent(const struct session *session, enum admission_end end, struct error *err)
{
	const struct timespec pause = {.tv_nsec = SETTLE_PAUSE_MS * 1000000L};
	struct error ignored = {0};
	int r = settle(session, end, SETTLE_AT_ONCE_MS, err);

	for (unsigned passed = 0; r < 0 && passed < SETTLE_ANEW_MS; passed += SETTLE_PAUSE_MS) {
		if (keep_receipt(session, &end, &ignored) == 0) {
			(void)!settle(session, end, SETTLE_MS, &ignored);
			return 0;
		}
		nanosleep(&pause, NULL);
		r = settle(session, end, 0, err);
	}
	return r;
}

void agent_run_end(struct session *session, const struct run_result *result)
{
	struct agent_run *run = session->agent_run;
	struct error err = {0};

	if (!run || run->mark_fd < 0 || run->ended)
		return;
	run->ended = true;
	if (tell_agent(session, end_of(session, result), &err) < 0)
		log_line("run: what the run did could not be told to the agent %s, so that all "
			 "that was reserved counts as done: %s",
			run->agent->name, err.text);
	own_close(&run->mark_fd);
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
