/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metering.h"

#include "base/text.h"
#include "daemon/metering-kernel.h"
#include "meter/classes.h"
#include "meter/notify.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

_Static_assert(NOTIFY_NO_RULE == EFFECTS_NO_RULE, "both say that there is no rule");
#define SAID_MAX 400

/* Refusals of every kind meet in `notify`, which holds the breakers; where there is a gate, its
 * caps and postures as well. `kernel` counts and refuses by itself; its events and its posture are
 * brought to the other's, and the other way round. */
struct metering {
	const Berm__Wire__Plan *plan;
	const char *run_id;
	struct metering_sink sink;
	struct notify *notify;
	struct metering_kernel *kernel; /* or NULL: the gate alone */
	struct run_handle *handle;      /* NULL: the run has not entered yet */
	int epoll_fd;
	int wake_fd; /* the gate and the walls' refusals have changed the posture */
	bool frozen; /* what the run loop was told */
	bool killed;
	uint64_t started_ms;
	struct effects effects;
	size_t trips_before; /* so many are from before the run was last let go on */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void say(const struct metering *m, const char *words)
{
	if (m->sink.said)
		m->sink.said(m->sink.context, words);
}

static uint32_t posture_of(const struct metering *m, uint32_t *ret_phase)
{
	struct notify_snapshot now;

	notify_look(m->notify, &now);
	if (ret_phase)
		*ret_phase = now.phase;
	return now.posture;
}

/* ---- what happened ---- */

static void wake(struct metering *m)
{
	const uint64_t one = 1;

	(void)!write(m->wake_fd, &one, sizeof(one));
}

static void count_trip(struct effects *e, const struct trip *trip)
{
	bool breaker = trip->kind == TRIP_KIND_BREAKER;
	bool cap = trip->kind == TRIP_KIND_CAP || (trip->kind == TRIP_KIND_STEP && !trip->warning);

	e->caps_crossed += cap;
	e->breakers_tripped += breaker;
	e->emergencies += (cap || breaker) && trip->phase == PHASE_EMERGENCY;
}

static void add_trip(struct metering *m, struct trip trip)
{
	struct effects *e = &m->effects;

	trip.posture = posture_of(m, &trip.phase);
	trip.after_ms = now_ms() - m->started_ms;
	/* The kernel and the notify state tell of the same entry where both see it. One that comes
	 * again after somebody let the run go on is another one. */
	for (size_t i = m->trips_before; i < e->trip_count; i++) {
		const struct trip *old = &e->trips[i];

		if (trip.kind < TRIP_KIND_OPERATOR && old->kind == trip.kind &&
			old->rule == trip.rule && old->counter == trip.counter)
			return;
	}
	count_trip(e, &trip);
	if (e->trip_count == EFFECTS_TRIPS_MAX) {
		e->trips_not_kept++;
		return;
	}
	e->trips[e->trip_count++] = trip;
	wake(m);
}

/* The posture may have changed. Stopping has to wait for the run loop: this can be the gate, whose
 * caller cannot stop before it has its answer. */
static void posture_changed(struct metering *m)
{
	uint32_t posture = posture_of(m, NULL);

	if (m->kernel)
		metering_kernel_tighten(m->kernel, posture);
	if (posture & POSTURE_FROZEN_BIT)
		wake(m);
}

static bool step_is_warning(const Berm__Wire__MeterStep *step)
{
	return !step->posture && step->phase == PHASE_PRIMARY;
}

static void on_notify_event(void *context, const struct notify_event *event)
{
	static const enum trip_kind kinds[NOTIFY_EVENT_COUNT] = {
		[NOTIFY_CAP] = TRIP_KIND_CAP,
		[NOTIFY_STEP] = TRIP_KIND_STEP,
		[NOTIFY_BREAKER] = TRIP_KIND_BREAKER,
	};
	struct metering *m = context;
	struct trip trip = {.kind = kinds[event->kind],
		.counter = event->counter,
		.value = event->value,
		.limit = event->limit,
		.rule = event->rule};

	if (event->kind == NOTIFY_STEP)
		trip.warning = step_is_warning(m->plan->meter->steps[event->index]);
	if (event->kind == NOTIFY_BREAKER)
		trip.class = m->plan->meter->breakers[event->index]->class_;
	add_trip(m, trip);
}

/* From the kernel's programs. */
static void on_kernel_trip(void *context, const struct trip *trip)
{
	struct metering *m = context;

	notify_tighten(m->notify, trip->posture, trip->phase, trip->rule);
	add_trip(m, *trip);
}

/* What the posture is due to: the last thing that changed it. NULL: nothing did. */
static const struct trip *restricted_by(const struct metering *m)
{
	for (size_t i = m->effects.trip_count; i-- > 0;)
		if (!m->effects.trips[i].warning)
			return &m->effects.trips[i];
	return NULL;
}

enum trip_kind metering_restricted_by(const struct metering *m)
{
	const struct trip *trip = restricted_by(m);

	return trip ? trip->kind : TRIP_KIND_CAP;
}

static uint32_t rule_of_posture(const struct metering *m)
{
	const struct trip *trip = restricted_by(m);

	return trip ? trip->rule : EFFECTS_NO_RULE;
}

static void on_kernel_denial(
	void *context, const char *operation, const char *target, uint32_t rule, uint32_t class)
{
	struct metering *m = context;

	if (rule == EFFECTS_BY_POSTURE)
		rule = rule_of_posture(m);
	if (m->sink.refused)
		m->sink.refused(m->sink.context, operation, target, rule);
	notify_denied(m->notify, class, now_ms());
	posture_changed(m);
}

static void on_kernel_activity(void *context, const struct activity *activity)
{
	const struct metering *m = context;

	m->sink.activity(m->sink.context, activity);
}

/* ---- the callbacks of the run ---- */

int metering_gate(struct metering *m, const struct gate_call *call)
{
	struct notify_verdict verdict;

	notify_charge(m->notify, call->charge, call->needs, &verdict);
	/* Also a call that goes on can be the one that reaches a threshold. */
	posture_changed(m);
	if (verdict.errno_value && m->sink.refused)
		m->sink.refused(m->sink.context, "syscall", call->name, verdict.rule);
	return verdict.errno_value;
}

void metering_undo(struct metering *m, const struct gate_call *call)
{
	notify_undo(m->notify, call->charge);
}

void metering_denied(struct metering *m, const struct denial_event *event)
{
	notify_denied(m->notify, denial_class_of(event->operation, event->target), now_ms());
	posture_changed(m);
}

/* What a trip is due to, for a person. */
static void words_of_rule(
	const struct metering *m, const struct trip *trip, char *buffer, size_t capacity)
{
	const Berm__Wire__Rule *rule =
		trip->rule < m->plan->n_rules ? m->plan->rules[trip->rule] : NULL;

	if (!rule)
		snprintf(buffer, capacity, "%s", "somebody's word");
	else if (rule->file[0])
		snprintf(buffer, capacity, "%s %s (%s:%u)", rule->key, rule->value, rule->file,
			rule->line);
	else
		snprintf(buffer, capacity, "%s %s", rule->key, rule->value);
}

static void say_frozen(const struct metering *m)
{
	const struct effects *e = &m->effects;
	const struct trip *last = e->trip_count ? &e->trips[e->trip_count - 1] : NULL;
	char rule[SAID_MAX / 2] = "", words[SAID_MAX];

	if (last)
		words_of_rule(m, last, rule, sizeof(rule));
	snprintf(words, sizeof(words),
		"run %s is frozen by %s; \"berm pace set %s open\" lets it go on, Ctrl-C ends it",
		m->run_id, rule[0] ? rule : "the kernel's programs", m->run_id);
	say(m, words);
}

/* Do what the posture asks for. A run that cannot be stopped is killed. */
static void act(struct metering *m)
{
	uint32_t posture = posture_of(m, NULL);
	struct error err = {0};

	if (!m->handle || m->killed)
		return;
	if (posture & POSTURE_DEAD_BIT) {
		m->killed = true;
		run_kill(m->handle, RUN_BREAKER);
		return;
	}
	if (!(posture & POSTURE_FROZEN_BIT) == !m->frozen)
		return;
	m->frozen = posture & POSTURE_FROZEN_BIT;
	if (run_freeze(m->handle, m->frozen, &err) < 0) {
		say(m, err.text);
		m->killed = true;
		run_kill(m->handle, RUN_BREAKER);
	} else if (m->frozen) {
		say_frozen(m);
	}
}

/* The programs are gone: nothing is counted any more. */
static void kernel_gone(struct metering *m)
{
	if (posture_of(m, NULL) & POSTURE_FROZEN_BIT)
		return;
	notify_tighten(m->notify, POSTURE_FROZEN, PHASE_CONTINGENCY, EFFECTS_NO_RULE);
	add_trip(m, (struct trip){.kind = TRIP_KIND_METER, .rule = EFFECTS_NO_RULE});
	say(m, "the meter's programs were detached: what this run does is no longer counted");
}

static void watch_kernel(struct metering *m)
{
	if (!m->kernel)
		return;
	if (!metering_kernel_read(m->kernel))
		kernel_gone(m);
	notify_tighten(
		m->notify, metering_kernel_posture(m->kernel), PHASE_PRIMARY, EFFECTS_NO_RULE);
	metering_kernel_tighten(m->kernel, posture_of(m, NULL));
}

void metering_watch(struct metering *m)
{
	uint64_t count;

	(void)!read(m->wake_fd, &count, sizeof(count));
	watch_kernel(m);
	act(m);
}

int metering_fd(const struct metering *m)
{
	return m->epoll_fd;
}

int metering_enter(struct metering *m, const struct run_entry *entry, struct error *err)
{
	m->handle = entry->handle;
	m->started_ms = now_ms();
	return m->kernel ? metering_kernel_enter(m->kernel, entry, err) : 0;
}

/* ---- from outside ---- */

static bool phase_is_final(const struct metering *m, uint32_t phase)
{
	const Berm__Wire__Meter *meter = m->plan->meter;

	for (size_t i = 0; i < meter->n_phases; i++)
		if (meter->phases[i]->phase == phase)
			return meter->phases[i]->final;
	return false;
}

int metering_set(struct metering *m, unsigned posture, struct error *err)
{
	uint32_t phase, before = posture_of(m, &phase);

	if (!m->handle || m->killed)
		return error_set(err, -EAGAIN, ERROR_REFUSED, "the run is about to %s",
			m->killed ? "end" : "begin");
	if (before & ~posture && phase_is_final(m, phase))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the profile lets nobody take a run out of the phase \"%s\" "
			"(pace.%s.recover)",
			phase_name(phase), phase_name(phase));
	if (posture == POSTURE_OPEN)
		phase = PHASE_PRIMARY;
	notify_set(m->notify, posture, phase);
	add_trip(m, (struct trip){.kind = TRIP_KIND_OPERATOR, .rule = EFFECTS_NO_RULE});
	if (before & ~posture)
		m->trips_before = m->effects.trip_count;
	/* A program that is stopped before anything is refused to it can go on afterwards as if
	 * nothing had been; a shell whose fork is refused ends. */
	if (posture & POSTURE_FROZEN_BIT)
		act(m);
	if (m->kernel)
		metering_kernel_set(m->kernel, posture);
	act(m);
	return 0;
}

void metering_enter_phase(struct metering *m, uint32_t phase, uint32_t posture, enum trip_kind why)
{
	notify_tighten(m->notify, posture, phase, EFFECTS_NO_RULE);
	add_trip(m, (struct trip){.kind = why, .rule = EFFECTS_NO_RULE});
	if (m->kernel)
		metering_kernel_tighten(m->kernel, posture);
	act(m);
}

void metering_look(struct metering *m, struct effects *ret_effects)
{
	struct notify_snapshot now;

	notify_look(m->notify, &now);
	m->effects.posture = now.posture;
	m->effects.phase = now.phase;
	memcpy(m->effects.done, now.done, sizeof(now.done));
	memcpy(m->effects.refused, now.refused, sizeof(now.refused));
	memcpy(m->effects.limit, now.limit, sizeof(now.limit));
	if (m->kernel)
		metering_kernel_look(m->kernel, &m->effects);
	*ret_effects = m->effects;
}

void metering_end(struct metering *m, struct run_result *result)
{
	watch_kernel(m);
	m->handle = NULL;
	/* The kernel's programs kill by themselves: what is left of it is a tool that died. */
	if (posture_of(m, NULL) & POSTURE_DEAD_BIT &&
		(result->outcome == RUN_SIGNALED || result->outcome == RUN_KILLED))
		result->outcome = RUN_BREAKER;
}

/* ---- making it ---- */

/* What the gate counts; the kernel's programs say for themselves. */
static void mark_counted(struct metering *m)
{
	const Berm__Wire__Seccomp *seccomp = m->plan->seccomp;

	m->effects.counted[COUNTER_DENIALS] = true;
	for (size_t i = 0; m->plan->meter->gate && i < seccomp->n_syscalls; i++) {
		const Berm__Wire__Syscall *call = seccomp->syscalls[i];
		uint32_t charge = call->charge;

		for (size_t k = 0; k < call->n_cases; k++)
			charge |= call->cases[k]->charge;
		for (unsigned counter = 0; counter < COUNTER_COUNT; counter++)
			if (charge & (CHARGE_ONE(counter) | CHARGE_MORE(counter)))
				m->effects.counted[counter] = true;
	}
}

static int open_descriptors(struct metering *m, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};

	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->epoll_fd < 0 || m->wake_fd < 0 ||
		epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->wake_fd, &event) < 0)
		return error_errno(err, "the meter's descriptors");
	return 0;
}

int metering_create(const Berm__Wire__Plan *plan, const char *run_id,
	const struct metering_sink *sink, struct metering **ret_metering, struct error *err)
{
	struct metering *m = calloc(1, sizeof(*m));
	const struct notify_sink events = {m, on_notify_event};
	const struct metering_kernel_sink kernel = {
		m, on_kernel_trip, on_kernel_denial, sink->activity ? on_kernel_activity : NULL};
	int r;

	if (!m)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	m->plan = plan;
	m->run_id = run_id;
	m->sink = *sink;
	m->epoll_fd = m->wake_fd = -1;
	m->started_ms = now_ms();
	m->effects.metered = true;
	m->effects.make = "notify";
	mark_counted(m);
	r = open_descriptors(m, err);
	if (r == 0)
		r = notify_create(plan->meter, &events, &m->notify, err);
	if (r == 0 && plan->meter->programs)
		r = metering_kernel_create(plan, run_id, m->epoll_fd, &kernel, &m->kernel, err);
	if (r < 0) {
		metering_destroy(m);
		return r;
	}
	*ret_metering = m;
	return 0;
}

void metering_destroy(struct metering *m)
{
	if (!m)
		return;
	metering_kernel_destroy(m->kernel);
	notify_destroy(m->notify);
	own_close(&m->wake_fd);
	own_close(&m->epoll_fd);
	free(m);
}

int metering_facts(Berm__Wire__HostFacts *facts, bool starts, struct error *err)
{
	return metering_kernel_facts(facts, starts, err);
}
