/* SPDX-License-Identifier: Apache-2.0 */
#include "record/keys.h"

#include "base/failpoint.h"
#include "wire/record.pb-c.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#define STATE_BYTES 32
#define SLOT_STEP 4096 /* one slot a block, so that a torn write of one leaves the other */
#define CHECKSUM_BYTES 32
#define SECRET_BYTES 4096

/* A slot of the file. Numbers are little-endian there. */
struct slot {
	uint8_t magic[8];
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t generation;
	uint64_t number[SIGNED_KIND_COUNT];
	uint8_t state[SIGNED_KIND_COUNT][STATE_BYTES];
	uint64_t segment, offset, sequence, reason;
	uint8_t hash[CHAIN_HASH_BYTES];
	uint8_t checksum[CHECKSUM_BYTES]; /* over all before it */
};
static_assert(sizeof(struct slot) == 208, "no holes: written as it is");

/* All that must not leave the process: one page that is locked, in no core dump, and zero in a
 * child. */
struct secret {
	struct slot slot; /* in host byte order */
	struct slot raw[2];
	/* [kind][0] signs next, [kind][1] is the one after it */
	uint8_t secret_key[SIGNED_KIND_COUNT][2][crypto_sign_SECRETKEYBYTES];
	uint8_t seed[crypto_sign_SEEDBYTES];
};
static_assert(sizeof(struct secret) <= SECRET_BYTES, "one page");

struct keys {
	const struct storage *storage;
	int file;
	unsigned current_slot;
	struct secret *secret;
	uint8_t public_key[SIGNED_KIND_COUNT][2][PUBLIC_KEY_BYTES];
	struct log_position position;
};

static const uint8_t magic[8] = {'B', 'E', 'R', 'M', 'K', 'E', 'Y', '1'};

#define PERSONAL_BYTES crypto_generichash_blake2b_PERSONALBYTES
static const uint8_t personal_checksum[PERSONAL_BYTES] = "berm key file 1";
static const uint8_t personal_next[PERSONAL_BYTES] = "berm key next 1";
static const uint8_t personal_sign[PERSONAL_BYTES] = "berm key sign 1";

/* Whatever handles a state, a seed or a key leaves parts of it on the stack, in spilled registers
 * and in what libsodium does not wipe. So all of that is done in calls that are never inlined, and
 * their callers, which handle none, wipe more than they took. */
#define STACK_BYTES 16384
#define leaves_secrets __attribute__((noinline))

static void wipe_stack(void)
{
	sodium_stackzero(STACK_BYTES);
}

static void derive(uint8_t *ret, const uint8_t state[STATE_BYTES], const uint8_t *personal)
{
	int r = crypto_generichash_blake2b_salt_personal(
		ret, STATE_BYTES, NULL, 0, state, STATE_BYTES, NULL, personal);

	assert(r == 0);
}

static void convert(struct slot *to, const struct slot *from)
{
	/* The same both ways: on a little-endian machine nothing changes. */
	*to = *from;
	to->generation = htole64(from->generation);
	to->segment = htole64(from->segment);
	to->offset = htole64(from->offset);
	to->sequence = htole64(from->sequence);
	to->reason = htole64(from->reason);
	for (unsigned kind = 0; kind < SIGNED_KIND_COUNT; kind++)
		to->number[kind] = htole64(from->number[kind]);
}

static void slot_checksum(const struct slot *raw, uint8_t ret_checksum[CHECKSUM_BYTES])
{
	int r = crypto_generichash_blake2b_salt_personal(ret_checksum, CHECKSUM_BYTES,
		(const uint8_t *)raw, offsetof(struct slot, checksum), NULL, 0, NULL,
		personal_checksum);

	assert(r == 0);
}

/* Numbers that no recorder ever writes. The checksum keeps out accidents only. */
static bool slot_is_sane(const struct slot *raw)
{
	uint64_t head = le64toh(raw->number[SIGNED_HEAD]);
	uint64_t seal = le64toh(raw->number[SIGNED_SEAL]);
	uint64_t generation = le64toh(raw->generation);
	uint64_t segment = le64toh(raw->segment), offset = le64toh(raw->offset);

	/* Counted up from 1, once a seal: what comes near the end of these was not counted. */
	return head > 0 && head <= SEGMENT_NUMBER_MAX + 1 && segment < head && seal > 0 &&
	       seal <= INT64_MAX && generation > 0 && generation <= INT64_MAX &&
	       le64toh(raw->sequence) <= INT64_MAX &&
	       (segment == 0 ? offset == 0 : offset > SEGMENT_HEADER_BYTES && offset <= INT64_MAX);
}

static bool slot_is_whole(const struct slot *raw)
{
	uint8_t checksum[CHECKSUM_BYTES];

	slot_checksum(raw, checksum);
	return memcmp(raw->magic, magic, sizeof(magic)) == 0 &&
	       memcmp(raw->checksum, checksum, sizeof(checksum)) == 0 && slot_is_sane(raw);
}

/* The key that comes after the present one. */
static void derive_next(struct keys *keys, enum signed_kind kind)
{
	struct secret *s = keys->secret;
	uint8_t *next = s->raw[0].state[kind];

	derive(next, s->slot.state[kind], personal_next);
	derive(s->seed, next, personal_sign);
	crypto_sign_seed_keypair(keys->public_key[kind][1], s->secret_key[kind][1], s->seed);
	sodium_memzero(s->seed, sizeof(s->seed));
	sodium_memzero(s->raw, sizeof(s->raw));
}

/* Both keys of one kind from its state. */
static void derive_keys(struct keys *keys, enum signed_kind kind)
{
	struct secret *s = keys->secret;

	derive(s->seed, s->slot.state[kind], personal_sign);
	crypto_sign_seed_keypair(keys->public_key[kind][0], s->secret_key[kind][0], s->seed);
	derive_next(keys, kind);
}

static int keys_allocate(const struct storage *s, struct keys **ret_keys, struct error *err)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	void *page;

	if (!keys)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the recorder's keys");
	keys->storage = s;
	keys->file = -1;
	page = mmap(NULL, SECRET_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		free(keys);
		return error_errno(err, "map a page for the recorder's keys");
	}
	keys->secret = page;
	/* sodium_mlock() also sets MADV_DONTDUMP, but ignores what comes of it. */
	if (sodium_mlock(page, SECRET_BYTES) < 0 ||
		madvise(page, SECRET_BYTES, MADV_DONTDUMP) < 0 ||
		madvise(page, SECRET_BYTES, MADV_WIPEONFORK) < 0) {
		int r = error_errno(err, "keep the recorder's keys in memory (RLIMIT_MEMLOCK)");

		keys_destroy(keys);
		return r;
	}
	*ret_keys = keys;
	return 0;
}

void keys_destroy(struct keys *keys)
{
	int saved = errno;

	if (!keys)
		return;
	sodium_munlock(keys->secret, SECRET_BYTES); /* wipes first */
	munmap(keys->secret, SECRET_BYTES);
	if (keys->file >= 0)
		keys->storage->ops->close(keys->storage->context, keys->file);
	free(keys);
	errno = saved;
}

static int say(struct error *err, int r, const char *what)
{
	return error_set(err, r, ERROR_INTERNAL, "%s %s: %s", what, KEYS_FILE, strerror(-r));
}

/* To the disk. */
static int write_slot(struct keys *keys, const void *raw, unsigned place)
{
	const struct storage *s = keys->storage;
	int r = s->ops->write(s->context, keys->file, raw, sizeof(struct slot), place * SLOT_STEP);

	return r < 0 ? r : s->ops->sync(s->context, keys->file);
}

/* Write the slot into the place that is not the current one, then wipe the current one. */
static int persist(struct keys *keys, struct error *err)
{
	static const uint8_t zero[sizeof(struct slot)];
	struct slot *raw = &keys->secret->raw[0];
	unsigned next = !keys->current_slot;
	int r;

	convert(raw, &keys->secret->slot);
	slot_checksum(raw, raw->checksum);
	failpoint("key.evolved");
	r = write_slot(keys, raw, next);
	sodium_memzero(raw, sizeof(*raw));
	failpoint("key.next-written");
	/* Only now: a power loss before this finds the old state and evolves it again. */
	if (r == 0)
		r = write_slot(keys, zero, keys->current_slot);
	if (r < 0)
		return say(err, r, "write");
	failpoint("key.old-wiped");
	keys->current_slot = next;
	return 0;
}

static int write_files(struct keys *keys, int dir, struct error *err)
{
	static const uint8_t zero[sizeof(struct slot)];
	const struct storage *s = keys->storage;
	struct slot *raw = &keys->secret->raw[0];
	char line[LOG_LINE_BYTES];
	struct log_pin pin;
	int r;

	memcpy(pin.log_id, keys->secret->slot.log_id, LOG_ID_BYTES);
	memcpy(pin.public_key, keys->public_key[SIGNED_HEAD][0], PUBLIC_KEY_BYTES);
	log_pin_format(&pin, line);
	/* The public key first: where the secret one is, the other is too. */
	r = storage_replace(s, dir, KEYS_PIN_FILE, 0644, line, strlen(line));
	if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "write %s: %s", KEYS_PIN_FILE, strerror(-r));
	failpoint("key.pin-made");
	convert(raw, &keys->secret->slot);
	slot_checksum(raw, raw->checksum);
	r = storage_replace(s, dir, KEYS_FILE, 0600, raw, sizeof(*raw));
	sodium_memzero(raw, sizeof(*raw));
	if (r < 0)
		return say(err, r, "write");
	keys->file = s->ops->open(s->context, dir, KEYS_FILE, O_RDWR, 0);
	if (keys->file < 0)
		return say(err, keys->file, "open");
	failpoint("key.made");
	/* The room of the second slot, so that no seal ever needs new blocks. */
	r = write_slot(keys, zero, 1);
	return r < 0 ? say(err, r, "write") : 0;
}

leaves_secrets static int create(
	const struct storage *s, int dir, struct keys **ret_keys, struct error *err)
{
	struct keys *keys = NULL;
	struct slot *slot;
	int file, r;

	file = s->ops->open(s->context, dir, KEYS_FILE, O_RDONLY, 0);
	if (file >= 0) {
		s->ops->close(s->context, file);
		return say(err, -EEXIST, "make");
	}
	if (file != -ENOENT)
		return say(err, file, "open");
	r = keys_allocate(s, &keys, err);
	if (!keys)
		return r;
	slot = &keys->secret->slot;
	memcpy(slot->magic, magic, sizeof(magic));
	randombytes_buf(slot->log_id, LOG_ID_BYTES);
	randombytes_buf(slot->state, sizeof(slot->state));
	slot->number[SIGNED_HEAD] = slot->number[SIGNED_SEAL] = slot->generation = 1;
	derive_keys(keys, SIGNED_HEAD);
	derive_keys(keys, SIGNED_SEAL);
	r = write_files(keys, dir, err);
	if (r < 0) {
		keys_destroy(keys);
		return r;
	}
	*ret_keys = keys;
	return 0;
}

int keys_create(const struct storage *s, int dir, struct keys **ret_keys, struct error *err)
{
	int r = create(s, dir, ret_keys, err);

	wipe_stack();
	return r;
}

static int open_file(struct keys *keys, int dir, struct error *err)
{
	const struct storage *s = keys->storage;
	struct storage_stat st;
	int r;

	keys->file = s->ops->open(s->context, dir, KEYS_FILE, O_RDWR, 0);
	if (keys->file < 0)
		return say(err, keys->file, "open");
	r = s->ops->stat(s->context, keys->file, &st);
	if (r < 0)
		return say(err, r, "look at");
	if ((st.mode & 077) != 0 || st.uid != geteuid())
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s must belong to this user and have mode 0600", KEYS_FILE);
	return 0;
}

static int read_slots(struct keys *keys, struct error *err)
{
	static const uint8_t zero[sizeof(struct slot)];
	const struct storage *s = keys->storage;
	struct secret *secret = keys->secret;
	bool whole[2];
	ssize_t n = 0;
	int r = 0;

	for (unsigned i = 0; i < 2 && n >= 0; i++) {
		n = s->ops->read(s->context, keys->file, &secret->raw[i], sizeof(struct slot),
			(uint64_t)i * SLOT_STEP);
		whole[i] = n == (ssize_t)sizeof(struct slot) && slot_is_whole(&secret->raw[i]);
	}
	if (n < 0)
		return say(err, (int)n, "read");
	if (!whole[0] && !whole[1])
		return error_set(err, -EBADMSG, ERROR_INPUT, "%s is damaged", KEYS_FILE);
	keys->current_slot = !whole[0] || (whole[1] && le64toh(secret->raw[1].generation) >
							       le64toh(secret->raw[0].generation));
	convert(&secret->slot, &secret->raw[keys->current_slot]);
	/* After a change that was interrupted, or a sync that failed, the disk need not hold what
	 * is read here, and may still hold the state before: this one again, then the other away.
	 */
	if (le64toh(secret->raw[keys->current_slot].reason) !=
			BERM__WIRE__SEAL_REASON__SEAL_CLOSE ||
		sodium_memcmp(&secret->raw[!keys->current_slot], zero, sizeof(zero)) != 0) {
		r = write_slot(keys, &secret->raw[keys->current_slot], keys->current_slot);
		if (r == 0)
			r = write_slot(keys, zero, !keys->current_slot);
	}
	sodium_memzero(secret->raw, sizeof(secret->raw));
	return r < 0 ? say(err, r, "write") : 0;
}

leaves_secrets static int load(
	const struct storage *s, int dir, struct keys **ret_keys, struct error *err)
{
	struct keys *keys = NULL;
	const struct slot *slot;
	int r = keys_allocate(s, &keys, err);

	if (!keys)
		return r;
	r = open_file(keys, dir, err);
	if (r == 0)
		r = read_slots(keys, err);
	/* Before the first segment: the file may be there without its name being on the disk. */
	if (r == 0 && keys->secret->slot.segment == 0) {
		r = s->ops->sync_dir(s->context, dir);
		r = r < 0 ? say(err, r, "keep the name of") : 0;
	}
	if (r < 0) {
		keys_destroy(keys);
		return r;
	}
	slot = &keys->secret->slot;
	keys->position = (struct log_position){.segment = slot->segment,
		.offset = slot->offset,
		.sequence = slot->sequence,
		.reason = slot->reason};
	memcpy(keys->position.hash, slot->hash, CHAIN_HASH_BYTES);
	derive_keys(keys, SIGNED_HEAD);
	derive_keys(keys, SIGNED_SEAL);
	*ret_keys = keys;
	return 0;
}

int keys_load(const struct storage *s, int dir, struct keys **ret_keys, struct error *err)
{
	int r = load(s, dir, ret_keys, err);

	wipe_stack();
	return r;
}

int keys_lock(struct keys *keys, struct error *err)
{
	int r = keys->storage->ops->lock(keys->storage->context, keys->file);

	if (r == -EWOULDBLOCK)
		return error_set(err, r, ERROR_REFUSED, "another recorder has these keys");
	return r < 0 ? say(err, r, "lock") : 0;
}

const uint8_t *keys_log_id(const struct keys *keys)
{
	return keys->secret->slot.log_id;
}

uint64_t keys_number(const struct keys *keys, enum signed_kind kind)
{
	return keys->secret->slot.number[kind];
}

const struct log_position *keys_position(const struct keys *keys)
{
	return &keys->position;
}

void keys_public(const struct keys *keys, enum signed_kind kind, unsigned steps,
	uint8_t ret_public[PUBLIC_KEY_BYTES])
{
	assert(steps < 2);
	memcpy(ret_public, keys->public_key[kind][steps], PUBLIC_KEY_BYTES);
}

void keys_sign(const struct keys *keys, enum signed_kind kind,
	const uint8_t digest[SIGNED_DIGEST_BYTES], uint8_t ret_signature[SIGNATURE_BYTES])
{
	/* A child finds zeros here (MADV_WIPEONFORK); it must not sign with them. */
	assert(keys->secret->slot.generation > 0);
	crypto_sign_detached(ret_signature, NULL, digest, SIGNED_DIGEST_BYTES,
		keys->secret->secret_key[kind][0]);
	wipe_stack();
}

leaves_secrets static int advance(struct keys *keys, enum signed_kind kind,
	const struct log_position *position, struct error *err)
{
	struct slot *slot = &keys->secret->slot;
	uint8_t *next = keys->secret->seed;

	assert(slot->generation > 0);
	derive(next, slot->state[kind], personal_next);
	memcpy(slot->state[kind], next, STATE_BYTES);
	slot->number[kind]++;
	slot->generation++;
	slot->segment = position->segment;
	slot->offset = position->offset;
	slot->sequence = position->sequence;
	slot->reason = position->reason;
	memcpy(slot->hash, position->hash, CHAIN_HASH_BYTES);
	keys->position = *position;
	memcpy(keys->secret->secret_key[kind][0], keys->secret->secret_key[kind][1],
		crypto_sign_SECRETKEYBYTES);
	memcpy(keys->public_key[kind][0], keys->public_key[kind][1], PUBLIC_KEY_BYTES);
	derive_next(keys, kind);
	return persist(keys, err);
}

int keys_advance(struct keys *keys, enum signed_kind kind, const struct log_position *position,
	struct error *err)
{
	int r = advance(keys, kind, position, err);

	wipe_stack();
	return r;
}
