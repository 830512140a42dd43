/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is made of, as "key: value" lines: the driver compares them with a golden list. */
#include "payload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

extern char **environ;

static void print_status(const char *path, const char *prefix)
{
	static const char *const wanted[] = {"Umask:", "Uid:", "Gid:", "Groups:", "NStgid:",
		"Threads:", "SigBlk:", "SigIgn:", "SigPnd:", "ShdPnd:", "CapInh:", "CapPrm:",
		"CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:",
		"Speculation_Store_Bypass:", "Cpus_allowed:", "TracerPid:"};
	FILE *status = fopen(path, "re");
	char line[512];

	while (status && fgets(line, sizeof(line), status))
		for (size_t i = 0; i < array_size(wanted); i++)
			if (!strncmp(line, wanted[i], strlen(wanted[i])))
				printf("%s%s", prefix, line);
	if (status)
		fclose(status);
}

static void print_namespaces(void)
{
	static const char *const kinds[] = {
		"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};
	char path[64], link[64];

	for (size_t i = 0; i < array_size(kinds); i++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		printf("ns %s: %s\n", kinds[i], link);
	}
}

static void print_descriptors(void)
{
	char path[64], link[256];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		printf("fd %d: %s\n", fd, link);
	}
}

static void print_limits(void)
{
	static const char *const names[] = {"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC",
		"NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO",
		"RTTIME"};
	struct rlimit limit;

	for (size_t i = 0; i < array_size(names); i++)
		if (!getrlimit((__rlimit_resource_t)i, &limit))
			printf("limit %s: %llu %llu\n", names[i],
				(unsigned long long)limit.rlim_cur,
				(unsigned long long)limit.rlim_max);
}

static void print_mounts(void)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (mounts && fgets(line, sizeof(line), mounts)) {
		char root[1024], point[1024], options[256];
		const char *type = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %*s %1023s %1023s %255s", root, point, options) == 3 &&
			type)
			printf("mount %s: %s %.*s\n", point, options, (int)strcspn(type + 3, " \n"),
				type + 3);
	}
	if (mounts)
		fclose(mounts);
}

static void print_dispositions(void)
{
	for (int signal_number = 1; signal_number < 65; signal_number++) {
		struct sigaction action;

		if (!sigaction(signal_number, NULL, &action) && action.sa_handler != SIG_DFL)
			printf("signal %d: %s\n", signal_number,
				action.sa_handler == SIG_IGN ? "ignored" : "caught");
	}
}

static void print_odds(void)
{
	struct itimerval timer = {0};
	int death = -1, nice_value;
	char value[64] = "";
	autoclose int oom = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	autoclose int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	errno = 0;
	nice_value = getpriority(PRIO_PROCESS, 0);
	prctl(PR_GET_PDEATHSIG, &death);
	getitimer(ITIMER_REAL, &timer);
	if (oom >= 0 && read(oom, value, sizeof(value) - 1) < 0)
		value[0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	printf("nice: %d\npdeathsig: %d\nitimer: %ld\n", nice_value, death,
		(long)timer.it_value.tv_sec);
	printf("oom_score_adj: %s\nscheduler: %d\n", value, sched_getscheduler(0));
	printf("dumpable: %d\nkeepcaps: %d\nsecurebits: %d\n", prctl(PR_GET_DUMPABLE),
		prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS));
	printf("thp_disable: %d\nchild_subreaper: %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0),
		prctl(PR_GET_CHILD_SUBREAPER, &death) ? -1 : death);
	printf("controlling terminal: %s\n", tty >= 0 ? "yes" : "no");
	printf("session: %s\n", getsid(0) == 0 ? "outside" : "inside");
	printf("pid: %d\nppid: %d\n", getpid(), getppid());
}

static void *thread_status(void *number)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", (long)syscall(SYS_gettid));
	print_status(path, number);
	return NULL;
}

static void threads_and_children(void)
{
	pthread_t threads[8];
	static char prefixes[8][24];

	fflush(stdout);
	for (size_t i = 0; i < array_size(threads); i++) {
		snprintf(prefixes[i], sizeof(prefixes[i]), "thread ");
		/* One after the other: their lines must not mix. */
		if (!pthread_create(&threads[i], NULL, thread_status, prefixes[i]))
			pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			print_status("/proc/self/status", "child ");
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void posture(void)
{
	mode_t mask = umask(022);

	umask(mask);
	printf("umask: %03o\n", mask);
	print_status("/proc/self/status", "");
	print_descriptors();
	print_namespaces();
	print_limits();
	print_mounts();
	print_dispositions();
	print_odds();
	for (char **e = environ; *e; e++)
		printf("env %.*s\n", (int)strcspn(*e, "="), *e);
	threads_and_children();
}

const struct technique posture_techniques[] = {
	{"C02", "posture", "all", posture},
	{0},
};
