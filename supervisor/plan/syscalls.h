/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/profile.h"
#include "wire/facts.pb-c.h"
#include "wire/plan.pb-c.h"

struct syscalls_request {
	/* Trace mode: calls that take a path are notified and continued. Nothing is allowed or
	 * refused by it. */
	bool trace;
	/* What is counted (borrowed, may be NULL): where its gate is set, the calls of
	 * syscalls-gate.h are let through one by one. */
	const Berm__Wire__Meter *meter;
	/* Sockets of the inet families reach nothing outside of the run. */
	bool network_closed;
	/* Makes the Rule of one line of the profile and gives its index in Plan.rules, UINT32_MAX
	 * when memory ran out. Called once for each line that says something about system calls, in
	 * a fixed order. Strings are borrowed. */
	uint32_t (*rule)(
		void *context, const char *key, const char *value, const struct source *at);
	void *context;
};

/* Compile profile->syscalls for this host's machine into the table of calls and the filter program.
 * Berm's own defaults are rule 0. A listener is used where facts->seccomp_notify is set; without
 * one a denial is a plain errno, and trace is ignored. In a run with a network namespace of its own
 * connect(2) is notified and continued, to be reported. ret_seccomp is allocated like every message
 * (berm__wire__seccomp__free_unpacked(it, NULL), or with the plan). Errors: -EINVAL (kind INPUT)
 * with the profile's line for a name, group or family that does not exist or cannot be used, and
 * for a denial that berm's launcher or the start of any program could not live with; -EOPNOTSUPP
 * (kind UNSUPPORTED) for a machine or a kernel without filters; -ENOMEM; -E2BIG. notes (may be
 * NULL) receives one line for each rule that has no effect on this machine. A gate without a
 * listener is -EOPNOTSUPP (kind UNSUPPORTED). Pure. */
int syscalls_compile(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	const struct syscalls_request *request, Berm__Wire__Seccomp **ret_seccomp,
	struct text *notes, struct error *err) must_check;
