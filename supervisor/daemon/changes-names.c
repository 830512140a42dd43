/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <dirent.h>
#include <string.h>
#include <time.h>

#define NS 1000000000LL
/* How much of a directory's names berm takes into memory: a tool can make any number of them. */
#define BYTES_MAX (64U << 20)
#define NAMES_MAX (BYTES_MAX / sizeof(char *))

/* Of one list. Patterns of a profile that are asked of long paths take their time, too. */
static const struct changes_bounds usual = {
	.names = 1000000, .name_bytes = BYTES_MAX, .cpu_ns = 30 * NS};

static int64_t used_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * NS + ts.tv_nsec;
}

struct changes_room changes_room(const struct change_set *set)
{
	const struct changes_bounds *bounds = set->bounds ? set->bounds : &usual;

	return (struct changes_room){bounds->names, bounds->name_bytes, used_ns() + bounds->cpu_ns};
}

bool changes_has_time(const struct changes_room *room)
{
	return used_ns() <= room->until_ns;
}

void changes_names_finish(struct changes_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	own_free(&names->items);
	names->count = names->capacity = 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int push(struct changes_names *names, const char *name)
{
	if (names->count == names->capacity) {
		size_t wanted = names->capacity ? names->capacity * 2 : 16;
		char **grown = reallocarray(names->items, wanted, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		names->items = grown;
		names->capacity = wanted;
	}
	names->items[names->count] = strdup(name);
	return names->items[names->count++] ? 0 : -ENOMEM;
}

static int take(struct changes_room *room, const char *name)
{
	uint64_t bytes = strlen(name) + sizeof(char *);

	if (room->names == 0 || room->bytes < bytes)
		return -EFBIG;
	room->names--;
	room->bytes -= bytes;
	return 0;
}

int changes_names_read(int fd, struct changes_room *room, struct changes_names *names)
{
	struct changes_room own = {.names = NAMES_MAX, .bytes = BYTES_MAX};
	DIR *stream = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (errno = 0, entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = take(room ? room : &own, entry->d_name);
		if (r == 0)
			r = push(names, entry->d_name);
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(stream);
	if (r == 0 && names->count)
		qsort(names->items, names->count, sizeof(*names->items), compare_names);
	return r;
}
