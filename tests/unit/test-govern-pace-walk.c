/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "govern/pace-message.h"
#include "govern/pace-words.h"
#include "pace-names.h"
#include "random.h"

#include <string.h>

static const uint8_t group_id[PACE_ID_BYTES] = {7, 1};

/* Walks through the phases with a world that keeps the real time: every sequence of three events,
 * and long random ones with reboots and wrong clocks. After each step the rules of the design are
 * looked at from outside, by the real time and not by the group's. */

#define MINUTE (60 * 1000ULL)
#define HOUR (60 * MINUTE)

struct world {
	uint64_t real_ms;
	uint64_t boot_began_ms;
	uint8_t boot;
	int64_t wall_wrong_ms;
	struct pace_group group;
	uint64_t entered_ms;   /* real */
	uint64_t disturbed_ms; /* the last signal or change */
	uint64_t asked_ms;     /* of the request for emergency that is open */
	uint64_t returns_ms[64];
	unsigned return_count;
	bool one_boot; /* since the last change */
	bool wall_was_right;
};

static struct pace_now now_of(const struct world *w)
{
	return (struct pace_now){.boot_id = {w->boot, 7},
		.boot_ms = w->real_ms - w->boot_began_ms,
		.wall_ms = (uint64_t)((int64_t)(1795378443118 + w->real_ms) + w->wall_wrong_ms)};
}

static void world_begin(struct world *w, unsigned tier)
{
	struct pace_now now;

	*w = (struct world){.real_ms = 5000, .one_boot = true, .wall_was_right = true};
	now = now_of(w);
	pace_group_start(&w->group, "crew", group_id, tier, PHASE_PRIMARY, &now);
	snprintf(w->group.backup, sizeof(w->group.backup), SPARE);
	snprintf(w->group.contingency, sizeof(w->group.contingency), LAST);
	w->entered_ms = w->disturbed_ms = w->real_ms;
}

static uint64_t supervised_ms(unsigned tier)
{
	return tier == 3 ? 24 * HOUR : tier == 2 ? 4 * HOUR : 0;
}

static void check_return(
	const struct world *w, const struct pace_group *before, const struct pace_outcome *o)
{
	uint64_t stayed = w->real_ms - w->entered_ms, quiet = w->real_ms - w->disturbed_ms;

	assert_int_equal(o->after + 1, o->before);
	assert_false(pace_is_undecided(before));
	assert_true(o->after >= before->configured);
	assert_true(o->authority >= PACE_BY_OPERATOR || o->authority == PACE_BY_BERM);
	if (before->recovering || o->before == PHASE_EMERGENCY)
		assert_int_equal(o->authority, PACE_BY_RISK_OWNER);
	if (before->recovering)
		assert_true(stayed >= supervised_ms(before->tier));
	if (o->before == PHASE_CONTINGENCY)
		assert_true(o->authority == PACE_BY_SECURITY || o->authority == PACE_BY_RISK_OWNER);
	if (o->after == PHASE_PRIMARY)
		assert_true(quiet >= 2 * HOUR);
	if (o->authority == PACE_BY_BERM) {
		unsigned recent = 0;

		assert_int_equal(before->tier, 3);
		assert_int_equal(o->after, PHASE_PRIMARY);
		assert_true(before->explained);
		for (unsigned i = 0; i < w->return_count; i++)
			recent += w->real_ms - w->returns_ms[i] < 24 * HOUR;
		assert_true(recent < 3);
	}
}

static void check_emergency(
	const struct world *w, const struct pace_group *before, const struct pace_outcome *o)
{
	const struct pace_request *asked = pace_request_of(before, PHASE_EMERGENCY);

	switch (o->trigger) {
	case PACE_KILL:
		assert_int_equal(o->authority, PACE_BY_KILL_KEY);
		break;
	case PACE_CONFIGURED:
		assert_int_equal(before->configured, PHASE_EMERGENCY);
		break;
	case PACE_SECOND_SIGNAL:
		assert_non_null(asked);
		break;
	case PACE_WINDOW:
		assert_non_null(asked);
		if (w->one_boot)
			assert_true(w->real_ms - w->asked_ms >= before->window_ms);
		break;
	case PACE_UNANSWERED:
		assert_true(asked && before->tier == 3);
		assert_int_equal(asked->authority, PACE_BY_OBSERVER);
		break;
	default:
		assert_int_equal(o->authority, PACE_BY_COMMANDER);
	}
}

static void check_clock(const struct world *w, const struct pace_group *before, bool is_settled)
{
	const struct pace_moment *was = &before->clock.moment, *is = &w->group.clock.moment;

	assert_true(is->least_ms >= was->least_ms && is->most_ms >= was->most_ms);
	assert_true(is->most_ms >= is->least_ms);
	/* The first clock never runs ahead of the real time. */
	assert_true(is->least_ms <= w->real_ms - 5000);
	if (w->wall_was_right && is_settled)
		assert_true(is->most_ms >= w->real_ms - 5000);
}

/* A decision ends by an answer to it or by a phase as restrictive, and by nothing else. */
static void check_decisions(const struct pace_group *before, const struct pace_group *after,
	const struct pace_outcome *o)
{
	for (unsigned to = PHASE_CONTINGENCY; to <= PHASE_EMERGENCY; to++)
		if (pace_request_of(before, to) && !pace_request_of(after, to))
			assert_true(after->phase >= to ||
				    (o->trigger == PACE_DISMISSED && o->wanted == to &&
					    o->result == PACE_NOTED));
}

static void check(struct world *w, const struct pace_group *before, const struct pace_event *event,
	const struct pace_outcome *o)
{
	assert_int_equal(o->before, before->phase);
	assert_int_equal(o->after, w->group.phase);
	assert_int_equal(o->result == PACE_CHANGED, o->before != o->after);
	assert_int_equal(o->result == PACE_REFUSED, o->refusal != PACE_FINE);
	/* What time brings has the clock of the moment when it came. */
	check_clock(w, before, event || o->result == PACE_NOTED);
	if (o->result == PACE_REFUSED || (event && event->authority == PACE_BY_AGENT)) {
		struct pace_group same = *before;

		/* Nothing but the clock is another one. */
		same.clock = w->group.clock;
		assert_int_equal(o->result, PACE_REFUSED);
		assert_memory_equal(&same, &w->group, sizeof(same));
	}
	check_decisions(before, &w->group, o);
	if (o->after < o->before)
		check_return(w, before, o);
	if (o->after == PHASE_EMERGENCY && o->before != PHASE_EMERGENCY)
		check_emergency(w, before, o);
	if (o->after < PHASE_CONTINGENCY || o->before == PHASE_PRIMARY || !event)
		return;
	assert_false(o->after == PHASE_CONTINGENCY && o->before == PHASE_ALTERNATE &&
		     o->authority != PACE_BY_SECURITY && o->authority != PACE_BY_COMMANDER);
}

static void follow(struct world *w, const struct pace_group *before, const struct pace_event *event,
	const struct pace_outcome *o)
{
	struct pace_now now = now_of(w);
	/* What time brings came when it was due, at the latest with the boot of now. */
	uint64_t then = w->real_ms - pace_clock_way(&w->group.clock, &now).on_ms;

	if (o->result == PACE_CHANGED) {
		if (o->before == PHASE_ALTERNATE && o->after == PHASE_PRIMARY)
			w->returns_ms[w->return_count++ % array_size(w->returns_ms)] = then;
		if (w->return_count > array_size(w->returns_ms))
			w->return_count = array_size(w->returns_ms);
		w->entered_ms = w->disturbed_ms = then;
	}
	if (event && o->result != PACE_REFUSED && o->trigger < PACE_SECOND_SIGNAL)
		w->disturbed_ms = w->real_ms;
	if (pace_request_of(&w->group, PHASE_EMERGENCY) &&
		!pace_request_of(before, PHASE_EMERGENCY))
		w->asked_ms = w->real_ms;
}

static void step(struct world *w, const struct pace_event *event)
{
	struct pace_group before = w->group;
	struct pace_now now = now_of(w);
	struct pace_outcome o;

	if (event)
		pace_apply(&w->group, &now, event, &o);
	else
		pace_tick(&w->group, &now, &o);
	check(w, &before, event, &o);
	follow(w, &before, event, &o);
	if (event)
		return;
	/* Whatever else: nobody stays in alternate for longer. */
	if (o.result == PACE_NOTED && w->group.phase == PHASE_ALTERNATE && w->wall_was_right)
		assert_true(w->real_ms - w->entered_ms < 48 * HOUR);
}

static void settle(struct world *w)
{
	unsigned before;

	do {
		before = w->group.phase;
		step(w, NULL);
	} while (w->group.phase != before);
}

/* What is tried in every order. */
static const struct {
	struct pace_event event;
	uint64_t wait_ms; /* before it */
} alphabet[] = {
	{{.trigger = PACE_CAP, .authority = PACE_BY_BERM, .to = PHASE_COUNT, .agent = ALPHA}, 0},
	{{.trigger = PACE_BREAKER, .authority = PACE_BY_BERM, .to = PHASE_COUNT, .agent = BETA},
		MINUTE},
	{{.trigger = PACE_SCORE, .authority = PACE_BY_BERM, .to = PHASE_COUNT, .agent = SPARE}, 0},
	{{.trigger = PACE_EXTERNAL,
		 .authority = PACE_BY_BERM,
		 .to = PHASE_COUNT,
		 .source = "judge"},
		0},
	{{.trigger = PACE_CAP, .authority = PACE_BY_AGENT, .to = PHASE_COUNT, .agent = ALPHA}, 0},
	{{.trigger = PACE_REVIEWED,
		 .authority = PACE_BY_AGENT,
		 .to = PHASE_COUNT,
		 .reason = "x",
		 .review = 15},
		48 * HOUR},
	{{.trigger = PACE_DISMISSED, .authority = PACE_BY_AGENT, .to = PHASE_COUNT, .reason = "x"},
		0},
	{{.trigger = PACE_ROGUE,
		 .authority = PACE_BY_BERM,
		 .to = PHASE_COUNT,
		 .agent = ALPHA,
		 .source = "judge"},
		0},
	{{.trigger = PACE_CASCADE,
		 .authority = PACE_BY_BERM,
		 .to = PHASE_COUNT,
		 .source = "scanner"},
		MINUTE},
	{{.trigger = PACE_ROGUE,
		 .authority = PACE_BY_OBSERVER,
		 .to = PHASE_COUNT,
		 .source = "watch"},
		0},
	{{.trigger = PACE_ROGUE, .authority = PACE_BY_COMMANDER, .to = PHASE_EMERGENCY}, 0},
	{{.trigger = PACE_KILL, .authority = PACE_BY_KILL_KEY, .to = PHASE_EMERGENCY}, 0},
	{{.trigger = PACE_KILL, .authority = PACE_BY_OPERATOR, .to = PHASE_EMERGENCY}, 0},
	{{.trigger = PACE_DECLARED, .authority = PACE_BY_OPERATOR, .to = PHASE_ALTERNATE}, 0},
	{{.trigger = PACE_DECLARED, .authority = PACE_BY_SECURITY, .to = PHASE_CONTINGENCY}, 0},
	{{.trigger = PACE_DECLARED, .authority = PACE_BY_SECURITY, .to = PHASE_PRIMARY}, 49 * HOUR},
	{{.trigger = PACE_DISMISSED,
		 .authority = PACE_BY_COMMANDER,
		 .to = PHASE_COUNT,
		 .reason = "x"},
		MINUTE},
	{{.trigger = PACE_DISMISSED,
		 .authority = PACE_BY_COMMANDER,
		 .to = PHASE_EMERGENCY,
		 .reason = "x"},
		0},
	{{.trigger = PACE_DISMISSED,
		 .authority = PACE_BY_SECURITY,
		 .to = PHASE_COUNT,
		 .reason = "x"},
		0},
	{{.trigger = PACE_EXPLAINED,
		 .authority = PACE_BY_OBSERVER,
		 .to = PHASE_COUNT,
		 .reason = "x"},
		HOUR},
	{{.trigger = PACE_REVIEWED,
		 .authority = PACE_BY_OPERATOR,
		 .to = PHASE_COUNT,
		 .reason = "x"},
		2 * HOUR},
	{{.trigger = PACE_REVIEWED,
		 .authority = PACE_BY_SECURITY,
		 .to = PHASE_COUNT,
		 .reason = "x",
		 .review = 15},
		0},
	{{.trigger = PACE_REVIEWED,
		 .authority = PACE_BY_RISK_OWNER,
		 .to = PHASE_COUNT,
		 .reason = "x",
		 .review = 15},
		4 * HOUR},
	{{.trigger = PACE_REVIEWED,
		 .authority = PACE_BY_RISK_OWNER,
		 .to = PHASE_COUNT,
		 .reason = "x",
		 .review = 15},
		24 * HOUR},
	{{.trigger = PACE_REVIEWED,
		 .authority = PACE_BY_RISK_OWNER,
		 .to = PHASE_PRIMARY,
		 .reason = "x",
		 .review = 15},
		0},
	{{.trigger = PACE_STABLE, .authority = PACE_BY_BERM, .to = PHASE_COUNT}, 3 * HOUR},
	{{.trigger = PACE_WINDOW, .authority = PACE_BY_BERM, .to = PHASE_EMERGENCY}, 0},
	{{.trigger = PACE_CONFIGURED, .authority = PACE_BY_RISK_OWNER, .to = PHASE_PRIMARY}, 0},
};

static void take(struct world *w, size_t letter)
{
	w->real_ms += alphabet[letter].wait_ms;
	settle(w);
	step(w, &alphabet[letter].event);
	settle(w);
}

static void every_sequence_of_three_events_keeps_the_rules(void **state)
{
	unsigned long seen[PHASE_COUNT] = {0};

	(void)state;
	for (unsigned tier = 1; tier <= 3; tier++)
		for (size_t a = 0; a < array_size(alphabet); a++) {
			static struct world one, two, three;

			world_begin(&one, tier);
			take(&one, a);
			for (size_t b = 0; b < array_size(alphabet); b++) {
				two = one;
				take(&two, b);
				for (size_t c = 0; c < array_size(alphabet); c++) {
					three = two;
					take(&three, c);
					seen[three.group.phase]++;
				}
			}
		}
	for (unsigned phase = 0; phase < PHASE_COUNT; phase++)
		assert_true(seen[phase] > 100);
}

static void round_trip(const struct world *w)
{
	autofree uint8_t *bytes = NULL;
	struct error err = {0};
	struct pace_group again;
	size_t length = 0;

	assert_int_equal(pace_pack(&w->group, &bytes, &length, &err), 0);
	if (pace_unpack(bytes, length, &again, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(again.phase, w->group.phase);
	assert_int_equal(again.isolated_count, w->group.isolated_count);
	assert_memory_equal(again.requests, w->group.requests, sizeof(again.requests));
	assert_memory_equal(&again.clock, &w->group.clock, sizeof(again.clock));
}

static void reboot(struct world *w)
{
	uint64_t off = random_below(3) ? random_below(60) * MINUTE : random_below(100) * HOUR;

	w->boot++;
	w->real_ms += off;
	w->boot_began_ms = w->real_ms;
	w->real_ms += random_below(60000);
	w->one_boot = false;
	if (random_below(4) == 0) {
		/* The wall clock is wrong from now on, by up to thirty years. */
		w->wall_wrong_ms = (int64_t)random_below(2 * 30 * 365) * 24 * (int64_t)HOUR -
				   30LL * 365 * 24 * (int64_t)HOUR;
		w->wall_was_right = false;
	}
}

static void long_walks_with_reboots_keep_the_rules(void **state)
{
	unsigned long changes = 0, reached[PHASE_COUNT] = {0};

	(void)state;
	for (unsigned walk = 0; walk < 300; walk++) {
		static struct world w;

		world_begin(&w, 1 + walk % 3);
		w.group.window_ms = 1000 + random_below(3600 * 1000 - 1000);
		for (unsigned i = 0; i < 300; i++) {
			unsigned before = w.group.phase;

			if (random_below(20) == 0)
				reboot(&w);
			if (random_below(3) == 0)
				w.real_ms += random_below(5 * HOUR);
			if (random_below(50) == 0)
				w.group.configured =
					random_below(8) ? PHASE_PRIMARY : random_below(PHASE_COUNT);
			take(&w, random_below(array_size(alphabet)));
			changes += w.group.phase != before;
			reached[w.group.phase]++;
			if (i % 16 == 0)
				round_trip(&w);
		}
	}
	assert_true(changes > 5000);
	for (unsigned phase = 0; phase < PHASE_COUNT; phase++)
		assert_true(reached[phase] > 1000);
}

static void the_clocks_never_go_back_or_over(void **state)
{
	static const uint64_t edges[] = {
		0, 1, UINT64_MAX, UINT64_MAX - 1, INT64_MAX, 1795378443118};

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct pace_clock clock, before;
		struct pace_now now = {.boot_id = {(uint8_t)random_below(2)}};

		now.boot_ms = random_below(2) ? random_u64() : edges[random_below(6)];
		now.wall_ms = random_below(2) ? random_u64() : edges[random_below(6)];
		pace_clock_start(&clock, &now);
		clock.moment.least_ms = random_below(2) ? random_u64() : edges[random_below(6)];
		clock.moment.most_ms = random_below(2) ? UINT64_MAX : clock.moment.least_ms;
		before = clock;
		now.boot_id[0] = (uint8_t)random_below(2);
		now.boot_ms = random_below(2) ? random_u64() : edges[random_below(6)];
		now.wall_ms = random_below(2) ? random_u64() : edges[random_below(6)];
		pace_clock_advance(&clock, &now);
		assert_true(clock.moment.least_ms >= before.moment.least_ms);
		assert_true(clock.moment.most_ms >= before.moment.most_ms);
		assert_true(clock.moment.most_ms >= clock.moment.least_ms);
		assert_true(pace_at_least_ms(&clock, &before.moment) ==
			    clock.moment.least_ms - before.moment.least_ms);
		pace_clock_skip(&clock, random_u64());
		assert_true(clock.moment.most_ms >= clock.moment.least_ms);
	}
}

static void a_wall_clock_of_nonsense_does_not_use_up_the_clock(void **state)
{
	struct pace_now now = {.boot_ms = 5};
	struct pace_clock clock;

	(void)state;
	pace_clock_start(&clock, &now);
	for (unsigned i = 1; i <= 1000; i++) {
		now.boot_id[0] = (uint8_t)i;
		now.wall_ms = i % 2 ? UINT64_MAX : 0;
		pace_clock_advance(&clock, &now);
	}
	assert_true(clock.moment.most_ms < UINT64_MAX / 1000);
	assert_int_equal(clock.moment.least_ms, 5 * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sequence_of_three_events_keeps_the_rules),
		cmocka_unit_test(long_walks_with_reboots_keep_the_rules),
		cmocka_unit_test(the_clocks_never_go_back_or_over),
		cmocka_unit_test(a_wall_clock_of_nonsense_does_not_use_up_the_clock),
	};

	random_seed(20261123);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
