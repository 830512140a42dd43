// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the supervisor asks the kernel for, by iterators. */
#include "kernel.bpf.h"

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

/* Where the inodes of a process's open files are in memory: an inode that is held open stays there,
 * so its address tells it apart from every other one, on every file system, for as long as it is
 * held. */
SEC("?iter/task_file") int list_inodes(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct meter_open_inode entry = {};

	if (!file)
		return 0;
	entry.fd = ctx->fd;
	entry.inode = (__u64)file->f_inode;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

/* Whose tasks are alive: the identity of each task that has one. */
SEC("?iter/task") int list_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct meter_task *its;
	struct meter_task entry;

	if (!task)
		return 0;
	its = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!its)
		return 0;
	entry = *its;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}
