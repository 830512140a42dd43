/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/plan.pb-c.h"

#include <stdbool.h>

/* The bit that makes an x86_64 number an x32 one (__X32_SYSCALL_BIT of asm/unistd.h). */
#define VERDICT_X32_BIT 0x40000000U

/* What a plan's system call table says about one call. */
struct syscall_verdict {
	Berm__Wire__SyscallAction action;
	uint32_t errno_value; /* DENY and ERRNO: what the call returns; else 0 */
	uint32_t rule;        /* index into Plan.rules */
	uint32_t charge;      /* GATE: CHARGE_… of wire/effects.h; else 0, as are the next two */
	uint32_t needs;       /* POSTURE_… */
	bool watched;
	const char *name; /* owned by the plan; "" where the number is in no list */
};

/* Decide one call by the table itself, without the compiled filter: the supervisor tells by this
 * which rule a notification came from, and the tests compare the compiled filter with it. arch is
 * an AUDIT_ARCH_* value; arguments are the six registers. Pure; needs seccomp->syscalls sorted by
 * number, as plan/ makes it. */
void syscall_verdict(const Berm__Wire__Seccomp *seccomp, uint32_t arch, uint32_t number,
	const uint64_t arguments[6], struct syscall_verdict *ret_verdict);
