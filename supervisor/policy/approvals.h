/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"

/* What holds of approvals, written or not. */

/* Anything is said of approvals or gates. */
bool approvals_are_written(const struct profile *profile);
/* The set of APPROVAL_… by which a person may answer; 0 where a ceiling left none. */
unsigned approvals_channels(const struct profile *profile);
uint64_t approvals_timeout_ms(const struct profile *profile);
uint64_t approvals_rate(const struct profile *profile, uint64_t *ret_within_ms);
uint64_t gate_timeout_ms(const struct judge_rule *gate);
