/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/plan.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The files that a profile declares as outputs of its runs, hashed for the receipt. */

#define OUTPUT_DIGEST_BYTES 32
/* Of all outputs of a run together: the receipt does not wait longer than reading so much takes. */
#define OUTPUTS_BYTES_MAX (1ULL << 30)

enum output_state {
	OUTPUT_HASHED,
	OUTPUT_MISSING,
	OUTPUT_LINK,       /* it, or a directory on the way, is a symbolic link */
	OUTPUT_NOT_A_FILE, /* a directory, a pipe, a device … */
	OUTPUT_TOO_LARGE,  /* more than what is left of OUTPUTS_BYTES_MAX */
	OUTPUT_UNREADABLE,
	OUTPUT_STATE_COUNT
};

struct output {
	const char *path; /* borrowed from the plan */
	enum output_state state;
	uint64_t bytes;                      /* size, where it is a file; else 0 */
	uint8_t digest[OUTPUT_DIGEST_BYTES]; /* BLAKE2b-256; OUTPUT_HASHED */
};

/* Hash them in a new array (caller frees). Every process of the run must be gone. A path that leads
 * through a symbolic link anywhere is not followed: the run made those, and the supervisor may read
 * what the run may not. -ENOMEM. */
int outputs_hash(const Berm__Wire__Recorder *recorder, struct output **ret_outputs,
	size_t *ret_count, struct error *err) must_check;
/* "missing" …; NULL for OUTPUT_HASHED. Static. */
const char *output_state_word(enum output_state state);
