/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"
#include "wire/effects.h"

/* What a profile says about being recorded, with its defaults. */

enum record_level recording_level(const struct profile *profile);
uint64_t recording_keep_ms(const struct profile *profile);

/* What happens to a run that cannot be recorded, from the weakest. */
enum recording_action {
	RECORDING_CONTINUE, /* it goes on */
	RECORDING_PHASE,    /* it enters a phase */
	RECORDING_STOP      /* it is not started, or killed */
};

struct recording_failure {
	enum recording_action action;
	enum phase phase;              /* RECORDING_PHASE; else PHASE_PRIMARY */
	const struct trigger *trigger; /* of pace, that decided; or NULL */
};

/* recorder.on_failure, with the triggers recorder_failed of pace: those decide where on_failure is
 * not written, and also where it is `continue`. */
struct recording_failure recording_failure(const struct profile *profile);
/* More is stricter: all actions and, of phases, the stronger one. */
unsigned recording_strength(struct recording_failure failure);
/* "stop", "continue", or the phase's name. Static. */
const char *recording_failure_word(struct recording_failure failure);
/* True where a recorder that fails leads to a phase that refuses something and does not kill. */
bool recording_refuses(const struct profile *profile);
/* True where the profile wants of a run what only a meter can do: that, or to report activity. */
bool recording_needs_meter(const struct profile *profile);
