/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "wire/record.pb-c.h"

/* Records for other tools: one line a record, in the words of the format. What came from a tool is
 * escaped as text_escape() does and bounded, in every format. Pure. */

enum export_format {
	EXPORT_OCSF,  /* Open Cybersecurity Schema Framework 1.8.0, JSON */
	EXPORT_ECS,   /* Elastic Common Schema 8.17, JSON */
	EXPORT_CEF,   /* ArcSight Common Event Format 0 */
	EXPORT_JSONL, /* the record itself, field by field, JSON */
	EXPORT_FORMAT_COUNT
};

#define EXPORT_HASH_BYTES 32

/* What stands beside a record in its log. All may be NULL. */
struct export_place {
	const uint8_t *previous_hash; /* EXPORT_HASH_BYTES */
	const uint8_t *hash;          /* likewise */
	const char *profile;          /* the name of the run's profile, where the caller knows it */
	const char *host;             /* name of the machine */
};

/* Append the record as one line with its line feed. */
void export_record(enum export_format format, const Berm__Wire__Record *record,
	const struct export_place *place, struct text *out);

/* "ocsf", "ecs", "cef", "jsonl". Static. */
const char *export_format_name(enum export_format format);
/* EXPORT_FORMAT_COUNT where there is none of that name. */
enum export_format export_format_from_name(const char *name);
