/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <string.h>

/* The overlay copies a file that is renamed: a new file with the content of one that goes. To find
 * the one among all that go is a help for whoever reads the list, and no more: where it would cost
 * much it is left out. */

#define COMPARE_CHUNK 65536
#define CANDIDATES 16                /* that a new file is compared with */
#define COMPARED_BYTES (64ULL << 20) /* of all files together */
#define OPENED_BYTES 4096            /* what it costs to open two that have little in them */

static int same_bytes(int a, int b, uint64_t size)
{
	autofree char *left = malloc(COMPARE_CHUNK), *right = malloc(COMPARE_CHUNK);
	uint64_t at = 0;

	if (!left || !right)
		return -ENOMEM;
	while (at < size) {
		ssize_t n = pread(a, left, COMPARE_CHUNK, (off_t)at);
		ssize_t m = pread(b, right, COMPARE_CHUNK, (off_t)at);

		if (n <= 0 || n != m || memcmp(left, right, (size_t)n) != 0)
			return 0;
		at += (uint64_t)n;
	}
	return 1;
}

int changes_same_content(int dir, const char *name, int other_dir, const char *other, uint64_t size)
{
	autoclose int a = beneath_open(dir, name, O_RDONLY | O_NONBLOCK);
	autoclose int b = beneath_open(other_dir, other, O_RDONLY | O_NONBLOCK);

	return a < 0 || b < 0 ? 0 : same_bytes(a, b, size);
}

static int compare_sizes(const void *a, const void *b)
{
	const Berm__Wire__Change *left = *(Berm__Wire__Change *const *)a;
	const Berm__Wire__Change *right = *(Berm__Wire__Change *const *)b;

	return left->old->size < right->old->size ? -1 : left->old->size > right->old->size;
}

static bool is_file(const Berm__Wire__ChangeIdentity *side)
{
	return side && S_ISREG(side->mode) && side->size;
}

/* The first that is not smaller. */
static size_t first_of_size(Berm__Wire__Change *const *gone, size_t count, uint64_t size)
{
	size_t from = 0;

	while (count) {
		size_t half = count / 2;

		if (gone[from + half]->old->size < size) {
			from += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return from;
}

int changes_find_renames(struct change_set *set, Berm__Wire__ChangeManifest *m, int upper)
{
	autofree Berm__Wire__Change **gone = calloc(m->n_changes + 1, sizeof(Berm__Wire__Change *));
	uint64_t compared = 0;
	size_t count = 0;

	if (!gone)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_changes; i++)
		if (m->changes[i]->kind == BERM__WIRE__CHANGE_KIND__CHANGE_DELETE &&
			is_file(m->changes[i]->old))
			gone[count++] = m->changes[i];
	if (count)
		qsort(gone, count, sizeof(*gone), compare_sizes);
	for (size_t i = 0; i < m->n_changes; i++) {
		Berm__Wire__Change *to = m->changes[i];
		size_t at;

		if (to->kind != BERM__WIRE__CHANGE_KIND__CHANGE_CREATE || !is_file(to->staged))
			continue;
		at = first_of_size(gone, count, to->staged->size);
		for (size_t k = at; k < count && k < at + CANDIDATES && !to->from.len &&
				    gone[k]->old->size == to->staged->size;
			k++) {
			compared += to->staged->size + OPENED_BYTES;
			if (compared > COMPARED_BYTES)
				return 0;
			if (changes_same_content(upper, changes_path(&to->path), set->work_fd,
				    changes_path(&gone[k]->path), to->staged->size) == 1 &&
				changes_bytes(&to->from, changes_path(&gone[k]->path)) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}
