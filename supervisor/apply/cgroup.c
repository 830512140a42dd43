/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "base/io.h"
#include "base/number.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define CGROUP_EVENTS_MAX 4096
#define CGROUP_EMPTY_TIMEOUT_MS 2000
#define CGROUP_EMPTY_STEP_MS 20
#define NAME_PREFIX "berm-"
#define NAME_LENGTH (sizeof(NAME_PREFIX) - 1 + 16)
/* A run is in its cgroup long before. */
#define CGROUP_FORGOTTEN_SECONDS 60

/* Hand the controllers that the values need down to the run's cgroup; those that are handed down
 * already stay so. A refusal shows when the value's file is missing. */
static void hand_down(const struct launch *launch)
{
	const Berm__Wire__Cgroup *plan = launch->plan->cgroup;

	for (size_t i = 0; i < plan->n_values; i++) {
		const char *file = plan->values[i]->file;
		char word[32];

		snprintf(word, sizeof(word), "+%.*s", (int)strcspn(file, "."), file);
		if (strncmp(file, "cgroup.", 7) != 0)
			(void)!io_write_file(
				launch->cgroup_parent_fd, "cgroup.subtree_control", word, NULL);
	}
}

/* One file of the run's own cgroup, and one controller: neither a path nor more words of a line. */
static bool is_plain(const char *file)
{
	return file[strspn(file, "abcdefghijklmnopqrstuvwxyz_.")] == '\0' && file[0] != '.' &&
	       strchr(file, '.');
}

static int check_values(const Berm__Wire__Cgroup *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_values; i++)
		if (!is_plain(plan->values[i]->file))
			return error_set(err, -EINVAL, ERROR_INTERNAL,
				"the plan's cgroup has a file that is none of a cgroup's");
	return 0;
}

int cgroup_name(struct launch *launch, struct error *err)
{
	const Berm__Wire__Cgroup *plan = launch->plan->cgroup;
	uint64_t id;

	if (!plan || !plan->use)
		return 0;
	launch->cgroup_parent_fd = open(plan->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (launch->cgroup_parent_fd < 0)
		return error_errno(err, "open %s", plan->parent);
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return error_errno(err, "getrandom");
	snprintf(launch->cgroup_name, sizeof(launch->cgroup_name), NAME_PREFIX "%016" PRIx64, id);
	return 0;
}

int cgroup_make(struct launch *launch, struct error *err)
{
	const Berm__Wire__Cgroup *plan = launch->plan->cgroup;
	int r;

	if (launch->cgroup_parent_fd < 0)
		return 0;
	r = check_values(plan, err);
	if (r < 0)
		return r;
	hand_down(launch);
	if (mkdirat(launch->cgroup_parent_fd, launch->cgroup_name, 0755) < 0)
		return error_errno(err, "make the cgroup %s/%s", plan->parent, launch->cgroup_name);
	launch->cgroup_fd = openat(
		launch->cgroup_parent_fd, launch->cgroup_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (launch->cgroup_fd < 0)
		return error_errno(err, "open the cgroup %s/%s", plan->parent, launch->cgroup_name);
	for (size_t i = 0; i < plan->n_values; i++) {
		r = io_write_file(
			launch->cgroup_fd, plan->values[i]->file, plan->values[i]->value, err);
		if (r < 0 && !(r == -ENOENT && plan->values[i]->optional))
			return error_wrap(err, "cgroup");
	}
	return 0;
}

/* The number after "key " in a flat keyed cgroup file; 0 where there is none. */
static uint64_t read_key(int cgroup_fd, const char *file, const char *key)
{
	autofree char *data = NULL;
	uint64_t value = 0;
	char *rest;

	if (io_read_file(cgroup_fd, file, CGROUP_EVENTS_MAX, &data, NULL, NULL) < 0)
		return 0;
	for (char *line = strtok_r(data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t n = strlen(key);

		if (strncmp(line, key, n) == 0 && line[n] == ' ' &&
			number_parse_u64(line + n + 1, &value))
			return value;
	}
	return 0;
}

bool cgroup_was_oom(const struct launch *launch)
{
	return launch->cgroup_fd >= 0 &&
	       read_key(launch->cgroup_fd, "memory.events", "oom_kill") > 0;
}

/* The one number of a cgroup file; 0 where there is none. */
static uint64_t read_number(int cgroup_fd, const char *file)
{
	autofree char *data = NULL;
	uint64_t value = 0;

	if (io_read_file(cgroup_fd, file, CGROUP_EVENTS_MAX, &data, NULL, NULL) < 0)
		return 0;
	data[strcspn(data, "\n")] = '\0';
	return number_parse_u64(data, &value) ? value : 0;
}

void cgroup_peaks(const struct launch *launch, struct run_result *result)
{
	if (launch->cgroup_fd < 0)
		return;
	result->memory_peak = read_number(launch->cgroup_fd, "memory.peak");
	result->pids_peak = read_number(launch->cgroup_fd, "pids.peak");
}

/* What is left where berm and its janitor were killed at once: empty cgroups. One that holds a
 * process cannot be removed (cgroups(7)). */
static void remove_forgotten(int parent_fd)
{
	int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *parent = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!parent) {
		own_close(&fd);
		return;
	}
	while ((entry = readdir(parent)))
		if (strncmp(entry->d_name, NAME_PREFIX, sizeof(NAME_PREFIX) - 1) == 0 &&
			strlen(entry->d_name) == NAME_LENGTH &&
			fstatat(parent_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_mtime + CGROUP_FORGOTTEN_SECONDS < time(NULL))
			(void)!unlinkat(parent_fd, entry->d_name, AT_REMOVEDIR);
	closedir(parent);
}

void cgroup_remove(struct launch *launch)
{
	char kill_file[sizeof(launch->cgroup_name) + 16];

	if (launch->cgroup_parent_fd < 0)
		return;
	for (int waited_ms = 0; waited_ms <= CGROUP_EMPTY_TIMEOUT_MS;
		waited_ms += CGROUP_EMPTY_STEP_MS) {
		if (unlinkat(launch->cgroup_parent_fd, launch->cgroup_name, AT_REMOVEDIR) == 0 ||
			errno == ENOENT)
			break;
		snprintf(kill_file, sizeof(kill_file), "%s/cgroup.kill", launch->cgroup_name);
		(void)!io_write_file(launch->cgroup_parent_fd, kill_file, "1", NULL);
		poll(NULL, 0, CGROUP_EMPTY_STEP_MS);
	}
	remove_forgotten(launch->cgroup_parent_fd);
	own_close(&launch->cgroup_fd);
	own_close(&launch->cgroup_parent_fd);
}
