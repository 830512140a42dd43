/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recorder.h"

#include "base/failpoint.h"
#include "record/recorder-internal.h"

#include <fcntl.h>
#include <string.h>

static bool is_past(uint64_t now_ns, uint64_t since_ns, uint64_t interval_ms)
{
	return now_ns - since_ns >= interval_ms * 1000000;
}

static bool seal_is_due(const struct recorder *r, uint64_t now_ns)
{
	return r->now.since_seal > 0 &&
	       (r->now.since_seal >= r->options.seal_records ||
		       is_past(now_ns, r->sealed_ns, r->options.seal_interval_ms));
}

static bool rotation_is_due(const struct recorder *r, uint64_t now_ns)
{
	const struct recorder_options *o = &r->options;

	if (r->seal_queued)
		return false;
	return r->file_end + r->queued >= o->segment_bytes ||
	       (r->now.since_seal > 0 && is_past(now_ns, r->segment_begun_ns, o->segment_age_ms));
}

static int closed(struct error *err)
{
	return error_set(err, -EIO, ERROR_INTERNAL, "the recorder takes no more records");
}

/* Seals that are not anchored, and that they are again, stand in the log: once each. */
static void note_anchor(struct recorder *r)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trouble trouble = BERM__WIRE__TROUBLE__INIT;
	char word[] = "anchor";

	if (r->anchor_noted == (r->anchor_error != 0))
		return;
	trouble.operation = word;
	trouble.has_error = r->anchor_error != 0;
	trouble.error = (uint32_t)-r->anchor_error;
	record.body_case = BERM__WIRE__RECORD__BODY_TROUBLE;
	record.trouble = &trouble;
	if (writer_append(r, NULL, RECORD_RING_DECISIONS, &record) == 0)
		r->anchor_noted = r->anchor_error != 0;
}

/* Flush, with a seal for that reason (0: where one is due). */
static int commit(struct recorder *r, unsigned reason, struct error *err)
{
	struct record_time time;
	int next = -1, error;

	if (r->failed || r->closed)
		return closed(err);
	note_anchor(r);
	queue_declare_all(r, r->options.queue_bytes - 2 * OWN_FRAME_MAX);
	writer_time(r, &time);
	if (!reason && seal_is_due(r, time.boot_ns))
		reason = BERM__WIRE__SEAL_REASON__SEAL_INTERVAL;
	if (reason != BERM__WIRE__SEAL_REASON__SEAL_CLOSE && rotation_is_due(r, time.boot_ns)) {
		/* The room for the next segment before this one is closed; while there is none,
		 * this one goes on. */
		next = segment_prepare(r, err);
		if (next >= 0)
			reason = BERM__WIRE__SEAL_REASON__SEAL_ROTATION;
	}
	/* What cannot be sealed now is sealed with what comes next. */
	if (reason)
		(void)!writer_seal(r, (Berm__Wire__SealReason)reason);
	error = writer_flush(r, false, err);
	if (error == 0)
		error = writer_sealed(r, err);
	if (error == 0 && next >= 0)
		return segment_begin(r, next, false, err);
	if (next >= 0)
		r->options.storage->ops->close(r->options.storage->context, next);
	return error;
}

int recorder_commit(struct recorder *r, struct error *err)
{
	return commit(r, 0, err);
}

int recorder_seal(struct recorder *r, struct error *err)
{
	return commit(r, BERM__WIRE__SEAL_REASON__SEAL_INTERVAL, err);
}

uint64_t recorder_due_ns(const struct recorder *r)
{
	const struct recorder_options *o = &r->options;
	uint64_t due = UINT64_MAX, seal_due;

	if (r->failed || r->closed)
		return due;
	if (r->queued > 0)
		due = r->waiting_since_ns + (uint64_t)o->commit_interval_ms * 1000000;
	seal_due = r->sealed_ns + (uint64_t)o->seal_interval_ms * 1000000;
	if (r->now.since_seal > 0 && seal_due < due)
		due = seal_due;
	return due;
}

uint64_t recorder_durable(const struct recorder *r)
{
	return r->durable.sequence;
}

int recorder_close(struct recorder *r, struct error *err)
{
	int error = 0;

	/* A seal that waits in a queue that could not be written goes first. */
	if (r->seal_queued && !r->failed)
		error = commit(r, 0, err);
	if (error == 0)
		error = commit(r, BERM__WIRE__SEAL_REASON__SEAL_CLOSE, err);
	failpoint("close.sealed");
	r->closed = true;
	return error;
}

int recorder_trouble(struct recorder *r, const char *operation, int error, struct error *err)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trouble trouble = BERM__WIRE__TROUBLE__INIT;
	struct record_time time;
	char word[64];
	int result;

	if (r->failed || r->closed)
		return closed(err);
	/* The hash before it is that of the last record on the disk, or of the Opened record that
	 * must stand behind a closing seal before anything else. */
	r->queued = r->opened_bytes;
	r->seal_queued = false;
	r->now.sequence = r->durable.sequence + (r->opened_bytes > 0);
	r->now.since_seal = r->durable.since_seal + (r->opened_bytes > 0);
	queue_dropped(r);
	snprintf(word, sizeof(word), "%s", operation);
	trouble.operation = word;
	trouble.has_error = true;
	trouble.error = (uint32_t)error;
	record.body_case = BERM__WIRE__RECORD__BODY_TROUBLE;
	record.trouble = &trouble;
	writer_time(r, &time);
	writer_put(r, &record, &time);
	queue_declare_all(r, RESERVE_BYTES - 4 * OWN_FRAME_MAX);
	queue_declare_rest(r);
	result = writer_seal(r, BERM__WIRE__SEAL_REASON__SEAL_TROUBLE);
	failpoint("trouble.queued");
	if (result == 0)
		result = writer_flush(r, true, err);
	failpoint("trouble.written");
	if (result == 0)
		result = writer_sealed(r, err);
	r->closed = true;
	return result;
}

void recorder_destroy(struct recorder *r)
{
	const struct storage *s;

	if (!r)
		return;
	s = r->options.storage;
	queue_finish(r);
	keys_destroy(r->keys);
	if (r->segment_file >= 0)
		s->ops->close(s->context, r->segment_file);
	if (r->lock_file >= 0)
		s->ops->close(s->context, r->lock_file);
	free(r->queue);
	free(r->own.agent_id);
	free(r);
}

void recorder_status(const struct recorder *r, struct recorder_status *ret_status)
{
	*ret_status = (struct recorder_status){
		.sequence = r->now.sequence,
		.durable = r->durable.sequence,
		.segment = r->segment,
		.queued_bytes = r->queued,
		.lost = r->lost,
		.seals = r->seals,
		.anchor_failures = r->anchor_failures,
		.failed = r->failed,
		.reserve = r->reserve_works,
	};
}

/* Cut one segment down to its header and head. */
static int remove_content(struct recorder *r, uint64_t segment)
{
	const struct storage *s = r->options.storage;
	autofree uint8_t *bytes = malloc(SEGMENT_HEADER_BYTES + FRAME_BYTES_MAX);
	char name[SEGMENT_NAME_BYTES];
	struct frame frame;
	int file, error = 0;
	ssize_t n;

	if (!bytes)
		return -ENOMEM;
	segment_name(segment, name);
	file = s->ops->open(s->context, r->options.log_dir, name, O_RDWR, 0);
	if (file < 0)
		return file;
	n = s->ops->read(s->context, file, bytes, SEGMENT_HEADER_BYTES + FRAME_BYTES_MAX, 0);
	if (n < 0)
		error = (int)n;
	else if (n < SEGMENT_HEADER_BYTES ||
		 frame_read(bytes + SEGMENT_HEADER_BYTES, (size_t)n - SEGMENT_HEADER_BYTES,
			 &frame) != FRAME_WHOLE)
		error = -EBADMSG;
	if (error == 0 && (size_t)n > SEGMENT_HEADER_BYTES + frame.length) {
		failpoint("removal.found");
		error = s->ops->truncate(s->context, file, SEGMENT_HEADER_BYTES + frame.length);
		failpoint("removal.cut");
		if (error == 0)
			error = s->ops->sync(s->context, file);
	}
	s->ops->close(s->context, file);
	return error;
}

int recorder_remove(struct recorder *r, uint64_t through, const char *rule, struct error *err)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Retention retention = BERM__WIRE__RETENTION__INIT;
	char word[64];
	int error;

	if (through == 0 || through >= r->segment)
		return error_set(err, -EINVAL, ERROR_INTERNAL, "segment %llu is not an old one",
			(unsigned long long)through);
	snprintf(word, sizeof(word), "%s", rule);
	retention.has_removed_through = true;
	retention.removed_through = through;
	retention.rule = word;
	record.body_case = BERM__WIRE__RECORD__BODY_RETENTION;
	record.retention = &retention;
	/* What is recovered later knows it only by the seal that comes with it. */
	error = r->seal_queued ? recorder_commit(r, err) : 0;
	if (error < 0)
		return error;
	error = writer_append(r, NULL, RECORD_RING_DECISIONS, &record);
	if (error < 0)
		return error_set(
			err, error, ERROR_INTERNAL, "record a retention: %s", strerror(-error));
	failpoint("removal.queued");
	/* Nothing goes before the log says so under a seal. */
	error = recorder_seal(r, err);
	failpoint("removal.sealed");
	for (uint64_t segment = 1; segment <= through && error == 0; segment++) {
		error = remove_content(r, segment);
		if (error < 0)
			return error_set(err, error, ERROR_INTERNAL, "remove segment %llu: %s",
				(unsigned long long)segment, strerror(-error));
	}
	return error;
}
