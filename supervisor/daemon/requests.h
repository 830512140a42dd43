/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "govern/approval.h"

/* The questions of a state directory: one file each in approvals/ (daemon/state-file.h). Whoever
 * may write there may answer, and nobody else. */

#define REQUESTS_DIR "approvals"
#define REQUESTS_MAX 1000              /* files that are kept */
#define REQUESTS_OPEN_MAX 64           /* of one asker */
#define REQUESTS_BYTES_MAX (32U << 10) /* of what is shown */
#define REQUESTS_ID_LEAST 4
#define REQUESTS_KEPT_MS (24 * 3600 * 1000ULL) /* after they were asked, once they are over */

struct requests {
	int state_fd, dir_fd; /* owned; -1: not open */
	struct state_place place;
};
#define REQUESTS_NONE                                                                              \
	(struct requests)                                                                          \
	{                                                                                          \
		.state_fd = -1, .dir_fd = -1                                                       \
	}

/* make: the directories are made where they are absent; else -ENOENT (NOT_FOUND). Kind REFUSED
 * where they are somebody else's. */
int requests_open(
	const char *state, bool make, struct requests *ret_requests, struct error *err) must_check;
void requests_close(struct requests *requests);
#define autorequests __attribute__((cleanup(requests_close)))

void request_free(Berm__Wire__ApprovalRequest **request); /* NULL is fine */
#define autorequest __attribute__((cleanup(request_free)))

/* That one, whose id is whole. -ENOENT (NOT_FOUND); those of state_file_read(). Asks for no lock.
 */
int requests_read(const struct requests *requests, const char *id,
	Berm__Wire__ApprovalRequest **ret_request, struct error *err) must_check;

/* What there is. A file that cannot be read is a question that nobody answers: its run is refused,
 * and no other one. */
struct requests_list {
	Berm__Wire__ApprovalRequest **items; /* the oldest first */
	size_t count;
	char **damaged; /* names of files */
	size_t damaged_count;
};
int requests_list(const struct requests *requests, struct requests_list *ret_list,
	struct error *err) must_check;
void requests_list_free(struct requests_list *list);
#define autolist __attribute__((cleanup(requests_list_free)))

/* Ask: join the equal question that is open, or begin one of what `wanted` holds (its id is given
 * here). Refused with -EDQUOT (REFUSED) where the asker asked too often (max within within_ms) or
 * has REQUESTS_OPEN_MAX open, -E2BIG (REFUSED) where it is too much to be shown. */
struct requests_ask {
	const Berm__Wire__ApprovalRequest *wanted; /* borrowed */
	const char *run;
	uint64_t timeout_ms, max, within_ms;
};
struct requests_asked {
	char id[APPROVAL_ID_MAX + 1];
	bool first;       /* nobody asked it before */
	unsigned waiters; /* of the file: this run is the last of them */
	unsigned waiting; /* runs that wait for it now, this one too */
};
int requests_ask(const struct requests *requests, const struct requests_ask *ask,
	struct requests_asked *ret_asked, struct error *err) must_check;
/* By its id or how that begins (REQUESTS_ID_LEAST letters). -ENOENT (NOT_FOUND); -EINVAL,
 * -ENOTUNIQ (INPUT); -EALREADY (REFUSED) where it is open no more; -EPERM (REFUSED) where it is not
 * to be answered in that way; -ESTALE (REFUSED) where more runs wait than were shown and `waiting`
 * does not say how many were. ret_request (may be NULL) receives what was answered. */
struct requests_answer {
	const char *id;
	bool yes;
	unsigned channel; /* one of APPROVAL_… */
	/* Yes: for whom. So many of the file's waiters were shown; or, where that is 0, so many
	 * were seen waiting (0: one). */
	unsigned covers, waiting;
	const char *who, *reason;
};
int requests_answer(const struct requests *requests, const struct requests_answer *answer,
	Berm__Wire__ApprovalRequest **ret_request, struct error *err) must_check;
/* The run waits no more. Says nothing where that cannot be written. */
void requests_leave(const struct requests *requests, const char *id, const char *run);
