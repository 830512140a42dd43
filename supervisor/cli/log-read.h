/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/log-place.h"
#include "record/cursor.h"
#include "record/export.h"

/* The records of a log that somebody asked for, in their order, with memory of a fixed size. */

#define LOG_LIMIT_MAX 100000

struct log_filter {
	const char *run;   /* how the run's id begins, or NULL */
	const char *agent; /* its whole name, or NULL */
	const char *since; /* as log_time_parse() takes it, or NULL */
	bool denied;       /* only what was refused */
	bool all;          /* also what is of interest only to who looks after the log */
	int64_t since_ns;  /* log_read_prepare() fills it in */
};

/* Read what is words; says on stderr what is wrong with them. Exit code, CLI_GOOD where nothing
 * is. */
int log_read_prepare(const struct verb *verb, struct log_filter *filter) must_check;

struct log_item {
	const Berm__Wire__Record *record;
	const struct cursor_record *raw;
	struct export_place place; /* hashes; the rest is NULL */
	enum log_trust trust;
};

/* Append the item to out; a negative errno ends the reading. */
typedef int (*log_sink)(void *data, const struct log_item *item, struct text *out);

struct log_reading {
	const struct verb *verb;
	const struct log_place *place;
	const struct log_check *check;
	const struct log_filter *filter;
	uint64_t limit; /* only the newest so many; 0: all */
	bool follow;    /* wait for more, until the process is ended */
	bool quiet;     /* do not tell of what is no record */
	log_sink sink;
	void *data;
};

/* Give each record to the sink, and what it makes of it to stdout. What is no record is told on
 * stderr. Errors: those of the storage, of the sink, of stdout (-EPIPE …). */
int log_read(struct log_reading *reading, struct error *err) must_check;
