/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/profile.h"
#include "wire/agent.pb-c.h"
#include "wire/facts.pb-c.h"
#include "wire/plan.pb-c.h"

#define PLAN_DIGEST_BYTES 32
/* The home of a run on behalf of a user who has none (no passwd entry, as in many containers). */
#define PLAN_HOME_DEFAULT "/home/tool"

/* What the caller asks for beside the profile. */
struct plan_request {
	const char *const *argv; /* the command, NULL-terminated; may be NULL for show and check */
	const char *home; /* what ${HOME} of the profile is, absolute; NULL = facts->caller_home */
	const char *working_directory;     /* host path, absolute, links followed; NULL = "/" */
	bool working_directory_explicit;   /* -C was given: not granted is then an error */
	const char *const *environment;    /* the caller's environ, NULL-terminated */
	const char *const *env_extra;      /* --env words "K" or "K=V", NULL-terminated, or NULL */
	uint64_t wall_time_ms;             /* --timeout; 0 = only the profile's */
	const char *const *allow_degraded; /* feature names, NULL-terminated, or NULL */
	const char *run_id;
	bool trace_denials;
	const Berm__Wire__Agent *agent; /* whose run it is, or NULL */
};

/* Paths beside those of profile_paths() that plan_compile() wants facts about, NULL-terminated and
 * static. The caller adds request->home and request->working_directory. A fact that is missing here
 * costs convenience (the links of a merged /usr, say), never a wall. */
const char *const *plan_fact_paths(void);

/* True where a run of the profile can need the meter: only then facts about it (meter_…, network_…)
 * are worth gathering. */
bool plan_needs_meter(const struct profile *profile);

/* Compile a profile for a host. Pure: no system call, no clock, no environment; the same input
 * gives the same bytes. Refuses (kind UNSUPPORTED, naming rule, file:line and feature) what this
 * host cannot enforce unless degrading was allowed for that feature, and (kind INPUT) what is wrong
 * in the profile once paths are known. notes receives warnings for people, one a line. The plan is
 * released with plan_destroy(). */
int plan_compile(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	const struct plan_request *request, Berm__Wire__Plan **ret_plan, struct text *notes,
	struct error *err) must_check;
void plan_destroy(Berm__Wire__Plan *plan); /* NULL is fine */
/* BLAKE2b-256 over "berm plan 1\0" and the packed plan without what differs from run to run:
 * BERM_RUN in the environment, and a dedicated uid counts as the first of its range. */
int plan_digest(const Berm__Wire__Plan *plan, uint8_t ret_digest[PLAN_DIGEST_BYTES]) must_check;
/* The plan as text for people and golden files: one step a line, in order, each with its rule and
 * place. */
void plan_print(const Berm__Wire__Plan *plan, struct text *out);
