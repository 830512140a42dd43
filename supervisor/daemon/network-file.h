/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "wire/facts.pb-c.h"

/* Where the operator says which addresses runs may have (docs/network.md). */
#define NETWORK_FILE "/etc/berm/network.yaml"

/* Read the file into facts->network_pool, _pool6 and _uplink; they stay empty where there is none,
 * which is no error. Only root and nobody else may be able to change it. What is wrong with it is
 * appended to diagnostics as "file:line:col: error[Ennn]: text"; then -EINVAL and err (kind INPUT)
 * with the count. Needs the rights to open it: for a privileged process. */
int network_file_read(const char *path, Berm__Wire__HostFacts *facts, struct text *diagnostics,
	struct error *err) must_check;
