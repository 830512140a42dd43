/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "meter-bench.h"
#include "random.h"

#define ROUNDS 3000
#define CALLS_OF_A_ROUND 120

/* Said again from the words of plan.proto, from the whole history each time. */
struct oracle {
	uint64_t done[COUNTER_COUNT], refused[COUNTER_COUNT];
	uint32_t posture, phase;
	bool cap_fired[BENCH_ENTRIES_MAX], step_fired[BENCH_ENTRIES_MAX];
	struct {
		uint32_t class;
		uint64_t time_ms;
	} denials[CALLS_OF_A_ROUND];
	size_t denial_count;
};

static void oracle_steps(const struct bench *b, struct oracle *o)
{
	for (size_t i = 0; i < b->meter.n_steps; i++) {
		const Berm__Wire__MeterStep *s = &b->steps[i];

		if (o->step_fired[i] || o->done[s->counter] + o->refused[s->counter] < s->at ||
			!(o->done[s->counter] + o->refused[s->counter]))
			continue;
		o->step_fired[i] = true;
		o->posture |= s->posture;
		o->phase = s->phase > o->phase ? s->phase : o->phase;
	}
}

static bool oracle_charge(const struct bench *b, struct oracle *o,
	const uint64_t amounts[COUNTER_COUNT], uint32_t needs)
{
	bool crossed[COUNTER_COUNT] = {false}, any = false;

	if (o->posture & needs || o->posture >= POSTURE_FROZEN_BIT)
		return false;
	for (size_t i = 0; i < b->meter.n_caps; i++) {
		const Berm__Wire__MeterCap *c = &b->caps[i];

		if (!amounts[c->counter] || o->done[c->counter] + amounts[c->counter] <= c->limit)
			continue;
		any = crossed[c->counter] = true;
		if (!o->cap_fired[i]) {
			o->posture |= c->posture;
			o->phase = c->phase > o->phase ? c->phase : o->phase;
		}
		o->cap_fired[i] = true;
	}
	for (uint32_t k = 0; k < COUNTER_COUNT; k++) {
		o->refused[k] += crossed[k] ? amounts[k] : 0;
		o->done[k] += any ? 0 : amounts[k];
	}
	oracle_steps(b, o);
	return !any;
}

static void oracle_denied(const struct bench *b, struct oracle *o, uint32_t class, uint64_t now_ms)
{
	o->denials[o->denial_count].class = class;
	o->denials[o->denial_count++].time_ms = now_ms;
	o->done[COUNTER_DENIALS]++;
	oracle_steps(b, o);
	for (size_t i = 0; i < b->meter.n_breakers; i++) {
		const Berm__Wire__MeterBreaker *r = &b->breakers[i];
		uint32_t held = 0;

		if (r->class_ != class && r->class_ != DENIAL_COUNTED)
			continue;
		for (size_t k = 0; k < o->denial_count; k++)
			held += (r->class_ == DENIAL_COUNTED || o->denials[k].class == class) &&
				(!r->within_ms || o->denials[k].time_ms + r->within_ms >= now_ms);
		if (held < r->count)
			continue;
		o->posture |= r->posture;
		o->phase = r->phase > o->phase ? r->phase : o->phase;
	}
}

static uint32_t some_posture(void)
{
	static const uint32_t postures[] = {0, 0, POSTURE_NO_WRITE, POSTURE_NO_NETWORK,
		POSTURE_READ_ONLY, POSTURE_NO_EXEC, POSTURE_NO_FORK, POSTURE_FROZEN, POSTURE_DEAD};

	return postures[random_below(array_size(postures))];
}

static void random_meter(struct bench *b)
{
	bench_begin(b);
	for (uint32_t n = random_below(BENCH_ENTRIES_MAX + 1); n; n--)
		bench_cap(b, random_below(COUNTER_COUNT), random_below(30), some_posture(),
			random_below(PHASE_COUNT));
	for (uint32_t n = random_below(BENCH_ENTRIES_MAX + 1); n; n--)
		bench_step(b, random_below(COUNTER_COUNT), random_below(40), some_posture(),
			random_below(PHASE_COUNT));
	for (uint32_t n = random_below(4); n; n--)
		bench_breaker(b, 1 + random_below(3), 1 + random_below(5),
			random_below(3) ? random_below(2000) : 0, some_posture(),
			random_below(PHASE_COUNT));
	bench_start(b);
}

static void compare(const struct bench *b, const struct oracle *o, unsigned round)
{
	struct notify_snapshot s;

	notify_look(b->notify, &s);
	for (uint32_t k = 0; k < COUNTER_COUNT; k++) {
		if (s.done[k] != o->done[k] || s.refused[k] != o->refused[k])
			fail_msg("round %u: %s", round, effect_counter_name(k));
		assert_true(s.done[k] <= s.limit[k] || k == COUNTER_DENIALS);
	}
	if (s.posture != o->posture || s.phase != o->phase)
		fail_msg("round %u: posture %u, not %u", round, s.posture, o->posture);
}

struct tally {
	unsigned refused, let_on, tightened;
};

/* One call with random counters, by both. */
static void random_charge(struct bench *b, struct oracle *o, struct tally *tally)
{
	uint64_t amounts[COUNTER_COUNT] = {0};
	uint32_t what = 0, needs = random_below(16) & random_below(16);
	struct notify_verdict verdict;

	for (uint32_t n = random_below(3); n; n--) {
		uint32_t counter = random_below(COUNTER_DENIALS);

		amounts[counter] = 1 + random_below(2);
		what &= ~(CHARGE_ONE(counter) | CHARGE_MORE(counter));
		what |= CHARGE_ONE(counter) | (amounts[counter] > 1 ? CHARGE_MORE(counter) : 0);
	}
	notify_charge(b->notify, what, needs, &verdict);
	assert_int_equal(!verdict.errno_value, oracle_charge(b, o, amounts, needs));
	tally->let_on += !verdict.errno_value;
	tally->refused += !!verdict.errno_value;
	if (verdict.errno_value || random_below(20))
		return;
	notify_undo(b->notify, what);
	for (uint32_t k = 0; k < COUNTER_COUNT; k++)
		o->done[k] -= amounts[k];
}

static void any_sequence_ends_where_the_words_of_the_plan_say(void **state)
{
	struct tally tally = {0};

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct oracle o = {0};
		struct bench b;
		uint64_t now_ms = 0;

		random_seed(round + 1);
		random_meter(&b);
		for (unsigned call = 0; call < CALLS_OF_A_ROUND; call++) {
			uint32_t class = 1 + random_below(3);

			now_ms += random_below(3) ? random_below(300) : 0;
			if (random_below(4) == 0) {
				notify_denied(b.notify, class, now_ms);
				oracle_denied(&b, &o, class, now_ms);
			} else {
				random_charge(&b, &o, &tally);
			}
			compare(&b, &o, round);
		}
		tally.tightened += o.posture != 0;
		bench_end(&b);
	}
	print_message("# %u let on, %u refused, %u of %u runs tightened\n", tally.let_on,
		tally.refused, tally.tightened, ROUNDS);
	assert_true(tally.let_on > 10000 && tally.refused > 10000 && tally.tightened > ROUNDS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_ends_where_the_words_of_the_plan_say),
	};

	return cmocka_run_group_tests_name("meter-notify-property", tests, NULL, NULL);
}
