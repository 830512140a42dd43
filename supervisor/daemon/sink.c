/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sink.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define REOPEN_MS 1000 /* a file that was renamed is noticed after that */
#define FIRST_BACKOFF_MS 1000
#define COMMAND_WORDS_MAX 64

struct sink {
	struct sink_target target;
	char *path;      /* owned */
	char **command;  /* owned, as its words */
	int fd;          /* socket, file or pipe; -1: not open */
	int starter;     /* SINK_EXEC: who starts the program, borrowed; -1: nobody yet */
	uint32_t number; /* its number there */
	dev_t device;    /* SINK_FILE: what fd is */
	ino_t inode;
	uint64_t size; /* SINK_FILE, by what was written here */
	uint64_t looked_ms, retry_ms, backoff_ms;
	struct text waiting; /* messages, each after its length (a size_t) */
	size_t head;         /* in waiting: the first message that was not sent */
	size_t sent;         /* of it */
	uint64_t lost;
};

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

void sink_destroy(struct sink *sink)
{
	if (!sink)
		return;
	own_close(&sink->fd);
	text_finish(&sink->waiting);
	free_words(sink->command);
	free(sink->path);
	free(sink);
}

static int copy_command(struct sink *sink, const char *const *command)
{
	size_t count = 0;

	while (command[count] && count < COMMAND_WORDS_MAX)
		count++;
	sink->command = calloc(count + 1, sizeof(*sink->command));
	for (size_t i = 0; sink->command && i < count; i++) {
		sink->command[i] = strdup(command[i]);
		if (!sink->command[i])
			return -ENOMEM;
	}
	return sink->command && count ? 0 : -ENOMEM;
}

int sink_create(const struct sink_target *target, struct sink **ret_sink, struct error *err)
{
	static const char *const usual[SINK_TYPE_COUNT] = {
		[SINK_JOURNALD] = SINK_JOURNAL_SOCKET, [SINK_SYSLOG] = SINK_SYSLOG_SOCKET};
	const char *path = target->path ? target->path : usual[target->type];
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a sink");
	sink->fd = sink->starter = -1;
	sink->target = *target;
	sink->path = path ? strdup(path) : NULL;
	if ((path && !sink->path) ||
		(target->type == SINK_EXEC && copy_command(sink, target->command) < 0)) {
		sink_destroy(sink);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a sink");
	}
	*ret_sink = sink;
	return 0;
}

void sink_prepare(struct sink *sink)
{
	if (sink->fd < 0 &&
		(sink->target.type == SINK_JOURNALD || sink->target.type == SINK_SYSLOG))
		sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void sink_set_starter(struct sink *sink, int fd, uint32_t number)
{
	sink->starter = fd;
	sink->number = number;
}

const char *sink_file(const struct sink *sink)
{
	return sink->target.type == SINK_FILE ? sink->path : NULL;
}

char *const *sink_command(const struct sink *sink)
{
	return sink->target.type == SINK_EXEC ? sink->command : NULL;
}

size_t sink_waiting(const struct sink *sink)
{
	return sink->waiting.length - sink->head;
}

uint64_t sink_lost(const struct sink *sink)
{
	return sink->lost;
}

/* ---- the places ---- */

/* 0: sent as a whole; -EAGAIN: later; -EMSGSIZE: never. */
static int send_datagram(int fd, const char *path, const struct iovec *data, int passed)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = (struct iovec *)(uintptr_t)data,
		.msg_iovlen = passed < 0 ? 1 : 0};

	if (strlen(path) >= sizeof(address.sun_path))
		return -EMSGSIZE;
	strcpy(address.sun_path, path);
	if (passed >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
	}
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EMSGSIZE ? -EMSGSIZE : -EAGAIN;
}

/* What is too long for a datagram goes as a sealed file (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
static int send_file(int fd, const char *path, const struct iovec *data)
{
	autoclose int file = memfd_create("berm-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (file < 0 || write(file, data->iov_base, data->iov_len) != (ssize_t)data->iov_len ||
		fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
			0)
		return -EAGAIN;
	return send_datagram(fd, path, data, file);
}

static int send_to_socket(struct sink *sink, const struct iovec *data)
{
	int r;

	sink_prepare(sink);
	if (sink->fd < 0)
		return -EAGAIN;
	r = send_datagram(sink->fd, sink->path, data, -1);
	if (r == -EMSGSIZE && sink->target.type == SINK_JOURNALD)
		r = send_file(sink->fd, sink->path, data);
	return r;
}

/* Whoever rotates the file renames it: a new one is begun. */
static int open_file(struct sink *sink, uint64_t now_ms)
{
	struct stat st;

	if (sink->fd >= 0 && now_ms - sink->looked_ms < REOPEN_MS)
		return 0;
	sink->looked_ms = now_ms;
	if (sink->fd >= 0 && stat(sink->path, &st) == 0 && st.st_dev == sink->device &&
		st.st_ino == sink->inode)
		return 0;
	own_close(&sink->fd);
	sink->fd = open(sink->path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (sink->fd < 0 || fstat(sink->fd, &st) < 0)
		return -EAGAIN;
	sink->device = st.st_dev;
	sink->inode = st.st_ino;
	sink->size = (uint64_t)st.st_size;
	return 0;
}

/* What there is becomes PATH.1, that PATH.2, and so on; the oldest goes. renameat(2) is the call
 * that every machine has. */
static void rotate(struct sink *sink)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (int i = SINK_FILES_OLD; i > 0; i--) {
		int n = i > 1 ? snprintf(from, sizeof(from), "%s.%d", sink->path, i - 1)
			      : snprintf(from, sizeof(from), "%s", sink->path);

		if (n >= (int)sizeof(from) ||
			snprintf(to, sizeof(to), "%s.%d", sink->path, i) >= (int)sizeof(to))
			return;
		(void)!renameat(AT_FDCWD, from, AT_FDCWD, to);
	}
	own_close(&sink->fd);
}

/* Open, and small enough to take that many bytes more; a line is never in two files. */
static int make_room(struct sink *sink, size_t bytes, uint64_t now_ms)
{
	int r = open_file(sink, now_ms);

	if (r < 0 || !sink->target.max_bytes || sink->sent > 0 || sink->size == 0 ||
		sink->size + bytes <= sink->target.max_bytes)
		return r;
	rotate(sink);
	return open_file(sink, now_ms);
}

static int start_program(struct sink *sink, uint64_t now_ms)
{
	int ends[2], r;

	if (sink->fd >= 0)
		return 0;
	if (now_ms < sink->retry_ms)
		return -EAGAIN;
	sink->backoff_ms = sink->backoff_ms ? 2 * sink->backoff_ms : FIRST_BACKOFF_MS;
	if (sink->backoff_ms > SINK_BACKOFF_MAX_MS)
		sink->backoff_ms = SINK_BACKOFF_MAX_MS;
	sink->retry_ms = now_ms + sink->backoff_ms;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -EAGAIN;
	r = sink_order_send(sink->starter, sink->number, ends[0]);
	close(ends[0]);
	if (r < 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) {
		close(ends[1]);
		return -EAGAIN;
	}
	sink->fd = ends[1];
	return 0;
}

/* As much as goes; ret_sent is added to. */
static int write_stream(struct sink *sink, const struct iovec *data)
{
	const char *bytes = data->iov_base;

	while (sink->sent < data->iov_len) {
		ssize_t n = write(sink->fd, bytes + sink->sent, data->iov_len - sink->sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return -EAGAIN;
		if (n < 0) {
			/* The program is gone: the next one gets the whole line. */
			if (sink->target.type == SINK_EXEC) {
				own_close(&sink->fd);
				sink->sent = 0;
			}
			return -EAGAIN;
		}
		sink->sent += (size_t)n;
		sink->size += (uint64_t)n;
	}
	sink->backoff_ms = 0;
	return 0;
}

static int send_message(struct sink *sink, const struct iovec *data, uint64_t now_ms)
{
	int r;

	if (sink->target.type == SINK_JOURNALD || sink->target.type == SINK_SYSLOG)
		return send_to_socket(sink, data);
	r = sink->target.type == SINK_FILE ? make_room(sink, data->iov_len, now_ms)
					   : start_program(sink, now_ms);
	return r < 0 ? r : write_stream(sink, data);
}

/* ---- the queue ---- */

static void drop_sent(struct sink *sink)
{
	size_t left = sink_waiting(sink);

	if (left == 0) {
		text_finish(&sink->waiting);
		sink->head = 0;
	} else if (sink->head > SINK_WAITING_MAX / 4) {
		memmove(sink->waiting.data, sink->waiting.data + sink->head, left);
		sink->waiting.length = left;
		sink->head = 0;
	}
}

void sink_turn(struct sink *sink, uint64_t now_ms)
{
	while (sink_waiting(sink) > 0) {
		struct iovec data;
		size_t length;
		int r;

		memcpy(&length, sink->waiting.data + sink->head, sizeof(length));
		data.iov_base = sink->waiting.data + sink->head + sizeof(length);
		data.iov_len = length;
		r = send_message(sink, &data, now_ms);
		if (r == -EAGAIN)
			break;
		sink->lost += r < 0;
		sink->head += sizeof(length) + length;
		sink->sent = 0;
	}
	drop_sent(sink);
}

static bool queue(
	struct sink *sink, const Berm__Wire__Record *record, const struct export_place *place)
{
	autotext struct text message = {0};
	size_t length;

	sink_message(&sink->target, record, place, &message);
	length = message.length;
	if (message.failed || length == 0 ||
		sink_waiting(sink) + sizeof(length) + length > SINK_WAITING_MAX)
		return false;
	text_append(&sink->waiting, (const char *)&length, sizeof(length));
	text_append(&sink->waiting, message.data, length);
	if (!sink->waiting.failed)
		return true;
	/* No memory: what waits is lost, and counted as far as it can be told. */
	text_finish(&sink->waiting);
	sink->waiting = (struct text){0};
	sink->head = sink->sent = 0;
	return false;
}

/* What is missing here, before what follows. */
static bool declare_lost(struct sink *sink, const struct export_place *place)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Loss loss = BERM__WIRE__LOSS__INIT;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	record.has_timestamp = true;
	record.timestamp = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	loss.has_source = loss.has_count = true;
	loss.source = BERM__WIRE__LOSS_SOURCE__LOSS_SINK;
	loss.count = sink->lost;
	record.body_case = BERM__WIRE__RECORD__BODY_LOSS;
	record.loss = &loss;
	if (!queue(sink, &record, place))
		return false;
	sink->lost = 0;
	return true;
}

void sink_give(struct sink *sink, const Berm__Wire__Record *record,
	const struct export_place *place, uint64_t now_ms)
{
	const struct export_place here = {.host = place->host};

	sink_turn(sink, now_ms);
	if ((sink->lost && !declare_lost(sink, &here)) || !queue(sink, record, place))
		sink->lost++;
	sink_turn(sink, now_ms);
}
