/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "meter/notify.h"

#include <stddef.h>

#define BENCH_ENTRIES_MAX 6
#define BENCH_EVENTS_MAX 64

/* A meter put together entry by entry, and what was said about it. */
struct bench {
	Berm__Wire__Meter meter;
	Berm__Wire__MeterCap caps[BENCH_ENTRIES_MAX], *cap_list[BENCH_ENTRIES_MAX];
	Berm__Wire__MeterStep steps[BENCH_ENTRIES_MAX], *step_list[BENCH_ENTRIES_MAX];
	Berm__Wire__MeterBreaker breakers[BENCH_ENTRIES_MAX], *breaker_list[BENCH_ENTRIES_MAX];
	struct notify *notify; /* after bench_start() */
	struct notify_event events[BENCH_EVENTS_MAX];
	size_t event_count;
};

/* Nothing is in it. */
void bench_begin(struct bench *b);
/* One more entry. Caps have the rules from 10 on, steps from 20, breakers from 30. */
void bench_cap(struct bench *b, uint32_t counter, uint64_t limit, uint32_t posture, uint32_t phase);
void bench_step(struct bench *b, uint32_t counter, uint64_t at, uint32_t posture, uint32_t phase);
void bench_breaker(struct bench *b, uint32_t class, uint32_t count, uint64_t within_ms,
	uint32_t posture, uint32_t phase);
void bench_start(struct bench *b);
void bench_end(struct bench *b);
