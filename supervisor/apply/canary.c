/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Runs in the tool's own process, inside the finished walls, just before execve(2): each kind of
 * denial of the plan is tried. One that gets through stops the start. What is tried does no harm
 * where it does get through. */

#define CANARY_NAME ".berm-canary"
#define CANARY_STACK_BYTES 16384
/* RFC 5737: reserved for documentation, no host has it. Port 9 is discard. */
#define CANARY_ADDRESS "192.0.2.1"
#define CANARY_PORT 9

static int through(struct error *err, const char *what, const char *on)
{
	return error_set(err, -EPERM, ERROR_INTERNAL,
		"the canary got through: %s %s is not enforced on this host", what, on);
}

static int read_hidden(const Berm__Wire__Canary *canary, struct error *err)
{
	autoclose int fd = open(canary->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd >= 0 ? through(err, "reading", canary->path) : 0;
}

static int write_read_only(const Berm__Wire__Canary *canary, struct error *err)
{
	autoclose int directory = open(canary->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -1;

	if (directory < 0 && errno == ENOTDIR)
		fd = open(canary->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	else if (directory >= 0)
		fd = openat(directory, CANARY_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	if (directory >= 0)
		unlinkat(directory, CANARY_NAME, 0);
	return through(err, "writing to", canary->path);
}

/* The probe file is readable by mode and mount, and named by no rule: only Landlock can refuse it.
 */
static int landlock_probe(const struct launch *launch, struct error *err)
{
	autoclose int fd = openat(launch->cover_fd, "probe", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return through(err, "Landlock", "(its probe file opened)");
	if (errno != EACCES)
		return error_errno(err, "the Landlock probe could not be judged");
	return 0;
}

static long harmless_call(uint32_t number)
{
	/* A new user namespace is what an attacker wants from unshare(2); with zero it would do
	 * nothing at all. */
	return syscall(number, number == SYS_unshare ? CLONE_NEWUSER : 0, 0, 0, 0, 0, 0);
}

static int killed_child(void *argument)
{
	const uint32_t *number = argument;

	harmless_call(*number);
	_exit(0);
}

/* For profiles whose denials kill: a child tries. */
static int syscall_kills(const Berm__Wire__Canary *canary, struct error *err)
{
	static char stack[CANARY_STACK_BYTES] __attribute__((aligned(16)));
	uint32_t number = canary->number;
	char name[32];
	int status = 0;
	pid_t pid = clone(
		killed_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &number);

	if (pid < 0)
		return error_errno(err, "start the canary's child");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return 0;
	snprintf(name, sizeof(name), "%u", number);
	return through(err, "system call", name);
}

static const Berm__Wire__Syscall *find_syscall(const Berm__Wire__Seccomp *seccomp, uint32_t number)
{
	for (size_t i = 0; i < seccomp->n_syscalls; i++)
		if (seccomp->syscalls[i]->number == number)
			return seccomp->syscalls[i];
	return NULL;
}

static int syscall_refused(
	const struct launch *launch, const Berm__Wire__Canary *canary, struct error *err)
{
	const Berm__Wire__Syscall *call = find_syscall(launch->plan->seccomp, canary->number);
	char name[32];

	if (call && call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL)
		return syscall_kills(canary, err);
	if (harmless_call(canary->number) < 0 && (errno == EPERM || errno == ENOSYS))
		return 0;
	snprintf(name, sizeof(name), "%u", canary->number);
	return through(err, "system call", call ? call->name : name);
}

static int socket_refused(const Berm__Wire__Canary *canary, struct error *err)
{
	autoclose int fd = socket((int)canary->number, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[32];

	if (fd < 0)
		return 0;
	snprintf(name, sizeof(name), "%u", canary->number);
	return through(err, "socket family", name);
}

static int network_closed(struct error *err)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(CANARY_PORT)};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	inet_pton(AF_INET, CANARY_ADDRESS, &to.sin_addr);
	/* A datagram connect sends nothing: it only asks for a route. */
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return through(err, "network", "(a route to " CANARY_ADDRESS " exists)");
	return 0;
}

static int no_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	if (capget(&header, sets) < 0)
		return error_errno(err, "read the capabilities");
	for (int i = 0; i < 2; i++)
		if (sets[i].effective | sets[i].permitted | sets[i].inheritable)
			return through(err, "capabilities", "(a set is not empty)");
	/* The ambient set is a subset of the permitted one (capabilities(7)). */
	for (int cap = 0, held; (held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (held)
			return through(err, "capabilities", "(the bounding set is not empty)");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return through(err, "no_new_privs", "(not set)");
	return 0;
}

struct directory_entry { /* getdents64(2) */
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

/* close_range(2) has marked everything from 3 up; what is open without the mark would reach the
 * tool. */
static int no_descriptors(struct error *err)
{
	autoclose int list = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buffer[1024] __attribute__((aligned(8)));
	long n;

	if (list < 0)
		return error_errno(err, "list the open descriptors");
	while ((n = syscall(SYS_getdents64, list, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < n;) {
			const struct directory_entry *entry = (const void *)(buffer + at);
			int fd = atoi(entry->name);
			int flags = fd > 2 ? fcntl(fd, F_GETFD) : -1;

			if (flags >= 0 && !(flags & FD_CLOEXEC))
				return through(err, "closing descriptors", "(one is left)");
			at += entry->length;
		}
	}
	return n < 0 ? error_errno(err, "list the open descriptors") : 0;
}

static int no_exec_mapping(const Berm__Wire__Canary *canary, struct error *err)
{
	autoclose int directory = open(canary->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd =
		directory < 0 ? -1 : openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
	void *page;

	/* A file system without O_TMPFILE cannot be tried without leaving a name behind. */
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return 0;
	page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (page == MAP_FAILED)
		return 0;
	munmap(page, 4096);
	return through(err, "executing what was written to", canary->path);
}

static int try_one(const struct launch *launch, const Berm__Wire__Canary *canary, struct error *err)
{
	switch (canary->kind) {
	case BERM__WIRE__CANARY_KIND__CANARY_READ_HIDDEN:
		return read_hidden(canary, err);
	case BERM__WIRE__CANARY_KIND__CANARY_WRITE_READ_ONLY:
		return write_read_only(canary, err);
	case BERM__WIRE__CANARY_KIND__CANARY_LANDLOCK:
		return landlock_probe(launch, err);
	case BERM__WIRE__CANARY_KIND__CANARY_SYSCALL:
		return syscall_refused(launch, canary, err);
	case BERM__WIRE__CANARY_KIND__CANARY_SOCKET:
		return socket_refused(canary, err);
	case BERM__WIRE__CANARY_KIND__CANARY_NETWORK:
		return network_closed(err);
	case BERM__WIRE__CANARY_KIND__CANARY_CAPABILITIES:
		return no_capabilities(err);
	case BERM__WIRE__CANARY_KIND__CANARY_DESCRIPTORS:
		return no_descriptors(err);
	case BERM__WIRE__CANARY_KIND__CANARY_EXEC_WRITABLE:
		return no_exec_mapping(canary, err);
	case BERM__WIRE__CANARY_KIND__CANARY_UNSPECIFIED:
	case _BERM__WIRE__CANARY_KIND_IS_INT_SIZE:
		break;
	}
	return error_set(
		err, -EINVAL, ERROR_INTERNAL, "a canary of unknown kind %d", (int)canary->kind);
}

int canary_try(const struct launch *launch, struct error *err)
{
	for (size_t i = 0; i < launch->plan->n_canaries; i++) {
		int r = try_one(launch, launch->plan->canaries[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}
