/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* First header of every program: the kernel's types, and where they differ between versions. */

/* vmlinux.h declares everything and must come before the helpers. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps.bpf.h"

/* Values that the kernel's type information does not hold: macros of the kernel and the C library.
 */
#define EPERM 1
#define ENOENT 2
#define EAGAIN 11
#define EEXIST 17
#define EXDEV 18
#define EINVAL 22
#define ENOTTY 25
#define EOPNOTSUPP 95
#define MAX_ERRNO 4095
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define S_IFLNK 0120000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define FMODE_READ 0x1 /* fs.h */
#define FMODE_WRITE 0x2
#define FMODE_EXEC_FLAG 0x20 /* __FMODE_EXEC, in f_flags */
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define FMODE_NOACCOUNT 0x20000000 /* opened by overlayfs and the like for themselves */
#define O_TMPFILE_FLAG 020000000   /* __O_TMPFILE */
#define MAY_EXEC 1
#define MAY_WRITE 2
#define MAY_READ 4
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_TYPE 0xf
#define MAP_SHARED 1
#define MAP_SHARED_VALIDATE 3
#define VM_WRITE 2
#define VM_EXEC 4
#define VM_SHARED 8
#define CLONE_THREAD 0x10000
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#define S_SETID 06000
#define SOCK_STREAM 1 /* linux/net.h */
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SIGKILL 9
#define MNT_NS_INTERNAL (-22L) /* fs/mount.h: ERR_PTR(-EINVAL) */

#define is_error(pointer) ((unsigned long)(pointer) >= (unsigned long)-MAX_ERRNO)

/* Whether a dentry stands for something. Asked of a number, not of the pointer: the verifier of 6.9
 * to 6.12 takes d_inode of a trusted dentry for never NULL and drops the test. */
static __always_inline bool is_positive(struct dentry *dentry)
{
	unsigned long inode = 0;

	bpf_core_read(&inode, sizeof(inode), &dentry->d_inode);
	return inode != 0;
}

/* What the function of an fexit program returned, whatever its arguments are on this kernel. */
static __always_inline __s64 result_of(void *ctx)
{
	__u64 result = 0;

	bpf_get_func_ret(ctx, &result);
	return result;
}

/* What a hook may return. Since 6.12 the verifier wants proof of it (bpf_lsm_get_retval_range). */
static __always_inline int verdict(int result)
{
	barrier_var(result);
	if (result > 0 || result < -MAX_ERRNO)
		return -EPERM;
	return result;
}

/* One body, two attachments. lsm/ fires where "bpf" is in the list of LSMs; fmod_ret runs before
 * the LSMs wherever the function is there, and never when it is skipped: user space loads exactly
 * one of the two. */
#define UNPAREN(...) __VA_ARGS__
#define HOOK(lsm, security, parameters, arguments)                                                 \
	static __always_inline int on_##lsm parameters;                                            \
	SEC("?lsm/" #lsm) int BPF_PROG(lsm_##lsm, UNPAREN parameters)                              \
	{                                                                                          \
		return verdict(on_##lsm arguments);                                                \
	}                                                                                          \
	SEC("?fmod_ret/security_" #security) int BPF_PROG(mod_##lsm, UNPAREN parameters)           \
	{                                                                                          \
		return verdict(on_##lsm arguments);                                                \
	}                                                                                          \
	static __always_inline int on_##lsm parameters
