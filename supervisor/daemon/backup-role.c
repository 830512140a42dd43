/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/backup-role.h"

#include "apply/caller.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"
#include "daemon/group-backup.h"
#include "daemon/group-hooks.h"
#include "daemon/perform.h"
#include "daemon/role.h"
#include "daemon/session.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define WAIT_MS 2000 /* for another such process that is about to end */
#define STEP_MS 20
#define OOM_SCORE "/proc/self/oom_score_adj"
#define SLACK_NS 50000 /* what init begins with, PR_SET_TIMERSLACK(2const) */

struct backup {
	struct groups groups;
	char group[PACE_NAME_MAX + 1];
	int held_fd; /* owned */
};

/* What fork(2) and execve(2) hand on of whoever brought the change about, who may be nobody to say
 * how fast it runs and when it ends; each as far as this process may. */
static void leave_starter(void)
{
	struct sched_param none = {0};
	struct error ignored = {0};
	autofree char *score = NULL;
	cpu_set_t every;

	memset(&every, 0xff, sizeof(every));
	sched_setscheduler(0, SCHED_OTHER, &none);
	sched_setaffinity(0, sizeof(every), &every);
	setpriority(PRIO_PROCESS, 0, 0);
	/* Its class of input and output by its nice value, its memory from every node. */
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0);
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	personality(0);
	if (io_read_file(AT_FDCWD, OOM_SCORE, 32, &score, NULL, &ignored) == 0 && score[0] != '-')
		(void)!io_write_file(AT_FDCWD, OOM_SCORE, "0", &ignored);
	limits_leave();
	umask(022);
}

static void settle(void)
{
	sigset_t set;

	leave_starter();
	prctl(PR_SET_NAME, "berm-backup");
	/* A reader of what it says that went away is no reason to end; the tool has its signals as
	 * they should be. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* The operator's own, whoever caused it. */
	caller_assume(geteuid(), getegid(), 0);
}

static int take_group(struct backup *backup)
{
	ssize_t n = read(ROLE_FD, backup->group, sizeof(backup->group));

	if (n < 2 || backup->group[n - 1] || !agent_name_is_good(backup->group))
		return -EINVAL;
	return close(ROLE_FD);
}

/* ---- what it prints ---- */

static int open_output(const struct backup *backup)
{
	autoclose int dir = -1;

	if (mkdirat(backup->groups.state_fd, BACKUP_OUTPUT_DIR, 0700) < 0 && errno != EEXIST)
		return -1;
	dir = openat(backup->groups.state_fd, BACKUP_OUTPUT_DIR,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -1;
	/* Another one each time: somebody may be reading the last one. */
	unlinkat(dir, backup->group, 0);
	return openat(
		dir, backup->group, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Until the last of the run has closed it. What is too much, or finds no room, goes nowhere: the
 * tool does not wait for it. */
static void carry(int from, int to)
{
	size_t left = to < 0 ? 0 : BACKUP_OUTPUT_MAX;
	char bytes[16384];
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) != 0) {
		size_t length = n < 0 ? 0 : (size_t)n;

		if (n < 0 && errno != EINTR)
			return;
		if (length > left)
			length = left;
		left = length && io_write_all(to, bytes, length) == 0 ? left - length : 0;
	}
}

/* The standard streams: nothing to read, and what is said goes into a file, through a process that
 * lasts as long as anybody can say something. */
static int lead_streams(const struct backup *backup)
{
	autoclose int read_end = -1, write_end = -1, to = open_output(backup);
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* Nothing here may keep the end of the run's process from being seen. */
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		if (dup2(read_end, 0) == 0 && (to < 0 || dup2(to, 1) == 1) &&
			close_range(3, ~0U, 0) == 0)
			carry(0, to < 0 ? -1 : 1);
		_exit(0);
	}
	if (dup2(write_end, STDOUT_FILENO) < 0 || dup2(write_end, STDERR_FILENO) < 0)
		return -errno;
	return 0;
}

/* ---- the run ---- */

static bool was_started(const struct performance *performance)
{
	return !performance->was_refused &&
	       !(performance->code >= 125 && performance->code <= 127 && performance->reason[0]);
}

static int run(struct backup *backup, const struct group_backup *taken, struct error *err)
{
	autogrouphooks struct group_hooks hooks = {0};
	autoperformance struct performance performance = {0};
	char task[32], words[64];
	int r = group_hooks_read(&backup->groups, backup->group, &hooks, err);

	if (r == 0 && !hooks.backup)
		r = error_set(err, -ENOENT, ERROR_INPUT,
			"groups.yaml does not say any more what the backup is to run");
	if (r == 0 && lead_streams(backup) < 0)
		r = error_errno(err, "what it prints");
	if (r < 0)
		return group_backup_end(
			&backup->groups, backup->group, taken, err->text, NULL, err);
	snprintf(task, sizeof(task), BACKUP_TASK "%" PRIu64, taken->takeover.change);
	perform(&(struct session_request){.agent = taken->agent,
			.task = task,
			.argv = (const char *const *)hooks.backup,
			.state_dir = backup->groups.state,
			.is_backup = true,
			.record = true},
		&(struct performance_wanted){0}, &performance);
	if (performance.reason[0])
		log_line("run: %s", performance.reason);
	snprintf(words, sizeof(words), "its backup has ended: exit code %d", performance.code);
	return group_backup_end(&backup->groups, backup->group, taken,
		was_started(&performance) ? NULL : performance.reason, words, err);
}

static bool is_due(const struct backup *backup)
{
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct error ignored = {0};

	return group && groups_look(&backup->groups, backup->group, group, &ignored) == 0 &&
	       pace_takeover_is_due(group);
}

static void rest(void)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

	nanosleep(&step, NULL);
}

/* What came before comes before in the log, too, where the log is there. */
static void wait_for_log(const struct backup *backup)
{
	for (unsigned waited = 0; waited < WAIT_MS; waited += STEP_MS) {
		if (!group_backup_is_early(&backup->groups, backup->group))
			return;
		rest();
	}
}

/* 0, or -EWOULDBLOCK where another one has it and does not end. */
static int take_hold(struct backup *backup, struct error *err)
{
	for (unsigned waited = 0;; waited += STEP_MS) {
		backup->held_fd = group_backup_hold(&backup->groups, backup->group, err);
		if (backup->held_fd != -EWOULDBLOCK || waited >= WAIT_MS)
			return backup->held_fd < 0 ? backup->held_fd : 0;
		/* It is the one that begins with it. */
		if (!is_due(backup))
			return -EALREADY;
		rest();
	}
}

static int serve(struct backup *backup, struct error *err)
{
	struct group_backup taken = {0};
	int r = take_hold(backup, err);

	if (r == -EALREADY)
		return 0;
	wait_for_log(backup);
	if (r == -EWOULDBLOCK)
		return group_backup_take(&backup->groups, backup->group, true, &taken, err);
	while (r == 0) {
		r = group_backup_take(&backup->groups, backup->group, false, &taken, err);
		if (r <= 0)
			return r;
		r = run(backup, &taken, err);
	}
	return r;
}

int backup_role(int argc, char **argv)
{
	struct backup backup = {.groups = GROUPS_NONE, .held_fd = -1};
	struct error err = {0};
	int r;

	/* With a set-user-ID berm anybody could ask for it. */
	if (argc != 3 || getuid() != geteuid() || getgid() != getegid() || take_group(&backup) < 0)
		return 2;
	settle();
	r = groups_open(argv[2], &backup.groups, &err);
	if (r == 0)
		r = serve(&backup, &err);
	groups_close(&backup.groups);
	own_close(&backup.held_fd);
	return r < 0 ? 3 : 0;
}
