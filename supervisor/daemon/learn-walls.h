/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/arena.h"
#include "policy/profile.h"

/* The walls that a run is learnt behind: what the base gives, the programs and settings of the
 * system for reading, and the work tree for writing; without credentials. They are a profile in a
 * file of its own, so that all checks and the ceiling of the site hold for them. */

struct learn_walls {
	struct arena arena;
	char directory[32];   /* "" where there is none */
	char path[64];        /* the profile's file */
	const char **secrets; /* paths of the host with credentials, NULL-terminated */
	size_t secret_count;
};

struct learn_walls_request {
	const struct profile *base;
	const char *entry; /* of extends */
	const char *workdir, *home;
};

/* Look for credentials in the work tree, /etc and /opt, and write the profile. Nothing else is
 * touched. Zero-initialise *walls; release with learn_walls_finish(), which removes the file.
 * Errors: kind INPUT where the work tree is no place to learn in. */
int learn_walls_make(const struct learn_walls_request *request, struct learn_walls *walls,
	struct error *err) must_check;
void learn_walls_finish(struct learn_walls *walls);
#define autowalls __attribute__((cleanup(learn_walls_finish)))
