/* SPDX-License-Identifier: Apache-2.0 */
#include "record/envelope.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* Field numbers of Record in wire/record.proto; none is above 15, so that a tag is one byte. */
enum {
	SEQUENCE = 1,
	TIMESTAMP = 2,
	BOOT_NS = 3,
	RUN_SEQUENCE = 7,
	PROFILE_DIGEST = 8,
	ENFORCEMENT = 9,
	PACE_PHASE = 10,
};
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2 };

static size_t varint_size(uint64_t value)
{
	/* Seven bits a byte, and one byte for zero. */
	unsigned bits = 64U - (unsigned)__builtin_clzll(value | 1);

	return (bits + 6) / 7;
}

static uint8_t *put_varint(uint8_t *at, unsigned field, uint64_t value)
{
	*at++ = (uint8_t)(field << 3 | WIRE_VARINT);
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

int envelope_prepare(struct record_run *run)
{
	Berm__Wire__Record names = BERM__WIRE__RECORD__INIT;

	names.agent_id = run->agent_id;
	names.run = run->run;
	names.group = run->group;
	run->names_length = berm__wire__record__get_packed_size(&names);
	run->names = malloc(run->names_length + 1);
	if (!run->names)
		return -ENOMEM;
	berm__wire__record__pack(&names, run->names);
	return 0;
}

void envelope_free(struct record_run *run)
{
	own_free(&run->names);
}

size_t envelope_size(const struct record_run *run, const struct envelope *e)
{
	size_t digest = run->has_profile_digest ? 2 + sizeof(run->profile_digest) : 0;

	return 1 + varint_size(e->sequence) + 1 + sizeof(uint64_t) + 1 + varint_size(e->boot_ns) +
	       run->names_length + 1 + varint_size(run->sequence + 1) + digest + 1 +
	       varint_size(run->enforcement) + 1 + varint_size(run->phase);
}

size_t envelope_write(const struct record_run *run, const struct envelope *e, uint8_t *ret_bytes)
{
	uint64_t timestamp = htole64((uint64_t)e->timestamp);
	uint8_t *at = put_varint(ret_bytes, SEQUENCE, e->sequence);

	*at++ = TIMESTAMP << 3 | WIRE_FIXED64;
	memcpy(at, &timestamp, sizeof(timestamp));
	at = put_varint(at + sizeof(timestamp), BOOT_NS, e->boot_ns);
	memcpy(at, run->names, run->names_length);
	at = put_varint(at + run->names_length, RUN_SEQUENCE, run->sequence + 1);
	if (run->has_profile_digest) {
		static_assert(sizeof(run->profile_digest) < 0x80, "a length of one byte");
		*at++ = PROFILE_DIGEST << 3 | WIRE_LENGTH;
		*at++ = sizeof(run->profile_digest);
		memcpy(at, run->profile_digest, sizeof(run->profile_digest));
		at += sizeof(run->profile_digest);
	}
	at = put_varint(at, ENFORCEMENT, run->enforcement);
	at = put_varint(at, PACE_PHASE, run->phase);
	return (size_t)(at - ret_bytes);
}
