/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* What the load-time proof does in its child: one harmless use of everything that has a hook. Every
 * call may fail; what counts is that the hook was asked. */

/* Before the child is in the run: a mount namespace of its own with something in it to unmount. The
 * working directory is the proof's. Returns 0 or an errno. */
int prove_prepare(void);
/* In the run. The parent is outside. */
void prove_deeds(bool network_only);
