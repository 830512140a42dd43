/* SPDX-License-Identifier: Apache-2.0 */
/* Other doors into the same kernel: 32-bit calls, x32, and the whole table of numbers. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SWEEP_LAST 1023
#define X32_BIT 0x40000000L

#ifdef __x86_64__
static long int80(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}

/* i386 numbers: 20 getpid, 5 open, 102 socketcall, 21 mount, 26 ptrace, 120 clone, 425
 * io_uring_setup, 4 write. */
static void getpid32(void)
{
	if (int80(20, 0, 0, 0) > 0)
		proof("int 0x80 getpid");
}

static void open32(void)
{
	/* The path has to lie below 4 GiB. */
	char *low = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	strcpy(low, "/");
	if (int80(5, (long)low, O_RDONLY, 0) >= 0)
		proof("int 0x80 open");
}

static void socket32(void)
{
	unsigned int *low = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	low[0] = 2;
	low[1] = 1;
	low[2] = 0;
	if (int80(102, 1, (long)low, 0) >= 0)
		proof("int 0x80 socketcall");
}

static void mount32(void)
{
	/* EPERM or EFAULT: the call was reached. */
	if (int80(21, 0, 0, 0) != -38)
		proof("int 0x80 mount reached");
}

static void ptrace32(void)
{
	if (int80(26, 0 /* PTRACE_TRACEME */, 0, 0) == 0)
		proof("int 0x80 ptrace");
}

static void clone32(void)
{
	long pid = int80(120, SIGCHLD, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		proof("int 0x80 clone");
}

static void ring32(void)
{
	char *low = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (int80(425, 4, (long)low, 0) >= 0)
		proof("int 0x80 io_uring_setup");
}

/* Into the 32-bit code segment by a far jump, and back by another: there int 0x80 is an ordinary
 * instruction. No far return: emulators read its stack with the kernel's rights. */
static void far_jump(void)
{
	/* mov $20, %eax; int $0x80; ljmp $0x33, $back */
	static const unsigned char code32[] = {
		0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xea, 0, 0, 0, 0, 0x33, 0};
	/* mov saved, %rsp; ret */
	static const unsigned char back64[] = {0x48, 0x8b, 0x24, 0x25, 0, 0, 0, 0, 0xc3};
	unsigned char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	unsigned int base = (unsigned int)(uintptr_t)low;
	unsigned int back = base + 64, saved = base + 128, target32[2] = {base, 0x23};
	long result = -1;

	if (low == MAP_FAILED) {
		note("mmap: %s", strerror(errno));
		return;
	}
	memcpy(low, code32, sizeof(code32));
	memcpy(low + 8, &back, sizeof(back));
	memcpy(low + 64, back64, sizeof(back64));
	memcpy(low + 68, &saved, sizeof(saved));
	memcpy(low + 192, target32, 6);
	__asm__ volatile("push %%rbx\n\t"
			 "push %%rbp\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "push %%rax\n\t"
			 "mov %%rsp, 128(%[low])\n\t"
			 "ljmpl *192(%[low])\n\t"
			 "1:\n\t"
			 "pop %%rbp\n\t"
			 "pop %%rbx\n\t"
			 : "=&a"(result)
			 : [low] "r"(low)
			 : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory");
	if (result > 0)
		proof("getpid from the 32-bit segment");
}

static void int80_calls(void)
{
	named_variant("getpid32", getpid32);
	named_variant("open32", open32);
	named_variant("socket32", socket32);
	named_variant("mount32", mount32);
	named_variant("ptrace32", ptrace32);
	named_variant("clone32", clone32);
	named_variant("io_uring32", ring32);
}

static void far_jump_child(void)
{
	named_variant("far jump", far_jump);
}
#else
static void int80_calls(void)
{
}

static void far_jump_child(void)
{
}
#endif

/* A whole 32-bit program, static, that writes its proof by itself. */
static void program32(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl(target("PROGRAM32"), "program32", NULL);
		note("exec: %s", strerror(errno));
		_exit(1);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		note("ended by signal %d", WTERMSIG(status));
}

static long swept;

static void one_call(void)
{
	long result;

	/* Calls that would stop the sweep are only reached as far as the filter. */
	errno = 0;
	result = syscall(swept, 0, 0, 0, 0, 0, 0);
	_exit(result >= 0 ? 200 : errno < 200 ? errno : 199);
}

/* What one number with six zeros does in a fresh child: an errno, 200 for success, 300 + signal. */
static int probe(long number)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (pid == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		close(STDIN_FILENO);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		swept = number;
		alarm(1);
		one_call();
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 300 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Every number with zero arguments. One line "CALL number answer" for each: the driver compares
 * with the plan. */
static void sweep(void)
{
	long last = target_number("LAST", SWEEP_LAST);

	for (long number = target_number("FIRST", 0); number <= last; number++)
		printf("CALL %ld %d\n", number, probe(number));
}

/* The x32 twin of every number: none may be answered, whatever the kernel was built with. */
static void sweep_x32(void)
{
	for (long number = 0; number <= 547; number++) {
		int answer = probe(number | X32_BIT);

		if (answer != ENOSYS && answer != 300 + SIGSYS)
			proof("x32 call %ld answers %d", number, answer);
	}
}

/* Numbers that do not fit: negative ones and those with junk above 32 bits. */
static void odd_numbers(void)
{
	static const long odd[] = {
		-1, -2, 0x7fffffffL, 1L << 31, (1L << 32) | SYS_mount, (1L << 63) | SYS_mount};

	for (size_t i = 0; i < array_size(odd); i++) {
		int answer = probe(odd[i]);

		if (answer == 200)
			proof("call %#lx answers success", (unsigned long)odd[i]);
		note("call %#lx: %d", (unsigned long)odd[i], answer);
	}
}

const struct technique entry_techniques[] = {
	{"K01", "int80", "seccomp", int80_calls},
	{"K01", "far-jump", "seccomp", far_jump_child},
	{"K01", "program32", "seccomp", program32},
	{"K02", "x32", "seccomp", sweep_x32},
	{"K04", "sweep", "seccomp", sweep},
	{"K04", "odd-numbers", "seccomp", odd_numbers},
	{0},
};
