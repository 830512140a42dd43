/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/profile.h"

enum operation {
	OPERATION_READ,
	OPERATION_WRITE,
	OPERATION_EXEC,    /* object: a path, or a command line ("git push origin") */
	OPERATION_CONNECT, /* object: see below */
	OPERATION_SYSCALL, /* object: a name */
	OPERATION_ENV,     /* object: a variable's name */
	OPERATION_COUNT
};

/* What connect goes to: "host:port", "ip:port" or "[ip6]:port", with "/udp" after it where that is
 * meant, and " by /path" where the connecting program is known; or "unix:/path". */

#define VERDICT_HINT_MAX 256

struct verdict {
	enum decision decision;
	/* "fs.deny", "network.default" …; "berm" for what berm itself gives, "malformed". Static.
	 */
	const char *rule;
	/* The rule's own words, or NULL when no rule matched. Static or owned by the profile. */
	const char *value;
	/* The profile's reason, or berm's own for its built-in rules, or NULL. */
	const char *reason;
	/* The line that decided; zero and "" for a default. */
	struct source at;
	/* The hint says why it should stay denied: never to be offered as a line to add. */
	bool keep_denied;
	/* The narrowest line that would allow it; "" when allowed or where no line can say it. */
	char hint[VERDICT_HINT_MAX];
};

/* The one decision function: what the profile says about an operation on an object. explain, test,
 * trace and learn ask this; the walls are compiled from the same rules. Pure and without allocation
 * but for the hint. The path must be absolute and normal, links followed by the caller. Unknown or
 * malformed objects are denied.
 *
 * An optional entry is decided as if its path were there.
 *
 * It speaks about the objects of the host, and about the few things that berm itself puts into
 * every run (rule "berm": /dev/null, /proc …, the private /tmp, the run's own loopback). The
 * private home is empty: what the host has there is denied unless granted, and a caller that sees
 * the tool work in its private home does not ask.
 *
 * deny > ask > allow. An ask for reading also stands in the way of writing; an ask for writing
 * leaves reading as it is granted, and asks for reading where nothing else grants that. fs.protect
 * denies writing only. Programs run from what is readable and not writable; where fs.write reaches,
 * only what exec.allow names. The addresses of cloud metadata services and all link-local ones need
 * a rule of their own: one that merely covers them (0.0.0.0/0) does not allow them. A network rule
 * with `by` allows only a connection that names one of those programs; it denies, or asks before
 * an allow, also where the program is not named. */
void decide(const struct profile *profile, enum operation operation, const char *object,
	struct verdict *ret_verdict);

/* The ranges of addresses that need a rule of their own, see decide(). Static. */
const char *const *metadata_ranges(size_t *ret_count);

/* The word for people and for JSON: "deny", "ask", "allow"; "read", "connect" … Static. */
const char *decision_name(enum decision decision);
const char *operation_name(enum operation operation);
/* The operation of that name; OPERATION_COUNT where there is none. */
enum operation operation_from_name(const char *name);
