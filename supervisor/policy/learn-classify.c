/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn-internal.h"

#include "base/path.h"

#include <limits.h>
#include <string.h>

bool learn_may_grant_tree(const struct learn_world *world, const char *path)
{
	if (world->home && path_is_beneath(world->home, path))
		return false;
	if (path_is_beneath(path, world->workdir))
		return true;
	return path_depth(path) >= 2 && !path_is_beneath(world->workdir, path);
}

static bool is_path(const struct learn_observation *seen)
{
	return seen->operation == OPERATION_READ || seen->operation == OPERATION_WRITE ||
	       seen->operation == OPERATION_EXEC;
}

const char *learn_named(const struct learn_world *world, const struct learn_observation *seen,
	char buffer[PATH_MAX])
{
	const char *slash = strrchr(seen->object, '/');
	size_t n = (size_t)(slash - seen->object);

	if (seen->operation != OPERATION_WRITE || seen->there == LEARN_DIRECTORY || n >= PATH_MAX ||
		strcmp(seen->object, world->workdir) == 0)
		return seen->object;
	if (n == 0)
		return "/";
	memcpy(buffer, seen->object, n);
	buffer[n] = '\0';
	return buffer;
}

/* What the walls let through can be proposed, unless its kind cannot. */
static enum learn_class allowed(
	const struct learn_world *world, const struct learn_observation *seen)
{
	char buffer[PATH_MAX];
	const char *path = learn_named(world, seen, buffer);

	if (seen->operation != OPERATION_WRITE && seen->there == LEARN_ABSENT)
		return LEARN_NOTHING;
	if (!learn_can_write(path))
		return LEARN_NAMELESS;
	if (seen->operation == OPERATION_WRITE && !path_is_beneath(path, world->workdir))
		return LEARN_OUTSIDE;
	/* A line is about all that is beneath its path, also where that is a file today. */
	return learn_may_grant_tree(world, path) ? LEARN_PROPOSED : LEARN_LISTING;
}

static enum learn_class refused(const struct learn_world *world,
	const struct learn_observation *seen, const struct verdict *verdict)
{
	const struct profile *walls = world->walls;
	bool at_home =
		world->home && walls->fs.home.private && path_is_beneath(seen->object, world->home);

	if (strcmp(verdict->rule, "exec.default") == 0 &&
		path_is_beneath(seen->object, world->workdir))
		return LEARN_PROGRAM;
	if (strcmp(verdict->rule, "fs.default") != 0 && strcmp(verdict->rule, "exec.default") != 0)
		return LEARN_RULED_OUT;
	if (at_home && seen->operation == OPERATION_WRITE)
		return LEARN_OWN;
	if (seen->there == LEARN_ABSENT && seen->operation != OPERATION_WRITE)
		return LEARN_NOTHING;
	return LEARN_OUTSIDE;
}

enum learn_class learn_classify(
	const struct learn_world *world, const struct learn_observation *seen)
{
	struct verdict verdict;
	char buffer[PATH_MAX];

	decide(world->base, seen->operation, seen->object, &verdict);
	if (verdict.decision == DECISION_ALLOW)
		return LEARN_COVERED;
	if (seen->operation == OPERATION_CONNECT)
		return LEARN_NETWORK;
	if (!is_path(seen))
		return LEARN_CALL;
	/* The walls keep what was there; what no profile can name came to be in the runs. */
	decide(world->walls, OPERATION_READ, seen->object, &verdict);
	if (learn_is_secret(seen->object) &&
		(verdict.decision != DECISION_ALLOW ||
			learn_is_secret(learn_nearest_name(seen->object, buffer))))
		return LEARN_SECRET;
	decide(world->walls, seen->operation, seen->object, &verdict);
	return verdict.decision == DECISION_ALLOW ? allowed(world, seen)
						  : refused(world, seen, &verdict);
}
