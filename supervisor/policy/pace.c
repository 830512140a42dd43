/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/pace.h"

#include "policy/keys.h"

#include <assert.h>

const struct phase_rules *pace_rules(const struct profile *profile, enum phase phase)
{
	assert(phase > PHASE_PRIMARY && phase < PHASE_COUNT);
	return phase == PHASE_ALTERNATE     ? &profile->pace.alternate
	       : phase == PHASE_CONTINGENCY ? &profile->pace.contingency
					    : &profile->pace.emergency;
}

const char *pace_key(enum phase phase)
{
	static const char *const keys[PHASE_COUNT] = {
		[PHASE_PRIMARY] = "pace",
		[PHASE_ALTERNATE] = "pace.alternate",
		[PHASE_CONTINGENCY] = "pace.contingency",
		[PHASE_EMERGENCY] = "pace.emergency",
	};

	return keys[phase];
}

bool response_is_written(const struct response *response)
{
	return response->fs_write.set || response->network.set || response->exec.set ||
	       response->run.set;
}

bool pace_is_written(const struct phase_rules *rules)
{
	return rules->when.count > 0 || response_is_written(&rules->then) || rules->recover_at.line;
}

struct response response_default(enum phase phase)
{
	static const struct limit deny = {.set = true, .value = RESPONSE_DENY};
	static const struct limit freeze = {.set = true, .value = RESPONSE_FREEZE};
	static const struct limit kill = {.set = true, .value = RESPONSE_KILL};

	if (phase == PHASE_ALTERNATE)
		return (struct response){.fs_write = deny, .network = deny};
	return (struct response){.run = phase == PHASE_CONTINGENCY ? freeze : kill};
}

unsigned pace_posture(const struct phase_rules *rules, enum phase phase)
{
	struct response then =
		response_is_written(&rules->then) ? rules->then : response_default(phase);
	unsigned posture = 0;

	if (then.fs_write.set)
		posture |= POSTURE_NO_WRITE;
	if (then.network.set)
		posture |= POSTURE_NO_NETWORK;
	if (then.exec.set)
		posture |= POSTURE_NO_EXEC;
	if (then.run.set)
		posture |= then.run.value == RESPONSE_KILL ? POSTURE_DEAD : POSTURE_FROZEN;
	return posture;
}

enum phase pace_exceeded(enum on_exceed on_exceed)
{
	static const enum phase phases[ON_EXCEED_COUNT] = {
		[ON_EXCEED_DENY] = PHASE_PRIMARY,
		[ON_EXCEED_ALTERNATE] = PHASE_ALTERNATE,
		[ON_EXCEED_CONTINGENCY] = PHASE_CONTINGENCY,
		[ON_EXCEED_EMERGENCY] = PHASE_EMERGENCY,
	};

	return phases[on_exceed];
}

bool blast_radius_is_capped(const struct profile *profile)
{
	for (const struct key *key = sections[SECTION_BLAST_RADIUS].keys; key->name; key++) {
		const struct limit *limit = (const void *)((const char *)profile + key->offset);

		if (key->stored && (key->type == VALUE_COUNT || key->type == VALUE_SIZE) &&
			limit->set)
			return true;
	}
	return false;
}
