/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/plan.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGUMENTS_CONDITIONS_MAX 3

/* (args[argument] & mask) equals value, or does not where negate is set. */
struct argument_condition {
	uint8_t argument;
	bool negate;
	uint64_t mask; /* 0 ends the list */
	uint64_t value;
};

enum argument_action {
	ARGUMENT_DENY = 0, /* as the profile's on_deny says */
	ARGUMENT_QUIET,    /* errno_value, unreported: what libraries probe */
	ARGUMENT_ALLOW,    /* ends the list of rules for this call */
	ARGUMENT_ACTION_COUNT
};

struct argument_rule {
	struct argument_condition conditions[ARGUMENTS_CONDITIONS_MAX];
	enum argument_action action;
	uint16_t errno_value; /* QUIET; DENY: in place of EPERM, 0 = EPERM */
	bool family; /* follows from the list of families: syscalls.families is its rule where there
			is one */
};

/* What is refused of a call that is allowed as such. The first rule whose conditions all hold
 * decides. */
struct argument_rules {
	const char *call;
	int16_t x86_64; /* the call's number there; the table is sorted by it like calls_table() */
	const struct argument_rule *rules;
	size_t count;
};

const struct argument_rules *argument_rules(size_t *ret_count);

/* The rules of memfd_create(2) where a memory file must never be a program. */
const struct argument_rule *argument_sealed_memfd_rules(size_t *ret_count);

/* The rules of socketpair(2) where the unix family is not listed. */
const struct argument_rule *argument_closed_socketpair_rules(size_t *ret_count);

/* The families that a profile can name (see calls_families()). */
enum argument_family {
	ARGUMENT_FAMILY_UNIX = 1,
	ARGUMENT_FAMILY_INET = 2,
	ARGUMENT_FAMILY_INET6 = 4,
	ARGUMENT_FAMILY_NETLINK = 8,
};

#define ARGUMENTS_SOCKET_RULES_MAX 24

/* The rules of socket(2) for a set of families (enum argument_family); gives how many were made. */
size_t argument_socket_rules(
	unsigned families, struct argument_rule rules[ARGUMENTS_SOCKET_RULES_MAX]);
