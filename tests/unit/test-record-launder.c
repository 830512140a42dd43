/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-told.h"

#include "log-forge.h"

/* What somebody without today's keys puts behind the last seal, into older copies, or in the place
 * of keys and anchors, so that an honest recorder or verifier takes it as its own. */

static void write_some(struct recorder *r, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
	}
}

static void a_removal_that_is_not_sealed_excuses_nothing(void **state)
{
	struct recorder *r;
	struct log_bytes log;
	struct told told;

	(void)state;
	w.options.segment_bytes = 3000;
	r = open_log();
	write_some(r, 120);
	recorder_destroy(r);
	log = log_bytes(&w);
	assert_true(log.segments >= 3);
	forge_retention(&w, log.segments - 1, 1);
	assert_passes(world_verify(&w, true));
	cut_to_head(&w, 0);
	assert_int_equal(world_verify(&w, true).reason, VERIFY_REMOVED);
	/* Nor does the recorder put its seal under it. */
	close_log(open_log());
	assert_int_equal(read_log(&told, false).reason, VERIFY_REMOVED);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_RETENTION], 0);
}

static void a_removal_is_sealed_although_a_seal_waits(void **state)
{
	struct recorder *r;
	struct verify_result result;
	int error = 0;

	(void)state;
	w.options.anchor = NULL;
	w.options.segment_bytes = 3000;
	fake_disk_limit(w.disk, 250000);
	r = open_log();
	while (error == 0) {
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		error = recorder_seal(r, NULL);
	}
	assert_int_equal(error, -ENOSPC);
	assert_true(log_bytes(&w).segments > 1);
	fake_disk_limit(w.disk, 0);
	assert_int_equal(recorder_remove(r, 1, "age", NULL), 0);
	recorder_destroy(r);
	close_log(open_log());
	result = world_verify(&w, false);
	assert_passes(result);
	assert_int_equal(result.removed_segments, 1);
}

/* A log whose first segment was left behind with two records after its last seal. */
static void make_abandoned(void)
{
	struct recorder *r = open_log();
	struct fake_disk *clean;
	struct told told;

	write_some(r, 3);
	assert_int_equal(recorder_seal(r, NULL), 0);
	write_some(r, 2);
	recorder_destroy(r);
	clean = w.disk;
	for (unsigned call = 1; call < 12; call++) {
		struct world before = w;

		world_init(&w, fake_disk_copy(clean));
		fake_disk_fault(w.disk, FAKE_FAULT_ONCE, call, EIO);
		if (recorder_open(&w.options, &r, NULL) == 0) {
			close_log(r);
			read_log(&told, false);
			if (told.opened.abandoned_reason) {
				fake_disk_destroy(clean);
				return;
			}
		}
		fake_disk_destroy(w.disk);
		w = before;
	}
	fail_msg("no end was abandoned");
}

static void what_stands_behind_an_abandoned_end_is_not_told(void **state)
{
	struct verify_result result;
	struct told told;

	(void)state;
	make_abandoned();
	result = read_log(&told, false);
	assert_passes(result);
	assert_int_equal(result.reason, VERIFY_GOOD);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], 3);
	assert_true(result.abandoned_bytes > 0);
	/* No seal will ever be over it: whoever can write the file can write there. */
	forge_files(&w, 0, "/srv/never-happened", 5);
	result = read_log(&told, false);
	assert_passes(result);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], 3);
	forge_retention(&w, 0, 1);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_RETENTION], 0);
}

/* The key file alone is put back: it must not be the honest recorder that cuts off what followed.
 */
static void a_key_that_is_older_than_the_log_is_refused(void **state)
{
	uint64_t size, length;
	struct recorder *r = open_log();
	uint8_t *old, *bytes, *segment;
	struct error err;
	struct fake_disk *disk = w.disk;

	(void)state;
	w.options.anchor = NULL;
	write_some(r, 2);
	assert_int_equal(recorder_seal(r, NULL), 0);
	bytes = fake_disk_bytes(disk, KEY_DIR, KEYS_FILE, &size);
	old = malloc(size);
	assert_true(bytes && old);
	memcpy(old, bytes, size);
	/* One seal more is what a crash may leave; from the second on it is another file. */
	for (unsigned seals = 1; seals < 5; seals++) {
		struct world crashed = w;
		int error;

		write_some(r, 1);
		assert_int_equal(recorder_seal(r, NULL), 0);
		world_init(&crashed, fake_disk_copy(disk));
		crashed.options.anchor = NULL;
		memcpy(fake_disk_bytes(crashed.disk, KEY_DIR, KEYS_FILE, &size), old, size);
		segment = fake_disk_bytes(crashed.disk, LOG_DIR, "0000000001.seg", &length);
		assert_non_null(segment);
		{
			struct recorder *second;
			uint64_t before = length;

			error = recorder_open(&crashed.options, &second, &err);
			assert_int_equal(error, seals == 1 ? 0 : -ESTALE);
			(void)fake_disk_bytes(crashed.disk, LOG_DIR, "0000000001.seg", &length);
			assert_true(length >= before);
			if (error == 0) {
				assert_int_equal(recorder_close(second, NULL), 0);
				recorder_destroy(second);
				assert_passes(world_verify(&crashed, false));
			}
		}
		fake_disk_destroy(crashed.disk);
	}
	free(old);
	recorder_destroy(r);
}

static void anchor_elsewhere(struct world *to, const struct world *from)
{
	to->anchor_dir = (struct anchor_directory){
		.storage = fake_disk_storage(from->disk), .dir = ANCHOR_DIR};
	to->anchor = anchor_directory(&to->anchor_dir);
	to->options.anchor = &to->anchor;
}

/* Log and key of yesterday, filled up until the anchored number is there: the recorder would seal
 * that, and put its own head over the anchored one. */
static void an_older_copy_is_not_anchored_over(void **state)
{
	struct recorder *r = open_log();
	struct world old;
	struct log_head head, after;
	struct log_pin pin;
	struct error err;

	(void)state;
	write_some(r, 5);
	close_log(r);
	world_init(&old, fake_disk_copy(w.disk));
	r = open_log();
	write_some(r, 20);
	close_log(r);
	pin = world_pin(&w);
	assert_true(world_head(&w, &pin, &head));
	anchor_elsewhere(&old, &w);
	/* Behind a closing seal only a new session may come, which is as easy to forge. */
	{
		Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
		Berm__Wire__Opened opened = BERM__WIRE__OPENED__INIT;

		record.body_case = BERM__WIRE__RECORD__BODY_OPENED;
		record.opened = &opened;
		forge_tail(&old, 0, &record, 1);
	}
	forge_files(&old, 0, "/srv/never-happened", 60);
	assert_int_equal(recorder_open(&old.options, &r, &err), -ESTALE);
	assert_true(world_head(&w, &pin, &after));
	assert_memory_equal(&after, &head, sizeof(head));
	fake_disk_destroy(old.disk);
}

static void keys_of_yesterday_do_not_go_past_the_anchor(void **state)
{
	struct recorder *r;
	struct world old, honest;
	struct log_head before, after;
	struct log_pin pin;
	struct error err;

	(void)state;
	w.options.segment_bytes = 2000;
	r = open_log();
	write_some(r, 5);
	close_log(r);
	world_init(&old, fake_disk_copy(w.disk));
	world_init(&honest, fake_disk_copy(w.disk));
	for (unsigned i = 0; i < 2; i++) {
		struct world *other = i ? &honest : &old;

		other->options.anchor = NULL;
		other->options.segment_bytes = 2000;
		assert_int_equal(recorder_open(&other->options, &r, NULL), 0);
		write_some(r, 80);
		assert_int_equal(recorder_close(r, NULL), 0);
		recorder_destroy(r);
		assert_passes(world_verify(other, false));
	}
	/* The anchor of honest lags by several segments: it is where the copy was taken. */
	honest.options.anchor = &honest.anchor;
	assert_int_equal(recorder_open(&honest.options, &r, NULL), 0);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	assert_passes(world_verify(&honest, false));
	assert_true(log_bytes(&honest).segments > 3);
	/* That of old has gone on: another history was told there. */
	r = open_log();
	write_some(r, 5);
	close_log(r);
	pin = world_pin(&w);
	assert_true(world_head(&w, &pin, &before));
	anchor_elsewhere(&old, &w);
	assert_int_equal(recorder_open(&old.options, &r, &err), -ESTALE);
	assert_true(world_head(&w, &pin, &after));
	assert_memory_equal(&after, &before, sizeof(before));
	fake_disk_destroy(old.disk);
	fake_disk_destroy(honest.disk);
}

/* Nor is an anchor that cannot be read for a moment. */
static void an_anchor_that_comes_back_is_not_overwritten(void **state)
{
	struct recorder *r = open_log();
	struct recorder_status status;
	struct log_head head;
	struct world old;
	struct log_pin pin = world_pin(&w);
	char name[LOG_ID_BYTES * 2 + 8], line[LOG_LINE_BYTES], none[] = "?\n";

	(void)state;
	write_some(r, 5);
	close_log(r);
	world_init(&old, fake_disk_copy(w.disk));
	r = open_log();
	write_some(r, 5);
	close_log(r);
	assert_true(world_head(&w, &pin, &head));
	log_head_format(&head, line);
	for (unsigned i = 0; i < LOG_ID_BYTES; i++)
		snprintf(name + i * 2, 3, "%02x", pin.log_id[i]);
	strcat(name, ".head");
	for (unsigned ours = 0; ours < 2; ours++) {
		struct world *one = ours ? &w : &old;

		fake_disk_put(one->disk, ANCHOR_DIR, name, none, strlen(none));
		assert_int_equal(recorder_open(&one->options, &r, NULL), 0);
		write_some(r, 20);
		assert_int_equal(recorder_seal(r, NULL), 0);
		recorder_status(r, &status);
		assert_int_equal(status.anchor_failures, 1);
		fake_disk_put(one->disk, ANCHOR_DIR, name, line, strlen(line));
		assert_int_equal(recorder_seal(r, NULL), ours ? 0 : -ESTALE);
		recorder_destroy(r);
	}
	close_log(open_log());
	assert_passes(world_verify(&w, false));
	fake_disk_destroy(old.disk);
}

/* A copied machine, or a snapshot that was begun twice: both sign with the same keys. */
static void two_copies_with_one_anchor_do_not_both_go_on(void **state)
{
	struct recorder *first = open_log(), *second;
	struct recorder_status status;
	struct world copy;
	struct error err;

	(void)state;
	close_log(first);
	for (unsigned ahead = 0; ahead < 2; ahead++) {
		world_init(&copy, fake_disk_copy(w.disk));
		anchor_elsewhere(&copy, &w);
		first = open_log();
		assert_int_equal(recorder_open(&copy.options, &second, NULL), 0);
		write_some(first, 1);
		assert_int_equal(recorder_seal(first, NULL), 0);
		/* Whether it is behind or ahead of the other one. */
		write_some(second, ahead ? 10 : 1);
		assert_int_equal(recorder_seal(second, &err), -ESTALE);
		recorder_status(second, &status);
		assert_true(status.failed);
		recorder_destroy(second);
		close_log(first);
		assert_passes(world_verify(&w, false));
		fake_disk_destroy(copy.disk);
	}
}

/* Parts of two histories that were signed with the same keys do not make a third one. */
static void copies_of_one_log_cannot_be_mixed(void **state)
{
	struct recorder *r;
	struct world copy;
	struct log_bytes here, there;
	struct log_pin pin;
	unsigned common, mixed = 0;

	(void)state;
	w.options.anchor = NULL;
	w.options.segment_bytes = 2000;
	r = open_log();
	write_some(r, 20);
	close_log(r);
	common = log_bytes(&w).segments;
	world_init(&copy, fake_disk_copy(w.disk));
	copy.options.anchor = NULL;
	copy.options.segment_bytes = 2000;
	r = open_log();
	write_some(r, 60);
	close_log(r);
	assert_int_equal(recorder_open(&copy.options, &r, NULL), 0);
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(append_file(r, NULL, "/srv/y"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
	}
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	here = log_bytes(&w);
	there = log_bytes(&copy);
	pin = world_pin(&w);
	assert_true(here.segments == there.segments && here.segments > common + 2);
	for (unsigned i = common - 1; i < here.segments; i++) {
		struct fake_disk *disk = fake_disk_copy(w.disk);
		struct world one = w;
		struct verify_options options = {.storage = fake_disk_storage(disk),
			.dir = LOG_DIR,
			.pin = &pin,
			.live = true};
		struct verify_result result;

		one.disk = disk;
		put_segment(&one, i + 1, there.bytes[i], there.size[i]);
		assert_int_equal(verify_log(&options, &result, NULL), 0);
		/* The last one alone is not joined to anything behind it. */
		assert_false(result.pass);
		mixed++;
		fake_disk_destroy(disk);
	}
	print_message("# %u of %u mixtures noticed\n", mixed, mixed);
	fake_disk_destroy(copy.disk);
}

static void an_anchor_in_what_was_removed_is_no_fault(void **state)
{
	struct recorder *r;
	struct log_pin pin;
	struct log_head head;
	struct verify_options options;
	struct verify_result result;

	(void)state;
	w.options.segment_bytes = 3000;
	r = open_log();
	write_some(r, 5);
	assert_int_equal(recorder_seal(r, NULL), 0);
	pin = world_pin(&w);
	assert_true(world_head(&w, &pin, &head));
	write_some(r, 60);
	options = (struct verify_options){.storage = fake_disk_storage(w.disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = &head,
		.live = true};
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	assert_true(result.pass && result.anchored);
	assert_int_equal(recorder_remove(r, 1, "age", NULL), 0);
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	assert_passes(result);
	assert_false(result.anchored);
	head.sequence += 100000;
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	assert_int_equal(result.reason, VERIFY_ENDS_EARLY);
	close_log(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(a_removal_that_is_not_sealed_excuses_nothing),
		on_disk(a_removal_is_sealed_although_a_seal_waits),
		on_disk(what_stands_behind_an_abandoned_end_is_not_told),
		on_disk(a_key_that_is_older_than_the_log_is_refused),
		on_disk(an_older_copy_is_not_anchored_over),
		on_disk(keys_of_yesterday_do_not_go_past_the_anchor),
		on_disk(an_anchor_that_comes_back_is_not_overwritten),
		on_disk(two_copies_with_one_anchor_do_not_both_go_on),
		on_disk(copies_of_one_log_cannot_be_mixed),
		on_disk(an_anchor_in_what_was_removed_is_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
