/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/arena.h"
#include "policy/diagnostics.h"

/* Checks that need the whole profile and no file system: what must not be writable, rules that have
 * no effect, what is dangerous on purpose. Reported to d. */
void lint_profile(const struct profile *profile, const char *home, struct diagnostics *d);

/* Why nobody may be granted to write to a path (normal, absolute); NULL where it is fine. home may
 * be NULL. */
const char *lint_protected_root(const char *path, const char *home);

/* What remains once everything is merged and narrowed: lists that this build cannot enforce become
 * pending, and profile files inside a write grant are protected. Returns 0, or -ENOMEM. */
int lint_finish(struct profile *profile, struct arena *arena, struct diagnostics *d) must_check;
