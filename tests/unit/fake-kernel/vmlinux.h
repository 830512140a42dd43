/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Just enough of a kernel to compile bpf/names.bpf.c for user space, where a test can feed it. */

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define __VMLINUX_H__
struct dentry {
	void *d_inode;
};
struct task_struct;
