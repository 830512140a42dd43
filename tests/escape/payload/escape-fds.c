/* SPDX-License-Identifier: Apache-2.0 */
/* What was left open or lying in memory. Targets: D directory that is not granted. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

extern char **environ;

#define DESCRIPTOR_LAST 4096

static void inherited(void)
{
	const char *canary = below("D", "canary");
	char link[64], name[256];

	for (int fd = 3; fd <= DESCRIPTOR_LAST; fd++) {
		ssize_t n;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n < 0 ? 0 : n] = '\0';
		proof("descriptor %d is open: %s", fd, name);
		spill(openat(fd, canary + 1, O_RDONLY | O_CLOEXEC));
		spill(openat(fd, "canary", O_RDONLY | O_CLOEXEC));
		spill(openat(fd, "../../../etc/shadow", O_RDONLY | O_CLOEXEC));
		deface(openat(fd, canary + 1, O_WRONLY | O_CLOEXEC));
	}
}

/* The three descriptors that the tool has by right, opened again for more than they were given for.
 */
static void reopen_stdio(void)
{
	static const char *const names[] = {
		"/proc/self/fd/0", "/dev/stdin", "/dev/fd/0", "/proc/thread-self/fd/0"};

	for (size_t i = 0; i < array_size(names); i++)
		deface(open(names[i], O_WRONLY | O_TRUNC | O_CLOEXEC));
	if (fchmod(STDIN_FILENO, 0666))
		note("fchmod: %s", strerror(errno));
	if (ftruncate(STDIN_FILENO, 0))
		note("ftruncate: %s", strerror(errno));
}

/* stdin is a directory of the host. */
static void directory_stdin(void)
{
	const char *canary = below("D", "canary");
	int up = STDIN_FILENO;

	spill(openat(STDIN_FILENO, "canary", O_RDONLY | O_CLOEXEC));
	deface(openat(STDIN_FILENO, "canary", O_WRONLY | O_CLOEXEC));
	if (!fchdir(STDIN_FILENO)) {
		spill_path("canary");
		deface_path("canary");
	}
	for (int i = 0; i < 32 && up >= 0; i++)
		up = openat(up, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (up >= 0)
		spill(openat(up, canary + 1, O_RDONLY | O_CLOEXEC));
}

/* Where the tool stands, and what lies above it. */
static void working_directory(void)
{
	char name[4096] = "", path[256] = "canary";

	if (!getcwd(name, sizeof(name)))
		note("getcwd: %s", strerror(errno));
	printf("CWD %s\n", name);
	for (int i = 0; i < 32; i++) {
		spill_path(path);
		snprintf(name, sizeof(name), "../%.200s", path);
		snprintf(path, sizeof(path), "%.250s", name);
	}
	/* Descriptors below 3 were checked elsewhere; a working directory on the host is another
	 * way to its root. */
	spill_path(target_or("RELATIVE", "canary"));
}

static void environment(void)
{
	for (char **e = environ; *e; e++)
		printf("ENV %s\n", *e);
	spill_path("/proc/self/environ");
	spill_path("/proc/1/environ");
	spill_path("/proc/1/cmdline");
	printf("EXECFN %s\n",
		(const char *)getauxval(AT_EXECFN)); /* NOLINT: the kernel's own pointer */
	printf("SECURE %lu\n", getauxval(AT_SECURE));
}

/* Memory that is shared with somebody outside, or left of whoever started us. */
static void shared_memory_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		char permissions[8] = "", path[256] = "";

		if (sscanf(line, "%*s %7s %*s %*s %*s %255s", permissions, path) >= 1 &&
			permissions[3] == 's')
			proof("shared mapping: %s", line);
		printf("MAP %s %s\n", permissions, path);
	}
	if (maps)
		fclose(maps);
}

const struct technique fds_techniques[] = {
	{"L01", "inherited", "close_range", inherited},
	{"L01", "reopen-stdio", "landlock", reopen_stdio},
	{"L01", "directory-stdin", "landlock", directory_stdin},
	{"L02", "working-directory", "supervisor", working_directory},
	{"L04", "environment", "supervisor", environment},
	{"L11", "shared-maps", "exec", shared_memory_maps},
	{0},
};
