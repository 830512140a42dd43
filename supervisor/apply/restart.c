/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>

/* The beginning of what the kernel reads, on x86_64 and on aarch64 (struct sigaction of
 * arch/x86/include/uapi/asm/signal.h and include/uapi/asm-generic/signal.h). */
struct action {
	uint64_t handler;
	uint64_t flags;
};

static bool is_interrupting(const struct action *action)
{
	return action->handler != (uintptr_t)SIG_DFL && action->handler != (uintptr_t)SIG_IGN &&
	       !(action->flags & SA_RESTART);
}

void restart_mend(const struct listener *listener, const struct seccomp_notif *request)
{
	const uint64_t address = request->data.args[1];
	struct action action;
	char path[32];
	autoclose int memory = -1;

	snprintf(path, sizeof(path), "/proc/%u/mem", request->pid);
	memory = open(path, O_RDWR | O_CLOEXEC);
	/* The number may have become another process's; what was opened stays what it is. */
	if (memory < 0 || address > INT64_MAX ||
		ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id) < 0)
		return;
	if (pread(memory, &action, sizeof(action), (off_t)address) != (ssize_t)sizeof(action) ||
		!is_interrupting(&action))
		return;
	action.flags |= SA_RESTART;
	(void)!pwrite(memory, &action.flags, sizeof(action.flags),
		(off_t)(address + offsetof(struct action, flags)));
}
