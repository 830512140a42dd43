/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

#include "random.h"
#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

/* A process that records is killed, with SIGKILL, before, in the middle of and after each of its
 * calls that change something on the disk, and at any moment. What it had acknowledged, through a
 * pipe, is there afterwards, in order, and the log verifies. Between two such calls nothing changes
 * but the process's own memory, so that these are all the moments there are. What a kill leaves
 * does not depend on fsync(2), so that is done only with RECORD_ALL=1, which also kills a hundred
 * times as often at any moment. test-record-power.c is about the power. */

enum moment { BEFORE, HALF, AFTER, MOMENTS };

static struct {
	unsigned calls, kill_at; /* 0: never */
	enum moment moment;
	bool syncs;
} plan;

static bool tries_all(void)
{
	return getenv("RECORD_ALL") != NULL;
}

static void at(enum moment moment)
{
	if (plan.calls == plan.kill_at && plan.moment == moment)
		raise(SIGKILL);
}

static const struct storage_ops *real(void)
{
	return storage_system.ops;
}

static int killer_open(void *context, int dir, const char *name, int flags, unsigned mode)
{
	int r;

	plan.calls += (flags & O_CREAT) != 0;
	if (flags & O_CREAT)
		at(BEFORE);
	r = real()->open(context, dir, name, flags, mode);
	if (flags & O_CREAT)
		at(AFTER);
	return r;
}

static int killer_write(void *context, int file, const void *data, size_t length, uint64_t offset)
{
	int r;

	plan.calls++;
	at(BEFORE);
	if (plan.calls == plan.kill_at && plan.moment == HALF)
		(void)!real()->write(context, file, data, length / 2, offset);
	at(HALF);
	r = real()->write(context, file, data, length, offset);
	at(AFTER);
	return r;
}

#define KILLER(name, parameters, arguments, does_it)                                               \
	static int killer_##name parameters                                                        \
	{                                                                                          \
		int r;                                                                             \
		plan.calls++;                                                                      \
		at(BEFORE);                                                                        \
		r = (does_it) ? real()->name arguments : 0;                                        \
		at(AFTER);                                                                         \
		return r;                                                                          \
	}
KILLER(sync, (void *c, int file), (c, file), plan.syncs)
KILLER(sync_dir, (void *c, int dir), (c, dir), plan.syncs)
KILLER(rename, (void *c, int dir, const char *from, const char *to), (c, dir, from, to), true)
KILLER(remove, (void *c, int dir, const char *name), (c, dir, name), true)
KILLER(truncate, (void *c, int file, uint64_t size), (c, file, size), true)
KILLER(reserve, (void *c, int file, uint64_t offset, uint64_t length), (c, file, offset, length),
	true)

static struct storage_ops killer_ops;
static const struct storage killer = {.ops = &killer_ops};

struct place {
	int log, keys, anchors;
	struct anchor_directory directory;
	struct anchor anchor;
	struct recorder_options options;
};

static int open_directory(const char *name)
{
	int fd = open(in_top(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void open_place(struct place *p)
{
	killer_ops = *real();
	killer_ops.open = killer_open;
	killer_ops.write = killer_write;
	killer_ops.sync = killer_sync;
	killer_ops.sync_dir = killer_sync_dir;
	killer_ops.rename = killer_rename;
	killer_ops.remove = killer_remove;
	killer_ops.truncate = killer_truncate;
	killer_ops.reserve = killer_reserve;
	*p = (struct place){.log = open_directory("log"),
		.keys = open_directory("keys"),
		.anchors = open_directory("anchors")};
	p->directory = (struct anchor_directory){.storage = &killer, .dir = p->anchors};
	p->anchor = anchor_directory(&p->directory);
	p->options = (struct recorder_options){.storage = &killer,
		.log_dir = p->log,
		.key_dir = p->keys,
		.anchor = &p->anchor,
		.anchor_required = true,
		.create = true,
		.segment_bytes = 1400,
		.queue_bytes = 1 << 20};
}

static void close_place(struct place *p)
{
	close(p->log);
	close(p->keys);
	close(p->anchors);
}

static void must(int r)
{
	if (r < 0)
		_exit(9);
}

static void append_number(struct recorder *r, uint32_t number)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;

	trip.has_used = true;
	trip.used = number;
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	must(recorder_append(r, NULL, RECORD_RING_DECISIONS, &record));
}

/* Sessions with commits, seals, rotations and a removal, from this number on; each number goes into
 * the pipe when it is durable. Never returns. */
static void record_until_killed(uint32_t number, unsigned sessions, int told)
{
	struct place p;

	plan.calls = 0;
	open_place(&p);
	for (unsigned session = 0; session < sessions; session++) {
		struct recorder *r;
		struct recorder_status status;

		must(recorder_open(&p.options, &r, NULL));
		for (unsigned batch = 0; batch < 4; batch++) {
			for (unsigned i = 0; i < 3; i++)
				append_number(r, number++);
			must(batch == 1 ? recorder_seal(r, NULL) : recorder_commit(r, NULL));
			must(io_write_all(told, &number, sizeof(number)));
		}
		recorder_status(r, &status);
		if (session % 3 == 2 && status.segment > 4)
			must(recorder_remove(r, status.segment - 4, "size", NULL));
		if (session % 2 == 0)
			must(recorder_close(r, NULL));
		recorder_destroy(r);
	}
	_exit(0);
}

/* Run it; returns the number behind the last one that was acknowledged. *ret_killed: it was. */
static uint32_t run(uint32_t number, unsigned sessions, unsigned kill_after_us, bool *ret_killed)
{
	int ends[2], status;
	uint32_t told = number, next;
	pid_t child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		record_until_killed(number, sessions, ends[1]);
	}
	close(ends[1]);
	if (kill_after_us) {
		usleep(kill_after_us);
		assert_int_equal(kill(child, SIGKILL), 0);
	}
	while (read(ends[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
		told = next;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	*ret_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (!*ret_killed)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return told;
}

struct seen {
	uint32_t next; /* the number that must come */
	uint32_t removed;
};

static int see(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct seen *seen = data;
	Berm__Wire__Trip *trip;

	(void)segment;
	(void)frame;
	if (view->body != BERM__WIRE__RECORD__BODY_TRIP)
		return 0;
	trip = berm__wire__trip__unpack(NULL, view->body_length, view->body_bytes);
	assert_non_null(trip);
	/* Ahead only where segments were removed; never back, never twice. */
	assert_true(trip->used >= seen->next);
	seen->removed += (uint32_t)trip->used - seen->next;
	seen->next = (uint32_t)trip->used + 1;
	berm__wire__trip__free_unpacked(trip, NULL);
	return 0;
}

/* Take the log up as the next process would, close it, and look at all of it. Returns the number to
 * go on with. */
static uint32_t check(uint32_t acknowledged, const char *what, unsigned call)
{
	struct seen seen = {0};
	struct error err = {0};
	struct recorder *r;
	struct place p;
	struct log_pin pin;
	struct log_head head;
	struct verify_options options;
	struct verify_result result;
	autofree char *line = NULL;
	size_t length;

	plan.kill_at = 0;
	open_place(&p);
	if (recorder_open(&p.options, &r, &err) < 0)
		fail_msg("%s at call %u: %s", what, call, err.text);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	assert_int_equal(io_read_file(p.keys, KEYS_PIN_FILE, 4096, &line, &length, NULL), 0);
	assert_int_equal(log_pin_parse(line, length, &pin, NULL), 0);
	assert_int_equal(p.anchor.latest(p.anchor.context, pin.log_id, &head, NULL), 0);
	options = (struct verify_options){.storage = &storage_system,
		.dir = p.log,
		.pin = &pin,
		.anchor = &head,
		.each = see,
		.data = &seen};
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	if (!result.pass)
		fail_msg("%s at call %u: %s", what, call, verify_reason_text(result.reason));
	if (seen.next < acknowledged)
		fail_msg("%s at call %u: %u records were acknowledged and %u are there", what, call,
			acknowledged, seen.next);
	/* Nothing is missing that the log does not say it removed. */
	assert_true(seen.removed == 0 || result.removed_segments > 0);
	close_place(&p);
	return seen.next;
}

/* In memory where there is such a place: ext4 waits for the disk at every rename over another file.
 */
static int make_quick_tree(void **state)
{
	strcpy(top, "/dev/shm/test-record-XXXXXX");
	return !tries_all() && mkdtemp(top) ? 0 : make_tree(state);
}

static void begin_place(void)
{
	assert_int_equal(remove_tree(NULL), 0);
	assert_int_equal(make_quick_tree(NULL), 0);
	make_directory("log");
	make_directory("keys");
	make_directory("anchors");
}

static unsigned count_calls(unsigned sessions)
{
	bool killed;
	unsigned calls = 0;

	/* It is counted in the child: ask for ever later calls until none is met. */
	plan.moment = BEFORE;
	for (unsigned step = 256; step; step /= 2)
		for (;;) {
			begin_place();
			plan.kill_at = calls + step;
			run(0, sessions, 0, &killed);
			if (!killed)
				break;
			calls += step;
		}
	return calls;
}

static void a_kill_at_every_call_loses_nothing_acknowledged(void **state)
{
	static const char *const words[MOMENTS] = {"before", "half", "after"};
	unsigned sessions = 4, calls = count_calls(sessions), kills = 0;

	(void)state;
	assert_true(calls > 150);
	plan.syncs = tries_all();
	for (unsigned call = 1; call <= calls; call++)
		for (enum moment moment = BEFORE; moment < MOMENTS; moment++) {
			uint32_t acknowledged;
			bool killed;

			/* But for the last one, after a call is before the next one. */
			if (moment == AFTER && call < calls && !tries_all())
				continue;
			begin_place();
			plan.kill_at = call;
			plan.moment = moment;
			acknowledged = run(0, sessions, 0, &killed);
			/* Only a write has a middle. */
			assert_true(killed || moment == HALF);
			kills += killed;
			check(acknowledged, words[moment], call);
		}
	print_message("# %u calls, %u kills: all that was acknowledged is there\n", calls, kills);
}

/* Somebody takes the log up and is killed over it. */
static void mend_and_be_killed(unsigned call)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct recorder *r;
		struct place p;

		plan.calls = 0;
		plan.kill_at = call;
		plan.moment = (enum moment)(call % MOMENTS);
		open_place(&p);
		must(recorder_open(&p.options, &r, NULL));
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The same log all the way. */
static void a_kill_at_any_moment_loses_nothing_acknowledged(void **state)
{
	unsigned rounds = tries_all() ? 5000 : 50, kills = 0;
	uint32_t number = 0;
	uint64_t records = 0;

	(void)state;
	random_seed(21);
	begin_place();
	plan.kill_at = 0;
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t acknowledged;
		bool killed;

		/* A log of its own now and then, so that looking at all of it stays quick. */
		if (i % 100 == 99) {
			begin_place();
			number = 0;
		}
		acknowledged = run(number, 2000, 1000 + (unsigned)random_below(20000), &killed);
		kills += killed;
		records += acknowledged - number;
		if (i % 2)
			mend_and_be_killed(1 + (unsigned)random_below(20));
		number = check(acknowledged, "any moment", i);
	}
	assert_true(kills >= rounds / 2);
	print_message("# %u kills at any moment, %llu records acknowledged, all there\n", kills,
		(unsigned long long)records);
}

#define in_quick_tree(test) cmocka_unit_test_setup_teardown(test, make_quick_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_quick_tree(a_kill_at_every_call_loses_nothing_acknowledged),
		in_quick_tree(a_kill_at_any_moment_loses_nothing_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
