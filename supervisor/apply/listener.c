/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "wire/verdict.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The filter has decided by number and registers which calls come here; the same tables say what
 * each one is. A refused call is answered with its errno, a watched one goes on: nothing that is
 * refused is ever continued. */

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* A kernel newer than our headers may know larger records: room for them (SECCOMP_GET_NOTIF_SIZES).
 */
union request_buffer {
	struct seccomp_notif request;
	char room[512];
};

union response_buffer {
	struct seccomp_notif_resp response;
	char room[512];
};

void listener_tune(const struct listener *listener)
{
	(void)!ioctl(
		listener->fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

static struct syscall_verdict judge(
	const Berm__Wire__Seccomp *seccomp, const struct seccomp_data *data)
{
	struct syscall_verdict verdict;
	uint64_t arguments[6];

	memcpy(arguments, data->args, sizeof(arguments));
	syscall_verdict(seccomp, data->arch, (uint32_t)data->nr, arguments, &verdict);
	return verdict;
}

static const char *family_name(uint64_t family, char *buffer, size_t capacity)
{
	static const char *const names[] = {
		[AF_UNIX] = "unix",
		[AF_INET] = "inet",
		[AF_INET6] = "inet6",
		[AF_NETLINK] = "netlink",
		[AF_PACKET] = "packet",
		[AF_ALG] = "alg",
		[AF_VSOCK] = "vsock",
		[AF_KEY] = "key",
		[AF_BLUETOOTH] = "bluetooth",
		[AF_CAN] = "can",
		[AF_TIPC] = "tipc",
		[AF_RDS] = "rds",
		[AF_KCM] = "kcm",
		[AF_SMC] = "smc",
		[AF_XDP] = "xdp",
		[AF_QIPCRTR] = "qipcrtr",
	};
	uint32_t low = (uint32_t)family;

	if (low < array_size(names) && names[low])
		snprintf(buffer, capacity, "family %s", names[low]);
	else
		snprintf(buffer, capacity, "family %u", low);
	return buffer;
}

static void report_denied(const struct listener *listener, const struct seccomp_notif *request,
	const struct syscall_verdict *found)
{
	bool is_socket = request->data.nr == SYS_socket || request->data.nr == SYS_socketpair;
	char family[32];
	struct denial_event event = {
		.rule = found->rule,
		.operation = is_socket ? "socket" : "syscall",
		.target = is_socket ? family_name(request->data.args[0], family, sizeof(family))
				    : found->name,
		.pid = request->pid,
	};

	if (!listener->proving && listener->callbacks && listener->callbacks->denied)
		listener->callbacks->denied(listener->callbacks->context, &event);
}

void listener_handle(struct listener *listener, void (*before_judging)(void *), void *context)
{
	union request_buffer in = {0};
	union response_buffer out = {0};
	struct syscall_verdict found;

	/* ENOENT: the caller was killed meanwhile; EINTR: poll again. Neither needs an answer. */
	if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_RECV, &in.request) < 0)
		return;
	before_judging(context);
	found = judge(listener->plan->seccomp, &in.request.data);
	out.response.id = in.request.id;
	if (found.action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE) {
		if (!listener->proving)
			trace_report(listener, &in.request, found.name);
		out.response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else {
		/* An answer of 0 would be a success: whatever comes here without an errno is
		 * refused. */
		report_denied(listener, &in.request, &found);
		out.response.error = -(int32_t)(found.errno_value ? found.errno_value : EPERM);
	}
	(void)!ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_SEND, &out.response);
}
