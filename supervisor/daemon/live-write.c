/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-write.h"

#include "base/io.h"
#include "base/log.h"
#include "daemon/hooks.h"
#include "wire/effects.h"
#include "wire/held.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Whoever asks was made by fork(2): what hold_answer.answer points to is the same here. */
struct live_write_said {
	int code;
	char text[ERROR_TEXT_MAX];
	struct hold_answers answers;
};

void live_write_begin(struct live_write *w, struct session *session, int epoll_fd)
{
	if (!session_writes_are_held(session))
		return;
	w->session = session;
	w->epoll_fd = epoll_fd;
	w->state = LIVE_WRITE_UNASKED;
}

uint32_t live_write_rule(const struct live_write *w)
{
	const Berm__Wire__Approvals *a = w->session->plan->approvals;

	for (size_t i = 0; !(a->on & HELD_WRITE) && i < a->n_gates; i++)
		if (a->gates[i]->on & HELD_WRITE)
			return a->gates[i]->rule;
	return a->rule;
}

void live_write_status(const struct live_write *w, Berm__Wire__RunStatus *status)
{
	if (w->state != LIVE_WRITE_ASKING)
		return;
	status->held_on = HELD_WRITE;
	status->held_ms = hook_clock_ms() - w->asked_ms;
}

/* ---- what is shown ---- */

/* Which argument is the path, where one is. */
static const struct {
	const char *name;
	unsigned argument;
} paths[] = {
	{"open", 0},
	{"openat", 1},
	{"creat", 0},
	{"truncate", 0},
	{"rename", 0},
	{"renameat", 1},
	{"renameat2", 1},
	{"mkdir", 0},
	{"mkdirat", 1},
	{"mknod", 0},
	{"mknodat", 1},
	{"rmdir", 0},
	{"unlink", 0},
	{"unlinkat", 1},
	{"link", 1},
	{"linkat", 3},
	{"symlink", 1},
	{"symlinkat", 2},
	{"chmod", 0},
	{"fchmodat", 1},
	{"chown", 0},
	{"lchown", 0},
	{"fchownat", 1},
	{"utimensat", 1},
};

static size_t read_memory(uint32_t pid, uint64_t address, char *bytes, size_t size)
{
	char name[64];
	autoclose int fd = -1;
	size_t length = 0;

	snprintf(name, sizeof(name), "/proc/%u/mem", (unsigned)pid);
	fd = pid ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	/* Up to the end of each page: the next one may not be there. */
	while (fd >= 0 && length < size) {
		size_t left = 4096 - (size_t)((address + length) % 4096);
		ssize_t n = pread(fd, bytes + length, left < size - length ? left : size - length,
			(off_t)(address + length));

		if (n <= 0)
			return 0;
		if (memchr(bytes + length, '\0', (size_t)n))
			return strlen(bytes);
		length += (size_t)n;
	}
	return 0;
}

/* For people only: another thread can change what it points to. Nothing is decided by it. */
static void put_call(const struct gate_call *call, struct text *out)
{
	char path[PATH_MAX];

	text_puts(out, call->name);
	for (size_t i = 0; i < array_size(paths); i++) {
		size_t length;

		if (strcmp(paths[i].name, call->name) != 0)
			continue;
		length = read_memory(
			call->pid, call->arguments[paths[i].argument], path, sizeof(path));
		if (!length)
			continue;
		text_puts(out, " of ");
		text_escape(out, path, length, sizeof(path));
	}
}

/* ---- who asks ---- */

_Noreturn static void be_the_asker(const struct live_write *w, int fd, pid_t parent)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
	struct live_write_said said = {0};
	struct error err = {0};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < array_size(ends); i++) {
		signal(ends[i], SIG_DFL);
		if (ends[i] != SIGCHLD)
			sigaddset(&blocked, ends[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	/* hold() reads them. One that comes when it is over ends nothing any more: what came of it
	 * is told first. */
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	setsid();
	prctl(PR_SET_NAME, "berm-asks");
	/* The question is taken back where the run's berm is killed. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(1);
	said.code = session_hold_write(w->session, w->hold, &err);
	snprintf(said.text, sizeof(said.text), "%s", err.text);
	said.answers = w->hold->answers;
	_exit(io_write_all(fd, &said, sizeof(said)) < 0);
}

static int start(struct live_write *w)
{
	struct epoll_event event = {.events = EPOLLIN};
	pid_t parent = getpid();
	int ends[2];

	w->said = calloc(1, sizeof(*w->said));
	if (!w->said || pipe2(ends, O_CLOEXEC) < 0)
		return -ENOMEM;
	w->pid = fork();
	if (w->pid == 0)
		be_the_asker(w, ends[1], parent);
	close(ends[1]);
	if (w->pid < 0) {
		close(ends[0]);
		w->pid = 0;
		return -EAGAIN;
	}
	w->fd = ends[0];
	if (fcntl(w->fd, F_SETFL, O_NONBLOCK) < 0 ||
		epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) < 0)
		return -errno;
	return 0;
}

static int ask(struct live_write *w, const struct gate_call *call)
{
	autotext struct text words = {0};
	int r;

	w->asked_ms = hook_clock_ms();
	put_call(call, &words);
	w->hold = calloc(1, sizeof(*w->hold));
	r = words.failed || !w->hold
		    ? -ENOMEM
		    : session_hold_of_write(w->session, text_string(&words), w->hold);
	if (r == 0)
		r = start(w);
	if (r == 0)
		return 0;
	log_line("run %s: nobody could be asked about its first write: %s", w->session->run_id,
		strerror(-r));
	return r;
}

int live_write_gate(struct live_write *w, const struct gate_call *call)
{
	const unsigned refusing = POSTURE_NO_WRITE | POSTURE_FROZEN_BIT | POSTURE_DEAD_BIT;

	if (w->state == LIVE_WRITE_FREE || !(call->needs & POSTURE_NO_WRITE))
		return 0;
	/* Nobody is asked about what the run may not do anyway, and a run that is stopped has
	 * nobody who waits. */
	if (w->session->effects.posture & refusing)
		return 0;
	if (w->state == LIVE_WRITE_UNASKED)
		w->state = ask(w, call) < 0 ? LIVE_WRITE_DENIED : LIVE_WRITE_ASKING;
	return w->state == LIVE_WRITE_DENIED ? EPERM : APPLY_GATE_LATER;
}

/* ---- the answer ---- */

/* What did not come whole is none. */
static void take(struct live_write *w)
{
	bool whole = w->said_length == sizeof(*w->said);
	bool yes = whole && w->said->code == 0;
	siginfo_t info;

	while (waitid(P_PID, (id_t)w->pid, &info, WEXITED) < 0 && errno == EINTR)
		continue;
	w->pid = 0;
	own_close(&w->fd);
	w->state = yes ? LIVE_WRITE_FREE : LIVE_WRITE_DENIED;
	if (whole) {
		w->said->text[sizeof(w->said->text) - 1] = '\0';
		w->hold->answers = w->said->answers;
		recording_write_approval(w->session, w->hold);
	}
	if (yes)
		log_line("run %s: its first write is approved", w->session->run_id);
	else
		log_line("run %s: it may not write: %s", w->session->run_id,
			whole ? w->said->text : "who asked about it is gone");
}

void live_write_look(struct live_write *w)
{
	ssize_t n = -1;

	if (!w->pid)
		return;
	do {
		n = read(
			w->fd, (char *)w->said + w->said_length, sizeof(*w->said) - w->said_length);
		w->said_length += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && w->said_length < sizeof(*w->said)) || (n < 0 && errno == EINTR));
	if (w->said_length == sizeof(*w->said) || n == 0 || (n < 0 && errno != EAGAIN))
		take(w);
}

void live_write_end(struct live_write *w)
{
	struct pollfd polled = {.fd = w->fd, .events = POLLIN};

	if (w->pid)
		kill(w->pid, SIGTERM);
	while (w->pid) {
		poll(&polled, 1, -1);
		live_write_look(w);
	}
	session_hold_finish(w->hold);
	free(w->said);
	*w = (struct live_write){0};
}
