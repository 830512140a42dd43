/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/files.h"

#include "policy/trust.h"

#include <sys/stat.h>

#define DIGEST_DOMAIN "berm profile 1"
#define DIGEST_BYTES 32

static bool has(void *context, const char *path, const uid_t *owner)
{
	struct stat st;

	(void)context;
	/* A directory of that name may be the placeholder of another run. */
	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode) &&
	       (!owner || trust_owner(st.st_uid, *owner));
}

static bool is_absent(void *context, const char *path)
{
	(void)context;
	return access(path, F_OK) < 0 && errno == ENOENT;
}

static char *real(void *context, const char *path)
{
	(void)context;
	return realpath(path, NULL);
}

static int read_here(void *context, const struct profile_wanted *wanted, struct arena *arena,
	struct source_file **ret_file, bool *ret_linked, struct error *err)
{
	(void)context;
	return trust_read(arena, wanted->path, wanted->trusted_uid, ret_file, ret_linked, err);
}

const struct profile_files profile_files_here = {NULL, has, is_absent, real, read_here};

void profile_digest_begin(crypto_generichash_state *state)
{
	crypto_generichash_init(state, NULL, 0, DIGEST_BYTES);
	crypto_generichash_update(
		state, (const unsigned char *)DIGEST_DOMAIN, sizeof(DIGEST_DOMAIN));
}

void profile_digest_file(crypto_generichash_state *state, const struct source_file *file)
{
	unsigned char count[8];

	for (unsigned i = 0; i < sizeof(count); i++)
		count[i] = (unsigned char)((uint64_t)file->length >> (8 * i));
	crypto_generichash_update(state, count, sizeof(count));
	crypto_generichash_update(state, (const unsigned char *)file->data, file->length);
}

void profile_digest_end(crypto_generichash_state *state, uint8_t digest[DIGEST_BYTES])
{
	crypto_generichash_final(state, digest, DIGEST_BYTES);
}
