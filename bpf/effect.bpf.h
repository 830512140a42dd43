/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Charging effects on files: which files count, each of them once a run. */

#include "walk.bpf.h"

static __always_inline void seen_key_of(struct meter_seen_key *key, struct inode *inode)
{
	key->kind = METER_SEEN_FILE;
	key->generation = inode->i_generation;
	key->high = inode->i_ino;
	key->low = inode->i_sb->s_dev;
}

/* A mount that no user can reach by path: pipes, sockets, memfd, and the layers that overlayfs
 * opens for itself. */
static __always_inline bool is_internal(struct vfsmount *vfsmount)
{
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct mnt_namespace *namespace = 0;

	bpf_core_read(&namespace, sizeof(namespace), &mount->mnt_ns);
	return (long)namespace == MNT_NS_INTERNAL;
}

static __always_inline bool is_regular(const struct inode *inode)
{
	return (inode->i_mode & S_IFMT) == S_IFREG;
}

static __always_inline bool is_directory(const struct inode *inode)
{
	return (inode->i_mode & S_IFMT) == S_IFDIR;
}

static __always_inline struct known_file *known_place(struct work *work, const struct inode *inode)
{
	return &work->known[inode->i_ino & (KNOWN_FILES - 1)];
}

static __always_inline void remember(struct work *work, struct inode *inode, __u32 flags)
{
	struct known_file *known = known_place(work, inode);

	known->inode = (__u64)inode;
	known->number = inode->i_ino;
	known->generation = inode->i_generation;
	known->flags = flags;
}

/* FILE_COUNTED or FILE_NOT_COUNTED for an open regular file. */
static __always_inline __u32 file_kind(struct subject *s, struct file *file)
{
	struct inode *inode = file->f_inode;
	struct known_file *known = known_place(s->work, inode);
	__u32 flags = FILE_COUNTED;

	if (known->inode == (__u64)inode && known->number == inode->i_ino &&
		known->generation == inode->i_generation)
		return known->flags;
	if ((file->f_mode & FMODE_NOACCOUNT) || is_internal(file->f_path.mnt)) {
		flags = FILE_NOT_COUNTED;
	} else if (s->run->scope) {
		walk_to_anchor(file->f_path.dentry, s->run->scope, s->work, 0);
		if (s->work->walk.anchored && (s->work->walk.rights & METER_RIGHT_SCRATCH))
			flags = FILE_NOT_COUNTED;
	}
	remember(s->work, inode, flags);
	return flags;
}

/* What the run's set knows about a file: SEEN_… bits, 0 = nothing. */
static __always_inline __u32 seen_bits(__u32 slot, struct inode *inode)
{
	void *set = bpf_map_lookup_elem(&seen, &slot);
	struct meter_seen_key key = {};
	__u32 *mark;

	if (!set)
		return 0;
	seen_key_of(&key, inode);
	mark = bpf_map_lookup_elem(set, &key);
	return mark && !(*mark & SEEN_WITHDRAWN) ? *mark : 0;
}

static __always_inline void count_untracked(__u32 slot)
{
	struct meter_account *a = bpf_map_lookup_elem(&accounts, &slot);

	if (a)
		__sync_fetch_and_add(&a->untracked, 1);
}

/* The run made this file: what it does to it later is no further change, and no loss when it goes.
 */
static __always_inline void mark_created(struct subject *s, struct inode *inode)
{
	void *set = bpf_map_lookup_elem(&seen, &s->slot);
	struct meter_seen_key key = {};
	__u32 mark = SEEN_COUNTED | SEEN_CREATED;

	seen_key_of(&key, inode);
	if (!set || bpf_map_update_elem(set, &key, &mark, BPF_ANY))
		count_untracked(s->slot);
}

/* True where the mark is there to rely on. An operation that has not ended yet might still take its
 * mark back; SEEN_SHARED tells it not to, so that nobody changes a file for nothing by racing a
 * failing operation. */
static __always_inline bool rely_on(__u32 *mark)
{
	if (!(*mark & SEEN_PENDING))
		return true;
	return !(__sync_fetch_and_or(mark, SEEN_SHARED) & SEEN_WITHDRAWN);
}

/* Charge one changed file, unless this run's charge for it stands. Part of the pending operation p.
 */
static __always_inline int touch(struct subject *s, struct pending *p, struct inode *inode)
{
	void *set = bpf_map_lookup_elem(&seen, &s->slot);
	__u32 mark = SEEN_COUNTED | SEEN_PENDING;
	struct meter_seen_key key = {};
	__u32 *found;
	long r;

	seen_key_of(&key, inode);
	found = set ? bpf_map_lookup_elem(set, &key) : 0;
	if (found && rely_on(found))
		return 0;
	if (charge(s->slot, METER_FILES_CHANGED, 1, s->hook)) {
		/* Another thread may have paid for the same file meanwhile. */
		found = set ? bpf_map_lookup_elem(set, &key) : 0;
		return found && rely_on(found) ? 0 : -EPERM;
	}
	r = set ? bpf_map_update_elem(set, &key, &mark, BPF_NOEXIST) : -ENOENT;
	if (r == -EEXIST) {
		found = bpf_map_lookup_elem(set, &key);
		if (found && rely_on(found)) {
			refund(s->slot, METER_FILES_CHANGED, 1);
			return 0;
		}
	}
	p->changed++;
	if (r)
		count_untracked(s->slot);
	else if (p->keys < PENDING_KEYS) {
		p->key[p->keys & (PENDING_KEYS - 1)] = key;
		p->keys++;
	}
	return 0;
}

/* Charge a counter as part of the pending operation; refused = the whole operation is given back.
 */
static __always_inline int charge_for(struct subject *s, __u32 counter, __u64 amount)
{
	int r = charge(s->slot, counter, amount, s->hook);

	if (r)
		settle(s->work, 1, 0);
	return r;
}

static __always_inline int touch_for(struct subject *s, struct pending *p, struct inode *inode)
{
	int r = touch(s, p, inode);

	if (r)
		settle(s->work, 1, 0);
	return r;
}

/* Report an effect that was let through, where the run wants that. */
static __always_inline void report_activity(struct subject *s, struct dentry *dentry)
{
	if (!(s->run->flags & METER_RUN_ACTIVITY))
		return;
	spell(dentry, s->work);
	report_effect(s->slot, s->hook, s->work);
}

/* End of an operation, from the fexit of the function that did it. */
static __always_inline int ended(__u32 hook, __u32 kind, bool failed)
{
	struct subject s;

	if (find_subject(&s, hook) <= 0)
		return 0;
	prove(s.run, hook);
	s.work = bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, 0);
	if (s.work && s.work->operation.kind == kind)
		settle(s.work, failed, ~0ULL);
	return 0;
}

/* The fexit program of a function that returns 0 or a negative errno as an int. */
#define ENDED(function, kind)                                                                      \
	SEC("?fexit/" #function) int probe_##function(void *ctx)                                   \
	{                                                                                          \
		return ended(METER_HOOK_##function, kind, (int)result_of(ctx) != 0);               \
	}
