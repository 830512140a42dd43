/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/act.h"

#include "base/io.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define TICK_MS 2
#define CHILDREN_MAX 16
/* An act that nobody ends ends by itself. */
#define LIFE_SECONDS 300

static void rest(unsigned ms)
{
	const struct timespec ts = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&ts, NULL);
}

static void write_number(int fd, uint64_t number)
{
	char line[24];
	int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)number);

	(void)!pwrite(fd, line, (size_t)n, 0);
}

static void tick(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (uint64_t i = 1; fd >= 0 && i < LIFE_SECONDS * 1000ULL / TICK_MS; i++) {
		write_number(fd, i);
		rest(TICK_MS);
	}
}

static void deafen(void)
{
	for (int number = 1; number < NSIG; number++)
		if (number != SIGCHLD)
			signal(number, SIG_IGN);
}

int act_tick(int argc, char **argv)
{
	(void)argc;
	tick(argv[1]);
	return 1;
}

int act_deaf(int argc, char **argv)
{
	deafen();
	return act_tick(argc, argv);
}

/* The process that works is nobody's child, in a session of its own. */
int act_orphan(int argc, char **argv)
{
	pid_t pid = fork();

	(void)argc;
	deafen();
	if (pid == 0) {
		setsid();
		if (fork() == 0)
			tick(argv[1]);
		_exit(0);
	}
	for (unsigned i = 0; i < LIFE_SECONDS; i++)
		sleep(1);
	return pid < 0;
}

/* New processes all the time, each of which does one thing. */
int act_forks(int argc, char **argv)
{
	int fd = open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	unsigned children = 0;

	(void)argc;
	deafen();

	for (uint64_t i = 1; fd >= 0 && i < LIFE_SECONDS * 1000ULL / TICK_MS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			write_number(fd, i);
			rest(TICK_MS);
			_exit(0);
		}
		children += pid > 0;
		while (children && waitpid(-1, NULL, children < CHILDREN_MAX ? WNOHANG : 0) > 0)
			children--;
		rest(TICK_MS);
	}
	return 1;
}

/* Whoever is stopped is woken by the other one. */
int act_wakes(int argc, char **argv)
{
	pid_t parent = getpid(), pid = fork();

	(void)argc;
	deafen();

	if (pid == 0) {
		for (unsigned i = 0; i < LIFE_SECONDS * 1000U && getppid() == parent; i++) {
			kill(parent, SIGCONT);
			rest(1);
		}
		_exit(0);
	}
	tick(argv[1]);
	return 1;
}

int act_touch(int argc, char **argv)
{
	unsigned long count = strtoul(argv[3], NULL, 10), made = 0;

	(void)argc;
	act_tell("begun");
	for (unsigned long i = 0; i < count; i++) {
		char path[4096];
		int fd;

		snprintf(path, sizeof(path), "%s/%s.%lu", argv[1], argv[2], i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		made += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	act_tell_number("made", made);
	return 0;
}

/* A namespace of one's own is the first step of most ways out; each is asked for in a process of
 * its own, since it changes who asks. */
int act_escape(int argc, char **argv)
{
	unsigned long count = strtoul(argv[1], NULL, 10), worked = 0;

	(void)argc;
	act_tell("begun");
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();
		int status = 1;

		if (pid == 0)
			_exit(unshare(CLONE_NEWUSER) < 0);
		if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
			worked++;
	}
	act_tell_number("worked", worked);
	if (strcmp(argv[2], "-") == 0)
		return 0;
	deafen();
	tick(argv[2]);
	return 1;
}

/* A judge that says the same to everything. */
int act_judge(int argc, char **argv)
{
	char question[4096], answer[256];
	int n = snprintf(answer, sizeof(answer), "{\"decision\": \"%s\"}\n", argv[1]);

	(void)argc;
	while (read(STDIN_FILENO, question, sizeof(question)) > 0)
		;
	return io_write_all(STDOUT_FILENO, answer, (size_t)n) < 0;
}
