/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "govern/admission.h"

/* How the runs of agents are followed although any of them can be killed at any moment: a lock that
 * the kernel takes away with the process says which ones last, and a receipt of each run says
 * whether its tool was started and, where its agent could not be told, what it did. A receipt needs
 * no lock: whoever holds the state directory's lock keeps nobody from saying what was done. */

#define AGENT_MARKS "agents.alive"
#define AGENT_RECEIPTS "agents.ends"

/* The file of the marks; a descriptor. */
int agent_marks_open(const struct agents *agents, struct error *err) must_check;
/* What marks a run: an offset in that file. */
uint64_t agent_mark_of(const char *run_id);
/* Mark it for as long as the descriptor is open, in whatever process of berm. */
int agent_mark_hold(int fd, uint64_t mark, struct error *err) must_check;
/* True while a process holds it, and where that cannot be said. */
bool agent_mark_is_held(int fd, uint64_t mark);

/* Keep what a run says; on the disk when this returns 0. */
int agent_receipt_write(const struct agents *agents, const Berm__Wire__AgentReceipt *receipt,
	struct error *err) must_check;
/* Its agent was told. Quiet: one that is left is removed by agent_end_lost(). */
void agent_receipt_remove(const struct agents *agents, const char *run);

/* With the lock held: take from the agent the runs whose berm is gone, each as its receipt says;
 * without one its tool was never started. The agent is to be written where its runs are fewer then;
 * after that agent_receipts_sweep() removes what nobody needs any more. */
int agent_end_lost(const struct agents *agents, Berm__Wire__Agent *agent,
	const struct agent_now *now, struct error *err) must_check;
void agent_receipts_sweep(const struct agents *agents, const Berm__Wire__Agent *agent);
