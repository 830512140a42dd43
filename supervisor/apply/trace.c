/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/own.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

/* Which register of a watched call holds what. directory -1: relative to the working directory.
 * flags: the register that tells a reading open from a writing one, -1 where operation says it. */
static const struct watched {
	const char *name;
	int path, directory, flags;
	const char *operation;
} watched[] = {
	{"open", 0, -1, 1, NULL},
	{"openat", 1, 0, 2, NULL},
	{"creat", 0, -1, -1, "write"},
	{"truncate", 0, -1, -1, "write"},
	{"unlink", 0, -1, -1, "write"},
	{"unlinkat", 1, 0, -1, "write"},
	{"rmdir", 0, -1, -1, "write"},
	{"mkdir", 0, -1, -1, "write"},
	{"mkdirat", 1, 0, -1, "write"},
	{"mknod", 0, -1, -1, "write"},
	{"mknodat", 1, 0, -1, "write"},
	{"rename", 1, -1, -1, "write"},
	{"renameat", 3, 2, -1, "write"},
	{"renameat2", 3, 2, -1, "write"},
	{"link", 1, -1, -1, "write"},
	{"linkat", 3, 2, -1, "write"},
	{"symlink", 1, -1, -1, "write"},
	{"symlinkat", 2, 1, -1, "write"},
	{"chmod", 0, -1, -1, "write"},
	{"fchmodat", 1, 0, -1, "write"},
	{"fchmodat2", 1, 0, -1, "write"},
	{"chown", 0, -1, -1, "write"},
	{"lchown", 0, -1, -1, "write"},
	{"fchownat", 1, 0, -1, "write"},
	{"utimensat", 1, 0, -1, "write"},
	{"setxattr", 0, -1, -1, "write"},
	{"lsetxattr", 0, -1, -1, "write"},
	{"removexattr", 0, -1, -1, "write"},
	{"execve", 0, -1, -1, "exec"},
	{"execveat", 1, 0, -1, "exec"},
};

#define TRACE_PATH_MAX 4096

static bool read_memory(pid_t pid, uint64_t address, void *buffer, size_t length, size_t *ret_read)
{
	struct iovec local = {.iov_base = buffer, .iov_len = length};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (n <= 0)
		return false;
	*ret_read = (size_t)n;
	return true;
}

/* A string of another process, page by page so that one that ends just before an unmapped page is
 * read too. */
static bool read_string(pid_t pid, uint64_t address, char *buffer, size_t capacity)
{
	size_t used = 0;

	while (used < capacity) {
		size_t to_page = 4096 - (size_t)((address + used) & 4095), got = 0;
		size_t want = to_page < capacity - used ? to_page : capacity - used;

		if (!read_memory(pid, address + used, buffer + used, want, &got))
			return false;
		if (memchr(buffer + used, '\0', got))
			return true;
		used += got;
	}
	return false;
}

static bool read_base(pid_t pid, int directory, char *buffer, size_t capacity)
{
	char link[64];
	ssize_t n;

	if (directory == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, directory);
	n = readlink(link, buffer, capacity - 1);
	if (n <= 0 || buffer[0] != '/')
		return false;
	buffer[n] = '\0';
	return true;
}

/* Collapse ".", ".." and "//" of an absolute path in place: how a person would read it. */
static void tidy(char *path)
{
	char *out = path;

	for (const char *at = path; *at;) {
		size_t n;

		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n == 2 && at[0] == '.' && at[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (n > 0 && !(n == 1 && at[0] == '.')) {
			*out++ = '/';
			memmove(out, at, n);
			out += n;
		}
		at += n;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

static void report(
	const struct listener *listener, const char *operation, const char *target, uint32_t pid)
{
	struct trace_event event = {.operation = operation, .path = target, .pid = pid};

	if (listener->callbacks && listener->callbacks->traced)
		listener->callbacks->traced(listener->callbacks->context, &event);
}

static void report_connect(const struct listener *listener, const struct seccomp_notif *request)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} to = {0};
	uint64_t length = request->data.args[2] < sizeof(to) ? request->data.args[2] : sizeof(to);
	char address[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN + 16];
	size_t got = 0;

	if (!read_memory((pid_t)request->pid, request->data.args[1], &to, length, &got))
		return;
	/* No destination: getaddrinfo(3) asks which address of the host would be used (RFC 6724).
	 */
	if ((to.any.sa_family == AF_INET && !to.v4.sin_port) ||
		(to.any.sa_family == AF_INET6 && !to.v6.sin6_port))
		return;
	if (to.any.sa_family == AF_INET && got >= sizeof(to.v4)) {
		inet_ntop(AF_INET, &to.v4.sin_addr, address, sizeof(address));
		snprintf(target, sizeof(target), "%s:%u", address, ntohs(to.v4.sin_port));
	} else if (to.any.sa_family == AF_INET6 &&
		   got >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		inet_ntop(AF_INET6, &to.v6.sin6_addr, address, sizeof(address));
		snprintf(target, sizeof(target), "[%s]:%u", address, ntohs(to.v6.sin6_port));
	} else {
		return;
	}
	report(listener, "connect", target, request->pid);
}

/* Follow the links of what is there, beneath the run's own root, so that a name by which a granted
 * file is reached is not taken for one that was not granted. What is missing is looked for where it
 * would be. The last name is followed too, unless it is what a write makes or replaces. */
static void follow(pid_t pid, char *path, size_t capacity, bool writes)
{
	char root_path[32], link[32], real[2 * TRACE_PATH_MAX], *end = path + strlen(path);
	autoclose int root = -1;

	snprintf(root_path, sizeof(root_path), "/proc/%d/root", (int)pid);
	root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return;
	for (bool last = !writes; end > path; last = true) {
		autoclose int fd = -1;
		char kept = *end;
		ssize_t n;

		*end = '\0';
		if (last)
			fd = sys_openat2(root, path, O_PATH | O_CLOEXEC, 0,
				RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		*end = kept;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = fd < 0 ? -1 : readlink(link, real, TRACE_PATH_MAX);
		if (n > 0 && real[0] == '/') {
			snprintf(real + (n == 1 && *end ? 0 : n), TRACE_PATH_MAX, "%s", end);
			snprintf(path, capacity, "%s", real);
			return;
		}
		while (end > path && *--end != '/')
			;
	}
}

void trace_report(
	const struct listener *listener, const struct seccomp_notif *request, const char *name)
{
	char path[2 * TRACE_PATH_MAX], given[TRACE_PATH_MAX];
	pid_t pid = (pid_t)request->pid;

	if (strcmp(name, "connect") == 0) {
		report_connect(listener, request);
		return;
	}
	for (size_t i = 0; i < array_size(watched); i++) {
		const struct watched *w = &watched[i];
		const char *operation = w->operation;

		if (strcmp(name, w->name) != 0)
			continue;
		if (!read_string(pid, request->data.args[w->path], given, sizeof(given)) ||
			given[0] == '\0')
			return;
		if (given[0] == '/')
			path[0] = '\0';
		else if (!read_base(pid,
				 w->directory < 0 ? AT_FDCWD
						  : (int)request->data.args[w->directory],
				 path, TRACE_PATH_MAX))
			return;
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", given);
		tidy(path);
		if (!operation)
			operation = request->data.args[w->flags] & (O_ACCMODE | O_CREAT | O_TRUNC)
					    ? "write"
					    : "read";
		follow(pid, path, sizeof(path), strcmp(operation, "write") == 0);
		report(listener, operation, path, request->pid);
		return;
	}
}
