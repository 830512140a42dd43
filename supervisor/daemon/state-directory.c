/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/state-directory.h"

#include "base/path.h"
#include "daemon/run-id.h"
#include "daemon/state-file.h"
#include "record/format.h"
#include "record/keys.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STATE_MODE 0711
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* The way to a directory, as far as it is absent; only for the owner, as the XDG base directory
 * specification has it. */
static int make_way(const char *path, struct error *err)
{
	autofree char *parent = path_parent(path);
	int r;

	if (!parent || strcmp(parent, "/") == 0 || mkdir(parent, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return error_errno(err, "make %s", parent);
	r = make_way(parent, err);
	if (r == 0 && mkdir(parent, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "make %s", parent);
	return r;
}

static bool is_evidence(const char *name)
{
	char id[RUN_ID_LENGTH + 1];

	snprintf(id, sizeof(id), "%.*s", RUN_ID_LENGTH, name);
	return run_id_is_valid(id) && (name[RUN_ID_LENGTH] == '.' || name[RUN_ID_LENGTH] == '-');
}

static bool is_state_file(int dir_fd, const char *name)
{
	autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char magic[STATE_FILE_MAGIC_BYTES];

	return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, STATE_FILE_MAGIC, sizeof(magic)) == 0;
}

/* Files that nobody else makes are in it, and nothing that berm never makes. */
static bool holds_ours(int dir_fd)
{
	int copy = openat(dir_fd, ".", DIRECTORY);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	bool ours = false, foreign = !dir;
	const struct dirent *entry;

	if (!dir)
		own_close(&copy);
	while (!foreign && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		struct stat st;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		foreign = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			  !S_ISREG(st.st_mode) || st.st_uid != geteuid();
		ours |= !foreign && (segment_number(name) || strcmp(name, KEYS_FILE) == 0 ||
					    is_evidence(name) || is_state_file(dir_fd, name));
	}
	if (dir)
		closedir(dir);
	return ours && !foreign;
}

static int check_own(int fd, const char *path, mode_t mode, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "look at %s", path);
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s belongs to somebody else, or others may write to it", path);
	/* What is there may be narrower, never wider. */
	if (!(st.st_mode & 0777 & ~mode))
		return 0;
	if (!holds_ours(fd))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s of the state directory was there before, is open to more (%04o) than "
			"berm's own is (%04o), and nothing says that it is berm's",
			path, (unsigned)st.st_mode & 0777, (unsigned)mode);
	return fchmod(fd, st.st_mode & mode) < 0 ? error_errno(err, "set the mode of %s", path) : 0;
}

int state_directory_within(int state_fd, const char *name, mode_t mode, struct error *err)
{
	autoclose int fd = -1;
	int r;

	if (mkdirat(state_fd, name, mode) < 0) {
		if (errno != EEXIST)
			return error_errno(err, "make the directory %s", name);
	} else if (fsync(state_fd) < 0) {
		/* What is kept in it would be lost with its name. */
		return error_errno(err, "have the directory %s on the disk", name);
	}
	fd = openat(state_fd, name, DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(err, "open the directory %s", name);
	r = check_own(fd, name, mode, err);
	return r < 0 ? r : take_fd(&fd);
}

int state_directory_open(const char *state, struct error *err)
{
	autoclose int fd = -1;
	int r;

	if (!path_is_normal(state))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"the state directory must be named by a whole path: %s", state);
	fd = open(state, DIRECTORY);
	if (fd < 0 && errno == ENOENT) {
		r = make_way(state, err);
		if (r < 0)
			return r;
		if (mkdir(state, STATE_MODE) < 0 && errno != EEXIST)
			return error_errno(err, "make %s", state);
		fd = open(state, DIRECTORY);
	}
	if (fd < 0)
		return error_errno(err, "open %s", state);
	r = check_own(fd, state, 0777, err);
	return r < 0 ? r : take_fd(&fd);
}
