/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* ROUNDS: fork and make a file while children that ended before are reported, by a handler that
 * does not ask for calls to be restarted; says how many rounds went well. */
int children_end(char **words);
