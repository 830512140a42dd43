/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live.h"

#include "base/log.h"
#include "daemon/agent-delegated.h"
#include "daemon/control.h"
#include "daemon/hooks.h"
#include "daemon/live-client.h"
#include "daemon/live-delegation.h"
#include "daemon/live-group.h"
#include "daemon/live-place.h"
#include "daemon/live-status.h"
#include "daemon/live-trace.h"
#include "daemon/live-write.h"
#include "daemon/metering.h"
#include "daemon/outputs.h"
#include "daemon/runs-place.h"
#include "daemon/staging.h"
#include "daemon/time-box.h"

#include <string.h>
#include <sys/epoll.h>

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
	struct live_delegation delegation;
	struct live_client client;
	struct live_write write;
	struct live_place place;
	struct time_box time_box;
	pid_t init_pid;              /* of the run, when it has entered */
	struct error recorder_error; /* why the run had to end, or to be stopped */
	int epoll_fd;                /* of the meter's and the control's descriptors */
	uint64_t started_ms;
};

/* ---- what was refused ---- */

/* The first of its kind is recorded at once, the others together. */
static void count_denial(struct session *session, const char *operation, const char *target,
	const struct denial_rule *from)
{
	size_t before = session->denials.count;
	struct denial_rule above;

	if (agent_delegated_explains(session, operation, target, &above))
		from = &above;
	denials_add(&session->denials, operation, target, from);
	if (session->denials.count > before)
		recording_denials(session);
}

/* What the run is in was not brought about by a rule of its plan: by what, then. */
static struct denial_rule rule_of_posture(const struct metering *metering)
{
	static const char *const words[TRIP_KIND_COUNT] = {
		[TRIP_KIND_OPERATOR] = "set from outside of the run",
		[TRIP_KIND_METER] = "since the meter failed",
		[TRIP_KIND_RECORDER] = "since nothing can be recorded",
		[TRIP_KIND_GROUP] = "asked for by the phase of the agent's group",
	};
	const char *because = words[metering_restricted_by(metering)];

	return because ? (struct denial_rule){.key = "posture", .value = because, .file = ""}
		       : (struct denial_rule){.key = "berm", .file = ""};
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
	count_denial(session, denial_operation(operation), target, &from);
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
	struct denial_rule from;

	if (rule != EFFECTS_NO_RULE) {
		add_denial(live->session, operation, target, rule);
		return;
	}
	from = rule_of_posture(live->metering);
	count_denial(live->session, denial_operation(operation), target, &from);
}

static void on_traced(void *context, const struct trace_event *event)
{
	struct session *session = ((struct live *)context)->session;
	struct denial_rule from;
	const char *operation;

	observe(session, event->operation, event->path);
	if (live_trace_denied(session, event, &operation, &from))
		count_denial(session, operation, event->path, &from);
}

/* ---- the meter ---- */

static int on_gate(void *context, const struct gate_call *call)
{
	struct live *live = context;
	int error = live_write_gate(&live->write, call);

	if (error == EPERM)
		add_denial(live->session, "syscall", call->name, live_write_rule(&live->write));
	error = error ? error : metering_gate(live->metering, call);
	if (error != APPLY_GATE_LATER && recording_wants_activity(live->session))
		recording_call(live->session, call, error);
	return error;
}

static int on_door(void *context)
{
	struct live *live = context;

	if (live->metering)
		metering_look(live->metering, &live->session->effects);
	return delegations_door(&live->delegation.below);
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

static void look_at_group(struct live *live)
{
	live_group_look(&live->group, live->session, live->metering, live->handle);
}

static int on_enter(void *context, const struct run_entry *entry, struct error *err)
{
	struct live *live = context;
	int r;

	live->handle = entry->handle;
	live->init_pid = entry->init_pid;
	live->place.staged = live->staging.layers != NULL;
	r = live_place_tell(&live->place, live->session, &live->socket, entry, err);
	live_client_handle(&live->client, live->epoll_fd);
	if (r == 0 && live->client.gone)
		r = error_set(err, -EPIPE, ERROR_INTERNAL, "who asked for the run is gone");
	/* Its place is written: whoever halts from now on finds it. */
	if (r == 0)
		r = session_may_start(live->session, err);
	if (r == 0 && live->metering)
		r = metering_enter(live->metering, entry, err);
	if (r == 0)
		r = live_delegation_enter(
			&live->delegation, live->session, entry, live->metering, err);
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
	live_place_look(&live->place, live->session, &live->socket);
}

static void look_at_delegation(struct live *live)
{
	if (!live_delegation_look(&live->delegation, live->session, live->metering, live->handle))
		return;
	refresh_effects(live);
	tell_recorder(live, "the run that delegated it");
}

static void on_watch(void *context)
{
	struct live *live = context;

	if (!live_client_handle(&live->client, live->epoll_fd) && live->handle)
		run_kill(live->handle, RUN_KILLED);
	if (live->control.epoll_fd >= 0)
		control_handle(&live->control);
	if (live->handle && staging_is_full(&live->staging))
		run_kill(live->handle, RUN_BREAKER);
	if (live->metering)
		metering_watch(live->metering);
	look_at_group(live);
	refresh_effects(live);
	look_at_delegation(live);
	live_write_look(&live->write);
	/* The group first, which can stop others too: a recorder can be slow. */
	live_group_tell(&live->group, live->session, false);
	tell_recorder(live, NULL);
}

static bool on_over(void *context)
{
	struct live *live = context;
	const struct time_box_run run = {
		live->session, live->handle, live->init_pid, live->staging.layers};

	refresh_effects(live);
	return time_box_over(&live->time_box, &run, &live->group);
}

/* ---- those who ask ---- */

static int on_status(void *context, Berm__Wire__RunStatus *status)
{
	struct live *live = context;

	refresh_effects(live);
	live_write_status(&live->write, status);
	return live_status(live->session, hook_clock_ms() - live->started_ms, status);
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
	if (live_delegation_floor(&live->delegation) & ~posture)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the run that delegated this one is %s, and so is this one",
			posture_name(live_delegation_floor(&live->delegation)));
	before = live->session->effects.posture;
	if (before & ~posture && !may_loosen(live))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"only the operator of an agent makes a run of it less narrow than it is");
	r = live->metering ? metering_set(live->metering, posture, err)
			   : live_set_unmetered(live->session, live->handle, posture, err);
	refresh_effects(live);
	look_at_delegation(live);
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

/* A run that answers nobody is said to be so, no more. One that nobody could find does not begin.
 */
static int open_to_questions(struct live *live, struct error *err)
{
	struct session *session = live->session;
	struct error silent = {0};
	int r = runs_enter(session->run_id, session->caller.uid, &live->socket, err);

	live->actions = (struct control_actions){live, on_status, on_posture};
	if (r < 0) {
		error_wrap(err, "\"berm kill\" would not find this run");
		return r;
	}
	if (control_open(&live->control, live->socket.listen_fd, session->caller.uid,
		    &live->actions, &silent) < 0)
		log_line("run: \"berm ps\" will not show this run: %s", silent.text);
	return 0;
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
	live_write_begin(&live->write, live->session, live->epoll_fd);
	if (live_client_watch(&live->client, live->epoll_fd, err) < 0)
		return err->code;
	return live_delegation_begin(&live->delegation, live->session, live->epoll_fd, err);
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
	if (r == 0)
		r = open_to_questions(live, err);
	return r < 0 ? r : collect(live, err);
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

static void end(struct live *live, struct run_result *result)
{
	/* What a test of a profile wrote is nobody's work. */
	staging_over(&live->staging,
		result->outcome != RUN_SETUP_FAILED && live->session->request->record);
	if (live->metering)
		metering_end(live->metering, result);
	refresh_effects(live);
	live_write_end(&live->write);
	live_delegation_end(&live->delegation, result);
	control_close(&live->control);
	live_place_killer(&live->socket, result);
	runs_leave(&live->socket);
	session_take_outputs(live->session, result);
	live_group_tell(&live->group, live->session, true);
	time_box_record(&live->time_box, live->session);
	finish_recording(live, result);
	metering_destroy(live->metering);
	live_group_end(&live->group);
	live_client_close(&live->client);
	own_close(&live->epoll_fd);
	/* Last: how long a list of what a tool staged takes is up to the tool. */
	staging_end(&live->staging);
}

void live_run(struct session *session, struct run_result *ret_result)
{
	struct live live = {.session = session,
		.socket = {.directory_fd = -1, .listen_fd = -1},
		.control = {.epoll_fd = -1},
		.staging = STAGING_INIT,
		.delegation = LIVE_DELEGATION_INIT,
		.client = LIVE_CLIENT_NONE,
		.epoll_fd = -1,
		.started_ms = hook_clock_ms()};
	struct run_callbacks callbacks = {.context = &live,
		.denied = on_denied,
		.traced = on_traced,
		.enter = on_enter,
		.over = on_over,
		.watch = on_watch};
	struct error err = {0};

	if (session->request->client)
		live.client.fd = session->request->client->signals_fd;
	if (begin(&live, &err) < 0) {
		*ret_result = (struct run_result){
			.outcome = RUN_SETUP_FAILED, .code = EXIT_SETUP, .error = err};
	} else {
		if (live.metering) {
			callbacks.gate = on_gate;
			callbacks.undo = on_undo;
			callbacks.watch_ms = METERING_WATCH_MS;
		}
		if (live.staging.layers)
			callbacks.watch_ms = STAGING_WATCH_MS;
		if (live.delegation.below.session)
			callbacks.door = on_door;
		callbacks.watch_fd = live.epoll_fd;
		callbacks.stage_path = live.staging.layers;
		run_plan(session->plan, &callbacks, ret_result);
	}
	end(&live, ret_result);
}
