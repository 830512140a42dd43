/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"

enum operation {
	OPERATION_READ,
	OPERATION_WRITE,
	OPERATION_EXEC,
	OPERATION_CONNECT, /* object: "host:port" or "ip:port" or "unix:/path" */
	OPERATION_SYSCALL, /* object: a name */
	OPERATION_ENV,     /* object: a variable's name */
	OPERATION_COUNT
};

struct verdict {
	enum decision decision;
	const char *rule;   /* "fs.deny", "network.default" … static or owned by the profile */
	const char *value;  /* the rule's own words, or NULL when no rule matched */
	const char *reason; /* the profile's reason, or NULL */
	struct source at;   /* the line that decided; zero for a default */
	char hint[256]; /* the narrowest line that would allow it; "" when allowed or never to be
			   allowed */
};

/* The one decision function: what the profile says about an operation on an object. explain, test,
 * trace and learn ask this; the walls are compiled from the same rules. Pure. The path must be
 * absolute and normal, links followed by the caller. Unknown or malformed objects are denied. */
void decide(const struct profile *profile, enum operation operation, const char *object,
	struct verdict *ret_verdict);
