/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/world.h"

#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define OPEN_MAX_WALK 16
#define RECORDER_MS 10000

static int find_programs(
	struct world *world, const struct redteam_request *request, struct error *err)
{
	ssize_t n = readlink("/proc/self/exe", world->self, sizeof(world->self) - 1);

	if (n <= 0 || n == sizeof(world->self) - 1)
		return error_errno(err, "/proc/self/exe");
	world->self[n] = '\0';
	if (access(world->self, X_OK) < 0)
		return error_errno(
			err, "this program is not where it was started from (%s)", world->self);
	snprintf(world->berm, sizeof(world->berm), "%s",
		request->berm ? request->berm : world->self);
	if (world->berm[0] != '/' || access(world->berm, X_OK) < 0)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"--berm: the whole path of a program that can be started");
	if (strpbrk(world->self, "\"\\$\n"))
		return error_set(err, -EINVAL, ERROR_UNSUPPORTED,
			"this program's own path cannot be written into a profile: %s",
			world->self);
	return 0;
}

int world_open(struct world *world, const struct redteam_request *request, const char *id,
	struct error *err)
{
	static const char *const within[] = {"home", "runtime", "state"};
	int n = snprintf(world->top, sizeof(world->top), "%s/berm-redteam-%s-XXXXXX",
		    request->directory, id),
	    r;

	/* Room for what the scenarios and the sockets of runs put beneath. */
	if (n < 0 || n > WORLD_PATH_MAX - 140 || request->directory[0] != '/' ||
		strpbrk(request->directory, "\"\\$\n"))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"--directory: a whole path of at most 40 bytes without quotes");
	r = find_programs(world, request, err);
	if (r < 0)
		return r;
	if (!mkdtemp(world->top))
		return error_errno(err, "%s", world->top);
	for (size_t i = 0; i < array_size(within); i++)
		if (mkdir(world_path(world, "%s", within[i]), 0700) < 0)
			return error_errno(err, "%s/%s", world->top, within[i]);
	return 0;
}

/* The processes of this state directory by their whole argument, never by a part of a name. */
static size_t roles(const struct world *world, int signal_number)
{
	const char *state = world_path(world, "state");
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	while (proc && (entry = readdir(proc))) {
		autofree char *line = NULL;
		struct error ignored = {0};
		char path[300];
		size_t length = 0, role;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		if (io_read_file(AT_FDCWD, path, 4096, &line, &length, &ignored) < 0 || !line ||
			strcmp(line, "berm") != 0 || length < 8)
			continue;
		role = strlen(line) + 1;
		if (strncmp(line + role, "--role=", 7) != 0 ||
			role + strlen(line + role) + 1 >= length ||
			strcmp(line + role + strlen(line + role) + 1, state) != 0)
			continue;
		count++;
		kill((pid_t)strtol(entry->d_name, NULL, 10), signal_number);
	}
	if (proc)
		closedir(proc);
	return count;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)walk;
	if (kind == FTW_DP || kind == FTW_D || kind == FTW_DNR)
		rmdir(path);
	else
		unlink(path);
	return 0;
}

/* A directory that a tool made unreadable is its owner's again before it is removed. */
static int open_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)walk;
	if ((kind == FTW_D || kind == FTW_DNR) && (st->st_mode & 0700) != 0700)
		(void)!chmod(path, 0700);
	return 0;
}

static void remove_all(const char *top)
{
	nftw(top, open_one, OPEN_MAX_WALK, FTW_PHYS);
	nftw(top, remove_one, OPEN_MAX_WALK, FTW_PHYS | FTW_DEPTH);
}

/* Runs end with their berm, since nothing here is adopted: a tool that has left it (a second
 * session, another parent) is in its process namespace still. */
void world_close(struct world *world)
{
	const struct timespec step = {.tv_nsec = 10000000};
	uint64_t end;

	if (!world->top[0])
		return;
	for (size_t i = 0; i < world->child_count; i++)
		if (world->children[i].pid > 0)
			world_end(&world->children[i]);
	end = world_now_us() + RECORDER_MS * 1000ULL;
	while (roles(world, SIGTERM) > 0 && world_now_us() < end)
		nanosleep(&step, NULL);
	roles(world, SIGKILL);
	remove_all(world->top);
	if (access(world->top, F_OK) == 0)
		world_fail(world, "%s is left behind", world->top);
	for (size_t i = 0; i < world->path_count; i++)
		free(world->paths[i]);
	own_free(&world->paths);
	world->path_count = 0;
}
