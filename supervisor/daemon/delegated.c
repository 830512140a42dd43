/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/delegated.h"

#include "daemon/delegation-wire.h"
#include "daemon/perform.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#define REQUEST_SECONDS 5 /* that a tool may take to say what it wants */
#define ANSWER_SECONDS 5  /* and to take the answer */
#define LINK_FD 3
#define CLIENT_FD 4
#define INIT_FD 5

/* ---- the process ---- */

/* Signals as a new program has them, no terminal, and no descriptor of the run above but these
 * three: its locks must not outlive it here, and its recorder has one client. */
static int leave(struct delegation_origin *origin)
{
	int *const kept[] = {&origin->link_fd, &origin->client_fd, &origin->init_fd};
	static const int numbers[] = {LINK_FD, CLIENT_FD, INIT_FD};
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;
	int last = LINK_FD;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	prctl(PR_SET_NAME, "berm-delegated");
	/* The one above is not, and an ordinary user cannot write the maps of a new user namespace
	 * from there (proc(5)); it is closed again before the tool begins. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	/* First out of the way of the numbers that they are to have. */
	for (size_t i = 0; i < array_size(kept); i++)
		if (*kept[i] >= 0 && (*kept[i] = fcntl(*kept[i], F_DUPFD_CLOEXEC, INIT_FD + 1)) < 0)
			return -errno;
	for (size_t i = 0; i < array_size(kept); i++) {
		if (*kept[i] < 0)
			continue;
		*kept[i] = dup3(*kept[i], numbers[i], O_CLOEXEC);
		if (*kept[i] < 0)
			return -errno;
		last = numbers[i] + 1;
	}
	return close_range((unsigned)last, ~0U, 0) < 0 ? -errno : 0;
}

/* Until the tool has said what its own are. */
static int leave_streams(void)
{
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < DELEGATION_STDIO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return -errno;
	return 0;
}

static void answer(int fd, int code, const char *reason)
{
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	delegation_reply_send(fd, code, reason);
}

static void report(const struct delegation_origin *origin, const struct session_request *request,
	const struct delegation_outcome *outcome)
{
	struct delegation_report message;

	memset(&message, 0, sizeof(message));
	message.rule = outcome->rule;
	if (request)
		snprintf(message.target, sizeof(message.target), "%.*s", AGENT_NAME_MAX,
			request->agent);
	memcpy(message.done, outcome->done, sizeof(message.done));
	(void)!send(origin->link_fd, &message, sizeof(message), MSG_NOSIGNAL);
}

static int carry_out(const struct delegation_origin *origin, const struct delegation_asked *asked)
{
	const struct session_request *above = origin->from->request;
	struct delegation_outcome outcome = {.rule = DELEGATION_YES};
	autoperformance struct performance performance = {0};
	/* The operator chose these for this host, or nobody did. */
	const struct session_request request = {.agent = asked->agent,
		.task = asked->task,
		.argv = asked->argv,
		.allow_degraded = above->allow_degraded,
		.ceiling = above->ceiling,
		.state_dir = above->state_dir,
		.timeout_ms = asked->timeout_ms,
		.trace_denials = above->trace_denials,
		.delegated = origin,
		.outcome = &outcome,
		.record = true};

	perform(&request, &(struct performance_wanted){0}, &performance);
	report(origin, &request, &outcome);
	answer(origin->client_fd, performance.code, performance.reason);
	return performance.code;
}

void delegated_main(const struct delegation_origin *given)
{
	struct delegation_origin origin = *given;
	struct delegation_outcome nothing = {.rule = DELEGATION_YES};
	struct delegation_asked asked = {0};
	struct error err = {0};

	if (leave(&origin) < 0 || leave_streams() < 0)
		_exit(1);
	if (delegation_request_receive(origin.client_fd, REQUEST_SECONDS, &asked, &err) < 0) {
		report(&origin, NULL, &nothing);
		answer(origin.client_fd, 2, err.text);
		_exit(1);
	}
	carry_out(&origin, &asked);
	_exit(0);
}

/* ---- while it lasts ---- */

static int watch(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events};

	return fd < 0 ? 0 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int delegated_watch(struct delegated_link *link, const struct delegation_origin *origin,
	int epoll_fd, struct error *err)
{
	link->origin = origin;
	link->epoll_fd = epoll_fd;
	if (!origin)
		return 0;
	link->floor = origin->posture;
	/* Nothing more is read from who asked: only that it is gone is looked for. */
	if (watch(epoll_fd, origin->link_fd, EPOLLIN) < 0 ||
		watch(epoll_fd, origin->init_fd, EPOLLIN) < 0 ||
		watch(epoll_fd, origin->client_fd, EPOLLRDHUP) < 0)
		return error_errno(err, "watch the run that delegated this one");
	return 0;
}

static bool has(int fd, short events)
{
	struct pollfd look = {.fd = fd, .events = events};

	return fd >= 0 && poll(&look, 1, 0) == 1;
}

static enum delegated_news end(struct delegated_link *link)
{
	const struct delegation_origin *origin = link->origin;

	link->ended = true;
	epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, origin->link_fd, NULL);
	epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, origin->client_fd, NULL);
	if (origin->init_fd >= 0)
		epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, origin->init_fd, NULL);
	return DELEGATED_END;
}

enum delegated_news delegated_look(struct delegated_link *link, const char **ret_why)
{
	const struct delegation_origin *origin = link->origin;
	struct delegation_posture message;
	unsigned before = link->floor;
	ssize_t n = 1;

	if (!origin || link->ended)
		return DELEGATED_NOTHING;
	while ((n = recv(origin->link_fd, &message, sizeof(message), MSG_DONTWAIT)) ==
		sizeof(message))
		link->floor = message.posture;
	*ret_why = "the run that delegated it has ended";
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || n >= 0 || has(origin->init_fd, POLLIN))
		return end(link);
	*ret_why = "who asked for it is gone";
	if (has(origin->client_fd, POLLRDHUP))
		return end(link);
	return link->floor == before ? DELEGATED_NOTHING : DELEGATED_POSTURE;
}
