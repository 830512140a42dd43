/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "record/keys.h"

#include <sodium.h>

/* The small files around a log. First byte: which. 0 a pinned key's line, 1 an anchored head's:
 * what is taken is what is written for it again. 2 a key file, 3 the same with right checksums: it
 * is refused, or holds keys with which a next seal can be made and kept. */

#define SLOT_BYTES 208
#define SLOT_STEP 4096
#define CHECKSUM_AT 176

static uint8_t file[2 * SLOT_STEP];
static uint64_t file_size;
static bool is_there;

static int memory_open(void *context, int dir, const char *name, int flags, unsigned mode)
{
	(void)context, (void)dir, (void)name, (void)flags, (void)mode;
	return is_there ? 1 : -ENOENT;
}

static void memory_close(void *context, int handle)
{
	(void)context, (void)handle;
}

static int memory_stat(void *context, int handle, struct storage_stat *ret_stat)
{
	(void)context, (void)handle;
	*ret_stat = (struct storage_stat){
		.size = file_size, .mode = 0600, .uid = geteuid(), .links = 1};
	return 0;
}

static ssize_t memory_read(void *context, int handle, void *data, size_t length, uint64_t offset)
{
	(void)context, (void)handle;
	if (offset >= file_size)
		return 0;
	if (length > file_size - offset)
		length = file_size - offset;
	memcpy(data, file + offset, length);
	return (ssize_t)length;
}

static int memory_write(void *context, int handle, const void *data, size_t length, uint64_t offset)
{
	(void)context, (void)handle;
	assert(offset + length <= sizeof(file));
	memcpy(file + offset, data, length);
	if (offset + length > file_size)
		file_size = offset + length;
	return 0;
}

static int memory_sync(void *context, int handle)
{
	(void)context, (void)handle;
	return 0;
}

static const struct storage_ops memory_ops = {.open = memory_open,
	.close = memory_close,
	.stat = memory_stat,
	.read = memory_read,
	.write = memory_write,
	.sync = memory_sync,
	.sync_dir = memory_sync};
static const struct storage memory = {.ops = &memory_ops};

static void try_line(bool is_pin, const char *text, size_t length)
{
	char line[LOG_LINE_BYTES];
	struct log_pin pin;
	struct log_head head;
	int r;

	r = is_pin ? log_pin_parse(text, length, &pin, NULL)
		   : log_head_parse(text, length, &head, NULL);
	if (r < 0) {
		assert(r == -EBADMSG);
		return;
	}
	if (is_pin)
		log_pin_format(&pin, line);
	else
		log_head_format(&head, line);
	assert(strlen(line) == length && memcmp(line, text, length) == 0);
}

/* The first bytes of the input are the first slot, the next ones the second. */
static void put_file(const uint8_t *data, size_t size, bool right_checksums)
{
	static const uint8_t personal[16] = "berm key file 1";

	memset(file, 0, sizeof(file));
	file_size = size > SLOT_BYTES ? SLOT_STEP + size - SLOT_BYTES : size;
	if (file_size > SLOT_STEP + SLOT_BYTES)
		file_size = SLOT_STEP + SLOT_BYTES;
	for (size_t i = 0; i < size && i < 2 * SLOT_BYTES; i++)
		file[i < SLOT_BYTES ? i : SLOT_STEP + i - SLOT_BYTES] = data[i];
	for (unsigned place = 0; place < 2 && right_checksums; place++) {
		uint8_t *slot = file + place * SLOT_STEP;

		memcpy(slot, "BERMKEY1", 8);
		crypto_generichash_blake2b_salt_personal(
			slot + CHECKSUM_AT, 32, slot, CHECKSUM_AT, NULL, 0, NULL, personal);
	}
}

/* A number that was counted up to where no counting leads. */
static bool is_at_the_end(void)
{
	static const unsigned numbers[] = {24, 40, 128}; /* generation, next seal, sequence */

	for (unsigned i = 0; i < 6; i++) {
		const uint8_t *number = file + (i / 3) * SLOT_STEP + numbers[i % 3];

		if (number[7] & 0x80)
			return true;
	}
	return false;
}

static void try_keys(void)
{
	struct log_position position;
	uint8_t next[PUBLIC_KEY_BYTES], now[PUBLIC_KEY_BYTES], name[SEGMENT_NAME_BYTES];
	struct keys *keys;

	is_there = true;
	if (keys_load(&memory, 0, &keys, NULL) < 0)
		return;
	position = *keys_position(keys);
	/* What the recorder does with them at once. */
	if (position.segment)
		segment_name(position.segment, (char *)name);
	assert(position.segment == 0 || position.offset >= SEGMENT_HEADER_BYTES);
	keys_public(keys, SIGNED_SEAL, 1, next);
	position.sequence++;
	if (keys_advance(keys, SIGNED_SEAL, &position, NULL) == 0) {
		keys_destroy(keys);
		if (keys_load(&memory, 0, &keys, NULL) < 0) {
			assert(is_at_the_end());
			return;
		}
		keys_public(keys, SIGNED_SEAL, 0, now);
		assert(memcmp(now, next, sizeof(now)) == 0);
	}
	keys_destroy(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 4 < 2) {
		/* Not ended by a NUL, so that a read past its end is seen. */
		try_line(data[0] % 4 == 0, (const char *)data + 1, size - 1);
		return 0;
	}
	put_file(data + 1, size - 1, data[0] % 4 == 3);
	try_keys();
	return 0;
}
