/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "base/log.h"
#include "daemon/agent-lost.h"
#include "daemon/agent-run.h"
#include "daemon/session.h"

#include <string.h>
#include <time.h>

/* The end of an agent's run: what it did is counted, whatever stands in the way. */

#define SETTLE_AT_ONCE_MS 500
#define SETTLE_MS 2000       /* where what the run did is kept already */
#define SETTLE_ANEW_MS 30000 /* a full disk may be looked after in that time */
#define SETTLE_PAUSE_MS 250

static enum admission_end end_of(const struct session *session, const struct run_result *result)
{
	/* A tool that fills the disk of the recorder does not get its tries back by that. */
	if (session->was_denied || (result && session->tool_ran))
		return ADMISSION_FAILED;
	if (!result || !session->agent_run->begun || result->outcome == RUN_REFUSED)
		return ADMISSION_NEVER_RAN;
	return result->outcome == RUN_EXITED && result->code == 0 ? ADMISSION_WORKED
								  : ADMISSION_FAILED;
}

/* With what it had others do. */
static void sum(const struct session *session, uint64_t ret_done[COUNTER_COUNT])
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		ret_done[i] = session->effects.done[i] + session->delegated_done[i];
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
		sum(session, done);
	}
	failpoint("receipt.writing");
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
	if (!run->begun)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = keep_receipt(session, NULL, err);
	if (r < 0) {
		/* Its tool is not started. */
		berm__wire__agent_moment__free_unpacked(run->begun, NULL);
		run->begun = NULL;
	}
	return r;
}

static int settle(
	const struct session *session, enum admission_end end, unsigned wait_ms, struct error *err)
{
	const struct agent_run *run = session->agent_run;
	autounlock int lock = state_lock(run->agents.state_fd, wait_ms, err);
	autoagent Berm__Wire__Agent *agent = NULL;
	uint64_t done[COUNTER_COUNT];
	struct agent_now now = {0};
	int r = lock < 0 ? lock : agents_now(&now, err);

	sum(session, done);
	if (r == 0)
		r = agent_run_read_again(run, &agent, err);
	if (r == 0 && admission_end(agent, session->run_id, end, done, &now) < 0)
		r = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (r == 0)
		r = agents_write(&run->agents, agent, err);
	failpoint("agent.settled");
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

	if (session->request && session->request->outcome)
		sum(session, session->request->outcome->done);
	if (!run || run->mark_fd < 0 || run->ended)
		return;
	run->ended = true;
	failpoint("agent.ending");
	if (tell_agent(session, end_of(session, result), &err) < 0)
		log_line("run: what the run did could not be told to the agent %s, so that all "
			 "that was reserved counts as done: %s",
			run->agent->name, err.text);
	own_close(&run->mark_fd);
}
