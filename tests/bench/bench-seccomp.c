/* SPDX-License-Identifier: Apache-2.0 */

/* What the system call filter costs: to compile, to install, and at each call that it allows.
 * Prints figures with their units and judges nothing. Each pair of figures is measured in turn, in
 * fresh processes, and the median is shown. */

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURNS 21
#define LOOPS 100000
#define COMPILES 200

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return values[count / 2];
}

static void call_getppid(void)
{
	syscall(SYS_getppid);
}

static void call_read(void)
{
	syscall(SYS_read, -1, NULL, 0);
}

/* A path that is not there: the walk is short, and no descriptor has to be closed. */
static void call_openat(void)
{
	syscall(SYS_openat, AT_FDCWD, "/.berm-bench-not-there", O_RDONLY, 0);
}

static void call_ioctl(void)
{
	syscall(SYS_ioctl, -1, TIOCGWINSZ, NULL);
}

static void call_prctl(void)
{
	syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static void call_setsockopt(void)
{
	syscall(SYS_setsockopt, -1, 1, 2, NULL, 0);
}

static void call_socket(void)
{
	syscall(SYS_socket, 2, 1, 132); /* refused by the filter, unknown to many kernels */
}

static const struct {
	const char *name;
	void (*call)(void);
	const char *how;
} calls[] = {
	{"getppid", call_getppid, "in the kernel's bitmap"},
	{"read", call_read, "in the kernel's bitmap"},
	{"openat", call_openat, "argument rules"},
	{"ioctl", call_ioctl, "argument rules"},
	{"prctl", call_prctl, "argument rules"},
	{"setsockopt", call_setsockopt, "argument rules, the most of all calls"},
	{"socket", call_socket, "refused by the filter with an errno"},
};

/* In a child: install the filter (program may be NULL) and time it, then each call. Times in ns. */
static void measure(const struct sock_fprog *fprog, double *ret_install, double *ret_calls)
{
	double start = now_ns();

	if (fprog && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			     syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, fprog)))
		_exit(1);
	*ret_install = now_ns() - start;
	for (size_t i = 0; i < array_size(calls); i++) {
		for (int n = 0; n < LOOPS / 10; n++)
			calls[i].call();
		start = now_ns();
		for (int n = 0; n < LOOPS; n++)
			calls[i].call();
		ret_calls[i] = (now_ns() - start) / LOOPS;
	}
	_exit(0);
}

struct turn {
	double install, calls[array_size(calls)];
};

enum variant {
	VARIANT_NONE,  /* no filter */
	VARIANT_FLOOR, /* a filter of one instruction: what the kernel takes for having any */
	VARIANT_BERM,
	VARIANT_COUNT
};

static double least(const struct turn *turns, enum variant variant, size_t offset)
{
	double best = 0;

	for (int t = variant; t < VARIANT_COUNT * TURNS; t += VARIANT_COUNT) {
		double value = *(const double *)(const void *)((const char *)&turns[t] + offset);

		if (t == (int)variant || value < best)
			best = value;
	}
	return best;
}

static void print_turns(const struct turn *turns)
{
	printf("install: %.1f us, %.1f us for a filter of one instruction\n",
		least(turns, VARIANT_BERM, offsetof(struct turn, install)) / 1e3,
		least(turns, VARIANT_FLOOR, offsetof(struct turn, install)) / 1e3);
	for (size_t i = 0; i < array_size(calls); i++) {
		size_t offset = offsetof(struct turn, calls) + i * sizeof(double);
		double none = least(turns, VARIANT_NONE, offset),
		       floor = least(turns, VARIANT_FLOOR, offset);
		double berm = least(turns, VARIANT_BERM, offset);

		printf("%-10s %7.1f ns without a filter, %+6.1f ns with one of one instruction, "
		       "%+6.1f ns with berm's (%s)\n",
			calls[i].name, none, floor - none, berm - none, calls[i].how);
	}
}

/* The variants in turn, each in a fresh process, so that a busy machine hits all alike. */
static void run_turns(const struct sock_fprog *fprog)
{
	struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
	const struct sock_fprog floor = {.len = 1, .filter = &allow};
	const struct sock_fprog *const programs[VARIANT_COUNT] = {
		[VARIANT_FLOOR] = &floor, [VARIANT_BERM] = fprog};
	size_t bytes = sizeof(struct turn) * VARIANT_COUNT * TURNS;
	struct turn *turns =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (turns == MAP_FAILED)
		exit(1);
	for (int t = 0; t < VARIANT_COUNT * TURNS; t++) {
		pid_t pid = fork();
		int status = 0;

		if (!pid)
			measure(programs[t % VARIANT_COUNT], &turns[t].install, turns[t].calls);
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
			exit(1);
	}
	print_turns(turns);
	munmap(turns, bytes);
}

int main(void)
{
	double times[COMPILES], first = 0;
	struct sock_fprog fprog = {0};
	struct fixture f;

	for (int i = 0; i < COMPILES; i++) {
		struct error err;
		double start = now_ns();

		fixture_init(&f);
		f.facts.seccomp_notify = false;
		if (fixture_compile(&f, &err) < 0) {
			fprintf(stderr, "bench-seccomp: %s\n", err.text);
			return 1;
		}
		times[i] = now_ns() - start;
		if (!i)
			first = times[i];
		if (i + 1 < COMPILES)
			fixture_finish(&f);
	}
	printf("compile: %.1f us the first time, %.1f us after\n", first / 1e3,
		median(times, COMPILES) / 1e3);
	fprog.len = (unsigned short)(f.seccomp->program.len / sizeof(struct sock_filter));
	fprog.filter = (void *)f.seccomp->program.data;
	printf("program: %u instructions, %zu bytes\n", fprog.len, f.seccomp->program.len);
	run_turns(&fprog);
	fixture_finish(&f);
	return 0;
}
