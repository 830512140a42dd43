/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-wire.h"

#include "govern/agent.h"
#include "wire/strict.h"

#include <signal.h>
#include <string.h>

const int supervise_signals[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, 0};

static int wrong(struct error *err, const char *what)
{
	return error_set(err, -EPROTO, ERROR_INPUT, "%s", what);
}

/* The message in the packet, or NULL. */
static void *read_message(const ProtobufCMessageDescriptor *type, const uint8_t *packet,
	size_t length, size_t max, unsigned repeated)
{
	if (length == 0 || length > max)
		return NULL;
	return message_read(type, packet, length, (struct message_bounds){.repeated = repeated});
}

/* An id has capitals; nothing else that names an agent has any letter beside these. */
static bool names_an_agent(const char *word)
{
	static const char letters[] =
		"0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghijklmnopqrstuvwxyz_-";
	size_t length = strlen(word);

	return length > 0 && length <= AGENT_NAME_MAX && strspn(word, letters) == length;
}

static int check_run(const Berm__Wire__SuperviseRun *run, struct error *err)
{
	if (!names_an_agent(run->agent))
		return wrong(err, "the request names no agent");
	if (run->n_argv == 0 || run->n_argv > SUPERVISE_WORDS_MAX || !run->argv[0][0])
		return wrong(err, "the request has no command, or one of too many words");
	if (run->task[0] && !agent_name_is_good(run->task))
		return wrong(err, "a task's name has 1 to 64 of a-z, 0-9, \"_\" and \"-\"");
	if (run->timeout_ms > SUPERVISE_TIMEOUT_MAX_MS)
		return wrong(err, "a time limit of more than a year");
	return 0;
}

static int check_request(const Berm__Wire__SuperviseRequest *request, struct error *err)
{
	if (request->version != SUPERVISE_VERSION)
		return wrong(err, "the supervisor speaks another version of the protocol");
	if (request->type == BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_RUN)
		return request->run ? check_run(request->run, err)
				    : wrong(err, "a request for no run");
	return request->run ? wrong(err, "a request that has more than belongs to it") : 0;
}

int supervise_request_read(const uint8_t *packet, size_t length,
	Berm__Wire__SuperviseRequest **ret_request, struct error *err)
{
	Berm__Wire__SuperviseRequest *request =
		read_message(&berm__wire__supervise_request__descriptor, packet, length,
			SUPERVISE_REQUEST_MAX, SUPERVISE_WORDS_MAX);
	int r = request ? check_request(request, err) : wrong(err, "this is no request");

	if (r == 0)
		*ret_request = request;
	else if (request)
		berm__wire__supervise_request__free_unpacked(request, NULL);
	return r;
}

int supervise_order_read(const uint8_t *packet, size_t length,
	Berm__Wire__SuperviseOrder **ret_order, struct error *err)
{
	Berm__Wire__SuperviseOrder *order = read_message(&berm__wire__supervise_order__descriptor,
		packet, length, SUPERVISE_ORDER_MAX, SUPERVISE_ENVIRONMENT_MAX);
	int r = 0;

	if (!order || order->version != SUPERVISE_VERSION)
		r = wrong(err, "this is no order");
	if (r == 0)
		*ret_order = order;
	else if (order)
		berm__wire__supervise_order__free_unpacked(order, NULL);
	return r;
}

static int check_reply(const Berm__Wire__SuperviseReply *reply, struct error *err)
{
	if (reply->version != SUPERVISE_VERSION)
		return wrong(err, "the supervisor speaks another version of the protocol");
	if (reply->error < 0 || reply->error > 4095 ||
		(reply->error != 0) + (reply->status != NULL) + (reply->end != NULL) +
				reply->begun !=
			1)
		return wrong(err, "the supervisor's answer is none");
	if (reply->end && reply->end->code > 255)
		return wrong(err, "the supervisor's answer has no exit code");
	return 0;
}

int supervise_reply_read(const uint8_t *packet, size_t length,
	Berm__Wire__SuperviseReply **ret_reply, struct error *err)
{
	Berm__Wire__SuperviseReply *reply = read_message(
		&berm__wire__supervise_reply__descriptor, packet, length, SUPERVISE_REPLY_MAX, 0);
	int r = reply ? check_reply(reply, err) : wrong(err, "the supervisor's answer is none");

	if (r == 0)
		*ret_reply = reply;
	else if (reply)
		berm__wire__supervise_reply__free_unpacked(reply, NULL);
	return r;
}

bool supervise_signal_is_known(int number)
{
	for (const int *signal = supervise_signals; *signal; signal++)
		if (*signal == number)
			return true;
	return false;
}

size_t supervise_pack(const ProtobufCMessage *message, size_t max, uint8_t **ret_packet)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t *packet = length > 0 && length <= max ? malloc(length) : NULL;

	if (!packet)
		return 0;
	*ret_packet = packet;
	return protobuf_c_message_pack(message, packet);
}
