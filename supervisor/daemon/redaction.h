/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"
#include "record/redact.h"

/* What is kept out of the records of a run under this profile: the values of the variables that
 * env.hide names and that the caller's environment (or --env, NAME=VALUE) has; those of variables
 * whose names say that they are secret, as far as they are no paths; what recorder.redact matches.
 * Lists are NULL-terminated, or NULL. The redactor is the caller's. */
int redaction_make(const struct profile *profile, const char *const *environment,
	const char *const *env_extra, struct redactor **ret_redactor, struct error *err) must_check;
