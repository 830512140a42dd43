/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "daemon/hold.h"
#include "daemon/hooks.h"
#include "daemon/requests.h"

/* Between the files of the hold only. */

#define TERMINAL_LINE_MAX 128
#define TERMINAL_CODE 4 /* letters of the question's id */

/* The terminal of who started this process, while it is this process's turn there. */
struct terminal {
	int fd;      /* -1: not asked there */
	int lock_fd; /* the terminal's own node, locked: one asks at a time */
	char code[TERMINAL_CODE + 1];
	unsigned covers; /* waiters that were there when it was shown */
	char line[TERMINAL_LINE_MAX];
	size_t length;
	unsigned tries;
};
#define TERMINAL_NONE                                                                              \
	(struct terminal)                                                                          \
	{                                                                                          \
		.fd = -1, .lock_fd = -1                                                            \
	}

enum terminal_answer { TERMINAL_NOTHING, TERMINAL_YES, TERMINAL_NO, TERMINAL_GONE };

/* What the terminal shows beside the question. */
struct terminal_shown {
	const char *id;
	unsigned waiters, waiting; /* of the question, as it is shown */
	uint64_t timeout_ms;
};

/* Ask there. What was typed before counts for nothing. 0, -EBUSY where another question is open
 * there, -ENOTTY where it cannot be asked there at all. */
int terminal_ask(struct terminal *t, const struct hold_question *question,
	const struct terminal_shown *shown) must_check;
enum terminal_answer terminal_read(struct terminal *t);
/* It was answered elsewhere, or in no way: say so. */
void terminal_end(struct terminal *t, const char *how);
void terminal_close(struct terminal *t);

/* The question for people; false where it is too long to be shown whole. */
bool hold_words(const struct hold_question *question, struct text *out) must_check;
/* The question for a program: one JSON object. */
void hold_json(
	const struct hold_question *question, const char *id, const char *gate, struct text *out);
struct hold_answer *hold_add(struct hold_answers *answers);

/* Signals that end this process wait until what is held was taken back. */
struct hold_signals {
	int fd;        /* owned: readable when there is something to look at */
	int signal_fd; /* owned */
	int client_fd; /* borrowed: signals of a client, as daemon/live-client.h has them; or -1 */
	sigset_t mask; /* as it was */
	int arrived;   /* 0: none */
	const struct hold_question *question; /* borrowed: its ends */
	bool gone;                            /* nobody waits any more */
};
int hold_signals_block(struct hold_signals *signals, const struct hold_question *question,
	struct error *err) must_check;
/* 0, or why what is held goes on in no case: as hold(). */
int hold_signals_look(struct hold_signals *signals, struct error *err) must_check;
void hold_signals_restore(struct hold_signals *signals);

/* Have a person asked: the last part of hold(). */
int hold_for_person(const struct hold_question *question, const char *why,
	struct hold_signals *signals, struct hold_answers *answers, struct error *err) must_check;
