/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "govern/pace.h"

/* What people and records call the things of pace.h. All strings are static. */

/* "cap", "second-agent" …; "" for a number that is none. */
const char *pace_trigger_name(unsigned trigger);
/* False where the word is none. */
bool pace_trigger_parse(const char *word, unsigned *ret_trigger);
/* "blast radius crossed" …: half a sentence. */
const char *pace_trigger_words(unsigned trigger);
/* "operator", "security", "incident-commander" … */
const char *pace_authority_name(unsigned authority);
bool pace_authority_parse(const char *word, unsigned *ret_authority);
/* "primary" …, and their first letters in either case. */
bool pace_phase_parse(const char *word, unsigned *ret_phase);
/* "notify", "isolate" …; action is one bit. */
const char *pace_action_name(unsigned action);
/* "root-cause" …; one bit. */
const char *pace_review_name(unsigned item);
bool pace_review_parse(const char *word, unsigned *ret_item);

/* The actions as "notify, isolate, …" in their order. */
void pace_actions_write(struct text *out, unsigned actions);
/* Why it was refused, by which rule, and what to do: one or two sentences. */
void pace_refusal_write(
	struct text *out, const struct pace_group *group, const struct pace_outcome *outcome);
/* A duration for people, rounded up: "3 h 20 min", "45 s". */
void pace_duration_write(struct text *out, uint64_t ms);
