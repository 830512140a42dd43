/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

#include "tree.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* One process records, rotates, removes, closes and opens again as fast as it can; others verify
 * all the while, with what was anchored before they began. They say PASS every time, and tell each
 * record once. RECORD_ALL=1: for two minutes. */

static void must(int r)
{
	if (r < 0)
		_exit(9);
}

static int open_directory(const char *name)
{
	int fd = open(in_top(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int no_sync(void *context, int file)
{
	(void)context;
	(void)file;
	return 0;
}

static void append_number(struct recorder *r, uint64_t number)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;

	trip.has_used = true;
	trip.used = number;
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	must(recorder_append(r, NULL, RECORD_RING_DECISIONS, &record));
}

/* Never returns. Without fsync(2), which only makes it slower here. */
static void record_for_ever(void)
{
	struct storage_ops ops = *storage_system.ops;
	struct storage storage = {.ops = &ops};
	struct anchor_directory directory = {.storage = &storage, .dir = open_directory("anchors")};
	struct anchor anchor = anchor_directory(&directory);
	struct recorder_options options = {.storage = &storage,
		.log_dir = open_directory("log"),
		.key_dir = open_directory("keys"),
		.anchor = &anchor,
		.anchor_required = true,
		.create = true,
		.segment_bytes = 3000,
		.queue_bytes = 1 << 20};
	uint64_t number = 0;

	/* A test that fails leaves nobody behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ops.sync = ops.sync_dir = no_sync;
	for (;;) {
		struct recorder *r;

		must(recorder_open(&options, &r, NULL));
		for (unsigned batch = 0; batch < 60; batch++) {
			struct recorder_status status;

			for (unsigned i = 0; i < 1 + batch % 7; i++)
				append_number(r, number++);
			must(batch % 5 ? recorder_commit(r, NULL) : recorder_seal(r, NULL));
			recorder_status(r, &status);
			if (batch % 20 == 19 && status.segment > 6)
				must(recorder_remove(r, status.segment - 5, "size", NULL));
		}
		if (number % 2)
			must(recorder_close(r, NULL));
		recorder_destroy(r);
	}
}

struct seen {
	uint64_t next_sequence;
	bool disorder;
};

static int see(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct seen *seen = data;

	(void)segment;
	(void)frame;
	seen->disorder = seen->disorder || view->sequence < seen->next_sequence;
	seen->next_sequence = view->sequence + 1;
	return 0;
}

static uint64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

static bool verify_once(struct verify_result *ret_result)
{
	int log = open_directory("log"), keys = open_directory("keys"),
	    anchors = open_directory("anchors");
	struct anchor_directory directory = {.storage = &storage_system, .dir = anchors};
	struct anchor anchor = anchor_directory(&directory);
	struct seen seen = {0};
	struct log_pin pin;
	struct log_head head;
	struct verify_options options = {.storage = &storage_system,
		.dir = log,
		.pin = &pin,
		.live = true,
		.each = see,
		.data = &seen};
	autofree char *line = NULL;
	size_t length;
	int r;

	r = io_read_file(keys, KEYS_PIN_FILE, 4096, &line, &length, NULL);
	if (r == 0)
		r = log_pin_parse(line, length, &pin, NULL);
	if (r == 0 && anchor.latest(anchor.context, pin.log_id, &head, NULL) == 0) {
		options.anchor = &head;
		assert_int_equal(verify_log(&options, ret_result, NULL), 0);
		assert_false(seen.disorder);
	}
	close(log);
	close(keys);
	close(anchors);
	return options.anchor != NULL;
}

static void a_log_passes_at_every_moment_of_its_life(void **state)
{
	uint64_t end = seconds() + (getenv("RECORD_ALL") ? 120 : 2), records = 0;
	struct verify_result result = {0};
	unsigned verified = 0, failed = 0;
	pid_t child;

	(void)state;
	make_directory("log");
	make_directory("keys");
	make_directory("anchors");
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		record_for_ever();
	while (seconds() < end || verified < 20) {
		if (!verify_once(&result))
			continue;
		verified++;
		records += result.records;
		if (!result.pass && failed++ < 5)
			print_error("segment %llu of some %llu, record %llu, offset %llu: %s\n",
				(unsigned long long)result.segment,
				(unsigned long long)result.segments,
				(unsigned long long)result.sequence,
				(unsigned long long)result.offset,
				verify_reason_text(result.reason));
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	print_message("# verified %u times, %llu records, while %llu segments came and %llu went; "
		      "%u failed\n",
		verified, (unsigned long long)records, (unsigned long long)result.segments,
		(unsigned long long)result.removed_segments, failed);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(a_log_passes_at_every_moment_of_its_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
