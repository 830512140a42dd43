/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pieces of plan_print(). Private to plan/. */

#include "plan/plan.h"

/* A string of the plan, safe for a terminal: a plan may come from elsewhere, so none is trusted. */
void print_escaped(struct text *out, const char *string);
/* The filter: its size and answers, every call that is not simply allowed, then those that are. */
void print_seccomp(const Berm__Wire__Plan *plan, struct text *out);
