/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "govern/admission.h"

/* A run of an agent: its profile and its budgets come from there. The steps belong between those of
 * session.h. */

struct profile;
struct session;
struct run_result;

struct agent_run {
	struct agents agents;
	Berm__Wire__Agent *agent; /* owned: as it was read */
	bool is_operator;         /* who asks is the owner of the state directory */
	bool is_stranger;         /* who asks may not start it */
	struct admission answer;
	bool staged_by_phase;   /* its profile says otherwise */
	bool read_only_instead; /* its writes were to be staged, and cannot be */
	int mark_fd;            /* owned: the lock of AgentRun.mark; -1: not admitted */
	bool ended;
	Berm__Wire__AgentMoment *begun;    /* owned; NULL: the tool was not about to start yet */
	const struct path_rule *kept_read; /* owned: what fs.read is in a read-only start */
	char label[AGENT_NAME_MAX + 8];    /* "agent NAME": where limits come from */
};

/* The state directory that the caller named; NULL: the usual one. Who starts an agent of somebody
 * else gets the usual one in any case: another one would be of other agents and budgets, and berm
 * would make files there as root, a refusal's record among them. The session knows its caller. */
const char *agent_run_state_dir(const struct session *session);
/* Find the agent that was asked for and who asks; what others must not choose is refused. The
 * session has its places. */
int agent_run_find(struct session *session, struct error *err) must_check;
/* Ask for admission, reserve what the run may do, and let the loaded profile say so. */
int agent_run_admit(struct session *session, struct error *err) must_check;
/* It was held for a while, and `session` is the run of `first` once more: it may start still, with
 * what was reserved for it then. Nothing is counted or written. */
int agent_run_admit_again(
	struct session *session, const struct session *first, struct error *err) must_check;
/* All that the run can write is staged. */
bool agent_run_is_staged(const struct session *session);
/* The writes that its group's phase would have staged cannot be: change the profile so that the run
 * changes nothing, and say why. False where the phase asked for no such thing. */
bool agent_run_cannot_stage(struct session *session, struct error *err);
/* The plan holds and counts everything that the agent has a budget for. */
int agent_run_check(const struct session *session, struct error *err) must_check;
/* The tool is about to start: from here on a run that is killed counts as all that it had reserved,
 * before as nothing but a run. Fine where there is no agent. */
int agent_run_begins(struct session *session, struct error *err) must_check;
/* The agent as it is now; it may have got another name since. Release with agent_free(). */
int agent_run_read_again(
	const struct agent_run *run, Berm__Wire__Agent **ret_agent, struct error *err) must_check;
/* Count what it did; result NULL: it never came to be. Fine where there is no agent. */
void agent_run_end(struct session *session, const struct run_result *result);
/* What the profile lets one run do, by counter; AGENT_UNLIMITED: there is no cap. */
uint64_t agent_run_cap(const struct profile *profile, unsigned counter);
/* Have the profile let a run do no more than that; from: where the limit comes from, static. */
void agent_run_tighten(struct profile *profile, unsigned counter, uint64_t most, const char *from);
/* A profile can hold a cap on that counter, so that an agent can have a budget of it. */
bool agent_can_budget(unsigned counter);
void agent_run_finish(struct agent_run *run); /* NULL is fine */
