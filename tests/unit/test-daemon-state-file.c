/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/state-file.h"
#include "wire/control.pb-c.h"

#include "fake-disk.h"
#include "random.h"
#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

/* Any message would do; this one has messages within messages. */
#define TYPE (&berm__wire__run_status__descriptor)
#define NAME "one"
#define DISK_DIR 1

struct sample {
	Berm__Wire__RunStatus status;
	Berm__Wire__RunRule rule;
	Berm__Wire__RunTrip trip, *trips[1];
	Berm__Wire__RunCounter counter, *counters[1];
};

static ProtobufCMessage *sample(struct sample *s, uint64_t value)
{
	static char words[] = "fs.deny";

	berm__wire__run_rule__init(&s->rule);
	s->rule.key = (ProtobufCBinaryData){7, (uint8_t *)words};
	berm__wire__run_trip__init(&s->trip);
	s->trip.rule = &s->rule;
	s->trips[0] = &s->trip;
	berm__wire__run_counter__init(&s->counter);
	s->counter.value = value;
	s->counters[0] = &s->counter;
	berm__wire__run_status__init(&s->status);
	s->status.run = words;
	s->status.uid = (uint32_t)value;
	s->status.n_trips = s->status.n_counters = 1;
	s->status.trips = s->trips;
	s->status.counters = s->counters;
	return &s->status.base;
}

static int put(const struct state_place *place, uint64_t value)
{
	struct sample s;
	struct error err = {0};

	return state_file_write(place, NAME, sample(&s, value), &err);
}

/* The value that the file holds, or an error. Both places of it are equal. */
static int64_t get(const struct state_place *place)
{
	void *message = NULL;
	Berm__Wire__RunStatus *status;
	struct error err = {0};
	int r = state_file_read(place, NAME, TYPE, &message, &err);
	int64_t value;

	if (r < 0) {
		assert_int_equal(err.code, r);
		assert_null(message);
		return r;
	}
	status = message;
	value = status->uid;
	assert_int_equal(status->counters[0]->value, value);
	assert_memory_equal(status->trips[0]->rule->key.data, "fs.deny", 7);
	berm__wire__run_status__free_unpacked(status, NULL);
	return value;
}

static struct state_place real_place(void)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return (struct state_place){&storage_system, fd};
}

static void what_was_written_is_read(void **state)
{
	struct state_place place = real_place();
	struct stat st;
	struct error err;

	(void)state;
	assert_int_equal(get(&place), -ENOENT);
	assert_int_equal(put(&place, 7), 0);
	assert_int_equal(get(&place), 7);
	assert_int_equal(put(&place, 8), 0);
	assert_int_equal(get(&place), 8);
	assert_int_equal(stat(in_top(NAME), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(state_file_remove(&place, NAME, &err), 0);
	assert_int_equal(state_file_remove(&place, NAME, &err), -ENOENT);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(get(&place), -ENOENT);
	close(place.dir);
}

static int decode(const uint8_t *bytes, size_t length, const ProtobufCMessageDescriptor *type)
{
	void *message = NULL;
	struct error err = {0};
	int r = state_file_decode(bytes, length, type, NAME, &message, &err);

	if (r == 0)
		protobuf_c_message_free_unpacked(message, NULL);
	else
		assert_true(err.text[0] && !message);
	return r;
}

static void each_bit_and_each_length_counts(void **state)
{
	autofree uint8_t *bytes = NULL;
	uint8_t more[4096] = {0};
	struct sample s;
	size_t length = 0;

	(void)state;
	assert_int_equal(state_file_encode(sample(&s, 300), &bytes, &length, NULL), 0);
	assert_int_equal(decode(bytes, length, TYPE), 0);
	for (size_t bit = 0; bit < length * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(decode(bytes, length, TYPE), -EBADMSG);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n < length; n++)
		assert_int_equal(decode(bytes, n, TYPE), -EBADMSG);
	assert_true(length + 1 < sizeof(more));
	memcpy(more, bytes, length);
	assert_int_equal(decode(more, length + 1, TYPE), -EBADMSG);
	/* The same bytes under another type. */
	assert_int_equal(decode(bytes, length, &berm__wire__control_reply__descriptor), -EBADMSG);
}

static void what_is_not_known_or_said_twice_is_refused(void **state)
{
	uint8_t value[] = {1};
	/* protobuf-c packs it after the fields that it knows, whatever its number is. */
	const unsigned tags[] = {5 /* uid */, 77};

	(void)state;
	for (size_t i = 0; i < array_size(tags); i++) {
		ProtobufCMessageUnknownField field = {
			tags[i], PROTOBUF_C_WIRE_TYPE_VARINT, sizeof(value), value};
		autofree uint8_t *bytes = NULL;
		size_t length = 0;
		struct sample s;

		sample(&s, 3);
		s.status.base.n_unknown_fields = 1;
		s.status.base.unknown_fields = &field;
		assert_int_equal(state_file_encode(&s.status.base, &bytes, &length, NULL), 0);
		assert_int_equal(decode(bytes, length, TYPE), -EBADMSG);
		/* And deep within. */
		own_free(&bytes);
		sample(&s, 3);
		s.rule.base.n_unknown_fields = 1;
		s.rule.base.unknown_fields = &field;
		assert_int_equal(state_file_encode(&s.status.base, &bytes, &length, NULL), 0);
		assert_int_equal(decode(bytes, length, TYPE), -EBADMSG);
	}
}

static void a_file_that_is_too_large_is_neither_written_nor_read(void **state)
{
	struct state_place place = real_place();
	autofree char *large = malloc(STATE_FILE_BYTES_MAX + 1);
	struct sample s;

	(void)state;
	assert_non_null(large);
	memset(large, 'x', STATE_FILE_BYTES_MAX);
	large[STATE_FILE_BYTES_MAX] = '\0';
	sample(&s, 3);
	s.status.run = large;
	assert_int_equal(state_file_write(&place, NAME, &s.status.base, NULL), -EFBIG);
	assert_int_equal(put(&place, 4), 0);
	assert_int_equal(truncate(in_top(NAME), STATE_FILE_BYTES_MAX + 1), 0);
	assert_int_equal(get(&place), -EBADMSG);
	close(place.dir);
}

static void what_others_have_a_way_to_is_refused(void **state)
{
	struct state_place place = real_place();

	(void)state;
	for (unsigned bit = 0; bit < 12; bit++) {
		mode_t mode = 0600 | 1U << bit;

		assert_int_equal(put(&place, 4), 0);
		assert_int_equal(chmod(in_top(NAME), mode), 0);
		assert_int_equal(get(&place), mode == 0600 ? 4 : -EPERM);
	}
	assert_int_equal(put(&place, 4), 0);
	assert_int_equal(get(&place), 4);
	if (geteuid() == 0) {
		assert_int_equal(chown(in_top(NAME), 65534, 65534), 0);
		assert_int_equal(get(&place), -EPERM);
	}
	close(place.dir);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	struct state_place place = real_place();

	(void)state;
	assert_int_equal(put(&place, 4), 0);
	assert_int_equal(rename(in_top(NAME), in_top("away")), 0);
	assert_int_equal(symlink("away", in_top(NAME)), 0);
	assert_int_equal(get(&place), -EBADMSG);
	assert_int_equal(unlink(in_top(NAME)), 0);
	assert_int_equal(mkfifo(in_top(NAME), 0600), 0);
	assert_int_equal(get(&place), -EBADMSG);
	assert_int_equal(unlink(in_top(NAME)), 0);
	assert_int_equal(mkdir(in_top(NAME), 0700), 0);
	assert_int_equal(get(&place), -EBADMSG);
	/* In the way of the temporary name: taken away, and not followed. */
	assert_int_equal(rmdir(in_top(NAME)), 0);
	assert_int_equal(symlink("away", in_top(NAME ".new")), 0);
	assert_int_equal(put(&place, 6), 0);
	assert_int_equal(get(&place), 6);
	assert_int_equal(rename(in_top("away"), in_top(NAME)), 0);
	assert_int_equal(get(&place), 4);
	close(place.dir);
}

/* With every error at every call: the old one or the new one, and afterwards it works again. */
static void an_error_at_any_call_leaves_the_old_or_the_new(void **state)
{
	const int errors[] = {EIO, ENOSPC, EROFS, EDQUOT};
	unsigned calls = 0, tried = 0, kept_old = 0;

	(void)state;
	for (size_t e = 0; e < array_size(errors); e++) {
		for (unsigned call = 1; call == 1 || call <= calls; call++) {
			struct fake_disk *disk = fake_disk_create();
			struct state_place place = {fake_disk_storage(disk), DISK_DIR};
			int64_t value;
			int r;

			assert_int_equal(put(&place, 1), 0);
			fake_disk_fault(disk, FAKE_FAULT_NONE, 0, 0);
			assert_int_equal(put(&place, 1), 0);
			calls = fake_disk_calls(disk);
			fake_disk_fault(disk, FAKE_FAULT_ONCE, call, errors[e]);
			r = put(&place, 2);
			value = get(&place);
			assert_true(value == 2 || (r < 0 && value == 1));
			tried++;
			kept_old += value == 1;
			fake_disk_fault(disk, FAKE_FAULT_NONE, 0, 0);
			assert_int_equal(put(&place, 3), 0);
			fake_disk_crash(disk, FAKE_CRASH_LOSE);
			assert_int_equal(get(&place), 3);
			fake_disk_destroy(disk);
		}
	}
	/* Create, write, sync, rename, sync of the directory, and removal of an unfinished one. */
	assert_int_equal(calls, 6);
	assert_int_equal(tried, calls * array_size(errors));
	assert_true(kept_old >= 4 * array_size(errors));
}

static void a_power_loss_at_any_call_leaves_the_old_or_the_new(void **state)
{
	unsigned calls = 6, seen[3] = {0};

	(void)state;
	random_seed(5);
	for (unsigned round = 0; round < 50; round++)
		for (unsigned call = 1; call <= calls + 1; call++)
			for (unsigned crash = 0; crash < FAKE_CRASH_COUNT; crash++) {
				struct fake_disk *disk = fake_disk_create();
				struct state_place place = {fake_disk_storage(disk), DISK_DIR};
				int64_t value;
				int r;

				assert_int_equal(put(&place, 1), 0);
				fake_disk_fault(disk, FAKE_FAULT_POWER, call, 0);
				r = put(&place, 2);
				fake_disk_crash(disk, (enum fake_crash)crash);
				value = get(&place);
				assert_true(value == 2 || (r < 0 && value == 1));
				seen[value]++;
				assert_int_equal(put(&place, 3), 0);
				fake_disk_crash(disk, FAKE_CRASH_LOSE);
				assert_int_equal(get(&place), 3);
				fake_disk_destroy(disk);
			}
	assert_true(seen[1] > 100 && seen[2] > 100);
}

static struct {
	unsigned calls, kill_at;
	bool after;
} plan;

#define KILLER(name, parameters, arguments, counts)                                                \
	static int killer_##name parameters                                                        \
	{                                                                                          \
		int r;                                                                             \
		if (counts)                                                                        \
			plan.calls++;                                                              \
		if (counts && plan.calls == plan.kill_at && !plan.after)                           \
			raise(SIGKILL);                                                            \
		r = storage_system.ops->name arguments;                                            \
		if (counts && plan.calls == plan.kill_at)                                          \
			raise(SIGKILL);                                                            \
		return r;                                                                          \
	}
KILLER(open, (void *c, int dir, const char *name, int flags, unsigned mode),
	(c, dir, name, flags, mode), (flags & O_CREAT) != 0)
KILLER(write, (void *c, int file, const void *data, size_t length, uint64_t offset),
	(c, file, data, plan.calls == plan.kill_at ? length / 2 : length, offset), true)
KILLER(sync, (void *c, int file), (c, file), true)
KILLER(sync_dir, (void *c, int dir), (c, dir), true)
KILLER(rename, (void *c, int dir, const char *from, const char *to), (c, dir, from, to), true)
KILLER(remove, (void *c, int dir, const char *name), (c, dir, name), true)

static int wait_for(pid_t child)
{
	int status = -1;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void a_kill_at_any_call_leaves_the_old_or_the_new(void **state)
{
	struct state_place place = real_place();
	struct storage_ops ops = *storage_system.ops;
	const struct storage killer = {.ops = &ops};
	const struct state_place killed = {&killer, place.dir};
	unsigned seen[3] = {0};

	(void)state;
	ops.open = killer_open;
	ops.write = killer_write;
	ops.sync = killer_sync;
	ops.sync_dir = killer_sync_dir;
	ops.rename = killer_rename;
	ops.remove = killer_remove;
	for (unsigned call = 1; call <= 6; call++)
		for (unsigned after = 0; after < 2; after++) {
			int64_t value;
			pid_t child;

			assert_int_equal(put(&place, 1), 0);
			/* With and without what another one left. */
			if (call & 1)
				make_file(NAME ".new", "what was left");
			child = fork();
			assert_true(child >= 0);
			if (child == 0) {
				plan.calls = 0;
				plan.kill_at = call;
				plan.after = after;
				(void)!put(&killed, 2);
				_exit(0);
			}
			assert_true(WIFSIGNALED(wait_for(child)));
			value = get(&place);
			assert_true(value == 1 || value == 2);
			seen[value]++;
			assert_int_equal(put(&place, 3), 0);
			assert_int_equal(get(&place), 3);
		}
	/* Renamed is new: after the fifth call, and with the sixth. */
	assert_int_equal(seen[2], 3);
	assert_int_equal(seen[1], 9);
	close(place.dir);
}

static int count_name(void *data, const char *name)
{
	unsigned *count = data;

	assert_true(strcmp(name, "a") == 0 || strcmp(name, "b") == 0);
	(*count)++;
	return 0;
}

static void unfinished_files_are_not_listed(void **state)
{
	struct state_place place = real_place();
	unsigned count = 0;

	(void)state;
	make_file("a", "");
	make_file("b", "");
	make_file("b.new", "");
	make_file(".new", "");
	assert_int_equal(state_file_list(&place, count_name, &count), 0);
	assert_int_equal(count, 2);
	close(place.dir);
}

#define row(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest rows[] = {
		row(what_was_written_is_read),
		cmocka_unit_test(each_bit_and_each_length_counts),
		cmocka_unit_test(what_is_not_known_or_said_twice_is_refused),
		row(a_file_that_is_too_large_is_neither_written_nor_read),
		row(what_others_have_a_way_to_is_refused),
		row(what_is_no_file_is_refused_without_waiting),
		cmocka_unit_test(an_error_at_any_call_leaves_the_old_or_the_new),
		cmocka_unit_test(a_power_loss_at_any_call_leaves_the_old_or_the_new),
		row(a_kill_at_any_call_leaves_the_old_or_the_new),
		row(unfinished_files_are_not_listed),
	};

	umask(022);
	return cmocka_run_group_tests(rows, NULL, NULL);
}
