/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "wire/verdict.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The filter has decided by number and registers which calls come here; the same tables say what
 * each one is. A refused call is answered with its errno, a watched one goes on, a gated one as its
 * meter says: nothing that is refused is ever continued. What the meter decides by cannot change
 * afterwards: the kernel keeps the registers, and no memory is looked at (seccomp_unotify(2)).
 *
 * A call that was let through did not run only where its caller was killed first; then the answer
 * has nobody to go to, and what was counted is given back. Other signals wait until the call has
 * been decided, since the filter is loaded with SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: none is
 * counted twice. */

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define ERRNO_MAX 4095 /* MAX_ERRNO of linux/err.h */
/* At one wake-up; then the others that wait for this process have their turn. */
#define NOTIFICATIONS_MAX 64
#define LATER_MAX                                                                                  \
	4096 /* calls that wait until somebody has decided about them; more are refused            \
	      */

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

static void report_watched(const struct listener *listener, const struct seccomp_notif *request,
	const struct syscall_verdict *found)
{
	if (!listener->proving)
		trace_report(listener, request, found->name);
}

static struct gate_call gate_call_of(
	const struct seccomp_notif *request, const struct syscall_verdict *found)
{
	struct gate_call call = {.name = found->name,
		.charge = found->charge,
		.needs = found->needs,
		.rule = found->rule,
		.pid = request->pid};

	memcpy(call.arguments, request->data.args, sizeof(call.arguments));
	return call;
}

/* 0 or a positive errno. What the launcher itself does before the tool starts is let through and
 * not counted. */
static int ask_gate(const struct listener *listener, const struct gate_call *call)
{
	const struct run_callbacks *callbacks = listener->callbacks;
	int r;

	if (listener->proving)
		return 0;
	if (!callbacks || !callbacks->gate)
		return EPERM;
	r = callbacks->gate(callbacks->context, call);
	if (r == APPLY_GATE_LATER)
		return r;
	return r < 0 || r > ERRNO_MAX ? EPERM : r;
}

/* EINTR comes of a stop and a continue of this process: unanswered, the caller would wait for ever
 * (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV). ENOENT: the caller was killed. */
static int answer(const struct listener *listener, struct seccomp_notif_resp *response)
{
	int r;

	do
		r = ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_SEND, response);
	while (r < 0 && errno == EINTR);
	return r;
}

/* False where there is no room for one more that waits. */
static bool keep_for_later(struct listener *listener, const struct seccomp_notif *request)
{
	struct seccomp_notif *grown;

	if (listener->later_count == LATER_MAX)
		return false;
	grown = reallocarray(listener->later, listener->later_count + 1, sizeof(*grown));
	if (!grown)
		return false;
	listener->later = grown;
	grown[listener->later_count++] = *request;
	return true;
}

static void handle_gate(struct listener *listener, const struct seccomp_notif *request,
	const struct syscall_verdict *found, struct seccomp_notif_resp *response)
{
	const struct run_callbacks *callbacks = listener->callbacks;
	const struct gate_call call = gate_call_of(request, found);
	int refused = ask_gate(listener, &call);

	if (refused == APPLY_GATE_LATER) {
		if (keep_for_later(listener, request))
			return;
		refused = EPERM;
	}
	if (!refused && found->watched)
		report_watched(listener, request, found);
	if (!refused && request->data.nr == SYS_rt_sigaction)
		restart_mend(listener, request);
	response->error = -refused;
	response->flags = refused ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (answer(listener, response) < 0 && !refused && !listener->proving && callbacks &&
		callbacks->undo)
		callbacks->undo(callbacks->context, &call);
}

/* EOPNOTSUPP where the kernel cannot give the caller a descriptor at once with the answer (before
 * 5.14). */
static int give(const struct listener *listener, uint64_t id, int fd)
{
	struct seccomp_notif_addfd add = {.id = id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = O_CLOEXEC};
	int r;

	do
		r = ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	while (r < 0 && errno == EINTR);
	return r;
}

/* True where the call was one for the door: it is answered. Not while the canary proves that such
 * calls are refused. */
static bool open_door(const struct listener *listener, const struct seccomp_notif *request,
	struct seccomp_notif_resp *response)
{
	const struct run_callbacks *callbacks = listener->callbacks;
	autoclose int fd = -1;
	int r;

	if (listener->proving || request->data.nr != SYS_socket ||
		(uint32_t)request->data.args[0] != APPLY_DOOR_FAMILY || !callbacks ||
		!callbacks->door)
		return false;
	r = callbacks->door(callbacks->context);
	if (r >= 0) {
		fd = r;
		if (give(listener, request->id, fd) >= 0 || errno == ENOENT)
			return true;
		r = -EOPNOTSUPP;
	}
	response->error = r < -ERRNO_MAX ? -EPERM : r;
	(void)!answer(listener, response);
	return true;
}

/* False where there is nothing left to receive. */
static bool handle_one(
	struct listener *listener, void (*before_judging)(void *context), void *context)
{
	union request_buffer in = {0};
	union response_buffer out = {0};
	struct syscall_verdict found;

	/* ENOENT: the caller was killed meanwhile; EINTR: poll again. Neither needs an answer. */
	if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_RECV, &in.request) < 0)
		return errno == ENOENT || errno == EINTR;
	/* Later messages change nothing about a verdict. */
	if (listener->proving)
		before_judging(context);
	found = judge(listener->plan->seccomp, &in.request.data);
	out.response.id = in.request.id;
	if (found.action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE) {
		handle_gate(listener, &in.request, &found, &out.response);
		return true;
	}
	if (found.action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE) {
		report_watched(listener, &in.request, &found);
		out.response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else if (open_door(listener, &in.request, &out.response)) {
		return true;
	} else {
		/* An answer of 0 would be a success: whatever comes here without an errno is
		 * refused. */
		report_denied(listener, &in.request, &found);
		out.response.error = -(int32_t)(found.errno_value ? found.errno_value : EPERM);
	}
	(void)!answer(listener, &out.response);
	return true;
}

/* Those whose callers were killed meanwhile are nobody's. */
void listener_again(struct listener *listener)
{
	struct seccomp_notif *waiting = listener->later;
	size_t count = listener->later_count;

	listener->later = NULL;
	listener->later_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct seccomp_notif_resp response = {.id = waiting[i].id};
		struct syscall_verdict found;

		if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &waiting[i].id) < 0)
			continue;
		found = judge(listener->plan->seccomp, &waiting[i].data);
		handle_gate(listener, &waiting[i], &found, &response);
	}
	free(waiting);
}

void listener_close(struct listener *listener)
{
	own_close(&listener->fd);
	free(listener->later);
	listener->later = NULL;
	listener->later_count = 0;
}

/* Receiving waits where nothing is there. */
static bool is_readable(const struct listener *listener)
{
	struct pollfd fd = {.fd = listener->fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1 && fd.revents & POLLIN;
}

void listener_handle(struct listener *listener, void (*before_judging)(void *), void *context)
{
	unsigned handled = 0;

	do
		if (!handle_one(listener, before_judging, context))
			return;
	while (++handled < NOTIFICATIONS_MAX && is_readable(listener));
}

int listener_check(const struct listener *listener, struct error *err)
{
	const Berm__Wire__Meter *meter = listener->plan->meter;

	if (!meter || !meter->gate)
		return 0;
	if (!listener->callbacks || !listener->callbacks->gate)
		return error_set(err, -EINVAL, ERROR_INTERNAL,
			"the plan's calls are to be counted one by one, and nobody counts");
	if (!listener->plan->seccomp->listener)
		return error_set(err, -EINVAL, ERROR_INTERNAL,
			"the plan's calls are to be counted one by one, and nobody is told of "
			"them");
	return 0;
}
