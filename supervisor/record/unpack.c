/* SPDX-License-Identifier: Apache-2.0 */
#include "record/unpack.h"

static void *take(void *data, size_t size)
{
	struct unpack_room *room = data;
	size_t start = (room->used + 15) & ~(size_t)15;

	if (size > UNPACK_BYTES || start > UNPACK_BYTES - size)
		return NULL;
	room->used = start + size;
	return room->bytes + start;
}

static void give_back(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

void *unpack_small(struct unpack_room *room, const ProtobufCMessageDescriptor *type,
	const uint8_t *bytes, size_t length)
{
	ProtobufCAllocator allocator = {.alloc = take, .free = give_back, .allocator_data = room};

	room->used = 0;
	return protobuf_c_message_unpack(type, &allocator, length, bytes);
}
