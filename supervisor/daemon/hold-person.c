/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold-internal.h"

#include "apply/caller.h"
#include "base/log.h"
#include "wire/held.h"

#include <poll.h>
#include <string.h>
#include <sys/inotify.h>

/* Wait for one person: at the terminal, through a program, or by `berm approve`. Every answer goes
 * into the question's file, and counts from there. */

#define LOOK_MS 1000 /* at the file, where inotify tells nothing */

struct waiting {
	const struct hold_question *question;
	const Berm__Wire__Approvals *rules;
	struct hold_signals *signals;
	struct requests requests;
	struct requests_asked asked;
	unsigned waiters, waiting;       /* of the question's file, as it was read last */
	unsigned all_channels, channels; /* those that may answer, and those that still can */
	uint64_t asked_ms, until_ms;
	struct terminal terminal;
	struct hook hook;
	bool has_hook;
	unsigned hook_covers;
	struct text input;
	int watch_fd;
};

static const Berm__Wire__Approvals *rules_of(const struct hold_question *question)
{
	static Berm__Wire__Approvals usual = BERM__WIRE__APPROVALS__INIT;

	usual.channels = APPROVAL_SOCKET;
	usual.timeout_ms = APPROVAL_TIMEOUT_DEFAULT_MS;
	usual.rate_max = APPROVAL_RATE_DEFAULT;
	usual.rate_within_ms = APPROVAL_WITHIN_DEFAULT_MS;
	return question->rules ? question->rules : &usual;
}

/* Two commits of one run are two that wait. */
static const char *waiter_of(const struct hold_question *question)
{
	return question->waiter ? question->waiter : question->run;
}

/* covers: the waiters that were there when it was shown. */
static void put_answer(struct waiting *w, const struct requests_answer *given)
{
	struct requests_answer answer = *given;
	struct error err = {0};

	answer.id = w->asked.id;
	/* Somebody else may have been faster: that answer counts, and is read next. */
	if (requests_answer(&w->requests, &answer, NULL, &err) == 0 || err.code == -EALREADY)
		return;
	log_line("an answer could not be kept: %s", err.text);
	/* A no is a no, whoever else could be asked. */
	if (!answer.yes)
		w->channels = 0;
}

/* ---- the three ways ---- */

static void ask_program(struct waiting *w)
{
	const Berm__Wire__Approvals *rules = w->rules;
	bool operators = rules->exec_is_operators;

	if (!(w->channels & APPROVAL_EXEC))
		return;
	/* Who joins a question has nobody asked again. */
	if (rules->n_exec && !w->asked.first)
		return;
	text_finish(&w->input);
	hold_json(w->question, w->asked.id, NULL, &w->input);
	if (!rules->n_exec || w->input.failed) {
		w->channels &= ~(unsigned)APPROVAL_EXEC;
		return;
	}
	w->hook = (struct hook){.argv = rules->exec,
		.argc = rules->n_exec,
		.input = text_string(&w->input),
		.input_length = w->input.length,
		.timeout_ms = rules->timeout_ms,
		.uid = operators ? geteuid() : w->question->uid,
		.gid = operators ? getegid() : w->question->gid};
	w->hook_covers = w->asked.waiters;
	hook_start(&w->hook);
	w->has_hook = true;
}

static void close_program(struct waiting *w)
{
	if (w->has_hook)
		hook_finish(&w->hook);
	w->has_hook = false;
}

static void look_at_program(struct waiting *w)
{
	const struct answer *answer = &w->hook.answer;
	char who[APPROVAL_WORDS_MAX + 1];

	if (!w->has_hook)
		return;
	hook_handle(&w->hook, hook_clock_ms());
	if (!w->hook.over)
		return;
	/* Whom it names is its own word. */
	snprintf(who, sizeof(who), "%.100s%s%.90s", w->hook.argv[0], answer->by[0] ? ": " : "",
		answer->by);
	w->channels &= ~(unsigned)APPROVAL_EXEC;
	if (w->hook.failed)
		log_line("approvals.exec: %s", w->hook.error.text);
	else if (answer->verdict != VERDICT_ASK)
		put_answer(
			w, &(const struct requests_answer){.yes = answer->verdict == VERDICT_ALLOW,
				   .channel = APPROVAL_EXEC,
				   .covers = w->hook_covers,
				   .who = who,
				   .reason = answer->reason});
	close_program(w);
}

/* As soon as no other question is open there. */
static void ask_at_terminal(struct waiting *w)
{
	uint64_t now = hook_clock_ms();
	const struct terminal_shown shown = {.id = w->asked.id,
		.waiters = w->waiters,
		.waiting = w->waiting,
		.timeout_ms = w->until_ms > now ? w->until_ms - now : 0};

	if (w->channels & APPROVAL_TERMINAL && w->terminal.fd < 0 &&
		terminal_ask(&w->terminal, w->question, &shown) == -ENOTTY)
		w->channels &= ~(unsigned)APPROVAL_TERMINAL;
}

static void look_at_terminal(struct waiting *w)
{
	enum terminal_answer answer;
	struct caller caller;

	if (w->terminal.fd < 0)
		return;
	answer = terminal_read(&w->terminal);
	if (answer == TERMINAL_NOTHING)
		return;
	caller_identify(&caller);
	if (answer == TERMINAL_GONE) {
		terminal_close(&w->terminal);
		w->channels &= ~(unsigned)APPROVAL_TERMINAL;
		return;
	}
	put_answer(w, &(const struct requests_answer){.yes = answer == TERMINAL_YES,
			      .channel = APPROVAL_TERMINAL,
			      .covers = w->terminal.covers,
			      .who = caller.name[0] ? caller.name : w->question->shown->asker,
			      .reason = ""});
}

/* ---- waiting ---- */

static void wait_a_while(struct waiting *w)
{
	struct pollfd polled[3 + HOOK_FDS] = {{.fd = w->watch_fd, .events = POLLIN},
		{.fd = w->signals->fd, .events = POLLIN}, {.fd = w->terminal.fd, .events = POLLIN}};
	char events[4096];
	uint64_t now = hook_clock_ms(), left = w->until_ms > now ? w->until_ms - now : 0;
	int fds[HOOK_FDS] = {-1, -1};

	if (w->has_hook)
		hook_fds(&w->hook, fds);
	for (unsigned i = 0; i < HOOK_FDS; i++)
		polled[3 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	poll(polled, 3 + HOOK_FDS, left < LOOK_MS ? (int)left : LOOK_MS);
	if (w->watch_fd >= 0)
		while (read(w->watch_fd, events, sizeof(events)) > 0)
			continue;
	look_at_terminal(w);
	look_at_program(w);
}

/* Its own file and no other: what somebody else asked says nothing about this. */
static int look_at_file(
	struct waiting *w, struct hold_answer *a, enum approval_state *ret_state, struct error *err)
{
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	const ProtobufCBinaryData *digest = &w->question->shown->digest;
	struct agent_now now = {0};
	const char *by;
	int r = agents_now(&now, err);

	if (r == 0)
		r = requests_read(&w->requests, w->asked.id, &request, err);
	if (r < 0 || !request)
		return r < 0 ? r : -EIO;
	*ret_state = approval_of(request, waiter_of(w->question), &now);
	w->waiters = (unsigned)request->n_waiters;
	w->waiting = approval_waiting(request, &now);
	/* Bound to what was shown: a file that asks something else is no answer to this. */
	if (request->digest.len != digest->len ||
		memcmp(request->digest.data, digest->data, digest->len) != 0)
		*ret_state = APPROVAL_WITHDRAWN;
	snprintf(a->by, sizeof(a->by), "%s", request->by);
	snprintf(a->channel, sizeof(a->channel), "%s", request->channel);
	snprintf(a->reason, sizeof(a->reason), "%s", request->reason);
	by = approval_withdrawn_by(request, waiter_of(w->question));
	if (*ret_state == APPROVAL_WITHDRAWN && by[0]) {
		a->answer = "withdrawn";
		a->by[0] = a->channel[0] = '\0';
		snprintf(a->reason, sizeof(a->reason), "%s", by);
	}
	return 0;
}

static int finish(
	struct waiting *w, enum approval_state state, struct hold_answer *a, struct error *err)
{
	autotext struct text by = {0}, reason = {0};

	a->waited_ms = hook_clock_ms() - w->asked_ms;
	if (state == APPROVAL_APPROVED) {
		a->answer = "once";
		terminal_end(&w->terminal, "approved");
		return 0;
	}
	if (state == APPROVAL_WITHDRAWN && strcmp(a->answer, "withdrawn") == 0) {
		terminal_end(&w->terminal, "taken back");
		text_escape(&reason, a->reason, strlen(a->reason), HOLD_WORDS_MAX);
		return error_set(err, -ECANCELED, ERROR_REFUSED,
			"it was killed while it was held, by %s (question %s)",
			text_string(&reason), w->asked.id);
	}
	a->answer = state == APPROVAL_EXPIRED ? "timeout" : "denied";
	terminal_end(&w->terminal,
		state == APPROVAL_EXPIRED ? "not answered in time: denied" : "denied");
	if (state == APPROVAL_EXPIRED)
		return error_set(err, -ETIMEDOUT, ERROR_REFUSED,
			"nobody approved it within %llu s (question %s)",
			(unsigned long long)((w->until_ms - w->asked_ms) / 1000), w->asked.id);
	text_escape(&by, a->by, strlen(a->by), HOLD_WORDS_MAX);
	text_escape(&reason, a->reason, strlen(a->reason), HOLD_WORDS_MAX);
	return error_set(err, -EPERM, ERROR_REFUSED, "%s said no to it%s%s (question %s)",
		by.length ? text_string(&by) : "somebody", reason.length ? ": " : "",
		text_string(&reason), w->asked.id);
}

static int unreachable(struct waiting *w, struct hold_answer *a, struct error *err)
{
	a->answer = "unreachable";
	a->waited_ms = hook_clock_ms() - w->asked_ms;
	requests_leave(&w->requests, w->asked.id, waiter_of(w->question));
	return error_set(err, -EPERM, ERROR_REFUSED,
		"nobody can be asked (approvals.channels of the profile), so that it is denied");
}

/* -EAGAIN where the answer was for others alone, and this run has to ask anew. */
static int wait_for_it(struct waiting *w, struct hold_answer *a, struct error *err)
{
	for (;;) {
		enum approval_state state = APPROVAL_WITHDRAWN;
		int r = look_at_file(w, a, &state, err);

		if (r < 0) {
			a->answer = "failed";
			terminal_end(&w->terminal, "denied");
			requests_leave(&w->requests, w->asked.id, waiter_of(w->question));
			return r;
		}
		if (state == APPROVAL_ANEW)
			return error_set(err, -EAGAIN, ERROR_REFUSED, "it was for others");
		if (state != APPROVAL_PENDING)
			return finish(w, state, a, err);
		ask_at_terminal(w);
		if (!w->channels)
			return unreachable(w, a, err);
		wait_a_while(w);
		r = hold_signals_look(w->signals, err);
		if (r < 0) {
			a->answer = "withdrawn";
			requests_leave(&w->requests, w->asked.id, waiter_of(w->question));
			terminal_end(&w->terminal, "taken back");
			return r;
		}
	}
}

/* ---- the beginning ---- */

/* A phase is no matter of the profile's programs, and always one of the operator's. */
static unsigned channels_of(const struct hold_question *question)
{
	unsigned channels = rules_of(question)->channels;

	if (question->why)
		channels = (channels & ~(unsigned)APPROVAL_EXEC) | APPROVAL_SOCKET;
	if (question->no_terminal)
		channels &= ~(unsigned)APPROVAL_TERMINAL;
	return channels;
}

static int ask(struct waiting *w, struct hold_answer *a, struct error *err)
{
	Berm__Wire__ApprovalRequest wanted = *w->question->shown;
	uint64_t now = hook_clock_ms();
	const struct requests_ask question = {.wanted = &wanted,
		.run = waiter_of(w->question),
		.timeout_ms = w->until_ms > now ? w->until_ms - now : 0,
		.max = w->rules->rate_max,
		.within_ms = w->rules->rate_within_ms};
	int r;

	w->channels = wanted.channels = w->all_channels;
	if (w->question->why)
		wanted.why = (char *)(uintptr_t)w->question->why;
	r = requests_ask(&w->requests, &question, &w->asked, err);
	if (r < 0)
		a->answer = r == -EDQUOT ? "rate_limited" : "unreachable";
	snprintf(a->id, sizeof(a->id), "%s", w->asked.id);
	if (r < 0)
		return r;
	ask_program(w);
	/* Who reads this is a tool, and cannot answer. */
	if (wanted.n_delegated_by)
		log_line("the run of %s is held: it waits until a person has answered, at most "
			 "%llu s (question %s)",
			wanted.agent, (unsigned long long)(w->rules->timeout_ms / 1000),
			w->asked.id);
	else if (w->channels & APPROVAL_SOCKET)
		log_line("held until somebody answers: berm approve %s (or deny)", w->asked.id);
	return 0;
}

static void watch(struct waiting *w)
{
	char path[64];

	w->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->watch_fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->requests.dir_fd);
	(void)!inotify_add_watch(w->watch_fd, path, IN_MOVED_TO | IN_CLOSE_WRITE);
}

static void finish_waiting(struct waiting *w)
{
	close_program(w);
	terminal_close(&w->terminal);
	own_close(&w->watch_fd);
	text_finish(&w->input);
	requests_close(&w->requests);
}

int hold_for_person(const struct hold_question *question, const char *why,
	struct hold_signals *signals, struct hold_answers *answers, struct error *err)
{
	struct hold_question asked = *question;
	struct waiting w = {.question = &asked,
		.rules = rules_of(question),
		.signals = signals,
		.all_channels = channels_of(question),
		.requests = REQUESTS_NONE,
		.asked_ms = hook_clock_ms(),
		.terminal = TERMINAL_NONE,
		.watch_fd = -1};
	struct hold_answer *a = hold_add(answers);
	int r = requests_open(question->state, true, &w.requests, err);

	asked.why = why;
	w.until_ms = w.asked_ms + w.rules->timeout_ms;
	if (r == 0)
		watch(&w);
	do {
		close_program(&w);
		terminal_end(&w.terminal, "approved for those that waited before; asked anew");
		if (r == 0 || r == -EAGAIN)
			r = ask(&w, a, err);
		if (r == 0)
			r = wait_for_it(&w, a, err);
	} while (r == -EAGAIN);
	finish_waiting(&w);
	return r;
}
