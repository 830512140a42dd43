/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-group.h"
#include "daemon/agent-run-internal.h"
#include "daemon/group-untold.h"
#include "daemon/session.h"

/* A run of an agent that was held: whether the agent may start it still. */

/* What it may do now is at least what was reserved for it. */
static int check_admission(
	const struct admission *then, const struct admission *now, struct error *err)
{
	const char *less = NULL;

	if (now->rule != ADMISSION_YES)
		return error_set(err, -EPERM, ERROR_REFUSED, "%s", now->words);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (now->caps[i] < then->caps[i])
			less = effect_counter_name(i);
	if (less)
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"while it was held what is left of %s became less; start it again", less);
	if (now->read_only != then->read_only || now->stage_writes != then->stage_writes ||
		now->halved != then->halved || (now->approval && !then->approval))
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"the phase of its group changed while it was held; start it again");
	return 0;
}

/* The agent as it would be without the run of that id. */
static int take_out(Berm__Wire__Agent *agent, const struct agent_now *now,
	const struct admission_request *request, struct error *err)
{
	return admission_end(agent, request->run, ADMISSION_NEVER_RAN, NULL, now) < 0
		       ? error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory")
		       : 0;
}

int agent_run_admit_again(struct session *session, const struct session *first, struct error *err)
{
	struct agent_run *run = session->agent_run;
	struct admission then = first->agent_run->answer;
	struct admission_group group = {0};
	struct admission_request request = {0};
	autoagent Berm__Wire__Agent *agent = NULL;
	uint8_t call[AGENT_CALL_BYTES];
	struct agent_now now = {0};
	autounlock int lock = -1;
	int r = agent_run_request(session, call, &request, err);

	request.counted = true;
	/* As for one that was not held. */
	if (r == 0)
		r = group_untold_tell(run->agents.state, run->agent, AGENTS_LOCK_MS, err);
	if (r == 0)
		agent_group_settle(&run->agents, run->agent);
	if (r == 0)
		r = lock = agents_lock(&run->agents, err);
	if (r >= 0)
		r = agents_now(&now, err);
	if (r == 0)
		r = agent_run_read_again(first->agent_run, &agent, err);
	if (r == 0 && !agent)
		r = error_set(err, -EAGAIN, ERROR_REFUSED, "its agent is not there any more");
	if (r == 0)
		r = agent_run_check_unchanged(first->agent_run, agent, err);
	if (r == 0)
		r = agent_group(&run->agents, agent, &group, err);
	group.read_only |= session->request->is_backup;
	if (r == 0)
		r = take_out(agent, &now, &request, err);
	if (r < 0)
		return r;
	state_unlock(&lock);
	admit(agent, &group, &request, &now, &run->answer);
	/* What it was told, before its writes turned out not to be stageable. */
	run->read_only_instead = first->agent_run->read_only_instead;
	then.read_only &= !run->read_only_instead;
	r = check_admission(&then, &run->answer, err);
	run->answer = then;
	return r < 0 ? r : agent_run_tell_profile(run, session->profile, err);
}
