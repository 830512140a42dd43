/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "meter-bench.h"

#include <string.h>

static void on_event(void *context, const struct notify_event *event)
{
	struct bench *b = context;

	assert_true(b->event_count < BENCH_EVENTS_MAX);
	b->events[b->event_count++] = *event;
}

void bench_begin(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	berm__wire__meter__init(&b->meter);
	b->meter.gate = true;
	b->meter.caps = b->cap_list;
	b->meter.steps = b->step_list;
	b->meter.breakers = b->breaker_list;
}

void bench_cap(struct bench *b, uint32_t counter, uint64_t limit, uint32_t posture, uint32_t phase)
{
	Berm__Wire__MeterCap *c = &b->caps[b->meter.n_caps];

	berm__wire__meter_cap__init(c);
	c->counter = counter;
	c->limit = limit;
	c->posture = posture;
	c->phase = phase;
	c->rule = 10 + (uint32_t)b->meter.n_caps;
	b->cap_list[b->meter.n_caps++] = c;
}

void bench_step(struct bench *b, uint32_t counter, uint64_t at, uint32_t posture, uint32_t phase)
{
	Berm__Wire__MeterStep *s = &b->steps[b->meter.n_steps];

	berm__wire__meter_step__init(s);
	s->counter = counter;
	s->at = at;
	s->posture = posture;
	s->phase = phase;
	s->rule = 20 + (uint32_t)b->meter.n_steps;
	b->step_list[b->meter.n_steps++] = s;
}

void bench_breaker(struct bench *b, uint32_t class, uint32_t count, uint64_t within_ms,
	uint32_t posture, uint32_t phase)
{
	Berm__Wire__MeterBreaker *r = &b->breakers[b->meter.n_breakers];

	berm__wire__meter_breaker__init(r);
	r->class_ = class;
	r->count = count;
	r->within_ms = within_ms;
	r->posture = posture;
	r->phase = phase;
	r->rule = 30 + (uint32_t)b->meter.n_breakers;
	b->breaker_list[b->meter.n_breakers++] = r;
}

void bench_start(struct bench *b)
{
	const struct notify_sink sink = {b, on_event};
	struct error err = {0};

	assert_int_equal(notify_create(&b->meter, &sink, &b->notify, &err), 0);
}

void bench_end(struct bench *b)
{
	notify_destroy(b->notify);
}
