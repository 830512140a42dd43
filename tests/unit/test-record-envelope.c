/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/canonical.h"
#include "record/envelope.h"

#include <string.h>

#define BYTES_MAX 4096

static char agent[] = "coding-agent", run_id[] = "01JD7Z3K9QX8V5T2W4Y6R0S1PA", group[] = "team-a",
	    none[] = "";

static void fill(const struct record_run *run, const struct envelope *e, Berm__Wire__Record *record)
{
	berm__wire__record__init(record);
	record->has_sequence = record->has_timestamp = record->has_boot_ns = true;
	record->sequence = e->sequence;
	record->timestamp = e->timestamp;
	record->boot_ns = e->boot_ns;
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

/* protobuf's own packing is the judge. */
static void compare(struct record_run run, const struct envelope *e)
{
	uint8_t expected[BYTES_MAX], made[BYTES_MAX];
	Berm__Wire__Record record;
	size_t length;

	fill(&run, e, &record);
	length = berm__wire__record__pack(&record, expected);
	assert_int_equal(envelope_prepare(&run), 0);
	assert_int_equal(envelope_size(&run, e), length);
	assert_int_equal(envelope_write(&run, e, made), length);
	assert_memory_equal(made, expected, length);
	envelope_free(&run);
}

static void an_envelope_is_packed_as_protobuf_packs_it(void **state)
{
	static const struct record_run runs[] = {
		{.run = run_id},
		{.agent_id = agent, .run = run_id, .group = group, .has_profile_digest = true},
		{.agent_id = none, .run = run_id, .group = none, .enforcement = UINT32_MAX},
		{.run = run_id, .has_profile_digest = true, .phase = UINT32_MAX, .sequence = 126},
		{.run = run_id, .sequence = UINT64_MAX - 1, .enforcement = 0x7F, .phase = 0x80},
	};
	(void)state;
	for (size_t i = 0; i < array_size(runs); i++) {
		/* Around each length that a number can have. */
		for (unsigned bits = 0; bits < 64; bits++) {
			for (uint64_t less = 0; less < 2; less++) {
				struct envelope e = {.sequence = (1ULL << bits) - less,
					.boot_ns = UINT64_MAX >> bits,
					.timestamp = (int64_t)(less - (1ULL << bits))};

				compare(runs[i], &e);
			}
		}
	}
}

static void a_part_has_nothing_that_is_the_recorders_to_write(void **state)
{
	struct record_run run = {
		.agent_id = agent, .run = run_id, .group = group, .has_profile_digest = true};
	const struct envelope e = {.sequence = 1, .timestamp = 1, .boot_ns = 1};
	Berm__Wire__Record whole, record;
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;
	uint8_t bytes[BYTES_MAX];
	struct record_part part;
	struct record_view view;
	unsigned refused = 0;

	(void)state;
	fill(&run, &e, &whole);
	berm__wire__record__init(&record);
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	assert_true(record_part_read(bytes, berm__wire__record__pack(&record, bytes), &part));
	assert_int_equal(part.body, BERM__WIRE__RECORD__BODY_TRIP);
	assert_ptr_equal(part.bytes, bytes);
	/* Each field of the envelope by itself: field n is the n-th of the descriptor. */
	for (unsigned i = 0; berm__wire__record__descriptor.fields[i].id <= 10; i++) {
		const ProtobufCFieldDescriptor *field = &berm__wire__record__descriptor.fields[i];
		Berm__Wire__Record one = record;
		size_t size = field->type == PROTOBUF_C_TYPE_STRING  ? sizeof(char *)
			      : field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData)
								     : sizeof(uint64_t);

		/* Small numbers lie in the first bytes whatever their size. */
		if (field->type == PROTOBUF_C_TYPE_UINT32)
			size = sizeof(uint32_t);
		memcpy((uint8_t *)&one + field->offset, (uint8_t *)&whole + field->offset, size);
		if (field->quantifier_offset)
			memcpy((uint8_t *)&one + field->quantifier_offset, &(protobuf_c_boolean){1},
				sizeof(protobuf_c_boolean));
		assert_false(record_part_read(bytes, berm__wire__record__pack(&one, bytes), &part));
		refused++;
	}
	assert_int_equal(refused, 10);
	/* No body; and a part with an envelope before it is a record. */
	assert_false(record_part_read(bytes, 0, &part));
	assert_int_equal(envelope_prepare(&run), 0);
	refused = (unsigned)envelope_write(&run, &e, bytes);
	envelope_free(&run);
	assert_true(record_view_read(
		bytes, refused + berm__wire__record__pack(&record, bytes + refused), &view));
	assert_int_equal(view.body, BERM__WIRE__RECORD__BODY_TRIP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_envelope_is_packed_as_protobuf_packs_it),
		cmocka_unit_test(a_part_has_nothing_that_is_the_recorders_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
