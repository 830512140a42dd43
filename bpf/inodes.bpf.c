// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Where the inodes of a process's open files are in memory: an inode that is held open stays there,
 * so its address tells it apart from every other one, on every file system, for as long as it is
 * held. */
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
