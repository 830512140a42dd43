/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/delegation.h"

#include "daemon/delegated.h"
#include "daemon/session.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define END_MS 10000 /* for a run that was delegated to end with this one */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool delegations_are_allowed(const struct session *session)
{
	const Berm__Wire__Agent *agent = session_agent(session);

	return agent && agent->n_delegate_to && session->request->record;
}

void delegations_begin(struct delegations *d, struct session *session, int epoll_fd)
{
	d->session = session;
	d->epoll_fd = epoll_fd;
	d->started_ms = now_ms();
}

void delegations_enter(struct delegations *d, const struct run_entry *entry)
{
	if (d->session)
		d->init_fd = fcntl(entry->init_pidfd, F_DUPFD_CLOEXEC, 3);
}

/* ---- a request ---- */

/* Its end of the link is closed by its death, or just before: nobody is waited for here. */
static void reap(struct delegations *d)
{
	for (size_t i = 0; i < DELEGATIONS_AT_ONCE; i++)
		if (d->runs[i].over && waitpid(d->runs[i].pid, NULL, WNOHANG) != 0)
			d->runs[i] = (struct delegated){.link_fd = -1};
}

static size_t count_running(const struct delegations *d)
{
	size_t count = 0;

	for (size_t i = 0; i < DELEGATIONS_AT_ONCE; i++)
		count += d->runs[i].pid != 0;
	return count;
}

static struct delegated *free_place(struct delegations *d)
{
	for (size_t i = 0; i < DELEGATIONS_AT_ONCE; i++)
		if (d->runs[i].pid == 0)
			return &d->runs[i];
	return NULL;
}

/* What this run could still do, without what others hold: two at once never have more together. */
static void measure(const struct delegations *d, struct delegation_origin *origin)
{
	const struct session *session = d->session;

	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		uint64_t limit = agent_run_cap(session->profile, i), held = 0;

		for (size_t k = 0; k < DELEGATIONS_AT_ONCE; k++)
			held += d->runs[k].held[i];
		origin->left[i] = delegation_left(
			limit, session->effects.done[i] + session->delegated_done[i], held);
	}
	if (session->plan->wall_time_ms) {
		uint64_t passed = now_ms() - d->started_ms, most = session->plan->wall_time_ms;

		origin->wall_left_ms = passed < most ? most - passed : 1;
	}
}

static int make_ends(int type, int *ret_ours, int *ret_theirs)
{
	int ends[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*ret_ours = ends[0];
	*ret_theirs = ends[1];
	return 0;
}

/* Ours is the tool's end of the connection; the new process has the other ends of both. */
static int begin(struct delegations *d, struct delegated *place, int client_fd, int link_fd)
{
	struct delegation_origin origin = {.from = d->session,
		.posture = d->session->effects.posture,
		.link_fd = link_fd,
		.client_fd = client_fd,
		.init_fd = d->init_fd};

	delegation_extend(
		&d->session->chain, d->session->run_id, session_agent(d->session), &origin.chain);
	measure(d, &origin);
	place->pid = fork();
	if (place->pid == 0)
		delegated_main(&origin);
	if (place->pid < 0) {
		place->pid = 0;
		return -errno;
	}
	place->told = origin.posture;
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		place->held[i] = origin.left[i] == DELEGATION_NOTHING ? 0 : origin.left[i];
	return 0;
}

int delegations_door(struct delegations *d)
{
	autoclose int tool = -1, client = -1, ours = -1, theirs = -1;
	struct epoll_event event = {.events = EPOLLIN};
	enum delegation_rule rule;
	struct delegated *place;
	int r;

	reap(d);
	place = free_place(d);
	rule = delegation_has_room(count_running(d), d->asked);
	if (rule != DELEGATION_YES || !place) {
		d->refused(d->session, rule, "");
		return rule == DELEGATION_AT_ONCE ? -EAGAIN : -EPERM;
	}
	r = make_ends(SOCK_SEQPACKET, &tool, &client);
	if (r == 0)
		r = make_ends(SOCK_SEQPACKET | SOCK_NONBLOCK, &ours, &theirs);
	if (r == 0 && epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, ours, &event) < 0)
		r = -errno;
	if (r == 0)
		r = begin(d, place, client, theirs);
	if (r < 0)
		return r;
	d->asked++;
	place->link_fd = take_fd(&ours);
	return take_fd(&tool);
}

/* ---- while they last ---- */

/* Nothing of it is held any more; what it did counts as done by this run's leave. Without a report
 * it was killed: nobody can say that it did less than it could. */
static void settle(
	struct delegations *d, struct delegated *place, const struct delegation_report *report)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		d->session->delegated_done[i] += report ? report->done[i] : place->held[i];
		place->held[i] = 0;
	}
	if (report && report->rule != DELEGATION_YES && report->rule < DELEGATION_RULE_COUNT)
		d->refused(d->session, (enum delegation_rule)report->rule, report->target);
	own_close(&place->link_fd); /* which takes it out of the epoll set */
	place->over = true;
}

/* True where it is over. */
static bool take_report(struct delegations *d, struct delegated *place)
{
	struct delegation_report report;
	ssize_t n = recv(place->link_fd, &report, sizeof(report), MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	report.target[AGENT_NAME_MAX] = '\0';
	settle(d, place, n == sizeof(report) ? &report : NULL);
	return true;
}

static void tell_posture(const struct delegations *d, struct delegated *place)
{
	const struct delegation_posture message = {d->session->effects.posture};

	if (place->told != message.posture &&
		send(place->link_fd, &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message))
		place->told = message.posture;
}

void delegations_look(struct delegations *d)
{
	for (size_t i = 0; d->session && i < DELEGATIONS_AT_ONCE; i++)
		if (d->runs[i].pid && !d->runs[i].over && !take_report(d, &d->runs[i]))
			tell_posture(d, &d->runs[i]);
}

static bool end_one(struct delegations *d, struct delegated *place, uint64_t deadline_ms)
{
	uint64_t now = now_ms();
	struct pollfd look = {.fd = place->link_fd, .events = POLLIN};

	if (place->pid == 0 || place->over || take_report(d, place))
		return true;
	if (now < deadline_ms) {
		(void)!poll(&look, 1, (int)(deadline_ms - now));
		return take_report(d, place);
	}
	return false;
}

void delegations_end(struct delegations *d)
{
	uint64_t deadline_ms = now_ms() + END_MS;

	if (!d->session)
		return;
	for (size_t i = 0; i < DELEGATIONS_AT_ONCE; i++)
		if (d->runs[i].pid && !d->runs[i].over)
			shutdown(d->runs[i].link_fd, SHUT_WR);
	for (size_t i = 0; i < DELEGATIONS_AT_ONCE; i++) {
		struct delegated *place = &d->runs[i];

		while (!end_one(d, place, deadline_ms))
			if (now_ms() >= deadline_ms) {
				/* Everything of its run ends with it. */
				kill(place->pid, SIGKILL);
				settle(d, place, NULL);
				break;
			}
		if (place->pid)
			(void)!waitpid(place->pid, NULL, WNOHANG);
	}
	own_close(&d->init_fd);
	d->session = NULL;
}
