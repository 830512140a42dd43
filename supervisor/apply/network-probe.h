/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/facts.pb-c.h"

/* Whether a run could have a link with the pool and the uplink of the facts: tried in a network
 * namespace of its own and asked of the host's, where nothing is changed. For a privileged process.
 * The error (kind UNSUPPORTED) says the first thing that is missing. */
int network_probe(const Berm__Wire__HostFacts *facts, struct error *err) must_check;
