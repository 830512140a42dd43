/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* HostFacts written down for tests. One fact a line; "#" begins a comment.
 *
 *   landlock_abi 7                   any plain field of HostFacts by its name; a repeated one may
 * come again path /usr                        a directory that is what it is called, owned by root
 *   path /bin kind=symlink link_target=usr/bin resolved=/usr/bin
 *   path /w/.git/hooks kind=absent deepest_existing=/w missing=.git/hooks
 *   glob /w/.env* complete=1         followed by its matches
 *   match /w/.env kind=regular
 *
 * Fields of a path are those of PathFact; kind= also sets resolved_kind, and what is not said is
 * filled in: resolved is the path, dev 8, ino the number of the line, mode 0755. */

#include "wire/facts.pb-c.h"

/* Ends the test program with the line that is wrong. Release with
 * berm__wire__host_facts__free_unpacked(it, NULL). */
Berm__Wire__HostFacts *facts_from_text(const char *text);
