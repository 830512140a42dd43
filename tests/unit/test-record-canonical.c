/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "random.h"
#include "record/canonical.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 4096

/* The checker knows only the kinds of fields that record.proto uses today: whoever adds another one
 * is told here. No repeated numbers (two ways to pack them), no required fields, no defaults. */
static void check_descriptor(const ProtobufCMessageDescriptor *type, unsigned depth)
{
	uint32_t before = 0;

	assert_true(depth < 4);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		assert_true(field->id > before);
		before = field->id;
		assert_int_not_equal(field->label, PROTOBUF_C_LABEL_REQUIRED);
		assert_null(field->default_value);
		switch ((int)field->type) {
		case PROTOBUF_C_TYPE_BOOL:
		case PROTOBUF_C_TYPE_UINT32:
		case PROTOBUF_C_TYPE_UINT64:
		case PROTOBUF_C_TYPE_SINT64:
		case PROTOBUF_C_TYPE_ENUM:
		case PROTOBUF_C_TYPE_SFIXED64:
		case PROTOBUF_C_TYPE_DOUBLE:
			assert_int_not_equal(field->label, PROTOBUF_C_LABEL_REPEATED);
			break;
		case PROTOBUF_C_TYPE_STRING:
		case PROTOBUF_C_TYPE_BYTES:
			break;
		case PROTOBUF_C_TYPE_MESSAGE:
			check_descriptor(field->descriptor, depth + 1);
			break;
		default:
			fail_msg("%s.%s is of a type that canonical.c does not know", type->name,
				field->name);
		}
	}
}

static void every_field_is_of_a_kind_that_is_checked(void **state)
{
	(void)state;
	check_descriptor(&berm__wire__record__descriptor, 0);
}

static size_t pack(const Berm__Wire__Record *record, uint8_t *ret_bytes)
{
	assert_true(berm__wire__record__get_packed_size(record) <= BYTES_MAX);
	return berm__wire__record__pack(record, ret_bytes);
}

static size_t pack_denial(uint8_t *ret_bytes)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Denial denial = BERM__WIRE__DENIAL__INIT;
	Berm__Wire__RecordRule rule = BERM__WIRE__RECORD_RULE__INIT;
	Berm__Wire__Evidence evidence = BERM__WIRE__EVIDENCE__INIT;
	Berm__Wire__DecisionChain chain = BERM__WIRE__DECISION_CHAIN__INIT;
	char key[] = "fs.deny", run[] = "01JD", *flags[] = {key, run};
	uint8_t target[] = {'/', 0, 0xff, '\n'};

	record.has_sequence = record.has_timestamp = record.has_boot_ns = true;
	record.sequence = 300;
	record.timestamp = -5;
	record.boot_ns = UINT64_MAX;
	record.run = run;
	record.has_enforcement = true; /* zero, and known to be */
	evidence.has_pid = true;
	evidence.pid = UINT32_MAX;
	record.evidence = &evidence;
	chain.has_llm_judge_score = true;
	chain.llm_judge_score = 0.25;
	chain.n_llm_judge_flags = 2;
	chain.llm_judge_flags = flags;
	record.chain = &chain;
	rule.key = key;
	denial.has_target = true;
	denial.target = (ProtobufCBinaryData){sizeof(target), target};
	denial.rule = &rule;
	record.body_case = BERM__WIRE__RECORD__BODY_DENIAL;
	record.denial = &denial;
	return pack(&record, ret_bytes);
}

static void a_packed_record_is_read_in_place(void **state)
{
	uint8_t bytes[BYTES_MAX];
	size_t length = pack_denial(bytes);
	struct record_view view;

	(void)state;
	assert_true(record_view_read(bytes, length, &view));
	assert_true(view.sequence == 300 && view.timestamp == -5 && view.boot_ns == UINT64_MAX);
	assert_int_equal(view.body, BERM__WIRE__RECORD__BODY_DENIAL);
	assert_true(
		canonical_is(&berm__wire__denial__descriptor, view.body_bytes, view.body_length));
	assert_int_equal(view.run_sequence, 0);
}

/* The oracle: protobuf-c itself. Canonical is what packs to the same bytes again. */
static bool packs_the_same(const uint8_t *bytes, size_t length)
{
	Berm__Wire__Record *record = berm__wire__record__unpack(NULL, length, bytes);
	uint8_t again[BYTES_MAX * 2];
	bool same = false;

	if (!record)
		return false;
	if (berm__wire__record__get_packed_size(record) <= sizeof(again))
		same = berm__wire__record__pack(record, again) == length &&
		       memcmp(again, bytes, length) == 0;
	berm__wire__record__free_unpacked(record, NULL);
	return same;
}

/* What the checker takes packs to itself; most changes are not taken. */
static void changed_bytes_are_taken_only_where_they_are_canonical(void **state)
{
	uint8_t bytes[BYTES_MAX], changed[BYTES_MAX];
	size_t length = pack_denial(bytes);
	unsigned taken = 0, refused = 0;

	(void)state;
	random_seed(5);
	for (unsigned round = 0; round < 200000; round++) {
		size_t now = length;
		struct record_view view;

		memcpy(changed, bytes, length);
		for (unsigned n = random_below(3); n < 3; n++) {
			size_t at = random_below((uint32_t)now);

			if (random_below(4) == 0 && now < BYTES_MAX) {
				memmove(changed + at + 1, changed + at, now - at);
				now++;
			} else if (random_below(8) == 0 && now > 2) {
				memmove(changed + at, changed + at + 1, now - at - 1);
				now--;
			} else {
				changed[at] = (uint8_t)random_u64();
			}
		}
		if (record_view_read(changed, now, &view)) {
			assert_true(packs_the_same(changed, now));
			taken++;
		} else {
			refused++;
		}
	}
	assert_true(taken > 1000 && refused > 1000);
}

struct row {
	const char *what;
	const char *bytes;
	size_t length;
};

#define ROW(what, bytes)                                                                           \
	{                                                                                          \
		what, bytes, sizeof(bytes) - 1                                                     \
	}
/* sequence 1, timestamp 0, boot_ns 2, and an empty Loss */
#define HEAD "\x08\x01\x11\0\0\0\0\0\0\0\0\x18\x02"
#define LOSS "\x9a\x01\x00"

static void other_forms_of_the_same_record_are_refused(void **state)
{
	static const struct row good = ROW("the one form", HEAD LOSS);
	static const struct row bad[] = {
		ROW("nothing", ""),
		ROW("no sequence", "\x11\0\0\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("no body", HEAD),
		ROW("two bodies", HEAD LOSS "\xa2\x01\x00"),
		ROW("the same body twice", HEAD LOSS LOSS),
		ROW("a varint with a zero more", "\x08\x81\x00\x11\0\0\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("a tag with a zero more", "\x88\x00\x01\x11\0\0\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("a length with a zero more", HEAD "\x9a\x01\x80\x00"),
		ROW("fields in another order", "\x18\x02\x08\x01\x11\0\0\0\0\0\0\0\0" LOSS),
		ROW("a field twice", "\x08\x01\x08\x01\x11\0\0\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("an unknown field", HEAD "\x68\x01" LOSS),
		ROW("an unknown field at the end", HEAD LOSS "\xf8\x7f\x01"),
		ROW("another wire type", "\x09\x01\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("a group", HEAD "\x9b\x01\x9c\x01"),
		ROW("field number zero", HEAD "\x00\x01" LOSS),
		ROW("a varint that does not end", HEAD "\x9a\x01\x02\x18\xff"),
		ROW("a varint of eleven bytes", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
						"\x11\0\0\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("a varint over 64 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x11\0\0"
					     "\0\0\0\0\0\0\x18\x02" LOSS),
		ROW("a number over 32 bits", HEAD "\x48\x80\x80\x80\x80\x10" LOSS),
		ROW("a string with a NUL", HEAD "\x2a\x01\x00" LOSS),
		ROW("a length beyond the end", HEAD "\x9a\x01\x01"),
		ROW("a huge length", HEAD "\x9a\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		ROW("a value that the enum does not have", HEAD "\x9a\x01\x02\x10\x09"),
		ROW("zero where the enum begins at one", HEAD "\x9a\x01\x02\x10\x00"),
		ROW("a bool of two", HEAD "\x92\x01\x02\x28\x02"),
		ROW("a fixed number cut short", "\x08\x01\x11\0\0\0"),
	};
	struct record_view view;

	(void)state;
	assert_true(record_view_read((const uint8_t *)good.bytes, good.length, &view));
	for (unsigned i = 0; i < array_size(bad); i++)
		if (record_view_read((const uint8_t *)bad[i].bytes, bad[i].length, &view))
			fail_msg("taken: %s", bad[i].what);
}

/* Golden bytes: another version of protobuf-c, or of record.proto, must not pack otherwise. */
static void packing_is_fixed(void **state)
{
	static const char golden[] =
		"\x08\xac\x02\x11\xfb\xff\xff\xff\xff\xff\xff\xff\x18\xff\xff\xff\xff\xff\xff\xff"
		"\xff\xff"
		"\x01\x2a\x04"
		"01JD"
		"\x48\x00\x5a\x06\x18\xff\xff\xff\xff\x0f\x62\x18\x39\x00\x00\x00"
		"\x00\x00\x00\xd0\x3f\x42\x07"
		"fs.deny"
		"\x42\x04"
		"01JD"
		"\xd2\x01\x11\x1a\x04"
		"/\x00"
		"\xff\n"
		"\x22\x09\x12\x07"
		"fs.deny";
	uint8_t bytes[BYTES_MAX];
	size_t length = pack_denial(bytes);

	(void)state;
	assert_int_equal(length, sizeof(golden) - 1);
	assert_memory_equal(bytes, golden, length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_of_a_kind_that_is_checked),
		cmocka_unit_test(a_packed_record_is_read_in_place),
		cmocka_unit_test(packing_is_fixed),
		cmocka_unit_test(other_forms_of_the_same_record_are_refused),
		cmocka_unit_test(changed_bytes_are_taken_only_where_they_are_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
