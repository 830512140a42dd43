/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"
#include "wire/effects.h"

/* The rules of a phase, PHASE_ALTERNATE to PHASE_EMERGENCY. Borrowed from the profile. */
const struct phase_rules *pace_rules(const struct profile *profile, enum phase phase);
/* "pace.alternate" … Static. */
const char *pace_key(enum phase phase);
/* True where a trigger, a response or an end is written for the phase. */
bool pace_is_written(const struct phase_rules *rules);
/* True where some word of the response is set. */
bool response_is_written(const struct response *response);
/* What the phase answers with where nothing is written: alternate refuses writing and the network,
 * contingency freezes, emergency kills. */
struct response response_default(enum phase phase);
/* The refusals (POSTURE_… of wire/effects.h) that the phase brings, never 0. */
unsigned pace_posture(const struct phase_rules *rules, enum phase phase);
/* The phase that follows a refusal of a cap; PHASE_PRIMARY: none. */
enum phase pace_exceeded(enum on_exceed on_exceed);
/* True where blast_radius has a cap. */
bool blast_radius_is_capped(const struct profile *profile);
