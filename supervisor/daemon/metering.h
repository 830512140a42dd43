/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/apply.h"
#include "base/text.h"
#include "daemon/activity.h"
#include "daemon/effects.h"

/* The meter of one run, whatever its make: meter/ and apply/ put together. What is done is decided
 * where it is done (in the kernel, or in the gate); stopping and killing follow at once in the run
 * loop. */

struct metering;

/* What the session wants to hear. Called from within the functions below and from the run loop. */
struct metering_sink {
	void *context;
	/* An operation was refused by the meter. rule: index into Plan.rules; EFFECTS_NO_RULE where
	 * what the run is in refused it, and no rule of the plan had brought that about. */
	void (*refused)(void *context, const char *operation, const char *target, uint32_t rule);
	/* Something was let through. NULL: nobody wants to know, which costs less. */
	void (*activity)(void *context, const struct activity *activity);
	/* The run was stopped or let go on, or something else that a person has to know. */
	void (*said)(void *context, const char *words);
};

/* Say in the facts what this host can meter with; only where plan_needs_meter(). Where a run
 * starts, root adopts the programs that are pinned, or loads, proves and pins them; else they are
 * asked about and nothing changes on the host. */
int metering_facts(Berm__Wire__HostFacts *facts, bool starts, struct error *err) must_check;

/* Where the kernel's programs are pinned, for a person: words about it, and whether a start adopts
 * them (or will, once one has loaded them). Changes nothing. */
bool metering_pins(const Berm__Wire__HostFacts *facts, struct text *words);

/* The meter that plan->meter asks for. plan and sink are borrowed until metering_destroy(). */
int metering_create(const Berm__Wire__Plan *plan, const char *run_id,
	const struct metering_sink *sink, struct metering **ret_metering,
	struct error *err) must_check;
void metering_destroy(struct metering *metering); /* NULL is fine */

/* The callbacks of apply/, with the same meaning. */
int metering_enter(
	struct metering *metering, const struct run_entry *entry, struct error *err) must_check;
int metering_gate(struct metering *metering, const struct gate_call *call);

/* What changed last what the run may do. */
enum trip_kind metering_restricted_by(const struct metering *metering);
void metering_undo(struct metering *metering, const struct gate_call *call);
/* A wall refused something: what that means for the breakers. */
void metering_denied(struct metering *metering, const struct denial_event *event);
/* Readable when metering_watch() has something to do; it wants to be called every
 * METERING_WATCH_MS as well. */
int metering_fd(const struct metering *metering);
#define METERING_WATCH_MS 500
void metering_watch(struct metering *metering);

/* A person sets the posture. Errors: kind REFUSED where the profile says that nobody takes the run
 * out of its phase; -ETIMEDOUT and others of run_freeze(). */
int metering_set(struct metering *metering, unsigned posture, struct error *err) must_check;
/* Into a phase that is not due to anything the run did. why: TRIP_KIND_RECORDER, nobody can record
 * it any more; TRIP_KIND_GROUP. */
void metering_enter_phase(
	struct metering *metering, uint32_t phase, uint32_t posture, enum trip_kind why);
/* The state now. */
void metering_look(struct metering *metering, struct effects *ret_effects);
/* The run is over: take what is left, and let the result say so where the breaker ended it. */
void metering_end(struct metering *metering, struct run_result *result);
