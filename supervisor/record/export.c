/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"

#include "base/own.h"

#include <string.h>

static const struct {
	const char *name;
	void (*write)(const struct export_event *event, struct text *out);
} formats[EXPORT_FORMAT_COUNT] = {
	[EXPORT_OCSF] = {"ocsf", export_ocsf},
	[EXPORT_ECS] = {"ecs", export_ecs},
	[EXPORT_CEF] = {"cef", export_cef},
	[EXPORT_JSONL] = {"jsonl", export_jsonl},
};

void export_record(enum export_format format, const Berm__Wire__Record *record,
	const struct export_place *place, struct text *out)
{
	struct export_event event;

	export_event_fill(&event, record, place);
	out->failed |= event.words.failed;
	formats[format].write(&event, out);
	text_puts(out, "\n");
	export_event_finish(&event);
}

const char *export_format_name(enum export_format format)
{
	return formats[format].name;
}

enum export_format export_format_from_name(const char *name)
{
	for (unsigned i = 0; i < array_size(formats); i++) {
		if (strcmp(formats[i].name, name) == 0)
			return (enum export_format)i;
	}
	return EXPORT_FORMAT_COUNT;
}
