/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/delegation-wire.h"

#include "apply/apply.h"
#include "daemon/supervisor-peer.h"
#include "daemon/supervisor-pump.h"
#include "govern/agent.h"
#include "wire/delegation.pb-c.h"
#include "wire/strict.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define EXIT_SETUP 125
#define EXIT_REFUSED 126

static int no_request(struct error *err)
{
	return error_set(err, -EPROTO, ERROR_INPUT, "this is no request for a run");
}

static bool is_good(const Berm__Wire__DelegationRequest *request)
{
	if (request->version != DELEGATION_VERSION || !agent_words_are_good(request->agent) ||
		(request->task[0] && !agent_name_is_good(request->task)) || !request->n_argv ||
		request->n_argv > DELEGATION_WORDS_MAX || !request->argv[0].len)
		return false;
	for (size_t i = 0; i < request->n_argv; i++)
		if (request->argv[i].len &&
			memchr(request->argv[i].data, '\0', request->argv[i].len))
			return false;
	return true;
}

void delegation_asked_finish(struct delegation_asked *asked)
{
	for (size_t i = 0; asked->words && asked->words[i]; i++)
		free(asked->words[i]);
	free(asked->words);
	if (asked->request)
		berm__wire__delegation_request__free_unpacked(asked->request, NULL);
	*asked = (struct delegation_asked){0};
}

int delegation_request_read(
	const uint8_t *bytes, size_t length, struct delegation_asked *ret_asked, struct error *err)
{
	const struct message_bounds bounds = {.repeated = DELEGATION_WORDS_MAX};
	Berm__Wire__DelegationRequest *request =
		message_read(&berm__wire__delegation_request__descriptor, bytes, length, bounds);
	struct delegation_asked asked = {.request = request};

	if (!request || !is_good(request)) {
		delegation_asked_finish(&asked);
		return no_request(err);
	}
	asked.words = calloc(request->n_argv + 1, sizeof(*asked.words));
	for (size_t i = 0; asked.words && i < request->n_argv; i++) {
		const ProtobufCBinaryData *word = &request->argv[i];

		asked.words[i] = strndup(word->len ? (const char *)word->data : "", word->len);
		if (!asked.words[i])
			break;
	}
	if (!asked.words || !asked.words[request->n_argv - 1]) {
		delegation_asked_finish(&asked);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	asked.agent = request->agent;
	asked.task = request->task[0] ? request->task : NULL;
	asked.argv = (const char *const *)asked.words;
	asked.timeout_ms = request->timeout_ms;
	*ret_asked = asked;
	return 0;
}

/* ---- what comes with it ---- */

union control {
	char bytes[CMSG_SPACE(sizeof(int) * DELEGATION_STDIO)];
	struct cmsghdr align;
};

/* Their count; the room is rounded up, so that one more than fits in fds may have come: it is
 * closed here. Those beyond that the kernel has closed (MSG_CTRUNC). */
static int take_descriptors(struct msghdr *message, int fds[DELEGATION_STDIO])
{
	int count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < DELEGATION_STDIO)
				fds[count] = fd;
			else
				close(fd);
			count++;
		}
	}
	return count;
}

static int become_streams(int fds[DELEGATION_STDIO], int count, struct error *err)
{
	if (count != DELEGATION_STDIO)
		return no_request(err);
	for (int i = 0; i < count; i++)
		if (!supervisor_stdio_is_plain(fds[i], i == STDIN_FILENO))
			return error_set(err, -EINVAL, ERROR_INPUT,
				"descriptor %d is neither a pipe nor a terminal nor /dev/null", i);
	for (int i = 0; i < DELEGATION_STDIO; i++)
		if (dup2(fds[i], i) < 0)
			return error_errno(err, "descriptor %d", i);
	return 0;
}

int delegation_request_receive(
	int fd, unsigned seconds, struct delegation_asked *ret_asked, struct error *err)
{
	const struct timeval patience = {.tv_sec = (time_t)seconds};
	autofree uint8_t *bytes = malloc(DELEGATION_REQUEST_MAX);
	int fds[DELEGATION_STDIO] = {-1, -1, -1}, count, r;
	union control control;
	struct iovec part = {bytes, DELEGATION_REQUEST_MAX};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	if (!bytes || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, "wait for a request");
	n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	count = n < 0 ? 0 : take_descriptors(&message, fds);
	if (n <= 0 || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		r = no_request(err);
	else
		r = delegation_request_read(bytes, (size_t)n, ret_asked, err);
	if (r == 0)
		r = become_streams(fds, count, err);
	for (int i = 0; i < DELEGATION_STDIO; i++)
		own_close(&fds[i]);
	return r;
}

void delegation_reply_send(int fd, int code, const char *reason)
{
	uint8_t packet[DELEGATION_REPLY_MAX];
	Berm__Wire__DelegationReply reply;

	berm__wire__delegation_reply__init(&reply);
	reply.version = DELEGATION_VERSION;
	reply.code = (uint32_t)code & 0xff;
	reply.reason = (char *)(uintptr_t)reason;
	if (berm__wire__delegation_reply__get_packed_size(&reply) <= sizeof(packet))
		(void)!send(fd, packet, berm__wire__delegation_reply__pack(&reply, packet),
			MSG_NOSIGNAL);
}

/* ---- in the run ---- */

static size_t pack(const struct delegation_asked *asked, uint8_t **ret_bytes)
{
	autofree ProtobufCBinaryData *argv = NULL;
	Berm__Wire__DelegationRequest request;
	size_t count = 0, length;

	while (asked->argv[count])
		count++;
	argv = calloc(count + 1, sizeof(*argv));
	if (!argv)
		return 0;
	for (size_t i = 0; i < count; i++)
		argv[i] = (ProtobufCBinaryData){
			strlen(asked->argv[i]), (uint8_t *)(uintptr_t)asked->argv[i]};
	berm__wire__delegation_request__init(&request);
	request.version = DELEGATION_VERSION;
	request.agent = (char *)(uintptr_t)asked->agent;
	if (asked->task)
		request.task = (char *)(uintptr_t)asked->task;
	request.timeout_ms = asked->timeout_ms;
	request.n_argv = count;
	request.argv = argv;
	length = berm__wire__delegation_request__get_packed_size(&request);
	*ret_bytes = length <= DELEGATION_REQUEST_MAX ? malloc(length) : NULL;
	return *ret_bytes ? berm__wire__delegation_request__pack(&request, *ret_bytes) : 0;
}

static int send_request(int door, const struct delegation_asked *asked, const int *streams)
{
	autofree uint8_t *bytes = NULL;
	union control control = {0};
	struct iovec part = {NULL, pack(asked, &bytes)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * DELEGATION_STDIO)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	if (!part.iov_len)
		return -E2BIG;
	part.iov_base = bytes;
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int) * DELEGATION_STDIO);
	memcpy(CMSG_DATA(rights), streams, sizeof(int) * DELEGATION_STDIO);
	return sendmsg(door, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Move bytes until there is an answer, and then what is left of the output. */
static void pump_until_over(int door, struct pumps *pumps)
{
	bool over = false;

	while (!over || pumps_have_output(pumps)) {
		struct pollfd fds[1 + 2 * DELEGATION_STDIO] = {
			{.fd = over ? -1 : door, .events = POLLIN}};
		unsigned count = pumps_poll(pumps, fds + 1);

		if (poll(fds, 1 + count, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		pumps_move(pumps, fds + 1);
		if (!over && fds[0].revents) {
			over = true;
			pumps_end_input(pumps);
		}
	}
}

static void take_reply(int door, int *ret_code, char ret_reason[ERROR_TEXT_MAX])
{
	uint8_t packet[DELEGATION_REPLY_MAX];
	Berm__Wire__DelegationReply *reply = NULL;
	ssize_t n;

	do
		n = recv(door, packet, sizeof(packet), 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		reply = berm__wire__delegation_reply__unpack(NULL, (size_t)n, packet);
	*ret_code = reply && reply->code <= 0xff ? (int)reply->code : EXIT_SETUP;
	snprintf(ret_reason, ERROR_TEXT_MAX, "%s",
		reply ? reply->reason : "the run that was delegated ended without a word");
	if (reply)
		berm__wire__delegation_reply__free_unpacked(reply, NULL);
}

bool delegation_has_door(void)
{
	autoclose int door = socket(APPLY_DOOR_FAMILY, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	return door >= 0 || errno == EAGAIN;
}

bool delegation_ask(
	const struct delegation_asked *asked, int *ret_code, char ret_reason[ERROR_TEXT_MAX])
{
	autoclose int door = socket(APPLY_DOOR_FAMILY, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int streams[DELEGATION_STDIO] = {-1, -1, -1}, r;
	struct pumps pumps = {.count = 0};
	struct error err = {0};

	if (door < 0 && errno != EAGAIN)
		return false;
	r = door < 0 ? -errno : pumps_open(&pumps, streams, &err);
	if (r == 0)
		r = send_request(door, asked, streams);
	for (int i = 0; i < DELEGATION_STDIO; i++)
		own_close(&streams[i]);
	if (r == 0) {
		/* Who reads no more ends a pump, not this process. */
		signal(SIGPIPE, SIG_IGN);
		pump_until_over(door, &pumps);
		take_reply(door, ret_code, ret_reason);
	}
	pumps_close(&pumps);
	if (r == 0)
		return true;
	*ret_code = r == -EAGAIN ? EXIT_REFUSED : EXIT_SETUP;
	snprintf(ret_reason, ERROR_TEXT_MAX, "the run cannot be asked for: %s",
		r == -EAGAIN ? "enough runs that this one began last already" : strerror(-r));
	return true;
}
