/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/internal.h"

#include <string.h>
#include <unistd.h>

/* All that an iterator writes; *ret_bytes is the caller's to free, also after a failure. */
static int read_list(
	int program_fd, bool own_files, char **ret_bytes, size_t *ret_used, struct error *err)
{
	/* Of a process, its descriptors; else every task (6.1: bpf_iter_link_info.task). */
	union bpf_iter_link_info whose = {.task = {.tid = (uint32_t)getpid()}};
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = own_files ? &whose : NULL,
		.iter_info_len = own_files ? sizeof(whose) : 0);
	autoclose int link_fd = bpf_link_create(program_fd, 0, BPF_TRACE_ITER, &options);
	autoclose int fd = link_fd < 0 ? -1 : bpf_iter_create(link_fd);
	size_t capacity = 0;

	*ret_bytes = NULL;
	*ret_used = 0;
	for (;;) {
		ssize_t got;

		if (capacity - *ret_used < 4096) {
			char *larger;

			capacity = capacity ? capacity * 2 : 16384;
			larger = realloc(*ret_bytes, capacity);
			if (!larger)
				return error_errno(err, "read a list of the kernel");
			*ret_bytes = larger;
		}
		got = read(fd, *ret_bytes + *ret_used, capacity - *ret_used);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return error_errno(err, "read a list of the kernel");
		if (got == 0)
			return 0;
		*ret_used += (size_t)got;
	}
}

int inodes_read(const struct meter *meter, struct inode_list *ret_list, struct error *err)
{
	autofree char *bytes = NULL;
	size_t used;
	int r;

	memset(ret_list, 0, sizeof(*ret_list));
	if (meter->make != METER_MAKE_FMOD_RET)
		return 0;
	r = read_list(meter->list_fd[METER_LIST_INODES], true, &bytes, &used, err);
	if (r)
		return r;
	ret_list->items = malloc(used + 1);
	if (!ret_list->items)
		return error_errno(err, "list the open inodes");
	memcpy(ret_list->items, bytes, used);
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

int tasks_read(const struct meter *meter, struct meter_task **ret_tasks, size_t *ret_count,
	struct error *err)
{
	autofree char *bytes = NULL;
	size_t used;
	int r = read_list(meter->list_fd[METER_LIST_TASKS], false, &bytes, &used, err);

	if (r)
		return r;
	*ret_tasks = malloc(used + 1);
	if (!*ret_tasks)
		return error_errno(err, "list the tasks of runs");
	if (used > 0)
		memcpy(*ret_tasks, bytes, used);
	*ret_count = used / sizeof(**ret_tasks);
	return 0;
}
