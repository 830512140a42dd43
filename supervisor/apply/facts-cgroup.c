/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/facts.h"

#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define CGROUP_FILE_LIMIT_BYTES 65536
#define CGROUP_LEVELS_MAX 32

/* The controllers that a plan can use; the rest is of no interest. */
static const char *const controllers[] = {"memory", "pids", "cpu", "io"};

/* Limits of a cgroup that its children escape when they are made further up. */
static const struct {
	const char *file, *unlimited; /* the first word of the file when there is no limit */
} own_limits[] = {
	{"memory.max", "max"},
	{"memory.high", "max"},
	{"memory.swap.max", "max"},
	{"pids.max", "max"},
	{"cpu.max", "max"},
	{"io.max", ""},
};

struct level {
	char *path;
	unsigned usable; /* bit per controllers[] usable in a child */
	bool writable;   /* a child can be made and a process put into it */
};

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC;
}

static char *read_in(const char *directory, const char *name)
{
	autofree char *path = path_join(directory, name);
	char *data = NULL;

	if (!path || io_read_file(AT_FDCWD, path, CGROUP_FILE_LIMIT_BYTES, &data, NULL, NULL) < 0)
		return NULL;
	return data;
}

static bool may_write(const char *directory, const char *name)
{
	autofree char *path = path_join(directory, name);

	return path && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

static bool exists_in(const char *directory, const char *name)
{
	autofree char *path = path_join(directory, name);

	return path && faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0;
}

static unsigned controllers_in(const char *directory, const char *name)
{
	autofree char *text = read_in(directory, name);
	unsigned found = 0;
	char *rest = text;

	for (char *word = strsep(&rest, " \n"); word; word = strsep(&rest, " \n"))
		for (unsigned i = 0; i < array_size(controllers); i++)
			if (strcmp(word, controllers[i]) == 0)
				found |= 1u << i;
	return found;
}

/* A cgroup other than the host's root cannot hold processes and hand controllers to its children at
 * once (cgroups(7), "no internal processes"). The host's root is the one without cgroup.type. */
static bool may_hand_down(const char *directory)
{
	autofree char *processes = NULL;

	if (!may_write(directory, "cgroup.subtree_control"))
		return false;
	if (!exists_in(directory, "cgroup.type"))
		return true;
	processes = read_in(directory, "cgroup.procs");
	return processes && processes[0] == '\0';
}

static struct level look_at(const char *path)
{
	struct level level = {.path = strdup(path)};

	level.writable = may_write(path, ".") && may_write(path, "cgroup.procs");
	level.usable = controllers_in(path, "cgroup.subtree_control");
	if (level.writable && may_hand_down(path))
		level.usable |= controllers_in(path, "cgroup.controllers");
	return level;
}

static bool has_own_limits(const char *directory)
{
	for (size_t i = 0; i < array_size(own_limits); i++) {
		autofree char *text = read_in(directory, own_limits[i].file);
		size_t n = strlen(own_limits[i].unlimited);

		if (!text || text[0] == '\0')
			continue;
		if (n == 0 || strncmp(text, own_limits[i].unlimited, n) != 0)
			return true;
	}
	return false;
}

/* The path after "0::" of /proc/self/cgroup in a new string; NULL where there is none or it lies
 * outside of what this cgroup namespace shows. */
static char *own_path(const char *self_cgroup)
{
	for (const char *line = self_cgroup; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "0::/", 4) == 0) {
			autofree char *path = strndup(line + 3, strcspn(line + 3, "\n"));

			return path ? path_normalise(path) : NULL;
		}
	}
	return NULL;
}

static int count_bits(unsigned value)
{
	return __builtin_popcount(value);
}

/* The best place for a run's cgroup: this process's own cgroup, so that limits set on it go on to
 * hold; a level further up only for its controllers, and only while no cgroup that is left behind
 * has limits of its own. */
static struct level choose(const char *hierarchy, const char *own)
{
	autofree char *at = strcmp(own, "/") == 0 ? strdup(hierarchy) : NULL;
	struct level best = {0};

	if (!at && asprintf(&at, "%s%s", hierarchy, own) < 0)
		return best;
	for (unsigned i = 0; at && i < CGROUP_LEVELS_MAX && path_is_beneath(at, hierarchy); i++) {
		struct level level = look_at(at);
		char *parent;

		if (level.path && level.writable &&
			(!best.path || count_bits(level.usable) > count_bits(best.usable))) {
			free(best.path);
			best = level;
		} else {
			free(level.path);
		}
		if (best.usable == (1u << array_size(controllers)) - 1 ||
			strcmp(at, hierarchy) == 0 || has_own_limits(at))
			break;
		parent = path_parent(at);
		free(at);
		at = parent;
	}
	return best;
}

static int fill(const struct level *level, Berm__Wire__HostFacts *facts, struct error *err)
{
	int r = facts_set_string(&facts->cgroup_parent, level->path, err);

	facts->cgroup_v2 = r == 0;
	facts->cgroup_controllers = calloc(array_size(controllers), sizeof(char *));
	if (r == 0 && !facts->cgroup_controllers)
		r = error_errno(err, "host facts");
	for (unsigned i = 0; r == 0 && i < array_size(controllers); i++) {
		char *copy;

		if (!(level->usable & (1u << i)))
			continue;
		copy = strdup(controllers[i]);
		if (!copy)
			return error_errno(err, "host facts");
		facts->cgroup_controllers[facts->n_cgroup_controllers++] = copy;
	}
	return r;
}

int facts_cgroup_in(
	const char *hierarchy, const char *own, Berm__Wire__HostFacts *facts, struct error *err)
{
	struct level level = choose(hierarchy, own);
	int r = level.path ? fill(&level, facts, err) : 0;

	free(level.path);
	return r;
}

int facts_cgroup(
	const char *root, const char *self_cgroup, Berm__Wire__HostFacts *facts, struct error *err)
{
	autofree char *unified = path_join(root, "unified");
	autofree char *own = own_path(self_cgroup);
	bool pure = is_cgroup2(root), hybrid = !pure && unified && is_cgroup2(unified);
	const char *layout = pure ? "v2" : hybrid ? "hybrid" : self_cgroup[0] ? "v1" : "none";
	int r = facts_set_string(&facts->cgroup_layout, layout, err);

	if (r < 0 || !own || (!pure && !hybrid))
		return r;
	return facts_cgroup_in(pure ? root : unified, own, facts, err);
}
