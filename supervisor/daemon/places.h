/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/caller.h"
#include "base/error.h"

#include <stdbool.h>

#define PLACES_SEARCH_MAX 4

/* Where things of this caller are. Nothing of it is ever the working directory, unless
 * the caller names a file there. Release with
 * places_finish(). */
struct places {
	char *home; /* "" where unknown */
	char *state;
	char *usual_state; /* where that is unless somebody says otherwise; or NULL */
	char *search[PLACES_SEARCH_MAX +
		     1];         /* directories of profiles, most specific first, NULL-terminated */
	const char *ceilings[3]; /* NULL-terminated; borrowed: /etc/berm/ceiling.yaml if it is
				    there, and --ceiling */
};

/* What the caller named; each may be NULL. */
struct places_request {
	const char *profile;     /* path or name */
	bool operators_profiles; /* the caller's own are not looked at */
	const char *state_dir;
	const char *ceiling;
};

/* The home is the caller's own from /etc/passwd when root works for somebody else (sudo), else
 * $HOME. Where the profile is a file, the profiles beside it are found before all others: that is
 * what its author had. An operator's ceiling that cannot be looked at is an error. */
int places_find(const struct caller *caller, const struct places_request *request,
	struct places *ret_places, struct error *err) must_check;
void places_finish(struct places *places);
/* The operator's ceiling is there where it was there. */
bool places_ceiling_is_same(const struct places *places) must_check;

/* The real path of a directory for the run to start in: dir as given with -C, or the working
 * directory where dir is NULL. Links of /proc that stand for open descriptors and other processes'
 * directories are refused, since they lead out of every root (CVE-2024-21626). New string (caller
 * frees). */
int places_directory(const char *dir, char **ret_path, struct error *err) must_check;
/* The same for a real path that was kept since: no link is followed, since whoever can write to a
 * directory on the way could otherwise choose where the run may write (CVE-2024-42472). Kind
 * REFUSED where a link is on the way now, or another directory is found. */
int places_directory_kept(const char *dir, char **ret_path, struct error *err) must_check;
