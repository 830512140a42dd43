/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/outside.h"

#include "apply/control.h"
#include "apply/launch.h"
#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PLACE_VERSION 1
#define STAT_BYTES 1024
#define STATUS_BYTES 4096
#define PROCS_BYTES (1U << 20)

/* A file of /proc/PID as a string. -ESRCH where the process is gone, else -errno. */
static int read_about(pid_t pid, const char *name, char *data, size_t size)
{
	char path[64];
	ssize_t n;
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, data, size - 1);
	if (n <= 0)
		return n == 0 || errno == ENOENT ? -ESRCH : -errno;
	data[n] = '\0';
	return 0;
}

/* Field 22 of /proc/PID/stat (proc(5)): when the process began. */
static int read_start(pid_t pid, uint64_t *ret_start)
{
	char data[STAT_BYTES];
	unsigned long long start = 0;
	const char *at;
	int r = read_about(pid, "stat", data, sizeof(data));

	if (r < 0)
		return r;
	/* The name before it may hold anything, also brackets. */
	at = strrchr(data, ')');
	if (!at || sscanf(at,
			   ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			   "%*s %*s %llu",
			   &start) != 1)
		return -EPROTO;
	*ret_start = start;
	return 0;
}

/* PID 1 of a pid namespace beneath this one: the last of its numbers (proc(5), "NSpid"). The link
 * in its ns/ is not for everybody to read, since it gave up rights. -ESRCH where it is none. */
static int check_first(pid_t pid)
{
	char data[STATUS_BYTES];
	const char *at, *end;
	int r = read_about(pid, "status", data, sizeof(data));

	if (r < 0)
		return r;
	at = strstr(data, "\nNSpid:");
	end = at ? strchr(at + 1, '\n') : NULL;
	return end && end - at > 2 && strncmp(end - 2, "\t1", 2) == 0 ? 0 : -ESRCH;
}

static ino_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

int outside_describe(
	pid_t init_pid, int cgroup_fd, Berm__Wire__RunPlace *ret_place, struct error *err)
{
	char link[64], path[OUTSIDE_PATH_MAX] = "";
	ssize_t n = 0;
	int r;

	berm__wire__run_place__init(ret_place);
	r = read_start(init_pid, &ret_place->init_start);
	if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "the run's first process: %s", strerror(-r));
	if (cgroup_fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", cgroup_fd);
		n = readlink(link, path, sizeof(path) - 1);
		if (n < 0)
			return error_errno(err, "the run's cgroup");
	}
	path[n] = '\0';
	ret_place->version = PLACE_VERSION;
	ret_place->init_pid = (uint32_t)init_pid;
	ret_place->seen_from = own_namespace();
	ret_place->cgroup = strdup(path);
	if (!ret_place->cgroup)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return 0;
}

void outside_place_finish(Berm__Wire__RunPlace *place)
{
	if ((const char *)place->cgroup != protobuf_c_empty_string)
		free(place->cgroup);
	berm__wire__run_place__init(place);
}

/* The cgroup, where it is one and the run's PID 1 is in it. */
static int open_cgroup(const char *path, pid_t init_pid)
{
	autofree char *data = NULL;
	struct error err = {0};
	struct statfs fs;
	autoclose int fd = -1;
	char *save = NULL;

	if (!path_is_normal(path))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC ||
		io_read_file(fd, "cgroup.procs", PROCS_BYTES, &data, NULL, &err) < 0)
		return -1;
	for (char *word = strtok_r(data, "\n", &save); word; word = strtok_r(NULL, "\n", &save))
		if (strtol(word, NULL, 10) == init_pid)
			return take_fd(&fd);
	return -1;
}

static int signal_to(const struct outside *run, int number)
{
	return pidfd_send_signal(run->init_fd, number, NULL, 0) < 0 ? -errno : 0;
}

static int not_ours(int r, struct error *err)
{
	if (r == -ESRCH)
		return error_set(err, r, ERROR_NOT_FOUND, "it has ended");
	if (r == -EPERM)
		return error_set(err, r, ERROR_REFUSED, "it is somebody else's");
	return error_set(err, r, ERROR_INTERNAL, "the run's first process: %s", strerror(-r));
}

int outside_open(const Berm__Wire__RunPlace *place, struct outside *ret_run, struct error *err)
{
	const pid_t pid = (pid_t)place->init_pid;
	struct outside run = OUTSIDE_NONE;
	uint64_t start = 0;
	int r;

	*ret_run = run;
	if (place->version != PLACE_VERSION || pid <= 1 || place->init_start == 0)
		return error_set(err, -EBADMSG, ERROR_INPUT, "not the place of a run");
	if (place->seen_from != own_namespace())
		return error_set(err, -EPERM, ERROR_REFUSED,
			"it was started in another pid namespace: stop it from there");
	run.init_fd = pidfd_open(pid, 0);
	if (run.init_fd < 0)
		return not_ours(-errno, err);
	/* The descriptor holds one process: what is read now is about it, or it has ended. */
	r = read_start(pid, &start);
	if (r == 0 && start != place->init_start)
		r = -ESRCH;
	if (r == 0)
		r = check_first(pid);
	if (r == 0)
		r = outside_wait(&run, 0) ? -ESRCH : signal_to(&run, 0);
	if (r < 0) {
		own_close(&run.init_fd);
		return not_ours(r, err);
	}
	run.init_pid = pid;
	run.cgroup_fd = place->cgroup[0] ? open_cgroup(place->cgroup, pid) : -1;
	*ret_run = run;
	return 0;
}

void outside_close(struct outside *run)
{
	own_close(&run->init_fd);
	own_close(&run->cgroup_fd);
}

void outside_freeze(const struct outside *run)
{
	struct error err = {0};

	if (run->cgroup_fd < 0 || io_write_file(run->cgroup_fd, "cgroup.freeze", "1", &err) < 0)
		(void)!signal_to(run, REAPER_STOP_ALL);
}

bool outside_is_frozen(const struct outside *run)
{
	autofree char *data = NULL;
	struct error err = {0};

	return run->cgroup_fd >= 0 &&
	       io_read_file(run->cgroup_fd, "cgroup.events", STAT_BYTES, &data, NULL, &err) == 0 &&
	       strstr(data, "frozen 1");
}

int outside_kill(const struct outside *run, struct error *err)
{
	struct error ignored = {0};
	int r;

	/* Frozen processes die of it too (cgroup-v2.rst, "cgroup.kill"), and whoever would be made
	 * meanwhile. */
	if (run->cgroup_fd >= 0)
		(void)!io_write_file(run->cgroup_fd, "cgroup.kill", "1", &ignored);
	r = signal_to(run, SIGKILL);
	return r == 0 || r == -ESRCH ? 0 : not_ours(r, err);
}

bool outside_wait(const struct outside *run, unsigned wait_ms)
{
	struct pollfd p = {.fd = run->init_fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, (int)wait_ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}
