/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live.h"

#include "base/log.h"
#include "base/path.h"
#include "daemon/control.h"
#include "daemon/live-group.h"
#include "daemon/live-status.h"
#include "daemon/metering.h"
#include "daemon/outputs.h"
#include "daemon/runs-place.h"
#include "daemon/staging.h"
#include "policy/decide.h"

#include <string.h>
#include <sys/epoll.h>
#include <time.h>

/* What berm run exits with where it failed itself. */
#define EXIT_SETUP 125

struct live {
	struct session *session;
	struct metering *metering; /* owned; NULL: the plan has no meter */
	struct run_handle *handle; /* NULL until the run has entered */
	struct run_socket socket;
	struct control control;
	struct control_actions actions;
	struct staging staging;
	struct live_group group;
	struct error recorder_error; /* why the run had to end, or to be stopped */
	int epoll_fd;                /* of the meter's and the control's descriptors */
	uint64_t started_ms;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- what was refused ---- */

/* The operations that are reported, as static words: an event's own string lives for the call only.
 */
static const char *const operations[] = {"syscall", "socket", "connect", "listen", "send", "open",
	"read", "write", "delete", "exec", "fork", "mount"};

static const char *static_operation(const char *word)
{
	for (size_t i = 0; i < array_size(operations); i++)
		if (strcmp(operations[i], word) == 0)
			return operations[i];
	return "operation";
}

/* The first of its kind is recorded at once, the others together. */
static void count_denial(struct session *session, const char *operation, const char *target,
	const struct denial_rule *from)
{
	size_t before = session->denials.count;

	denials_add(&session->denials, operation, target, from);
	if (session->denials.count > before)
		recording_denials(session);
}

static void add_denial(
	struct session *session, const char *operation, const char *target, uint32_t index)
{
	const Berm__Wire__Plan *plan = session->plan;
	struct denial_rule from = {.key = "berm", .file = ""};

	if (index < plan->n_rules) {
		const Berm__Wire__Rule *rule = plan->rules[index];

		from = (struct denial_rule){
			rule->key, rule->value, rule->file, rule->line, rule->reason};
	}
	count_denial(session, static_operation(operation), target, &from);
}

static void observe(const struct session *session, const char *operation, const char *object)
{
	const struct session_observer *observer = session->request->observer;

	if (observer)
		observer->seen(observer->context, operation, object);
}

static void on_denied(void *context, const struct denial_event *event)
{
	struct live *live = context;

	observe(live->session, event->operation, event->target);
	add_denial(live->session, event->operation, event->target, event->rule);
	if (live->metering)
		metering_denied(live->metering, event);
}

static void on_refused(void *context, const char *operation, const char *target, uint32_t rule)
{
	struct live *live = context;

	add_denial(live->session, operation, target, rule);
}

/* What is written to a private, empty tmpfs of the run (its home) is refused by nobody: it is gone
 * when the run ends. */
static bool is_own_tmpfs(const Berm__Wire__Plan *plan, const char *path)
{
	const Berm__Wire__Mount *around = NULL;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];

		if (path_is_beneath(path, m->target) &&
			(!around || strlen(m->target) >= strlen(around->target)))
			around = m;
	}
	return around && around->kind == BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS && around->target[1];
}

static void on_traced(void *context, const struct trace_event *event)
{
	static const struct {
		const char *word;
		enum operation operation;
	} rows[] = {{"read", OPERATION_READ}, {"write", OPERATION_WRITE}, {"exec", OPERATION_EXEC},
		{"connect", OPERATION_CONNECT}};
	struct session *session = ((struct live *)context)->session;

	observe(session, event->operation, event->path);
	for (size_t i = 0; i < array_size(rows); i++) {
		struct verdict verdict;

		if (strcmp(rows[i].word, event->operation) != 0)
			continue;
		decide(session->profile, rows[i].operation, event->path, &verdict);
		if (verdict.decision != DECISION_ALLOW &&
			!(rows[i].operation == OPERATION_WRITE &&
				is_own_tmpfs(session->plan, event->path))) {
			const struct denial_rule from = {verdict.rule, verdict.value,
				verdict.at.file ? verdict.at.file : "", verdict.at.line,
				verdict.reason};

			count_denial(session, rows[i].word, event->path, &from);
		}
		return;
	}
}

/* ---- the meter ---- */

static int on_gate(void *context, const struct gate_call *call)
{
	struct live *live = context;
	int error = metering_gate(live->metering, call);

	if (recording_wants_activity(live->session))
		recording_call(live->session, call, error);
	return error;
}

static void on_activity(void *context, const struct activity *activity)
{
	recording_activity(((struct live *)context)->session, activity);
}

static void on_undo(void *context, const struct gate_call *call)
{
	metering_undo(((struct live *)context)->metering, call);
}

static void on_said(void *context, const char *words)
{
	(void)context;
	log_line("%s", words);
}

/* Without a recorder the profile lets the run go on, in a phase that does not kill. */
static bool may_go_on(const struct live *live)
{
	const struct recording_policy policy = recording_policy(live->session);

	return policy.on_failure == RECORDING_PHASE && !(policy.posture & POSTURE_DEAD_BIT) &&
	       live->metering;
}

/* The recorder is gone for good: what the profile wants then. */
static void recorder_failed(struct live *live, const struct error *why)
{
	const struct recording_policy policy = recording_policy(live->session);

	if (live->recorder_error.code)
		return;
	live->recorder_error = *why;
	log_line("run: %s", why->text);
	if (policy.on_failure == RECORDING_PHASE && live->metering)
		metering_enter_phase(
			live->metering, policy.phase, policy.posture, TRIP_KIND_RECORDER);
	else if (live->handle)
		run_kill(live->handle,
			policy.on_failure == RECORDING_PHASE ? RUN_BREAKER : RUN_KILLED);
}

/* For whoever has to stop the run although this process does not answer. */
static void tell_place(struct live *live, const struct run_entry *entry)
{
	const struct run_owner owner = {
		live->session->caller.uid, run_state_of(live->session->places.state)};
	struct error err = {0};

	if (live->socket.listen_fd >= 0 && runs_place_write(&live->socket, entry->init_pid,
						   entry->cgroup_fd, &owner, &err) < 0)
		log_line("run: \"berm kill\" will not find this run: %s", err.text);
}

static void look_at_group(struct live *live)
{
	live_group_look(&live->group, live->session, live->metering, live->handle);
}

static int on_enter(void *context, const struct run_entry *entry, struct error *err)
{
	struct live *live = context;
	int r;

	live->handle = entry->handle;
	tell_place(live, entry);
	/* Its place is written: whoever halts from now on finds it. */
	r = session_may_start(live->session, err);
	if (r == 0 && live->metering)
		r = metering_enter(live->metering, entry, err);
	/* The walls took longer than the recorder's answer: this waits for nothing, unless a
	 * recorder had to be started. */
	if (r < 0)
		return r;
	r = recording_ready(live->session, err);
	if (r < 0 && !may_go_on(live))
		return r;
	if (r < 0)
		recorder_failed(live, err);
	look_at_group(live);
	return agent_run_begins(live->session, err);
}

static void tell_recorder(struct live *live, const char *by)
{
	struct error err = {0};

	recording_look(live->session, by);
	if (recording_handle(live->session, &err) < 0)
		recorder_failed(live, &err);
}

static void refresh_effects(struct live *live)
{
	if (live->metering)
		metering_look(live->metering, &live->session->effects);
}

static void on_watch(void *context)
{
	struct live *live = context;

	if (live->control.epoll_fd >= 0)
		control_handle(&live->control);
	if (live->metering)
		metering_watch(live->metering);
	look_at_group(live);
	refresh_effects(live);
	tell_recorder(live, NULL);
	live_group_tell(&live->group, live->session, false);
}

/* ---- those who ask ---- */

static int on_status(void *context, Berm__Wire__RunStatus *status)
{
	struct live *live = context;

	refresh_effects(live);
	return live_status(live->session, now_ms() - live->started_ms, status);
}

/* Without a meter a run can be stopped, but not be told what to refuse. */
static int set_unmetered(struct live *live, unsigned posture, struct error *err)
{
	bool frozen = posture & POSTURE_FROZEN_BIT;
	int r;

	if (posture != POSTURE_OPEN && !frozen)
		return error_set(err, -EOPNOTSUPP, ERROR_REFUSED,
			"nothing meters this run, since its profile has neither blast_radius nor "
			"pace: it can only be frozen or open");
	if (!live->handle)
		return error_set(err, -EAGAIN, ERROR_REFUSED, "the run is about to begin");
	r = run_freeze(live->handle, frozen, err);
	if (r == 0)
		live->session->effects.posture = posture;
	return r;
}

/* A breaker of an agent's run is not for who started the run: that may be the agent itself. */
static bool may_loosen(const struct live *live)
{
	return !live->session->agent_run || live->control.asker.uid == geteuid();
}

static int on_posture(void *context, unsigned posture, struct error *err)
{
	struct live *live = context;
	unsigned before;
	int r;

	look_at_group(live);
	refresh_effects(live);
	if (live->group.floor & ~posture)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the phase of its group keeps the run at least %s; see \"berm pace show\"",
			posture_name(live->group.floor));
	before = live->session->effects.posture;
	if (before & ~posture && !may_loosen(live))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"only the operator of an agent makes a run of it less narrow than it is");
	r = live->metering ? metering_set(live->metering, posture, err)
			   : set_unmetered(live, posture, err);
	refresh_effects(live);
	/* The meter says more about a run that it stopped. */
	if (r == 0) {
		char by[ASKER_BYTES];

		control_asker(&live->control, by);
		tell_recorder(live, by);
	}
	if (r == 0 && before != posture && !(live->metering && posture & POSTURE_FROZEN_BIT))
		log_line("run %s was set to %s from outside", live->session->run_id,
			posture_name(posture));
	return r;
}

/* A run that nobody can look at is as well walled in and metered as another: what fails here is
 * said and no more. */
static void open_to_questions(struct live *live)
{
	struct session *session = live->session;
	struct error err = {0};

	live->actions = (struct control_actions){live, on_status, on_posture};
	if (runs_enter(session->run_id, session->caller.uid, &live->socket, &err) < 0 ||
		control_open(&live->control, live->socket.listen_fd, session->caller.uid,
			&live->actions, &err) < 0)
		log_line("run: \"berm ps\" will not show this run: %s", err.text);
}

/* ---- a run ---- */

static int add_descriptor(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return fd < 0 ? 0 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* One descriptor for all. */
static int collect(struct live *live, struct error *err)
{
	live->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (live->epoll_fd < 0 || add_descriptor(live->epoll_fd, live->control.epoll_fd) < 0 ||
		add_descriptor(live->epoll_fd, recording_fd(live->session)) < 0 ||
		add_descriptor(live->epoll_fd, live_group_fd(&live->group)) < 0 ||
		(live->metering && add_descriptor(live->epoll_fd, metering_fd(live->metering)) < 0))
		return error_errno(err, "the run's descriptors");
	return 0;
}

static int begin(struct live *live, struct error *err)
{
	struct session *session = live->session;
	struct metering_sink sink = {.context = live, .refused = on_refused, .said = on_said};
	/* The recorder answers while the walls are built. */
	int r = session->request->record ? recording_begin(session, err) : 0;

	if (recording_wants_activity(session))
		sink.activity = on_activity;
	if (r == 0)
		r = live_group_begin(&live->group, session, err);
	if (r == 0 && session->plan->meter)
		r = metering_create(session->plan, session->run_id, &sink, &live->metering, err);
	if (r == 0)
		r = staging_begin(session, &live->staging, err);
	if (r < 0)
		return r;
	open_to_questions(live);
	return collect(live, err);
}

/* A run that the recorder could not follow did not end as it should, whatever the tool says. */
static void not_recorded(
	const struct live *live, const struct error *why, struct run_result *result)
{
	if (result->outcome == RUN_SETUP_FAILED || result->outcome == RUN_REFUSED ||
		may_go_on(live))
		return;
	result->error = *why;
	if (recording_policy(live->session).on_failure == RECORDING_PHASE) {
		result->outcome = RUN_BREAKER;
		return;
	}
	live->session->tool_ran = true;
	result->outcome = RUN_SETUP_FAILED;
	result->code = EXIT_SETUP;
	result->signal = 0;
}

static void finish_recording(struct live *live, struct run_result *result)
{
	struct error err = live->recorder_error;

	if (recording_end(live->session, result, &err) < 0)
		not_recorded(live, &err, result);
}

/* The end came from outside: who it was stands beside the run's socket. */
static void tell_killer(const struct live *live, struct run_result *result)
{
	char words[RUNS_WORDS_MAX];

	if (result->outcome != RUN_KILLED || !runs_was_killed(&live->socket, words))
		return;
	error_set(&result->error, -ECANCELED, ERROR_REFUSED, "killed by %s", words);
	log_line("run: %s", result->error.text);
}

static void end(struct live *live, struct run_result *result)
{
	if (live->metering)
		metering_end(live->metering, result);
	refresh_effects(live);
	control_close(&live->control);
	tell_killer(live, result);
	/* What a test of a profile wrote is nobody's work. */
	staging_end(&live->staging,
		result->outcome != RUN_SETUP_FAILED && live->session->request->record);
	runs_leave(&live->socket);
	session_take_outputs(live->session, result);
	live_group_tell(&live->group, live->session, true);
	finish_recording(live, result);
	metering_destroy(live->metering);
	live_group_end(&live->group);
	own_close(&live->epoll_fd);
}

void live_run(struct session *session, struct run_result *ret_result)
{
	struct live live = {.session = session,
		.socket = {.directory_fd = -1, .listen_fd = -1},
		.control = {.epoll_fd = -1},
		.staging = STAGING_INIT,
		.epoll_fd = -1,
		.started_ms = now_ms()};
	struct run_callbacks callbacks = {.context = &live,
		.denied = on_denied,
		.traced = on_traced,
		.enter = on_enter,
		.watch = on_watch};
	struct error err = {0};

	if (begin(&live, &err) < 0) {
		*ret_result = (struct run_result){
			.outcome = RUN_SETUP_FAILED, .code = EXIT_SETUP, .error = err};
	} else {
		if (live.metering) {
			callbacks.gate = on_gate;
			callbacks.undo = on_undo;
			callbacks.watch_ms = METERING_WATCH_MS;
		}
		callbacks.watch_fd = live.epoll_fd;
		callbacks.stage_path = live.staging.layers;
		run_plan(session->plan, &callbacks, ret_result);
	}
	end(&live, ret_result);
}
