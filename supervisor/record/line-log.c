/* SPDX-License-Identifier: Apache-2.0 */
#include "base/own.h"
#include "record/line-internal.h"

#include <inttypes.h>
#include <string.h>

/* Lines of the records that the log writes about itself. */

void line_fill_opened(struct line *l, const Berm__Wire__Record *record)
{
	const Berm__Wire__Opened *o = record->opened;

	text_puts(&l->operation, "opened");
	text_puts(&l->object, "berm ");
	line_put(&l->object, o->version, LINE_WORD_BYTES);
	if (o->recovered) {
		l->tone = LINE_WARN;
		text_printf(&l->more,
			"after a crash: %" PRIu64 " records unsealed, %" PRIu64 " bytes dropped",
			o->unsealed_records, o->dropped_bytes);
	}
	if (o->abandoned_reason) {
		l->tone = LINE_BAD;
		text_puts(&l->more, l->more.length ? "; " : "");
		line_put(&l->more, o->abandoned_reason, LINE_MORE_BYTES);
	}
}

const char *line_loss_source(Berm__Wire__LossSource source)
{
	static const struct {
		Berm__Wire__LossSource source;
		const char *words;
	} rows[] = {{BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING, "the kernel's ring was full"},
		{BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE, "the recorder's queue was full"},
		{BERM__WIRE__LOSS_SOURCE__LOSS_TOO_LARGE, "too large"},
		{BERM__WIRE__LOSS_SOURCE__LOSS_STORAGE, "the disk would not take them"},
		{BERM__WIRE__LOSS_SOURCE__LOSS_MALFORMED, "no record that a run may tell"},
		{BERM__WIRE__LOSS_SOURCE__LOSS_SINK,
			"the place it was sent to would not take them"}};

	for (size_t i = 0; i < array_size(rows); i++)
		if (rows[i].source == source)
			return rows[i].words;
	return "?";
}

void line_fill_loss(struct line *l, const Berm__Wire__Record *record)
{
	text_puts(&l->operation, "records");
	text_printf(&l->object, "%" PRIu64 " are missing here: %s", record->loss->count,
		line_loss_source(record->loss->source));
}

void line_fill_clock(struct line *l, const Berm__Wire__Record *record)
{
	text_puts(&l->operation, "clock");
	text_printf(
		&l->object, "set by %+.3f s", (double)record->clock_step->step_ns / 1000000000.0);
}

void line_fill_retention(struct line *l, const Berm__Wire__Record *record)
{
	text_puts(&l->operation, "removed");
	text_printf(&l->object, "segments up to %" PRIu64, record->retention->removed_through);
	line_put(&l->more, record->retention->rule, LINE_WORD_BYTES);
}

void line_fill_trouble(struct line *l, const Berm__Wire__Record *record)
{
	line_put(&l->operation, record->trouble->operation, LINE_WORD_BYTES);
	if (record->trouble->error)
		line_put_error(&l->object, record->trouble->error);
	if (!record->trouble->operation || strcmp(record->trouble->operation, "anchor") != 0)
		text_puts(&l->more, "the recorder had to end");
	else
		text_puts(&l->more, record->trouble->error ? "seals are not anchored"
							   : "seals are anchored again");
}

void line_fill_head(struct line *l, const Berm__Wire__Record *record)
{
	text_puts(&l->operation, "segment");
	text_printf(&l->object, "%" PRIu64, record->segment_head->segment);
}

void line_fill_seal(struct line *l, const Berm__Wire__Record *record)
{
	text_puts(&l->operation, "seal");
	text_printf(&l->object, "%" PRIu64 " records", record->seal->records);
}
