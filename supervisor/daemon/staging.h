/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The staged workspace of one run, from before its walls to after its end. */

#include "daemon/changes.h"
#include "daemon/session.h"
#include "daemon/staging-room.h"

struct staging {
	struct change_set set;
	struct staging_room room;
	char *layers; /* for run_callbacks.stage_path; NULL: the plan stages nothing */
	bool full;    /* said once */
	bool keep;    /* else the set goes, as where nothing was started */
};

/* How often staging_is_full() is to be asked while the run lasts. */
#define STAGING_WATCH_MS 100

#define STAGING_INIT                                                                               \
	{                                                                                          \
		.set = CHANGE_SET_INIT, .room = STAGING_ROOM_INIT                                  \
	}

/* Make the change set, where the plan has a STAGE step. */
int staging_begin(
	const struct session *session, struct staging *staging, struct error *err) must_check;
/* True once, and said on stderr, where the run has to be ended: the file system of the state
 * directory has no more room than berm itself needs, whoever took it. */
bool staging_is_full(struct staging *staging);
/* The tool is dead: room that was kept on the disk is there for all that is written about it. */
void staging_over(struct staging *staging, bool keep);
/* After that: write down what changed and say so on stderr. Safe where nothing was begun. */
void staging_end(struct staging *staging);
