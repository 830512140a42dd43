/* SPDX-License-Identifier: Apache-2.0 */
/* What a log says, for tests that are no C: log-show STATE_DIRECTORY [live|write-old]
 * write-old makes one instead (log-old.h). Else one line of JSON for each record, then one word:
 * the verdict. The key is taken from beside the log, which only a test may do. */

#include "base/io.h"
#include "record/export.h"
#include "record/keys.h"
#include "record/verify.h"

#include "log-old.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int show(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	const struct export_place place = {0};
	Berm__Wire__Record *record =
		berm__wire__record__unpack(NULL, frame->record_length, frame->record);
	autotext struct text line = {0};

	(void)data;
	(void)segment;
	(void)view;
	if (!record)
		return -EBADMSG;
	export_record(EXPORT_JSONL, record, &place, &line);
	fputs(text_string(&line), stdout);
	berm__wire__record__free_unpacked(record, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct verify_options options = {.storage = &storage_system, .each = show};
	struct verify_result result;
	autofree char *line = NULL;
	autoclose int state = -1, log = -1, keys = -1;
	struct error err = {0};
	struct log_pin pin;
	size_t length;

	if (argc < 2)
		return 2;
	state = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (argc > 2 && strcmp(argv[2], "write-old") == 0)
		return log_write_old(state);
	log = openat(state, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	keys = openat(state, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log < 0 || keys < 0 ||
		io_read_file(keys, KEYS_PIN_FILE, LOG_LINE_BYTES, &line, &length, &err) < 0 ||
		log_pin_parse(line, length, &pin, &err) < 0) {
		printf("unreadable %s\n", err.text);
		return 2;
	}
	options.dir = log;
	options.pin = &pin;
	options.live = argc > 2 && strcmp(argv[2], "live") == 0;
	if (verify_log(&options, &result, &err) < 0) {
		printf("unreadable %s\n", err.text);
		return 2;
	}
	printf("%s\n", verify_reason_word(result.reason));
	return !result.pass;
}
