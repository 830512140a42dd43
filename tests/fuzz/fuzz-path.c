/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "fuzz.h"

#include <fnmatch.h>
#include <time.h>

/* Patterns and paths. Input: the pattern up to the first line feed, then the path. The matcher is
 * compared with a table of all pairs of segments, and its time is bounded: it is asked about every
 * name that a tool makes. */

#define INPUT_MAX 4096 /* PATH_MAX */
#define SEGMENTS_MAX 64
#define CPU_SECONDS_MAX 5

struct segments {
	char *items[SEGMENTS_MAX];
	size_t count;
	bool too_many;
};

static void split(char *path, struct segments *s)
{
	char *rest = path, *word;

	while ((word = strsep(&rest, "/"))) {
		if (!*word)
			continue;
		if (s->count == SEGMENTS_MAX) {
			s->too_many = true;
			return;
		}
		s->items[s->count++] = word;
	}
}

static bool one_matches(const char *pattern, const char *name)
{
	return strlen(pattern) <= 255 && strlen(name) <= 255 &&
	       fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}

/* reach[i][k]: the first i segments of the pattern match the first k of the path. */
static bool expected(const struct segments *pattern, const struct segments *path)
{
	static bool reach[SEGMENTS_MAX + 1][SEGMENTS_MAX + 1];

	memset(reach, 0, sizeof(reach));
	reach[0][0] = true;
	for (size_t i = 1; i <= pattern->count; i++) {
		const char *segment = pattern->items[i - 1];
		bool any = strcmp(segment, "**") == 0;

		for (size_t k = 0; k <= path->count; k++)
			reach[i][k] = any ? reach[i - 1][k] || (k && reach[i][k - 1])
					  : k && reach[i - 1][k - 1] &&
						      one_matches(segment, path->items[k - 1]);
	}
	return reach[pattern->count][path->count];
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check_match(const char *pattern, const char *path)
{
	autofree char *pattern_copy = strdup(pattern), *path_copy = strdup(path);
	struct segments a = {.count = 0}, b = {.count = 0};
	double begun = cpu_seconds();
	bool matches = path_glob_match(pattern, path);

	assert(cpu_seconds() - begun < CPU_SECONDS_MAX);
	assert(pattern_copy && path_copy);
	split(pattern_copy, &a);
	split(path_copy, &b);
	if (!a.too_many && !b.too_many)
		assert(matches == expected(&a, &b));
	if (!path_has_glob(pattern) && path_is_normal(pattern) && path_is_normal(path) &&
		strlen(path) <= 255)
		assert(matches == (strcmp(pattern, path) == 0));
}

static void check_path(const char *path)
{
	autofree char *normal = path_normalise(path), *again = NULL, *parent = NULL, *joined = NULL;

	if (path_is_normal(path))
		assert(normal && strcmp(normal, path) == 0);
	if (!normal)
		return;
	assert(path_is_normal(normal));
	again = path_normalise(normal);
	assert(again && strcmp(again, normal) == 0);
	assert(path_is_beneath(normal, "/") && path_is_beneath(normal, normal));
	parent = path_parent(normal);
	assert((parent == NULL) == (strcmp(normal, "/") == 0));
	if (!parent)
		return;
	assert(path_is_beneath(normal, parent) && !path_is_beneath(parent, normal));
	assert(path_depth(normal) == path_depth(parent) + 1);
	joined = path_join(parent, path_last(normal));
	assert(joined && strcmp(joined, normal) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *input = NULL;
	char *path;

	if (size > INPUT_MAX)
		return 0;
	input = fuzz_string(data, size);
	path = input;
	strsep(&path, "\n");
	check_path(input);
	if (path) {
		check_path(path);
		check_match(input, path);
		check_match(path, input);
	}
	return 0;
}
