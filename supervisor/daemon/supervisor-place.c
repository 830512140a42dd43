/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-place.h"

#include "base/number.h"
#include "base/path.h"
#include "daemon/runs.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#define BACKLOG 128        /* more would only have a flood before everybody else */
#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define NAME_BYTES_MAX 64
#define LOCK_NAME_SIZE (NAME_BYTES_MAX + 8)
#define CONNECT_SECONDS 5
#define HANDED "BERM_SUPERVISOR_HANDED"
#define HANDED_FORMAT "%d %d %d %d" /* process, socket, lock of the state, of the socket or -1 */
#define HANDED_WORDS_MAX 64

/* ---- the one supervisor ---- */

/* A lock of this process (fcntl(2), F_SETLK): no child of it has it, so that it goes with the
 * process in one moment. */
static int hold_lock(int directory_fd, const char *name, struct error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	autoclose int fd = openat(directory_fd, name,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open %s", name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s belongs to somebody else, or others may hold it", name);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return take_fd(&fd);
	if (errno != EAGAIN && errno != EACCES)
		return error_errno(err, "lock %s", name);
	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	return error_set(err, -EEXIST, ERROR_REFUSED,
		"there is a supervisor already, process %d; it holds %s", (int)lock.l_pid, name);
}

/* ---- the socket ---- */

/* The address of a name in an open directory: short whatever the directory's path is. */
static struct sockaddr_un address_of(int directory_fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.*s", directory_fd,
		NAME_BYTES_MAX, name);
	return address;
}

static int split(const char *path, int *ret_directory_fd, char **ret_name, struct error *err)
{
	const char *name = path_last(path);
	autofree char *parent = path_is_normal(path) ? path_parent(path) : NULL;

	if (!parent || !name[0] || name[0] == '.' || strlen(name) > NAME_BYTES_MAX - 8)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a socket is named by its whole path, with at most %d letters behind the "
			"last \"/\": %s",
			NAME_BYTES_MAX - 8, path);
	*ret_name = strdup(name);
	*ret_directory_fd = open(parent, DIRECTORY);
	return *ret_name && *ret_directory_fd >= 0
		       ? 0
		       : error_set(err, -errno, ERROR_NOT_FOUND, "%s: %s", parent, strerror(errno));
}

/* Nobody else can put anything there, or could have. */
static int check_directory(int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "the directory of the socket");
	if ((st.st_uid != geteuid() && st.st_uid != 0) || st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the directory of the socket belongs to somebody else, or others may write "
			"to it");
	return 0;
}

/* What a supervisor before this one left, and nothing else, is replaced. */
static int check_name(const struct supervisor_place *place, struct error *err)
{
	struct stat st;

	if (fstatat(place->directory_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "look at %s", place->name);
	if (S_ISSOCK(st.st_mode) && st.st_uid == geteuid())
		return 0;
	return error_set(err, -EEXIST, ERROR_REFUSED,
		"%s is there and is no socket of a supervisor", place->name);
}

/* Bound under a name that nobody looks for, and put in place when it listens: who finds the name
 * finds a supervisor. */
static int bind_socket(struct supervisor_place *place, struct error *err)
{
	char hidden[NAME_BYTES_MAX + 8];
	struct sockaddr_un address;

	snprintf(hidden, sizeof(hidden), ".%s", place->name);
	address = address_of(place->directory_fd, hidden);
	place->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (place->listen_fd < 0)
		return error_errno(err, "make the supervisor's socket");
	unlinkat(place->directory_fd, hidden, 0);
	if (bind(place->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		fchmodat(place->directory_fd, hidden, geteuid() == 0 ? 0666 : 0600, 0) < 0 ||
		listen(place->listen_fd, BACKLOG) < 0 ||
		renameat(place->directory_fd, hidden, place->directory_fd, place->name) < 0) {
		error_errno(err, "put the supervisor's socket in place");
		unlinkat(place->directory_fd, hidden, 0);
		return err ? err->code : -EIO;
	}
	return 0;
}

/* The directory of the socket, its name, and that of its lock. */
static int find_directory(const char *path, struct supervisor_place *place,
	char lock[LOCK_NAME_SIZE], struct error *err)
{
	int r;

	snprintf(lock, LOCK_NAME_SIZE, SUPERVISOR_LOCK);
	if (path) {
		r = split(path, &place->directory_fd, &place->name, err);
		snprintf(lock, LOCK_NAME_SIZE, "%s.lock", r == 0 ? place->name : "");
	} else {
		place->name = strdup(SUPERVISOR_SOCKET);
		place->directory_fd = runs_runtime_directory(err);
		r = place->directory_fd < 0 ? place->directory_fd : 0;
	}
	if (r < 0 || !place->name)
		return r < 0 ? r : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return check_directory(place->directory_fd, err);
}

static int make_socket(const char *path, struct supervisor_place *place, struct error *err)
{
	char lock[LOCK_NAME_SIZE];
	int r = find_directory(path, place, lock, err);

	/* For the analyzer, which does not know that there is a name then. */
	if (r < 0 || !place->name)
		return r;
	place->socket_lock_fd = r = hold_lock(place->directory_fd, lock, err);
	if (r >= 0)
		r = check_name(place, err);
	return r < 0 ? r : bind_socket(place, err);
}

static int socket_option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

static bool is_listening(int fd)
{
	return socket_option(fd, SO_DOMAIN) == AF_UNIX &&
	       socket_option(fd, SO_TYPE) == SOCK_SEQPACKET &&
	       socket_option(fd, SO_ACCEPTCONN) == 1;
}

static int mark_inherited(const struct supervisor_place *place, bool inherited)
{
	const int fds[] = {place->listen_fd, place->state_lock_fd, place->socket_lock_fd};

	for (size_t i = 0; i < array_size(fds); i++)
		if (fds[i] >= 0 && fcntl(fds[i], F_SETFD, inherited ? 0 : FD_CLOEXEC) < 0)
			return -errno;
	return 0;
}

/* A lock that this process holds since it was another program. Its file must not be opened again:
 * the first descriptor of it that is closed takes the lock away (fcntl(2)). */
static int take_lock_again(int directory_fd, const char *name, int fd, struct error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat held, named;

	if (fstat(fd, &held) < 0 || fstatat(directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, "look at %s", name);
	if (held.st_dev != named.st_dev || held.st_ino != named.st_ino ||
		fcntl(fd, F_SETLK, &lock) < 0)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s is not what this process held before", name);
	return 0;
}

/* 1: this process has all of it; 0: nothing was handed over. */
static int take_handed(
	int state_fd, const char *path, struct supervisor_place *place, struct error *err)
{
	const char *words = getenv(HANDED);
	char lock[LOCK_NAME_SIZE];
	int pid, r;

	if (!words ||
		sscanf(words, HANDED_FORMAT, &pid, &place->listen_fd, &place->state_lock_fd,
			&place->socket_lock_fd) != 4 ||
		pid != getpid()) {
		place->listen_fd = place->state_lock_fd = place->socket_lock_fd = -1;
		return 0;
	}
	unsetenv(HANDED);
	place->passed = place->socket_lock_fd < 0;
	if (!is_listening(place->listen_fd) || mark_inherited(place, false) < 0)
		return error_set(err, -EINVAL, ERROR_INTERNAL,
			"the socket of the supervisor before this one was lost");
	r = take_lock_again(state_fd, SUPERVISOR_LOCK, place->state_lock_fd, err);
	if (r == 0 && !place->passed) {
		r = find_directory(path, place, lock, err);
		if (r == 0)
			r = take_lock_again(place->directory_fd, lock, place->socket_lock_fd, err);
	}
	return r < 0 ? r : 1;
}

/* 1: systemd passed the socket, and it is taken; 0: it did not. */
static int take_passed(struct supervisor_place *place, struct error *err)
{
	const char *pid_words = getenv("LISTEN_PID"), *count_words = getenv("LISTEN_FDS");
	int fd = LISTEN_FDS_START, flags;
	uint64_t pid, count;

	if (!pid_words || !count_words || !number_parse_u64(pid_words, &pid) ||
		!number_parse_u64(count_words, &count) || pid != (uint64_t)getpid())
		return 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (count != 1 || !is_listening(fd))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"what was passed by LISTEN_FDS is not one unix socket that listens for "
			"sequenced packets");
	flags = fcntl(fd, F_GETFL);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || flags < 0 ||
		fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_errno(err, "the socket that was passed");
	place->listen_fd = fd;
	place->passed = true;
	return 1;
}

int supervisor_place_take(
	const char *state, const char *path, struct supervisor_place *ret_place, struct error *err)
{
	struct supervisor_place place = SUPERVISOR_PLACE_NONE;
	autoclose int state_fd = state_directory_open(state, err);
	int r = state_fd < 0 ? state_fd : take_handed(state_fd, path, &place, err);

	if (r == 0) {
		r = hold_lock(state_fd, SUPERVISOR_LOCK, err);
		place.state_lock_fd = r;
		if (r >= 0)
			r = take_passed(&place, err);
	}
	if (r == 0)
		r = make_socket(path, &place, err);
	if (r < 0) {
		/* Its name is another one's. */
		own_close(&place.directory_fd);
		supervisor_place_leave(&place);
		return r;
	}
	*ret_place = place;
	return 0;
}

void supervisor_place_leave(struct supervisor_place *place)
{
	if (place->directory_fd >= 0 && place->name)
		unlinkat(place->directory_fd, place->name, 0);
	own_close(&place->directory_fd);
	own_free(&place->name);
}

/* ---- from one program of this process to the next ---- */

int supervisor_place_hand_over(const struct supervisor_place *place)
{
	char words[HANDED_WORDS_MAX];

	snprintf(words, sizeof(words), HANDED_FORMAT, (int)getpid(), place->listen_fd,
		place->state_lock_fd, place->socket_lock_fd);
	if (setenv(HANDED, words, 1) < 0)
		return -errno;
	return mark_inherited(place, true);
}

void supervisor_place_keep(const struct supervisor_place *place)
{
	unsetenv(HANDED);
	mark_inherited(place, false);
}

void supervisor_notify(const char *words)
{
	const char *where = getenv("NOTIFY_SOCKET");
	size_t length = where ? strlen(where) : 0;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = -1;

	if (length < 2 || length >= sizeof(address.sun_path) ||
		(where[0] != '/' && where[0] != '@'))
		return;
	memcpy(address.sun_path, where, length);
	if (where[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)!sendto(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT,
			(const struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

int supervisor_connect(const char *path, struct error *err)
{
	autoclose int directory_fd = -1, fd = -1;
	autofree char *name = NULL;
	const struct timeval patience = {.tv_sec = CONNECT_SECONDS};
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	struct sockaddr_un address;
	int r;

	if (path) {
		r = split(path, &directory_fd, &name, err);
	} else {
		name = strdup(SUPERVISOR_SOCKET);
		directory_fd = r = runs_runtime_directory(err);
	}
	if (r < 0 || !name)
		return r < 0 ? r : error_errno(err, "the supervisor's socket");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	address = address_of(directory_fd, name);
	/* Without it connect(2) waits for a place in the queue of one that is stopped. */
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, "the supervisor's socket");
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, -errno, ERROR_UNSUPPORTED, "no supervisor answers at %s: %s",
			path ? path : name, strerror(errno));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return error_errno(err, "who listens at %s", name);
	if (peer.uid != 0 && peer.uid != geteuid())
		return error_set(err, -EPERM, ERROR_REFUSED,
			"whoever listens at %s is neither root nor you", path ? path : name);
	return take_fd(&fd);
}
