/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/path.h"
#include "daemon/state-directory.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>

#define GONE ".gone-"
#define VERSION 1
#define NS 1000000000LL
#define TICK_TRIES 200
#define TICK_NS 1000000L

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

static int fill(struct change_set *set, const Berm__Wire__ChangeHead *head, uid_t uid, gid_t gid,
	struct error *err)
{
	int r = copy_head(head, &set->head, err);

	if (r == 0)
		r = changes_open_workspace(set, err);
	if (r == 0)
		r = make_layers(set, uid, gid, err);
	if (r < 0)
		return r;
	set->head->version = VERSION;
	set->head->started_ns = next_tick();
	return changes_file_write(set->disk, set->fd, CHANGES_HEAD, &set->head->base, err);
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

		(void)!changes_remove(&set, &ignored);
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
	if (st.st_dev != set->head->dev || st.st_ino != set->head->ino)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s is another directory than the one that the run had", path);
	set->work_fd = take_fd(&fd);
	return 0;
}

static int make_manifest(struct change_set *set, struct error *err)
{
	int r = changes_scan(set, &set->manifest, err);

	if (r < 0 || !set->manifest->n_changes)
		return r;
	/* A manifest speaks of data that the disk has. The kernel wrote most of it when the overlay
	 * was unmounted. */
	r = disk_sync_all(set->disk, set->fd);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "write what was staged to the disk: %s",
			strerror(-r));
	return changes_file_write(set->disk, set->fd, CHANGES_MANIFEST, &set->manifest->base, err);
}

int changes_seal(struct change_set *set, bool *ret_empty, struct error *err)
{
	int r = make_manifest(set, err);

	*ret_empty = r == 0 && set->manifest->n_changes == 0;
	return *ret_empty ? changes_remove(set, err) : r;
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
	bool done = false;
	int r;

	set->fd = openat(set->parent_fd, set->run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (set->fd < 0)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "no change set of %s", set->run);
	if (flock(set->fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -errno, ERROR_REFUSED,
			"the run %s goes on, or somebody else works on its changes", set->run);
	r = read_messages(set, err);
	if (r == 0)
		r = changes_recover(set, &done, err);
	if (r == 0 && done)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND,
			"the commit of %s, which was broken off, is finished now", set->run);
	if (r == 0 && !set->manifest)
		r = make_manifest(set, err);
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

int changes_open(int place_fd, const char *run, const struct changes_disk *disk,
	struct change_set *ret_set, struct error *err)
{
	struct change_set set = CHANGE_SET_INIT;
	int r;

	set.disk = disk;
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
	if (set->stuck)
		text_printf(ret_lines, "%s\n", set->stuck);
	r = owner_enter(set);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "become the owner of the workspace: %s",
			strerror(-r));
	for (size_t i = 0; r == 0 && i < set->manifest->n_changes; i++) {
		const Berm__Wire__Change *change = set->manifest->changes[i];
		const char *why = *change->problem ? change->problem : NULL;

		if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT)
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
	r = set->manifest ? changes_file_write(
				    set->disk, set->fd, CHANGES_MANIFEST, &set->manifest->base, err)
			  : 0;
	return r;
}

/* Under another name first: what is half removed is no change set any more. */
int changes_remove(struct change_set *set, struct error *err)
{
	char gone[sizeof(GONE) + CHANGES_RUN_MAX];
	int r;

	snprintf(gone, sizeof(gone), GONE "%s", set->run);
	r = disk_rename(set->disk, set->parent_fd, set->run, set->parent_fd, gone, 0);
	if (r == 0)
		r = disk_sync(set->disk, set->parent_fd);
	if (r == 0)
		r = disk_remove_tree(set->disk, set->parent_fd, gone);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "remove the change set: %s", strerror(-r))
		     : 0;
}

int changes_rollback(struct change_set *set, struct error *err)
{
	return changes_remove(set, err);
}

static int own_names(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strlen(entry->d_name) < CHANGES_RUN_MAX;
}

static int gone_names(const struct dirent *entry)
{
	return strncmp(entry->d_name, GONE, strlen(GONE)) == 0;
}

static void remove_gone(int place_fd)
{
	struct dirent **names = NULL;
	int count = scandirat(place_fd, ".", &names, gone_names, alphasort);

	for (int i = 0; i < count; i++) {
		(void)!disk_remove_tree(NULL, place_fd, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

int changes_list(int place_fd, char ***ret_runs, struct error *err)
{
	struct dirent **names = NULL;
	int count;
	char **runs;

	remove_gone(place_fd);
	count = scandirat(place_fd, ".", &names, own_names, alphasort);
	if (count < 0)
		return error_errno(err, "list the change sets");
	runs = calloc((size_t)count + 1, sizeof(*runs) + CHANGES_RUN_MAX);
	for (int i = 0; i < count; i++) {
		if (runs) {
			runs[i] = (char *)(runs + count + 1) + (size_t)i * CHANGES_RUN_MAX;
			/* own_names() knows their length. */
			memcpy(runs[i], names[i]->d_name, strlen(names[i]->d_name) + 1);
		}
		free(names[i]);
	}
	free(names);
	if (!runs)
		return error_errno(err, "list the change sets");
	*ret_runs = runs;
	return 0;
}

static const char *const kind_words[] = {
	[BERM__WIRE__CHANGE_KIND__CHANGE_UNSPECIFIED] = "unknown",
	[BERM__WIRE__CHANGE_KIND__CHANGE_CREATE] = "create",
	[BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY] = "modify",
	[BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE] = "replace",
	[BERM__WIRE__CHANGE_KIND__CHANGE_DELETE] = "delete",
	[BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES] = "mode",
	[BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT] = "left-out",
};

const char *changes_kind_word(Berm__Wire__ChangeKind kind)
{
	return (unsigned)kind < array_size(kind_words) ? kind_words[kind] : kind_words[0];
}
