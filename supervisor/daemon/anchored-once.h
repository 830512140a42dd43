/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/format.h"

/* Beside the keys of a log it is kept where its heads were taken once: a place that has none any
 * more (a directory that is not mounted, a witness that was set up anew) is no place that never had
 * one. An older copy of all that knows it too, unless it is of a time before the first head. */

#define ANCHORED_FILE "anchored" /* in ANCHOR_DIR; a line for each log and place */

/* Words, NULL-terminated, that make out a place: its kind first. Borrowed. */
typedef const char *const anchored_place[];

/* 1: a head of that log was taken there; 0: none ever was, as far as is known. A negative errno:
 * the file cannot be read (kind INTERNAL). */
int anchored_was(int key_dir, const uint8_t log_id[LOG_ID_BYTES], anchored_place place,
	struct error *err) must_check;
/* From now on one was; it is on the disk when this returns 0. Errors: -ENOMEM, storage_replace()'s.
 */
int anchored_note(int key_dir, const uint8_t log_id[LOG_ID_BYTES], anchored_place place,
	struct error *err) must_check;
