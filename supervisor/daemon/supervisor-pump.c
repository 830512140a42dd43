/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-pump.h"

#include "daemon/supervisor-peer.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_file(int one, int other)
{
	struct stat a, b;

	return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int duplicate(int fd, struct error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? error_errno(err, "descriptor %d", fd) : copy;
}

/* A pipe in place of a descriptor: returns the end for the tool. */
static int add(struct pumps *pumps, int fd, struct error *err)
{
	bool is_input = fd == STDIN_FILENO;
	autoclose int ours = -1, theirs = -1, own = duplicate(fd, err);
	autofree char *bytes = malloc(PUMP_BYTES);
	int ends[2];

	if (own < 0)
		return own;
	if (!bytes || pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "a pipe for the tool");
	ours = ends[is_input ? 1 : 0];
	theirs = ends[is_input ? 0 : 1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "a pipe for the tool");
	pumps->rows[pumps->count++] =
		(struct pump){.from = is_input ? take_fd(&own) : take_fd(&ours),
			.to = is_input ? take_fd(&ours) : take_fd(&own),
			.is_input = is_input,
			.bytes = take_ptr(&bytes)};
	return take_fd(&theirs);
}

int pumps_open(struct pumps *pumps, int ret_fds[3], struct error *err)
{
	int fds[3] = {-1, -1, -1};

	*pumps = (struct pumps){0};
	for (int i = 0; i < 3; i++) {
		bool pumped = !supervisor_stdio_is_plain(i, i == 0);

		/* What goes to one file keeps its order. */
		if (pumped && i == 2 && pumps->count && !pumps->rows[pumps->count - 1].is_input &&
			same_file(1, 2))
			fds[i] = duplicate(fds[1], err);
		else
			fds[i] = pumped ? add(pumps, i, err) : duplicate(i, err);
		if (fds[i] >= 0)
			continue;
		while (i-- > 0)
			own_close(&fds[i]);
		pumps_close(pumps);
		return err ? err->code : -EIO;
	}
	for (int i = 0; i < 3; i++)
		ret_fds[i] = fds[i];
	return 0;
}

unsigned pumps_poll(const struct pumps *pumps, struct pollfd *fds)
{
	for (unsigned i = 0; i < pumps->count; i++) {
		const struct pump *pump = &pumps->rows[i];
		bool holds = pump->begin < pump->end;

		fds[2 * i] = (struct pollfd){.fd = holds ? -1 : pump->from, .events = POLLIN};
		/* Without events: that nobody reads any more is told all the same. */
		fds[2 * i + 1] = (struct pollfd){.fd = holds || pump->is_input ? pump->to : -1,
			.events = holds ? POLLOUT : 0};
	}
	return 2 * pumps->count;
}

static void stop(struct pump *pump)
{
	own_close(&pump->from);
	own_close(&pump->to);
	pump->begin = pump->end = 0;
}

static void take(struct pump *pump)
{
	ssize_t n = read(pump->from, pump->bytes, PUMP_BYTES);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stop(pump);
		return;
	}
	pump->begin = 0;
	pump->end = (size_t)n;
}

/* So little at a time that a terminal or a socket that blocks, and has room, takes it at once. */
static void give(struct pump *pump)
{
	size_t most = pump->end - pump->begin < PIPE_BUF ? pump->end - pump->begin : PIPE_BUF;
	ssize_t n = write(pump->to, pump->bytes + pump->begin, most);

	if (n >= 0)
		pump->begin += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		stop(pump);
}

void pumps_move(struct pumps *pumps, const struct pollfd *fds)
{
	for (unsigned i = 0; i < pumps->count; i++) {
		struct pump *pump = &pumps->rows[i];

		if (fds[2 * i + 1].revents & (POLLERR | POLLHUP | POLLNVAL))
			stop(pump);
		else if (fds[2 * i + 1].revents & POLLOUT)
			give(pump);
		else if (fds[2 * i].revents)
			take(pump);
	}
}

void pumps_end_input(struct pumps *pumps)
{
	for (unsigned i = 0; i < pumps->count; i++)
		if (pumps->rows[i].is_input)
			stop(&pumps->rows[i]);
}

bool pumps_have_output(const struct pumps *pumps)
{
	for (unsigned i = 0; i < pumps->count; i++)
		if (!pumps->rows[i].is_input && pumps->rows[i].from >= 0)
			return true;
	return false;
}

void pumps_close(struct pumps *pumps)
{
	for (unsigned i = 0; i < pumps->count; i++) {
		stop(&pumps->rows[i]);
		own_free(&pumps->rows[i].bytes);
	}
	pumps->count = 0;
}
