/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

/* A story of three sessions with commits, seals and rotations, one of them without a close. At each
 * of its calls to the disk the power goes, or the call fails. Afterwards the log is taken up again:
 * what was acknowledged is there, in order, and the log verifies. RECORD_ALL=1 tries everything;
 * else every call is tried in the worst ways, and some in the others. */

#define NUMBERS 64

static bool tries_all(void)
{
	return getenv("RECORD_ALL") != NULL;
}

struct story {
	struct world w;
	bool acknowledged[NUMBERS];
	unsigned next; /* number of the next record */
	unsigned failures;
};

static int append_number(struct recorder *r, struct record_run *run, unsigned number)
{
	char path[32];

	snprintf(path, sizeof(path), "%u", number);
	return append_file(r, run, path);
}

static void acknowledge(struct story *s, unsigned from)
{
	for (unsigned i = from; i < s->next; i++)
		s->acknowledged[i] = true;
}

/* One session. False where a call failed; the recorder is gone then. */
static bool session(struct story *s, unsigned batches, bool close_it)
{
	struct recorder *r;
	struct record_run *run;
	bool good = true;

	if (recorder_open(&s->w.options, &r, NULL) < 0)
		return false;
	run = begin_run(r, "run");
	for (unsigned batch = 0; batch < batches && good; batch++) {
		unsigned first = s->next;

		for (unsigned i = 0; i < 2 && good; i++)
			good = append_number(r, run, s->next++) == 0;
		if (good)
			good = (batch == 1 ? recorder_seal(r, NULL) : recorder_commit(r, NULL)) ==
			       0;
		if (good)
			acknowledge(s, first);
	}
	if (good && close_it)
		good = recorder_close(r, NULL) == 0;
	recorder_destroy(r);
	return good;
}

static const struct {
	unsigned batches;
	bool close_it;
} sessions[] = {{3, true}, {2, false}, {3, true}};

static void begin_story(struct story *s)
{
	*s = (struct story){0};
	world_init(&s->w, fake_disk_create());
	s->w.options.segment_bytes = 1400;
}

/* Until the first failure. */
static void tell(struct story *s)
{
	for (unsigned i = 0; i < array_size(sessions); i++)
		if (!session(s, sessions[i].batches, sessions[i].close_it))
			return;
}

/* A supervisor that opens its recorder anew when it fails. */
static void tell_stubbornly(struct story *s)
{
	for (unsigned i = 0; i < array_size(sessions); i++)
		if (!session(s, sessions[i].batches, sessions[i].close_it) && s->failures++ < 3)
			i--;
}

struct seen {
	struct story *story;
	bool present[NUMBERS];
	unsigned last, count;
	bool disorder;
};

static int see(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct seen *seen = data;
	Berm__Wire__FileActivity *file;
	unsigned number;

	(void)segment;
	(void)frame;
	if (view->body != BERM__WIRE__RECORD__BODY_FILE)
		return 0;
	file = berm__wire__file_activity__unpack(NULL, view->body_length, view->body_bytes);
	assert_non_null(file);
	number = 0;
	for (size_t i = 0; i < file->path.len; i++)
		number = number * 10 + file->path.data[i] - '0';
	berm__wire__file_activity__free_unpacked(file, NULL);
	assert_true(number < NUMBERS);
	seen->disorder = seen->disorder || (seen->count && number <= seen->last);
	seen->present[number] = true;
	seen->last = number;
	seen->count++;
	return 0;
}

/* Take the log up, close it, and look at all of it. */
static void check(struct story *s, const char *what, unsigned call, bool is_prefix)
{
	struct seen seen = {.story = s};
	struct recorder *r;
	struct error err = {0};
	struct log_pin pin;
	struct log_head head;
	struct verify_options options;
	struct verify_result result;
	int error = recorder_open(&s->w.options, &r, &err);

	if (error < 0)
		fail_msg("%s at call %u: %s", what, call, err.text);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	pin = world_pin(&s->w);
	options = (struct verify_options){.storage = fake_disk_storage(s->w.disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = world_head(&s->w, &pin, &head) ? &head : NULL,
		.each = see,
		.data = &seen};
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	if (!result.pass)
		fail_msg("%s at call %u: %s: segment %llu record %llu", what, call,
			verify_reason_word(result.reason), (unsigned long long)result.segment,
			(unsigned long long)result.sequence);
	assert_non_null(options.anchor);
	assert_false(seen.disorder);
	for (unsigned i = 0; i < s->next; i++) {
		if (s->acknowledged[i] && !seen.present[i])
			fail_msg("%s at call %u: record %u was acknowledged and is gone", what,
				call, i);
		if (is_prefix && seen.present[i] != (i < seen.count))
			fail_msg("%s at call %u: what is left is no prefix", what, call);
	}
}

static unsigned count_calls(void)
{
	struct story s;
	unsigned calls;

	begin_story(&s);
	fake_disk_fault(s.w.disk, FAKE_FAULT_NONE, 0, 0);
	tell(&s);
	calls = fake_disk_calls(s.w.disk);
	for (unsigned i = 0; i < s.next; i++)
		assert_true(s.acknowledged[i]);
	assert_int_equal(s.next, 16);
	check(&s, "no fault", 0, true);
	fake_disk_destroy(s.w.disk);
	assert_true(calls > 60);
	return calls;
}

static void power_may_go_at_every_call(void **state)
{
	static const struct {
		enum fake_crash crash;
		const char *word;
		unsigned step; /* between the calls that are tried without RECORD_ALL */
	} ways[] = {{FAKE_CRASH_LOSE, "lose", 1}, {FAKE_CRASH_TORN, "torn", 1},
		{FAKE_CRASH_KEEP, "keep", 4}, {FAKE_CRASH_TORN, "torn again", 4},
		{FAKE_CRASH_TORN, "torn a third time", 5}};
	unsigned calls = count_calls(), cases = 0;

	(void)state;
	random_seed(42);
	for (unsigned call = 1; call <= calls; call++)
		for (unsigned way = 0; way < array_size(ways); way++) {
			struct story s;

			if (call % ways[way].step && !tries_all())
				continue;
			begin_story(&s);
			fake_disk_fault(s.w.disk, FAKE_FAULT_POWER, call, 0);
			tell(&s);
			fake_disk_crash(s.w.disk, ways[way].crash);
			check(&s, ways[way].word, call, true);
			fake_disk_destroy(s.w.disk);
			cases++;
		}
	print_message("# %u calls, %u power losses, all of them mended\n", calls, cases);
}

/* And again while it is being mended. */
static void power_may_go_while_it_is_mended(void **state)
{
	unsigned calls = count_calls(), cases = 0;

	(void)state;
	random_seed(43);
	for (unsigned call = 3; call <= calls; call += tries_all() ? 1 : 13)
		for (unsigned second = 1; second < 24; second += tries_all() ? 1 : 2) {
			struct story s;
			struct recorder *r;

			begin_story(&s);
			fake_disk_fault(s.w.disk, FAKE_FAULT_POWER, call, 0);
			tell(&s);
			fake_disk_crash(s.w.disk, FAKE_CRASH_TORN);
			fake_disk_fault(s.w.disk, FAKE_FAULT_POWER, second, 0);
			if (recorder_open(&s.w.options, &r, NULL) == 0)
				recorder_destroy(r);
			fake_disk_crash(s.w.disk, second & 1 ? FAKE_CRASH_TORN : FAKE_CRASH_LOSE);
			check(&s, "second loss", call * 100 + second, true);
			fake_disk_destroy(s.w.disk);
			cases++;
		}
	print_message("# %u second power losses\n", cases);
}

static void every_call_may_fail(void **state)
{
	static const int errors[] = {EIO, ENOSPC};
	unsigned calls = count_calls(), cases = 0;

	(void)state;
	random_seed(44);
	for (unsigned i = 0; i < array_size(errors); i++)
		for (unsigned call = 1; call <= calls; call++)
			for (unsigned way = 0; way < 3; way++) {
				struct story s;

				if ((call + i) % 3 != way && !tries_all())
					continue;
				begin_story(&s);
				fake_disk_fault(s.w.disk, FAKE_FAULT_ONCE, call, errors[i]);
				tell_stubbornly(&s);
				/* The fault was met, and whoever stood there was told. */
				assert_true(fake_disk_calls(s.w.disk) >= call);
				if (way)
					fake_disk_crash(s.w.disk,
						way == 1 ? FAKE_CRASH_LOSE : FAKE_CRASH_TORN);
				check(&s, errors[i] == EIO ? "EIO" : "ENOSPC", call, false);
				fake_disk_destroy(s.w.disk);
				cases++;
			}
	print_message("# %u calls failed\n", cases);
}

/* A call fails, and the power goes while the log is taken up again: what the page cache showed then
 * was not on the disk. */
static void a_call_may_fail_before_the_power_goes(void **state)
{
	unsigned calls = count_calls(), cases = 0;

	(void)state;
	random_seed(45);
	for (unsigned call = 1; call <= calls; call++)
		for (unsigned second = 2 + call % 2; second < 12; second += tries_all() ? 1 : 4) {
			struct story s;
			struct recorder *r;

			begin_story(&s);
			fake_disk_fault(s.w.disk, FAKE_FAULT_ONCE, call, EIO);
			tell(&s);
			fake_disk_fault(s.w.disk, FAKE_FAULT_POWER, second, 0);
			if (recorder_open(&s.w.options, &r, NULL) == 0)
				recorder_destroy(r);
			fake_disk_crash(s.w.disk, FAKE_CRASH_LOSE);
			check(&s, "EIO, then power", call * 100 + second, false);
			fake_disk_destroy(s.w.disk);
			cases++;
		}
	print_message("# %u calls failed before the power went\n", cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_may_go_at_every_call),
		cmocka_unit_test(power_may_go_while_it_is_mended),
		cmocka_unit_test(every_call_may_fail),
		cmocka_unit_test(a_call_may_fail_before_the_power_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
