/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold-internal.h"

#include "base/log.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#define TRIES_MAX 3
#define WRITE_MS 5000

/* One of the names of this process's terminal; /dev/tty itself is everybody's. Who has it not as
 * the controlling one gets no answer to tcgetsid(3). */
static int open_node(const char *path)
{
	autoclose int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	autoclose int everybodys = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	struct stat st, tty;

	if (fd < 0 || everybodys < 0 || tcgetsid(fd) < 0 || fstat(fd, &st) < 0 ||
		fstat(everybodys, &tty) < 0 || st.st_rdev == tty.st_rdev)
		return -1;
	return take_fd(&fd);
}

/* TIOCGDEV tells the number of the terminal behind /dev/tty, in the kernel's own form: the minor
 * number's low 8 bits, 12 of the major number, the rest of the minor number. */
static int find_node(int tty)
{
	static const char *const inherited[] = {
		"/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"};
	unsigned device = 0;
	char path[64];
	int fd = -1;

	for (size_t i = 0; i < array_size(inherited) && fd < 0; i++)
		fd = open_node(inherited[i]);
	if (fd >= 0 || ioctl(tty, TIOCGDEV, &device) < 0)
		return fd;
	snprintf(path, sizeof(path), "/dev/pts/%u", (device & 0xff) | (device >> 12 & 0xfff00));
	return open_node(path);
}

/* One question at a time: a line that somebody types is for the one that is shown. A lock on the
 * terminal's node is seen by every berm, whoever runs it and wherever its state is. */
static int lock_terminal(int tty)
{
	autoclose int fd = find_node(tty);

	if (fd < 0)
		return -ENOTTY;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -ENOTTY;
	return take_fd(&fd);
}

static bool write_all(int fd, const struct text *words)
{
	for (size_t done = 0; done < words->length;) {
		struct pollfd polled = {.fd = fd, .events = POLLOUT};
		ssize_t n = write(fd, words->data + done, words->length - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR) ||
			 (errno == EAGAIN && poll(&polled, 1, WRITE_MS) != 1))
			return false;
	}
	return true;
}

static void put_prompt(
	const struct terminal *t, const struct terminal_shown *shown, struct text *out)
{
	if (shown->waiting > 1)
		text_printf(
			out, "\n  %u runs wait for this answer and would start", shown->waiting);
	text_printf(out,
		"\nberm: question %s. Type %s to approve, d to deny, within %llu s: ", shown->id,
		t->code, (unsigned long long)((shown->timeout_ms + 999) / 1000));
}

int terminal_ask(struct terminal *t, const struct hold_question *question,
	const struct terminal_shown *shown)
{
	autoclose int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	autoclose int lock_fd = -1;
	autotext struct text words = {0}, prompt = {0};
	size_t length = strlen(shown->id);

	/* In the background reading would stop this process, and somebody else reads there. */
	if (fd < 0 || tcgetpgrp(fd) != getpgrp() || length < TERMINAL_CODE)
		return -ENOTTY;
	if (!hold_words(question, &words)) {
		log_line("it is too long to be shown at the terminal");
		return -ENOTTY;
	}
	lock_fd = lock_terminal(fd);
	if (lock_fd < 0)
		return lock_fd;
	*t = (struct terminal){.fd = -1, .lock_fd = -1, .covers = shown->waiters};
	snprintf(t->code, sizeof(t->code), "%s", shown->id + length - TERMINAL_CODE);
	put_prompt(t, shown, &prompt);
	/* The letters are shown last: what was typed before that is no answer, and what is typed
	 * after it is heard. */
	if (words.failed || prompt.failed || !write_all(fd, &words) || tcflush(fd, TCIFLUSH) < 0 ||
		!write_all(fd, &prompt))
		return -ENOTTY;
	t->fd = take_fd(&fd);
	t->lock_fd = take_fd(&lock_fd);
	return 0;
}

/* A word that is meant for another question, or for nobody, lets nothing go. */
static enum terminal_answer judge(struct terminal *t)
{
	char words[64];

	for (size_t i = 0; t->line[i]; i++)
		t->line[i] = (char)toupper((unsigned char)t->line[i]);
	if (strcmp(t->line, t->code) == 0)
		return TERMINAL_YES;
	if (strcmp(t->line, "D") == 0 || strcmp(t->line, "DENY") == 0)
		return TERMINAL_NO;
	if (++t->tries == TRIES_MAX)
		return TERMINAL_NO;
	snprintf(words, sizeof(words), "berm: %s to approve, d to deny: ", t->code);
	(void)!write(t->fd, words, strlen(words));
	return TERMINAL_NOTHING;
}

enum terminal_answer terminal_read(struct terminal *t)
{
	for (;;) {
		char c;
		ssize_t n = read(t->fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return TERMINAL_NOTHING;
		if (n <= 0)
			return TERMINAL_GONE;
		if (c == '\n' || c == '\r') {
			enum terminal_answer answer;

			t->line[t->length] = '\0';
			t->length = 0;
			answer = judge(t);
			if (answer != TERMINAL_NOTHING)
				return answer;
		} else if (t->length + 1 < sizeof(t->line)) {
			/* A NUL would end the word early. */
			t->line[t->length++] = c ? c : '?';
		}
	}
}

void terminal_end(struct terminal *t, const char *how)
{
	autotext struct text words = {0};

	if (t->fd < 0)
		return;
	text_printf(&words, "\nberm: %s\n", how);
	(void)write_all(t->fd, &words);
	terminal_close(t);
}

void terminal_close(struct terminal *t)
{
	own_close(&t->fd);
	own_close(&t->lock_fd);
}
