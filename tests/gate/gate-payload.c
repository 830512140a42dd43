/* SPDX-License-Identifier: Apache-2.0 */

/* Deeds for the rows of tests/gate. The first word names the deed; each works in the current
 * directory, prints what it was told ("good N", "bad N", "errno NAME") and judges nothing. */

#include "gate-payload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static atomic_long next_file, good, bad;
static long limit;
static atomic_bool over;

static void count(long r)
{
	atomic_fetch_add(r < 0 ? &bad : &good, 1);
}

static int tell(void)
{
	printf("good %ld\nbad %ld\n", atomic_load(&good), atomic_load(&bad));
	return 0;
}

static void *remove_files(void *unused)
{
	char name[32];

	(void)unused;
	for (long i; (i = atomic_fetch_add(&next_file, 1)) < limit;) {
		snprintf(name, sizeof(name), "f%ld", i);
		count(unlink(name));
	}
	return NULL;
}

static void *make_files(void *unused)
{
	char name[32];

	(void)unused;
	for (long i; (i = atomic_fetch_add(&next_file, 1)) < limit;) {
		int fd;

		snprintf(name, sizeof(name), "n%ld", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		count(fd);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

/* deed THREADS FILES */
static int with_threads(void *(*work)(void *), char **words)
{
	long threads = atol(words[0]);
	pthread_t ids[256];

	limit = atol(words[1]);
	if (threads > 256)
		threads = 256;
	for (long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, NULL))
			return 99;
	for (long i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return tell();
}

static int storm_remove(char **words)
{
	return with_threads(remove_files, words);
}

static int storm_make(char **words)
{
	return with_threads(make_files, words);
}

static pid_t start_by_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static pid_t start_by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return pid;
}

/* TRIES: processes that end at once. */
static int storm_fork(char **words)
{
	long tries = atol(words[0]);

	for (long i = 0; i < tries; i++) {
		pid_t pid = i % 2 ? start_by_fork() : start_by_vfork();

		count(pid);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return tell();
}

/* PROGRAMS by posix_spawn(3), which is clone(CLONE_VM | CLONE_VFORK) and execve. */
static int storm_spawn(char **words)
{
	char *const argv[] = {"true", NULL};

	for (long i = atol(words[0]); i > 0; i--) {
		pid_t pid;
		int r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ), status = 0;

		if (r == 0)
			waitpid(pid, &status, 0);
		count(r || status ? -1 : 0);
	}
	return tell();
}

static void on_alarm(int number)
{
	(void)number;
}

/* FILES: removed one by one while a timer interrupts; a call that is taken up again after a signal
 * must not count twice. */
static int interrupted(char **words)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval timer = {{0, 150}, {0, 150}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	limit = atol(words[0]);
	remove_files(NULL);
	timer = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &timer, NULL);
	return tell();
}

/* CHILDREN: each removes files of its own until it is killed, at some moment. */
static int killed(char **words)
{
	long children = atol(words[0]);

	for (long c = 0; c < children; c++) {
		pid_t pid = fork();
		struct timespec pause = {0, 50000 + (c * 7919) % 400000};

		if (pid == 0) {
			char name[32];

			for (long i = 0; i < 100; i++) {
				snprintf(name, sizeof(name), "f%ld", c * 100 + i);
				unlink(name);
			}
			_exit(0);
		}
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	puts("done");
	return 0;
}

/* Make and remove one name after the other until somebody ends it. */
static int endless(char **words)
{
	char name[32];

	(void)words;
	puts("begun");
	fflush(stdout);
	for (long i = 0;; i++) {
		int fd;

		snprintf(name, sizeof(name), "e%ld", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

/* What an attacker's thread does to the memory of a call that waits. */
struct race {
	char path[64];
};

static void *rewrite(void *argument)
{
	volatile char *path = ((struct race *)argument)->path;

	while (!atomic_load(&over)) {
		path[0] = 'x';
		path[0] = 'f';
	}
	return NULL;
}

/* FILES: opened for reading and for writing by turns, while the name is rewritten. */
static int rewriting(char **words)
{
	struct race race = {"f0"};
	pthread_t thread;
	long opens = atol(words[0]);

	if (pthread_create(&thread, NULL, rewrite, &race))
		return 99;
	for (long i = 0; i < opens; i++) {
		int fd = open(race.path, (i % 2 ? O_RDONLY : O_WRONLY | O_TRUNC) | O_CLOEXEC);

		count(fd);
		if (fd >= 0)
			close(fd);
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	return tell();
}

/* A filter that would let everything on, with a listener: it could answer for ours. */
static int second_listener(char **words)
{
	struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
	struct sock_fprog program = {.len = 1, .filter = &allow};
	long r;

	(void)words;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	printf("errno %s\n", r < 0 ? strerrorname_np(errno) : "none");
	return 0;
}

static int flags_in_memory(char **words)
{
	struct {
		unsigned long long flags, mode, resolve;
	} how = {O_WRONLY | O_CREAT, 0644, 0};
	unsigned long long clone_args[8] = {0, 0, 0, 0, SIGCHLD, 0, 0, 0};
	long r;

	(void)words;
	r = syscall(SYS_openat2, AT_FDCWD, "by-openat2", &how, sizeof(how));
	printf("errno %s\n", r < 0 ? strerrorname_np(errno) : "none");
	r = syscall(SYS_clone3, clone_args, sizeof(clone_args));
	if (r == 0)
		_exit(0);
	printf("errno %s\n", r < 0 ? strerrorname_np(errno) : "none");
	r = syscall(SYS_io_uring_setup, 1, NULL);
	printf("errno %s\n", r < 0 ? strerrorname_np(errno) : "none");
	return 0;
}

/* ---- one call each, for the table of what counts as what ---- */

static int call_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int link_unnamed(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644), r;
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = linkat(AT_FDCWD, path, AT_FDCWD, "made", AT_SYMLINK_FOLLOW);
	close(fd);
	return r;
}

static int on_descriptor(int (*change)(int fd))
{
	int fd = open("f0", O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = change(fd);
	close(fd);
	return r;
}

static int change_mode(int fd)
{
	return fchmod(fd, 0600);
}

static int change_attribute(int fd)
{
	return fsetxattr(fd, "user.berm", "x", 1, 0);
}

static int empty_by_descriptor(void)
{
	int fd = open("f0", O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = ftruncate(fd, 0);
	close(fd);
	return r;
}

static int in_thread(void)
{
	pthread_t thread;

	limit = 0;
	if (pthread_create(&thread, NULL, remove_files, NULL))
		return -1;
	return pthread_join(thread, NULL) ? -1 : 0;
}

static int in_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 || waitpid(pid, NULL, 0) < 0 ? -1 : 0;
}

/* The files are f0 … f9, each with a byte in it. */
static int one_call(const char *name)
{
#define IS(word) (strcmp(name, word) == 0)
	if (IS("read"))
		return call_open("f0", O_RDONLY);
	if (IS("write"))
		return call_open("f0", O_WRONLY);
	if (IS("append"))
		return call_open("f0", O_RDWR | O_APPEND);
	if (IS("truncate-open"))
		return call_open("f0", O_RDONLY | O_TRUNC);
	if (IS("create"))
		return call_open("made", O_WRONLY | O_CREAT | O_EXCL);
	if (IS("create-over"))
		return call_open("f0", O_WRONLY | O_CREAT | O_TRUNC);
	if (IS("unnamed"))
		return link_unnamed();
	if (IS("truncate"))
		return truncate("f0", 0);
	if (IS("ftruncate"))
		return empty_by_descriptor();
	if (IS("unlink"))
		return unlink("f0");
	if (IS("mkdir"))
		return mkdir("made", 0755);
	if (IS("rmdir"))
		return rmdir("empty");
	if (IS("link"))
		return link("f0", "made");
	if (IS("symlink"))
		return symlink("f0", "made");
	if (IS("fifo"))
		return mkfifo("made", 0644);
	if (IS("rename"))
		return rename("f0", "f1");
	if (IS("rename-away"))
		return (int)syscall(SYS_renameat2, AT_FDCWD, "f0", AT_FDCWD, "made", 1);
	if (IS("exchange"))
		return (int)syscall(SYS_renameat2, AT_FDCWD, "f0", AT_FDCWD, "f1", 2);
	if (IS("chmod"))
		return chmod("f0", 0600);
	if (IS("fchmod"))
		return on_descriptor(change_mode);
	if (IS("times"))
		return utimensat(AT_FDCWD, "f0", NULL, 0);
	if (IS("attribute"))
		return on_descriptor(change_attribute);
	if (IS("thread"))
		return in_thread();
	if (IS("fork"))
		return in_child();
	if (IS("missing"))
		return unlink("not-there") < 0 && errno == ENOENT ? 0 : -1;
	return -2;
#undef IS
}

static int one(char **words)
{
	int r = one_call(words[0]);

	if (r == -2)
		return 98;
	printf("errno %s\n", r < 0 ? strerrorname_np(errno) : "none");
	return 0;
}

/* ROUNDS: seconds for so many calls of one kind, for a run beside one that floods. */
static int steady(char **words)
{
	struct timespec from, to;
	long rounds = atol(words[0]);

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (long i = 0; i < rounds; i++)
		count(chmod("f0", 0644));
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("seconds %.3f\n",
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
	return tell();
}

static void *flood_one(void *unused)
{
	(void)unused;
	while (!atomic_load(&over))
		chmod("f0", 0644);
	return NULL;
}

/* THREADS that ask without end. */
static int flood(char **words)
{
	long threads = atol(words[0]);
	pthread_t id;

	puts("begun");
	fflush(stdout);
	for (long i = 1; i < threads; i++)
		pthread_create(&id, NULL, flood_one, NULL);
	flood_one(NULL);
	return 0;
}

static const struct {
	const char *name;
	int words;
	int (*deed)(char **words);
} deeds[] = {
	{"remove", 2, storm_remove},
	{"make", 2, storm_make},
	{"fork", 1, storm_fork},
	{"spawn", 1, storm_spawn},
	{"interrupted", 1, interrupted},
	{"children-end", 1, children_end},
	{"not-restarted", 1, not_restarted},
	{"killed", 1, killed},
	{"endless", 0, endless},
	{"rewriting", 1, rewriting},
	{"second-listener", 0, second_listener},
	{"flags-in-memory", 0, flags_in_memory},
	{"one", 1, one},
	{"steady", 1, steady},
	{"flood", 1, flood},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(deeds) / sizeof(deeds[0]); i++)
		if (strcmp(argv[1], deeds[i].name) == 0 && argc - 2 >= deeds[i].words)
			return deeds[i].deed(argv + 2);
	fputs("usage: gate-payload DEED [WORD]…\n", stderr);
	return 2;
}
