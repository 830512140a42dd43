/* SPDX-License-Identifier: Apache-2.0 */
/* The first instructions of a program without a C library: copies /proc/self/status and the open
 * descriptors to stdout. Whatever wall is missing here was put up too late. */
#include <fcntl.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c)
{
	long result;

#ifdef __x86_64__
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	result = x0;
#endif
	return result;
}

static long open_read(const char *path)
{
	long result;

#ifdef __x86_64__
	result = call(SYS_open, (long)path, O_RDONLY, 0);
#else
	result = call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY);
#endif
	return result;
}

__attribute__((noreturn, used)) void _start(void);

void _start(void)
{
	static char bytes[8192];
	long lowest = open_read("/proc/self/status"), n;

	/* The lowest free number: 3 when nothing was left open. */
	bytes[0] = (char)('0' + lowest);
	bytes[1] = '\n';
	call(SYS_write, 1, (long)bytes, 2);
	while ((n = call(SYS_read, lowest, (long)bytes, sizeof(bytes))) > 0)
		call(SYS_write, 1, (long)bytes, n);
	call(SYS_exit_group, 0, 0, 0);
	for (;;)
		;
}
