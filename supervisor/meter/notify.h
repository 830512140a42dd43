/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The notify make of the meter: the counters, caps and posture of one run, for calls that are asked
 * about one by one. Nothing here asks the system for anything: calls and times come in, verdicts
 * and events go out. Not for more than one thread. */

#include "base/error.h"
#include "wire/effects.h"
#include "wire/plan.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* Most denials that the window of a breaker can hold. */
#define NOTIFY_BREAKER_COUNT_MAX 1000000U
#define NOTIFY_UNLIMITED UINT64_MAX

enum notify_event_kind {
	NOTIFY_CAP,     /* a cap refused, for the first time */
	NOTIFY_STEP,    /* a threshold was reached, for the first time */
	NOTIFY_BREAKER, /* a breaker tripped, for the first time or with a posture that is new */
	NOTIFY_EVENT_COUNT
};

struct notify_event {
	enum notify_event_kind kind;
	uint32_t index;   /* of the entry in Meter.caps, steps or breakers */
	uint32_t counter; /* COUNTER_…; of a breaker COUNTER_DENIALS */
	uint64_t value; /* CAP: what the call would have brought the counter to; STEP: what was done
			   and what was refused; BREAKER: denials in the window */
	uint64_t limit; /* of the cap, the threshold or the breaker */
	uint32_t rule;  /* index into Plan.rules */
	uint32_t posture; /* of the run, now that it has happened */
	uint32_t phase;
};

/* Called from within the functions below; must not call them. */
struct notify_sink {
	void *context;
	void (*event)(void *context, const struct notify_event *event); /* NULL: nobody listens */
};

#define NOTIFY_NO_RULE UINT32_MAX

struct notify_verdict {
	int errno_value;  /* 0: the call goes on; EPERM, or EAGAIN where a cap refuses a process */
	bool by_posture;  /* refused: by what the run is in, not by a cap */
	uint32_t rule;    /* refused: the cap's, or the one that the posture is due to;
			     NOTIFY_NO_RULE where a person or a group set it */
	uint32_t counter; /* refused by a cap: COUNTER_… */
};

struct notify_snapshot {
	uint64_t done[COUNTER_COUNT];
	uint64_t refused[COUNTER_COUNT]; /* beyond a cap */
	uint64_t limit[COUNTER_COUNT];   /* the least cap, or NOTIFY_UNLIMITED */
	uint64_t undone; /* calls that were let through and never ran; they are in no counter */
	uint32_t posture;
	uint32_t phase;
};

struct notify;

/* meter is borrowed until notify_destroy(). Errors: -EINVAL (kind INTERNAL) for an entry with a
 * number out of range, among them a breaker without a count or with one above
 * NOTIFY_BREAKER_COUNT_MAX; -ENOMEM. */
int notify_create(const Berm__Wire__Meter *meter, const struct notify_sink *sink,
	struct notify **ret_notify, struct error *err) must_check;
void notify_destroy(struct notify *notify); /* NULL is fine */

/* Decide one call. charge: CHARGE_… of wire/effects.h; needs: POSTURE_…. Where a cap would be
 * crossed, or where the posture has a bit of needs or is frozen, nothing is added. Everything that
 * is added is added at once, so that no sequence of calls brings a counter past its cap. */
void notify_charge(
	struct notify *notify, uint32_t charge, uint32_t needs, struct notify_verdict *ret_verdict);
/* Give back what a call that was let through added. What it set off stays. */
void notify_undo(struct notify *notify, uint32_t charge);

/* A refusal by whatever wall. class: DENIAL_…; now_ms: CLOCK_BOOTTIME, a time before an earlier one
 * counts as that one. Refusals by caps and postures are none: who goes on asking has been stopped
 * already. */
void notify_denied(struct notify *notify, uint32_t class, uint64_t now_ms);

/* Somebody else found a reason: postures and phases only add. rule: index into Plan.rules, or
 * NOTIFY_NO_RULE. */
void notify_tighten(struct notify *notify, uint32_t posture, uint32_t phase, uint32_t rule);
/* A person decides: the posture is this one from the next call on, also where it is less. Caps go
 * on to refuse; a cap or threshold that was crossed before does not bring its posture back. */
void notify_set(struct notify *notify, uint32_t posture, uint32_t phase);

void notify_look(const struct notify *notify, struct notify_snapshot *ret_snapshot);
