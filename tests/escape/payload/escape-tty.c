/* SPDX-License-Identifier: Apache-2.0 */
/* Putting words into the terminal of whoever started the tool. stdin is the driver's pseudo
 * terminal. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>

/* libc cuts the command to 32 bits on some machines; the raw call keeps what the attacker gave. */
static long raw_ioctl(int fd, unsigned long command, void *argument)
{
	return syscall(SYS_ioctl, fd, command, argument);
}

static void inject(void)
{
	static const char text[] = "touch-berm-escaped\n";
	static const unsigned long high[] = {0, 1UL << 32, 0xffffffffUL << 32, 1UL << 63};
	autoclose int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	const int places[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, tty};

	for (size_t p = 0; p < array_size(places); p++)
		for (size_t h = 0; h < array_size(high); h++)
			for (const char *c = text; *c; c++)
				if (raw_ioctl(places[p], TIOCSTI | high[h], (void *)(uintptr_t)c)) {
					note("TIOCSTI on %d: %s", places[p], strerror(errno));
					break;
				}
}

static void set_discipline(void)
{
	static const unsigned long high[] = {0, 1UL << 32, 1UL << 63};
	int discipline = 2 /* N_MOUSE: any that is not 0 and needs no module */;

	for (size_t h = 0; h < array_size(high); h++)
		for (discipline = 1; discipline < 30; discipline++)
			if (!raw_ioctl(STDIN_FILENO, TIOCSETD | high[h], &discipline)) {
				proof("line discipline %d", discipline);
				discipline = 0;
				raw_ioctl(STDIN_FILENO, TIOCSETD, &discipline);
				break;
			}
}

/* Selection by TIOCLINUX types as well, on a virtual console. The refusal must come from the walls:
 * EPERM and not the ENOTTY of a driver that knows nothing of the command. */
static void console_commands(void)
{
	static const unsigned long commands[] = {
		TIOCLINUX, TIOCLINUX | (1UL << 32), TIOCCONS, TIOCCONS | (1UL << 32)};
	char subcode = 3 /* paste */;

	for (size_t i = 0; i < array_size(commands); i++) {
		long result = raw_ioctl(STDIN_FILENO, commands[i], &subcode);

		if (result >= 0 || (errno != EPERM && errno != EACCES))
			proof("command %#lx reaches the driver: %ld %s", commands[i], result,
				strerror(errno));
	}
}

static void steal_terminal(void)
{
	setsid();
	got(raw_ioctl(STDIN_FILENO, TIOCSCTTY, (void *)1), "TIOCSCTTY");
	got(raw_ioctl(STDIN_FILENO, TIOCSCTTY | (1UL << 32), (void *)1), "TIOCSCTTY");
}

/* Without a controlling terminal, opening one must not bring it back. */
static void open_terminal(void)
{
	got(open("/dev/tty", O_RDWR | O_CLOEXEC), "/dev/tty");
	got(tcgetsid(STDIN_FILENO) == getsid(0) ? 0 : -1, "our session owns the terminal");
}

static void many_terminals(void)
{
	long made = 0;

	while (made < target_number("ROUNDS", 100000)) {
		int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

		if (fd < 0)
			break;
		made++;
	}
	note("%ld terminals, then %s", made, strerror(errno));
	printf("COUNT %ld\n", made);
}

const struct technique tty_techniques[] = {
	{"P10", "inject", "seccomp, session", inject},
	{"P10", "set-discipline", "seccomp", set_discipline},
	{"P10", "console-commands", "seccomp", console_commands},
	{"P10", "steal-terminal", "session", steal_terminal},
	{"P10", "open-terminal", "session", open_terminal},
	{"R13", "many-terminals", "devpts", many_terminals},
	{0},
};
