/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_SECONDS 5

int control_read_reply(
	const uint8_t *packet, size_t length, Berm__Wire__RunStatus **ret_status, struct error *err)
{
	Berm__Wire__ControlReply *reply =
		length ? message_read(&berm__wire__control_reply__descriptor, packet, length,
				 CONTROL_BOUNDS)
		       : NULL;
	int r = 0;

	if (!reply || reply->version != CONTROL_VERSION)
		r = error_set(err, -EPROTO, ERROR_INTERNAL,
			"the run does not speak this version of the protocol");
	else if (reply->error)
		r = error_set(err, reply->error > 0 ? -reply->error : -EPROTO, ERROR_REFUSED, "%s",
			reply->reason[0] ? reply->reason : strerror(reply->error));
	else if (!reply->status)
		r = error_set(err, -EPROTO, ERROR_INTERNAL, "the run answered with nothing");
	else
		*ret_status = take_ptr(&reply->status);
	if (reply)
		berm__wire__control_reply__free_unpacked(reply, NULL);
	return r;
}

int control_ask_begin(int fd, const Berm__Wire__ControlRequest *request, struct error *err)
{
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	uint8_t words[CONTROL_REQUEST_MAX];
	size_t length = berm__wire__control_request__get_packed_size(request);

	if (length > sizeof(words))
		return error_set(err, -E2BIG, ERROR_INTERNAL, "too long a request");
	berm__wire__control_request__pack(request, words);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, "setsockopt");
	/* A run that refuses the peer has closed its end already; its reason is there to be read.
	 */
	if (send(fd, words, length, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return error_errno(err, "ask the run");
	return 0;
}

int control_ask_end(int fd, unsigned wait_ms, Berm__Wire__RunStatus **ret_status, struct error *err)
{
	const struct timeval patience = {
		.tv_sec = wait_ms / 1000, .tv_usec = (wait_ms % 1000) * 1000 + 1};
	autofree uint8_t *packet = malloc(CONTROL_REPLY_MAX);
	ssize_t n;

	if (!packet)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, "setsockopt");
	n = recv(fd, packet, CONTROL_REPLY_MAX, 0);
	/* Closed with our question unread: said once, before what was sent to us (af_unix.c). */
	if (n < 0 && errno == ECONNRESET)
		n = recv(fd, packet, CONTROL_REPLY_MAX, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return error_set(err, -ETIMEDOUT, ERROR_INTERNAL,
			"its berm does not answer; \"berm kill\" needs no answer");
	if (n < 0)
		return error_errno(err, "read the run's answer");
	if (n == 0)
		return error_set(err, -EPIPE, ERROR_NOT_FOUND, "the run has ended");
	return control_read_reply(packet, (size_t)n, ret_status, err);
}

int control_ask(int fd, const Berm__Wire__ControlRequest *request,
	Berm__Wire__RunStatus **ret_status, struct error *err)
{
	int r = control_ask_begin(fd, request, err);

	return r < 0 ? r : control_ask_end(fd, ANSWER_SECONDS * 1000, ret_status, err);
}
