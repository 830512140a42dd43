/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-read.h"

#include "base/io.h"
#include "base/log.h"
#include "cli/log-time.h"
#include "record/line.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>

#define OUT_BYTES (64U << 10) /* written to stdout together */
#define LOOK_AGAIN_MS 1000    /* where a change was not told, or cannot be */
#define LOOK_OFTEN_MS 200

int log_read_prepare(const struct verb *verb, struct log_filter *filter)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	filter->since_ns = INT64_MIN;
	if (filter->since &&
		!log_time_parse(filter->since, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
			&filter->since_ns))
		return verb_misused(verb,
			"\"%s\" is no time: write 10m, 2h, 1d, 2026-11-23 or 2026-11-23T20:14:03Z",
			filter->since);
	return CLI_GOOD;
}

/* What can be seen without unpacking the record. */
static bool may_match(const struct log_filter *f, const struct record_view *view)
{
	bool own = view->body == BERM__WIRE__RECORD__BODY_SEAL ||
		   view->body == BERM__WIRE__RECORD__BODY_SEGMENT_HEAD;

	return view->timestamp >= f->since_ns && (f->all || !own);
}

static bool matches(const struct log_filter *f, const Berm__Wire__Record *record)
{
	struct line line;
	bool denied;

	if (f->run && (!record->run || strncmp(record->run, f->run, strlen(f->run)) != 0))
		return false;
	if (f->agent && (!record->agent_id || strcmp(record->agent_id, f->agent) != 0))
		return false;
	if (!f->denied)
		return true;
	line_fill(&line, record);
	denied = line.denied;
	line_finish(&line);
	return denied;
}

/* The record where it is asked for, else NULL. */
static Berm__Wire__Record *unpack(const struct log_filter *f, const struct cursor_record *raw)
{
	Berm__Wire__Record *record;

	if (!may_match(f, &raw->view))
		return NULL;
	record = berm__wire__record__unpack(NULL, raw->frame.record_length, raw->frame.record);
	if (record && matches(f, record))
		return record;
	berm__wire__record__free_unpacked(record, NULL);
	return NULL;
}

/* ---- the newest only ---- */

/* Where the last matches of one segment begin. */
struct ring {
	uint64_t *offsets;
	uint64_t want, count;
};

static int last_in_segment(const struct log_reading *l, struct cursor *c, uint64_t segment,
	struct ring *ring, struct error *err)
{
	struct cursor_place start = {.segment = segment};
	enum cursor_step step = CURSOR_RECORD;
	struct cursor_record raw;
	int r = 0;

	cursor_seek(c, &start);
	c->stop = segment;
	ring->count = 0;
	while (r == 0 && step != CURSOR_END) {
		Berm__Wire__Record *record;

		r = cursor_next(c, &raw, &step, err);
		if (r < 0 || step != CURSOR_RECORD)
			continue;
		record = unpack(l->filter, &raw);
		if (record)
			ring->offsets[ring->count++ % ring->want] = raw.at.offset;
		berm__wire__record__free_unpacked(record, NULL);
	}
	return r;
}

/* From the newest segment backwards, so that a long log does not cost more than a short one. */
static int find_start(
	const struct log_reading *l, struct cursor_place *ret_start, struct error *err)
{
	autofree uint64_t *offsets = calloc(l->limit, sizeof(*offsets));
	struct ring ring = {.offsets = offsets, .want = l->limit};
	autocursor struct cursor c = {0};
	uint64_t first = 0, last = 0;
	int r;

	if (!offsets)
		return error_errno(err, "the newest records");
	r = cursor_open(&storage_system, l->place->dir, &c, err);
	if (r == 0)
		r = cursor_segments(&storage_system, l->place->dir, 0, &first, &last, err);
	for (uint64_t segment = last; r == 0 && first && segment >= first; segment--) {
		r = last_in_segment(l, &c, segment, &ring, err);
		*ret_start = (struct cursor_place){.segment = segment};
		if (ring.count >= ring.want) {
			ret_start->offset = offsets[ring.count % ring.want];
			return r;
		}
		ring.want -= ring.count;
	}
	return r;
}

/* ---- what comes ---- */

/* Wait until something in the directory may have changed. */
static void wait_for_more(int notify)
{
	char events[4096];
	struct pollfd p = {.fd = notify, .events = POLLIN};

	if (notify < 0) {
		(void)poll(NULL, 0, LOOK_OFTEN_MS);
		return;
	}
	(void)poll(&p, 1, LOOK_AGAIN_MS);
	while (read(notify, events, sizeof(events)) > 0)
		;
}

static int watch(const struct log_place *place)
{
	autoclose int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (notify < 0 ||
		inotify_add_watch(notify, place->path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return -1;
	return take_fd(&notify);
}

static int flush(struct text *out, struct error *err)
{
	int r = out->failed ? -ENOMEM : io_write_all(STDOUT_FILENO, text_string(out), out->length);

	if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "cannot write to stdout: %s", strerror(-r));
	out->length = 0;
	return 0;
}

static int give(struct log_reading *l, const struct cursor_record *raw, struct text *out)
{
	Berm__Wire__Record *record = unpack(l->filter, raw);
	struct log_item item = {.record = record,
		.raw = raw,
		.place = {.previous_hash = raw->frame.start - CHAIN_HASH_BYTES,
			.hash = raw->frame.hash},
		.trust = raw->linked ? log_check_trust(l->check, raw->at.segment, raw->at.offset)
				     : LOG_UNTRUSTED};
	int r;

	if (!record)
		return 0;
	r = l->sink(l->data, &item, out);
	berm__wire__record__free_unpacked(record, NULL);
	return r;
}

/* The check tells of what is wrong with a log that is at rest; of what is found without it, or
 * later, it is told here. */
static void tell_break(const struct log_reading *l, const struct cursor *c)
{
	if (!l->quiet && (!l->check->pinned || l->check->result.pass))
		log_line("%s: WARNING: segment %" PRIu64
			 " has something that is no record, or does "
			 "not follow from what is before it",
			l->verb->name, c->segment);
}

int log_read(struct log_reading *l, struct error *err)
{
	autoclose int notify = l->follow ? watch(l->place) : -1;
	struct cursor_place start = {.segment = 1};
	autocursor struct cursor c = {0};
	autotext struct text out = {0};
	int r = cursor_open(&storage_system, l->place->dir, &c, err);

	if (r == 0 && l->limit)
		r = find_start(l, &start, err);
	if (r == 0)
		cursor_seek(&c, &start);
	while (r == 0) {
		enum cursor_step step = CURSOR_END;
		struct cursor_record raw;

		r = cursor_next(&c, &raw, &step, err);
		if (r == 0 && step == CURSOR_RECORD)
			r = give(l, &raw, &out);
		if (step == CURSOR_BREAK)
			tell_break(l, &c);
		if (r == 0 && (out.length >= OUT_BYTES || step == CURSOR_END))
			r = flush(&out, err);
		if (step != CURSOR_END || r < 0)
			continue;
		if (!l->follow)
			break;
		wait_for_more(notify);
	}
	return r;
}
