/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/plan.pb-c.h"

/* Records are sent elsewhere by a process of its own, beside the recorder, that reads the log: no
 * place that is slow or gone delays a record or a run. One for each state directory, while its log
 * is being written. */

#define SINKS_DIR "sinks"     /* in the state directory: all of it that the process may change */
#define SINKS_CURSOR "cursor" /* in there: how far it came */
#define SINKS_LOCK "lock"

/* The whole life of that process; returns its exit code. */
int sinks_role(int argc, char **argv);

/* Start it for a state directory (absolute path) where the plan or the operator wants something
 * sent; it ends at once where there is one already. plan may be NULL. What goes wrong in it is
 * nobody's failure but its own. */
void sinks_launch(const char *state, const Berm__Wire__Plan *plan);

/* "journald ocsf" of RunStart.sinks as a bit, and back as a target; 0 where it is none. */
struct sink_target;
uint32_t sinks_bit(const char *words);
