// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Attributes: mode, owner, times, extended attributes. A changed attribute is a changed file. */
#include "effect.bpf.h"

static __always_inline int change(struct subject *s, struct dentry *dentry, __u32 kind)
{
	struct inode *inode = dentry->d_inode;
	struct pending *p;
	int r = decide(s, dentry, METER_RIGHT_WRITE);

	if (r || !is_positive(dentry))
		return r;
	if (s->run->scope && (s->work->walk.rights & METER_RIGHT_SCRATCH))
		return 0;
	if (s->posture & METER_NO_WRITE)
		return refuse_posture(s);
	p = begin(s, kind);
	return inode->i_nlink ? touch_for(s, p, inode) : 0;
}

HOOK(path_chmod, path_chmod, (const struct path *path, umode_t mode), (path, mode))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_chmod, 0);

	if (r <= 0)
		return r;
	if (is_internal(path->mnt))
		return 0;
	if (mode & S_SETID) {
		spell(path->dentry, s.work);
		return refuse_as(&s, METER_DENIAL, 0, -EPERM);
	}
	return change(&s, path->dentry, PENDING_CHMOD);
}

HOOK(path_chown, path_chown, (const struct path *path), (path))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_chown, 0);

	if (r <= 0)
		return r;
	if (is_internal(path->mnt))
		return 0;
	return change(&s, path->dentry, PENDING_CHOWN);
}

ENDED(chmod_common, PENDING_CHMOD)
ENDED(chown_common, PENDING_CHOWN)

/* inode_setattr also fires for mode, owner and size, and for what overlayfs does on its layers;
 * only the times have no hook of their own. So this says that the next one for this dentry is
 * utimes(2). */
SEC("?fentry/vfs_utimes")
int BPF_PROG(probe_vfs_utimes, const struct path *path)
{
	struct subject s;

	if (find_subject(&s, METER_HOOK_vfs_utimes) <= 0)
		return 0;
	prove(s.run, METER_HOOK_vfs_utimes);
	s.work = work_of_current();
	if (s.work)
		s.work->utimes_dentry = (__u64)path->dentry;
	return 0;
}

SEC("?fexit/vfs_utimes")
int probe_vfs_utimes_done(void *ctx)
{
	struct subject s;

	if (find_subject(&s, METER_HOOK_vfs_utimes_done) <= 0)
		return 0;
	s.work = bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, 0);
	if (s.work)
		s.work->utimes_dentry = 0;
	return ended(METER_HOOK_vfs_utimes_done, PENDING_UTIMES, (int)result_of(ctx) != 0);
}

static __always_inline int on_setattr(struct dentry *dentry)
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_inode_setattr, 0);

	if (r <= 0)
		return r;
	if (s.work->utimes_dentry != (__u64)dentry)
		return 0;
	return change(&s, dentry, PENDING_UTIMES);
}

/* Until 6.8 */
SEC("?lsm/inode_setattr")
int BPF_PROG(lsm_inode_setattr_old, struct dentry *dentry, struct iattr *attributes)
{
	return verdict(on_setattr(dentry));
}

/* Since 6.9, and security_inode_setattr always: the idmap (user namespace) comes first. */
SEC("?lsm/inode_setattr")
int BPF_PROG(lsm_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attributes)
{
	return verdict(on_setattr(dentry));
}

SEC("?fmod_ret/security_inode_setattr")
int BPF_PROG(mod_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attributes)
{
	return verdict(on_setattr(dentry));
}

/* Extended attributes have no path hook. overlayfs sets them on its layers with credentials of its
 * own; nobody else in a run has two sets of credentials here, since io_uring is refused. */
static __always_inline bool is_own_request(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->cred == task->real_cred;
}

static __always_inline int change_metadata(struct dentry *dentry, __u32 hook)
{
	struct subject s;
	int r = enter_with_work(&s, hook, 0);

	if (r <= 0)
		return r;
	if (!is_own_request())
		return 0;
	r = change(&s, dentry, PENDING_UTIMES);
	/* Nothing tells how it ends: the charge stands. */
	if (!r)
		settle(s.work, 0, 0);
	return r;
}

HOOK(inode_setxattr, inode_setxattr, (void *idmap, struct dentry *dentry, const char *name),
	(idmap, dentry, name))
{
	return change_metadata(dentry, METER_HOOK_inode_setxattr);
}

HOOK(inode_removexattr, inode_removexattr, (void *idmap, struct dentry *dentry, const char *name),
	(idmap, dentry, name))
{
	return change_metadata(dentry, METER_HOOK_inode_removexattr);
}

HOOK(inode_set_acl, inode_set_acl, (void *idmap, struct dentry *dentry, const char *name),
	(idmap, dentry, name))
{
	return change_metadata(dentry, METER_HOOK_inode_set_acl);
}

HOOK(inode_remove_acl, inode_remove_acl, (void *idmap, struct dentry *dentry, const char *name),
	(idmap, dentry, name))
{
	return change_metadata(dentry, METER_HOOK_inode_remove_acl);
}
