/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/decide.h"
#include "policy/host.h"

/* Between the files of the decision function only. */

/* One step of a decision; true when it settled the verdict. */
static inline bool verdict_settle(struct verdict *v, enum decision decision, const char *rule,
	const char *value, const char *reason, const struct source *at)
{
	v->decision = decision;
	v->rule = rule;
	v->value = value;
	v->reason = reason;
	if (at && at->file)
		v->at = *at;
	return true;
}

/* A glob covers what it matches and everything beneath that. path is normal and shorter than
 * PATH_MAX. */
bool path_covered_by_glob(const char *pattern, const char *path);

/* The i-th path that is the same in every run (/dev/null, /proc …), the i-th address range that
 * decisions treat apart; NULL behind the last one. For who looks for what to ask decide(). */
const char *decide_own_path(size_t i);
const char *decide_own_range(size_t i);

void decide_network(const struct profile *profile, const char *object, struct verdict *v);
/* True where a rule of this range may allow the addresses in it that serve a machine's credentials:
 * only one that lies inside their ranges was meant for them. */
bool range_opens_metadata(const struct address_range *range);
void decide_syscall(const struct profile *profile, const char *object, struct verdict *v);
void decide_env(const struct profile *profile, const char *object, struct verdict *v);

/* The line of host:port notation, for the hint: where it points to, ready to be written into a
 * profile. */
struct endpoint_words {
	char host[256]; /* a name or an address, or the path of a unix socket */
	unsigned port;
	const char *by; /* the connecting program, or NULL; borrowed from the object */
	bool is_address, is_unix, is_udp;
	bool is_metadata; /* link-local or a cloud's metadata service */
};

/* False for a malformed object. */
bool endpoint_split(const char *object, struct endpoint_words *ret_words);

/* Fill v->hint and v->keep_denied for a verdict that is not allow. */
void hint_write(const struct profile *profile, enum operation operation, const char *object,
	struct verdict *v);
/* True for a path that holds keys or passwords by its name or place, and is not public; itself: by
 * its own name, not because it lies beneath such a one. path is normal and shorter than PATH_MAX.
 */
bool path_holds_keys(const char *path, bool itself);
