/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-closer.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
	int one = *(const int *)a, other = *(const int *)b;

	return (one > other) - (one < other);
}

/* Of all that the supervisor has only these: whoever waits for an end of anything else does not
 * wait for this child. */
static void keep_only(int *fds, unsigned count)
{
	unsigned next = 0;

	qsort(fds, count, sizeof(*fds), compare);
	for (unsigned i = 0; i < count; i++) {
		if ((unsigned)fds[i] > next)
			close_range(next, (unsigned)fds[i] - 1, 0);
		next = (unsigned)fds[i] + 1;
	}
	close_range(next, ~0U, 0);
}

/* Until the supervisor has closed its own copies, so that those here are the last. */
_Noreturn static void hold(const struct closer *closer, int gate_fd)
{
	int fds[CLOSER_ROOM + 1];
	char byte;

	for (unsigned i = 0; i < closer->count; i++)
		fds[i] = closer->fds[i];
	fds[closer->count] = gate_fd;
	keep_only(fds, closer->count + 1);
	while (read(gate_fd, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* False where no child can be made. */
static bool pass_on(struct closer *closer)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		hold(closer, ends[0]);
	for (unsigned i = 0; pid > 0 && i < closer->count; i++)
		own_close(&closer->fds[i]);
	if (pid > 0)
		closer->count = 0;
	/* Now the child goes on. */
	own_close(&ends[0]);
	own_close(&ends[1]);
	return pid > 0;
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

bool closer_is_full(const struct closer *closer)
{
	return closer->count >= CLOSER_CONNECTIONS_MAX;
}

void closer_take(struct closer *closer, int *fd, uint64_t now_ms)
{
	if (closer->count >= CLOSER_CONNECTIONS_MAX)
		pass_on(closer);
	/* Not to be closed here, whatever becomes of it: that can take for ever. */
	if (closer->count == CLOSER_ROOM) {
		take_fd(fd);
		return;
	}
	if (!closer->count)
		closer->since_ms = now_ms;
	closer->fds[closer->count++] = take_fd(fd);
}

int closer_look(struct closer *closer, bool all, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - closer->since_ms;

	reap();
	if (!closer->count)
		return -1;
	if (!all && passed_ms < CLOSER_DELAY_MS)
		return (int)(CLOSER_DELAY_MS - passed_ms);
	if (pass_on(closer))
		return -1;
	closer->since_ms = now_ms;
	return CLOSER_DELAY_MS;
}
