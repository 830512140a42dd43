/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-front.h"

#include "base/log.h"
#include "daemon/groups.h"
#include "daemon/kill-wire.h"
#include "daemon/recorder-peer.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS 200    /* a sign of life in each */
#define SILENT_MS 2000 /* to say what one wants */
#define ACCEPT_MAX 64  /* in one turn */
#define VERIFY_MAX 16  /* signatures in one turn: each costs some 0.1 ms */
#define PILE_MAX 512
#define PILE_ROOM (KILL_FRONT_PLACES + ACCEPT_MAX + 1) /* of one turn */
/* Whoever starts this anew reads authority.yaml anew. */
#define LIFE_MS 60000
/* No connection keeps it longer. */
#define LIFE_MOST_MS (LIFE_MS + 20000)

struct front {
	int pair_fd, listen_fd;
	struct kill_front_place places[KILL_FRONT_PLACES];
	int pile[PILE_MAX]; /* connections that are done with */
	size_t piled;
	struct authority *authority; /* owned */
	uid_t owner;
	uint32_t number;
	uint64_t begun_ms, alive_ms;
	unsigned verified;
};

static uint64_t ms_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- places ---- */

static int oldest_of(const struct kill_front_place *places, size_t count, uid_t uid, bool operator)
{
	int found = -1;

	for (size_t i = 0; i < count; i++)
		if (places[i].fd >= 0 && places[i].uid == uid &&
			places[i].is_operator == operator&&(found < 0 ||
							    places[i].since_ms <
								    places[found].since_ms))
			found = (int)i;
	return found;
}

static unsigned count_of(const struct kill_front_place *places, size_t count, uid_t uid)
{
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		n += places[i].fd >= 0 && places[i].uid == uid;
	return n;
}

int kill_front_place_for(
	const struct kill_front_place *places, size_t count, uid_t uid, bool is_operator)
{
	unsigned most = 0;
	int busiest = -1;

	if (count_of(places, count, uid) >= KILL_FRONT_PER_UID)
		return oldest_of(places, count, uid, is_operator);
	for (size_t i = 0; i < count; i++) {
		unsigned n;

		if (places[i].fd < 0)
			return (int)i;
		n = places[i].is_operator ? 0 : count_of(places, count, places[i].uid);
		if (n > most) {
			most = n;
			busiest = (int)i;
		}
	}
	return busiest >= 0 ? oldest_of(places, count, places[busiest].uid, false)
			    : oldest_of(places, count, uid, is_operator);
}

/* ---- the end of a connection ---- */

/* What a client sent may hold descriptors, and the last close of one can block for as long as the
 * client likes (SO_LINGER). So nothing is received here, only looked at, and connections are closed
 * last by a copy of this process that ends: the kernel lets nobody linger who exits. */
static void clear_pile(struct front *front)
{
	int ends[2];
	pid_t pid;

	if (front->piled == 0)
		return;
	/* Where there is no process to be had they wait for one. */
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return;
	}
	if (pid == 0) {
		char byte;

		close(ends[1]);
		while (read(ends[0], &byte, 1) > 0)
			;
		_exit(0);
	}
	for (size_t i = 0; i < front->piled; i++)
		close(front->pile[i]);
	front->piled = 0;
	close(ends[0]);
	close(ends[1]);
}

static void let_go(struct front *front, int *fd)
{
	if (*fd < 0)
		return;
	shutdown(*fd, SHUT_RDWR);
	front->pile[front->piled++] = *fd;
	*fd = -1;
}

/* Its order is unread still, and the kernel would tell the client of a reset instead of the answer
 * if this end were closed first. */
static void answer(struct kill_front_place *place, const struct kill_answer *words)
{
	struct kill_answer copy = *words;

	copy.magic = KILL_ANSWER_MAGIC;
	(void)!send(place->fd, &copy, sizeof(copy), MSG_DONTWAIT | MSG_NOSIGNAL);
	place->is_waiting = false;
	place->is_answered = true;
	place->since_ms = ms_of(CLOCK_BOOTTIME);
}

static void refuse(struct kill_front_place *place, unsigned result, const char *words)
{
	struct kill_answer said = {.result = result};

	snprintf(said.words, sizeof(said.words), "%s", words);
	answer(place, &said);
}

/* ---- who asks, and what ---- */

static struct ucred peer_of(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t length = sizeof(peer);

	(void)!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	return peer;
}

static void take_in(struct front *front)
{
	/* Each may be the end of two. */
	for (unsigned i = 0; i < ACCEPT_MAX && front->piled + PILE_ROOM < PILE_MAX; i++) {
		int fd = accept4(front->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), at;
		struct ucred peer;
		bool operator;

		if (fd < 0)
			return;
		peer = peer_of(fd);
		operator= peer.uid == front->owner || peer.uid == 0;
		at = kill_front_place_for(front->places, KILL_FRONT_PLACES, peer.uid, operator);
		if (at < 0) {
			let_go(front, &fd);
			continue;
		}
		let_go(front, &front->places[at].fd);
		front->places[at] = (struct kill_front_place){.fd = fd,
			.uid = peer.uid,
			.is_operator = operator,
			.since_ms = ms_of(CLOCK_BOOTTIME)};
	}
}

/* Whether that one may, by a signature or by who it is. */
static bool may(struct front *front, struct kill_front_place *place, const struct kill_order *order,
	struct kill_inner_packet *packet)
{
	const struct authority_key *key = NULL;
	enum authority_refusal refusal;
	struct error err = {0};

	if (!order->is_signed && place->is_operator &&
		recorder_peer_check(place->fd, front->owner, &err) == 0)
		return true;
	if (!order->is_signed) {
		refuse(place, KILL_REFUSED,
			"only the owner of the state directory and root, from outside of any run, "
			"kill without a signed order");
		return false;
	}
	front->verified++;
	refusal = kill_order_verify(front->authority, order, ms_of(CLOCK_REALTIME), &key);
	if (refusal != AUTHORITY_FINE || !key) {
		refuse(place, KILL_REFUSED, authority_refusal_words(refusal));
		return false;
	}
	snprintf(packet->by, sizeof(packet->by), "%s", key->name);
	return true;
}

static void serve(struct front *front, struct kill_front_place *place)
{
	struct kill_inner_packet packet = {.kind = KILL_INNER_ORDER};
	uint8_t bytes[sizeof(struct kill_order) + 1];
	ssize_t n = recv(place->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		let_go(front, &place->fd);
		return;
	}
	memcpy(&packet.order, bytes, sizeof(packet.order));
	if (n != (ssize_t)sizeof(packet.order) || !kill_order_is_good(&packet.order)) {
		refuse(place, KILL_REFUSED, "this is no order");
		return;
	}
	if (!may(front, place, &packet.order, &packet))
		return;
	packet.number = ++front->number;
	packet.uid = place->uid;
	packet.peer = peer_of(place->fd).pid;
	if (send(front->pair_fd, &packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		refuse(place, KILL_BUSY, "too many ask at once");
		return;
	}
	place->is_waiting = true;
	place->number = packet.number;
}

/* Operators first, whoever came before. */
static void serve_all(struct front *front, const struct pollfd *polled)
{
	front->verified = 0;
	for (int operators = 1; operators >= 0; operators--)
		for (size_t i = 0; i < KILL_FRONT_PLACES; i++) {
			struct kill_front_place *place = &front->places[i];

			if (place->fd < 0 || place->fd != polled[i].fd || place->is_waiting ||
				place->is_operator != (bool)operators || !polled[i].revents)
				continue;
			if (place->is_answered)
				let_go(front, &place->fd);
			else if (front->verified < VERIFY_MAX)
				serve(front, place);
		}
}

static void hear_answer(struct front *front)
{
	struct kill_inner_packet packet;
	ssize_t n = recv(front->pair_fd, &packet, sizeof(packet), MSG_DONTWAIT);

	if (n == 0)
		_exit(0);
	if (n != sizeof(packet) || packet.kind != KILL_INNER_ANSWER)
		return;
	for (size_t i = 0; i < KILL_FRONT_PLACES; i++) {
		struct kill_front_place *place = &front->places[i];

		if (place->fd >= 0 && place->is_waiting && place->number == packet.number)
			answer(place, &packet.answer);
	}
}

/* ---- its life ---- */

static void drop_silent(struct front *front)
{
	uint64_t now = ms_of(CLOCK_BOOTTIME);

	for (size_t i = 0; i < KILL_FRONT_PLACES; i++)
		if (front->places[i].fd >= 0 && !front->places[i].is_waiting &&
			now - front->places[i].since_ms > SILENT_MS)
			let_go(front, &front->places[i].fd);
}

/* Another one can be started only where a process is to be had. */
static bool can_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

/* It ends for the next one to read anew who has the key. Only an operator's connection and an order
 * that is being followed keep it for a moment: anybody can have another one. */
static bool is_over(const struct front *front)
{
	uint64_t age = ms_of(CLOCK_BOOTTIME) - front->begun_ms;

	if (age < LIFE_MS)
		return false;
	for (size_t i = 0; i < KILL_FRONT_PLACES && age < LIFE_MOST_MS; i++)
		if (front->places[i].fd >= 0 &&
			(front->places[i].is_operator || front->places[i].is_waiting))
			return false;
	return can_fork();
}

static void say_alive(struct front *front)
{
	struct kill_inner_packet alive = {.kind = KILL_INNER_ALIVE, .pid = getpid()};
	uint64_t now = ms_of(CLOCK_BOOTTIME);

	if (now - front->alive_ms < TURN_MS)
		return;
	front->alive_ms = now;
	(void)!send(front->pair_fd, &alive, sizeof(alive), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void turn(struct front *front)
{
	struct pollfd polled[KILL_FRONT_PLACES + 2];

	for (size_t i = 0; i < KILL_FRONT_PLACES; i++)
		polled[i] = (struct pollfd){front->places[i].is_waiting ? -1 : front->places[i].fd,
			front->places[i].is_answered ? 0 : POLLIN, 0};
	polled[KILL_FRONT_PLACES] = (struct pollfd){front->pair_fd, POLLIN, 0};
	polled[KILL_FRONT_PLACES + 1] = (struct pollfd){front->listen_fd, POLLIN, 0};
	if (poll(polled, array_size(polled), TURN_MS) > 0) {
		if (polled[KILL_FRONT_PLACES].revents)
			hear_answer(front);
		serve_all(front, polled);
		if (polled[KILL_FRONT_PLACES + 1].revents)
			take_in(front);
	}
	drop_silent(front);
	clear_pile(front);
	say_alive(front);
}

/* The one that kills sends the listening socket first. */
static int take_listener(int pair_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *found;
	int fd = -1;

	if (recvmsg(pair_fd, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	found = CMSG_FIRSTHDR(&message);
	if (found && found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_RIGHTS &&
		found->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(found), sizeof(fd));
	return fd;
}

/* Who has the kill key. A file that is wrong gives nobody a key; the operator needs none. */
static void read_authority(struct front *front, const char *state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autotext struct text diagnostics = {0};
	struct error err = {0};

	front->authority = calloc(1, sizeof(*front->authority));
	if (!front->authority)
		_exit(1);
	if (groups_open(state, &groups, &err) == 0 &&
		groups_authority(&groups, &diagnostics, &err) == 0)
		*front->authority = *groups.authority;
}

int kill_front_role(int argc, char **argv)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct confine_place seen[] = {{proc, CONFINE_LOOK}};
	struct front front = {.pair_fd = ROLE_FD, .owner = geteuid()};
	struct error err = {0};

	if (argc != 3 || proc < 0)
		return 1;
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, "berm-kill-front");
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < KILL_FRONT_PLACES; i++)
		front.places[i].fd = -1;
	front.listen_fd = take_listener(ROLE_FD);
	read_authority(&front, argv[2]);
	front.begun_ms = ms_of(CLOCK_BOOTTIME);
	if (front.listen_fd < 0 || role_confine(ROLE_KILL_FRONT, seen, array_size(seen), &err) < 0)
		return 1;
	while (!is_over(&front))
		turn(&front);
	return 0;
}
