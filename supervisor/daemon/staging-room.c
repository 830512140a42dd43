/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/staging-room.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM ".room"
#define KEPT_PART 20 /* of all blocks, and of all inodes */
#define KEPT_BYTES_MAX (512ULL << 20)
#define KEPT_INODES_MAX 10000ULL
/* Of what is kept, in the file. Enough for a few segments of a log and long manifests; more would
 * make each start of a run longer where room is memory (tmpfs). */
#define FILE_PART 2
#define FILE_BYTES_MAX (64ULL << 20)
#define TRIES 100 /* each is lost to another run that ended in between */
#define LEAVE_STEP_MS 10
#define LEAVE_STEPS 500

struct disk_room {
	uint64_t kept, left, kept_inodes, left_inodes;
};

static int look(int fd, struct disk_room *ret)
{
	struct statvfs st;
	uint64_t block, bytes, inodes;

	if (fstatvfs(fd, &st) < 0)
		return -errno;
	block = st.f_frsize ? st.f_frsize : st.f_bsize;
	bytes = (uint64_t)st.f_blocks * block / KEPT_PART;
	inodes = (uint64_t)st.f_files / KEPT_PART;
	*ret = (struct disk_room){
		.kept = bytes < KEPT_BYTES_MAX ? bytes : KEPT_BYTES_MAX,
		.left = (uint64_t)st.f_bavail * block,
		.kept_inodes = inodes < KEPT_INODES_MAX ? inodes : KEPT_INODES_MAX,
		.left_inodes = (uint64_t)st.f_favail,
	};
	return 0;
}

const char *staging_room_shortage(const struct staging_room *room)
{
	struct disk_room disk = {0};

	if (room->place_fd < 0 || look(room->place_fd, &disk) < 0)
		return NULL;
	if (disk.left + room->bytes < disk.kept)
		return "the disk that it is staged on is nearly full";
	/* 0 where the file system makes inodes as it needs them. */
	if (disk.kept_inodes && disk.left_inodes < disk.kept_inodes)
		return "the disk that it is staged on has nearly no inodes left";
	return NULL;
}

/* Without a limit's signal: who is not root keeps the limits of the caller (base/limits.h). */
static uint64_t bytes_of(const struct disk_room *disk)
{
	uint64_t bytes = disk->kept / FILE_PART;
	struct rlimit limit;

	if (bytes > FILE_BYTES_MAX)
		bytes = FILE_BYTES_MAX;
	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 0;
	return limit.rlim_cur < bytes ? limit.rlim_cur : bytes;
}

/* Open it and lock it. -ESTALE where it was removed in between. */
static int open_room(int place_fd, int flags, int lock, int *ret_fd)
{
	autoclose int fd =
		openat(place_fd, ROOM, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	do
		r = flock(fd, lock);
	while (r < 0 && errno == EINTR);
	if (r < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_nlink == 0)
		return -ESTALE;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int keep(struct staging_room *room)
{
	struct disk_room disk = {0};
	int r = -ESTALE;

	for (int i = 0; i < TRIES && r == -ESTALE; i++)
		r = open_room(room->place_fd, O_CREAT, LOCK_SH, &room->fd);
	if (r == 0)
		r = look(room->place_fd, &disk);
	if (r < 0)
		return r;
	/* What is there already is not set aside again. */
	room->bytes = bytes_of(&disk);
	do
		r = room->bytes && fallocate(room->fd, 0, 0, (off_t)room->bytes) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r == 0)
		return 0;
	room->bytes = 0;
	return r == -EOPNOTSUPP || r == -ENOSYS ? 0 : r;
}

int staging_room_keep(int place_fd, struct staging_room *ret_room, struct error *err)
{
	const char *why;
	int r;

	*ret_room = (struct staging_room)STAGING_ROOM_INIT;
	ret_room->place_fd = fcntl(place_fd, F_DUPFD_CLOEXEC, 3);
	if (ret_room->place_fd < 0)
		return error_errno(err, "descriptors");
	r = keep(ret_room);
	why = r == -ENOSPC || r == -EDQUOT ? "the disk that it is staged on is nearly full"
					   : staging_room_shortage(ret_room);
	if (why)
		return error_set(err, -ENOSPC, ERROR_REFUSED, "%s", why);
	if (r == 0)
		return 0;
	errno = -r;
	return error_errno(err, "set room aside in " ROOM);
}

/* Whoever gets it alone is the last one. A lock that is asked for anew is lost where it is not
 * granted (flock(2)), so that of two who leave at once one does get it. */
static bool remove_alone(int place_fd, int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	(void)unlinkat(place_fd, ROOM, 0);
	return true;
}

void staging_room_leave(struct staging_room *room)
{
	for (int i = 0; room->fd >= 0 && i < LEAVE_STEPS; i++) {
		if (remove_alone(room->place_fd, room->fd) || !staging_room_shortage(room))
			break;
		poll(NULL, 0, LEAVE_STEP_MS);
	}
	own_close(&room->fd);
	own_close(&room->place_fd);
	room->bytes = 0;
}

void staging_room_tidy(int place_fd)
{
	autoclose int fd = -1;

	if (open_room(place_fd, 0, LOCK_EX | LOCK_NB, &fd) == 0)
		(void)unlinkat(place_fd, ROOM, 0);
}
