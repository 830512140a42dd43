/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/io.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define LOG_LINE_MAX 512

static int log_fd = STDERR_FILENO;
static bool log_is_known, log_flows;

/* Once: what is asked of a file system of somebody else's may be answered never. */
static void get_to_know(void)
{
	struct stat st;

	log_flows = fstat(log_fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
	log_is_known = true;
}

void log_to(int fd)
{
	log_fd = fd;
	get_to_know();
}

/* False where the descriptor cannot be written to in that way: pipes before 6.4. */
static bool write_if_ready(const char *bytes, size_t length)
{
	const struct iovec vector = {(void *)(uintptr_t)bytes, length};
	ssize_t n;

	do
		n = pwritev2(log_fd, &vector, 1, -1, RWF_NOWAIT);
	while (n < 0 && errno == EINTR);
	return n >= 0 || errno != EOPNOTSUPP;
}

/* A tool shares this descriptor and can fill a pipe that nobody reads: whoever waits for room there
 * answers no call, keeps no time limit and ends at no signal. */
static void write_at_once(const char *bytes, size_t length)
{
	struct pollfd descriptor = {.fd = log_fd, .events = POLLOUT};

	if (!log_is_known)
		get_to_know();
	if (log_flows && write_if_ready(bytes, length))
		return;
	/* A pipe with room for one page takes a line without waiting (pipe(7), PIPE_BUF). */
	if (poll(&descriptor, 1, 0) == 1 && descriptor.revents & POLLOUT)
		(void)!io_write_all(log_fd, bytes, length);
}

void log_line(const char *format, ...)
{
	autotext struct text line = {0};
	char raw[2 * LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_puts(&line, "berm: ");
	text_escape(&line, raw, strlen(raw), LOG_LINE_MAX);
	text_puts(&line, "\n");
	if (!line.failed)
		write_at_once(line.data, line.length);
}
