/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>

/* Purely lexical path work; nothing here asks the file system. */

/* True for an absolute path without empty, "." or ".." components and without a trailing slash ("/"
 * itself is one). */
bool path_is_normal(const char *path);
/* Collapse "//" and "/./" and a trailing slash of an absolute path in a new string (caller frees).
 * NULL where the path is relative, has a ".." component, or memory ran out: ".." is never resolved
 * lexically, since a symbolic link before it changes what it means. */
char *path_normalise(const char *path) must_check;
/* True where path is base itself or lies beneath it, by component ("/srv/agent2" is not beneath
 * "/srv/agent"). */
bool path_is_beneath(const char *path, const char *base);
/* "base/name" in a new string (caller frees); NULL when memory ran out. */
char *path_join(const char *base, const char *name) must_check;
/* The directory part in a new string ("/" for "/x"); NULL for "/" or when memory ran out. */
char *path_parent(const char *path) must_check;
/* The last component (borrowed from path). */
const char *path_last(const char *path);
/* Number of components; 0 for "/". */
unsigned path_depth(const char *path);
/* Match by component: "*" within one segment, "?" one character, "**" any number of whole segments.
 */
bool path_glob_match(const char *pattern, const char *path);
/* True where the pattern holds a glob character. */
bool path_has_glob(const char *pattern);
