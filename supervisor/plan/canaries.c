/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <sys/socket.h>

/* One of each kind of denial that the plan has, and every place that a line of the profile hides or
 * protects, up to a bound: trying one costs about a microsecond. All of them are harmless where
 * they get through. */
#define CANARIES_PER_KIND_MAX 8

static Berm__Wire__Canary *add(struct compiler *c, Berm__Wire__CanaryKind kind, uint32_t rule)
{
	Berm__Wire__Canary *canary = malloc(sizeof(*canary));

	if (!canary || !message_push(c, &c->plan->canaries, &c->plan->n_canaries, canary)) {
		free(canary);
		c->out_of_memory = true;
		return NULL;
	}
	berm__wire__canary__init(canary);
	canary->kind = kind;
	canary->rule = rule;
	return canary;
}

static void add_path(
	struct compiler *c, Berm__Wire__CanaryKind kind, const char *path, uint32_t rule)
{
	Berm__Wire__Canary *canary;
	unsigned same = 0;

	for (size_t i = 0; i < c->plan->n_canaries; i++)
		same += c->plan->canaries[i]->kind == kind;
	if (same >= CANARIES_PER_KIND_MAX)
		return;
	canary = add(c, kind, rule);
	if (canary)
		canary->path = message_string(c, path);
}

static void add_number(struct compiler *c, Berm__Wire__CanaryKind kind, uint32_t number)
{
	Berm__Wire__Canary *canary = add(c, kind, 0);

	if (canary)
		canary->number = number;
}

static void add_protected(struct compiler *c)
{
	for (size_t i = 0; i < c->protection_count; i++) {
		const struct protection *p = &c->protections[i];

		if (p->merged || p->decoy || p->may_go || p->kind == PROTECTION_PIN)
			continue;
		add_path(c,
			p->kind == PROTECTION_HIDE
				? BERM__WIRE__CANARY_KIND__CANARY_READ_HIDDEN
				: BERM__WIRE__CANARY_KIND__CANARY_WRITE_READ_ONLY,
			p->path, p->rule);
	}
}

/* A file that every Linux system has and no profile grants. */
static void add_not_granted(struct compiler *c)
{
	static const char path[] = "/etc/shadow";

	if (area_of(c, path)->kind == AREA_ROOT)
		add_path(c, BERM__WIRE__CANARY_KIND__CANARY_READ_HIDDEN, path, 0);
}

/* True where the meter's programs refuse before the wall does, and would count berm's own attempt
 * as one of the tool's; they are proved when they are loaded. */
static bool is_metered_by(const struct compiler *c, Berm__Wire__MeterPrograms least)
{
	return c->plan->meter && c->plan->meter->programs >= least;
}

static void add_areas(struct compiler *c)
{
	bool read_only = false, writable = false;

	for (size_t i = 0; i < c->area_count; i++) {
		const struct area *a = &c->areas[i];
		bool directory = !a->grant || a->grant->fact->resolved_kind ==
						      BERM__WIRE__FILE_KIND__FILE_DIRECTORY;

		if (!directory)
			continue;
		if (!a->write && a->kind != AREA_PROC && (!read_only || i == 0)) {
			add_path(c, BERM__WIRE__CANARY_KIND__CANARY_WRITE_READ_ONLY, a->path,
				a->rule);
			read_only = i > 0;
		}
		if (a->write && !a->exec && !writable && a->kind != AREA_DEV &&
			!is_metered_by(c, BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL)) {
			add_path(
				c, BERM__WIRE__CANARY_KIND__CANARY_EXEC_WRITABLE, a->path, a->rule);
			writable = true;
		}
	}
}

static const Berm__Wire__Syscall *find_call(const struct compiler *c, const char *name)
{
	const Berm__Wire__Seccomp *s = c->plan->seccomp;

	for (size_t i = 0; s && i < s->n_syscalls; i++) {
		if (strcmp(s->syscalls[i]->name, name) == 0)
			return s->syscalls[i];
	}
	return NULL;
}

/* unshare(2) makes a namespace where it gets through, which hurts nobody. It stands for the calls
 * that the supervisor answers, io_uring_setup(2) for those that the filter answers by itself. */
static void add_calls(struct compiler *c)
{
	static const char *const tried[] = {"unshare", "io_uring_setup"};
	static const struct {
		uint32_t family;
		const char *name;
	} families[] = {{AF_NETLINK, "netlink"}, {AF_PACKET, "packet"}, {AF_VSOCK, "vsock"}};
	const struct string_rules *allowed = &c->profile->syscalls.families;

	if (!c->plan->seccomp || !c->plan->seccomp->program.len)
		return;
	for (size_t i = 0; i < array_size(tried); i++) {
		const Berm__Wire__Syscall *call = find_call(c, tried[i]);

		if (call && call->action != BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW &&
			!call->n_cases)
			add_number(c, BERM__WIRE__CANARY_KIND__CANARY_SYSCALL, call->number);
	}
	for (size_t i = 0; i < array_size(families); i++) {
		bool listed = false;

		for (size_t k = 0; k < allowed->count; k++)
			listed |= strcmp(allowed->items[k].text, families[i].name) == 0;
		if (listed)
			continue;
		add_number(c, BERM__WIRE__CANARY_KIND__CANARY_SOCKET, families[i].family);
		break;
	}
}

void plan_canaries(struct compiler *c)
{
	add_not_granted(c);
	add_areas(c);
	add_protected(c);
	if (c->plan->landlock->abi)
		add(c, BERM__WIRE__CANARY_KIND__CANARY_LANDLOCK, 0);
	add_calls(c);
	if (c->plan->network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_NONE &&
		!is_metered_by(c, BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NETWORK))
		add(c, BERM__WIRE__CANARY_KIND__CANARY_NETWORK, c->plan->network->rule);
	add(c, BERM__WIRE__CANARY_KIND__CANARY_CAPABILITIES, 0);
	add(c, BERM__WIRE__CANARY_KIND__CANARY_DESCRIPTORS, 0);
}
