/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/supervisor.pb-c.h"

#include <stdbool.h>

/* The packets of wire/supervisor.proto, read strictly: one version, one form, everything within its
 * bounds. What is read is allocated and released with its free_unpacked. */

#define SUPERVISE_VERSION 1
#define SUPERVISE_REQUEST_MAX (128 * 1024) /* bytes of a packet */
#define SUPERVISE_ORDER_MAX (64 * 1024)
#define SUPERVISE_REPLY_MAX (160 * 1024)
#define SUPERVISE_WORDS_MAX 4096 /* of a command line */
#define SUPERVISE_TIMEOUT_MAX_MS (366ULL * 24 * 3600 * 1000)
#define SUPERVISE_ENVIRONMENT_MAX 8

/* Descriptors that come with a request for a run: the tool's, and the pipe of signals. */
enum supervise_descriptor { SUPERVISE_STDIO = 3, SUPERVISE_SIGNALS = 3, SUPERVISE_DESCRIPTORS };

/* Kind INPUT with words that may be told to whoever sent it. */
int supervise_request_read(const uint8_t *packet, size_t length,
	Berm__Wire__SuperviseRequest **ret_request, struct error *err) must_check;
int supervise_order_read(const uint8_t *packet, size_t length,
	Berm__Wire__SuperviseOrder **ret_order, struct error *err) must_check;
int supervise_reply_read(const uint8_t *packet, size_t length,
	Berm__Wire__SuperviseReply **ret_reply, struct error *err) must_check;
/* One of those that berm run forwards. */
bool supervise_signal_is_known(int number);

/* The bytes of a message in a new buffer (caller frees); 0: it has more than max, or no memory. */
size_t supervise_pack(const ProtobufCMessage *message, size_t max, uint8_t **ret_packet);

/* Signals that are forwarded to a tool, ended by 0. */
extern const int supervise_signals[];
