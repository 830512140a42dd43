/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/log-place.h"
#include "record/recorder.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define TOLD_EVERY_NS 250000000ULL
#define LOOKED_EVERY 65536 /* records between two looks at the clock */
#define ATTEMPTS 3

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int tell_progress(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct log_progress *p = data;
	uint64_t now;

	(void)segment;
	(void)view;
	p->bytes += frame->length;
	if (++p->records % LOOKED_EVERY != 0)
		return 0;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now - p->told_ns < TOLD_EVERY_NS)
		return 0;
	p->told_ns = now;
	p->shown = true;
	fprintf(stderr, "\rberm: %" PRIu64 " records, %" PRIu64 " MiB checked", p->records,
		p->bytes >> 20);
	return 0;
}

static int run_once(const struct log_place *place, struct log_check *check, struct error *err)
{
	struct log_progress progress = {.told_ns = clock_ns(CLOCK_MONOTONIC)};
	struct verify_options options = {.storage = &storage_system,
		.dir = place->dir,
		.pin = &check->pin,
		.anchor = check->has_anchor ? &check->anchor : NULL,
		.each = isatty(STDERR_FILENO) ? tell_progress : NULL,
		.data = &progress};
	int writing = recorder_is_writing(&storage_system, place->dir), r;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	if (writing < 0 && writing != -EACCES)
		return error_set(err, writing, ERROR_INTERNAL, "the lock of %s: %s", place->path,
			strerror(-writing));
	check->live = options.live = writing > 0;
	r = verify_log(&options, &check->result, err);
	check->took_ns = clock_ns(CLOCK_MONOTONIC) - start;
	check->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (progress.shown)
		fprintf(stderr, "\r\033[K");
	return r;
}

int log_check_run(const struct log_place *place, struct log_check *check, struct error *err)
{
	if (!check->pinned || place->dir < 0)
		return 0;
	/* A recorder may start, rotate, remove old segments or end while its log is being read. */
	for (int attempt = 1;; attempt++) {
		bool was_live = attempt > 1 && check->live;
		int r = run_once(place, check, err);

		if (r < 0)
			return r;
		if (check->result.pass || attempt == ATTEMPTS)
			return 0;
		if (!check->live && !was_live &&
			recorder_is_writing(&storage_system, place->dir) <= 0)
			return 0;
	}
}

void log_check_finish(struct log_check *check)
{
	own_free(&check->key_path);
	own_free(&check->anchor_from);
}

void log_check_warn(const struct verb *verb, const struct log_check *check)
{
	const struct verify_result *r = &check->result;

	if (!check->pinned)
		log_line("%s: not checked against a key (%s): what is shown may be forged; --key "
			 "names a copy of recorder.pub",
			verb->name, check->why_not);
	else if (!r->pass)
		log_line("%s: WARNING: THIS LOG FAILS THE CHECK, what is shown may be forged: "
			 "segment "
			 "%" PRIu64 ", record %" PRIu64 ": %s",
			verb->name, r->segment, r->sequence, verify_reason_text(r->reason));
}

enum log_trust log_check_trust(const struct log_check *check, uint64_t segment, uint64_t offset)
{
	const struct verify_result *r = &check->result;

	if (!check->pinned)
		return LOG_UNKNOWN;
	if (segment < r->sealed_segment ||
		(segment == r->sealed_segment && offset < r->sealed_offset))
		return LOG_TRUSTED;
	return r->pass ? LOG_UNKNOWN : LOG_UNTRUSTED;
}
