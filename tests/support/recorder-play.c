/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder-play.h"

#include "test.h"

#include "base/io.h"
#include "daemon/recorder-place.h"
#include "record/anchor.h"
#include "record/keys.h"
#include "record/verify.h"

#include <fcntl.h>
#include <string.h>

const char *const recorder_play_runs[RUNS] = {
	"01M82Q1GM904MMB0GB72AKD5WK", "01M82Q1GM904MMB0GB72AKD5WM", "01M82Q1GM904MMB0GB72AKD5WN"};

struct recorder_play recorder_play;

int recorder_play_open(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", recorder_play.state, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

struct seen {
	bool records[RUNS][RECORDS + 1];
	uint64_t last[RUNS];
};

static int see(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct seen *seen = data;
	Berm__Wire__Record *record =
		berm__wire__record__unpack(NULL, frame->record_length, frame->record);

	(void)segment;
	assert_non_null(record);
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t number = view->run_sequence;

		if (!record->run || strcmp(record->run, recorder_play_runs[run]) != 0 ||
			number == 0)
			continue;
		/* What the recorder says in a run's place comes behind all that it told. */
		if (view->body == BERM__WIRE__RECORD__BODY_RUN_END && number != RECORDS)
			continue;
		assert_in_range(number, 1, RECORDS);
		if (view->body == BERM__WIRE__RECORD__BODY_TRIP)
			assert_int_equal(record->trip->used, number);
		/* Again only what another recorder had not acknowledged; never with a gap. */
		assert_true(number <= seen->last[run] + 1 || recorder_play.keeps_nothing);
		seen->records[run][number] = true;
		seen->last[run] = number;
	}
	berm__wire__record__free_unpacked(record, NULL);
	return 0;
}

static bool read_anchor(struct log_head *ret_head, const uint8_t *log_id)
{
	struct anchor_directory directory = {.storage = &storage_system};
	struct anchor anchor = anchor_directory(&directory);
	autoclose int dir = -1;

	if (!recorder_play.has_anchor)
		return false;
	dir = recorder_play_open("../" WITNESS);
	directory.dir = dir;
	assert_int_equal(anchor.latest(&directory, log_id, ret_head, NULL), 0);
	return true;
}

void recorder_play_check(void)
{
	autoclose int log = recorder_play_open(RECORDER_LOG_DIR),
		      keys = recorder_play_open(RECORDER_KEY_DIR);
	static struct seen seen;
	struct verify_options options = {
		.storage = &storage_system, .dir = log, .each = see, .data = &seen};
	struct verify_result result;
	autofree char *line = NULL;
	struct log_head head;
	struct log_pin pin;
	size_t length;

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(io_read_file(keys, KEYS_PIN_FILE, 4096, &line, &length, NULL), 0);
	assert_int_equal(log_pin_parse(line, length, &pin, NULL), 0);
	options.pin = &pin;
	options.anchor = read_anchor(&head, pin.log_id) ? &head : NULL;
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	if (!result.pass)
		fail_msg("%s: %s", recorder_play.ask, verify_reason_text(result.reason));
	/* What the last one closed it with came there, whoever died before. */
	if (options.anchor)
		assert_int_equal(result.beyond_anchor, 0);
	if (result.removed_segments > 0) {
		assert_true(recorder_play.keeps_nothing);
		return;
	}
	for (unsigned run = 0; run < RUNS; run++)
		for (uint64_t number = 1; number <= recorder_play.durable[run]; number++)
			if (!seen.records[run][number])
				fail_msg("%s: record %llu was acknowledged and is not there",
					recorder_play.ask, (unsigned long long)number);
}
