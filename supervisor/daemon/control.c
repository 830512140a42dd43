/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"

#include "wire/effects.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define EVENTS_MAX (CONTROL_CLIENTS_MAX + 1)

static const struct {
	const char *word;
	unsigned posture;
} postures[] = {
	{"open", POSTURE_OPEN},
	{"read-only", POSTURE_READ_ONLY},
	{"frozen", POSTURE_FROZEN},
};

bool control_posture_is_known(unsigned posture)
{
	for (size_t i = 0; i < array_size(postures); i++)
		if (postures[i].posture == posture)
			return true;
	return false;
}

bool control_posture_parse(const char *word, unsigned *ret_posture)
{
	for (size_t i = 0; i < array_size(postures); i++) {
		if (strcmp(postures[i].word, word) == 0) {
			*ret_posture = postures[i].posture;
			return true;
		}
	}
	return false;
}

ProtobufCBinaryData control_bytes(const char *text)
{
	size_t length = strnlen(text, CONTROL_TEXT_MAX);
	ProtobufCBinaryData out = {.data = malloc(length + 1)};

	if (!out.data)
		return out;
	memcpy(out.data, text, length);
	out.len = length;
	return out;
}

/* ---- requests ---- */

static int do_status(const struct control_actions *actions,
	const Berm__Wire__ControlRequest *request, struct error *err)
{
	(void)actions;
	(void)request;
	(void)err;
	return 0;
}

static int do_posture(const struct control_actions *actions,
	const Berm__Wire__ControlRequest *request, struct error *err)
{
	if (!control_posture_is_known(request->posture))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a posture that is set is open, read-only or frozen");
	return actions->posture(actions->context, request->posture, err);
}

/* Everything that can be asked; each is answered with the status afterwards. Who may ask is decided
 * at the door, and is the same for all of them: the owner of the run, and root. */
static const struct {
	Berm__Wire__ControlType type;
	int (*handle)(const struct control_actions *actions,
		const Berm__Wire__ControlRequest *request, struct error *err);
} handlers[] = {
	{BERM__WIRE__CONTROL_TYPE__CONTROL_STATUS, do_status},
	{BERM__WIRE__CONTROL_TYPE__CONTROL_POSTURE, do_posture},
};

static int handle_request(const struct control_actions *actions,
	const Berm__Wire__ControlRequest *request, struct error *err)
{
	if (request->version != CONTROL_VERSION)
		return error_set(err, -EPROTO, ERROR_INPUT,
			"this run speaks version %d of the protocol", CONTROL_VERSION);
	for (size_t i = 0; i < array_size(handlers); i++)
		if (handlers[i].type == request->type)
			return handlers[i].handle(actions, request, err);
	return error_set(err, -ENOSYS, ERROR_INPUT, "this run does not know that request");
}

static size_t pack(const Berm__Wire__ControlReply *reply, uint8_t **ret_packet)
{
	size_t length = berm__wire__control_reply__get_packed_size(reply);
	uint8_t *packet = length > CONTROL_REPLY_MAX ? NULL : malloc(length);

	if (!packet)
		return 0;
	*ret_packet = packet;
	return berm__wire__control_reply__pack(reply, packet);
}

static Berm__Wire__RunStatus *status_of(const struct control_actions *actions)
{
	Berm__Wire__RunStatus *status = malloc(sizeof(*status));

	if (!status)
		return NULL;
	berm__wire__run_status__init(status);
	if (actions->status(actions->context, status) == 0)
		return status;
	berm__wire__run_status__free_unpacked(status, NULL);
	return NULL;
}

/* Memory that ran out or a status that does not fit is an error too, and short enough to be said.
 */
static size_t reply_with(
	const struct control_actions *actions, const struct error *err, uint8_t **ret_reply)
{
	char empty[] = "", too_long[] = "out of memory";
	Berm__Wire__RunStatus *status = err->code ? NULL : status_of(actions);
	Berm__Wire__ControlReply reply;
	size_t length;

	berm__wire__control_reply__init(&reply);
	reply.version = CONTROL_VERSION;
	reply.error = err->code ? -err->code : ENOMEM;
	reply.reason = err->code ? (char *)(uintptr_t)err->text : too_long;
	length = 0;
	if (status) {
		Berm__Wire__ControlReply good = reply;

		good.error = 0;
		good.reason = empty;
		good.status = status;
		length = pack(&good, ret_reply);
		berm__wire__run_status__free_unpacked(status, NULL);
	}
	return length ? length : pack(&reply, ret_reply);
}

size_t control_answer(const struct control_actions *actions, const uint8_t *request, size_t length,
	uint8_t **ret_reply)
{
	Berm__Wire__ControlRequest *read = NULL;
	struct error err = {0};

	if (length > 0 && length <= CONTROL_REQUEST_MAX)
		read = message_read(
			&berm__wire__control_request__descriptor, request, length, CONTROL_BOUNDS);
	if (!read)
		error_set(&err, -EPROTO, ERROR_INPUT, "this is no request");
	else if (handle_request(actions, read, &err) < 0 && !err.code)
		err.code = -EIO;
	if (read)
		berm__wire__control_request__free_unpacked(read, NULL);
	return reply_with(actions, &err, ret_reply);
}

/* ---- the server ---- */

static ino_t user_namespace_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* The owner of the run, or root; never one of the run's own processes, which can have the owner's
 * uid: each run has a user namespace of its own. Root's namespaces cannot be looked at by others,
 * and a run that is not root's has no process with uid 0. */
static bool peer_may_ask(const struct control *control, int fd)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	ino_t namespace;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.pid <= 0)
		return false;
	if (peer.uid != 0 && peer.uid != control->owner)
		return false;
	namespace = user_namespace_of(peer.pid);
	if (!namespace)
		return peer.uid == 0 && geteuid() != 0;
	return namespace == control->own_namespace;
}

static void drop(struct control_client *client)
{
	own_close(&client->fd); /* which takes it out of the epoll set as well */
}

static struct control_client *free_client(struct control *control)
{
	struct control_client *oldest = &control->clients[0];

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->fd < 0)
			return client;
		if (client->order < oldest->order)
			oldest = client;
	}
	drop(oldest);
	return oldest;
}

static void refuse(int fd)
{
	Berm__Wire__ControlReply reply;
	char reason[] = "only the owner of a run and root may ask it, from outside of every run";
	autofree uint8_t *packet = NULL;
	size_t length;

	berm__wire__control_reply__init(&reply);
	reply.version = CONTROL_VERSION;
	reply.error = EACCES;
	reply.reason = reason;
	length = pack(&reply, &packet);
	if (length)
		(void)!send(fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* False where nobody waits. */
static bool accept_one(struct control *control)
{
	autoclose int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_client *client;
	struct epoll_event event = {.events = EPOLLIN};

	if (fd < 0)
		return false;
	if (!peer_may_ask(control, fd)) {
		refuse(fd);
		return true;
	}
	client = free_client(control);
	event.data.u32 = (uint32_t)(client - control->clients);
	if (epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return true;
	client->fd = take_fd(&fd);
	client->order = control->order++;
	return true;
}

/* One request, one answer. A packet that is longer than any request is cut by the kernel, and shown
 * by its length. */
static void serve(struct control *control, struct control_client *client)
{
	uint8_t request[CONTROL_REQUEST_MAX + 1];
	autofree uint8_t *reply = NULL;
	ssize_t n = recv(client->fd, request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	socklen_t size = sizeof(control->asker);
	size_t length;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	control->asker = (struct ucred){0};
	getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &control->asker, &size);
	length = control_answer(control->actions, request, (size_t)n, &reply);
	if (!length ||
		send(client->fd, reply, length, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)length)
		drop(client);
}

void control_asker(const struct control *control, char ret_words[ASKER_BYTES])
{
	snprintf(ret_words, ASKER_BYTES, "uid %u, pid %d", (unsigned)control->asker.uid,
		(int)control->asker.pid);
}

int control_open(struct control *control, int listen_fd, uid_t owner,
	const struct control_actions *actions, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = CONTROL_CLIENTS_MAX};

	*control = (struct control){
		.epoll_fd = -1, .listen_fd = listen_fd, .owner = owner, .actions = actions};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	control->own_namespace = user_namespace_of(getpid());
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (control->epoll_fd < 0)
		return error_errno(err, "epoll_create1");
	if (epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0) {
		error_errno(err, "epoll_ctl");
		own_close(&control->epoll_fd);
		return err ? err->code : -EIO;
	}
	return 0;
}

void control_handle(struct control *control)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(control->epoll_fd, events, EVENTS_MAX, 0);

	/* Those that are there before those that are new: a new one may take an old one's place. */
	for (int i = 0; i < count; i++)
		if (events[i].data.u32 < CONTROL_CLIENTS_MAX)
			serve(control, &control->clients[events[i].data.u32]);
	for (int i = 0; i < count; i++)
		for (int n = 0; events[i].data.u32 == CONTROL_CLIENTS_MAX &&
				n < CONTROL_CLIENTS_MAX && accept_one(control);)
			n++;
}

void control_close(struct control *control)
{
	if (control->epoll_fd < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		drop(&control->clients[i]);
	own_close(&control->epoll_fd);
}
