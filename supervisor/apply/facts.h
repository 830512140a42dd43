/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts of facts_gather(): for apply/ and its tests. */

#include "apply/apply.h"

#include <limits.h>
#include <sys/stat.h>

/* A walk for one glob stops after this many directory entries, so that a huge tree delays a start
 * by some tens of milliseconds at most; the fact then says that it is not complete. */
#define GLOB_ENTRIES_MAX 100000u
#define GLOB_DEPTH_MAX 32u
#define GLOB_MATCHES_MAX 4096u

/* Where the cgroup file system is mounted; another root is for tests. */
#define CGROUP_ROOT "/sys/fs/cgroup"

/* Fill a fact about one absolute path. Uses O_PATH descriptors: opens no FIFO or device, triggers
 * no automount at the last component. -ENOMEM only; a path that cannot be looked at says so in
 * fact->error. */
int facts_path(const char *path, Berm__Wire__PathFact **ret_fact, struct error *err) must_check;

/* The directory of the path that was looked at last, kept open so that its other names cost one
 * system call each. Start with fd = -1 and close fd at the end. */
struct facts_parent {
	int fd; /* O_PATH, reached without links; -1 = none */
	char path[PATH_MAX];
	struct stat st;
};

/* facts_path() for one of several paths; fastest where those of a directory follow one another. */
int facts_path_near(struct facts_parent *parent, const char *path, Berm__Wire__PathFact **ret_fact,
	struct error *err) must_check;

/* Fill links_passed and loose_link of a fact about a path with symbolic links on its way. found:
 * what the path led to before. When this walk leads elsewhere, somebody turns a link around
 * meanwhile and the links that were seen say nothing: fact->error becomes ESTALE. Otherwise
 * ret_real is where the path leads to. */
int facts_links(const char *path, const struct stat *found, Berm__Wire__PathFact *fact,
	char ret_real[PATH_MAX], struct error *err) must_check;

/* Fill a fact about one absolute glob ("*" and "?" in a segment, "**" for any number of segments).
 * Symbolic links are followed where a written segment names them, as in a shell, and never beneath
 * "**". Other file systems are entered, since a recursive bind shows them to the tool as well,
 * except kernel ones and automount points that are not yet mounted. Matches are sorted. */
int facts_glob(const char *pattern, Berm__Wire__GlobFact **ret_fact, struct error *err) must_check;

/* Find the cgroup v2 directory in which a run's cgroup can be made, and the controllers usable in
 * it: fills cgroup_v2, cgroup_parent, cgroup_controllers and cgroup_layout. Creates nothing. root:
 * CGROUP_ROOT. self_cgroup: the text of /proc/self/cgroup. */
int facts_cgroup(const char *root, const char *self_cgroup, Berm__Wire__HostFacts *facts,
	struct error *err) must_check;

/* The same for one v2 hierarchy (any directory in tests) and this process's path in it ("/" for its
 * root): fills cgroup_v2, cgroup_parent and cgroup_controllers, or leaves them alone where no child
 * can be made anywhere. */
int facts_cgroup_in(const char *hierarchy, const char *own, Berm__Wire__HostFacts *facts,
	struct error *err) must_check;

/* Replace a string field of a message; the empty string keeps protobuf-c's own. */
int facts_set_string(char **field, const char *value, struct error *err) must_check;
