/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "daemon/groups-internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Whoever fills the disk takes what was given back at once: each file is for one change. */
#define RESERVES 8
#define RESERVE_BYTES (16 * 1024)
#define RESERVE_NAME_BYTES 16

void group_log_finish(struct group_log *log)
{
	for (size_t i = 0; i < log->count; i++)
		free(log->list[i].data);
	free(log->list);
	*log = (struct group_log){0};
}

void group_log_drop(struct group_log *log, uint64_t until)
{
	size_t drop = until > log->told ? (size_t)(until - log->told) : 0;

	drop = drop < log->count ? drop : log->count;
	for (size_t i = 0; i < drop; i++)
		free(log->list[i].data);
	log->count -= drop;
	if (drop)
		memmove(log->list, log->list + drop, log->count * sizeof(log->list[0]));
	log->told += drop;
}

static const char *reserve_name(unsigned i, char name[RESERVE_NAME_BYTES])
{
	snprintf(name, RESERVE_NAME_BYTES, ".reserve.%u", i);
	return name;
}

void group_reserve_make(const struct groups *groups)
{
	for (unsigned i = 0; i < RESERVES; i++) {
		char name[RESERVE_NAME_BYTES];
		autoclose int fd = -1;

		if (faccessat(groups->dir_fd, reserve_name(i, name), F_OK, AT_SYMLINK_NOFOLLOW) ==
			0)
			continue;
		fd = openat(groups->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		/* Where there is no room for it there is none; some file systems cannot do it. */
		if (fd >= 0 && fallocate(fd, 0, 0, RESERVE_BYTES) < 0)
			(void)unlinkat(groups->dir_fd, name, 0);
	}
}

bool group_reserve_give(const struct groups *groups)
{
	bool given = false;

	for (unsigned i = 0; i < RESERVES && !given; i++) {
		char name[RESERVE_NAME_BYTES];

		given = unlinkat(groups->dir_fd, reserve_name(i, name), 0) == 0;
	}
	failpoint("reserve.given");
	return given;
}
