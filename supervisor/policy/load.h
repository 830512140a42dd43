/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/profile.h"
#include "wire/facts.pb-c.h"

/* Variables of the profile language. NULL = not set (using it is an error at the place that uses
 * it). */
struct profile_variables {
	const char *home;    /* ${HOME} */
	const char *workdir; /* ${WORKDIR} */
	const char *tmpdir;  /* ${TMPDIR} */
	const char *state;   /* ${STATE} */
	const char *run_id;  /* ${RUN_ID} */
	const char *uid;     /* ${UID} */
};

struct profile_files;

struct profile_request {
	const char *profile; /* a path (holds "/" or ends in .yaml) or a name on the search path */
	const char *const *search_path; /* directories, most specific first; NULL-terminated */
	const char *const *ceilings; /* paths of the operator's profiles, NULL-terminated, or NULL;
					each one narrows */
	bool as_ceiling; /* `profile` is the path of a ceiling, to be held against what it narrows
			  * and not to be run; ceilings: NULL */
	struct profile_variables variables;
	const struct profile_files *files; /* policy/files.h; NULL: this process's own */
	uid_t operator_uid; /* who this process is: what is that user's, or root's, is the
			     * operator's
			     */
	uid_t trusted_uid; /* files must belong to root or to this uid and not be writable by others
			    */
};

/* Read, check and resolve a profile with everything it extends and its ceiling.
 * Every problem found is appended to diagnostics as "file:line:col: error[Ennn]: text", the line
 * and a caret; warnings and notes likewise. Returns 0 and a profile (release with profile_destroy),
 * or -EINVAL and err (kind INPUT) with the count of errors; err alone for what has no place in a
 * file. Asks the file system for nothing but the profile files: whether the paths in it exist is
 * checked against facts, by profile_check_paths(). */
int profile_load(const struct profile_request *request, struct profile **ret_profile,
	struct text *diagnostics, struct error *err) must_check;
/* Narrow a profile that was loaded to the effective profile of a run (ceiling_of_run()), which has
 * to outlive it. Errors as of profile_load(). */
int profile_narrow_to_run(struct profile *profile, const struct profile *run,
	struct text *diagnostics, struct error *err) must_check;
void profile_destroy(struct profile *profile); /* NULL is fine */
static inline void profile_cleanup(struct profile **p)
{
	profile_destroy(*p);
	*p = NULL;
}
#define autoprofile __attribute__((cleanup(profile_cleanup)))

/* Every literal path and every glob that plan/ will need facts about, in a new NULL-terminated
 * array (caller frees the array, not the strings). */
int profile_paths(
	const struct profile *profile, const char ***ret_paths, const char ***ret_globs) must_check;
/* The paths among them of which plan/ wants to know what the files hold (exec.hash: pin), in a new
 * NULL-terminated array (caller frees the array, not the strings). NULL: out of memory. */
const char **profile_programs(const struct profile *profile) must_check;

/* Check the profile's paths against what they are on this host: absent without `optional`, behind
 * a link, writable grants that cover what must not be written … Problems are appended to
 * diagnostics as in profile_load(); -EINVAL and err (kind INPUT) where one is an error. */
int profile_check_paths(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	struct text *diagnostics, struct error *err) must_check;

/* Where profiles are looked for by name: $XDG_CONFIG_HOME/berm/profiles, /etc/berm/profiles,
 * /usr/share/berm/profiles. Never the working directory. */
