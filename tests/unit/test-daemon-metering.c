/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/metering.h"
#include "daemon/status.h"

#include <jansson.h>
#include <string.h>

/* The meter of a run without programs in the kernel: what the gate and the walls report becomes
 * counters, trips, postures, and the words of the record and the footer. No run is needed: what
 * would stop one waits for the run loop. */

static char file[] = "p.yaml", none[] = "", deleted[] = "blast_radius.files_deleted", cap[] = "2",
	    denials[] = "pace.alternate.when", thrice[] = "denial 3",
	    escape[] = "pace.emergency.when", once[] = "escape_attempt", berm[] = "berm";

struct world {
	Berm__Wire__Plan plan;
	Berm__Wire__Meter meter;
	Berm__Wire__Seccomp seccomp;
	Berm__Wire__Syscall unlink, *calls[1];
	Berm__Wire__Rule rule[4], *rules[4];
	Berm__Wire__MeterCap cap, *caps[1];
	Berm__Wire__MeterStep step, *steps[1];
	Berm__Wire__MeterBreaker breaker[2], *breakers[2];
	Berm__Wire__MeterPhase phase, *phases[1];
	struct metering *metering;
	unsigned refused;
	char last[128];
};

static void on_refused(void *context, const char *operation, const char *target, uint32_t rule)
{
	struct world *w = context;

	w->refused++;
	snprintf(w->last, sizeof(w->last), "%s %s %u", operation, target, rule);
}

static void add_rule(struct world *w, size_t i, char *key, char *value, uint32_t line)
{
	berm__wire__rule__init(&w->rule[i]);
	w->rule[i].key = key;
	w->rule[i].value = value;
	w->rule[i].file = line ? file : none;
	w->rule[i].line = line;
	w->rules[i] = &w->rule[i];
}

static void add_breaker(struct world *w, size_t i, enum denial_class class, uint32_t count,
	uint32_t posture, uint32_t phase)
{
	berm__wire__meter_breaker__init(&w->breaker[i]);
	w->breaker[i].class_ = class;
	w->breaker[i].count = count;
	w->breaker[i].posture = posture;
	w->breaker[i].phase = phase;
	w->breaker[i].rule = (uint32_t)i + 2;
	w->breakers[i] = &w->breaker[i];
}

/* Two deletions, a warning at the first, read-only beyond; three refusals: read-only; an escape:
 * dead. */
static void make_meter(struct world *w)
{
	berm__wire__meter__init(&w->meter);
	berm__wire__meter_cap__init(&w->cap);
	berm__wire__meter_step__init(&w->step);
	berm__wire__meter_phase__init(&w->phase);
	w->meter.gate = true;
	w->cap.counter = w->step.counter = COUNTER_FILES_DELETED;
	w->cap.limit = 2;
	w->cap.posture = POSTURE_READ_ONLY;
	w->cap.phase = PHASE_ALTERNATE;
	w->cap.rule = w->step.rule = 1;
	w->step.at = 1;
	w->caps[0] = &w->cap;
	w->steps[0] = &w->step;
	add_breaker(w, 0, DENIAL_COUNTED, 3, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	add_breaker(w, 1, DENIAL_ESCAPE, 1, POSTURE_DEAD, PHASE_EMERGENCY);
	w->phase.phase = PHASE_EMERGENCY;
	w->phase.final = true;
	w->phases[0] = &w->phase;
	w->meter.caps = w->caps;
	w->meter.n_caps = 1;
	w->meter.steps = w->steps;
	w->meter.n_steps = 1;
	w->meter.breakers = w->breakers;
	w->meter.n_breakers = 2;
	w->meter.phases = w->phases;
	w->meter.n_phases = 1;
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const struct metering_sink sink = {w, on_refused, NULL};
	struct error err = {0};

	assert_non_null(w);
	*state = w;
	berm__wire__plan__init(&w->plan);
	berm__wire__seccomp__init(&w->seccomp);
	berm__wire__syscall__init(&w->unlink);
	add_rule(w, 0, berm, none, 0);
	add_rule(w, 1, deleted, cap, 4);
	add_rule(w, 2, denials, thrice, 6);
	add_rule(w, 3, escape, once, 7);
	make_meter(w);
	w->unlink.charge = CHARGE_ONE(COUNTER_FILES_DELETED);
	w->calls[0] = &w->unlink;
	w->seccomp.syscalls = w->calls;
	w->seccomp.n_syscalls = 1;
	w->plan.rules = w->rules;
	w->plan.n_rules = array_size(w->rule);
	w->plan.meter = &w->meter;
	w->plan.seccomp = &w->seccomp;
	if (metering_create(&w->plan, "RUN", &sink, &w->metering, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	metering_destroy(w->metering);
	free(w);
	return 0;
}

static int delete_one(struct world *w)
{
	const struct gate_call call = {.name = "unlinkat",
		.charge = CHARGE_ONE(COUNTER_FILES_DELETED),
		.needs = POSTURE_NO_WRITE,
		.rule = 1};

	return metering_gate(w->metering, &call);
}

static void refuse(struct world *w, const char *call)
{
	const struct denial_event event = {.operation = "syscall", .target = call};

	metering_denied(w->metering, &event);
}

static struct effects look(struct world *w)
{
	struct effects effects;

	metering_look(w->metering, &effects);
	return effects;
}

static void a_cap_is_exact_and_told_once(void **state)
{
	struct world *w = *state;
	struct effects e;

	assert_int_equal(delete_one(w), 0);
	assert_int_equal(delete_one(w), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(delete_one(w), EPERM);
	e = look(w);
	assert_int_equal(e.done[COUNTER_FILES_DELETED], 2);
	assert_int_equal(e.refused[COUNTER_FILES_DELETED], 1);
	assert_int_equal(e.limit[COUNTER_FILES_DELETED], 2);
	assert_true(e.counted[COUNTER_FILES_DELETED] && !e.counted[COUNTER_BYTES_SENT]);
	assert_int_equal(e.posture, POSTURE_READ_ONLY);
	assert_int_equal(e.phase, PHASE_ALTERNATE);
	assert_int_equal(e.trip_count, 2);
	assert_true(e.trips[0].kind == TRIP_KIND_STEP && e.trips[0].warning);
	assert_true(e.trips[1].kind == TRIP_KIND_CAP && !e.trips[1].warning);
	assert_int_equal(e.trips[1].rule, 1);
	assert_int_equal(e.trips[1].posture, POSTURE_READ_ONLY);
	assert_int_equal(w->refused, 5);
	assert_string_equal(w->last, "syscall unlinkat 1");
}

static void what_never_ran_is_given_back(void **state)
{
	const struct gate_call call = {
		.name = "unlinkat", .charge = CHARGE_ONE(COUNTER_FILES_DELETED)};
	struct world *w = *state;

	assert_int_equal(delete_one(w), 0);
	metering_undo(w->metering, &call);
	assert_int_equal(look(w).done[COUNTER_FILES_DELETED], 0);
}

static void refusals_are_told_apart_by_their_class(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 20; i++)
		refuse(w, "setsockopt");
	assert_int_equal(look(w).posture, POSTURE_OPEN);
	refuse(w, "quotactl");
	refuse(w, "quotactl");
	assert_int_equal(look(w).posture, POSTURE_OPEN);
	refuse(w, "quotactl");
	assert_int_equal(look(w).posture, POSTURE_READ_ONLY);
	refuse(w, "mount");
	assert_int_equal(look(w).posture, POSTURE_DEAD);
	assert_int_equal(look(w).phase, PHASE_EMERGENCY);
	assert_int_equal(look(w).trips[look(w).trip_count - 1].class, DENIAL_ESCAPE);
}

static void what_comes_again_after_the_run_was_let_go_on_is_another_trip(void **state)
{
	struct world *w = *state;
	/* Nothing here freezes or kills: only that there is a run is asked. */
	const struct run_entry entry = {.handle = (struct run_handle *)(void *)w};
	struct error err = {0};

	assert_int_equal(metering_enter(w->metering, &entry, &err), 0);
	for (int i = 0; i < 20; i++)
		refuse(w, "quotactl");
	assert_int_equal(look(w).trip_count, 1);
	assert_int_equal(look(w).breakers_tripped, 1);
	/* Tightened by hand: the same trip is the same. */
	assert_int_equal(metering_set(w->metering, POSTURE_READ_ONLY | POSTURE_NO_FORK, &err), 0);
	refuse(w, "quotactl");
	assert_int_equal(look(w).breakers_tripped, 1);
	assert_int_equal(metering_set(w->metering, POSTURE_OPEN, &err), 0);
	refuse(w, "quotactl");
	assert_int_equal(look(w).posture, POSTURE_READ_ONLY);
	assert_int_equal(look(w).breakers_tripped, 2);
	assert_int_equal(look(w).trips[look(w).trip_count - 1].kind, TRIP_KIND_BREAKER);
	assert_int_equal(look(w).caps_crossed + look(w).emergencies, 0);
	/* A warning crosses nothing; a cap is a cap, whatever the rule. */
	assert_int_equal(metering_set(w->metering, POSTURE_OPEN, &err), 0);
	assert_int_equal(delete_one(w), 0);
	assert_int_equal(look(w).caps_crossed, 0);
	assert_int_equal(delete_one(w), 0);
	assert_int_equal(delete_one(w), EPERM);
	assert_int_equal(look(w).caps_crossed, 1);
	for (int i = 0; i < 2 * EFFECTS_TRIPS_MAX; i++) {
		assert_int_equal(metering_set(w->metering, POSTURE_OPEN, &err), 0);
		refuse(w, "quotactl");
	}
	assert_int_equal(look(w).breakers_tripped, 2 + 2 * EFFECTS_TRIPS_MAX);
	assert_true(look(w).trips_not_kept > 0);
}

/* Before there is a run nobody can stop or open it, and a tool that died of it is the breaker's. */
static void the_end_is_the_breakers_where_the_posture_is_dead(void **state)
{
	struct run_result result = {.outcome = RUN_SIGNALED, .signal = 9, .code = 137};
	struct error err = {0};
	struct world *w = *state;

	assert_int_equal(metering_set(w->metering, POSTURE_OPEN, &err), -EAGAIN);
	metering_end(w->metering, &result);
	assert_int_equal(result.outcome, RUN_SIGNALED);
	refuse(w, "mount");
	metering_end(w->metering, &result);
	assert_int_equal(result.outcome, RUN_BREAKER);
	result.outcome = RUN_EXITED;
	metering_end(w->metering, &result);
	assert_int_equal(result.outcome, RUN_EXITED);
}

static json_t *record_of(struct world *w, struct text *footer)
{
	static struct denials empty;
	struct effects effects = look(w);
	const struct status status = {.run_id = "RUN",
		.outcome = RUN_BREAKER,
		.plan = &w->plan,
		.denials = &empty,
		.effects = &effects};
	autotext struct text out = {0};
	json_error_t problem;
	json_t *record;

	status_record(&status, &out);
	status_footer(&status, footer);
	record = json_loads(text_string(&out), JSON_REJECT_DUPLICATES, &problem);
	if (!record)
		fail_msg("%s in %s", problem.text, text_string(&out));
	return record;
}

static void record_and_footer_name_cap_rule_and_line(void **state)
{
	autotext struct text footer = {0};
	struct world *w = *state;
	const char *kind, *counter, *rule, *posture, *phase, *outcome;
	int line, done, limit, beyond;
	json_t *record;

	for (int i = 0; i < 3; i++)
		(void)!delete_one(w);
	record = record_of(w, &footer);
	assert_int_equal(
		json_unpack(record, "{s:s, s:s, s:s, s:{s:{s:i, s:i, s:i}}}", "outcome", &outcome,
			"posture", &posture, "phase", &phase, "counters", "files_deleted", "value",
			&done, "refused", &beyond, "limit", &limit),
		0);
	assert_string_equal(outcome, "breaker");
	assert_string_equal(posture, "read-only");
	assert_string_equal(phase, "alternate");
	assert_true(done == 2 && beyond == 1 && limit == 2);
	assert_int_equal(json_unpack(json_array_get(json_object_get(record, "trips"), 1),
				 "{s:s, s:s, s:s, s:i}", "kind", &kind, "counter", &counter, "rule",
				 &rule, "line", &line),
		0);
	assert_string_equal(kind, "cap");
	assert_string_equal(counter, "files_deleted");
	assert_string_equal(rule, "blast_radius.files_deleted");
	assert_int_equal(line, 4);
	assert_non_null(strstr(text_string(&footer),
		"berm:   cap: files_deleted came to 3, the cap is 2; then read-only (alternate)\n"
		"berm:     by blast_radius.files_deleted 2 (p.yaml:4)\n"));
	assert_non_null(strstr(text_string(&footer), "berm:   warning: files_deleted came to 1"));
	json_decref(record);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup_teardown(a_cap_is_exact_and_told_once, begin, end),
		cmocka_unit_test_setup_teardown(what_never_ran_is_given_back, begin, end),
		cmocka_unit_test_setup_teardown(refusals_are_told_apart_by_their_class, begin, end),
		cmocka_unit_test_setup_teardown(
			what_comes_again_after_the_run_was_let_go_on_is_another_trip, begin, end),
		cmocka_unit_test_setup_teardown(
			the_end_is_the_breakers_where_the_posture_is_dead, begin, end),
		cmocka_unit_test_setup_teardown(
			record_and_footer_name_cap_rule_and_line, begin, end),
	};

	return cmocka_run_group_tests_name("daemon-metering", list, NULL, NULL);
}
