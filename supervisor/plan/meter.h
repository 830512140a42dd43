/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the files of plan/ that fill Plan.meter. */

#include "plan/compile.h"

/* True where programs in the kernel count and refuse everything, files included. */
bool meter_sees_all(const struct compiler *c);
/* True where programs see at least the network. */
bool meter_sees_network(const struct compiler *c);
/* "bpf (lsm)", for Rule.enforced_by. */
const char *meter_words(struct compiler *c);
/* The feature bpf is missing for a rule, as feature_missing(), with the host's reason. */
int meter_missing(struct compiler *c, uint32_t rule, const char *consequence) must_check;
