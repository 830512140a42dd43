/* SPDX-License-Identifier: Apache-2.0 */
/* Exhaustion and noise, bounded so that the positive control does no harm to the host, and what the
 * drivers need to stand on the other side: a victim with a secret, a process that only waits. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define FORKS_MAX 4096

static void fork_bomb(void)
{
	long wanted = target_number("COUNT", 1000), made = 0;
	pid_t children[FORKS_MAX];

	for (; made < wanted && made < FORKS_MAX; made++) {
		children[made] = fork();
		if (children[made] < 0)
			break;
		if (children[made] == 0) {
			pause();
			_exit(0);
		}
	}
	printf("COUNT %ld %s\n", made, made < wanted ? strerror(errno) : "all");
	for (long i = 0; i < made; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		;
}

static void *wait_forever(void *nothing)
{
	pause();
	return nothing;
}

static void thread_bomb(void)
{
	long wanted = target_number("COUNT", 1000), made = 0;
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 * 1024);
	while (made < wanted && !pthread_create(&thread, &small, wait_forever, NULL))
		made++;
	printf("COUNT %ld\n", made);
}

static void take_bytes(void)
{
	size_t wanted = (size_t)target_number("MIB", 256), made = 0;

	for (; made < wanted; made++) {
		char *piece = mmap(
			NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (piece == MAP_FAILED)
			break;
		memset(piece, 1, 1 << 20);
	}
	printf("COUNT %zu\n", made);
}

/* Any number but those that would end the process that counts. */
static long random_number(void)
{
	static const long signals[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo,
		SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal};
	long number = rand() % 470;

	for (size_t i = 0; i < array_size(signals); i++)
		if (number == signals[i])
			return SYS_getpid;
	return number;
}

/* A child may have stopped itself, blocked every signal and taken its alarm back. */
static void end_child(pid_t pid)
{
	struct timespec nap = {.tv_nsec = 1000 * 1000};

	for (int i = 0; i < 300; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&nap, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static long random_word(const char *page)
{
	int kind = rand() % 6;

	if (kind < 4)
		return rand() % 64 - 2;
	return kind == 4 ? (long)(uintptr_t)page : (long)rand() << 20;
}

/* Random calls with random small values, in children that may die. Never on the host: kill(-1) is
 * among them. */
static void random_calls(void)
{
	long rounds = target_number("ROUNDS", 2000);
	double seconds = (double)target_number("SECONDS", 30);
	unsigned int seed = (unsigned int)target_number("SEED", 1);
	time_t end = time(NULL) + (time_t)seconds;
	long done = 0;

	if (!target_number("INSIDE", 0)) {
		note("only for the inside");
		return;
	}
	for (; done < rounds && time(NULL) < end; done++) {
		pid_t pid = fork();

		if (pid == 0) {
			srand(seed + (unsigned int)done);
			alarm(1);
			for (int i = 0; i < 50; i++) {
				static char page[4096];
				long words[6];

				for (size_t w = 0; w < array_size(words); w++)
					words[w] = random_word(page);
				syscall(random_number(), words[0], words[1], words[2], words[3],
					words[4], words[5]);
			}
			_exit(0);
		}
		if (pid > 0)
			end_child(pid);
	}
	printf("COUNT %ld\n", done * 50);
}

/* On the host: a process with a secret in its memory, for others to look into. */
static volatile char secret[128];

static void victim(void)
{
	snprintf((char *)(uintptr_t)secret, sizeof(secret), "%s", target("SECRET"));
	/* As on a host without Yama, whoever has the same user may look. */
	prctl(PR_SET_DUMPABLE, 1);
	printf("VICTIM %d %lu\n", getpid(), (unsigned long)(uintptr_t)secret);
	for (;;)
		pause();
}

static void hold(void)
{
	struct timespec nap = {.tv_sec = target_number("SECONDS", 30)};

	printf("HOLDING %d\n", getpid());
	nanosleep(&nap, NULL);
}

/* What the three standard descriptors are, told to a file, since stdout may be closed. */
static void streams(void)
{
	const char *path = below("W", "streams");
	char text[1024] = "", link[64], name[200];
	size_t length = 0;
	int states[3];

	for (int fd = 0; fd < 3; fd++)
		states[fd] = fcntl(fd, F_GETFD);
	for (int fd = 0; fd < 3; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = states[fd] < 0 ? -1 : readlink(link, name, sizeof(name) - 1);
		name[n < 0 ? 0 : n] = '\0';
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%d %s\n", fd,
			n < 0 ? "closed" : name);
	}
	snprintf(text + length, sizeof(text) - length, "lowest %d\n", dup(0));
	write_text(path, text);
}

/* Start another technique when W/go appears: the driver does something meanwhile. */
static void wait_then(void)
{
	struct timespec nap = {.tv_nsec = 10 * 1000 * 1000};

	write_text(below("W", "waiting"), "waiting\n");
	for (const char *go = below("W", "go"); access(go, F_OK);)
		nanosleep(&nap, NULL);
	run_technique(target("THEN"));
}

const struct technique load_techniques[] = {
	{"R01", "fork-bomb", "cgroup, rlimits", fork_bomb},
	{"R01", "thread-bomb", "cgroup, rlimits", thread_bomb},
	{"R02", "take-memory", "cgroup, rlimits", take_bytes},
	{"K16", "random-calls", "all", random_calls},
	{"", "victim", "", victim},
	{"", "hold", "", hold},
	{"", "streams", "", streams},
	{"", "wait-then", "", wait_then},
	{0},
};
