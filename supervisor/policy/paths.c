/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/load.h"

#include <string.h>

struct collector {
	const char **paths, **globs; /* allocated for every rule there is */
	size_t path_count, glob_count;
};

static void collect(struct collector *c, const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].is_glob)
			c->globs[c->glob_count++] = rules->items[i].path;
		else
			c->paths[c->path_count++] = rules->items[i].path;
	}
}

static void collect_exec(struct collector *c, const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].path)
			c->paths[c->path_count++] = rules->items[i].path;
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sort, drop what is there twice, end with NULL. */
static void tidy(const char **list, size_t count)
{
	size_t kept = 0;

	qsort(list, count, sizeof(*list), compare);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || strcmp(list[kept - 1], list[i]) != 0)
			list[kept++] = list[i];
	}
	list[kept] = NULL;
}

const char **profile_programs(const struct profile *p)
{
	const char **paths = calloc(p->exec.allow.count + 1, sizeof(*paths));
	size_t count = 0;

	for (size_t i = 0; paths && p->exec.hash == EXEC_HASH_PIN && i < p->exec.allow.count; i++) {
		if (p->exec.allow.items[i].path)
			paths[count++] = p->exec.allow.items[i].path;
	}
	return paths;
}

int profile_paths(const struct profile *p, const char ***ret_paths, const char ***ret_globs)
{
	const struct path_rules *lists[] = {&p->fs.read, &p->fs.write, &p->fs.ask, &p->fs.deny,
		&p->fs.protect, &p->fs.canaries, &p->network.unix_sockets};
	const struct exec_rules *exec[] = {&p->exec.allow, &p->exec.ask, &p->exec.deny};
	autofree const char **paths = NULL, **globs = NULL;
	struct collector c = {0};
	size_t count = 1;

	for (size_t i = 0; i < array_size(lists); i++)
		count += lists[i]->count;
	for (size_t i = 0; i < array_size(exec); i++)
		count += exec[i]->count;
	paths = calloc(count, sizeof(*paths));
	globs = calloc(count, sizeof(*globs));
	if (!paths || !globs)
		return -ENOMEM;
	c.paths = paths;
	c.globs = globs;
	for (size_t i = 0; i < array_size(lists); i++)
		collect(&c, lists[i]);
	for (size_t i = 0; i < array_size(exec); i++)
		collect_exec(&c, exec[i]);
	tidy(paths, c.path_count);
	tidy(globs, c.glob_count);
	*ret_paths = take_ptr(&paths);
	*ret_globs = take_ptr(&globs);
	return 0;
}
