/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/world.h"

#include "base/io.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

const char *world_path(const struct world *world, const char *format, ...)
{
	struct world *keeps = (struct world *)(uintptr_t)world;
	char tail[WORLD_PATH_MAX], path[2 * WORLD_PATH_MAX];
	char **grown;
	va_list args;

	va_start(args, format);
	vsnprintf(tail, sizeof(tail), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", world->top, tail);
	for (size_t i = 0; i < world->path_count; i++)
		if (strcmp(world->paths[i], path) == 0)
			return world->paths[i];
	grown = reallocarray(world->paths, world->path_count + 1, sizeof(*grown));
	if (!grown)
		abort();
	keeps->paths = grown;
	grown[world->path_count] = strdup(path);
	if (!grown[world->path_count])
		abort();
	return grown[keeps->path_count++];
}

static void __attribute__((format(printf, 2, 0)))
add(struct world *world, const char *format, va_list args)
{
	char words[600];

	vsnprintf(words, sizeof(words), format, args);
	if (world->result->happened.length)
		text_puts(&world->result->happened, "\n");
	text_escape(&world->result->happened, words, strlen(words), sizeof(words));
}

void world_note(struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(world, format, args);
	va_end(args);
}

void world_fail(struct world *world, const char *format, ...)
{
	va_list args;

	world->result->verdict = REDTEAM_FAILED;
	va_start(args, format);
	add(world, format, args);
	va_end(args);
}

void world_untested(struct world *world, const char *format, ...)
{
	va_list args;

	if (world->result->verdict == REDTEAM_PASSED)
		world->result->verdict = REDTEAM_UNTESTED;
	va_start(args, format);
	add(world, format, args);
	va_end(args);
}

bool world_goes_on(const struct world *world)
{
	return world->result->verdict == REDTEAM_PASSED && !redteam_is_interrupted();
}

const char *world_directory(struct world *world, const char *name)
{
	const char *path = world_path(world, "%s", name);

	if (mkdir(path, 0755) < 0)
		world_untested(world, "%s: %s", path, strerror(errno));
	return path;
}

void world_write(struct world *world, const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || io_write_all(fd, text, strlen(text)) < 0)
		world_untested(world, "%s: %s", path, strerror(errno));
}

uint64_t world_number(const char *path)
{
	autofree char *text = NULL;
	struct error ignored = {0};

	if (io_read_file(AT_FDCWD, path, 64, &text, NULL, &ignored) < 0 || !text)
		return 0;
	return strtoull(text, NULL, 10);
}

/* What a program that is not static needs, and what an act looks at. */
static const char *const system_paths[] = {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"};

const char *world_profile(struct world *world, const char *name, const char *lines)
{
	const char *path = world_path(world, "%s.yaml", name);
	autotext struct text text = {0};

	text_printf(&text, "version: 1\nname: redteam\nfs:\n  read:\n    - \"%s\"\n", world->self);
	for (size_t i = 0; i < array_size(system_paths); i++)
		if (access(system_paths[i], F_OK) == 0)
			text_printf(&text, "    - \"%s\"\n", system_paths[i]);
	text_puts(&text, lines);
	world_write(world, path, text_string(&text));
	return path;
}

bool world_agent(struct world *world, const char *name, const char *profile, const char *directory,
	const char *const *more)
{
	const char *words[WORLD_WORDS_MAX] = {NULL, "agent", "add", name, "--role",
		"is compromised", "--accountable-human", "berm redteam", "-p", profile, "-C",
		directory};
	autofree char *errors = NULL;
	size_t count = 12;

	while (more && *more && count < WORLD_WORDS_MAX - 1)
		words[count++] = *more++;
	if (world_call(world, words, NULL, &errors) == 0)
		return true;
	world_untested(world, "the agent %s was not made: %s", name, errors);
	return false;
}

static struct child *start_act(
	struct world *world, const char *const *before, const char *const *act)
{
	const char *words[WORLD_WORDS_MAX] = {NULL};
	size_t count = 0;

	while (before && before[count]) {
		words[count + 1] = before[count];
		count++;
	}
	if (before)
		words[++count] = world->self;
	else
		words[0] = world->self;
	words[++count] = "redteam";
	words[++count] = "act";
	while (*act && count < WORLD_WORDS_MAX - 2)
		words[++count] = *act++;
	return world_start(world, words);
}

struct child *world_run(struct world *world, const char *agent, const char *const *act)
{
	const char *before[] = {"run", "--json", "--agent", agent, "--", NULL};

	return start_act(world, before, act);
}

struct child *world_act(struct world *world, const char *const *act)
{
	return start_act(world, NULL, act);
}

/* Boot time of a line of "berm log --json" of that kind, in microseconds. */
static uint64_t record_time(const char *line, size_t length, const char *kind)
{
	json_t *object = json_loadb(line, length, 0, NULL);
	const char *is = json_string_value(json_object_get(object, "kind"));
	json_t *record = json_object_get(object, "record");
	uint64_t ns = (uint64_t)json_integer_value(json_object_get(record, "boot_ns"));
	bool matches = is && strcmp(is, kind) == 0;

	json_decref(object);
	return matches ? ns / 1000 : 0;
}

uint64_t world_recorded(struct world *world, const char *kind, uint64_t since_us)
{
	autofree char *out = NULL;
	uint64_t found = REDTEAM_NEVER;

	world_call(world, (const char *[]){NULL, "log", "--json", NULL}, &out, NULL);
	for (const char *line = out; line && *line;) {
		size_t length = strcspn(line, "\n");
		uint64_t when = record_time(line, length, kind);

		if (when >= since_us && when && when < found)
			found = when;
		line += length + (line[length] == '\n');
	}
	return found;
}
