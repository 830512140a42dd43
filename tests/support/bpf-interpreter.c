/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf-interpreter.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum form {
	FORM_NONE = 0,
	FORM_PLAIN,
	FORM_LOAD,        /* k is an offset in struct seccomp_data */
	FORM_MEMORY_LOAD, /* k is a scratch word */
	FORM_MEMORY_STORE,
	FORM_DIVIDE, /* k is not 0 */
	FORM_SHIFT,  /* k is below 32 */
	FORM_JUMP,   /* k is a distance */
	FORM_BRANCH, /* jt and jf are distances */
	FORM_RETURN,
};

/* Every operation that a seccomp filter may hold, by its code. */
/* clang-format off */
static const uint8_t forms[256] = {
	[BPF_LD | BPF_W | BPF_ABS] = FORM_LOAD,
	[BPF_LD | BPF_W | BPF_LEN] = FORM_PLAIN,  [BPF_LDX | BPF_W | BPF_LEN] = FORM_PLAIN,
	[BPF_LD | BPF_IMM]  = FORM_PLAIN,         [BPF_LDX | BPF_IMM] = FORM_PLAIN,
	[BPF_LD | BPF_MEM]  = FORM_MEMORY_LOAD,   [BPF_LDX | BPF_MEM] = FORM_MEMORY_LOAD,
	[BPF_ST]            = FORM_MEMORY_STORE,  [BPF_STX]           = FORM_MEMORY_STORE,
	[BPF_MISC | BPF_TAX] = FORM_PLAIN,        [BPF_MISC | BPF_TXA] = FORM_PLAIN,
	[BPF_ALU | BPF_ADD | BPF_K] = FORM_PLAIN, [BPF_ALU | BPF_ADD | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_SUB | BPF_K] = FORM_PLAIN, [BPF_ALU | BPF_SUB | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_MUL | BPF_K] = FORM_PLAIN, [BPF_ALU | BPF_MUL | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_DIV | BPF_K] = FORM_DIVIDE, [BPF_ALU | BPF_DIV | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_AND | BPF_K] = FORM_PLAIN, [BPF_ALU | BPF_AND | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_OR  | BPF_K] = FORM_PLAIN, [BPF_ALU | BPF_OR  | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_XOR | BPF_K] = FORM_PLAIN, [BPF_ALU | BPF_XOR | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_LSH | BPF_K] = FORM_SHIFT, [BPF_ALU | BPF_LSH | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_RSH | BPF_K] = FORM_SHIFT, [BPF_ALU | BPF_RSH | BPF_X] = FORM_PLAIN,
	[BPF_ALU | BPF_NEG] = FORM_PLAIN,
	[BPF_JMP | BPF_JA]  = FORM_JUMP,
	[BPF_JMP | BPF_JEQ  | BPF_K] = FORM_BRANCH, [BPF_JMP | BPF_JEQ  | BPF_X] = FORM_BRANCH,
	[BPF_JMP | BPF_JGE  | BPF_K] = FORM_BRANCH, [BPF_JMP | BPF_JGE  | BPF_X] = FORM_BRANCH,
	[BPF_JMP | BPF_JGT  | BPF_K] = FORM_BRANCH, [BPF_JMP | BPF_JGT  | BPF_X] = FORM_BRANCH,
	[BPF_JMP | BPF_JSET | BPF_K] = FORM_BRANCH, [BPF_JMP | BPF_JSET | BPF_X] = FORM_BRANCH,
	[BPF_RET | BPF_K] = FORM_RETURN,          [BPF_RET | BPF_A] = FORM_RETURN,
};
/* clang-format on */

static enum form form_of(const struct sock_filter *i)
{
	return i->code < 256 ? forms[i->code] : FORM_NONE;
}

/* count: instructions after this one. */
static const char *check_one(const struct sock_filter *i, size_t after)
{
	switch (form_of(i)) {
	case FORM_NONE:
		return "an operation that seccomp does not know";
	case FORM_LOAD:
		if (i->k % 4 || i->k >= sizeof(struct seccomp_data))
			return "a load outside struct seccomp_data or not aligned";
		break;
	case FORM_MEMORY_LOAD:
	case FORM_MEMORY_STORE:
		if (i->k >= BPF_MEMWORDS)
			return "scratch memory out of range";
		break;
	case FORM_DIVIDE:
		if (!i->k)
			return "a division by 0";
		break;
	case FORM_SHIFT:
		if (i->k > 31)
			return "a shift over 31";
		break;
	case FORM_JUMP:
		if (i->k >= after)
			return "a jump out of the program";
		break;
	case FORM_BRANCH:
		if (i->jt >= after || i->jf >= after)
			return "a branch out of the program";
		break;
	case FORM_PLAIN:
	case FORM_RETURN:
		break;
	}
	return NULL;
}

/* known[pc]: the scratch words stored on every path that leads to pc. */
static const char *check_memory(const struct sock_filter *program, size_t count, uint16_t *known)
{
	uint16_t valid = 0;

	memset(known, 0xff, count * sizeof(*known));
	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *i = &program[pc];

		valid &= known[pc];
		switch (form_of(i)) {
		case FORM_MEMORY_STORE:
			valid |= (uint16_t)(1U << i->k);
			break;
		case FORM_MEMORY_LOAD:
			if (!(valid & (1U << i->k)))
				return "scratch memory loaded before it is stored";
			break;
		case FORM_JUMP:
			known[pc + 1 + i->k] &= valid;
			valid = UINT16_MAX;
			break;
		case FORM_BRANCH:
			known[pc + 1 + i->jt] &= valid;
			known[pc + 1 + i->jf] &= valid;
			valid = UINT16_MAX;
			break;
		case FORM_NONE:
		case FORM_PLAIN:
		case FORM_LOAD:
		case FORM_DIVIDE:
		case FORM_SHIFT:
		case FORM_RETURN:
			break;
		}
	}
	return NULL;
}

const char *bpf_check(const struct sock_filter *program, size_t count)
{
	static uint16_t known[BPF_MAXINSNS];
	const char *why;

	if (!count || count > BPF_MAXINSNS)
		return "no instruction or more than 4096";
	for (size_t pc = 0; pc < count; pc++) {
		why = check_one(&program[pc], count - pc - 1);
		if (why)
			return why;
	}
	if (form_of(&program[count - 1]) != FORM_RETURN)
		return "no return at the end";
	return check_memory(program, count, known);
}

static bool branch(const struct sock_filter *i, uint32_t a, uint32_t x)
{
	uint32_t with = BPF_SRC(i->code) == BPF_X ? x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == with;
	case BPF_JGT:
		return a > with;
	case BPF_JGE:
		return a >= with;
	case BPF_JSET:
		return a & with;
	default:
		assert(!"a branch that bpf_check() does not know");
		return false;
	}
}

static uint32_t compute(const struct sock_filter *i, uint32_t a, uint32_t x)
{
	uint32_t with = BPF_SRC(i->code) == BPF_X ? x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		return a + with;
	case BPF_SUB:
		return a - with;
	case BPF_MUL:
		return a * with;
	case BPF_DIV:
		return a / with;
	case BPF_AND:
		return a & with;
	case BPF_OR:
		return a | with;
	case BPF_XOR:
		return a ^ with;
	case BPF_LSH:
		return a << (with & 31);
	case BPF_RSH:
		return a >> (with & 31);
	case BPF_NEG:
		return -a;
	default:
		assert(!"an operation that bpf_check() does not know");
		return 0;
	}
}

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
	const struct seccomp_data *data;
};

static void load(struct machine *m, const struct sock_filter *i)
{
	uint32_t value = i->k;

	if (BPF_MODE(i->code) == BPF_ABS)
		memcpy(&value, (const char *)m->data + i->k, sizeof(value));
	else if (BPF_MODE(i->code) == BPF_LEN)
		value = sizeof(*m->data);
	else if (BPF_MODE(i->code) == BPF_MEM)
		value = m->memory[i->k];
	if (BPF_CLASS(i->code) == BPF_LD)
		m->a = value;
	else
		m->x = value;
}

/* All classes but jumps and returns. */
static void step(struct machine *m, const struct sock_filter *i)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
	case BPF_LDX:
		load(m, i);
		break;
	case BPF_ST:
		m->memory[i->k] = m->a;
		break;
	case BPF_STX:
		m->memory[i->k] = m->x;
		break;
	case BPF_ALU:
		m->a = compute(i, m->a, m->x);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(i->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		break;
	default:
		assert(!"a class that bpf_check() does not know");
	}
}

uint32_t bpf_run(const struct sock_filter *program, size_t count, const struct seccomp_data *data,
	unsigned *ret_steps)
{
	struct machine m = {.data = data};
	unsigned steps = 0;

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *i = &program[pc];

		steps++;
		if (ret_steps)
			*ret_steps = steps;
		if (BPF_CLASS(i->code) == BPF_RET)
			return BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
		if (i->code == (BPF_ALU | BPF_DIV | BPF_X) && !m.x)
			return 0;
		if (i->code == (BPF_JMP | BPF_JA))
			pc += i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP)
			pc += branch(i, m.a, m.x) ? i->jt : i->jf;
		else
			step(&m, i);
	}
	assert(!"a program that bpf_check() takes ends in a return");
	return 0;
}
