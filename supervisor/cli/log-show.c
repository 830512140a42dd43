/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-show.h"

#include "cli/log-time.h"
#include "cli/paint.h"
#include "record/line.h"

#include <string.h>

#define VERDICT_COLUMNS 5
#define AREA_COLUMNS 5
#define OPERATION_COLUMNS 9
#define OBJECT_COLUMNS 32
#define PROGRAM_COLUMNS 16

static const enum paint paints[] = {[LINE_PLAIN] = PAINT_PLAIN,
	[LINE_GOOD] = PAINT_GOOD,
	[LINE_WARN] = PAINT_WARN,
	[LINE_BAD] = PAINT_BAD};

/* A column; what is longer than it moves the ones behind it. Characters are taken to be one column
 * wide. */
static void put_column(struct text *out, const struct text *words, unsigned columns)
{
	unsigned width = 0;

	out->failed |= words->failed;
	text_append(out, text_string(words), words->length);
	for (size_t i = 0; i < words->length; i++)
		width += ((unsigned char)words->data[i] & 0xc0) != 0x80;
	for (; width < columns; width++)
		text_append(out, " ", 1);
	text_append(out, " ", 1);
}

static void put_more(struct text *out, const struct text *words)
{
	if (!words->length)
		return;
	text_append(out, text_string(words), words->length);
	text_puts(out, "  ");
}

void log_show_line(const struct log_item *item, bool paint, struct text *out)
{
	struct line line;

	line_fill(&line, item->record);
	log_time_put(out, item->record->timestamp);
	text_puts(out, item->trust == LOG_UNTRUSTED ? "!" : " ");
	paint_word(out, paint, paints[line.tone], line.verdict, VERDICT_COLUMNS);
	text_printf(out, " %-*s", AREA_COLUMNS, line.area);
	put_column(out, &line.operation, OPERATION_COLUMNS);
	put_column(out, &line.object, OBJECT_COLUMNS);
	put_column(out, &line.program, PROGRAM_COLUMNS);
	put_more(out, &line.rule);
	put_more(out, &line.more);
	text_escape(out, line.id, strlen(line.id), LINE_OBJECT_BYTES_MAX);
	while (out->length && out->data[out->length - 1] == ' ')
		out->length--;
	text_puts(out, "\n");
	line_finish(&line);
}

bool log_session_open(const struct verb *verb, const struct log_request *request, bool unchecked,
	struct log_session *session, int *ret_code)
{
	struct log_check *check = &session->check;
	struct error err = {0};
	int r;

	session->place.dir = -1;
	r = log_place_open(request, &session->place, &err);
	if (r == 0 && session->place.dir < 0) {
		log_place_say_empty(verb, &session->place);
		*ret_code = CLI_GOOD;
		return false;
	}
	if (r == 0 && unchecked)
		snprintf(check->why_not, sizeof(check->why_not), "--unchecked");
	else if (r == 0)
		r = log_check_key(request, &session->place, check, &err);
	if (r == 0)
		r = log_check_run(&session->place, check, &err);
	if (r == 0)
		log_check_warn(verb, check);
	else
		*ret_code = verb_failed(verb, &err);
	return r == 0;
}

int log_session_read(struct log_session *session, struct log_reading *reading)
{
	const struct log_check *check = &session->check;
	struct error err = {0};

	reading->place = &session->place;
	reading->check = check;
	if (log_read(reading, &err) < 0)
		return verb_failed(reading->verb, &err);
	return check->pinned && !check->result.pass ? CLI_NO : CLI_GOOD;
}

void log_session_close(struct log_session *session)
{
	log_check_finish(&session->check);
	log_place_close(&session->place);
}
