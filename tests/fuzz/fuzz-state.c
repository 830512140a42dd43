/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "daemon/state-file.h"
#include "wire/control.pb-c.h"

/* A state file. What is taken packs to the same bytes; what is not has words. Since no fuzzer finds
 * a hash, the input stands for the message too: what a file made of it is read as is the same
 * message or an error. */

static int read_file(const uint8_t *bytes, size_t length)
{
	void *message = NULL;
	struct error err = {0};
	uint8_t *again = NULL;
	size_t again_length = 0;
	int r = state_file_decode(
		bytes, length, &berm__wire__run_status__descriptor, "fuzz", &message, &err);

	if (r < 0) {
		assert(r == -EBADMSG && err.code == r && err.text[0] && !message);
		return r;
	}
	assert(state_file_encode(message, &again, &again_length, &err) == 0);
	assert(again_length == length && memcmp(again, bytes, length) == 0);
	free(again);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ProtobufCMessage *message;
	uint8_t *bytes = NULL;
	size_t length = 0;
	struct error err = {0};

	read_file(data, size);
	message = protobuf_c_message_unpack(&berm__wire__run_status__descriptor, NULL, size, data);
	if (!message)
		return 0;
	if (state_file_encode(message, &bytes, &length, &err) == 0) {
		/* Fields that nobody knows are packed again, and refused when they are read. */
		if (message->n_unknown_fields)
			assert(read_file(bytes, length) == -EBADMSG);
		else
			(void)!read_file(bytes, length);
	}
	free(bytes);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
