/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "wire/facts.pb-c.h"

/* The features of a host that berm's walls stand on: the table behind `berm doctor`. */

enum feature_state {
	FEATURE_NO,
	FEATURE_WEAKER, /* something takes its place that holds less */
	FEATURE_YES,
	FEATURE_STATE_COUNT
};

struct finding {
	enum feature_state state;
	uint64_t level; /* Landlock ABI, kernel version * 1000 …; 0 where the feature has none */
	struct text detail; /* what is there, or why not; one line */
	/* Said in place of the feature's own words where something of it is there; or NULL. Static.
	 */
	const char *costs, *how;
};

struct feature {
	const char *name;  /* as in --require, `requires:` and --allow-degraded */
	const char *gives; /* what berm does with it */
	const char *costs; /* what is lost without it */
	const char *how;   /* how to get it */
	void (*look)(const Berm__Wire__HostFacts *facts, struct finding *finding);
	/* True where the finding meets what stands after "=" in --require; false and err (kind
	 * INPUT) where that makes no sense. NULL: the feature takes no such word. */
	bool (*meets)(const Berm__Wire__HostFacts *facts, const struct finding *finding,
		const char *wanted, struct error *err);
};

extern const struct feature features[];
extern const size_t feature_count;

const char *feature_state_word(enum feature_state state);
/* The row of that name (length bytes), or NULL. */
const struct feature *feature_find(const char *name, size_t length);
