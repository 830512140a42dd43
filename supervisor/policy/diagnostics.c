/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diagnostics.h"

#include <stdarg.h>
#include <string.h>

#define SHOWN_MAX 50 /* of each severity */
#define MESSAGE_BYTES 900
#define LINE_BEFORE 90 /* characters of a long line that are shown before the place */
#define LINE_BYTES 160

/* The start of the character `column` (from 0) of a line that ends at `end`. */
static const char *at_column(const char *line, const char *end, uint32_t column)
{
	while (column > 0 && line < end) {
		uint32_t point;
		size_t n = text_decode(line, (size_t)(end - line), &point);

		line += n ? n : 1;
		column--;
	}
	return line;
}

static const char *find_line(const struct source_file *file, uint32_t number)
{
	const char *line = file->data;

	while (--number > 0) {
		const char *feed = memchr(line, '\n', file->length - (size_t)(line - file->data));

		if (!feed)
			return NULL;
		line = feed + 1;
	}
	return line;
}

/* How many columns a string of escaped text takes: one a character. */
static size_t columns_of(const char *text, size_t length)
{
	size_t columns = 0;

	for (size_t i = 0; i < length; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

static void quote_line(struct diagnostics *d, const struct source_file *file, struct source at)
{
	const char *line = find_line(file, at.line), *end, *place;
	uint32_t skip = at.column > LINE_BEFORE ? at.column - LINE_BEFORE : 0;
	size_t from;

	if (!line)
		return;
	end = memchr(line, '\n', file->length - (size_t)(line - file->data));
	if (!end)
		end = file->data + file->length;
	place = at_column(line, end, at.column ? at.column - 1 : 0);
	line = at_column(line, end, skip);
	text_printf(d->out, "%5u | ", at.line);
	from = d->out->length;
	text_escape(d->out, line, (size_t)(place - line), LINE_BYTES);
	from = d->out->failed ? 0 : columns_of(d->out->data + from, d->out->length - from);
	text_escape(d->out, place, (size_t)(end - place), LINE_BYTES);
	text_printf(d->out, "\n      | %*s\n", (int)from + 1, "^");
}

/* Count it; NULL where enough of its kind were shown. */
static const char *severity_of(struct diagnostics *d, enum code_id code)
{
	switch (codes[code].id[0]) {
	case 'E':
		return ++d->errors > SHOWN_MAX ? NULL : "error";
	case 'W':
		return ++d->warnings > SHOWN_MAX ? NULL : "warning";
	default:
		return ++d->notes > SHOWN_MAX ? NULL : "note";
	}
}

void diagnostics_report(
	struct diagnostics *d, enum code_id code, struct source at, const char *format, ...)
{
	const char *severity = severity_of(d, code);
	char message[MESSAGE_BYTES];
	va_list args;

	if (!severity)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (at.file)
		text_escape(d->out, at.file, strlen(at.file), MESSAGE_BYTES);
	if (at.file && at.line)
		text_printf(d->out, ":%u:%u", at.line, at.column);
	text_printf(d->out, "%s%s[%s]: ", at.file ? ": " : "", severity, codes[code].id);
	text_escape(d->out, message, strlen(message), MESSAGE_BYTES);
	text_puts(d->out, "\n");
	if (!at.line)
		return;
	for (const struct source_file *file = d->files; file; file = file->next) {
		if (file->name == at.file) {
			quote_line(d, file, at);
			return;
		}
	}
}

const struct code *code_find(const char *id)
{
	for (size_t i = 0; i < CODE_COUNT; i++) {
		if (strcmp(codes[i].id, id) == 0)
			return &codes[i];
	}
	return NULL;
}
