/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "small-world.h"

#include "policy/decide.h"
#include "random.h"

#define PATH_BYTES 160

#define DIRECTORY BERM__WIRE__FILE_KIND__FILE_DIRECTORY
#define REGULAR BERM__WIRE__FILE_KIND__FILE_REGULAR
#define ABSENT BERM__WIRE__FILE_KIND__FILE_ABSENT

static const struct world_path model[WORLD_PATHS] = {
	{"/a", DIRECTORY},
	{"/a/b", DIRECTORY},
	{"/a/b/c", DIRECTORY},
	{"/a/b/c/f", REGULAR},
	{"/a/b/g", REGULAR},
	{"/a/bc", DIRECTORY},
	{"/a/bc/f", REGULAR},
	{"/a/f", REGULAR},
	{"/b", DIRECTORY},
	{"/b/c", DIRECTORY},
	{"/b/c/f", REGULAR},
	{"/b/f", REGULAR},
	{"/c", REGULAR},
	/* absent */
	{"/a/n", ABSENT},
	{"/a/n/m", ABSENT},
	{"/a/b/n", ABSENT},
	{"/a/b/c/n", ABSENT},
	{"/b/n", ABSENT},
	{"/n", ABSENT},
};
static const char *const model_globs[WORLD_GLOBS] = {
	"/a/*", "/a/**", "/*/c", "/**/f", "/a/b?", "/a/b/*", "/b/c/f*"};

static struct world_path paths[WORLD_PATHS];
static const char *globs[WORLD_GLOBS];
static char strings[WORLD_PATHS + WORLD_GLOBS][PATH_BYTES];

void world_init(const char *prefix)
{
	for (size_t i = 0; i < WORLD_PATHS; i++) {
		snprintf(strings[i], PATH_BYTES, "%s%s", prefix, model[i].path);
		paths[i] = (struct world_path){strings[i], model[i].kind};
	}
	for (size_t i = 0; i < WORLD_GLOBS; i++) {
		snprintf(strings[WORLD_PATHS + i], PATH_BYTES, "%s%s", prefix, model_globs[i]);
		globs[i] = strings[WORLD_PATHS + i];
	}
}

const struct world_path *world_paths(void)
{
	return paths;
}

const char *const *world_globs(void)
{
	return globs;
}

Berm__Wire__FileKind world_kind(const char *path)
{
	for (size_t i = 0; i < WORLD_EXISTING; i++)
		if (strcmp(paths[i].path, path) == 0)
			return paths[i].kind;
	return ABSENT;
}

static const char *any_path(void)
{
	return paths[random_below(WORLD_PATHS)].path;
}

static const char *any_existing(void)
{
	return paths[random_below(WORLD_EXISTING)].path;
}

static const char *path_or_glob(void)
{
	return random_below(3) ? any_path() : globs[random_below(WORLD_GLOBS)];
}

void world_change(struct built *b, enum change what)
{
	struct profile *p = &b->profile;

	switch (what) {
	case CHANGE_READ:
		return built_path(b, &p->fs.read, any_existing(), PATH_READ);
	case CHANGE_WRITE:
		return built_path(b, &p->fs.write, any_existing(), PATH_READ);
	case CHANGE_EXEC:
		return built_exec_path(b, &p->exec.allow, any_existing());
	case CHANGE_DENY:
		return built_path(b, &p->fs.deny, path_or_glob(), PATH_READ);
	case CHANGE_PROTECT:
		return built_path(b, &p->fs.protect, path_or_glob(), PATH_READ);
	case CHANGE_ASK:
		return built_path(
			b, &p->fs.ask, any_path(), random_below(2) ? PATH_READ : PATH_WRITE);
	case CHANGE_EXEC_DENY:
		return built_exec_path(b, &p->exec.deny, any_existing());
	case CHANGES:
		return;
	}
}

void world_profile(struct built *b)
{
	unsigned rules = 1 + random_below(7);

	built_init(b);
	b->profile.exec.default_decision = random_below(4) ? DECISION_ALLOW : DECISION_DENY;
	for (unsigned i = 0; i < rules; i++)
		world_change(b, random_below(2) ? random_below(2) : random_below(CHANGES));
	/* As a ceiling leaves some behind. */
	for (size_t i = 0; i < b->profile.fs.read.count; i++)
		b->profile.fs.read.items[i].no_exec = random_below(4) == 0;
}

/* exec.deny on a file hides it, which is more than decide() says about reading. */
static bool is_hidden_program(const struct built *b, const struct world_path *path)
{
	const struct exec_rules *rules = &b->profile.exec.deny;

	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->items[i].path, path->path) == 0)
			return path->kind == REGULAR;
	return false;
}

static bool holds_one_of(const struct path_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->count; i++)
		if (path_is_beneath(rules->items[i].path, path))
			return true;
	return false;
}

/* A name that leads to an absent denied one is held with it: a placeholder stands there. */
static bool is_reserved_too(const struct built *b, const struct world_path *path)
{
	const struct profile *p = &b->profile;

	return path->kind == ABSENT &&
	       (holds_one_of(&p->fs.deny, path->path) || holds_one_of(&p->fs.protect, path->path) ||
		       holds_one_of(&p->fs.ask, path->path));
}

static bool decides(
	const struct built *b, enum operation operation, const char *path, bool *by_glob)
{
	struct verdict v;

	decide(&b->profile, operation, path, &v);
	*by_glob = v.value && path_has_glob(v.value);
	return v.decision == DECISION_ALLOW;
}

static bool differs(char why[256], const char *what, const char *path, bool found, bool decided)
{
	if (found == decided)
		return false;
	snprintf(why, 256, "%s %s: found %d, decide() says %d", what, path, found, decided);
	return true;
}

bool world_agrees(
	const struct built *b, const struct world_path *path, struct reach found, char why[256])
{
	bool there = path->kind != ABSENT, by_glob, read, write, exec;

	if (is_hidden_program(b, path)) {
		snprintf(why, 256, "%s is a denied program, and can be reached", path->path);
		return !found.read && !found.write && !found.exec;
	}
	read = decides(b, OPERATION_READ, path->path, &by_glob);
	if (there && differs(why, "read", path->path, found.read, read))
		return false;
	write = decides(b, OPERATION_WRITE, path->path, &by_glob);
	/* Names that only a pattern describes are the known gap; their plan says so. */
	if ((there || !by_glob) && !(is_reserved_too(b, path) && !found.write) &&
		differs(why, "write", path->path, found.write, write))
		return false;
	exec = decides(b, OPERATION_EXEC, path->path, &by_glob);
	return path->kind != REGULAR || !differs(why, "exec", path->path, found.exec, exec);
}
