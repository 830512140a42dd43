/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/apply.h"
#include "daemon/session.h"
#include "wire/control.pb-c.h"

/* The hold of a run's first write: the call that could write waits in the gate, and each later one
 * with it, until somebody has answered. Who asks is a process of its own, so that the run is looked
 * after meanwhile. */

enum live_write_state {
	LIVE_WRITE_FREE, /* nobody is asked, or the answer was yes */
	LIVE_WRITE_UNASKED,
	LIVE_WRITE_ASKING,
	LIVE_WRITE_DENIED
};

struct live_write_said;
/* Zero-initialise. */
struct live_write {
	enum live_write_state state;
	struct session *session; /* borrowed */
	int epoll_fd;            /* borrowed: readable when live_write_look() has something to do */
	pid_t pid;               /* of who asks; 0: nobody */
	int fd;                  /* owned, where there is a pid */
	struct session_hold *hold;    /* owned */
	struct live_write_said *said; /* owned: what came of the answer so far */
	size_t said_length;
	uint64_t asked_ms; /* hook_clock_ms() */
};

void live_write_begin(struct live_write *w, struct session *session, int epoll_fd);
/* Before the meter decides: 0, it is its turn; EPERM, denied; APPLY_GATE_LATER. */
int live_write_gate(struct live_write *w, const struct gate_call *call);
/* Take an answer that is there, and record who gave it. */
void live_write_look(struct live_write *w);
/* That the run is held, and for how long. */
void live_write_status(const struct live_write *w, Berm__Wire__RunStatus *status);
/* The line that wants it: index into Plan.rules. */
uint32_t live_write_rule(const struct live_write *w);
/* The run is over: the question is taken back. Before its record is closed. */
void live_write_end(struct live_write *w);
