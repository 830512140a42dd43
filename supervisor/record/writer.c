/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "record/canonical.h"
#include "record/envelope.h"
#include "record/recover-internal.h"

#include <assert.h>
#include <string.h>
#include <time.h>

/* The wall clock may move this far against the boot clock before it is worth a record. */
#define CLOCK_STEP_NS 1000000000LL

static void system_clock(struct record_time *ret_time)
{
	struct timespec wall, boot;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	ret_time->wall_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
	ret_time->boot_ns = (uint64_t)boot.tv_sec * 1000000000 + (uint64_t)boot.tv_nsec;
}

void writer_time(struct recorder *r, struct record_time *ret_time)
{
	if (r->options.clock)
		r->options.clock(r->options.clock_context, ret_time);
	else
		system_clock(ret_time);
	/* It is monotonic; a test's clock, or a machine that was moved, may not be. */
	if (ret_time->boot_ns < r->now.boot_ns)
		ret_time->boot_ns = r->now.boot_ns;
}

static uint8_t *next_frame(const struct recorder *r)
{
	return r->queue + CHAIN_HASH_BYTES + r->queued;
}

static void stamp(
	const struct recorder *r, Berm__Wire__Record *record, const struct record_time *time)
{
	record->has_sequence = record->has_timestamp = record->has_boot_ns = true;
	record->sequence = r->now.sequence + 1;
	record->timestamp = time->wall_ns;
	/* What was put since the time was taken may be later. */
	record->boot_ns = time->boot_ns > r->now.boot_ns ? time->boot_ns : r->now.boot_ns;
}

/* The frame stands but for its hash. */
static size_t finish_frame(struct recorder *r, size_t length, uint64_t boot_ns)
{
	uint8_t *at = next_frame(r);

	chain_hash(keys_log_id(r->keys), at - CHAIN_HASH_BYTES, CHAIN_HASH_BYTES + length,
		at + length);
	if (r->queued == 0)
		r->waiting_since_ns = boot_ns;
	r->queued += length + CHAIN_HASH_BYTES;
	r->now.sequence++;
	r->now.since_seal++;
	r->now.boot_ns = boot_ns;
	assert(r->queued <= r->options.queue_bytes);
	return length + CHAIN_HASH_BYTES;
}

size_t writer_put(struct recorder *r, Berm__Wire__Record *record, const struct record_time *time)
{
	uint8_t *at = next_frame(r);
	size_t length;

	stamp(r, record, time);
	length = berm__wire__record__pack(record, at + FRAME_HEADER_BYTES);
	frame_write_header(at, FRAME_RECORD, length);
	return finish_frame(r, FRAME_HEADER_BYTES + length, record->boot_ns);
}

void writer_put_signed(struct recorder *r, Berm__Wire__Record *record, enum signed_kind kind)
{
	uint8_t *at = next_frame(r), digest[SIGNED_DIGEST_BYTES];
	struct record_time time;
	size_t length;

	writer_time(r, &time);
	stamp(r, record, &time);
	length = berm__wire__record__pack(record, at + FRAME_HEADER_BYTES);
	frame_write_header(at, FRAME_SIGNED, length);
	length += FRAME_HEADER_BYTES;
	signed_digest(kind, keys_log_id(r->keys), at - CHAIN_HASH_BYTES, CHAIN_HASH_BYTES + length,
		digest);
	keys_sign(r->keys, kind, digest, at + length);
	finish_frame(r, length + SIGNATURE_BYTES, record->boot_ns);
	r->now.since_seal = 0;
}

int writer_fail(struct recorder *r, struct error *err, int error, const char *what)
{
	r->failed = true;
	return error_set(err, error, ERROR_INTERNAL, "the recorder could not %s: %s", what,
		strerror(-error));
}

/* Blocks for what is to be written, and for last words after it. */
static int reserve(struct recorder *r)
{
	const struct storage *s = r->options.storage;
	uint64_t needed = r->file_end + r->queued + RESERVE_BYTES;
	int error;

	if (!r->reserve_works || needed <= r->reserved_end)
		return 0;
	error = s->ops->reserve(
		s->context, r->segment_file, r->file_end, needed + RESERVE_STEP - r->file_end);
	if (error == 0) {
		r->reserved_end = needed + RESERVE_STEP;
		return 0;
	}
	if (error == -ENOSPC || error == -EDQUOT) {
		error = s->ops->reserve(
			s->context, r->segment_file, r->file_end, needed - r->file_end);
		if (error == 0)
			r->reserved_end = needed;
	}
	if (error == -EOPNOTSUPP || error == -ENOSYS) {
		r->reserve_works = false;
		error = 0;
	}
	return error == -EDQUOT ? -ENOSPC : error;
}

/* A segment that lost its name or its end would swallow records, which then count as durable. */
static int is_unchanged(const struct recorder *r)
{
	const struct storage *s = r->options.storage;
	struct storage_stat st;
	int error = s->ops->stat(s->context, r->segment_file, &st);

	if (error < 0)
		return error;
	return st.links > 0 && st.size == r->file_end ? 0 : -ESTALE;
}

static int full(struct error *err)
{
	return error_set(err, -ENOSPC, ERROR_INTERNAL, "the recorder's disk is full");
}

int writer_flush(struct recorder *r, bool last_words, struct error *err)
{
	const struct storage *s = r->options.storage;
	int error = last_words ? 0 : reserve(r);

	if (r->queued == 0)
		return 0;
	failpoint("commit.reserved");
	if (error == -ENOSPC)
		return full(err);
	if (error < 0)
		return writer_fail(r, err, error, "set room aside");
	error = is_unchanged(r);
	if (error < 0)
		return writer_fail(r, err, error,
			"go on in its segment, which somebody else removed or changed");
	error = s->ops->write(
		s->context, r->segment_file, r->queue + CHAIN_HASH_BYTES, r->queued, r->file_end);
	if (error == -ENOSPC || error == -EDQUOT) {
		/* Where no blocks could be reserved. Half a batch must not stay behind. */
		error = s->ops->truncate(s->context, r->segment_file, r->file_end);
		r->reserved_end = 0;
		return error < 0 ? writer_fail(r, err, error, "take back a write") : full(err);
	}
	if (error < 0)
		return writer_fail(r, err, error, "write");
	failpoint("commit.written");
	error = s->ops->sync(s->context, r->segment_file);
	if (error < 0)
		return writer_fail(r, err, error, "bring its records to the disk");
	failpoint("commit.synced");
	r->file_end += r->queued;
	memmove(r->queue, r->queue + r->queued, CHAIN_HASH_BYTES);
	r->queued = r->opened_bytes = 0;
	r->durable = r->now;
	queue_flushed(r);
	return 0;
}

int writer_seal(struct recorder *r, Berm__Wire__SealReason reason)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Seal seal = BERM__WIRE__SEAL__INIT;
	uint8_t next[PUBLIC_KEY_BYTES];

	/* Its key signs once: the next seal waits until this one is on the disk. */
	if (r->seal_queued)
		return -EAGAIN;
	keys_public(r->keys, SIGNED_SEAL, 1, next);
	seal.has_epoch = seal.has_reason = seal.has_records = seal.has_next_public_key = true;
	seal.epoch = keys_number(r->keys, SIGNED_SEAL);
	seal.reason = reason;
	seal.records = r->now.since_seal;
	seal.next_public_key = (ProtobufCBinaryData){sizeof(next), next};
	record.body_case = BERM__WIRE__RECORD__BODY_SEAL;
	record.seal = &seal;
	writer_put_signed(r, &record, SIGNED_SEAL);
	r->seal_queued = true;
	r->seal_position = (struct log_position){.segment = r->segment,
		.offset = r->file_end + r->queued,
		.sequence = r->now.sequence,
		.reason = reason};
	memcpy(r->seal_position.hash, r->queue + r->queued, CHAIN_HASH_BYTES);
	failpoint("seal.signed");
	return 0;
}

void recorder_head(const struct recorder *r, struct log_head *ret_head)
{
	const struct log_position *position = keys_position(r->keys);

	*ret_head = (struct log_head){.segment = position->segment, .sequence = position->sequence};
	memcpy(ret_head->log_id, keys_log_id(r->keys), LOG_ID_BYTES);
	memcpy(ret_head->hash, position->hash, CHAIN_HASH_BYTES);
}

/* Never over a head that this log does not go on from: one that could not be read when the log was
 * taken up is looked at now. */
static int publish(struct recorder *r, struct error *err)
{
	static const struct found nothing;
	const struct anchor *anchor = r->options.anchor;
	struct log_head head;
	int error = r->anchor_linked ? 0 : found_check_anchor(r, &nothing, err);

	if (error < 0)
		return error;
	if (!r->anchor_linked)
		return error_set(err, r->anchor_error < 0 ? r->anchor_error : -EIO, ERROR_INTERNAL,
			"the anchor cannot be read");
	recorder_head(r, &head);
	return anchor->publish(anchor->context, &head, err);
}

int writer_sealed(struct recorder *r, struct error *err)
{
	struct error local;
	int error;

	if (!r->seal_queued || r->queued > 0)
		return 0;
	failpoint("seal.on-disk");
	r->seal_queued = false;
	error = keys_advance(r->keys, SIGNED_SEAL, &r->seal_position, err);
	if (error < 0) {
		r->failed = true;
		return error;
	}
	failpoint("seal.key-gone-on");
	r->sealed_ns = r->now.boot_ns;
	r->seals++;
	if (!r->options.anchor)
		return 0;
	error = publish(r, &local);
	r->anchor_error = error;
	failpoint("seal.anchored");
	if (error == 0)
		return 0;
	r->anchor_failures++;
	/* Another recorder, with the same keys, is or was at work. */
	if (!r->options.anchor_required && error != -ESTALE)
		return 0;
	r->failed = true;
	return error_set(
		err, error, ERROR_INTERNAL, "a seal could not be anchored: %s", local.text);
}

static void fill_envelope(const struct record_run *run, Berm__Wire__Record *record)
{
	record->agent_id = run->agent_id;
	record->run = run->run;
	record->group = run->group;
	record->has_run_sequence = record->has_enforcement = record->has_pace_phase = true;
	record->run_sequence = run->sequence + 1;
	record->enforcement = run->enforcement;
	record->pace_phase = run->phase;
	record->has_profile_digest = run->has_profile_digest;
	record->profile_digest = (ProtobufCBinaryData){
		sizeof(run->profile_digest), (uint8_t *)(uintptr_t)run->profile_digest};
}

/* A clock that was set is an event of its own: what was before and after it can be put in order. */
static void note_clock(struct recorder *r, const struct record_time *time)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__ClockStep step = BERM__WIRE__CLOCK_STEP__INIT;
	/* Wraps for absurd clocks instead of being undefined. */
	int64_t offset = (int64_t)((uint64_t)time->wall_ns - time->boot_ns);
	int64_t moved = (int64_t)((uint64_t)offset - (uint64_t)r->clock_offset);
	bool first = !r->has_clock_offset;

	if (!first && moved < CLOCK_STEP_NS && moved > -CLOCK_STEP_NS)
		return;
	if (!first && r->queued + 2 * OWN_FRAME_MAX > r->options.queue_bytes)
		return;
	r->has_clock_offset = true;
	r->clock_offset = offset;
	if (first)
		return;
	step.has_step_ns = true;
	step.step_ns = moved;
	record.body_case = BERM__WIRE__RECORD__BODY_CLOCK_STEP;
	record.clock_step = &step;
	writer_put(r, &record, time);
}

/* At the end of the queue, which has the room. -EINVAL where a verifier would not take it: one such
 * record would be the end of the whole log. */
static int put_checked(struct recorder *r, struct record_run *run, enum record_ring ring,
	Berm__Wire__Record *record, const struct record_time *time)
{
	uint8_t *at = next_frame(r);
	struct record_view view;
	size_t length;

	stamp(r, record, time);
	length = berm__wire__record__pack(record, at + FRAME_HEADER_BYTES);
	if (!record_view_read(at + FRAME_HEADER_BYTES, length, &view))
		return -EINVAL;
	frame_write_header(at, FRAME_RECORD, length);
	queue_charge(r, &run->rings[ring],
		finish_frame(r, FRAME_HEADER_BYTES + length, record->boot_ns));
	run->sequence++;
	return 0;
}

static int lose(struct recorder *r, struct record_run *run, enum record_ring ring,
	Berm__Wire__LossSource source, int error)
{
	recorder_lost(r, run, ring, source, 1);
	return error;
}

/* What comes before a record, of whatever form. */
static int prepare(struct recorder *r, struct record_time *ret_time)
{
	struct error ignored;

	if (r->failed || r->closed)
		return -EIO;
	/* Too many for one seal: the records before this one go first. What goes wrong there is
	 * said by the next commit. */
	if (queue_wants_seal(r, 0) && !r->seal_queued && recorder_commit(r, &ignored) < 0 &&
		r->failed)
		return -EIO;
	writer_time(r, ret_time);
	note_clock(r, ret_time);
	return 0;
}

/* Room for a packed record of that length, and what was lost before it is said. */
static int admit(struct recorder *r, struct record_run *run, enum record_ring ring, size_t length)
{
	if (length > RECORD_BYTES_MAX)
		return lose(r, run, ring, BERM__WIRE__LOSS_SOURCE__LOSS_TOO_LARGE, -EMSGSIZE);
	/* A Loss before it makes its number larger, by a byte at most. It is put only where the
	 * record after it is: else a flood would fill the queue with them. */
	length += FRAME_OVERHEAD + 8;
	if (!queue_admits(r, &run->rings[ring], length) ||
		queue_wants_seal(r, UNSEALED_SLACK / 2) ||
		(run->has_loss &&
			!queue_declare(r, run, r->options.queue_bytes - OWN_FRAME_MAX - length)))
		return lose(r, run, ring, BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE, -ENOBUFS);
	return 0;
}

int writer_append(struct recorder *r, struct record_run *run, enum record_ring ring,
	const Berm__Wire__Record *record)
{
	Berm__Wire__Record whole = *record;
	struct record_time time;
	int error = prepare(r, &time);

	if (error < 0)
		return error;
	if (!run)
		run = &r->own;
	if (!run->is_own)
		fill_envelope(run, &whole);
	stamp(r, &whole, &time);
	error = admit(r, run, ring, berm__wire__record__get_packed_size(&whole));
	if (error == 0 && put_checked(r, run, ring, &whole, &time) < 0)
		error = lose(r, run, ring, BERM__WIRE__LOSS_SOURCE__LOSS_MALFORMED, -EINVAL);
	return error;
}

int recorder_append(struct recorder *r, struct record_run *run, enum record_ring ring,
	const Berm__Wire__Record *record)
{
	bool is_own = (unsigned)record->body_case < BERM__WIRE__RECORD__BODY_RUN_START;

	if (is_own && !r->failed && !r->closed)
		return lose(r, run, ring, BERM__WIRE__LOSS_SOURCE__LOSS_MALFORMED, -EINVAL);
	return writer_append(r, run, ring, record);
}

static struct envelope envelope_at(const struct recorder *r, const struct record_time *time)
{
	return (struct envelope){.sequence = r->now.sequence + 1,
		.timestamp = time->wall_ns,
		.boot_ns = time->boot_ns > r->now.boot_ns ? time->boot_ns : r->now.boot_ns};
}

int recorder_append_part(struct recorder *r, struct record_run *run, enum record_ring ring,
	const struct record_part *part)
{
	struct record_time time;
	struct envelope envelope;
	uint8_t *at;
	size_t length;
	int error = prepare(r, &time);

	if (error < 0)
		return error;
	if (part->body < BERM__WIRE__RECORD__BODY_RUN_START)
		return lose(r, run, ring, BERM__WIRE__LOSS_SOURCE__LOSS_MALFORMED, -EINVAL);
	envelope = envelope_at(r, &time);
	error = admit(r, run, ring, envelope_size(run, &envelope) + part->length);
	if (error < 0)
		return error;
	/* A Loss may have come before it. */
	envelope = envelope_at(r, &time);
	at = next_frame(r);
	length = envelope_write(run, &envelope, at + FRAME_HEADER_BYTES);
	memcpy(at + FRAME_HEADER_BYTES + length, part->bytes, part->length);
	length += part->length;
	frame_write_header(at, FRAME_RECORD, length);
	queue_charge(r, &run->rings[ring],
		finish_frame(r, FRAME_HEADER_BYTES + length, envelope.boot_ns));
	run->sequence++;
	return 0;
}
