/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recorder-internal.h"

#include "base/failpoint.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

#define TEMPORARY_NAME_BYTES (SEGMENT_NAME_BYTES + 8)

static void names(const struct recorder *r, char name[SEGMENT_NAME_BYTES],
	char temporary[TEMPORARY_NAME_BYTES])
{
	segment_name(keys_number(r->keys, SIGNED_HEAD), name);
	snprintf(temporary, TEMPORARY_NAME_BYTES, "%s.new", name);
}

int segment_prepare(struct recorder *r, struct error *err)
{
	const struct storage *s = r->options.storage;
	char name[SEGMENT_NAME_BYTES], temporary[TEMPORARY_NAME_BYTES];
	int file, error;

	if (keys_number(r->keys, SIGNED_HEAD) > SEGMENT_NUMBER_MAX)
		return error_set(
			err, -EOVERFLOW, ERROR_INTERNAL, "there is no number for another segment");
	names(r, name, temporary);
	file = storage_create(s, r->options.log_dir, temporary, O_RDWR, 0640);
	if (file < 0)
		return error_set(
			err, file, ERROR_INTERNAL, "make %s: %s", temporary, strerror(-file));
	error = s->ops->reserve(s->context, file, 0, OWN_FRAME_MAX + RESERVE_BYTES);
	if (error == -EOPNOTSUPP || error == -ENOSYS) {
		r->reserve_works = false;
	} else if (error < 0) {
		s->ops->close(s->context, file);
		return error_set(err, error == -EDQUOT ? -ENOSPC : error, ERROR_INTERNAL,
			"set room aside for %s: %s", temporary, strerror(-error));
	}
	failpoint("rotation.prepared");
	return file;
}

static void put_head(struct recorder *r, bool abandoned)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__SegmentHead head = BERM__WIRE__SEGMENT_HEAD__INIT;
	const struct recorder_options *o = &r->options;
	uint8_t seal_key[PUBLIC_KEY_BYTES], next_key[PUBLIC_KEY_BYTES];
	uint8_t log_id[LOG_ID_BYTES];

	keys_public(r->keys, SIGNED_SEAL, 0, seal_key);
	keys_public(r->keys, SIGNED_HEAD, 1, next_key);
	memcpy(log_id, keys_log_id(r->keys), LOG_ID_BYTES);
	head.has_version = head.has_segment = head.has_previous_end = true;
	head.version = 1;
	head.segment = keys_number(r->keys, SIGNED_HEAD);
	head.previous_end = keys_position(r->keys)->offset;
	head.has_abandoned = head.abandoned = abandoned;
	head.has_log_id = head.has_seal_epoch = true;
	head.log_id = (ProtobufCBinaryData){sizeof(log_id), log_id};
	head.seal_epoch = keys_number(r->keys, SIGNED_SEAL);
	head.has_seal_public_key = head.has_next_head_public_key = true;
	head.seal_public_key = (ProtobufCBinaryData){sizeof(seal_key), seal_key};
	head.next_head_public_key = (ProtobufCBinaryData){sizeof(next_key), next_key};
	head.has_host_id = o->host_id != NULL;
	head.host_id = (ProtobufCBinaryData){RECORD_ID_BYTES, (uint8_t *)(uintptr_t)o->host_id};
	head.has_boot_id = o->boot_id != NULL;
	head.boot_id = (ProtobufCBinaryData){RECORD_ID_BYTES, (uint8_t *)(uintptr_t)o->boot_id};
	head.has_commit_interval_ms = head.has_seal_interval_ms = head.has_seal_records = true;
	head.commit_interval_ms = o->commit_interval_ms;
	head.seal_interval_ms = o->seal_interval_ms;
	head.seal_records = o->seal_records;
	record.body_case = BERM__WIRE__RECORD__BODY_SEGMENT_HEAD;
	record.segment_head = &head;
	writer_put_signed(r, &record, SIGNED_HEAD);
}

/* Header and head to the disk under the segment's own name. */
static int write_head(struct recorder *r, int file)
{
	const struct storage *s = r->options.storage;
	char name[SEGMENT_NAME_BYTES], temporary[TEMPORARY_NAME_BYTES];
	struct segment_header header = {.segment = keys_number(r->keys, SIGNED_HEAD)};
	uint8_t bytes[SEGMENT_HEADER_BYTES];
	int error;

	memcpy(header.log_id, keys_log_id(r->keys), LOG_ID_BYTES);
	memcpy(header.previous_hash, r->queue, CHAIN_HASH_BYTES);
	segment_header_write(bytes, &header);
	names(r, name, temporary);
	error = s->ops->write(s->context, file, bytes, sizeof(bytes), 0);
	if (error == 0)
		error = s->ops->write(s->context, file, r->queue + CHAIN_HASH_BYTES, r->queued,
			SEGMENT_HEADER_BYTES);
	failpoint("rotation.head-written");
	if (error == 0)
		error = s->ops->sync(s->context, file);
	/* Its name only now: a segment that is there has a whole head. */
	failpoint("rotation.head-synced");
	if (error == 0)
		error = s->ops->rename(s->context, r->options.log_dir, temporary, name);
	failpoint("rotation.named");
	if (error == 0)
		error = s->ops->sync_dir(s->context, r->options.log_dir);
	return error;
}

int segment_begin(struct recorder *r, int file, bool abandoned, struct error *err)
{
	const struct storage *s = r->options.storage;
	struct log_position position = {.segment = keys_number(r->keys, SIGNED_HEAD)};
	int error;

	assert(r->queued == 0);
	put_head(r, abandoned);
	error = write_head(r, file);
	if (error < 0) {
		s->ops->close(s->context, file);
		return writer_fail(r, err, error, "begin a segment");
	}
	if (r->segment_file >= 0)
		s->ops->close(s->context, r->segment_file);
	r->segment_file = file;
	r->segment = position.segment;
	r->file_end = SEGMENT_HEADER_BYTES + r->queued;
	r->reserved_end = 0;
	r->segment_begun_ns = r->sealed_ns = r->now.boot_ns;
	memmove(r->queue, r->queue + r->queued, CHAIN_HASH_BYTES);
	r->queued = 0;
	r->durable = r->now;
	position.offset = r->file_end;
	position.sequence = r->now.sequence;
	memcpy(position.hash, r->queue, CHAIN_HASH_BYTES);
	failpoint("rotation.begun");
	error = keys_advance(r->keys, SIGNED_HEAD, &position, err);
	failpoint("rotation.key-gone-on");
	r->failed = r->failed || error < 0;
	return error;
}
