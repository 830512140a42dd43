/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* What somebody else's message may be, asked of its bytes before anything is allocated for it. */
struct message_bounds {
	unsigned repeated; /* elements of repeated fields, those of inner messages with them */
	bool may_grow;     /* fields that this berm does not know are allowed: of a later one */
};

/* True where each field stands once (a repeated one's elements one behind the other), in the order
 * of the numbers, in its own type and with its numbers in their shortest form, likewise in the
 * messages inside, eight deep. The time is that of reading the bytes once; protobuf-c by itself
 * merges a field that stands twice, which copies all it had: so a packet costs the square of its
 * length. */
bool message_is_plain(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
	struct message_bounds bounds);

/* One message, one form: true where the message, which was read from these bytes, packs to the same
 * ones and has no field that this berm does not know. What does not was not written by us. False
 * also where memory ran out. */
bool message_is_as_written(const ProtobufCMessage *message, const uint8_t *bytes, size_t length);

/* The message in bytes that may be anybody's; NULL where they are not plain, are none, or, unless
 * it may grow, are not as we write them. Released by protobuf_c_message_free_unpacked(). */
void *message_read(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
	struct message_bounds bounds);
