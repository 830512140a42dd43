/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/arena.h"
#include "policy/diagnostics.h"

#include <sodium.h>
#include <sys/types.h>

struct profile_wanted {
	const char *path;
	unsigned tree; /* 0: the profile and what it extends; 1 and up: each ceiling */
	uid_t trusted_uid;
};

/* How profile_load() reaches files: a process that may open none asks another one. */
struct profile_files {
	void *context;
	/* Whether something is there that is no directory; owner: and is root's or that user's. */
	bool (*has)(void *context, const char *path, const uid_t *owner);
	bool (*is_absent)(void *context, const char *path);
	/* realpath(3) of a directory, allocated; NULL: there is none. */
	char *(*real)(void *context, const char *path);
	/* trust_read(). */
	int (*read)(void *context, const struct profile_wanted *wanted, struct arena *arena,
		struct source_file **ret_file, bool *ret_linked, struct error *err);
};

/* This process's own. */
extern const struct profile_files profile_files_here;

/* The digest of a profile: of every file that was read for it, in that order. */
void profile_digest_begin(crypto_generichash_state *state);
void profile_digest_file(crypto_generichash_state *state, const struct source_file *file);
void profile_digest_end(crypto_generichash_state *state, uint8_t digest[32]);
