/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/pace.h"

/* Every change of phase that there is. */

enum pace_how {
	PACE_GO,   /* from → to */
	PACE_ASK,  /* a decision about `to` is opened */
	PACE_STAY, /* the phase remains; the answer to a decision, or an explanation */
};

/* What must be so; bits, looked at in this order. */
enum pace_condition {
	PACE_IF_CONFIGURED = 1,   /* `to` is what is configured */
	PACE_IF_ASKED = 2,        /* a decision about `to` is open */
	PACE_IF_OTHER_SOURCE = 4, /* somebody else asked for it */
	PACE_IF_OBSERVER_ASKED = 8,
	PACE_IF_WINDOW_OVER = 16,  /* of the decision, by the group's window */
	PACE_IF_UNANSWERED = 32,   /* the same by PACE_UNANSWERED_MS */
	PACE_IF_STAYED = 64,       /* for PACE_ALTERNATE_MAX_MS */
	PACE_IF_CYCLES_USED = 128, /* PACE_CYCLES_MAX returns in PACE_CYCLE_WINDOW_MS */
	PACE_IF_ABOVE_FLOOR = 256, /* `to` is not less restrictive than configured */
	PACE_IF_DECIDED = 512,     /* no decision is open */
	PACE_IF_NOT_RECOVERING = 1024,
	PACE_IF_REASON = 2048,    /* people's words came with it */
	PACE_IF_REVIEW = 4096,    /* the whole review */
	PACE_IF_EXPLAINED = 8192, /* before */
	PACE_IF_CYCLES_LEFT = 16384,
	PACE_IF_SUPERVISED = 32768, /* the tier's wait for a step, where it is on the way back */
	PACE_IF_STABLE = 65536,     /* undisturbed for PACE_STABLE_MS */
	PACE_CONDITIONS_ALL = 131071
};

struct pace_row {
	unsigned from; /* set of 1 << enum phase */
	unsigned to;   /* enum phase; of STAY: not looked at */
	enum pace_how how;
	unsigned triggers;    /* set of 1 << enum pace_trigger */
	unsigned authorities; /* set of 1 << enum pace_authority */
	unsigned tiers;       /* set of 1 << tier */
	unsigned conditions;  /* set of enum pace_condition */
	unsigned actions;     /* set of enum pace_action */
};

extern const struct pace_row pace_rows[];
extern const size_t pace_row_count;

/* The triggers that only the machine itself may raise, as a set: time and what is inferred. */
#define PACE_INNER_TRIGGERS                                                                        \
	(1U << PACE_SECOND_AGENT | 1U << PACE_BACKUP | 1U << PACE_STAYED | 1U << PACE_CYCLES |     \
		1U << PACE_SECOND_SIGNAL | 1U << PACE_WINDOW | 1U << PACE_UNANSWERED |             \
		1U << PACE_STABLE | 1U << PACE_CONFIGURED)
/* Those that a meter or a source may raise about an agent. */
#define PACE_SUSPICIONS                                                                            \
	(1U << PACE_CAP | 1U << PACE_BREAKER | 1U << PACE_SCORE | 1U << PACE_EXTERNAL |            \
		1U << PACE_TIME_BOX)
/* Those that speak for an emergency. */
#define PACE_EVIDENCE                                                                              \
	(1U << PACE_CASCADE | 1U << PACE_EXFILTRATION | 1U << PACE_COORDINATION | 1U << PACE_ROGUE)

/* The row that lets the event do what it wants; NULL and outcome's refusal, who_may, wait_ms and
 * missing_review where there is none: those of the first row that has the authority, else those of
 * one that has not. */
const struct pace_row *pace_find_row(const struct pace_group *group, const struct pace_event *event,
	struct pace_outcome *outcome);
/* Whether who says it is who asked for that decision: the source of that name; where berm itself
 * says so, the agent whose run it was said of. */
bool pace_is_same_source(const struct pace_request *request, const struct pace_event *event);
/* What still has to pass before a condition holds that only time makes true; 0: it holds. */
uint64_t pace_time_missing(const struct pace_group *group, unsigned condition);
