/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-state.h"

#include "base/io.h"
#include "base/own.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER "kill.id"
#define HIDDEN ".kill.id"
#define NUMBER_BYTES 32
#define MACHINE_ID "/etc/machine-id"
#define MACHINE_BYTES_MAX 64
#define DOMAIN "berm kill state 1"

static int read_number(const char *state, uint8_t number[NUMBER_BYTES], struct error *err)
{
	autoclose int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd =
		dir < 0 ? -1 : openat(dir, NUMBER, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND,
			"no kill switch has served %s (\"berm killswitch serve\")", state);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s/" NUMBER, state);
	if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0) ||
		st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s/" NUMBER " is somebody else's, or others may write to it", state);
	if (read(fd, number, NUMBER_BYTES) != NUMBER_BYTES)
		return error_set(err, -EBADMSG, ERROR_REFUSED,
			"%s/" NUMBER " is damaged: remove it, and start the kill switch anew",
			state);
	return 0;
}

/* Whoever serves the directory holds the lock of the kill switch. */
static int make_number(const char *state, struct error *err)
{
	autoclose int dir = state_directory_open(state, err), fd = -1;
	uint8_t number[NUMBER_BYTES];
	int r;

	if (dir < 0)
		return dir;
	unlinkat(dir, HIDDEN, 0);
	fd = openat(dir, HIDDEN, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, "%s/" NUMBER, state);
	randombytes_buf(number, sizeof(number));
	r = io_write_all(fd, number, sizeof(number));
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "%s/" NUMBER ": %s", state, strerror(-r));
	if (fsync(fd) < 0 || renameat(dir, HIDDEN, dir, NUMBER) < 0 || fsync(dir) < 0)
		return error_errno(err, "%s/" NUMBER, state);
	return 0;
}

int kill_state_id(
	const char *state, bool make, uint8_t ret_id[KILL_ORDER_STATE_BYTES], struct error *err)
{
	uint8_t number[NUMBER_BYTES] = {0};
	autofree char *machine = NULL;
	struct error no_machine = {0};
	crypto_generichash_state hash;
	size_t length = 0;
	int r = read_number(state, number, err);

	if (r == -ENOENT && make) {
		r = make_number(state, err);
		if (r == 0)
			r = read_number(state, number, err);
	}
	if (r < 0)
		return r;
	/* A host without one is told apart by the number alone. */
	if (io_read_file(AT_FDCWD, MACHINE_ID, MACHINE_BYTES_MAX, &machine, &length, &no_machine) <
		0)
		length = 0;
	crypto_generichash_init(&hash, NULL, 0, KILL_ORDER_STATE_BYTES);
	crypto_generichash_update(&hash, (const uint8_t *)DOMAIN, sizeof(DOMAIN));
	crypto_generichash_update(&hash, number, sizeof(number));
	if (machine && length)
		crypto_generichash_update(&hash, (const uint8_t *)machine, length);
	crypto_generichash_final(&hash, ret_id, KILL_ORDER_STATE_BYTES);
	return 0;
}
