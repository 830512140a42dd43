/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "daemon/sink.h"

/* recorder.yaml in the state directory: what the operator of a log says about it. */

#define RECORDER_FILE "recorder.yaml"
#define RECORDER_FILE_SINKS_MAX 8

struct recorder_file {
	struct sink *sinks[RECORDER_FILE_SINKS_MAX]; /* owned: every record goes to them */
	int sink_count;
	uint64_t max_bytes; /* the log is to have no more; 0: any number */
	/* Where the log's heads are kept, outside of it. */
	char *anchor_directory; /* owned, absolute; or NULL */
	char **anchor_command;  /* owned, NULL-terminated, an absolute path first; or NULL */
	bool anchor_required;   /* a seal that cannot be anchored stops the recorder */
};

/* Read the file of a state directory (absolute path); all is zero where there is none. It must
 * belong to root or to owner, as trust_read() wants it. All that is wrong is told in diagnostics
 * with its place, and the first of it in err. Release with recorder_file_finish() when this returns
 * 0. Errors: -EINVAL (kind INPUT), those of trust_read(). */
int recorder_file_read(const char *state, uid_t owner, struct recorder_file *ret_file,
	struct text *diagnostics, struct error *err) must_check;
void recorder_file_finish(struct recorder_file *file);
#define autorecorderfile __attribute__((cleanup(recorder_file_finish)))
/* True where it names a place for heads. */
bool recorder_file_has_anchor(const struct recorder_file *file);
