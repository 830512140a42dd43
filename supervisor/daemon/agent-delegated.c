/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-delegated.h"

#include "daemon/groups.h"
#include "daemon/session.h"
#include "policy/decide.h"
#include "policy/load.h"

#include <string.h>

/* Below that nothing runs. */
#define LEAST_MEMORY_BYTES (64ULL << 20)
#define LEAST_PROCESSES 16

static const char by_delegation[] = "delegation";

static const struct delegation_hop *above(const struct session *session)
{
	return &session->chain.hops[session->chain.count - 1];
}

static int refuse(struct session *session, enum delegation_rule rule, struct error *err)
{
	const struct session_request *request = session->request;
	autotext struct text name = {0};

	text_escape(&name, request->agent, strlen(request->agent), AGENT_NAME_MAX);
	if (request->outcome)
		request->outcome->rule = rule;
	agent_free(&session->agent_run->agent);
	return error_set(err, -EPERM, ERROR_REFUSED, "the agent %s may not delegate to %s: %s (%s)",
		above(session)->agent, name.failed ? "" : text_string(&name),
		delegation_rule_words(rule), delegation_rule_name(rule));
}

/* What a phase wants a person to say yes to, or leaves to nobody, is not done through an agent of
 * another group. */
static int check_phases(struct session *session, struct error *err)
{
	const struct agents *agents = &session->agent_run->agents;
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	autogroups struct groups groups = GROUPS_NONE;
	int r = 0;

	if (!group)
		return error_errno(err, "a group");
	for (size_t i = 0; r == 0 && i < session->chain.count; i++) {
		const char *name = session->chain.hops[i].group;

		if (!name[0])
			continue;
		if (groups.dir_fd < 0)
			r = groups_open_at(agents->state_fd, agents->state, &groups, err);
		if (r == 0)
			r = groups_look(&groups, name, group, err);
		if (r == 0 && group->phase != PHASE_PRIMARY)
			r = refuse(session, DELEGATION_PHASE, err);
	}
	return r;
}

int agent_delegated_find(struct session *session, int found, struct error *err)
{
	struct agent_run *run = session->agent_run;
	autoagent Berm__Wire__Agent *from = NULL;
	enum delegation_rule rule;
	int r;

	if (session->chain.count == 0)
		return error_set(err, -EINVAL, ERROR_INTERNAL, "nobody delegates this run");
	/* As it is now: leave that was taken away holds from the next request on. */
	r = agents_read(&run->agents, above(session)->agent_id, &from, err);
	if (r < 0)
		return r;
	if (found < 0 || !run->agent)
		return refuse(session, DELEGATION_TO, err);
	rule = delegation_judge(&session->chain, from, run->agent);
	return rule == DELEGATION_YES ? check_phases(session, err) : refuse(session, rule, err);
}

/* Each of those that may last at once has its share of what holds at one moment, and no more of
 * them is kept or counted anywhere: all runs of a chain together have at most as often as much as
 * it is long. Of one that shares nothing nothing is shared. */
static void share(struct limit *limit, const struct limit *from, uint64_t least)
{
	uint64_t value = from->value / DELEGATIONS_AT_ONCE;

	if (value < least)
		value = least < from->value ? least : from->value;
	if (from->set && (!limit->set || limit->value > value))
		*limit = (struct limit){.set = true, .value = value, .at = {.file = by_delegation}};
}

static void tighten(struct session *session)
{
	const struct delegation_origin *origin = session->request->delegated;
	const struct profile *from = origin->from->profile;
	struct limit *wall = &session->profile->limits.wall_time_ms;

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (origin->left[i] != DELEGATION_NOTHING)
			agent_run_tighten(session->profile, i, origin->left[i], by_delegation);
	share(&session->profile->limits.memory_bytes, &from->limits.memory_bytes,
		LEAST_MEMORY_BYTES);
	share(&session->profile->limits.pids, &from->limits.pids, LEAST_PROCESSES);
	if (origin->wall_left_ms && (!wall->set || wall->value >= origin->wall_left_ms))
		*wall = (struct limit){
			.set = true, .value = origin->wall_left_ms, .at = {.file = by_delegation}};
}

bool agent_delegated_limits(const struct limit *limit)
{
	return limit->set && limit->at.file == by_delegation;
}

int agent_delegated_narrow(struct session *session, struct error *err)
{
	const struct delegation_origin *origin = session->request->delegated;
	int r = 0;

	if (memcmp(session->profile->digest, session->own_profile->digest,
		    sizeof(session->profile->digest)) != 0)
		r = error_set(err, -EAGAIN, ERROR_REFUSED, "%s was changed while it was read",
			session->profile->file);
	if (r == 0)
		r = profile_narrow_to_run(
			session->profile, origin->from->profile, &session->diagnostics, err);
	if (r == 0)
		tighten(session);
	return r;
}

/* ---- what was refused ---- */

/* The words of denials and what a profile decides about them. */
static const struct {
	const char *word;
	enum operation operation;
} operations[] = {
	{"open", OPERATION_READ},
	{"read", OPERATION_READ},
	{"write", OPERATION_WRITE},
	{"delete", OPERATION_WRITE},
	{"exec", OPERATION_EXEC},
	{"connect", OPERATION_CONNECT},
	{"send", OPERATION_CONNECT},
	{"syscall", OPERATION_SYSCALL},
};

static bool family_is_listed(const struct profile *profile, const char *target)
{
	static const char head[] = "family ";

	if (strncmp(target, head, sizeof(head) - 1) != 0)
		return false;
	for (size_t i = 0; i < profile->syscalls.families.count; i++)
		if (strcmp(profile->syscalls.families.items[i].text, target + sizeof(head) - 1) ==
			0)
			return true;
	return false;
}

static bool allows(const struct profile *profile, const char *operation, const char *target)
{
	struct verdict verdict = {0};

	if (strcmp(operation, "socket") == 0)
		return family_is_listed(profile, target);
	for (size_t i = 0; i < array_size(operations); i++) {
		if (strcmp(operations[i].word, operation) != 0)
			continue;
		decide(profile, operations[i].operation, target, &verdict);
		return verdict.decision == DECISION_ALLOW;
	}
	return false;
}

bool agent_delegated_explains(const struct session *session, const char *operation,
	const char *target, struct denial_rule *rule)
{
	if (!session->own_profile || !allows(session->own_profile, operation, target) ||
		allows(session->profile, operation, target))
		return false;
	*rule = (struct denial_rule){.key = "delegation.scope",
		.value = above(session)->agent,
		.file = "",
		.reason = "the run that delegated this one may not do it"};
	return true;
}
