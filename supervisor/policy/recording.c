/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/recording.h"

#include "policy/pace.h"

enum record_level recording_level(const struct profile *profile)
{
	const struct limit *level = &profile->recorder.level;

	return level->set ? (enum record_level)level->value : RECORD_DECISIONS;
}

uint64_t recording_keep_ms(const struct profile *profile)
{
	const struct limit *keep = &profile->recorder.keep_ms;

	return keep->set ? keep->value : RECORD_KEEP_DEFAULT_MS;
}

/* The strongest phase that a failing recorder leads to. */
static struct recording_failure triggered(const struct profile *profile)
{
	for (enum phase phase = PHASE_EMERGENCY; phase > PHASE_PRIMARY; phase--) {
		const struct triggers *when = &pace_rules(profile, phase)->when;

		for (size_t i = 0; i < when->count; i++) {
			if (when->items[i].event == TRIGGER_RECORDER_FAILED)
				return (struct recording_failure){
					RECORDING_PHASE, phase, &when->items[i]};
		}
	}
	return (struct recording_failure){0};
}

struct recording_failure recording_failure(const struct profile *profile)
{
	static const struct recording_failure stop = {.action = RECORDING_STOP},
					      emergency = {.action = RECORDING_PHASE,
						      .phase = PHASE_EMERGENCY};
	const struct limit *word = &profile->recorder.on_failure;
	struct recording_failure by_pace = triggered(profile);

	if (word->set && word->value == RECORD_FAILURE_STOP)
		return stop;
	if (word->set && word->value == RECORD_FAILURE_EMERGENCY)
		return emergency;
	return word->set || by_pace.action == RECORDING_PHASE ? by_pace : stop;
}

unsigned recording_strength(struct recording_failure failure)
{
	return failure.action == RECORDING_STOP ? PHASE_COUNT : (unsigned)failure.phase;
}

const char *recording_failure_word(struct recording_failure failure)
{
	return failure.action == RECORDING_STOP       ? "stop"
	       : failure.action == RECORDING_CONTINUE ? "continue"
						      : phase_name(failure.phase);
}

bool recording_refuses(const struct profile *profile)
{
	struct recording_failure failure = recording_failure(profile);

	/* To kill a run takes no meter. */
	return failure.action == RECORDING_PHASE &&
	       !(pace_posture(pace_rules(profile, failure.phase), failure.phase) &
		       POSTURE_DEAD_BIT);
}

bool recording_needs_meter(const struct profile *profile)
{
	return recording_level(profile) > RECORD_DECISIONS || recording_refuses(profile);
}
