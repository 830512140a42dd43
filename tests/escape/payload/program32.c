/* SPDX-License-Identifier: Apache-2.0 */
/* A 32-bit program without any library: its first instructions are calls through int 0x80. */
#include <stdint.h>

static int call(int number, int a, uintptr_t b, int c)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

__attribute__((noreturn, used)) void _start(void);

void _start(void)
{
	static const char text[] = "PROOF a 32-bit program runs\n";

	call(4, 1, (uintptr_t)text, sizeof(text) - 1);
	call(1, 0, 0, 0);
	for (;;)
		;
}
