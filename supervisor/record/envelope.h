/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/recorder-internal.h"

/* The fields of a Record that the recorder itself writes, in their packed form: what a run told is
 * put behind them as it is, and nothing has to be unpacked and packed again. */

/* Keep what is the same in all records of a run as bytes. -ENOMEM. */
int envelope_prepare(struct record_run *run) must_check;
void envelope_free(struct record_run *run);

/* What is different in each. */
struct envelope {
	uint64_t sequence;
	int64_t timestamp;
	uint64_t boot_ns;
};
/* Bytes that envelope_write() will need; and the bytes, as protobuf has them. The run was prepared.
 */
size_t envelope_size(const struct record_run *run, const struct envelope *envelope) must_check;
size_t envelope_write(
	const struct record_run *run, const struct envelope *envelope, uint8_t *ret_bytes);
