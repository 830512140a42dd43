/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/storage.h"

/* A disk in memory that tells what was written from what would survive: for tests of power loss at
 * every call, of errors at call n, and of logs changed by hand. Knows a few directories, by number.
 * What it loses in a crash follows POSIX and no kinder: until fsync(2) any part of a write, in
 * units of 512 bytes and in any order, and any prefix of the changes to a directory. */

#define FAKE_DIRECTORIES 4

struct fake_disk;

struct fake_disk *fake_disk_create(void);
void fake_disk_destroy(struct fake_disk *disk);
/* Borrowed from the disk. */
const struct storage *fake_disk_storage(struct fake_disk *disk);

enum fake_fault {
	FAKE_FAULT_NONE,
	FAKE_FAULT_ONCE,  /* call n fails with that errno */
	FAKE_FAULT_FROM,  /* and all after it */
	FAKE_FAULT_POWER, /* nothing has an effect from call n on: fake_disk_crash() is next */
};

/* Calls that change something are counted from 1, from now on. error: errno, positive. */
void fake_disk_fault(struct fake_disk *disk, enum fake_fault fault, unsigned call, int error);
unsigned fake_disk_calls(const struct fake_disk *disk);
/* What the calls may allocate together; 0: no limit. */
void fake_disk_limit(struct fake_disk *disk, uint64_t bytes);
uint64_t fake_disk_allocated(const struct fake_disk *disk);

enum fake_crash {
	FAKE_CRASH_LOSE, /* all that was not synced */
	FAKE_CRASH_KEEP, /* nothing: as kill -9 */
	FAKE_CRASH_TORN, /* any of it, as random.h draws */
	FAKE_CRASH_COUNT
};
/* The power goes and comes back: all handles are closed, all faults are gone. */
void fake_disk_crash(struct fake_disk *disk, enum fake_crash crash);

/* A file's content, to be changed in place: bytes are borrowed until the next call. NULL where
 * there is none. */
uint8_t *fake_disk_bytes(struct fake_disk *disk, int dir, const char *name, uint64_t *ret_size);
/* Make or replace a file as a whole, durable at once. */
void fake_disk_put(
	struct fake_disk *disk, int dir, const char *name, const void *bytes, uint64_t size);
void fake_disk_drop(struct fake_disk *disk, int dir, const char *name);
/* Another disk with the same durable and visible content (visible is made durable). */
struct fake_disk *fake_disk_copy(const struct fake_disk *disk);
