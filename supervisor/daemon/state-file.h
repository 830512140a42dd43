/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/storage.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Small files that must never be lost, mixed or believed when they are damaged: agents, groups,
 * staged changes. One message a file:
 *
 *   "BERMSTAT", version (4), length of the message (4), BLAKE2b-256 (32), the message
 *
 * with numbers in little-endian order and nothing after it. The hash is over the first 16 bytes,
 * the message's type, its name's end (a NUL) and the message, so that a file of another kind is
 * not taken for this one. It tells damage; who may write is told by the file's owner and mode. */

#define STATE_FILE_MAGIC "BERMSTAT"
#define STATE_FILE_MAGIC_BYTES 8
#define STATE_FILE_VERSION 1
#define STATE_FILE_HEADER_BYTES 48
#define STATE_FILE_BYTES_MAX (1U << 20) /* of the whole file */

/* Where such files are. Borrowed. */
struct state_place {
	const struct storage *storage; /* &storage_system but in tests */
	int dir;
};

/* Write the message under a temporary name, have it on the disk, and give it its name: after a
 * kill or a power loss the file is whole, as it was before or as it is now. With an error it is one
 * of the two as well; an error of the last step (the directory to the disk) leaves the new one.
 * Whoever writes holds the lock below. */
int state_file_write(const struct state_place *place, const char *name,
	const ProtobufCMessage *message, struct error *err) must_check;
/* The same for whoever cannot wait for the lock. Of several at once the last one's file stays. */
int state_file_write_alone(const struct state_place *place, const char *name,
	const ProtobufCMessage *message, struct error *err) must_check;
/* Read a message of that type (caller frees with its free_unpacked). Strict: a regular file of our
 * own, mode 0600 or narrower, one version, whole, and with no field that this berm
 * does not know. -ENOENT (kind NOT_FOUND) where there is none; -EPERM (REFUSED) where somebody
 * else had or has a way to it; -EBADMSG where it is damaged or of another version. */
int state_file_read(const struct state_place *place, const char *name,
	const ProtobufCMessageDescriptor *type, void **ret_message, struct error *err) must_check;
/* Take it away, for good when this returns 0. -ENOENT where there is none. */
int state_file_remove(
	const struct state_place *place, const char *name, struct error *err) must_check;
/* Each file's name, in no order, without what an interrupted write left. */
int state_file_list(const struct state_place *place, int (*each)(void *data, const char *name),
	void *data) must_check;

/* The two forms in memory, for the two above. name is for messages only. */
int state_file_encode(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_length,
	struct error *err) must_check;
int state_file_decode(const uint8_t *bytes, size_t length, const ProtobufCMessageDescriptor *type,
	const char *name, void **ret_message, struct error *err) must_check;

#define STATE_LOCK "govern.lock"

/* Hold STATE/govern.lock, which everything that changes such files does, for a short time; wait
 * for it at most wait_ms. The kernel lets go of it when the process ends, however that comes; until
 * state_unlock() no signal but SIGKILL and SIGSTOP reaches this process, so that nobody stops it
 * with the lock in its hand. One at a time in a process.
 * Returns a descriptor; -ETIMEDOUT, or -EPERM (kind REFUSED) where others could hold it. */
int state_lock(int state_fd, unsigned wait_ms, struct error *err) must_check;
/* The same with a file of that name in that directory, which guards something of its own. Who holds
 * one of them may take another one, and lets go of that first. */
int state_lock_named(int dir_fd, const char *name, unsigned wait_ms, struct error *err) must_check;
/* Let go, at once also where a child has the descriptor too. Does nothing for -1. */
void state_unlock(int *fd);
#define autounlock __attribute__((cleanup(state_unlock)))
