/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/victims.h"

#include "base/io.h"
#include "redteam/act.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define CONTROL_MS 20000

static void put_content(struct text *out, const char *path)
{
	autofree char *content = NULL;
	struct error ignored = {0};
	size_t length = 0;

	if (io_read_file(AT_FDCWD, path, 1 << 16, &content, &length, &ignored) == 0 && content)
		text_append(out, content, length);
}

static void put_entry(struct text *out, const char *directory, const char *name)
{
	autotext struct text path = {0};
	char list[256];
	struct stat st;

	text_printf(&path, "%s/%s", directory, name);
	if (lstat(text_string(&path), &st) < 0)
		return;
	text_printf(out, "%s %o %u %lu", name, st.st_mode, st.st_uid, (unsigned long)st.st_ino);
	if (S_ISREG(st.st_mode)) {
		text_printf(out, " %lld %lld.%ld %u %zd ", (long long)st.st_size,
			(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (unsigned)st.st_nlink,
			llistxattr(text_string(&path), list, sizeof(list)));
		put_content(out, text_string(&path));
	}
	text_puts(out, "\n");
}

/* All there is to know about what stands in a directory. */
static char *look(const char *directory)
{
	struct dirent **names = NULL;
	struct text out = {0};
	int count = scandir(directory, &names, NULL, alphasort);

	text_printf(&out, "%d\n", count);
	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.')
			put_entry(&out, directory, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return text_take(&out);
}

static bool make_one(struct world *world, const char *directory)
{
	autotext struct text path = {0};

	text_printf(&path, "%s/victim", directory);
	world_write(world, text_string(&path), "original content, of some length\n");
	path.length = 0;
	text_printf(&path, "%s/other", directory);
	world_write(world, text_string(&path), "other\n");
	path.length = 0;
	text_printf(&path, "%s/empty", directory);
	return !path.failed && mkdir(text_string(&path), 0755) == 0;
}

bool victims_make(struct world *world, struct victims *victims, const char *directory)
{
	snprintf(victims->directory, sizeof(victims->directory), "%s", directory);
	for (size_t i = 0; i < technique_count; i++) {
		autotext struct text path = {0};

		text_printf(&path, "%s/%s", directory, techniques[i].name);
		if (mkdir(text_string(&path), 0755) < 0 || !make_one(world, text_string(&path))) {
			world_untested(world, "%s: %s", text_string(&path), strerror(errno));
			return false;
		}
		victims->before[i] = look(text_string(&path));
	}
	return world_goes_on(world);
}

unsigned victims_look(const struct victims *victims, bool *changed)
{
	unsigned count = 0;

	for (size_t i = 0; i < technique_count; i++) {
		autotext struct text path = {0};
		autofree char *now = NULL;

		text_printf(&path, "%s/%s", victims->directory, techniques[i].name);
		now = look(text_string(&path));
		changed[i] = !now || !victims->before[i] || strcmp(now, victims->before[i]) != 0;
		count += changed[i];
	}
	return count;
}

void victims_name(const bool *changed, struct text *out)
{
	for (size_t i = 0; i < technique_count; i++)
		if (changed[i])
			text_printf(out, "%s%s", out->length ? " " : "", techniques[i].name);
}

void victims_finish(struct victims *victims)
{
	for (size_t i = 0; i < TECHNIQUES_MAX; i++)
		own_free(&victims->before[i]);
}

unsigned victims_control(struct world *world, bool *works)
{
	struct victims victims = {0};
	struct child *child = NULL;
	unsigned count = 0;

	static_assert(TECHNIQUES_MAX >= 29, "one place each");
	if (victims_make(world, &victims, world_directory(world, "control")))
		child = world_act(world, (const char *[]){"write", victims.directory, NULL});
	if (child) {
		if (world_wait(child, CONTROL_MS))
			count = victims_look(&victims, works);
		world_end(child);
	}
	victims_finish(&victims);
	return count;
}
