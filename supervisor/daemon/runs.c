/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/runs.h"

#include "base/path.h"
#include "daemon/runs-place.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define SUFFIX ".sock"
#define NAME_MAX_BYTES (RUN_ID_LENGTH + sizeof(SUFFIX))
#define BACKLOG 16
#define CONNECT_MS 2000
/* A name that was not put in place yet belongs to a berm that is about to, or was killed before. */
#define UNFINISHED_SECONDS 60

static const char id_letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* Open a directory of ours, made with mode where it is absent. Nobody else may write to it. */
static int open_own(int parent_fd, const char *path, mode_t mode, struct error *err)
{
	autoclose int fd = -1;
	struct stat st;

	fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && (mkdirat(parent_fd, path, mode) == 0 || errno == EEXIST))
		fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "the directory of runs: %s", path);
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the directory of runs: %s belongs to somebody else or others may write "
			"to it",
			path);
	/* The umask may have taken more than was asked for. */
	if ((st.st_mode & 0777) != mode && fchmod(fd, mode) < 0)
		return error_errno(err, "the directory of runs: %s", path);
	return take_fd(&fd);
}

static int open_place(
	const char *parent, mode_t parent_mode, const char *name, mode_t mode, struct error *err)
{
	autoclose int fd = open_own(AT_FDCWD, parent, parent_mode, err);

	return fd < 0 || !name ? take_fd(&fd) : open_own(fd, name, mode, err);
}

/* The runtime directory of berm, or the directory of that name in it. */
static int open_runtime(const char *name, struct error *err)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	autofree char *parent = NULL;
	int fd;

	/* Root of a user namespace is not the one whose directory that is. */
	if (geteuid() == 0) {
		fd = open_place(RUNS_ROOT_PARENT, 0755, name, 0711, err);
		if (fd >= 0)
			return fd;
	}
	if (geteuid() != 0 && own && path_is_normal(own)) {
		parent = path_join(own, RUNS_PARENT);
		fd = parent ? open_place(parent, 0700, name, 0700, err) : -ENOMEM;
		if (fd >= 0)
			return fd;
		own_free(&parent);
	}
	if (asprintf(&parent, RUNS_LEAST_PARENT "%u", (unsigned)geteuid()) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return open_place(parent, 0700, name, 0700, err);
}

int runs_runtime_directory(struct error *err)
{
	return open_runtime(NULL, err);
}

int runs_directory(struct error *err)
{
	return open_runtime("runs", err);
}

/* The address of a name in an open directory: short whatever the directory's path is. */
static struct sockaddr_un address_of(int directory_fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory_fd,
		name);
	return address;
}

/* Bind under a name that nobody looks for, and put it in place when it listens. */
static int bind_entry(struct run_socket *entry, uid_t owner, struct error *err)
{
	char hidden[NAME_MAX_BYTES + 2], name[NAME_MAX_BYTES + 1];
	struct sockaddr_un address;

	snprintf(name, sizeof(name), "%s" SUFFIX, entry->run_id);
	snprintf(hidden, sizeof(hidden), ".%s", name);
	address = address_of(entry->directory_fd, hidden);
	entry->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (entry->listen_fd < 0)
		return error_errno(err, "make the run's socket");
	if (bind(entry->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "bind the run's socket");
	if (fchmodat(entry->directory_fd, hidden, 0600, 0) < 0 ||
		(owner != geteuid() && fchownat(entry->directory_fd, hidden, owner, (gid_t)-1,
					       AT_SYMLINK_NOFOLLOW) < 0) ||
		listen(entry->listen_fd, BACKLOG) < 0 ||
		renameat(entry->directory_fd, hidden, entry->directory_fd, name) < 0) {
		error_errno(err, "put the run's socket in place");
		unlinkat(entry->directory_fd, hidden, 0);
		return err ? err->code : -EIO;
	}
	return 0;
}

int runs_enter(const char *run_id, uid_t owner, struct run_socket *ret_socket, struct error *err)
{
	struct run_socket entry = {.directory_fd = -1, .listen_fd = -1};
	int r;

	*ret_socket = entry;
	snprintf(entry.run_id, sizeof(entry.run_id), "%s", run_id);
	entry.directory_fd = runs_directory(err);
	if (entry.directory_fd < 0)
		return entry.directory_fd;
	r = bind_entry(&entry, owner, err);
	if (r < 0) {
		own_close(&entry.listen_fd);
		own_close(&entry.directory_fd);
		return r;
	}
	*ret_socket = entry;
	return 0;
}

void runs_leave(struct run_socket *socket)
{
	char name[NAME_MAX_BYTES + 1];

	if (socket->directory_fd >= 0 && socket->listen_fd >= 0) {
		snprintf(name, sizeof(name), "%s" SUFFIX, socket->run_id);
		unlinkat(socket->directory_fd, name, 0);
		runs_place_remove(socket->directory_fd, socket->run_id);
	}
	own_close(&socket->listen_fd);
	own_close(&socket->directory_fd);
}

static bool is_run_id(const char *words, size_t length)
{
	return length == RUN_ID_LENGTH && strspn(words, id_letters) >= length;
}

/* A berm that is stopped has a full queue some time: -EAGAIN after wait_ms. */
static int connect_to(int directory_fd, const char *run_id, unsigned wait_ms)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000000};
	char name[NAME_MAX_BYTES + 1];
	struct sockaddr_un address;
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int flags;

	snprintf(name, sizeof(name), "%s" SUFFIX, run_id);
	address = address_of(directory_fd, name);
	while (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN || wait_ms < 10)
			return -errno;
		wait_ms -= 10;
		nanosleep(&pause, NULL);
	}
	flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	return take_fd(&fd);
}

/* What a berm that was killed left behind. */
static void remove_unfinished(int directory_fd, const char *name)
{
	struct stat st;

	if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
		st.st_ctime + UNFINISHED_SECONDS < time(NULL))
		unlinkat(directory_fd, name, 0);
}

/* True where a berm listens there. What only a killed one can have left is removed. */
static bool is_alive(int directory_fd, const char *name, char ret_id[RUN_ID_LENGTH + 1])
{
	size_t length = strlen(name);
	autoclose int fd = -1;

	if (length != RUN_ID_LENGTH + strlen(SUFFIX) || !is_run_id(name, length - strlen(SUFFIX)) ||
		strcmp(name + RUN_ID_LENGTH, SUFFIX) != 0) {
		if (name[0] == '.' && length == RUN_ID_LENGTH + strlen(SUFFIX) + 1)
			remove_unfinished(directory_fd, name);
		return false;
	}
	snprintf(ret_id, RUN_ID_LENGTH + 1, "%.*s", RUN_ID_LENGTH, name);
	fd = connect_to(directory_fd, ret_id, 0);
	if (fd == -ECONNREFUSED)
		unlinkat(directory_fd, name, 0);
	return fd != -ECONNREFUSED && fd != -ENOENT;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

int runs_list(char (**ret_ids)[RUN_ID_LENGTH + 1], size_t *ret_count, struct error *err)
{
	char(*ids)[RUN_ID_LENGTH + 1] = calloc(RUNS_MAX, sizeof(*ids));
	struct dirent *entry;
	size_t count = 0;
	DIR *directory;
	int fd = ids ? runs_directory(err) : -ENOMEM;

	directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		own_close(&fd);
		free(ids);
		return fd == -ENOMEM ? error_set(err, fd, ERROR_INTERNAL, "out of memory") : fd;
	}
	while (count < RUNS_MAX && (entry = readdir(directory)))
		if (is_alive(dirfd(directory), entry->d_name, ids[count]))
			count++;
	closedir(directory);
	qsort(ids, count, sizeof(*ids), compare_ids);
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

static int connect_error(int r, const char *run_id, struct error *err)
{
	if (r == -ENOENT || r == -ECONNREFUSED)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "no run %s lasts here", run_id);
	if (r == -EAGAIN)
		return error_set(err, -ETIMEDOUT, ERROR_INTERNAL,
			"its berm does not answer; \"berm kill\" needs no answer");
	if (r == -EACCES || r == -EPERM)
		return error_set(err, r, ERROR_REFUSED, "run %s is somebody else's", run_id);
	return error_set(err, r, ERROR_INTERNAL, "cannot reach run %s: %s", run_id, strerror(-r));
}

/* The ids that begin so: how many, and the first. */
static int find_prefix(
	const char *words, char ret_id[RUN_ID_LENGTH + 1], size_t *ret_fits, struct error *err)
{
	char(*ids)[RUN_ID_LENGTH + 1] = NULL;
	size_t count = 0;
	int r = runs_list(&ids, &count, err);

	*ret_fits = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (strncmp(ids[i], words, strlen(words)) != 0)
			continue;
		if ((*ret_fits)++ == 0)
			memcpy(ret_id, ids[i], sizeof(ids[i]));
	}
	free(ids);
	return r;
}

static int connect_own(const char *run_id, unsigned wait_ms, struct error *err)
{
	autoclose int directory_fd = runs_directory(err);
	int fd;

	if (directory_fd < 0)
		return directory_fd;
	fd = connect_to(directory_fd, run_id, wait_ms);
	return fd < 0 ? connect_error(fd, run_id, err) : fd;
}

int runs_connect_listed(const char *run_id, struct error *err)
{
	return connect_own(run_id, 0, err);
}

/* Root's runs on behalf of others: their names cannot be listed by them, but be used. */
static int connect_of_root(const char *run_id, struct error *err)
{
	autoclose int directory_fd =
		open(RUNS_ROOT_PARENT "/runs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = directory_fd < 0 ? -ENOENT : connect_to(directory_fd, run_id, CONNECT_MS);

	return fd < 0 ? connect_error(fd, run_id, err) : fd;
}

int runs_connect(const char *words, char ret_id[RUN_ID_LENGTH + 1], struct error *err)
{
	char id[RUN_ID_LENGTH + 1] = "";
	size_t length = strlen(words), fits;
	int r;

	for (size_t i = 0; i < length && i < RUN_ID_LENGTH; i++)
		id[i] = (char)toupper((unsigned char)words[i]);
	if (length == 0 || length > RUN_ID_LENGTH || strspn(id, id_letters) < length)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a run is named by the beginning of its id, as \"berm ps\" shows it");
	r = find_prefix(id, ret_id, &fits, err);
	if (r < 0)
		return r;
	if (fits == 1)
		return connect_own(ret_id, CONNECT_MS, err);
	if (fits > 1)
		return error_set(err, -ENOTUNIQ, ERROR_NOT_FOUND,
			"%zu runs begin with %s; give more of the id", fits, id);
	if (!is_run_id(id, length))
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "no run begins with %s", id);
	memcpy(ret_id, id, sizeof(id));
	return connect_of_root(id, err);
}
