/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* True for variables that make other programs load code, run commands or trust other files
 * (LD_PRELOAD, BASH_ENV, GIT_SSH_COMMAND …). env.pass carries them only where they are named in
 * full, never by a pattern. Everyone who matches env.pass must ask this: plan/ and decide() alike.
 */
bool env_is_risky(const char *name);
/* True where a word of env.pass passes the variable: equal to it, or a pattern (* and ?) that
 * matches it and it is not risky. */
bool env_passes(const char *pattern, const char *name);
/* True where a word of env.hide hides the variable: patterns hide risky variables too. */
bool env_hides(const char *pattern, const char *name);
