/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/retention.h"

#include "base/io.h"
#include "policy/profile.h"
#include "record/cursor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define MS_NS 1000000LL
#define LEAST_KEEP_MS (24ULL * 3600 * 1000) /* of recorder.keep */
#define FILE_MAX 256

/* What stands in RETENTION_FILE. */
struct progress {
	uint64_t through; /* removed up to this segment */
	uint64_t keep_ms; /* that runs wanted which were not over at its end */
	uint64_t active;  /* how many they were */
};

struct scan {
	uint64_t keep_ms; /* the longest of the runs in the segment */
	uint64_t active;  /* runs that are not over at its end */
	int64_t last_ns;  /* of its last record */
};

static void load(int log_dir, struct progress *ret_progress)
{
	autofree char *words = NULL;
	struct progress p = {0};

	if (io_read_file(log_dir, RETENTION_FILE, FILE_MAX, &words, NULL, NULL) < 0 ||
		sscanf(words, "berm-retention-1 %" SCNu64 " %" SCNu64 " %" SCNu64, &p.through,
			&p.keep_ms, &p.active) != 3)
		p = (struct progress){0};
	*ret_progress = p;
}

static int save(int log_dir, const struct progress *p)
{
	char words[FILE_MAX];
	int n = snprintf(words, sizeof(words),
		"berm-retention-1 %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", p->through, p->keep_ms,
		p->active);

	return storage_replace(&storage_system, log_dir, RETENTION_FILE, 0640, words, (size_t)n);
}

/* Only where the file is certainly not there may anything go. */
static bool is_held(const struct retention_request *request)
{
	struct stat st;

	return fstatat(request->state_dir, RETENTION_HOLD, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

/* True where this was done a short time ago. */
static bool is_recent(const struct retention_request *request)
{
	struct stat st;
	int64_t then_ns;

	if (fstatat(request->log_dir, RETENTION_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	then_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return request->now_ns - then_ns < (int64_t)RETENTION_EVERY_MS * MS_NS &&
	       request->now_ns >= then_ns;
}

static int size_of(int log_dir, uint64_t segment, uint64_t *ret_bytes, int64_t *ret_time_ns)
{
	char name[SEGMENT_NAME_BYTES];
	struct stat st;

	segment_name(segment, name);
	if (fstatat(log_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	*ret_time_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return 0;
}

static void look_at(const Berm__Wire__Record *record, struct scan *scan)
{
	if (record->has_timestamp && record->timestamp > scan->last_ns)
		scan->last_ns = record->timestamp;
	if (record->body_case == BERM__WIRE__RECORD__BODY_RUN_START) {
		uint64_t keep = record->run_start->has_keep_ms ? record->run_start->keep_ms
							       : RECORD_KEEP_DEFAULT_MS;

		scan->active++;
		scan->keep_ms = keep > scan->keep_ms ? keep : scan->keep_ms;
	}
	if (record->body_case == BERM__WIRE__RECORD__BODY_RUN_END && scan->active > 0)
		scan->active--;
}

/* Read the segment; 1 where all of it is as it was written, 0 where something in it is not: it is
 * evidence then, and stays. */
static int scan_segment(int log_dir, uint64_t segment, struct scan *scan, struct error *err)
{
	const struct cursor_place start = {.segment = segment};
	autocursor struct cursor c = {0};
	enum cursor_step step = CURSOR_RECORD;
	struct cursor_record at;
	int r = cursor_open(&storage_system, log_dir, &c, err);

	if (r < 0)
		return r;
	cursor_seek(&c, &start);
	c.stop = segment;
	for (;;) {
		Berm__Wire__Record *record;

		r = cursor_next(&c, &at, &step, err);
		if (r < 0 || step != CURSOR_RECORD || at.at.segment != segment)
			break;
		if (!at.linked)
			return 0;
		record = berm__wire__record__unpack(NULL, at.frame.record_length, at.frame.record);
		if (!record)
			return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to read a log");
		look_at(record, scan);
		berm__wire__record__free_unpacked(record, NULL);
	}
	return r < 0 ? r : step != CURSOR_BREAK;
}

struct sweep {
	const struct retention_request *request;
	struct progress done;
	uint64_t total_bytes;
	const char *rule;
};

/* 1 where the segment may go, which is then booked. */
static int may_go(struct sweep *s, uint64_t segment, struct error *err)
{
	struct scan scan = {.active = s->done.active};
	uint64_t bytes = 0, keep_ms;
	int64_t time_ns = 0;
	bool over = s->request->max_bytes && s->total_bytes > s->request->max_bytes;
	int r = size_of(s->request->log_dir, segment, &bytes, &time_ns);

	if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "segment %" PRIu64 ": %s", segment, strerror(-r));
	if (!over && s->request->now_ns - time_ns < (int64_t)LEAST_KEEP_MS * MS_NS)
		return 0;
	/* A run that goes on from the segment before is kept as long as it wanted there. */
	scan.keep_ms = s->done.active ? s->done.keep_ms : 0;
	r = scan_segment(s->request->log_dir, segment, &scan, err);
	if (r <= 0)
		return r;
	keep_ms = scan.keep_ms ? scan.keep_ms : LEAST_KEEP_MS;
	if (!over && s->request->now_ns - scan.last_ns < (int64_t)keep_ms * MS_NS)
		return 0;
	if (!s->rule || over)
		s->rule = over ? "size" : "age";
	s->total_bytes -= bytes < s->total_bytes ? bytes : s->total_bytes;
	s->done = (struct progress){segment, scan.keep_ms, scan.active};
	return 1;
}

static uint64_t sum_sizes(const struct retention_request *request, uint64_t from, uint64_t to)
{
	uint64_t total = 0, bytes = 0;
	int64_t time_ns;

	for (uint64_t segment = from; segment <= to; segment++)
		if (size_of(request->log_dir, segment, &bytes, &time_ns) == 0)
			total += bytes;
	return total;
}

int retention_apply(
	const struct retention_request *request, struct recorder *recorder, struct error *err)
{
	struct sweep s = {.request = request};
	struct recorder_status status;
	uint64_t before;
	int r = 1;

	if (is_held(request) || is_recent(request))
		return 0;
	recorder_status(recorder, &status);
	load(request->log_dir, &s.done);
	before = s.done.through;
	s.total_bytes = sum_sizes(request, before + 1, status.segment);
	for (uint64_t segment = before + 1; segment < status.segment && r > 0; segment++)
		r = may_go(&s, segment, err);
	if (r >= 0 && s.done.through > before)
		r = recorder_remove(recorder, s.done.through, s.rule, err);
	if (r >= 0)
		r = save(request->log_dir, &s.done);
	return r < 0 ? r : (int)(s.done.through - before);
}
