/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs of the host. The driver listens on each of the sockets and counts the bytes that
 * arrive. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stddef.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static socklen_t fill(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (length >= sizeof(address->sun_path))
		length = sizeof(address->sun_path) - 1;
	memcpy(address->sun_path, path, length);
	/* "@name" is an abstract socket, as in the lists of ss(8). */
	if (path[0] == '@') {
		address->sun_path[0] = '\0';
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	}
	return (socklen_t)sizeof(*address);
}

static void talk_to(const char *path)
{
	static const int types[] = {
		SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM | SOCK_NONBLOCK};
	struct sockaddr_un address;
	socklen_t length = fill(&address, path);

	for (size_t i = 0; i < array_size(types); i++) {
		autoclose int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

		if (fd < 0) {
			note("socket: %s", strerror(errno));
			continue;
		}
		if (connect(fd, (struct sockaddr *)&address, length))
			note("connect %s: %s", path, strerror(errno));
		else if (send(fd, "ESCAPED", 7, MSG_NOSIGNAL) < 0)
			note("send: %s", strerror(errno));
		if (sendto(fd, "ESCAPED", 7, MSG_NOSIGNAL, (struct sockaddr *)&address, length) < 0)
			note("sendto: %s", strerror(errno));
	}
}

/* One end of a pair needs no socket(2) and can still have another peer. */
static void talk_by_pair(const char *path)
{
	static const int types[] = {SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOCK_SEQPACKET};
	struct sockaddr_un address;
	socklen_t length = fill(&address, path);

	for (size_t i = 0; i < array_size(types); i++) {
		int ends[2];

		if (socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends)) {
			note("socketpair: %s", strerror(errno));
			continue;
		}
		if (sendto(ends[0], "ESCAPED", 7, MSG_NOSIGNAL, (struct sockaddr *)&address,
			    length) < 0)
			note("sendto: %s", strerror(errno));
		close(ends[1]);
		if (connect(ends[0], (struct sockaddr *)&address, length))
			note("connect %s: %s", path, strerror(errno));
		else if (send(ends[0], "ESCAPED", 7, MSG_NOSIGNAL) < 0)
			note("send: %s", strerror(errno));
		close(ends[0]);
	}
}

/* A socket by way of a descriptor: the path that the kernel sees is a magic link. */
static void talk_by_link(const char *path)
{
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	char link[64];

	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	talk_to(link);
}

/* I01: the socket lies in a grant, where a read-only mount does not stop connect(). */
static void granted_socket(void)
{
	talk_to(target("SOCKET"));
	talk_by_pair(target("SOCKET"));
	talk_by_link(target("SOCKET"));
}

static void hidden_sockets(void)
{
	static const char *const keys[] = {"SOCKET1", "SOCKET2", "SOCKET3"};

	for (size_t i = 0; i < array_size(keys); i++)
		if (target_or(keys[i], NULL)) {
			talk_to(target(keys[i]));
			talk_by_link(target(keys[i]));
		}
}

static void abstract_socket(void)
{
	talk_to(target("SOCKET"));
}

union semun {
	int value;
	struct semid_ds *buffer;
};

/* System V objects have no path, but the kernel's table of them can be walked by position. */
static void system_v(void)
{
	struct {
		long type;
		char text[128];
	} message;
	struct shmid_ds memory_state;
	struct msqid_ds queue_state;
	struct semid_ds semaphore_state;

	for (int position = 0; position < 1024; position++) {
		int id = shmctl(position, SHM_STAT, &memory_state);
		void *memory = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);

		if (memory != (void *)-1) {
			proof("shared memory %d: %.64s", id, (const char *)memory);
			shmdt(memory);
		}
		memset(&message, 0, sizeof(message));
		id = msgctl(position, MSG_STAT, &queue_state);
		if (id >= 0 && msgrcv(id, &message, sizeof(message.text) - 1, 0,
				       IPC_NOWAIT | MSG_NOERROR) > 0)
			proof("message queue %d: %s", id, message.text);
		if (semctl(position, 0, SEM_STAT, (union semun){.buffer = &semaphore_state}) >= 0)
			proof("semaphores at %d", position);
	}
}

static void posix_objects(void)
{
	mqd_t queue = mq_open(target("QUEUE"), O_RDONLY | O_NONBLOCK);
	char bytes[8192] = "";
	int fd = shm_open(target("SHM"), O_RDONLY, 0);

	if (queue != (mqd_t)-1) {
		if (mq_receive(queue, bytes, sizeof(bytes) - 1, NULL) > 0)
			proof("message: %s", bytes);
		mq_close(queue);
	}
	spill(fd);
}

const struct technique ipc_techniques[] = {
	{"I01", "granted-socket", "supervisor", granted_socket},
	{"I02", "hidden-sockets", "mount namespace", hidden_sockets},
	{"I04", "abstract-socket", "network namespace, landlock", abstract_socket},
	{"I05", "system-v", "ipc namespace", system_v},
	{"I05", "posix-objects", "ipc namespace, mounts", posix_objects},
	{0},
};
