/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/effects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a run has done and how far it was let: for the status record, the footer and the answers to
 * those who ask while it lasts. */

#define EFFECTS_TRIPS_MAX 32
#define EFFECTS_UNLIMITED UINT64_MAX
#define EFFECTS_NO_RULE UINT32_MAX
#define EFFECTS_BY_POSTURE (UINT32_MAX - 1) /* whatever the posture is due to */

enum trip_kind {
	TRIP_KIND_CAP,      /* a cap refused, for the first time */
	TRIP_KIND_STEP,     /* a threshold was reached */
	TRIP_KIND_BREAKER,  /* refusals of one class came together */
	TRIP_KIND_OPERATOR, /* somebody set the posture */
	TRIP_KIND_METER,    /* the meter itself failed */
	TRIP_KIND_RECORDER, /* the recorder did */
	TRIP_KIND_GROUP,    /* the phase of the agent's group */
	TRIP_KIND_COUNT
};

/* One change of what the run may do, or a warning. */
struct trip {
	enum trip_kind kind;
	uint32_t counter; /* COUNTER_… */
	uint64_t value;   /* CAP, STEP: what the counter came to with what was refused; BREAKER: how
			     many refusals */
	uint64_t limit;
	uint32_t rule;           /* index into Plan.rules, or EFFECTS_NO_RULE */
	uint32_t posture, phase; /* of the run afterwards */
	uint32_t class;          /* BREAKER: DENIAL_… */
	uint64_t after_ms;       /* since the run began */
	bool warning;            /* of STEP: it changes nothing */
};

struct effects {
	bool metered;
	const char *make; /* "bpf (lsm)", "notify" …; "" where nothing is metered; static */
	uint32_t posture; /* POSTURE_… */
	uint32_t phase;   /* PHASE_… */
	uint64_t done[COUNTER_COUNT];
	uint64_t refused[COUNTER_COUNT];      /* beyond the cap */
	uint64_t limit[COUNTER_COUNT];        /* or EFFECTS_UNLIMITED */
	bool counted[COUNTER_COUNT];          /* somebody counts it in this run */
	struct trip trips[EFFECTS_TRIPS_MAX]; /* in order */
	size_t trip_count;
	uint64_t trips_not_kept;
	/* Each trip, kept or not; a threshold that only warns is none. */
	uint64_t caps_crossed, breakers_tripped, emergencies;
	uint64_t events_lost;   /* reports of the kernel's programs that found no room; the counters
				   hold them all the same */
	uint64_t activity_lost; /* likewise, of what was let through */
};

/* "cap", "step", "warning", "breaker", "operator", "meter", "recorder", "group". */
const char *trip_word(const struct trip *trip);
