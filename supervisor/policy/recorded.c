/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/recorded.h"

#include "policy/pace.h"

enum record_level recorded_level(const struct profile *profile)
{
	const struct limit *level = &profile->recorder.level;

	return level->set ? (enum record_level)level->value : RECORD_DECISIONS;
}

uint64_t recorded_keep_ms(const struct profile *profile)
{
	const struct limit *keep = &profile->recorder.keep_ms;

	return keep->set ? keep->value : RECORD_KEEP_DEFAULT_MS;
}

/* The strongest phase that a failing recorder leads to. */
static struct recorded_failure triggered(const struct profile *profile)
{
	for (enum phase phase = PHASE_EMERGENCY; phase > PHASE_PRIMARY; phase--) {
		const struct triggers *when = &pace_rules(profile, phase)->when;

		for (size_t i = 0; i < when->count; i++) {
			if (when->items[i].event == TRIGGER_RECORDER_FAILED)
				return (struct recorded_failure){
					RECORDED_PHASE, phase, &when->items[i]};
		}
	}
	return (struct recorded_failure){0};
}

struct recorded_failure recorded_failure(const struct profile *profile)
{
	static const struct recorded_failure stop = {.action = RECORDED_STOP},
					     emergency = {.action = RECORDED_PHASE,
						     .phase = PHASE_EMERGENCY};
	const struct limit *word = &profile->recorder.on_failure;
	struct recorded_failure by_pace = triggered(profile);

	if (word->set && word->value == RECORD_FAILURE_STOP)
		return stop;
	if (word->set && word->value == RECORD_FAILURE_EMERGENCY)
		return emergency;
	return word->set || by_pace.action == RECORDED_PHASE ? by_pace : stop;
}

unsigned recorded_strength(struct recorded_failure failure)
{
	return failure.action == RECORDED_STOP ? PHASE_COUNT : (unsigned)failure.phase;
}

const char *recorded_failure_word(struct recorded_failure failure)
{
	return failure.action == RECORDED_STOP       ? "stop"
	       : failure.action == RECORDED_CONTINUE ? "continue"
						     : phase_name(failure.phase);
}

bool recorded_refuses(const struct profile *profile)
{
	struct recorded_failure failure = recorded_failure(profile);

	/* To kill a run takes no meter. */
	return failure.action == RECORDED_PHASE &&
	       !(pace_posture(pace_rules(profile, failure.phase), failure.phase) &
		       POSTURE_DEAD_BIT);
}

bool recorded_needs_meter(const struct profile *profile)
{
	return recorded_level(profile) > RECORD_DECISIONS || recorded_refuses(profile);
}
