/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/state-file.h"

#include "base/failpoint.h"
#include "wire/strict.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define COVERED_BYTES 16 /* of the header, by the hash */
#define HASH_BYTES 32
#define FILE_MODE 0600
#define UNFINISHED ".new" /* as storage_replace() has it */
#define STEP_MS_MAX 20    /* between two looks at the lock */

static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "berm state file";

static void put_u32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

/* bytes: a whole file. */
static void hash_of(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
	uint8_t hash[HASH_BYTES])
{
	crypto_generichash_blake2b_state state;

	crypto_generichash_blake2b_init_salt_personal(&state, NULL, 0, HASH_BYTES, NULL, personal);
	crypto_generichash_blake2b_update(&state, bytes, COVERED_BYTES);
	crypto_generichash_blake2b_update(
		&state, (const uint8_t *)type->name, strlen(type->name) + 1);
	crypto_generichash_blake2b_update(
		&state, bytes + STATE_FILE_HEADER_BYTES, length - STATE_FILE_HEADER_BYTES);
	crypto_generichash_blake2b_final(&state, hash, HASH_BYTES);
}

int state_file_encode(
	const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_length, struct error *err)
{
	size_t packed = protobuf_c_message_get_packed_size(message);
	size_t length = STATE_FILE_HEADER_BYTES + packed;
	uint8_t *bytes;

	if (packed > STATE_FILE_BYTES_MAX - STATE_FILE_HEADER_BYTES)
		return error_set(err, -EFBIG, ERROR_INTERNAL,
			"%zu bytes are too many for one state file", packed);
	bytes = malloc(length);
	if (!bytes)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	memcpy(bytes, STATE_FILE_MAGIC, STATE_FILE_MAGIC_BYTES);
	put_u32(bytes + STATE_FILE_MAGIC_BYTES, STATE_FILE_VERSION);
	put_u32(bytes + STATE_FILE_MAGIC_BYTES + 4, (uint32_t)packed);
	protobuf_c_message_pack(message, bytes + STATE_FILE_HEADER_BYTES);
	hash_of(message->descriptor, bytes, length, bytes + COVERED_BYTES);
	*ret_bytes = bytes;
	*ret_length = length;
	return 0;
}

static int damaged(const char *name, const char *how, struct error *err)
{
	return error_set(err, -EBADMSG, ERROR_INTERNAL, "the state file %s %s", name, how);
}

int state_file_decode(const uint8_t *bytes, size_t length, const ProtobufCMessageDescriptor *type,
	const char *name, void **ret_message, struct error *err)
{
	ProtobufCMessage *message;
	uint8_t hash[HASH_BYTES];

	if (length < STATE_FILE_HEADER_BYTES ||
		memcmp(bytes, STATE_FILE_MAGIC, STATE_FILE_MAGIC_BYTES) != 0)
		return damaged(name, "is none, or was cut", err);
	if (get_u32(bytes + STATE_FILE_MAGIC_BYTES) != STATE_FILE_VERSION)
		return damaged(name, "has a version that this berm does not know", err);
	if (length > STATE_FILE_BYTES_MAX ||
		get_u32(bytes + STATE_FILE_MAGIC_BYTES + 4) != length - STATE_FILE_HEADER_BYTES)
		return damaged(name, "has another length than it says", err);
	hash_of(type, bytes, length, hash);
	if (memcmp(hash, bytes + COVERED_BYTES, HASH_BYTES) != 0)
		return damaged(name, "is damaged: its checksum is another one", err);
	bytes += STATE_FILE_HEADER_BYTES;
	length -= STATE_FILE_HEADER_BYTES;
	message = protobuf_c_message_unpack(type, NULL, length, bytes);
	if (!message || !message_is_as_written(message, bytes, length)) {
		if (message)
			protobuf_c_message_free_unpacked(message, NULL);
		return damaged(name, "says something that this berm does not know", err);
	}
	*ret_message = message;
	return 0;
}

typedef int replace_fn(const struct storage *s, int dir, const char *name, unsigned mode,
	const void *data, size_t length);

static int write_with(replace_fn *replace, const struct state_place *place, const char *name,
	const ProtobufCMessage *message, struct error *err)
{
	autofree uint8_t *bytes = NULL;
	size_t length = 0;
	int r = state_file_encode(message, &bytes, &length, err);

	if (r < 0)
		return r;
	r = replace(place->storage, place->dir, name, FILE_MODE, bytes, length);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "cannot write the state file %s: %s", name,
			       strerror(-r))
		     : 0;
}

int state_file_write(const struct state_place *place, const char *name,
	const ProtobufCMessage *message, struct error *err)
{
	return write_with(storage_replace, place, name, message, err);
}

int state_file_write_alone(const struct state_place *place, const char *name,
	const ProtobufCMessage *message, struct error *err)
{
	return write_with(storage_replace_alone, place, name, message, err);
}

static int check_stat(const struct storage_stat *st, const char *name, struct error *err)
{
	if (st->uid != geteuid() || st->mode & 07177)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the state file %s belongs to somebody else, or others have a right to it",
			name);
	if (st->size > STATE_FILE_BYTES_MAX)
		return damaged(name, "is too large", err);
	return 0;
}

static int read_handle(const struct state_place *place, int file, const char *name,
	uint8_t **ret_bytes, size_t *ret_length, struct error *err)
{
	autofree uint8_t *bytes = NULL;
	struct storage_stat st;
	ssize_t n;
	int r = place->storage->ops->stat(place->storage->context, file, &st);

	if (r < 0)
		return storage_is_no_file(r) ? damaged(name, "is no file", err)
					     : error_set(err, r, ERROR_INTERNAL,
						       "cannot look at the state file %s: %s", name,
						       strerror(-r));
	r = check_stat(&st, name, err);
	if (r < 0)
		return r;
	bytes = malloc(st.size + 1);
	if (!bytes)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	n = place->storage->ops->read(place->storage->context, file, bytes, st.size + 1, 0);
	if (n < 0)
		return error_set(err, (int)n, ERROR_INTERNAL, "cannot read the state file %s: %s",
			name, strerror((int)-n));
	if ((uint64_t)n != st.size)
		return damaged(name, "was written to while it was read", err);
	*ret_bytes = take_ptr(&bytes);
	*ret_length = st.size;
	return 0;
}

int state_file_read(const struct state_place *place, const char *name,
	const ProtobufCMessageDescriptor *type, void **ret_message, struct error *err)
{
	const struct storage *s = place->storage;
	int file = s->ops->open(s->context, place->dir, name, O_RDONLY, 0), r;
	autofree uint8_t *bytes = NULL;
	size_t length = 0;

	if (file == -ENOENT)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "there is no state file %s", name);
	if (file < 0 && storage_is_no_file(file))
		return damaged(name, "is no file", err);
	if (file < 0)
		return error_set(err, file, ERROR_INTERNAL, "cannot open the state file %s: %s",
			name, strerror(-file));
	r = read_handle(place, file, name, &bytes, &length, err);
	s->ops->close(s->context, file);
	return r < 0 ? r : state_file_decode(bytes, length, type, name, ret_message, err);
}

int state_file_remove(const struct state_place *place, const char *name, struct error *err)
{
	const struct storage *s = place->storage;
	int r;

	failpoint("state.removing");
	r = s->ops->remove(s->context, place->dir, name);
	failpoint("state.removed");
	if (r == 0)
		r = s->ops->sync_dir(s->context, place->dir);
	if (r == 0)
		return 0;
	return error_set(err, r, r == -ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
		"cannot remove the state file %s: %s", name, strerror(-r));
}

struct listing {
	int (*each)(void *data, const char *name);
	void *data;
};

static int list_one(void *data, const char *name)
{
	const struct listing *listing = data;
	size_t length = strlen(name), end = strlen(UNFINISHED);

	if (length >= end && strcmp(name + length - end, UNFINISHED) == 0)
		return 0;
	return listing->each(listing->data, name);
}

int state_file_list(
	const struct state_place *place, int (*each)(void *data, const char *name), void *data)
{
	struct listing listing = {each, data};

	return place->storage->ops->list(place->storage->context, place->dir, list_one, &listing);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Others who wait must not look at the same moments. */
static void rest(unsigned step_ms)
{
	const struct timespec time = {
		.tv_nsec = (long)(randombytes_uniform(step_ms * 1000) + 200) * 1000};

	nanosleep(&time, NULL);
}

static int open_lock(int dir_fd, const char *name, struct error *err)
{
	autoclose int fd = openat(dir_fd, name,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, FILE_MODE);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open %s", name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s belongs to somebody else, or others may hold it", name);
	return take_fd(&fd);
}

/* What was locked may have lost its name to another file meanwhile. */
static bool is_named(int dir_fd, const char *name, int fd)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Whoever may start a run may stop its berm from the terminal, as often as it takes to meet the
 * moment in which it holds the lock of all: no signal but SIGSTOP and SIGKILL, which are for those
 * who own it, comes between. There are no threads. */
static sigset_t kept_mask;
static int kept_for = -1;

static void hold_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &kept_mask);
}

static void let_signals(void)
{
	sigprocmask(SIG_SETMASK, &kept_mask, NULL);
}

static int try_lock(int fd)
{
	bool held = kept_for >= 0;
	int r;

	if (!held)
		hold_signals();
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	if (r == 0 && !held)
		kept_for = fd;
	else if (!held)
		let_signals();
	return r;
}

static void give_back(int *fd)
{
	if (*fd >= 0)
		flock(*fd, LOCK_UN);
	if (*fd >= 0 && *fd == kept_for) {
		kept_for = -1;
		let_signals();
	}
	own_close(fd);
}

int state_lock_named(int dir_fd, const char *name, unsigned wait_ms, struct error *err)
{
	int r;
	uint64_t end = now_ms() + wait_ms;
	unsigned step = 1;
	autoclose int fd = open_lock(dir_fd, name, err);

	for (;;) {
		if (fd < 0)
			return fd;
		r = try_lock(fd);
		if (r == 0) {
			if (is_named(dir_fd, name, fd)) {
				failpoint("state.locked");
				return take_fd(&fd);
			}
			give_back(&fd);
			fd = open_lock(dir_fd, name, err);
			continue;
		}
		if (r != -EWOULDBLOCK && r != -EINTR)
			return error_set(err, r, ERROR_INTERNAL, "lock %s: %s", name, strerror(-r));
		if (now_ms() >= end)
			return error_set(err, -ETIMEDOUT, ERROR_INTERNAL,
				"another berm holds %s for more than %u ms", name, wait_ms);
		rest(step);
		step = step < STEP_MS_MAX ? step * 2 : STEP_MS_MAX;
	}
}

int state_lock(int state_fd, unsigned wait_ms, struct error *err)
{
	return state_lock_named(state_fd, STATE_LOCK, wait_ms, err);
}

void state_unlock(int *fd)
{
	if (*fd < 0)
		return;
	failpoint("state.unlocking");
	give_back(fd);
	failpoint("state.unlocked");
}
