/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/internal.h"

#include <string.h>
#include <unistd.h>

/* Run the iterator over this process's descriptors (6.1: bpf_iter_link_info.task). */
static int open_iterator(const struct meter *meter, struct error *err)
{
	union bpf_iter_link_info whose = {.task = {.tid = (uint32_t)getpid()}};
	LIBBPF_OPTS(
		bpf_link_create_opts, options, .iter_info = &whose, .iter_info_len = sizeof(whose));
	autoclose int link_fd = bpf_link_create(meter->inodes_fd, 0, BPF_TRACE_ITER, &options);
	int fd = link_fd < 0 ? -1 : bpf_iter_create(link_fd);

	return fd < 0 ? error_errno(err, "list the open inodes") : fd;
}

int inodes_read(const struct meter *meter, struct inode_list *ret_list, struct error *err)
{
	autoclose int fd = -1;
	size_t used = 0, capacity = 0;

	memset(ret_list, 0, sizeof(*ret_list));
	if (meter->make != METER_MAKE_FMOD_RET)
		return 0;
	fd = open_iterator(meter, err);
	if (fd < 0)
		return fd;
	for (;;) {
		struct meter_open_inode *larger;
		ssize_t got;

		if (capacity - used < 4096) {
			capacity = capacity ? capacity * 2 : 16384;
			larger = realloc(ret_list->items, capacity);
			if (!larger)
				return error_errno(err, "list the open inodes");
			ret_list->items = larger;
		}
		got = read(fd, (char *)ret_list->items + used, capacity - used);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return error_errno(err, "list the open inodes");
		if (got == 0)
			break;
		used += (size_t)got;
	}
	ret_list->count = used / sizeof(*ret_list->items);
	return 0;
}

uint64_t inodes_find(const struct inode_list *list, int fd)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].fd == (uint32_t)fd)
			return list->items[i].inode;
	return 0;
}

void inodes_finish(struct inode_list *list)
{
	free(list->items);
	memset(list, 0, sizeof(*list));
}
