/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "meter/join.h"
#include "meter/places.h"
#include "wire/effects.h"

#include <string.h>

#define ALL_BUT_SCRATCH                                                                            \
	(METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_EXEC | METER_RIGHT_MAP_EXEC |          \
		METER_RIGHT_CONNECT)

static uint32_t rights(const Berm__Wire__Plan *plan, const char *path, bool read_only)
{
	uint32_t rule;

	return meter_rights_at(plan, path, read_only, &rule);
}

static void a_mount_has_the_rights_that_are_said_of_it(void **state)
{
	Berm__Wire__MeterAnchor tools, *anchors[] = {&tools};
	Berm__Wire__Meter meter = BERM__WIRE__METER__INIT;
	Berm__Wire__Plan plan;
	Berm__Wire__Mount mount[5], *mounts[5];
	uint32_t rule = 99;

	(void)state;
	berm__wire__plan__init(&plan);
	berm__wire__meter_anchor__init(&tools);
	for (size_t i = 0; i < 5; i++) {
		berm__wire__mount__init(&mount[i]);
		mount[i].rule = (uint32_t)(10 + i);
		mounts[i] = &mount[i];
	}
	mount[0].kind = BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS;
	mount[0].target = "/";
	mount[1].kind = BERM__WIRE__MOUNT_KIND__MOUNT_BIND;
	mount[1].target = "/job";
	mount[1].no_exec = true;
	mount[2].kind = BERM__WIRE__MOUNT_KIND__MOUNT_SEAL;
	mount[2].target = "/job/.git";
	mount[3].kind = BERM__WIRE__MOUNT_KIND__MOUNT_HIDE;
	mount[3].target = "/job/secret";
	mount[4].kind = BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY;
	mount[4].target = "/";
	tools.path = "/usr/lib";
	tools.rights = METER_RIGHT_READ | METER_RIGHT_MAP_EXEC;
	tools.rule = 42;
	meter.anchors = anchors;
	meter.n_anchors = 1;
	plan.mounts = mounts;
	plan.n_mounts = 5;
	plan.meter = &meter;
	assert_int_equal(rights(&plan, "/", false), ALL_BUT_SCRATCH | METER_RIGHT_SCRATCH);
	assert_int_equal(rights(&plan, "/", true),
		(ALL_BUT_SCRATCH | METER_RIGHT_SCRATCH) & ~METER_RIGHT_WRITE);
	assert_int_equal(rights(&plan, "/job", false),
		METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_CONNECT);
	/* What came along with the grant, and what only covers itself. */
	assert_int_equal(rights(&plan, "/job/disk", true), METER_RIGHT_READ | METER_RIGHT_CONNECT);
	assert_int_equal(rights(&plan, "/job/.git", true), METER_RIGHT_READ | METER_RIGHT_CONNECT);
	assert_int_equal(meter_rights_at(&plan, "/job/secret", false, &rule), 0);
	assert_int_equal(rule, 13);
	/* No component, only a beginning of one. */
	assert_true(rights(&plan, "/jobs", false) & METER_RIGHT_SCRATCH);
	assert_int_equal(meter_rights_at(&plan, "/usr/lib/x", false, &rule), tools.rights);
	assert_int_equal(rule, 42);
	mount[0].kind = BERM__WIRE__MOUNT_KIND__MOUNT_DIR;
	assert_int_equal(rights(&plan, "/other", false), METER_RIGHT_READ);
}

static void limits_carry_the_way_back_to_the_plan(void **state)
{
	Berm__Wire__MeterCap cap[2] = {BERM__WIRE__METER_CAP__INIT, BERM__WIRE__METER_CAP__INIT};
	Berm__Wire__MeterCap *caps[] = {&cap[0], &cap[1]};
	Berm__Wire__MeterStep step = BERM__WIRE__METER_STEP__INIT, *steps[] = {&step};
	Berm__Wire__MeterBreaker breaker = BERM__WIRE__METER_BREAKER__INIT,
				 *breakers[] = {&breaker};
	Berm__Wire__Meter meter = BERM__WIRE__METER__INIT;
	struct meter_event event = {0};
	struct meter_origin origin;
	struct meter_limits limits;
	struct error err = {0};

	(void)state;
	cap[0].counter = cap[1].counter = COUNTER_FILES_DELETED;
	cap[0].limit = 25;
	cap[1].limit = 20;
	cap[1].rule = 5;
	cap[1].phase = PHASE_ALTERNATE;
	cap[1].posture = POSTURE_READ_ONLY;
	step.counter = COUNTER_BYTES_SENT;
	step.at = 100;
	step.rule = 6;
	breaker.class_ = DENIAL_COUNTED;
	breaker.count = 3;
	breaker.within_ms = 600000;
	breaker.rule = 7;
	breaker.phase = PHASE_CONTINGENCY;
	breaker.posture = POSTURE_FROZEN;
	meter.caps = caps;
	meter.n_caps = 2;
	meter.steps = steps;
	meter.n_steps = 1;
	meter.breakers = breakers;
	meter.n_breakers = 1;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), 0);
	assert_int_equal(limits.cap[METER_FILES_DELETED].limit, 20);
	assert_int_equal(limits.cap[METER_FILES_DELETED].posture, METER_READ_ONLY);
	assert_true(limits.cap[METER_BYTES_SENT].limit == METER_UNLIMITED);
	assert_int_equal(limits.step[METER_BYTES_SENT][0].at, 100);
	assert_true(limits.breaker[0].within_ns == 600000ULL * 1000000);
	event.kind = METER_EVENT_CAP;
	event.id = limits.cap[METER_FILES_DELETED].id;
	assert_true(meter_origin_of(&meter, &event, &origin));
	assert_int_equal(origin.rule, 5);
	assert_int_equal(origin.phase, PHASE_ALTERNATE);
	event.kind = METER_EVENT_STEP;
	/* An id of another table is none of this kind. */
	assert_false(meter_origin_of(&meter, &event, &origin));
	event.id = limits.step[METER_BYTES_SENT][0].id;
	assert_true(meter_origin_of(&meter, &event, &origin));
	assert_int_equal(origin.rule, 6);
	event.kind = METER_EVENT_BREAKER;
	event.id = limits.breaker[0].id;
	assert_true(meter_origin_of(&meter, &event, &origin));
	assert_int_equal(origin.rule, 7);
	event.id = limits.breaker[0].id + 1;
	assert_false(meter_origin_of(&meter, &event, &origin));
	event.kind = METER_EVENT_DENIAL;
	event.id = 0;
	assert_false(meter_origin_of(&meter, &event, &origin));
}

static void what_the_meter_cannot_hold_is_refused(void **state)
{
	Berm__Wire__MeterStep step = BERM__WIRE__METER_STEP__INIT, *steps[METER_STEPS + 1];
	Berm__Wire__MeterBreaker breaker = BERM__WIRE__METER_BREAKER__INIT;
	Berm__Wire__MeterBreaker *breakers[METER_BREAKERS + 1];
	Berm__Wire__Meter meter = BERM__WIRE__METER__INIT;
	struct meter_limits limits;
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < array_size(steps); i++)
		steps[i] = &step;
	for (size_t i = 0; i < array_size(breakers); i++)
		breakers[i] = &breaker;
	meter.steps = steps;
	meter.n_steps = METER_STEPS;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), 0);
	meter.n_steps = METER_STEPS + 1;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), -E2BIG);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	meter.n_steps = 1;
	step.counter = COUNTER_COUNT;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), -EINVAL);
	meter.n_steps = 0;
	breaker.class_ = DENIAL_CANARY;
	breaker.count = 1;
	meter.breakers = breakers;
	meter.n_breakers = METER_BREAKERS + 1;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), -E2BIG);
	meter.n_breakers = 1;
	breaker.class_ = DENIAL_QUIET;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), -EINVAL);
	breaker.class_ = DENIAL_CANARY;
	breaker.count = 0;
	assert_int_equal(meter_limits_of_plan(&meter, &limits, &err), -EINVAL);
}

static void mount_points_are_read_as_the_kernel_writes_them(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"/a\\040b", "/a b"}, {"/tab\\011", "/tab\t"}, {"/back\\134040", "/back\\040"},
		{"/plain", "/plain"}, {"/end\\04", "/end\\04"}, {"/\\777", "/\\777"}, {"", ""}};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		char field[32];

		strcpy(field, cases[i].in);
		run_places_unescape(field);
		assert_string_equal(field, cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_has_the_rights_that_are_said_of_it),
		cmocka_unit_test(limits_carry_the_way_back_to_the_plan),
		cmocka_unit_test(what_the_meter_cannot_hold_is_refused),
		cmocka_unit_test(mount_points_are_read_as_the_kernel_writes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
