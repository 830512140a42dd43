/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/plan-guard.h"

#include "daemon/plan-guard-internal.h"
#include "plan/compile.h"
#include "plan/filter.h"
#include "policy/approvals.h"
#include "policy/calls.h"

#include <linux/audit.h>
#include <linux/landlock.h>
#include <string.h>

int guard_wrong(const struct guarded *g, const char *what)
{
	return error_set(g->err, -EPROTO, ERROR_INTERNAL, "the planner's plan %s", what);
}

/* ---- what it points at ---- */

static bool is_a_rule(const char *field)
{
	size_t length = strlen(field);

	return strcmp(field, "rule") == 0 ||
	       (length > 5 && strcmp(field + length - 5, "_rule") == 0);
}

/* Every index into Plan.rules, wherever it stands in the messages of plan.proto. */
static bool rules_are_there(const ProtobufCMessage *message, size_t n_rules)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;

	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		const void *at = (const char *)message + field->offset;
		size_t count = 1;

		if (field->type == PROTOBUF_C_TYPE_UINT32 && is_a_rule(field->name) &&
			*(const uint32_t *)at >= n_rules)
			return false;
		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			const void *counted = (const char *)message + field->quantifier_offset;

			count = *(const size_t *)counted;
			at = *(const void *const *)at;
		}
		for (size_t k = 0; k < count; k++) {
			const ProtobufCMessage *part = ((const ProtobufCMessage *const *)at)[k];

			if (part && !rules_are_there(part, n_rules))
				return false;
		}
	}
	return true;
}

static int check_indices(const struct guarded *g)
{
	return rules_are_there(&g->plan->base, g->plan->n_rules)
		       ? 0
		       : guard_wrong(g, "has a rule that it does not list");
}

/* ---- whose run it is ---- */

static int check_run(const struct guarded *g)
{
	static const char name[] = "BERM_RUN=";
	const char *run = g->request->run_id && g->request->run_id[0] ? g->request->run_id : NULL;
	size_t length = sizeof(name) - 1, found = 0;

	for (size_t i = 0; i < g->plan->n_environment; i++) {
		const char *variable = g->plan->environment[i];

		if (strncmp(variable, name, length) != 0)
			continue;
		if (!run || strcmp(variable + length, run) != 0)
			return guard_wrong(g, "is of another run");
		found++;
	}
	return found == (run ? 1 : 0) ? 0 : guard_wrong(g, "is of no run");
}

static int check_command(const struct guarded *g)
{
	size_t count = 0;

	for (; g->request->argv && g->request->argv[count]; count++)
		if (count >= g->plan->n_argv ||
			strcmp(g->plan->argv[count], g->request->argv[count]) != 0)
			return guard_wrong(g, "is of another command");
	return count == g->plan->n_argv ? 0 : guard_wrong(g, "is of another command");
}

static int check_agent(const struct guarded *g)
{
	const Berm__Wire__PlanAgent *is = g->plan->agent;
	const Berm__Wire__Agent *ours = g->request->agent;

	if (!is != !ours ||
		(is && (strcmp(is->id, ours->id) != 0 || strcmp(is->name, ours->name) != 0 ||
			       strcmp(is->group, ours->group) != 0 || is->tier != ours->tier)))
		return guard_wrong(g, "is of another agent");
	return 0;
}

static bool is_dedicated(uint32_t id)
{
	return id >= DEDICATED_UID_FIRST && id - DEDICATED_UID_FIRST < DEDICATED_UID_COUNT;
}

static int check_identity(const struct guarded *g)
{
	const Berm__Wire__Identity *id = g->plan->identity;
	const Berm__Wire__HostFacts *f = g->facts;
	bool user, group;

	if (!id)
		return guard_wrong(g, "is nobody's");
	user = f->privileged && f->caller_uid == 0 ? is_dedicated(id->outside_uid)
						   : id->outside_uid == f->caller_uid;
	group = id->outside_gid == f->caller_gid;
	if (f->privileged && (f->caller_uid == 0 || f->caller_gid == 0))
		group = id->outside_gid == id->outside_uid;
	if (!user || !group || id->inside_uid == 0 || id->inside_gid == 0 ||
		!!id->drop_from_root != !!f->privileged)
		return guard_wrong(g, "is another user's");
	return 0;
}

static int check_profile(const struct guarded *g)
{
	const Berm__Wire__Plan *plan = g->plan;
	uint64_t wall = plan->wall_time_ms;

	if (plan->version != 1 || plan->profile_digest.len != sizeof(g->profile->digest) ||
		memcmp(plan->profile_digest.data, g->profile->digest, sizeof(g->profile->digest)) !=
			0 ||
		strcmp(plan->profile_name, g->profile->name) != 0)
		return guard_wrong(g, "is of another profile");
	if ((g->request->wall_time_ms && (!wall || wall > g->request->wall_time_ms)) ||
		(g->profile->limits.wall_time_ms.set &&
			(!wall || wall > g->profile->limits.wall_time_ms.value)))
		return guard_wrong(g, "lasts longer than it may");
	if (!!plan->trace_denials != g->request->trace_denials)
		return guard_wrong(g, "traces what nobody asked for, or not what somebody did");
	return 0;
}

/* ---- its walls ---- */

bool guard_is_degraded(const struct guarded *g, const char *feature)
{
	for (size_t i = 0; i < g->plan->n_degraded; i++)
		if (strcmp(g->plan->degraded[i], feature) == 0)
			return true;
	return false;
}

/* Whoever wrote the profile, or asks for the run, said so of that one. */
static int check_degraded(const struct guarded *g)
{
	for (size_t i = 0; i < g->plan->n_degraded; i++) {
		const char *const *allowed = g->request->allow_degraded;

		while (allowed && *allowed && strcmp(*allowed, g->plan->degraded[i]) != 0)
			allowed++;
		if (!g->profile->degrade && !(allowed && *allowed))
			return guard_wrong(g, "does without what nobody does without");
	}
	return 0;
}

static int check_landlock(const struct guarded *g)
{
	const Berm__Wire__Landlock *l = g->plan->landlock;
	uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (!g->facts->landlock_abi || guard_is_degraded(g, "landlock"))
		return 0;
	if (g->facts->landlock_abi >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
	if (!l || !l->abi || l->abi > g->facts->landlock_abi || (l->handled_fs & all) != all)
		return guard_wrong(g, "has no Landlock, which this host has");
	return 0;
}

/* The call is made: at once, or after a look at it. */
static bool goes_on(Berm__Wire__SyscallAction action)
{
	return action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW ||
	       action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE ||
	       action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE;
}

static bool goes_on_ever(const Berm__Wire__Syscall *row)
{
	for (size_t i = 0; i < row->n_cases; i++)
		if (goes_on(row->cases[i]->action))
			return true;
	return goes_on(row->action);
}

static int check_rows(const struct guarded *g, const Berm__Wire__Seccomp *seccomp)
{
	for (size_t i = 0; i < seccomp->n_syscalls; i++) {
		const Berm__Wire__Syscall *row = seccomp->syscalls[i];
		const struct calls_entry *call = calls_find(row->name);
		int number = call ? (g->facts->audit_arch == AUDIT_ARCH_AARCH64 ? call->aarch64
										: call->x86_64)
				  : -1;

		if (!call || number < 0 || (uint32_t)number != row->number)
			return guard_wrong(g, "has a system call that is none");
		if (call->flags & CALLS_NEVER && goes_on_ever(row))
			return guard_wrong(g, "allows a system call that no profile can allow");
	}
	return 0;
}

/* The program that is loaded is what its rows say, compiled here. */
static int check_program(const struct guarded *g, const Berm__Wire__Seccomp *seccomp)
{
	Berm__Wire__Seccomp again = *seccomp;
	struct error ignored = {0};
	bool same;

	again.program = (ProtobufCBinaryData){0};
	same = filter_compile(&again, &ignored) == 0 && again.program.len == seccomp->program.len &&
	       memcmp(again.program.data, seccomp->program.data, again.program.len) == 0;
	free(again.program.data);
	return same ? 0 : guard_wrong(g, "has a filter of system calls that is not what it says");
}

static int check_calls(const struct guarded *g)
{
	const Berm__Wire__Seccomp *seccomp = g->plan->seccomp;
	int r;

	if (!seccomp || !seccomp->n_syscalls || !seccomp->program.len)
		return guard_wrong(g, "has no filter of system calls");
	if (seccomp->audit_arch != g->facts->audit_arch ||
		(seccomp->unknown_action != BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO &&
			seccomp->unknown_action != BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY &&
			seccomp->unknown_action != BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL))
		return guard_wrong(g, "has a filter that lets through what is in no list");
	r = check_rows(g, seccomp);
	return r < 0 ? r : check_program(g, seccomp);
}

/* Those that each run has; others depend on what its profile grants. */
static int check_canaries(const struct guarded *g)
{
	static const Berm__Wire__CanaryKind always[] = {
		BERM__WIRE__CANARY_KIND__CANARY_CAPABILITIES,
		BERM__WIRE__CANARY_KIND__CANARY_DESCRIPTORS,
		BERM__WIRE__CANARY_KIND__CANARY_LANDLOCK,
	};
	const Berm__Wire__Plan *plan = g->plan;

	for (size_t i = 0; i < array_size(always); i++) {
		bool tried = always[i] == BERM__WIRE__CANARY_KIND__CANARY_LANDLOCK &&
			     !(plan->landlock && plan->landlock->abi);

		for (size_t k = 0; k < plan->n_canaries; k++)
			tried |= plan->canaries[k]->kind == always[i];
		if (!tried)
			return guard_wrong(g, "does not try its walls");
	}
	return 0;
}

/* ---- who is asked ---- */

static bool same_words(char **is, size_t count, const struct command_words *ours)
{
	bool same = count == ours->count;

	for (size_t i = 0; same && i < count; i++)
		same = strcmp(is[i], ours->items[i]) == 0;
	return same;
}

static bool same_gate(const Berm__Wire__ApprovalGate *is, const struct judge_rule *ours)
{
	return strcmp(is->name, ours->name) == 0 && is->on == ours->on.value &&
	       is->timeout_ms == gate_timeout_ms(ours) &&
	       !!is->ask_on_error == (ours->on_error == GATE_ERROR_ASK) &&
	       !!is->operators == ours->operators && same_words(is->exec, is->n_exec, &ours->exec);
}

/* Who is asked, by which program and as whom: what the profile says, no more and no less. */
static int check_approvals(const struct guarded *g)
{
	const Berm__Wire__Approvals *a = g->plan->approvals;
	const struct profile *p = g->profile;
	uint64_t within_ms, most = approvals_rate(p, &within_ms);

	if (!a != !approvals_are_written(p))
		return guard_wrong(g, "asks whom the profile does not, or not whom it does");
	if (!a)
		return 0;
	if (a->on != p->approvals.on.value || a->channels != approvals_channels(p) ||
		a->timeout_ms != approvals_timeout_ms(p) || a->rate_max != most ||
		a->rate_within_ms != within_ms ||
		!!a->exec_is_operators != p->approvals.exec_is_operators ||
		!same_words(a->exec, a->n_exec, &p->approvals.exec))
		return guard_wrong(g, "asks in another way than the profile");
	if (a->n_gates != p->gates.count)
		return guard_wrong(g, "has other gates than the profile");
	for (size_t i = 0; i < a->n_gates; i++)
		if (!same_gate(a->gates[i], &p->gates.items[i]))
			return guard_wrong(g, "has other gates than the profile");
	return 0;
}

int plan_guard(const Berm__Wire__Plan *plan, const struct profile *profile,
	const Berm__Wire__HostFacts *facts, const struct plan_request *request, struct error *err)
{
	static int (*const checks[])(const struct guarded *g) = {check_indices, check_run,
		check_command, check_agent, check_identity, check_profile, check_degraded,
		check_landlock, check_calls, guard_mounts, guard_network, guard_cgroup,
		check_canaries, guard_bounds, check_approvals};
	const struct guarded g = {plan, profile, facts, request, err};
	int r = 0;

	for (size_t i = 0; i < array_size(checks) && r == 0; i++)
		r = checks[i](&g);
	return r;
}
