/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/io.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PROC_PATH_MAX 64
#define HOLDER_STACK_BYTES 8192

static int write_map(pid_t pid, const char *file, const char *text, struct error *err)
{
	char path[PROC_PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return io_write_file(AT_FDCWD, path, text, err);
}

static int write_maps(pid_t pid, uint32_t inside_uid, uint32_t outside_uid, uint32_t inside_gid,
	uint32_t outside_gid, struct error *err)
{
	char line[64];
	int r;

	snprintf(line, sizeof(line), "%u %u 1\n", inside_uid, outside_uid);
	r = write_map(pid, "uid_map", line, err);
	if (r < 0)
		return r;
	snprintf(line, sizeof(line), "%u %u 1\n", inside_gid, outside_gid);
	return write_map(pid, "gid_map", line, err);
}

/* user_namespaces(7): an unprivileged writer must deny setgroups before it may map a group. */
int identity_map(const struct launch *launch, struct error *err)
{
	const Berm__Wire__Identity *id = launch->plan->identity;
	int r;

	if (!id->drop_from_root) {
		r = write_map(launch->init_pid, "setgroups", "deny", err);
		if (r < 0)
			return r;
	}
	return write_maps(launch->init_pid, id->inside_uid, id->outside_uid, id->inside_gid,
		id->outside_gid, err);
}

/* A service's immunity against the OOM killer is not for its tools. Written from here, while the
 * child's files in /proc are still its user's. */
int identity_oom_score(const struct launch *launch, struct error *err)
{
	char score[16] = "", path[PROC_PATH_MAX];
	autoclose int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, score, sizeof(score) - 1) <= 0)
		return error_errno(err, "read oom_score_adj");
	if (score[0] != '-')
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)launch->init_pid);
	return io_write_file(AT_FDCWD, path, "0", err);
}

/* A process whose only purpose is to hold a user namespace until its map is written and opened. It
 * shares the supervisor's memory, which saves copying it, and so calls nothing that could fail and
 * write errno. */
static int __attribute__((noreturn)) hold_namespace(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

int identity_owner_namespace(const Berm__Wire__Identity *identity, const Berm__Wire__Mount *mount,
	int *ret_fd, struct error *err)
{
	static char stack[HOLDER_STACK_BYTES] __attribute__((aligned(16)));
	autoclose int fd = -1;
	char path[PROC_PATH_MAX];
	pid_t pid = clone(
		hold_namespace, stack + sizeof(stack), CLONE_NEWUSER | CLONE_VM | SIGCHLD, NULL);
	int r;

	if (pid < 0)
		return error_errno(err, "clone a user namespace for id-mapped mounts");
	r = write_maps(pid, mount->owner_uid, identity->outside_uid, mount->owner_gid,
		identity->outside_gid, err);
	if (r == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			r = error_errno(err, "open %s", path);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* As root the child starts with host uid 0, unmapped in its namespace: it changes to the mapped ids
 * before it makes anything. No id 0 is mapped inside, so that setresuid(2) keeps the namespace's
 * capabilities for the steps that follow (capabilities(7), "Effect of user ID changes");
 * capabilities_drop() takes them away. */
int identity_become(const struct launch *launch, struct error *err)
{
	const Berm__Wire__Identity *id = launch->plan->identity;

	if (id->drop_from_root) {
		if (setgroups(0, NULL) < 0)
			return error_errno(err, "setgroups");
		if (setresgid(id->inside_gid, id->inside_gid, id->inside_gid) < 0)
			return error_errno(err, "setresgid %u", id->inside_gid);
		if (setresuid(id->inside_uid, id->inside_uid, id->inside_uid) < 0)
			return error_errno(err, "setresuid %u", id->inside_uid);
	}
	if (getuid() != id->inside_uid || getgid() != id->inside_gid)
		return error_set(err, -EPERM, ERROR_INTERNAL,
			"user map: became uid %u gid %u, wanted %u and %u", getuid(), getgid(),
			id->inside_uid, id->inside_gid);
	return 0;
}
