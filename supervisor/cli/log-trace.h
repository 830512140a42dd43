/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "cli/log-show.h"

/* What `berm log trace` gathers while it reads a run's records. Release with trace_finish(). */
struct trace {
	const struct log_check *check;
	bool json, paint, all;
	char run[64];                               /* whole id */
	Berm__Wire__Record *start, *end, *approval; /* owned; the last approval */
	uint64_t decisions, execs, files, networks, lost;
	struct json j;
	bool begun;
};

/* The parts of both forms: before the first record, for each, and behind the last. */
void trace_json_begin(struct trace *t, const struct log_item *first, struct text *out);
void trace_json_item(struct trace *t, const struct log_item *item, struct text *out);
void trace_json_end(struct trace *t, struct text *out);
void trace_words_begin(struct trace *t, const struct log_item *first, struct text *out);
void trace_words_end(struct trace *t, struct text *out);
void trace_finish(struct trace *t);
#define autotrace __attribute__((cleanup(trace_finish)))
