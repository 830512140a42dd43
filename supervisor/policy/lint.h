/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/arena.h"
#include "policy/diagnostics.h"

/* What lines of lists need that this build lacks. */
#define NEEDS_DNS_PROXY "the DNS proxy"
#define NEEDS_EXEC_METER "the exec meter"

/* Checks that need the whole profile and no file system: what must not be writable, rules that have
 * no effect, what is dangerous on purpose. Reported to d. */
void lint_profile(const struct profile *profile, const char *home, struct diagnostics *d);

/* The part of lint_profile() that is about blast_radius and pace. */
void lint_pace(const struct profile *profile, struct diagnostics *d);
/* The part about recorder. */
void lint_recorder(const struct profile *profile, struct diagnostics *d);
/* approvals and gates, once the ceilings are in it. */
void lint_approvals(const struct profile *profile, struct diagnostics *d);

/* Why nobody may be granted to write to a path (normal, absolute); NULL where it is fine. home may
 * be NULL. */
const char *lint_protected_root(const char *path, const char *home);

/* Report write grants that lie in a directory of berm's own. */
void lint_place(const struct profile *profile, const char *dir, struct diagnostics *d);

/* What remains once everything is merged and narrowed: lists that this build cannot enforce become
 * pending, and inside write grants the profile's files are protected, with `elsewhere`: count paths
 * that would decide what is read the next time. Returns 0, or -ENOMEM. */
int lint_finish(struct profile *profile, const char *const *elsewhere, size_t count,
	struct arena *arena, struct diagnostics *d) must_check;
