/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pieces of plan_print(). Private to plan/. */

#include "plan/plan.h"

/* A string of the plan, safe for a terminal: a plan may come from elsewhere, so none is trusted. */
void print_escaped(struct text *out, const char *string);
/* Begin a line of what `word` says. The place where it began is for print_end_rule(). */
size_t print_begin(struct text *out, const char *word);
void print_end(struct text *out);
/* End the line with the rule that it comes from. */
void print_end_rule(struct text *out, size_t start, const Berm__Wire__Plan *plan, uint32_t rule);
/* "MOUNT_READ_ONLY" of the message definition as "read-only", in a column. */
void print_enum(
	struct text *out, const ProtobufCEnumDescriptor *type, int value, const char *prefix);
/* Plan.approvals, where somebody is asked. */
void print_approvals(const Berm__Wire__Plan *plan, struct text *out);
void print_recorder(const Berm__Wire__Plan *plan, struct text *out);
/* Plan.meter, where there is one. */
void print_meter(const Berm__Wire__Plan *plan, struct text *out);
/* The filter: its size and answers, every call that is not simply allowed, then those that are. */
void print_seccomp(const Berm__Wire__Plan *plan, struct text *out);
