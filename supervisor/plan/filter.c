/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/filter.h"

#include "wire/effects.h"
#include "wire/verdict.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The program is written from its last instruction to its first. All jumps of a filter go forward,
 * so whatever an instruction jumps to is already there and its distance is known: no labels to
 * resolve afterwards. A place in the program is the number of instructions from it to the end. */

#define ERRNO_MAX 4095U /* MAX_ERRNO of linux/err.h */
#define REACH_MAX 250U  /* jt and jf are 8 bits; the rest is room for what reach() puts between */
#define RETURNS_MAX 16U /* distinct recent returns remembered for sharing */
#define WORD_NONE UINT32_MAX
#define WORD_NUMBER ((uint32_t)offsetof(struct seccomp_data, nr))
#define WORD_ARCH ((uint32_t)offsetof(struct seccomp_data, arch))
/* A call with argument rules runs the program every time, one without never does (see filter.h):
 * worth more in the tree. */
#define WEIGHT_CONDITIONAL 16U
#define ALL_BITS UINT32_MAX

/* x86_64 and aarch64, the only machines that plan/ compiles for, hold the low half of a 64-bit
 * argument first. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	"argument halves are laid out for little endian");

/* Where control can go. */
struct target {
	bool returns; /* a return of value, made where it is needed; else a place */
	uint32_t value;
	uint32_t place;  /* for any content of A */
	uint32_t loaded; /* for A already holding word, one instruction less; 0 = no such place */
	uint32_t word;   /* offset in struct seccomp_data */
};

struct emitter {
	struct sock_filter *buffer; /* FILTER_INSTRUCTIONS_MAX of them, filled from the end */
	uint32_t count;
	bool full;
	bool listener;
	struct {
		uint32_t value, place;
	} returns[RETURNS_MAX];
	uint32_t return_count;
};

/* Numbers from first up to the next range's first. */
struct range {
	uint32_t first;
	uint32_t weight;
	struct target target;
};

struct ranges {
	struct range *items;
	size_t count;
};

static uint32_t emit(struct emitter *e, uint16_t code, uint32_t k, uint32_t jt, uint32_t jf)
{
	if (e->count >= FILTER_INSTRUCTIONS_MAX) {
		e->full = true;
		return e->count;
	}
	e->count++;
	e->buffer[FILTER_INSTRUCTIONS_MAX - e->count] =
		(struct sock_filter){.code = code, .jt = (uint8_t)jt, .jf = (uint8_t)jf, .k = k};
	return e->count;
}

static struct target go_to(uint32_t place)
{
	return (struct target){.place = place, .word = WORD_NONE};
}

/* The place of a return of value, near enough to jump to: an earlier one or a new one. */
static uint32_t reach_return(struct emitter *e, uint32_t value)
{
	uint32_t i;

	for (i = 0; i < e->return_count && e->returns[i].value != value; i++)
		;
	if (i < e->return_count && e->count - e->returns[i].place <= REACH_MAX)
		return e->returns[i].place;
	emit(e, BPF_RET | BPF_K, value, 0, 0);
	if (i < RETURNS_MAX) {
		e->returns[i].value = value;
		e->returns[i].place = e->count;
		if (i == e->return_count)
			e->return_count++;
	}
	return e->count;
}

/* A place at most REACH_MAX away that leads to the target, with A holding word. */
static uint32_t reach(struct emitter *e, const struct target *target, uint32_t word)
{
	uint32_t place;

	if (target->returns)
		return reach_return(e, target->value);
	place = target->loaded && target->word == word ? target->loaded : target->place;
	if (e->count - place <= REACH_MAX)
		return place;
	return emit(e, BPF_JMP | BPF_JA, e->count - place, 0, 0);
}

static uint32_t emit_jump(struct emitter *e, uint16_t operation, uint32_t k,
	const struct target *yes, const struct target *no, uint32_t word)
{
	uint32_t yes_place = reach(e, yes, word);
	uint32_t no_place = reach(e, no, word);

	return emit(e, BPF_JMP | operation | BPF_K, k, e->count - yes_place, e->count - no_place);
}

/* (word & mask) == value, one half of an argument. */
static struct target emit_half(struct emitter *e, uint32_t word, uint32_t mask, uint32_t value,
	const struct target *equal, const struct target *unequal)
{
	struct target here = {.word = word};

	if (!mask)
		return *equal;
	if (mask == ALL_BITS) {
		here.loaded = emit_jump(e, BPF_JEQ, value, equal, unequal, word);
	} else if (!value) {
		here.loaded = emit_jump(e, BPF_JSET, mask, unequal, equal, word);
	} else if (value == mask && !(mask & (mask - 1))) {
		here.loaded = emit_jump(e, BPF_JSET, mask, equal, unequal, word);
	} else {
		emit_jump(e, BPF_JEQ, value, equal, unequal, WORD_NONE);
		here.loaded = emit(e, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	}
	here.place = emit(e, BPF_LD | BPF_W | BPF_ABS, word, 0, 0);
	return here;
}

static struct target emit_condition(struct emitter *e, const Berm__Wire__SyscallCondition *c,
	const struct target *holds, const struct target *fails)
{
	const struct target *equal = c->negate ? fails : holds;
	const struct target *unequal = c->negate ? holds : fails;
	uint32_t word =
		(uint32_t)(offsetof(struct seccomp_data, args) + c->argument * sizeof(uint64_t));
	struct target low =
		emit_half(e, word, (uint32_t)c->mask, (uint32_t)c->value, equal, unequal);

	return emit_half(e, word + (uint32_t)sizeof(uint32_t), (uint32_t)(c->mask >> 32),
		(uint32_t)(c->value >> 32), &low, unequal);
}

static struct target action_target(
	const struct emitter *e, Berm__Wire__SyscallAction action, uint32_t errno_value)
{
	struct target target = {.returns = true, .value = SECCOMP_RET_KILL_PROCESS};

	if (action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW)
		target.value = SECCOMP_RET_ALLOW;
	if (action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE)
		target.value = e->listener ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	if (action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		target.value = SECCOMP_RET_USER_NOTIF;
	if (action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY)
		target.value =
			e->listener ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | errno_value;
	if (action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO)
		target.value = SECCOMP_RET_ERRNO | errno_value;
	return target;
}

static struct target emit_call(struct emitter *e, const Berm__Wire__Syscall *call)
{
	struct target next = action_target(e, call->action, call->errno_value);

	for (size_t i = call->n_cases; i-- > 0;) {
		const Berm__Wire__SyscallCase *c = call->cases[i];
		struct target holds = action_target(e, c->action, c->errno_value);

		for (size_t j = c->n_conditions; j-- > 0;)
			holds = emit_condition(e, c->conditions[j], &holds, &next);
		next = holds;
	}
	return next;
}

static void add_range(struct ranges *ranges, uint32_t first, struct target target)
{
	const struct range *last = ranges->count ? &ranges->items[ranges->count - 1] : NULL;

	if (last && last->target.returns && target.returns && last->target.value == target.value)
		return;
	ranges->items[ranges->count++] = (struct range){.first = first,
		.weight = target.returns ? 1 : WEIGHT_CONDITIONAL,
		.target = target};
}

/* Every number from 0 to UINT32_MAX in order. ranges has room for two ranges a call and three more.
 */
static void make_ranges(
	struct emitter *e, const Berm__Wire__Seccomp *seccomp, struct ranges *ranges)
{
	struct target unknown = action_target(e, seccomp->unknown_action, seccomp->unknown_errno);
	struct target kill = {.returns = true, .value = SECCOMP_RET_KILL_PROCESS};
	uint32_t next = 0;

	for (size_t i = 0; i < seccomp->n_syscalls; i++) {
		const Berm__Wire__Syscall *call = seccomp->syscalls[i];

		if (call->number != next)
			add_range(ranges, next, unknown);
		add_range(ranges, call->number, emit_call(e, call));
		next = call->number + 1;
	}
	add_range(ranges, next, unknown);
	if (seccomp->audit_arch == AUDIT_ARCH_X86_64) {
		add_range(ranges, VERDICT_X32_BIT, kill);
		add_range(ranges, 2 * VERDICT_X32_BIT, unknown);
	}
}

/* The first index of the right part of items[low, high), so that both parts weigh about the same.
 */
static size_t split(const struct range *items, size_t low, size_t high)
{
	uint32_t total = 0, left = 0;
	size_t middle = low + 1;

	for (size_t i = low; i < high; i++)
		total += items[i].weight;
	left = items[low].weight;
	while (middle + 1 < high && 2 * left + items[middle].weight <= total)
		left += items[middle++].weight;
	return middle;
}

static struct target emit_tree(
	struct emitter *e, const struct range *items, size_t low, size_t high)
{
	struct target left, right;
	size_t middle;

	if (low + 1 == high)
		return items[low].target;
	middle = split(items, low, high);
	right = emit_tree(e, items, middle, high);
	left = emit_tree(e, items, low, middle);
	return go_to(emit_jump(e, BPF_JGE, items[middle].first, &right, &left, WORD_NUMBER));
}

static void emit_program(
	struct emitter *e, const Berm__Wire__Seccomp *seccomp, const struct ranges *ranges)
{
	struct target kill = {.returns = true, .value = SECCOMP_RET_KILL_PROCESS};
	struct target tree = emit_tree(e, ranges->items, 0, ranges->count);
	uint32_t place = reach(e, &tree, WORD_NUMBER);

	if (place != e->count)
		emit(e, BPF_JMP | BPF_JA, e->count - place, 0, 0);
	tree = go_to(emit(e, BPF_LD | BPF_W | BPF_ABS, WORD_NUMBER, 0, 0));
	emit_jump(e, BPF_JEQ, seccomp->audit_arch, &tree, &kill, WORD_ARCH);
	emit(e, BPF_LD | BPF_W | BPF_ABS, WORD_ARCH, 0, 0);
}

/* Of a gate, which unknown calls cannot have: nobody would know what to count. */
static bool gate_is_valid(const Berm__Wire__Seccomp *seccomp, Berm__Wire__SyscallAction action,
	uint32_t charge, uint32_t needs)
{
	if (action != BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		return true;
	return seccomp->listener && !(charge & ~CHARGE_ALL) && !(needs & ~POSTURE_ALL);
}

static bool action_is_valid(Berm__Wire__SyscallAction action, uint32_t errno_value)
{
	if (action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY ||
		action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO)
		return errno_value > 0 && errno_value <= ERRNO_MAX;
	return action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW ||
	       action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL ||
	       action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE ||
	       action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE;
}

static bool call_is_valid(const Berm__Wire__Seccomp *seccomp, const Berm__Wire__Syscall *call)
{
	if (!action_is_valid(call->action, call->errno_value) ||
		!gate_is_valid(seccomp, call->action, call->charge, call->needs) ||
		call->number >= VERDICT_X32_BIT)
		return false;
	for (size_t i = 0; i < call->n_cases; i++) {
		const Berm__Wire__SyscallCase *c = call->cases[i];

		if (!action_is_valid(c->action, c->errno_value) ||
			!gate_is_valid(seccomp, c->action, c->charge, c->needs))
			return false;
		for (size_t j = 0; j < c->n_conditions; j++) {
			const Berm__Wire__SyscallCondition *condition = c->conditions[j];

			if (condition->argument > 5 || condition->value & ~condition->mask)
				return false;
		}
	}
	return true;
}

static int check(const Berm__Wire__Seccomp *seccomp, struct error *err)
{
	if (!action_is_valid(seccomp->unknown_action, seccomp->unknown_errno) ||
		seccomp->unknown_action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		return error_set(err, -EINVAL, ERROR_INTERNAL,
			"the action for unknown system calls is not valid");
	for (size_t i = 0; i < seccomp->n_syscalls; i++) {
		if (i && seccomp->syscalls[i]->number <= seccomp->syscalls[i - 1]->number)
			return error_set(err, -EINVAL, ERROR_INTERNAL,
				"system calls are not sorted by number");
		if (!call_is_valid(seccomp, seccomp->syscalls[i]))
			return error_set(err, -EINVAL, ERROR_INTERNAL,
				"the rules of system call %u are not valid",
				seccomp->syscalls[i]->number);
	}
	return 0;
}

int filter_compile(Berm__Wire__Seccomp *seccomp, struct error *err)
{
	/* Written from the end only as far as the program is long: not cleared, so that few pages
	 * are touched. */
	autofree struct sock_filter *buffer = malloc(FILTER_INSTRUCTIONS_MAX * sizeof(*buffer));
	autofree struct range *items = calloc(2 * seccomp->n_syscalls + 3, sizeof(*items));
	struct emitter e = {.buffer = buffer, .listener = seccomp->listener};
	struct ranges ranges = {.items = items};
	uint8_t *program;
	size_t bytes;
	int r = check(seccomp, err);

	if (r < 0)
		return r;
	if (!buffer || !items)
		return error_set(
			err, -ENOMEM, ERROR_INTERNAL, "no memory for the system call filter");
	make_ranges(&e, seccomp, &ranges);
	emit_program(&e, seccomp, &ranges);
	if (e.full)
		return error_set(err, -E2BIG, ERROR_INTERNAL,
			"the system call filter is longer than the %u instructions that the kernel "
			"takes",
			FILTER_INSTRUCTIONS_MAX);
	bytes = e.count * sizeof(*buffer);
	program = malloc(bytes);
	if (!program)
		return error_set(
			err, -ENOMEM, ERROR_INTERNAL, "no memory for the system call filter");
	memcpy(program, buffer + FILTER_INSTRUCTIONS_MAX - e.count, bytes);
	free(seccomp->program.data);
	seccomp->program.data = program;
	seccomp->program.len = bytes;
	return 0;
}
