/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/syscalls.h"

#include "plan/filter.h"
#include "plan/syscalls-arguments.h"
#include "plan/syscalls-cases.h"
#include "plan/syscalls-gate.h"
#include "policy/calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>

#define RULE_NONE UINT32_MAX
#define DENY BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY
#define ALLOW BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW
#define TRACE BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE
#define KILL BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL
#define QUIET BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO

/* What the profile makes of one call of calls_table(). */
struct choice {
	bool allowed;
	uint32_t rule;
};

struct compilation {
	const struct profile *profile;
	const struct syscalls_request *request;
	const struct calls_entry *calls;
	size_t call_count;
	struct choice *choices; /* one for each of calls */
	bool aarch64;
	bool trace, watch;
	bool gate, gate_network;
	bool sealed_memfd; /* exec goes by a list, and the kernel does not keep memory files from it
			    */
	unsigned families; /* enum argument_family */
	uint32_t families_rule;
	Berm__Wire__SyscallAction deny_action; /* DENY or KILL */
	uint32_t deny_errno;
	struct text *notes; /* or NULL */
	struct error *err;
};

static int bad(struct compilation *c, const struct source *at, const char *key, const char *value,
	const char *what)
{
	return error_set(c->err, -EINVAL, ERROR_INPUT, "%s:%u:%u: %s: \"%s\" %s", at->file,
		at->line, at->column, key, value, what);
}

static int no_such(struct compilation *c, const struct string_rule *word, const char *key,
	const char *kind, const char *nearest)
{
	char what[128];

	if (nearest)
		snprintf(what, sizeof(what), "is no %s; did you mean \"%s\"?", kind, nearest);
	else
		snprintf(what, sizeof(what), "is no %s", kind);
	return bad(c, &word->at, key, word->text, what);
}

static int make_rule(struct compilation *c, const char *key, const char *value,
	const struct source *at, uint32_t *ret_rule)
{
	uint32_t rule = c->request->rule(c->request->context, key, value, at);

	if (rule == RULE_NONE)
		return error_set(
			c->err, -ENOMEM, ERROR_INTERNAL, "no memory for the rules of the plan");
	*ret_rule = rule;
	return 0;
}

static int16_t number_of(const struct compilation *c, const struct calls_entry *call)
{
	return c->aarch64 ? call->aarch64 : call->x86_64;
}

static int choose_base(struct compilation *c)
{
	enum syscall_base base = c->profile->syscalls.base;
	uint32_t strict_rule = 0;
	int r;

	if (c->profile->syscalls.base_at.line) {
		r = make_rule(c, "syscalls.base",
			base == SYSCALL_BASE_STRICT ? "strict" : "default",
			&c->profile->syscalls.base_at, &strict_rule);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < c->call_count; i++) {
		bool allowed = calls_in_base(&c->calls[i], base);
		bool taken = !allowed && calls_in_base(&c->calls[i], SYSCALL_BASE_DEFAULT);

		c->choices[i] =
			(struct choice){.allowed = allowed, .rule = taken ? strict_rule : 0};
	}
	return 0;
}

/* The call that a word of the profile names, NULL (and 0) where it exists on other machines only.
 */
static int find_call(struct compilation *c, const struct string_rule *word, const char *key,
	const struct calls_entry **ret_call)
{
	const struct calls_entry *call = calls_find(word->text);

	if (!call && seccomp_syscall_resolve_name(word->text) == __NR_SCMP_ERROR)
		return no_such(c, word, key, "system call", calls_nearest(word->text));
	if (call && number_of(c, call) == CALLS_NO_NUMBER)
		call = NULL;
	if (!call && c->notes)
		text_printf(c->notes, "%s:%u: %s: \"%s\" does not exist on this machine\n",
			word->at.file, word->at.line, key, word->text);
	*ret_call = call;
	return 0;
}

/* One word of syscalls.allow or syscalls.deny. */
static int choose_call(struct compilation *c, const struct string_rule *word, bool allowed)
{
	const char *key = allowed ? "syscalls.allow" : "syscalls.deny";
	const struct calls_entry *call = NULL;
	uint32_t rule = 0;
	int r = find_call(c, word, key, &call);

	if (r < 0)
		return r;
	r = make_rule(c, key, word->text, &word->at, &rule);
	if (r < 0 || !call)
		return r;
	if (allowed && call->flags & CALLS_NEVER)
		return bad(c, &word->at, key, word->text,
			"cannot be allowed: the filter cannot see what it is asked to do");
	if (!allowed && call->flags & CALLS_ESSENTIAL)
		return bad(c, &word->at, key, word->text,
			"cannot be denied: no program could be started or ended without it");
	c->choices[call - c->calls] = (struct choice){.allowed = allowed, .rule = rule};
	return 0;
}

static int choose_group(struct compilation *c, const struct string_rule *word)
{
	const char *key = "syscalls.deny_groups";
	enum calls_group group;
	char what[128];
	uint32_t rule = 0;
	int r;

	if (!calls_group_find(word->text, &group))
		return no_such(
			c, word, key, "group of system calls", calls_group_nearest(word->text));
	r = make_rule(c, key, word->text, &word->at, &rule);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->call_count; i++) {
		if (c->calls[i].group != group)
			continue;
		if (c->calls[i].flags & CALLS_ESSENTIAL) {
			snprintf(what, sizeof(what),
				"holds %s, without which no program could be started or ended",
				c->calls[i].name);
			return bad(c, &word->at, key, word->text, what);
		}
		c->choices[i] = (struct choice){.allowed = false, .rule = rule};
	}
	return 0;
}

static unsigned family_bit(const char *name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} bits[] = {
		{"unix", ARGUMENT_FAMILY_UNIX},
		{"inet", ARGUMENT_FAMILY_INET},
		{"inet6", ARGUMENT_FAMILY_INET6},
		{"netlink", ARGUMENT_FAMILY_NETLINK},
	};

	for (size_t i = 0; i < array_size(bits); i++) {
		if (!strcmp(bits[i].name, name))
			return bits[i].bit;
	}
	return 0;
}

/* The loader writes its own default list with place zero: only that one is narrowed by the strict
 * base. */
static int choose_families(struct compilation *c)
{
	const struct string_rules *list = &c->profile->syscalls.families;
	autotext struct text joined = {0};

	for (size_t i = 0; i < list->count; i++) {
		const struct string_rule *word = &list->items[i];
		const struct calls_family *family = calls_family_find(word->text);

		if (!family)
			return no_such(c, word, "syscalls.families", "socket family", NULL);
		if (!family->nameable)
			return bad(c, &word->at, "syscalls.families", word->text, family->reason);
		if (word->at.line || c->profile->syscalls.base == SYSCALL_BASE_DEFAULT ||
			family->number == AF_UNIX)
			c->families |= family_bit(word->text);
		text_printf(&joined, "%s%s", i ? " " : "", word->text);
	}
	if (!list->count || !list->items[0].at.line)
		return 0;
	return make_rule(c, "syscalls.families", text_string(&joined), &list->items[0].at,
		&c->families_rule);
}

/* In an order that makes deny_groups win over allow, and a name in deny over its group. */
static int choose(struct compilation *c)
{
	int r = choose_base(c);

	for (size_t i = 0; !r && i < c->profile->syscalls.allow.count; i++)
		r = choose_call(c, &c->profile->syscalls.allow.items[i], true);
	for (size_t i = 0; !r && i < c->profile->syscalls.deny_groups.count; i++)
		r = choose_group(c, &c->profile->syscalls.deny_groups.items[i]);
	for (size_t i = 0; !r && i < c->profile->syscalls.deny.count; i++)
		r = choose_call(c, &c->profile->syscalls.deny.items[i], false);
	return r ? r : choose_families(c);
}

static bool add_case(const struct compilation *c, Berm__Wire__Syscall *call,
	const struct argument_rule *from, Berm__Wire__SyscallAction allow)
{
	static const Berm__Wire__SyscallAction quiet = QUIET;
	Berm__Wire__SyscallCase *to = cases_add(call, from->conditions, ARGUMENTS_CONDITIONS_MAX);

	if (!to)
		return false;
	to->rule = from->family ? c->families_rule : 0;
	to->action = from->action == ARGUMENT_DENY    ? c->deny_action
		     : from->action == ARGUMENT_QUIET ? quiet
						      : allow;
	if (from->action == ARGUMENT_QUIET)
		to->errno_value = from->errno_value;
	if (to->action == DENY)
		to->errno_value = from->errno_value && c->deny_errno == EPERM ? from->errno_value
									      : c->deny_errno;
	return true;
}

static bool add_cases(const struct compilation *c, Berm__Wire__Syscall *call,
	const struct argument_rule *rules, size_t count)
{
	bool good = cases_reserve(call, count);

	for (size_t i = 0; good && i < count; i++)
		good = add_case(c, call, &rules[i], call->action);
	return good;
}

static bool add_arguments(
	const struct compilation *c, Berm__Wire__Syscall *call, const struct argument_rules *rules)
{
	struct argument_rule made[ARGUMENTS_SOCKET_RULES_MAX];
	const struct argument_rule *special = NULL;
	size_t count = 0;

	if (call->action != ALLOW && call->action != TRACE)
		return true;
	if (!strcmp(call->name, "socket"))
		return add_cases(c, call, made, argument_socket_rules(c->families, made));
	if (c->sealed_memfd && !strcmp(call->name, "memfd_create"))
		special = argument_sealed_memfd_rules(&count);
	if (!(c->families & ARGUMENT_FAMILY_UNIX) && !strcmp(call->name, "socketpair"))
		special = argument_closed_socketpair_rules(&count);
	if (special)
		return add_cases(c, call, special, count);
	return !rules || add_cases(c, call, rules->rules, rules->count);
}

/* After the rules that refuse: what they leave is let through one by one. */
static bool add_gate(
	const struct compilation *c, Berm__Wire__Syscall *call, const struct calls_entry *entry)
{
	const struct gate_entry *gate = c->gate ? gate_find(entry->x86_64) : NULL;

	if (!gate || (gate->network && !c->gate_network) ||
		(call->action != ALLOW && call->action != TRACE))
		return true;
	return cases_add_gate(call, gate);
}

static bool is_watched(const struct compilation *c, const struct calls_entry *entry)
{
	return (c->trace && entry->flags & CALLS_TRACED) ||
	       (c->watch && entry->flags & CALLS_WATCHED);
}

static void decide_call(const struct compilation *c, const struct calls_entry *entry,
	const struct choice *choice, Berm__Wire__Syscall *call)
{
	call->rule = choice->rule;
	if (choice->allowed) {
		call->action = is_watched(c, entry) ? TRACE : ALLOW;
	} else if (entry->flags & CALLS_PROBED) {
		call->action = QUIET;
		call->errno_value = ENOSYS;
	} else {
		call->action = c->deny_action;
		call->errno_value = c->deny_action == DENY ? c->deny_errno : 0;
	}
}

static bool add_call(const struct compilation *c, size_t index, const struct argument_rules *rules,
	Berm__Wire__Syscall **slot)
{
	const struct calls_entry *entry = &c->calls[index];
	Berm__Wire__Syscall *call = malloc(sizeof(*call));

	if (!call)
		return false;
	berm__wire__syscall__init(call);
	*slot = call;
	call->name = strdup(entry->name);
	if (!call->name)
		return false;
	call->number = (uint32_t)number_of(c, entry);
	decide_call(c, entry, &c->choices[index], call);
	return add_arguments(c, call, rules) && add_gate(c, call, entry);
}

/* calls_table() and argument_rules() are both sorted by x86_64 number; by_number makes the order
 * that of this machine. */
static bool add_calls(const struct compilation *c, Berm__Wire__Seccomp *seccomp)
{
	Berm__Wire__Syscall *by_number[CALLS_NUMBER_MAX + 1] = {NULL};
	size_t rules_count, next_rules = 0;
	const struct argument_rules *rules = argument_rules(&rules_count);
	bool good = true;

	seccomp->syscalls = calloc(c->call_count, sizeof(Berm__Wire__Syscall *));
	if (!seccomp->syscalls)
		return false;
	for (size_t i = 0; good && i < c->call_count; i++) {
		const struct argument_rules *own = NULL;
		int16_t number = number_of(c, &c->calls[i]);

		if (next_rules < rules_count && rules[next_rules].x86_64 == c->calls[i].x86_64)
			own = &rules[next_rules++];
		if (number != CALLS_NO_NUMBER)
			good = add_call(c, i, own, &by_number[number]);
	}
	for (size_t i = 0; i < array_size(by_number); i++) {
		if (by_number[i])
			seccomp->syscalls[seccomp->n_syscalls++] = by_number[i];
	}
	return good;
}

static int compile(
	struct compilation *c, const Berm__Wire__HostFacts *facts, Berm__Wire__Seccomp *seccomp)
{
	const Berm__Wire__Meter *meter = c->request->meter;
	int r = choose(c);

	if (r < 0)
		return r;
	c->gate = meter && meter->gate;
	if (c->gate && !facts->seccomp_notify)
		return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"this host has no seccomp user notification, which the notify make of the "
			"meter needs");
	/* A unix socket's peer can be outside of every network namespace. */
	c->gate_network =
		c->gate && (!c->request->network_closed || c->families & ARGUMENT_FAMILY_UNIX);
	seccomp->listener = facts->seccomp_notify;
	seccomp->audit_arch = facts->audit_arch;
	seccomp->unknown_action = QUIET;
	seccomp->unknown_errno = ENOSYS;
	c->trace = c->request->trace && facts->seccomp_notify;
	c->sealed_memfd = c->profile->exec.default_decision != DECISION_ALLOW &&
			  !(facts->memfd_noexec && facts->privileged);
	c->watch = facts->seccomp_notify && c->profile->network.mode == NETWORK_MODE_SCOPED;
	if (!add_calls(c, seccomp))
		return error_set(
			c->err, -ENOMEM, ERROR_INTERNAL, "no memory for the table of system calls");
	return filter_compile(seccomp, c->err);
}

int syscalls_compile(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	const struct syscalls_request *request, Berm__Wire__Seccomp **ret_seccomp,
	struct text *notes, struct error *err)
{
	static const struct {
		Berm__Wire__SyscallAction action;
		uint32_t errno_value;
	} denials[DENY_ACTION_COUNT] = {[DENY_EPERM] = {DENY, EPERM},
		[DENY_ENOSYS] = {DENY, ENOSYS},
		[DENY_KILL] = {KILL, 0}};
	struct compilation c = {.profile = profile,
		.request = request,
		.notes = notes,
		.err = err,
		.aarch64 = facts->audit_arch == AUDIT_ARCH_AARCH64,
		.deny_action = denials[profile->syscalls.on_deny].action,
		.deny_errno = denials[profile->syscalls.on_deny].errno_value};
	autofree struct choice *choices = NULL;
	Berm__Wire__Seccomp *seccomp;
	int r;

	if (!facts->seccomp_filter)
		return error_set(
			err, -EOPNOTSUPP, ERROR_UNSUPPORTED, "this kernel has no seccomp filters");
	if (!c.aarch64 && facts->audit_arch != AUDIT_ARCH_X86_64)
		return error_set(err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"no system call table for this machine (AUDIT_ARCH 0x%x)",
			facts->audit_arch);
	c.calls = calls_table(&c.call_count);
	choices = calloc(c.call_count, sizeof(*choices));
	seccomp = malloc(sizeof(*seccomp));
	if (!choices || !seccomp) {
		free(seccomp);
		return error_set(
			err, -ENOMEM, ERROR_INTERNAL, "no memory for the table of system calls");
	}
	c.choices = choices;
	berm__wire__seccomp__init(seccomp);
	r = compile(&c, facts, seccomp);
	if (r < 0) {
		berm__wire__seccomp__free_unpacked(seccomp, NULL);
		return r;
	}
	*ret_seccomp = seccomp;
	return 0;
}
