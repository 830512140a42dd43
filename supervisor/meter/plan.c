/* SPDX-License-Identifier: Apache-2.0 */

/* What a plan says about the meter, in the meter's own words. Pure: no system call. */
#include "base/path.h"
#include "meter/join.h"
#include "wire/effects.h"

#include <string.h>

/* An id tells which table of the plan it is from, and where in it. */
enum origin { ORIGIN_CAP = 1, ORIGIN_STEP, ORIGIN_BREAKER };
#define ORIGIN_SHIFT 24

static uint32_t id_of(enum origin origin, size_t index)
{
	return (uint32_t)origin << ORIGIN_SHIFT | (uint32_t)index;
}

bool meter_origin_of(const Berm__Wire__Meter *plan, const struct meter_event *event,
	struct meter_origin *ret_origin)
{
	uint32_t origin = event->id >> ORIGIN_SHIFT;
	size_t index = event->id & ((1u << ORIGIN_SHIFT) - 1);

	if (event->kind == METER_EVENT_CAP && origin == ORIGIN_CAP && index < plan->n_caps)
		*ret_origin =
			(struct meter_origin){plan->caps[index]->rule, plan->caps[index]->phase};
	else if (event->kind == METER_EVENT_STEP && origin == ORIGIN_STEP && index < plan->n_steps)
		*ret_origin =
			(struct meter_origin){plan->steps[index]->rule, plan->steps[index]->phase};
	else if (event->kind == METER_EVENT_BREAKER && origin == ORIGIN_BREAKER &&
		 index < plan->n_breakers)
		*ret_origin = (struct meter_origin){
			plan->breakers[index]->rule, plan->breakers[index]->phase};
	else
		return false;
	return true;
}

static int no_such_counter(uint32_t counter, struct error *err)
{
	return error_set(
		err, -EINVAL, ERROR_INPUT, "the plan counts %u, which is no counter", counter);
}

static int set_caps(const Berm__Wire__Meter *plan, struct meter_limits *limits, struct error *err)
{
	for (size_t i = 0; i < plan->n_caps; i++) {
		const Berm__Wire__MeterCap *cap = plan->caps[i];
		struct meter_cap *to = &limits->cap[cap->counter % METER_COUNTERS];

		if (cap->counter >= COUNTER_COUNT)
			return no_such_counter(cap->counter, err);
		/* Of two caps of one counter the smaller one is reached first. */
		if (cap->limit >= to->limit)
			continue;
		*to = (struct meter_cap){
			.limit = cap->limit, .posture = cap->posture, .id = id_of(ORIGIN_CAP, i)};
	}
	return 0;
}

static int set_steps(const Berm__Wire__Meter *plan, struct meter_limits *limits, struct error *err)
{
	size_t used[METER_COUNTERS] = {0};

	for (size_t i = 0; i < plan->n_steps; i++) {
		const Berm__Wire__MeterStep *step = plan->steps[i];

		if (step->counter >= COUNTER_COUNT)
			return no_such_counter(step->counter, err);
		if (used[step->counter] == METER_STEPS)
			return error_set(err, -E2BIG, ERROR_UNSUPPORTED,
				"%s: the meter holds %d steps of a counter",
				effect_counter_name(step->counter), METER_STEPS);
		limits->step[step->counter][used[step->counter]++] =
			(struct meter_step){.at = step->at ? step->at : 1,
				.posture = step->posture,
				.id = id_of(ORIGIN_STEP, i)};
	}
	return 0;
}

static int set_breakers(
	const Berm__Wire__Meter *plan, struct meter_limits *limits, struct error *err)
{
	if (plan->n_breakers > METER_BREAKERS)
		return error_set(err, -E2BIG, ERROR_UNSUPPORTED,
			"the meter holds %d breakers, not %zu", METER_BREAKERS, plan->n_breakers);
	for (size_t i = 0; i < plan->n_breakers; i++) {
		const Berm__Wire__MeterBreaker *breaker = plan->breakers[i];

		if (breaker->class_ == DENIAL_QUIET || breaker->class_ >= DENIAL_CLASS_COUNT ||
			breaker->count == 0)
			return error_set(
				err, -EINVAL, ERROR_INPUT, "breaker %zu waits for nothing", i);
		limits->breaker[i] = (struct meter_breaker){.class = breaker->class_,
			.count = breaker->count,
			.within_ns = breaker->within_ms > UINT64_MAX / 1000000
					     ? 0
					     : breaker->within_ms * 1000000,
			.posture = breaker->posture,
			.id = id_of(ORIGIN_BREAKER, i)};
	}
	return 0;
}

int meter_limits_of_plan(
	const Berm__Wire__Meter *plan, struct meter_limits *ret_limits, struct error *err)
{
	int r;

	meter_limits_none(ret_limits);
	r = set_caps(plan, ret_limits, err);
	if (r == 0)
		r = set_steps(plan, ret_limits, err);
	return r ? r : set_breakers(plan, ret_limits, err);
}

/* ---- rights ---- */

#define RIGHTS_RUN (METER_RIGHT_EXEC | METER_RIGHT_MAP_EXEC)
#define RIGHTS_USE (METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_CONNECT)
#define FROM_ABOVE UINT32_MAX

/* What a mount of the plan leaves open; FROM_ABOVE where it only covers itself. */
static uint32_t rights_of_mount(const Berm__Wire__Mount *mount)
{
	uint32_t run = mount->no_exec ? 0 : RIGHTS_RUN;

	switch (mount->kind) {
	case BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS:
		return RIGHTS_USE | run | METER_RIGHT_SCRATCH;
	case BERM__WIRE__MOUNT_KIND__MOUNT_BIND:
		return (RIGHTS_USE | run) & ~(mount->read_only ? METER_RIGHT_WRITE : 0u);
	case BERM__WIRE__MOUNT_KIND__MOUNT_COPY:
		return METER_RIGHT_READ | METER_RIGHT_CONNECT | RIGHTS_RUN;
	case BERM__WIRE__MOUNT_KIND__MOUNT_STAGE:
		return RIGHTS_USE | run;
	case BERM__WIRE__MOUNT_KIND__MOUNT_PROC:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE:
		return METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_SCRATCH;
	case BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE:
		return METER_RIGHT_READ;
	case BERM__WIRE__MOUNT_KIND__MOUNT_HIDE:
		return 0;
	case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PIN:
	case BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DIR:
	case BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK:
	case BERM__WIRE__MOUNT_KIND__MOUNT_FILE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY:
	case _BERM__WIRE__MOUNT_KIND_IS_INT_SIZE:
		break;
	}
	return FROM_ABOVE;
}

/* What is said about exactly this path of length bytes; FROM_ABOVE = nothing. */
static uint32_t said_of(
	const Berm__Wire__Plan *plan, const char *path, size_t length, uint32_t *ret_rule)
{
	uint32_t rights = FROM_ABOVE;

	for (size_t i = 0; plan->meter && i < plan->meter->n_anchors; i++) {
		const Berm__Wire__MeterAnchor *anchor = plan->meter->anchors[i];

		if (strlen(anchor->path) != length || memcmp(anchor->path, path, length) != 0)
			continue;
		*ret_rule = anchor->rule;
		return anchor->rights;
	}
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *mount = plan->mounts[i];

		if (strlen(mount->target) != length || memcmp(mount->target, path, length) != 0 ||
			rights_of_mount(mount) == FROM_ABOVE)
			continue;
		/* The last one lies on top. */
		rights = rights_of_mount(mount);
		*ret_rule = mount->rule;
	}
	return rights;
}

uint32_t meter_rights_at(
	const Berm__Wire__Plan *plan, const char *path, bool read_only, uint32_t *ret_rule)
{
	size_t length = strlen(path);
	uint32_t rights = FROM_ABOVE;

	*ret_rule = 0;
	for (;;) {
		rights = said_of(plan, path, length, ret_rule);
		if (rights != FROM_ABOVE || length <= 1)
			break;
		while (length > 1 && path[length - 1] != '/')
			length--;
		length -= length > 1; /* the slash, but not that of the root */
	}
	if (rights == FROM_ABOVE)
		rights = METER_RIGHT_READ;
	return read_only ? rights & ~(uint32_t)METER_RIGHT_WRITE : rights;
}
