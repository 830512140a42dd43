/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-pending.h"

#include "daemon/act.h"
#include "daemon/state-directory.h"
#include "daemon/state-file.h"

#include <fcntl.h>
#include <string.h>

#define AT_ONCE 256
#define NAME_BYTES 64

static int open_pending(const char *state, struct error *err)
{
	autoclose int fd = state_directory_open(state, err);

	return fd < 0 ? fd : state_directory_within(fd, KILL_PENDING_DIR, 0700, err);
}

void kill_pending_put(const char *state, const Berm__Wire__Kill *kills, size_t count)
{
	struct error err = {0};
	autoclose int dir = open_pending(state, &err);
	const struct state_place place = {&storage_system, dir};

	for (size_t i = 0; dir >= 0 && i < count; i++) {
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "%s", kills[i].killed);
		(void)!state_file_write_alone(&place, name, &kills[i].base, &err);
	}
}

struct pending {
	const struct state_place *place;
	Berm__Wire__Kill *kills[AT_ONCE];
	char names[AT_ONCE][NAME_BYTES];
	size_t count;
};

/* One that cannot be read stays for a person to look at. */
static int read_one(void *data, const char *name)
{
	struct pending *pending = data;
	struct error ignored = {0};
	void *message = NULL;

	if (pending->count == AT_ONCE || strlen(name) >= NAME_BYTES ||
		state_file_read(pending->place, name, &berm__wire__kill__descriptor, &message,
			&ignored) < 0)
		return 0;
	snprintf(pending->names[pending->count], NAME_BYTES, "%s", name);
	pending->kills[pending->count++] = message;
	return 0;
}

static int count_one(void *data, const char *name)
{
	(void)name;
	*(bool *)data = true;
	return 0;
}

static int open_there(const char *state)
{
	autoclose int state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return state_fd < 0 ? -1
			    : openat(state_fd, KILL_PENDING_DIR,
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

bool kill_pending_is_there(const char *state)
{
	autoclose int dir = open_there(state);
	const struct state_place place = {&storage_system, dir};
	bool any = false;

	return dir >= 0 && state_file_list(&place, count_one, &any) == 0 && any;
}

static int record(
	const char *state, struct pending *pending, unsigned timeout_ms, struct error *err)
{
	autofree Berm__Wire__Record *records = calloc(pending->count + 1, sizeof(*records));
	const Berm__Wire__Record *pointers[AT_ONCE];

	if (!records)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	for (size_t i = 0; i < pending->count; i++) {
		berm__wire__record__init(&records[i]);
		records[i].body_case = BERM__WIRE__RECORD__BODY_KILL;
		records[i].kill = pending->kills[i];
		pointers[i] = &records[i];
	}
	return act_record(
		&(const struct act){.state = state, .records = pointers, .count = pending->count},
		timeout_ms, err);
}

int kill_pending_flush(const char *state, unsigned timeout_ms, struct error *err)
{
	autoclose int dir = open_there(state);
	const struct state_place place = {&storage_system, dir};
	autofree struct pending *pending = calloc(1, sizeof(*pending));
	int r = 0;

	if (dir < 0 || !pending)
		return 0;
	pending->place = &place;
	r = state_file_list(&place, read_one, pending);
	if (r == 0 && pending->count)
		r = record(state, pending, timeout_ms, err);
	for (size_t i = 0; i < pending->count; i++) {
		if (r == 0)
			(void)!state_file_remove(&place, pending->names[i], err);
		berm__wire__kill__free_unpacked(pending->kills[i], NULL);
	}
	return r < 0 ? r : (int)pending->count;
}
