/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "plan/syscalls-gate.h"
#include "wire/plan.pb-c.h"

/* Cases of a call in the table of a plan. On failure, which is memory that ran out, the call keeps
 * what was made, for its owner to free. */

/* Make room for count more. */
bool cases_reserve(Berm__Wire__Syscall *call, size_t count) must_check;
/* Append one with up to most conditions (a mask of 0 ends them); cases_reserve() made the room.
 * NULL on failure. */
Berm__Wire__SyscallCase *cases_add(Berm__Wire__Syscall *call,
	const struct argument_condition *conditions, size_t most) must_check;
/* Append the rules of the gate to a call that is allowed or traced. */
bool cases_add_gate(Berm__Wire__Syscall *call, const struct gate_entry *gate) must_check;
