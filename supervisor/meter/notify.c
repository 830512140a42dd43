/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/notify.h"

#include "base/own.h"

#include <errno.h>
#include <string.h>

#define POSTURE_BITS 6
_Static_assert(POSTURE_ALL == (1U << POSTURE_BITS) - 1, "every posture bit has a rule");

/* The times of the last denials of a breaker's kind, as many as its count: the oldest of them tells
 * whether all lie within one window, wherever that begins. */
struct window {
	uint64_t *times_ms; /* owned; count of them */
	uint64_t seen;      /* saturating */
	uint32_t next;
	bool fired;
};

struct notify {
	const Berm__Wire__Meter *meter;
	struct notify_sink sink;
	uint64_t done[COUNTER_COUNT];
	uint64_t refused[COUNTER_COUNT];
	uint64_t undone;
	uint32_t posture;
	uint32_t phase;
	uint32_t posture_rule[POSTURE_BITS]; /* what each bit of the posture is due to */
	uint64_t now_ms;
	bool *cap_fired, *step_fired; /* one for each of the meter's; owned */
	struct window *windows;       /* one for each breaker; owned */
};

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* How much a charge adds to a counter: 0, 1 or 2. */
static uint64_t amount_of(uint32_t charge, uint32_t counter)
{
	return !!(charge & CHARGE_ONE(counter)) + !!(charge & CHARGE_MORE(counter));
}

static int bad(struct error *err, const char *what, size_t index)
{
	return error_set(
		err, -EINVAL, ERROR_INTERNAL, "%s %zu of the meter is not valid", what, index);
}

static bool is_state(uint32_t posture, uint32_t phase)
{
	return !(posture & ~POSTURE_ALL) && phase < PHASE_COUNT;
}

static int check(const Berm__Wire__Meter *meter, struct error *err)
{
	for (size_t i = 0; i < meter->n_caps; i++)
		if (meter->caps[i]->counter >= COUNTER_COUNT ||
			!is_state(meter->caps[i]->posture, meter->caps[i]->phase))
			return bad(err, "cap", i);
	for (size_t i = 0; i < meter->n_steps; i++)
		if (meter->steps[i]->counter >= COUNTER_COUNT ||
			!is_state(meter->steps[i]->posture, meter->steps[i]->phase))
			return bad(err, "step", i);
	for (size_t i = 0; i < meter->n_breakers; i++) {
		const Berm__Wire__MeterBreaker *b = meter->breakers[i];

		if (b->class_ <= DENIAL_QUIET || b->class_ >= DENIAL_CLASS_COUNT || !b->count ||
			b->count > NOTIFY_BREAKER_COUNT_MAX || !is_state(b->posture, b->phase))
			return bad(err, "breaker", i);
	}
	return 0;
}

static bool allocate(struct notify *n)
{
	const Berm__Wire__Meter *meter = n->meter;

	n->cap_fired = calloc(meter->n_caps + 1, sizeof(*n->cap_fired));
	n->step_fired = calloc(meter->n_steps + 1, sizeof(*n->step_fired));
	n->windows = calloc(meter->n_breakers + 1, sizeof(*n->windows));
	if (!n->cap_fired || !n->step_fired || !n->windows)
		return false;
	for (size_t i = 0; i < meter->n_breakers; i++) {
		struct window *w = &n->windows[i];

		w->times_ms = calloc(meter->breakers[i]->count, sizeof(*w->times_ms));
		if (!w->times_ms)
			return false;
	}
	return true;
}

int notify_create(const Berm__Wire__Meter *meter, const struct notify_sink *sink,
	struct notify **ret_notify, struct error *err)
{
	struct notify *n;
	int r = check(meter, err);

	if (r < 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (n) {
		n->meter = meter;
		if (sink)
			n->sink = *sink;
	}
	if (!n || !allocate(n)) {
		notify_destroy(n);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the meter");
	}
	*ret_notify = n;
	return 0;
}

void notify_destroy(struct notify *notify)
{
	if (!notify)
		return;
	for (size_t i = 0; notify->windows && i < notify->meter->n_breakers; i++)
		free(notify->windows[i].times_ms);
	free(notify->windows);
	free(notify->cap_fired);
	free(notify->step_fired);
	free(notify);
}

static void tighten(struct notify *n, uint32_t posture, uint32_t phase, uint32_t rule)
{
	for (uint32_t i = 0; i < POSTURE_BITS; i++)
		if (posture & ~n->posture & (1U << i))
			n->posture_rule[i] = rule;
	n->posture |= posture;
	if (phase > n->phase)
		n->phase = phase;
}

static void emit(const struct notify *n, struct notify_event event)
{
	event.posture = n->posture;
	event.phase = n->phase;
	if (n->sink.event)
		n->sink.event(n->sink.context, &event);
}

/* Thresholds of a counter that has grown. */
static void take_steps(struct notify *n, uint32_t counter)
{
	uint64_t value = add(n->done[counter], n->refused[counter]);

	for (size_t i = 0; i < n->meter->n_steps; i++) {
		const Berm__Wire__MeterStep *step = n->meter->steps[i];

		if (step->counter != counter || value < step->at || n->step_fired[i])
			continue;
		n->step_fired[i] = true;
		tighten(n, step->posture, step->phase, step->rule);
		emit(n, (struct notify_event){.kind = NOTIFY_STEP,
				.index = (uint32_t)i,
				.counter = counter,
				.value = value,
				.limit = step->at,
				.rule = step->rule});
	}
}

/* A cap is there to refuse, or to have refused: what would be done beyond it is remembered. */
static void cap_refuses(struct notify *n, size_t index, uint64_t amount)
{
	const Berm__Wire__MeterCap *cap = n->meter->caps[index];

	if (n->cap_fired[index])
		return;
	n->cap_fired[index] = true;
	tighten(n, cap->posture, cap->phase, cap->rule);
	emit(n, (struct notify_event){.kind = NOTIFY_CAP,
			.index = (uint32_t)index,
			.counter = cap->counter,
			.value = add(n->done[cap->counter], amount),
			.limit = cap->limit,
			.rule = cap->rule});
}

static bool posture_refuses(
	const struct notify *n, uint32_t needs, struct notify_verdict *ret_verdict)
{
	uint32_t by = n->posture & (needs | POSTURE_FROZEN_BIT | POSTURE_DEAD_BIT);

	if (!by)
		return false;
	*ret_verdict = (struct notify_verdict){.errno_value = EPERM,
		.by_posture = true,
		.rule = n->posture_rule[__builtin_ctz(by)]};
	return true;
}

/* True where a cap refuses: the first one that would be crossed is the verdict's. */
static bool caps_refuse(struct notify *n, uint32_t charge, struct notify_verdict *ret_verdict)
{
	uint32_t crossed = 0;

	for (size_t i = 0; i < n->meter->n_caps; i++) {
		const Berm__Wire__MeterCap *cap = n->meter->caps[i];
		uint64_t amount = amount_of(charge, cap->counter);

		if (!amount || add(n->done[cap->counter], amount) <= cap->limit)
			continue;
		if (!crossed)
			*ret_verdict = (struct notify_verdict){
				.errno_value =
					cap->counter == COUNTER_PROCESSES_STARTED ? EAGAIN : EPERM,
				.rule = cap->rule,
				.counter = cap->counter};
		if (!(crossed & 1U << cap->counter))
			n->refused[cap->counter] = add(n->refused[cap->counter], amount);
		crossed |= 1U << cap->counter;
		cap_refuses(n, i, amount);
	}
	for (uint32_t counter = 0; counter < COUNTER_COUNT; counter++)
		if (crossed & 1U << counter)
			take_steps(n, counter);
	return crossed != 0;
}

void notify_charge(
	struct notify *notify, uint32_t charge, uint32_t needs, struct notify_verdict *ret_verdict)
{
	*ret_verdict = (struct notify_verdict){0};
	if (posture_refuses(notify, needs, ret_verdict) || caps_refuse(notify, charge, ret_verdict))
		return;
	for (uint32_t counter = 0; counter < COUNTER_COUNT; counter++) {
		uint64_t amount = amount_of(charge, counter);

		if (!amount)
			continue;
		notify->done[counter] = add(notify->done[counter], amount);
		take_steps(notify, counter);
	}
}

void notify_undo(struct notify *notify, uint32_t charge)
{
	for (uint32_t counter = 0; counter < COUNTER_COUNT; counter++) {
		uint64_t amount = amount_of(charge, counter);

		/* A counter that is full stays full: how much it lost is not known. */
		if (notify->done[counter] != UINT64_MAX)
			notify->done[counter] -=
				amount < notify->done[counter] ? amount : notify->done[counter];
	}
	notify->undone = add(notify->undone, 1);
}

/* Put a denial into a breaker's window; how many that holds now, where they are enough, else 0. */
static uint64_t fill_window(
	struct window *w, const Berm__Wire__MeterBreaker *breaker, uint64_t now_ms)
{
	uint64_t oldest_ms;

	w->times_ms[w->next] = now_ms;
	w->next = (w->next + 1) % breaker->count;
	w->seen = add(w->seen, 1);
	if (w->seen < breaker->count)
		return 0;
	oldest_ms = w->times_ms[w->next];
	return !breaker->within_ms || now_ms - oldest_ms <= breaker->within_ms ? breaker->count : 0;
}

void notify_denied(struct notify *notify, uint32_t class, uint64_t now_ms)
{
	struct notify *n = notify;

	if (class == DENIAL_QUIET || class >= DENIAL_CLASS_COUNT)
		return;
	if (now_ms > n->now_ms)
		n->now_ms = now_ms;
	n->done[COUNTER_DENIALS] = add(n->done[COUNTER_DENIALS], 1);
	take_steps(n, COUNTER_DENIALS);
	for (size_t i = 0; i < n->meter->n_breakers; i++) {
		const Berm__Wire__MeterBreaker *b = n->meter->breakers[i];
		struct window *w = &n->windows[i];
		uint64_t held;
		bool news;

		/* The graver kinds are denials too. */
		if (b->class_ != class && b->class_ != DENIAL_COUNTED)
			continue;
		held = fill_window(w, b, n->now_ms);
		if (!held)
			continue;
		news = !w->fired || b->posture & ~n->posture || b->phase > n->phase;
		w->fired = true;
		tighten(n, b->posture, b->phase, b->rule);
		if (news)
			emit(n, (struct notify_event){.kind = NOTIFY_BREAKER,
					.index = (uint32_t)i,
					.counter = COUNTER_DENIALS,
					.value = held,
					.limit = b->count,
					.rule = b->rule});
	}
}

void notify_tighten(struct notify *notify, uint32_t posture, uint32_t phase, uint32_t rule)
{
	tighten(notify, posture & POSTURE_ALL, phase < PHASE_COUNT ? phase : PHASE_EMERGENCY, rule);
}

void notify_set(struct notify *notify, uint32_t posture, uint32_t phase)
{
	for (unsigned i = 0; i < POSTURE_BITS; i++)
		notify->posture_rule[i] = NOTIFY_NO_RULE;
	notify->posture = posture & POSTURE_ALL;
	notify->phase = phase < PHASE_COUNT ? phase : PHASE_EMERGENCY;
}

void notify_look(const struct notify *notify, struct notify_snapshot *ret_snapshot)
{
	struct notify_snapshot *s = ret_snapshot;

	memcpy(s->done, notify->done, sizeof(s->done));
	memcpy(s->refused, notify->refused, sizeof(s->refused));
	for (uint32_t counter = 0; counter < COUNTER_COUNT; counter++)
		s->limit[counter] = NOTIFY_UNLIMITED;
	for (size_t i = 0; i < notify->meter->n_caps; i++) {
		const Berm__Wire__MeterCap *cap = notify->meter->caps[i];

		if (cap->limit < s->limit[cap->counter])
			s->limit[cap->counter] = cap->limit;
	}
	s->undone = notify->undone;
	s->posture = notify->posture;
	s->phase = notify->phase;
}
