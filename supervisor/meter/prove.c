/* SPDX-License-Identifier: Apache-2.0 */

/* The proof that what was attached also runs. Programs of the LSM kind attach without complaint
 * where "bpf" is not in the list of LSMs, and never run; nobody would say so. */
#include "meter/prove.h"

#include "meter/hooks.h"
#include "meter/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What cannot be provoked on every host without harm: io_uring may be off, and IPv6 too. */
static bool is_optional(uint32_t hook)
{
	switch (hook) {
	case METER_HOOK_uring_override_creds:
	case METER_HOOK_uring_sqpoll:
		return true;
	case METER_HOOK_net_connect6:
	case METER_HOOK_net_sendmsg6:
	case METER_HOOK_net_bind6: {
		autoclose int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		return fd < 0 || access("/proc/sys/net/ipv6/conf/lo", F_OK) != 0;
	}
	}
	return false;
}

/* In the child, from fork to _exit: asks for the run, waits for it, does everything once. */
static int child(int directory_fd, int cgroup_fd, bool network_only, int ready_fd, int go_fd)
{
	autoclose int joining =
		cgroup_fd < 0 ? -1 : openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	char byte = 0;
	int problem;

	if (joining >= 0 && write(joining, "0", 1) != 1)
		return errno;
	if (fchdir(directory_fd))
		return errno;
	problem = prove_prepare();
	if (problem)
		return problem;
	if (write(ready_fd, "r", 1) != 1 || read(go_fd, &byte, 1) != 1)
		return EPIPE;
	prove_deeds(network_only);
	return 0;
}

static int enrol_and_wait(struct meter *meter, uint32_t slot, pid_t pid, const int ready[2],
	const int go[2], struct error *err)
{
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int status, r = 0;
	char byte;

	if (pidfd < 0)
		r = error_errno(err, "watch the proof");
	else if (read(ready[0], &byte, 1) == 1)
		r = meter_run_enrol(meter, slot, pidfd, err);
	if (r == 0 && write(go[1], "g", 1) != 1)
		r = error_errno(err, "start the proof");
	if (r)
		syscall(SYS_pidfd_send_signal, pidfd, 9, NULL, 0);
	if (waitpid(pid, &status, 0) != pid)
		return error_errno(err, "wait for the proof");
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
		return error_set(err, -EIO, ERROR_INTERNAL, "the proof did not get through: %s",
			WIFEXITED(status) ? strerror(WEXITSTATUS(status))
					  : strsignal(WTERMSIG(status)));
	return r;
}

static int run_proof(
	struct meter *meter, uint32_t slot, int directory_fd, int cgroup_fd, struct error *err)
{
	int ready[2], go[2], r;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return error_errno(err, "make a pipe");
	if (pipe2(go, O_CLOEXEC)) {
		close(ready[0]);
		close(ready[1]);
		return error_errno(err, "make a pipe");
	}
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		close(go[1]);
		_exit(child(directory_fd, cgroup_fd, meter_make(meter) == METER_MAKE_NETWORK,
			ready[1], go[0]));
	}
	own_close(&ready[1]);
	own_close(&go[0]);
	r = pid < 0 ? error_errno(err, "fork the proof")
		    : enrol_and_wait(meter, slot, pid, ready, go, err);
	own_close(&ready[0]);
	own_close(&go[1]);
	return r;
}

static int check_fired(
	const struct meter *meter, const uint64_t before[METER_HOOK_COUNT], struct error *err)
{
	for (size_t i = 0; i < meter->link_count; i++) {
		uint32_t hook = meter->hook[i];

		if (meter->fired[hook] == before[hook] && !is_optional(hook))
			return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
				"the program at %s is attached and does not run (%s make)",
				hook_table[hook].name, meter_make_name(meter->make));
	}
	return 0;
}

int meter_prove(struct meter *meter, int directory_fd, int cgroup_fd, struct error *err)
{
	struct meter_run_request request = {
		.run_id = 1,
		.flags = METER_RUN_PROOF,
	};
	uint64_t before[METER_HOOK_COUNT];
	uint32_t slot;
	int r = cgroup_fd < 0 ? 0 : meter_cgroup_id(cgroup_fd, &request.cgroup_id, err);

	memcpy(before, meter->fired, sizeof(before));
	if (r == 0)
		r = meter_run_create(meter, &request, &slot, err);
	if (r)
		return error_wrap(err, "proof");
	r = run_proof(meter, slot, directory_fd, cgroup_fd, err);
	meter_run_destroy(meter, slot);
	return r ? r : check_fired(meter, before, err);
}
