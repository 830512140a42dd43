// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Mappings: a shared writable one is the last that is seen of its writes, so its whole length is
 * charged when it is made or made writable; an executable one is a way to run code. */
#include "effect.bpf.h"

SEC("?fentry/vm_mmap_pgoff")
int BPF_PROG(probe_vm_mmap_pgoff, struct file *file, unsigned long address, unsigned long length)
{
	struct subject s;

	if (!file || find_subject(&s, METER_HOOK_vm_mmap_pgoff) <= 0)
		return 0;
	prove(s.run, METER_HOOK_vm_mmap_pgoff);
	s.work = work_of_current();
	if (s.work)
		s.work->map_length = length;
	return 0;
}

/* overlayfs puts the file of its layer into a mapping. Whose name that is under cannot be found
 * from there, so it counts as what it is: one more file. */
static __always_inline bool is_of_layer(const struct file *file)
{
	return file->f_mode & FMODE_NOACCOUNT;
}

static __always_inline int charge_mapping(struct subject *s, struct file *file, __u64 length)
{
	struct inode *inode = file->f_inode;
	struct pending *p;
	int r;

	if (!is_regular(inode))
		return 0;
	if (!is_of_layer(file) && file_kind(s, file) == FILE_NOT_COUNTED)
		return 0;
	if (s->posture & METER_NO_WRITE)
		return refuse_posture(s);
	p = begin(s, PENDING_MAP);
	p->object = (__u64)file;
	r = inode->i_nlink ? touch_for(s, p, inode) : 0;
	if (r)
		return r;
	r = charge_for(s, METER_BYTES_WRITTEN, length);
	if (!r)
		p->bytes = length;
	return r;
}

/* Whether there is a file at all. Asked of a number, since the verifier of 6.12 takes an argument
 * for never NULL. */
static __always_inline bool is_there(struct work *work, struct file *file)
{
	volatile __u64 *pointer = &work->pointer;

	*pointer = (__u64)file;
	return *pointer != 0;
}

static __always_inline int may_execute_mapping(struct subject *s, struct file *file)
{
	/* Where a layer's file is mapped, what may be executed was asked when it was mapped so. */
	if (s->run->scope && is_there(s->work, file) && is_of_layer(file))
		return refuse_as(s, METER_DENIAL, 0, -EPERM);
	if (!is_there(s->work, file) || is_internal(file->f_path.mnt)) {
		if (s->run->flags & METER_RUN_NO_ANON_EXEC)
			return refuse_as(s, METER_DENIAL, 0, -EPERM);
		return 0;
	}
	return decide(s, file->f_path.dentry, METER_RIGHT_MAP_EXEC);
}

static __always_inline int on_mmap(struct file *file, unsigned long protection, unsigned long flags)
{
	__u64 type = flags & MAP_TYPE, length;
	struct subject s;
	int r;

	/* Ordinary memory is most of the calls. */
	if (!(protection & PROT_EXEC)) {
		barrier(); /* else the compiler ors this with the pointer, and the verifier minds */
		if (!file)
			return 0;
	}
	r = enter_with_work(&s, METER_HOOK_mmap_file, 0);
	if (r <= 0)
		return r;
	length = s.work->map_length;
	s.work->map_length = 0;
	if (protection & PROT_EXEC) {
		r = may_execute_mapping(&s, file);
		if (r)
			return r;
	}
	if (!(protection & PROT_WRITE) || (type != MAP_SHARED && type != MAP_SHARED_VALIDATE))
		return 0;
	if (!is_there(s.work, file))
		return 0;
	return charge_mapping(&s, file, length);
}

SEC("?lsm/mmap_file")
int BPF_PROG(lsm_mmap_file, struct file *file, unsigned long asked, unsigned long protection,
	unsigned long flags)
{
	return verdict(on_mmap(file, protection, flags));
}

/* The function gets what the caller asked for, the hook what personality(2) made of it;
 * READ_IMPLIES_EXEC is refused by seccomp. */
SEC("?fmod_ret/security_mmap_file")
int BPF_PROG(mod_mmap_file, struct file *file, unsigned long protection, unsigned long flags)
{
	return verdict(on_mmap(file, protection, flags));
}

SEC("?fexit/vm_mmap_pgoff") int probe_vm_mmap_pgoff_done(void *ctx)
{
	return ended(METER_HOOK_vm_mmap_pgoff_done, PENDING_MAP, is_error(result_of(ctx)));
}

HOOK(file_mprotect, file_mprotect,
	(struct vm_area_struct * area, unsigned long asked, unsigned long protection),
	(area, asked, protection))
{
	struct file *file = area->vm_file;
	unsigned long flags = area->vm_flags;
	struct subject s;
	bool executes = (protection & PROT_EXEC) && !(flags & VM_EXEC);
	bool writes = (protection & PROT_WRITE) && (flags & VM_SHARED) && !(flags & VM_WRITE);
	int r;

	if (!executes && !writes)
		return 0;
	r = enter_with_work(&s, METER_HOOK_file_mprotect, 0);
	if (r <= 0)
		return r;
	if (executes) {
		r = may_execute_mapping(&s, file);
		if (r)
			return r;
	}
	if (!writes || !is_there(s.work, file))
		return 0;
	r = charge_mapping(&s, file, area->vm_end - area->vm_start);
	/* Nothing tells how mprotect(2) ends: the charge stands. */
	if (!r)
		settle(s.work, 0, ~0ULL);
	return r;
}
