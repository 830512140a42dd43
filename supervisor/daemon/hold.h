/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "wire/approval.pb-c.h"
#include "wire/plan.pb-c.h"
#include "wire/record.pb-c.h"

#include <stdbool.h>
#include <sys/types.h>

/* Hold something until gates and people have said yes to it: a run before its tool is started, a
 * change set before it is kept. Nobody can widen anything by an answer: what is held goes on as it
 * was shown, or not at all. */

/* Ready for one of these events (poll(2)), it says that nobody waits any more. */
struct hold_end {
	int fd; /* borrowed; -1: none */
	short events;
};
#define HOLD_ENDS_MAX 3

struct hold_question {
	const char *state;                  /* directory */
	const Berm__Wire__Approvals *rules; /* NULL: nobody is asked but for `why` */
	/* A person is asked whatever the rules say, and no program instead; why. Or NULL. */
	const char *why;
	const char *run;
	const char *waiter;  /* who waits, where that is somebody else than the run; or NULL */
	const char *changes; /* of a commit: the whole list as one JSON value, for programs */
	/* What is shown: on, asker, agent, group, task, profile, argv, directory, uid, user,
	 * details. Its digest is over all of these and what the caller knows beside. */
	const Berm__Wire__ApprovalRequest *shown;
	bool no_terminal; /* whoever sits there has no say */
	int client_fd;    /* reads the signals of who asked through a supervisor, or -1 */
	struct hold_end ends[HOLD_ENDS_MAX];
	size_t n_ends;
	/* As root: who the programs of a profile run as; those of the operator run as this process.
	 */
	uid_t uid;
	gid_t gid;
};

/* "run", "commit", "write": one of HELD_…. */
const char *hold_moment(uint32_t on);

#define HOLD_ANSWERS_MAX 40 /* gates of a profile and its ceilings, and a person */
#define HOLD_WORDS_MAX 256

/* One who was asked. */
struct hold_answer {
	char id[65];
	const char *answer; /* "once", "denied" …: Approval.answer; static */
	char gate[64];      /* "": a person */
	char by[HOLD_WORDS_MAX], channel[16], reason[HOLD_WORDS_MAX];
	uint64_t waited_ms;
};

struct hold_answers {
	struct hold_answer items[HOLD_ANSWERS_MAX];
	size_t count;
	int signal; /* not 0: it came meanwhile and would have ended this process */
};

/* True where somebody is to be asked. */
bool hold_is_wanted(const struct hold_question *question);
/* Wait for the answers. 0: everybody who was asked said yes. Kind REFUSED: no, not in time, nobody
 * could be asked, or asked too often; -EINTR (REFUSED): a signal came that ends this process, and
 * the question was taken back; -ECANCELED (REFUSED): so it was since nobody waits any more.
 * *ret_answers: who said what, also then. */
int hold(const struct hold_question *question, struct hold_answers *ret_answers,
	struct error *err) must_check;

/* The command line that is held: one line, safe to show, words in quotes where they need it. False
 * where it is longer than max_bytes: cut there, and how much is shown. */
bool hold_line(const Berm__Wire__ApprovalRequest *shown, size_t max_bytes, struct text *out);
/* The details, safe to show, `before` in front of each line. False where a line is cut. */
bool hold_details(const Berm__Wire__ApprovalRequest *shown, const char *before, struct text *out);
/* Who delegated it, from the first run on: "delegated_by" of the object that is open. */
void hold_json_chain(const Berm__Wire__ApprovalRequest *shown, struct json *j);
/* The body of a record about it; everything is borrowed. `shown` as above. */
void hold_record(const struct hold_answer *answer, const Berm__Wire__ApprovalRequest *shown,
	const ProtobufCBinaryData *target, Berm__Wire__Approval *ret_approval);
