/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Room on the disk that staged runs write to, for berm itself. A run that is about to take the last
 * of it is ended, but some calls are quicker than whoever looks (fallocate(2)): so a part is kept
 * in a file, STATE/changes/.room, which is locked shared (flock(2)) by each run that lasts and
 * goes with the last of them, once its tool is dead. */

#include "base/error.h"
#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

struct staging_room {
	int place_fd;   /* owned: STATE/changes */
	int fd;         /* owned: the file, locked; -1: nothing is kept */
	uint64_t bytes; /* in it; 0 where the file system cannot set room aside */
};

#define STAGING_ROOM_INIT                                                                          \
	{                                                                                          \
		.place_fd = -1, .fd = -1                                                           \
	}

/* Keep room on the disk of that directory, for a run that is about to begin. -ENOSPC (kind REFUSED,
 * words without the place) where less is left than berm needs. staging_room_leave() in any case. */
int staging_room_keep(int place_fd, struct staging_room *ret_room, struct error *err) must_check;
/* Words for what is short on that disk, or NULL. */
const char *staging_room_shortage(const struct staging_room *room);
/* The tool is dead: give the room back, unless another run lasts that relies on it. Where the disk
 * is short those are being ended, and their end is waited for, for some seconds. Again is fine. */
void staging_room_leave(struct staging_room *room);
/* Remove what a berm that was killed kept, where no run lasts. */
void staging_room_tidy(int place_fd);
