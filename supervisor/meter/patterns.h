/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Patterns of names, compiled to the bit tables that bpf/names.bpf.c runs. Pure: no system call. */

#include "meter/meter.h"

#define PATTERN_LITERALS_MAX 256

/* A literal component and the bits it may stand for. */
struct pattern_literal {
	uint64_t hash;
	uint32_t length;
	struct meter_bits bits;
};

/* What the patterns say of an anchor that lies at or beneath one of them: from there on the kernel
 * sees no name of theirs. */
struct pattern_cover {
	uint32_t refused; /* METER_RIGHT_… that are not to be had there */
	uint32_t marks;   /* METER_RIGHT_CANARY, METER_RIGHT_PROTECTED */
	uint32_t rule;    /* of the pattern that refuses most, where refused is not 0 */
};

struct pattern_tables {
	struct meter_scope scope;
	struct pattern_literal literals[PATTERN_LITERALS_MAX];
	size_t literal_count;
	struct meter_bits *live;      /* of each anchor, in order; owned */
	struct pattern_cover *covers; /* of each anchor, in order; owned */
};

void pattern_tables_finish(struct pattern_tables *tables);

/* The hash of one component, as the kernel computes it. */
uint64_t pattern_hash(const char *name, size_t length);

/* Compile the names of rules, relative to its anchors. Release with pattern_tables_finish(), also
 * after a failure. Errors: ERROR_UNSUPPORTED naming the pattern that does not fit. */
int pattern_compile(const struct meter_rules *rules, struct pattern_tables *tables,
	struct error *err) must_check;
