/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "policy/minisign.h"

#include <sodium.h>

/* The files of keys and signatures. First byte: which. 0 a public key: what is taken is what is
 * written for it again. 1 a secret key: only one without a password. 2 a signature, judged with a
 * known key over a known file: it is good where it is the very one that this key makes. 3 a trusted
 * comment. */

static const char file[] = "version: 1\nname: fuzz\n";
#define FILE_LENGTH (sizeof(file) - 1)

static void try_public(const char *text, size_t length)
{
	autotext struct text again = {0};
	struct minisign_key key, same;

	if (minisign_read_public(text, length, &key, NULL) < 0)
		return;
	minisign_put_public(&again, &key);
	assert(memmem(text, length, again.data, again.length));
	assert(minisign_read_public(again.data, again.length, &same, NULL) == 0);
	assert(memcmp(&key, &same, sizeof(key)) == 0);
}

static void try_secret(const char *text, size_t length)
{
	struct minisign_secret secret;
	struct error err = {0};
	int r = minisign_read_secret(text, length, &secret, &err);

	assert(r == 0 || r == -EBADMSG || r == -EKEYREJECTED);
	assert(r == 0 || err.text[0]);
}

static void sign(const uint8_t *secret_key, const void *data, size_t length, uint8_t *signature)
{
	crypto_sign_detached(signature, NULL, data, length, secret_key);
}

/* Is it what the key makes of this file and this comment? */
static bool is_made(const struct minisign_signature *given, const uint8_t *secret_key)
{
	uint8_t hash[64], second[MINISIGN_SIGNATURE_BYTES + MINISIGN_COMMENT_BYTES];
	uint8_t of_file[MINISIGN_SIGNATURE_BYTES], of_comment[MINISIGN_SIGNATURE_BYTES];
	size_t words = strlen(given->comment);

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)file, FILE_LENGTH, NULL, 0);
	sign(secret_key, hash, sizeof(hash), of_file);
	memcpy(second, of_file, sizeof(of_file));
	memcpy(second + sizeof(of_file), given->comment, words);
	sign(secret_key, second, sizeof(of_file) + words, of_comment);
	return memcmp(given->of_file, of_file, sizeof(of_file)) == 0 &&
	       memcmp(given->of_comment, of_comment, sizeof(of_comment)) == 0;
}

static void try_signature(const char *text, size_t length)
{
	static const uint8_t seed[crypto_sign_SEEDBYTES] = "a key that everybody can know";
	uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
	struct minisign_key key = {.id = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct minisign_verdict verdict;
	const struct minisign_case question = {.data = file,
		.length = FILE_LENGTH,
		.name = "fuzz",
		.signature = text,
		.signature_length = length,
		.keys = &key,
		.key_count = 1};
	struct error err = {0};
	int r;

	crypto_sign_seed_keypair(key.public_key, secret_key, seed);
	r = minisign_judge(&question, &verdict, &err);
	assert(r == 0 || ((r == -EBADMSG || r == -ENOKEY) && err.text[0]));
	if (r < 0)
		return;
	assert(is_made(&verdict.signature, secret_key));
	assert(!verdict.claim.profile[0] || strcmp(verdict.claim.profile, "fuzz") == 0);
}

static void try_comment(const char *text)
{
	struct minisign_claim claim;
	struct error err = {0};

	if (minisign_read_claim(text, &claim, &err) < 0) {
		assert(err.text[0]);
		return;
	}
	assert(claim.rest >= text && claim.rest <= text + strlen(text));
	assert(strlen(claim.profile) < sizeof(claim.profile) &&
		(claim.time[0] == '\0' || strlen(claim.time) == 20));
	if (claim.rest == text)
		assert(!claim.profile[0] && !claim.counter && !claim.version && !claim.time[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = size ? fuzz_string(data + 1, size - 1) : NULL;

	if (size == 0)
		return 0;
	/* Not ended by a NUL, so that a read past its end is seen. */
	if (data[0] % 4 == 0)
		try_public((const char *)data + 1, size - 1);
	else if (data[0] % 4 == 1)
		try_secret((const char *)data + 1, size - 1);
	else if (data[0] % 4 == 2)
		try_signature((const char *)data + 1, size - 1);
	else
		try_comment(text);
	return 0;
}
