/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-switch.h"

#include "base/io.h"
#include "base/log.h"
#include "daemon/groups.h"
#include "daemon/kill-client.h"
#include "daemon/kill-journal.h"
#include "daemon/kill-pending.h"
#include "daemon/kill-state.h"
#include "daemon/kill.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCK "kill.lock"
#define BACKLOG 4096
#define SILENT_MS 3000  /* of the front, which says something five times a second */
#define AGAIN_MS 50     /* between two fronts */
#define PENDING_MS 5000 /* between two tries to have recorded what was not */
#define RECORD_MS 2000
#define NONCE_MS 20 /* that a deed waits for a disk to have the order as used */
#define BY_BYTES 160
#define COPIES_MAX 64 /* of this process at a time; what more there is to do it does itself */

struct serving {
	const char *state;
	int directory_fd, lock_fd, listen_fd, signal_fd;
	int pair_fd;                        /* of the front; -1: none */
	int front_fd;                       /* pidfd; -1: it has not said yet */
	uint8_t id[KILL_ORDER_STATE_BYTES]; /* of the state directory; zero: not known */
	uint64_t heard_ms, launched_ms, flushed_ms;
	unsigned copies;
	pid_t flush_pid; /* the copy that writes what is pending; 0: none */
	struct kill_journal journal;
};

static uint64_t ms_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the socket ---- */

static int listen_here(struct serving *s, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *hidden = "." KILL_SOCKET;

	s->directory_fd = kill_switch_directory(err);
	if (s->directory_fd < 0)
		return s->directory_fd;
	s->lock_fd = openat(s->directory_fd, LOCK,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return error_errno(err, LOCK);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -EALREADY, ERROR_REFUSED, "a kill switch runs here already");
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", s->directory_fd,
		hidden);
	unlinkat(s->directory_fd, hidden, 0);
	if (s->listen_fd < 0 ||
		bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "the socket of the kill switch");
	/* Anybody may bring what somebody with the key signed. */
	if (fchmodat(s->directory_fd, hidden, 0666, 0) < 0 || listen(s->listen_fd, BACKLOG) < 0 ||
		renameat(s->directory_fd, hidden, s->directory_fd, KILL_SOCKET) < 0)
		return error_errno(err, "the socket of the kill switch");
	return 0;
}

/* ---- the front ---- */

static int give_listener(int pair_fd, int listen_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &listen_fd, sizeof(listen_fd));
	return sendmsg(pair_fd, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static void launch_front(struct serving *s)
{
	struct error err = {0};
	int ends[2] = {-1, -1};

	s->launched_ms = s->heard_ms = ms_of(CLOCK_BOOTTIME);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	if (give_listener(ends[0], s->listen_fd) == 0 &&
		role_launch(ROLE_KILL_FRONT, s->state, ends[1], &err) == 0)
		s->pair_fd = take_fd(&ends[0]);
	own_close(&ends[0]);
	own_close(&ends[1]);
}

/* Its clients wait in the queue of the socket, which is this process's. */
static void end_front(struct serving *s)
{
	if (s->front_fd >= 0)
		pidfd_send_signal(s->front_fd, SIGKILL, NULL, 0);
	own_close(&s->front_fd);
	own_close(&s->pair_fd);
}

/* ---- the deed ---- */

/* *ret_why: why not all of them are known, code 0 otherwise. */
static int find_named(const char *state, const struct kill_order *order, struct runs_named *named,
	struct error *ret_why, struct error *err)
{
	static const char *const leads[KILL_SCOPE_COUNT] = {
		[KILL_EVERYTHING] = "",
		[KILL_AGENT] = "agent:",
		[KILL_GROUP] = "group:",
		[KILL_RUN] = "run:",
	};
	char word[KILL_ORDER_OF_BYTES + 8];
	int r;

	*named = (struct runs_named){.scope = NAMED_EVERYTHING};
	if (order->scope == KILL_EVERYTHING)
		return 0;
	snprintf(word, sizeof(word), "%s%s", leads[order->scope], order->of);
	r = runs_named_find(state, word, named, err);
	if (r < 0 && order->scope == KILL_GROUP) {
		/* Its agents cannot be read, or have moved: what began in it is known all the same,
		 * and for the rest of them it is said. */
		runs_named_group(order->of, named);
		named->state = run_state_of(state);
		*ret_why = *err;
		return 0;
	}
	return r;
}

static void sum_up(const struct kill_report *report, const struct error *unsure,
	struct kill_answer *ret_answer)
{
	ret_answer->asked_boot_ns = report->asked_ns;
	for (size_t i = 0; i < report->count; i++) {
		const struct killed *run = &report->runs[i];

		ret_answer->gone += run->gone_ns != 0;
		ret_answer->left += run->gone_ns == 0;
		ret_answer->processes += run->evidence.processes;
	}
	ret_answer->left += report->unfound + report->more;
	ret_answer->t_boot_ns = kill_report_t(report);
	if (ret_answer->left == 0 && unsure->code == 0)
		return;
	ret_answer->result = KILL_LEFT;
	if (ret_answer->left)
		snprintf(ret_answer->words, sizeof(ret_answer->words),
			"%u are still there, begin, or cannot be found", ret_answer->left);
	else
		snprintf(ret_answer->words, sizeof(ret_answer->words), "there may be more: %.*s",
			(int)sizeof(ret_answer->words) - 32, unsure->text);
}

static void reply(const struct serving *s, uint32_t number, const struct kill_answer *answer)
{
	struct kill_inner_packet packet = {
		.kind = KILL_INNER_ANSWER, .number = number, .answer = *answer};

	if (s->pair_fd >= 0)
		(void)!send(s->pair_fd, &packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void keep(struct serving *s, const struct kill_request *request, struct kill_report *report,
	const struct kill_inner_packet *packet, struct kill_deed *deed)
{
	/* What makes the order hold once waits for nothing else that is written. */
	if (packet->order.is_signed && !deed->used_first &&
		kill_journal_write_nonce(&s->journal, &packet->order) < 0)
		log_line("kill switch: its own file cannot be written: the order holds again after "
			 "a restart");
	if (report->count)
		kill_keep(request, report);
	deed->recorded = report->count > 0 && report->not_recorded.code == 0;
	if (kill_journal_write(&s->journal, deed) < 0)
		log_line("kill switch: its own file cannot be written");
	if (report->not_recorded.code)
		log_line(
			"kill switch: done, but not in the log yet: %s", report->not_recorded.text);
}

/* A copy of this process, which may wait for disks, the recorder and what is stuck in the kernel.
 * 0: this is the copy. It can answer. */
static pid_t copy(struct serving *s)
{
	pid_t pid = s->copies < COPIES_MAX ? fork() : -1;

	s->copies += pid > 0;
	if (pid == 0) {
		own_close(&s->listen_fd);
		own_close(&s->lock_fd);
	}
	return pid;
}

/* Whether the key still has its role, from the file as it is now: who talks to clients has read it
 * a while ago. */
static bool holds_key(struct serving *s, const struct kill_order *order, struct kill_answer *answer)
{
	autogroups struct groups groups = GROUPS_NONE;
	autotext struct text diagnostics = {0};
	const struct authority_key *key = NULL;
	enum authority_refusal refusal = AUTHORITY_UNKNOWN_KEY;
	struct error err = {0};

	if (groups_open(s->state, &groups, &err) == 0 &&
		groups_authority(&groups, &diagnostics, &err) == 0)
		refusal = kill_order_verify(groups.authority, order, ms_of(CLOCK_REALTIME), &key);
	if (refusal == AUTHORITY_FINE)
		return true;
	answer->result = KILL_REFUSED;
	snprintf(answer->words, sizeof(answer->words), "%s", authority_refusal_words(refusal));
	return false;
}

static void kill_them(struct serving *s, struct kill_request *request, struct kill_report *report,
	const struct kill_order *order, struct kill_answer *answer)
{
	struct error err = {0}, why = {0};
	int r = find_named(s->state, order, request->named, &why, &err);

	if (r == 0)
		r = kill_runs(request, report, &err);
	if (r == 0 && report->count == 0 && why.code == -ENOENT) {
		r = why.code;
		err = why;
	}
	if (r == 0)
		sum_up(report, why.code && why.code != -ENOENT ? &why : &request->named->unsure,
			answer);
	if (r < 0) {
		answer->result = KILL_FAILED;
		snprintf(answer->words, sizeof(answer->words), "%.*s", KILL_WORDS_BYTES - 1,
			err.text);
	}
}

/* First the deed, then the answer, then what is written about it: a disk or a recorder that hangs
 * keeps neither up. is_apart: in a process of its own. */
static void follow(struct serving *s, const struct kill_inner_packet *packet, bool is_apart)
{
	const struct kill_order *order = &packet->order;
	autonamed struct runs_named named = {0};
	char by[BY_BYTES];
	struct kill_request request = {.named = &named,
		.all_users = true,
		.keep_later = true,
		.begin_ms = KILL_BEGIN_MS,
		.reason = order->reason[0] ? order->reason : NULL,
		.by = by,
		.state = s->state};
	struct kill_deed deed = {.order = order, .by = by};
	struct kill_answer answer = {0};
	struct kill_report report = {0};

	snprintf(by, sizeof(by), "kill switch: %s%s%suid %u, pid %d", packet->by[0] ? "key " : "",
		packet->by, packet->by[0] ? ", brought by " : "", packet->uid, packet->peer);
	if (!order->is_signed || holds_key(s, order, &answer)) {
		deed.used_first = order->is_signed && is_apart &&
				  kill_journal_write_ahead(&s->journal, order, NONCE_MS);
		kill_them(s, &request, &report, order, &answer);
	}
	reply(s, packet->number, &answer);
	own_close(&s->pair_fd);
	log_line("%s: %u gone, %u left", by, answer.gone, answer.left);
	deed.wall_ms = ms_of(CLOCK_REALTIME);
	deed.asked_boot_ns = answer.asked_boot_ns;
	deed.t_boot_ns = answer.t_boot_ns;
	deed.gone = answer.gone;
	deed.left = answer.left;
	keep(s, &request, &report, packet, &deed);
	kill_finish(&report);
}

/* Each deed is one of its own: nobody waits for somebody else's. What makes an order hold once is
 * kept here, by all of them. Where there is no process to be had this one does it. */
static void follow_apart(struct serving *s, const struct kill_inner_packet *packet)
{
	int front_fd;
	pid_t pid = copy(s);

	if (pid > 0)
		return;
	front_fd = pid < 0 ? fcntl(s->pair_fd, F_DUPFD_CLOEXEC, 3) : -1;
	follow(s, packet, pid == 0);
	if (pid == 0)
		_exit(0);
	s->pair_fd = front_fd;
}

static void obey(struct serving *s, const struct kill_inner_packet *packet)
{
	struct kill_answer answer = {.result = KILL_REFUSED};
	int r = 0;

	if (!kill_order_is_good(&packet->order))
		return;
	if (memcmp(packet->order.state, s->id, sizeof(s->id)) != 0) {
		snprintf(answer.words, sizeof(answer.words), "%s",
			"this order is for another state directory or host than this kill switch "
			"is");
		reply(s, packet->number, &answer);
		return;
	}
	if (packet->order.is_signed)
		r = kill_journal_use(&s->journal, &packet->order, ms_of(CLOCK_REALTIME));
	if (r == 0) {
		follow_apart(s, packet);
		return;
	}
	snprintf(answer.words, sizeof(answer.words), "%s",
		r == -EALREADY ? "this order was followed before: sign another one"
			       : "its key has signed too many orders within ten minutes");
	reply(s, packet->number, &answer);
}

/* ---- its life ---- */

static void hear_front(struct serving *s)
{
	struct kill_inner_packet packet;
	ssize_t n = recv(s->pair_fd, &packet, sizeof(packet), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(packet)) {
		end_front(s);
		return;
	}
	packet.by[sizeof(packet.by) - 1] = '\0';
	if (packet.kind == KILL_INNER_ALIVE && s->front_fd < 0)
		s->front_fd = pidfd_open(packet.pid, 0);
	if (packet.kind == KILL_INNER_ORDER)
		obey(s, &packet);
	/* However long that took: what it says waits in the socket. */
	s->heard_ms = ms_of(CLOCK_BOOTTIME);
}

/* What was not in the log when it was done. */
static void flush_pending(struct serving *s)
{
	struct error err = {0};
	pid_t pid;
	int r;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		s->copies -= s->copies > 0;
		if (pid == s->flush_pid)
			s->flush_pid = 0;
	}
	/* A disk that hangs keeps a copy, and not this process; and only one: the others are for
	 * orders. */
	if (s->flush_pid || ms_of(CLOCK_BOOTTIME) - s->flushed_ms < PENDING_MS)
		return;
	s->flushed_ms = ms_of(CLOCK_BOOTTIME);
	pid = copy(s);
	if (pid > 0)
		s->flush_pid = pid;
	if (pid != 0)
		return;
	own_close(&s->pair_fd);
	if (!kill_pending_is_there(s->state))
		_exit(0);
	r = kill_pending_flush(s->state, RECORD_MS, &err);
	if (r > 0)
		log_line("kill switch: %d kills are in the log now", r);
	_exit(0);
}

static bool turn(struct serving *s)
{
	struct pollfd polled[] = {{s->pair_fd, POLLIN, 0}, {s->signal_fd, POLLIN, 0}};
	uint64_t now = ms_of(CLOCK_BOOTTIME);

	if (s->pair_fd < 0 && now - s->launched_ms >= AGAIN_MS)
		launch_front(s);
	polled[0].fd = s->pair_fd;
	if (poll(polled, array_size(polled), s->pair_fd < 0 ? AGAIN_MS : 1000) > 0) {
		if (polled[1].revents)
			return false;
		if (polled[0].revents)
			hear_front(s);
	}
	flush_pending(s);
	if (s->pair_fd >= 0 && ms_of(CLOCK_BOOTTIME) - s->heard_ms > SILENT_MS)
		end_front(s);
	return true;
}

/* What can be had of it: it is the last that is to go when memory runs out, and runs before those
 * whom it ends. */
static void harden(void)
{
	struct error err = {0};

	(void)!io_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "-900", &err);
	setpriority(PRIO_PROCESS, 0, -10);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

int kill_switch_serve(const char *state, struct error *err)
{
	struct serving s = {.state = state,
		.directory_fd = -1,
		.lock_fd = -1,
		.listen_fd = -1,
		.signal_fd = -1,
		.pair_fd = -1,
		.front_fd = -1};
	struct error no_journal = {0};
	sigset_t ends;
	int r = listen_here(&s, err);

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (r == 0) {
		harden();
		s.signal_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
		/* Without its own file it kills all the same; no signed order is new then only by
		 * what this process remembers. */
		if (kill_state_id(state, true, s.id, &no_journal) < 0)
			log_line("kill switch: %s", no_journal.text);
		if (kill_journal_open(state, &s.journal, &no_journal) < 0)
			log_line("kill switch: %s", no_journal.text);
		log_line("kill switch: ready");
		while (turn(&s))
			;
		unlinkat(s.directory_fd, KILL_SOCKET, 0);
	}
	end_front(&s);
	kill_journal_close(&s.journal);
	own_close(&s.signal_fd);
	own_close(&s.listen_fd);
	own_close(&s.lock_fd);
	own_close(&s.directory_fd);
	return r;
}
