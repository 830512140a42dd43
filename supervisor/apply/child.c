/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/control.h"
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/limits.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* PID 1 of the run. It allocates nothing and does the steps of the plan in one fixed order; the
 * first that fails is told to the supervisor and ends the run. The tool is started only after the
 * supervisor, still alive, has said so. */

#define TOOL_STACK_BYTES 65536

static void fail(const struct launch *launch, const struct error *err)
{
	struct sync_message message = {.type = SYNC_FAILED, .error = *err};

	(void)!sync_tell(launch->sync[1], &message);
	_exit(125);
}

/* The same from SYNC_START on. */
static void fail_late(const struct launch *launch, const struct error *err)
{
	struct sync_message message = {.type = SYNC_FAILED, .error = *err};

	sync_leave(launch->last, &message);
	_exit(125);
}

/* End of file means that the supervisor is gone: a run without it never starts. */
static void wait_for(const struct launch *launch, enum sync_type type)
{
	struct sync_message message;

	if (sync_receive(launch->sync[1], &message, NULL, 0) < 0 || message.type != type)
		_exit(125);
}

/* The attribute is cleared by every change of ids (prctl(2)), so it is set after them; the next
 * answer of the supervisor proves that it was alive after it was set. */
static int die_with_supervisor(struct error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(err, "make the launcher not dumpable");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_errno(err, "set the parent-death signal");
	return 0;
}

/* Only host uid 0 may write this one, and it is the run's own (pid_namespaces(7),
 * vm.memfd_noexec, 6.3). */
static int memfd_no_exec(const struct launch *launch, struct error *err)
{
	autoclose int fd = -1;

	if (!launch->plan->memfd_noexec)
		return 0;
	fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return error_errno(err, "set vm.memfd_noexec");
	return 0;
}

static int own_names(const struct launch *launch, struct error *err)
{
	const char *name = launch->plan->host_name;

	if (sethostname(name, strlen(name)) < 0)
		return error_errno(err, "set the host name");
	/* Only now is this process in the run's cgroup, so that the namespace's root is the run's
	 * own. */
	if (unshare(CLONE_NEWCGROUP) < 0)
		return error_errno(err, "make a cgroup namespace");
	return 0;
}

/* Leave out the places where nothing is, while no filter looks: an attempt to execute one would be
 * counted as a program. One alone is left, so that the error is that of execve(2). */
static void drop_absent_candidates(struct launch *launch)
{
	char **kept = launch->candidates;

	for (char **path = launch->candidates; *path; path++)
		if ((kept == launch->candidates && !path[1]) || access(*path, F_OK) == 0 ||
			(errno != ENOENT && errno != ENOTDIR))
			*kept++ = *path;
	*kept = NULL;
}

static int build_walls(
	struct launch *launch, struct handover *handover, int *ret_listener, struct error *err)
{
	int r = memfd_no_exec(launch, err);

	if (r == 0)
		r = identity_become(launch, err);
	if (r == 0)
		r = die_with_supervisor(err);
	if (r == 0)
		r = inherited_reset(err);
	if (r == 0)
		r = own_names(launch, err);
	if (r == 0)
		r = network_begin(launch, err);
	if (r == 0)
		r = root_build(launch, err);
	if (r == 0)
		r = network_join(launch, err);
	if (r == 0)
		r = limits_apply(launch, err);
	if (r == 0)
		r = landlock_apply(launch, err);
	if (r == 0)
		r = capabilities_drop(err);
	if (r == 0)
		drop_absent_candidates(launch);
	if (r == 0)
		r = handover_begin(launch, handover, err);
	if (r == 0)
		r = syscalls_apply(launch, ret_listener, err);
	return r;
}

static void exec_failed(const struct launch *launch, int number)
{
	struct error err;
	const char *name = launch->argv[0];

	if (number == ENOENT || number == ENOTDIR)
		error_set(&err, -number, ERROR_NOT_FOUND, "%s: not found inside the run", name);
	else
		error_set(&err, -number, ERROR_REFUSED, "%s: %s", name, strerror(number));
	fail_late(launch, &err);
}

/* The tool's process, from here to execve(2). */
static int tool_main(void *argument)
{
	struct launch *launch = argument;
	struct sync_message proved = {.type = SYNC_PROVED};
	struct error err = {0};
	int number = ENOENT;
	sigset_t none;

	sigemptyset(&none);
	if (setsid() < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
		error_errno(&err, "prepare the tool's process");
		fail_late(launch, &err);
	}
	if (canary_try(launch, &err) < 0)
		fail_late(launch, &err);
	if (chdir(launch->plan->working_directory) < 0) {
		error_errno(&err, "chdir %s", launch->plan->working_directory);
		fail_late(launch, &err);
	}
	/* Not before: what the walls are built of needs descriptors. */
	if (limits_put_on() < 0) {
		error_errno(&err, "put the caller's limits on");
		fail_late(launch, &err);
	}
	if (sync_tell(launch->sync[1], &proved) < 0) {
		error_errno(&err, "say that the tool starts");
		fail_late(launch, &err);
	}
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (char **path = launch->candidates; *path; path++) {
		execve(*path, launch->argv, launch->environment);
		/* As a shell does: a name that is not there does not hide an earlier one that may
		 * not be run. */
		if (errno != ENOENT && errno != ENOTDIR)
			number = errno;
	}
	exec_failed(launch, number);
	return 125;
}

/* The supervisor ends a run at its limit and a little later; where it was stopped, the run's first
 * process does, so much later. */
#define SECOND_CLOCK_MS 5000

void child_main(struct launch *launch)
{
	static char stack[TOOL_STACK_BYTES] __attribute__((aligned(16)));
	struct sync_message ended = {.type = SYNC_EXIT};
	struct handover handover;
	struct error err = {0};
	uint64_t deadline_ms = 0;
	int listener = -1;
	sigset_t waited;
	pid_t tool;

	own_close(&launch->sync[0]);
	own_close(&launch->janitor_fd);
	prctl(PR_SET_NAME, "berm-init");
	reaper_own_signals(&waited);
	wait_for(launch, SYNC_GO);
	if (build_walls(launch, &handover, &listener, &err) < 0)
		fail(launch, &err);
	/* Blocked, not handled: a signal that comes before the tool exists waits for it. */
	sigprocmask(SIG_SETMASK, &waited, NULL);
	if (handover_send(launch, &handover, listener) < 0)
		_exit(125);
	own_close(&listener);
	wait_for(launch, SYNC_START);
	/* Shared memory until execve(2) saves copying the page tables; this process is suspended
	 * meanwhile. */
	tool = clone(tool_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, launch);
	if (tool < 0) {
		error_errno(&err, "start the tool's process");
		fail_late(launch, &err);
	}
	close_range(3, (unsigned)launch->sync[1] - 1, 0);
	close_range((unsigned)launch->sync[1] + 1, ~0U, 0);
	if (launch->plan->wall_time_ms)
		deadline_ms = control_now_ms() + launch->plan->wall_time_ms + SECOND_CLOCK_MS;
	ended.status = reaper_run(tool, deadline_ms);
	sync_leave(launch->last, &ended);
	_exit(0);
}
