/* SPDX-License-Identifier: Apache-2.0 */

/* A run whose calls are counted by the notify make, with the counters laid open: the layers put
 * together as berm does, and what a test wants besides.
 *
 *     gate-run run -p PROFILE -C DIR [OPTIONS] -- TOOL…
 *
 * --report FD: one line a message. "state DONE… : REFUSED… : posture phase undone" in the order of
 * the counters; "event KIND COUNTER VALUE LIMIT POSTURE PHASE"; in the end "state" once more and
 * "end OUTCOME CODE".
 * --control FD: "posture SET PHASE" sets it as a person does, "freeze" and "thaw" stop the run and
 * let it go on ("took MICROSECONDS RESULT"), "state" does nothing; each is answered by a state.
 * --slow USEC: think so long about each call, for what happens to callers meanwhile.
 * --no-gate: the same plan, but every call is let on and not counted. */

#include "daemon/session.h"
#include "meter/classes.h"
#include "meter/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES 256

struct gate_run {
	struct notify *notify;
	struct run_handle *handle;
	int report_fd, control_fd;
	long slow_us;
	bool no_gate;
};

static void say_state(const struct gate_run *run)
{
	struct notify_snapshot s;

	notify_look(run->notify, &s);
	dprintf(run->report_fd, "state");
	for (int i = 0; i < COUNTER_COUNT; i++)
		dprintf(run->report_fd, " %llu", (unsigned long long)s.done[i]);
	dprintf(run->report_fd, " :");
	for (int i = 0; i < COUNTER_COUNT; i++)
		dprintf(run->report_fd, " %llu", (unsigned long long)s.refused[i]);
	dprintf(run->report_fd, " : %u %u %llu\n", s.posture, s.phase,
		(unsigned long long)s.undone);
}

static void on_event(void *context, const struct notify_event *event)
{
	static const char *const kinds[NOTIFY_EVENT_COUNT] = {
		[NOTIFY_CAP] = "cap", [NOTIFY_STEP] = "step", [NOTIFY_BREAKER] = "breaker"};
	const struct gate_run *run = context;

	dprintf(run->report_fd, "event %s %s %llu %llu %u %u\n", kinds[event->kind],
		effect_counter_name(event->counter), (unsigned long long)event->value,
		(unsigned long long)event->limit, event->posture, event->phase);
}

static int on_gate(void *context, const struct gate_call *call)
{
	const struct gate_run *run = context;
	struct notify_verdict verdict;

	if (run->no_gate)
		return 0;
	notify_charge(run->notify, call->charge, call->needs, &verdict);
	if (run->slow_us)
		nanosleep(&(struct timespec){0, run->slow_us * 1000}, NULL);
	return verdict.errno_value;
}

static void on_undo(void *context, const struct gate_call *call)
{
	const struct gate_run *run = context;

	if (!run->no_gate)
		notify_undo(run->notify, call->charge);
}

static void on_denied(void *context, const struct denial_event *event)
{
	const struct gate_run *run = context;
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	notify_denied(run->notify, denial_class_of(event->operation, event->target),
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

static int on_enter(void *context, const struct run_entry *entry, struct error *err)
{
	struct gate_run *run = context;

	(void)err;
	run->handle = entry->handle;
	return 0;
}

static void freeze(const struct gate_run *run, bool frozen)
{
	struct timespec from, to;
	struct error err = {0};
	int r;

	clock_gettime(CLOCK_MONOTONIC, &from);
	r = run_freeze(run->handle, frozen, &err);
	clock_gettime(CLOCK_MONOTONIC, &to);
	dprintf(run->report_fd, "took %lld %d\n",
		(long long)(to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000,
		r);
}

/* One line a time: the test waits for each answer. */
static void on_control(void *context)
{
	struct gate_run *run = context;
	char line[LINE_BYTES];
	unsigned posture, phase;
	ssize_t n = read(run->control_fd, line, sizeof(line) - 1);

	if (n <= 0)
		return;
	line[n] = '\0';
	if (sscanf(line, "posture %u %u", &posture, &phase) == 2)
		notify_set(run->notify, posture, phase);
	if (strcmp(line, "freeze\n") == 0 || strcmp(line, "thaw\n") == 0)
		freeze(run, line[0] == 'f');
	say_state(run);
}

static int read_options(
	struct gate_run *run, struct session_request *request, int argc, char **argv)
{
	int i = 2;

	for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--no-gate") == 0) {
			run->no_gate = true;
			continue;
		}
		if (strcmp(argv[i], "-p") == 0)
			request->profile = argv[i + 1];
		else if (strcmp(argv[i], "-C") == 0)
			request->directory = argv[i + 1];
		else if (strcmp(argv[i], "--report") == 0)
			run->report_fd = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--slow") == 0)
			run->slow_us = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--control") == 0)
			run->control_fd = atoi(argv[i + 1]);
		else
			return -EINVAL;
		i++;
	}
	if (i + 1 >= argc || !request->profile)
		return -EINVAL;
	request->argv = (const char *const *)argv + i + 1;
	return 0;
}

static int prepare(struct session *session, const struct session_request *request,
	struct gate_run *run, struct error *err)
{
	const struct notify_sink sink = {run, on_event};
	int r = session_load(request, session, err);

	if (r == 0)
		r = session_check(session, err);
	/* This make alone, also where the kernel's programs could do a part. */
	if (r == 0)
		session->facts->meter_programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE;
	if (r == 0)
		r = session_compile(session, err);
	if (r == 0 && !session->plan->meter)
		r = error_set(err, -EINVAL, ERROR_INPUT, "the profile counts nothing");
	return r < 0 ? r : notify_create(session->plan->meter, &sink, &run->notify, err);
}

int main(int argc, char **argv)
{
	struct gate_run run = {.report_fd = STDERR_FILENO, .control_fd = -1};
	const struct run_callbacks callbacks = {.context = &run,
		.gate = on_gate,
		.undo = on_undo,
		.denied = on_denied,
		.enter = on_enter,
		.watch = on_control};
	struct run_callbacks used = callbacks;
	struct session_request request = {0};
	autosession struct session session = {0};
	struct run_result result = {0};
	struct error err = {0};

	if (read_options(&run, &request, argc, argv) < 0) {
		fputs("usage: gate-run run -p PROFILE -C DIR [OPTIONS] -- TOOL…\n", stderr);
		return 2;
	}
	if (prepare(&session, &request, &run, &err) < 0) {
		fprintf(stderr, "gate-run: %s\n%s", err.text, text_string(&session.diagnostics));
		return 125;
	}
	used.watch_fd = run.control_fd;
	if (run.control_fd < 0)
		used.watch = NULL;
	run_plan(session.plan, &used, &result);
	if (result.error.text[0])
		fprintf(stderr, "gate-run: %s\n", result.error.text);
	say_state(&run);
	dprintf(run.report_fd, "end %d %d\n", (int)result.outcome, result.code);
	notify_destroy(run.notify);
	return result.code;
}
