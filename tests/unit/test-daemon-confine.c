/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/confine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What somebody who has taken over such a process can still do. Each is tried by a child twice:
 * before the walls, where it works, and behind them. */

static char top[] = "/tmp/berm-confine-XXXXXX";
static bool has_landlock;

static int make_top(void **state)
{
	static const char *const directories[] = {"mine", "read", "other"};

	(void)state;
	has_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
	if (!mkdtemp(top) || chdir(top) < 0)
		return -1;
	for (size_t i = 0; i < array_size(directories); i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "%s/file", directories[i]);
		if (mkdir(directories[i], 0700) < 0)
			return -1;
		fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return 0;
}

static bool opens(const char *name, int flags)
{
	autoclose int fd = open(name, flags | O_CLOEXEC, 0600);

	return fd >= 0;
}

static bool reads_mine(void)
{
	return opens("mine/file", O_RDONLY);
}

static bool writes_mine(void)
{
	return opens("mine/file", O_WRONLY);
}

static bool replaces_mine(void)
{
	return opens("mine/new", O_WRONLY | O_CREAT) &&
	       renameat(AT_FDCWD, "mine/new", AT_FDCWD, "mine/file") == 0;
}

static bool reads_the_read(void)
{
	return opens("read/file", O_RDONLY);
}

static bool writes_the_read(void)
{
	return opens("read/file", O_WRONLY);
}

static bool makes_in_the_read(void)
{
	return opens("read/new", O_WRONLY | O_CREAT) && unlinkat(AT_FDCWD, "read/new", 0) == 0;
}

static bool reads_other(void)
{
	return opens("other/file", O_RDONLY);
}

static bool moves_out(void)
{
	return renameat(AT_FDCWD, "mine/file", AT_FDCWD, "other/moved") == 0 &&
	       renameat(AT_FDCWD, "other/moved", AT_FDCWD, "mine/file") == 0;
}

static bool links(void)
{
	return symlinkat("file", AT_FDCWD, "mine/link") == 0 &&
	       unlinkat(AT_FDCWD, "mine/link", 0) == 0;
}

static bool makes_a_directory(void)
{
	return mkdirat(AT_FDCWD, "mine/directory", 0700) == 0 &&
	       unlinkat(AT_FDCWD, "mine/directory", AT_REMOVEDIR) == 0;
}

static bool forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool signals(void)
{
	return kill(getppid(), 0) == 0;
}

static bool makes_a_socket(void)
{
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0;
}

static bool makes_a_pipe(void)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0;
}

static bool executes(void)
{
	char name[] = "/bin/true";
	char *argv[] = {name, NULL};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execve(name, argv, argv + 1);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool locks_memory(void)
{
	static char page[4096];

	return syscall(SYS_mlock, page, sizeof(page)) == 0; /* a sanitizer has its own mlock() */
}

static bool maps_memory(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page != MAP_FAILED && munmap(page, 4096) == 0;
}

struct deed {
	bool (*does)(void);
	unsigned calls;   /* works behind the walls with any of these; 0: with none */
	bool by_landlock; /* else by the list of calls */
};

#define ALWAYS (~0U)

static const struct deed deeds[] = {
	{maps_memory, ALWAYS, false},
	{reads_mine, CONFINE_FILES, false},
	{writes_mine, CONFINE_FILES, false},
	{replaces_mine, CONFINE_FILES, false},
	{reads_the_read, CONFINE_FILES, false},
	{writes_the_read, 0, true},
	{makes_in_the_read, 0, true},
	{reads_other, 0, true},
	{moves_out, 0, true},
	{links, 0, false},
	{makes_a_directory, 0, false},
	{forks, 0, false},
	{executes, 0, false},
	{signals, 0, false},
	{makes_a_socket, 0, false},
	{makes_a_pipe, CONFINE_PIPES, false},
	{locks_memory, CONFINE_KEYS, false},
};

/* In a child: 0, or the number of the deed that went otherwise. */
static int try_all(unsigned calls)
{
	autoclose int mine = open("mine", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int other = open("read", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct confine_place places[] = {
		{mine, CONFINE_WRITE}, {other, CONFINE_READ}, {-1, CONFINE_WRITE}};

	for (size_t i = 0; i < array_size(deeds); i++)
		if (!deeds[i].does())
			return (int)i + 1;
	if (confine(calls, places, array_size(places), NULL) < 0)
		return 99;
	for (size_t i = 0; i < array_size(deeds); i++) {
		bool expected = deeds[i].calls == ALWAYS || (deeds[i].calls & calls);

		if (deeds[i].by_landlock && !has_landlock)
			continue;
		if (deeds[i].does() != expected)
			return 100 + (int)i;
	}
	return 0;
}

static void nothing_works_but_what_was_named(void **state)
{
	static const unsigned calls[] = {0, CONFINE_FILES, CONFINE_KEYS, CONFINE_PIPES,
		CONFINE_FILES | CONFINE_KEYS | CONFINE_CLIENTS, CONFINE_FILES | CONFINE_MESSAGES,
		CONFINE_FILES | CONFINE_DATAGRAMS | CONFINE_PIPES};

	(void)state;
	for (size_t i = 0; i < array_size(calls); i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0)
			_exit(try_all(calls[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static unsigned long long field(const char *words, const char *name, int base)
{
	const char *at = strstr(words, name);

	assert_non_null(at);
	return strtoull(at + strlen(name), NULL, base);
}

/* Read through a descriptor that was open before. */
static int status_is_confined(int fd)
{
	char words[4096];
	ssize_t n;

	if (confine(0, NULL, 0, NULL) < 0)
		return 1;
	n = read(fd, words, sizeof(words) - 1);
	if (n <= 0)
		return 2;
	words[n] = '\0';
	return field(words, "\nSeccomp:\t", 10) == 2 && field(words, "\nNoNewPrivs:\t", 10) == 1 &&
			       field(words, "\nCapEff:\t", 16) == 0 &&
			       field(words, "\nCapPrm:\t", 16) == 0
		       ? 0
		       : 3;
}

static void the_kernel_says_so(void **state)
{
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(status_is_confined(open("/proc/self/status", O_RDONLY | O_CLOEXEC)));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_works_but_what_was_named),
		cmocka_unit_test(the_kernel_says_so),
	};

	return cmocka_run_group_tests(tests, make_top, NULL);
}
