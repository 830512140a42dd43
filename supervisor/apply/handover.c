/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <signal.h>
#include <sys/wait.h>

/* The listener comes into being with the filter, in the process that the filter holds from then on.
 * Where the filter asks the supervisor about sendmsg(2) that process cannot pass it on. */

static bool is_asked_about(const Berm__Wire__Seccomp *seccomp, uint32_t number)
{
	for (size_t i = 0; i < seccomp->n_syscalls; i++)
		if (seccomp->syscalls[i]->number == number)
			return seccomp->syscalls[i]->action ==
			       BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE;
	return false;
}

/* In the helper. Its table of descriptors is the other's, so nothing is closed here. */
static void pass_on(const struct launch *launch, const struct handover *handover)
{
	const struct sync_message walls = {.type = SYNC_WALLS};
	int listener;
	ssize_t n;

	do
		n = read(handover->pipe[0], &listener, sizeof(listener));
	while (n < 0 && errno == EINTR);
	_exit(n != sizeof(listener) || sync_send(launch->sync[1], &walls, listener) < 0 ? 1 : 0);
}

int handover_begin(const struct launch *launch, struct handover *handover, struct error *err)
{
	struct sys_clone_args args = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};

	handover->pipe[0] = handover->pipe[1] = -1;
	if (!is_asked_about(launch->plan->seccomp, SYS_sendmsg))
		return 0;
	if (pipe2(handover->pipe, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	handover->pid = sys_clone3(&args);
	if (handover->pid == 0)
		pass_on(launch, handover);
	if (handover->pid < 0)
		return error_errno(err, "start the process that hands over the listener");
	return 0;
}

int handover_send(const struct launch *launch, struct handover *handover, int listener)
{
	const struct sync_message walls = {.type = SYNC_WALLS};
	int status = 0;
	ssize_t n;
	pid_t r;

	if (handover->pipe[1] < 0)
		return sync_send(launch->sync[1], &walls, listener);
	do
		n = write(handover->pipe[1], &listener, sizeof(listener));
	while (n < 0 && errno == EINTR);
	do
		r = waitpid(handover->pid, &status, 0);
	while (r < 0 && errno == EINTR);
	/* Not before: what is closed here is closed there. */
	own_close(&handover->pipe[0]);
	own_close(&handover->pipe[1]);
	return n == sizeof(listener) && r > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : -EPIPE;
}
