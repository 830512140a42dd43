/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/* The state directory and what is in it: made where it is absent, and refused where somebody else
 * owns it or may write to it. */

/* Open it, made where it is absent, the way there too. state: a whole, normal path. Returns a
 * descriptor; kind REFUSED where it is somebody else's. */
int state_directory_open(const char *state, struct error *err) must_check;
/* Open the directory of that name in it, made with mode where it is absent. What is there may be
 * narrower than mode. What is wider is made narrower where berm's own files are in it (a segment of
 * the log, a key, evidence, a state file), and no other directory; else it is refused as it is
 * (kind REFUSED): /var/log is not berm's, whoever says that the state directory is /var. */
int state_directory_within(
	int state_fd, const char *name, mode_t mode, struct error *err) must_check;
