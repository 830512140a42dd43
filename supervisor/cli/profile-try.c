/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"

#include "base/path.h"
#include "policy/decide.h"
#include "policy/host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define CONNECT_MS 2000

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000 /* Linux 6.14, linux/fcntl.h */
#endif

/* What an attempt gave. */
struct attempt {
	int error;            /* errno, 0 = it was allowed */
	unsigned long device; /* of the file that was reached */
	unsigned long inode;
};

static struct attempt failed(void)
{
	return (struct attempt){.error = errno ? errno : EIO};
}

static struct attempt reached(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failed();
	return (struct attempt){.device = st.st_dev, .inode = st.st_ino};
}

/* Neither waits for the other end of a pipe nor takes a terminal over. */
#define QUIETLY (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static struct attempt try_read(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | QUIETLY);

	return fd < 0 ? failed() : reached(fd);
}

/* A new file in a directory, gone again at once. */
static struct attempt try_create(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | QUIETLY, 0600);
	struct attempt attempt;

	if (fd < 0)
		return failed();
	attempt = reached(fd);
	if (unlink(path) < 0)
		return failed();
	return attempt;
}

/* What is there is opened and not changed; what is not there is made and taken away again. */
static struct attempt try_write(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | QUIETLY);
	char inside[PATH_MAX];

	if (fd >= 0)
		return reached(fd);
	if (errno == ENOENT)
		return try_create(path);
	if (errno != EISDIR)
		return failed();
	if (snprintf(inside, sizeof(inside), "%s/.berm-try-%d", path, (int)getpid()) >=
		(int)sizeof(inside))
		return (struct attempt){.error = ENAMETOOLONG};
	return try_create(inside);
}

/* The kernel's own check for execve(), without running anything. EINVAL: it is too old for that. */
static struct attempt try_exec(const char *path)
{
	const char *const nothing[] = {path, NULL};
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return failed();
	if (syscall(SYS_execveat, AT_FDCWD, path, nothing, nothing + 1, AT_EXECVE_CHECK) < 0)
		return failed();
	return reached(fd);
}

static struct attempt connect_to(const void *address, socklen_t length, int family, int type)
{
	autoclose int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return failed();
	if (connect(fd, address, length) == 0)
		return (struct attempt){0};
	if (errno != EINPROGRESS)
		return failed();
	if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, CONNECT_MS) == 0)
		return (struct attempt){.error = ETIMEDOUT};
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return failed();
	return (struct attempt){.error = error};
}

static struct attempt connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return (struct attempt){.error = ENAMETOOLONG};
	strcpy(address.sun_path, path);
	return connect_to(&address, sizeof(address), AF_UNIX, SOCK_STREAM);
}

/* ADDRESS:PORT or [ADDRESS]:PORT, with "/udp" where that is meant. Names are not looked up. */
static struct attempt try_connect(const char *object)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	char host[INET6_ADDRSTRLEN + 2], *end;
	const char *colon = strrchr(object, ':');
	size_t length = colon ? (size_t)(colon - object) : 0;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	int type = colon && strcmp(end, "/udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;

	if (strncmp(object, "unix:", 5) == 0)
		return connect_unix(object + 5);
	if (!colon || length >= sizeof(host) || port == 0 || port > UINT16_MAX)
		return (struct attempt){.error = EINVAL};
	memcpy(host, object, length);
	host[length] = '\0';
	v4.sin_port = v6.sin6_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return connect_to(&v4, sizeof(v4), AF_INET, type);
	if (host[0] != '[' || host[length - 1] != ']')
		return (struct attempt){.error = EINVAL};
	host[length - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1)
		return (struct attempt){.error = EINVAL};
	return connect_to(&v6, sizeof(v6), AF_INET6, type);
}

static struct attempt (*const attempts[OPERATION_COUNT])(const char *) = {
	[OPERATION_READ] = try_read,
	[OPERATION_WRITE] = try_write,
	[OPERATION_EXEC] = try_exec,
	[OPERATION_CONNECT] = try_connect,
};

static int try(const struct verb *verb, const void *options, int argc, char **argv)
{
	autotext struct text out = {0};
	bool refused = false;

	(void)options;
	if (argc == 0 || argc % 2)
		return verb_misused(verb, "wants pairs of an operation and an object");
	for (int i = 0; i < argc; i += 2) {
		enum operation operation = operation_from_name(argv[i]);
		struct attempt attempt;

		if (operation == OPERATION_COUNT || !attempts[operation])
			return verb_misused(verb, "\"%s\" cannot be tried", argv[i]);
		attempt = attempts[operation](argv[i + 1]);
		refused |= attempt.error != 0;
		text_printf(&out, "%d %lu %lu %s ", attempt.error, attempt.device, attempt.inode,
			argv[i]);
		text_escape(&out, argv[i + 1], strlen(argv[i + 1]), PATH_MAX);
		text_printf(&out, ": %s\n", attempt.error ? strerror(attempt.error) : "allowed");
	}
	return verb_print(&out, refused ? CLI_NO : CLI_GOOD);
}

const struct verb verb_profile_try = {
	.name = "profile try",
	.summary = "Try operations here and now, as `profile test --live` does in a run",
	.usage = "read|write|exec|connect OBJECT [OPERATION OBJECT]...",
	.details =
		"A line each: the error number (0 = allowed), device and inode of what was "
		"reached, and the words.\n"
		"Nothing is changed: what exists is opened only, what does not exist is made and "
		"taken away again,\n"
		"programs are checked and not run (Linux 6.14). Exit: 0 all allowed, 1 some "
		"refused.",
	.function = try,
};
