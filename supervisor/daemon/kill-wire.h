/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/kill-order.h"

#include <sys/types.h>

/* The packets of the kill switch, of one length each and within one host. A client sends an order
 * (govern/kill-order.h) and gets an answer, one of each over one connection. */

#define KILL_SOCKET "kill.sock"

enum kill_result {
	KILL_DONE = 0, /* all are gone */
	KILL_LEFT,     /* some are not, or cannot be found */
	KILL_REFUSED,  /* nobody who may has asked */
	KILL_BUSY,     /* too many ask at once */
	KILL_FAILED,
	KILL_RESULT_COUNT
};

#define KILL_WORDS_BYTES 216

struct kill_answer {
	uint64_t magic;
	uint32_t result; /* enum kill_result */
	uint32_t gone, left, processes;
	uint64_t asked_boot_ns;
	uint64_t t_boot_ns; /* the last one was gone; nothing of them completed after it; 0: not */
	char words[KILL_WORDS_BYTES];
};
#define KILL_ANSWER_MAGIC 0x6d726562646165ULL

/* Between the front, which talks to clients, and the one that kills. */
enum kill_inner { KILL_INNER_ORDER = 1, KILL_INNER_ANSWER, KILL_INNER_ALIVE };

struct kill_inner_packet {
	uint32_t kind;
	uint32_t number;            /* of the order, so that an answer finds its client */
	int32_t pid;                /* ALIVE: of the front */
	uint32_t uid;               /* ORDER: who asked */
	int32_t peer;               /* and its process */
	char by[PACE_NAME_MAX + 1]; /* the key's name; "" : by the uid */
	union {
		struct kill_order order;
		struct kill_answer answer;
	};
};
