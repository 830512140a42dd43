/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the files of plan/ that fill Plan.meter. */

#include "plan/compile.h"
#include "wire/effects.h"

#define METER_NETWORK_FILE "/etc/berm/network.yaml" /* the operator's */

/* Append a message to a repeated field of Plan.meter; NULL when memory ran out. */
#define METER_ADD(c, list, init)                                                                   \
	({                                                                                         \
		__typeof__(*(c)->plan->meter->list) added_ = malloc(sizeof(*added_));              \
		if (!added_ || !message_push(c, &(c)->plan->meter->list,                           \
				       &(c)->plan->meter->n_##list, added_)) {                     \
			free(added_);                                                              \
			added_ = NULL;                                                             \
			(c)->out_of_memory = true;                                                 \
		} else {                                                                           \
			init(added_);                                                              \
		}                                                                                  \
		added_;                                                                            \
	})

/* meter.c */
/* Somebody is asked before the first write, which has to wait for the answer. */
bool meter_holds_writes(const struct profile *profile);
/* True where the run has a meter and programs in the kernel see everything, files included. */
bool meter_sees_all(const struct compiler *c);
/* True where programs see at least the network. */
bool meter_sees_network(const struct compiler *c);
/* "bpf (lsm)", for Rule.enforced_by. */
const char *meter_words(struct compiler *c);
/* The feature bpf is missing for a rule, as feature_missing(), with the host's reason. */
int meter_missing(struct compiler *c, uint32_t rule, const char *consequence) must_check;

/* The feature notify is missing for a rule that only it could hold here. */
int meter_blind(struct compiler *c, uint32_t rule) must_check;

/* Where the lines of a phase stand. */
extern const struct meter_phase_sections {
	enum rule_section when, then;
} meter_phase_sections[PHASE_COUNT];

/* meter-caps.c */
int meter_caps(struct compiler *c) must_check;
/* meter-pace.c */
int meter_pace(struct compiler *c) must_check;

/* meter-scope.c */
/* True where the meter can hold the pattern: no class of characters, and no component that is only
 * a star, since that would be every name. */
bool meter_holds_pattern(const char *pattern);
/* Protect what the pattern names, there or not, with all beneath: PROTECTION_HIDE from everything,
 * PROTECTION_SEAL from changes. Only where meter_sees_all(). pattern is borrowed. */
void meter_name(struct compiler *c, const char *pattern, enum protection_kind kind, bool canary,
	uint32_t rule);

/* meter-network.c */
/* True where the profile (network.mode: scoped) reaches beyond its own loopback. */
bool meter_wants_link(const struct profile *profile);
/* The addresses of the profile's network section, into Plan.meter. */
void meter_addresses(struct compiler *c);
