/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/syscalls-arguments.h"

/* What the notify make of the meter decides about: the calls that change something, told by their
 * number and registers. What a register cannot tell is counted as if it happened, so that each
 * counter is at least what happened and a cap is never passed:
 *
 * - open with O_CREAT and without O_EXCL counts a file made and a file changed, also where the file
 *   was there; every open for writing counts a file changed, whatever file it is.
 * - A rename counts one file lost, also where nothing had the new name; RENAME_NOREPLACE none.
 * - Calls count when they are let through, also where they fail afterwards, and where they act in
 *   the run's private scratch.
 *
 * What moves bytes through a descriptor that is open already (write(2) and its relatives, mappings)
 * is not gated: docs/decisions/0007-writes-are-not-gated.md. */

#define GATE_CONDITIONS_MAX 2

struct gate_rule {
	struct argument_condition conditions[GATE_CONDITIONS_MAX]; /* none: in every other case */
	uint32_t charge; /* CHARGE_… of wire/effects.h */
	uint32_t needs;  /* POSTURE_… */
};

/* The first rule whose conditions all hold decides; where none does the call is not gated. */
struct gate_entry {
	const char *call;
	int16_t x86_64; /* the call's number there; the table is sorted by it */
	bool network;   /* only where the run's sockets reach further than the run */
	const struct gate_rule *rules;
	size_t count;
};

const struct gate_entry *gate_table(size_t *ret_count);
/* The entry of the call with this x86_64 number, or NULL. */
const struct gate_entry *gate_find(int16_t x86_64);
