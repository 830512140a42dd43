/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/agent.h"
#include "govern/pace-clock.h"
#include "wire/effects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The PACE phase of a group as a pure state machine: no clock, no file, no allocation. What may
 * follow what, by whom and under which conditions is one table (pace-table.h). Phase and
 * containment are two things: who is suspected is isolated at once, whatever the phase, and a
 * decision that needs a person never delays that. */

/* Groups, keys, people and sources have names (agent_name_is_good()). Agents are known by their ids
 * alone (agent_id_is_good()): whoever gives an agent another name, or another agent its name,
 * changes nothing here. */
#define PACE_NAME_MAX AGENT_NAME_MAX
#define PACE_ID_BYTES 16 /* of a group */
#define PACE_ISOLATED_MAX 32
#define PACE_RETURNS_MAX 8
#define PACE_FINDINGS_MAX 8   /* of one decision, besides the first one */
#define PACE_KEYS_MAX 64      /* that may have signed within the time of a statement */
#define PACE_NONCES_PER_KEY 8 /* within that time */
#define PACE_NONCES_MAX (PACE_KEYS_MAX * PACE_NONCES_PER_KEY)
#define PACE_NONCE_BYTES 16
#define PACE_KEY_BYTES 32
#define PACE_DIGEST_BYTES 32

/* A signed statement is taken for so long after it was signed, by the wall clock, */
#define PACE_STATEMENT_MS (10 * 60 * 1000ULL)
/* and the clocks of who signs and who checks may differ by so much. */
#define PACE_SKEW_MS (2 * 60 * 1000ULL)

#define PACE_STABLE_MS (2 * 3600 * 1000ULL)         /* alternate to primary */
#define PACE_ALTERNATE_MAX_MS (48 * 3600 * 1000ULL) /* in alternate, then contingency */
#define PACE_CYCLE_WINDOW_MS (24 * 3600 * 1000ULL)  /* this many returns in it, and */
#define PACE_CYCLES_MAX 3                           /* the next alternate is contingency */
#define PACE_UNANSWERED_MS (5 * 60 * 1000ULL)       /* tier 3: then the observer decides */
#define PACE_SUPERVISED_2_MS (4 * 3600 * 1000ULL)   /* a step back from emergency, tier 2 */
#define PACE_SUPERVISED_3_MS (24 * 3600 * 1000ULL)  /* and tier 3 */
#define PACE_WINDOW_MS (5 * 60 * 1000ULL)           /* for a second signal, where none is set */
#define PACE_WINDOW_MIN_MS 1000ULL
#define PACE_WINDOW_MAX_MS (60 * 60 * 1000ULL)

/* Why a phase may change. */
enum pace_trigger {
	PACE_CAP = 0,      /* a cap of the blast radius was crossed */
	PACE_BREAKER,      /* refusals came together */
	PACE_SCORE,        /* an anomaly score over its limit */
	PACE_EXTERNAL,     /* somebody outside says so: a judge, a scanner */
	PACE_SECOND_AGENT, /* one of those before, of another agent while in alternate */
	PACE_BACKUP,       /* the same of the backup */
	PACE_STAYED,       /* too long in alternate */
	PACE_CYCLES,       /* too many returns */
	PACE_CASCADE,      /* the four kinds of evidence for an emergency */
	PACE_EXFILTRATION,
	PACE_COORDINATION,
	PACE_ROGUE,
	PACE_SECOND_SIGNAL, /* another source says the same within the window */
	PACE_WINDOW,        /* nobody confirmed or denied a signal within the window */
	PACE_UNANSWERED,    /* nobody answered the observer */
	PACE_KILL,          /* the kill switch */
	PACE_DECLARED,      /* a person says so */
	PACE_DISMISSED,     /* a person says no to what was asked */
	PACE_EXPLAINED,     /* somebody knows why it happened */
	PACE_STABLE,        /* quiet for long enough and explained */
	PACE_REVIEWED,      /* a person takes the group one step back */
	PACE_CONFIGURED,    /* the operator's setting is more restrictive */
	PACE_TIME_BOX,      /* a run was not done when its time was over */
	PACE_TRIGGER_COUNT
};

/* Who wants it, as verified by whoever calls. */
enum pace_authority {
	PACE_BY_AGENT = 0, /* a run, its tool, whatever it claims: may change nothing */
	PACE_BY_BERM,      /* a meter, a timer, a source that the operator lists */
	PACE_BY_OBSERVER,  /* the independent observer of tier 3 */
	PACE_BY_OPERATOR,
	PACE_BY_SECURITY,
	PACE_BY_COMMANDER, /* incident commander */
	PACE_BY_RISK_OWNER,
	PACE_BY_KILL_KEY,
	PACE_AUTHORITY_COUNT
};

/* What a change brings with it; bits, in the order in which they are told. */
enum pace_action {
	PACE_NOTIFY = 1,
	PACE_ISOLATE = 2,        /* the agent: frozen, starts nothing */
	PACE_START_BACKUP = 4,   /* read-only */
	PACE_APPROVE_WRITES = 8, /* of the whole group */
	PACE_HALVE_THRESHOLDS = 16,
	PACE_SUSPEND = 32,     /* all agents but the one of contingency */
	PACE_CUT_TRAFFIC = 64, /* between agents */
	PACE_CAPTURE = 128,    /* state for the inquiry */
	PACE_KILL_RUNS = 256,
	PACE_REVOKE = 512,     /* every scope */
	PACE_SEAL = 1024,      /* the evidence */
	PACE_CONTAIN = 2048,   /* who is concerned, until somebody decides */
	PACE_RELEASE = 4096,   /* those who were contained or isolated */
	PACE_SUPERVISE = 8192, /* the step back begins its wait */
	PACE_ACTIONS_ALL = 16383
};

/* What a review must have found before emergency is left. */
enum pace_review {
	PACE_ROOT_CAUSE = 1,
	PACE_GAP_CLOSED = 2,
	PACE_BASELINES = 4,
	PACE_SIGN_OFF = 8,
	PACE_REVIEW_ALL = 15
};

struct pace_isolated {
	char agent[AGENT_ID_BYTES + 1];
	struct pace_moment since;
};

/* What else the one who asked has said since. */
struct pace_finding {
	unsigned trigger;               /* enum pace_trigger */
	char agent[AGENT_ID_BYTES + 1]; /* "": the whole group */
};

struct pace_request {
	bool open;
	unsigned to;        /* enum phase */
	unsigned trigger;   /* enum pace_trigger */
	unsigned authority; /* enum pace_authority: who asked */
	char source[PACE_NAME_MAX + 1];
	char agent[AGENT_ID_BYTES + 1]; /* "": the whole group */
	struct pace_moment since;
	/* A "no" to fewer of them is an answer to another question. Where there is no room for one
	 * more, the whole group is concerned. */
	struct pace_finding more[PACE_FINDINGS_MAX];
	size_t more_count;
};

/* A decision about one phase does not make one about another go away: each has its place. */
enum pace_slot { PACE_SLOT_CONTINGENCY = 0, PACE_SLOT_EMERGENCY, PACE_SLOT_COUNT };

struct pace_nonce {
	uint8_t nonce[PACE_NONCE_BYTES];
	uint8_t key[PACE_KEY_BYTES];
	uint64_t signed_ms; /* wall clock of the signature */
};

/* The backup is to be started, since the change of that number. */
struct pace_takeover {
	uint64_t change;    /* 0: it is not */
	unsigned trigger;   /* enum pace_trigger of that change */
	unsigned authority; /* enum pace_authority */
	char by[PACE_NAME_MAX + 1];
	bool taken; /* a process has begun with it */
};
/* It is to take over from who was isolated: later than this nobody begins with it. */
#define PACE_TAKEOVER_MS (5 * 60 * 1000ULL)

/* A group. Plain: copying it is a snapshot. Kept as GroupState (pace-message.h), which says what
 * the fields are. */
struct pace_group {
	char name[PACE_NAME_MAX + 1];
	uint8_t id[PACE_ID_BYTES];
	unsigned tier;
	unsigned configured; /* enum phase */
	char backup[AGENT_ID_BYTES + 1];
	char contingency[AGENT_ID_BYTES + 1];
	uint64_t window_ms;
	struct pace_clock clock;
	unsigned phase; /* enum phase */
	struct pace_moment entered;
	struct pace_moment disturbed;
	bool explained;
	bool recovering;
	bool all_isolated;
	struct pace_isolated isolated[PACE_ISOLATED_MAX];
	size_t isolated_count;
	struct pace_moment returns[PACE_RETURNS_MAX];
	size_t return_count;
	struct pace_request requests[PACE_SLOT_COUNT];
	struct pace_nonce nonces[PACE_NONCES_MAX];
	size_t nonce_count;
	uint64_t nonce_floor_ms;
	uint64_t changes;
	struct pace_takeover takeover;
};

/* What comes in. */
struct pace_event {
	unsigned trigger;   /* enum pace_trigger; those that berm finds by itself are refused */
	unsigned authority; /* enum pace_authority */
	unsigned to;        /* enum phase, or PHASE_COUNT: whatever the trigger brings */
	const char *agent;  /* id of who is concerned; NULL: none in particular */
	const char *source; /* who says so: NULL where authority says it all */
	const char *reason; /* people's words; NULL: none. An explanation and a return need one */
	unsigned review;    /* set of enum pace_review */
};

enum pace_result {
	PACE_CHANGED, /* the phase is another one */
	PACE_ASKED,   /* a decision is open; who is concerned is frozen */
	PACE_NOTED,   /* the phase stays; isolation and clocks may have changed */
	PACE_REFUSED, /* nothing has changed but the clock */
	PACE_RESULT_COUNT
};

enum pace_refusal {
	PACE_FINE = 0,
	PACE_NO_RULE,      /* the table has no such change */
	PACE_NO_AUTHORITY, /* it has, for somebody else */
	PACE_NOT_IN_TIER,  /* it has, in another tier */
	PACE_NO_SKIPPING,  /* a return goes one step */
	PACE_TOO_EARLY,    /* wait_ms is missing */
	PACE_NO_REASON,    /* nobody explained it */
	PACE_NO_REVIEW,    /* what is missing is in missing_review */
	PACE_UNDECIDED,    /* a decision is open */
	PACE_NOT_ASKED,    /* no decision is open, or another one */
	PACE_WHICH,        /* two are, and it was not said which one is answered */
	PACE_FLOOR,        /* the operator's setting is more restrictive */
	PACE_TOO_OFTEN,    /* too many returns */
	PACE_MALFORMED,    /* no such trigger, authority or phase; a name that is none */
	PACE_REFUSAL_COUNT
};

/* What came of it. */
struct pace_outcome {
	enum pace_result result;
	enum pace_refusal refusal;
	unsigned before, after; /* enum phase */
	unsigned trigger;       /* enum pace_trigger, as it was understood */
	unsigned authority;     /* enum pace_authority that it was done by */
	unsigned actions;       /* set of enum pace_action */
	unsigned wanted;        /* enum phase that was asked for */
	unsigned who_may;       /* NO_AUTHORITY: set of 1 << enum pace_authority */
	uint64_t wait_ms;       /* TOO_EARLY */
	unsigned missing_review;
	char agent[AGENT_ID_BYTES + 1]; /* concerned, or "" */
};

/* A new group in the phase that is configured. id: random, so that no other group ever has it.
 * tier: 1 to 3. */
void pace_group_start(struct pace_group *group, const char *name, const uint8_t id[PACE_ID_BYTES],
	unsigned tier, unsigned configured, const struct pace_now *now);
/* One thing that happened. The group's clock is brought up to now, whatever comes of it. */
void pace_apply(struct pace_group *group, const struct pace_now *now,
	const struct pace_event *event, struct pace_outcome *ret_outcome);
/* What time alone brings: at most one change, the one that comes first, with the group's clock at
 * the moment when it came; call it until it says NOTED: then the clock is at now. To be called
 * before anything else is asked of a group that was away. */
void pace_tick(
	struct pace_group *group, const struct pace_now *now, struct pace_outcome *ret_outcome);
/* The same, where these changes (set of 1 << enum pace_trigger) cannot be brought about. */
void pace_tick_without(struct pace_group *group, const struct pace_now *now, unsigned without,
	struct pace_outcome *ret_outcome);
/* Whether less is enforced afterwards. */
bool pace_loosens(const struct pace_outcome *outcome);
/* What holds now, as long as nobody has written it down: all that is due until the first that
 * loosens. *ret_due: whether anything is; may be NULL. False where more than that many steps would
 * come, which no whole group does: what holds for it is not known then. */
#define PACE_STEPS_MAX 16
bool pace_settle(
	struct pace_group *group, const struct pace_now *now, unsigned steps, bool *ret_due);
/* In how many ms pace_tick() may have something to do at the earliest; UINT64_MAX: never. */
uint64_t pace_next_ms(const struct pace_group *group);
/* The same, and what it will do unless something else comes before; left alone for never. */
uint64_t pace_next(const struct pace_group *group, struct pace_outcome *ret_outcome);

/* What is left of the supervised wait of a group on its way back from emergency; 0: nothing. */
uint64_t pace_step_missing_ms(const struct pace_group *group);

/* What the phase means for the runs of one agent of the group. */
struct pace_effects {
	unsigned posture;        /* POSTURE_… that its runs must have at least */
	unsigned posture_staged; /* the same for a run all of whose writes are staged */
	bool may_start;          /* a new run */
	bool read_only;          /* a new run is started so that it changes nothing */
	bool thresholds_halved;
	bool approve_writes; /* each commit of what was written needs a person */
	bool approve_runs;   /* each run needs a person before it starts */
	bool no_traffic;     /* nothing to or from other agents */
	bool isolated;       /* it is this agent that is suspected */
	const char *why;     /* static: half a sentence for people */
};

/* agent: an id; NULL for a run of the group without an agent, which is nobody's backup. */
void pace_effects(
	const struct pace_group *group, const char *agent, struct pace_effects *ret_effects);
/* The effects where a group cannot be read: nothing starts, everything is frozen. */
void pace_effects_unknown(struct pace_effects *ret_effects);

/* Whether that agent is to be held where it is: it is isolated or waits for a decision, or the
 * group is not in primary. Without the leave of a recovery nobody takes it out of its group. */
bool pace_holds(const struct pace_group *group, const char *agent);

/* Whether this agent ("": none in particular) is held for that decision. */
bool pace_request_holds(const struct pace_request *request, const char *agent);
/* The decision about that phase, or NULL where none is open. */
const struct pace_request *pace_request_of(const struct pace_group *group, unsigned to);
bool pace_is_undecided(const struct pace_group *group);
/* What an answer is about, as bytes that change when there is something else to answer: for
 * DISMISSED the decision about `to`, for EXPLAINED the last thing that spoke against a return.
 * False where there is nothing to answer; all 0 then, and for what is no answer. */
bool pace_subject(const struct pace_group *group, unsigned trigger, unsigned to,
	uint8_t ret_digest[PACE_DIGEST_BYTES]);

/* Whether the backup is to be started, and nobody has begun with it: the group is in alternate
 * since the change that asked for it. */
bool pace_takeover_is_due(const struct pace_group *group);
/* Whether that was too long ago. */
bool pace_takeover_is_late(const struct pace_group *group);

enum pace_nonce_answer {
	PACE_NONCE_NEW,
	PACE_NONCE_USED, /* or it may have been: its signature is as old as those that were
			    forgotten */
	PACE_NONCE_FULL, /* this key has signed as much as one may within the time of a statement */
};

/* Whether the nonce may be used at that time (wall clock). What one key signs takes no room from
 * another one. */
enum pace_nonce_answer pace_nonce_ask(const struct pace_group *group,
	const uint8_t key[PACE_KEY_BYTES], const uint8_t nonce[PACE_NONCE_BYTES],
	uint64_t signed_ms, uint64_t wall_ms);
/* Remember one that was NEW. Forgotten is what is too old to be taken by that time. */
void pace_nonce_use(struct pace_group *group, const uint8_t key[PACE_KEY_BYTES],
	const uint8_t nonce[PACE_NONCE_BYTES], uint64_t signed_ms, uint64_t wall_ms);
