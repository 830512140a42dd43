/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Who is at the other end of a supervisor's connection, and what came with a packet. */

struct supervisor_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uid_t login_uid; /* who logged in, where that is root now; 0: nobody else */
};

/* As it was when it connected (SO_PEERCRED). */
int supervisor_peer_read(int fd, struct supervisor_peer *ret_peer, struct error *err) must_check;
/* May it ask at all? A process inside of a run or a container is refused (kind REFUSED), so is one
 * of another user namespace, which can have thousands of uids of its own, and one without a user
 * here. Fills login_uid. Where the kernel has SO_PEERPIDFD (6.5) a number that was used again is
 * never taken for the one who connected. */
int supervisor_peer_check(int fd, struct supervisor_peer *peer, struct error *err) must_check;
/* The user that a peer's requests count for. */
uid_t supervisor_peer_user(const struct supervisor_peer *peer);

#define SUPERVISOR_DESCRIPTORS_MAX 4

/* Look at the packet that lies first in a connection and leave it there: no descriptor that came
 * with it becomes one of this process. Whoever has somebody else's descriptor also closes it, and
 * a file system or a socket of theirs can keep that from returning for ever. 1; 0: nothing is
 * there; -EPIPE: nothing more will come; -EPROTO: it is longer than size. */
int supervisor_packet_peek(int fd, uint8_t *bytes, size_t size, size_t *ret_length,
	bool *ret_has_descriptors) must_check;

/* One packet with the descriptors that came with it. Zero is no valid state. */
struct supervisor_packet {
	size_t length;
	int fds[SUPERVISOR_DESCRIPTORS_MAX]; /* owned; -1: none */
	unsigned count;
};

/* Take a packet of at most size bytes. 1; 0: nothing is there; -EPIPE: nothing more will come;
 * -EPROTO: too long, too many descriptors, or anything else beside it. With an error there are no
 * descriptors. */
int supervisor_packet_receive(
	int fd, uint8_t *bytes, size_t size, struct supervisor_packet *ret_packet) must_check;
void supervisor_packet_finish(struct supervisor_packet *packet);
/* Send one with descriptors (borrowed); -errno. */
int supervisor_packet_send(
	int fd, const uint8_t *bytes, size_t length, const int *fds, unsigned count) must_check;

/* True for an end of a pipe without a name that can be read from: it carries bytes, and no file
 * system of anybody's is behind it. */
bool supervisor_is_pipe(int fd);
/* True for what a tool may get from somebody else: a pipe or FIFO, a terminal, /dev/null and its
 * like, open in the way that it needs. Whatever else it is could be more than data: a directory
 * leads out of the walls, a socket to other hosts or to more descriptors, a file can be executed.
 */
bool supervisor_stdio_is_plain(int fd, bool is_input);
