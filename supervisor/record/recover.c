/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "record/canonical.h"
#include "record/reader.h"
#include "record/recover-internal.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>

static int note_segment(void *data, const char *name)
{
	struct found *f = data;
	uint64_t number = segment_number(name);

	if (number > f->last_segment)
		f->last_segment = number;
	return 0;
}

/* Write what is kept once more, so that it is on the disk for certain: after a failed fsync(2) the
 * page cache may show what the disk has not. Then cut off the rest. */
static int settle(struct recorder *r, const struct found *f)
{
	const struct storage *s = r->options.storage;
	uint64_t from = keys_position(r->keys)->offset;
	autofree uint8_t *window = malloc(SEGMENT_WINDOW_BYTES);
	int error = window ? 0 : -ENOMEM;

	if (f->at.offset == from && f->size == f->at.offset)
		return error;
	while (error == 0 && from < f->at.offset) {
		uint64_t left = f->at.offset - from;
		ssize_t n = s->ops->read(s->context, r->segment_file, window,
			left < SEGMENT_WINDOW_BYTES ? left : SEGMENT_WINDOW_BYTES, from);

		error = n < 0 ? (int)n : n == 0 ? -EIO : 0;
		if (error == 0)
			error = s->ops->write(s->context, r->segment_file, window, (size_t)n, from);
		from += error == 0 ? (uint64_t)n : 0;
	}
	if (error == 0)
		error = failpoint_error("recovery.rewritten");
	if (error == 0 && f->size > f->at.offset)
		error = s->ops->truncate(s->context, r->segment_file, f->at.offset);
	failpoint("recovery.cut");
	if (error == 0)
		error = s->ops->sync(s->context, r->segment_file);
	return error;
}

/* Go on in a new segment. What was sealed before stays as it is. */
static int begin(struct recorder *r, bool abandoned, struct error *err)
{
	int file = segment_prepare(r, err);

	return file < 0 ? file : segment_begin(r, file, abandoned, err);
}

static void stand_at(struct recorder *r, uint64_t sequence, const uint8_t hash[CHAIN_HASH_BYTES])
{
	r->now.sequence = sequence;
	r->durable = r->now;
	memcpy(r->queue, hash, CHAIN_HASH_BYTES);
}

/* What was found becomes what the recorder goes on with. *ret_clean: it was closed as it should. */
static int go_on(struct recorder *r, struct found *f, bool *ret_clean, struct error *err)
{
	const struct log_position *sealed = keys_position(r->keys);
	int error = f->damage ? 0 : settle(r, f);

	if (error == -ENOMEM)
		return error_set(err, error, ERROR_INTERNAL, "no memory to read the log");
	if (error < 0)
		f->damage = "its end could not be written";
	if (f->damage) {
		failpoint("recovery.abandoning");
		f->has_begun = false;
		stand_at(r, sealed->sequence, sealed->hash);
		return begin(r, true, err);
	}
	failpoint("recovery.settled");
	if (f->has_seal) {
		failpoint("recovery.seal-found");
		error = keys_advance(r->keys, SIGNED_SEAL, &f->seal, err);
		if (error < 0)
			return error;
	}
	r->file_end = f->at.offset;
	stand_at(r, f->at.sequence, f->at.hash);
	r->now.since_seal = r->durable.since_seal = f->at.unsealed;
	*ret_clean = f->at.unsealed == 0 && f->size == f->at.offset &&
		     (sealed->reason == BERM__WIRE__SEAL_REASON__SEAL_CLOSE ||
			     sealed->reason == BERM__WIRE__SEAL_REASON__SEAL_TROUBLE);
	if (f->at.unsealed > 0 || sealed->reason != BERM__WIRE__SEAL_REASON__SEAL_ROTATION)
		return 0;
	f->has_begun = false;
	return begin(r, false, err);
}

static void put_opened(struct recorder *r, const struct found *f, bool clean)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Opened opened = BERM__WIRE__OPENED__INIT;
	const struct recorder_options *o = &r->options;
	struct record_time time;
	char version[] = BERM_VERSION;

	opened.has_host_id = o->host_id != NULL;
	opened.host_id = (ProtobufCBinaryData){RECORD_ID_BYTES, (uint8_t *)(uintptr_t)o->host_id};
	opened.has_boot_id = o->boot_id != NULL;
	opened.boot_id = (ProtobufCBinaryData){RECORD_ID_BYTES, (uint8_t *)(uintptr_t)o->boot_id};
	opened.version = version;
	opened.has_pid = opened.has_recovered = true;
	opened.pid = (uint32_t)getpid();
	opened.recovered = !clean;
	if (!clean) {
		opened.has_unsealed_records = opened.has_dropped_bytes = true;
		opened.unsealed_records = f->damage ? 0 : f->at.unsealed;
		opened.dropped_bytes = f->damage ? 0 : f->size - f->at.offset;
		opened.abandoned_reason = (char *)(uintptr_t)f->damage;
	}
	record.body_case = BERM__WIRE__RECORD__BODY_OPENED;
	record.opened = &opened;
	writer_time(r, &time);
	writer_put(r, &record, &time);
	r->sealed_ns = r->segment_begun_ns = time.boot_ns;
	/* Its age goes on while nobody writes. */
	if (f->has_begun && time.wall_ns > f->begun_wall_ns)
		r->segment_begun_ns -= (uint64_t)time.wall_ns - (uint64_t)f->begun_wall_ns;
	r->clock_offset = (int64_t)((uint64_t)time.wall_ns - time.boot_ns);
	r->has_clock_offset = true;
}

/* A segment that has its name but that the key file does not know of: the key goes on. */
static int adopt_head(struct recorder *r, struct error *err)
{
	const struct storage *s = r->options.storage;
	const struct log_position *sealed = keys_position(r->keys);
	struct log_position position = {.segment = keys_number(r->keys, SIGNED_HEAD)};
	uint8_t bytes[SEGMENT_HEADER_BYTES + 2 * OWN_FRAME_MAX], key[PUBLIC_KEY_BYTES];
	char name[SEGMENT_NAME_BYTES];
	struct segment_header header;
	struct record_view view;
	struct frame frame;
	ssize_t n;
	int file;

	segment_name(position.segment, name);
	file = s->ops->open(s->context, r->options.log_dir, name, O_RDONLY, 0);
	n = file < 0 ? file : s->ops->read(s->context, file, bytes, sizeof(bytes), 0);
	if (file >= 0)
		s->ops->close(s->context, file);
	if (n < 0)
		return error_set(
			err, (int)n, ERROR_INTERNAL, "read %s: %s", name, strerror((int)-n));
	keys_public(r->keys, SIGNED_HEAD, 0, key);
	if (n < SEGMENT_HEADER_BYTES || !segment_header_read(bytes, &header) ||
		header.segment != position.segment ||
		memcmp(header.previous_hash, sealed->hash, CHAIN_HASH_BYTES) != 0 ||
		frame_read(bytes + SEGMENT_HEADER_BYTES, (size_t)n - SEGMENT_HEADER_BYTES,
			&frame) != FRAME_WHOLE ||
		!frame_hash_matches(keys_log_id(r->keys), &frame) ||
		!frame_is_signed_by(&frame, SIGNED_HEAD, keys_log_id(r->keys), key) ||
		!record_view_read(frame.record, frame.record_length, &view))
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s was not begun with the recorder's key", name);
	position.offset = SEGMENT_HEADER_BYTES + frame.length;
	position.sequence = view.sequence;
	memcpy(position.hash, frame.hash, CHAIN_HASH_BYTES);
	failpoint("recovery.head-found");
	/* Its name may be what did not get to the disk. */
	n = s->ops->sync_dir(s->context, r->options.log_dir);
	if (n < 0)
		return error_set(err, (int)n, ERROR_INTERNAL, "keep the name of %s: %s", name,
			strerror((int)-n));
	return keys_advance(r->keys, SIGNED_HEAD, &position, err);
}

static int open_keys(struct recorder *r, const struct found *f, struct error *err)
{
	const struct recorder_options *o = &r->options;
	int error = keys_load(o->storage, o->key_dir, &r->keys, err);

	if (error == -ENOENT && f->last_segment > 0)
		return error_set(err, -ENOKEY, ERROR_REFUSED,
			"there is a log, but its key is gone: it cannot be gone on with");
	if (error == -ENOENT && o->create)
		error = keys_create(o->storage, o->key_dir, &r->keys, err);
	return error < 0 ? error : keys_lock(r->keys, err);
}

static int take_up(struct recorder *r, struct error *err)
{
	const struct storage *s = r->options.storage;
	struct found f = {0};
	bool clean = false, fresh;
	int error = s->ops->list(s->context, r->options.log_dir, note_segment, &f);

	if (error < 0)
		return error_set(err, error, ERROR_INTERNAL, "list the log: %s", strerror(-error));
	error = open_keys(r, &f, err);
	if (error == 0 && f.last_segment > keys_number(r->keys, SIGNED_HEAD))
		return error_set(err, -ESTALE, ERROR_REFUSED, "the log is ahead of its key");
	if (error == 0 && f.last_segment == keys_number(r->keys, SIGNED_HEAD))
		error = adopt_head(r, err);
	if (error < 0)
		return error;
	failpoint("recovery.keys-read");
	fresh = keys_position(r->keys)->segment == 0;
	if (!fresh)
		error = found_look(r, &f, err);
	if (error == 0)
		error = found_check_anchor(r, &f, err);
	if (error == 0)
		error = fresh ? begin(r, false, err) : go_on(r, &f, &clean, err);
	if (error < 0)
		return error;
	put_opened(r, &f, clean || fresh);
	r->opened_bytes = r->queued;
	failpoint("recovery.opened");
	if (clean || fresh)
		return 0;
	if (writer_seal(r, BERM__WIRE__SEAL_REASON__SEAL_RECOVERY) < 0)
		return error_set(err, -EIO, ERROR_INTERNAL, "seal what was recovered");
	error = writer_flush(r, false, err);
	failpoint("recovery.flushed");
	return error < 0 ? error : writer_sealed(r, err);
}

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static void set_defaults(struct recorder_options *o)
{
	DEFAULT(o->segment_bytes, 64ULL << 20);
	DEFAULT(o->segment_age_ms, 86400000ULL);
	DEFAULT(o->commit_interval_ms, 20);
	DEFAULT(o->seal_interval_ms, 1000);
	DEFAULT(o->seal_records, 100000);
	DEFAULT(o->queue_bytes, 16U << 20);
	DEFAULT(o->run_bytes, 4096);
	if (o->queue_bytes < (1U << 20))
		o->queue_bytes = 1U << 20;
}

static int take_lock(struct recorder *r, struct error *err)
{
	const struct storage *s = r->options.storage;
	int error;

	r->lock_file =
		s->ops->open(s->context, r->options.log_dir, LOCK_FILE, O_RDWR | O_CREAT, 0640);
	if (r->lock_file < 0)
		return error_set(err, r->lock_file, ERROR_INTERNAL, "open the log's lock: %s",
			strerror(-r->lock_file));
	error = s->ops->lock(s->context, r->lock_file);
	failpoint("recovery.locked");
	if (error == -EWOULDBLOCK)
		return error_set(err, error, ERROR_REFUSED, "another recorder has this log");
	return error < 0
		       ? error_set(err, error, ERROR_INTERNAL, "lock the log: %s", strerror(-error))
		       : 0;
}

int recorder_is_writing(const struct storage *s, int dir)
{
	int file = s->ops->open(s->context, dir, LOCK_FILE, O_RDONLY, 0);
	int r;

	if (file < 0)
		return file == -ENOENT ? 0 : file;
	r = s->ops->is_locked(s->context, file);
	s->ops->close(s->context, file);
	return r;
}

int recorder_open(
	const struct recorder_options *options, struct recorder **ret_recorder, struct error *err)
{
	struct recorder *r = sodium_init() < 0 ? NULL : calloc(1, sizeof(*r));
	int error;

	if (!r)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the recorder");
	r->options = *options;
	set_defaults(&r->options);
	r->lock_file = r->segment_file = -1;
	r->reserve_works = true;
	r->queue = calloc(1, CHAIN_HASH_BYTES + r->options.queue_bytes);
	queue_init(r);
	error = r->queue ? take_lock(r, err)
			 : error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the recorder");
	if (error == 0)
		error = take_up(r, err);
	if (error < 0) {
		recorder_destroy(r);
		return error;
	}
	*ret_recorder = r;
	return 0;
}
