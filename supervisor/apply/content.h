/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a file holds, as exec.hash knows it. */

#include "base/own.h"

#include <stdint.h>

#define CONTENT_DIGEST_BYTES 32
#define CONTENT_MAX_BYTES (512ULL << 20)

/* Read the regular file fd from its beginning to its end, once: BLAKE2b-256 of what was read, and
 * the same bytes written to the descriptor to (-1: nowhere), so that the two cannot differ whoever
 * changes the file meanwhile. Allocates nothing. Errors: -EFBIG over most_bytes, -EINVAL where it
 * is no regular file, -errno of read(2) and write(2). */
int content_take(int fd, int to, uint64_t most_bytes, uint8_t ret_digest[CONTENT_DIGEST_BYTES],
	uint64_t *ret_bytes) must_check;
