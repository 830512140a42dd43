/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"

/* What editors and people are told about the language, made from the key table (keys.h). Both are
 * files of this source tree as well: profiles/profile-v1.schema.json and docs/profile-reference.md.
 */

/* JSON Schema, draft-07 (what the editors' YAML servers read). Never tighter than the parser, so
 * that an editor marks nothing that berm takes; looser where a rule needs more than one value. */
void profile_schema_print(struct text *out);
/* Markdown: one table a section with type, default, meaning and by what it is enforced. */
void profile_reference_print(struct text *out);
/* By what a key is enforced, "fs.read" -> "mounts and Landlock"; NULL for a key that enforces
 * nothing itself (names, tests, keys of entries) and for one that is pending. */
const char *profile_enforced_by(const char *full_key);
