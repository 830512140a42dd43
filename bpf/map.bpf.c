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

/* The file of a mapping, read as numbers: what fexit programs get as a result has no type. */
static __always_inline bool shared_file_of(
	const struct vm_area_struct *area, struct meter_seen_key *key)
{
	struct super_block *super = 0;
	struct inode *inode = 0;
	struct file *file = 0;
	unsigned long flags = 0;
	umode_t mode = 0;
	__u32 device = 0;

	bpf_core_read(&flags, sizeof(flags), &area->vm_flags);
	if ((flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return false;
	bpf_core_read(&file, sizeof(file), &area->vm_file);
	if (!file)
		return false;
	bpf_core_read(&inode, sizeof(inode), &file->f_inode);
	bpf_core_read(&mode, sizeof(mode), &inode->i_mode);
	if ((mode & S_IFMT) != S_IFREG)
		return false;
	bpf_core_read(&super, sizeof(super), &inode->i_sb);
	bpf_core_read(&device, sizeof(device), &super->s_dev);
	bpf_core_read(&key->generation, sizeof(key->generation), &inode->i_generation);
	bpf_core_read(&key->high, sizeof(key->high), &inode->i_ino);
	key->kind = METER_SEEN_FILE;
	key->low = device;
	return true;
}

/* True for a file that counts: the run was charged for it when it was mapped. Where the run's
 * memory of files is full, for every file. */
static __always_inline bool is_known(__u32 slot, struct meter_seen_key *key)
{
	struct meter_account *account = bpf_map_lookup_elem(&accounts, &slot);
	void *set = bpf_map_lookup_elem(&seen, &slot);

	return !set || !account || account->untracked || bpf_map_lookup_elem(set, key);
}

/* mremap(2): a shared writable mapping grows, and no hook sees what is stored there. It is charged
 * like one more mapping. Nothing can be refused here: where the charge is, the process is killed
 * before its call returns. */
static __always_inline int grown(
	__u32 hook, const struct vm_area_struct *area, __u64 before, __u64 length)
{
	struct meter_seen_key key = {};
	struct subject s;

	if (find_subject(&s, hook) <= 0)
		return 0;
	prove(s.run, hook);
	if (length <= before || is_error(area) || !shared_file_of(area, &key) ||
		!is_known(s.slot, &key))
		return 0;
	s.posture = posture_of(s.run);
	if (s.posture & METER_NO_WRITE)
		refuse_posture(&s);
	else if (!charge(s.slot, METER_BYTES_WRITTEN, length - before, hook))
		return 0;
	bpf_send_signal(SIGKILL);
	return 0;
}

SEC("?fexit/vma_to_resize")
int BPF_PROG(probe_vma_to_resize, unsigned long address, unsigned long before, unsigned long length)
{
	return grown(METER_HOOK_vma_to_resize, (const void *)result_of(ctx), before, length);
}

SEC("?fexit/check_prep_vma") int BPF_PROG(probe_check_prep_vma, struct vma_remap_struct *remap)
{
	struct vm_area_struct *area = 0;
	unsigned long before = 0, length = 0;

	if (result_of(ctx))
		return 0;
	bpf_core_read(&area, sizeof(area), &remap->vma);
	bpf_core_read(&before, sizeof(before), &remap->old_len);
	bpf_core_read(&length, sizeof(length), &remap->new_len);
	return grown(METER_HOOK_check_prep_vma, area, before, length);
}
