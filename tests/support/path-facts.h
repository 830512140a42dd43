/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Facts made by hand: what a host says about the paths of a profile. Include after test.h. */

#include "base/own.h"
#include "wire/facts.pb-c.h"

#include <string.h>

struct host {
	Berm__Wire__HostFacts facts;
	Berm__Wire__PathFact fact[8];
	Berm__Wire__PathFact *pointers[8];
};

static inline void host_init(struct host *h)
{
	memset(h, 0, sizeof(*h));
	berm__wire__host_facts__init(&h->facts);
	h->facts.paths = h->pointers;
}

/* A directory at path that leads to resolved; absent where that is "". */
static inline Berm__Wire__PathFact *host_add(struct host *h, const char *path, const char *resolved)
{
	Berm__Wire__PathFact *fact = &h->fact[h->facts.n_paths];

	assert_true(h->facts.n_paths < array_size(h->fact));
	berm__wire__path_fact__init(fact);
	fact->path = (char *)(uintptr_t)path;
	fact->resolved = (char *)(uintptr_t)resolved;
	fact->kind = fact->resolved_kind = *resolved ? BERM__WIRE__FILE_KIND__FILE_DIRECTORY
						     : BERM__WIRE__FILE_KIND__FILE_ABSENT;
	fact->links = 1;
	h->pointers[h->facts.n_paths++] = fact;
	return fact;
}
