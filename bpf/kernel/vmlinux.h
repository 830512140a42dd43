/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

/* The kernel's structures, as far as the programs look into them. Where a field really is on the
 * kernel that runs is found out when the programs are loaded (CO-RE), so neither the order nor what
 * is left out matters, and nothing is asked of the machine that builds. Values that the kernel
 * promises to user space come from its headers. A field that some version keeps in a nameless union
 * (f_path since 6.18, i_nlink on all) is found by its name. */

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

typedef __s64 s64;
typedef __u64 u64;
typedef __u32 u32;
typedef long long loff_t;
typedef unsigned long size_t;
typedef unsigned short umode_t;
typedef _Bool bool;
enum { false = 0, true = 1 };

/* Handed on, never looked into. */
struct iattr;
struct kernel_siginfo;
struct fown_struct;
struct mnt_namespace;
struct msghdr;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cred {
	int usage;
};

struct task_struct {
	const struct cred *real_cred;
	const struct cred *cred;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	umode_t i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_generation;
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	int mnt_flags;
};

struct mount {
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct inode *f_inode;
	struct path f_path;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	struct file *vm_file;
};

/* mremap(2), since 6.15. */
struct vma_remap_struct {
	unsigned long old_len;
	unsigned long new_len;
	struct vm_area_struct *vma;
};

struct linux_binprm {
	struct file *file;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock_common {
	unsigned short skc_family;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
};

struct socket {
	struct sock *sk;
};

struct unix_sock {
	struct sock sk;
	struct path path;
};

#pragma clang attribute pop

#endif
