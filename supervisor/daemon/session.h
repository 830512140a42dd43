/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/apply.h"
#include "apply/caller.h"
#include "base/text.h"
#include "daemon/agent-run.h"
#include "daemon/delegation.h"
#include "daemon/denials.h"
#include "daemon/effects.h"
#include "daemon/places.h"
#include "daemon/recording.h"
#include "daemon/run-id.h"
#include "daemon/session-hold.h"
#include "plan/plan.h"
#include "policy/load.h"

/* One run from the caller's words to its end: the layers put together. */

/* Who wants to hear what a run tries, before it goes on: each path call and connection in trace
 * mode
 * ("read", "write", "exec", "connect"), and each system call that the walls refuse ("syscall",
 * "socket"). Words are the tool's own bytes and live for the call. */
struct session_observer {
	void *context;
	void (*seen)(void *context, const char *operation, const char *object);
};

/* What became of a run that was delegated, beside what a person hears. */
struct delegation_outcome {
	enum delegation_rule rule;    /* why it was refused as a delegation */
	uint64_t done[COUNTER_COUNT]; /* with what it delegated itself */
};

/* Who asked through a supervisor. It said nothing but which agent is to do what, for how long. */
struct session_client {
	int signals_fd; /* daemon/live-client.h */
	pid_t pid;
};

#define BACKUP_TASK "backup-"

/* What the caller asks for. All borrowed. */
struct session_request {
	const char *profile;               /* path or name; NULL: that of the agent */
	const char *agent;                 /* name or id, or NULL */
	const char *task;                  /* of the agent: --task, or NULL */
	const char *const *argv;           /* NULL-terminated, or NULL where nothing is to run */
	const char *directory;             /* -C, or NULL */
	const char *const *env_extra;      /* --env, NULL-terminated, or NULL */
	const char *const *allow_degraded; /* likewise */
	const char *ceiling;               /* --ceiling, or NULL */
	const char *state_dir;             /* --state-dir, or NULL */
	uint64_t timeout_ms;               /* 0 = only the profile's */
	/* The profile by itself, to be held against another one: without the ceiling of the site,
	 * and ${RUN_ID} the same each time. `ceiling` counts. */
	bool for_comparing;
	const struct profile_variables *variables; /* those not NULL in it count instead; or NULL */
	/* It is to be a profile of the operator's, as for an agent: nobody else's counts. */
	bool of_operator;
	const struct delegation_origin *delegated; /* a run's tool asks for it; or NULL */
	struct delegation_outcome *outcome;        /* of that; or NULL */
	bool trace_denials;
	/* Berm itself starts it, as the backup of a group in alternate: it changes nothing,
	 * whatever the phase is by then, begins in the agent's own directory, and ends with
	 * alternate. */
	bool is_backup; /* its task is BACKUP_TASK and a number; no other run has such a one */
	const struct session_client *client;     /* or NULL; state_dir is then the supervisor's */
	bool record;                             /* tell the recorder: for what runs */
	const struct session_observer *observer; /* or NULL */
	bool thorough; /* have each host feature tried instead of asked for: slow, for check and
			  show */
};

#define SESSION_OWN_PATHS 8

/* Zero-initialise; release with session_finish(). Each step fills what the ones after it need. */
struct session {
	const struct session_request *request;
	struct caller caller;
	struct places places;
	char run_id[RUN_ID_LENGTH + 1];
	char uid[16];    /* ${UID} */
	char *directory; /* real path */
	struct profile *profile;
	uint64_t loaded_ms;            /* CLOCK_BOOTTIME: since when it is as it is */
	struct profile *own_profile;   /* as it would be had nobody delegated the run; or NULL */
	struct delegation_chain chain; /* who delegated it */
	uint64_t delegated_done[COUNTER_COUNT]; /* by runs that this one delegated */
	Berm__Wire__HostFacts *facts;
	Berm__Wire__Plan *plan;
	uint8_t plan_digest[PLAN_DIGEST_BYTES];
	struct text diagnostics; /* of the profile: errors, warnings and notes with their places */
	struct text notes;       /* of the plan: warnings, one a line */
	struct denials denials;
	struct effects effects;             /* of the run */
	char *own_paths[SESSION_OWN_PATHS]; /* owned, NULL where there is none: own-state.h */
	struct path_rule *own_deny;         /* owned: the profile's fs.deny and berm's own lines */
	struct output *outputs;             /* owned: of the run, when it has ended */
	size_t output_count;
	struct recording *recording; /* owned; NULL: nothing is recorded */
	struct agent_run *agent_run; /* owned; NULL: of no agent */
	struct session_hold *held;   /* owned; NULL: nobody was asked */
	bool approved;               /* session_approve() said yes: whoever had to be asked was */
	bool was_denied;             /* a person or a gate said no, or nobody in time */
	bool tool_ran;               /* although the outcome is that the run could not be set up */
	bool was_refused;            /* nothing was set up: what is recorded of it is short */
};

/* Find out who and where we are and make the run's id: the first half of session_load(). */
int session_begin(const struct session_request *request, struct session *session,
	struct error *err) must_check;
/* The variables of the session's profiles. Borrowed from the session and its request. */
struct profile_variables session_variables(const struct session *session);
/* Find out who and where we are, make the run's id, read the profile with all it extends and the
 * ceilings. */
int session_load(const struct session_request *request, struct session *session,
	struct error *err) must_check;
/* Whether the files of the loaded profile are what they were, where that is longer ago than
 * SESSION_FRESH_MS: who can stop a start for a while would run it with a profile that was narrowed
 * since. -EAGAIN, kind REFUSED. */
int session_reload_check(const struct session *session, struct error *err) must_check;
#define SESSION_FRESH_MS 1000
/* The same once more, as all of it is now: for a session with the same request and the same id as
 * `first`. An agent is asked whether it may still start that run, and the run is not counted again.
 */
int session_load_again(
	const struct session *first, struct session *session, struct error *err) must_check;
/* What is known of the session's agent, or NULL. */
const Berm__Wire__Agent *session_agent(const struct session *session);
/* Whether nobody halted it (daemon/halts.h). */
int session_may_start(const struct session *session, struct error *err) must_check;
/* Gather the facts about the host that the loaded profile needs and check its paths against them.
 */
int session_check(struct session *session, struct error *err) must_check;
/* Compile the plan and its digest. */
int session_compile(struct session *session, struct error *err) must_check;
/* Ask gates and people where the plan wants that, and wait for them: before session_run(). Kind
 * REFUSED where they say no. */
int session_approve(struct session *session, struct error *err) must_check;
/* Run the plan and collect its denials and effects. While it lasts it answers to `berm ps` and the
 * like. Always fills *ret_result: RUN_REFUSED where somebody has to be asked and was not. */
void session_run(struct session *session, struct run_result *ret_result);
/* Hash what the profile declares as outputs, where the run was: for its receipt. */
void session_take_outputs(struct session *session, const struct run_result *result);
/* The run never came to be: let the log say that it was asked for, and why not. Quiet where that
 * does not work. */
void session_refused(struct session *session, const struct run_result *result);
void session_finish(struct session *session);
#define autosession __attribute__((cleanup(session_finish)))

/* The features that --allow-degraded may name, NULL-terminated. */
extern const char *const session_features[];
/* 0, or -EINVAL with the list of features and a nearest one (kind INPUT) where a word is none of
 * them. */
int session_check_features(const char *const *words, struct error *err) must_check;
