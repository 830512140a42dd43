/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/runs-place.h"

#include "base/io.h"
#include "base/number.h"
#include "wire/effects.h"
#include "wire/strict.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACE ".place"
#define KILLED ".killed"
#define POSTURE ".posture"
#define POSTURE_BYTES 2 /* and the phase */
#define NAME_BYTES (RUN_ID_LENGTH + 16)
#define PLACE_BYTES_MAX 4096
#define PLACE_REPEATED_MAX 16
/* Where other users' berms have their directories; NULL: between these the uid stands. */
#define USER_RUNTIME "/run/user"
#define USER_FALLBACK "/tmp"

static void name_of(char *name, const char *run_id, const char *suffix)
{
	snprintf(name, NAME_BYTES, "%s%s", run_id, suffix);
}

/* Nobody reads half of it. */
static int put_in_place(
	int directory_fd, const char *name, const uint8_t *bytes, size_t length, struct error *err)
{
	char hidden[NAME_BYTES + 1];
	autoclose int fd = -1;
	int r;

	snprintf(hidden, sizeof(hidden), ".%s", name);
	unlinkat(directory_fd, hidden, 0);
	fd = openat(
		directory_fd, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, "the run's place, by which \"berm kill\" finds it");
	r = io_write_all(fd, bytes, length);
	if (r == 0 && renameat(directory_fd, hidden, directory_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(directory_fd, hidden, 0);
		return error_set(err, r, ERROR_INTERNAL, "the run's place: %s", strerror(-r));
	}
	return 0;
}

struct run_state run_state_of(const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return (struct run_state){0};
	return (struct run_state){st.st_dev, st.st_ino};
}

void runs_place_posture(const struct run_socket *socket, unsigned posture, unsigned phase)
{
	const uint8_t bytes[POSTURE_BYTES] = {(uint8_t)posture, (uint8_t)phase};
	char name[NAME_BYTES];
	autoclose int fd = -1;

	name_of(name, socket->run_id, POSTURE);
	fd = openat(socket->directory_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)!pwrite(fd, bytes, sizeof(bytes), 0);
}

int runs_place_write(const struct run_socket *socket, pid_t init_pid, int cgroup_fd,
	const struct run_owner *owner, struct error *err)
{
	char name[NAME_BYTES], id[RUN_ID_LENGTH + 1];
	uint8_t bytes[PLACE_BYTES_MAX];
	Berm__Wire__RunPlace place;
	int r = outside_describe(init_pid, cgroup_fd, &place, err);

	if (r < 0)
		return r;
	snprintf(id, sizeof(id), "%s", socket->run_id);
	place.run = id;
	place.uid = owner->uid;
	place.state_device = owner->state.device;
	place.state_inode = owner->state.inode;
	place.agent = (char *)(uintptr_t)(owner->agent ? owner->agent : "");
	place.group = (char *)(uintptr_t)(owner->group ? owner->group : "");
	place.supervised = owner->supervised;
	place.staged = owner->staged;
	name_of(name, socket->run_id, PLACE);
	if (berm__wire__run_place__get_packed_size(&place) > sizeof(bytes))
		r = error_set(err, -E2BIG, ERROR_INTERNAL, "the run's place: too long a path");
	else
		r = put_in_place(socket->directory_fd, name, bytes,
			berm__wire__run_place__pack(&place, bytes), err);
	outside_place_finish(&place);
	return r;
}

void runs_place_remove(int directory_fd, const char *run_id)
{
	char name[NAME_BYTES];

	name_of(name, run_id, PLACE);
	unlinkat(directory_fd, name, 0);
	name_of(name, run_id, KILLED);
	unlinkat(directory_fd, name, 0);
	name_of(name, run_id, POSTURE);
	unlinkat(directory_fd, name, 0);
}

void runs_say_killed(int directory_fd, const char *run_id, const char *words)
{
	char name[NAME_BYTES];
	autoclose int fd = -1;

	name_of(name, run_id, KILLED);
	fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0)
		(void)!io_write_all(fd, words, strnlen(words, RUNS_WORDS_MAX - 1));
}

bool runs_was_killed(const struct run_socket *socket, char ret_words[RUNS_WORDS_MAX])
{
	char name[NAME_BYTES];
	autoclose int fd = -1;
	struct stat st;
	ssize_t n;

	ret_words[0] = '\0';
	if (socket->directory_fd < 0)
		return false;
	name_of(name, socket->run_id, KILLED);
	fd = openat(socket->directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	n = read(fd, ret_words, RUNS_WORDS_MAX - 1);
	ret_words[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* ---- finding ---- */

struct search {
	const char *prefix;
	int (*each)(void *context, struct run_found *found);
	void *context;
	bool foreign; /* the directory is another user's */
	bool more;    /* than was looked at */
	unsigned directories, names, found;
};

/* The id in the name of a place. */
static bool read_name(const char *name, const char *prefix, char ret_id[RUN_ID_LENGTH + 1])
{
	if (strlen(name) != RUN_ID_LENGTH + strlen(PLACE) ||
		strcmp(name + RUN_ID_LENGTH, PLACE) != 0)
		return false;
	memcpy(ret_id, name, RUN_ID_LENGTH);
	ret_id[RUN_ID_LENGTH] = '\0';
	return run_id_is_valid(ret_id) && strncmp(ret_id, prefix, strlen(prefix)) == 0;
}

/* -ENOENT where there is nothing that could be one; else why it cannot be read. */
static int read_place(int directory_fd, const char *name, Berm__Wire__RunPlace **ret_place)
{
	uint8_t bytes[PLACE_BYTES_MAX];
	autoclose int fd =
		openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	n = read(fd, bytes, sizeof(bytes));
	if (n < 0)
		return -errno;
	/* Of another berm, maybe a later one, and maybe of another user. */
	*ret_place = message_read(&berm__wire__run_place__descriptor, bytes, (size_t)n,
		(struct message_bounds){.repeated = PLACE_REPEATED_MAX, .may_grow = true});
	return *ret_place ? 0 : -EBADMSG;
}

/* Not in the place: whoever looks for runs while names are exchanged could miss one. */
static void read_posture(struct run_found *found)
{
	char name[NAME_BYTES];
	uint8_t bytes[POSTURE_BYTES] = {0};
	autoclose int fd = -1;
	struct stat st;

	name_of(name, found->run_id, POSTURE);
	fd = openat(found->directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		read(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
		return;
	found->posture = bytes[0] & POSTURE_ALL;
	found->phase = bytes[1] < PHASE_COUNT ? bytes[1] : PHASE_EMERGENCY;
}

/* Another user may say what they like about their own processes, and about nobody else's: a cgroup
 * may hold others too. */
static bool is_of(const struct outside *run, uid_t uid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)run->init_pid);
	return stat(path, &st) == 0 && st.st_uid == uid && !outside_wait(run, 0);
}

/* As long as there is a socket its berm still wants to know who killed the run; the socket of one
 * that was killed goes when runs are listed. */
static void remove_left(int directory_fd, const char *run_id)
{
	char name[NAME_BYTES];

	name_of(name, run_id, ".sock");
	if (faccessat(directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		runs_place_remove(directory_fd, run_id);
}

/* Take hold of what the place says. 0, or -errno with found->error. */
static int open_place(
	const struct search *search, const char *name, uid_t owner, struct run_found *found)
{
	Berm__Wire__RunPlace *place = NULL;
	int r = read_place(found->directory_fd, name, &place);

	if (r < 0 || !place)
		return error_set(&found->error, r, ERROR_INTERNAL, "%s: %s", name, strerror(-r));
	found->uid = search->foreign ? owner : place->uid;
	found->state = (struct run_state){place->state_device, place->state_inode};
	snprintf(found->agent, sizeof(found->agent), "%s", place->agent);
	snprintf(found->group, sizeof(found->group), "%s", place->group);
	found->supervised = place->supervised;
	read_posture(found);
	found->staged = place->staged;
	/* A cgroup may hold others too, and the way there is one that the user chose. */
	if (search->foreign && place->cgroup[0])
		place->cgroup[0] = '\0';
	r = outside_open(place, &found->outside, &found->error);
	berm__wire__run_place__free_unpacked(place, NULL);
	if (r == 0 && search->foreign && !is_of(&found->outside, owner)) {
		outside_close(&found->outside);
		r = -ESRCH;
	}
	return r;
}

/* What another user wrote wrong is theirs to mind; that there were no descriptors is ours. */
static bool is_to_tell(const struct search *search, int r)
{
	return !search->foreign || r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

static int look_at(struct search *search, int directory_fd, uid_t owner, const char *name)
{
	struct run_found found = {.uid = owner,
		.directory_fd = directory_fd,
		.directory = search->directories,
		.outside = OUTSIDE_NONE};
	int r;

	if (!read_name(name, search->prefix, found.run_id))
		return 0;
	r = open_place(search, name, owner, &found);
	if (r == -ESRCH && !search->foreign)
		remove_left(directory_fd, found.run_id);
	if (r == -ESRCH || r == -ENOENT || (r < 0 && !is_to_tell(search, r)))
		return 0;
	if (search->foreign && search->found++ == RUNS_FOREIGN_MAX) {
		search->more = true;
		outside_close(&found.outside);
		return 0;
	}
	r = search->each(search->context, &found);
	outside_close(&found.outside);
	return r;
}

/* Takes the descriptor. */
static int look_through(struct search *search, int directory_fd)
{
	DIR *directory = fdopendir(directory_fd);
	struct dirent *entry;
	struct stat st;
	int r = 0;

	if (!directory) {
		own_close(&directory_fd);
		return 0;
	}
	search->names = search->found = 0;
	if (fstat(dirfd(directory), &st) == 0)
		while (r == 0 && (entry = readdir(directory))) {
			if (search->foreign && search->names++ == RUNS_FOREIGN_NAMES_MAX) {
				search->more = true;
				break;
			}
			r = look_at(search, dirfd(directory), st.st_uid, entry->d_name);
		}
	search->directories++;
	closedir(directory);
	return r;
}

/* A directory of runs of another user, with everything on the way to it theirs and on one file
 * system: what they mounted there could keep who looks for ever. */
static int open_foreign(int parent_fd, const char *const *names, uid_t uid)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	autoclose int fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	struct stat st;

	for (size_t i = 0; fd >= 0 && names[i]; i++) {
		int next = (int)syscall(SYS_openat2, fd, names[i], &how, sizeof(how));

		own_close(&fd);
		fd = next;
		if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != uid || st.st_mode & 022))
			own_close(&fd);
		/* /run/user/UID is a mount of the host's. */
		how.resolve |= RESOLVE_NO_XDEV;
	}
	return take_fd(&fd);
}

static int look_at_users(
	struct search *search, const char *parent, const char *prefix, const char *const *beneath)
{
	autoclose int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int listed = parent_fd < 0 ? -1 : fcntl(parent_fd, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR *directory = listed < 0 ? NULL : fdopendir(listed);
	struct dirent *entry;

	if (!directory) {
		own_close(&listed);
		return 0;
	}
	search->foreign = true;
	while (r == 0 && (entry = readdir(directory))) {
		const char *const names[] = {entry->d_name, beneath[0], beneath[1], NULL};
		uint64_t uid;
		int fd;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
			!number_parse_u64(entry->d_name + strlen(prefix), &uid) || uid == 0 ||
			uid > UINT32_MAX)
			continue;
		fd = open_foreign(parent_fd, names, (uid_t)uid);
		if (fd >= 0)
			r = look_through(search, fd);
	}
	closedir(directory);
	return r;
}

/* Where this user's runs may be besides runs_directory(), which depends on the environment. */
static int open_elsewhere(unsigned place)
{
	char path[64];
	struct stat st;
	autoclose int fd = -1;

	if (place == 0)
		snprintf(path, sizeof(path), RUNS_LEAST_PARENT "%u", (unsigned)geteuid());
	else
		snprintf(path, sizeof(path), USER_RUNTIME "/%u/" RUNS_PARENT, (unsigned)geteuid());
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 022)
		return -1;
	return openat(fd, "runs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

#define ELSEWHERE 2

/* Each directory of this user's runs once; -1 where there is none at that number. */
static void open_own_directories(int fds[1 + ELSEWHERE], struct error *err)
{
	struct stat seen[1 + ELSEWHERE];

	for (unsigned i = 0; i <= ELSEWHERE; i++) {
		fds[i] = i == 0 ? runs_directory(err) : open_elsewhere(i - 1);
		if (fds[i] < 0 || fstat(fds[i], &seen[i]) < 0) {
			own_close(&fds[i]);
			seen[i] = (struct stat){0};
		}
		for (unsigned before = 0; before < i && fds[i] >= 0; before++)
			if (seen[before].st_dev == seen[i].st_dev &&
				seen[before].st_ino == seen[i].st_ino)
				own_close(&fds[i]);
	}
}

static int find_own(struct search *search, bool anywhere, struct error *err)
{
	int fds[1 + ELSEWHERE], r = 0;

	if (!anywhere) {
		fds[0] = runs_directory(err);
		return fds[0] < 0 ? fds[0] : look_through(search, fds[0]);
	}
	open_own_directories(fds, err);
	for (unsigned i = 0; i <= ELSEWHERE; i++) {
		if (fds[i] < 0)
			continue;
		if (r == 0)
			r = look_through(search, take_fd(&fds[i]));
		own_close(&fds[i]);
	}
	return r;
}

enum run_sign runs_sign_of(const char *run_id)
{
	const struct search search = {.prefix = run_id};
	enum run_sign sign = RUN_SIGN_NONE;
	char name[NAME_BYTES];
	int fds[1 + ELSEWHERE];
	struct error err = {0};

	name_of(name, run_id, PLACE);
	open_own_directories(fds, &err);
	for (unsigned i = 0; i <= ELSEWHERE; i++) {
		struct run_found found = {.directory_fd = fds[i], .outside = OUTSIDE_NONE};
		int r = fds[i] < 0 ? -ENOENT : open_place(&search, name, geteuid(), &found);

		outside_close(&found.outside);
		own_close(&fds[i]);
		if (r == -ESRCH)
			sign = RUN_SIGN_ENDED;
		else if (r != -ENOENT)
			sign = RUN_SIGN_LASTS;
	}
	return sign;
}

unsigned runs_without_place(const char *prefix)
{
	struct error err = {0};
	autoclose int fd = runs_directory(&err);
	char(*ids)[RUN_ID_LENGTH + 1] = NULL;
	size_t count = 0;
	unsigned without = 0;

	if (fd < 0 || runs_list(&ids, &count, &err) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		char name[NAME_BYTES];

		name_of(name, ids[i], PLACE);
		without += strncmp(ids[i], prefix, strlen(prefix)) == 0 &&
			   faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
	}
	free(ids);
	return without;
}

static int find_others(struct search *search)
{
	static const char *const runtime[] = {"berm", "runs"}, *const fallback[] = {"runs", NULL};
	int r;

	if (geteuid() != 0)
		return 0;
	r = look_at_users(search, USER_RUNTIME, "", runtime);
	return r != 0 ? r : look_at_users(search, USER_FALLBACK, "berm-", fallback);
}

int runs_find(const char *prefix, enum runs_whose whose,
	int (*each)(void *context, struct run_found *found), void *context, bool *ret_more,
	struct error *err)
{
	struct search search = {.prefix = prefix, .each = each, .context = context};
	int r = whose == RUNS_OTHERS ? find_others(&search)
				     : find_own(&search, whose == RUNS_OWN_ANYWHERE, err);

	*ret_more |= search.more;
	return r;
}
