/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/control.h"

#include "base/number.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>

/* Stopping a run that has no cgroup of its own. PID 1 sends everybody else the signal at one
 * moment; then each process is looked at, since one that was quick may have continued another, and
 * told again where it runs. The processes are found as children of children of
 * its PID 1: orphans are given back to PID 1 by the kernel, so none can leave the tree. A process
 * may fork, or end and give its children back, while it is being found, so sweeps are repeated
 * until two of them in a row meet nothing that runs: after the first nobody could fork or end any
 * more, so that the lists of children were exact in the second (proc(5),
 * "/proc/pid/task/tid/children"). */

#define PROCESSES_MAX 65536
#define CHILDREN_BYTES 4096
#define STAT_BYTES 1024
#define STATUS_BYTES 4096
/* A process in an uninterruptible wait (state D) was told to stop and does before it is back in its
 * program. A parent in vfork(2) waits so for a child that is stopped, without end. So it is taken
 * to be stopped when nothing has moved or appeared for this long. */
#define UNINTERRUPTIBLE_MS 100

struct sweep {
	int proc_fd;
	ino_t namespace_inode; /* of the run's pid namespace */
	pid_t *pids;           /* owned */
	size_t count, capacity;
	uint64_t fingerprint;   /* of which processes these are */
	size_t running;         /* met in this sweep */
	size_t waiting;         /* uninterruptibly */
	struct stop_mark *mark; /* what is met is noted here, or NULL */
	bool failed;
};

/* How often a thread has left a processor: it stays the same as long as the thread is stopped. */
static uint64_t switches_of(const struct sweep *sweep, pid_t pid, pid_t thread)
{
	char path[64], data[STATUS_BYTES];
	unsigned long long voluntary = 0, forced = 0;
	const char *at;
	ssize_t n;
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "%d/task/%d/status", (int)pid, (int)thread);
	fd = openat(sweep->proc_fd, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, data, sizeof(data) - 1);
	if (n <= 0)
		return 0;
	data[n] = '\0';
	at = strstr(data, "\nvoluntary_ctxt_switches:");
	if (!at || sscanf(at, "\nvoluntary_ctxt_switches: %llu nonvoluntary_ctxt_switches: %llu",
			   &voluntary, &forced) != 2)
		return 0;
	return voluntary + forced;
}

static void note(struct sweep *sweep, pid_t pid, pid_t thread, char state)
{
	struct stop_mark *mark = sweep->mark;

	if (!mark || state == 'Z')
		return;
	if (mark->count == mark->capacity) {
		size_t more = mark->capacity ? 2 * mark->capacity : 64;
		struct stop_thread *grown = reallocarray(mark->threads, more, sizeof(*grown));

		if (!grown) {
			sweep->failed = true;
			return;
		}
		mark->threads = grown;
		mark->capacity = more;
	}
	mark->threads[mark->count++] =
		(struct stop_thread){thread, state, switches_of(sweep, pid, thread)};
}

static void remember(struct sweep *sweep, pid_t pid)
{
	if (sweep->count == sweep->capacity) {
		size_t more = sweep->capacity ? 2 * sweep->capacity : 256;
		pid_t *grown =
			more > PROCESSES_MAX ? NULL : realloc(sweep->pids, more * sizeof(*grown));

		if (!grown) {
			sweep->failed = true;
			return;
		}
		sweep->pids = grown;
		sweep->capacity = more;
	}
	sweep->pids[sweep->count++] = pid;
	sweep->fingerprint += ((uint64_t)pid * 0x9e3779b97f4a7c15ULL) >> 7;
}

/* The children of one thread, as numbers apart by spaces. */
static void remember_children(struct sweep *sweep, pid_t pid, pid_t thread)
{
	char path[64], data[CHILDREN_BYTES + 1];
	size_t kept = 0;
	autoclose int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%d/task/%d/children", (int)pid, (int)thread);
	fd = openat(sweep->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while ((n = read(fd, data + kept, CHILDREN_BYTES - kept)) > 0) {
		char *at = data, *end;

		data[kept + (size_t)n] = '\0';
		for (long child; (child = strtol(at, &end, 10)) > 0 && *end == ' '; at = end + 1)
			remember(sweep, (pid_t)child);
		/* A number that was cut in two waits for the rest of it. */
		kept = strlen(at);
		memmove(data, at, kept);
	}
}

/* The state letter and the number of threads of a process or one of its threads. */
static bool read_stat(
	const struct sweep *sweep, const char *path, char *ret_state, unsigned long *ret_threads)
{
	char data[STAT_BYTES];
	autoclose int fd = openat(sweep->proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data) - 1);
	const char *at;

	if (n <= 0)
		return false;
	data[n] = '\0';
	/* The command's name before it may hold anything, also brackets (proc(5)). */
	at = strrchr(data, ')');
	/* state, then 16 fields, then num_threads. */
	return at && sscanf(at,
			     ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			     "%*s %lu",
			     ret_state, ret_threads) == 2;
}

static void judge_state(struct sweep *sweep, char state)
{
	if (state == 'D')
		sweep->waiting++;
	else if (state != 'T' && state != 't' && state != 'Z')
		sweep->running++;
}

/* Look at every thread and gather its children. A leader that has ended (state Z) can leave threads
 * that go on. */
static void look_at(struct sweep *sweep, pid_t pid)
{
	char path[64], state = 'X';
	unsigned long threads = 0;
	struct dirent *entry;
	DIR *tasks;
	int fd;

	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	if (!read_stat(sweep, path, &state, &threads)) {
		sweep->running++; /* it ended meanwhile: its children are elsewhere now */
		return;
	}
	if (threads <= 1) {
		judge_state(sweep, state);
		note(sweep, pid, pid, state);
		remember_children(sweep, pid, pid);
		return;
	}
	snprintf(path, sizeof(path), "%d/task", (int)pid);
	fd = openat(sweep->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tasks = fd < 0 ? NULL : fdopendir(fd);
	if (!tasks) {
		own_close(&fd);
		return;
	}
	while ((entry = readdir(tasks))) {
		uint64_t thread;

		if (!number_parse_u64(entry->d_name, &thread))
			continue;
		snprintf(path, sizeof(path), "%d/task/%d/stat", (int)pid, (int)thread);
		if (read_stat(sweep, path, &state, &threads)) {
			judge_state(sweep, state);
			note(sweep, pid, (pid_t)thread, state);
		}
		remember_children(sweep, pid, (pid_t)thread);
	}
	closedir(tasks);
}

/* By a descriptor that was checked to be a process of the run: the number may be another's by now.
 */
static void send(const struct sweep *sweep, pid_t pid, int number)
{
	char path[64];
	struct stat st;
	autoclose int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "%d/ns/pid", (int)pid);
	if (fstatat(sweep->proc_fd, path, &st, 0) == 0 && st.st_ino == sweep->namespace_inode)
		pidfd_send_signal(fd, number, NULL, 0);
}

/* Stop what is there, parents first. */
static void sweep_once(struct sweep *sweep, pid_t init_pid)
{
	sweep->count = sweep->running = sweep->waiting = 0;
	sweep->fingerprint = 0;
	remember_children(sweep, init_pid, init_pid);
	for (size_t i = 0; i < sweep->count; i++) {
		size_t before = sweep->running + sweep->waiting;

		look_at(sweep, sweep->pids[i]);
		if (sweep->running + sweep->waiting > before)
			send(sweep, sweep->pids[i], SIGSTOP);
	}
}

/* PID 1 has done what it was told: else it would stop the run again some time after it was let go
 * on. The signal is pending from the moment it was sent until PID 1 takes it, and PID 1 does not
 * sleep before it has sent on what it took. */
static bool init_is_idle(const struct sweep *sweep, pid_t init_pid)
{
	char path[64], data[STATUS_BYTES], state;
	unsigned long long pending;
	const char *at;
	ssize_t n;
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "%d/status", (int)init_pid);
	fd = openat(sweep->proc_fd, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, data, sizeof(data) - 1);
	if (n <= 0)
		return true; /* it has ended, and everything with it */
	data[n] = '\0';
	at = strstr(data, "\nShdPnd:");
	if (!at || sscanf(at, "\nShdPnd: %llx", &pending) != 1 ||
		pending & 1ULL << (REAPER_STOP_ALL - 1))
		return false;
	at = strstr(data, "\nState:");
	return at && sscanf(at, "\nState: %c", &state) == 1 && strchr("SZX", state);
}

static void stop_sweeps(
	struct sweep *sweep, pid_t init_pid, uint64_t started_ms, unsigned timeout_ms)
{
	const struct timespec pause = {.tv_nsec = 100000};

	uint64_t settled_ms = started_ms, before = 0;

	for (unsigned quiet = 0; quiet < 2;) {
		uint64_t now_ms;

		sweep_once(sweep, init_pid);
		sweep->running += !init_is_idle(sweep, init_pid);
		now_ms = control_now_ms();
		if (sweep->failed || (now_ms - started_ms >= timeout_ms && sweep->running))
			return;
		/* A process that forks and ends can be met as a zombie each time, when its child
		 * was given to PID 1 after PID 1's children were read: then each sweep meets
		 * others. */
		if (sweep->running || sweep->fingerprint != before) {
			settled_ms = now_ms;
			quiet = 0;
		} else if (!sweep->waiting || now_ms - settled_ms >= UNINTERRUPTIBLE_MS) {
			quiet++;
		}
		before = sweep->fingerprint;
		/* With one processor free for the run's own way into the stop. */
		if (!quiet)
			nanosleep(&pause, NULL);
	}
}

ino_t stop_namespace_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

int stop_all(const struct launch *launch, bool stopped, unsigned timeout_ms, struct error *err)
{
	struct sweep sweep = {.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.namespace_inode = launch->pid_namespace};
	pid_t init_pid = launch->init_pid;
	int r = sweep.proc_fd < 0 ? error_errno(err, "open /proc") : 0;

	if (r == 0 && stopped) {
		pidfd_send_signal(launch->init_fd, REAPER_STOP_ALL, NULL, 0);
		stop_sweeps(&sweep, init_pid, control_now_ms(), timeout_ms);
		if (sweep.failed)
			r = error_set(err, -E2BIG, ERROR_INTERNAL,
				"the run has more processes than can be stopped one by one");
		else if (sweep.running)
			r = error_set(err, -ETIMEDOUT, ERROR_INTERNAL,
				"%zu threads of the run could not be stopped", sweep.running);
	} else if (r == 0) {
		remember_children(&sweep, init_pid, init_pid);
		for (size_t i = 0; i < sweep.count; i++)
			look_at(&sweep, sweep.pids[i]);
		for (size_t i = sweep.count; i-- > 0;)
			send(&sweep, sweep.pids[i], SIGCONT);
	}
	own_free(&sweep.pids);
	own_close(&sweep.proc_fd);
	return r;
}

/* ---- whether it holds ---- */

static int compare_threads(const void *a, const void *b)
{
	const struct stop_thread *left = a, *right = b;

	return (left->thread > right->thread) - (left->thread < right->thread);
}

/* What waited uninterruptibly may have come to its stop meanwhile. */
static bool has_stayed(const struct stop_thread *before, const struct stop_thread *now)
{
	if (before->state == 'D' && now->state != 'D')
		return now->state == 'T' || now->state == 't';
	return before->switches == now->switches;
}

static bool same_threads(const struct stop_mark *before, const struct stop_mark *now)
{
	if (before->count != now->count)
		return false;
	for (size_t i = 0; i < now->count; i++)
		if (before->threads[i].thread != now->threads[i].thread ||
			!has_stayed(&before->threads[i], &now->threads[i]))
			return false;
	return true;
}

bool stop_holds(const struct launch *launch, struct stop_mark *mark)
{
	struct stop_mark now = {.taken = true};
	struct sweep sweep = {.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.namespace_inode = launch->pid_namespace,
		.mark = &now};
	bool holds;

	remember_children(&sweep, launch->init_pid, launch->init_pid);
	for (size_t i = 0; i < sweep.count; i++)
		look_at(&sweep, sweep.pids[i]);
	if (now.count)
		qsort(now.threads, now.count, sizeof(*now.threads), compare_threads);
	holds = sweep.proc_fd >= 0 && !sweep.failed && !sweep.running &&
		(!mark->taken || same_threads(mark, &now));
	own_free(&sweep.pids);
	own_close(&sweep.proc_fd);
	stop_mark_finish(mark);
	*mark = now;
	return holds;
}

void stop_mark_finish(struct stop_mark *mark)
{
	own_free(&mark->threads);
	*mark = (struct stop_mark){0};
}
