/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/syscalls.h"

#define FIXTURE_RULES_MAX 64
#define FIXTURE_WORDS_MAX 64

/* A profile's syscalls section put together word by word, and what it compiles to. Zero-initialise
 * through fixture_init(); release with fixture_finish(). Words are borrowed. */
struct fixture {
	struct profile profile;
	Berm__Wire__HostFacts facts;
	bool trace;
	Berm__Wire__Meter meter; /* of the plan, where metered */
	bool metered, network_open;
	struct string_rule allow[FIXTURE_WORDS_MAX], deny[FIXTURE_WORDS_MAX],
		groups[FIXTURE_WORDS_MAX], families[FIXTURE_WORDS_MAX];
	/* The rules that the compiler asked for, from index 1 on; 0 is berm's own. "key value" */
	char *rules[FIXTURE_RULES_MAX];
	uint32_t rule_count;
	Berm__Wire__Seccomp *seccomp; /* after fixture_compile() */
};

void fixture_init(struct fixture *f);
void fixture_finish(struct fixture *f);
/* Add one word: key is "base", "on_deny", "allow", "deny", "deny_groups", "families", "machine"
 * (x86_64, aarch64), "listener" (yes, no), "trace" (yes, no), "gate" (yes, no: a meter with and
 * without it) or "network" (open, closed). The first family replaces the default list. False where
 * key or value is not known. line is the place that errors and rules name. */
bool fixture_add(struct fixture *f, const char *key, const char *value, uint32_t line) must_check;
int fixture_compile(struct fixture *f, struct error *err) must_check;
/* Every kind of setting that the shipped profiles and the options of berm lead to, as "KEY VALUE,
 * KEY VALUE …". */
extern const char *const fixture_settings[];
extern const size_t fixture_setting_count;
/* Initialise, add the words of a setting and compile; false where anything fails. */
bool fixture_make(struct fixture *f, const char *setting, char *words, size_t capacity) must_check;
/* The compiled program. */
const struct sock_filter *fixture_program(const struct fixture *f, size_t *ret_count);
