/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "daemon/supervisor-wire.h"
#include "wire/strict.h"

#include <string.h>

/* All packets of a supervisor, its sessions and its clients. What is taken is within its bounds and
 * packs to the same bytes; what is not has a reason that can be told.
 * Input: one byte that says which reader, by its remainder; then the packet. */

#define PLAIN_MAX 1024 /* unpacking what is not plain takes the square of it */

static void is_refused(int r, const struct error *err, const void *message)
{
	assert(r < 0 && err->code < 0 && err->text[0] && !message);
}

static void is_the_same(
	const ProtobufCMessage *message, size_t max, const uint8_t *data, size_t size)
{
	autofree uint8_t *again = NULL;

	assert(size <= max && supervise_pack(message, max, &again) == size);
	assert(memcmp(again, data, size) == 0);
}

static void check_run(const Berm__Wire__SuperviseRun *run)
{
	assert(run->n_argv > 0 && run->n_argv <= SUPERVISE_WORDS_MAX && run->argv[0][0]);
	assert(strlen(run->agent) > 0 && strlen(run->agent) <= 64 && strlen(run->task) <= 64);
	assert(!strpbrk(run->agent, "./ \n\\\"") && !strpbrk(run->task, "./ \n\\\""));
	assert(run->timeout_ms <= SUPERVISE_TIMEOUT_MAX_MS);
}

static void read_request(const uint8_t *data, size_t size)
{
	Berm__Wire__SuperviseRequest *request = NULL;
	struct error err = {0};
	int r = supervise_request_read(data, size, &request, &err);

	if (r < 0 || !request) {
		is_refused(r, &err, request);
		return;
	}
	assert(request->version == SUPERVISE_VERSION);
	assert(!request->run == (request->type != BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_RUN));
	if (request->run)
		check_run(request->run);
	is_the_same(&request->base, SUPERVISE_REQUEST_MAX, data, size);
	berm__wire__supervise_request__free_unpacked(request, NULL);
}

static void read_order(const uint8_t *data, size_t size)
{
	Berm__Wire__SuperviseOrder *order = NULL;
	struct error err = {0};
	int r = supervise_order_read(data, size, &order, &err);

	if (r < 0 || !order) {
		is_refused(r, &err, order);
		return;
	}
	assert(order->n_environment <= SUPERVISE_ENVIRONMENT_MAX);
	is_the_same(&order->base, SUPERVISE_ORDER_MAX, data, size);
	berm__wire__supervise_order__free_unpacked(order, NULL);
}

static void read_reply(const uint8_t *data, size_t size)
{
	Berm__Wire__SuperviseReply *reply = NULL;
	struct error err = {0};
	int r = supervise_reply_read(data, size, &reply, &err);

	if (r < 0 || !reply) {
		is_refused(r, &err, reply);
		return;
	}
	assert((reply->error > 0) + !!reply->status + !!reply->end + !!reply->begun == 1);
	assert(!reply->end || reply->end->code <= 255);
	is_the_same(&reply->base, SUPERVISE_REPLY_MAX, data, size);
	berm__wire__supervise_reply__free_unpacked(reply, NULL);
}

/* What is not plain is no message that we write; a message of one that may grow can be read without
 * taking more memory than its length allows. */
static void read_plainly(const uint8_t *data, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		&berm__wire__supervise_request__descriptor,
		&berm__wire__supervise_order__descriptor, &berm__wire__supervise_reply__descriptor};

	size_t length = size < PLAIN_MAX ? size : PLAIN_MAX;

	for (size_t i = 0; i < array_size(types); i++) {
		ProtobufCMessage *message = protobuf_c_message_unpack(types[i], NULL, length, data);
		bool plain = message_is_plain(
			types[i], data, length, (struct message_bounds){.repeated = PLAIN_MAX});
		bool loosely = message_is_plain(types[i], data, length,
			(struct message_bounds){.repeated = PLAIN_MAX, .may_grow = true});

		assert(!plain || loosely);
		assert(!message || plain || !message_is_as_written(message, data, length));
		if (message)
			protobuf_c_message_free_unpacked(message, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const uint8_t *data, size_t size) = {
		read_request, read_order, read_reply, read_plainly};

	if (size)
		readers[data[0] % array_size(readers)](data + 1, size - 1);
	return 0;
}
