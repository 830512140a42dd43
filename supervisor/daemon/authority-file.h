/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "govern/authority.h"

#include <sys/types.h>

/* authority.yaml: who may change the phase of a group (docs/pace.md). */

#define AUTHORITY_FILE "authority.yaml"                  /* in the state directory, or */
#define AUTHORITY_FILE_SYSTEM "/etc/berm/authority.yaml" /* where that is not there */

/* Read the file. It must belong to root or to owner, in directories that nobody else can write to
 * (trust_read()). What is wrong is told in diagnostics with its place; one mistake and nobody has
 * any authority. Errors: -ENOENT; -EINVAL (kind INPUT); those of trust_read(). */
int authority_file_read(const char *path, uid_t owner, struct authority *ret_authority,
	struct text *diagnostics, struct error *err) must_check;
