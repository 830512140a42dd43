/* SPDX-License-Identifier: Apache-2.0 */

/* What calls cost where this program runs, one line each: "NAME NANOSECONDS". The least of some
 * turns, since a busy machine only adds. Works on a file of its own in the current directory. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURNS 15
#define FILE_NAME "bench-file"

static int file_fd;

static void call_getppid(void)
{
	syscall(SYS_getppid);
}

static void call_stat(void)
{
	struct stat st;

	(void)!stat(FILE_NAME, &st);
}

static void call_open_read(void)
{
	close(open(FILE_NAME, O_RDONLY | O_CLOEXEC));
}

static void call_write(void)
{
	(void)!pwrite(file_fd, "x", 1, 0);
}

static void call_chmod(void)
{
	(void)!chmod(FILE_NAME, 0644);
}

static void call_open_write(void)
{
	close(open(FILE_NAME, O_WRONLY | O_CLOEXEC));
}

static void call_make_remove(void)
{
	close(open("bench-new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	unlink("bench-new");
}

static void call_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static const struct {
	const char *name;
	void (*call)(void);
	int loops;
} calls[] = {
	{"getppid", call_getppid, 20000},
	{"stat", call_stat, 10000},
	{"open-read", call_open_read, 5000},
	{"pwrite", call_write, 10000},
	{"chmod", call_chmod, 2000},
	{"open-write", call_open_write, 2000},
	{"make-remove", call_make_remove, 1000},
	{"fork", call_fork, 50},
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void)
{
	file_fd = open(FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (file_fd < 0)
		return 1;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		double least = 0;

		for (int turn = 0; turn < TURNS; turn++) {
			double start = now_ns(), took;

			for (int n = 0; n < calls[i].loops; n++)
				calls[i].call();
			took = (now_ns() - start) / calls[i].loops;
			if (turn == 0 || took < least)
				least = took;
		}
		printf("%s %.0f\n", calls[i].name, least);
	}
	return 0;
}
