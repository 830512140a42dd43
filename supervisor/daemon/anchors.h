/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/recorder-file.h"
#include "daemon/starter.h"
#include "record/anchor-command.h"

/* The places where an operator keeps the heads of a log, a directory, a command or both, as one
 * anchor: what is published goes to all of them, and the latest is what the one says that knows
 * most. */

#define ANCHORS_MAX 2

struct anchors {
	const struct recorder_file *file; /* borrowed */
	struct anchor_directory directory;
	struct anchor_command command;
	struct starter_anchor starter; /* in the command's place, for who may start nothing */
	int dir_fd;                    /* -1: not open yet, or not there */
	int key_dir; /* borrowed; of anchored-once.h, -1: a place that has no head never had one */
	bool all;    /* latest() fails where one place cannot be asked; else where none can */
	bool is_fit[ANCHORS_MAX]; /* for the next head: it has that of before, or never had one */
};

void anchors_init(struct anchors *anchors, const struct recorder_file *file);
void anchors_finish(struct anchors *anchors);
#define autoanchors __attribute__((cleanup(anchors_finish)))

/* publish(): the first error of any place, -ESTALE before all others; all places are tried.
 * latest(): beside what struct anchor says -EBADMSG where two places have different heads under one
 * number. Both: -ENOMEDIUM where a place has none and had one once; nothing is published there. A
 * directory that is not there, or has none and had one, is opened again each time. */
struct anchor anchors_anchor(struct anchors *anchors);
