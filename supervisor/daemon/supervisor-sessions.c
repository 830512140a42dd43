/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "daemon/role.h"
#include "daemon/runs-place.h"
#include "daemon/session-role.h"
#include "daemon/supervisor-internal.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* What a session finds its places by is what the supervisor finds them by, never what the client
 * does. */
static const char *const places_variables[] = {
	"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"};

int supervisor_watch(const struct supervisor *s, int fd, uint64_t mark)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static struct running *free_place(struct supervisor *s)
{
	for (size_t i = 0; i < SUPERVISOR_SESSIONS_MAX; i++)
		if (s->running[i].fd < 0)
			return &s->running[i];
	return NULL;
}

unsigned supervisor_running(const struct supervisor *s, bool adopted_only)
{
	unsigned count = 0;

	for (size_t i = 0; i < SUPERVISOR_SESSIONS_MAX; i++)
		count += s->running[i].fd >= 0 && (!adopted_only || s->running[i].adopted);
	return count;
}

static void let_go(struct running *running)
{
	own_close(&running->fd);
	if (running->user)
		running->user->sessions--;
	*running = (struct running){.fd = -1};
}

/* A line now and then, whatever number of them there was. */
static void count_refusal(struct supervisor *s, struct user *user)
{
	unsigned count;

	s->refused++;
	if (!user)
		return;
	count = user_was_refused(user, supervisor_now_ms());
	if (count)
		log_line("supervise: user %u was refused, %u times since the last line like this",
			(unsigned)user->uid, count);
}

/* A session says one word at most, and ends. */
static void hear(struct supervisor *s, struct running *running)
{
	char word = 0;
	ssize_t n = recv(running->fd, &word, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1 && word == SESSION_REFUSED)
		count_refusal(s, running->user);
	else
		let_go(running);
}

void supervisor_look(struct supervisor *s, unsigned place)
{
	struct running *running = &s->running[place];
	struct pollfd look = {.fd = running->fd, .events = POLLIN};

	if (running->fd < 0 || poll(&look, 1, 0) != 1)
		return;
	if (running->adopted)
		let_go(running);
	else
		hear(s, running);
}

/* Keep an eye on it; takes *fd on success. */
static int add(struct supervisor *s, int *fd, struct user *user, bool adopted)
{
	struct running *place = free_place(s);

	if (!place || supervisor_watch(s, *fd, MARK_RUNNING(place - s->running)) < 0)
		return place ? -errno : -EAGAIN;
	*place = (struct running){.fd = take_fd(fd), .user = user, .adopted = adopted};
	return 0;
}

/* ---- a new one ---- */

static size_t pack_order(const struct supervisor_peer *peer, uint8_t **ret_packet)
{
	char *environment[array_size(places_variables)];
	Berm__Wire__SuperviseOrder order;
	size_t length;

	berm__wire__supervise_order__init(&order);
	order.version = SUPERVISE_VERSION;
	order.uid = peer->uid;
	order.gid = peer->gid;
	order.pid = (uint32_t)peer->pid;
	order.login_uid = peer->login_uid;
	order.environment = environment;
	for (size_t i = 0; i < array_size(places_variables); i++) {
		const char *value = getenv(places_variables[i]);

		if (value && asprintf(&environment[order.n_environment], "%s=%s",
				     places_variables[i], value) >= 0)
			order.n_environment++;
	}
	length = supervise_pack(&order.base, SUPERVISE_ORDER_MAX, ret_packet);
	for (size_t i = 0; i < order.n_environment; i++)
		free(environment[i]);
	return length;
}

static int launch(struct supervisor *s, struct waiting *client, struct error *err)
{
	autofree uint8_t *order = NULL;
	size_t length = pack_order(&client->peer, &order);
	autoclose int ours = -1, theirs = -1;
	int ends[2], r;

	if (!length)
		return error_set(err, -ENOMEM, ERROR_INTERNAL,
			"the supervisor's own HOME and XDG directories are too long, or no memory "
			"is left");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, "a socket for the session");
	ours = ends[0];
	theirs = ends[1];
	/* The order lies there before anybody can wait for it. */
	r = supervisor_packet_send(ours, order, length, &client->fd, 1);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "the session's order: %s", strerror(-r));
	r = role_launch(ROLE_SESSION, s->options->state, theirs, err);
	if (r < 0)
		return r;
	r = add(s, &ours, client->user, false);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "watch the session: %s", strerror(-r)) : 0;
}

bool supervisor_is_operator(const struct supervisor_peer *peer)
{
	uid_t user = supervisor_peer_user(peer);

	return user == 0 || user == geteuid();
}

static int count_begin(struct supervisor *s, struct waiting *client, struct error *err)
{
	bool is_operator = supervisor_is_operator(&client->peer);
	unsigned most = is_operator ? SUPERVISOR_SESSIONS_MAX : SUPERVISOR_SESSIONS_OF_USERS;

	if (supervisor_running(s, false) >= most || !free_place(s))
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"the supervisor has %u runs; try again when one has ended", most);
	if (!is_operator && !user_is_trusted(client->user, supervisor_now_ms()))
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"too many requests of yours were refused; try again in a second");
	if (is_operator)
		client->user->sessions++;
	else if (!user_begins(client->user))
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"you have %d runs; try again when one has ended", USER_SESSIONS_MAX);
	return 0;
}

int supervisor_begin(struct supervisor *s, struct waiting *client, struct error *err)
{
	int r = count_begin(s, client, err);

	if (r < 0)
		return r;
	r = launch(s, client, err);
	if (r < 0)
		client->user->sessions--;
	return r;
}

/* ---- those before ---- */

static int adopt_one(void *context, struct run_found *found)
{
	struct supervisor *s = context;
	const struct run_state state = run_state_of(s->options->state);
	struct user *user;

	if (!found->supervised || found->error.code || found->state.inode != state.inode ||
		found->state.device != state.device)
		return 0;
	user = users_find(&s->users, found->uid, supervisor_now_ms());
	if (add(s, &found->outside.init_fd, user, true) < 0)
		return 0;
	/* More than the limit too, where it was another one: they are there. */
	if (user)
		user->sessions++;
	return 0;
}

void supervisor_adopt(struct supervisor *s)
{
	struct error err = {0};
	unsigned count;
	bool more = false;

	if (runs_find("", RUNS_OWN, adopt_one, s, &more, &err) < 0)
		log_line("supervise: runs of an earlier supervisor are not counted: %s", err.text);
	count = supervisor_running(s, true);
	if (count)
		log_line("supervise: %u runs of an earlier supervisor go on", count);
}
