/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"
#include "wire/effects.h"

/* What a profile says about being recorded, with its defaults. */

enum record_level recorded_level(const struct profile *profile);
uint64_t recorded_keep_ms(const struct profile *profile);

/* What happens to a run that cannot be recorded, from the weakest. */
enum recorded_action {
	RECORDED_CONTINUE, /* it goes on */
	RECORDED_PHASE,    /* it enters a phase */
	RECORDED_STOP      /* it is not started, or killed */
};

struct recorded_failure {
	enum recorded_action action;
	enum phase phase;              /* RECORDED_PHASE; else PHASE_PRIMARY */
	const struct trigger *trigger; /* of pace, that decided; or NULL */
};

/* recorder.on_failure, with the triggers recorder_failed of pace: those decide where on_failure is
 * not written, and also where it is `continue`. */
struct recorded_failure recorded_failure(const struct profile *profile);
/* More is stricter: all actions and, of phases, the stronger one. */
unsigned recorded_strength(struct recorded_failure failure);
/* "stop", "continue", or the phase's name. Static. */
const char *recorded_failure_word(struct recorded_failure failure);
/* True where a recorder that fails leads to a phase that refuses something and does not kill. */
bool recorded_refuses(const struct profile *profile);
/* True where the profile wants of a run what only a meter can do: that, or to report activity. */
bool recorded_needs_meter(const struct profile *profile);
