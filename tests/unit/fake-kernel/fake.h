/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "meter/patterns.h"

struct fake_verdict {
	unsigned failed, no_read, no_write, canary, pinned, prefix, rule;
	struct meter_bits live;
};

/* Walk from an object (the last of count components beneath an anchor) as the kernel would. */
int fake_walk(const struct pattern_tables *compiled, size_t anchor, const char *const *components,
	size_t count, struct fake_verdict *ret_verdict);
