/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/path.h"
#include "daemon/state-directory.h"

#include <linux/openat2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>

#define VERSION 1
#define NS 1000000000LL
#define TICK_TRIES 200
#define TICK_NS 1000000L
#define LOCK_TRIES 200
#define LOCK_WAIT_NS 50000000L

int changes_place(const char *state_dir, bool create, int *ret_fd, struct error *err)
{
	autoclose int state = create ? state_directory_open(state_dir, err)
				     : open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -1;
	struct stat st;

	if (state < 0)
		return create ? state : error_errno(err, "open %s", state_dir);
	if (create && mkdirat(state, CHANGES_DIRECTORY, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "make %s/%s", state_dir, CHANGES_DIRECTORY);
	fd = openat(state, CHANGES_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "open %s/%s", state_dir, CHANGES_DIRECTORY);
	if (fstat(fd, &st) < 0)
		return error_errno(err, "look at %s/%s", state_dir, CHANGES_DIRECTORY);
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s/%s belongs to somebody else, or is open to others", state_dir,
			CHANGES_DIRECTORY);
	*ret_fd = take_fd(&fd);
	return 0;
}

void change_set_finish(struct change_set *set)
{
	set->head = changes_message_free(set->head);
	set->manifest = changes_message_free(set->manifest);
	own_close(&set->work_fd);
	own_close(&set->fd);
	own_close(&set->parent_fd);
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS + ts.tv_nsec;
}

/* Times of files come from the coarse clock, which stands still between two ticks of the kernel
 * (clock_gettime(2)). The time that is kept lies between what was before and what comes. */
static int64_t next_tick(void)
{
	int64_t started = now_ns(CLOCK_REALTIME);

	for (int i = 0; i < TICK_TRIES && now_ns(CLOCK_REALTIME_COARSE) <= started; i++)
		nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
	return started;
}

static int copy_head(
	const Berm__Wire__ChangeHead *head, Berm__Wire__ChangeHead **ret, struct error *err)
{
	size_t length = berm__wire__change_head__get_packed_size(head);
	autofree uint8_t *packed = malloc(length + 1);

	if (packed) {
		berm__wire__change_head__pack(head, packed);
		*ret = berm__wire__change_head__unpack(NULL, length, packed);
	}
	return *ret ? 0 : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

/* The overlay shows the attributes of its upper directory as those of the workspace. */
static int make_layers(struct change_set *set, uid_t uid, gid_t gid, struct error *err)
{
	static const char *const names[] = {CHANGES_LAYERS, CHANGES_UPPER, CHANGES_WORK};
	struct stat st;

	if (fstat(set->work_fd, &st) < 0)
		return error_errno(err, "look at the workspace");
	for (size_t i = 0; i < array_size(names); i++) {
		autoclose int fd = -1;

		if (mkdirat(set->fd, names[i], 0700) < 0)
			return error_errno(err, "make the change set's %s", names[i]);
		fd = openat(set->fd, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || (geteuid() == 0 && fchown(fd, uid, gid) < 0) ||
			fchmod(fd, i == 1 ? st.st_mode & 01777 : 0700) < 0)
			return error_errno(err, "make the change set's %s", names[i]);
	}
	return 0;
}

/* What says after the next boot, too, that it is the same one: no device has its number for good,
 * and the first directories of all file systems of a kind have the same inode. 0 where the file
 * system does not tell. */
static int64_t born_ns(int fd)
{
	struct statx st = {0};

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) < 0 || !(st.stx_mask & STATX_BTIME))
		return 0;
	return st.stx_btime.tv_sec * NS + st.stx_btime.tv_nsec;
}

/* By the descriptor: whoever owns the directory above could put another one there meanwhile. */
static int describe_workspace(struct change_set *set, struct error *err)
{
	struct stat st;

	if (fstat(set->work_fd, &st) < 0)
		return error_errno(err, "look at the workspace");
	set->head->owner_uid = st.st_uid;
	set->head->owner_gid = st.st_gid;
	set->head->born_ns = born_ns(set->work_fd);
	return 0;
}

static int fill(struct change_set *set, const Berm__Wire__ChangeHead *head, uid_t uid, gid_t gid,
	struct error *err)
{
	int r = copy_head(head, &set->head, err);

	if (r == 0)
		r = changes_open_workspace(set, err);
	if (r == 0)
		r = make_layers(set, uid, gid, err);
	if (r == 0)
		r = describe_workspace(set, err);
	if (r < 0)
		return r;
	set->head->version = VERSION;
	set->head->started_ns = next_tick();
	return changes_file_write(
		set->disk, set->fd, CHANGES_HEAD, CHANGES_HEAD, &set->head->base, err);
}

int changes_begin(int place_fd, const Berm__Wire__ChangeHead *head, uid_t upper_uid,
	gid_t upper_gid, struct change_set *ret_set, struct error *err)
{
	struct change_set set = CHANGE_SET_INIT;
	int r;

	set.disk = ret_set->disk;
	snprintf(set.run, sizeof(set.run), "%s", head->run);
	set.parent_fd = fcntl(place_fd, F_DUPFD_CLOEXEC, 3);
	if (set.parent_fd < 0 || mkdirat(place_fd, set.run, 0700) < 0)
		return error_errno(err, "make a change set");
	set.fd = openat(place_fd, set.run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (set.fd < 0 || flock(set.fd, LOCK_EX | LOCK_NB) < 0)
		r = error_errno(err, "open a change set");
	else
		r = fill(&set, head, upper_uid, upper_gid, err);
	if (r < 0) {
		struct error ignored = {0};

		if (changes_let_go(&set, &ignored) == 0)
			(void)!changes_remove_gone(&set, &ignored);
		change_set_finish(&set);
		return r;
	}
	*ret_set = set;
	return 0;
}

int changes_open_workspace(struct change_set *set, struct error *err)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	const char *path = changes_path(&set->head->workspace);
	autoclose int fd = -1;
	struct stat st;

	if (set->work_fd >= 0)
		return 0;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0)
		return error_errno(err, "open the workspace %s", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, "look at the workspace %s", path);
	if (st.st_ino != set->head->ino ||
		(set->head->born_ns && set->head->born_ns != born_ns(fd)))
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s is another directory than the one that the run had", path);
	if (set->head->started_ns && st.st_uid != set->head->owner_uid)
		return error_set(
			err, -ESTALE, ERROR_REFUSED, "%s belongs to somebody else now", path);
	set->work_dev = st.st_dev;
	set->work_fd = take_fd(&fd);
	return 0;
}

static int make_manifest(struct change_set *set, struct error *err)
{
	int r = changes_scan(set, &set->manifest, err);

	if (r < 0 || (!set->manifest->n_changes && !*set->manifest->problem))
		return r;
	/* A manifest speaks of data that the disk has. The kernel wrote most of it when the overlay
	 * was unmounted. */
	r = disk_sync_all(set->disk, set->fd);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "write what was staged to the disk: %s",
			strerror(-r));
	return changes_file_write(
		set->disk, set->fd, CHANGES_MANIFEST, CHANGES_MANIFEST, &set->manifest->base, err);
}

int changes_seal(struct change_set *set, bool *ret_empty, struct error *err)
{
	int r = make_manifest(set, err);

	*ret_empty = r == 0 && set->manifest->n_changes == 0 && !*set->manifest->problem;
	if (*ret_empty)
		r = changes_rollback(set, err);
	return *ret_empty && r == 0 ? changes_clean(set, err) : r;
}

/* What was staged can be looked at and dropped whatever the state of it: a list that cannot be made
 * keeps it from being committed alone. One that cannot be written is as good for this process. */
static int need_manifest(struct change_set *set, struct error *err)
{
	int r = make_manifest(set, err);

	if (set->manifest)
		return 0;
	if (r == -ENOMEM)
		return r;
	snprintf(set->stuck, sizeof(set->stuck), "%.250s", err->text);
	*err = (struct error){0};
	set->manifest = malloc(sizeof(*set->manifest));
	if (!set->manifest)
		return error_errno(err, "a list of changes");
	berm__wire__change_manifest__init(set->manifest);
	return 0;
}

static int read_messages(struct change_set *set, struct error *err)
{
	ProtobufCMessage *head = NULL, *manifest = NULL;
	int r = changes_file_read(
		set->fd, CHANGES_HEAD, &berm__wire__change_head__descriptor, &head, err);

	set->head = (Berm__Wire__ChangeHead *)head;
	if (r == 0)
		r = changes_file_read(set->fd, CHANGES_MANIFEST,
			&berm__wire__change_manifest__descriptor, &manifest, err);
	set->manifest = (Berm__Wire__ChangeManifest *)manifest;
	if (r < 0)
		return r;
	if (!set->head)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND,
			"the run %s was ended before it began", set->run);
	if (set->head->version != VERSION || strcmp(set->head->run, set->run) != 0 ||
		(set->manifest && (set->manifest->version != VERSION ||
					  strcmp(set->manifest->run, set->run) != 0)))
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the change set of %s is of another run, or of another version of berm",
			set->run);
	return 0;
}

static int take(struct change_set *set, struct error *err)
{
	int r;

	set->fd = openat(set->parent_fd, set->run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (set->fd < 0)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "no change set of %s", set->run);
	if (flock(set->fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -errno, ERROR_REFUSED,
			"the run %s goes on, or somebody else works on its changes", set->run);
	r = read_messages(set, err);
	if (r < 0 && set->dropping) {
		/* Only a commit that was broken off needs to know what was staged. */
		set->head = changes_message_free(set->head);
		set->manifest = changes_message_free(set->manifest);
		*err = (struct error){0};
		r = 0;
	}
	if (r == 0)
		r = changes_recover(set, err);
	if (r == 0 && !set->manifest && !set->committed && !set->dropping)
		r = need_manifest(set, err);
	if (r == 0 && set->manifest && *set->manifest->problem && !*set->stuck)
		snprintf(set->stuck, sizeof(set->stuck), "%.250s", set->manifest->problem);
	return r;
}

static int find_run(int place_fd, const char *run, char found[CHANGES_RUN_MAX], struct error *err)
{
	autofree char **runs = NULL;
	size_t hits = 0;
	int r = changes_list(place_fd, &runs, err);

	if (r < 0)
		return r;
	for (size_t i = 0; runs && runs[i]; i++) {
		if (strncmp(runs[i], run, strlen(run)) != 0)
			continue;
		hits++;
		snprintf(found, CHANGES_RUN_MAX, "%s", runs[i]);
	}
	if (hits == 1)
		return 0;
	return error_set(err, hits ? -EINVAL : -ENOENT, ERROR_NOT_FOUND,
		hits ? "more than one change set begins with \"%.64s\""
		     : "no change set begins with \"%.64s\"",
		run);
}

static int open_set(int place_fd, const char *run, const struct changes_disk *disk, bool dropping,
	struct change_set *ret_set, struct error *err)
{
	struct change_set set = CHANGE_SET_INIT;
	int r;

	set.disk = disk;
	set.dropping = dropping;
	if (!*run)
		return error_set(err, -EINVAL, ERROR_INPUT, "no run is named");
	r = find_run(place_fd, run, set.run, err);
	if (r < 0)
		return r;
	set.parent_fd = fcntl(place_fd, F_DUPFD_CLOEXEC, 3);
	r = set.parent_fd < 0 ? error_errno(err, "descriptors") : take(&set, err);
	if (r < 0)
		change_set_finish(&set);
	else
		*ret_set = set;
	return r;
}

int changes_open(int place_fd, const char *run, const struct changes_disk *disk,
	struct change_set *ret_set, struct error *err)
{
	return open_set(place_fd, run, disk, false, ret_set, err);
}

int changes_open_to_drop(int place_fd, const char *run, const struct changes_disk *disk,
	struct change_set *ret_set, struct error *err)
{
	return open_set(place_fd, run, disk, true, ret_set, err);
}

int changes_lock(struct change_set *set, struct error *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(set->parent_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return error_errno(err, "lock the change sets");
		nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_NS}, NULL);
	}
	return error_set(err, -EWOULDBLOCK, ERROR_REFUSED, "another commit goes on");
}

void changes_unlock(struct change_set *set)
{
	(void)!flock(set->parent_fd, LOCK_UN);
}

static int put_conflict(struct text *lines, const Berm__Wire__Change *change, const char *why)
{
	text_escape(lines, changes_path(&change->path), strlen(changes_path(&change->path)), 512);
	text_puts(lines, ": ");
	text_escape(lines, why, strlen(why), 1024);
	text_puts(lines, "\n");
	return lines->failed ? -ENOMEM : 0;
}

/* With the owner's rights: what he cannot see, he cannot commit to. */
static int check_one(struct change_set *set, const Berm__Wire__Change *change, bool moved,
	const char **ret_why, struct error *err)
{
	const char *last;
	autoclose int parent = beneath_parent(set->work_fd, changes_path(&change->path), &last);

	if (parent < 0) {
		*ret_why = "the directory that it is in is gone, or another one";
		return 0;
	}
	return identity_check(parent, last, change->old, moved, ret_why, err);
}

int changes_conflicts(struct change_set *set, struct text *ret_lines, struct error *err)
{
	int r = changes_open_workspace(set, err);

	if (r < 0)
		return r;
	if (*set->stuck) {
		text_escape(ret_lines, set->stuck, strlen(set->stuck), 1024);
		text_puts(ret_lines, "\n");
	}
	r = owner_enter(set);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "become the owner of the workspace: %s",
			strerror(-r));
	for (size_t i = 0; r == 0 && i < set->manifest->n_changes; i++) {
		const Berm__Wire__Change *change = set->manifest->changes[i];
		const char *why = *change->problem ? change->problem : NULL;

		if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT && !why)
			continue;
		if (!why)
			r = check_one(set, change, false, &why, err);
		if (r == 0 && why && put_conflict(ret_lines, change, why) < 0)
			r = error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	owner_leave(set);
	return r;
}

int changes_renew(struct change_set *set, struct error *err)
{
	int r;

	for (size_t i = 0; set->manifest && i < set->manifest->n_changes; i++) {
		Berm__Wire__Change *change = set->manifest->changes[i];
		const char *last;
		autoclose int parent =
			beneath_parent(set->work_fd, changes_path(&change->path), &last);
		struct stat st;

		if (parent >= 0 && change->old &&
			fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			identity_same(change->old, &st, true) && !S_ISDIR(st.st_mode))
			change->old->ctime_ns = stat_ctime_ns(&st);
	}
	r = set->manifest ? changes_file_write(set->disk, set->fd, CHANGES_MANIFEST,
				    CHANGES_MANIFEST, &set->manifest->base, err)
			  : 0;
	return r;
}
