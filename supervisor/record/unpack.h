/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

/* Room for a message that the recorder itself makes. A message that does not fit was not made by
 * it. */
#define UNPACK_BYTES 4096

struct unpack_room {
	_Alignas(16) uint8_t bytes[UNPACK_BYTES];
	size_t used;
};

/* Unpack without the heap, so that a lack of memory is never taken for a fault of the log. Returns
 * the message, which is in `room` and ends with it, or NULL where it does not fit or is malformed.
 * The bytes are to be canonical (canonical_is()). */
void *unpack_small(struct unpack_room *room, const ProtobufCMessageDescriptor *type,
	const uint8_t *bytes, size_t length);
