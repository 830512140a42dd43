/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* lo is always the first interface of a new network namespace (net/core/dev.c, LOOPBACK_IFINDEX).
 */
#define LOOPBACK_INDEX 1
#define MAKER_STACK_BYTES 32768

/* The message is made here, before clone3(2), since the child allocates nothing. */
int network_prepare(struct launch *launch, struct error *err)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC,
		.ifi_index = LOOPBACK_INDEX,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP};
	struct nl_msg *message;
	int r = -ENOMEM;

	if (launch->plan->network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_HOST)
		return 0;
	message = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
	if (message && nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO) == 0 &&
		nlmsg_hdr(message)->nlmsg_len <= sizeof(launch->lo_up)) {
		launch->lo_up_length = nlmsg_hdr(message)->nlmsg_len;
		memcpy(launch->lo_up, nlmsg_hdr(message), launch->lo_up_length);
		r = 0;
	}
	nlmsg_free(message);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "make the message that brings lo up") : 0;
}

static int bring_lo_up(const struct launch *launch, struct error *err)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	autoclose int fd = -1;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return error_errno(err, "open a netlink socket");
	if (send(fd, launch->lo_up, launch->lo_up_length, 0) != (ssize_t)launch->lo_up_length)
		return error_errno(err, "bring lo up");
	if (recv(fd, &answer, sizeof(answer), 0) <
			(ssize_t)(sizeof(answer.header) + sizeof(answer.error)) ||
		answer.header.nlmsg_type != NLMSG_ERROR)
		return error_set(
			err, -EPROTO, ERROR_INTERNAL, "bring lo up: no answer from the kernel");
	if (answer.error.error != 0) {
		errno = -answer.error.error;
		return error_errno(err, "bring lo up");
	}
	return 0;
}

static int make_namespace(const struct launch *launch, struct error *err)
{
	autoclose int fd = -1;
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		return error_errno(err, "make a network namespace");
	r = bring_lo_up(launch, err);
	if (r < 0)
		return r;
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || dup3(fd, launch->network_fd, O_CLOEXEC) < 0)
		return error_errno(err, "open the network namespace");
	return 0;
}

/* It shares the memory of PID 1, errno included, which saves copying it. PID 1 has calls that may
 * fail and looks at errno after them; here each failure ends the start, so that in a start that
 * goes on nothing is written over what PID 1 is about to read. Of a start that fails, the reason
 * told can be that of a call that PID 1 made at the same time. */
static int maker_main(void *argument)
{
	const struct launch *launch = argument;
	struct sync_message failed = {.type = SYNC_FAILED};

	if (make_namespace(launch, &failed.error) == 0)
		_exit(0);
	(void)!sync_send(launch->sync[1], &failed, -1);
	_exit(125);
}

/* A network namespace takes the kernel as long to make as the whole mount tree. A second process
 * makes it meanwhile and leaves it in the descriptor table that it shares with PID 1. */
int network_begin(struct launch *launch, struct error *err)
{
	static char stack[MAKER_STACK_BYTES] __attribute__((aligned(16)));

	if (launch->plan->network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_HOST)
		return 0;
	launch->network_fd = fcntl(launch->sync[1], F_DUPFD_CLOEXEC, 3);
	if (launch->network_fd < 0)
		return error_errno(err, "reserve a descriptor");
	launch->network_pid =
		clone(maker_main, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, launch);
	if (launch->network_pid < 0)
		return error_errno(err, "clone");
	return 0;
}

int network_join(struct launch *launch, struct error *err)
{
	int status = 0;

	if (launch->network_pid <= 0)
		return 0;
	while (waitpid(launch->network_pid, &status, 0) < 0 && errno == EINTR)
		;
	/* It has told the supervisor why, unless it was killed. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(
			err, -EIO, ERROR_INTERNAL, "the network namespace could not be made");
	if (setns(launch->network_fd, CLONE_NEWNET) < 0)
		return error_errno(err, "enter the network namespace");
	own_close(&launch->network_fd);
	return 0;
}
