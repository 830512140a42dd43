/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/keys.h"

#include "tree.h"

#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* All the memory of a process that signed, searched by another one for what it signed with. The
 * searcher knows that from the key file before the signature, derives what docs/record-format.md
 * derives and what Ed25519 does with it, and is never in the memory that it searches. */

#define SLOT_STATES 48 /* offset of the two states in a slot, see keys.c */
#define PART 16        /* bytes of a secret that are too many to be found by chance */

struct secret {
	const char *name;
	uint8_t bytes[64];
	size_t length;
	unsigned before, after; /* times that a part of it was found */
};

enum { STATE, SEED, SCALAR, NONCE_KEY, DIGITS, SECRETS };

static void derive(uint8_t *ret, const uint8_t *state, const char *personal)
{
	uint8_t word[16] = {0};

	memcpy(word, personal, strlen(personal));
	crypto_generichash_blake2b_salt_personal(ret, 32, NULL, 0, state, 32, NULL, word);
}

/* The scalar as signed digits to the base 16, as the usual code multiplies the base point with. */
static void digits(const uint8_t scalar[32], uint8_t ret[64])
{
	int8_t e[64], carry = 0;

	for (int i = 0; i < 32; i++) {
		e[2 * i] = (int8_t)(scalar[i] & 15);
		e[2 * i + 1] = (int8_t)(scalar[i] >> 4);
	}
	for (int i = 0; i < 63; i++) {
		e[i] = (int8_t)(e[i] + carry);
		carry = (int8_t)((e[i] + 8) >> 4);
		e[i] = (int8_t)(e[i] - carry * 16);
	}
	e[63] = (int8_t)(e[63] + carry);
	memcpy(ret, e, 64);
}

/* What the key of that kind in the file signs with next. */
static void learn(enum signed_kind kind, struct secret *secrets)
{
	uint8_t file[8192] = {0}, hash[64], *slot;
	int fd = open(in_top(KEYS_FILE), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, file, sizeof(file)) > 200);
	close(fd);
	slot = sodium_is_zero(file, 208) ? file + 4096 : file;
	secrets[STATE] = (struct secret){.name = "state", .length = 32};
	memcpy(secrets[STATE].bytes, slot + SLOT_STATES + kind * 32, 32);
	secrets[SEED] = (struct secret){.name = "seed", .length = 32};
	derive(secrets[SEED].bytes, secrets[STATE].bytes, "berm key sign 1");
	crypto_hash_sha512(hash, secrets[SEED].bytes, 32);
	secrets[NONCE_KEY] = (struct secret){.name = "nonce key", .length = 32};
	memcpy(secrets[NONCE_KEY].bytes, hash + 32, 32);
	hash[0] &= 248;
	hash[31] = (uint8_t)((hash[31] & 127) | 64);
	secrets[SCALAR] = (struct secret){.name = "scalar", .length = 32};
	memcpy(secrets[SCALAR].bytes, hash, 32);
	secrets[DIGITS] = (struct secret){.name = "digits", .length = 64};
	digits(hash, secrets[DIGITS].bytes);
}

static unsigned count_in(const uint8_t *memory, size_t length, const struct secret *s)
{
	unsigned found = 0;

	for (size_t part = 0; part + PART <= s->length; part += PART) {
		const uint8_t *at = memory;

		while ((at = memmem(at, length - (size_t)(at - memory), s->bytes + part, PART))) {
			found++;
			at++;
		}
	}
	return found;
}

/* Every mapping that can be read. */
static uint64_t search(pid_t pid, struct secret *secrets, bool after)
{
	char path[64], line[512];
	autofclose FILE *maps = NULL;
	autoclose int memory = -1;
	uint64_t searched = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(maps && memory >= 0);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long from, to;
		autofree uint8_t *copy = NULL;
		ssize_t n;

		/* Shadow memory of a sanitizer is terabytes of nothing. */
		if (sscanf(line, "%llx-%llx", &from, &to) != 2 || to - from > 256U << 20)
			continue;
		copy = malloc(to - from);
		assert_non_null(copy);
		n = pread(memory, copy, to - from, (off_t)from);
		if (n <= 0)
			continue;
		searched += (uint64_t)n;
		for (unsigned i = 0; i < SECRETS; i++) {
			unsigned found = count_in(copy, (size_t)n, &secrets[i]);

			*(after ? &secrets[i].after : &secrets[i].before) += found;
			if (found && after)
				print_error("%s in %s", secrets[i].name, line);
		}
	}
	return searched;
}

/* The process that is searched: it signs when it is told to. */
static void sign_when_told(int orders, int done)
{
	uint8_t digest[SIGNED_DIGEST_BYTES] = {1}, signature[SIGNATURE_BYTES];
	struct log_position position = {.segment = 1, .offset = 500, .sequence = 9, .reason = 3};
	int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct keys *keys;
	char order;

	/* A test that fails leaves nobody behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (keys_create(&storage_system, dir, &keys, NULL) < 0 || write(done, "", 1) != 1)
		_exit(1);
	while (read(orders, &order, 1) == 1) {
		enum signed_kind kind = (enum signed_kind)order;

		keys_sign(keys, kind, digest, signature);
		position.segment = keys_number(keys, SIGNED_HEAD);
		if (keys_advance(keys, kind, &position, NULL) < 0 || write(done, "", 1) != 1)
			_exit(1);
	}
	keys_destroy(keys);
	if (write(done, "", 1) != 1)
		_exit(1);
	pause();
}

static void wait_for(int done)
{
	char byte;

	assert_int_equal(read(done, &byte, 1), 1);
}

static void nothing_is_left_of_a_key_that_has_signed(void **state)
{
	struct secret secrets[SIGNED_KIND_COUNT][SECRETS];
	int orders[2], done[2];
	uint64_t searched = 0;
	unsigned keys = 0;
	pid_t child;

	(void)state;
	assert_true(pipe(orders) == 0 && pipe(done) == 0 && sodium_init() >= 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(orders[1]);
		sign_when_told(orders[0], done[1]);
		_exit(1);
	}
	close(orders[0]);
	wait_for(done[0]);
	for (unsigned round = 0; round < 6; round++) {
		char kind = round % 3 == 2 ? SIGNED_HEAD : SIGNED_SEAL;
		struct secret *known = secrets[(unsigned)kind];

		learn((enum signed_kind)kind, known);
		search(child, known, false);
		/* It can find: these two are what the process signs with. */
		assert_true(known[STATE].before >= 2 && known[SEED].before >= 2);
		assert_int_equal(write(orders[1], &kind, 1), 1);
		wait_for(done[0]);
		searched = search(child, known, true);
		for (unsigned i = 0; i < SECRETS; i++)
			if (known[i].after)
				fail_msg("%s of key %u: found %u times", known[i].name, round,
					known[i].after);
		keys++;
	}
	/* And of those that have not, when the recorder ends. */
	for (unsigned kind = 0; kind < SIGNED_KIND_COUNT; kind++)
		learn((enum signed_kind)kind, secrets[kind]);
	close(orders[1]);
	wait_for(done[0]);
	for (unsigned kind = 0; kind < SIGNED_KIND_COUNT; kind++) {
		search(child, secrets[kind], true);
		for (unsigned i = 0; i < SECRETS; i++)
			assert_int_equal(secrets[kind][i].after, 0);
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(done[0]);
	close(done[1]);
	print_message("# nothing of %u keys in %llu bytes\n", keys, (unsigned long long)searched);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(nothing_is_left_of_a_key_that_has_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
