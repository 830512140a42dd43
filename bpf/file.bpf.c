// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Open files: opening, reading and writing through them, mapping them, receiving them. */
#include "effect.bpf.h"

#define O_TRUNC_FLAG 01000

/* Until 6.4; user space sets this before loading. */
extern const volatile __u32 splices_ask_twice;

static __always_inline int open_file(struct file *file)
{
	struct inode *inode = file->f_inode;
	struct subject s;
	__u32 need = 0;
	bool counted;
	int r = enter_with_work(&s, METER_HOOK_file_open, 0);

	if (r <= 0)
		return r;
	if ((file->f_mode & FMODE_NOACCOUNT) || is_internal(file->f_path.mnt))
		return 0;
	if (file->f_mode & FMODE_READ)
		need |= METER_RIGHT_READ;
	if ((file->f_mode & FMODE_WRITE) || (file->f_flags & O_TRUNC_FLAG))
		need |= METER_RIGHT_WRITE;
	if (file->f_flags & FMODE_EXEC_FLAG)
		need = METER_RIGHT_MAP_EXEC;
	r = decide(&s, file->f_path.dentry, need);
	if (r)
		return r;
	if (!is_regular(inode))
		return 0;
	counted = !(s.work->walk.rights & METER_RIGHT_SCRATCH);
	if ((need & METER_RIGHT_WRITE) && counted && (s.posture & METER_NO_WRITE))
		return refuse_posture(&s);
	if (counted && ((file->f_mode & FMODE_CREATED) || (file->f_flags & O_TMPFILE_FLAG)))
		mark_created(&s, inode);
	remember(s.work, inode, counted ? FILE_COUNTED : FILE_NOT_COUNTED);
	if (need & METER_RIGHT_WRITE)
		report_activity(&s, file->f_path.dentry);
	return 0;
}

/* What open(2) has made before it is refused stays made, so its charge stands. */
static __always_inline void keep_made(void)
{
	struct subject s;

	if (find_subject(&s, METER_HOOK_file_open) <= 0)
		return;
	s.work = bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, 0);
	if (s.work && s.work->operation.kind == PENDING_MAKE)
		settle(s.work, 0, ~0ULL);
}

HOOK(file_open, file_open, (struct file * file), (file))
{
	int r = open_file(file);

	if (r && (file->f_mode & FMODE_CREATED))
		keep_made();
	return r;
}

/* How much is about to be written: file_permission, which is called next, is not told. */
SEC("?fentry/rw_verify_area")
int BPF_PROG(probe_rw_verify_area, int direction, struct file *file, const loff_t *position,
	size_t count)
{
	struct subject s;

	if (direction == 0 || find_subject(&s, METER_HOOK_rw_verify_area) <= 0)
		return 0;
	prove(s.run, METER_HOOK_rw_verify_area);
	s.work = work_of_current();
	if (!s.work)
		return 0;
	s.work->length_file = (__u64)file;
	s.work->length = count < METER_WRITE_MAX ? count : METER_WRITE_MAX;
	return 0;
}

static __always_inline int count_write(struct subject *s, struct file *file)
{
	struct inode *inode = file->f_inode;
	__u64 length = 0;
	struct pending *p;
	bool announced, nested;
	int r;

	s->work = work_of_current();
	if (!s->work) {
		count_overflow();
		return -EPERM;
	}
	announced = s->work->length_file == (__u64)file;
	if (announced)
		length = s->work->length;
	s->work->length_file = 0;
	if (file_kind(s, file) == FILE_NOT_COUNTED)
		return 0;
	if (s->posture & METER_NO_WRITE)
		return refuse_posture(s);
	/* Until 6.4 splicing into a file asks once for the whole and again for each part. */
	p = &s->work->operation;
	nested = splices_ask_twice && p->kind == PENDING_WRITE && p->object == (__u64)file;
	if (!nested) {
		p = begin(s, PENDING_WRITE);
		p->object = (__u64)file;
	}
	p->unannounced = !announced && !p->bytes;
	/* A file without a name can hurt nobody until it gets one: then it is counted as made. */
	r = inode->i_nlink ? touch_for(s, p, inode) : 0;
	if (r || length <= p->bytes)
		return r;
	r = charge_for(s, METER_BYTES_WRITTEN, length - p->bytes);
	if (!r)
		p->bytes = length;
	return r;
}

HOOK(file_permission, file_permission, (struct file * file, int mask), (file, mask))
{
	struct inode *inode = file->f_inode;
	struct subject s;
	int r = enter(&s, METER_HOOK_file_permission, 0);

	if (r <= 0)
		return r;
	if (!(mask & MAY_WRITE))
		return 0;
	if (is_regular(inode))
		return count_write(&s, file);
	/* Until 6.5 sendfile and splice reached a socket without asking socket_sendmsg. */
	if ((s.posture & METER_NO_NETWORK) && (inode->i_mode & S_IFMT) == S_IFSOCK) {
		struct socket *socket = bpf_sock_from_file(file);
		struct sock *sk = socket ? socket->sk : 0;

		if (sk && sk->__sk_common.skc_family != AF_UNIX)
			return refuse_posture(&s);
	}
	return 0;
}

/* The end of a write: only what was really written stays charged. */
static __always_inline int write_ended(__u32 hook, __u64 file, __s64 written)
{
	struct subject s;
	struct pending *p;

	if (find_subject(&s, hook) <= 0)
		return 0;
	prove(s.run, hook);
	s.work = bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, 0);
	if (!s.work || s.work->operation.kind != PENDING_WRITE)
		return 0;
	p = &s.work->operation;
	if (file && p->object != file)
		return 0;
	if (p->unannounced && file && written > 0)
		account_only(s.slot, METER_BYTES_WRITTEN, written, hook);
	settle(s.work, written < 0, written);
	return 0;
}

SEC("?fexit/vfs_write") int BPF_PROG(probe_vfs_write, struct file *file)
{
	return write_ended(METER_HOOK_vfs_write, (__u64)file, result_of(ctx));
}

SEC("?fexit/vfs_writev") int BPF_PROG(probe_vfs_writev, struct file *file)
{
	return write_ended(METER_HOOK_vfs_writev, (__u64)file, result_of(ctx));
}

SEC("?fexit/do_splice")
int BPF_PROG(probe_do_splice, struct file *in, loff_t *off_in, struct file *out)
{
	return write_ended(METER_HOOK_do_splice, (__u64)out, result_of(ctx));
}

SEC("?fexit/do_sendfile") int probe_do_sendfile(void *ctx)
{
	return write_ended(METER_HOOK_do_sendfile, 0, result_of(ctx));
}

SEC("?fexit/vfs_copy_file_range")
int BPF_PROG(probe_vfs_copy_file_range, struct file *in, loff_t position, struct file *out)
{
	return write_ended(METER_HOOK_vfs_copy_file_range, (__u64)out, result_of(ctx));
}

/* Asynchronous writes end elsewhere: what was submitted stays charged, and nothing is left to be
 * given back. */
SEC("?fexit/aio_write")
int probe_aio_write(void *ctx)
{
	return ended(METER_HOOK_aio_write, PENDING_WRITE, false);
}

/* Received descriptors: as if the file had been opened here. */
HOOK(file_receive, file_receive, (struct file * file), (file))
{
	struct inode *inode = file->f_inode;
	struct subject s;
	__u32 need = 0;
	int r = enter_with_work(&s, METER_HOOK_file_receive, 0);

	if (r <= 0)
		return r;
	if ((inode->i_mode & S_IFMT) == S_IFSOCK) {
		struct socket *socket = bpf_sock_from_file(file);
		struct sock *sk = socket ? socket->sk : 0;

		/* A socket keeps the network rules of whoever made it. */
		if (sk && sk->__sk_common.skc_family != AF_UNIX &&
			sk->sk_cgrp_data.cgroup->kn->id != s.run->cgroup_id)
			return refuse_as(&s, METER_DENIAL, 0, -EPERM);
		return 0;
	}
	if ((file->f_mode & FMODE_PATH) || is_internal(file->f_path.mnt))
		return 0;
	if (file->f_mode & FMODE_READ)
		need |= METER_RIGHT_READ;
	if (file->f_mode & FMODE_WRITE)
		need |= METER_RIGHT_WRITE;
	return decide(&s, file->f_path.dentry, need);
}

/* ioctl(2) on files and directories: what only looks is let through, what changes a file is
 * refused, and the rest gets the answer of a file system that never heard of it. */
static __always_inline int file_command(unsigned int command)
{
	switch (command) {
	case 0x5401:     /* TCGETS: isatty(3) */
	case 0x5413:     /* TIOCGWINSZ */
	case 0x540f:     /* TIOCGPGRP */
	case 0x541b:     /* FIONREAD */
	case 0x5421:     /* FIONBIO */
	case 0x5450:     /* FIONCLEX */
	case 0x5451:     /* FIOCLEX */
	case 0x5452:     /* FIOASYNC */
	case 0x5460:     /* FIOQSIZE */
	case 2:          /* FIGETBSZ */
	case 0xc020660b: /* FS_IOC_FIEMAP */
	case 0x80086601: /* FS_IOC_GETFLAGS */
	case 0x80087601: /* FS_IOC_GETVERSION */
	case 0x801c581f: /* FS_IOC_FSGETXATTR */
	case 0x80081272: /* BLKGETSIZE64 */
		return 0;
	case 0x40049409: /* FICLONE */
	case 0x4020940d: /* FICLONERANGE */
	case 0xc0189436: /* FIDEDUPERANGE */
		/* Copies without a length that a hook could see; every caller falls back on this
		 * answer. */
		return -EOPNOTSUPP;
	case 0x40086602: /* FS_IOC_SETFLAGS */
	case 0x40087602: /* FS_IOC_SETVERSION */
	case 0x401c5820: /* FS_IOC_FSSETXATTR */
	case 0xc0185879: /* FITRIM */
	case 0xc028660f: /* EXT4_IOC_MOVE_EXT */
	case 0x6611:     /* EXT4_IOC_SWAP_BOOT */
		return -EPERM;
	}
	return -ENOTTY;
}

HOOK(file_ioctl, file_ioctl, (struct file * file, unsigned int command, unsigned long argument),
	(file, command, argument))
{
	struct inode *inode = file->f_inode;
	struct subject s;
	int r = enter(&s, METER_HOOK_file_ioctl, 0);

	if (r <= 0)
		return r;
	if (!is_regular(inode) && !is_directory(inode))
		return 0;
	if (is_internal(file->f_path.mnt))
		return 0;
	r = file_command(command);
	if (r == 0 || r == -ENOTTY)
		return r;
	return refuse_as(&s, r == -EPERM ? METER_DENIAL : METER_QUIET, 0, r);
}
