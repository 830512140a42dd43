/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/halts.h"

#include "base/failpoint.h"
#include "daemon/act.h"
#include "daemon/state-directory.h"
#include "daemon/state-file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define HALT_VERSION 1
#define MARK_BYTES (RUNS_NAMED_WORDS_MAX + 8)
#define PATIENCE_MS 5000
#define HALTS_MAX 4096
#define TYPE (&berm__wire__halt__descriptor)

static inline void halt_free(Berm__Wire__Halt **halt)
{
	if (*halt)
		berm__wire__halt__free_unpacked(*halt, NULL);
	*halt = NULL;
}
#define autohalt __attribute__((cleanup(halt_free)))

/* The name of the mark's file. */
static const char *mark_of(enum runs_named_scope scope, const char *of, char mark[MARK_BYTES])
{
	switch (scope) {
	case NAMED_EVERYTHING:
		return "all";
	case NAMED_AGENT:
		snprintf(mark, MARK_BYTES, "agent.%s", of);
		return mark;
	case NAMED_GROUP:
		snprintf(mark, MARK_BYTES, "group.%s", of);
		return mark;
	case NAMED_RUN:
		break;
	}
	return NULL;
}

/* ---- the question ---- */

/* Whoever shows an error escapes it. */
static int refuse(const Berm__Wire__Halt *halt, struct error *err)
{
	return error_set(err, -ECANCELED, ERROR_REFUSED,
		"nothing of %s starts any more: halted by %s%suid %u%s%.*s; \"berm halt --lift\" "
		"ends that",
		halt->words, halt->by, halt->by[0] ? ", " : "", halt->by_uid,
		halt->reason.len ? ": " : "", (int)halt->reason.len,
		halt->reason.len ? (const char *)halt->reason.data : "");
}

static int check_mark(const struct state_place *place, enum runs_named_scope scope, const char *of,
	struct error *err)
{
	autohalt Berm__Wire__Halt *halt = NULL;
	struct error why = {0};
	char bytes[MARK_BYTES];
	void *message = NULL;
	int r = state_file_read(place, mark_of(scope, of, bytes), TYPE, &message, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(err, r, ERROR_REFUSED, "whether runs may start cannot be told: %s",
			why.text);
	halt = message;
	return refuse(halt, err);
}

/* The marks as they are, made nowhere. -ENOENT: there are none. */
static int open_to_read(const char *state, struct error *err)
{
	autoclose int state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;

	if (state_fd >= 0)
		fd = openat(state_fd, HALTS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "whether runs may start: %s/%s", state, HALTS_DIR);
	/* Where others may take marks away, nobody knows what is halted. */
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"whether runs may start cannot be told: %s/%s belongs to somebody else, or "
			"others may write to it",
			state, HALTS_DIR);
	return take_fd(&fd);
}

int halts_check(const char *state, const char *agent_id, const char *group, struct error *err)
{
	struct state_place place = {.storage = &storage_system};
	autoclose int fd = -1;
	struct error why = {0};
	int r;

	if (!state)
		return 0;
	fd = open_to_read(state, &why);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return error_set(err, fd, why.kind, "%s", why.text);
	place.dir = fd;
	r = check_mark(&place, NAMED_EVERYTHING, "", err);
	if (r == 0 && agent_id)
		r = check_mark(&place, NAMED_AGENT, agent_id, err);
	if (r == 0 && group && group[0])
		r = check_mark(&place, NAMED_GROUP, group, err);
	return r;
}

/* ---- the marks ---- */

struct opened {
	int state_fd;
	struct state_place place;
};

static void close_place(struct opened *o)
{
	own_close(&o->place.dir);
	own_close(&o->state_fd);
}
#define autoopened __attribute__((cleanup(close_place)))
#define OPENED_NONE                                                                                \
	{                                                                                          \
		.state_fd = -1, .place = {.storage = &storage_system, .dir = -1 }                  \
	}

/* No lock: each mark is one file, there or not there, and whoever halts waits for nobody. */
static int open_place(const char *state, struct opened *o, struct error *err)
{
	o->state_fd = state_directory_open(state, err);
	if (o->state_fd < 0)
		return o->state_fd;
	o->place.dir = state_directory_within(o->state_fd, HALTS_DIR, 0700, err);
	return o->place.dir < 0 ? o->place.dir : 0;
}

static uint64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int halts_set(const char *state, const struct runs_named *named, const struct halts_by *by,
	bool *ret_was_there, struct error *err)
{
	autoopened struct opened o = OPENED_NONE;
	Berm__Wire__Halt halt;
	struct error there = {0};
	char bytes[MARK_BYTES];
	const char *mark = mark_of(named->scope, named->of, bytes);
	int r = open_place(state, &o, err);

	if (r < 0)
		return r;
	/* One that cannot be read halts as well as another. */
	r = check_mark(&o.place, named->scope, named->of, &there);
	*ret_was_there = r < 0;
	if (r < 0)
		return 0;
	berm__wire__halt__init(&halt);
	halt.version = HALT_VERSION;
	halt.scope = named->scope;
	halt.of = (char *)(uintptr_t)named->of;
	halt.words = (char *)(uintptr_t)named->words;
	halt.wall_ms = wall_ms();
	halt.by_uid = by->uid;
	halt.by = (char *)(uintptr_t)by->name;
	if (by->reason)
		halt.reason =
			(ProtobufCBinaryData){strlen(by->reason), (uint8_t *)(uintptr_t)by->reason};
	failpoint("halt.setting");
	r = state_file_write_alone(&o.place, mark, &halt.base, err);
	failpoint("halt.set");
	return r;
}

int halts_find(const char *state, const struct runs_named *named, struct error *err)
{
	struct state_place place = {.storage = &storage_system};
	struct error there = {0};
	autoclose int fd = open_to_read(state, &there);
	int r = 0;

	place.dir = fd;
	if (fd >= 0)
		r = check_mark(&place, named->scope, named->of, &there);
	if (fd == -ENOENT || (fd >= 0 && r == 0))
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "%s is not halted", named->words);
	return 0;
}

int halts_lift(const char *state, const struct runs_named *named, struct error *err)
{
	autoopened struct opened o = OPENED_NONE;
	char bytes[MARK_BYTES];
	int r = open_place(state, &o, err);

	failpoint("halt.lifting");
	if (r == 0)
		r = state_file_remove(&o.place, mark_of(named->scope, named->of, bytes), err);
	failpoint("halt.lifted");
	if (r == -ENOENT)
		return error_set(err, r, ERROR_NOT_FOUND, "%s is not halted", named->words);
	return r;
}

struct reading {
	const struct state_place *place;
	Berm__Wire__Halt **list;
	size_t count;
	struct error *err;
};

static int read_one(void *data, const char *name)
{
	struct reading *reading = data;
	Berm__Wire__Halt **grown;
	void *message = NULL;
	int r;

	if (reading->count == HALTS_MAX)
		return error_set(reading->err, -EOVERFLOW, ERROR_INTERNAL,
			"there are more than %d halts", HALTS_MAX);
	grown = reallocarray(reading->list, reading->count + 1, sizeof(*grown));
	if (!grown)
		return error_set(reading->err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	reading->list = grown;
	r = state_file_read(reading->place, name, TYPE, &message, reading->err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	grown[reading->count++] = message;
	return 0;
}

int halts_list(
	const char *state, Berm__Wire__Halt ***ret_list, size_t *ret_count, struct error *err)
{
	struct state_place place = {.storage = &storage_system};
	struct reading reading = {.place = &place, .err = err};
	autoclose int fd = open_to_read(state, err);
	int r;

	*ret_list = NULL;
	*ret_count = 0;
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	place.dir = fd;
	r = state_file_list(&place, read_one, &reading);
	if (r < 0) {
		halts_free(reading.list, reading.count);
		return r;
	}
	*ret_list = reading.list;
	*ret_count = reading.count;
	return 0;
}

void halts_free(Berm__Wire__Halt **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		halt_free(&list[i]);
	free(list);
}

int halts_record(const char *state, const char *operation, const struct runs_named *named,
	const struct halts_by *by, struct error *err)
{
	Berm__Wire__HaltChange change = BERM__WIRE__HALT_CHANGE__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	const Berm__Wire__Record *records[] = {&record};

	change.operation = (char *)(uintptr_t)operation;
	change.of = (char *)(uintptr_t)named->words;
	change.has_by_uid = true;
	change.by_uid = by->uid;
	if (by->name[0])
		change.by = (char *)(uintptr_t)by->name;
	if (by->reason) {
		change.has_reason = true;
		change.reason =
			(ProtobufCBinaryData){strlen(by->reason), (uint8_t *)(uintptr_t)by->reason};
	}
	record.body_case = BERM__WIRE__RECORD__BODY_HALT_CHANGE;
	record.halt_change = &change;
	return act_record(&(struct act){.state = state,
				  .agent = named->scope == NAMED_AGENT ? named->of : NULL,
				  .group = named->scope == NAMED_GROUP ? named->of : NULL,
				  .records = records,
				  .count = 1},
		PATIENCE_MS, err);
}
