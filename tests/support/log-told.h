/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One world a test, and what its log says, counted. Include after log-world.h. */

#include "log-bytes.h"

static struct world w;

static inline int make(void **state)
{
	(void)state;
	world_init(&w, fake_disk_create());
	return 0;
}

static inline int drop(void **state)
{
	(void)state;
	fake_disk_destroy(w.disk);
	return 0;
}

static inline struct recorder *open_log(void)
{
	struct recorder *r;
	struct error err = {0};
	int error = recorder_open(&w.options, &r, &err);

	if (error < 0)
		fail_msg("%s", err.text);
	return r;
}

static inline void close_log(struct recorder *r)
{
	struct error err = {0};

	if (recorder_close(r, &err) < 0)
		fail_msg("%s", err.text);
	recorder_destroy(r);
}

/* What a log says, counted. */
struct told {
	uint64_t bodies[64];
	uint64_t lost[8]; /* by LossSource */
	uint64_t lost_of_a;
	uint64_t last_run_sequence;
	uint64_t gap; /* numbers of run "a" that are missing before its present record */
	bool gap_differs;
	uint64_t loss_before;
	Berm__Wire__Opened opened;
	int64_t step_ns;
};

static inline int tell(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct told *t = data;
	Berm__Wire__Record *record =
		berm__wire__record__unpack(NULL, frame->record_length, frame->record);

	(void)segment;
	assert_non_null(record);
	t->bodies[view->body]++;
	if (record->body_case == BERM__WIRE__RECORD__BODY_LOSS) {
		t->lost[record->loss->source] += record->loss->count;
		if (record->run && strcmp(record->run, "a") == 0) {
			t->lost_of_a += record->loss->count;
			t->loss_before += record->loss->count;
		}
	} else if (record->run && strcmp(record->run, "a") == 0) {
		/* What is missing in the numbers is what was declared right before. */
		t->gap_differs = t->gap_differs ||
				 record->run_sequence != t->last_run_sequence + 1 + t->loss_before;
		t->last_run_sequence = record->run_sequence;
		t->loss_before = 0;
	}
	if (record->body_case == BERM__WIRE__RECORD__BODY_OPENED) {
		t->opened = *record->opened;
		t->opened.abandoned_reason = record->opened->abandoned_reason ? "yes" : NULL;
	}
	if (record->body_case == BERM__WIRE__RECORD__BODY_CLOCK_STEP)
		t->step_ns = record->clock_step->step_ns;
	berm__wire__record__free_unpacked(record, NULL);
	return 0;
}

static inline struct verify_result read_log(struct told *t, bool is_live)
{
	struct log_pin pin = world_pin(&w);
	struct log_head head;
	struct verify_options options = {.storage = fake_disk_storage(w.disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = world_head(&w, &pin, &head) ? &head : NULL,
		.live = is_live,
		.each = tell,
		.data = t};
	struct verify_result result;

	*t = (struct told){0};
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	return result;
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, make, drop)
