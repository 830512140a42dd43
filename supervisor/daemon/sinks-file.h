/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "daemon/sink.h"

/* recorder.yaml in the state directory: what the operator of a log says about it. */

#define SINKS_FILE "recorder.yaml"
#define SINKS_FILE_MAX 8 /* places in it */

/* max_size of the file: the most bytes that the log is to have. 0 where the file is not there, is
 * wrong, or does not say. */
uint64_t sinks_file_max_bytes(const char *state, uid_t owner);

/* Read the places that all records are sent to; the file may be absent. It must belong to root or
 * to owner, as trust_read() wants it. What is wrong is told in diagnostics with its place. Returns
 * their number, in order; sinks are the caller's. Errors: -EINVAL (kind INPUT), those of
 * trust_read(). */
int sinks_file_read(const char *path, uid_t owner, struct sink *ret_sinks[SINKS_FILE_MAX],
	struct text *diagnostics, struct error *err) must_check;
