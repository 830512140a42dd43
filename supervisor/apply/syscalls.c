/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* SECCOMP_FILTER_FLAG_SPEC_ALLOW is not set: speculation mitigations stay as the host has them.
 * WAIT_KILLABLE_RECV (5.19) keeps a non-fatal signal from restarting a call that was already
 * reported. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

int syscalls_apply(const struct launch *launch, int *ret_listener, struct error *err)
{
	const Berm__Wire__Seccomp *seccomp = launch->plan->seccomp;
	struct sock_fprog program = {
		.len = (unsigned short)(seccomp->program.len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)seccomp->program.data,
	};
	unsigned long flags = 0;
	long r;

	if (program.len == 0 || seccomp->program.len % sizeof(struct sock_filter) != 0)
		return error_set(
			err, -EINVAL, ERROR_INTERNAL, "the plan has no system call filter");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "set no_new_privs");
	if (seccomp->listener)
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r < 0)
		return error_errno(
			err, "load the system call filter of %u instructions", program.len);
	*ret_listener = seccomp->listener ? (int)r : -1;
	return 0;
}
