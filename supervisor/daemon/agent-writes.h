/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agent-run.h"
#include "policy/profile.h"

/* Change the loaded profile of a run that begins: it changes nothing at all. */
int agent_start_read_only(struct agent_run *run, struct profile *p, struct error *err) must_check;
/* What it writes is staged, or, where that is more than one tree, as above. */
int agent_start_staged(struct agent_run *run, struct profile *p, struct error *err) must_check;
